//! What the two kinds of connection mean, with every default in place.

use std::time::Duration;

use super::{
    Allow, AponoConnectionSpec, ClusterAponoConnectionSpec, Correlation, DurationText, Limits,
    Polling, RequesterIdentity, SecretKeyRef, connection::DEFAULT_ENDPOINT,
};

/// How long a list may lag behind a create, where the connection does not say.
const SETTLE: Duration = Duration::from_secs(15);
/// How many calls may be under way, where the connection does not say.
const CONCURRENCY: u32 = 32;
/// How often to read what moves by itself, where the connection does not say.
const FAST: Duration = Duration::from_secs(1);
/// How often to read what waits for people, where the connection does not say.
const PENDING: Duration = Duration::from_secs(10);
/// How often to read live access, where the connection does not say.
const ACTIVE: Duration = Duration::from_mins(1);
/// How long a deletion waits for access to end, where the connection does not say.
pub const REVOCATION_DEADLINE: Duration = Duration::from_mins(10);

/// A connection of either kind, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionSettings {
    /// Where the API is.
    pub endpoint: String,
    /// Which key of which Secret holds the token. The kind says in which namespace.
    pub token_secret_ref: SecretKeyRef,
    /// The only certificates to trust, where given: a PEM file as base64, as written. See [`Self::ca_pem`].
    pub ca_bundle: Option<String>,
    /// Whether plain http may be used beyond loopback.
    pub insecure: bool,
    /// How long a list may lag behind a create.
    pub settle: Duration,
    /// The custom field in which the requester is told, where it is.
    pub requester_field: Option<String>,
    /// How hard the API may be driven.
    pub limits: LimitSettings,
    /// How often the API is read.
    pub polling: PollingSettings,
    /// What the connection may be used for.
    pub allow: Allow,
    /// How long the deletion of a resource waits for its access to end before it becomes owed.
    pub revocation_deadline: Duration,
}

/// How hard the API may be driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Calls a second, where there is a fixed rate.
    pub requests_per_second: Option<u32>,
    /// Calls at once before the rate holds them back; there exactly when there is a rate.
    pub burst: Option<u32>,
    /// Calls under way at the same time.
    pub concurrency: u32,
}

/// How often the API is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollingSettings {
    /// What moves by itself.
    pub fast: Duration,
    /// What waits for people.
    pub pending: Duration,
    /// What is live.
    pub active: Duration,
}

impl ConnectionSettings {
    /// The certificates as PEM, or nothing where there are none or the text is not base64.
    pub fn ca_pem(&self) -> Option<Vec<u8>> {
        let text = self.ca_bundle.as_ref()?;
        data_encoding::BASE64.decode(text.as_bytes()).ok()
    }

    /// Whether deleting an `AccessRequest` may leave its access behind.
    pub fn allows_orphan(&self) -> bool {
        self.allow.orphan.unwrap_or(false)
    }
}

impl ClusterAponoConnectionSpec {
    /// The connection with every default in place.
    pub fn settings(&self) -> ConnectionSettings {
        ConnectionSettings {
            endpoint: endpoint(self.endpoint.as_ref()),
            token_secret_ref: self.token_secret_ref.clone(),
            ca_bundle: self.ca_bundle.clone(),
            insecure: self.insecure.unwrap_or(false),
            settle: settle(self.correlation.as_ref()),
            requester_field: requester_field(self.identity.as_ref()),
            limits: LimitSettings::from(self.limits.as_ref()),
            polling: PollingSettings::from(self.polling.as_ref()),
            allow: self.allow.clone().unwrap_or_default(),
            revocation_deadline: deadline(self.revocation_deadline.as_ref()),
        }
    }
}

impl AponoConnectionSpec {
    /// The connection with every default in place.
    pub fn settings(&self) -> ConnectionSettings {
        ConnectionSettings {
            endpoint: endpoint(self.endpoint.as_ref()),
            token_secret_ref: self.token_secret_ref.clone(),
            ca_bundle: self.ca_bundle.clone(),
            insecure: self.insecure.unwrap_or(false),
            settle: settle(self.correlation.as_ref()),
            requester_field: requester_field(self.identity.as_ref()),
            limits: LimitSettings::from(self.limits.as_ref()),
            polling: PollingSettings::from(self.polling.as_ref()),
            allow: self.allow.clone().unwrap_or_default().into(),
            revocation_deadline: deadline(self.revocation_deadline.as_ref()),
        }
    }
}

