//! The paged answers: which items belong to a list, in which order, and which of them to a page.
//!
//! What a token looks like is `paging.rs`'s; what an item looks like is `wire.rs`'s.

use jiff::SignedDuration;
use serde_json::Value;

use super::Session;
use crate::clock::later;
use crate::http::Answer;
use crate::machine::{Key, Refusal};
use crate::paging::{Filters, Query, Reader};
use crate::request::Request;
use crate::status::{EntitlementStatus, Status};
use crate::switches::{ListOrder, PagePosition, Switches, UnknownStatus};
use crate::wire::{self, Shape};

impl Session<'_> {
    fn reader<'a>(&'a self, list: &'a str) -> Reader<'a> {
        Reader {
            list,
            user: self.email.as_str(),
            now: self.machine.now(),
            switches: self.machine.switches(),
        }
    }

    pub(super) fn list(&self, shape: Shape) -> Result<Answer, Refusal> {
        let (name, who) = match shape {
            Shape::Own => ("own", "requestor"),
            Shape::Delegated => ("delegated", "grantee"),
        };
        let reader = self.reader(name);
        let filters = Filters {
            statuses: true,
            who: Some(who),
            entitlements: false,
        };
        let query = reader.query(self.call.parameters(), filters)?;
        let view = self.view(shape, self.distortion.behind);
        let allowed = allowed(
            &query.statuses,
            Status::ALL.map(|status| (status, wire::request_word(status, self.switches()))),
            self.switches(),
        )?;
        let newest = later(self.machine.now(), -self.distortion.lag);
        let mut found: Vec<(u64, &Request)> = self
            .candidates(shape, query.who.as_deref())
            .filter(|(_, request)| request.created_at <= newest)
            .filter(|(_, request)| {
                query.statuses.is_empty() || allowed.contains(&view.status(request))
            })
            .map(|(key, request)| (sort_key(key, self.switches().list_order), request))
            .collect();
        found.sort_unstable_by_key(|(order, _)| *order);
        let (page, next) = self.cut(&found, &query);
        let items: Vec<_> = page
            .iter()
            .map(|(_, request)| view.request(request))
            .collect();
        Ok(Answer::json(200, &reader.page(&items, &query, next)))
    }

    /// The requests of a list before its status filter.
    ///
    /// Own: asked for by the named user (the caller when nobody is named) for the caller.
    /// Delegated: asked for by the caller for somebody else, or for the named user.
    fn candidates<'a>(
        &'a self,
        shape: Shape,
        who: Option<&str>,
    ) -> impl Iterator<Item = (Key, &'a Request)> {
        let named = who.map(|who| self.machine.users().find(who));
        let asker = match (shape, named) {
            (Shape::Own, Some(named)) => named,
            _ => Some(self.caller),
        };
        let keys = asker.map_or(&[][..], |asker| self.machine.asked_by(asker));
        keys.iter()
            .filter_map(|key| Some((*key, self.machine.get(*key)?)))
            .filter(move |(_, request)| match shape {
                Shape::Own => request.grantee_key == self.caller,
                Shape::Delegated => {
                    request.is_delegated()
                        && named.is_none_or(|named| named == Some(request.grantee_key))
                }
            })
    }

    pub(super) fn entitlements(&self, id: &str) -> Result<Answer, Refusal> {
        let key = self.own(id, self.switches().delegated_entitlements)?;
        let reader = self.reader(id);
        let filters = Filters {
            statuses: true,
            who: None,
            entitlements: true,
        };
        let query = reader.query(self.call.parameters(), filters)?;
        let words = EntitlementStatus::ALL
            .map(|status| (status, wire::entitlement_word(status, self.switches())));
        let allowed = allowed(&query.statuses, words, self.switches())?;
        let view = self.view(Shape::Own, SignedDuration::ZERO);
        let among = |list: &[String], id: &String| list.is_empty() || list.contains(id);
        let all = self
            .machine
            .get(key)
            .map_or(&[][..], |request| &request.entitlements);
        let found: Vec<(u64, Value)> = (0..)
            .zip(all)
            .filter(|(_, it)| query.statuses.is_empty() || allowed.contains(&it.status))
            .filter(|(_, it)| {
                view.describe(it).is_some_and(|known| {
                    among(&query.integrations, &known.integration.id)
                        && among(&query.resource_types, &known.resource_type.id)
                })
            })
            .map(|(place, it)| (place, view.entitlement(it)))
            .collect();
        let (page, next) = self.cut(&found, &query);
        let items: Vec<_> = page.iter().map(|(_, item)| item.clone()).collect();
        Ok(Answer::json(200, &reader.page(&items, &query, next)))
    }

    /// The page of a sorted list that a query is at, and the position of the one after it.
    fn cut<'a, T>(&self, found: &'a [(u64, T)], query: &Query) -> (&'a [(u64, T)], Option<u64>) {
        let by_count = self.switches().page_position == PagePosition::Offset;
        let start = match query.position {
            None => 0,
            Some(count) if by_count => usize::try_from(count).unwrap_or(usize::MAX),
            Some(last) => found.partition_point(|(order, _)| *order <= last),
        };
        let drift = if query.position.is_some() {
            self.distortion.drift
        } else {
            0
        };
        let drift = isize::try_from(drift).unwrap_or(0);
        let start = start.saturating_add_signed(drift).min(found.len());
        let end = start.saturating_add(query.limit as usize).min(found.len());
        let page = found.get(start..end).unwrap_or(&[]);
        let next = match page.last() {
            Some((last, _)) if end < found.len() => Some(if by_count { end as u64 } else { *last }),
            _ => None,
        };
        (page, next)
    }
}

fn sort_key(key: Key, order: ListOrder) -> u64 {
    let place = key.0 as u64;
    match order {
        // Kept below the largest signed number, which JSON readers agree on.
        ListOrder::NewestFirst => (1 << 52) - place,
        ListOrder::OldestFirst => place,
        ListOrder::Shuffled => {
            let mixed = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (((mixed ^ (mixed >> 29)) & 0xffff_ffff) << 20) | (place & 0xf_ffff)
        }
    }
}

/// The statuses that a filter's words mean.
fn allowed<S: Copy, const N: usize>(
    filter: &[String],
    words: [(S, String); N],
    switches: &Switches,
) -> Result<Vec<S>, Refusal> {
    let unknown = filter
        .iter()
        .find(|wanted| words.iter().all(|(_, word)| word != *wanted));
    match unknown {
        Some(word) if switches.unknown_status == UnknownStatus::Refuse => Err(Refusal::bad(
            "INVALID_STATUS",
            format!("there is no status `{word}`"),
        )),
        _ => {
            let meant = words.into_iter().filter(|(_, word)| filter.contains(word));
            Ok(meant.map(|(status, _)| status).collect())
        }
    }
}
