//! The command line: what can be called, and every setting as flag and environment variable.
//!
//! It decides nothing: what is written is checked in `settings.rs`, where an error names the setting.

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The program as it is called.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "apono-operator",
    version,
    about,
    disable_help_subcommand = true
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(Box<RunArguments>),
    /// Say whether the custom resources, the rights and the connections are in order, with the
    /// settings of `run`. Ends with 0 if they are, else with 1.
    Check(Box<RunArguments>),
    /// End everything, or hand it over, before the operator is removed, with the settings of `run`.
    /// Deletes every `AccessRequest` and waits until all access is taken back and nothing is owed: the
    /// operator has to run meanwhile. Ends with 0 when nothing is left, else with 1.
    Drain(Box<DrainArguments>),
    /// Print the custom resource definitions as YAML.
    Crd,
    /// Print the page that tells of the metrics, as Markdown.
    #[command(hide = true)]
    Metrics,
    /// Print the version.
    Version,
}

/// Every setting of `run`, as written.
#[derive(Args, Clone, Debug)]
pub struct RunArguments {
    /// The operator's own namespace: Secrets of cluster connections are read here. Default: the
    /// pod's namespace, else apono-system.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Scope",
        value_name = "NAMESPACE"
    )]
    pub operator_namespace: Option<String>,
    /// Namespaces to serve, separated by commas. Default: all. When given, only `AponoConnection`
    /// is served, nothing of the cluster is read, and the cluster name is required.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Scope",
        value_delimiter = ',',
        value_name = "NAMESPACES"
    )]
    pub watch_namespaces: Vec<String>,
    /// The name of this cluster in the justification approvers read: 1 to 32 of a-z, A-Z, 0-9, `-`,
    /// `_`, `.`. Never change it while requests are open. Default: the first 8 characters of the uid of kube-system.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Scope",
        value_name = "NAME"
    )]
    pub cluster_name: Option<String>,
    /// The endpoints an `AponoConnection` may name, separated by commas: scheme, host and port.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Remote API",
        value_delimiter = ',',
        default_value = "https://api.apono.io",
        value_name = "URLS"
    )]
    pub allowed_endpoints: Vec<String>,
    /// Link-local and metadata addresses that connections may lead to all the same, separated by
    /// commas: networks such as 169.254.10.0/24, or single addresses. Default: none.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Remote API",
        value_delimiter = ',',
        value_name = "NETWORKS"
    )]
    pub allowed_networks: Vec<String>,
    /// How long one call to the remote API may take, for example 10s.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Remote API",
        default_value = "10s",
        value_name = "DURATION"
    )]
    pub remote_timeout: String,
    /// How long one call to the Kubernetes API may take, watches aside, for example 10s.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Kubernetes",
        default_value = "10s",
        value_name = "DURATION"
    )]
    pub kube_timeout: String,
    /// How long what a replica works for is its own when nothing is heard of it, for example 15s. The
    /// same in every replica.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Kubernetes",
        default_value = "15s",
        value_name = "DURATION"
    )]
    pub lease_duration: String,
    /// The name of the pod, by which a container that is started again knows what its predecessor
    /// held. No two replicas may have the same one. Default: a name that nobody has had.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Kubernetes",
        value_name = "NAME"
    )]
    pub pod_name: Option<String>,
    /// How often everything that is watched is listed anew, for example 10m: the longest time for
    /// which an event that was lost on its way stays unseen.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Kubernetes",
        default_value = "10m",
        value_name = "DURATION"
    )]
    pub relist_interval: String,
    /// How many resources of one kind are worked on at once, 1 to 1024.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Kubernetes",
        default_value = "64",
        value_name = "COUNT"
    )]
    pub concurrency: String,
    /// More labels, separated by commas, that say that a GitOps tool owns an `AccessRequest`: its
    /// ttlSecondsAfterFinished is disregarded. The labels of Argo CD and Flux are known.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Kubernetes",
        value_delimiter = ',',
        value_name = "LABELS"
    )]
    pub ttl_owner_labels: Vec<String>,
    /// The address of the health and metrics port; port 0 picks a free one and logs it.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Telemetry",
        default_value = "[::]:8080",
        value_name = "ADDRESS"
    )]
    pub admin_listen: String,
    /// Whether the metrics also tell of each `AccessRequest`, by namespace and name, and of live access
    /// by what and for whom: as many series as there are resources, and names of people.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Telemetry",
        action = clap::ArgAction::Set,
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        value_name = "BOOL"
    )]
    pub per_object_metrics: bool,
    /// How log lines are written. Default: text on a terminal, else json.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Telemetry",
        value_enum,
        value_name = "FORMAT"
    )]
    pub log_format: Option<LogFormat>,
    /// Which log lines are written, in the syntax of tracing's `EnvFilter`.
    #[arg(
        long = "log",
        env = "RUST_LOG",
        hide_env_values = true,
        help_heading = "Telemetry",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log_filter: String,
    /// A file that holds such a filter: followed as it changes, so that nothing has to be restarted.
    /// While it is absent or empty, the other setting holds. Default: none.
    #[arg(
        long,
        env,
        hide_env_values = true,
        help_heading = "Telemetry",
        value_name = "FILE"
    )]
    pub log_filter_file: Option<String>,
    /// Where an `OpenTelemetry` collector takes traces over HTTP, for example
    /// `http://otel-collector.monitoring:4318`. Only builds with the feature opentelemetry send any.
    /// Default: none are sent.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        hide_env_values = true,
        help_heading = "Telemetry",
        value_name = "URL"
    )]
    pub otlp_endpoint: Option<String>,
}

/// What `drain` does, and the settings of `run`.
#[derive(Args, Clone, Debug)]
pub struct DrainArguments {
    /// Leave the access as it is, for the operator of another cluster: print every `AccessRequest` with
    /// the record of what was asked, and delete it as an orphan. Its connection has to allow that
    /// (`spec.allow.orphan`). Applied in a cluster with the same `CLUSTER_NAME`, what was printed adopts
    /// the access.
    #[arg(long, help_heading = "Drain")]
    pub hand_over: bool,
    /// Say what would be done, and do nothing.
    #[arg(long, help_heading = "Drain")]
    pub dry_run: bool,
    /// How long to wait, 1s to 24h.
    #[arg(
        long,
        help_heading = "Drain",
        default_value = "15m",
        value_name = "DURATION"
    )]
    pub timeout: String,
    /// The settings of `run`.
    #[command(flatten)]
    pub run: RunArguments,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}
