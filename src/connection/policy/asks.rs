//! What may be asked for through a connection: every rule of `spec.allow`. Pure.
//!
//! | rule | compared with | when |
//! | --- | --- | --- |
//! | `access`, `grantees`, `maxDuration`, `requireJustification`, `credentialsForOthers` | the spec | before any call |
//! | `bundles`, `integrations` | the names Apono gives them, never what was written | once these are known |
//!
//! A bundle may reach any integration, so where `integrations` are limited and `bundles` are not, no
//! bundle may be asked for: else it would lead past the limit.
//!
//! Asking is bound by them: creating, renewing, asking again. What was asked stays followed, and
//! can be taken back.

use std::{borrow::Cow, time::Duration};

use super::{Refusal, listed};
use crate::crd::{
    Access, AccessKind, AccessRequestSpec, AccessRequestStatus, Allow, DurationText, Identity,
    NamedRef,
};

/// The pattern that stands for a request without a grantee.
const SELF: &str = "self";
/// What to do about what cannot be changed.
const ANEW: &str = "create a new AccessRequest with another name";

/// Whether this may be asked for, as far as the spec alone tells. `own` is the user of the
/// connection's token, where that is known.
pub fn ask(allow: &Allow, spec: &AccessRequestSpec, own: Option<&Identity>) -> Result<(), Refusal> {
    access(allow, &spec.access)?;
    grantee(allow, spec.grantee.as_deref())?;
    duration(allow, spec)?;
    justification(allow, spec)?;
    credentials(allow, spec, own)
}

/// Whether the credentials of the access may be delivered.
pub fn credentials(
    allow: &Allow,
    spec: &AccessRequestSpec,
    own: Option<&Identity>,
) -> Result<(), Refusal> {
    let (Some(_), Some(grantee)) = (&spec.credentials, &spec.grantee) else {
        return Ok(());
    };
    let is = |id: &Option<String>| id.as_deref().is_some_and(|id| same(id, grantee));
    if allow.credentials_for_others.unwrap_or(false)
        || own.is_some_and(|own| is(&own.id) || is(&own.source_id))
    {
        return Ok(());
    }
    let whose = own.and_then(|own| own.source_id.as_ref().or(own.id.as_ref()));
    let whose = whose.map_or_else(
        || "whose user is not known yet".to_owned(),
        |user| format!("which belongs to `{user}`"),
    );
    Err(Refusal(format!(
        "spec.credentials asks for the credentials of spec.grantee `{grantee}`, who is not the user \
         of the connection's token, {whose}: remove spec.credentials, {ANEW} and without grantee, \
         or ask for spec.allow.credentialsForOthers: true in the connection"
    )))
}

/// Whether a bundle of this name may be asked for.
pub fn bundle(allow: &Allow, name: &str) -> Result<(), Refusal> {
    let what = format!("the bundle is `{name}` at Apono");
    named(allow.bundles.as_deref(), name, ("bundles", &what))
}

/// Whether resources of an integration of this name may be asked for.
pub fn integration(allow: &Allow, name: &str) -> Result<(), Refusal> {
    let what = format!("the integration is `{name}` at Apono");
    named(allow.integrations.as_deref(), name, ("integrations", &what))
}

/// Whether the names at Apono have to be known before this may be asked for.
pub fn needs_names(allow: &Allow, access: &Access) -> bool {
    match kind(access) {
        AccessKind::Bundle => allow.bundles.is_some(),
        AccessKind::Entitlements | AccessKind::Integration => allow.integrations.is_some(),
    }
}

/// Whether the status tells every name that the rules are about.
pub fn names_are_known(allow: &Allow, access: &Access, status: &AccessRequestStatus) -> bool {
    !needs_names(allow, access) || known(access, status).is_some()
}

