//! Bad input: thousands of objects made out of the definitions themselves.
//!
//! Two promises. What the apiserver says of an object is what the schema and its rules say without
//! an apiserver, so the unit tests of the rules are worth something. And whatever is let in, the
//! operator neither breaks nor stops working for others, and says where the object stands in the
//! words of the table of conditions.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `generate.rs` | the mutants of a schema |
//! | `bases.rs` | the specs they are made from |
//! | `admitted.rs` | those that are let in, before a running operator |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "mutations/admitted.rs"]
mod admitted;
#[path = "mutations/bases.rs"]
mod bases;
#[path = "mutations/generate.rs"]
#[allow(dead_code, reason = "what is planted is needed elsewhere")]
mod generate;
#[path = "admission/structural.rs"]
mod structural;
mod support;
#[path = "admission/table.rs"]
#[allow(dead_code, reason = "the written cases are judged elsewhere")]
mod table;

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};
use generate::Mutant;
use kube::{
    Api,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use support::Cluster;

/// As many as the apiserver is asked about at once.
const AT_ONCE: usize = 16;
/// How many combinations of two changes there are of each kind.
const PAIRS: usize = 400;
/// No fewer are worth the name.
const FEWEST: usize = 2000;
/// Of all mutants each of so many is judged where time matters, and all when this is set. A prime,
/// so that the choice does not follow the order in which they are made.
const ONE_IN: usize = 5;
const ALL: &str = "APONO_TEST_ALL_MUTANTS";

/// The mutants that this run judges.
fn chosen() -> Vec<Mutant> {
    let step = if std::env::var_os(ALL).is_some() {
        1
    } else {
        ONE_IN
    };
    mutants().into_iter().step_by(step).collect()
}

/// All mutants of all kinds.
fn mutants() -> Vec<Mutant> {
    let of = |kind, bases: Vec<Value>| generate::mutants(kind, table::schema(kind), &bases, PAIRS);
    let mut all = of("AccessRequest", bases::access_request());
    all.extend(of("AponoConnection", bases::connection()));
    all.extend(of("ClusterAponoConnection", bases::cluster_connection()));
    all.extend(of("OwedRevocation", bases::owed_revocation()));
    all
}

/// Why the apiserver refuses the mutant, if it does. Nothing is stored.
async fn verdict(cluster: &Cluster, mutant: &Mutant) -> Result<Option<String>, String> {
    let kind = GroupVersionKind::gvk("access.apono.io", "v1alpha1", mutant.kind);
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match mutant.kind {
        "ClusterAponoConnection" => Api::all_with(cluster.client.clone(), &resource),
        _ => Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource),
    };
    let object = json!({
        "apiVersion": "access.apono.io/v1alpha1", "kind": mutant.kind,
        "metadata": {"name": cluster.namespace}, "spec": mutant.spec
    });
    let object = serde_json::from_value(object).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api.create(&dry, &object).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) if status.is_invalid() => Ok(Some(status.message)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn every_property_of_every_kind_is_changed() {
    let all = mutants();
    for kind in table::KINDS {
        let of_kind = all.iter().filter(|mutant| mutant.kind == kind);
        let changed: BTreeSet<_> = of_kind
            .filter_map(|mutant| mutant.what.split(' ').nth(2))
            .collect();
        for property in generate::properties(table::schema(kind)) {
            assert!(changed.contains(property.as_str()), "{kind}: {property}");
        }
    }
}

#[tokio::test]
async fn the_apiserver_and_the_schema_agree_on_every_mutant() {
    let all = chosen();
    assert!(all.len() >= FEWEST, "{}", all.len());
    let cluster = Cluster::new().await;
    let judged = stream::iter(&all).map(async |mutant| (mutant, verdict(&cluster, mutant).await));
    let judged: Vec<_> = judged.buffer_unordered(AT_ONCE).collect().await;
    let (mut wrong, mut refused) = (Vec::new(), 0);
    for (mutant, said) in judged {
        let predicted = table::refusals(mutant.kind, &mutant.spec, None);
        let agrees = match &said {
            Ok(said) => said.is_some() != predicted.is_empty(),
            Err(_) => false,
        };
        refused += usize::from(matches!(said, Ok(Some(_))));
        if !agrees {
            wrong.push(format!(
                "{} {}: the apiserver says {said:?}, we say {predicted:?}",
                mutant.kind, mutant.what
            ));
        }
    }
    let accepted = all.len() - refused;
    assert!(accepted > 100 && refused > 100, "{accepted} and {refused}");
    let count = wrong.len();
    wrong.truncate(40);
    assert!(
        wrong.is_empty(),
        "{count} verdicts differ:\n{}",
        wrong.join("\n")
    );
    println!(
        "proved: objects: {} judged alike by apiserver and schema, {accepted} accepted, {refused} \
         refused",
        all.len()
    );
}
