//! From the old status, what was observed and what came of the step to the new status and the
//! events. Pure: the same inputs make the same bytes, so a pass that changes nothing writes nothing.

use apono_client::{AccessRequest as Remote, State};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;

use super::{
    admin,
    attempt::Ledger,
    bounds,
    conditions::{Truth, Verdict},
    credentials, entitlements, message,
    observed::Observed,
    picture::{Picture, is_live, state},
    plan::{Intent, is_orphan},
    rulings, target, ttl, verdict,
};
use crate::{
    crd::{
        AccessGroup, AccessRequest, AccessRequestStatus, ConditionType, Identity, NamedRef,
        OwnedRequest, PostOutcome, Reason, RemoteApi,
    },
    marker::Nonce,
    poller::{Sight, Snapshot},
};

mod asides;

/// As many as the status may hold.
const MOST_GROUPS: usize = 50;

/// What came of a step.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a pass has one of them")]
pub enum Outcome {
    /// Nothing was sent.
    Nothing,
    /// A create or a request-again was marked and sent.
    Posted {
        /// The record as it was marked.
        ledger: Ledger,
        /// The POST's nonce.
        nonce: Nonce,
        /// When it was sent.
        sent_at: Timestamp,
        /// What came back.
        reply: Reply,
    },
    /// A revoke was sent; what the remote said is remembered with the tries.
    Revoked,
    /// An end was latched.
    Latched,
}

impl Outcome {
    /// The requests that a POST of this very pass made, as it was answered.
    pub fn made(&self) -> Option<&[Remote]> {
        match self {
            Self::Posted {
                reply: Reply::Made(made),
                ..
            } => Some(made),
            Self::Posted { .. } | Self::Nothing | Self::Revoked | Self::Latched => None,
        }
    }
}

/// What came back for a create.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The requests that were made.
    Made(Vec<Remote>),
    /// It will not be made.
    Refused(String),
    /// It certainly was not made.
    NotSent,
    /// Nothing, and no error: one look decides.
    Empty,
    /// Nobody knows.
    Lost,
}

/// Something worth an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Whether a person should worry.
    pub is_warning: bool,
    /// The reason, one word.
    pub reason: &'static str,
    /// The sentence.
    pub note: String,
}

/// The status of a resource after a pass, and what happened.
pub fn fold(
    resource: &AccessRequest,
    observed: &Observed,
    outcome: &Outcome,
    intent: Intent,
    now: Timestamp,
) -> (AccessRequestStatus, Vec<Happening>) {
    let mut picture = Picture::of(resource, observed, now);
    let refusal = apply(&mut picture, outcome, resource, now);
    let mut verdict = verdict::verdict(resource, &picture, observed, intent, now);
    credentials::report::lay_over(&mut verdict, resource, observed);
    if let Some(answer) = &refusal {
        let text = message::refusal_of_create(answer);
        for saying in verdict
            .sayings
            .iter_mut()
            .filter(|s| s.reason == Reason::RequestRefused)
        {
            saying.message.clone_from(&text);
        }
    }
    let old = resource.status.clone().unwrap_or_default();
    let mut happenings = happenings(&old, resource, &verdict, observed, intent);
    let mut handled = old.last_handled.clone();
    if intent == Intent::Hold {
        let (remembered, ignored) = rulings::handled(resource, &picture, observed, now);
        handled = remembered;
        happenings.extend(ignored);
        happenings.extend(asides::refused_renewal(&old, &picture, refusal.as_deref()));
        happenings.extend(asides::ignored_ttl(
            &old, resource, &picture, &verdict, observed,
        ));
    }
    // What was made of the credentials adds its own token to these.
    let old = AccessRequestStatus {
        last_handled: handled,
        ..old
    };
    let status = status(resource, old, &picture, &verdict, (observed, outcome), now);
    (status, happenings)
}

