//! What may be asked for, and the requests a create makes: one per flow touched.
//!
//! Bodies and their syntax are not judged here; what flows say is `judge.rs`'s.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{Key, Machine, Refusal};
use crate::catalogue::{Bundle, Pair};
use crate::clock::later;
use crate::request::{Actor, Entitlement, Fate, Request, Transition, Via};
use crate::status::{EntitlementStatus, Status};
use crate::switches::{AgainJustification, FlowRefusal, V3Flows};
use crate::users::UserKey;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A bundle, by id or display name.
    Bundle(String),
    /// Entitlements, by ids.
    Entitlements(Vec<Pair>),
}

/// A create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Who asks.
    pub requestor: UserKey,
    /// For whom, by id or email; nobody named: for himself.
    pub grantee: Option<String>,
    /// What.
    pub wanted: Wanted,
    /// Why.
    pub justification: Option<String>,
    /// For how long.
    pub duration_in_sec: Option<i32>,
    /// The custom fields.
    pub custom_fields: BTreeMap<String, String>,
    /// Who makes the call.
    pub by: Actor,
    /// Where it is made.
    pub via: Via,
}

/// The part of a create that falls under one flow.
pub(super) struct Part {
    pub(super) flow: usize,
    pub(super) pairs: Vec<Pair>,
}

/// What all parts of a create share.
pub(super) struct Common {
    pub(super) requestor: UserKey,
    pub(super) grantee: UserKey,
    bundle: Option<String>,
    pub(super) justification: Option<String>,
    pub(super) duration_in_sec: Option<i32>,
    custom_fields: BTreeMap<String, String>,
    again_of: Option<String>,
    by: Actor,
    pub(super) via: Via,
}

impl Machine {
    /// Asks for access.
    ///
    /// # Errors
    /// The refusal; then nothing was created.
    pub fn create(&mut self, ask: Ask) -> Result<Vec<Key>, Refusal> {
        self.settle();
        let grantee = match ask.grantee.as_deref() {
            None => ask.requestor,
            Some(reference) => self.users.find(reference).ok_or_else(|| {
                Refusal::bad("UNKNOWN_GRANTEE", format!("there is no user `{reference}`"))
            })?,
        };
        let (bundle, parts) = self.split(ask.requestor, &ask.wanted)?;
        if ask.via == Via::V3 {
            // v3 has no custom fields to send, and one object to answer with.
            if parts.len() > 1 && self.switches.v3_flows == V3Flows::Refuse {
                let message = "the resources belong to more than one access flow";
                return Err(Refusal::bad("SEVERAL_FLOWS", message));
            }
        } else {
            self.check_custom_fields(&ask.custom_fields)?;
        }
        let common = Common {
            requestor: ask.requestor,
            grantee,
            bundle,
            justification: self.justification(ask.justification)?,
            duration_in_sec: ask.duration_in_sec,
            custom_fields: ask.custom_fields,
            again_of: None,
            by: ask.by,
            via: ask.via,
        };
        self.make(&parts, &common)
    }

    /// Asks again for what a request asked for; the flows judge anew.
    ///
    /// # Errors
    /// The refusal; then nothing was created.
    pub fn request_again(
        &mut self,
        key: Key,
        justification: Option<String>,
        custom_fields: BTreeMap<String, String>,
        by: Actor,
    ) -> Result<Vec<Key>, Refusal> {
        self.settle();
        let Some(first) = self.get(key).cloned() else {
            return Err(Refusal::new(
                404,
                "NOT_FOUND",
                "there is no such access request",
            ));
        };
        if !first.status.is_terminal() {
            let message = "the access request has not ended";
            Refusal::unless(self.switches.again_unended, "NOT_ENDED", message)?;
        }
        self.check_custom_fields(&custom_fields)?;
        let inherited = match self.switches.again_justification {
            AgainJustification::Inherited => first.justification,
            AgainJustification::AsSent => None,
        };
        let pairs: Vec<Pair> = first.entitlements.into_iter().map(|it| it.pair).collect();
        let bundle = first.bundle.as_deref();
        let whole = bundle
            .and_then(|id| self.catalogue.bundle(id))
            .and_then(|bundle| self.whole(first.requestor_key, bundle));
        // Flows may have changed since: which of them decide is asked anew, too.
        let parts = match whole {
            Some(flow) => vec![Part { flow, pairs }],
            None => self.parts(first.requestor_key, &pairs)?,
        };
        let common = Common {
            requestor: first.requestor_key,
            grantee: first.grantee_key,
            bundle: first.bundle,
            justification: match justification {
                Some(text) => self.justification(Some(text))?,
                None => inherited,
            },
            duration_in_sec: first.duration_in_sec,
            custom_fields,
            again_of: Some(first.id),
            by,
            via: Via::V4,
        };
        self.make(&parts, &common)
    }

    /// The flow that keeps a bundle whole for this requestor.
    fn whole(&self, requestor: UserKey, bundle: &Bundle) -> Option<usize> {
        let requestor = self.users.email(requestor);
        self.catalogue.flow_of_bundle(requestor, bundle)
    }

