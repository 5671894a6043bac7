//! Which points there are: a fixed list, so that every run is the same one. The life in `life.rs`
//! passes all of them (a test shows it), and no call that is not listed.

/// A call, and which of its times are points.
struct Calls {
    /// As `src/failpoint.rs` names it.
    name: &'static str,
    /// The first so many times.
    times: u32,
    /// Later times, for what is called over and over.
    later: &'static [u32],
    /// The times of the sample.
    sample: &'static [u32],
}

const fn calls(name: &'static str, times: u32, sample: &'static [u32]) -> Calls {
    Calls {
        name,
        times,
        later: &[],
        sample,
    }
}

/// Remote calls, then calls of the API server: writes, and the few reads that are not watches.
/// Where a life varies by a few (polls, status writes under load), as many as every life has.
const CALLS: [Calls; 27] = [
    calls("create_access_request", 1, &[1]),
    calls("request_again", 1, &[1]),
    calls("revoke_access_request", 2, &[1]),
    calls("reset_access_session_credentials", 1, &[1]),
    calls("get_access_session_details", 3, &[1]),
    calls("get_access_session", 3, &[]),
    calls("list_access_sessions", 5, &[]),
    calls("list_available_bundles", 1, &[]),
    calls("list_entitlements", 2, &[]),
    calls("get_access_request", 12, &[]),
    Calls {
        later: &[16, 20, 24, 28, 32, 36, 40],
        ..calls("list_access_requests", 12, &[])
    },
    calls("mark the resource", 2, &[1, 2]),
    calls("write the status", 12, &[1, 2]),
    calls("remove the finalizer", 1, &[1]),
    calls("create the Secret", 3, &[1]),
    calls("write the Secret", 5, &[1]),
    calls("delete the Secret", 1, &[1]),
    calls("patch the status", 1, &[]),
    calls("publish an event", 12, &[]),
    calls("read the Secret", 3, &[]),
    calls("read the token's Secret", 1, &[]),
    calls("list the custom resources", 1, &[]),
    calls("read the connection", 4, &[]),
    calls("patch the finalizers of the connection", 3, &[1]),
    calls("create the copy of a token", 1, &[1]),
    calls("read the copy of a token", 1, &[]),
    calls("remove the copy of a token", 1, &[1]),
];

/// Every one.
pub fn all() -> Vec<String> {
    let times = |one: &Calls| (1..=one.times).chain(one.later.iter().copied()).collect();
    listed(times)
}

/// Whether a recorded point is of a call that is listed.
pub fn is_known(point: &str) -> bool {
    CALLS.iter().any(|one| {
        let rest = point.split_once(' ').map(|(_, rest)| rest);
        let name = rest.and_then(|rest| rest.rsplit_once(' '));
        name.is_some_and(|(name, _)| name == one.name)
    })
}

/// Those to run.
pub fn wanted() -> Vec<String> {
    if let Ok(part) = std::env::var("APONO_CRASH_POINT") {
        let mut some = all();
        some.retain(|one| one.contains(&part));
        return some;
    }
    if std::env::var("APONO_PROVE").is_ok_and(|how| how == "full") {
        return all();
    }
    listed(|one| one.sample.to_vec())
}

fn listed(times: impl Fn(&Calls) -> Vec<u32>) -> Vec<String> {
    let mut points = Vec::new();
    for one in &CALLS {
        for time in times(one) {
            for side in ["before", "after"] {
                points.push(format!("{side} {} {time}", one.name));
            }
        }
    }
    points
}
