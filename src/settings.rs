//! The command line and the environment, validated into one [`Settings`].
//!
//! Every setting is a flag and an environment variable. What is wrong is said once, at the start,
//! with the setting, its value and the next step. Nothing is read from the cluster here, and no
//! credential is a setting.

use std::{
    fmt,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use apono_client::Network;
use thiserror::Error;
use url::{Origin, Url};

use crate::crd::DurationText;

mod command_line;
mod drain;
mod urls;

pub use command_line::{Command, CommandLine, DrainArguments, LogFormat, RunArguments};
pub use drain::drain_order;

/// Where a pod finds the name of its own namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
/// The operator's namespace when nothing says otherwise.
const DEFAULT_NAMESPACE: &str = "apono-system";
/// The longest cluster name: the mark on the wire has room for no more beside namespace and name.
const CLUSTER_NAME_LENGTH: usize = 32;
/// A Lease's name has room for no more beside what it begins with.
const POD_NAME_LENGTH: usize = 200;
/// Longer deadlines would outlive a pod's grace period.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(2);
/// Lists more often would be work for nothing; more seldom, nobody would wait for them.
const RELIST_INTERVALS: RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_hours(24);

/// Which part of the cluster is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every namespace and both kinds of connection.
    Cluster,
    /// These namespaces only, and only connections in them; nothing of the cluster is read.
    Namespaces(Vec<String>),
}

/// What the operator runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's own namespace.
    pub operator_namespace: String,
    /// Which part of the cluster is served.
    pub scope: Scope,
    /// The name of the cluster; absent: detected, which cluster scope alone can do.
    pub cluster_name: Option<String>,
    /// The endpoints an `AponoConnection` may name.
    pub allowed_endpoints: Vec<Origin>,
    /// The link-local and metadata addresses that a connection may lead to all the same.
    pub allowed_networks: Vec<Network>,
    /// The HTTP proxy of remote calls.
    pub remote_proxy: Option<Url>,
    /// The deadline of one remote call.
    pub remote_timeout: Duration,
    /// The deadline of one Kubernetes call that is not a watch.
    pub kube_timeout: Duration,
    /// How long a replica's Lease lasts.
    pub lease_duration: Duration,
    /// The name of the pod; absent: the replica's Lease has a name that nobody has had.
    pub pod_name: Option<String>,
    /// How often everything that is watched is listed anew.
    pub relist_interval: Duration,
    /// How many resources of one kind are worked on at once.
    pub concurrency: u16,
    /// More labels by which a GitOps tool owns a resource, so that its time to live is not kept.
    pub ttl_owner_labels: Vec<String>,
    /// The address of the admin port.
    pub admin_listen: SocketAddr,
    /// Whether there are metrics that are told apart by objects.
    pub per_object_metrics: bool,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_filter: String,
    /// The file whose filter holds instead, while it holds one.
    pub log_filter_file: Option<PathBuf>,
    /// Where traces are sent.
    pub otlp_endpoint: Option<Url>,
}

/// A setting that cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{setting} is `{value}`, {problem}: {next}")]
pub struct InvalidSetting {
    /// The environment variable's name.
    pub setting: &'static str,
    /// What was given.
    pub value: String,
    /// What is wrong with it.
    pub problem: &'static str,
    /// What to do.
    pub next: &'static str,
}

/// What the process finds around itself, handed in so that the rest stays pure.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The pod's own namespace.
    pub pod_namespace: Option<String>,
    /// Whether log lines go to a terminal.
    pub is_terminal: bool,
}

impl Surroundings {
    /// Looks around.
    pub fn look() -> Self {
        Self {
            pod_namespace: std::fs::read_to_string(Path::new(NAMESPACE_FILE))
                .ok()
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty()),
            is_terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        }
    }
}

