//! The process itself, as the kernel tells of it, under the names that every Prometheus client uses.
//! What cannot be read is left out.

use std::{fmt, fs};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::counter::ConstCounter,
};

use super::described::{self, Described, Kind, Unit};

/// What `/proc` counts time in, on every architecture of Linux.
const TICKS_A_SECOND: f64 = 100.0;
/// The places of the times in user and kernel mode among what follows the name in `/proc/self/stat`.
const TIMES: [usize; 2] = [11, 12];
/// The place of the time of the start.
const STARTED_AT: usize = 19;

pub(super) const CPU: Described = Described {
    name: "process_cpu",
    family: described::Family::Known,
    kind: Kind::Counter,
    unit: Unit::Seconds,
    labels: &[],
    help: "Time of processors that the process has used",
};
pub(super) const MEMORY: Described = Described {
    name: "process_resident_memory",
    family: described::Family::Known,
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    help: "Memory of the process that is resident",
};
pub(super) const STARTED: Described = Described {
    name: "process_start_time",
    family: described::Family::Known,
    kind: Kind::Gauge,
    unit: Unit::Seconds,
    labels: &[],
    help: "When the process started, in seconds since 1970",
};
pub(super) const OPEN: Described = Described {
    name: "process_open_fds",
    family: described::Family::Known,
    kind: Kind::Gauge,
    unit: Unit::None,
    labels: &[],
    help: "File descriptors that are open",
};

/// Writes what can be read.
pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let stat = read("/proc/self/stat");
    let kernel = read("/proc/stat").and_then(|text| booted(&text));
    if let (Some(booted), Some(after)) = (kernel, stat.as_deref().and_then(started)) {
        STARTED.put(encoder, booted + after)?;
    }
    if let Some(seconds) = stat.as_deref().and_then(cpu) {
        ConstCounter::new(seconds).encode(CPU.begin(encoder)?)?;
    }
    if let Some(bytes) = read("/proc/self/status").and_then(|text| resident(&text)) {
        MEMORY.put(encoder, bytes)?;
    }
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return Ok(());
    };
    OPEN.put(encoder, i64::try_from(open.count()).unwrap_or(i64::MAX))
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// A number of `/proc/self/stat`, counted from after the name of the program, which comes first, in
/// brackets, and may hold anything.
fn ticks(stat: &str, place: usize) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(place)?.parse().ok()
}

fn cpu(stat: &str) -> Option<f64> {
    let [user, kernel] = TIMES.map(|place| ticks(stat, place));
    Some((user? + kernel?) / TICKS_A_SECOND)
}

/// How long after the boot the process started.
fn started(stat: &str) -> Option<f64> {
    Some(ticks(stat, STARTED_AT)? / TICKS_A_SECOND)
}

/// When the kernel started, in seconds since 1970.
fn booted(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn resident(status: &str) -> Option<i64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_times() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 700 9";
        assert_eq!((cpu(stat), started(stat)), (Some(3.0), Some(7.0)));
        assert_eq!(booted("cpu 1 2\nbtime 1700\n"), Some(1700.0));
    }

    #[test]
    fn resident_memory_is_told_in_bytes() {
        assert_eq!(resident("Name:\ta\nVmRSS:\t    2 kB\n"), Some(2048));
        assert_eq!(resident("Name:\ta\n"), None);
    }
}
