//! The simulator as a program: flags in, one address out, until a signal comes.
//!
//! It only translates flags into a [`Config`]; how the service behaves is the library's.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use apono_simulator::{Catalogue, Config, DEFAULT_USER, Delays, Mode, Simulator, Switches, User};
use clap::Parser;
use jiff::SignedDuration;
use rand::Rng;

/// Simulates Apono's access-request API. State is kept in memory only.
///
/// The control channel is under /_control at the same address; GET /_control lists its paths.
#[derive(Debug, Parser)]
#[command(version, after_help = switch_help())]
struct Arguments {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The first user's token; without it one is made up and printed.
    #[arg(long)]
    token: Option<String>,
    /// The first user's email.
    #[arg(long, value_name = "EMAIL", default_value = DEFAULT_USER)]
    email: String,
    /// One more user; may be given again, also for a second token of a user.
    #[arg(long = "user", value_name = "EMAIL=TOKEN", value_parser = user)]
    users: Vec<User>,
    /// One more user, who may act for others on v3.
    #[arg(long = "admin", value_name = "EMAIL=TOKEN", value_parser = admin)]
    admins: Vec<User>,
    /// A service account, which is no user to a user's path.
    #[arg(long = "service", value_name = "NAME=TOKEN", value_parser = service)]
    services: Vec<User>,
    /// What can be asked for, in YAML or JSON; without it the built-in catalogue.
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// What moves requests: `auto` time, `explicit` control calls only.
    #[arg(long, default_value = "auto", value_parser = mode)]
    mode: Mode,
    /// From created to Pending, for example `500ms`.
    #[arg(long, value_name = "DURATION")]
    route_delay: Option<SignedDuration>,
    /// From Pending to approved, where no person decides.
    #[arg(long, value_name = "DURATION")]
    approve_delay: Option<SignedDuration>,
    /// From Pending to approved, where a person decides; without it only a control call does.
    #[arg(long, value_name = "DURATION")]
    human_delay: Option<SignedDuration>,
    /// From Pending to approved, where a webhook's program decides; without it only a control call.
    #[arg(long, value_name = "DURATION")]
    webhook_delay: Option<SignedDuration>,
    /// From `PendingMFA` to passed; without it only a control call does.
    #[arg(long, value_name = "DURATION")]
    mfa_delay: Option<SignedDuration>,
    /// From approved to Active; 2s without it.
    #[arg(long, value_name = "DURATION")]
    grant_delay: Option<SignedDuration>,
    /// From revoked to gone; 2s without it.
    #[arg(long, value_name = "DURATION")]
    revoke_delay: Option<SignedDuration>,
    /// A switch; may be given again. Values other than words are JSON.
    #[arg(long = "switch", value_name = "NAME=VALUE", value_parser = pair)]
    switches: Vec<(String, String)>,
    /// Where chance starts: ids and fault probabilities.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Lets others than loopback use the control channel.
    #[arg(long)]
    control_anywhere: bool,
}

fn switch_help() -> String {
    let rows = Switches::rows().into_iter().map(|row| {
        format!(
            "  {}={}\n      {} ({})",
            row.name, row.default, row.about, row.values
        )
    });
    let rows: Vec<_> = rows.collect();
    format!(
        "Switches with their defaults, each a question that no public source answers:\n{}",
        rows.join("\n")
    )
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn user(text: &str) -> Result<User, String> {
    pair(text).map(|(email, token)| User::new(email, token))
}

fn admin(text: &str) -> Result<User, String> {
    pair(text).map(|(email, token)| User::admin(email, token))
}

fn service(text: &str) -> Result<User, String> {
    pair(text).map(|(name, token)| User::service(name, token))
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "auto" => Ok(Mode::Auto),
        "explicit" => Ok(Mode::Explicit),
        _ => Err("auto or explicit".to_owned()),
    }
}

impl Arguments {
    fn config(self) -> Result<Config, String> {
        let mut switches = Switches::default();
        for (name, value) in &self.switches {
            switches.set(name, value)?;
        }
        let catalogue = match &self.catalogue {
            None => Catalogue::built_in(),
            Some(path) => {
                let named = |error: &str| format!("catalogue `{}`: {error}", path.display());
                let text = std::fs::read_to_string(path).map_err(|it| named(&it.to_string()))?;
                Catalogue::parse(&text).map_err(|error| named(&error))?
            }
        };
        let standard = Delays::default();
        let delays = Delays {
            route: self.route_delay.unwrap_or(standard.route),
            approve: self.approve_delay.unwrap_or(standard.approve),
            human: self.human_delay,
            webhook: self.webhook_delay,
            mfa: self.mfa_delay,
            grant: self.grant_delay.unwrap_or(standard.grant),
            revoke: self.revoke_delay.unwrap_or(standard.revoke),
        };
        let token = self
            .token
            .unwrap_or_else(|| format!("sim_{:032x}", random()));
        let users = [User::new(self.email, token)].into_iter();
        Ok(Config {
            listen: self.listen,
            users: users
                .chain(self.users)
                .chain(self.admins)
                .chain(self.services)
                .collect(),
            catalogue,
            mode: self.mode,
            delays,
            switches,
            seed: self.seed,
            control_from_anywhere: self.control_anywhere,
            ..Config::default()
        })
    }
}

fn random() -> u128 {
    let mut rng = rand::rng();
    (u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())
}

/// Says where to reach it: a line for people and a line for programs.
fn announce(simulator: &Simulator) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "Simulating Apono at {} for the token {} (control channel: {}/_control)",
        simulator.url(),
        simulator.token(),
        simulator.url()
    )?;
    writeln!(out, "listening on {}", simulator.url())?;
    out.flush()
}

/// Waits for somebody to end the program.
fn wait_for_signal() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    })
}

fn run(config: &Config) -> std::io::Result<()> {
    let simulator = Simulator::start(config)?;
    announce(&simulator)?;
    wait_for_signal()?;
    simulator.stop()
}

fn main() -> ExitCode {
    let config = match Arguments::parse().config() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("apono-simulator: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("apono-simulator: {}: {error}", config.listen);
            ExitCode::FAILURE
        }
    }
}
