//! The Secret that credentials are delivered into. IO, by name only: Secrets are never listed and
//! never watched.
//!
//! Guarantees: only a Secret whose owner is this very resource is changed or removed, with uid and
//! resourceVersion; one that was made immutable is made anew instead; type, labels and annotations come from here, never from what is delivered.

use std::{collections::BTreeMap, time::Duration};

use data_encoding::{BASE64, HEXLOWER};
use k8s_openapi::{ByteString, api::core::v1::Secret as Object};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::ObjectMeta,
};
use rand::RngExt;
use serde_json::{Map, Value, json};

use super::{
    data::{Data, digest},
    scene::{Delivered, Record, SecretSight},
};
use crate::{
    controller::{Context, bounds, observed::is_definite},
    crd::{
        AccessRequest, DELIVERED_ANNOTATION, FIELD_MANAGER, READING_ANNOTATION,
        RESETTING_ANNOTATION, SALT_ANNOTATION,
    },
    kubernetes::{self, deadline},
    metrics::KubeWrite,
};

/// Bytes of randomness in the key of a digest.
const SALT_BYTES: usize = 16;
/// As much of an apiserver's words as a status bears.
const WORDS: usize = 300;

/// What was deleted to be made anew is worth so many tries.
const TRIES_ANEW: u32 = 5;
/// After the first of them.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// The Secrets of one resource.
#[derive(Clone, Copy)]
pub struct Store<'a> {
    context: &'a Context,
    resource: &'a AccessRequest,
}

/// A Secret of ours as it was read. It has no `Debug`: its data is secret.
#[derive(Clone)]
pub struct Owned {
    /// Which one, in which version.
    metadata: ObjectMeta,
    /// What it holds.
    pub data: Data,
    /// What it says of that.
    pub record: Record,
    /// The key of its digest.
    pub salt: String,
    /// Whether somebody has made it immutable: then it can only be deleted.
    pub is_immutable: bool,
    /// Whether it was made anew for that reason.
    pub made_anew: bool,
}

/// What is in the place of the Secret.
#[derive(Clone)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A Secret of somebody else.
    Foreign,
    /// Ours.
    Ours(Box<Owned>),
}

impl Found {
    /// What the decision has to know of it.
    pub fn sight(&self) -> SecretSight {
        match self {
            Self::Absent => SecretSight::Absent,
            Self::Foreign => SecretSight::Foreign,
            Self::Ours(owned) => SecretSight::Ours(owned.record.clone()),
        }
    }
}

/// What is to stand in the Secret.
pub struct Content<'a> {
    /// The data.
    pub data: &'a Data,
    /// What it says of that.
    pub record: &'a Record,
}

impl<'a> Store<'a> {
    /// Those of this resource.
    pub fn of(context: &'a Context, resource: &'a AccessRequest) -> Self {
        Self { context, resource }
    }

    fn api(&self) -> Api<Object> {
        let namespace = self.resource.namespace().unwrap_or_default();
        Api::namespaced(self.context.client.clone(), &namespace)
    }

    /// Looks at the Secret of this name.
    pub async fn get(&self, name: &str) -> Result<Found, kubernetes::Error> {
        let api = self.api();
        let get = api.get_opt(name);
        let found = deadline("read the Secret", self.context.kube_timeout, get).await?;
        Ok(found.map_or(Found::Absent, |object| self.judge(object)))
    }

    fn judge(&self, object: Object) -> Found {
        let uid = self.resource.uid();
        let owners = object.metadata.owner_references.iter().flatten();
        let is_ours = owners
            .map(|owner| &owner.uid)
            .any(|one| Some(one) == uid.as_ref());
        if is_ours {
            Found::Ours(Box::new(Owned::of(object)))
        } else {
            Found::Foreign
        }
    }

