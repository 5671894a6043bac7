//! What is done with each `AccessRequest`, said in one line. Pure.

use std::{collections::BTreeMap, fmt};

use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

use crate::{
    connection::ConnectionKey,
    crd::{ConnectionRef, FINALIZER, LAST_APPLIED_ANNOTATION},
};

/// As much of a message as is shown.
const SHOWN: usize = 200;

/// What becomes of the access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is taken back.
    Revoke,
    /// It stays, for another operator to adopt.
    HandOver,
}

/// An `AccessRequest` as it was found, read leniently: what cannot be read holds up nothing.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it is.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which one of that name.
    pub uid: String,
    /// Whether it is being deleted already.
    pub is_going: bool,
    /// The whole of it.
    pub body: Value,
}

impl Request {
    /// As it was found.
    pub fn new(object: &DynamicObject) -> Self {
        let metadata = &object.metadata;
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            is_going: metadata.deletion_timestamp.is_some(),
            body: serde_json::to_value(object).unwrap_or_default(),
        }
    }

    /// Its namespace and name.
    pub fn place(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// A text of it, empty where there is none.
    pub fn text(&self, pointer: &str) -> &str {
        let found = self.body.pointer(pointer);
        found.and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether something was asked for: before that it goes without anybody's help.
    fn is_held(&self) -> bool {
        let finalizers = self.body.pointer("/metadata/finalizers");
        let finalizers = finalizers.and_then(Value::as_array);
        finalizers.is_some_and(|all| all.iter().any(|one| one == FINALIZER))
    }

    fn connection(&self) -> ConnectionKey {
        let written = self.body.pointer("/spec/connectionRef").cloned();
        let written = written.and_then(|one| serde_json::from_value::<ConnectionRef>(one).ok());
        ConnectionKey::named_by(written.as_ref(), &self.namespace)
    }
}

/// The connections, as far as orphans are concerned.
#[derive(Clone, Debug, Default)]
pub struct Connections(BTreeMap<String, bool>);

impl Connections {
    /// Of both kinds.
    pub fn new(all: &[(ConnectionKey, DynamicObject)]) -> Self {
        let allows = |object: &DynamicObject| {
            let orphan = object.data.pointer("/spec/allow/orphan");
            orphan.and_then(Value::as_bool).unwrap_or(false)
        };
        let rows = all.iter().map(|(key, one)| (key.to_string(), allows(one)));
        Self(rows.collect())
    }

    /// Whether access may be left behind; nothing where there is no such connection.
    fn allows_orphan(&self, key: &ConnectionKey) -> Option<bool> {
        self.0.get(&key.to_string()).copied()
    }
}

/// What is done with one request.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Which.
    pub request: Request,
    fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing was asked for, or it is being deleted already.
    Goes,
    /// Its access is taken back.
    Revoked,
    /// Its access stays, as its own policy says.
    Orphaned,
    /// Its access stays, and its manifest is printed.
    HandedOver,
    /// It cannot be handed over.
    Refused(String),
}

/// Decides what is done with a request.
pub fn choose(request: Request, mode: Mode, connections: &Connections) -> Choice {
    let key = request.connection();
    let allows = connections.allows_orphan(&key);
    let is_orphan = request.text("/spec/deletionPolicy") == "Orphan";
    let fate = match mode {
        _ if request.is_going => Fate::Goes,
        Mode::HandOver if !request.is_held() => Fate::HandedOver,
        _ if !request.is_held() => Fate::Goes,
        Mode::Revoke if is_orphan && allows == Some(true) => Fate::Orphaned,
        Mode::Revoke => Fate::Revoked,
        Mode::HandOver => match allows {
            Some(true) => Fate::HandedOver,
            Some(false) => Fate::Refused(format!(
                "{key} does not allow access to be left behind: set spec.allow.orphan: true there, \
                 or take it back with drain alone"
            )),
            None => Fate::Refused(format!(
                "there is no {key} that could allow access to be left behind: create it, or take \
                 the access back with drain alone"
            )),
        },
    };
    Choice { request, fate }
}

