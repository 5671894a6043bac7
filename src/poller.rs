//! Stand-in.
#![allow(missing_docs)]
use std::{collections::BTreeMap, sync::Arc};
use jiff::Timestamp;
use crate::{crd::RemoteApi, marker::{Mark, Nonce}};
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot { pub request: apono_client::AccessRequest, pub api: RemoteApi, pub asked_at: Timestamp }
#[derive(Clone, Debug, PartialEq)]
pub enum Sight { Unread, Seen(Arc<Snapshot>), Missing(Missing) }
#[derive(Clone, Debug, PartialEq)]
pub struct Missing { pub times: u32, pub first: Timestamp, pub last: Timestamp, pub last_seen: Option<Arc<Snapshot>> }
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look { pub asked_at: Timestamp, pub since: Timestamp }
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Health { pub last_good: Option<Timestamp>, pub failing_since: Option<Timestamp>, pub failed_rounds: u32, pub error: Option<String> }
#[derive(Clone, Debug, PartialEq, Default)]
pub struct View { pub sights: BTreeMap<String, Sight>, pub by_nonce: BTreeMap<Nonce, Vec<Arc<Snapshot>>>, pub strays: Vec<(Mark, Arc<Snapshot>)>, pub look: BTreeMap<RemoteApi, Look>, pub identity: Option<String>, pub health: Health }