/// Takes the outcome of a create into the picture. The answer of a refusal is returned.
fn apply(
    picture: &mut Picture,
    outcome: &Outcome,
    resource: &AccessRequest,
    now: Timestamp,
) -> Option<String> {
    let Outcome::Posted {
        ledger,
        nonce,
        sent_at,
        reply,
    } = outcome
    else {
        return None;
    };
    if picture.ledger.entry(nonce.as_str()).is_none() {
        picture.ledger = ledger.clone();
    }
    let resolved = match reply {
        Reply::Made(remotes) => {
            let api = likely_api(resource);
            for remote in remotes {
                let snapshot = Snapshot::new(remote.clone(), api, *sent_at);
                if let Some(entry) = picture.ledger.entry(nonce.as_str()).cloned() {
                    picture.own(&snapshot, &entry, false, now);
                }
            }
            // Everything said is said of what is stored, so that the same is said when it is read
            // back. What cannot be stored is to be found again.
            picture.trim(resource);
            admin::reckon_ends(&mut picture.requests, &picture.ledger, resource);
            picture.unkept.is_empty().then_some(PostOutcome::Answered)
        }
        Reply::Refused(_) => Some(PostOutcome::Refused),
        Reply::NotSent => Some(PostOutcome::NotSent),
        Reply::Empty | Reply::Lost => None,
    };
    if let Some(resolved) = resolved {
        picture.ledger.resolve(nonce, resolved);
    }
    match reply {
        Reply::Refused(answer) => Some(answer.clone()),
        Reply::Made(_) | Reply::NotSent | Reply::Empty | Reply::Lost => None,
    }
}

/// Where a request just made is most likely read; the poller finds out.
pub fn likely_api(resource: &AccessRequest) -> RemoteApi {
    if admin::is_asked(resource) {
        return RemoteApi::AdminV3;
    }
    match resource.spec.grantee {
        Some(_) => RemoteApi::Delegated,
        None => RemoteApi::UserV4,
    }
}

fn status(
    resource: &AccessRequest,
    old: AccessRequestStatus,
    picture: &Picture,
    verdict: &Verdict,
    (observed, outcome): (&Observed, &Outcome),
    now: Timestamp,
) -> AccessRequestStatus {
    let leading = verdict.leading();
    let current = picture.current();
    let ends_at = earliest_end(&current).or_else(|| {
        let all_over = !current.is_empty() && current.iter().all(|one| !is_live(one));
        old.ends_at.clone().filter(|_| all_over)
    });
    let resolved = observed.resolved(&old).cloned();
    let mut new = AccessRequestStatus {
        observed_generation: resource.metadata.generation,
        phase: Some(verdict.phase),
        reason: leading.map(|saying| saying.reason.as_str().to_owned()),
        message: leading.map(|saying| message::bounded(&saying.message)),
        target: Some(bounds::word(&target::shown(resource, resolved.as_ref()))),
        attempt: picture.ledger.mirror(),
        renewals: Some(picture.ledger.renewals).filter(|renewals| *renewals > 0),
        requests: picture.requests.clone(),
        resolved,
        expires: ends_at.as_ref().map(|end| message::minute(end.0)),
        ends_at,
        conditions: conditions(&old.conditions, verdict, resource.metadata.generation, now),
        ..old
    };
    let known: Vec<_> = current
        .iter()
        .filter_map(|one| last_read(&one.id, observed, outcome))
        .collect();
    if known.len() == current.len() && !known.is_empty() {
        describe(&mut new, &known);
    }
    show_entitlements(&mut new, &current, observed);
    credentials::report::report(&mut new, resource, observed);
    let read = current.iter().filter_map(|one| {
        let remote = last_read(&one.id, observed, outcome)?;
        Some((*one, remote))
    });
    let read: Vec<_> = read.collect();
    if read.len() == current.len() {
        admin::describe(&mut new, resource, &read);
    }
    new
}

/// A request as it was read last: by the poller, or in the answer to the create of this very pass.
fn last_read<'a>(id: &str, observed: &'a Observed, outcome: &'a Outcome) -> Option<&'a Remote> {
    if let Some(Sight::Seen(snapshot)) = observed.view.sights.get(id) {
        return Some(&snapshot.request);
    }
    outcome.made()?.iter().find(|one| one.id == id)
}

/// Where they were not read in this pass, the old ones stay.
fn show_entitlements(
    status: &mut AccessRequestStatus,
    current: &[&OwnedRequest],
    observed: &Observed,
) {
    let read = current
        .iter()
        .filter_map(|one| observed.entitlements.get(&one.id));
    if read.clone().next().is_some() {
        let (shown, summary) = entitlements::shown(read.flatten());
        status.entitlements = shown;
        status.entitlement_summary = Some(summary);
    }
}

