//! The mutants that are let in, before a running operator: each ends in a row of the table of
//! conditions, and a request that has nothing to do with them goes on being served.

use std::collections::BTreeMap;

use apono_simulator::switches::V3Others;
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use super::{
    generate::Mutant,
    mutants,
    support::{Setup, World, eventually, row},
    table,
};

/// How many requests are really made.
const REQUESTS: usize = 300;
/// How many connections are really made.
const CONNECTIONS: usize = 60;
/// The last column of the table that is no wait for the next moment.
const ACTIVE: &str = "Ready=True:Active Synced=True -> Current";

/// The rows of the table that a request may come to rest in, as `support::row` shows them.
const ROWS: [&str; 22] = [
    "Ready=False:PendingApproval Reconciling=True Synced=True -> InProgress",
    "Ready=False:PendingMFA Reconciling=True Synced=True -> InProgress",
    "Ready=False:ApprovalTimedOut Stalled=True Synced=True -> Failed",
    "Ready=False:Granting Reconciling=True Synced=True -> InProgress",
    ACTIVE,
    "Ready=True:Renewing Synced=True -> Current",
    "Ready=False:DeliveringCredentials Reconciling=True Synced=True -> InProgress",
    "Ready=False:RequestRefused Stalled=True Synced=True -> Failed",
    "Ready=False:Rejected Stalled=True Synced=True -> Failed",
    "Ready=False:GrantFailed Stalled=True Synced=True -> Failed",
    "Synced=True Complete=True:Expired -> Current",
    "Synced=True Complete=True:Revoked -> Current",
    "Ready=False:RevokedUpstream Stalled=True Synced=True -> Failed",
    "Ready=Unknown:RemoteNotFound Stalled=True Synced=True -> Failed",
    "Ready=Unknown:UnknownStatus Stalled=True Synced=True -> Failed",
    "Ready=False:Unauthorized Stalled=True Synced=False -> Failed",
    "Ready=False:ConnectionNotFound Stalled=True Synced=False -> Failed",
    "Ready=False:ConnectionDeleting Stalled=True Synced=False -> Failed",
    "Ready=False:NotAllowed Stalled=True Synced=False -> Failed",
    "Ready=False:NotAvailable Stalled=True Synced=False -> Failed",
    "Ready=False:Suspended Synced=True -> InProgress",
    "Ready=False:ConnectionNotReady Stalled=True Synced=False -> Failed",
];

/// What becomes of a bundle: granted, waiting for people, failed, failed in part.
const BUNDLES: [&str; 5] = [
    "prod-read",
    "prod-admin",
    "prod-mfa",
    "broken-grant",
    "half-grant",
];

/// Of the mutants that the schema lets in, so many, spread over all of them.
fn admitted(kind: &str, count: usize) -> Vec<Mutant> {
    // To judge all of them takes long, and nothing is gained by it.
    let some = mutants().into_iter().step_by(super::ONE_IN);
    let of_kind = some.filter(|mutant| mutant.kind == kind);
    let admitted: Vec<_> = of_kind
        .filter(|mutant| table::refusals(kind, &mutant.spec, None).is_empty())
        .collect();
    assert!(admitted.len() > count, "only {}", admitted.len());
    let step = admitted.len() / count;
    admitted.into_iter().step_by(step).take(count).collect()
}

impl World {
    async fn make(&self, kind: &str, name: &str, spec: &Value) {
        let gvk = GroupVersionKind::gvk("access.apono.io", "v1alpha1", kind);
        let resource = ApiResource::from_gvk(&gvk);
        let client = self.cluster.client.clone();
        let api: Api<DynamicObject> =
            Api::namespaced_with(client, &self.cluster.namespace, &resource);
        let object = json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": spec
        });
        let object = serde_json::from_value(object).unwrap();
        let made = api.create(&PostParams::default(), &object).await;
        made.unwrap_or_else(|error| panic!("{kind} {name}: {error}: {spec}"));
    }

    fn broke_nothing(&self) {
        let log = self.operator.log().text();
        for word in ["panicked", "broke down", "cannot be read by this version"] {
            let line = log.lines().find(|line| line.contains(word));
            assert_eq!(line, None, "{word}");
        }
    }
}

