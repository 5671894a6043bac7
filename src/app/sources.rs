//! Tells the registry and the metrics what the caches of access requests hold: who needs which
//! connection, how many resources there are in each phase, whose a request at the remote is.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::Shell;
use crate::{controller, metrics, owed::Debts, settings::Scope};

/// Tells those who ask what the caches of access requests hold: which connections are needed, how
/// many resources there are in each phase, and whose a request at the remote is.
pub(super) fn tell_of(
    shell: &Shell,
    stores: &Arc<controller::Stores>,
    debts: &Debts,
    (synced, count): (&Arc<AtomicUsize>, usize),
) {
    let (needing, read) = (Arc::clone(stores), Arc::clone(synced));
    shell.registry.count_needs_with(Box::new(move |key| {
        let is_synced = read.load(Ordering::Acquire) == count;
        is_synced.then(|| controller::is_needed(&needing, key))
    }));
    let (counted, shards) = (Arc::clone(stores), shell.shards.clone());
    shell.metrics.count_phases_with(Box::new(move || {
        controller::count_phases(&counted, &shards)
    }));
    look_closer(shell, stores);
    find_owners(shell, stores, debts, (synced, count));
}

/// Tells the metrics who looks at access requests and at how fresh what is known of them is, and how
/// many passes there may be at once.
fn look_closer(shell: &Shell, stores: &Arc<controller::Stores>) {
    let (looked, clock) = (Arc::clone(stores), Arc::clone(&shell.clock));
    let (shards, is_each_wanted) = (shell.shards.clone(), shell.settings.per_object_metrics);
    shell.metrics.look_at_requests_with(Box::new(move || {
        controller::figures(&looked, &shards, clock.now(), is_each_wanted)
    }));
    let (registry, clock) = (shell.registry.clone(), Arc::clone(&shell.clock));
    shell
        .metrics
        .look_at_staleness_with(Box::new(move || registry.staleness(clock.now())));
    // Requests share one count of turns; each kind of connection, in each scope, has its own.
    let connections = match &shell.settings.scope {
        Scope::Cluster => 2,
        Scope::Namespaces(names) => names.len(),
    };
    let each = usize::from(shell.settings.concurrency);
    let counts = [
        (metrics::Controller::AccessRequest, 1),
        (metrics::Controller::Connection, connections),
        (metrics::Controller::OwedRevocation, 1),
    ];
    for (which, controllers) in counts {
        shell.metrics.at_most(which, controllers * each);
    }
}

/// Says whose a request at the remote is, and counts those that are nobody's.
fn find_owners(
    shell: &Shell,
    stores: &Arc<controller::Stores>,
    debts: &Debts,
    (synced, count): (&Arc<AtomicUsize>, usize),
) {
    let (stores, debts, synced) = (Arc::clone(stores), debts.clone(), Arc::clone(synced));
    shell.registry.find_owners_with(Box::new(move |mark, id| {
        let is_synced = synced.load(Ordering::Acquire) == count && debts.is_synced();
        let is_owned =
            || controller::owns(&stores, mark, id) || debts.owns(id, mark.nonce.as_str());
        is_synced.then(is_owned)
    }));
    let registry = shell.registry.clone();
    shell
        .metrics
        .count_unowned_with(Box::new(move || registry.count_unowned()));
}

/// How many passes may run at once.
pub(super) fn count_turns(shell: &Shell, turns: &Arc<controller::turns::Turns>) {
    let turns = Arc::clone(turns);
    shell.metrics.count_turns_with(Box::new(move || {
        i64::try_from(turns.allowed()).unwrap_or(i64::MAX)
    }));
}
