//! The access-request API of Apono as a state machine, for demos and tests.
//!
//! It follows the public contract, all 24 operations of it, and shares no code with any client of
//! it, so that one misreading cannot hide another. What no public source says is a named
//! [switch](Switches): each field says which question it answers, `--help` lists them all, and
//! [`Switches::rows`] is the same list for programs.
//!
//! There is one machine. v4 and v3 are two vocabularies for it: nine states and seven words, a UUID
//! and a friendly id, lists by page and lists without. A live request opens a [`Session`] for each
//! of its systems, whose password is shown once.
//!
//! ```text
//! socket (server) ─> Call ─> World ┬─ faults   what goes wrong with this call
//!                                  ├─ routes   what the call does and answers
//!                                  │    └─ machine   requests and sessions, moved by time and commands
//!                                  └─ ledger   what happened, in order
//! /_control (control_http) ─> Control ─> the same World
//! ```
//!
//! ```
//! use apono_simulator::{Config, Simulator};
//!
//! let simulator = Simulator::start(&Config::instant())?;
//! assert!(simulator.url().starts_with("http://127.0.0.1:"));
//! assert!(simulator.requests().is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod catalogue;
pub mod clock;
pub mod control;
mod control_http;
pub mod endpoint;
pub mod faults;
pub mod http;
pub mod ledger;
pub mod machine;
mod paging;
pub mod request;
mod routes;
mod server;
pub mod session;
mod simulator;
pub mod status;
pub mod switches;
pub mod users;
mod wire;
pub mod world;

pub use catalogue::Catalogue;
pub use control::{Behaviour, Control, ControlError, Outside};
pub use endpoint::Endpoint;
pub use faults::{Action, Fault, When};
pub use machine::{Command, Delays, Machine, Mode};
pub use request::{Fate, Request};
pub use routes::Distortion;
pub use session::{Credentials, Session, SessionChange, SessionMove, Uses};
pub use simulator::{Config, DEFAULT_TOKEN, DEFAULT_USER, Simulator};
pub use status::{EntitlementStatus, Status};
pub use switches::Switches;
pub use users::User;
