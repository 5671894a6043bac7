//! Nothing secret is ever shown: whole lives under every kind of bad answer at every call, with
//! planted secrets, and then a search in everything that people and programs read.
//!
//! | planted | where |
//! | --- | --- |
//! | token | in the Secret; in the body of every bad answer, as servers echo what they refuse; rotated |
//! | password | by the remote in the details; in the body of every bad answer to a call for details |
//! | link, command, instructions, message, parameter | by the remote in the details |
//!
//! Searched: the log at trace level, panics among it, metrics, events, resources and connections with
//! their managed fields, and every Secret that is not made to hold it. `Debug` of the types that hold
//! secrets is tested beside them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use apono_simulator::{
    Action, Config, Endpoint, Fault, When,
    catalogue::{Access, Link},
    switches::V3Others,
};
use data_encoding::BASE64;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use support::{CONNECTION, Setup, World, eventually};

/// What the details of a session may hold, each in its own place.
const DETAILS: [&str; 5] = [
    "canary-link-7d1f",
    "canary-command-90ab",
    "canary-instructions-31cc",
    "canary-message-5e02",
    "canary-parameter-aa97",
];
/// What a bad answer to a call for details repeats.
const ECHOED: &str = "canary-echoed-password-c4f8";
/// The token that follows the first one; a refused token has to be replaced.
const SECOND: &str = "canary-second-token-b617";
/// When no armed fault was struck for so long, none will be in this part of a round.
const QUIET: Duration = Duration::from_millis(1500);
/// No fewer paths are worth the name.
const FEWEST: usize = 200;
/// The calls that people make of this API through the operator.
const CALLS: [Endpoint; 24] = [
    Endpoint::Create,
    Endpoint::List,
    Endpoint::Get,
    Endpoint::Entitlements,
    Endpoint::RequestAgain,
    Endpoint::Revoke,
    Endpoint::ListDelegated,
    Endpoint::GetDelegated,
    Endpoint::AvailableBundles,
    Endpoint::AvailableEntitlements,
    Endpoint::ListSessions,
    Endpoint::GetSession,
    Endpoint::SessionDetails,
    Endpoint::ResetSession,
    Endpoint::V3List,
    Endpoint::V3Create,
    Endpoint::V3Get,
    Endpoint::V3Details,
    Endpoint::V3Reset,
    Endpoint::V3BulkRevoke,
    Endpoint::SelectableIntegrations,
    Endpoint::SelectableResourceTypes,
    Endpoint::SelectablePermissions,
    Endpoint::SelectableResources,
];

fn planted() -> Access {
    let [link, command, instructions, message, parameter] = DETAILS;
    Access {
        instructions: format!("{instructions} {{password}}"),
        admin_message: Some(message.to_owned()),
        parameters: [("host".to_owned(), parameter.to_owned())].into(),
        cli: Some(format!("psql {command} {{password}}")),
        link: Some(Link {
            url: format!("https://console.example.com/?key={link}"),
            title: None,
        }),
        ..Access::default()
    }
}

/// What a bad answer says. That it repeats a password is believed of calls for details only.
fn echo(token: &str, endpoint: Endpoint) -> String {
    let password = match endpoint {
        Endpoint::SessionDetails | Endpoint::V3Details => ECHOED,
        _ => "",
    };
    format!(
        "{{\"error\": \"bad\", \"authorization\": \"Bearer {token}\", \"token\": \"{token}\", \
         \"password\": \"{password}\"}}"
    )
}

/// The ways in which a call goes wrong.
fn faults(token: &str, endpoint: Endpoint) -> Vec<Action> {
    let body = echo(token, endpoint);
    let answer = |status, body: &str, when| Action::Answer {
        status,
        retry_after: (status == 429).then(|| "1".to_owned()),
        body: Some(body.to_owned()),
        when,
    };
    let refusals = [400, 403, 404, 408, 409, 422, 429, 500, 502, 503];
    let mut all: Vec<_> = refusals
        .map(|status| answer(status, &body, When::Before))
        .into();
    all.extend([
        answer(500, &body, When::After),
        // Of another shape; not JSON; JSON that ends in a secret.
        answer(200, &body, When::After),
        answer(200, &format!("<html>{body}"), When::After),
        answer(200, &format!("{{\"items\": \"{body}"), When::After),
        Action::Garbage,
        Action::Truncate { complete: true },
        Action::Truncate { complete: false },
        Action::Drop { when: When::After },
        Action::Oversize { bytes: 9 << 20 },
        Action::Redirect {
            location: format!("http://127.0.0.1:1/?token={token}"),
            status: 307,
        },
    ]);
    all
}

