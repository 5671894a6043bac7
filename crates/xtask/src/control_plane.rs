//! A Kubernetes control plane on this machine: etcd, kube-apiserver and the three controllers that
//! namespaces, owner references and service accounts need. No node, so pods are stored and never run.
//!
//! Whoever needs one asks [`ControlPlane::obtain`]. It takes, in this order: the user's own cluster,
//! if asked to; one that is already up, if named; else it starts one that ends with this process.

pub(crate) mod binaries;
mod build;
pub(crate) mod certificates;
mod folder;
pub(crate) mod run;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use self::binaries::Binaries;
use self::certificates::{Authority, Identity};
use self::run::Running;
use crate::process::{self, interrupt};

/// Names of the files in the folder of a run.
const KUBECONFIG: &str = "kubeconfig";
const OPERATOR_KUBECONFIG: &str = "operator.kubeconfig";
pub(crate) const AUDIT_LOG: &str = "audit.log";

/// The service account of the operator as it is shipped.
const OPERATOR_NAMESPACE: &str = "apono-system";
const OPERATOR_NAME: &str = "apono-operator";

/// `cargo xtask control-plane ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Start one and keep it until Ctrl-C; prints the variables with which others use it. A line
    /// `restart etcd` (or kube-apiserver, kube-controller-manager) on standard input kills that
    /// process and starts it again on what it stored; the same line is printed when it serves.
    Up {
        /// Controllers of kube-controller-manager to run beside those that are always needed.
        #[arg(long, value_delimiter = ',', value_name = "NAMES")]
        controllers: Vec<String>,
    },
    /// Only build its binaries, if they are not in the cache, and print their folder.
    Build,
    /// Print a kubeconfig for somebody who is not an administrator, of one that is up.
    Kubeconfig {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        who: Who,
    },
}

/// Whose kubeconfig is wanted.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Who {
    /// A user, by a client certificate. Needs a control plane of ours; the user need not exist.
    #[arg(
        long,
        required_unless_present = "service_account",
        conflicts_with = "service_account"
    )]
    user: Option<String>,
    /// A group of that user; at most two.
    #[arg(long = "group", requires = "user")]
    groups: Vec<String>,
    /// A service account that exists, by a token valid for a day.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    service_account: Option<String>,
}

/// Which control plane a task works against.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Which {
    /// Use the cluster that KUBECONFIG (or ~/.kube/config) points to. It will be changed!
    #[arg(long, conflicts_with = "kubeconfig")]
    pub(crate) use_current_cluster: bool,
    /// Use the control plane of this kubeconfig, as `cargo xtask control-plane up` prints it,
    /// instead of starting one.
    #[arg(long, env = "APONO_TEST_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

/// A control plane that serves.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    /// Kept so that what we started ends with this value.
    running: Option<Running>,
}

impl ControlPlane {
    /// The one `which` asks for; says on standard error which one that is.
    pub(crate) fn obtain(which: &Which) -> Result<Self> {
        if which.use_current_cluster {
            let kubeconfig = current_kubeconfig()?;
            eprintln!(
                "control plane: the current cluster, `{}`",
                kubeconfig.display()
            );
            return Self::existing(&kubeconfig);
        }
        if let Some(kubeconfig) = &which.kubeconfig {
            eprintln!("control plane: one that is up, `{}`", kubeconfig.display());
            return Self::existing(kubeconfig);
        }
        Self::start()
    }

    /// Starts one. It ends when the value is dropped, and however else this process ends.
    pub(crate) fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with more controllers than namespaces, owner references and accounts need.
    fn start_with(controllers: &[String]) -> Result<Self> {
        let binaries = Binaries::find()?;
        let running = Running::start(&binaries, controllers)?;
        let kubeconfig = running.folder().join(KUBECONFIG);
        Ok(Self {
            kubeconfig,
            kubectl: binaries.kubectl,
            running: Some(running),
        })
    }

