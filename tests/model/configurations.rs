//! The configurations: small worlds, each for some of what can go wrong. A watch that shows the object
//! late and a remote that moves by itself are in all of them.
//!
//! | what happens | where |
//! | --- | --- |
//! | an answer is lost: done, done later, not done; of a revoke too | all |
//! | a crash before and after each write and call | all but `PEOPLE`, `SECOND`, `PAIR_PEOPLE` |
//! | lists show late what is new | `BASE`, `ARRAYS`, `PEOPLE_CRASH`; beyond the window: `BEYOND` |
//! | the object is deleted, at any time; what is left at the deadline is handed over | all |
//! | one POST makes several | `ARRAYS` |
//! | the remote refuses, fails to grant or to revoke; somebody takes access back there | `REMOTE`, `PEOPLE` |
//! | `revoke`, `request-again`, their withdrawal, suspension, resuming | `PEOPLE`, `PEOPLE_CRASH`, `PAIR_PEOPLE` |
//! | finalizer or record taken off by hand; applied again, with the old record or without | `SECOND`; the record also `PAIR_PEOPLE` |
//! | access ends as planned and is renewed | `RENEWAL` |
//! | nobody approves in time | `TIMEOUT` |
//! | a pass stands still between its mark and its POST | `STALLED` |
//! | two resources of different names | `PAIR`, `PAIR_LIVE`, `PAIR_PEOPLE` |
//! | the record of one applied under another name; both deleted, applied again | `COPIED`, `COPIED_LIVE` |
//! | another replica takes over, with a watch that may lag, at any time of a pass; what the one before had under way lands late | `TAKEN_OVER`, `TAKEN_OVER_LIVE` |
//! | the same, and a POST leaves when its process wakes, after the window too | `OVERSLEPT` |

use crate::config::{Act, Begins, Budget, Config, Names, Sleep};

/// What most of a configuration has in common: faults, and one person who deletes.
pub const BASE: Config = Config {
    name: "one request, faults, deletion",
    array: 1,
    lag: 15,
    acts: &[Act::Delete],
    names: Names::One,
    begins: Begins::Applied,
    renewal: false,
    pending_timeout: false,
    foreign: false,
    sleep: Sleep::OnTheWire,
    budget: Budget {
        faults: 3,
        crashes: 1,
        losses: 1,
        lags: 1,
        acts: 1,
        failures: 0,
        outside: 0,
        stalls: 0,
        takeovers: 0,
        ticks: 3,
    },
};

/// What happens where nothing fails but the remote.
pub const FAULTLESS: Budget = Budget {
    faults: 3,
    crashes: 0,
    losses: 0,
    lags: 0,
    acts: 2,
    failures: 1,
    outside: 1,
    stalls: 0,
    takeovers: 0,
    ticks: 3,
};

/// Two requests for one POST.
pub const ARRAYS: Config = Config {
    name: "arrays of two",
    array: 2,
    budget: Budget {
        ticks: 2,
        ..BASE.budget
    },
    ..BASE
};

/// The remote fails, and somebody takes access back there.
pub const REMOTE: Config = Config {
    name: "failures, revokes from outside",
    budget: Budget {
        crashes: 1,
        losses: 1,
        failures: 1,
        outside: 1,
        lags: 0,
        ..BASE.budget
    },
    ..BASE
};

/// What people ask for by annotations, and suspension.
pub const PEOPLE: Config = Config {
    name: "revoke, request-again, suspension",
    acts: &[Act::Delete, Act::Revoke, Act::Again, Act::Suspend],
    budget: Budget {
        losses: 1,
        ..FAULTLESS
    },
    ..BASE
};

/// The name is applied again, and somebody takes off what is ours.
pub const SECOND: Config = Config {
    name: "applied again",
    acts: &[
        Act::Delete,
        Act::Strip,
        Act::DropRecord,
        Act::Reapply,
        Act::Restore,
    ],
    foreign: true,
    budget: Budget {
        acts: 3,
        losses: 1,
        crashes: 0,
        failures: 0,
        outside: 0,
        ..FAULTLESS
    },
    ..BASE
};

