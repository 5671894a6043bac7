//! The one way to the API: every call of every endpoint goes through [`Transport::send`]. It knows
//! no endpoint's meaning, never repeats a call, and reads no more of an answer than it was told to.

use std::sync::{PoisonError, RwLock};

use reqwest::Response;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use crate::answer::{readable_body, retry_after};
use crate::config::{BuildError, ClientConfig, build_http};
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::token::Token;

/// Enough for any error text; what is larger is cut, and its connection given up.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// One call, before it is sent.
pub(crate) struct Call<'a> {
    endpoint: Endpoint,
    parameters: &'a [&'a str],
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    limit: Limit,
}

/// How much of an answer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    Object,
    Page,
}

impl<'a> Call<'a> {
    /// A call whose path parameters, from left to right, are these.
    pub(crate) fn new(endpoint: Endpoint, parameters: &'a [&'a str]) -> Self {
        Self {
            endpoint,
            parameters,
            query: Vec::new(),
            body: None,
            limit: Limit::Object,
        }
    }

    /// The answer is a list or an array.
    pub(crate) fn expecting_many(mut self) -> Self {
        self.limit = Limit::Page;
        self
    }

    /// Adds a query parameter for every value; a key may repeat.
    pub(crate) fn query<V: ToString>(
        mut self,
        key: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        self.query
            .extend(values.into_iter().map(|value| (key, value.to_string())));
        self
    }

    /// Sets the JSON body.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let bytes =
            serde_json::to_vec(body).map_err(|cause| Error::invalid(self.endpoint, cause))?;
        self.body = Some(bytes);
        Ok(self)
    }
}

/// The connection pool, the token and the limits.
pub(crate) struct Transport {
    http: reqwest::Client,
    endpoint: Url,
    token: RwLock<Token>,
    max_object_bytes: usize,
    max_page_bytes: usize,
}

/// A 2xx whose body does not hold what was promised. The body itself is not repeated: it may hold
/// credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the answer is not JSON, at line {line} column {column}")]
    Syntax { line: usize, column: usize },
    #[error("the answer's JSON is not of the expected shape, at line {line} column {column}")]
    Shape { line: usize, column: usize },
}

/// Why a body was not read to its end.
enum BodyFailure {
    TooLarge,
    Transport(reqwest::Error),
}

impl Transport {
    pub(crate) fn new(config: ClientConfig, token: Token) -> Result<Self, BuildError> {
        Ok(Self {
            http: build_http(&config)?,
            endpoint: config.endpoint,
            token: RwLock::new(token),
            max_object_bytes: config.max_object_bytes,
            max_page_bytes: config.max_page_bytes,
        })
    }

    pub(crate) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    pub(crate) fn set_token(&self, token: Token) {
        // A poisoned lock still holds a whole token: it is only ever replaced as one value.
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    fn token(&self) -> Token {
        self.token
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends the call and decodes its answer.
    pub(crate) async fn send<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, Error> {
        let (endpoint, limit) = (call.endpoint, self.bytes(call.limit));
        let response = self.exchange(call).await?;
        let status = response.status().as_u16();
        let body = match read_body(response, limit).await {
            Ok(body) => body,
            Err(BodyFailure::TooLarge) => {
                let cause = Unreadable::TooLarge { limit };
                return Err(Error::undecodable(endpoint, status, cause));
            }
            Err(BodyFailure::Transport(cause)) => {
                return Err(Error::transport(endpoint, Some(status), cause));
            }
        };
        serde_json::from_slice(&body)
            .map_err(|cause| Error::undecodable(endpoint, status, Unreadable::of(&cause)))
    }

    /// Sends the call; any 2xx will do, whatever it holds.
    pub(crate) async fn send_for_status(&self, call: Call<'_>) -> Result<(), Error> {
        let limit = self.bytes(call.limit);
        let response = self.exchange(call).await?;
        // Read only so that the connection can be used again; the status has said everything.
        let _ = read_body(response, limit).await;
        Ok(())
    }

    /// The exchange up to the head of a 2xx answer.
    async fn exchange(&self, call: Call<'_>) -> Result<Response, Error> {
        let endpoint = call.endpoint;
        let mut url = endpoint
            .url(&self.endpoint, call.parameters)
            .map_err(|cause| Error::invalid(endpoint, cause))?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let token = self.token();
        let mut request = self
            .http
            .request(endpoint.http_method(), url)
            .header(AUTHORIZATION, token.header())
            .header(ACCEPT, "application/json");
        if let Some(body) = call.body {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let response = request
            .send()
            .await
            .map_err(|cause| Error::transport(endpoint, None, cause))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(endpoint, response, &token).await)
    }

    fn bytes(&self, limit: Limit) -> usize {
        match limit {
            Limit::Object => self.max_object_bytes,
            Limit::Page => self.max_page_bytes,
        }
    }
}

/// The error that an answer other than a 2xx is. A body that cannot be read changes nothing: the
/// status decides. One that may hold secrets is not even looked at.
async fn refusal(endpoint: Endpoint, response: Response, token: &Token) -> Error {
    let status = response.status().as_u16();
    let wait = retry_after(response.headers());
    let text = if endpoint.answers_with_secrets() {
        None
    } else {
        readable_body(&read_start(response, MAX_ERROR_BYTES).await, token)
    };
    Error::answer(endpoint, status, wait, text)
}

/// The whole body, refused as soon as it is known to be larger than the limit. Wiped when dropped:
/// it may hold credentials.
async fn read_body(
    mut response: Response,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, BodyFailure> {
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(BodyFailure::TooLarge);
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced));
    while let Some(chunk) = response.chunk().await.map_err(BodyFailure::Transport)? {
        if chunk.len() > limit - body.len() {
            return Err(BodyFailure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// As much of the body as comes, up to the limit.
async fn read_start(mut response: Response, limit: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < limit {
        let Ok(Some(chunk)) = response.chunk().await else {
            break;
        };
        body.extend(chunk.iter().take(limit - body.len()));
    }
    body
}

impl Unreadable {
    fn of(cause: &serde_json::Error) -> Self {
        let (line, column) = (cause.line(), cause.column());
        if cause.is_data() {
            Self::Shape { line, column }
        } else {
            Self::Syntax { line, column }
        }
    }
}