    /// Makes the Secret, owned by the resource; with this key of its digest, or a new one.
    pub async fn create(
        &self,
        name: &str,
        content: &Content<'_>,
        salt: Option<&str>,
    ) -> Result<Owned, kubernetes::Error> {
        let salt = salt.map_or_else(random_salt, str::to_owned);
        let object = Object {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                owner_references: self.resource.controller_owner_ref(&()).map(|one| vec![one]),
                labels: Some(labels()),
                annotations: Some(annotations(content.record, &salt)),
                ..ObjectMeta::default()
            },
            type_: Some("Opaque".to_owned()),
            data: Some(bytes(content.data)),
            ..Object::default()
        };
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let api = self.api();
        let create = api.create(&parameters, &object);
        self.context.metrics.kube_write(KubeWrite::Secret);
        let made = deadline("create the Secret", self.context.kube_timeout, create).await?;
        Ok(Owned::of(made))
    }

    /// Makes it hold this and nothing else.
    pub async fn replace(
        &self,
        owned: &Owned,
        content: &Content<'_>,
    ) -> Result<Owned, kubernetes::Error> {
        if owned.is_immutable {
            return self.make_anew(owned, content).await;
        }
        let mut data = Map::new();
        for key in owned.data.keys() {
            data.insert(key.clone(), Value::Null);
        }
        for (key, value) in content.data {
            let text = BASE64.encode(value.expose().as_bytes());
            data.insert(key.clone(), Value::String(text));
        }
        let patch = Patch::Merge(json!({
            "metadata": {
                "uid": owned.metadata.uid,
                "resourceVersion": owned.metadata.resource_version,
                "labels": labels(),
                "annotations": annotations(content.record, &owned.salt),
            },
            "data": data,
        }));
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let (api, name) = (self.api(), owned.metadata.name.clone().unwrap_or_default());
        let patch = api.patch(&name, &parameters, &patch);
        self.context.metrics.kube_write(KubeWrite::Secret);
        let patched = deadline("write the Secret", self.context.kube_timeout, patch).await?;
        Ok(Owned::of(patched))
    }

    /// Removes it, and makes one of the same name. What it held is in memory only in between, so
    /// making it is tried a few times.
    async fn make_anew(
        &self,
        owned: &Owned,
        content: &Content<'_>,
    ) -> Result<Owned, kubernetes::Error> {
        self.delete(owned).await?;
        let name = owned.metadata.name.clone().unwrap_or_default();
        let mut tries = 1;
        loop {
            let error = match self.create(&name, content, Some(&owned.salt)).await {
                Ok(made) => {
                    return Ok(Owned {
                        made_anew: true,
                        ..made
                    });
                }
                Err(error) => error,
            };
            let code = error.status().map(|status| status.code);
            if tries >= TRIES_ANEW || is_definite(code) {
                return Err(error);
            }
            tokio::time::sleep(BETWEEN_TRIES * tries).await;
            tries += 1;
        }
    }

    /// Removes it.
    pub async fn delete(&self, owned: &Owned) -> Result<(), kubernetes::Error> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: owned.metadata.uid.clone(),
                resource_version: owned.metadata.resource_version.clone(),
            }),
            ..DeleteParams::default()
        };
        let (api, name) = (self.api(), owned.metadata.name.clone().unwrap_or_default());
        let delete = api.delete(&name, &parameters);
        self.context.metrics.kube_write(KubeWrite::Secret);
        let deleted = deadline("delete the Secret", self.context.kube_timeout, delete).await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Owned {
    fn of(object: Object) -> Self {
        let annotations = object.metadata.annotations.clone().unwrap_or_default();
        let read = |name: &str| annotations.get(name).map(String::as_str);
        let salt = read(SALT_ANNOTATION).map_or_else(random_salt, str::to_owned);
        let text = |ByteString(bytes)| String::from_utf8_lossy(&bytes).into_owned();
        let data = object.data.unwrap_or_default().into_iter();
        let data: Data = data.map(|(key, value)| (key, text(value).into())).collect();
        let delivered: BTreeMap<String, Delivered> = decoded(read(DELIVERED_ANNOTATION));
        let digest = (!delivered.is_empty())
            .then(|| digest(&salt, &data))
            .flatten();
        let record = Record {
            reading: decoded(read(READING_ANNOTATION)),
            resetting: decoded(read(RESETTING_ANNOTATION)),
            delivered,
            digest,
        };
        Self {
            metadata: object.metadata,
            data,
            record,
            salt,
            is_immutable: object.immutable == Some(true),
            made_anew: false,
        }
    }
}

fn decoded<T: serde::de::DeserializeOwned + Default>(text: Option<&str>) -> T {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn labels() -> BTreeMap<String, String> {
    let label = ("app.kubernetes.io/managed-by", FIELD_MANAGER);
    BTreeMap::from([(label.0.to_owned(), label.1.to_owned())])
}

/// What is empty is removed by being null in a patch, and left out of a new object by being empty.
fn annotations(record: &Record, salt: &str) -> BTreeMap<String, String> {
    // Serialising strings and times into memory has no way to fail.
    let reading = serde_json::to_string(&record.reading).unwrap_or_default();
    let resetting = serde_json::to_string(&record.resetting).unwrap_or_default();
    let delivered = serde_json::to_string(&record.delivered).unwrap_or_default();
    let all = [
        (READING_ANNOTATION, reading),
        (RESETTING_ANNOTATION, resetting),
        (DELIVERED_ANNOTATION, delivered),
        (SALT_ANNOTATION, salt.to_owned()),
    ];
    all.map(|(name, value)| (name.to_owned(), value)).into()
}

fn bytes(data: &Data) -> BTreeMap<String, ByteString> {
    let pair = |(key, value): (&String, &apono_client::Secret)| {
        (key.clone(), ByteString(value.expose().as_bytes().to_vec()))
    };
    data.iter().map(pair).collect()
}

fn random_salt() -> String {
    let random: [u8; SALT_BYTES] = rand::rng().random();
    HEXLOWER.encode(&random)
}

/// The apiserver's words, for people. It never repeats what was to be written.
pub fn words_of(error: &kubernetes::Error) -> String {
    let said = error.status().map(|status| status.message.clone());
    let text = said
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| error.to_string());
    bounds::cut(&text, WORDS)
}
