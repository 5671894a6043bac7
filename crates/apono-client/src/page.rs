//! Lists: one page, and the walk over all of them as a stream. It decides neither when nor how fast
//! to read.

use std::collections::HashSet;

use futures::Stream;
use futures::stream::try_unfold;
use serde::{Deserialize, Deserializer};

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::wire::Read;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What was understood, in the order received.
    pub items: Vec<T>,
    /// Where the next page is; none at the end of the list.
    pub next: Option<PageToken>,
    /// Items that were there and could not be understood. Unless this is zero the page proves no
    /// absence.
    pub skipped: usize,
}

/// Where a page is. Opaque: it carries the filters of the list it came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageToken(String);

impl PageToken {
    /// The token as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for PageToken {
    fn from(token: String) -> Self {
        Self(token)
    }
}

/// A page must have its `items`: an object without them is some other answer, and taking it for an
/// empty list would "prove" that something is not there. Null items are an empty list, a missing
/// `pagination` is the end.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Wire<T> {
    #[serde(deserialize_with = "present")]
    items: Option<Vec<Read<T>>>,
    #[serde(default)]
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    #[serde(default)]
    next_page_token: Option<String>,
}

/// Serde takes a missing `Option` for `None`; naming a function makes the key required.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::<T>::deserialize(deserializer)?;
        let received = wire.items.unwrap_or_default();
        let count = received.len();
        let items: Vec<T> = received.into_iter().filter_map(Read::understood).collect();
        let next = wire
            .pagination
            .and_then(|pagination| pagination.next_page_token)
            .filter(|token| !token.is_empty())
            .map(PageToken);
        Ok(Self {
            skipped: count - items.len(),
            items,
            next,
        })
    }
}

/// The list never ends: a page named one that had been read already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a page token repeats itself")]
pub(crate) struct RepeatedToken;

/// Where the walk is.
struct Walk {
    next: Option<PageToken>,
    seen: HashSet<PageToken>,
    started: bool,
}

/// All pages of a list, read one by one as they are polled for. Ends after the last page or the
/// first error.
pub(crate) fn pages<T, F, R>(
    endpoint: Endpoint,
    read: F,
) -> impl Stream<Item = Result<Page<T>, Error>> + Send + 'static
where
    T: Send + 'static,
    F: Fn(Option<PageToken>) -> R + Clone + Send + 'static,
    R: Future<Output = Result<Page<T>, Error>> + Send,
{
    let start = Walk {
        next: None,
        seen: HashSet::new(),
        started: false,
    };
    try_unfold(start, move |mut walk| {
        let read = read.clone();
        async move {
            if walk.started && walk.next.is_none() {
                return Ok(None);
            }
            walk.started = true;
            let token = walk.next.take();
            if let Some(token) = &token
                && !walk.seen.insert(token.clone())
            {
                return Err(Error::undecodable(endpoint, 200, RepeatedToken));
            }
            let page = read(token).await?;
            walk.next.clone_from(&page.next);
            Ok(Some((page, walk)))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::StreamExt;
    use futures::executor::block_on;
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Page<String>, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn the_end_is_a_null_an_absent_or_an_empty_token() {
        for pagination in [
            json!({"next_page_token": null}),
            json!({}),
            json!({"next_page_token": ""}),
            json!(null),
        ] {
            let page = read(json!({"items": ["a"], "pagination": pagination})).unwrap();
            assert_eq!((page.items.len(), page.next), (1, None));
        }
        assert_eq!(read(json!({"items": []})).unwrap().next, None);
        let page = read(json!({"items": [], "pagination": {"next_page_token": "t"}})).unwrap();
        assert_eq!(page.next.unwrap().as_str(), "t");
    }

    #[test]
    fn an_item_that_does_not_read_is_counted() {
        let page = read(json!({"items": ["a", 1, {"x": []}, "b", null]})).unwrap();
        assert_eq!(
            (page.items, page.skipped),
            (vec!["a".to_owned(), "b".to_owned()], 3)
        );
    }

    #[test]
    fn a_walk_that_comes_back_to_a_page_ends_in_an_error() {
        let named = |token: &str| Some(PageToken(token.to_owned()));
        // The first page names A, A names B, and B names A again.
        let reads = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&reads);
        let walk = pages(
            Endpoint::ListAccessSessions,
            move |token: Option<PageToken>| {
                counter.fetch_add(1, Ordering::Relaxed);
                let next = match token.as_ref().map(PageToken::as_str) {
                    Some("A") => named("B"),
                    _ => named("A"),
                };
                let items = vec!["item".to_owned()];
                let page = Page {
                    items,
                    next,
                    skipped: 0,
                };
                std::future::ready(Ok(page))
            },
        );
        let walked = block_on(walk.collect::<Vec<_>>());
        let understood = walked.iter().filter(|page| page.is_ok()).count();
        assert_eq!((walked.len(), understood), (4, 3));
        assert_eq!(
            reads.load(Ordering::Relaxed),
            3,
            "the repeated page is not asked for"
        );
        let error = walked.last().unwrap().as_ref().unwrap_err();
        assert_eq!(error.endpoint(), Endpoint::ListAccessSessions);
    }

    #[test]
    fn null_items_are_an_empty_list_but_missing_items_are_no_list() {
        let page = read(json!({"items": null})).unwrap();
        assert_eq!((page.items.len(), page.skipped), (0, 0));
        for value in [
            json!({}),
            json!({"status": "ok"}),
            json!([]),
            json!({"items": "a"}),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
        assert!(read(json!({"items": [], "pagination": {"next_page_token": 5}})).is_err());
    }
}
