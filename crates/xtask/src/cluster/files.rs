//! Keys, kubeconfigs and settings of a cluster. What is decided here, and why, is in the settings; the
//! processes are started by `inside.rs`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::parts::Parts;
use super::{NODE, cgroups};
use crate::control_plane::certificates::{
    Authority, Identity, kubeconfig, token_keys, write_private,
};
use crate::control_plane::run::AUDIT_POLICY;
use crate::image::archive::{Files, Image, file};

/// The address of the node, on its loopback.
pub(crate) const ADDRESS: &str = "10.10.0.1";
/// Of Services; the first is that of the apiserver.
pub(crate) const SERVICES: &str = "10.96.0.0/24";
const APISERVER: &str = "10.96.0.1";
const DNS: &str = "10.96.0.10";
const PODS: &str = "10.88.0.0/24";

/// The kubeconfigs: file, user, group.
pub(crate) const ADMIN: &str = "admin.kubeconfig";
pub(crate) const KUBELET: &str = "kubelet.kubeconfig";
pub(crate) const MANAGER: &str = "controller-manager.kubeconfig";
pub(crate) const SCHEDULER: &str = "scheduler.kubeconfig";
pub(crate) const PROXY: &str = "proxy.kubeconfig";

/// What holds the namespaces of a pod.
pub(crate) const PAUSE: &str = "localhost/pause:1";
/// The archive of its image.
pub(crate) const PAUSE_ARCHIVE: &str = "pause.tar";

/// Writes all of them into `folder`.
pub(crate) fn write(folder: &Path, parts: &Parts) -> Result<()> {
    parts.link(folder)?;
    write_keys(folder)?;
    let plugins = folder.join("cni");
    fs::create_dir_all(&plugins).context("could not make the folder of the network")?;
    let group = format!("/{}", cgroups::name(folder));
    for (name, settings) in [
        ("cni/10-pods.conflist", network()),
        ("kubelet.json", kubelet(folder, &group)),
        ("proxy.json", proxy(folder)),
        ("dns.json", dns_service()),
    ] {
        write_private(&folder.join(name), &format!("{settings:#}\n"))?;
    }
    write_private(
        &folder.join("containerd.toml"),
        &containerd(folder, &parts.debian),
    )?;
    write_private(&folder.join("Corefile"), &corefile(folder))?;
    write_private(&folder.join("audit-policy.yaml"), AUDIT_POLICY)?;
    write_pause(folder, &parts.pause)
}

fn write_keys(folder: &Path) -> Result<()> {
    let authority = Authority::generate()?;
    authority.write(folder)?;
    let server = authority.sign_server_for(&[
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        ADDRESS,
        APISERVER,
    ])?;
    // By which the apiserver asks the kubelet, for logs and the like.
    let client = authority.sign_client("kube-apiserver", &["system:masters"])?;
    let (signing, verifying) = token_keys()?;
    for (name, text) in [
        ("apiserver.crt", &server.certificate),
        ("apiserver.key", &server.key),
        ("kubelet-client.crt", &client.certificate),
        ("kubelet-client.key", &client.key),
        ("tokens.key", &signing),
        ("tokens.pub", &verifying),
    ] {
        write_private(&folder.join(name), text)?;
    }
    let node = format!("system:node:{NODE}");
    for (name, user, groups) in [
        (ADMIN, "admin", &["system:masters"][..]),
        (KUBELET, &node, &["system:nodes"]),
        (MANAGER, "system:kube-controller-manager", &[]),
        (SCHEDULER, "system:kube-scheduler", &[]),
        (PROXY, "system:kube-proxy", &[]),
    ] {
        let signed = authority.sign_client(user, groups)?;
        let identity = Identity::Certificate(&signed);
        let server = format!("https://{ADDRESS}:443");
        let text = kubeconfig(&server, authority.certificate(), &identity);
        write_private(&folder.join(name), &text)?;
    }
    Ok(())
}

/// Routed, not bridged: between two pods of one bridge, answers can pass the translation of a Service's
/// address by.
fn network() -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": "/run/addresses",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

