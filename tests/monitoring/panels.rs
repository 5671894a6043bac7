//! The panels of the dashboard, read from its file: rows of them, each with what it asks for. Pure but for
//! the file.

use std::fs;

use serde_json::Value;

/// Panels under one heading.
pub struct Row {
    pub title: String,
    pub panels: Vec<Panel>,
}

/// One panel.
pub struct Panel {
    pub title: String,
    /// As Grafana calls it.
    pub kind: String,
    pub unit: String,
    /// Left edge, top, width and height, in 24ths of the whole width.
    pub place: [f64; 4],
    pub targets: Vec<Target>,
    /// From which value on it has which colour.
    pub steps: Vec<(f64, String)>,
}

/// One question of a panel.
pub struct Target {
    /// With the variables still in it.
    expression: String,
    /// How a series is called, with labels in double braces.
    pub legend: String,
}

impl Target {
    /// As Grafana sends it, for all jobs and namespaces.
    pub fn query(&self, interval: &str) -> String {
        let query = self
            .expression
            .replace("$__rate_interval", interval)
            .replace("$job", ".*")
            .replace("$namespace", ".*");
        assert!(!query.contains('$'), "a variable is left in {query}");
        query
    }
}

/// The dashboard as it is shipped.
pub fn rows() -> Vec<Row> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/deploy/monitoring/dashboard.json"
    );
    let text = fs::read_to_string(path).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut rows: Vec<Row> = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().expect("a title").to_owned();
        if panel["type"] == "row" {
            let panels = Vec::new();
            rows.push(Row { title, panels });
            continue;
        }
        let row = rows.last_mut().expect("a row comes first");
        row.panels.push(read(panel, title));
    }
    rows
}

fn read(panel: &Value, title: String) -> Panel {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let defaults = &panel["fieldConfig"]["defaults"];
    let targets = panel["targets"].as_array().into_iter().flatten();
    let steps = defaults["thresholds"]["steps"].as_array();
    let steps = steps.into_iter().flatten();
    Panel {
        title,
        kind: text(&panel["type"]),
        unit: text(&defaults["unit"]),
        place: ["x", "y", "w", "h"].map(|name| panel["gridPos"][name].as_f64().expect("a place")),
        targets: targets
            .map(|target| Target {
                expression: target["expr"].as_str().expect("an expression").to_owned(),
                legend: text(&target["legendFormat"]),
            })
            .collect(),
        steps: steps
            .map(|step| {
                let from = step["value"].as_f64().unwrap_or(f64::NEG_INFINITY);
                (from, text(&step["color"]))
            })
            .collect(),
    }
}
