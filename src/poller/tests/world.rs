//! A remote for the tests: lists with filters and pages whose tokens carry the filter, and what
//! may be odd about them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apono_client::{
    AccessRequest, AdminQuery, DelegatedQuery, Identity, ListQuery, Page, PageToken, RequestId,
    State,
};
use futures::FutureExt as _;
use jiff::Timestamp;

use crate::crd::RemoteApi;
use crate::marker::marked;
use crate::poller::{AdminList, AdminListReply, PageReply, ReadError, Reads, RequestReply};

/// How the list treats its filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Filter {
    /// As it should.
    #[default]
    Works,
    /// It gives everything.
    Ignored,
    /// It gives nothing.
    GivesNothing,
    /// It refuses words it does not know.
    RefusesUnknown,
}

/// In which order the list comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sorted {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    List {
        api: RemoteApi,
        words: Vec<String>,
        is_first: bool,
    },
    /// The list of the admin API.
    Admin {
        user: Option<String>,
        days: Option<u32>,
    },
    Get {
        api: RemoteApi,
        id: String,
    },
}

#[derive(Default)]
pub(super) struct World(Mutex<Inner>);

#[derive(Default)]
pub(super) struct Inner {
    /// In the order of their creation.
    requests: Vec<(RemoteApi, AccessRequest)>,
    calls: Vec<Call>,
    pub(super) filter: Filter,
    pub(super) sorted: Sorted,
    /// What every call is answered with.
    pub(super) failure: Option<ReadError>,
    /// What the list page after so many more is answered with, once.
    pub(super) stumble: Option<(usize, ReadError)>,
    /// Ids that lists do not show.
    pub(super) unlisted: Vec<RequestId>,
    /// Ids that cannot be read by id.
    pub(super) unreadable: Vec<String>,
    /// How many items of each page are not understood.
    pub(super) skipped: usize,
    pub(super) latency: Duration,
    /// What the list of the admin API is answered with.
    pub(super) admin_failure: Option<ReadError>,
    /// How many the list of the admin API holds at most.
    pub(super) admin_limit: Option<usize>,
    /// Whether every page says that the same page is next.
    pub(super) is_looping: bool,
    /// Whether the last page says that the first but one is next.
    pub(super) is_circular: bool,
}

impl World {
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// Adds a request, or gives it another state.
    pub(super) fn put(&self, id: &str, state: State, created: Timestamp) {
        self.put_word(id, state.as_str(), created);
    }

    pub(super) fn put_word(&self, id: &str, word: &str, created: Timestamp) {
        self.with(|inner| match inner.find(id) {
            Some(known) => known.status = word.into(),
            None => inner
                .requests
                .push((RemoteApi::UserV4, request(id, word, created))),
        });
    }

    /// Adds a request that is not there yet, however many there are.
    pub(super) fn add(&self, id: &str, word: &str, created: Timestamp) {
        let added = (RemoteApi::UserV4, request(id, word, created));
        self.with(|inner| inner.requests.push(added));
    }

    pub(super) fn put_delegated(&self, id: &str, state: State, created: Timestamp) {
        self.with(|inner| {
            inner
                .requests
                .push((RemoteApi::Delegated, request(id, state.as_str(), created)));
        });
    }

    /// Adds a request of the admin API, or gives it another state. It has no dates and no requestor.
    pub(super) fn put_admin(&self, id: &str, user: &str, word: &str) {
        let mut added = request(id, word, Timestamp::MIN);
        added.creation_date = None;
        added.requestor = None;
        let grantee = Identity {
            id: user.to_owned(),
            source_id: String::new(),
        };
        added.grantee = Some(Arc::new(grantee));
        self.with(|inner| match inner.find(id) {
            Some(known) => known.status = word.into(),
            None => inner.requests.push((RemoteApi::AdminV3, added)),
        });
    }

    pub(super) fn change(&self, id: &str, change: impl FnOnce(&mut AccessRequest)) {
        self.with(|inner| change(inner.find(id).unwrap()));
    }

    /// Writes the mark of a POST on a request.
    pub(super) fn mark(&self, id: &str, name: &str, n: u8) {
        let text = marked(&super::nonce(name, n), &super::origin(name), Some("why"));
        self.change(id, |request| request.justification = Some(text));
    }

    pub(super) fn lose(&self, id: &str) {
        self.with(|inner| inner.requests.retain(|(_, request)| request.id != id));
    }

    pub(super) fn get(&self, id: &str) -> AccessRequest {
        self.with(|inner| inner.find(id).unwrap().clone())
    }

    pub(super) fn forget_calls(&self) {
        self.with(|inner| inner.calls.clear());
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.with(|inner| inner.calls.clone())
    }

    pub(super) fn count(&self, is_counted: impl Fn(&Call) -> bool) -> usize {
        self.calls().iter().filter(|call| is_counted(call)).count()
    }

    async fn list(
        &self,
        api: RemoteApi,
        limit: Option<u32>,
        words: &[String],
        token: Option<&PageToken>,
    ) -> Result<Page<AccessRequest>, ReadError> {
        // The answer is of the moment the call was sent; it comes later.
        let (answer, latency) = self.with(|inner| {
            let call = Call::List {
                api,
                words: words.to_vec(),
                is_first: token.is_none(),
            };
            inner.calls.push(call);
            (inner.page(api, limit, words, token), inner.latency)
        });
        tokio::time::sleep(latency).await;
        answer
    }

    async fn admin_list(&self, query: &AdminQuery) -> Result<AdminList, ReadError> {
        let (answer, latency) = self.with(|inner| {
            inner.calls.push(Call::Admin {
                user: query.user_id.clone(),
                days: query.days_offset,
            });
            (inner.admin_list(query), inner.latency)
        });
        tokio::time::sleep(latency).await;
        answer
    }

