//! One pass's turn for the credentials: does what is due, and says what came of it. IO.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    due::{Due, due, targets},
    next::is_settled,
    report::Made,
    restart::restart,
    secret::words_of,
    words,
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
    crd::{AccessRequest, CredentialsState, CredentialsStatus, RESET_CREDENTIALS_ANNOTATION},
    kubernetes,
};

/// What the API server refuses is tried again this often, and when the resource changes.
pub(super) const FORBIDDEN: Duration = Duration::from_mins(10);
/// A Secret that is in the way is looked at again after this time, then ever later.
const FOREIGN: Duration = Duration::from_secs(15);
/// The least pause.
pub(super) const SOON: Duration = Duration::from_millis(20);

/// What came of a turn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// What happened.
    pub happenings: Vec<Happening>,
    /// When to come again, if nothing happens before.
    pub wake: Option<Duration>,
}

/// Everything a turn works with.
pub(super) struct Pass<'a> {
    pub(super) context: &'a Context,
    pub(super) connection: Option<&'a Connection>,
    pub(super) resource: &'a AccessRequest,
    pub(super) picture: Picture,
    pub(super) memory: Memory,
    /// The token that a person set and that applies.
    pub(super) token: Option<String>,
    pub(super) now: Timestamp,
    pub(super) made: Option<Made>,
    pub(super) turn: Turn,
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
    (readable, step, intent): (bool, &Step, Intent),
    now: Timestamp,
) -> Result<Turn, Error> {
    let is_busy = !matches!(step, Step::Wait | Step::Release);
    // What cannot be read says nothing of credentials: its Secret goes with it, by its owner.
    if is_busy || !readable || !is_concerned(resource) {
        return Ok(Turn::default());
    }
    let picture = Picture::of(resource, observed, now);
    if intent == Intent::Hold && picture.has_news {
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

/// Whether there is, or may be, anything to do for credentials: for most resources there never is.
fn is_concerned(resource: &AccessRequest) -> bool {
    let status = resource.status.as_ref();
    let has_some = status.is_some_and(|status| status.credentials.is_some());
    has_some
        || resource.spec.credentials.is_some()
        || fresh(resource, Token::ResetCredentials).is_some()
}

impl Pass<'_> {
    pub(super) fn old(&self) -> CredentialsStatus {
        let status = self.resource.status.as_ref();
        let old = status.and_then(|status| status.credentials.clone());
        old.unwrap_or_default()
    }

    pub(super) fn say(&mut self, is_warning: bool, reason: &'static str, note: &str) {
        self.turn.happenings.push(Happening {
            is_warning,
            reason,
            note: message::bounded(note),
        });
    }

    pub(super) fn made(&mut self) -> &mut Made {
        let old = self.old();
        self.made.get_or_insert(Made {
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
        if is_first_seen(self.resource) {
            // Remembered and told with the other tokens.
            return;
        }
        if applies {
            self.token = Some(token);
            return;
        }
        self.made().handled = Some(token);
        self.ignored("there are none that were delivered or seen");
    }

    pub(super) fn ignored(&mut self, why: &str) {
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
            Due::Remove { secrets, on_end } => self.remove(&secrets, on_end).await,
            Due::PutDown => {
                self.put_down();
                Ok(())
            }
            Due::Move { names } => {
                self.relocate(&names).await;
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

    pub(super) fn wake_at(&mut self, at: Timestamp) {
        let wait = Duration::try_from(at.duration_since(self.now)).unwrap_or_default();
        self.turn.wake = Some(wait + SOON);
    }

    /// The next look comes after this time.
    pub(super) fn pause(&mut self, pause: Duration) {
        let at = self.now + pause;
        let generation = self.resource.metadata.generation;
        self.memory.credentials.look_again(at, generation);
        self.turn.wake = Some(pause + SOON);
    }

    /// Said where a Secret had to be made anew.
    pub(super) fn made_anew(&mut self, secret: &str) {
        self.say(true, "CredentialsSecretReplaced", &words::made_anew(secret));
    }

    pub(super) fn blocked_by(&mut self, secret: &str) {
        let pause = doubled(FOREIGN, self.memory.credentials.failures + 1, FORBIDDEN);
        self.trouble(&words::foreign(secret), pause);
    }

    pub(super) fn unwritable(&mut self, secret: &str, error: &kubernetes::Error) {
        let text = words_of(error);
        if error.is_forbidden() {
            self.forbidden(secret, &text);
        } else {
            let pause = self.memory.credentials.after_failure();
            self.trouble(&words::unwritten(secret, &text), pause);
        }
    }

    pub(super) fn forbidden(&mut self, secret: &str, text: &str) {
        let namespace = self.resource.metadata.namespace.clone().unwrap_or_default();
        self.trouble(&words::forbidden(secret, &namespace, text), FORBIDDEN);
    }

    /// Something is in the way that a person may have to move.
    pub(super) fn trouble(&mut self, text: &str, pause: Duration) {
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
}
