//! `ttlSecondsAfterFinished`: when a resource of which nothing is left is deleted, and whose is not.
//! Pure.
//!
//! # Why not what a GitOps tool owns
//! It would create the object again, and with it the request: access asked for in a loop, for ever.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::{conditions::Verdict, picture::Picture};
use crate::crd::{AccessRequest, ConditionType, Reason};

/// The annotation by which Argo CD tracks what it owns.
const TRACKING_ANNOTATION: &str = "argocd.argoproj.io/tracking-id";
/// The labels by which GitOps tools know what they own.
const OWNER_LABELS: [&str; 3] = [
    "argocd.argoproj.io/instance",
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
];

/// The label or annotation that says that a GitOps tool owns the resource.
pub fn owner(resource: &AccessRequest, more: &[String]) -> Option<String> {
    let annotations = resource.annotations();
    if annotations.contains_key(TRACKING_ANNOTATION) {
        return Some(TRACKING_ANNOTATION.to_owned());
    }
    let labels = resource.labels();
    let known = OWNER_LABELS.iter().copied();
    let mut all = known.chain(more.iter().map(String::as_str));
    all.find(|label| labels.contains_key(*label))
        .map(ToOwned::to_owned)
}

/// How long the resource stays after it has finished.
pub fn ttl(resource: &AccessRequest) -> Option<Duration> {
    let seconds = resource.spec.ttl_seconds_after_finished?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The condition that says that nothing is left, if one does.
pub fn finished(verdict: &Verdict, picture: &Picture) -> Option<ConditionType> {
    if picture.owned().any(super::picture::is_live) || picture.searching().next().is_some() {
        return None;
    }
    let leading = verdict.leading()?;
    match (leading.kind, leading.reason) {
        (ConditionType::Complete, _) => Some(ConditionType::Complete),
        (ConditionType::Stalled, reason) if is_end(reason) => Some(ConditionType::Stalled),
        _ => None,
    }
}

/// Whether `Stalled` for this reason is an end, and not a trouble that may pass.
pub fn is_end(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::RequestRefused
            | Reason::Rejected
            | Reason::GrantFailed
            | Reason::RevokedUpstream
            | Reason::ApprovalTimedOut
    )
}

/// When the resource is to be deleted: so long after its end was reported.
pub fn due_at(resource: &AccessRequest, verdict: &Verdict, picture: &Picture) -> Option<Timestamp> {
    let ttl = ttl(resource)?;
    let kind = finished(verdict, picture)?;
    let status = resource.status.as_ref()?;
    let said = status.conditions.iter().find(|one| {
        let reason = verdict.leading().map(|saying| saying.reason.as_str());
        one.type_ == kind.as_str() && one.status == "True" && Some(one.reason.as_str()) == reason
    })?;
    Some(said.last_transition_time.0 + ttl)
}
