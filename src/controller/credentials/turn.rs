//! One pass's turn for the credentials: does what is due, and says what came of it. IO.
//!
//! At most one reset is sent in a pass. Several sessions may be read in one: they are stored in the
//! same write, and each is under the write-ahead.

use std::{collections::BTreeSet, time::Duration};

use apono_client::Effect;
use jiff::Timestamp;

use super::{
    deliver::{Delivery, Wanted, deliver},
    due::{Due, due, others_live, targets},
    next::{CredentialStep, Decision, is_settled, next, overall, whole},
    report::Made,
    restart::restart,
    scene::{Record, ResetTry, Scene, SecretSight, Seen, Target, Word},
    secret::{Content, Found, Store, words_of},
    sessions, words,
};
use crate::{
    connection::Connection,
    controller::{
        Context, Error,
        fold::Happening,
        message,
        observed::{Memory, Observed, doubled},
        picture::Picture,
        plan::{Intent, Step},
        tokens::{Token, fresh, is_first_seen},
    },
    crd::{
        AccessRequest, CredentialsState, CredentialsStatus, OnEnd, RESET_CREDENTIALS_ANNOTATION,
    },
    kubernetes,
};

/// What the API server refuses is tried again this often, and when the resource changes.
const FORBIDDEN: Duration = Duration::from_mins(10);
/// A Secret that is in the way is looked at again after this time, then ever later.
const FOREIGN: Duration = Duration::from_secs(15);
/// The least pause.
const SOON: Duration = Duration::from_millis(20);
/// Decided anew in one pass: after a look into the Secret, and after a delivery that was not one.
const MOST_DECISIONS: u32 = 4;
/// A Secret that changes under our hands is read again so often.
const TRIES: u32 = 3;

/// What came of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// What happened.
    pub happenings: Vec<Happening>,
    /// When to come again, if nothing happens before.
    pub wake: Option<Duration>,
}

/// Everything a turn works with.
struct Pass<'a> {
    context: &'a Context,
    connection: Option<&'a Connection>,
    resource: &'a AccessRequest,
    picture: Picture,
    memory: Memory,
    /// The token that a person set and that applies.
    token: Option<String>,
    now: Timestamp,
    made: Option<Made>,
    turn: Turn,
}

/// Does what is due for the credentials in this pass.
///
/// # Guarantees
/// While something is still to be revoked, no error of it ends the pass.
pub async fn turn(
    context: &Context,
    connection: Option<&Connection>,
    resource: &AccessRequest,
    observed: &mut Observed,
    (step, intent): (&Step, Intent),
    now: Timestamp,
) -> Result<Turn, Error> {
    let picture = Picture::of(resource, observed, now);
    let is_busy = !matches!(step, Step::Wait | Step::Release);
    if is_busy || (intent == Intent::Hold && picture.has_news) {
        return Ok(Turn::default());
    }
    let mut pass = Pass {
        context,
        connection,
        resource,
        picture,
        memory: observed.memory.clone(),
        token: None,
        now,
        made: None,
        turn: Turn::default(),
    };
    if intent == Intent::Hold {
        pass.take_token();
    }
    let asked = pass.token.is_some();
    let due = due(resource, &pass.picture, observed, intent, asked, now);
    let done = pass.act(due).await;
    observed.credentials = pass.made;
    if observed.memory != pass.memory {
        observed.memory = pass.memory;
        context.remember(resource, &observed.memory);
    }
    match done {
        Err(error) if *step == Step::Wait && intent == Intent::Release => {
            tracing::debug!(error = %words_of(&error), "credentials are removed later");
        }
        done => done.map_err(Error::RemoveCredentials)?,
    }
    Ok(pass.turn)
}