impl Settings {
    /// Validates what was written.
    pub fn new(given: &RunArguments, around: &Surroundings) -> Result<Self, InvalidSetting> {
        let scope = scope(&given.watch_namespaces)?;
        let name = given
            .cluster_name
            .as_deref()
            .map(cluster_name)
            .transpose()?;
        if name.is_none() && scope != Scope::Cluster {
            return Err(invalid(
                "CLUSTER_NAME",
                "",
                "but WATCH_NAMESPACES is given, so the name cannot be read from the cluster",
                "set CLUSTER_NAME to a name no other cluster uses",
            ));
        }
        Ok(Self {
            operator_namespace: operator_namespace(given, around)?,
            scope,
            cluster_name: name,
            allowed_endpoints: origins(&given.allowed_endpoints)?,
            allowed_networks: networks(&given.allowed_networks)?,
            remote_proxy: urls::remote_proxy(given.remote_proxy.as_deref())?,
            remote_timeout: timeout("REMOTE_TIMEOUT", &given.remote_timeout)?,
            kube_timeout: timeout("KUBE_TIMEOUT", &given.kube_timeout)?,
            lease_duration: timeout("LEASE_DURATION", &given.lease_duration)?,
            pod_name: pod_name(given.pod_name.as_deref())?,
            relist_interval: relist_interval(&given.relist_interval)?,
            concurrency: concurrency(&given.concurrency)?,
            ttl_owner_labels: labels(&given.ttl_owner_labels)?,
            admin_listen: given.admin_listen.parse().map_err(|_| {
                invalid(
                    "ADMIN_LISTEN",
                    &given.admin_listen,
                    "which is not an address",
                    "write an IP address and a port, for example `[::]:8080` or `127.0.0.1:0`",
                )
            })?,
            per_object_metrics: given.per_object_metrics,
            log_format: given.log_format.unwrap_or(if around.is_terminal {
                LogFormat::Text
            } else {
                LogFormat::Json
            }),
            log_filter: log_filter(&given.log_filter)?,
            log_filter_file: given
                .log_filter_file
                .as_deref()
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            otlp_endpoint: urls::otlp_endpoint(given.otlp_endpoint.as_deref())?,
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => formatter.write_str("all namespaces"),
            Self::Namespaces(names) => formatter.write_str(&names.join(", ")),
        }
    }
}

fn invalid(
    setting: &'static str,
    value: &str,
    problem: &'static str,
    next: &'static str,
) -> InvalidSetting {
    InvalidSetting {
        setting,
        value: value.to_owned(),
        problem,
        next,
    }
}

fn operator_namespace(
    given: &RunArguments,
    around: &Surroundings,
) -> Result<String, InvalidSetting> {
    let name = given
        .operator_namespace
        .as_deref()
        .or(around.pod_namespace.as_deref())
        .unwrap_or(DEFAULT_NAMESPACE);
    namespace("OPERATOR_NAMESPACE", name)
}

fn scope(names: &[String]) -> Result<Scope, InvalidSetting> {
    // An empty variable means the same as an absent one: charts set it unconditionally.
    let given: Vec<_> = names
        .iter()
        .map(|name| name.trim())
        .filter(|name| !name.is_empty())
        .collect();
    if given.is_empty() {
        return Ok(Scope::Cluster);
    }
    let mut names = given
        .into_iter()
        .map(|name| namespace("WATCH_NAMESPACES", name))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    names.dedup();
    Ok(Scope::Namespaces(names))
}

fn namespace(setting: &'static str, name: &str) -> Result<String, InvalidSetting> {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let valid = (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    valid.then(|| name.to_owned()).ok_or_else(|| {
        invalid(
            setting,
            name,
            "which is not the name of a namespace",
            "use 1 to 63 of a-z, 0-9 and `-`, not first and not last",
        )
    })
}

fn cluster_name(name: &str) -> Result<String, InvalidSetting> {
    let inner =
        |byte: u8| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let valid = (1..=CLUSTER_NAME_LENGTH).contains(&name.len()) && name.bytes().all(inner);
    valid.then(|| name.to_owned()).ok_or_else(|| {
        invalid(
            "CLUSTER_NAME",
            name,
            "which cannot be written into a justification",
            "use 1 to 32 of a-z, A-Z, 0-9, `-`, `_` and `.`",
        )
    })
}

fn origins(texts: &[String]) -> Result<Vec<Origin>, InvalidSetting> {
    texts
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .map(origin)
        .collect()
}

