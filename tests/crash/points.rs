//! Which points there are: a fixed list for each life, so that every run is the same one. A life
//! passes all of its points (a test shows it), and no call that is not listed.

/// A life, see `life.rs`, `admin.rs` and `owed.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// From the first ask to the last revoke.
    Full,
    /// Through the admin API, from the ask to the revoke.
    Admin,
    /// Handed over to a debt, which is paid.
    Owed,
}

/// All lives.
pub const COURSES: [Course; 3] = [Course::Full, Course::Admin, Course::Owed];

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
const CALLS: [Calls; 32] = [
    calls("create_access_request", 1, &[1]),
    calls("request_again", 1, &[1]),
    calls("revoke_access_request", 2, &[1]),
    calls("reset_access_session_credentials", 1, &[1]),
    calls("get_access_session_details", 3, &[1]),
    calls("get_access_session", 3, &[]),
    calls("list_access_sessions", 5, &[]),
    calls("list_available_bundles", 1, &[]),
    calls("list_entitlements", 2, &[]),
    calls("get_access_request", 8, &[]),
    Calls {
        later: &[16, 20, 24],
        ..calls("list_access_requests", 12, &[])
    },
    calls("mark the resource", 2, &[1]),
    calls("write the status", 11, &[1]),
    calls("remove the finalizer", 1, &[1]),
    calls("create the Secret", 3, &[1]),
    calls("write the Secret", 5, &[1]),
    calls("delete the Secret", 1, &[1]),
    calls("restart a workload", 3, &[1]),
    calls("patch the status", 1, &[]),
    calls("publish an event", 11, &[]),
    calls("read the Secret", 3, &[]),
    calls("read the token's Secret", 1, &[]),
    calls("list the custom resources", 1, &[]),
    calls("read the connection", 2, &[]),
    calls("patch the finalizers of the connection", 2, &[1]),
    calls("create the copy of a token", 1, &[1]),
    calls("read the copy of a token", 1, &[]),
    calls("remove the copy of a token", 1, &[1]),
    calls("join the replicas", 1, &[1]),
    calls("share the shards", 1, &[1]),
    calls("leave the replicas", 0, &[]),
    calls("list the leases", 0, &[]),
];

/// What is of a debt, and what it makes of calls of the full life.
const OWED: [Calls; 18] = [
    calls("create the OwedRevocation", 1, &[1]),
    calls("write the status of the debt", 5, &[]),
    calls("delete the OwedRevocation", 1, &[1]),
    calls("remove the finalizer of the OwedRevocation", 1, &[1]),
    calls("renew the copy of a token", 1, &[]),
    calls("create the copy of a token", 3, &[]),
    calls("read the copy of a token", 3, &[]),
    calls("remove the copy of a token", 1, &[]),
    calls("remove the finalizer", 1, &[]),
    calls("patch the finalizers of the connection", 2, &[]),
    calls("revoke_access_request", 1, &[]),
    calls("get_access_request", 4, &[]),
    calls("list_access_requests", 4, &[]),
    calls("patch the status", 3, &[]),
    calls("publish an event", 4, &[]),
    calls("read the token's Secret", 8, &[]),
    calls("read the connection", 2, &[]),
    calls("write the status", 3, &[]),
];

/// What is of the admin API, and the writes that this life makes around it.
const ADMIN: [Calls; 20] = [
    calls("create_admin_request", 1, &[1]),
    calls("revoke_admin_requests", 1, &[1]),
    calls("reset_admin_request_credentials", 1, &[]),
    calls("get_admin_request_details", 2, &[]),
    calls("get_admin_request", 1, &[]),
    Calls {
        later: &[12, 20],
        ..calls("list_admin_requests", 6, &[])
    },
    calls("list_selectable_integrations", 1, &[]),
    calls("list_selectable_resource_types", 1, &[]),
    calls("list_selectable_permissions", 1, &[]),
    calls("list_selectable_resources", 1, &[]),
    calls("mark the resource", 1, &[]),
    calls("write the status", 6, &[]),
    calls("remove the finalizer", 1, &[]),
    calls("create the Secret", 2, &[]),
    calls("write the Secret", 3, &[]),
    calls("delete the Secret", 1, &[]),
    calls("publish an event", 6, &[]),
    calls("read the Secret", 3, &[]),
    calls("patch the finalizers of the connection", 2, &[]),
    calls("create the copy of a token", 1, &[]),
];

impl Course {
    const fn calls(self) -> &'static [Calls] {
        match self {
            Self::Full => &CALLS,
            Self::Admin => &ADMIN,
            Self::Owed => &OWED,
        }
    }

    /// Every point of it.
    pub fn all(self) -> Vec<String> {
        self.listed(|one| (1..=one.times).chain(one.later.iter().copied()).collect())
    }

    /// Whether a recorded point is of a call that is listed. What the full life makes too is, for
    /// the others: where dying there is nothing new, it is not listed again.
    pub fn knows(self, point: &str) -> bool {
        let rest = point.split_once(' ').map(|(_, rest)| rest);
        let name = rest.and_then(|rest| rest.rsplit_once(' '));
        let mut listed = self.calls().iter().chain(&CALLS);
        name.is_some_and(|(name, _)| listed.any(|one| name == one.name))
    }

    /// Those to run.
    fn wanted(self) -> Vec<String> {
        if let Ok(part) = std::env::var("APONO_CRASH_POINT") {
            let mut some = self.all();
            some.retain(|one| format!("{self:?}: {one}").contains(&part));
            return some;
        }
        if std::env::var("APONO_PROVE").is_ok_and(|how| how == "full") {
            return self.all();
        }
        self.listed(|one| one.sample.to_vec())
    }

    fn listed(self, times: impl Fn(&Calls) -> Vec<u32>) -> Vec<String> {
        let mut points = Vec::new();
        for one in self.calls() {
            for time in times(one) {
                for side in ["before", "after"] {
                    points.push(format!("{side} {} {time}", one.name));
                }
            }
        }
        points
    }
}

/// How many points there are.
pub fn count() -> usize {
    COURSES.map(|course| course.all().len()).iter().sum()
}

/// Those to run, of all lives.
pub fn wanted() -> Vec<(Course, String)> {
    let of = |course: Course| course.wanted().into_iter().map(move |one| (course, one));
    COURSES.into_iter().flat_map(of).collect()
}
