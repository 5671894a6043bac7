//! Starts the processes of one control plane and waits until they serve; ends them when dropped.
//!
//! Everything is in one folder of its own and on ports of its own, loopback only, so that any number
//! can run at the same time. A port is free when chosen, but may be taken before it is bound: then
//! the process ends at once, and the whole start is tried again.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use super::binaries::Binaries;
use super::certificates::write_private;
use super::certificates::{Authority, Identity, kubeconfig, service_account, token_keys};
use super::folder::RunFolder;
use super::{AUDIT_LOG, KUBECONFIG, OPERATOR_KUBECONFIG, OPERATOR_NAME, OPERATOR_NAMESPACE};
use crate::process::supervised::{EXIT_WITH_PARENT, Supervised};
use crate::process::{self, capture, tail};

/// A loaded machine of two cores needs half a minute; more than this is a failure.
const START_DEADLINE: Duration = Duration::from_mins(2);

const ATTEMPTS: u32 = 4;

/// What deletion, owner references and service accounts need.
const CONTROLLERS: [&str; 3] = [
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
];

/// Metadata of every request, written when its answer is complete: tests read who did what.
pub(crate) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

/// A port was taken between choosing and binding it.
#[derive(Debug, thiserror::Error)]
#[error("a port was taken by another program")]
struct PortTaken;

/// The running processes of one control plane. The folder goes last.
#[derive(Debug)]
pub(crate) struct Running {
    components: Vec<Component>,
    plan: Plan,
    binaries: Binaries,
    folder: RunFolder,
}

#[derive(Debug)]
struct Component {
    name: &'static str,
    log: PathBuf,
    process: Supervised,
}

impl Running {
    /// Starts etcd, kube-apiserver and kube-controller-manager and waits until all of them serve.
    /// `controllers` are run beside those that are always needed.
    pub(crate) fn start(binaries: &Binaries, controllers: &[String]) -> Result<Self> {
        let started = Instant::now();
        for attempt in 1.. {
            match Self::attempt(binaries, controllers) {
                Err(error) if attempt < ATTEMPTS && error.is::<PortTaken>() => {
                    eprintln!("control plane: {error}; starting again with others");
                }
                Err(error) => return Err(error),
                Ok(running) => {
                    let time = process::spoken(started.elapsed());
                    eprintln!(
                        "control plane: ready in {time}, `{}`",
                        running.folder.path().display()
                    );
                    return Ok(running);
                }
            }
        }
        Err(anyhow!(PortTaken))
    }

