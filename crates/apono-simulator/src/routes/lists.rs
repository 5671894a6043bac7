//! The paged answers: which items belong to a list, in which order, and which of them to a page.
//!
//! What a token looks like is `paging.rs`'s; what an item looks like is `wire.rs`'s.

use jiff::SignedDuration;
use serde_json::Value;

use super::Session;
use crate::clock::later;
use crate::http::Answer;
use crate::machine::{Key, Refusal, Whose};
use crate::paging::{Filters, Query, Reader};
use crate::request::Request;
use crate::status::{EntitlementStatus, Status};
use crate::switches::{ListOrder, PagePosition, RequestorList, Switches, UnknownStatus};
use crate::wire::{self, Shape};

impl Session<'_> {
    pub(super) fn reader<'a>(&'a self, list: &'a str) -> Reader<'a> {
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
            many: &["statuses"],
            one: &[who],
        };
        let query = reader.query(self.call.parameters(), filters)?;
        let allowed = allowed(
            query.many("statuses"),
            Status::ALL.map(|status| (status, wire::request_word(status, self.switches()))),
            self.switches(),
        )?;
        let nothing = !query.many("statuses").is_empty() && allowed.is_empty();
        let whose = self.whose(shape, query.one(who)).filter(|_| !nothing);
        let (page, next) = match whose {
            None => (Vec::new(), None),
            Some(whose) if self.is_straight(&query) => self.straight(whose, &allowed, &query),
            Some(whose) => self.detour(whose, shape, &allowed, &query),
        };
        let view = self.view(shape, self.distortion.behind);
        let items: Vec<_> = page.into_iter().map(|it| view.request(it)).collect();
        Ok(Answer::json(200, &reader.page(&items, &query, next)))
    }

    /// Whose requests a list shows; none when the named user is not known.
    ///
    /// Own: asked for by the named user (the caller when nobody is named) for the caller.
    /// Delegated: asked for by the caller for somebody else, or for the named user.
    fn whose(&self, shape: Shape, who: Option<&str>) -> Option<Whose> {
        let named = match who {
            Some(who) => Some(self.machine.users().find(who)?),
            None => None,
        };
        let caller = Some(self.caller);
        let all = self.switches().requestor_list == RequestorList::AllOfTheirs;
        Some(match shape {
            Shape::Own => Whose {
                requestor: named.or(caller),
                grantee: caller.filter(|_| named.is_none() || !all),
                only_delegated: false,
            },
            Shape::Delegated => Whose {
                requestor: caller,
                grantee: named,
                only_delegated: true,
            },
        })
    }

    /// Whether the index alone knows the order, the place of a page and the statuses shown.
    fn is_straight(&self, query: &Query) -> bool {
        let switches = self.switches();
        switches.list_order != ListOrder::Shuffled
            && switches.page_position == PagePosition::Cursor
            && self.distortion.behind.is_zero()
            && (self.distortion.drift == 0 || query.position.is_none())
    }

    fn is_listed(&self, request: &Request) -> bool {
        request.created_at <= later(self.machine.now(), -self.distortion.lag)
            && self.is_on_v4(request)
    }

    /// A page read from the index, no further than it goes.
    fn straight(
        &self,
        whose: Whose,
        statuses: &[Status],
        query: &Query,
    ) -> (Vec<&Request>, Option<u64>) {
        let order = self.switches().list_order;
        let last = query.position.map(|position| key_of(position, order));
        let (newest, oldest);
        let found: &mut dyn Iterator<Item = (Key, &Request)> = if order == ListOrder::OldestFirst {
            oldest = self.machine.oldest_first(whose, statuses, last);
            &mut { oldest }
        } else {
            newest = self.machine.newest_first(whose, statuses, last);
            &mut { newest }
        };
        let mut found = found.filter(|(_, request)| self.is_listed(request));
        let page: Vec<_> = found.by_ref().take(query.limit as usize).collect();
        let next = page
            .last()
            .filter(|_| found.next().is_some())
            .map(|(key, _)| sort_key(*key, order));
        (page.into_iter().map(|(_, request)| request).collect(), next)
    }

    /// A page of the whole list, sorted and counted: for lists that lie or are in odd orders.
    fn detour(
        &self,
        whose: Whose,
        shape: Shape,
        statuses: &[Status],
        query: &Query,
    ) -> (Vec<&Request>, Option<u64>) {
        let view = self.view(shape, self.distortion.behind);
        let mut found: Vec<(u64, &Request)> = self
            .machine
            .oldest_first(whose, &[], None)
            .filter(|(_, request)| self.is_listed(request))
            .filter(|(_, request)| statuses.is_empty() || statuses.contains(&view.status(request)))
            .map(|(key, request)| (sort_key(key, self.switches().list_order), request))
            .collect();
        found.sort_unstable_by_key(|(order, _)| *order);
        let (page, next) = self.cut(&found, query);
        (page.iter().map(|(_, request)| *request).collect(), next)
    }

    pub(super) fn entitlements(&self, id: &str) -> Result<Answer, Refusal> {
        let key = self.own(id, self.switches().delegated_entitlements)?;
        let reader = self.reader(id);
        let filters = Filters {
            many: &["statuses", "integration_ids", "resource_types"],
            one: &[],
        };
        let query = reader.query(self.call.parameters(), filters)?;
        let words = EntitlementStatus::ALL
            .map(|status| (status, wire::entitlement_word(status, self.switches())));
        let allowed = allowed(query.many("statuses"), words, self.switches())?;
        let view = self.view(Shape::Own, SignedDuration::ZERO);
        let all = self
            .machine
            .get(key)
            .map_or(&[][..], |request| &request.entitlements);
        let found: Vec<(u64, Value)> = (0..)
            .zip(all)
            .filter(|(_, it)| query.many("statuses").is_empty() || allowed.contains(&it.status))
            .filter(|(_, it)| {
                view.describe(it).is_some_and(|known| {
                    query.allows("integration_ids", &known.integration.id)
                        && query.allows("resource_types", &known.resource_type.id)
                })
            })
            .map(|(place, it)| (place, view.entitlement(it)))
            .collect();
        Ok(self.paged(&reader, &found, &query))
    }

    /// The page of a sorted list of items that a query is at.
    pub(super) fn paged(
        &self,
        reader: &Reader<'_>,
        found: &[(u64, Value)],
        query: &Query,
    ) -> Answer {
        let (page, next) = self.cut(found, query);
        let items: Vec<_> = page.iter().map(|(_, item)| item.clone()).collect();
        Answer::json(200, &reader.page(&items, query, next))
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

pub(super) fn sort_key(key: Key, order: ListOrder) -> u64 {
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

/// The place that a sort key stands for, where the order is that of the places.
fn key_of(position: u64, order: ListOrder) -> Key {
    let place = match order {
        ListOrder::NewestFirst => (1_u64 << 52).saturating_sub(position),
        ListOrder::OldestFirst | ListOrder::Shuffled => position,
    };
    Key(usize::try_from(place).unwrap_or(usize::MAX))
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
