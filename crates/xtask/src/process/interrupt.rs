//! Ctrl-C and SIGTERM as an error, so that they unwind like any other failure and every `Drop` runs.
//!
//! Whoever waits calls [`check`] between two looks. The second signal ends the process at once.
//! SIGHUP keeps its meaning: `nohup` must work, and what we started ends with us in any case.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

static RECEIVED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// A signal asked us to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interrupted {
    signal: usize,
}

impl Interrupted {
    /// What a shell reports for a program ended by this signal.
    pub(crate) fn exit_code(self) -> ExitCode {
        ExitCode::from(u8::try_from(self.signal).unwrap_or(0).saturating_add(128))
    }
}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "signal {}", self.signal)
    }
}

impl std::error::Error for Interrupted {}

/// Starts to listen.
pub(crate) fn listen() -> Result<()> {
    let received = Arc::clone(RECEIVED.get_or_init(Arc::default));
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let number = usize::try_from(signal).unwrap_or_default();
        // The order matters: the first signal finds this one not yet armed, and arms it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&armed))
            .and_then(|_| flag::register(signal, Arc::clone(&armed)))
            .and_then(|_| flag::register_usize(signal, Arc::clone(&received), number))
            .with_context(|| format!("could not listen to signal {signal}"))?;
    }
    Ok(())
}

/// Fails once a signal has asked us to stop.
pub(crate) fn check() -> Result<(), Interrupted> {
    match RECEIVED
        .get()
        .map_or(0, |received| received.load(Ordering::SeqCst))
    {
        0 => Ok(()),
        signal => Err(Interrupted { signal }),
    }
}
