//! What people are told when a name means nothing, or too much: what was written, for whom it was
//! looked up, and the nearest names that could have been meant. Pure.

use std::collections::BTreeSet;

use apono_client::AvailableEntitlement;

use super::super::bounds;
use crate::crd::{Access, EntitlementRef};

/// As many names as a sentence bears.
const MOST_NAMES: usize = 5;
/// As much of a name as is compared, and shown.
const NAME_CHARACTERS: usize = 100;
/// What to do about it.
const NEXT: &str = "create a new AccessRequest with another name, or ask an Apono administrator";

/// For whom something is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a>(pub Option<&'a str>);

impl Who<'_> {
    fn told(self) -> String {
        match self.0 {
            Some(grantee) => format!("`{}`", cut(grantee)),
            None => "the user of the connection's token".to_owned(),
        }
    }
}

/// A name with its id.
pub fn named(name: &str, id: &str) -> String {
    if name.is_empty() || name == id {
        return format!("`{}`", cut(id));
    }
    format!("`{}` ({})", cut(name), cut(id))
}

/// An entitlement with its ids.
pub fn entitlement(one: &AvailableEntitlement) -> String {
    format!(
        "resourceType `{}`, resourceId `{}`, permissionId `{}`",
        cut(&one.resource.resource_type.id),
        cut(&one.resource.id),
        cut(&one.permission.id)
    )
}

/// Nothing is offered under this name. `names` are all there are, as far as the connection allows
/// them.
pub fn unknown<'a>(
    (property, written): (&str, &str),
    what: &str,
    who: Who<'_>,
    names: impl IntoIterator<Item = &'a str>,
) -> String {
    let nearest = nearest(written, names);
    let who = who.told();
    if nearest.is_empty() {
        return format!(
            "{property} is `{}`, and Apono offers no {what} to {who}: no access flow lets them ask \
             for one; {NEXT} for an access flow",
            cut(written)
        );
    }
    format!(
        "{property} is `{}`, and Apono offers no such {what} to {who}; the nearest it offers: {}; \
         {NEXT} for an access flow",
        cut(written),
        nearest.join(", ")
    )
}

/// Several are offered under this name.
pub fn ambiguous((property, written): (&str, &str), all: &[String], remedy: &str) -> String {
    let shown = all.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>();
    let more = all.len().saturating_sub(MOST_NAMES);
    let rest = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "{property} is `{}`, which means {} things at Apono: {}{rest}; create a new AccessRequest \
         with another name that gives {remedy}",
        cut(written),
        all.len(),
        shown.join(", ")
    )
}

/// Which part of an entitlement nothing is offered for.
pub fn unknown_entitlement(
    (number, written): (usize, &EntitlementRef),
    who: Who<'_>,
    offered: &[&AvailableEntitlement],
) -> String {
    let property = |part: &str| format!("spec.access.entitlements[{number}].{part}");
    if let (Some(resource), Some(permission)) = (&written.resource_id, &written.permission_id) {
        let of_it = offered.iter().filter(|one| one.resource.id == *resource);
        let permissions: Vec<_> = of_it.map(|one| one.permission.id.as_str()).collect();
        if permissions.is_empty() {
            let ids = offered.iter().map(|one| one.resource.id.as_str());
            return unknown((&property("resourceId"), resource), "resource", who, ids);
        }
        let what = "permission on this resource";
        return unknown(
            (&property("permissionId"), permission),
            what,
            who,
            permissions,
        );
    }
    let mut rest = offered.to_vec();
    for (part, what) in PARTS {
        let Some(wanted) = part.written(written) else {
            continue;
        };
        let fits = |one: &&AvailableEntitlement| {
            part.names(one)
                .iter()
                .any(|name| name.to_lowercase() == wanted.to_lowercase())
        };
        let left: Vec<_> = rest.iter().copied().filter(fits).collect();
        if left.is_empty() {
            let names = rest.iter().map(|one| part.names(one)[0]);
            return unknown((&property(part.property()), wanted), what, who, names);
        }
        rest = left;
    }
    // Every part is offered, and so is the whole: the catalogue changed while it was read.
    unknown((&property("resource"), ""), "entitlement", who, [])
}

