//! The load: writers that create and delete objects, and the watch that sees what becomes of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
    discovery,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    bare::{self, Writes},
    results::Bare,
    subject::Subject,
};

/// As many create or delete at the same time.
const WRITERS: usize = 16;

/// What the watch has seen of one object.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    ready: Option<Instant>,
    /// When it was ready and then no longer.
    unready: Option<Instant>,
    is_gone: bool,
}

type Objects = Arc<Mutex<HashMap<(String, String), Seen>>>;

/// The load of one turn.
pub struct Load {
    client: Client,
    kind: ApiResource,
    subject: Arc<Subject>,
    objects: Objects,
    changes: watch::Receiver<u64>,
    _watching: JoinHandle<()>,
}

/// Where an object is.
pub type Place<'a> = (&'a str, &'a str);

impl Load {
    /// Begins to watch.
    pub async fn begin(client: Client, subject: Arc<Subject>) -> Result<Self> {
        let example = subject.object("default", "example")?;
        let kind = kind_of(&client, &example).await?;
        let objects = Objects::default();
        let (tell, changes) = watch::channel(0);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
        let watching = tokio::spawn(follow(
            api,
            Arc::clone(&subject),
            Arc::clone(&objects),
            tell,
        ));
        Ok(Self {
            client,
            kind,
            subject,
            objects,
            changes,
            _watching: watching,
        })
    }

    /// What the same writes cost without an operator; `ready` is one that an operator has made ready.
    pub async fn bare(&self, count: usize, ready: DynamicObject) -> Result<Bare> {
        let namespace = ready.namespace().context("an object in a namespace")?;
        let names = (0..count.min(bare::MOST)).map(|number| format!("bare-{number:05}"));
        let objects = names.map(|name| {
            let object = self.subject.object(&namespace, &name)?;
            Ok(serde_json::from_value(object)?)
        });
        let objects: Vec<DynamicObject> = objects.collect::<Result<_>>()?;
        let writes = Writes {
            client: self.client.clone(),
            kind: self.kind.clone(),
            example: ready,
        };
        writes.measure(&objects).await
    }

    /// What its objects are called in paths.
    pub fn plural(&self) -> &str {
        &self.kind.plural
    }

    /// One object as it is now.
    pub async fn get(&self, (namespace, name): Place<'_>) -> Result<DynamicObject> {
        Ok(self.api(namespace).get(name).await?)
    }

