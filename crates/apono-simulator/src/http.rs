//! A call and its answer as plain data, free of any transport.
//!
//! Query keys may repeat and a comma is an ordinary character. Nothing here knows an endpoint.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::machine::Refusal;
use crate::switches::ErrorShape;

/// A call as it came in.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The method, in upper case.
    pub method: String,
    /// The path, without the query, still encoded.
    pub path: String,
    /// The query, without the question mark, still encoded.
    pub query: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// The decoded segments of the path.
    pub fn segments(&self) -> Vec<String> {
        self.path
            .split('/')
            .skip(1)
            .map(|part| {
                percent_encoding::percent_decode_str(part)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect()
    }

    /// The decoded query, in order.
    pub fn parameters(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.query.as_bytes())
            .into_owned()
            .collect()
    }

    /// The path with its query.
    pub fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// The token of the `Authorization` header, if it is a bearer's.
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.authorization.as_deref()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The body, if it is declared as JSON.
    ///
    /// # Errors
    /// 415 when it is declared as something else or as nothing.
    pub fn json_body(&self) -> Result<&[u8], Refusal> {
        let declared = self.content_type.as_deref().unwrap_or_default();
        let kind = declared.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            Ok(&self.body)
        } else {
            let message = "the body must be application/json";
            Err(Refusal::new(415, "UNSUPPORTED_MEDIA_TYPE", message))
        }
    }
}

/// An answer before anything went wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`; none without a body.
    pub content_type: Option<String>,
    /// Other headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self {
            status,
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A plain answer.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: Some("text/plain; charset=utf-8".to_owned()),
            headers: Vec::new(),
            body: body.into().into(),
        }
    }

    /// An answer of nothing but a status.
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same with one more header.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The one error whose body is documented.
    pub fn unauthorized() -> Self {
        Self::json(401, &json!({"status": "401", "code": "Unauthorized"}))
    }

    /// A refusal in the shape the switch says.
    pub fn refusal(refusal: &Refusal, shape: ErrorShape) -> Self {
        let Refusal {
            status,
            code,
            message,
        } = refusal;
        if *status == 401 {
            return Self::unauthorized();
        }
        let body: Value = match shape {
            ErrorShape::Flat => {
                json!({"status": status.to_string(), "code": code, "message": message})
            }
            ErrorShape::Nested => json!({"error": {"code": code, "message": message}}),
            ErrorShape::Listed => {
                json!({"status": "invalid", "errors": [{"code": code, "message": message}]})
            }
            ErrorShape::Text => return Self::text(*status, message.clone()),
            ErrorShape::Empty => return Self::empty(*status),
        };
        Self::json(*status, &body)
    }
}
