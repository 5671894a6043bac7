//! The traces of a whole life: one tree for each pass, and nobody in them.

use std::collections::{BTreeMap, BTreeSet};

use apono_operator::crd::REQUESTED_BY_ANNOTATION;
use apono_simulator::{Action, DEFAULT_USER, Endpoint, Fault, When};
use kube::ResourceExt as _;
use serde_json::json;

use crate::{
    ACTIVE,
    collector::{Collector, Span},
    support::{Setup, World},
};

/// Everything that an attribute may be called.
const KEYS: [&str; 5] = [
    "class",
    "controller",
    "k8s.namespace.name",
    "k8s.object.uid",
    "outcome",
];
const GRANTEE: &str = "alex@example.com";
const REASON: &str = "INC-42: canary words of a person";

/// The names from a span up to its root.
fn line<'a>(spans: &'a [Span], span: &'a Span) -> Vec<&'a str> {
    let mut names = vec![span.name.as_str()];
    let mut at = span;
    while !at.parent.is_empty() {
        let mut all = spans.iter();
        let parent = all.find(|one| one.id == at.parent && one.trace == at.trace);
        at = parent.unwrap_or_else(|| panic!("no parent of {at:?}"));
        names.push(&at.name);
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_pass_is_one_tree_and_nobody_is_in_it() {
    let (collector, endpoint) = Collector::start().await;
    let setup = Setup::default()
        .setting("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .setting("OTEL_BSP_SCHEDULE_DELAY", "200")
        // Traces do not depend on what is logged.
        .setting("RUST_LOG", "error,apono_operator::app=info")
        .connection(json!({
            "identity": {"customField": "requested_by"}, "allow": {"bundles": ["prod-*"]}
        }));
    let mut world = World::new(setup).await;
    world
        .ask(
            "orders-of-alex",
            json!({
                "access": {"bundle": "prod-read"}, "grantee": GRANTEE, "justification": REASON,
                "customFields": {"ticket": "INC-43"}
            }),
        )
        .await;
    let stamp = json!({"metadata": {"annotations": {REQUESTED_BY_ANNOTATION: "dana@example.com"}}});
    world.patch("orders-of-alex", stamp).await;
    let found = world.wait_row("orders-of-alex", ACTIVE).await;
    let (uid, id) = (found.uid().unwrap(), world.only_remote("orders-of-alex").id);
    let answer = Action::Answer {
        status: 500,
        retry_after: None,
        body: Some("canary of an answer".into()),
        when: When::Before,
    };
    let broken = Fault::new(answer).at(Endpoint::Revoke).once();
    world.simulator.arm(broken);
    world.delete("orders-of-alex").await;
    world.wait_gone("orders-of-alex").await;
    assert_eq!(world.operator.terminate().await, Some(0));

    let spans = collector.spans();
    for resource in collector.resources() {
        assert_eq!(resource["service.name"], "apono-operator");
        assert_eq!(resource["k8s.namespace.name"], world.cluster.namespace);
    }
    // The pass that asked.
    let created = spans.iter().find(|one| one.name == "create_access_request");
    let created = created.unwrap_or_else(|| {
        let names: Vec<_> = spans.iter().map(|one| &*one.name).collect();
        let words = world.last_words();
        panic!("no call that asked among {names:?}\n{words}")
    });
    assert_eq!(created.attributes["class"], "ok");
    let up = ["create_access_request", "execute", "access_request pass"];
    assert_eq!(line(&spans, created), up);
    let tree: Vec<_> = spans
        .iter()
        .filter(|one| one.trace == created.trace)
        .collect();
    let lines: BTreeSet<_> = tree.iter().map(|one| line(&spans, one)).collect();
    for wanted in [
        &["access_request pass"][..],
        &["observe", "access_request pass"],
        &["resolve", "observe", "access_request pass"],
        &[
            "list_available_bundles",
            "resolve",
            "observe",
            "access_request pass",
        ],
        &["plan", "access_request pass"],
        &["credentials", "access_request pass"],
        &["mark", "execute", "access_request pass"],
        &[
            "mark the resource",
            "mark",
            "execute",
            "access_request pass",
        ],
        &["persist", "access_request pass"],
    ] {
        assert!(lines.contains(wanted), "{wanted:?} in {lines:#?}");
    }
    let root = tree.iter().find(|one| one.parent.is_empty()).unwrap();
    let attributes = BTreeMap::from([
        ("controller", "access_request"),
        ("k8s.namespace.name", &world.cluster.namespace),
        ("k8s.object.uid", &uid),
        ("outcome", "done"),
    ]);
    let own: BTreeMap<_, _> = root
        .attributes
        .iter()
        .map(|(key, value)| (&**key, &**value))
        .collect();
    assert_eq!(own, attributes);
    // The call that failed says of what kind that was, and no more.
    let mut failed = spans
        .iter()
        .filter(|one| one.name == "revoke_access_request" && one.status == 2);
    assert_eq!(
        failed.next().expect("a call that failed").attributes["class"],
        "server"
    );

    // One root for each trace, and passes of connections too.
    let mut roots = BTreeMap::<_, Vec<_>>::new();
    for span in &spans {
        line(&spans, span);
        if span.parent.is_empty() {
            roots
                .entry(&span.trace)
                .or_default()
                .push(span.name.as_str());
        }
    }
    assert!(roots.values().all(|roots| roots.len() == 1), "{roots:#?}");
    assert!(roots.values().any(|roots| roots == &["connection pass"]));

    for span in &spans {
        assert!(
            span.attributes
                .keys()
                .all(|key| KEYS.contains(&key.as_str())),
            "{span:?}"
        );
        assert_eq!(span.events, 0, "{span:?}");
    }
    for body in collector.bodies() {
        let text = String::from_utf8_lossy(&body);
        for secret in [
            &*world.token,
            GRANTEE,
            "alex",
            "dana",
            REASON,
            "INC-42",
            "INC-43",
            "orders",
            "prod-read",
            "canary",
            DEFAULT_USER,
            &id,
        ] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}
