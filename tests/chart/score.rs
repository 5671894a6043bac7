//! kube-score's verdict on what the chart renders. Each finding that stays is listed with its reason, and
//! one that is listed has to be found: a list that has grown old is a failure too.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    helm::{BOTH, CHART, Helm, tool},
    shipped::text,
};

/// Values of an installation in which nothing is left out.
pub const HARDENED: &str = "tests/chart/golden/hardened.values.yaml";

/// What has the best grade.
const GOOD: i64 = 10;

/// What kube-score finds whatever is set: the check, and why it stays.
const MEANT: [(&str, &str); 2] = [
    (
        "container-resources",
        "no limit of CPU: a throttled operator renews its Lease late and loses what it holds; requests, and a \
         limit of memory, are set",
    ),
    (
        "container-ephemeral-storage-request-and-limit",
        "nothing is written, the root is read-only; the log counts too, and a limit would end the pod for its log",
    ),
];

/// What it finds in the simulator of the demo beside that.
const MEANT_IN_DEMO: [(&str, &str); 4] = [
    (
        "container-image-pull-policy",
        "a demo pulls what is missing",
    ),
    (
        "deployment-replicas",
        "it keeps its state in memory: two would be two remotes",
    ),
    ("deployment-strategy", "likewise: the old one ends first"),
    (
        "pod-probes",
        "readiness alone: one that is started again has forgotten every request, so nothing restarts it",
    ),
];

/// What is off by default, and which value switches it on.
const OFF: [(&str, &str); 2] = [
    (
        "container-image-pull-policy",
        "image.pullPolicy: the default is for a tag that never moves",
    ),
    (
        "pod-networkpolicy",
        "networkPolicy.enabled: which ports lead to the apiserver and who reads metrics only the platform knows",
    ),
];

/// Names of objects without the release's, and of checks, that are not at their best.
fn findings(helm: Helm, arguments: &[&str]) -> BTreeSet<(String, String)> {
    let start = ["template", "apono-operator", CHART, "-n", "apono-system"];
    let rendered = helm.run(&[&start[..], arguments].concat()).output;
    let mut score = Command::new(tool("kube-score"))
        .args(["score", "--output-format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("kube-score starts");
    let mut input = score.stdin.take().expect("piped");
    let feed = std::thread::spawn(move || input.write_all(rendered.as_bytes()));
    let said = score.wait_with_output().expect("it ends").stdout;
    feed.join().expect("written").expect("read");
    let all: Value = serde_json::from_slice(&said).expect("JSON");
    let mut count = 0;
    let mut found = BTreeSet::new();
    for object in all.as_array().expect("objects") {
        let name = text(object, "/object_name").rsplit('/').next().unwrap();
        for check in object["checks"].as_array().into_iter().flatten() {
            count += 1;
            let is_good = check["grade"].as_i64() == Some(GOOD);
            if !is_good && check["skipped"] == false {
                found.insert((name.to_owned(), text(check, "/check/id").to_owned()));
            }
        }
    }
    assert!(count > 40, "{count} checks of {said:?}");
    println!(
        "{helm:?} {arguments:?}: {count} checks, {} findings",
        found.len()
    );
    found
}

fn meant<'a>(
    objects: &'a [&str],
    list: &'a [(&str, &str)],
) -> impl Iterator<Item = (String, String)> + 'a {
    objects.iter().flat_map(move |object| {
        let pair = |(check, _): &(&str, &str)| ((*object).to_owned(), (*check).to_owned());
        list.iter().map(pair)
    })
}

const OPERATOR: [&str; 2] = ["apono-operator", "apono-operator-check"];
const SIMULATOR: [&str; 1] = ["apono-operator-simulator"];

#[test]
fn kube_score_finds_nothing_that_is_not_meant_where_everything_is_switched_on() {
    let wanted: BTreeSet<_> = meant(&OPERATOR, &MEANT)
        .chain(meant(&SIMULATOR, &MEANT))
        .chain(meant(&SIMULATOR, &MEANT_IN_DEMO))
        .collect();
    for helm in BOTH {
        assert_eq!(findings(helm, &["--values", HARDENED]), wanted, "{helm:?}");
    }
}

#[test]
fn kube_score_finds_in_the_defaults_what_they_leave_to_the_platform() {
    let wanted: BTreeSet<_> = meant(&OPERATOR, &MEANT)
        .chain(meant(&OPERATOR, &OFF))
        .collect();
    for helm in BOTH {
        assert_eq!(findings(helm, &[]), wanted, "{helm:?}");
    }
}
