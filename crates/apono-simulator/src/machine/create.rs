//! What may be asked for, and the requests a create makes: one per flow touched.
//!
//! A refusal is a status code, a code and a sentence. Bodies and their syntax are not judged here.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::{Key, Machine};
use crate::catalogue::{Flow, Pair, RequestFor};
use crate::clock::later;
use crate::request::{Actor, Entitlement, Fate, Request, Transition};
use crate::status::{EntitlementStatus, Status};
use crate::switches::{AgainJustification, FlowRefusal, Justification, Leniency};
use crate::users::UserKey;

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status that says so.
    pub status: u16,
    /// A word for machines.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    /// 400.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// What a doubtful thing gets that is not accepted.
    pub(crate) fn unless(
        leniency: Leniency,
        code: &'static str,
        message: &str,
    ) -> Result<(), Self> {
        match leniency {
            Leniency::Accept => Ok(()),
            Leniency::BadRequest => Err(Self::new(400, code, message)),
            Leniency::Conflict => Err(Self::new(409, code, message)),
        }
    }
}

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
}

/// The part of a create that falls under one flow.
struct Part {
    flow: usize,
    pairs: Vec<Pair>,
}

/// What all parts of a create share.
struct Common {
    requestor: UserKey,
    grantee: UserKey,
    bundle: Option<String>,
    justification: Option<String>,
    duration_in_sec: Option<i32>,
    custom_fields: BTreeMap<String, String>,
    again_of: Option<String>,
    by: Actor,
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
        let (bundle, parts) = self.split(&ask.wanted)?;
        self.check_custom_fields(&ask.custom_fields)?;
        let common = Common {
            requestor: ask.requestor,
            grantee,
            bundle,
            justification: self.justification(ask.justification)?,
            duration_in_sec: ask.duration_in_sec,
            custom_fields: ask.custom_fields,
            again_of: None,
            by: ask.by,
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
        };
        let pairs = first.entitlements.into_iter().map(|it| it.pair).collect();
        self.make(
            &[Part {
                flow: first.flow_place,
                pairs,
            }],
            &common,
        )
    }

    /// Splits what is wanted into the flows it touches, in the order of first mention.
    fn split(&self, wanted: &Wanted) -> Result<(Option<String>, Vec<Part>), Refusal> {
        match wanted {
            Wanted::Entitlements(pairs) => Ok((None, self.parts(pairs)?)),
            Wanted::Bundle(reference) => {
                let bundle = self.catalogue.bundle(reference).ok_or_else(|| {
                    let message = format!("there is no bundle `{reference}`");
                    Refusal::bad("UNKNOWN_BUNDLE", message)
                })?;
                let pairs = &bundle.entitlements;
                let parts = match self.catalogue.flow_of_bundle(bundle) {
                    Some(flow) => vec![Part {
                        flow,
                        pairs: pairs.clone(),
                    }],
                    None => self.parts(pairs)?,
                };
                Ok((Some(bundle.id.clone()), parts))
            }
        }
    }

    fn parts(&self, pairs: &[Pair]) -> Result<Vec<Part>, Refusal> {
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
        let mut parts: Vec<Part> = Vec::new();
        for pair in pairs {
            let described = self
                .catalogue
                .describe(pair)
                .map_err(|unknown| Refusal::bad("UNKNOWN_ENTITLEMENT", unknown))?;
            let flow = self.catalogue.flow_of(&described).ok_or_else(|| {
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

    fn check_custom_fields(&self, given: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let known = &self.catalogue.custom_fields;
        if let Some(name) = given
            .keys()
            .find(|name| known.iter().all(|it| it.id != **name))
        {
            let message = format!("there is no custom field `{name}`");
            Refusal::unless(
                self.switches.unknown_custom_field,
                "UNKNOWN_FIELD",
                &message,
            )?;
        }
        let missing = |id: &str| given.get(id).is_none_or(|value| value.trim().is_empty());
        match known
            .iter()
            .find(|field| field.required && missing(&field.id))
        {
            Some(field) => {
                let message = format!("custom field `{}` is required", field.id);
                Err(Refusal::bad("FIELD_MISSING", message))
            }
            None => Ok(()),
        }
    }

    fn justification(&self, given: Option<String>) -> Result<Option<String>, Refusal> {
        let Some(text) = given else { return Ok(None) };
        let most = self.switches.justification_length;
        match self.switches.justification {
            Justification::Trimmed => Ok(Some(text.trim().to_owned())),
            Justification::Cut => Ok(Some(text.chars().take(most).collect())),
            Justification::Refused if text.chars().count() > most => {
                let message = format!("the justification is longer than {most} characters");
                Err(Refusal::bad("JUSTIFICATION_TOO_LONG", message))
            }
            Justification::Kept | Justification::Refused => Ok(Some(text)),
        }
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

    fn judge(&self, part: &Part, common: &Common) -> Result<(), Refusal> {
        let Some(flow) = self.catalogue.flows.get(part.flow) else {
            return Err(Refusal::bad(
                "NO_ACCESS_FLOW",
                "no access flow gives this access",
            ));
        };
        let whom = if common.requestor == common.grantee {
            RequestFor::Oneself
        } else {
            RequestFor::Others
        };
        if !flow.request_for.contains(&whom) {
            let message = format!(
                "access flow `{}` does not let you ask for this user",
                flow.name
            );
            return Err(Refusal::new(403, "FORBIDDEN", message));
        }
        let blank = common
            .justification
            .as_ref()
            .is_none_or(|text| text.trim().is_empty());
        if flow.justification_required && blank {
            return Err(Refusal::bad("FIELD_MISSING", "justification is required"));
        }
        Self::judge_duration(flow, common.duration_in_sec)?;
        if self.repeats(part, common) {
            let message = "the same access is already requested";
            Refusal::unless(self.switches.duplicate, "DUPLICATE_REQUEST", message)?;
        }
        Ok(())
    }

    fn judge_duration(flow: &Flow, wanted: Option<i32>) -> Result<(), Refusal> {
        match (wanted, flow.max_duration_in_sec) {
            (Some(seconds), _) if seconds <= 0 => Err(Refusal::bad(
                "INVALID_DURATION",
                "duration_in_sec must be above zero",
            )),
            (Some(seconds), Some(most)) if seconds > most => Err(Refusal::bad(
                "INVALID_DURATION",
                format!("duration_in_sec must be at most {most}"),
            )),
            _ => Ok(()),
        }
    }

    fn repeats(&self, part: &Part, common: &Common) -> bool {
        self.switches.duplicate != Leniency::Accept
            && self
                .asked_by(common.requestor)
                .iter()
                .filter_map(|key| self.get(*key))
                .any(|it| {
                    !it.status.is_terminal()
                        && it.grantee_key == common.grantee
                        && it.entitlements.iter().map(|one| &one.pair).eq(&part.pairs)
                })
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
        let request = Request {
            id: self.next_id(),
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