#[tokio::test]
async fn whatever_request_is_let_in_ends_in_a_row_of_the_table_and_disturbs_nobody() {
    let setup = Setup::default().remote(|remote| remote.switches.v3_others = V3Others::Anyone);
    let world = World::new(setup.connection(json!({
        // Some of everything is allowed, so that all ways are gone.
        "allow": {"requireJustification": false, "orphan": true, "credentialsForOthers": true}
    })))
    .await;
    world.ask_bundle("canary-before", "prod-read").await;
    world.wait_row("canary-before", ACTIVE).await;
    let mut chosen = admitted("AccessRequest", REQUESTS);
    for (number, mutant) in chosen.iter_mut().enumerate() {
        if mutant.spec["access"]["bundle"] == "prod-read" {
            mutant.spec["access"]["bundle"] = json!(BUNDLES[number % BUNDLES.len()]);
        }
    }
    for (number, mutant) in chosen.iter().enumerate() {
        world
            .make(mutant.kind, &format!("mutant-{number}"), &mutant.spec)
            .await;
        if number == REQUESTS / 2 {
            world.ask_bundle("canary-between", "prod-read").await;
        }
    }
    world.wait_row("canary-between", ACTIVE).await;
    let rows = eventually("every mutant is in a row of the table", async || {
        let list = world.cluster.requests().list(&ListParams::default()).await;
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        let mut restless = Vec::new();
        for resource in list.unwrap() {
            let row = row(&resource);
            if !ROWS.contains(&row.as_str()) {
                restless.push(format!("{} is in `{row}`", resource.name_any()));
            }
            *rows.entry(row).or_default() += 1;
        }
        if restless.is_empty() {
            return Ok(rows);
        }
        let (count, first) = (restless.len(), &restless[0]);
        let which = first
            .split(' ')
            .next()
            .and_then(|name| name.rsplit('-').next());
        let spec = which
            .and_then(|number| number.parse::<usize>().ok())
            .map(|one| &chosen[one]);
        Err(format!(
            "{count} are not: {first}, {spec:?}\n{rows:#?}\n{}",
            world.operator.log().last()
        ))
    })
    .await;
    println!(
        "mutants let in and made: {}, in these rows: {rows:#?}",
        chosen.len()
    );
    assert!(rows.len() > 4, "too few ways were gone");
    world.ask_bundle("canary-after", "prod-read").await;
    world.wait_row("canary-after", ACTIVE).await;
    world.wait_row("canary-before", ACTIVE).await;
    world.broke_nothing();
    world.end().await;
    println!(
        "proved: objects: {} let in and lived with, in {} rows of the table",
        chosen.len(),
        rows.len()
    );
}

#[tokio::test]
async fn whatever_connection_is_let_in_says_what_it_is_and_disturbs_nobody() {
    let world = World::new(Setup::default()).await;
    world.store_token("apono-token", &world.token).await;
    let chosen = admitted("AponoConnection", CONNECTIONS);
    for (number, mutant) in chosen.iter().enumerate() {
        let mut spec = mutant.spec.clone();
        // Every other one leads somewhere; the rest lead where the settings do not allow.
        if number % 2 == 0 {
            spec["endpoint"] = json!(world.simulator.url());
        }
        world
            .make(mutant.kind, &format!("mutant-{number}"), &spec)
            .await;
    }
    let reasons = eventually("every connection is judged", async || {
        let list = world
            .cluster
            .connections()
            .list(&ListParams::default())
            .await;
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for connection in list.unwrap() {
            let conditions = connection
                .status
                .iter()
                .flat_map(|status| &status.conditions);
            let mut ready = conditions
                .filter(|one| one.type_ == "Ready")
                .map(|one| one.reason.clone());
            let reason = ready.next_back().unwrap_or_else(|| "none".to_owned());
            *reasons.entry(reason).or_default() += 1;
        }
        let is_waiting = ["none", "Verifying"]
            .iter()
            .any(|one| reasons.contains_key(*one));
        if is_waiting {
            Err(format!("{reasons:?}"))
        } else {
            Ok(reasons)
        }
    })
    .await;
    println!(
        "connections let in and made: {}, for these reasons: {reasons:?}",
        chosen.len()
    );
    assert!(reasons.len() > 2, "too few ways were gone: {reasons:?}");
    world.ask_bundle("canary", "prod-read").await;
    world.wait_row("canary", ACTIVE).await;
    world.broke_nothing();
    world.end().await;
    println!(
        "proved: objects: {} connections let in and lived with, {} reasons",
        chosen.len(),
        reasons.len()
    );
}