fn origin(text: &str) -> Result<Origin, InvalidSetting> {
    let refuse = |problem| {
        invalid(
            "ALLOWED_ENDPOINTS",
            text,
            problem,
            "write scheme, host and port only, for example `https://api.apono.io`",
        )
    };
    let url = Url::parse(text).map_err(|_| refuse("which is not a URL"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(refuse("which is not an http or https URL"));
    }
    let is_plain = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_plain
        .then(|| url.origin())
        .ok_or_else(|| refuse("which says more than an endpoint's origin"))
}

fn networks(texts: &[String]) -> Result<Vec<Network>, InvalidSetting> {
    let given = texts.iter().map(|text| text.trim());
    let given = given.filter(|text| !text.is_empty());
    given
        .map(|text| {
            text.parse().map_err(|_| {
                invalid(
                    "ALLOWED_NETWORKS",
                    text,
                    "which is not a network",
                    "write its first address and the length of its prefix, for example \
                     `169.254.10.0/24`, or one address",
                )
            })
        })
        .collect()
}

fn timeout(setting: &'static str, text: &str) -> Result<Duration, InvalidSetting> {
    DurationText(text.to_owned())
        .to_duration()
        .filter(|duration| (Duration::from_secs(1)..=LONGEST_TIMEOUT).contains(duration))
        .ok_or_else(|| {
            invalid(
                setting,
                text,
                "which is not a usable deadline",
                "write 1s to 2m, for example `10s`",
            )
        })
}

/// As Kubernetes names pods; an empty one is none.
fn pod_name(name: Option<&str>) -> Result<Option<String>, InvalidSetting> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let is_valid = name.len() <= POD_NAME_LENGTH
        && name.bytes().all(inner)
        && is_edge(name.bytes().next())
        && is_edge(name.bytes().last());
    is_valid.then(|| Some(name.to_owned())).ok_or_else(|| {
        invalid(
            "POD_NAME",
            name,
            "which is not the name of a pod",
            "take it from the field metadata.name of the pod",
        )
    })
}

fn relist_interval(text: &str) -> Result<Duration, InvalidSetting> {
    DurationText(text.to_owned())
        .to_duration()
        .filter(|duration| RELIST_INTERVALS.contains(duration))
        .ok_or_else(|| {
            invalid(
                "RELIST_INTERVAL",
                text,
                "which is not a usable interval",
                "write 10s to 24h, for example `10m`",
            )
        })
}

fn concurrency(text: &str) -> Result<u16, InvalidSetting> {
    text.parse()
        .ok()
        .filter(|count| (1..=1024).contains(count))
        .ok_or_else(|| {
            invalid(
                "CONCURRENCY",
                text,
                "which is not a usable count",
                "write a number from 1 to 1024",
            )
        })
}

/// The names of labels: a prefix with a slash, where there is one, and 1 to 63 characters.
fn labels(names: &[String]) -> Result<Vec<String>, InvalidSetting> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_label = |name: &str| {
        let (prefix, own) = name.rsplit_once('/').unwrap_or(("a", name));
        let is_prefix = (1..=253).contains(&prefix.len()) && prefix.bytes().all(inner);
        is_prefix && (1..=63).contains(&own.len()) && own.bytes().all(inner)
    };
    let given = names.iter().map(|name| name.trim());
    let given = given.filter(|name| !name.is_empty());
    given
        .map(|name| {
            is_label(name).then(|| name.to_owned()).ok_or_else(|| {
                invalid(
                    "TTL_OWNER_LABELS",
                    name,
                    "which is not the name of a label",
                    "write for example `example.com/owned-by`",
                )
            })
        })
        .collect()
}

