//! What a drain reads and writes. IO; decides nothing.
//!
//! Everything is read as it is, not as this version's types: what does not decode has to go too.

use std::collections::BTreeSet;

use kube::{
    Api, Client, Resource,
    api::{
        ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions,
    },
};
use serde_json::{Value, json};

use super::{
    choice::Request,
    left::{Debt, Left},
};
use crate::{
    connection::ConnectionKey,
    crd::{
        AccessRequest, AponoConnection, ClusterAponoConnection, IN_USE_FINALIZER, OwedRevocation,
    },
    kubernetes::{self, Error, deadline},
    metrics::Metrics,
    settings::{Scope, Settings},
};

/// As many objects as one page of a list holds.
const PAGE: u32 = 500;
/// Who writes here, in the metadata of the objects: not the operator at work.
const MANAGER: &str = "apono-operator-drain";

/// The part of a cluster that is drained.
pub struct Cluster {
    client: Client,
    scope: Scope,
    timeout: std::time::Duration,
    /// Where debts are.
    pub debts_namespace: String,
}

impl Cluster {
    /// The one that these settings serve.
    pub async fn connect(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            client: kubernetes::connect(&Metrics::new()).await?,
            scope: settings.scope.clone(),
            timeout: settings.kube_timeout,
            debts_namespace: settings.operator_namespace.clone(),
        })
    }

    /// Every access request.
    pub async fn requests(&self) -> Result<Vec<Request>, Error> {
        let mut all = Vec::new();
        for api in self.served::<AccessRequest>() {
            let found = self.list(&api, "list the access requests").await?;
            all.extend(found.iter().map(Request::new));
        }
        Ok(all)
    }

    /// Every connection of both kinds that is served.
    pub async fn connections(&self) -> Result<Vec<(ConnectionKey, DynamicObject)>, Error> {
        let mut all = Vec::new();
        for api in self.served::<AponoConnection>() {
            for one in self.list(&api, "list the connections").await? {
                let namespace = one.metadata.namespace.clone().unwrap_or_default();
                let name = one.metadata.name.clone().unwrap_or_default();
                all.push((ConnectionKey::namespaced(namespace, name), one));
            }
        }
        if self.scope == Scope::Cluster {
            let resource = ApiResource::erase::<ClusterAponoConnection>(&());
            let api = Api::all_with(self.client.clone(), &resource);
            for one in self.list(&api, "list the cluster's connections").await? {
                let name = one.metadata.name.clone().unwrap_or_default();
                all.push((ConnectionKey::cluster(name), one));
            }
        }
        Ok(all)
    }

    /// What is left; of these resources that were there from the start, or made since.
    pub async fn left(&self, known: &BTreeSet<String>) -> Result<Left, Error> {
        let mut left = Left::default();
        for request in self.requests().await? {
            if request.is_going || known.contains(&request.uid) {
                left.going.push(request);
            } else {
                left.made.push(request.place());
            }
        }
        let resource = ApiResource::erase::<OwedRevocation>(&());
        let debts = Api::namespaced_with(self.client.clone(), &self.debts_namespace, &resource);
        let debts = self.list(&debts, "list what is owed").await?;
        left.debts = debts.iter().map(debt).collect();
        let connections = self.connections().await?.into_iter();
        let held = connections.filter(|(_, one)| is_held(one));
        left.held = held.map(|(key, _)| key.to_string()).collect();
        Ok(left)
    }

    /// Suspends the resource and makes it one that leaves its access behind; nothing where it is gone.
    pub async fn orphan(&self, request: &Request) -> Result<Option<Request>, Error> {
        let patch = Patch::Merge(json!({
            "metadata": {"uid": request.uid},
            "spec": {"deletionPolicy": "Orphan", "suspend": true}
        }));
        let parameters = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(request);
        let patched = api.patch(&request.name, &parameters, &patch);
        match deadline("suspend an access request", self.timeout, patched).await {
            Ok(found) => Ok(Some(Request::new(&found))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Deletes exactly this one; that it is gone already, or another has its name, is as good.
    pub async fn delete(&self, request: &Request) -> Result<(), Error> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(request.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let api = self.api(request);
        let deletion = api.delete(&request.name, &parameters);
        match deadline("delete an access request", self.timeout, deletion).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn api(&self, request: &Request) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<AccessRequest>(&());
        Api::namespaced_with(self.client.clone(), &request.namespace, &resource)
    }

    /// Where the objects of a kind are looked for.
    fn served<K: Resource<DynamicType = ()>>(&self) -> Vec<Api<DynamicObject>> {
        let resource = ApiResource::erase::<K>(&());
        match &self.scope {
            Scope::Cluster => vec![Api::all_with(self.client.clone(), &resource)],
            Scope::Namespaces(served) => served
                .iter()
                .map(|one| Api::namespaced_with(self.client.clone(), one, &resource))
                .collect(),
        }
    }

    async fn list(
        &self,
        api: &Api<DynamicObject>,
        doing: &'static str,
    ) -> Result<Vec<DynamicObject>, Error> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let mut parameters = ListParams::default().limit(PAGE);
            parameters.continue_token = token;
            let page = deadline(doing, self.timeout, api.list(&parameters)).await?;
            all.extend(page.items);
            token = page.metadata.continue_.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(all);
            }
        }
    }
}

fn is_held(connection: &DynamicObject) -> bool {
    let finalizers = connection.metadata.finalizers.iter().flatten();
    finalizers.into_iter().any(|name| name == IN_USE_FINALIZER)
}

fn debt(object: &DynamicObject) -> Debt {
    let text = |pointer: &str| {
        let found = object.data.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    Debt {
        name: object.metadata.name.clone().unwrap_or_default(),
        origin: format!(
            "{}/{}",
            text("/spec/origin/namespace"),
            text("/spec/origin/name")
        ),
        reason: text("/spec/reason"),
    }
}