#[derive(Clone, Copy)]
enum Part {
    Integration,
    ResourceType,
    Resource,
    Permission,
}

/// The parts of an entitlement, from the outside.
const PARTS: [(Part, &str); 4] = [
    (Part::Integration, "integration"),
    (Part::ResourceType, "type of resource in this integration"),
    (Part::Resource, "resource in this integration"),
    (Part::Permission, "permission on this resource"),
];

impl Part {
    fn property(self) -> &'static str {
        match self {
            Self::Integration => "integration",
            Self::ResourceType => "resourceType",
            Self::Resource => "resource",
            Self::Permission => "permission",
        }
    }

    fn written(self, one: &EntitlementRef) -> Option<&str> {
        let text = match self {
            Self::Integration => &one.integration,
            Self::ResourceType => &one.resource_type,
            Self::Resource => &one.resource,
            Self::Permission => &one.permission,
        };
        text.as_deref()
    }

    /// Its name, and what else it may be called.
    fn names(self, one: &AvailableEntitlement) -> [&str; 2] {
        let kind = &one.resource.resource_type;
        match self {
            Self::Integration => [&one.integration.name; 2],
            Self::ResourceType => [&kind.id, &kind.label],
            Self::Resource => [&one.resource.name; 2],
            Self::Permission => [&one.permission.name; 2],
        }
        .map(String::as_str)
    }
}

/// The names that are most like what was written, nearest first.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let written = cut(written).to_lowercase();
    let names: BTreeSet<_> = names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(cut)
        .collect();
    let likeness = |name: &str| strsim::jaro_winkler(&written, &name.to_lowercase());
    let mut all: Vec<_> = names
        .into_iter()
        .map(|name| (likeness(&name), name))
        .collect();
    all.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let near = all.into_iter().take(MOST_NAMES);
    near.map(|(_, name)| format!("`{name}`")).collect()
}

fn cut(text: &str) -> String {
    bounds::cut(text, NAME_CHARACTERS)
}

/// Apono will not tell what it offers.
pub fn refused(who: Who<'_>, answer: &str) -> String {
    format!(
        "Apono does not tell what may be asked for by {}: {answer}; correct what it names, or \
         {NEXT}",
        who.told()
    )
}

/// The catalogue could not be read this time.
pub fn unreadable(cause: &str) -> String {
    format!(
        "what the names in spec.access mean could not be read at Apono ({cause}); it is tried \
         again, see the connection's status"
    )
}

/// A rule is about a name that nobody tells.
pub fn not_comparable(access: &Access, why: &str) -> String {
    let (what, rule) = match access {
        Access {
            bundle: Some(bundle),
            ..
        } => (
            format!("spec.access.bundle is `{}`", cut(bundle)),
            "bundles",
        ),
        Access {
            integration: Some(target),
            ..
        } => (
            format!(
                "spec.access.integration.integration is `{}`",
                cut(&target.integration)
            ),
            "integrations",
        ),
        Access { .. } => ("spec.access.entitlements is set".to_owned(), "integrations"),
    };
    format!(
        "{what}, and its name at Apono, which the connection's spec.allow.{rule} is compared with, \
         cannot be had ({why}): give the connection a token that may read what is available, or \
         use another connection"
    )
}

/// Names are no use where the catalogue is not to be had.
pub fn names_not_readable(why: &str) -> String {
    format!(
        "spec.access.entitlements has names, and what they mean cannot be read at Apono ({why}): \
         create a new AccessRequest with another name that gives resourceId and permissionId, or \
         give the connection a token that may read what is available"
    )
}

/// More permissions than one request may have.
pub fn one_permission(permissions: &[String], kind: &str) -> String {
    let shown: Vec<_> = permissions
        .iter()
        .take(MOST_NAMES)
        .map(|one| cut(one))
        .collect();
    format!(
        "spec.access.integration.permissions lists {} permissions ({}), and Apono allows 1 in one \
         request for resources of type `{}`: create one AccessRequest for each permission",
        permissions.len(),
        shown.join(", "),
        cut(kind)
    )
}

/// An id that the status cannot hold.
pub fn too_long(id: &str) -> String {
    format!(
        "Apono's id `{}` is longer than 1024 characters and cannot be kept: {NEXT} to rename it",
        cut(id)
    )
}
