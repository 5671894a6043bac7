//! The process itself, as the kernel tells of it, under the names that every Prometheus client uses.
//! What cannot be read is left out.

use std::{
    fmt, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::counter::ConstCounter,
};

use super::described::{self, Described, Kind, Unit};

/// What `/proc` counts time in, on every architecture of Linux.
const TICKS_A_SECOND: f64 = 100.0;
/// The places of the times in user and kernel mode among what follows the name in `/proc/self/stat`.
const TIMES: [usize; 2] = [11, 12];

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

/// When the process started, as near as the first line of its code is to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    started: f64,
}

impl Process {
    pub(super) fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            started: since.unwrap_or_default().as_secs_f64(),
        }
    }

    pub(super) fn encode(self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        STARTED.put(encoder, self.started)?;
        if let Some(seconds) = read("/proc/self/stat").and_then(|text| cpu(&text)) {
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
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// The name of the program comes before, in brackets, and may hold anything.
fn cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let words: Vec<_> = rest.split_ascii_whitespace().collect();
    let ticks = |place: usize| words.get(place)?.parse::<u32>().ok();
    let [user, kernel] = TIMES.map(ticks);
    Some((f64::from(user?) + f64::from(kernel?)) / TICKS_A_SECOND)
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
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0";
        assert_eq!(cpu(stat), Some(3.0));
    }

    #[test]
    fn resident_memory_is_told_in_bytes() {
        assert_eq!(resident("Name:\ta\nVmRSS:\t    2 kB\n"), Some(2048));
        assert_eq!(resident("Name:\ta\n"), None);
    }
}
