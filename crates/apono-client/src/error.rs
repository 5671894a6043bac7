//! What failed, what it may have changed on the other side, and how to count it. It decides nothing
//! about retrying.

use std::error::Error as StdError;
use std::time::Duration;

use crate::endpoint::Endpoint;

/// A call failed.
///
/// `Display` says what could not be done and never repeats the cause, an address or a token; the
/// cause is the source.
#[derive(Debug, thiserror::Error)]
#[error("could not {}: {}", .details.endpoint.doing(), .details.reason())]
pub struct Error {
    #[source]
    source: Option<Cause>,
    details: Box<Details>,
}

type Cause = Box<dyn StdError + Send + Sync>;

#[derive(Debug)]
struct Details {
    endpoint: Endpoint,
    class: ErrorClass,
    status: Option<u16>,
    retry_after: Option<Duration>,
    body: Option<String>,
}

/// What a failed call may have done at the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The API understood and said no: nothing changed.
    Refused,
    /// It was not sent, or was turned away before anyone looked at it: nothing changed.
    NotSent,
    /// It may have been carried out.
    Unknown,
}

/// The kind of failure. Closed, so that it can label a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// 401: the token is not accepted.
    Unauthorized,
    /// 429: too many calls.
    Throttled,
    /// Any other 4xx.
    Refused,
    /// 404.
    NotFound,
    /// 5xx, or a code outside what HTTP defines.
    Server,
    /// 3xx; never followed.
    Redirect,
    /// No connection was made: name, route or TLS.
    Connect,
    /// No whole answer in time, or a 408.
    Timeout,
    /// The connection ended before the whole answer had come.
    Broken,
    /// A 2xx that is too large or not what the contract promises.
    Undecodable,
    /// The call could not be put together.
    Invalid,
}

impl ErrorClass {
    /// Every class once, to initialise metrics.
    pub const ALL: [Self; 11] = [
        Self::Unauthorized,
        Self::Throttled,
        Self::Refused,
        Self::NotFound,
        Self::Server,
        Self::Redirect,
        Self::Connect,
        Self::Timeout,
        Self::Broken,
        Self::Undecodable,
        Self::Invalid,
    ];

    /// A stable label, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::NotFound => "not_found",
            Self::Server => "server",
            Self::Redirect => "redirect",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Undecodable => "undecodable",
            Self::Invalid => "invalid",
        }
    }

    /// The class of a status that is not a 2xx. The body has no say: the contract documents none.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            300..=399 => Self::Redirect,
            401 => Self::Unauthorized,
            404 => Self::NotFound,
            408 => Self::Timeout,
            429 => Self::Throttled,
            400..=499 => Self::Refused,
            _ => Self::Server,
        }
    }

    fn effect(self) -> Effect {
        match self {
            Self::Unauthorized
            | Self::Throttled
            | Self::Redirect
            | Self::Connect
            | Self::Invalid => Effect::NotSent,
            Self::Refused | Self::NotFound => Effect::Refused,
            Self::Server | Self::Timeout | Self::Broken | Self::Undecodable => Effect::Unknown,
        }
    }
}

impl Error {
    /// The call could not be put together.
    pub(crate) fn invalid(endpoint: Endpoint, cause: impl Into<Cause>) -> Self {
        Self::new(endpoint, ErrorClass::Invalid, None, Some(cause.into()))
    }

    /// The exchange failed below HTTP. `status` is what had been received by then.
    pub(crate) fn transport(
        endpoint: Endpoint,
        status: Option<u16>,
        cause: reqwest::Error,
    ) -> Self {
        // A connect time-out is both; that nothing was sent is the stronger knowledge.
        let class = if cause.is_connect() {
            ErrorClass::Connect
        } else if cause.is_builder() {
            ErrorClass::Invalid
        } else if cause.is_timeout() {
            ErrorClass::Timeout
        } else {
            ErrorClass::Broken
        };
        Self::new(endpoint, class, status, Some(cause.without_url().into()))
    }