/// Access that ends, and is renewed once.
pub const RENEWAL: Config = Config {
    name: "renewal",
    array: 1,
    renewal: true,
    acts: &[Act::Delete, Act::Revoke],
    budget: Budget {
        acts: 1,
        losses: 1,
        crashes: 1,
        failures: 0,
        outside: 0,
        ticks: 5,
        ..FAULTLESS
    },
    ..BASE
};

/// Access that nobody approves.
pub const TIMEOUT: Config = Config {
    name: "nobody approves in time",
    pending_timeout: true,
    acts: &[Act::Delete, Act::Again],
    budget: Budget {
        acts: 1,
        losses: 1,
        crashes: 1,
        failures: 0,
        outside: 0,
        ticks: 4,
        ..FAULTLESS
    },
    ..BASE
};

/// Lists that are later than anybody waits for them.
pub const BEYOND: Config = Config {
    name: "lists later than the window",
    lag: 75,
    budget: Budget {
        ticks: 5,
        ..BASE.budget
    },
    ..BASE
};

/// A process that is paused at the worst moment.
pub const STALLED: Config = Config {
    name: "a pass that stands still",
    budget: Budget {
        stalls: 1,
        crashes: 1,
        losses: 1,
        lags: 0,
        ..BASE.budget
    },
    ..BASE
};

/// Two names side by side, whose marks look alike.
pub const PAIR: Config = Config {
    name: "two resources side by side",
    names: Names::Two,
    budget: Budget {
        acts: 2,
        lags: 0,
        ..BASE.budget
    },
    ..BASE
};

/// A second name that carries the record of the first.
pub const COPIED: Config = Config {
    name: "copied under another name",
    names: Names::Copied,
    acts: &[Act::Copy, Act::Delete, Act::Restore],
    budget: Budget {
        acts: 3,
        lags: 0,
        ..BASE.budget
    },
    ..BASE
};

/// The same, when what is copied has its access already.
pub const COPIED_LIVE: Config = Config {
    name: "copied while its access is live",
    begins: Begins::Live,
    ..COPIED
};

/// Two names, the first of which has its access already.
pub const PAIR_LIVE: Config = Config {
    name: "a second resource beside one that is live",
    begins: Begins::Live,
    ..PAIR
};

/// What people do to two resources, the record of either included. That and a crash at once are left
/// out: between a mark and the status, nothing else knows of the POST.
pub const PAIR_PEOPLE: Config = Config {
    name: "two resources, annotations and suspension",
    names: Names::Two,
    begins: Begins::Live,
    acts: &[
        Act::Delete,
        Act::Revoke,
        Act::Again,
        Act::Suspend,
        Act::DropRecord,
    ],
    budget: Budget {
        crashes: 0,
        lags: 0,
        acts: 2,
        ..BASE.budget
    },
    ..BASE
};

/// What people do, together with crashes and late lists.
pub const PEOPLE_CRASH: Config = Config {
    name: "revoke, request-again, suspension, faults",
    acts: &[
        Act::Delete,
        Act::Revoke,
        Act::Again,
        Act::Withdraw,
        Act::Suspend,
    ],
    budget: Budget {
        acts: 2,
        ..BASE.budget
    },
    ..BASE
};

/// A replica that lost its lease in the middle of a pass, and another that has it now.
pub const TAKEN_OVER: Config = Config {
    name: "another replica takes over",
    acts: &[Act::Delete, Act::Revoke, Act::Again],
    budget: Budget {
        takeovers: 1,
        ticks: 4,
        ..BASE.budget
    },
    ..BASE
};

/// The same, when there is access already.
pub const TAKEN_OVER_LIVE: Config = Config {
    name: "another replica takes over what is live",
    begins: Begins::Live,
    ..TAKEN_OVER
};

/// A replica that is stopped at the worst moment, and goes on when another has taken over.
pub const OVERSLEPT: Config = Config {
    name: "a replica that slept past its lease",
    sleep: Sleep::PastTheWindow,
    budget: Budget {
        lags: 0,
        ..TAKEN_OVER.budget
    },
    ..TAKEN_OVER
};
