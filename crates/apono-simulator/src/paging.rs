//! Pages: limits, and tokens that carry the whole query so that a later page needs nothing else.
//!
//! A token is meaningless to callers and bound to one user and one list. It does not know what is
//! listed.

use std::collections::BTreeMap;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::later;
use crate::machine::Refusal;
use crate::switches::{Comma, OverLimit, PageEnd, Strange, Switches};

/// The limit when none is asked for, as documented.
const DEFAULT_LIMIT: u32 = 100;

/// The query of a list, as its first call said it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Query {
    #[serde(rename = "m")]
    pub(crate) limit: u32,
    /// The values of the parameters that may repeat.
    #[serde(rename = "s", default, skip_serializing_if = "BTreeMap::is_empty")]
    many: BTreeMap<String, Vec<String>>,
    /// The values of the parameters that may not.
    #[serde(rename = "w", default, skip_serializing_if = "BTreeMap::is_empty")]
    one: BTreeMap<String, String>,
    /// Where the page starts: the key of the last item seen, or a count of items.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<u64>,
}

impl Query {
    /// The values of a parameter that may repeat.
    pub(crate) fn many(&self, name: &str) -> &[String] {
        self.many.get(name).map_or(&[], Vec::as_slice)
    }

    /// The value of a parameter.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.one.get(name).map(String::as_str)
    }

    /// Whether a parameter that may repeat is absent or names this.
    pub(crate) fn allows(&self, name: &str, value: &str) -> bool {
        let values = self.many(name);
        values.is_empty() || values.iter().any(|it| it == value)
    }
}

#[derive(Serialize, Deserialize)]
struct Token {
    #[serde(rename = "q")]
    query: Query,
    #[serde(rename = "l")]
    list: String,
    #[serde(rename = "u")]
    user: String,
    #[serde(rename = "a")]
    at: i64,
}

/// Which parameters a list takes besides `limit` and `page_token`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filters<'a> {
    /// Those that may repeat.
    pub(crate) many: &'a [&'a str],
    /// Those that may not.
    pub(crate) one: &'a [&'a str],
}

/// Who reads which list, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) list: &'a str,
    pub(crate) user: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) switches: &'a Switches,
}