fn log_filter(text: &str) -> Result<String, InvalidSetting> {
    text.parse::<tracing_subscriber::EnvFilter>()
        .map(|_| text.to_owned())
        .map_err(|_| {
            invalid(
                "RUST_LOG",
                text,
                "which is not a filter",
                "write for example `info,kube=debug`",
            )
        })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    fn arguments(words: &[&str]) -> RunArguments {
        let words = ["apono-operator", "run"].iter().chain(words);
        match CommandLine::try_parse_from(words).unwrap().command {
            Command::Run(arguments) => *arguments,
            other => panic!("parsed as {other:?}"),
        }
    }

    fn settings(words: &[&str]) -> Result<Settings, InvalidSetting> {
        Settings::new(&arguments(words), &Surroundings::default())
    }

    #[test]
    fn the_defaults_serve_the_whole_cluster() {
        let settings = settings(&[]).unwrap();
        assert_eq!(settings.scope, Scope::Cluster);
        assert_eq!(settings.operator_namespace, "apono-system");
        assert_eq!(settings.cluster_name, None);
        assert_eq!(settings.remote_timeout, Duration::from_secs(10));
        assert_eq!(settings.kube_timeout, Duration::from_secs(10));
        assert_eq!(settings.concurrency, 64);
        assert_eq!(settings.log_format, LogFormat::Json);
        assert_eq!(
            settings.allowed_endpoints[0].ascii_serialization(),
            "https://api.apono.io"
        );
    }

    #[test]
    fn a_pod_is_at_home_in_its_own_namespace_unless_told_otherwise() {
        let around = Surroundings {
            pod_namespace: Some("here".into()),
            is_terminal: true,
        };
        let found = Settings::new(&arguments(&[]), &around).unwrap();
        assert_eq!(found.operator_namespace, "here");
        assert_eq!(found.log_format, LogFormat::Text);
        let told = Settings::new(&arguments(&["--operator-namespace", "there"]), &around).unwrap();
        assert_eq!(told.operator_namespace, "there");
    }

    #[test]
    fn named_namespaces_need_a_cluster_name() {
        let error = settings(&["--watch-namespaces", "b,a,b"]).unwrap_err();
        assert_eq!(error.setting, "CLUSTER_NAME");
        let settings =
            settings(&["--watch-namespaces", "b, a,b", "--cluster-name", "prod"]).unwrap();
        assert_eq!(
            settings.scope,
            Scope::Namespaces(vec!["a".into(), "b".into()])
        );
    }

    #[test]
    fn an_empty_list_of_namespaces_means_all() {
        assert_eq!(
            settings(&["--watch-namespaces", ""]).unwrap().scope,
            Scope::Cluster
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_setting_value_and_next_step() {
        for (words, setting) in [
            (["--operator-namespace", "Not_A_Name"], "OPERATOR_NAMESPACE"),
            (["--pod-name", "Not_A_Name"], "POD_NAME"),
            (["--lease-duration", "1h"], "LEASE_DURATION"),
            (["--watch-namespaces", "a,-b"], "WATCH_NAMESPACES"),
            (["--cluster-name", "two words"], "CLUSTER_NAME"),
            (["--cluster-name", ""], "CLUSTER_NAME"),
            (["--allowed-endpoints", "api.apono.io"], "ALLOWED_ENDPOINTS"),
            (
                ["--allowed-endpoints", "ftp://api.apono.io"],
                "ALLOWED_ENDPOINTS",
            ),
            (
                ["--allowed-endpoints", "https://api.apono.io/v4"],
                "ALLOWED_ENDPOINTS",
            ),
            (
                ["--allowed-endpoints", "https://me@api.apono.io"],
                "ALLOWED_ENDPOINTS",
            ),
            (["--allowed-networks", "169.254.1.1/16"], "ALLOWED_NETWORKS"),
            (["--allowed-networks", "localhost"], "ALLOWED_NETWORKS"),
            (["--remote-timeout", "10"], "REMOTE_TIMEOUT"),
            (["--remote-timeout", "0s"], "REMOTE_TIMEOUT"),
            (["--kube-timeout", "1h"], "KUBE_TIMEOUT"),
            (["--relist-interval", "1s"], "RELIST_INTERVAL"),
            (["--concurrency", "0"], "CONCURRENCY"),
            (["--admin-listen", "8080"], "ADMIN_LISTEN"),
            (["--ttl-owner-labels", "a b"], "TTL_OWNER_LABELS"),
            (["--ttl-owner-labels", "a/"], "TTL_OWNER_LABELS"),
            (["--log", "a=b=c"], "RUST_LOG"),
        ] {
            let error = settings(&words).unwrap_err();
            assert_eq!(error.setting, setting, "{words:?}");
            assert!(
                error.to_string().contains(&format!("`{}`", error.value)),
                "{error}"
            );
        }
    }

    #[test]
    fn networks_are_none_unless_named() {
        assert_eq!(settings(&[]).unwrap().allowed_networks, []);
        let named = settings(&["--allowed-networks", "169.254.10.0/24, fd00:ec2::254,"]).unwrap();
        let named: Vec<_> = named
            .allowed_networks
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(named, ["169.254.10.0/24", "fd00:ec2::254/128"]);
    }

    #[test]
    fn endpoints_are_compared_by_scheme_host_and_port() {
        let settings = settings(&["--allowed-endpoints", "https://API.apono.io:443/"]).unwrap();
        let same = Url::parse("https://api.apono.io/any/path").unwrap();
        let other = Url::parse("https://api.apono.io:444").unwrap();
        assert!(settings.allowed_endpoints.contains(&same.origin()));
        assert!(!settings.allowed_endpoints.contains(&other.origin()));
    }

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
