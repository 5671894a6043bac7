//! How a world is made and ends.

use std::sync::Arc;

use apono_simulator::{Config, DEFAULT_USER, Simulator, User};
use serde_json::{Value, json};

use super::{cluster::Cluster, operator::Operator};

/// The name of the connection, and of the Secret with its token.
pub const CONNECTION: &str = "apono";

/// What a world starts with.
#[derive(Debug)]
pub struct Setup {
    remote: Config,
    connection: Option<Value>,
    environment: Vec<(String, String)>,
    kubeconfig: Option<String>,
    is_started: bool,
}

impl Default for Setup {
    /// A remote that does everything at once, a connection that looks often, a running operator.
    fn default() -> Self {
        Self {
            remote: Config::instant(),
            connection: Some(json!({
                "correlation": {"settle": "1s"},
                "polling": {"fast": "100ms", "pending": "200ms", "active": "300ms"}
            })),
            environment: Vec::new(),
            kubeconfig: None,
            is_started: true,
        }
    }
}

impl Setup {
    /// A remote in which only commands move requests.
    pub fn explicit() -> Self {
        Self::default().remote(|remote| remote.mode = Config::explicit().mode)
    }

    /// Changes how the remote starts. Its first user gets a token of the test's own.
    pub fn remote(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.remote);
        self
    }

    /// Adds to the spec of the connection, property by property.
    pub fn connection(mut self, more: Value) -> Self {
        if let (Some(Value::Object(spec)), Value::Object(more)) = (&mut self.connection, more) {
            spec.extend(more);
        }
        self
    }

    /// Without a connection and its Secret.
    pub fn unconnected(mut self) -> Self {
        self.connection = None;
        self
    }

    /// A setting of the operator; the last of a name counts.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// In a cluster of the test's own.
    pub fn cluster(mut self, kubeconfig: &str) -> Self {
        self.kubeconfig = Some(kubeconfig.to_owned());
        self
    }

    /// The operator waits for `world.operator.start()`.
    pub fn stopped(mut self) -> Self {
        self.is_started = false;
        self
    }
}

/// One test's world. Everything in it ends when it is dropped, the operator first.
pub struct World {
    /// The operator.
    pub operator: Operator,
    /// The remote.
    pub simulator: Arc<Simulator>,
    /// The namespace in the apiserver.
    pub cluster: Cluster,
    /// The token of the remote's first user, which nothing may ever show.
    pub token: String,
}

impl World {
    /// A world with the connection in it, and the operator starting.
    pub async fn new(setup: Setup) -> Self {
        let mut remote = setup.remote;
        let token = format!("canary-{:016x}", rand::random::<u64>());
        match remote.users.first_mut() {
            Some(user) => user.tokens = vec![token.clone()],
            None => remote.users = vec![User::new(DEFAULT_USER, token.clone())],
        }
        let simulator = Arc::new(Simulator::start(&remote).expect("a free port"));
        let cluster = match setup.kubeconfig {
            None => Cluster::new().await,
            Some(kubeconfig) => Cluster::at(kubeconfig).await,
        };
        let settings = [
            ("KUBECONFIG", cluster.kubeconfig()),
            ("OPERATOR_NAMESPACE", &cluster.namespace),
            ("WATCH_NAMESPACES", &cluster.namespace),
            ("CLUSTER_NAME", &cluster.namespace),
            // As in a pod: the next life takes over at once what this one held.
            ("POD_NAME", &cluster.namespace),
            ("ALLOWED_ENDPOINTS", &simulator.url()),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
            ("REMOTE_TIMEOUT", "2s"),
            ("LOG_FORMAT", "json"),
            ("RUST_LOG", "debug"),
        ];
        let mut environment: Vec<_> = settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        environment.extend(setup.environment);
        let mut world = Self {
            operator: Operator::new(environment),
            simulator,
            cluster,
            token,
        };
        if setup.is_started {
            world.operator.start();
        }
        if let Some(spec) = setup.connection {
            world.store_token(CONNECTION, &world.token).await;
            world
                .connect(CONNECTION, &world.simulator.url(), spec)
                .await;
        }
        world
    }

    /// The same namespace in another cluster, over the same remote with the same token. Its operator
    /// is not started; of its settings the last of a name counts.
    pub async fn elsewhere(&self, kubeconfig: &str, settings: &[(&str, &str)]) -> Self {
        let namespace = self.cluster.namespace.clone();
        let cluster = Cluster::elsewhere(kubeconfig.to_owned(), namespace).await;
        let mut operator = self.operator.another("elsewhere");
        operator.set("KUBECONFIG", kubeconfig);
        for (name, value) in settings {
            operator.set(name, value);
        }
        Self {
            operator,
            simulator: Arc::clone(&self.simulator),
            cluster,
            token: self.token.clone(),
        }
    }

    /// What a failed wait shows beside what it waited for.
    pub fn last_words(&self) -> String {
        format!(
            "the remote: {:#?}\nthe operator's last words:\n{}",
            self.remote_states(),
            self.operator.log().last()
        )
    }

    /// Ends the operator as the kubelet does, and shows that the token is nowhere it can be read.
    pub async fn end(mut self) {
        self.token_is_nowhere().await;
        assert_eq!(
            self.operator.terminate().await,
            Some(0),
            "{}",
            self.last_words()
        );
        assert!(
            !self.operator.log().text().contains(&self.token),
            "the token is in the log"
        );
    }

    /// Neither log, metrics, resources nor events show the token.
    pub async fn token_is_nowhere(&self) {
        let everything = kube::api::ListParams::default();
        let requests = self.cluster.requests().list(&everything).await;
        let connections = self.cluster.connections().list(&everything).await;
        let debts = self.cluster.debts().list(&everything).await;
        let places = [
            ("the log", self.operator.log().text()),
            ("the metrics", self.operator.metrics().await),
            ("a request", format!("{:?}", requests.expect("a list"))),
            (
                "a connection",
                format!("{:?}", connections.expect("a list")),
            ),
            ("a debt", format!("{:?}", debts.expect("a list"))),
            ("an event", format!("{:?}", self.events().await)),
        ];
        for (place, text) in places {
            assert!(!text.contains(&self.token), "the token is in {place}");
        }
    }
}
