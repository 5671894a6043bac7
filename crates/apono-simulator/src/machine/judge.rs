//! What flows, switches and the account's rules say to a wish.
//!
//! A refusal is a status code, a code and a sentence. Nothing here makes a request.

use std::collections::BTreeMap;

use super::create::{Common, Part};
use super::{Machine, Whose};
use crate::catalogue::Flow;
use crate::request::Via;
use crate::status::Status;
use crate::switches::{Justification, Leniency};

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

impl Machine {
    pub(super) fn check_custom_fields(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<(), Refusal> {
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

    pub(super) fn justification(&self, given: Option<String>) -> Result<Option<String>, Refusal> {
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

    pub(super) fn judge(&self, part: &Part, common: &Common) -> Result<(), Refusal> {
        let Some(flow) = self.catalogue.flows.get(part.flow) else {
            return Err(Refusal::bad(
                "NO_ACCESS_FLOW",
                "no access flow gives this access",
            ));
        };
        let (requestor, grantee) = (common.requestor, common.grantee);
        let (requestor, grantee) = (self.users.email(requestor), self.users.email(grantee));
        if !self.catalogue.lets_ask(flow, requestor, grantee) {
            let message = format!(
                "access flow `{}` does not let you ask for this user",
                flow.name
            );
            return Err(Refusal::new(403, "FORBIDDEN", message));
        }
        self.judge_permissions(part, common.via)?;
        let blank = common
            .justification
            .as_ref()
            .is_none_or(|text| text.trim().is_empty());
        if flow.justification_required && blank {
            return Err(Refusal::bad("FIELD_MISSING", "justification is required"));
        }
        self.judge_duration(flow, common.duration_in_sec)?;
        if self.repeats(part, common) {
            let message = "the same access is already requested";
            Refusal::unless(self.switches.duplicate, "DUPLICATE_REQUEST", message)?;
        }
        Ok(())
    }

    /// A resource type may allow only one of its permissions per request.
    fn judge_permissions(&self, part: &Part, via: Via) -> Result<(), Refusal> {
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        let known = part.pairs.iter().filter_map(|pair| self.describe(pair));
        for one in known.filter(|one| !one.resource_type.allow_multiple) {
            let wanted = one.permission.id.as_str();
            if *first.entry(&one.resource_type.id).or_insert(wanted) == wanted {
                continue;
            }
            let message = format!(
                "`{}` allows one permission per request",
                one.resource_type.label
            );
            let leniency = match via {
                Via::V3 => Leniency::BadRequest,
                Via::V4 | Via::Portal => self.switches.single_permission_on_v4,
            };
            Refusal::unless(leniency, "SEVERAL_PERMISSIONS", &message)?;
        }
        Ok(())
    }

    fn judge_duration(&self, flow: &Flow, wanted: Option<i32>) -> Result<(), Refusal> {
        let refuse = |message| Err(Refusal::bad("INVALID_DURATION", message));
        match (wanted, flow.max_duration_in_sec) {
            (None, _) if self.switches.duration_required => {
                refuse("duration_in_sec is required".to_owned())
            }
            (Some(seconds), _) if seconds <= 0 => {
                refuse("duration_in_sec must be above zero".to_owned())
            }
            (Some(seconds), Some(most)) if seconds > most => {
                refuse(format!("duration_in_sec must be at most {most}"))
            }
            _ => Ok(()),
        }
    }

    fn repeats(&self, part: &Part, common: &Common) -> bool {
        let whose = Whose {
            requestor: Some(common.requestor),
            grantee: Some(common.grantee),
            only_delegated: false,
        };
        let unended: Vec<_> = Status::ALL
            .into_iter()
            .filter(|it| !it.is_terminal())
            .collect();
        self.switches.duplicate != Leniency::Accept
            && self
                .oldest_first(whose, &unended, None)
                .any(|(_, it)| it.entitlements.iter().map(|one| &one.pair).eq(&part.pairs))
    }
}
