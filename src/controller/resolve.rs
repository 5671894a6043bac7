//! Reads Apono's catalogue for what is about to be asked for the first time. IO, and only reads.
//!
//! Nothing is read for a resource that would not be asked for in this pass: one that is suspended,
//! not allowed, or was asked before.

mod integration;
mod lists;

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use apono_client::{AvailableBundle, AvailableBundleQuery, AvailableEntitlement};
use jiff::Timestamp;
use kube::ResourceExt as _;

use super::{
    Context, bounds,
    catalogue::{self, Found, Pair, words},
    observed::Observed,
    plan::{Intent, Step, plan},
    resolution::{Consulted, Resolution},
};
use crate::{
    connection::{Connection, policy::asks},
    crd::{
        Access, AccessRequest, Allow, EntitlementRef, FLUX_RECONCILE_ANNOTATION, NamedRef,
        RECONCILE_ANNOTATION, ResolvedAccess,
    },
    remote::RemoteError,
};
use lists::{List, entitlements_of};

/// What the catalogue is asked on behalf of.
struct Question<'a> {
    connection: &'a Connection,
    allow: &'a Allow,
    access: &'a Access,
    grantee: Option<&'a str>,
}

/// Why there is no answer.
enum Failure {
    /// This token or this remote has no such catalogue.
    NoCatalogue(RemoteError),
    /// Apono will not tell for this grantee, or these names.
    Refused(RemoteError),
    /// It may answer the next time.
    Passing(RemoteError),
}

/// Either what was found, or what to say.
type Answer<T> = Result<Result<T, Resolution>, Failure>;

/// Finds out what the spec means, if the resource is about to be asked for and this is not known.
pub async fn resolve(
    context: &Context,
    connection: &Connection,
    resource: &AccessRequest,
    (intent, now): (Intent, Timestamp),
    observed: &mut Observed,
) {
    let wanted = is_wanted(connection, resource, observed, intent, now);
    if !wanted && observed.memory.consulted.is_none() {
        return;
    }
    let question = fingerprint(connection, resource);
    let before = observed.memory.consulted.take();
    let before = before.filter(|before| before.question == question);
    // What is held back for another reason, such as a pause of the API, stays what it was.
    if let Some(before) = before
        .as_ref()
        .filter(|before| before.next() > now || !wanted)
    {
        observed.resolution = before.resolution.clone();
        observed.memory.consulted = Some(before.clone());
        return;
    }
    if !wanted {
        return;
    }
    let told = before.as_ref().map(|before| &before.resolution);
    let resolution = Question {
        connection,
        allow: &connection.settings.allow,
        access: &resource.spec.access,
        grantee: resource.spec.grantee.as_deref(),
    }
    .answer(told)
    .await;
    let failures = match (&resolution, &before) {
        (Resolution::Unreadable { .. }, Some(before)) => before.failures.saturating_add(1),
        (Resolution::Unreadable { .. }, None) => 1,
        _ => 0,
    };
    observed.resolution = resolution.clone();
    observed.memory.consulted = resolution.forbids().then_some(Consulted {
        at: now,
        failures,
        question,
        resolution,
    });
    context.remember(resource, &observed.memory);
}

/// Whether this pass would ask, if only it were known for what.
fn is_wanted(
    connection: &Connection,
    resource: &AccessRequest,
    observed: &Observed,
    intent: Intent,
    now: Timestamp,
) -> bool {
    let status = resource.status.as_ref();
    let allow = &connection.settings.allow;
    let is_known = status.is_some_and(|status| {
        let known = asks::names_are_known(allow, &resource.spec.access, status);
        status.resolved.is_some() && known
    });
    !is_known
        && matches!(
            plan(resource, observed, intent, now).step,
            Step::Create { .. }
        )
}

/// The same for the same question under the same rules. A person may demand a new look.
fn fingerprint(connection: &Connection, resource: &AccessRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    resource.metadata.generation.hash(&mut hasher);
    for annotation in [RECONCILE_ANNOTATION, FLUX_RECONCILE_ANNOTATION] {
        resource.annotations().get(annotation).hash(&mut hasher);
    }
    connection.uid.hash(&mut hasher);
    format!("{:?}", connection.settings).hash(&mut hasher);
    connection
        .identity()
        .and_then(|one| one.id)
        .hash(&mut hasher);
    hasher.finish()
}