    async fn read(&self, api: RemoteApi, id: &str) -> Result<AccessRequest, ReadError> {
        let (answer, latency) = self.with(|inner| {
            inner.calls.push(Call::Get {
                api,
                id: id.to_owned(),
            });
            let found = inner
                .requests
                .iter()
                .find(|(of, known)| *of == api && known.id == id);
            let mut found = found
                .map(|(_, known)| known.clone())
                .ok_or(ReadError::NotFound);
            if inner.unreadable.iter().any(|unreadable| unreadable == id) {
                found = Err(ReadError::Failed("500".to_owned()));
            }
            (inner.failure.clone().map_or(found, Err), inner.latency)
        });
        tokio::time::sleep(latency).await;
        answer
    }
}

impl Inner {
    fn find(&mut self, id: &str) -> Option<&mut AccessRequest> {
        self.requests
            .iter_mut()
            .map(|(_, request)| request)
            .find(|request| request.id == id)
    }

    fn page(
        &mut self,
        api: RemoteApi,
        limit: Option<u32>,
        words: &[String],
        token: Option<&PageToken>,
    ) -> Result<Page<AccessRequest>, ReadError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match self.stumble.take() {
            Some((0, error)) => return Err(error),
            Some((pages, error)) => self.stumble = Some((pages - 1, error)),
            None => {}
        }
        // The token carries the filter of the list it came from.
        let (start, words) = match token {
            Some(token) => parts(token),
            None => (0, words.to_vec()),
        };
        let all = self.matching(api, &words)?;
        let end = (start + limit.unwrap_or(100) as usize).min(all.len());
        let is_last = end >= all.len();
        let next = match () {
            () if self.is_looping => start,
            () if is_last => limit.unwrap_or(100) as usize,
            () => end,
        };
        let next = (!is_last || self.is_looping || self.is_circular)
            .then(|| PageToken::from(serde_json::json!([next, words]).to_string()));
        Ok(Page {
            items: all[start.min(end)..end]
                .iter()
                .map(|known| (*known).clone())
                .collect(),
            next,
            skipped: self.skipped,
        })
    }

    fn admin_list(&self, query: &AdminQuery) -> Result<AdminList, ReadError> {
        if let Some(failure) = self.failure.as_ref().or(self.admin_failure.as_ref()) {
            return Err(failure.clone());
        }
        let is_of_user = |known: &&AccessRequest| {
            let user = known.grantee.as_ref().map(|user| &user.id);
            user == query.user_id.as_ref() && !self.unlisted.contains(&known.id)
        };
        let of_list = self
            .requests
            .iter()
            .filter(|(of, _)| *of == RemoteApi::AdminV3);
        let all: Vec<_> = of_list
            .map(|(_, known)| known)
            .filter(is_of_user)
            .cloned()
            .collect();
        let limit = self.admin_limit.unwrap_or(usize::MAX);
        Ok(AdminList {
            is_complete: all.len() <= limit,
            items: all.into_iter().take(limit).collect(),
        })
    }

    fn matching(&self, api: RemoteApi, words: &[String]) -> Result<Vec<&AccessRequest>, ReadError> {
        let of_list = || {
            self.requests
                .iter()
                .filter(|(of, _)| *of == api)
                .map(|(_, known)| known)
        };
        let is_known = |word: &String| of_list().any(|known| known.status.word() == word);
        if self.filter == Filter::RefusesUnknown && !words.iter().all(is_known) {
            return Err(ReadError::Failed("400".to_owned()));
        }
        let is_asked = |known: &&AccessRequest| {
            words.is_empty()
                || match self.filter {
                    Filter::Ignored => true,
                    Filter::GivesNothing => false,
                    Filter::Works | Filter::RefusesUnknown => {
                        words.iter().any(|word| word == known.status.word())
                    }
                }
        };
        let is_listed = |known: &&AccessRequest| !self.unlisted.contains(&known.id);
        let mut all: Vec<_> = of_list().filter(is_asked).filter(is_listed).collect();
        if self.sorted == Sorted::NewestFirst {
            all.reverse();
        }
        Ok(all)
    }
}

fn parts(token: &PageToken) -> (usize, Vec<String>) {
    serde_json::from_str(token.as_str()).unwrap()
}

pub(super) fn request(id: &str, word: &str, created: Timestamp) -> AccessRequest {
    let mut request: AccessRequest =
        serde_json::from_value(serde_json::json!({"id": id, "status": word})).unwrap();
    request.creation_date = Some(created);
    request.requestor = Some(requestor("u-1"));
    request
}

pub(super) fn requestor(id: &str) -> Arc<Identity> {
    Arc::new(Identity {
        id: id.to_owned(),
        source_id: "a@example.com".to_owned(),
    })
}

impl Reads for World {
    fn access_requests_page<'a>(
        &'a self,
        query: &'a ListQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a> {
        self.list(RemoteApi::UserV4, query.limit, &query.statuses, token)
            .boxed()
    }

    fn access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        self.read(RemoteApi::UserV4, id).boxed()
    }

    fn delegated_access_requests_page<'a>(
        &'a self,
        query: &'a DelegatedQuery,
        token: Option<&'a PageToken>,
    ) -> PageReply<'a> {
        self.list(RemoteApi::Delegated, query.limit, &query.statuses, token)
            .boxed()
    }

    fn delegated_access_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        self.read(RemoteApi::Delegated, id).boxed()
    }

    fn admin_requests<'a>(&'a self, query: &'a AdminQuery) -> AdminListReply<'a> {
        self.admin_list(query).boxed()
    }

    fn admin_request<'a>(&'a self, id: &'a str) -> RequestReply<'a> {
        self.read(RemoteApi::AdminV3, id).boxed()
    }
}