impl Reader<'_> {
    /// Reads the parameters of a call. With a token, the token's query counts.
    pub(crate) fn query(
        &self,
        parameters: Vec<(String, String)>,
        filters: Filters<'_>,
    ) -> Result<Query, Refusal> {
        let mut query = Query::default();
        let (mut limit, mut token) = (None, None);
        for (name, value) in parameters {
            let twice = match name.as_str() {
                "limit" => limit.replace(value).is_some(),
                "page_token" => token.replace(value).is_some(),
                other if filters.many.contains(&other) => {
                    let values = query.many.entry(name.clone()).or_default();
                    match self.switches.comma {
                        Comma::OneValue => values.push(value),
                        Comma::Splits => values.extend(value.split(',').map(str::to_owned)),
                    }
                    false
                }
                other if filters.one.contains(&other) => {
                    query.one.insert(name.clone(), value).is_some()
                }
                _ if self.switches.unknown_parameter == Strange::Ignore => false,
                other => {
                    let message = format!("there is no parameter `{other}`");
                    return Err(Refusal::bad("UNKNOWN_PARAMETER", message));
                }
            };
            if twice {
                let message = format!("parameter `{name}` is given twice");
                return Err(Refusal::bad("BAD_REQUEST", message));
            }
        }
        let limit = limit.map(|text| self.limit(&text)).transpose()?;
        match token.filter(|token| !token.is_empty()) {
            None => Ok(Query {
                limit: limit.unwrap_or(DEFAULT_LIMIT.min(self.most())),
                ..query
            }),
            Some(token) => {
                let carried = self.open(&token)?;
                Ok(Query {
                    limit: limit.unwrap_or(carried.limit),
                    ..carried
                })
            }
        }
    }

    const fn most(&self) -> u32 {
        self.switches.max_limit
    }

    fn limit(&self, text: &str) -> Result<u32, Refusal> {
        let most = self.most();
        match text.parse::<u32>() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            Ok(limit) if limit > most && self.switches.over_limit == OverLimit::Clamp => Ok(most),
            _ => Err(Refusal::bad(
                "INVALID_LIMIT",
                format!("limit must be from 1 to {most}"),
            )),
        }
    }

    fn open(&self, token: &str) -> Result<Query, Refusal> {
        let garbage = || Refusal::bad("INVALID_PAGE_TOKEN", "the page token is not valid");
        let bytes = BASE64URL_NOPAD
            .decode(token.as_bytes())
            .map_err(|_| garbage())?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|_| garbage())?;
        if token.list != self.list || token.user != self.user {
            return Err(garbage());
        }
        let made = Timestamp::from_millisecond(token.at).map_err(|_| garbage())?;
        match self.switches.page_token_life {
            Some(life) if later(made, life) < self.now => Err(Refusal::bad(
                "PAGE_TOKEN_EXPIRED",
                "the page token has expired",
            )),
            _ => Ok(token.query),
        }
    }

    /// The body of a page; `next` is the position of the page after it.
    pub(crate) fn page(&self, items: &[Value], query: &Query, next: Option<u64>) -> Value {
        let mut pagination = Map::new();
        match (next, self.switches.page_end) {
            (Some(position), _) => {
                let query = Query {
                    position: Some(position),
                    ..query.clone()
                };
                pagination.insert("next_page_token".to_owned(), json!(self.seal(query)));
            }
            (None, PageEnd::Null) => {
                pagination.insert("next_page_token".to_owned(), Value::Null);
            }
            (None, PageEnd::Empty) => {
                pagination.insert("next_page_token".to_owned(), json!(""));
            }
            (None, PageEnd::Absent) => {}
        }
        json!({"items": items, "pagination": pagination})
    }

    fn seal(&self, query: Query) -> String {
        let token = Token {
            query,
            list: self.list.to_owned(),
            user: self.user.to_owned(),
            at: self.now.as_millisecond(),
        };
        BASE64URL_NOPAD.encode(&serde_json::to_vec(&token).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const FILTERS: Filters<'_> = Filters {
        many: &["statuses"],
        one: &["requestor"],
    };

    fn reader(switches: &Switches) -> Reader<'_> {
        Reader {
            list: "own",
            user: "a",
            now: Timestamp::UNIX_EPOCH,
            switches,
        }
    }

    fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
        given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_token_alone_carries_filters_and_limit_and_a_limit_beside_it_counts() {
        let switches = Switches::default();
        let reader = reader(&switches);
        let first = pairs(&[("limit", "7"), ("statuses", "Active"), ("statuses", "A,B")]);
        let query = reader.query(first, FILTERS).unwrap();
        assert_eq!(query.many("statuses"), ["Active", "A,B"]);
        let token = reader.seal(Query {
            position: Some(3),
            ..query.clone()
        });
        let later = reader
            .query(pairs(&[("page_token", &token)]), FILTERS)
            .unwrap();
        assert_eq!(
            later,
            Query {
                position: Some(3),
                ..query
            }
        );
        let wider = reader
            .query(pairs(&[("page_token", &token), ("limit", "9")]), FILTERS)
            .unwrap();
        assert_eq!((wider.limit, wider.position), (9, Some(3)));
    }

    #[test]
    fn a_foreign_garbled_or_expired_token_is_refused() {
        let mut switches = Switches::default();
        let token = reader(&switches).seal(Query::default());
        switches.page_token_life = Some(SignedDuration::from_secs(1));
        let reader = reader(&switches);
        let with = |token: &str| pairs(&[("page_token", token)]);
        for bad in ["garbage", "", "e30"]
            .into_iter()
            .filter(|it| !it.is_empty())
        {
            assert!(reader.query(with(bad), FILTERS).is_err(), "{bad}");
        }
        assert!(reader.query(with(&token), FILTERS).is_ok());
        let other = Reader {
            user: "b",
            ..reader
        };
        assert!(other.query(with(&token), FILTERS).is_err());
        let late = Reader {
            now: Timestamp::from_second(2).unwrap(),
            ..reader
        };
        assert!(late.query(with(&token), FILTERS).is_err());
    }
}