/// Whether what was already found, or asked, is allowed by its names. Names that are not known yet
/// are found out before anything is asked for the first time; later nobody can.
pub fn found(allow: &Allow, access: &Access, status: &AccessRequestStatus) -> Result<(), Refusal> {
    if !needs_names(allow, access) {
        return Ok(());
    }
    let Some(names) = known(access, status) else {
        return if status.requests.is_empty() {
            Ok(())
        } else {
            Err(unknown(access))
        };
    };
    let check = match kind(access) {
        AccessKind::Bundle => bundle,
        AccessKind::Entitlements | AccessKind::Integration => integration,
    };
    names.into_iter().try_for_each(|name| check(allow, name))
}

fn unknown(access: &Access) -> Refusal {
    let (what, rule) = match kind(access) {
        AccessKind::Bundle => ("the bundle", "bundles"),
        AccessKind::Entitlements | AccessKind::Integration => ("the integration", "integrations"),
    };
    Refusal(format!(
        "the name of {what} at Apono is not known and cannot be compared with the connection's \
         spec.allow.{rule}: nothing more is asked for; {ANEW}"
    ))
}

/// The names of what was found or asked, where all of them are known.
fn known<'a>(access: &Access, status: &'a AccessRequestStatus) -> Option<Vec<&'a str>> {
    let resolved = status.resolved.as_ref();
    let name = |one: &'a NamedRef| one.name.as_deref().filter(|name| !name.is_empty());
    if kind(access) == AccessKind::Bundle {
        let found = resolved.and_then(|resolved| resolved.bundle.as_ref());
        let found = found.or(status.bundle.as_ref());
        return found.and_then(name).map(|name| vec![name]);
    }
    let found = resolved.map(|resolved| resolved.integrations.as_slice());
    let reported = status
        .access_groups
        .iter()
        .map(|one| one.integration.as_ref());
    let names: Option<Vec<_>> = match found.filter(|found| !found.is_empty()) {
        Some(found) => found.iter().map(name).collect(),
        None => reported.map(|one| one.and_then(name)).collect(),
    };
    names.filter(|names| !names.is_empty())
}

fn kind(access: &Access) -> AccessKind {
    match access {
        Access {
            bundle: Some(_), ..
        } => AccessKind::Bundle,
        Access {
            integration: Some(_),
            ..
        } => AccessKind::Integration,
        Access { .. } => AccessKind::Entitlements,
    }
}

fn access(allow: &Allow, access: &Access) -> Result<(), Refusal> {
    past_integrations(allow, access)?;
    let only_bundles = [AccessKind::Bundle];
    let allowed = match (&allow.access, &allow.bundles) {
        (Some(allowed), _) => allowed.as_slice(),
        (None, Some(_)) => &only_bundles,
        (None, None) => return Ok(()),
    };
    let asked = kind(access);
    if allowed.contains(&asked) {
        return Ok(());
    }
    let by = match &allow.access {
        Some(_) => "spec.allow.access",
        None => "spec.allow.bundles, which alone allows Bundle only,",
    };
    Err(Refusal(format!(
        "spec.access.{} is the way of asking `{asked:?}`, and the connection's {by} allows {}: \
         {ANEW} that asks in one of these ways, or use another connection",
        property(asked),
        listed(allowed.iter().map(|one| format!("{one:?}"))),
    )))
}

fn past_integrations(allow: &Allow, access: &Access) -> Result<(), Refusal> {
    let (Some(integrations), None, AccessKind::Bundle) =
        (&allow.integrations, &allow.bundles, kind(access))
    else {
        return Ok(());
    };
    let name = access.bundle.as_deref().unwrap_or_default();
    Err(Refusal(format!(
        "spec.access.bundle is `{name}`, a bundle may reach any integration, and the connection's \
         spec.allow.integrations allows {} only: {ANEW} that asks for entitlements of these, or ask \
         for the bundle's name to be set in the connection's spec.allow.bundles",
        listed(integrations.iter().cloned())
    )))
}

fn property(kind: AccessKind) -> &'static str {
    match kind {
        AccessKind::Bundle => "bundle",
        AccessKind::Entitlements => "entitlements",
        AccessKind::Integration => "integration",
    }
}