    fn existing(kubeconfig: &Path) -> Result<Self> {
        let kubeconfig = std::path::absolute(kubeconfig)
            .with_context(|| format!("could not resolve `{}`", kubeconfig.display()))?;
        let plane = Self {
            kubeconfig,
            kubectl: any_kubectl()?,
            running: None,
        };
        plane
            .kubectl_output(&["get", "--raw", "/readyz", "--request-timeout=10s"])
            .with_context(|| {
                format!(
                    "the cluster of `{}` does not answer",
                    plane.kubeconfig.display()
                )
            })?;
        Ok(plane)
    }

    /// A kubeconfig of a cluster administrator.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubectl that fits.
    pub(crate) fn kubectl(&self) -> &Path {
        &self.kubectl
    }

    /// One line of JSON for every request, at level Metadata, if the control plane is one of ours.
    pub(crate) fn audit_log(&self) -> Option<PathBuf> {
        self.beside(AUDIT_LOG)
    }

    /// The kubeconfig of the operator's own service account, if the control plane is one of ours.
    pub(crate) fn operator_kubeconfig(&self) -> Option<PathBuf> {
        self.beside(OPERATOR_KUBECONFIG)
    }

    fn kubeconfig_for(&self, who: &Who) -> Result<String> {
        if let Some(account) = &who.service_account {
            let (namespace, name) = account
                .split_once('/')
                .context("a service account is written NAMESPACE/NAME")?;
            return self.token_kubeconfig(namespace, name);
        }
        let groups: Vec<&str> = who.groups.iter().map(String::as_str).collect();
        self.certificate_kubeconfig(who.user.as_deref().unwrap_or_default(), &groups)
    }

    /// The text of a kubeconfig for `user` in `groups`, by a client certificate. Neither has to exist.
    pub(crate) fn certificate_kubeconfig(&self, user: &str, groups: &[&str]) -> Result<String> {
        let folder = self.kubeconfig.parent().unwrap_or(Path::new("."));
        let authority = Authority::read(folder)
            .context("only a control plane of ours has the key to sign a client certificate")?;
        let signed = authority.sign_client(user, groups)?;
        let identity = Identity::Certificate(&signed);
        Ok(certificates::kubeconfig(
            &self.server()?,
            authority.certificate(),
            &identity,
        ))
    }

    /// The text of a kubeconfig for a service account that exists, by a token valid for a day.
    pub(crate) fn token_kubeconfig(&self, namespace: &str, name: &str) -> Result<String> {
        let token =
            self.kubectl_output(&["create", "token", name, "-n", namespace, "--duration=24h"])?;
        let authority = self.kubectl_output(&[
            "config",
            "view",
            "--raw",
            "--minify",
            "--flatten",
            "-o",
            "jsonpath={.clusters[0].cluster.certificate-authority-data}",
        ])?;
        let authority = data_encoding::BASE64
            .decode(authority.trim().as_bytes())
            .context("the kubeconfig's certificate authority is not base64")?;
        let authority = String::from_utf8_lossy(&authority);
        let identity = Identity::Token(token.trim());
        Ok(certificates::kubeconfig(
            &self.server()?,
            &authority,
            &identity,
        ))
    }

