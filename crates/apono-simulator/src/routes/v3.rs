//! Requests on v3: the same machine in another vocabulary, for a user named by id or email.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::Session;
use crate::catalogue::{Integration, Pair};
use crate::clock::later;
use crate::http::Answer;
use crate::machine::{Ask, Key, Refusal, Wanted, Whose};
use crate::request::{Request, Via};
use crate::switches::{BulkOdd, ListOrder, V3Others, V3Requestor, V3Unnamed, Visibility};
use crate::users::UserKey;
use crate::wire::{self, BulkBody, Shape, V3CreateBody};

impl Session<'_> {
    /// Whether the caller may name this user on v3.
    fn may_name(&self, user: UserKey) -> bool {
        user == self.caller
            || match self.switches().v3_others {
                V3Others::Anyone => true,
                V3Others::Admins => self.machine.users().is_powerful(self.caller),
                V3Others::Nobody => false,
            }
    }

    /// A user named on v3; none where an unknown one is not an error.
    pub(super) fn v3_user(&self, reference: &str) -> Result<Option<UserKey>, Refusal> {
        match self.searched(reference)? {
            Some(user) if !self.may_name(user) => {
                let message = "you may not act for this user";
                Err(Refusal::new(403, "FORBIDDEN", message))
            }
            found => Ok(found),
        }
    }

    /// Who counts as the requestor of what the caller asks for this user.
    pub(super) fn v3_asker(&self, user: UserKey) -> UserKey {
        let himself = self.switches().v3_requestor == V3Requestor::User
            || self.machine.users().is_service(self.caller);
        if himself { user } else { self.caller }
    }

    fn is_on_v3(&self, request: &Request) -> bool {
        let switches = self.switches();
        let made = request.via == Via::V3 || switches.v4_made_on_v3 == Visibility::Visible;
        made && (switches.several_on_v3 == Visibility::Visible || !self.is_of_several(request))
    }

    fn is_of_several(&self, request: &Request) -> bool {
        let known = request.entitlements.iter();
        let mut ids = known
            .filter_map(|it| self.machine.describe(&it.pair))
            .map(|it| it.integration.id.as_str());
        ids.next()
            .is_some_and(|first| ids.any(|other| other != first))
    }

    /// The request of a v3 id, whosever it is.
    fn v3_lookup(&self, id: &str) -> Option<(Key, &Request)> {
        let machine = &*self.machine;
        let key = machine.find(id).or_else(|| machine.find_by_other_id(id))?;
        let request = machine.get(key)?;
        let friendly = self.switches().friendly_id_on_v3 == Visibility::Visible;
        let meant = request.uuid == id || (friendly && request.friendly_id == id);
        (meant && self.is_on_v3(request)).then_some((key, request))
    }

    /// A request that the caller may see on v3.
    pub(super) fn v3_find(&self, id: &str) -> Result<Key, Refusal> {
        let (key, request) = self.v3_lookup(id).ok_or_else(|| Self::missing(id))?;
        let seen = request.requestor_key == self.caller || self.may_name(request.grantee_key);
        if seen { Ok(key) } else { Err(self.foreign(id)) }
    }

    fn v3_show(&self, key: Key) -> Answer {
        let view = self.view(Shape::Own, SignedDuration::ZERO);
        let shown = self.machine.get(key).map(|it| view.v3_request(it));
        Answer::json(200, &shown)
    }

    pub(super) fn v3_get(&self, id: &str) -> Result<Answer, Refusal> {
        let key = self.v3_find(id)?;
        self.no_parameters()?;
        Ok(self.v3_show(key))
    }

    pub(super) fn v3_list(&self) -> Result<Answer, Refusal> {
        let [user, days] = self.parameters(&["user_id", "days_offset"])?;
        let switches = self.switches();
        let days = match days {
            None => switches.v3_list_days.map(i64::from),
            Some(text) => Some(
                text.parse::<i64>()
                    .ok()
                    .filter(|days| *days >= 0)
                    .ok_or_else(|| {
                        let message = "days_offset must be a number of days";
                        Refusal::bad("INVALID_DAYS_OFFSET", message)
                    })?,
            ),
        };
        let everybody = user.is_none() && switches.v3_list_unnamed == V3Unnamed::All;
        let grantee = match user {
            Some(reference) => self.v3_user(&reference)?,
            None if switches.v3_list_unnamed == V3Unnamed::Refuse => {
                return Err(Refusal::bad("FIELD_MISSING", "user_id is required"));
            }
            None => Some(self.caller),
        };
        let (data, total) = if grantee.is_none() {
            (Vec::new(), 0)
        } else {
            let whose = Whose {
                grantee: grantee.filter(|_| !everybody),
                ..Whose::default()
            };
            self.v3_listed(whose, days)
        };
        let view = self.view(Shape::Own, self.distortion.behind);
        let data = data.into_iter().map(|it| view.v3_request(it)).collect();
        Ok(Answer::json(200, &wire::v3_page(data, total)))
    }

    /// The requests of the last days, as many as a list shows, and how many there are.
    fn v3_listed(&self, whose: Whose, days: Option<i64>) -> (Vec<&Request>, usize) {
        let now = self.machine.now();
        let newest = later(now, -self.distortion.lag);
        let hours = days.map(|days| days.saturating_mul(24).min(i64::MAX / 3_600));
        let oldest = hours.map(|hours| later(now, -SignedDuration::from_hours(hours)));
        // Newest first, so that the walk ends with the days asked for.
        let mut found: Vec<(Key, &Request)> = self
            .machine
            .newest_first(whose, &[], None)
            .skip_while(|(_, request)| request.created_at > newest)
            .take_while(|(_, request)| oldest.is_none_or(|oldest| request.created_at >= oldest))
            .filter(|(_, request)| self.is_on_v3(request))
            .filter(|(_, it)| it.requestor_key == self.caller || self.may_name(it.grantee_key))
            .collect();
        match self.switches().list_order {
            ListOrder::NewestFirst => {}
            ListOrder::OldestFirst => found.reverse(),
            order @ ListOrder::Shuffled => {
                found.sort_unstable_by_key(|(key, _)| super::lists::sort_key(*key, order));
            }
        }
        let total = found.len();
        let most = self.switches().v3_list_cut.unwrap_or(total);
        let shown = found.into_iter().map(|(_, request)| request).take(most);
        (shown.collect(), total)
    }

    pub(super) fn v3_create(&mut self) -> Result<Answer, Refusal> {
        self.no_parameters()?;
        let body: V3CreateBody = wire::body(self.call, self.switches())?;
        let user = self.machine.users().find(&body.user_id).ok_or_else(|| {
            let message = format!("there is no user `{}`", body.user_id);
            Refusal::bad("UNKNOWN_USER", message)
        })?;
        if !self.may_name(user) {
            let message = "you may not ask for this user";
            return Err(Refusal::new(403, "FORBIDDEN", message));
        }
        let wanted = Wanted::Entitlements(self.v3_pairs(&body)?);
        let grantee = self.machine.users().email(user).to_owned();
        let keys = self.machine.create(Ask {
            requestor: self.v3_asker(user),
            grantee: Some(grantee),
            wanted,
            justification: Some(body.justification),
            duration_in_sec: body.duration_in_sec,
            custom_fields: BTreeMap::new(),
            by: self.actor(),
            via: Via::V3,
        })?;
        let made = keys.iter().filter_map(|key| self.machine.get(*key));
        let ids: Vec<_> = made.map(|request| request.id.clone()).collect();
        self.ids.extend(ids);
        let first = keys.first().copied();
        first.map_or_else(
            || Err(Refusal::bad("FIELD_MISSING", "nothing is asked for")),
            |key| Ok(self.v3_show(key)),
        )
    }

    /// Every named permission on every named resource.
    fn v3_pairs(&self, body: &V3CreateBody) -> Result<Vec<Pair>, Refusal> {
        let integrations = &self.machine.catalogue().integrations;
        let integration = integrations
            .iter()
            .find(|it| it.id == body.integration_id)
            .ok_or_else(|| {
                let message = format!("there is no integration `{}`", body.integration_id);
                Refusal::bad("UNKNOWN_INTEGRATION", message)
            })?;
        if body.resource_ids.is_empty() || body.permissions.is_empty() {
            let message = "resource_ids and permissions must name something";
            return Err(Refusal::bad("FIELD_MISSING", message));
        }
        let mut pairs = Vec::new();
        for resource in &body.resource_ids {
            for permission in &body.permissions {
                pairs.push(v3_pair(integration, resource, permission)?);
            }
        }
        Ok(pairs)
    }

    pub(super) fn v3_bulk_revoke(&mut self) -> Result<Answer, Refusal> {
        self.no_parameters()?;
        let body: BulkBody = wire::body(self.call, self.switches())?;
        let ids = body.request_ids;
        self.ids.extend(ids.iter().cloned());
        let switches = self.switches();
        if ids.is_empty() {
            return Err(Refusal::bad("FIELD_MISSING", "request_ids is empty"));
        }
        if switches.bulk_max.is_some_and(|most| ids.len() > most) {
            return Err(Refusal::bad(
                "TOO_MANY_REQUESTS_AT_ONCE",
                "too many request_ids",
            ));
        }
        let mut keys = Vec::new();
        for id in &ids {
            match self.v3_revocable(id) {
                Ok(key) => keys.push(key),
                Err((odd, refusal)) if odd == BulkOdd::Refuse => return Err(refusal),
                Err(_) => {}
            }
        }
        let by = self.actor();
        for key in keys {
            // Judged above: what is refused now has changed only by this very call.
            let _ = self.machine.revoke(key, &by);
        }
        Ok(self.say("The access requests are being revoked"))
    }

    /// A request that the caller may revoke; otherwise whether that matters, and why not.
    fn v3_revocable(&self, id: &str) -> Result<Key, (BulkOdd, Refusal)> {
        let switches = self.switches();
        let unknown = || (switches.bulk_unknown, Self::missing(id));
        let (key, request) = self.v3_lookup(id).ok_or_else(unknown)?;
        let asked =
            request.requestor_key == self.caller && switches.bulk_delegated == Visibility::Visible;
        let own = request.grantee_key == self.caller;
        if !(own || asked || self.machine.users().is_powerful(self.caller)) {
            let message = format!("access request `{id}` is not yours");
            let refusal = Refusal::new(403, "FORBIDDEN", message);
            return Err((switches.bulk_foreign, refusal));
        }
        match self.machine.may_revoke(key) {
            Ok(()) if request.status.is_terminal() && !self.machine.may_retry(request) => {
                let message = format!("access request `{id}` has already ended");
                Err((switches.bulk_ended, Refusal::bad("ALREADY_ENDED", message)))
            }
            Ok(()) => Ok(key),
            Err(refusal) if request.status.is_terminal() => Err((switches.bulk_ended, refusal)),
            Err(refusal) => Err((BulkOdd::Refuse, refusal)),
        }
    }
}

fn v3_pair(integration: &Integration, resource: &str, permission: &str) -> Result<Pair, Refusal> {
    let found = integration.resources.iter().find(|it| it.id == resource);
    let resource = found.ok_or_else(|| {
        let message = format!("`{}` has no resource `{resource}`", integration.id);
        Refusal::bad("UNKNOWN_RESOURCE", message)
    })?;
    let mut kinds = integration.resource_types.iter();
    let kind = kinds.find(|kind| kind.id == resource.resource_type);
    let mut permissions = kind.into_iter().flat_map(|kind| &kind.permissions);
    let permission = permissions
        .find(|it| it.name == permission)
        .ok_or_else(|| {
            let message = format!("`{}` has no permission `{permission}`", resource.id);
            Refusal::bad("UNKNOWN_PERMISSION", message)
        })?;
    Ok(Pair {
        resource: resource.id.clone(),
        permission: permission.id.clone(),
    })
}
