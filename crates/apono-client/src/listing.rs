//! The lists of the older API. They tell how much there is, but there is no way to ask for a second
//! page: what did not come cannot be had.

use futures::Stream;
use futures::stream::once;
use serde::{Deserialize, Deserializer};

use crate::error::Error;
use crate::page::present;
use crate::wire::{Read, lenient};

/// All that a list of the older API will give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// What was understood, in the order received.
    pub items: Vec<T>,
    /// Items that were there and could not be understood.
    pub skipped: usize,
    /// How many there are altogether, if the answer says so.
    pub total: Option<u64>,
    /// How many the answer would hold at most, if it says so.
    pub limit: Option<u64>,
    /// How many were left out before the first, if the answer says so.
    pub offset: Option<u64>,
}

impl<T> Listing<T> {
    /// Whether this is everything there is, all of it understood. Unless it is, the list proves no
    /// absence. A list that does not say how much there is, is not complete.
    pub fn is_complete(&self) -> bool {
        let received = u64::try_from(self.items.len()).unwrap_or(u64::MAX);
        let whole = self.total.is_some_and(|total| total <= received);
        whole && self.skipped == 0 && self.offset.unwrap_or(0) == 0
    }
}

/// As with a page, an object without `data` is some other answer and no empty list.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
struct Wire<T> {
    #[serde(deserialize_with = "present")]
    data: Option<Vec<Read<T>>>,
    #[serde(default, deserialize_with = "lenient")]
    pagination: Pagination,
}

#[derive(Default, Deserialize)]
struct Pagination {
    #[serde(default, deserialize_with = "lenient")]
    total: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    limit: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    offset: Option<u64>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listing<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::<T>::deserialize(deserializer)?;
        let received = wire.data.unwrap_or_default();
        let count = received.len();
        let items: Vec<T> = received.into_iter().filter_map(Read::understood).collect();
        Ok(Self {
            skipped: count - items.len(),
            items,
            total: wire.pagination.total,
            limit: wire.pagination.limit,
            offset: wire.pagination.offset,
        })
    }
}

/// The one page there is, as a stream: for who walks lists of both kinds alike.
pub(crate) fn single<T, R>(
    read: R,
) -> impl Stream<Item = Result<Listing<T>, Error>> + Send + 'static + use<T, R>
where
    T: Send + 'static,
    R: Future<Output = Result<Listing<T>, Error>> + Send + 'static,
{
    once(read)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<Listing<String>, serde_json::Error> {
        serde_json::from_value(value)
    }

    fn is_complete(data: &[Value], pagination: &Value) -> bool {
        let listing = read(json!({"data": data, "pagination": pagination}));
        listing.unwrap().is_complete()
    }

    #[test]
    fn a_list_is_complete_only_if_it_says_so_and_all_was_understood() {
        let said = |total: u32, offset: u32| json!({"total": total, "limit": 9, "offset": offset});
        assert!(is_complete(&[json!("a"), json!("b")], &said(2, 0)));
        assert!(is_complete(&[], &said(0, 0)));
        assert!(is_complete(&[json!("a")], &json!({"total": 1})));
        assert!(
            !is_complete(&[json!("a"), json!("b")], &said(3, 0)),
            "cut short"
        );
        assert!(
            !is_complete(&[json!("a"), json!("b")], &said(2, 1)),
            "cut at the start"
        );
        assert!(
            !is_complete(&[json!("a"), json!(7)], &said(2, 0)),
            "one not understood"
        );
        assert!(
            !is_complete(&[json!("a"), json!(7), json!("b")], &said(2, 0)),
            "one not understood"
        );
        for silent in [
            json!(null),
            json!({}),
            json!({"total": -1}),
            json!({"total": "1"}),
        ] {
            assert!(!is_complete(&[json!("a")], &silent), "{silent}");
        }
    }

    #[test]
    fn an_answer_without_data_is_no_list() {
        for value in [
            json!({}),
            json!({"items": []}),
            json!([]),
            json!({"data": "a"}),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
        let empty = read(json!({"data": null})).unwrap();
        assert_eq!((empty.items.len(), empty.total), (0, None));
    }
}