impl Pass<'_> {
    fn old(&self) -> CredentialsStatus {
        let status = self.resource.status.as_ref();
        let old = status.and_then(|status| status.credentials.clone());
        old.unwrap_or_default()
    }

    fn say(&mut self, is_warning: bool, reason: &'static str, note: &str) {
        self.turn.happenings.push(Happening {
            is_warning,
            reason,
            note: message::bounded(note),
        });
    }

    fn made(&mut self) -> &mut Made {
        let old = self.old();
        self.made.get_or_insert_with(|| Made {
            status: old,
            handled: None,
        })
    }

    /// A token that does not apply is remembered, so that it never acts by surprise.
    fn take_token(&mut self) {
        use CredentialsState::{Delivered, Shared, ViewedElsewhere};
        let Some(token) = fresh(self.resource, Token::ResetCredentials) else {
            return;
        };
        let old = self.old();
        let resettable = |state| matches!(state, Some(Delivered | Shared | ViewedElsewhere));
        let applies = self.resource.spec.credentials.is_some()
            && !targets(&self.picture).is_empty()
            && old.sessions.iter().any(|one| resettable(one.state));
        if applies && !is_first_seen(self.resource) {
            self.token = Some(token);
            return;
        }
        self.made().handled = Some(token);
        self.ignored("there are none that were delivered or seen");
    }

    fn ignored(&mut self, why: &str) {
        let note = format!(
            "{RESET_CREDENTIALS_ANNOTATION} asks for new credentials, but {why}; set it to another \
             value when it applies"
        );
        self.say(true, "ResetCredentialsIgnored", &note);
    }

    async fn act(&mut self, due: Due) -> Result<(), kubernetes::Error> {
        match due {
            Due::Nothing => Ok(()),
            Due::Later(at) => {
                self.wake_at(at);
                Ok(())
            }
            Due::Remove { secret, on_end } => self.remove(&secret, on_end).await,
            Due::Move { from } => {
                self.relocate(&from).await;
                Ok(())
            }
            Due::Restart(digest) => {
                self.restart(&digest).await;
                Ok(())
            }
            Due::Look(targets) => {
                if let Some(connection) = self.connection {
                    self.look(connection, &targets).await;
                }
                Ok(())
            }
        }
    }

    fn wake_at(&mut self, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(self.now)).unwrap_or_default();
        self.turn.wake = Some(wait + SOON);
    }

    /// The next look comes after this time.
    fn pause(&mut self, pause: Duration) {
        let at = self.now + pause;
        let generation = self.resource.metadata.generation;
        self.memory.credentials.look_again(at, generation);
        self.turn.wake = Some(pause + SOON);
    }

    async fn remove(&mut self, secret: &str, on_end: OnEnd) -> Result<(), kubernetes::Error> {
        let paced = self.memory.credentials.failures > 0;
        if let Some(at) = self
            .memory
            .credentials
            .look_at
            .filter(|at| paced && *at > self.now)
        {
            self.wake_at(at);
            return Ok(());
        }
        match take_out(Store::of(self.context, self.resource), secret, on_end).await {
            Ok(()) => {
                self.memory.credentials = super::scene::CredentialMemory::default();
                self.made().status = CredentialsStatus {
                    secret_name: Some(secret.to_owned()),
                    state: Some(CredentialsState::Removed),
                    digest: None,
                    message: None,
                    sessions: Vec::new(),
                    ..self.old()
                };
                Ok(())
            }
            Err(error) if error.is_forbidden() => {
                let text = format!(
                    "the credentials in Secret `{secret}` could not be removed: {}; let the \
                     operator get, patch and delete secrets (deploy/kustomize/credentials)",
                    words_of(&error)
                );
                self.trouble(&words::bounded(&text), FORBIDDEN);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Moves what was delivered to the Secret of another name.
    async fn relocate(&mut self, from: &str) {
        let Some(to) = self.resource.spec.credentials.as_ref() else {
            return;
        };
        let (to, on_end) = (to.secret_name.clone(), to.on_end.unwrap_or_default());
        let store = Store::of(self.context, self.resource);
        let moved = relocate(store, from, &to, on_end).await;
        match moved {
            Ok(is_there) => {
                self.memory.credentials = super::scene::CredentialMemory::default();
                let made = self.made();
                made.status.secret_name = Some(to.clone());
                if is_there {
                    self.say(false, "CredentialsMoved", &words::delivered(&to, 1));
                } else {
                    made.status.sessions.clear();
                    made.status.state = Some(CredentialsState::Pending);
                }
                self.turn.wake = Some(SOON);
            }
            Err(Obstacle::Foreign) => self.blocked_by(&to),
            Err(Obstacle::Kubernetes(error)) => self.unwritable(&to, &error),
        }
    }

    fn blocked_by(&mut self, secret: &str) {
        let pause = doubled(FOREIGN, self.memory.credentials.failures + 1, FORBIDDEN);
        self.trouble(&words::foreign(secret), pause);
    }

    fn unwritable(&mut self, secret: &str, error: &kubernetes::Error) {
        let text = words_of(error);
        if error.is_forbidden() {
            self.forbidden(secret, &text);
        } else {
            let pause = self.memory.credentials.after_failure();
            self.trouble(&words::unwritten(secret, &text), pause);
        }
    }

    fn forbidden(&mut self, secret: &str, text: &str) {
        let namespace = self.resource.metadata.namespace.clone().unwrap_or_default();
        self.trouble(&words::forbidden(secret, &namespace, text), FORBIDDEN);
    }

    /// Something is in the way that a person may have to move.
    fn trouble(&mut self, text: &str, pause: Duration) {
        self.memory.credentials.failures = self.memory.credentials.failures.saturating_add(1);
        self.pause(pause);
        let is_new = self.old().message.as_deref() != Some(text);
        let status = &mut self.made().status;
        status.message = Some(text.to_owned());
        let waits = |state: &CredentialsState| !is_settled(*state);
        if status.state != Some(CredentialsState::Removed) {
            status.state = Some(
                status
                    .state
                    .filter(waits)
                    .unwrap_or(CredentialsState::Pending),
            );
        }
        if is_new {
            self.say(true, "CredentialsBlocked", text);
        }
    }

    async fn restart(&mut self, digest: &str) {
        let restarted = restart(self.context, self.resource, digest).await;
        self.turn.happenings.extend(restarted.happenings);
        if restarted.again {
            self.memory.credentials.restart_failed = Some(self.now);
            self.turn.wake = Some(Duration::from_secs(30));
            return;
        }
        self.memory.credentials.restart_failed = None;
        self.made().status.restarted_for = Some(digest.to_owned());
    }

    /// Looks at the sessions and does what they call for.
    async fn look(&mut self, connection: &Connection, targets: &[Target]) {
        let listed = sessions::list(connection, self.resource, targets).await;
        let mut sessions = listed.map_err(|error| error.to_string());
        let mut secret = SecretSight::Unread;
        // The Secret may be looked into, and a delivery may have to be decided anew, once each.
        for _ in 0..MOST_DECISIONS {
            let decision = self.decide(targets, &sessions, &secret);
            match &decision.step {
                CredentialStep::LookIntoSecret => {
                    secret = self.sight_of_secret().await;
                }
                CredentialStep::Deliver(read) => {
                    let read = read.clone();
                    let all = sessions.clone().unwrap_or_default();
                    match self.deliver(connection, &decision, (&all, &read)).await {
                        None => return,
                        Some((sight, spent)) => {
                            secret = sight;
                            mark_spent(&mut sessions, &spent);
                        }
                    }
                }
                CredentialStep::Reset(seen) => {
                    self.accept(&decision, sessions.is_ok());
                    let seen = seen.clone();
                    return self.reset(connection, &seen).await;
                }
                CredentialStep::PutDownReset(ids) => {
                    self.accept(&decision, sessions.is_ok());
                    self.plan_resets(ids, sessions.as_deref().unwrap_or_default());
                    self.turn.wake = Some(SOON);
                    return;
                }
                CredentialStep::Rest => {
                    self.accept(&decision, sessions.is_ok());
                    return self.rest(&decision);
                }
            }
        }
        self.pause(Duration::from_secs(1));
    }

    fn decide(
        &self,
        targets: &[Target],
        sessions: &Result<Vec<Seen>, String>,
        secret: &SecretSight,
    ) -> Decision {
        let requests = &self.picture.requests;
        let owned: BTreeSet<_> = requests.iter().map(|one| one.id.clone()).collect();
        let newest = requests
            .iter()
            .filter(|one| targets.iter().any(|target| target.id == one.id))
            .filter_map(|one| one.active_at.as_ref())
            .max();
        let status = self.resource.status.as_ref();
        let groups = status.map(|status| status.access_groups.as_slice());
        let groups: BTreeSet<_> = groups
            .unwrap_or_default()
            .iter()
            .filter_map(|group| group.integration.as_ref()?.id.clone())
            .collect();
        let name = self.resource.spec.credentials.as_ref();
        next(&Scene {
            secret_name: name.map_or("", |one| one.secret_name.as_str()),
            old: &self.old(),
            targets,
            owned: &owned,
            others_live: &others_live(&self.picture),
            integrations: groups.len(),
            active_since: newest.map_or(self.now, |time| time.0),
            sessions,
            secret,
            memory: &self.memory.credentials,
            reset_asked: self.token.is_some(),
            now: self.now,
        })
    }

    async fn sight_of_secret(&self) -> SecretSight {
        let name = self.resource.spec.credentials.as_ref();
        let name = name.map_or("", |one| one.secret_name.as_str());
        match Store::of(self.context, self.resource).get(name).await {
            Ok(found) => found.sight(),
            Err(error) if error.is_forbidden() => {
                let namespace = self.resource.metadata.namespace.clone().unwrap_or_default();
                SecretSight::Trouble(words::forbidden(name, &namespace, &words_of(&error)))
            }
            Err(error) => SecretSight::Trouble(words::unwritten(name, &words_of(&error))),
        }
    }

    /// Takes what was decided into the status, and the token with it.
    fn accept(&mut self, decision: &Decision, is_read: bool) {
        self.made().status = decision.status.clone();
        let Some(token) = self.token.clone().filter(|_| is_read) else {
            return;
        };
        self.made().handled = Some(token);
        if !decision.not_resettable.is_empty() {
            let note = format!(
                "Apono cannot reset the credentials of session {}; ask an Apono administrator, or \
                 create a new AccessRequest",
                decision.not_resettable.join(", ")
            );
            self.say(true, "CredentialsNotResettable", &note);
        } else if !matches!(decision.step, CredentialStep::PutDownReset(_)) {
            self.ignored("none of its sessions has any that were delivered or seen");
        }
    }

    fn rest(&mut self, decision: &Decision) {
        if decision.status.state.is_some_and(is_settled) && !decision.is_short {
            self.memory.credentials.looks = 0;
            self.memory.credentials.look_at = None;
            self.turn.wake = Some(SOON);
        } else {
            self.pause(decision.pause);
        }
    }

    fn plan_resets(&mut self, ids: &[String], sessions: &[Seen]) {
        for id in ids {
            let seen = sessions.iter().find(|one| one.id == *id);
            let from_viewed = seen.is_some_and(|one| one.word == Word::Viewed);
            let planned = ResetTry {
                from_viewed,
                ..ResetTry::default()
            };
            self.memory.credentials.resets.insert(id.clone(), planned);
        }
        self.memory.credentials.looks = 0;
        self.memory.credentials.look_at = None;
    }

    /// Sends one reset.
    async fn reset(&mut self, connection: &Connection, seen: &Seen) {
        let answer = sessions::reset(connection, seen).await;
        let tried = self.memory.credentials.resets.entry(seen.id.clone());
        let tried = tried.or_insert_with(|| ResetTry {
            from_viewed: seen.word == Word::Viewed,
            ..ResetTry::default()
        });
        tried.count = tried.count.saturating_add(1);
        tried.sent = Some(self.now);
        tried.refusal = match answer {
            Ok(()) => None,
            Err(error) if error.effect() == Effect::Unknown => None,
            Err(error) => {
                tracing::info!(session = %seen.id, %error, "reset not accepted");
                Some(error.to_string())
            }
        };
        self.pause(Duration::from_secs(1));
    }

    /// Delivers. What has to be decided anew comes back.
    async fn deliver(
        &mut self,
        connection: &Connection,
        decision: &Decision,
        (all, read): (&[Seen], &[Seen]),
    ) -> Option<(SecretSight, Vec<String>)> {
        let secret = decision.status.secret_name.clone().unwrap_or_default();
        let current = self.picture.current();
        let ends_at = current.iter().filter_map(|one| one.ends_at.as_ref());
        let relevant: Vec<_> = all
            .iter()
            .filter(|one| decision.status.sessions.iter().any(|it| it.id == one.id))
            .filter(|one| one.word != Word::NotApplicable)
            .cloned()
            .collect();
        let wanted = Wanted {
            secret: &secret,
            sessions: &relevant,
            read,
            known: &decision.status.sessions,
            ends_at: ends_at.min().map(|time| time.0),
            now: self.now,
        };
        let delivery = deliver(Store::of(self.context, self.resource), connection, &wanted).await;
        match delivery {
            Delivery::LookAgain(sight) => return Some((sight, Vec::new())),
            Delivery::Spent(record, spent) => return Some((SecretSight::Ours(record), spent)),
            Delivery::Foreign => {
                self.accept(decision, true);
                self.blocked_by(&secret);
            }
            Delivery::Forbidden(text) => {
                self.accept(decision, true);
                self.forbidden(&secret, &text);
            }
            Delivery::Failed(text) => {
                self.accept(decision, true);
                let pause = self.memory.credentials.after_failure();
                self.trouble(&text, pause);
            }
            Delivery::Done {
                record,
                read,
                failed,
            } => {
                self.accept(decision, true);
                self.delivered(decision, &record, &read, failed);
            }
        }
        None
    }

    fn delivered(
        &mut self,
        decision: &Decision,
        record: &Record,
        read: &[String],
        failed: Option<String>,
    ) {
        let has_workloads = self.resource.spec.credentials.as_ref().is_some_and(|one| {
            one.rollout_restart
                .as_ref()
                .is_some_and(|all| !all.is_empty())
        });
        let now = self.now;
        for id in read {
            self.memory.credentials.resets.remove(id);
        }
        let status = &mut self.made().status;
        for one in status
            .sessions
            .iter_mut()
            .filter(|one| read.contains(&one.id))
        {
            one.state = Some(CredentialsState::Delivered);
        }
        status
            .sessions
            .retain(|one| !decision.carried.contains(&one.id));
        let state = overall(&status.sessions, decision.is_short);
        status.state = Some(state);
        status.digest.clone_from(&record.digest);
        status.delivered_at = Some(whole(now));
        status.message = failed.or_else(|| decision.status.message.clone());
        if is_settled(state) {
            status.message = None;
        }
        if !has_workloads {
            status.restarted_for.clone_from(&status.digest);
        }
        let name = status.secret_name.clone().unwrap_or_default();
        self.say(
            false,
            "CredentialsDelivered",
            &words::delivered(&name, read.len()),
        );
        self.memory.credentials.failures = 0;
        self.memory.credentials.looks = 0;
        if is_settled(state) {
            self.memory.credentials.look_at = None;
            self.turn.wake = Some(SOON);
        } else {
            self.pause(Duration::from_secs(1));
        }
    }
}

/// What the details showed to be read before counts as seen, whatever the list says.
fn mark_spent(sessions: &mut Result<Vec<Seen>, String>, spent: &[String]) {
    for seen in sessions
        .iter_mut()
        .flatten()
        .filter(|one| spent.contains(&one.id))
    {
        seen.word = Word::Viewed;
    }
}

/// Why a Secret could not be moved.
enum Obstacle {
    Foreign,
    Kubernetes(kubernetes::Error),
}

/// Copies what was delivered, then ends the old Secret. False where there was nothing to copy.
async fn relocate(store: Store<'_>, from: &str, to: &str, on_end: OnEnd) -> Result<bool, Obstacle> {
    let old = store.get(from).await.map_err(Obstacle::Kubernetes)?;
    let Found::Ours(old) = old else {
        return Ok(false);
    };
    let is_there = !old.record.delivered.is_empty();
    if is_there {
        let content = Content {
            data: &old.data,
            record: &old.record,
        };
        match store.create(to, &content, Some(&old.salt)).await {
            Ok(_) => {}
            Err(error) if error.is_already_exists() => {
                match store.get(to).await.map_err(Obstacle::Kubernetes)? {
                    Found::Ours(new) => {
                        let replaced = store.replace(&new, &content).await;
                        replaced.map_err(Obstacle::Kubernetes)?;
                    }
                    Found::Foreign | Found::Absent => return Err(Obstacle::Foreign),
                }
            }
            Err(error) => return Err(Obstacle::Kubernetes(error)),
        }
    }
    take_out(store, from, on_end)
        .await
        .map_err(Obstacle::Kubernetes)?;
    Ok(is_there)
}

/// Takes the credentials out of a Secret, if it is ours.
async fn take_out(store: Store<'_>, name: &str, on_end: OnEnd) -> Result<(), kubernetes::Error> {
    let mut tries = 0;
    loop {
        let Found::Ours(owned) = store.get(name).await? else {
            return Ok(());
        };
        let done = match on_end {
            OnEnd::Delete => store.delete(&owned).await,
            OnEnd::Empty => {
                let content = Content {
                    data: &super::data::Data::new(),
                    record: &Record::default(),
                };
                store.replace(&owned, &content).await.map(drop)
            }
        };
        tries += 1;
        match done {
            Err(error) if tries < TRIES && (error.is_conflict() || error.is_not_found()) => {}
            done => return done,
        }
    }
}