    /// What tests read. `KUBECONFIG` too, so that nothing they start can reach another cluster.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut variables = vec![
            ("KUBECONFIG", self.kubeconfig().into()),
            (
                "APONO_TEST_KUBECONFIG",
                self.kubeconfig.clone().into_os_string(),
            ),
            ("APONO_TEST_KUBECTL", self.kubectl().into()),
        ];
        // Tests that need one to themselves start it with this.
        if let Ok(xtask) = process::supervised::executable_for_others() {
            variables.push(("APONO_TEST_XTASK", xtask.into_os_string()));
        }
        for (name, path) in [
            ("APONO_TEST_AUDIT_LOG", self.audit_log()),
            ("APONO_TEST_SA_KUBECONFIG", self.operator_kubeconfig()),
        ] {
            variables.extend(path.map(|path| (name, path.into_os_string())));
        }
        variables
    }

    /// Fails if one that we started has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.running.as_mut().map_or(Ok(()), Running::check)
    }

    /// Does what a line `restart NAME` asks for.
    fn restart(&mut self, line: &str) -> Result<()> {
        let name = line
            .strip_prefix("restart ")
            .with_context(|| format!("`{line}` is not `restart NAME`"))?;
        let running = self.running.as_mut();
        running.context("it is not ours to restart")?.restart(name)
    }

    /// A file of the same run, wherever the kubeconfig came from.
    fn beside(&self, name: &str) -> Option<PathBuf> {
        let folder = self.kubeconfig.parent()?;
        // `ca.key` marks the folder of a run: a stray `audit.log` next to a kubeconfig is not ours.
        let path = folder.join(name);
        (folder.join("ca.key").is_file() && path.is_file()).then_some(path)
    }

    fn server(&self) -> Result<String> {
        let path = "jsonpath={.clusters[0].cluster.server}";
        self.kubectl_output(&["config", "view", "--minify", "-o", path])
    }

    fn kubectl_output(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.kubectl());
        process::capture(
            command
                .arg("--kubeconfig")
                .arg(&self.kubeconfig)
                .args(arguments),
        )
    }
}

/// The kubectl that came with a running control plane, else one on PATH; only if there is none, ours
/// is built.
fn any_kubectl() -> Result<PathBuf> {
    let given = std::env::var_os("APONO_TEST_KUBECTL").map(PathBuf::from);
    for kubectl in given.into_iter().chain([PathBuf::from("kubectl")]) {
        if process::capture(Command::new(&kubectl).args(["version", "--client"])).is_ok() {
            return Ok(kubectl);
        }
        interrupt::check()?;
    }
    Ok(Binaries::find()?.kubectl)
}

fn current_kubeconfig() -> Result<PathBuf> {
    let given = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
    let Some(given) = given else {
        let home = std::env::var_os("HOME").context("neither KUBECONFIG nor HOME is set")?;
        return Ok(Path::new(&home).join(".kube/config"));
    };
    let mut files = std::env::split_paths(&given);
    match (files.next(), files.next()) {
        (Some(file), None) => Ok(file),
        _ => bail!("KUBECONFIG names several files; --use-current-cluster takes one"),
    }
}

/// Runs `cargo xtask control-plane ...`.
pub(crate) fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Build => {
            let binaries = Binaries::from_cache()?;
            let folder = binaries.etcd.parent().unwrap_or(Path::new("."));
            println!("{}", folder.display());
            Ok(ExitCode::SUCCESS)
        }
        Task::Up { controllers } => up(&controllers),
        Task::Kubeconfig { which, who } => {
            let plane = ControlPlane::obtain(&which)?;
            print!("{}", plane.kubeconfig_for(&who)?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn up(controllers: &[String]) -> Result<ExitCode> {
    let mut plane = ControlPlane::start_with(controllers)?;
    for (name, value) in plane.environment() {
        println!("export {name}={}", quoted(&value.to_string_lossy()));
    }
    eprintln!("control plane: up until Ctrl-C");
    // A signal is how this is meant to end, hence a success.
    let lines = lines_of_input();
    while interrupt::check().is_ok() {
        plane.check()?;
        for line in lines.try_iter() {
            plane.restart(line.trim())?;
            println!("{}", line.trim());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(ExitCode::SUCCESS)
}

/// The lines of standard input as they come; none any more when it ends.
fn lines_of_input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// As a shell reads it back.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted("/tmp/a-b_c.d"), "/tmp/a-b_c.d");
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }

    #[test]
    fn the_files_beside_a_foreign_kubeconfig_are_not_taken_for_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(AUDIT_LOG), "").expect("written");
        let kubeconfig = folder.path().join(KUBECONFIG);
        let plane = ControlPlane {
            kubeconfig,
            kubectl: "kubectl".into(),
            running: None,
        };
        assert_eq!(plane.audit_log(), None);
        std::fs::write(folder.path().join("ca.key"), "").expect("written");
        assert_eq!(plane.audit_log(), Some(folder.path().join(AUDIT_LOG)));
    }
}
