//! The conditions a verdict is made of, before they are dated. Pure.

use crate::crd::{ConditionType, Phase, Reason};

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody can say.
    Unknown,
}

impl Truth {
    /// The word in the condition.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// One condition to set. What is not named is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// Which condition.
    pub kind: ConditionType,
    /// Whether it holds.
    pub truth: Truth,
    /// Why.
    pub reason: Reason,
    /// What, and what to do next.
    pub message: String,
}

/// Everything a resource says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The conditions, the leading one first.
    pub sayings: Vec<Saying>,
    /// Whether Ready stays as it was, whatever it was.
    pub keeps_ready: bool,
    /// The phase.
    pub phase: Phase,
}

impl Verdict {
    pub(super) fn new(phase: Phase) -> Self {
        Self {
            sayings: Vec::new(),
            keeps_ready: false,
            phase,
        }
    }

    pub(super) fn say(
        mut self,
        kind: ConditionType,
        truth: Truth,
        reason: Reason,
        message: &str,
    ) -> Self {
        self.sayings.push(Saying {
            kind,
            truth,
            reason,
            message: message.to_owned(),
        });
        self
    }

    /// Ready False while something is under way.
    pub(super) fn under_way(phase: Phase, reason: Reason, synced: Truth, text: &str) -> Self {
        use ConditionType::{Ready, Reconciling, Synced};
        Self::new(phase)
            .say(Reconciling, Truth::True, reason, text)
            .say(Ready, Truth::False, reason, text)
            .say(Synced, synced, reason, text)
    }

    /// Ready False (or Unknown) and nothing more will happen by itself.
    pub(super) fn stuck(
        phase: Phase,
        ready: Truth,
        reason: Reason,
        synced: Truth,
        text: &str,
    ) -> Self {
        use ConditionType::{Ready, Stalled, Synced};
        Self::new(phase)
            .say(Stalled, Truth::True, reason, text)
            .say(Ready, ready, reason, text)
            .say(Synced, synced, reason, text)
    }

    pub(super) fn replace(
        &mut self,
        kind: ConditionType,
        truth: Truth,
        reason: Reason,
        message: &str,
    ) {
        self.remove(kind);
        self.sayings.push(Saying {
            kind,
            truth,
            reason,
            message: message.to_owned(),
        });
    }

    /// Says this first, in every condition.
    pub(super) fn add(&mut self, text: &str) {
        for saying in &mut self.sayings {
            saying.message = format!("{text}; {}", saying.message);
        }
    }

    pub(super) fn remove(&mut self, kind: ConditionType) {
        self.sayings.retain(|saying| saying.kind != kind);
    }

    pub(super) fn holds(&self, kind: ConditionType) -> bool {
        self.sayings
            .iter()
            .any(|saying| saying.kind == kind && saying.truth == Truth::True)
    }

    /// The condition a person should read first.
    pub fn leading(&self) -> Option<&Saying> {
        use ConditionType::{Complete, Ready, Reconciling, Stalled};
        let of = |kind| {
            self.sayings
                .iter()
                .find(move |saying: &&Saying| saying.kind == kind)
        };
        of(Stalled)
            .or_else(|| of(Reconciling))
            .or_else(|| of(Complete))
            .or_else(|| of(Ready))
    }
}