/// What the remote says of the current requests.
fn describe(status: &mut AccessRequestStatus, known: &[&Remote]) {
    let mut groups: Vec<_> = known.iter().flat_map(|one| groups(one)).collect();
    groups.sort();
    groups.dedup();
    groups.truncate(MOST_GROUPS);
    status.access_groups = groups;
    let named = |one: &apono_client::Named| NamedRef {
        id: Some(bounds::word(&one.id)),
        name: Some(bounds::name(&one.name)),
    };
    let user = |one: &apono_client::Identity| Identity {
        id: Some(bounds::word(&one.id)),
        source_id: Some(bounds::word(&one.source_id)),
    };
    status.bundle = known
        .iter()
        .find_map(|one| one.bundle.as_deref().map(named));
    status.requestor = known
        .iter()
        .find_map(|one| one.requestor.as_deref().map(user));
    status.grantee = known
        .iter()
        .find_map(|one| one.grantee.as_deref().map(user));
}

fn groups(remote: &Remote) -> Vec<AccessGroup> {
    let group = |group: &apono_client::AccessGroup| AccessGroup {
        integration: Some(NamedRef {
            id: Some(bounds::word(&group.integration.id)),
            name: Some(bounds::name(&group.integration.name)),
        }),
        resource_types: group
            .resource_types
            .iter()
            .map(|one| bounds::word(&one.id))
            .take(bounds::MOST_TYPES)
            .collect(),
    };
    remote.access_groups.iter().map(group).collect()
}

fn earliest_end(current: &[&OwnedRequest]) -> Option<Time> {
    let live = current
        .iter()
        .filter(|one| is_live(one) && state(one) != State::Revoking);
    live.filter_map(|one| one.ends_at.clone()).min()
}

fn conditions(
    old: &[Condition],
    verdict: &Verdict,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let before = |kind: ConditionType| old.iter().find(|one| one.type_ == kind.as_str());
    let mut new: Vec<_> = verdict
        .sayings
        .iter()
        .map(|saying| {
            let status = saying.truth.as_str().to_owned();
            // What was stalled by a trouble and then ends makes a transition: the time to live
            // counts from the end.
            let ends = |one: &Condition| {
                ttl::is_end(saying.reason) && one.reason != saying.reason.as_str()
            };
            let same = before(saying.kind)
                .filter(|one| one.status == status)
                .filter(|one| saying.kind != ConditionType::Stalled || !ends(one));
            let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
            Condition {
                type_: saying.kind.as_str().to_owned(),
                last_transition_time: same
                    .map_or(Time(whole), |one| one.last_transition_time.clone()),
                observed_generation: generation,
                status,
                reason: saying.reason.as_str().to_owned(),
                message: message::bounded(&saying.message),
            }
        })
        .collect();
    let ready = before(ConditionType::Ready).filter(|_| verdict.keeps_ready);
    new.extend(ready.map(|one| Condition {
        observed_generation: generation,
        ..one.clone()
    }));
    new.sort_by(|a, b| a.type_.cmp(&b.type_));
    new
}

/// An event for every change of the leading reason, and one for an Orphan that is not allowed.
fn happenings(
    old: &AccessRequestStatus,
    resource: &AccessRequest,
    verdict: &Verdict,
    observed: &Observed,
    intent: Intent,
) -> Vec<Happening> {
    let Some(leading) = verdict.leading() else {
        return Vec::new();
    };
    if old.reason.as_deref() == Some(leading.reason.as_str()) {
        return Vec::new();
    }
    let is_warning = leading.kind == ConditionType::Stalled
        || (leading.kind == ConditionType::Ready && leading.truth != Truth::True);
    let is_warning = is_warning && leading.reason != Reason::Suspended;
    let mut all = Vec::new();
    // That a request is being made is seen from what comes of it, a moment later.
    if leading.reason != Reason::Submitting {
        all.push(Happening {
            is_warning,
            reason: leading.reason.as_str(),
            note: leading.message.clone(),
        });
    }
    let first = intent == Intent::Release && old.phase != Some(crate::crd::Phase::Revoking);
    let refused = is_orphan(resource) && !observed.connection.allows_orphan();
    if first && refused {
        let note = format!(
            "{}: deletionPolicy Orphan needs allow.orphan in the connection; revoking instead",
            resource.name_any()
        );
        all.push(Happening {
            is_warning: true,
            reason: "OrphanNotAllowed",
            note,
        });
    }
    all
}

#[cfg(test)]
mod tests;
