//! A typed, asynchronous client of Apono's access-request API.
//!
//! It turns one method call into one HTTP call and one answer into typed values, and says of every
//! failure what it may have changed on the other side ([`Effect`]). It does not retry, poll, pace
//! or cache: whoever calls decides that. It knows nothing of Kubernetes.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use apono_client::{Client, ClientConfig, NewAccessRequest, Target, Token};
//!
//! let endpoint = "https://api.example.com".parse()?;
//! let client = Client::new(ClientConfig::new(endpoint), Token::new("a personal API token")?)?;
//! let asked = NewAccessRequest::new(Target::Bundle("billing-readers".into()));
//! for request in client.create_access_request(&asked).await? {
//!     println!("{} is {}", request.id, request.status);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | file | what it holds |
//! | --- | --- |
//! | `client.rs` | [`Client`] and one method per endpoint |
//! | `transport.rs` | the one `send` everything goes through; bounded reading |
//! | `endpoint.rs` | [`Endpoint`]: the closed list of calls, their methods and paths |
//! | `page.rs` | [`Page`], [`PageToken`], lists as streams |
//! | `model/` | what is sent and what comes back |
//! | `wire.rs` | the lenient half of decoding |
//! | `error.rs`, `answer.rs` | [`Error`], [`Effect`], [`ErrorClass`]; what a refusing answer says |
//! | `config.rs`, `token.rs` | [`ClientConfig`], [`Token`] |

mod answer;
mod client;
mod config;
mod endpoint;
mod error;
mod model;
mod page;
mod token;
mod transport;
mod wire;

pub use crate::client::Client;
pub use crate::config::{BuildError, ClientConfig};
pub use crate::endpoint::Endpoint;
pub use crate::error::{Effect, Error, ErrorClass};
pub use crate::model::ask::{
    DelegatedQuery, EntitlementRef, ListQuery, NewAccessRequest, RequestAgain, Target,
};
pub use crate::model::entitlement::{Entitlement, Resource};
pub use crate::model::request::{AccessGroup, AccessRequest, Identity, Named, ResourceType};
pub use crate::model::status::{EntitlementState, EntitlementStatus, State, Status};
pub use crate::page::{Page, PageToken};
pub use crate::token::{InvalidToken, Token};
