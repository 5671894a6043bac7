//! What a debt says of itself: attempts, the last answer, and its conditions. Pure; the same
//! knowledge gives the same bytes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt as _;

use super::{
    plan::{has_ended, is_gone, is_of_another},
    progress::{Known, Progress, Trouble},
};
use crate::{
    controller::bounds,
    crd::{ConditionType, OwedRevocation, OwedRevocationStatus, SecretKeyRef},
};

/// The reason of a debt that has been paid: it goes at once.
pub(super) const PAID: &str = "Paid";
/// Kubernetes allows 32768 bytes; people read one line.
const LONGEST_MESSAGE: usize = 1024;
/// As many ids as a message names.
const MOST_IDS: usize = 3;

/// Where a debt stands.
struct Row {
    reason: &'static str,
    message: String,
    /// Whether a person has to act.
    is_stalled: bool,
}

/// The status as it should be.
pub(super) fn status(
    debt: &OwedRevocation,
    progress: &Progress,
    namespace: &str,
    now: Timestamp,
) -> OwedRevocationStatus {
    let row = row(debt, progress, namespace);
    let (ready, abnormal) = match (row.reason, row.is_stalled) {
        (PAID, _) => ("True", None),
        (_, true) => ("False", Some(ConditionType::Stalled)),
        (_, false) => ("False", Some(ConditionType::Reconciling)),
    };
    let conditions = [
        Some((ConditionType::Ready, ready)),
        abnormal.map(|kind| (kind, "True")),
    ];
    let conditions = conditions.into_iter().flatten();
    OwedRevocationStatus {
        observed_generation: debt.metadata.generation,
        attempts: Some(progress.attempts),
        last_answer: progress.last_answer.clone(),
        conditions: conditions
            .map(|(kind, status)| condition(debt, kind, status, &row, now))
            .collect(),
    }
}

/// Whether the status of the debt says, of this very generation, that it has been paid.
pub(super) fn is_paid(debt: &OwedRevocation) -> bool {
    let Some(status) = &debt.status else {
        return false;
    };
    let is_paid = |one: &Condition| one.reason == PAID && one.status == "True";
    status.observed_generation.is_some()
        && status.observed_generation == debt.metadata.generation
        && status.conditions.iter().any(is_paid)
}

/// The status of a paid debt that has just been deleted, which made it another generation: what was
/// said of the one before holds for it. Absent where it is of this generation already.
pub(super) fn still_paid(going: &OwedRevocation) -> Option<OwedRevocationStatus> {
    let mut status = going.status.clone()?;
    if status.observed_generation == going.metadata.generation {
        return None;
    }
    status.observed_generation = going.metadata.generation;
    for condition in &mut status.conditions {
        condition.observed_generation = going.metadata.generation;
    }
    Some(status)
}

fn say(reason: &'static str, is_stalled: bool, message: String) -> Row {
    Row {
        reason,
        message,
        is_stalled,
    }
}

/// What keeps the debt from being paid at all.
fn in_trouble(debt: &OwedRevocation, trouble: &Trouble, namespace: &str) -> Row {
    match trouble {
        Trouble::NoConnection(why) => say("ConnectionNotFound", true, format!("{why}{AT_LAST}")),
        Trouble::Endpoint(why) => say("EndpointNotAllowed", true, format!("{why}{AT_LAST}")),
        Trouble::NoToken(why) => say("TokenNotFound", true, format!("{why}{AT_LAST}")),
        Trouble::Refused(why) => {
            let secret = secret(debt.spec.token_secret_ref.as_ref(), namespace);
            let next = format!("put a valid token of the same user into {secret}");
            say("Unauthorized", true, format!("{why}: {next}{AT_LAST}"))
        }
        Trouble::Unreachable(why) => {
            let message = format!("Apono does not answer as it should ({why}): tried again");
            say("ApiUnavailable", false, message)
        }
    }
}

fn row(debt: &OwedRevocation, progress: &Progress, namespace: &str) -> Row {
    if let Some(trouble) = &progress.trouble {
        return in_trouble(debt, trouble, namespace);
    }
    let standing: Vec<_> = progress
        .ids
        .values()
        .filter(|known| !has_ended(known, progress))
        .collect();
    let searching = super::plan::open_marks(&debt.spec, progress);
    if let Some(known) = standing.iter().find(|known| is_gone(known)) {
        let message = format!(
            "{} is not found at Apono, and nothing proves that it has ended: use a token of the \
             user who made it{AT_LAST}",
            shown(&[known])
        );
        return say("RemoteNotFound", true, message);
    }
    let refused: Vec<_> = standing
        .iter()
        .filter(|known| is_refused(known))
        .copied()
        .collect();
    if let Some(first) = refused.first() {
        let tried = first.tried.as_ref();
        let why = tried.and_then(|tried| tried.refusal.as_ref());
        let why = why.map_or_else(
            || "Apono failed to take it back".to_owned(),
            |refusal| refusal.message.clone(),
        );
        let message = format!(
            "{}: {why}; tried again, revoke it in Apono if that does not help",
            shown(&refused)
        );
        return say("RevokeFailed", true, message);
    }
    if !standing.is_empty() {
        let message = format!("{} is being taken back", shown(&standing));
        return say("Revoking", false, message);
    }
    if let Some(until) = searching {
        return still_searched(debt, progress, namespace, until);
    }
    let message = "everything has ended, as read back from Apono".to_owned();
    say(PAID, false, message)
}

