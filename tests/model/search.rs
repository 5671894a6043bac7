//! Breadth first through everything that can happen within the bounds of a configuration; so the
//! first violation found is one of the shortest.
//!
//! A state is known by 64 bits of its hash. Of what was passed only the hash, the move and the
//! state before are kept: a trace is told by playing it again.

use std::collections::{BTreeSet, HashSet};

use crate::{
    config::Config,
    fair,
    moves::{self, Happens},
    people, properties, telling,
    world::World,
};

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// No more states than this; a search that is cut says so.
    pub states: usize,
    /// The fair schedule is run from every so manieth state.
    pub every: usize,
}

/// What a search saw.
#[derive(Clone, Debug)]
pub struct Report {
    pub states: usize,
    pub moves: usize,
    pub depth: usize,
    pub fair_runs: usize,
    pub is_whole: bool,
    /// The states in which a POST left when nobody waited for it any more.
    pub late: usize,
    /// What the passes in it did: what is not among them was not put to the test.
    pub steps: BTreeSet<&'static str>,
}

/// A trace that leads to something that must not be.
#[derive(Debug)]
pub struct Violation(pub String);

/// Searches a configuration.
pub fn search(config: &Config, limits: Limits) -> Result<Report, Violation> {
    let first = people::start(config);
    let mut parents: Vec<(u32, Option<Happens>)> = vec![(0, None)];
    let mut known = HashSet::from([first.digest()]);
    let mut good = HashSet::new();
    let mut level = vec![(0_u32, first)];
    let mut report = Report {
        states: 1,
        moves: 0,
        depth: 0,
        fair_runs: 0,
        is_whole: true,
        late: 0,
        steps: BTreeSet::new(),
    };
    while !level.is_empty() {
        let mut next = Vec::new();
        for (number, world) in level {
            if (number as usize).is_multiple_of(limits.every) {
                report.fair_runs += 1;
                if let Err((text, path)) = fair::run(&world, config, &mut good) {
                    return Err(told(config, &parents, number, &text, &path));
                }
            }
            if report.states >= limits.states {
                report.is_whole = false;
                continue;
            }
            for one in moves::all(&world, config) {
                let after = moves::apply(&world, config, one);
                report.moves += 1;
                if !known.insert(after.digest()) {
                    continue;
                }
                let child = u32::try_from(parents.len()).unwrap_or(u32::MAX);
                parents.push((number, Some(one)));
                report.states += 1;
                report.late += usize::from(!after.late.is_empty());
                report.steps.extend(telling::planned(&after));
                if let Some(text) = properties::broken(&after, config) {
                    return Err(told(config, &parents, child, &text, &[]));
                }
                next.push((child, after));
            }
        }
        report.depth += 1;
        level = next;
    }
    Ok(report)
}

/// The trace to a state, and what a fair run then adds to it.
fn told(
    config: &Config,
    parents: &[(u32, Option<Happens>)],
    to: u32,
    text: &str,
    then: &[Happens],
) -> Violation {
    let mut path = Vec::new();
    let mut at = to;
    while let (before, Some(one)) = parents[at as usize] {
        path.push(one);
        at = before;
    }
    path.reverse();
    let mut world: World = people::start(config);
    let mut lines = vec![format!("{}: {text}", config.name)];
    for one in path {
        world = moves::apply(&world, config, one);
        lines.push(telling::line(one, &world));
    }
    if !then.is_empty() {
        lines.push("from here on nothing fails:".to_owned());
        let mut told: Vec<_> = then.iter().map(|one| telling::name(*one, &world)).collect();
        let cut = told.len().saturating_sub(60);
        told.truncate(60);
        lines.push(told.join(", "));
        lines.push(format!("and {cut} moves more"));
    }
    Violation(lines.join("\n"))
}
