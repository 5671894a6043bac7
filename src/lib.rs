//! `apono-operator` makes temporary access a Kubernetes resource.
//!
//! ```text
//!  kube watch ──> controller ── observe ─ plan ─ mark ─ execute ─ fold ─ persist ──> kube status
//!                     ^            |                      |
//!                   wakes       snapshots             create, revoke
//!                     |            |                      v
//!                   poller ────> store                 remote (gate, circuit, pace) ──> Apono
//!                     └──────────────── list pages ───────^
//! ```
//!
//! | step | where |
//! | --- | --- |
//! | what people write, and the rules for it | [`crd`] |
//! | one pass over one `AccessRequest` | [`controller`] |
//! | where the API is, whose token, what it may be used for | [`connection`] |
//! | access that outlived its resource, until it is taken back | [`owed`] |
//! | every call to the API: circuit, pause, pace, metrics | [`remote`] |
//! | what the API holds, read by list pages | [`poller`] |
//! | how a request is found again when its answer was lost | [`marker`] |
//! | whether a cluster has what the operator needs | [`check`] |
//! | everything ended or handed over before the operator goes | [`drain`] |
//! | where a debug build can be made to die | [`failpoint`] |
//! | which replica works for which connections | [`shards`] |
//! | settings, logs and traces, metrics, health, start and stop | [`settings`], [`telemetry`], [`metrics`], [`admin`], [`app`] |

pub mod admin;
pub mod app;
pub mod check;
pub mod clock;
pub mod connection;
pub mod controller;
pub mod crd;
pub mod drain;
pub mod failpoint;
pub mod kubernetes;
pub mod marker;
pub mod metrics;
pub mod owed;
pub mod poller;
pub mod remote;
pub mod settings;
pub mod shards;
pub mod telemetry;