/// All that is known has ended, and something may yet be found.
fn still_searched(
    debt: &OwedRevocation,
    progress: &Progress,
    namespace: &str,
    until: Timestamp,
) -> Row {
    let is_late = progress.searches.complete >= Some(until);
    let mut marks = debt.spec.marks.iter();
    let other = marks.find(|mark| is_of_another(mark, progress));
    let asker = other.and_then(|mark| mark.asker_id.as_ref());
    if let Some(asker) = asker.filter(|_| is_late) {
        let secret = secret(debt.spec.token_secret_ref.as_ref(), namespace);
        let message = format!(
            "what a lost answer may have made is not found with this token, which proves nothing: \
             put a token of user {asker}, who asked, into {secret}{AT_LAST}"
        );
        return say("Searching", true, message);
    }
    let until = until.strftime("%Y-%m-%d %H:%M:%SZ");
    let message = format!(
        "all that is known has ended; what lost answers may have made is looked for until {until}"
    );
    say("Searching", false, message)
}

/// What remains to be done where nothing else helps.
const AT_LAST: &str = "; or revoke the access in Apono and set spec.writtenOff";

/// Accepted, and failed all the same; or plainly refused.
fn is_refused(known: &Known) -> bool {
    let tried = known.tried.as_ref();
    let has_failed = known.state() == apono_client::State::Failed && tried.is_some();
    let is_refused = tried.is_some_and(|tried| tried.refusal.is_some());
    has_failed || is_refused
}

fn secret(secret: Option<&SecretKeyRef>, namespace: &str) -> String {
    match secret {
        Some(secret) => format!(
            "key `{}` of Secret `{namespace}/{}`",
            secret.key, secret.name
        ),
        None => "the Secret of the connection".to_owned(),
    }
}

fn shown(all: &[&Known]) -> String {
    let ids: Vec<_> = all
        .iter()
        .take(MOST_IDS)
        .map(|known| bounds::cut(&known.request.id, 64))
        .collect();
    let rest = match all.len().saturating_sub(MOST_IDS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("request {}{rest}", ids.join(", "))
}

fn condition(
    debt: &OwedRevocation,
    kind: ConditionType,
    status: &str,
    row: &Row,
    now: Timestamp,
) -> Condition {
    let old = debt.status.as_ref().map(|status| &status.conditions);
    let before = old
        .into_iter()
        .flatten()
        .find(|one| one.type_ == kind.as_str());
    let since = before.filter(|before| before.status == status);
    let mut message = row.message.clone();
    message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: row.reason.to_owned(),
        message,
        observed_generation: debt.metadata.generation,
        last_transition_time: since.map_or(Time(whole), |one| one.last_transition_time.clone()),
    }
}

/// Whose access it is, for people.
pub(super) fn origin(debt: &OwedRevocation) -> String {
    let origin = &debt.spec.origin;
    format!(
        "{} (AccessRequest {}/{})",
        debt.name_any(),
        origin.namespace,
        origin.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crd::OwedRevocationSpec;

    fn paid(said_of: i64, generation: i64) -> OwedRevocation {
        let mut debt = OwedRevocation::new("owed-1", OwedRevocationSpec::default());
        debt.metadata.generation = Some(said_of);
        let spec = &debt.spec;
        let new = status(
            &debt,
            &Progress::of(&debt),
            "apono-system",
            Timestamp::UNIX_EPOCH,
        );
        assert!(spec.requests.is_empty() && new.conditions[0].reason == PAID);
        debt.status = Some(new);
        debt.metadata.generation = Some(generation);
        debt
    }

    #[test]
    fn a_paid_debt_is_paid_of_the_generation_it_was_said_of_and_no_other() {
        assert!(is_paid(&paid(1, 1)));
        assert!(!is_paid(&paid(1, 2)));
    }

    #[test]
    fn what_was_paid_is_said_again_of_the_generation_that_its_deletion_makes() {
        let mut going = paid(1, 2);
        going.status = still_paid(&going);
        assert!(is_paid(&going));
        let of = going.status.iter().flat_map(|status| &status.conditions);
        assert!(
            of.map(|one| one.observed_generation)
                .all(|of| of == Some(2))
        );
        assert_eq!(still_paid(&going), None, "not again and again");
    }
}