impl From<Option<&Limits>> for LimitSettings {
    fn from(limits: Option<&Limits>) -> Self {
        let at_least_one = |value: i32| u32::try_from(value.max(1)).unwrap_or(1);
        let rate = limits
            .and_then(|limits| limits.requests_per_second)
            .map(at_least_one);
        let burst = limits.and_then(|limits| limits.burst).map(at_least_one);
        Self {
            requests_per_second: rate,
            burst: rate.map(|rate| burst.unwrap_or(rate)),
            concurrency: limits
                .and_then(|limits| limits.concurrency)
                .map_or(CONCURRENCY, at_least_one),
        }
    }
}

impl From<Option<&Polling>> for PollingSettings {
    fn from(polling: Option<&Polling>) -> Self {
        let or = |text: Option<&DurationText>, default| interval(text).unwrap_or(default);
        Self {
            fast: or(polling.and_then(|polling| polling.fast.as_ref()), FAST),
            pending: or(
                polling.and_then(|polling| polling.pending.as_ref()),
                PENDING,
            ),
            active: or(polling.and_then(|polling| polling.active.as_ref()), ACTIVE),
        }
    }
}

fn endpoint(written: Option<&String>) -> String {
    written
        .cloned()
        .unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned())
}

fn settle(correlation: Option<&Correlation>) -> Duration {
    interval(correlation.and_then(|correlation| correlation.settle.as_ref())).unwrap_or(SETTLE)
}

fn requester_field(identity: Option<&RequesterIdentity>) -> Option<String> {
    identity.map(|identity| identity.custom_field.clone())
}

fn deadline(written: Option<&DurationText>) -> Duration {
    interval(written).unwrap_or(REVOCATION_DEADLINE)
}

/// A written interval. The rules let no other text in than one that can be read, and zero would
/// make a busy loop of a poller, so both fall back to the default.
fn interval(text: Option<&DurationText>) -> Option<Duration> {
    text.and_then(DurationText::to_duration)
        .filter(|interval| !interval.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_connection_has_every_default() {
        let settings = AponoConnectionSpec::default().settings();
        assert_eq!(settings.endpoint, "https://api.apono.io");
        assert_eq!(settings.ca_pem(), None);
        assert!(!settings.insecure);
        assert!(!settings.allows_orphan());
        assert_eq!(settings.settle, Duration::from_secs(15));
        assert_eq!(settings.requester_field, None);
        assert_eq!(settings.revocation_deadline, Duration::from_mins(10));
        assert_eq!(
            settings.limits,
            LimitSettings {
                requests_per_second: None,
                burst: None,
                concurrency: 32
            }
        );
        assert_eq!(
            settings.polling,
            PollingSettings {
                fast: Duration::from_secs(1),
                pending: Duration::from_secs(10),
                active: Duration::from_mins(1),
            }
        );
        assert_eq!(settings, ClusterAponoConnectionSpec::default().settings());
    }

    #[test]
    fn what_is_written_counts() {
        let spec: ClusterAponoConnectionSpec = serde_json::from_value(serde_json::json!({
            "endpoint": "http://localhost:8080",
            "tokenSecretRef": {"name": "apono-token", "key": "token"},
            "caBundle": "cGVt",
            "insecure": true,
            "correlation": {"settle": "500ms"},
            "identity": {"customField": "requested_by"},
            "allow": {"orphan": true, "namespaces": {"names": ["payments"]}},
            "limits": {"requestsPerSecond": 20, "concurrency": 4},
            "polling": {"fast": "100ms", "pending": "1s", "active": "1m30s"},
            "revocationDeadline": "90s",
        }))
        .unwrap();
        let settings = spec.settings();
        assert_eq!(settings.endpoint, "http://localhost:8080");
        assert_eq!(settings.token_secret_ref.name, "apono-token");
        assert_eq!(settings.ca_pem(), Some(b"pem".to_vec()));
        assert!(settings.insecure);
        assert!(settings.allows_orphan());
        assert_eq!(settings.settle, Duration::from_millis(500));
        assert_eq!(settings.requester_field.as_deref(), Some("requested_by"));
        assert_eq!(settings.revocation_deadline, Duration::from_secs(90));
        assert_eq!(
            settings.limits,
            LimitSettings {
                requests_per_second: Some(20),
                burst: Some(20),
                concurrency: 4
            }
        );
        assert_eq!(settings.polling.fast, Duration::from_millis(100));
        assert_eq!(settings.polling.active, Duration::from_secs(90));
        let rule = settings.allow.namespaces.unwrap();
        assert_eq!(rule.names.unwrap(), ["payments"]);
    }

    #[test]
    fn nonsense_falls_back_to_the_default() {
        let polling = Polling {
            fast: Some("0s".into()),
            active: Some("1d".into()),
            pending: None,
        };
        let settings = PollingSettings::from(Some(&polling));
        assert_eq!(settings.fast, FAST);
        assert_eq!(settings.active, ACTIVE);
    }
}
