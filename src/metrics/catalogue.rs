//! Every metric there is, and the page that tells people of them. The page is made from the words the
//! metrics are registered with, so it says what is scraped.

use std::fmt::{self, Write as _};

use super::{
    BUILD, DEBTS_ENDED,
    described::{Described, Family, Label, Values},
    figures, journeys, kube, passes, process, remote,
};

/// Every metric, in the order of the page.
pub fn catalogue() -> Vec<Described> {
    vec![
        figures::REQUESTS,
        figures::PENDING,
        figures::OLDEST_PENDING,
        journeys::APPROVALS,
        journeys::GRANTS,
        journeys::REVOKES,
        journeys::HAPPENINGS,
        figures::OWED,
        figures::OLDEST_OWED,
        DEBTS_ENDED,
        figures::UNOWNED,
        figures::PASSES_ALLOWED,
        figures::STALENESS,
        figures::CONNECTIONS,
        figures::READY,
        figures::CIRCUIT_OPEN,
        figures::PAUSED,
        figures::LAST_SUCCESS,
        remote::CALLS,
        remote::DURATION,
        remote::WAITED,
        remote::HELD,
        passes::PASSES,
        passes::PASS_DURATION,
        kube::WRITES,
        kube::WATCH_AGE,
        figures::SHARDS_HELD,
        figures::SHARD_HELD,
        figures::REPLICAS,
        BUILD,
        figures::OBJECT_PHASE,
        figures::OBJECT_END,
        figures::LIVE,
        passes::RECONCILE,
        passes::ERRORS,
        passes::TIME,
        passes::ACTIVE,
        passes::MOST,
        kube::REQUESTS,
        kube::REQUEST_DURATION,
        process::CPU,
        process::MEMORY,
        process::STARTED,
        process::OPEN,
    ]
}

const INTRODUCTION: &str = "\
# Metrics

Served at `/metrics` on the admin port (`ADMIN_LISTEN`, 8080), beside `/livez` and `/readyz`, in the text format of OpenMetrics.
Every replica tells of what it works for; sum over replicas. Of the labels, those below have closed lists of values, so the
number of series does not grow with objects or users. Alerts and a dashboard over them are in `deploy/monitoring`, what to do
about the alerts is in [runbooks.md](runbooks.md).
";

const KNOWN: &str = "
## Under names that dashboards know

The names of controller-runtime, client-go and the Prometheus clients, where they can be measured as those mean them. Nothing of
`workqueue_*` is here: the queue of kube's controllers cannot be looked into.
";

const PER_OBJECT: &str = "
## For each object

Only with `PER_OBJECT_METRICS=true`. There are as many series as `AccessRequest`s, and they name people where `spec.grantee` does:
switch them on where whoever can read the metrics may know who holds what.
";

const LISTS: &str = "
## Values of labels
";

/// The page.
pub fn reference() -> Result<String, fmt::Error> {
    let all = catalogue();
    let mut page = INTRODUCTION.to_owned();
    let families = [
        ("\n## Of the operator\n", Family::Ours),
        (PER_OBJECT, Family::PerObject),
        (KNOWN, Family::Known),
    ];
    for (head, family) in families {
        let rows = all.iter().filter(|one| one.family == family);
        page.push_str(head);
        page.push_str(
            "\n| metric | kind | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n",
        );
        for one in rows {
            row(&mut page, one)?;
        }
    }
    page.push_str(LISTS);
    lists(&mut page, &all)?;
    Ok(page)
}

fn row(page: &mut String, one: &Described) -> fmt::Result {
    let labels: Vec<_> = one
        .labels
        .iter()
        .map(|label| format!("`{}`", label.name))
        .collect();
    let labels = if labels.is_empty() {
        "–".to_owned()
    } else {
        labels.join(", ")
    };
    let (name, kind, unit) = (one.full_name(), one.kind.as_str(), one.unit.as_str());
    writeln!(
        page,
        "| `{name}` | {kind} | {unit} | {labels} | {}. |",
        one.help
    )
}

/// The values of each label, once for all metrics that have the same.
fn lists(page: &mut String, all: &[Described]) -> fmt::Result {
    let mut told: Vec<(&Label, Vec<String>)> = Vec::new();
    for one in all {
        for label in one.labels {
            let same = told
                .iter_mut()
                .find(|(known, _)| known.name == label.name && values(known) == values(label));
            match same {
                Some((_, of)) => of.push(one.full_name()),
                None => told.push((label, vec![one.full_name()])),
            }
        }
    }
    page.push_str("\n| label | of | values |\n| --- | --- | --- |\n");
    for (label, of) in told {
        let of: Vec<_> = of.iter().map(|name| format!("`{name}`")).collect();
        writeln!(
            page,
            "| `{}` | {} | {} |",
            label.name,
            of.join(", "),
            values(label)
        )?;
    }
    Ok(())
}

fn values(label: &Label) -> String {
    match label.values {
        Values::Closed(words) => {
            let words: Vec<_> = words().iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Values::Few(text) => text.to_owned(),
        Values::Object(text) => format!("one an object: {text}"),
    }
}
