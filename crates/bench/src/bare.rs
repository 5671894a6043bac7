//! What the least of an operator's writes cost by themselves: the same objects, marked, given the same
//! status, told of in an event, deleted and let go, with no operator and no remote. What is over that
//! is the operator's; what is not is the API server's.

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{load::millis, results::Bare};

/// So many are written at once: as many as the operator may have passes under way.
const AT_ONCE: usize = 64;
/// More tell nothing more.
pub const MOST: usize = 1_000;

/// Writes without an operator.
pub struct Writes {
    /// The cluster.
    pub client: Client,
    /// The kind of the objects.
    pub kind: ApiResource,
    /// One that an operator has made ready, in a namespace: what it bears is what is written there.
    pub example: DynamicObject,
}

impl Writes {
    /// Writes all of these, and takes them away again.
    pub async fn measure(&self, all: &[DynamicObject]) -> Result<Bare> {
        let began = Instant::now();
        let lives = all.iter().map(|one| self.bring(one));
        run(lives).await?;
        let brought = began.elapsed();
        let began = Instant::now();
        let ends = all.iter().map(|one| self.take_away(one));
        run(ends).await?;
        let taken = began.elapsed();
        let each = f64::from(u32::try_from(all.len().max(1))?);
        Ok(Bare {
            burst_ms: millis(brought) / each,
            revoke_ms: millis(taken) / each,
        })
    }

    fn namespace(&self) -> String {
        self.example.namespace().unwrap_or_default()
    }

    fn api(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace(), &self.kind)
    }

    async fn bring(&self, object: &DynamicObject) -> Result<()> {
        let made = self.api().create(&PostParams::default(), object).await?;
        let metadata = json!({
            "finalizers": self.example.finalizers(),
            "annotations": self.example.annotations(),
        });
        let marked = self.patch(&made, json!({"metadata": metadata}), None);
        let marked = marked.await?;
        let status = self.example.data.get("status").cloned();
        let status = json!({"status": status.unwrap_or(Value::Null)});
        let told = self.patch(&marked, status, Some("status")).await?;
        self.tell(&told).await
    }

    async fn take_away(&self, object: &DynamicObject) -> Result<()> {
        let name = object.name_any();
        self.api().delete(&name, &DeleteParams::default()).await?;
        let metadata = json!({"metadata": {"finalizers": null}});
        let gone = self.patch(object, metadata, None).await?;
        self.tell(&gone).await
    }

    async fn patch(
        &self,
        object: &DynamicObject,
        change: Value,
        part: Option<&str>,
    ) -> Result<DynamicObject> {
        let (api, how) = (self.api(), PatchParams::default());
        let name = object.name_any();
        let patch = Patch::Merge(&change);
        Ok(match part {
            Some(_) => api.patch_status(&name, &how, &patch).await?,
            None => api.patch(&name, &how, &patch).await?,
        })
    }

    async fn tell(&self, object: &DynamicObject) -> Result<()> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace());
        let mut event = Event {
            action: Some("Told".to_owned()),
            reason: Some("Told".to_owned()),
            note: Some("access is live until its end".to_owned()),
            type_: Some("Normal".to_owned()),
            reporting_controller: Some("bare".to_owned()),
            reporting_instance: Some("bare".to_owned()),
            event_time: object.creation_timestamp().map(|at| MicroTime(at.0)),
            regarding: Some(object.object_ref(&self.kind)),
            ..Event::default()
        };
        event.metadata.generate_name = Some(format!("{}-", object.name_any()));
        api.create(&PostParams::default(), &event)
            .await
            .context("an event")?;
        Ok(())
    }
}

async fn run(all: impl Iterator<Item = impl Future<Output = Result<()>>>) -> Result<()> {
    stream::iter(all)
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
}
