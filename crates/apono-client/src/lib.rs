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
//! | `client.rs`, `client/` | [`Client`] and one method per endpoint, a file for each family |
//! | `transport.rs` | the one `send` everything goes through; bounded reading |
//! | `endpoint.rs` | [`Endpoint`]: the closed list of calls, their methods and paths |
//! | `page.rs` | [`Page`], [`PageToken`], lists as streams |
//! | `listing.rs` | [`Listing`]: the older API's lists, which have one page only |
//! | `model/` | what is sent and what comes back |
//! | `model/secret.rs` | [`Secret`]: what is never shown |
//! | `wire.rs` | the lenient half of decoding |
//! | `error.rs`, `answer.rs` | [`Error`], [`Effect`], [`ErrorClass`]; what a refusing answer says |
//! | `config.rs`, `token.rs` | [`ClientConfig`], [`Token`] |
//! | `network.rs`, `resolver.rs` | [`Reach`]: which addresses may be called; names are held to it |

mod answer;
mod client;
mod config;
mod endpoint;
mod error;
mod listing;
mod model;
mod network;
mod page;
mod resolver;
mod token;
mod transport;
mod wire;

#[doc(hidden)]
pub use crate::answer::retry_after_of;
pub use crate::client::Client;
pub use crate::config::{BuildError, ClientConfig};
pub use crate::endpoint::Endpoint;
pub use crate::error::{Effect, Error, ErrorClass};
pub use crate::listing::Listing;
pub use crate::model::admin::{AdminRequest, NewAdminRequest};
pub use crate::model::ask::{EntitlementRef, NewAccessRequest, RequestAgain, Target};
pub use crate::model::available::{AvailableBundle, AvailableEntitlement, Permission};
pub use crate::model::credential::{CredentialState, CredentialStatus};
pub use crate::model::details::{AccessSessionDetails, AdminRequestDetails, Link};
pub use crate::model::entitlement::{Entitlement, Resource};
pub use crate::model::query::{
    AdminQuery, AvailableBundleQuery, AvailableEntitlementQuery, DelegatedQuery, EntitlementQuery,
    ListQuery, SessionQuery,
};
pub use crate::model::request::{
    AccessGroup, AccessRequest, AdminTarget, Identity, Named, ResourceType,
};
pub use crate::model::request_id::RequestId;
pub use crate::model::secret::Secret;
pub use crate::model::selectable::{
    SelectableIntegration, SelectablePermissions, SelectableResource, SelectableResourceType,
};
pub use crate::model::session::AccessSession;
pub use crate::model::status::{EntitlementState, EntitlementStatus, State, Status};
pub use crate::network::{Forbidden, InvalidNetwork, Network, OutOfReach, Reach};
pub use crate::page::{Page, PageToken};
pub use crate::token::{InvalidToken, Token};