/// One resource for each way to the API.
fn specs(round: usize) -> Vec<(String, Value)> {
    let secret = |name: &str| json!({"secretName": format!("{name}-{round}")});
    let target = json!({
        "integration": "postgres-prod", "resourceType": "postgresql-database",
        "resources": ["orders"], "permissions": ["ReadOnly"]
    });
    let names = json!({
        "integration": "postgres-prod", "resource": "billing", "permission": "ReadOnly"
    });
    let specs = [
        (
            "own",
            json!({"access": {"bundle": "prod-read"}, "credentials": secret("own")}),
        ),
        ("names", json!({"access": {"entitlements": [names]}})),
        (
            "theirs",
            json!({"access": {"bundle": "prod-read"}, "grantee": "alex@example.com"}),
        ),
        (
            "admin",
            json!({
                "access": {"integration": target}, "grantee": "alex@example.com",
                "duration": "1h", "credentials": secret("admin")
            }),
        ),
    ];
    specs
        .map(|(name, spec)| (format!("{name}-{round}"), spec))
        .into()
}

/// Looks until so few are left, or no more is struck for a while: how fast the machine is decides
/// nothing.
async fn until_left(most: usize, left: impl Fn() -> usize) {
    let mut now = left();
    let mut changed = Instant::now();
    while now > most && changed.elapsed() < QUIET {
        tokio::time::sleep(Duration::from_millis(30)).await;
        let next = left();
        if next != now {
            (now, changed) = (next, Instant::now());
        }
    }
}

/// Asks for new credentials, for an end, and for access again.
async fn annotate(world: &World, round: usize) {
    let with =
        |name: &str| json!({"metadata": {"annotations": {format!("access.apono.io/{name}"): "1"}}});
    for (name, token) in [
        ("own", "reset-credentials"),
        ("admin", "reset-credentials"),
        ("names", "revoke"),
    ] {
        world.patch(&format!("{name}-{round}"), with(token)).await;
    }
}

/// Which calls have gone wrong, and how.
fn struck(world: &World) -> BTreeSet<String> {
    let calls = world.simulator.calls();
    let struck = calls.iter().filter_map(|call| {
        let fault = call.fault.as_ref()?;
        Some(format!("{:?} {fault:?}", call.endpoint))
    });
    struck.collect()
}

/// Everything that people and programs read, by name.
///
/// The log and the metrics only grow, and the log is long: they are read at the end.
async fn places(world: &World, is_end: bool) -> Vec<(String, String)> {
    let all = ListParams::default();
    let requests = world.cluster.requests().list(&all).await.unwrap();
    let connections = world.cluster.connections().list(&all).await.unwrap();
    let events = serde_json::to_string(&world.events().await).unwrap();
    let mut places = vec![("an event".to_owned(), events)];
    if is_end {
        places.push(("the log".to_owned(), world.operator.log().text()));
        places.push(("the metrics".to_owned(), world.operator.metrics().await));
    }
    // As they are stored, managed fields and all.
    for one in &requests {
        places.push((one.name_any(), serde_json::to_string(one).unwrap()));
    }
    for one in &connections {
        places.push((one.name_any(), serde_json::to_string(one).unwrap()));
    }
    places
}

/// Where a planted secret is found, plain or encoded.
async fn hits(world: &World, is_end: bool) -> Vec<String> {
    let mut planted: Vec<String> = DETAILS.iter().map(|text| (*text).to_owned()).collect();
    planted.extend([world.token.clone(), SECOND.to_owned(), ECHOED.to_owned()]);
    let sessions = world.simulator.sessions();
    planted.extend(sessions.into_iter().flat_map(|one| one.passwords));
    let mut hits = Vec::new();
    for (place, text) in places(world, is_end).await {
        for secret in &planted {
            let encoded = BASE64.encode(secret.as_bytes());
            // The last characters of base64 depend on what follows.
            let encoded = &encoded[..encoded.len() - 4];
            if text.contains(secret.as_str()) || text.contains(encoded) {
                let at = text
                    .find(secret.as_str())
                    .or_else(|| text.find(encoded))
                    .unwrap();
                let around: String = text[..at].chars().rev().take(200).collect();
                let around: String = around.chars().rev().collect();
                hits.push(format!("{secret} in {place}, after {around}"));
            }
        }
    }
    hits
}

async fn world() -> World {
    let setup = Setup::default()
        .remote(|remote: &mut Config| {
            remote.switches.v3_others = V3Others::Anyone;
            for integration in &mut remote.catalogue.integrations {
                if integration.name == "postgres-prod" {
                    integration.access = planted();
                }
            }
        })
        .connection(json!({
            "correlation": {"settle": "100ms"},
            "allow": {"requireJustification": false, "credentialsForOthers": true}
        }))
        .setting("REMOTE_TIMEOUT", "1s")
        .setting("RUST_LOG", "trace");
    let world = World::new(setup).await;
    let user = apono_simulator::DEFAULT_USER;
    let tokens = vec![world.token.clone(), SECOND.to_owned()];
    world.simulator.set_tokens(user, tokens).unwrap();
    world
}

