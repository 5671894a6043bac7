//! The validation rules of the custom resources, as CEL with messages that say what to do next.
//!
//! The apiserver evaluates them. Each is bounded by the lengths the schemas give, since the
//! apiserver refuses rules that could become expensive. Patterns are rules rather than the schema's
//! `pattern`, because a `pattern` cannot explain itself.

use kube::core::{Reason, Rule};

/// One label of a DNS name, as Kubernetes uses it for namespaces.
const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
/// A port, 1 to 65535.
const PORT: &str = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|\
                    6553[0-5])";
/// A number of an IPv4 address, 0 to 255.
const OCTET: &str = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

/// The smallest and the largest value a duration may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// The smallest value, as a person writes it.
    pub(super) min: &'static str,
    /// The largest value, as a person writes it.
    pub(super) max: &'static str,
}

fn refuse(rule: impl Into<String>, message: impl Into<String>) -> Rule {
    Rule::new(rule)
        .message(message.into().as_str())
        .reason(Reason::FieldValueInvalid)
}

/// Hours, minutes and seconds, each at most once and in that order.
pub(super) fn is_duration() -> Rule {
    refuse(
        format!("self.matches('{}')", duration_pattern("")),
        "write the duration in hours, minutes and seconds, in this order and in whole numbers: \
         \"8h\", \"1h30m\" or \"90s\"; \"1d\" and \"0.5h\" are not understood, write \"24h\" and \
         \"30m\"",
    )
}

/// As [`is_duration`], and milliseconds.
pub(super) fn is_interval() -> Rule {
    refuse(
        format!("self.matches('{}')", duration_pattern("([0-9]{1,5}ms)?")),
        "write the interval in hours, minutes, seconds and milliseconds, in this order and in \
         whole numbers: \"1m30s\", \"15s\" or \"500ms\"; \"1d\" and \"0.5s\" are not understood, \
         write \"24h\" and \"500ms\"",
    )
}

fn duration_pattern(milliseconds: &str) -> String {
    format!("^([0-9]{{1,5}}h)?([0-9]{{1,5}}m)?([0-9]{{1,5}}s)?{milliseconds}$")
}

/// The bounds of a duration. Silent where the text is no duration: the rule on its form speaks then.
pub(super) fn is_within(span: Span) -> Rule {
    let Span { min, max } = span;
    let pattern = duration_pattern("([0-9]{1,5}ms)?");
    refuse(
        format!(
            "self == '' || !self.matches('{pattern}') || (duration(self) >= duration('{min}') && \
             duration(self) <= duration('{max}'))"
        ),
        format!("choose a value from {min} to {max}"),
    )
}

/// A value that is fixed once the resource exists. The rule belongs to the object that holds the
/// property: on the property itself it would be skipped when the property appears or vanishes.
pub(super) fn is_fixed(property: &str, remedy: &str) -> Rule {
    refuse(
        format!(
            "has(self.{property}) == has(oldSelf.{property}) && (!has(self.{property}) || \
             self.{property} == oldSelf.{property})"
        ),
        format!("{property} cannot be added, removed or changed later: {remedy}"),
    )
}

/// What [`is_fixed`] tells the author of an `AccessRequest`.
pub(super) const NEW_REQUEST: &str = "create a new AccessRequest with another name";
/// What [`is_fixed`] tells the author of a connection.
pub(super) const NEW_CONNECTION: &str =
    "create a new connection with another name, and new AccessRequests that refer to it";

/// What [`is_fixed`] tells whoever edits a debt.
pub(super) const NOT_BY_HAND: &str =
    "the operator writes it; to give the debt up, set writtenOff with by and reason";

/// A debt that was given up stays so.
pub(super) fn stays_written_off() -> Rule {
    refuse(
        "!has(oldSelf.writtenOff) || has(self.writtenOff)",
        "writtenOff cannot be taken back: the operator may have forgotten the debt by now",
    )
}

/// Exactly one way of saying what to ask for.
pub(super) fn is_one_kind_of_access() -> Rule {
    refuse(
        "[has(self.bundle), has(self.entitlements), has(self.integration)].filter(one, one).size() \
         == 1",
        "set exactly one of bundle, entitlements and integration: bundle for a bundle of Apono, \
         entitlements for a list of resources and permissions, integration for resources of one \
         integration on behalf of grantee",
    )
}

/// Ids or names, never a mix.
pub(super) fn is_by_ids_or_by_names() -> Rule {
    refuse(
        "has(self.resourceId) && has(self.permissionId) ? !has(self.integration) && \
         !has(self.resourceType) && !has(self.resource) && !has(self.permission) : \
         !has(self.resourceId) && !has(self.permissionId) && has(self.integration) && \
         has(self.resource) && has(self.permission)",
        "write either both ids (resourceId and permissionId) and no names, or the names of \
         integration, resource and permission and no ids",
    )
}

/// The admin API asks on behalf of somebody.
pub(super) fn integration_names_a_grantee() -> Rule {
    refuse(
        "!has(self.access.integration) || has(self.grantee)",
        "set grantee: access.integration is asked for on behalf of a user",
    )
}

/// The admin API wants a reason.
pub(super) fn integration_has_a_justification() -> Rule {
    refuse(
        "!has(self.access.integration) || has(self.justification)",
        "set justification: Apono requires one for access.integration",
    )
}

