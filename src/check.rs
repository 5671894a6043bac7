//! `apono-operator check`: whether what the operator needs of a cluster is there, each with what to
//! do about it. It reads only, and asks the apiserver what the one who calls it may do: run it with
//! the identity of the operator.
//!
//! Every part is looked at, whatever fails, so that one call tells everything.

use std::fmt;

use k8s_openapi::{
    api::authorization::v1::{
        ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    },
    apimachinery::pkg::apis::meta::v1::Condition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, PostParams},
};
use serde::de::DeserializeOwned;

use crate::{
    app::missing_kinds,
    crd::{AponoConnection, ClusterAponoConnection, ConditionType},
    kubernetes::{self, deadline},
    metrics::Metrics,
    settings::{Scope, Settings},
    telemetry::Chain,
};

mod rights;

use rights::{Group, groups, spoken};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it stands.
    pub standing: Standing,
    /// What was looked at.
    pub what: String,
    /// What was found, and what to do about it where something is wrong.
    pub detail: String,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Good,
    /// Not there, and only needed where it is wanted.
    Off,
    /// The operator, or a part of it, cannot work.
    Wrong,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.standing {
            Standing::Good => "ok",
            Standing::Off => "off",
            Standing::Wrong => "WRONG",
        };
        write!(formatter, "{word:<6}{}: {}", self.what, self.detail)
    }
}

fn found(standing: Standing, what: impl Into<String>, detail: impl Into<String>) -> Finding {
    Finding {
        standing,
        what: what.into(),
        detail: detail.into(),
    }
}

/// Looks at everything that the operator needs with these settings.
pub async fn check(settings: &Settings) -> Vec<Finding> {
    let client = match kubernetes::connect(&Metrics::new()).await {
        Ok(client) => client,
        Err(error) => {
            return vec![found(
                Standing::Wrong,
                "apiserver",
                Chain(&error).to_string(),
            )];
        }
    };
    let mut findings = vec![apiserver(&client, settings).await];
    if findings.iter().any(|one| one.standing == Standing::Wrong) {
        // Everything else would say the same again.
        return findings;
    }
    let missing = missing_kinds(&client, settings).await;
    findings.push(if missing.is_empty() {
        found(Standing::Good, "custom resources", "served")
    } else {
        found(Standing::Wrong, "custom resources", missing)
    });
    match groups(&settings.scope, &settings.operator_namespace) {
        Ok(groups) => {
            for group in groups {
                findings.push(granted(&client, settings, &group).await);
            }
        }
        Err(error) => findings.push(found(Standing::Wrong, "rights", error.to_string())),
    }
    match &settings.scope {
        Scope::Cluster => {
            let every: Api<ClusterAponoConnection> = Api::all(client.clone());
            findings.extend(connections(every, settings).await);
            findings.extend(connections(Api::<AponoConnection>::all(client), settings).await);
        }
        Scope::Namespaces(served) => {
            for namespace in served {
                let own: Api<AponoConnection> = Api::namespaced(client.clone(), namespace);
                findings.extend(connections(own, settings).await);
            }
        }
    }
    findings
}

async fn apiserver(client: &Client, settings: &Settings) -> Finding {
    let asked = client.apiserver_version();
    match deadline("ask the apiserver", settings.kube_timeout, asked).await {
        Ok(version) => found(Standing::Good, "apiserver", version.git_version),
        Err(error) => found(Standing::Wrong, "apiserver", Chain(&error).to_string()),
    }
}

/// Whether all rights of a group are granted to the one who asks.
async fn granted(client: &Client, settings: &Settings, group: &Group) -> Finding {
    let what = format!("rights for {}", group.purpose);
    let mut lacking = Vec::new();
    for right in &group.rights {
        match is_allowed(client, settings, right).await {
            Ok(true) => {}
            Ok(false) => lacking.push(spoken(right)),
            Err(error) => return found(Standing::Wrong, what, Chain(&error).to_string()),
        }
    }
    if lacking.is_empty() {
        let count = group.rights.len();
        return found(Standing::Good, what, format!("all {count} granted"));
    }
    let lacking = lacking.join(", ");
    let folder = group.folder;
    if group.is_needed {
        let detail = format!("not granted: {lacking}; apply {folder}");
        found(Standing::Wrong, what, detail)
    } else {
        let detail = format!("not granted: {lacking}; where it is wanted, apply {folder}");
        found(Standing::Off, what, detail)
    }
}

async fn is_allowed(
    client: &Client,
    settings: &Settings,
    right: &ResourceAttributes,
) -> Result<bool, kubernetes::Error> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.clone()),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let parameters = PostParams::default();
    let asked = reviews.create(&parameters, &review);
    let answer = deadline("ask for a right", settings.kube_timeout, asked).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// What both kinds of connection say of themselves.
trait Told {
    fn conditions(&self) -> &[Condition];
}

impl Told for ClusterAponoConnection {
    fn conditions(&self) -> &[Condition] {
        let status = self.status.as_ref();
        status.map_or(&[], |status| status.conditions.as_slice())
    }
}

impl Told for AponoConnection {
    fn conditions(&self) -> &[Condition] {
        let status = self.status.as_ref();
        status.map_or(&[], |status| status.conditions.as_slice())
    }
}

/// Whether the connections can be used, by their own conditions.
async fn connections<K>(api: Api<K>, settings: &Settings) -> Vec<Finding>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + fmt::Debug + Told,
{
    let kind = K::kind(&());
    let parameters = ListParams::default();
    let listed = deadline(
        "list connections",
        settings.kube_timeout,
        api.list(&parameters),
    );
    match listed.await {
        Ok(list) => list.iter().map(|one| connection(&kind, one)).collect(),
        Err(error) => vec![found(
            Standing::Wrong,
            kind.into_owned(),
            Chain(&error).to_string(),
        )],
    }
}

fn connection(kind: &str, connection: &(impl Resource + Told)) -> Finding {
    let name = connection.name_any();
    let what = match connection.namespace() {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    };
    let conditions = connection.conditions().iter();
    let mut ready = conditions.filter(|one| one.type_ == ConditionType::Ready.as_str());
    match ready.next() {
        Some(one) if one.status == "True" => found(Standing::Good, what, one.message.clone()),
        Some(one) => {
            let detail = format!("{}, {}", one.reason, one.message);
            found(Standing::Wrong, what, detail)
        }
        None => {
            let detail = "not looked at yet: is the operator running?";
            found(Standing::Wrong, what, detail)
        }
    }
}
