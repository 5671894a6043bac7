//! What was counted is scraped, and what is scraped is in the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use ::kube::runtime::controller::Action;

use super::*;
use crate::crd::Phase;

const SECOND: Duration = Duration::from_secs(1);

/// Metrics in which everything was counted once.
fn counted() -> Metrics {
    let metrics = Metrics::new();
    metrics.pass(Controller::AccessRequest, PassOutcome::Transient, SECOND);
    metrics.at_most(Controller::AccessRequest, 64);
    let done: Result<Action, ()> = Ok(Action::requeue(SECOND));
    metrics.begin(Controller::AccessRequest).end(&done);
    metrics
        .begin(Controller::Connection)
        .end(&Err::<Action, _>(()));
    metrics.remote_call(Endpoint::ListAccessRequests, None, SECOND);
    let refused = Some(ErrorClass::Unauthorized);
    metrics.remote_call(Endpoint::ListAccessRequests, refused, SECOND);
    metrics.held_back(HeldBack::CircuitOpen);
    drop(metrics.waiting(Wait::Place));
    metrics.kube_write(KubeWrite::Status);
    metrics.kube_call(&KubeCall {
        method: "GET",
        host: "10.0.0.1:443",
        path: "/api/v1/namespaces",
        is_watch: true,
        code: Some(200),
        took: SECOND,
    });
    metrics.happened("RenewalRefused");
    metrics.happened("orders");
    metrics.count_phases_with(Box::new(|| vec![(Phase::Active, 7)]));
    metrics.count_debts_with(Box::new(crate::owed::Figures::default));
    metrics.look_at_shards_with(Box::new(|| crate::shards::Figures {
        held: [3].into(),
        replicas: 2,
    }));
    metrics.count_unowned_with(Box::new(|| 2));
    metrics.count_turns_with(Box::new(|| 16));
    metrics.look_at_staleness_with(Box::new(|| Some(SECOND)));
    metrics.look_at_requests_with(Box::new(|| RequestFigures {
        waiting: vec![SECOND, SECOND * 400],
        each: vec![EachRequest {
            namespace: "payments".to_owned(),
            name: "orders".to_owned(),
            phase: Phase::Active,
            ends_at: Some(Timestamp::UNIX_EPOCH),
            target: "bundle prod-read".to_owned(),
            grantee: None,
        }],
    }));
    metrics.look_at_connections_with(Box::new(|| ConnectionFigures {
        total: 3,
        ready: 2,
        circuit_open: 1,
        paused: 1,
        oldest_success: Some(SECOND),
    }));
    metrics
}

#[test]
fn what_was_counted_is_in_the_text() {
    let text = counted().encode().unwrap();
    for line in [
        "apono_operator_passes_total{controller=\"access_request\",outcome=\"transient\"} 1",
        "apono_operator_pass_duration_seconds_count{controller=\"access_request\"} 1",
        "controller_runtime_reconcile_total{controller=\"access_request\",result=\"requeue_after\"} 1",
        "controller_runtime_reconcile_errors_total{controller=\"connection\"} 1",
        "controller_runtime_active_workers{controller=\"access_request\"} 0",
        "controller_runtime_max_concurrent_reconciles{controller=\"access_request\"} 64",
        "apono_operator_remote_calls_total{endpoint=\"list_access_requests\",class=\"ok\"} 1",
        "{endpoint=\"list_access_requests\",class=\"unauthorized\"} 1",
        "apono_operator_remote_calls_held_back_total{why=\"circuit_open\"} 1",
        "apono_operator_remote_waited_seconds_total{for=\"place\"} ",
        "apono_operator_kube_writes_total{kind=\"status\"} 1",
        "apono_operator_kube_writes_total{kind=\"mark\"} 0",
        "rest_client_requests_total{code=\"200\",method=\"GET\",host=\"10.0.0.1:443\"} 1",
        "apono_operator_watch_age_seconds{resource=\"namespaces\"} ",
        "apono_operator_happenings_total{reason=\"RenewalRefused\"} 1",
        "apono_operator_happenings_total{reason=\"Other\"} 1",
        "apono_operator_requests{phase=\"active\"} 7",
        "apono_operator_requests{phase=\"pending\"} 0",
        "apono_operator_pending_requests{waiting=\"5m_to_1h\"} 1",
        "apono_operator_oldest_pending_request_age_seconds 400.0",
        "apono_operator_status_staleness_seconds 1.0",
        "apono_operator_connections 3",
        "apono_operator_connections_ready 2",
        "apono_operator_connections_circuit_open 1",
        "apono_operator_connections_paused 1",
        "apono_operator_last_success_age_seconds 1.0",
        "apono_operator_unowned_requests 2",
        "apono_operator_passes_allowed 16",
        "apono_operator_live_access{namespace=\"payments\",target=\"bundle prod-read\",grantee=\"self\"} 1",
        "apono_operator_build_info{version=",
        "process_resident_memory_bytes ",
        "# EOF",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
}

/// The families of a scrape: kind and unit by name without the ending of its kind.
fn families(text: &str) -> BTreeMap<String, String> {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    kinds
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            (name.to_owned(), kind.to_owned())
        })
        .collect()
}

#[test]
fn the_catalogue_and_the_scrape_hold_the_same() {
    let scraped = families(&counted().encode().unwrap());
    let described: BTreeMap<_, _> = catalogue()
        .iter()
        .map(|one| {
            let name = one.full_name();
            let short = ["_total", "_info"]
                .iter()
                .find_map(|ending| name.strip_suffix(ending));
            let kind = one.kind.as_str().to_owned();
            (short.unwrap_or(&name).to_owned(), kind)
        })
        .collect();
    assert_eq!(scraped, described);
}

#[test]
fn every_label_has_a_value_that_its_list_knows() {
    let text = counted().encode().unwrap();
    let all = catalogue();
    let mut checked = BTreeSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once('{') else {
            continue;
        };
        let is_its = |one: &&Described| {
            let full = one.full_name();
            name == full
                || name
                    .strip_prefix(&full)
                    .is_some_and(|rest| rest.starts_with('_'))
        };
        // The longest name is the one that is meant.
        let described = all
            .iter()
            .filter(is_its)
            .max_by_key(|one| one.full_name().len());
        let described = described.unwrap_or_else(|| panic!("{name} is in no list"));
        for pair in rest.split_once('}').unwrap().0.split(',') {
            let (label, value) = pair.split_once('=').unwrap();
            if label == "le" {
                continue;
            }
            let known = described.labels.iter().find(|one| one.name == label);
            let known = known.unwrap_or_else(|| panic!("{name} has no label {label}"));
            if let Values::Closed(words) = known.values {
                let value = value.trim_matches('"');
                assert!(words().contains(&value), "{name}: {label} is {value}");
                checked.insert(label.to_owned());
            }
        }
    }
    assert!(checked.len() > 8, "{checked:?}");
}

#[test]
fn a_pass_that_is_dropped_is_no_longer_under_way() {
    let metrics = Metrics::new();
    let active = "controller_runtime_active_workers{controller=\"connection\"} ";
    let working = metrics.begin(Controller::Connection);
    assert!(metrics.encode().unwrap().contains(&format!("{active}1")));
    drop(working);
    assert!(metrics.encode().unwrap().contains(&format!("{active}0")));
}

#[test]
fn the_page_names_every_metric_once() {
    let page = reference().unwrap();
    for one in catalogue() {
        let row = format!("\n| `{}` | ", one.full_name());
        assert_eq!(page.matches(&row).count(), 1, "{row}");
    }
}
