//! The page and the pictures of many turns: medians, each with the least and the most.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context as _, Result};

use crate::{
    chart::{Chart, Line},
    results::Turn,
};

/// The results in the folder, next to the page.
const RESULTS: &str = "results.json";

/// A measure of a turn: what it is called, its unit, the goal, and where it stands.
struct Measure {
    name: &'static str,
    unit: &'static str,
    goal: &'static str,
    of: fn(&Turn) -> Option<f64>,
}

const MEASURES: [Measure; 23] = [
    Measure {
        name: "apply to ready, idle, p50",
        unit: "ms",
        goal: "40",
        of: |turn| Some(turn.idle.as_ref()?.p50),
    },
    Measure {
        name: "apply to ready, idle, p99",
        unit: "ms",
        goal: "120",
        of: |turn| Some(turn.idle.as_ref()?.p99),
    },
    Measure {
        name: "all of a burst ready",
        unit: "s",
        goal: "10 at 1,000; 100 at 10,000",
        of: |turn| Some(turn.burst.as_ref()?.all_ready_s),
    },
    Measure {
        name: "a burst, against the same writes without an operator",
        unit: "times",
        goal: "1.5",
        of: |turn| {
            let ready = turn.burst.as_ref().map(|burst| burst.all_ready_s);
            turn.times_bare(ready, |bare| bare.burst_ms)
        },
    },
    Measure {
        name: "in a burst, p50",
        unit: "ms",
        goal: "",
        of: |turn| Some(turn.burst.as_ref()?.times.p50),
    },
    Measure {
        name: "in a burst, p99",
        unit: "ms",
        goal: "",
        of: |turn| Some(turn.burst.as_ref()?.times.p99),
    },
    Measure {
        name: "in a burst, from the grant at the remote, p99",
        unit: "ms",
        goal: "",
        of: |turn| Some(turn.burst.as_ref()?.from_grant.as_ref()?.p99),
    },
    Measure {
        name: "remote requests for each object",
        unit: "",
        goal: "1",
        of: |turn| Some(turn.burst.as_ref()?.creates_per_object),
    },
    Measure {
        name: "one of another namespace in the burst",
        unit: "ms",
        goal: "",
        of: |turn| turn.other_tenant_ms,
    },
    Measure {
        name: "one new beside all, p99",
        unit: "ms",
        goal: "250",
        of: |turn| Some(turn.one_more.as_ref()?.p99),
    },
    Measure {
        name: "remote calls a minute, at rest",
        unit: "",
        goal: "110 at 10,000",
        of: |turn| Some(turn.steady.as_ref()?.calls_a_minute),
    },
    Measure {
        name: "writes of objects and events a minute, at rest",
        unit: "",
        goal: "0",
        of: |turn| Some(turn.steady.as_ref()?.writes_a_minute),
    },
    Measure {
        name: "leases renewed a minute, at rest",
        unit: "",
        goal: "12",
        of: |turn| Some(turn.steady.as_ref()?.leases_a_minute),
    },
    Measure {
        name: "processor, at rest",
        unit: "% of a core",
        goal: "1",
        of: |turn| Some(turn.steady.as_ref()?.cpu_percent[0]),
    },
    Measure {
        name: "processor of the apiserver, at rest",
        unit: "% of a core",
        goal: "",
        of: |turn| Some(turn.steady.as_ref()?.cpu_percent[1]),
    },
    Measure {
        name: "memory, at rest",
        unit: "MiB",
        goal: "64",
        of: |turn| Some(turn.steady.as_ref()?.rss_mib),
    },
    Measure {
        name: "memory, most",
        unit: "MiB",
        goal: "",
        of: |turn| Some(turn.peak_mib),
    },
    Measure {
        name: "open files",
        unit: "",
        goal: "32",
        of: |turn| Some(count(turn.steady.as_ref()?.open_files)),
    },
    Measure {
        name: "remote change to status, p99",
        unit: "ms",
        goal: "",
        of: |turn| Some(turn.freshness.as_ref()?.p99),
    },
    Measure {
        name: "restart until all are verified",
        unit: "s",
        goal: "3",
        of: |turn| Some(turn.restart.as_ref()?.verified_s),
    },
    Measure {
        name: "writes after a restart",
        unit: "",
        goal: "0",
        of: |turn| Some(count(usize::try_from(turn.restart.as_ref()?.writes).ok()?)),
    },
    Measure {
        name: "all deleted and taken back",
        unit: "s",
        goal: "5 at 1,000; 50 at 10,000",
        of: |turn| turn.revoke_s,
    },
    Measure {
        name: "taking back, against the same writes without an operator",
        unit: "times",
        goal: "1.5",
        of: |turn| turn.times_bare(turn.revoke_s, |bare| bare.revoke_ms),
    },
];

/// Turns of one kind: subject, profile, size.
type Groups<'a> = BTreeMap<(&'a str, &'a str, usize), Vec<&'a Turn>>;

/// Writes `README.md` and the pictures beside the results.
pub fn write(folder: &Path) -> Result<()> {
    let text =
        std::fs::read_to_string(folder.join(RESULTS)).context("could not read the results")?;
    let turns: Vec<Turn> = serde_json::from_str(&text).context("the results are not results")?;
    let mut groups = Groups::new();
    for turn in &turns {
        let key = (turn.subject.as_str(), turn.profile.as_str(), turn.size);
        groups.entry(key).or_default().push(turn);
    }
    std::fs::write(folder.join("README.md"), page(&groups))?;
    for (name, chart) in charts(&groups) {
        std::fs::write(folder.join(name), chart.svg())?;
    }
    Ok(())
}

