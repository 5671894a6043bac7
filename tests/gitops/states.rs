//! Every state an access request can be in, and what each tool has to make of it. The column of kstatus
//! is that of the table of conditions in the README's terms: what a pipeline waits for, and what it
//! gives up at.

/// One row.
pub struct State {
    pub name: &'static str,
    /// Of kstatus: Flux without expressions, and Helm with `--wait`.
    pub kstatus: &'static str,
    /// The health that Argo CD shows.
    pub argocd: &'static str,
    /// By `deploy/flux/gate.yaml`.
    pub gate: &'static str,
    /// By `deploy/flux/fire-and-forget.yaml`.
    pub forget: &'static str,
    /// The actions that Argo CD offers.
    pub actions: &'static [&'static str],
}

const fn state(
    name: &'static str,
    verdicts: [&'static str; 4],
    actions: &'static [&'static str],
) -> State {
    let [kstatus, argocd, gate, forget] = verdicts;
    State {
        name,
        kstatus,
        argocd,
        gate,
        forget,
        actions,
    }
}

const WAITS: [&str; 4] = ["InProgress", "Progressing", "InProgress", "InProgress"];
const MOVES: [&str; 4] = ["InProgress", "Progressing", "InProgress", "Current"];
const FOR_A_PERSON: [&str; 4] = ["InProgress", "Suspended", "InProgress", "Current"];
const GOOD: [&str; 4] = ["Current", "Healthy", "Current", "Current"];
const BAD: [&str; 4] = ["Failed", "Degraded", "Failed", "Failed"];

const REFRESH: &[&str] = &["refresh"];
const LIVE: &[&str] = &["refresh", "revoke"];
const OVER: &[&str] = &["refresh", "request-again"];

/// All of them.
pub const STATES: [State; 26] = [
    state("unseen", WAITS, REFRESH),
    state("submitting", WAITS, LIVE),
    state("pending", FOR_A_PERSON, LIVE),
    state("second-factor", FOR_A_PERSON, LIVE),
    state("granting", MOVES, LIVE),
    state("active", GOOD, LIVE),
    state("renewing", GOOD, LIVE),
    state("delivering", MOVES, LIVE),
    state("refused", BAD, OVER),
    state("rejected", BAD, OVER),
    state("grant-failed", BAD, OVER),
    state("timed-out", BAD, OVER),
    state("expired", GOOD, OVER),
    state("revoked", GOOD, OVER),
    state("revoked-upstream", BAD, OVER),
    state("no-connection", BAD, REFRESH),
    state("not-allowed", BAD, REFRESH),
    state("not-available", BAD, REFRESH),
    state("suspended", FOR_A_PERSON, REFRESH),
    state("unreachable", GOOD, LIVE),
    state("stale", MOVES, LIVE),
    state("unauthorized", BAD, REFRESH),
    state("unauthorized-live", BAD, LIVE),
    state("unknown-word", MOVES, LIVE),
    state(
        "going",
        ["Terminating", "Progressing", "InProgress", "Current"],
        &[],
    ),
    state(
        "stuck",
        ["Terminating", "Degraded", "Failed", "Failed"],
        &[],
    ),
];
