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
#[path = "monitoring/panels.rs"]
mod panels;
#[path = "monitoring/picture.rs"]
mod picture;
#[path = "monitoring/prometheus.rs"]
mod prometheus;
#[path = "monitoring/rules.rs"]
mod rules;
mod support;

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    panels::{Panel, Row},
    picture::{Drawn, Series},
    prometheus::Prometheus,
};

/// For queries that look back: scrapes come every second.
const INTERVAL: &str = "15s";

#[tokio::test]
async fn every_query_of_the_dashboard_has_an_answer_and_every_alert_its_metrics() {
    let world = load::world().await;
    let prometheus = Prometheus::scraping(world.operator.address()).await;
    load::run(&world).await;
    prometheus.scrapes(3).await;

    let rows = panels::rows();
    let panels = rows.iter().flat_map(|row| &row.panels);
    let targets =
        panels.flat_map(|panel| panel.targets.iter().map(|target| (&panel.title, target)));
    let mut empty = Vec::new();
    let mut count = 0;
    for (title, target) in targets {
        count += 1;
        let query = target.query("5m");
        match prometheus.ask(&query).await {
            Ok(values) if values.iter().any(|value| value.is_finite()) => {}
            Ok(values) => empty.push(format!("{title}: {query}\n  gives {values:?}")),
            Err(error) => empty.push(format!("{title}: {query}\n  fails: {error}")),
        }
    }
    assert!(count > 25, "{count}");
    assert!(empty.is_empty(), "{}", empty.join("\n"));

    let scraped = prometheus.names().await;
    let named: BTreeSet<_> = rules::metrics().into_iter().collect();
    let missing: Vec<_> = named.difference(&scraped).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {scraped:#?}");
    if is_kept() {
        load::more(&world, &prometheus).await;
    }
    draw(&prometheus, &rows).await;
    load::end(world).await;
}

/// Whether the pictures are for the docs (`cargo xtask prove dashboard`); they are drawn in any case.
fn is_kept() -> bool {
    std::env::var_os("APONO_WRITE_PICTURES").is_some()
}

/// The pictures, one for each row.
async fn draw(prometheus: &Prometheus, rows: &[Row]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dashboard.md");
    let page = fs::read_to_string(page).expect("the page");
    let span = prometheus.span().await;
    for row in rows {
        let mut drawn = Vec::new();
        for panel in &row.panels {
            drawn.push(answered(prometheus, panel, span).await);
        }
        let svg = picture::row(&row.title, &drawn, span);
        assert!(!svg.contains("NaN") && !svg.contains("no data"), "{svg}");
        let name = format!("{}.svg", row.title.to_lowercase().replace(' ', "-"));
        let link = format!("](monitoring/{name})");
        assert!(page.contains(&link), "docs/dashboard.md has no {link}");
        let path = folder.join(name);
        if is_kept() {
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(&path, svg).expect("written");
            println!("{}: written", path.display());
        }
        assert!(
            path.is_file(),
            "{}: run `cargo xtask prove dashboard`",
            path.display()
        );
    }
}

async fn answered<'a>(prometheus: &Prometheus, panel: &'a Panel, span: (f64, f64)) -> Drawn<'a> {
    let mut series = Vec::new();
    for target in &panel.targets {
        let query = target.query(INTERVAL);
        for (labels, points) in prometheus.range(&query, span).await {
            let name = if target.legend.is_empty() {
                let values: Vec<_> = labels.iter().map(|(_, value)| value.as_str()).collect();
                values.join("  ")
            } else {
                labels
                    .iter()
                    .fold(target.legend.clone(), |name, (label, value)| {
                        name.replace(&format!("{{{{{label}}}}}"), value)
                    })
            };
            series.push(Series { name, points });
        }
    }
    // What is not 0 first: it has the names and the colours.
    let most = |one: &Series| {
        one.points
            .iter()
            .map(|(_, value)| *value)
            .fold(0.0, f64::max)
    };
    series.sort_by(|one, other| most(other).total_cmp(&most(one)));
    Drawn {
        title: &panel.title,
        kind: &panel.kind,
        unit: &panel.unit,
        place: panel.place,
        steps: &panel.steps,
        series,
    }
}