fn page(groups: &Groups<'_>) -> String {
    let mut page = String::from(
        "# Benchmark\n\nWritten by `cargo xtask bench`; each figure is the median of its turns, with the least and \
         the most where there were several. How it is measured: `crates/bench/src/turn.rs`; what holds it back: [profile.md](profile.md).\n\n\
         \"Against the same writes without an operator\": at the end of a turn the operator is stopped and the writes of up \
         to a thousand lives are made by themselves on the same API server, 64 at a time (`crates/bench/src/bare.rs`); \
         1.0 is what the API server allows.\n\n\
         ![How long objects of a burst take](burst.svg)\n\n![What it costs to follow them](scaling.svg)\n",
    );
    for ((subject, profile, size), turns) in groups {
        let _ = writeln!(page, "\n## {subject}, {size} objects, remote: {profile}\n");
        for wrong in turns.iter().flat_map(|turn| &turn.wrong) {
            let _ = writeln!(page, "**Failed**: {wrong}\n");
        }
        page.push_str("| measure | | goal |\n| --- | --- | --- |\n");
        for measure in &MEASURES {
            let good = turns.iter().filter(|turn| turn.wrong.is_empty());
            if let Some(text) = spread(good.filter_map(|turn| (measure.of)(turn)).collect()) {
                let unit = if measure.unit.is_empty() {
                    String::new()
                } else {
                    format!(" {}", measure.unit)
                };
                let _ = writeln!(
                    page,
                    "| {} | {text}{unit} | {} |",
                    measure.name, measure.goal
                );
            }
        }
        if let Some(life) = turns.first().and_then(|turn| turn.life.as_ref()) {
            let told = |counts: &BTreeMap<String, f64>| {
                let each = counts
                    .iter()
                    .map(|(name, count)| format!("{count:.1} {name}"));
                each.collect::<Vec<_>>().join(", ")
            };
            let sum = |counts: &BTreeMap<String, f64>| counts.values().sum::<f64>();
            let (calls, writes) = (sum(&life.calls), sum(&life.writes));
            let _ = writeln!(
                page,
                "| calls of one life, without lists of all | {calls:.1}: {} | |",
                told(&life.calls)
            );
            let _ = writeln!(
                page,
                "| writes of one life, events included | {writes:.1}: {} | 6 and 5 events |",
                told(&life.writes)
            );
        }
    }
    page
}

/// The median, and the least and the most of several.
fn spread(mut all: Vec<f64>) -> Option<String> {
    all.sort_by(f64::total_cmp);
    let (least, most) = (all.first()?, all.last()?);
    let median = all.get(all.len() / 2)?;
    Some(if all.len() > 1 {
        format!("{} ({} to {})", short(*median), short(*least), short(*most))
    } else {
        short(*median)
    })
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value.abs() >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn count(count: usize) -> f64 {
    count as f64
}

fn charts(groups: &Groups<'_>) -> Vec<(&'static str, Chart)> {
    let mut burst = Chart::new(
        "How long objects of a burst take",
        "milliseconds",
        "share that is ready, %",
    );
    burst.is_of_shares = true;
    let mut scaling = Chart::new("What it costs to follow them, at rest", "objects", "");
    let mut by_subject: BTreeMap<&str, Vec<(usize, &Turn)>> = BTreeMap::new();
    for ((subject, profile, size), turns) in groups {
        let Some(turn) = turns.iter().find(|turn| turn.wrong.is_empty()) else {
            continue;
        };
        if let Some(measured) = &turn.burst {
            let curve = &measured.times.curve;
            let share = |at: usize| count(at + 1) / count(curve.len()) * 100.0;
            burst.lines.push(Line {
                name: format!("{subject}, {size}, {profile}"),
                points: curve
                    .iter()
                    .enumerate()
                    .map(|(at, time)| (*time, share(at)))
                    .collect(),
            });
        }
        if *profile == "instant" {
            by_subject.entry(subject).or_default().push((*size, turn));
        }
    }
    for (subject, turns) in by_subject {
        let mut line = |name: &str, of: fn(&Turn) -> Option<f64>| {
            let points = turns
                .iter()
                .filter_map(|(size, turn)| Some((count(*size), of(turn)?)));
            scaling.lines.push(Line {
                name: format!("{subject}: {name}"),
                points: points.collect(),
            });
        };
        line("remote calls a minute", |turn| {
            Some(turn.steady.as_ref()?.calls_a_minute)
        });
        line("memory, MiB", |turn| Some(turn.steady.as_ref()?.rss_mib));
        line("processor, % of a core", |turn| {
            Some(turn.steady.as_ref()?.cpu_percent[0])
        });
    }
    vec![("burst.svg", burst), ("scaling.svg", scaling)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_turns_are_told_by_their_median_and_their_ends() {
        assert_eq!(spread(vec![3.0, 1.0, 2.5]).unwrap(), "2.5 (1 to 3)");
        assert_eq!(spread(vec![0.25]).unwrap(), "0.25");
        assert_eq!(spread(Vec::new()), None);
    }

    #[test]
    fn a_turn_that_is_wrong_gives_no_figures() {
        let good = Turn {
            subject: "ours".to_owned(),
            profile: "instant".to_owned(),
            revoke_s: Some(4.5),
            ..Turn::default()
        };
        let wrong = Turn {
            revoke_s: Some(1.0),
            wrong: vec!["2 requests for 1 objects".to_owned()],
            ..good.clone()
        };
        let page = |turns: Vec<&Turn>| page(&Groups::from([(("ours", "instant", 1), turns)]));
        assert!(page(vec![&good]).contains("| all deleted and taken back | 4.5 s |"));
        let told = page(vec![&wrong]);
        assert!(told.contains("**Failed**: 2 requests"), "{told}");
        assert!(!told.contains("all deleted"), "{told}");
    }
}
