//! The alerts and the dashboard, judged by a real Prometheus: rules by promtool, queries against what a
//! running operator tells of itself under load.
//!
//! Both programs are those of Debian's package `prometheus`, found on PATH; `cargo xtask test` sees to that.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are not seen as tests by the lint"
)]

#[path = "monitoring/load.rs"]
mod load;
#[path = "monitoring/prometheus.rs"]
mod prometheus;
#[path = "monitoring/rules.rs"]
mod rules;
mod support;

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::prometheus::Prometheus;

/// What a panel asks for: the expression as Grafana sends it.
fn queries() -> Vec<(String, String)> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/monitoring/dashboard.json"
    );
    let text = fs::read_to_string(path).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut all = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("an expression");
            let query = query
                .replace("$__rate_interval", "5m")
                .replace("$job", ".*")
                .replace("$namespace", ".*");
            assert!(
                !query.contains('$'),
                "{title}: a variable is left in {query}"
            );
            all.push((title.to_owned(), query));
        }
    }
    all
}

#[tokio::test]
async fn every_query_of_the_dashboard_has_an_answer_and_every_alert_its_metrics() {
    let world = load::world().await;
    let prometheus = Prometheus::scraping(world.operator.address()).await;
    load::run(&world).await;
    prometheus.scrapes(3).await;

    let queries = queries();
    assert!(queries.len() > 25, "{}", queries.len());
    let mut empty = Vec::new();
    for (title, query) in &queries {
        match prometheus.ask(query).await {
            Ok(values) if values.iter().any(|value| value.is_finite()) => {}
            Ok(values) => empty.push(format!("{title}: {query}\n  gives {values:?}")),
            Err(error) => empty.push(format!("{title}: {query}\n  fails: {error}")),
        }
    }
    assert!(empty.is_empty(), "{}", empty.join("\n"));

    let scraped = prometheus.names().await;
    let named: BTreeSet<_> = rules::metrics().into_iter().collect();
    let missing: Vec<_> = named.difference(&scraped).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {scraped:#?}");
    load::end(world).await;
}
