//! A resource as the API server sent it, and how it is packed. Pure.
//!
//! # Why
//! To read and to pack five hundred resources takes as long as the API server takes for the next
//! five hundred. kube asks for the next page only when the last has been taken from it; so all that has
//! arrived is taken first, and packed while the API server works.

use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use kube::{
    core::ObjectMeta,
    runtime::watcher::{self, Event},
};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, value::RawValue};

use super::{InMemory, Stored};
use crate::crd::AccessRequest;

/// A resource of which no more has been read than what tells it from others.
pub type Arrived = InMemory<Box<RawValue>>;

/// More than what comes with one page of a list, so that one whole page is taken at once.
const AT_ONCE: usize = 1_000;

/// Packs what comes, once there is nothing more to be taken at that moment.
pub fn packed<S>(events: S) -> impl Stream<Item = watcher::Result<Event<Stored>>>
where
    S: Stream<Item = watcher::Result<Event<Arrived>>>,
{
    let at_once = events.ready_chunks(AT_ONCE);
    at_once.flat_map(stream::iter).map_ok(|event| match event {
        Event::Apply(one) => Event::Apply(Stored::from(one)),
        Event::Delete(one) => Event::Delete(Stored::from(one)),
        Event::Init => Event::Init,
        Event::InitApply(one) => Event::InitApply(Stored::from(one)),
        Event::InitDone => Event::InitDone,
    })
}

/// As much of a resource as is read at once.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    metadata: Metadata,
}

/// As much of its metadata.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    finalizers: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Arrived {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The API server names the type of an event before its object, so that this is not kept back
        // as a tree of values.
        let content = Box::<RawValue>::deserialize(deserializer)?;
        let named: Named = serde_json::from_str(content.get()).map_err(D::Error::custom)?;
        let metadata = ObjectMeta {
            name: named.metadata.name,
            namespace: named.metadata.namespace,
            uid: named.metadata.uid,
            resource_version: named.metadata.resource_version,
            finalizers: named.metadata.finalizers,
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, content })
    }
}

impl From<Arrived> for Stored {
    fn from(arrived: Arrived) -> Self {
        let text = arrived.content.get();
        // From the text itself, not from a tree of values that is made of it first, as kube's guard
        // does: that takes twice as long.
        if let Ok(resource) = serde_json::from_str(text) {
            return Self::pack(resource);
        }
        // What is wrong with it is said without a place in a text that nobody sees.
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        match AccessRequest::deserialize(&value) {
            Ok(resource) => Self::pack(resource),
            Err(error) => {
                let metadata = value.get("metadata").map(ObjectMeta::deserialize);
                let metadata = metadata.transpose().ok().flatten();
                Self::unreadable(metadata.unwrap_or(arrived.metadata), &error)
            }
        }
    }
}
