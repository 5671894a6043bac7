//! The ablation of the benchmark (`cargo xtask bench --ablation`): what is followed is read one by
//! one, as operators commonly do, instead of page by page. Never in a release: it is behind the
//! feature `ablation`.
//!
//! Only the lists that follow what is known are taken apart. Those that look for what is not known
//! yet have no other way, and stay.

use std::sync::Arc;

use apono_client::{AdminQuery, DelegatedQuery, ListQuery, Page, PageToken};
use futures::{FutureExt as _, StreamExt as _, stream};

use super::reads::GatedReads;
use crate::poller::{AdminListReply, PageReply, ReadError, Reads, RequestReply, Store};

/// As many are read at the same time.
const AT_ONCE: usize = 16;

/// Reads that ask for each request alone.
pub(super) struct OneByOne {
    pub(super) inner: GatedReads,
    pub(super) store: Arc<Store>,
}

impl Reads for OneByOne {
    fn access_requests_page<'a>(
        &'a self,
        query: &'a ListQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a> {
        if query.statuses.is_empty() {
            return self.inner.access_requests_page(query, token);
        }
        async move {
            let ids = self.store.ids_in(&query.statuses);
            let each: Vec<_> = ids.iter().map(|id| self.inner.access_request(id)).collect();
            let mut read = stream::iter(each).buffer_unordered(AT_ONCE);
            let mut items = Vec::new();
            while let Some(answer) = read.next().await {
                match answer {
                    Ok(request) => items.push(request),
                    Err(ReadError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(Page {
                items,
                next: None,
                skipped: 0,
            })
        }
        .boxed()
    }

    fn access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        self.inner.access_request(id)
    }

    fn delegated_access_requests_page<'a>(
        &'a self,
        query: &'a DelegatedQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a> {
        self.inner.delegated_access_requests_page(query, token)
    }

    fn delegated_access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        self.inner.delegated_access_request(id)
    }

    fn admin_requests<'a>(&'a self, query: &'a AdminQuery) -> AdminListReply<'a> {
        self.inner.admin_requests(query)
    }

    fn admin_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        self.inner.admin_request(id)
    }
}
