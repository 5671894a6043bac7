//! What one may ask for on v3: integrations, then their types, permissions and resources.

use serde_json::{Value, json};

use super::Session;
use crate::catalogue::{Described, Integration};
use crate::http::Answer;
use crate::machine::Refusal;
use crate::wire;

impl Session<'_> {
    /// What the named user (the caller when nobody is named) may be asked for.
    fn selectable(&self) -> Result<Vec<Described<'_>>, Refusal> {
        let [user] = self.parameters(&["user_id"])?;
        let user = match user {
            None => Some(self.caller),
            Some(reference) => self.v3_user(&reference)?,
        };
        let Some(user) = user else {
            return Ok(Vec::new());
        };
        let users = self.machine.users();
        let (requestor, grantee) = (users.email(self.v3_asker(user)), users.email(user));
        let catalogue = self.machine.catalogue();
        let all = catalogue.entitlements();
        Ok(all
            .filter(|it| catalogue.may_ask(requestor, grantee, it))
            .collect())
    }

    fn integration(&self, id: &str) -> Result<&Integration, Refusal> {
        let integrations = &self.machine.catalogue().integrations;
        integrations.iter().find(|it| it.id == id).ok_or_else(|| {
            let message = format!("there is no integration `{id}`");
            Refusal::new(404, "NOT_FOUND", message)
        })
    }

    /// An answer of what differs among the items, in the order of the catalogue.
    fn v3_data<'a>(&self, items: impl Iterator<Item = (&'a str, Value)>) -> (Vec<Value>, usize) {
        let mut seen = std::collections::HashSet::new();
        let mut data: Vec<Value> = items
            .filter(|(id, _)| seen.insert(*id))
            .map(|(_, shown)| shown)
            .collect();
        let total = data.len();
        data.truncate(self.switches().v3_list_cut.unwrap_or(total));
        (data, total)
    }

    pub(super) fn selectable_integrations(&self) -> Result<Answer, Refusal> {
        let found = self.selectable()?;
        let (data, total) = self.v3_data(found.iter().map(|it| {
            let id = it.integration.id.as_str();
            (id, json!({"id": id}))
        }));
        Ok(Answer::json(200, &wire::v3_page(data, total)))
    }

    pub(super) fn selectable_resource_types(&self, integration: &str) -> Result<Answer, Refusal> {
        let integration = self.integration(integration)?;
        let found = self.selectable()?;
        let within = found
            .iter()
            .filter(|it| it.integration.id == integration.id);
        let (data, total) = self.v3_data(within.map(|it| {
            let kind = it.resource_type;
            (kind.id.as_str(), wire::v3_resource_type(kind))
        }));
        Ok(Answer::json(200, &wire::v3_page(data, total)))
    }

    pub(super) fn selectable_permissions(
        &self,
        integration: &str,
        kind: &str,
    ) -> Result<Answer, Refusal> {
        let (integration, allow_multiple) = self.kind(integration, kind)?;
        let found = self.selectable()?;
        let (data, total) = self.v3_data(of_kind(&found, integration, kind).map(|it| {
            let name = it.permission.name.as_str();
            (name, json!(name))
        }));
        let mut page = wire::v3_page(data, total);
        if let Some(fields) = page.as_object_mut() {
            fields.insert("allow_multiple".to_owned(), json!(allow_multiple));
        }
        Ok(Answer::json(200, &page))
    }

    pub(super) fn selectable_resources(
        &self,
        integration: &str,
        kind: &str,
    ) -> Result<Answer, Refusal> {
        let (integration, _) = self.kind(integration, kind)?;
        let found = self.selectable()?;
        let (data, total) = self.v3_data(of_kind(&found, integration, kind).map(|it| {
            let resource = it.resource;
            (resource.id.as_str(), wire::v3_resource(resource))
        }));
        Ok(Answer::json(200, &wire::v3_page(data, total)))
    }

    /// An integration that has this resource type, and whether the type allows several permissions.
    fn kind(&self, integration: &str, kind: &str) -> Result<(&Integration, bool), Refusal> {
        let integration = self.integration(integration)?;
        let mut kinds = integration.resource_types.iter();
        let found = kinds.find(|it| it.id == kind).ok_or_else(|| {
            let message = format!("`{}` has no resource type `{kind}`", integration.id);
            Refusal::new(404, "NOT_FOUND", message)
        })?;
        Ok((integration, found.allow_multiple))
    }
}

fn of_kind<'a>(
    found: &'a [Described<'a>],
    integration: &'a Integration,
    kind: &'a str,
) -> impl Iterator<Item = &'a Described<'a>> {
    found
        .iter()
        .filter(move |it| it.integration.id == integration.id && it.resource_type.id == kind)
}
