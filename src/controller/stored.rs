//! A resource as it is kept between passes: packed, and beside it the little that is asked of all
//! resources at once. Pure.
//!
//! # Why
//! A decoded resource is some eighty small pieces of memory, 5 KiB in all, and nearly all of ten
//! thousand are at rest. Packed it is one piece of about a seventh of that: the text that it has on
//! the wire, less what nobody looks at, compressed with the words that all resources have in common
//! (`VOCABULARY`). A pass unpacks the one that it is about.

use std::{borrow::Cow, fmt, sync::Arc};

use jiff::Timestamp;
use kube::{
    Resource,
    core::{ObjectMeta, error_boundary::InvalidObject},
};
use lz4_flex::block::{DecompressError, compress_with_dict, decompress_with_dict};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, value::RawValue};
use thiserror::Error;

use super::{observe::connection_key, owed::needs_connection, turns::Urgency};
use crate::{
    connection::ConnectionKey,
    crd::{AccessRequest, LAST_APPLIED_ANNOTATION, Phase},
};

/// The text of a resource that is at rest, with the reasons and messages of others: what a resource
/// shares with it is not kept again. Any other text would do, and save less.
const VOCABULARY: &[u8] = include_bytes!("stored/vocabulary.json");

/// A resource in memory, or why it cannot be read.
#[derive(Clone)]
pub struct Stored {
    /// No more than what tells it from others, and of one that cannot be read whether it is held.
    metadata: ObjectMeta,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Packed {
        facts: Facts,
        text: Box<[u8]>,
        /// In bytes, of the text when it is unpacked.
        length: usize,
    },
    Unreadable(Arc<InvalidObject>),
}

/// What is asked of many resources at once, too often to unpack them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The connection that it names.
    pub connection: ConnectionKey,
    /// The phase in its status.
    pub phase: Option<Phase>,
    /// How much a pass over it matters.
    pub urgency: Urgency,
    /// Since when it waits for people, where it does.
    pub waiting_since: Option<Timestamp>,
    /// Whether something may be live or open that was asked for through its connection.
    pub needs_connection: bool,
}

/// What a pass is handed.
pub enum Unpacked {
    /// The resource, without what nobody looks at.
    Readable(Box<AccessRequest>),
    /// This version cannot read it.
    Unreadable(Arc<InvalidObject>),
}

/// What was packed does not read: a fault of this program.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// Not what was compressed.
    #[error("the packed resource does not decompress")]
    Decompress(#[source] DecompressError),
    /// Not the text of a resource.
    #[error("the packed resource does not decode")]
    Decode(#[source] serde_json::Error),
}

impl Stored {
    /// Packs a resource. What is dropped is looked at by nobody.
    pub fn pack(mut resource: AccessRequest) -> Self {
        strip(&mut resource.metadata);
        let text = match serde_json::to_vec(&resource) {
            Ok(text) => text,
            Err(error) => return Self::unreadable(resource.metadata, &error),
        };
        let content = Content::Packed {
            facts: Facts::of(&resource),
            text: compress_with_dict(&text, VOCABULARY).into_boxed_slice(),
            length: text.len(),
        };
        let metadata = distinctive(&resource.metadata);
        Self { metadata, content }
    }

    fn unreadable(mut metadata: ObjectMeta, error: &serde_json::Error) -> Self {
        strip(&mut metadata);
        let distinctive = ObjectMeta {
            finalizers: metadata.finalizers.clone(),
            ..distinctive(&metadata)
        };
        let error = error.to_string();
        let invalid = InvalidObject { error, metadata };
        Self {
            metadata: distinctive,
            content: Content::Unreadable(Arc::new(invalid)),
        }
    }

    /// A resource of this name with nothing in it.
    pub fn skeleton(&self) -> AccessRequest {
        AccessRequest {
            metadata: self.metadata.clone(),
            ..AccessRequest::default()
        }
    }

    /// What is known of it without unpacking; nothing of one that cannot be read.
    pub fn facts(&self) -> Option<&Facts> {
        match &self.content {
            Content::Packed { facts, .. } => Some(facts),
            Content::Unreadable(_) => None,
        }
    }

    /// The whole resource.
    pub fn unpack(&self) -> Result<Unpacked, UnpackError> {
        Ok(match &self.content {
            Content::Packed { text, length, .. } => {
                let text = decompressed(text, *length)?;
                let resource = serde_json::from_slice(&text).map_err(UnpackError::Decode)?;
                Unpacked::Readable(resource)
            }
            Content::Unreadable(invalid) => Unpacked::Unreadable(Arc::clone(invalid)),
        })
    }

    /// Unpacks it if it can be read and one of these texts occurs anywhere in it: a glance where
    /// few of many are meant.
    pub fn unpack_if_mentions(&self, texts: &[&str]) -> Option<Box<AccessRequest>> {
        let Content::Packed { text, length, .. } = &self.content else {
            return None;
        };
        let text = String::from_utf8(decompressed(text, *length).ok()?).ok()?;
        let mentions = |wanted: &&str| {
            let quoted = Value::from(*wanted).to_string();
            text.contains(quoted.trim_matches('"'))
        };
        let is_meant = texts.iter().any(mentions);
        is_meant.then(|| serde_json::from_str(&text).ok()).flatten()
    }
}

/// Takes away what nobody looks at.
fn strip(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED_ANNOTATION);
    }
}