    /// Splits what is wanted into the flows it touches, in the order of first mention.
    fn split(
        &self,
        requestor: UserKey,
        wanted: &Wanted,
    ) -> Result<(Option<String>, Vec<Part>), Refusal> {
        match wanted {
            Wanted::Entitlements(pairs) => Ok((None, self.parts(requestor, pairs)?)),
            Wanted::Bundle(reference) => {
                let bundle = self.catalogue.bundle(reference).ok_or_else(|| {
                    let message = format!("there is no bundle `{reference}`");
                    Refusal::bad("UNKNOWN_BUNDLE", message)
                })?;
                let pairs = &bundle.entitlements;
                let parts = match self.whole(requestor, bundle) {
                    Some(flow) => vec![Part {
                        flow,
                        pairs: pairs.clone(),
                    }],
                    None => self.parts(requestor, pairs)?,
                };
                Ok((Some(bundle.id.clone()), parts))
            }
        }
    }

    fn parts(&self, requestor: UserKey, pairs: &[Pair]) -> Result<Vec<Part>, Refusal> {
        if self
            .switches
            .entitlement_cap
            .is_some_and(|cap| pairs.len() > cap)
        {
            return Err(Refusal::bad(
                "TOO_MANY_ENTITLEMENTS",
                "too many entitlements at once",
            ));
        }
        let requestor = self.users.email(requestor);
        let mut parts: Vec<Part> = Vec::new();
        for pair in pairs {
            let Some(described) = self.describe(pair) else {
                let unknown = self.catalogue.describe(pair).err().unwrap_or_default();
                return Err(Refusal::bad("UNKNOWN_ENTITLEMENT", unknown));
            };
            let flow = self
                .catalogue
                .flow_of(requestor, &described)
                .ok_or_else(|| {
                    let name = &described.resource.name;
                    Refusal::bad(
                        "NO_ACCESS_FLOW",
                        format!("no access flow gives access to `{name}`"),
                    )
                })?;
            match parts.iter_mut().find(|part| part.flow == flow) {
                Some(part) if part.pairs.contains(pair) => {}
                Some(part) => part.pairs.push(pair.clone()),
                None => parts.push(Part {
                    flow,
                    pairs: vec![pair.clone()],
                }),
            }
        }
        Ok(parts)
    }

    /// Judges every part, then makes the requests of those accepted.
    fn make(&mut self, parts: &[Part], common: &Common) -> Result<Vec<Key>, Refusal> {
        let mut accepted = Vec::new();
        let mut refused = None;
        for part in parts {
            match self.judge(part, common) {
                Ok(()) => accepted.push(part),
                Err(refusal) => refused = refused.or(Some(refusal)),
            }
        }
        let none = accepted.is_empty() || self.switches.flow_refusal == FlowRefusal::AllOrNothing;
        if let Some(refusal) = refused.filter(|_| none) {
            return Err(refusal);
        }
        self.batches += 1;
        let keys = accepted
            .into_iter()
            .map(|part| self.make_one(part, common))
            .collect();
        self.settle();
        Ok(keys)
    }

    fn make_one(&mut self, part: &Part, common: &Common) -> Key {
        let now = self.now();
        let (flow, fate, period) = self.catalogue.flows.get(part.flow).map_or_else(
            || (String::new(), Fate::default(), None),
            |flow| {
                let fate = Fate {
                    grant: flow.grant,
                    revoke: flow.revoke,
                };
                (flow.name.clone(), fate, flow.grant_duration_in_sec)
            },
        );
        let period = common.duration_in_sec.or(period);
        let entitlements = part.pairs.iter().cloned();
        let created = Transition {
            at: now,
            status: Status::Initializing,
            by: common.by.clone(),
            note: None,
        };
        let (id, uuid, friendly_id) = self.next_ids();
        let request = Request {
            id,
            uuid,
            friendly_id,
            via: common.via,
            number: self.requests.len() as u64 + 1,
            batch: self.batches,
            requestor: self.users.email(common.requestor).to_owned(),
            grantee: self.users.email(common.grantee).to_owned(),
            requestor_key: common.requestor,
            grantee_key: common.grantee,
            flow,
            flow_place: part.flow,
            bundle: common.bundle.clone(),
            justification: common.justification.clone(),
            custom_fields: common.custom_fields.clone(),
            duration_in_sec: common.duration_in_sec,
            status: Status::Initializing,
            entitlements: entitlements
                .map(|pair| Entitlement {
                    pair,
                    status: EntitlementStatus::Pending,
                })
                .collect(),
            created_at: now,
            active_at: None,
            planned_end: period.map(|sec| later(now, SignedDuration::from_secs(sec.into()))),
            ended_at: None,
            mfa_passed: false,
            approved: false,
            fate,
            again_of: common.again_of.clone(),
            timeline: vec![created],
            due: None,
        };
        self.insert(request)
    }
}
