//! A look at the sessions, and what it calls for: a delivery, a reset, a pause. IO.
//!
//! At most one reset is sent in a pass (`reset.rs`). Several sessions may be read in one: they are stored in the
//! same write, and each is under the write-ahead.

use std::{collections::BTreeSet, time::Duration};

use super::{
    deliver::{Delivery, Wanted, deliver},
    due::others_live,
    next::{CredentialStep, Decision, is_settled, next, overall, whole},
    scene::{Record, Scene, SecretSight, Seen, Target, Word},
    secret::{Store, words_of},
    sessions,
    turn::{Pass, SOON},
    words,
};
use crate::{connection::Connection, crd::CredentialsState};

/// Decided anew in one pass: after a look into the Secret, after the last look at what is to be
/// read, and after a delivery that was not one.
const MOST_DECISIONS: u32 = 5;
/// Between two looks that follow each other.
const SECOND: Duration = Duration::from_secs(1);

impl Pass<'_> {
    /// Looks at the sessions and does what they call for.
    pub(super) async fn look(&mut self, connection: &Connection, targets: &[Target]) {
        let listed = sessions::list(connection, self.resource, targets).await;
        let mut sessions = listed.map_err(|error| error.to_string());
        self.note_resets(&sessions);
        let (mut secret, mut is_fresh) = (SecretSight::Unread, false);
        // Each of these happens once: what is seen then is not forgotten in this pass.
        for _ in 0..MOST_DECISIONS {
            let decision = self.decide(targets, &sessions, &secret);
            match &decision.step {
                CredentialStep::LookIntoSecret => {
                    secret = self.sight_of_secret().await;
                }
                CredentialStep::Deliver(read) if !is_fresh => {
                    is_fresh = true;
                    look_once_more(connection, &mut sessions, read).await;
                    self.note_resets(&sessions);
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
                    let since = decision.reset_of(&seen.id);
                    return self.reset(connection, seen, since).await;
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
        self.pause(SECOND);
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

    /// A reset that was seen under way makes what is available after it new.
    fn note_resets(&mut self, sessions: &Result<Vec<Seen>, String>) {
        let resetting = |one: &&Seen| one.word == Word::Resetting;
        for seen in sessions.iter().flatten().filter(resetting) {
            let tried = self.memory.credentials.resets.get_mut(&seen.id);
            if let Some(tried) = tried.filter(|tried| tried.sent.is_some()) {
                tried.seen_resetting = true;
            }
        }
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
        if decision.is_done {
            self.memory.credentials.looks = 0;
            self.memory.credentials.look_at = None;
            self.turn.wake = Some(SOON);
        } else {
            self.pause(decision.pause);
        }
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
        let store = Store::of(self.context, self.resource);
        let (delivery, made_anew) = deliver(store, connection, &wanted).await;
        if made_anew {
            self.made_anew(&secret);
        }
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
            self.pause(SECOND);
        }
    }
}

/// Looks once more at what is to be read, since the list may be stale. Without an answer nothing is
/// read: it is looked at again later.
async fn look_once_more(
    connection: &Connection,
    sessions: &mut Result<Vec<Seen>, String>,
    read: &[Seen],
) {
    for one in read {
        let fresh = match sessions::look_at(connection, one).await {
            Ok(Some(fresh)) => fresh,
            Ok(None) => continue,
            Err(error) => {
                *sessions = Err(error.to_string());
                return;
            }
        };
        let mut listed = sessions.iter_mut().flatten();
        if let Some(seen) = listed.find(|seen| seen.id == one.id) {
            *seen = fresh;
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
