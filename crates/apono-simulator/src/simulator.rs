//! A running simulator: a world behind a real socket, on a thread of its own.
//!
//! The thread keeps it independent of the caller's runtime, which may be none, single-threaded or
//! paused. Dropping the handle stops it.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::catalogue::Catalogue;
use crate::clock::{Clock, SystemClock};
use crate::control::Control;
use crate::machine::{Delays, Mode};
use crate::server::{self, Stop};
use crate::switches::Switches;
use crate::users::User;
use crate::world::{Start, World};

/// How a simulator starts.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens; port 0: any free one.
    pub listen: SocketAddr,
    /// Who may call. The first is the one a demo acts as.
    pub users: Vec<User>,
    /// What can be asked for.
    pub catalogue: Catalogue,
    /// What moves requests.
    pub mode: Mode,
    /// How long moves take.
    pub delays: Delays,
    /// How the unknown is answered.
    pub switches: Switches,
    /// Where chance starts: ids and fault probabilities.
    pub seed: u64,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How many ledger entries are kept.
    pub ledger_capacity: usize,
    /// Whether others than loopback may use the control channel.
    pub control_from_anywhere: bool,
}

/// The email of the user a simulator starts with.
pub const DEFAULT_USER: &str = "operator@example.com";
/// The token of the user a simulator starts with.
pub const DEFAULT_TOKEN: &str = "simulator-token";

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            users: vec![User::new(DEFAULT_USER, DEFAULT_TOKEN)],
            catalogue: Catalogue::built_in(),
            mode: Mode::Auto,
            delays: Delays::default(),
            switches: Switches::default(),
            seed: 0,
            clock: Arc::new(SystemClock::default()),
            // Some hundred bytes each: enough for a long test, bearable in a long demo.
            ledger_capacity: 1_000_000,
            control_from_anywhere: false,
        }
    }
}

impl Config {
    /// Everything happens at once.
    pub fn instant() -> Self {
        Self {
            delays: Delays::INSTANT,
            ..Self::default()
        }
    }

    /// Only commands move requests.
    pub fn explicit() -> Self {
        Self {
            mode: Mode::Explicit,
            ..Self::default()
        }
    }

    /// The world this describes, without a socket.
    pub fn world(&self) -> World {
        World::new(Start {
            clock: Arc::clone(&self.clock),
            catalogue: self.catalogue.clone(),
            users: self.users.clone(),
            switches: self.switches.clone(),
            mode: self.mode,
            delays: self.delays,
            seed: self.seed,
            ledger_capacity: self.ledger_capacity,
        })
    }
}

/// A running simulator. Everything [`Control`] can do can be done on it.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    control: Control,
    token: String,
    stop: watch::Sender<Stop>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Simulator {
    /// Starts one; it accepts connections when this returns.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start(config: &Config) -> std::io::Result<Self> {
        let (listener, address) = server::bind(config.listen)?;
        let control = Control::new(config.world());
        let (stop, stopped) = watch::channel(Stop::No);
        let anywhere = config.control_from_anywhere;
        let served = control.clone();
        let thread = std::thread::Builder::new()
            .name("apono-simulator".to_owned())
            .spawn(move || server::run(listener, served, anywhere, stopped))?;
        let token = config
            .users
            .iter()
            .flat_map(|user| &user.tokens)
            .next()
            .cloned();
        let token = token.unwrap_or_default();
        Ok(Self {
            address,
            control,
            token,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to give to a client.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first user's token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The control channel, to keep beside the handle.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops it; calls under way may end, for a while.
    ///
    /// # Errors
    /// When serving had ended with an error.
    pub fn stop(mut self) -> std::io::Result<()> {
        self.end(Stop::Gracefully)
    }

    fn end(&mut self, how: Stop) -> std::io::Result<()> {
        // Without a receiver the server has ended already.
        let _ = self.stop.send(how);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(served)) => served,
            Some(Err(_)) => Err(std::io::Error::other("the simulator's thread panicked")),
            None => Ok(()),
        }
    }
}

impl Deref for Simulator {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.end(Stop::Now);
    }
}