    /// The folder with its kubeconfig files, logs and keys.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Fails, with the end of its log, if one of the processes has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        for component in &mut self.components {
            let Some(status) = component.process.exited()? else {
                continue;
            };
            let log = fs::read_to_string(&component.log).unwrap_or_default();
            if log.contains("address already in use") {
                bail!(PortTaken);
            }
            bail!(
                "{} ended ({status}); the end of its log:\n{}",
                component.name,
                tail(&log)
            );
        }
        Ok(())
    }

    /// Kills one of the processes and starts it again on what it stored, then waits until it serves.
    pub(crate) fn restart(&mut self, name: &str) -> Result<()> {
        let Some(at) = self.components.iter().position(|one| one.name == name) else {
            let names: Vec<_> = self.components.iter().map(|one| one.name).collect();
            bail!(
                "there is no `{name}` to restart; there is {}",
                names.join(", ")
            );
        };
        // It has ended when this returns, so the next can take its port.
        drop(self.components.remove(at));
        match name {
            "etcd" => self.launch_etcd(),
            "kube-apiserver" => self.launch_apiserver(),
            _ => self.launch_controller_manager(),
        }
    }

    fn attempt(binaries: &Binaries, controllers: &[String]) -> Result<Self> {
        let folder = RunFolder::create()?;
        let [etcd_port, port] = free_ports()?;
        let plan = Plan {
            folder: folder.path().to_owned(),
            etcd_port,
            port,
            controllers: [&CONTROLLERS.map(str::to_owned), controllers].concat(),
        };
        plan.write_files()?;
        let mut running = Self {
            components: Vec::new(),
            plan,
            binaries: binaries.clone(),
            folder,
        };
        running.launch_etcd()?;
        running.launch_apiserver()?;
        // Only now: it gives up when there is no apiserver for ten seconds.
        running.launch_controller_manager()?;
        Ok(running)
    }

    fn launch_etcd(&mut self) -> Result<()> {
        let command = self.plan.etcd(&self.binaries);
        self.launch("etcd", &command)?;
        // Its own word, in its own log: a stranger on the same port must not pass for it.
        self.wait("etcd does not serve", |running| {
            let log = fs::read_to_string(running.folder().join("etcd.log")).unwrap_or_default();
            Ok(log.contains("ready to serve client requests"))
        })
    }

    fn launch_apiserver(&mut self) -> Result<()> {
        let command = self.plan.apiserver(&self.binaries);
        self.launch("kube-apiserver", &command)?;
        self.wait("kube-apiserver is not ready", |running| {
            Ok(running.plan.is_ready(&running.binaries))
        })
    }

    fn launch_controller_manager(&mut self) -> Result<()> {
        let command = self.plan.controller_manager(&self.binaries);
        self.launch("kube-controller-manager", &command)?;
        let missing = "no controller made the service account `default/default`";
        self.wait(missing, |running| {
            let account = ["get", "serviceaccount", "default", "-n", "default"];
            Ok(running.plan.kubectl(&running.binaries, &account))
        })
    }

    fn launch(&mut self, name: &'static str, command: &Command) -> Result<()> {
        let log = self.folder().join(format!("{name}.log"));
        let file =
            File::create(&log).with_context(|| format!("could not create `{}`", log.display()))?;
        let errors = file.try_clone().context("could not share a log file")?;
        let process = Supervised::spawn(command, Stdio::from(file), Stdio::from(errors))?;
        self.components.push(Component { name, log, process });
        Ok(())
    }

    fn wait(&mut self, missing: &str, holds: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let logs: Vec<_> = self
            .components
            .iter()
            .map(|one| (one.name, one.log.clone()))
            .collect();
        let missing = || {
            let mut text = missing.to_owned();
            for (name, log) in &logs {
                let log = fs::read_to_string(log).unwrap_or_default();
                let end = tail(&log);
                text = format!(
                    "{text}
--- the end of the log of {name}:
{end}"
                );
            }
            text
        };
        process::wait_until(START_DEADLINE, missing, || {
            self.check()?;
            holds(self)
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // All at once; each is then waited for as it is dropped.
        for component in &mut self.components {
            component.process.cut();
        }
    }
}

/// Where everything of one start is, and the command lines that follow from it.
#[derive(Debug)]
struct Plan {
    folder: PathBuf,
    etcd_port: u16,
    port: u16,
    controllers: Vec<String>,
}

impl Plan {
    fn write_files(&self) -> Result<()> {
        let authority = Authority::generate()?;
        authority.write(&self.folder)?;
        let server = authority.sign_server()?;
        write_private(&self.folder.join("apiserver.crt"), &server.certificate)?;
        write_private(&self.folder.join("apiserver.key"), &server.key)?;
        let (signing, verifying) = token_keys()?;
        write_private(&self.folder.join("tokens.key"), &signing)?;
        write_private(&self.folder.join("tokens.pub"), &verifying)?;
        write_private(&self.folder.join("audit-policy.yaml"), AUDIT_POLICY)?;
        // Of its own name, so that the audit log tells it from whoever uses the admin's kubeconfig.
        let manager = "system:kube-controller-manager";
        let (operator, groups) = service_account(OPERATOR_NAMESPACE, OPERATOR_NAME);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        for (file, user, groups) in [
            (KUBECONFIG, "admin", &["system:masters"][..]),
            (
                "controller-manager.kubeconfig",
                manager,
                &["system:masters"],
            ),
            (OPERATOR_KUBECONFIG, &operator, &groups),
        ] {
            let signed = authority.sign_client(user, groups)?;
            let identity = Identity::Certificate(&signed);
            let text = kubeconfig(&self.server(), authority.certificate(), &identity);
            write_private(&self.folder.join(file), &text)?;
        }
        Ok(())
    }

    fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    fn etcd_address(&self) -> String {
        format!("http://127.0.0.1:{}", self.etcd_port)
    }

    fn etcd(&self, binaries: &Binaries) -> Command {
        let mut command = self.command(&binaries.etcd);
        let address = self.etcd_address();
        command
            .args([
                "--data-dir",
                "etcd",
                "--log-level",
                "info",
                "--log-format",
                "json",
            ])
            // Nothing here outlives the process.
            .arg("--unsafe-no-fsync")
            .args([
                "--listen-client-urls",
                &address,
                "--advertise-client-urls",
                &address,
            ])
            // There are no peers; it takes any port for them.
            .args(["--listen-peer-urls", "http://127.0.0.1:0"])
            .args(["--initial-advertise-peer-urls", "http://127.0.0.1:0"])
            .args(["--initial-cluster", "default=http://127.0.0.1:0"]);
        command
    }

    fn apiserver(&self, binaries: &Binaries) -> Command {
        let mut command = self.command(&binaries.apiserver);
        command
            .arg(format!("--etcd-servers={}", self.etcd_address()))
            .arg(format!("--secure-port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            // Nothing reaches it through its Service, and a loopback endpoint would be refused.
            .arg("--endpoint-reconciler-type=none")
            .args([
                "--tls-cert-file=apiserver.crt",
                "--tls-private-key-file=apiserver.key",
            ])
            .arg("--client-ca-file=ca.crt")
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg("--service-account-key-file=tokens.pub")
            .arg("--service-account-signing-key-file=tokens.key")
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .args(["--authorization-mode=RBAC", "--allow-privileged=true"])
            // Pods are never run, so they need no token mounted.
            .arg("--disable-admission-plugins=ServiceAccount")
            .arg("--audit-policy-file=audit-policy.yaml")
            .arg(format!("--audit-log-path={AUDIT_LOG}"))
            // 0 would mean 100 MB; a test that reads the log must find all of it in one file.
            .arg("--audit-log-maxsize=100000");
        command
    }

    fn controller_manager(&self, binaries: &Binaries) -> Command {
        let mut command = self.command(&binaries.controller_manager);
        command
            .arg("--kubeconfig=controller-manager.kubeconfig")
            .args(["--leader-elect=false", "--secure-port=0"])
            .arg(format!("--controllers={}", self.controllers.join(",")))
            // Its default, five minutes, is how long a namespace could stay after a missed event.
            .arg("--namespace-sync-period=10s")
            // The default of 20 requests a second makes the end of a full namespace slow.
            .args(["--kube-api-qps=200", "--kube-api-burst=400"]);
        command
    }

    /// Runs in the folder, so that no path need be spelled out.
    fn command(&self, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.current_dir(&self.folder).env(EXIT_WITH_PARENT, "1");
        command
    }

    fn is_ready(&self, binaries: &Binaries) -> bool {
        // Connecting is cheap, kubectl is not.
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
            && self.kubectl(binaries, &["get", "--raw", "/readyz"])
    }

    fn kubectl(&self, binaries: &Binaries, arguments: &[&str]) -> bool {
        let mut command = Command::new(&binaries.kubectl);
        command
            .arg("--kubeconfig")
            .arg(self.folder.join(KUBECONFIG))
            .arg("--request-timeout=5s")
            .args(arguments);
        capture(&mut command).is_ok()
    }
}

/// Ports that nobody uses now, all different.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        // All are held until the last is chosen, so that none is given twice.
        let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
        *port = listener
            .local_addr()
            .context("could not ask for a port's number")?
            .port();
        listeners.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_chosen_together_differ() {
        let [a, b, c] = free_ports().expect("ports");
        assert!(a != b && b != c && a != c && a > 0);
    }
}