/// What the admin API cannot take.
pub(super) fn integration_has_no(property: &str) -> Rule {
    refuse(
        format!("!has(self.access.integration) || !has(self.{property})"),
        format!(
            "remove {property}: Apono does not take it for access.integration; ask for a bundle \
             or for entitlements where it is needed"
        ),
    )
}

/// A renewal has to begin while there is something to renew. Silent where a text is no duration.
pub(super) fn renewal_is_before_the_end() -> Rule {
    let pattern = duration_pattern("");
    refuse(
        format!(
            "!has(self.renewal) || !has(self.duration) || self.duration == '' || \
             self.renewal.before == '' || !self.duration.matches('{pattern}') || \
             !self.renewal.before.matches('{pattern}') || duration(self.renewal.before) < \
             duration(self.duration)"
        ),
        "set renewal.before to less than duration: it is how long before the end the access is \
         asked for again",
    )
}

/// The mark of the operator is not for people to write.
pub(super) fn has_no_mark() -> Rule {
    refuse(
        "!self.contains('[k8s ')",
        "remove \"[k8s \": the operator marks its own requests with these characters",
    )
}

/// The same for every value of a map, and names that can be sent.
pub(super) fn values_have_no_mark() -> Rule {
    refuse(
        "self.all(name, !self[name].contains('[k8s '))",
        "remove \"[k8s \" from the value: the operator marks its own requests with these characters",
    )
}

/// Bounds the names of a map, which the schema itself cannot.
pub(super) fn names_are_short() -> Rule {
    refuse(
        "self.all(name, size(name) >= 1 && size(name) <= 256)",
        "give every custom field a name of 1 to 256 characters, as the access flow in Apono has it",
    )
}

/// Something other than white space.
pub(super) fn is_not_blank(remedy: &str) -> Rule {
    refuse("self.trim() != ''", remedy)
}

/// No entry twice.
pub(super) fn has_no_repeats() -> Rule {
    refuse(
        "self.all(one, self.exists_one(other, one == other))",
        "remove the repeated entry: every entitlement may be listed once",
    )
}

/// The name of a Kubernetes object.
pub(super) fn is_object_name() -> Rule {
    refuse(
        format!("self.matches('^{LABEL}([.]{LABEL})*$')"),
        "write the name of a Kubernetes object: lower case letters, digits, \"-\" and \".\", \
         beginning and ending with a letter or digit, such as \"apono-token\"",
    )
}

/// Patterns that match something.
pub(super) fn are_patterns(example: &str) -> Rule {
    refuse(
        "self.all(pattern, pattern.trim() != '')",
        format!(
            "write names or patterns in which \"*\" stands for any characters, such as {example}"
        ),
    )
}

/// Names of namespaces.
pub(super) fn are_namespace_names() -> Rule {
    refuse(
        format!("self.all(name, name.matches('^{LABEL}$'))"),
        "write plain names of namespaces, such as \"payments\"; patterns such as \"team-*\" are \
         not understood, use selector for them",
    )
}

/// A key of a Secret.
pub(super) fn is_secret_key() -> Rule {
    refuse(
        "self.matches('^[-._a-zA-Z0-9]+$')",
        "write a key of the Secret: letters, digits, \"-\", \"_\" and \".\", such as \"token\"",
    )
}

/// A place of an API: nothing secret and nothing ambiguous in it.
pub(super) fn is_endpoint() -> Rule {
    refuse(
        format!(
            "self.matches('^https?://([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\\\\[[0-9A-Fa-f:.]+\
             \\\\])(:{PORT})?(/[-A-Za-z0-9_~][-A-Za-z0-9._~]*)*/?$')"
        ),
        "write the address as https://host, https://host:port or https://host/path, without user, \
         password, query (\"?\") or fragment (\"#\"), such as \"https://api.apono.io\"",
    )
}

/// No token in plain text over a network, unless somebody wants exactly that.
pub(super) fn is_private() -> Rule {
    refuse(
        format!(
            "!has(self.endpoint) || !self.endpoint.startsWith('http://') || (has(self.insecure) \
             && self.insecure) || self.endpoint.matches('^http://(localhost|127([.]{OCTET}){{3}}|\
             \\\\[::1\\\\])(:[0-9]+)?(/.*)?$')"
        ),
        "use https: plain http would send the token readably over the network and is taken only \
         for localhost, 127.0.0.0/8 and [::1]; where that is wanted all the same, set insecure: \
         true",
    )
}

/// Base64 in one line.
pub(super) fn is_base64() -> Rule {
    refuse(
        "self.matches('^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$')",
        "write the PEM file as base64 in one line, as \"base64 -w0 ca.pem\" prints it",
    )
}

/// A burst is a burst above something.
pub(super) fn burst_has_a_rate() -> Rule {
    refuse(
        "!has(self.burst) || has(self.requestsPerSecond)",
        "set requestsPerSecond too: burst says how far that rate may be exceeded for a moment",
    )
}

/// A rule on namespaces that says something.
pub(super) fn names_or_selects() -> Rule {
    refuse(
        "has(self.names) || has(self.selector)",
        "set names, selector or both; to allow every namespace, leave namespaces out",
    )
}

/// The values of a condition on a label.
pub(super) fn values_fit_the_operator() -> Rule {
    refuse(
        "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
        "give values for the operators In and NotIn, and none for Exists and DoesNotExist",
    )
}
