//! Places at which a debug build can be made to die or to stand still, for the tests that kill the operator at every
//! IO it makes, or stop it there until its lease is another's. A release build holds none of this: [`around`] is the call, and nothing else.
//!
//! It decides nothing about the operator. Every remote call passes one place and every call of the
//! API server another; each is a point before it and a point after it, named by what is called and
//! by how often this process has called it: `before create_access_request 1`.
//!
//! # Why
//! An abort at a named point is exact and comes again, where a signal from outside comes some time
//! later. Nothing is flushed, closed or said on the way out, as when the node loses power.
//!
//! - `APONO_FAILPOINT` names the point at which the process dies.
//! - `APONO_FAILPOINT_STOP` names a file; where it holds a point without its number, the process stops
//!   there as by SIGSTOP, once for each time the file is written.
//! - `APONO_FAILPOINT_RECORD` names a file to which every point that is reached is appended.
//! - `APONO_FAILPOINT_CLOCK` names a file with the seconds by which the clock is wrong, read anew each
//!   time the time is read: so that it can be made to step.

use std::future::Future;

/// Makes a call between its two points. `call` is a fixed name, never a value of a user.
pub async fn around<T>(call: &'static str, future: impl Future<Output = T>) -> T {
    let number = number_of(call);
    reach("before", call, number);
    stop("before", call);
    let answer = future.await;
    reach("after", call, number);
    stop("after", call);
    answer
}

/// By how many seconds the clock of this process is wrong.
#[cfg(debug_assertions)]
pub fn clock_error() -> i64 {
    use std::sync::OnceLock;
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    let named = NAMED.get_or_init(|| std::env::var("APONO_FAILPOINT_CLOCK").ok());
    let text = named
        .as_ref()
        .and_then(|path| std::fs::read_to_string(path).ok());
    text.and_then(|text| text.trim().parse().ok())
        .unwrap_or_default()
}

/// The clock is as right as that of the machine.
#[cfg(not(debug_assertions))]
pub const fn clock_error() -> i64 {
    0
}

/// How often the process has made this call, this time included.
#[cfg(debug_assertions)]
fn number_of(call: &'static str) -> u32 {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, PoisonError},
    };
    static MADE: Mutex<BTreeMap<&'static str, u32>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let number = made.entry(call).or_default();
    *number += 1;
    *number
}

/// Dies here if this is the point that was named.
#[cfg(debug_assertions)]
fn reach(side: &'static str, call: &'static str, number: u32) {
    use std::{env, fs::OpenOptions, io::Write as _, sync::OnceLock};
    static NAMED: OnceLock<(Option<String>, Option<String>)> = OnceLock::new();
    let (fatal, record) = NAMED.get_or_init(|| {
        let named = |name| env::var(name).ok();
        (named("APONO_FAILPOINT"), named("APONO_FAILPOINT_RECORD"))
    });
    if fatal.is_none() && record.is_none() {
        return;
    }
    let point = format!("{side} {call} {number}");
    if let Some(path) = record {
        // One write, so that points of several threads do not mix.
        let file = OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(format!("{point}\n").as_bytes()));
    }
    if *fatal == Some(point) {
        std::process::abort();
    }
}

/// Stops here if this is what the file says; it goes on when it is told to.
#[cfg(debug_assertions)]
fn stop(side: &'static str, call: &'static str) {
    use std::{env, fs, process, sync::OnceLock};
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    let Some(path) = NAMED.get_or_init(|| env::var("APONO_FAILPOINT_STOP").ok()) else {
        return;
    };
    let text = fs::read_to_string(path).unwrap_or_default();
    let is_here = text.trim() == format!("{side} {call}");
    // Whoever removes the file is the one that stops.
    if is_here && fs::remove_file(path).is_ok() {
        let id = process::id().to_string();
        let _ = process::Command::new("kill").args(["-STOP", &id]).status();
    }
}

#[cfg(not(debug_assertions))]
const fn stop(_side: &'static str, _call: &'static str) {}

#[cfg(not(debug_assertions))]
const fn number_of(_call: &'static str) -> u32 {
    0
}

#[cfg(not(debug_assertions))]
const fn reach(_side: &'static str, _call: &'static str, _number: u32) {}
