//! Sessions and their details as answers show them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalogue::{Access, Integration};
use crate::session::{Credentials, Session};
use crate::switches::{CredentialCase, CredentialFresh, SeenPassword, Switches};

/// What stands where a password was.
const MASK: &str = "*****";

fn word(credentials: Credentials, switches: &Switches) -> String {
    let word = match (credentials, switches.credential_fresh) {
        (Credentials::Available, CredentialFresh::Available) => "AVAILABLE",
        (Credentials::Available, CredentialFresh::New) => "NEW",
        (Credentials::Viewed, _) => "VIEWED",
        (Credentials::Resetting, _) => "RESETTING",
        (Credentials::NotApplicable, _) => "NOT_APPLICABLE",
    };
    match switches.credential_case {
        CredentialCase::Upper => word.to_owned(),
        CredentialCase::Lower => word.to_lowercase(),
        CredentialCase::Pascal => word.split('_').map(capitalized).collect(),
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    format!("{first}{}", rest.to_lowercase())
}

/// A session, kept open by these of its requests.
pub(crate) fn session(
    session: &Session,
    requests: &[&str],
    integration: &Integration,
    switches: &Switches,
) -> Value {
    json!({
        "id": session.id,
        "name": session.name,
        "request_ids": requests,
        "integration": {"id": integration.id, "name": integration.name},
        "credentials_status": word(session.credentials, switches),
        "can_reset_credentials": session.resettable,
    })
}

/// The texts of a system's access, with the password or a mask in its places.
struct Filled<'a> {
    username: &'a str,
    password: &'a str,
}

impl Filled<'_> {
    fn text(&self, template: &str) -> String {
        template
            .replace("{username}", self.username)
            .replace("{password}", self.password)
    }

    fn parameters(
        &self,
        session: &Session,
        access: &Access,
        shown: bool,
    ) -> BTreeMap<String, String> {
        let mut parameters: BTreeMap<String, String> = access
            .parameters
            .iter()
            .map(|(name, value)| (name.clone(), self.text(value)))
            .collect();
        if session.credentials != Credentials::NotApplicable {
            parameters.insert("username".to_owned(), self.username.to_owned());
            if shown {
                parameters.insert("password".to_owned(), self.password.to_owned());
            }
        }
        parameters
    }
}

/// The details of a session; without the password where it was read before.
pub(crate) fn session_details(
    session: &Session,
    access: &Access,
    password: Option<&str>,
    switches: &Switches,
) -> Value {
    let filled = Filled {
        username: &session.username,
        password: password.unwrap_or(MASK),
    };
    let shown = password.is_some() || switches.seen_password == SeenPassword::Masked;
    let parameters = filled.parameters(session, access, shown);
    let link = access.link.as_ref();
    json!({
        "instructions": filled.text(&access.instructions),
        "custom_admin_message": access.admin_message,
        "parameters": if parameters.is_empty() { Value::Null } else { json!(parameters) },
        "cli": access.cli.as_deref().map(|cli| filled.text(cli)),
        "link": link.map(|link| json!({"url": filled.text(&link.url), "title": link.title})),
    })
}

/// The same as one text, as v3 gives it.
pub(crate) fn details_text(details: &Value) -> String {
    let text = |at: &str| details.pointer(at).and_then(Value::as_str);
    let line = |name: &str, text: &str| format!("{name}: {text}");
    let parameters = details.pointer("/parameters").and_then(Value::as_object);
    let parameters = parameters.into_iter().flatten();
    let parameters = parameters.filter_map(|(name, value)| Some(line(name, value.as_str()?)));
    let first = text("/instructions").map(str::to_owned);
    let message = text("/custom_admin_message").map(|it| line("message", it));
    let cli = text("/cli").map(|it| line("cli", it));
    let link = text("/link/url").map(|it| line("link", it));
    let lines = first.into_iter().chain(message).chain(parameters);
    lines.chain(cli).chain(link).collect::<Vec<_>>().join("\n")
}