fn kubelet(folder: &Path, group: &str) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "address": ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "registerNode": true,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS],
        // Nobody outside is reached, so nobody outside is asked.
        "resolvConf": "",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": folder.join("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        // Machines with the first version of control groups are still there.
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": group,
        "cgroupsPerQOS": true,
        "enforceNodeAllocatable": [],
        // It compares and changes nothing; what it compares is shown to it by `inside.rs`.
        "protectKernelDefaults": true,
        // A negative one takes a capability that root may lack.
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": false,
        "failSwapOn": false,
        // A full disk is the machine's matter.
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
        },
        // No image can be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "volumePluginDir": folder.join("volume-plugins"),
    })
}

fn proxy(folder: &Path) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": folder.join(PROXY)},
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "healthzBindAddress": "127.0.0.1",
        "metricsBindAddress": "127.0.0.1",
        "nodePortAddresses": ["primary"],
        // What it would set by default cannot be set from a network namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

/// `CoreDNS` is a process of the node, reached as pods expect it: through a Service.
fn dns_service() -> Value {
    let ports = |with_protocol: [(&str, &str); 2]| {
        with_protocol
            .map(|(name, protocol)| json!({"name": name, "port": 53, "protocol": protocol}))
    };
    let ports = ports([("dns", "UDP"), ("dns-tcp", "TCP")]);
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "kube-dns", "namespace": "kube-system"},
                "spec": {"clusterIP": DNS, "ports": ports},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": "kube-dns",
                    "namespace": "kube-system",
                    "labels": {"kubernetes.io/service-name": "kube-dns"},
                },
                "addressType": "IPv4",
                "ports": ports,
                "endpoints": [{"addresses": [ADDRESS]}],
            },
        ],
    })
}

fn corefile(folder: &Path) -> String {
    let admin = folder.join(ADMIN);
    format!(
        ".:53 {{\n  errors\n  cache 5\n  kubernetes cluster.local {{\n    kubeconfig {}\n    ttl 1\n  }}\n}}\n",
        admin.display()
    )
}

fn containerd(folder: &Path, debian: &Path) -> String {
    format!(
        "\
version = 2
root = \"/var/lib/containerd\"
state = \"/run/containerd\"

[grpc]
address = \"/run/containerd/containerd.sock\"

[plugins.\"io.containerd.internal.v1.opt\"]
path = \"/var/lib/containerd-opt\"

[plugins.\"io.containerd.grpc.v1.cri\"]
sandbox_image = \"{PAUSE}\"
# A negative score takes a capability that root may lack.
restrict_oom_score_adj = true

[plugins.\"io.containerd.grpc.v1.cri\".cni]
bin_dir = \"{}\"
conf_dir = \"{}\"

[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]
runtime_type = \"io.containerd.runc.v2\"

[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]
SystemdCgroup = false
",
        debian.join("usr/lib/cni").display(),
        folder.join("cni").display()
    )
}

fn write_pause(folder: &Path, program: &Path) -> Result<()> {
    let (name, tag) = PAUSE.split_once(':').unwrap_or((PAUSE, "1"));
    let binary = fs::read(program).context("could not read `pause`")?;
    let image = Image {
        name: name.to_owned(),
        tag: tag.to_owned(),
        entrypoint: "/pause".to_owned(),
        user: "65535:65535".to_owned(),
        created: jiff::Timestamp::UNIX_EPOCH,
        labels: Vec::new(),
        files: Files::from([("pause".to_owned(), file(0o555, binary))]),
    };
    image.write(&folder.join(PAUSE_ARCHIVE)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_services_are_in_their_range() {
        let (network, _) = SERVICES.rsplit_once('.').expect("an address");
        for address in [APISERVER, DNS] {
            assert!(address.starts_with(&format!("{network}.")), "{address}");
        }
    }

    #[test]
    fn dns_is_reached_on_both_protocols() {
        let list = dns_service();
        for item in ["/items/0/spec/ports", "/items/1/ports"] {
            let ports = list.pointer(item).expect("ports");
            assert_eq!(ports[0]["protocol"], "UDP");
            assert_eq!(ports[1]["protocol"], "TCP");
        }
    }
}