/// All is well: what is planted reaches the Secrets that are made for it, and only those.
async fn calm(world: &World) {
    for (name, spec) in specs(0) {
        world.ask(&name, spec).await;
    }
    for (name, _) in specs(0) {
        world.wait_reason(&name, "Active").await;
    }
    let delivered = eventually("what is planted is delivered", async || {
        let secret = world.secret("own-0").await;
        let text = serde_json::to_string(&secret).unwrap();
        let is_there = |secret: &&str| text.contains(&BASE64.encode(secret.as_bytes())[..16]);
        let missing: Vec<_> = DETAILS.iter().filter(|one| !is_there(one)).collect();
        // What stands in the middle of a text is encoded in three ways; a whole value in one.
        (missing.len() <= 3)
            .then_some(text)
            .ok_or_else(|| format!("{missing:?}\n{}", world.last_words()))
    })
    .await;
    assert!(!delivered.is_empty());
}

#[tokio::test]
async fn whatever_goes_wrong_at_whatever_call_nothing_secret_is_shown() {
    let mut world = world().await;
    calm(&world).await;
    let mut found = hits(&world, false).await;
    let ways = faults("", Endpoint::Create).len();
    for way in 0..ways {
        for endpoint in CALLS {
            let action = faults(&world.token, endpoint).remove(way);
            world.simulator.arm(Fault::new(action).at(endpoint).once());
        }
        let round = way + 1;
        for (name, spec) in specs(round) {
            world.ask(&name, spec).await;
        }
        let left = |world: &World| {
            let faults = world.simulator.faults();
            faults.iter().filter(|one| one.struck == 0).count()
        };
        // What the first half of a life calls for; the rest needs the annotations.
        until_left(8, || left(&world)).await;
        annotate(&world, round).await;
        // Those of the calm round have credentials for sure.
        let again = json!({"metadata": {"annotations": {
            "access.apono.io/reset-credentials": round.to_string()
        }}});
        for name in ["own-0", "admin-0"] {
            world.patch(name, again.clone()).await;
        }
        until_left(0, || left(&world)).await;
        found.extend(hits(&world, false).await);
        for (name, _) in specs(round) {
            world.delete(&name).await;
        }
        until_left(0, || left(&world)).await;
        world.simulator.clear_faults();
    }
    // A refused token stops every call until it is replaced.
    for (number, endpoint) in [Endpoint::List, Endpoint::Create, Endpoint::ListSessions]
        .into_iter()
        .enumerate()
    {
        // The one that is in use now.
        let (token, next) = match number % 2 {
            0 => (world.token.as_str(), SECOND),
            _ => (SECOND, world.token.as_str()),
        };
        let refusal = Action::Answer {
            status: 401,
            retry_after: None,
            body: Some(echo(token, endpoint)),
            when: When::Before,
        };
        let fault = world.simulator.arm(Fault::new(refusal).at(endpoint).once());
        let name = format!("refused-{number}");
        let secret = json!({"secretName": name});
        world
            .ask(
                &name,
                json!({"access": {"bundle": "prod-read"}, "credentials": secret}),
            )
            .await;
        let is_open = || {
            let faults = world.simulator.faults();
            let open = faults
                .iter()
                .filter(|one| one.id == fault && one.struck == 0);
            open.count()
        };
        until_left(0, is_open).await;
        found.extend(hits(&world, false).await);
        world.store_token(CONNECTION, next).await;
        world.wait_reason(&name, "Active").await;
    }
    found.extend(hits(&world, true).await);
    let paths = struck(&world);
    println!(
        "paths that went wrong: {}, hits: {}",
        paths.len(),
        found.len()
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(paths.len() >= FEWEST, "only {}: {paths:#?}", paths.len());
    let log = world.operator.log().text();
    assert!(!log.contains("panicked"));
    // It has seen much, and goes on.
    let requests = world.cluster.requests();
    let all = requests.list(&ListParams::default()).await.unwrap();
    for one in all
        .iter()
        .filter(|one| one.metadata.deletion_timestamp.is_none())
    {
        requests
            .delete(&one.name_any(), &DeleteParams::default())
            .await
            .unwrap();
    }
    world.ask_bundle("after", "prod-read").await;
    world.wait_reason("after", "Active").await;
    assert_eq!(world.operator.terminate().await, Some(0));
}