    /// An answer other than a 2xx.
    pub(crate) fn answer(
        endpoint: Endpoint,
        status: u16,
        retry_after: Option<Duration>,
        body: Option<String>,
    ) -> Self {
        let mut error = Self::new(endpoint, ErrorClass::of_status(status), Some(status), None);
        error.details.retry_after = retry_after;
        error.details.body = body;
        error
    }

    /// A 2xx that cannot be used.
    pub(crate) fn undecodable(endpoint: Endpoint, status: u16, cause: impl Into<Cause>) -> Self {
        Self::new(
            endpoint,
            ErrorClass::Undecodable,
            Some(status),
            Some(cause.into()),
        )
    }

    fn new(
        endpoint: Endpoint,
        class: ErrorClass,
        status: Option<u16>,
        source: Option<Cause>,
    ) -> Self {
        let details = Details {
            endpoint,
            class,
            status,
            retry_after: None,
            body: None,
        };
        Self {
            source,
            details: Box::new(details),
        }
    }

    /// Which call it was.
    pub fn endpoint(&self) -> Endpoint {
        self.details.endpoint
    }

    /// The HTTP status, if one was received.
    pub fn status(&self) -> Option<u16> {
        self.details.status
    }

    /// How long the API asks to wait, at most one hour.
    pub fn retry_after(&self) -> Option<Duration> {
        self.details.retry_after
    }

    /// The start of the refusing answer's body, for people. Nothing may be decided by it.
    pub fn body(&self) -> Option<&str> {
        self.details.body.as_deref()
    }

    /// What the call may have done all the same.
    pub fn effect(&self) -> Effect {
        self.details.class.effect()
    }

    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        self.details.class
    }
}

impl Details {
    fn reason(&self) -> String {
        match (self.class, self.status) {
            (ErrorClass::Connect, _) => "no connection was made".to_owned(),
            (ErrorClass::Broken, _) => "the connection broke off".to_owned(),
            (ErrorClass::Invalid, _) => "the call cannot be sent".to_owned(),
            (ErrorClass::Undecodable, _) => "the answer cannot be understood".to_owned(),
            (ErrorClass::Timeout, None | Some(200..=299)) => "no answer in time".to_owned(),
            (_, Some(status)) => format!("the API answered `{status}`"),
            (class, None) => format!("the call failed as `{}`", class.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn answered(status: u16) -> Error {
        Error::answer(Endpoint::CreateAccessRequest, status, None, None)
    }

    #[test]
    fn a_status_tells_what_may_have_happened() {
        for status in [301, 302, 303, 304, 307, 308, 401, 429] {
            assert_eq!(answered(status).effect(), Effect::NotSent, "{status}");
        }
        for status in [408, 500, 501, 502, 503, 504, 599, 600, 999] {
            assert_eq!(answered(status).effect(), Effect::Unknown, "{status}");
        }
        for status in [400, 402, 403, 404, 405, 409, 410, 413, 422, 425, 499] {
            assert_eq!(answered(status).effect(), Effect::Refused, "{status}");
        }
    }

    #[test]
    fn an_unreadable_success_may_have_happened_and_an_unsent_call_has_not() {
        let endpoint = Endpoint::CreateAccessRequest;
        let unreadable = Error::undecodable(endpoint, 200, "broken");
        assert_eq!(
            (unreadable.effect(), unreadable.status()),
            (Effect::Unknown, Some(200))
        );
        let unsent = Error::invalid(endpoint, "no id");
        assert_eq!((unsent.effect(), unsent.status()), (Effect::NotSent, None));
    }

    #[test]
    fn display_says_what_failed_and_not_why() {
        assert_eq!(
            answered(409).to_string(),
            "could not create an access request: the API answered `409`"
        );
        let error = Error::undecodable(Endpoint::GetAccessRequest, 200, "the cause");
        assert_eq!(
            error.to_string(),
            "could not read an access request: the answer cannot be understood"
        );
        assert_eq!(error.source().unwrap().to_string(), "the cause");
    }

    #[test]
    fn labels_are_distinct() {
        let labels: BTreeSet<_> = ErrorClass::ALL.iter().map(|class| class.as_str()).collect();
        assert_eq!(labels.len(), ErrorClass::ALL.len());
    }
}
