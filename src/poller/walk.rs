//! Walks a list page by page, can go on where it stumbled, and knows what it has proved: when it
//! began, whether anything was left out, and in which order the list is. It keeps no items.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use apono_client::{AccessRequest, DelegatedQuery, ListQuery, Page, PageToken, RequestId};
use jiff::Timestamp;

use super::{ReadError, Reads};
use crate::clock::Clock;
use crate::crd::RemoteApi;

/// Items a page: as many as the API gives when nothing is said, which are a hundred as documented.
/// A number of ours could be more than it allows, and would then be refused for ever.
const PAGE_SIZE: Option<u32> = None;
/// Pages one round reads at most, so that no list holds a lane for ever.
pub(super) const PAGES_A_ROUND: u32 = 200;
/// After so many stumbles at one page its token is taken for dead.
const STUMBLES: u32 = 3;

/// A walk through one list.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) api: RemoteApi,
    pub(super) filter: Vec<String>,
    /// Under which token it began: a walk is of no use under another.
    pub(super) epoch: u64,
    /// When the first page was asked for.
    pub(super) began: Option<Timestamp>,
    pub(super) pages: u32,
    /// Whether every item of every page so far was understood, and no page came twice.
    pub(super) is_whole: bool,
    pub(super) is_finished: bool,
    pub(super) order: Order,
    /// Whether a page named one as the next that had been read: the list has no end.
    pub(super) is_circular: bool,
    next: Option<PageToken>,
    /// What tells the pages apart that were read.
    read: HashSet<u64>,
    stumbles: u32,
    /// The ids of the page before: what is inserted in front pushes some of them onto this one.
    before: BTreeSet<RequestId>,
}

/// One page as it was answered.
pub(super) struct Leaf {
    pub(super) items: Vec<AccessRequest>,
    pub(super) asked_at: Timestamp,
}

impl Walk {
    pub(super) fn new(api: RemoteApi, filter: Vec<String>, epoch: u64) -> Self {
        Self {
            api,
            filter,
            epoch,
            began: None,
            pages: 0,
            is_whole: true,
            is_finished: false,
            order: Order::default(),
            is_circular: false,
            next: None,
            read: HashSet::new(),
            stumbles: 0,
            before: BTreeSet::new(),
        }
    }

    /// Reads the next page. After an error the same page is asked again, or the first one when
    /// that failed too often.
    pub(super) async fn turn(
        &mut self,
        reads: &dyn Reads,
        clock: &dyn Clock,
    ) -> Result<Leaf, ReadError> {
        let asked_at = clock.now();
        match page(reads, self.api, PAGE_SIZE, &self.filter, self.next.as_ref()).await {
            Ok(page) => Ok(self.take(page, asked_at)),
            Err(error) => {
                if !matches!(error, ReadError::Paused(_)) {
                    self.stumbles += 1;
                }
                if self.stumbles >= STUMBLES {
                    self.restart();
                }
                Err(error)
            }
        }
    }

    fn take(&mut self, page: Page<AccessRequest>, asked_at: Timestamp) -> Leaf {
        self.began.get_or_insert(asked_at);
        self.pages += 1;
        self.stumbles = 0;
        self.is_whole &= page.skipped == 0;
        let next = page.next.as_ref().map(PageToken::as_str);
        self.is_circular = next.is_some_and(|token| !self.read.insert(fingerprint(token)));
        self.is_whole &= !self.is_circular;
        self.is_finished = next.is_none() || self.is_circular;
        self.next = page.next;
        for item in page
            .items
            .iter()
            .filter(|item| !self.before.contains(&item.id))
        {
            self.order.see(item.creation_date);
        }
        self.before = page.items.iter().map(|item| item.id.clone()).collect();
        Leaf {
            items: page.items,
            asked_at,
        }
    }

    fn restart(&mut self) {
        *self = Self::new(self.api, std::mem::take(&mut self.filter), self.epoch);
    }
}

fn fingerprint(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

/// One page of one of the two lists.
pub(super) async fn page(
    reads: &dyn Reads,
    api: RemoteApi,
    limit: Option<u32>,
    filter: &[String],
    token: Option<&PageToken>,
) -> Result<Page<AccessRequest>, ReadError> {
    let statuses = filter.to_vec();
    match api {
        // The admin API has no pages, and is not walked.
        RemoteApi::UserV4 | RemoteApi::AdminV3 => {
            let query = ListQuery {
                limit,
                requestor: None,
                statuses,
            };
            reads.access_requests_page(&query, token).await
        }
        RemoteApi::Delegated => {
            let query = DelegatedQuery {
                limit,
                grantee: None,
                statuses,
            };
            reads.delegated_access_requests_page(&query, token).await
        }
    }
}

/// In which order a list has come so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Order {
    newest: Option<Timestamp>,
    oldest: Option<Timestamp>,
    is_broken: bool,
}

impl Order {
    /// Takes the date of the next item.
    pub(crate) fn see(&mut self, created: Option<Timestamp>) {
        let Some(created) = created else {
            self.is_broken = true;
            return;
        };
        self.is_broken |= self.oldest.is_some_and(|oldest| created > oldest);
        self.newest.get_or_insert(created);
        self.oldest = Some(created);
    }

    /// Whether the list came newest first and is past this moment, so that everything created
    /// since then was on the pages read. One date alone proves no order.
    pub(crate) fn is_past(&self, moment: Timestamp) -> bool {
        !self.is_broken && self.newest != self.oldest && self.oldest.is_some_and(|at| at < moment)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(seconds: &[i64]) -> Order {
        let mut order = Order::default();
        for second in seconds {
            order.see(Some(Timestamp::from_second(*second).unwrap()));
        }
        order
    }

    fn past(seconds: &[i64], moment: i64) -> bool {
        order(seconds).is_past(Timestamp::from_second(moment).unwrap())
    }

    #[test]
    fn only_a_falling_list_is_past_something() {
        assert!(past(&[9, 7, 7, 3], 4));
        assert!(!past(&[9, 7, 7, 3], 3));
        assert!(!past(&[3, 7, 9], 8));
        assert!(!past(&[9, 3, 7], 4));
        assert!(!past(&[3, 3], 4));
        assert!(!past(&[], 4));
    }

    #[test]
    fn an_item_without_a_date_proves_nothing() {
        let mut order = order(&[9, 3]);
        order.see(None);
        assert!(!order.is_past(Timestamp::from_second(4).unwrap()));
    }

    proptest! {
        #[test]
        fn a_list_in_any_other_order_is_never_past(
            seconds in proptest::collection::vec(0_i64..100, 0..20), moment in 0_i64..100,
        ) {
            let falls = seconds.windows(2).all(|pair| pair[0] >= pair[1]);
            prop_assert!(!past(&seconds, moment) || falls);
        }
    }
}
