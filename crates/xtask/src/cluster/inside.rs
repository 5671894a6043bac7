//! The first process inside: makes the mounts and the network, starts the processes and buries what they
//! leave behind. It ends when one of them ends; then the kernel ends all others.
//!
//! Why namespaces alone hold it together: killing this process ends every process, mount, address and
//! rule of the cluster at once, whatever state they are in.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
use rustix::process::{Pid, WaitOptions, wait};

use super::files::{self, ADDRESS, ADMIN, KUBELET, MANAGER, SCHEDULER, SERVICES};
use super::{NODE, READY, parts};
use crate::control_plane::AUDIT_LOG;
use crate::process::{self, interrupt, tail};

/// Folders of the machine that it has for itself: kubelet, containerd and the shims use fixed paths there.
pub(crate) const HIDDEN: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// What the kubelet wants of the kernel. It is shown files that say so, and the machine stays as it is.
const KERNEL: [(&str, &str); 3] = [
    ("vm/overcommit_memory", "1"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
];

const ETCD: &str = "http://127.0.0.1:2379";
const STEP_DEADLINE: Duration = Duration::from_mins(2);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Runs until told to end; success is to be killed.
pub(crate) fn run(folder: &Path, attached: bool) -> Result<ExitCode> {
    if std::process::id() != 1 {
        bail!("it is started by `cargo xtask cluster up`");
    }
    let cut = Arc::new(AtomicBool::new(false));
    if attached {
        let cut = Arc::clone(&cut);
        std::thread::spawn(move || {
            // Both the end of the file and an error mean that nobody holds the other end.
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            cut.store(true, Ordering::SeqCst);
        });
    }
    prepare_mounts(folder)?;
    prepare_network()?;
    let mut inside = Inside {
        folder: folder.to_owned(),
        components: Vec::new(),
    };
    inside.start()?;
    eprintln!("{} runs", parts::version(folder)?);
    File::create(folder.join(READY)).context("could not say that it is ready")?;
    while !cut.load(Ordering::SeqCst) && interrupt::check().is_ok() {
        inside.bury()?;
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(ExitCode::SUCCESS)
}

fn prepare_mounts(folder: &Path) -> Result<()> {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .context("could not make the mounts private")?;
    let bind = |from: &Path, to: &Path| {
        mount_bind(from, to).with_context(|| format!("could not mount over `{}`", to.display()))
    };
    for hidden in HIDDEN {
        let own = folder.join("root").join(hidden.trim_start_matches('/'));
        fs::create_dir_all(&own).context("could not make a folder of the node")?;
        bind(&own, Path::new(hidden))?;
    }
    let shown = folder.join("kernel");
    fs::create_dir_all(&shown).context("could not make the folder of the kernel's settings")?;
    for (name, value) in KERNEL {
        let file = shown.join(name.replace('/', "."));
        fs::write(&file, format!("{value}\n")).context("could not write a kernel's setting")?;
        bind(&file, &Path::new("/proc/sys").join(name))?;
    }
    Ok(())
}

/// Nothing but a loopback: what leaves a pod stays on this node.
fn prepare_network() -> Result<()> {
    let address = format!("{ADDRESS}/32");
    for arguments in [
        &["link", "set", "lo", "up"][..],
        &["addr", "add", &address, "dev", "lo"],
        &["route", "add", "default", "dev", "lo", "src", ADDRESS],
    ] {
        process::capture(Command::new("ip").args(arguments))?;
    }
    Ok(())
}

/// A process of the cluster.
struct Component {
    name: &'static str,
    pid: Pid,
}

struct Inside {
    folder: PathBuf,
    components: Vec<Component>,
}

impl Inside {
    fn start(&mut self) -> Result<()> {
        self.launch("containerd", &["-c", "containerd.toml"])?;
        self.start_control_plane()?;
        self.until("containerd does not serve", &["ctr", "version"])?;
        let import = [
            "ctr",
            "-n",
            "k8s.io",
            "image",
            "import",
            files::PAUSE_ARCHIVE,
        ];
        process::capture(&mut self.command(&import))
            .context("could not load the image of pause")?;
        let kubeconfig = format!("--kubeconfig={KUBELET}");
        let (name, address) = (
            format!("--hostname-override={NODE}"),
            format!("--node-ip={ADDRESS}"),
        );
        self.launch(
            "kubelet",
            &["--config=kubelet.json", &kubeconfig, &name, &address],
        )?;
        self.launch("kube-proxy", &["--config=proxy.json"])?;
        let apply = ["kubectl", "apply", "--server-side", "-f", "dns.json"];
        process::capture(&mut self.command(&apply)).context("could not make the Service of DNS")?;
        self.launch("coredns", &["-conf", "Corefile"])
    }

    fn start_control_plane(&mut self) -> Result<()> {
        let etcd = [
            "--data-dir=etcd",
            // Nothing here outlives the process.
            "--unsafe-no-fsync",
            &format!("--listen-client-urls={ETCD}"),
            &format!("--advertise-client-urls={ETCD}"),
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
        ];
        self.launch("etcd", &etcd)?;
        let (advertised, services) = (
            format!("--advertise-address={ADDRESS}"),
            format!("--service-cluster-ip-range={SERVICES}"),
        );
        let etcd = format!("--etcd-servers={ETCD}");
        let audit = format!("--audit-log-path={AUDIT_LOG}");
        let apiserver = [
            etcd.as_str(),
            "--secure-port=443",
            "--bind-address=0.0.0.0",
            &advertised,
            &services,
            "--tls-cert-file=apiserver.crt",
            "--tls-private-key-file=apiserver.key",
            "--client-ca-file=ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--service-account-key-file=tokens.pub",
            "--service-account-signing-key-file=tokens.key",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--kubelet-client-certificate=kubelet-client.crt",
            "--kubelet-client-key=kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",
            "--enable-aggregator-routing=true",
            "--allow-privileged=true",
            "--audit-policy-file=audit-policy.yaml",
            &audit,
            // 0 would mean 100 MB; who reads the log must find all of it in one file.
            "--audit-log-maxsize=100000",
        ];
        self.launch("kube-apiserver", &apiserver)?;
        self.until(
            "the apiserver is not ready",
            &["kubectl", "get", "--raw", "/readyz"],
        )?;
        self.start_controllers()
    }

    fn start_controllers(&mut self) -> Result<()> {
        let files = |name: &str| {
            [
                "kubeconfig",
                "authentication-kubeconfig",
                "authorization-kubeconfig",
            ]
            .map(|flag| format!("--{flag}={name}"))
        };
        let shared = ["--leader-elect=false", "--bind-address=127.0.0.1"];
        let manager = [
            "--service-account-private-key-file=tokens.key",
            "--root-ca-file=ca.crt",
            "--use-service-account-credentials=true",
            // On a busy machine the kubelet is late; its only node must not be given up for that.
            "--node-monitor-grace-period=10m",
            // What is left out needs a cloud, a range of addresses for each node, or a key that signs.
            "--controllers=*,-certificatesigningrequest-signing-controller,-node-ipam-controller,\
             -node-route-controller,-service-lb-controller",
        ];
        let of = files(MANAGER);
        let all: Vec<&str> = of
            .iter()
            .map(String::as_str)
            .chain(shared)
            .chain(manager)
            .collect();
        self.launch("kube-controller-manager", &all)?;
        let of = files(SCHEDULER);
        let all: Vec<&str> = of.iter().map(String::as_str).chain(shared).collect();
        self.launch("kube-scheduler", &all)
    }

    /// A command in the folder, with the programs of the cluster on its PATH.
    fn command(&self, words: &[&str]) -> Command {
        let (program, arguments) = words
            .split_first()
            .map_or(("", words), |(it, rest)| (*it, rest));
        // Resolved here: the PATH of a command counts only from the program on.
        let own = self.folder.join("bin").join(program);
        let mut command = Command::new(own);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("PATH", parts::path(&self.folder))
            .env("LD_LIBRARY_PATH", self.folder.join(parts::LIBRARIES))
            .env("KUBECONFIG", self.folder.join(ADMIN))
            .stdin(Stdio::null());
        command
    }

    fn launch(&mut self, name: &'static str, arguments: &[&str]) -> Result<()> {
        let log = self.log(name);
        let file =
            File::create(&log).with_context(|| format!("could not create `{}`", log.display()))?;
        let errors = file.try_clone().context("could not share a log file")?;
        let words: Vec<&str> = std::iter::once(name)
            .chain(arguments.iter().copied())
            .collect();
        let child = self
            .command(&words)
            .stdout(file)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("could not start `{name}`"))?;
        let pid = Pid::from_child(&child);
        self.components.push(Component { name, pid });
        Ok(())
    }

    /// Looks until the command succeeds.
    fn until(&mut self, missing: &str, words: &[&str]) -> Result<()> {
        let missing = || missing.to_owned();
        process::wait_until(STEP_DEADLINE, missing, || {
            self.bury()?;
            Ok(process::capture(&mut self.command(words)).is_ok())
        })
    }

    /// Takes the ends of processes, ours and those whose parents are gone; fails if one of ours is among
    /// them.
    fn bury(&self) -> Result<()> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let mut ours = self.components.iter();
            if let Some(component) = ours.find(|it| it.pid == pid) {
                let name = component.name;
                let log = fs::read_to_string(self.log(name)).unwrap_or_default();
                bail!(
                    "{name} ended ({status:?}); the end of its log:\n{}",
                    tail(&log)
                );
            }
        }
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}
