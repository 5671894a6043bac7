//! Finds what a spec means among what Apono offers: by id, by exact name, then by name without
//! regard to case. Pure.
//!
//! The API's own filters are not relied on: whether they know wildcards, case or parts of names is
//! not documented, so what they let through is compared again here.

use std::collections::{BTreeMap, BTreeSet};

use apono_client::{
    AvailableBundle, AvailableEntitlement, SelectableResource, SelectableResourceType,
};

use crate::crd::{EntitlementRef, NamedRef, ResolvedEntitlement};

use super::bounds;

pub mod words;

/// What was found for one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// This.
    One(T),
    /// Several that are not to be told apart: each as people read it.
    Several(Vec<String>),
    /// Nothing.
    Nothing,
}

/// How well something fits; less is better.
type Distance = usize;

/// The bundle that is written here by id or display name.
pub fn bundle(written: &str, offered: &[AvailableBundle]) -> Found<NamedRef> {
    let fits = |one: &AvailableBundle| by_id_or_name(written, &one.id, &one.name);
    let best = best(offered, fits);
    let distinct = best.into_iter().map(|one| (one.id.clone(), one)).collect();
    only(
        distinct,
        |one| words::named(&one.name, &one.id),
        |one| reference(&one.id, &one.name),
    )
}

/// One permission on one resource, and the integrations it is known in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The two ids.
    pub ids: ResolvedEntitlement,
    /// More than one only if the catalogue names the same resource in several.
    pub integrations: Vec<NamedRef>,
}

/// The entitlement that is written here by names or by ids.
pub fn entitlement(written: &EntitlementRef, offered: &[AvailableEntitlement]) -> Found<Pair> {
    let best = best(offered, |one| entitlement_fits(written, one));
    let mut distinct: BTreeMap<_, Vec<&AvailableEntitlement>> = BTreeMap::new();
    for one in best {
        let ids = (one.resource.id.clone(), one.permission.id.clone());
        distinct.entry(ids).or_default().push(one);
    }
    only(
        distinct,
        |same| {
            same.first()
                .map_or_else(String::new, |one| words::entitlement(one))
        },
        |same| pair(same),
    )
}

fn pair(same: &[&AvailableEntitlement]) -> Pair {
    let integrations: BTreeSet<_> = same
        .iter()
        .map(|one| reference(&one.integration.id, &one.integration.name))
        .collect();
    let first = same.first();
    Pair {
        ids: ResolvedEntitlement {
            resource_id: first.map(|one| one.resource.id.clone()),
            permission_id: first.map(|one| one.permission.id.clone()),
        },
        integrations: integrations.into_iter().collect(),
    }
}

fn entitlement_fits(written: &EntitlementRef, one: &AvailableEntitlement) -> Option<Distance> {
    if let (Some(resource), Some(permission)) = (&written.resource_id, &written.permission_id) {
        let same = *resource == one.resource.id && *permission == one.permission.id;
        return same.then_some(0);
    }
    let kind = &one.resource.resource_type;
    let of_type = match &written.resource_type {
        None => 0,
        Some(written) => by_id_or_name(written, &kind.id, &kind.label)?,
    };
    let name = |written: &Option<String>, name: &str| by_name(written.as_deref()?, name);
    let integration = name(&written.integration, &one.integration.name)?;
    let resource = name(&written.resource, &one.resource.name)?;
    let permission = name(&written.permission, &one.permission.name)?;
    Some(of_type + integration + resource + permission)
}

/// The integrations of this name.
pub fn integration(written: &str, offered: &[AvailableEntitlement]) -> Found<NamedRef> {
    let best = best(offered, |one| by_name(written, &one.integration.name));
    let named = best.into_iter().map(|one| &one.integration);
    let distinct = named.map(|one| (one.id.clone(), one)).collect();
    only(
        distinct,
        |one| words::named(&one.name, &one.id),
        |one| reference(&one.id, &one.name),
    )
}

/// The kind of resources that is written here by id or name: its id.
pub fn resource_type(written: &str, offered: &[SelectableResourceType]) -> Found<String> {
    let best = best(offered, |one| by_id_or_name(written, &one.id, &one.name));
    let distinct = best.into_iter().map(|one| (one.id.clone(), one)).collect();
    only(
        distinct,
        |one| words::named(&one.name, &one.id),
        |one| one.id.clone(),
    )
}

/// The resource that is written here by id or name: its id.
pub fn resource(written: &str, offered: &[SelectableResource]) -> Found<String> {
    let best = best(offered, |one| by_id_or_name(written, &one.id, &one.name));
    let distinct = best.into_iter().map(|one| (one.id.clone(), one)).collect();
    only(
        distinct,
        |one| words::named(&one.name, &one.id),
        |one| one.id.clone(),
    )
}

/// An id and a name, as the status holds them.
pub fn reference(id: &str, name: &str) -> NamedRef {
    NamedRef {
        id: Some(id.to_owned()),
        name: (!name.is_empty()).then(|| bounds::name(name)),
    }
}

/// All that fit best.
fn best<T>(offered: &[T], fits: impl Fn(&T) -> Option<Distance>) -> Vec<&T> {
    let found: Vec<_> = offered
        .iter()
        .filter_map(|one| Some((fits(one)?, one)))
        .collect();
    let least = found.iter().map(|(distance, _)| *distance).min();
    found
        .into_iter()
        .filter(|(distance, _)| Some(*distance) == least)
        .map(|(_, one)| one)
        .collect()
}

fn only<K, V, T>(
    distinct: BTreeMap<K, V>,
    told: impl Fn(&V) -> String,
    made: impl Fn(&V) -> T,
) -> Found<T> {
    let mut found = distinct.into_values();
    match (found.next(), found.next()) {
        (None, _) => Found::Nothing,
        (Some(one), None) => Found::One(made(&one)),
        (Some(one), Some(other)) => {
            let all = [one, other].into_iter().chain(found);
            Found::Several(all.map(|one| told(&one)).collect())
        }
    }
}

fn by_id_or_name(written: &str, id: &str, name: &str) -> Option<Distance> {
    if written == id {
        return Some(0);
    }
    by_name(written, name)
}

fn by_name(written: &str, name: &str) -> Option<Distance> {
    if written == name {
        return Some(0);
    }
    (written.to_lowercase() == name.to_lowercase()).then_some(1)
}

#[cfg(test)]
mod tests;