    fn api(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &self.kind)
    }

    /// Creates one; gives when the request was sent.
    async fn create(&self, (namespace, name): Place<'_>) -> Result<Instant> {
        let object = serde_json::from_value(self.subject.object(namespace, name)?)?;
        let sent = Instant::now();
        let api = self.api(namespace);
        api.create(&PostParams::default(), &object).await?;
        Ok(sent)
    }

    /// Creates all, many at a time; gives when each request was sent, in their order.
    pub async fn create_all(&self, namespace: &str, names: &[String]) -> Result<Vec<Instant>> {
        let creates = names.iter().map(|name| self.create((namespace, name)));
        stream::iter(creates).buffered(WRITERS).try_collect().await
    }

    /// Creates one and waits until it is ready; gives how long that took, in milliseconds.
    pub async fn one(&self, namespace: &str, name: &str, patience: Duration) -> Result<f64> {
        let sent = self.create((namespace, name)).await?;
        let ready = self.ready(namespace, &[name.to_owned()], patience).await?;
        let ready = ready.first().context("it was waited for")?;
        Ok(millis(ready.saturating_duration_since(sent)))
    }

    /// Waits until all are ready; gives when each became so.
    pub async fn ready(
        &self,
        namespace: &str,
        names: &[String],
        patience: Duration,
    ) -> Result<Vec<Instant>> {
        self.wait(namespace, names, patience, "ready", |seen| seen.ready)
            .await
    }

    /// Waits until all that were ready are so no longer; gives when that was seen.
    pub async fn unready(
        &self,
        namespace: &str,
        names: &[String],
        patience: Duration,
    ) -> Result<Vec<Instant>> {
        self.wait(namespace, names, patience, "no longer ready", |seen| {
            seen.unready
        })
        .await
    }

    async fn wait(
        &self,
        namespace: &str,
        names: &[String],
        patience: Duration,
        what: &str,
        look: impl Fn(&Seen) -> Option<Instant>,
    ) -> Result<Vec<Instant>> {
        let until = Instant::now() + patience;
        let mut changes = self.changes.clone();
        loop {
            changes.mark_unchanged();
            let found: Vec<_> = {
                let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
                let each = names.iter().map(|name| {
                    let seen = objects.get(&(namespace.to_owned(), name.clone()));
                    seen.and_then(&look)
                });
                each.collect()
            };
            if let Some(all) = found.iter().copied().collect::<Option<Vec<_>>>() {
                return Ok(all);
            }
            let missing = found.iter().filter(|one| one.is_none()).count();
            tokio::select! {
                changed = changes.changed() => changed.context("the watch has ended")?,
                () = sleep_until(until) => bail!("{missing} of {} are not {what}", names.len()),
            }
            // Thousands change in a burst; not each is worth a look at all.
            let _ = timeout(Duration::from_millis(2), std::future::pending::<()>()).await;
        }
    }

    /// Deletes all of a namespace that the watch has seen, and waits until they are gone.
    pub async fn delete_all(&self, namespace: &str, patience: Duration) -> Result<()> {
        let names: Vec<_> = {
            let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
            let of = objects
                .iter()
                .filter(|((space, _), seen)| space == namespace && !seen.is_gone);
            of.map(|((_, name), _)| name.clone()).collect()
        };
        let api = self.api(namespace);
        let deletes = names.iter().map(|name| {
            let (api, how) = (&api, DeleteParams::default());
            async move { api.delete(name, &how).await.map(drop) }
        });
        stream::iter(deletes)
            .buffer_unordered(WRITERS)
            .try_collect::<()>()
            .await?;
        let gone = |seen: &Seen| seen.is_gone.then(Instant::now);
        self.wait(namespace, &names, patience, "gone", gone).await?;
        Ok(())
    }

    /// How many objects there are, as the apiserver has it.
    pub async fn count(&self) -> Result<usize> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &self.kind);
        let one = ListParams::default().limit(1);
        let list = api.list_metadata(&one).await?;
        let more = list.metadata.remaining_item_count.unwrap_or_default();
        Ok(list.items.len() + usize::try_from(more)?)
    }
}

/// A time in milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

async fn follow(
    api: Api<DynamicObject>,
    subject: Arc<Subject>,
    objects: Objects,
    tell: watch::Sender<u64>,
) {
    let events = watcher(api, watcher::Config::default()).default_backoff();
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let (object, is_gone) = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                (object, false)
            }
            Ok(watcher::Event::Delete(object)) => (object, true),
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => continue,
        };
        let now = Instant::now();
        let place = (object.namespace().unwrap_or_default(), object.name_any());
        let is_ready = subject.ready.holds(&object.data);
        {
            let mut objects = objects.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = objects.entry(place).or_default();
            seen.is_gone = is_gone;
            if is_ready {
                seen.ready.get_or_insert(now);
            } else if seen.ready.is_some() {
                seen.unready.get_or_insert(now);
            }
        }
        tell.send_modify(|count| *count += 1);
    }
}

async fn kind_of(client: &Client, object: &Value) -> Result<ApiResource> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", "v1"));
    let kind = GroupVersionKind::gvk(group, version, text("kind"));
    let found = discovery::pinned_kind(client, &kind).await;
    Ok(found.with_context(|| format!("no such kind: {kind:?}"))?.0)
}

/// Applies YAML documents, as kubectl does.
pub async fn apply(client: &Client, yaml: &str) -> Result<()> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml)?;
    for document in documents.into_iter().filter(|document| !document.is_null()) {
        let kind = kind_of(client, &document).await?;
        let text = |path: &str| document.pointer(path).and_then(Value::as_str);
        let name = text("/metadata/name").context("an object without a name")?;
        let api: Api<DynamicObject> = match text("/metadata/namespace") {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
            None => Api::all_with(client.clone(), &kind),
        };
        let how = PatchParams::apply("bench").force();
        let applied = api.patch(name, &how, &Patch::Apply(&document)).await;
        applied.with_context(|| format!("could not apply {name}"))?;
    }
    Ok(())
}