/// What tells a resource from others.
fn distinctive(metadata: &ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        resource_version: metadata.resource_version.clone(),
        ..ObjectMeta::default()
    }
}

fn decompressed(text: &[u8], length: usize) -> Result<Vec<u8>, UnpackError> {
    decompress_with_dict(text, length, VOCABULARY).map_err(UnpackError::Decompress)
}

impl Facts {
    fn of(resource: &AccessRequest) -> Self {
        Self {
            connection: connection_key(resource),
            phase: resource.status.as_ref().and_then(|status| status.phase),
            urgency: Urgency::of(resource),
            waiting_since: waiting_since(resource),
            needs_connection: needs_connection(resource),
        }
    }
}

/// Since when it waits for people, where it does: since it was asked for.
fn waiting_since(resource: &AccessRequest) -> Option<Timestamp> {
    let status = resource.status.as_ref()?;
    if !matches!(status.phase?, Phase::Pending | Phase::PendingMfa) {
        return None;
    }
    let posts = status.attempt.iter().flat_map(|attempt| &attempt.posts);
    let asked = posts
        .filter_map(|post| post.time.as_ref())
        .map(|time| time.0);
    let created = resource.metadata.creation_timestamp.as_ref().map(|at| at.0);
    asked.max().or(created)
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As kube's guard does, so that one that does not read holds up no list; but read from the
        // text itself, not from a tree of values that is made of it first: that takes twice as long.
        // The API server names the type of an event before its object, so that it is not kept back.
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if let Ok(resource) = serde_json::from_str(text.get()) {
            return Ok(Self::pack(resource));
        }
        // What is wrong with it is said without a place in a text that nobody sees.
        let value: Value = serde_json::from_str(text.get()).map_err(D::Error::custom)?;
        match AccessRequest::deserialize(&value) {
            Ok(resource) => Ok(Self::pack(resource)),
            Err(error) => {
                let metadata = value.get("metadata").map(ObjectMeta::deserialize);
                let metadata = metadata.transpose().map_err(D::Error::custom)?;
                Ok(Self::unreadable(metadata.unwrap_or_default(), &error))
            }
        }
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stored")
            .field("namespace", &self.metadata.namespace)
            .field("name", &self.metadata.name)
            .finish_non_exhaustive()
    }
}

impl Resource for Stored {
    type DynamicType = <AccessRequest as Resource>::DynamicType;
    type Scope = <AccessRequest as Resource>::Scope;

    fn kind(kind: &Self::DynamicType) -> Cow<'_, str> {
        AccessRequest::kind(kind)
    }

    fn group(kind: &Self::DynamicType) -> Cow<'_, str> {
        AccessRequest::group(kind)
    }

    fn version(kind: &Self::DynamicType) -> Cow<'_, str> {
        AccessRequest::version(kind)
    }

    fn plural(kind: &Self::DynamicType) -> Cow<'_, str> {
        AccessRequest::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests;