/// "self" is for requests without a grantee alone, and only "self" is: who may ask for users by name
/// may not thereby leave the name out. Patterns are compared with what is written and nothing else:
/// the user of the token is named as anybody is, by the e-mail or the id that a pattern allows.
fn grantee(allow: &Allow, grantee: Option<&str>) -> Result<(), Refusal> {
    let Some(patterns) = &allow.grantees else {
        return Ok(());
    };
    let allowed = listed(patterns.iter().cloned());
    let Some(grantee) = grantee else {
        if patterns.iter().any(|pattern| pattern == SELF) {
            return Ok(());
        }
        return Err(Refusal(format!(
            "spec.grantee is absent, which asks for the user of the connection's token, and the \
             connection's spec.allow.grantees allows {allowed}: {ANEW} and with a grantee among \
             these, or ask for \"self\" to be added there"
        )));
    };
    let lower = grantee.to_lowercase();
    let others = patterns.iter().filter(|pattern| *pattern != SELF);
    if others
        .map(|pattern| pattern.to_lowercase())
        .any(|pattern| fits(&pattern, &lower))
    {
        return Ok(());
    }
    Err(Refusal(format!(
        "spec.grantee is `{grantee}`, and the connection's spec.allow.grantees allows {allowed}: \
         {ANEW} and with a grantee among these, or use another connection"
    )))
}

fn duration(allow: &Allow, spec: &AccessRequestSpec) -> Result<(), Refusal> {
    let Some(most) = &allow.max_duration else {
        return Ok(());
    };
    let rule = format!("the connection's spec.allow.maxDuration is `{most}`");
    let asked = spec.duration.as_ref();
    let (Some(each), Some(text)) = (asked.and_then(DurationText::to_duration), asked) else {
        return Err(Refusal(format!(
            "spec.duration is {}, and {rule}: {ANEW} and with a duration of at most that",
            asked.map_or(Cow::Borrowed("absent"), |text| format!("`{text}`").into())
        )));
    };
    let renewals = spec.renewal.as_ref().map_or(0, |one| one.max_renewals);
    let renewals = u32::try_from(renewals).unwrap_or(0);
    let total = each.checked_mul(renewals.saturating_add(1));
    let most = most.to_duration().unwrap_or(Duration::ZERO);
    if total.is_some_and(|total| total <= most) {
        return Ok(());
    }
    Err(Refusal(match (each <= most, &spec.renewal) {
        (true, Some(renewal)) => format!(
            "spec.duration `{text}` and {} renewals of it are longer together than allowed, {rule}: \
             lower spec.renewal.maxRenewals, or {ANEW} and a shorter duration",
            renewal.max_renewals
        ),
        _ => format!(
            "spec.duration is `{text}`, and {rule}: {ANEW} and with a duration of at most that"
        ),
    }))
}

fn justification(allow: &Allow, spec: &AccessRequestSpec) -> Result<(), Refusal> {
    let given = spec.justification.as_deref().unwrap_or_default();
    if !allow.require_justification.unwrap_or(true) || !given.trim().is_empty() {
        return Ok(());
    }
    Err(Refusal(format!(
        "spec.justification is {}, and the connection demands one (spec.allow.requireJustification \
         is true or absent): {ANEW} and with the reason why the access is needed",
        if given.is_empty() { "absent" } else { "blank" }
    )))
}

fn named(
    patterns: Option<&[String]>,
    name: &str,
    (rule, what): (&str, &str),
) -> Result<(), Refusal> {
    let Some(patterns) = patterns else {
        return Ok(());
    };
    if patterns.iter().any(|pattern| fits(pattern, name)) {
        return Ok(());
    }
    Err(Refusal(format!(
        "{what}, and the connection's spec.allow.{rule} allows {}: {ANEW} that asks for one of \
         these, or use another connection",
        listed(patterns.iter().cloned())
    )))
}

fn same(left: &str, right: &str) -> bool {
    left.to_lowercase() == right.to_lowercase()
}

/// Whether the text fits the pattern, in which `*` stands for any characters. Each part may be taken
/// where it comes first: what lies between can always be left to the next `*`.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
