//! What one may ask for, for oneself or for another user: bundles and entitlements.

use serde_json::{Value, json};

use super::Session;
use crate::http::Answer;
use crate::machine::Refusal;
use crate::paging::{Filters, Query};
use crate::switches::{NameCase, NameMatch, UnknownUser};
use crate::wire;

impl Session<'_> {
    pub(super) fn available_bundles(&self) -> Result<Answer, Refusal> {
        let filters = Filters {
            many: &["name"],
            one: &["grantee"],
        };
        self.available("bundles", filters, |query, grantee| {
            let catalogue = self.machine.catalogue();
            let mut found = Vec::new();
            for (place, bundle) in (0..).zip(&catalogue.bundles) {
                let fits = self.names(query.many("name"), &bundle.name, NameMatch::Wildcard);
                if fits && catalogue.may_ask_bundle(&self.email, grantee, bundle) {
                    found.push((place, json!({"id": bundle.id, "name": bundle.name})));
                }
            }
            found
        })
    }

    pub(super) fn available_entitlements(&self) -> Result<Answer, Refusal> {
        let filters = Filters {
            many: &["permission_name", "resource_type_id"],
            one: &[
                "grantee",
                "integration_id",
                "integration_name",
                "resource_name",
            ],
        };
        self.available("entitlements", filters, |query, grantee| {
            let catalogue = self.machine.catalogue();
            let how = self.switches().entitlement_names;
            let called = |parameter: &str, name: &str| {
                let wanted = query.one(parameter).map(str::to_owned);
                self.names(wanted.as_slice(), name, how)
            };
            (0..)
                .zip(catalogue.entitlements())
                .filter(|(_, it)| {
                    query
                        .one("integration_id")
                        .is_none_or(|id| id == it.integration.id)
                        && query.allows("resource_type_id", &it.resource_type.id)
                        && called("integration_name", &it.integration.name)
                        && called("resource_name", &it.resource.name)
                        && self.names(query.many("permission_name"), &it.permission.name, how)
                        && catalogue.may_ask(&self.email, grantee, it)
                })
                .map(|(place, it)| (place, wire::available(&it)))
                .collect()
        })
    }

    /// A page of what `find` finds for the user the call names.
    fn available(
        &self,
        list: &str,
        filters: Filters<'_>,
        find: impl Fn(&Query, &str) -> Vec<(u64, Value)>,
    ) -> Result<Answer, Refusal> {
        let reader = self.reader(list);
        let query = reader.query(self.call.parameters(), filters)?;
        let users = self.machine.users();
        let grantee = match query.one("grantee") {
            None => Some(self.caller),
            Some(reference) => self.searched(reference)?,
        };
        let found = grantee.map_or_else(Vec::new, |user| find(&query, users.email(user)));
        Ok(self.paged(&reader, &found, &query))
    }

    /// A user named in a search; none where an unknown one is not an error.
    pub(super) fn searched(
        &self,
        reference: &str,
    ) -> Result<Option<crate::users::UserKey>, Refusal> {
        match self.machine.users().find(reference) {
            None if self.switches().unknown_user == UnknownUser::Refuse => {
                let message = format!("there is no user `{reference}`");
                Err(Refusal::bad("UNKNOWN_USER", message))
            }
            found => Ok(found),
        }
    }

    /// Whether a name is among the wanted ones; none wanted: all are.
    fn names(&self, wanted: &[String], name: &str, how: NameMatch) -> bool {
        let fold = |text: &str| match self.switches().name_case {
            NameCase::Exact => text.to_owned(),
            NameCase::Blind => text.to_lowercase(),
        };
        let name = fold(name);
        wanted.is_empty()
            || wanted.iter().map(|pattern| fold(pattern)).any(|pattern| {
                let parts: Vec<&str> = pattern.split('*').collect();
                match (how, parts.as_slice()) {
                    (NameMatch::Exact, _) | (_, [_]) => pattern == name,
                    (NameMatch::Wildcard, [first, middle @ .., last]) => {
                        matches(&name, first, middle, last)
                    }
                    (NameMatch::Wildcard, []) => false,
                }
            })
    }
}

/// Whether a name starts, goes on and ends with these parts, in this order and without overlap.
fn matches(name: &str, first: &str, middle: &[&str], last: &str) -> bool {
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_anything_and_parts_do_not_overlap() {
        assert!(matches("prod-read", "prod", &[], ""));
        assert!(matches("prod-read", "", &["-"], ""));
        assert!(matches("prod-read", "", &[], "read"));
        assert!(matches("prod-read", "p", &["o", "r"], "d"));
        assert!(!matches("prod-read", "read", &[], ""));
        assert!(!matches("aba", "ab", &[], "ba"));
        assert!(!matches("prod-read", "", &["x"], ""));
    }
}
