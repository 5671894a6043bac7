//! What all tests over the socket share: a bare HTTP client and short ways to say common things.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod schema;

use apono_simulator::{Config, Simulator, User};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{error} in {} {:?}", self.status, self.text))
    }

    /// The answer to a call that is expected to work.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        self.json()
    }

    /// The `code` of a refusal with this status.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client of one user.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

pub(crate) const OWN: &str = "/api/user/v4/access-requests";
pub(crate) const V3: &str = "/api/v3/access-requests";
pub(crate) const DELEGATED: &str = "/api/user/v1/delegated-access-requests";

impl Api {
    pub(crate) fn of(simulator: &Simulator) -> Self {
        Self::with_token(simulator, Some(simulator.token()))
    }

    pub(crate) fn with_token(simulator: &Simulator, token: Option<&str>) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self {
            http,
            base: simulator.url(),
            token: token.map(ToOwned::to_owned),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn post_empty(&self, path: &str) -> Reply {
        send(self.request(Method::POST, path)).await
    }

    pub(crate) async fn create(&self, body: &Value) -> Reply {
        let mut all = json!({"custom_fields": {}});
        all.as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        self.post(OWN, &all).await
    }

    /// Creates by a bundle and gives the ids.
    pub(crate) async fn bundle(&self, name: &str) -> Vec<String> {
        let body = json!({"bundle_reference": name, "justification": "a reason"});
        ids(&self.create(&body).await.ok())
    }

    /// Creates by a bundle of one flow and gives the id.
    pub(crate) async fn one(&self, name: &str) -> String {
        let mut ids = self.bundle(name).await;
        assert_eq!(ids.len(), 1);
        ids.remove(0)
    }

    pub(crate) async fn status(&self, id: &str) -> String {
        let shown = self.get(&format!("{OWN}/{id}")).await.ok();
        shown["status"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn revoke(&self, id: &str) -> Reply {
        self.post_empty(&format!("{OWN}/{id}/revoke")).await
    }

    pub(crate) async fn again(&self, id: &str, body: Value) -> Reply {
        self.post(&format!("{OWN}/{id}/request-again"), &body).await
    }

    /// The ids of all pages of a list, page by page, the later ones by the token alone.
    pub(crate) async fn pages(&self, path: &str, first: &str) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut query = first.to_owned();
        loop {
            let page = self.get(&format!("{path}?{query}")).await.ok();
            pages.push(ids(&page["items"]));
            assert!(pages.len() < 1_000, "the pages never end");
            match page["pagination"]["next_page_token"].as_str() {
                Some(token) if !token.is_empty() => query = format!("page_token={token}"),
                _ => return pages,
            }
        }
    }

    pub(crate) async fn listed(&self, path: &str, query: &str) -> Vec<String> {
        self.pages(path, query).await.concat()
    }
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Reply {
        status,
        headers,
        text: response.text().await.unwrap(),
    }
}

#[track_caller]
pub(crate) fn ids(items: &Value) -> Vec<String> {
    let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
    items.as_array().unwrap().iter().map(id).collect()
}

pub(crate) const OTHER: &str = "other@example.com";
pub(crate) const OTHER_TOKEN: &str = "other-token";

/// Two users with tokens, a service account, and everything at once.
pub(crate) fn config() -> Config {
    let mut config = Config::instant();
    config.users.push(User::new(OTHER, OTHER_TOKEN));
    config.users.push(User::service("robot", "robot-token"));
    config
}

pub(crate) fn start() -> (Simulator, Api) {
    started(&config())
}

pub(crate) fn started(config: &Config) -> (Simulator, Api) {
    let simulator = Simulator::start(config).unwrap();
    let api = Api::of(&simulator);
    (simulator, api)
}