impl Choice {
    /// Whether the order cannot be carried out because of it.
    pub fn is_refused(&self) -> bool {
        matches!(self.fate, Fate::Refused(_))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.fate {
            Fate::Goes => "goes",
            Fate::Revoked => "revoke",
            Fate::Orphaned => "orphan",
            Fate::HandedOver => "hand over",
            Fate::Refused(_) => "REFUSED",
        };
        let phase = self.request.text("/status/phase");
        let phase = if phase.is_empty() { "not asked" } else { phase };
        write!(formatter, "{word:<10}{} ({phase})", self.request.place())?;
        match &self.fate {
            Fate::Refused(why) => write!(formatter, ": {why}"),
            Fate::Orphaned => write!(
                formatter,
                ": its access stays, spec.deletionPolicy is Orphan"
            ),
            Fate::Goes | Fate::Revoked | Fate::HandedOver => Ok(()),
        }
    }
}

/// What another operator adopts the access by, in one line: the resource as people wrote it, with the
/// record of what was asked.
pub fn manifest(current: &Value, original: &Value) -> String {
    let pick = |from: &Value, names: &[&str]| -> Map<String, Value> {
        let found = names.iter().map(|name| (*name, from[*name].clone()));
        let found = found.filter(|(_, value)| !value.is_null());
        found
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    };
    let metadata = &current["metadata"];
    let mut metadata = pick(metadata, &["namespace", "name", "labels", "annotations"]);
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED_ANNOTATION);
    }
    let mut whole = pick(original, &["apiVersion", "kind", "spec"]);
    whole.insert("metadata".to_owned(), json!(metadata));
    Value::Object(whole).to_string()
}

/// The beginning of a text, as far as it is shown.
pub(super) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: Value) -> Request {
        let mut body = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {
                "name": "orders", "namespace": "payments", "uid": "u1",
                "finalizers": [FINALIZER], "resourceVersion": "7",
                "annotations": {LAST_APPLIED_ANNOTATION: "{}", "access.apono.io/attempt": "{}"}
            },
            "spec": {"access": {"bundle": "prod-read"}},
            "status": {"phase": "Active"}
        });
        if let Value::Object(change) = change {
            for (pointer, value) in change {
                *body.pointer_mut(&pointer).unwrap() = value;
            }
        }
        Request::new(&serde_json::from_value(body).unwrap())
    }

    fn connections(orphan: Option<bool>) -> Connections {
        let key = ConnectionKey::cluster("default").to_string();
        Connections(orphan.map(|orphan| (key, orphan)).into_iter().collect())
    }

    fn said(change: Value, mode: Mode, orphan: Option<bool>) -> String {
        choose(request(change), mode, &connections(orphan)).to_string()
    }

    #[test]
    fn what_was_asked_for_is_taken_back_unless_it_says_otherwise_and_may() {
        let orphan = || json!({"/spec": {"deletionPolicy": "Orphan"}});
        for (change, allows, word) in [
            (json!({}), None, "revoke    "),
            (json!({}), Some(true), "revoke    "),
            (orphan(), Some(true), "orphan    "),
            (orphan(), Some(false), "revoke    "),
            (orphan(), None, "revoke    "),
            (json!({"/metadata/finalizers": []}), None, "goes      "),
        ] {
            let said = said(change, Mode::Revoke, allows);
            let wanted = format!("{word}payments/orders (Active)");
            assert!(said.starts_with(&wanted), "{said}");
        }
    }

    #[test]
    fn what_is_handed_over_has_to_be_allowed_to_stay() {
        let (hand_over, held) = (Mode::HandOver, || json!({}));
        assert!(said(held(), hand_over, Some(true)).starts_with("hand over payments"));
        let unasked = json!({"/metadata/finalizers": []});
        assert!(said(unasked, hand_over, None).starts_with("hand over payments"));
        for (allows, words) in [
            (Some(false), "set spec.allow.orphan: true"),
            (None, "there is no ClusterAponoConnection default"),
        ] {
            let said = said(held(), hand_over, allows);
            assert!(
                said.starts_with("REFUSED") && said.contains(words),
                "{said}"
            );
        }
    }

    #[test]
    fn what_is_handed_over_is_what_people_wrote_and_what_was_asked() {
        let before = request(json!({}));
        let orphaned = request(json!({
            "/spec": {"access": {"bundle": "prod-read"}, "deletionPolicy": "Orphan", "suspend": true},
            "/metadata/annotations": {LAST_APPLIED_ANNOTATION: "{}", "access.apono.io/attempt": "{\"n\":1}"}
        }));
        let text = manifest(&orphaned.body, &before.body);
        let printed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            printed,
            json!({
                "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
                "metadata": {
                    "name": "orders", "namespace": "payments",
                    "annotations": {"access.apono.io/attempt": "{\"n\":1}"}
                },
                "spec": {"access": {"bundle": "prod-read"}}
            })
        );
    }
}