impl Question<'_> {
    async fn answer(&self, told: Option<&Resolution>) -> Resolution {
        let answer = match self.access {
            Access {
                bundle: Some(bundle),
                ..
            } => self.bundle(bundle).await,
            Access {
                integration: Some(target),
                ..
            } => self.integration(target).await,
            Access { entitlements, .. } => {
                self.entitlements(entitlements.as_deref().unwrap_or_default())
                    .await
            }
        };
        match answer {
            Ok(Ok(found)) => Resolution::Found(found),
            Ok(Err(resolution)) => resolution,
            Err(failure) => self.explain(failure, told),
        }
    }

    fn explain(&self, failure: Failure, told: Option<&Resolution>) -> Resolution {
        match failure {
            Failure::NoCatalogue(error) => self.unread(&error.to_string()),
            Failure::Refused(error) => {
                let status = error.status();
                // The same answer is told in the words it came in first: the remote's words may
                // differ each time, and the status would never come to rest.
                match told {
                    Some(Resolution::NotAvailable {
                        message,
                        status: before,
                    }) if status.is_some() && *before == status => Resolution::NotAvailable {
                        message: message.clone(),
                        status,
                    },
                    _ => Resolution::NotAvailable {
                        message: words::refused(words::Who(self.grantee), &error.in_full()),
                        status,
                    },
                }
            }
            Failure::Passing(error) => Resolution::Unreadable {
                message: words::unreadable(&lists::cause(&error)),
            },
        }
    }

    /// The catalogue does not tell. What can be sent as it is written is sent so, unless a rule is
    /// about its name.
    fn unread(&self, why: &str) -> Resolution {
        if asks::needs_names(self.allow, self.access) {
            let message = words::not_comparable(self.access, why);
            return Resolution::NotAllowed { message };
        }
        let by_names = self.access.entitlements.iter().flatten().any(is_by_names);
        if by_names {
            return no(words::names_not_readable(why));
        }
        Resolution::AsWritten
    }

    fn unlisted(&self) -> Resolution {
        self.unread("the list is longer than is read, or not whole")
    }

    fn who(&self) -> words::Who<'_> {
        words::Who(self.grantee)
    }

    async fn bundle(&self, written: &str) -> Answer<ResolvedAccess> {
        let query = |names: Vec<String>| AvailableBundleQuery {
            names,
            grantee: self.grantee.map(ToOwned::to_owned),
            ..AvailableBundleQuery::default()
        };
        // A star would be a pattern to the API: then the whole list is compared here.
        if !written.contains('*') {
            let list = lists::bundles(self.connection, query(vec![written.to_owned()])).await?;
            let found = catalogue::bundle(written, &list.items);
            if found != Found::Nothing {
                return Ok(self.bundle_found(written, found));
            }
        }
        // The filter is by name alone, and ids are taken too.
        let list = lists::bundles(self.connection, query(Vec::new())).await?;
        let found = catalogue::bundle(written, &list.items);
        if found == Found::Nothing {
            return Ok(Err(self.no_bundle(written, &list)));
        }
        Ok(self.bundle_found(written, found))
    }

    fn no_bundle(&self, written: &str, list: &List<AvailableBundle>) -> Resolution {
        if !list.is_whole {
            return self.unlisted();
        }
        let names = list.items.iter().map(|one| one.name.as_str());
        let names = names.filter(|name| asks::bundle(self.allow, name).is_ok());
        let what = ("spec.access.bundle", written);
        no(words::unknown(what, "bundle", self.who(), names))
    }

    fn bundle_found(
        &self,
        written: &str,
        found: Found<NamedRef>,
    ) -> Result<ResolvedAccess, Resolution> {
        let bundle = match found {
            Found::One(bundle) => bundle,
            Found::Several(all) => {
                let what = ("spec.access.bundle", written);
                return Err(no(words::ambiguous(what, &all, "the id")));
            }
            Found::Nothing => return Err(self.unlisted()),
        };
        storable(bundle.id.as_deref())?;
        let name = bundle.name.as_deref().unwrap_or_default();
        asks::bundle(self.allow, name).map_err(not_allowed)?;
        Ok(ResolvedAccess {
            bundle: Some(bundle),
            ..ResolvedAccess::default()
        })
    }

    async fn entitlements(&self, written: &[EntitlementRef]) -> Answer<ResolvedAccess> {
        let by_names = written.iter().any(is_by_names);
        if !by_names && !asks::needs_names(self.allow, self.access) {
            // Ids say what they say, and nothing is asked of them.
            return Ok(Err(Resolution::AsWritten));
        }
        let mut known = Vec::new();
        let mut pairs = Vec::new();
        for (number, one) in written.iter().enumerate() {
            if is_by_names(one) || asks::needs_names(self.allow, self.access) {
                match self.entitlement((number, one), &mut known).await? {
                    Ok(pair) => pairs.push(pair),
                    Err(resolution) => return Ok(Err(resolution)),
                }
            } else {
                pairs.push(as_written(one));
            }
        }
        let integrations: BTreeSet<_> = pairs
            .iter()
            .flat_map(|pair| pair.integrations.clone())
            .collect();
        Ok(Ok(ResolvedAccess {
            entitlements: pairs.into_iter().map(|pair| pair.ids).collect(),
            integrations: integrations.into_iter().take(MOST_INTEGRATIONS).collect(),
            ..ResolvedAccess::default()
        }))
    }

    /// One entitlement; lists that were read for the ones before it are looked through first.
    async fn entitlement(
        &self,
        (number, written): (usize, &EntitlementRef),
        known: &mut Vec<List<AvailableEntitlement>>,
    ) -> Answer<Pair> {
        for query in entitlements_of(written, self.grantee) {
            if !known.iter().any(|list| list.is_of(&query)) {
                known.push(lists::entitlements(self.connection, query.clone()).await?);
            }
            let list = known.iter().find(|list| list.is_of(&query));
            let found = list.map(|list| catalogue::entitlement(written, &list.items));
            match found.unwrap_or(Found::Nothing) {
                Found::One(pair) => return Ok(self.pair_allowed(pair)),
                Found::Several(all) => {
                    let property = format!("spec.access.entitlements[{number}]");
                    let what = written.resource.as_deref().unwrap_or_default();
                    let remedy = "resourceType, or the two ids";
                    let message = words::ambiguous((&property, what), &all, remedy);
                    return Ok(Err(no(message)));
                }
                Found::Nothing => {}
            }
        }
        // The last of the lists is of everything that may be asked for.
        let everything = known.iter().find(|list| list.is_of_everything());
        let Some(list) = everything.filter(|list| list.is_whole) else {
            return Ok(Err(self.unlisted()));
        };
        let allowed = |one: &&AvailableEntitlement| {
            asks::integration(self.allow, &one.integration.name).is_ok()
        };
        let offered: Vec<_> = list.items.iter().filter(allowed).collect();
        let message = words::unknown_entitlement((number, written), self.who(), &offered);
        Ok(Err(no(message)))
    }

    fn pair_allowed(&self, pair: Pair) -> Result<Pair, Resolution> {
        storable(pair.ids.resource_id.as_deref())?;
        storable(pair.ids.permission_id.as_deref())?;
        for integration in &pair.integrations {
            storable(integration.id.as_deref())?;
            let name = integration.name.as_deref().unwrap_or_default();
            asks::integration(self.allow, name).map_err(not_allowed)?;
        }
        Ok(pair)
    }
}

/// As many integrations as the status may hold.
const MOST_INTEGRATIONS: usize = 100;

fn is_by_names(one: &EntitlementRef) -> bool {
    one.resource_id.is_none() || one.permission_id.is_none()
}

fn as_written(one: &EntitlementRef) -> Pair {
    Pair {
        ids: crate::crd::ResolvedEntitlement {
            resource_id: one.resource_id.clone(),
            permission_id: one.permission_id.clone(),
        },
        integrations: Vec::new(),
    }
}

/// The API server refuses a status with longer ids, and a part of an id names nothing.
fn storable(id: Option<&str>) -> Result<(), Resolution> {
    match id {
        Some(id) if !bounds::is_storable(id) => Err(no(words::too_long(id))),
        _ => Ok(()),
    }
}

fn no(message: String) -> Resolution {
    Resolution::NotAvailable {
        message,
        status: None,
    }
}

fn not_allowed(refusal: crate::connection::policy::Refusal) -> Resolution {
    Resolution::NotAllowed { message: refusal.0 }
}
