//! Where the credentials are: the names that are put down, moving from one to another, and the end. IO.

use super::{
    due::names,
    scene::CredentialMemory,
    secret::{Store, words_of},
    take_out::{Obstacle, relocate, take_out},
    turn::{FORBIDDEN, Pass, SOON},
    words,
};
use crate::{
    crd::{CredentialsState, CredentialsStatus, OnEnd},
    kubernetes,
};

/// As many further names as the status may hold.
const MOST_NAMES: usize = 10;

impl Pass<'_> {
    /// Puts the wanted name down; what is to be done with it comes in the next pass.
    pub(super) fn put_down(&mut self) {
        let Some(wanted) = self.resource.spec.credentials.as_ref() else {
            return;
        };
        let to = &wanted.secret_name;
        let known = names(&self.old());
        if known.len() > MOST_NAMES {
            return self.trouble(&words::too_many_names(to, &known), FORBIDDEN);
        }
        let others = &mut self.made().status.other_secret_names;
        others.push(to.clone());
        self.memory.credentials.look_at = None;
        self.turn.wake = Some(SOON);
    }

    /// Takes the credentials out of all these.
    pub(super) async fn remove(
        &mut self,
        secrets: &[String],
        on_end: OnEnd,
    ) -> Result<(), kubernetes::Error> {
        let refused = self.memory.credentials.remove_at;
        if let Some(at) = refused.filter(|at| *at > self.now) {
            self.wake_at(at);
            return Ok(());
        }
        for secret in secrets {
            match take_out(Store::of(self.context, self.resource), secret, on_end).await {
                Ok(false) => {}
                Ok(true) => self.deleted_instead(secret),
                Err(error) if error.is_forbidden() => {
                    self.not_removed(secret, &error);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.memory.credentials = CredentialMemory::default();
        let old = self.old();
        self.made().status = CredentialsStatus {
            secret_name: old.secret_name.clone().or(secrets.first().cloned()),
            other_secret_names: Vec::new(),
            state: Some(CredentialsState::Removed),
            digest: None,
            message: None,
            sessions: Vec::new(),
            ..old
        };
        Ok(())
    }

    fn not_removed(&mut self, secret: &str, error: &kubernetes::Error) {
        let text = format!(
            "the credentials in Secret `{secret}` could not be removed: {}; let the operator get, \
             patch and delete secrets (deploy/kustomize/credentials)",
            words_of(error)
        );
        let state = self.old().state;
        self.trouble(&words::bounded(&text), FORBIDDEN);
        self.made().status.state = state;
        self.memory.credentials.remove_at = Some(self.now + FORBIDDEN);
    }

    fn deleted_instead(&mut self, secret: &str) {
        let note = words::deleted_instead(secret);
        self.say(true, "CredentialsSecretDeleted", &note);
    }

    /// Moves what was delivered to the Secret of the wanted name.
    pub(super) async fn relocate(&mut self, known: &[String]) {
        let Some(to) = self.resource.spec.credentials.as_ref() else {
            return;
        };
        let (to, on_end) = (to.secret_name.clone(), to.on_end.unwrap_or_default());
        let store = Store::of(self.context, self.resource);
        let moved = match relocate(store, known, &to, on_end).await {
            Ok(moved) => moved,
            Err(Obstacle::Foreign) => return self.blocked_by(&to),
            Err(Obstacle::Kubernetes(error)) => return self.unwritable(&to, &error),
        };
        for secret in &moved.deleted {
            self.deleted_instead(secret);
        }
        self.memory.credentials = CredentialMemory::default();
        let is_new = known.first() != Some(&to);
        let status = &mut self.made().status;
        status.secret_name = Some(to.clone());
        status.other_secret_names.clear();
        let delivered = moved.record.filter(|record| !record.delivered.is_empty());
        if let Some(record) = delivered {
            status.digest = record.digest;
            if is_new {
                let note = words::delivered(&to, record.delivered.len());
                self.say(false, "CredentialsMoved", &note);
            }
        } else {
            status.sessions.clear();
            status.state = Some(CredentialsState::Pending);
        }
        self.turn.wake = Some(SOON);
    }
}
