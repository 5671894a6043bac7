//! Monitors, alerts and dashboard of the chart: the same as in `deploy/monitoring`, pointing at what is
//! there, and stored whole by an apiserver that has the definitions of the Prometheus operator.

use std::fs;

use serde_json::{Value, json};

use crate::{
    helm::{BOTH, Helm, tool},
    plane::{NAMESPACE, Plane},
    shipped::text,
};

const EVERYTHING: [&str; 4] = [
    "metrics.serviceMonitor.enabled=true",
    "metrics.podMonitor.enabled=true",
    "metrics.rules.enabled=true",
    "metrics.dashboard.enabled=true",
];

fn rendered(helm: Helm, more: &[&str]) -> Vec<Value> {
    let set = EVERYTHING.iter().chain(more);
    let arguments: Vec<_> = set.flat_map(|one| ["--set", one]).collect();
    helm.render(&arguments)
}

fn of<'a>(all: &'a [Value], kind: &str) -> &'a Value {
    let found = all.iter().find(|one| one["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).expect(path)
}

#[test]
fn alerts_and_dashboard_are_those_that_are_tested() {
    let rules: Value = serde_saphyr::from_str(&read("deploy/monitoring/rules.yaml")).unwrap();
    for helm in BOTH {
        let all = rendered(helm, &[]);
        assert_eq!(of(&all, "PrometheusRule")["spec"], rules, "{helm:?}");
        let mut maps = all.iter().filter(|one| one["kind"] == "ConfigMap");
        let dashboard = maps.next().expect("a ConfigMap");
        assert_eq!(
            text(dashboard, "/data/apono-operator.json").trim_end(),
            read("deploy/monitoring/dashboard.json").trim_end()
        );
        assert_eq!(dashboard["metadata"]["labels"]["grafana_dashboard"], "1");
    }
}

#[test]
fn an_alert_leads_to_the_page_that_somebody_serves() {
    let page = "https://docs.example.com/runbooks.html";
    let set = format!("metrics.rules.runbooks={page}");
    let all = rendered(Helm::Four, &[&set]);
    let groups = &of(&all, "PrometheusRule")["spec"]["groups"];
    let rules = groups[0]["rules"].as_array().unwrap();
    for rule in rules {
        let alert = text(rule, "/alert").to_lowercase();
        assert_eq!(
            rule["annotations"]["runbook_url"],
            format!("{page}#{alert}")
        );
    }
    assert!(rules.len() > 10, "{}", rules.len());
}

/// A monitor that selects nothing is no error to anybody.
#[test]
fn monitors_select_what_the_chart_makes() {
    let all = rendered(Helm::Four, &[]);
    let deployment = of(&all, "Deployment");
    let service = of(&all, "Service");
    let pod = &deployment["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let selects = |selector: &Value, labels: &Value| {
        let selector = selector.as_object().expect("labels");
        !selector.is_empty() && selector.iter().all(|(name, value)| labels[name] == *value)
    };
    let names = |ports: &Value| -> Vec<Value> {
        let ports = ports.as_array().expect("ports").iter();
        ports.map(|port| port["name"].clone()).collect()
    };
    let monitor = of(&all, "ServiceMonitor");
    let selector = &monitor["spec"]["selector"]["matchLabels"];
    assert!(selects(selector, &service["metadata"]["labels"]));
    let port = &monitor["spec"]["endpoints"][0]["port"];
    assert!(names(&service["spec"]["ports"]).contains(port));
    let labels = &pod["metadata"]["labels"];
    assert!(selects(&service["spec"]["selector"], labels));
    let target = &service["spec"]["ports"][0]["targetPort"];
    assert!(names(&container["ports"]).contains(target));
    let monitor = of(&all, "PodMonitor");
    assert!(selects(&monitor["spec"]["selector"]["matchLabels"], labels));
    let port = &monitor["spec"]["podMetricsEndpoints"][0]["port"];
    assert!(names(&container["ports"]).contains(port));
}

/// Brings the definitions of the Prometheus operator, as it ships them.
pub fn define(plane: &Plane) {
    let mut folder = tool("kube-score");
    folder.pop();
    for kind in ["podmonitors", "prometheusrules", "servicemonitors"] {
        let file = folder.join(format!("monitoring.coreos.com_{kind}.yaml"));
        plane.kubectl(&["create", "-f", &file.to_string_lossy()]);
        let name = format!("crd/{kind}.monitoring.coreos.com");
        plane.kubectl(&["wait", "--for=condition=Established", &name]);
    }
}

/// All four are there as they were rendered: an apiserver drops what a definition does not know.
pub fn are_stored(plane: &Plane, name: &str) {
    let all = rendered(Helm::Four, &[]);
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        let stored = plane.get(kind, name, NAMESPACE);
        holds(&stored["spec"], &of(&all, kind)["spec"], kind);
    }
    let dashboard = plane.get("configmap", &format!("{name}-dashboard"), NAMESPACE);
    let json: Value = serde_json::from_str(text(&dashboard, "/data/apono-operator.json")).unwrap();
    assert_eq!(json["uid"], json!("apono-operator"));
}

/// Everything of `wanted` is in `found`, which may hold defaults beside it.
fn holds(found: &Value, wanted: &Value, path: &str) {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            for (name, wanted) in wanted {
                let found = found.get(name).unwrap_or(&Value::Null);
                holds(found, wanted, &format!("{path}.{name}"));
            }
        }
        (Value::Array(found), Value::Array(wanted)) => {
            assert_eq!(found.len(), wanted.len(), "{path}");
            for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                holds(found, wanted, &format!("{path}[{place}]"));
            }
        }
        (found, wanted) => assert_eq!(found, wanted, "{path}"),
    }
}
