//! What a source-controller does for a kustomize-controller: it serves a repository as an archive, and
//! says in the status of the `GitRepository` where it is and what it must hash to.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::json;

use crate::support::World;

/// Archives by path, served on loopback for as long as the test runs.
pub struct Source {
    address: SocketAddr,
    archives: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Source {
    /// Nothing is published yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let archives = Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default();
        let served = Arc::clone(&archives);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut asked = [0; 4096];
                let Ok(length) = stream.read(&mut asked) else {
                    continue;
                };
                let asked = String::from_utf8_lossy(&asked[..length]);
                let path = asked.split(' ').nth(1).unwrap_or_default();
                let archives = served.lock().unwrap_or_else(PoisonError::into_inner);
                let (status, body) = match archives.get(path) {
                    Some(archive) => ("200 OK", archive.as_slice()),
                    None => ("404 Not Found", &[][..]),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(&[head.as_bytes(), body].concat());
            }
        });
        Self { address, archives }
    }

    /// Makes these files the repository `access` in this revision.
    pub fn publish(&self, world: &World, revision: &str, files: &[(String, String)]) {
        let folder = tempfile::tempdir().expect("a folder");
        let tree = folder.path().join("tree");
        for (name, text) in files {
            let path = tree.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let archive = folder.path().join("archive.tar.gz");
        let mut packed = Command::new("tar");
        packed
            .arg("-czf")
            .arg(&archive)
            .arg("-C")
            .arg(&tree)
            .arg(".");
        assert!(
            packed.status().is_ok_and(|status| status.success()),
            "tar runs"
        );
        let summed = Command::new("sha256sum")
            .arg(&archive)
            .output()
            .expect("sha256sum runs");
        let digest = String::from_utf8(summed.stdout).expect("text");
        let digest = digest.split(' ').next().expect("a sum").to_owned();
        let bytes = std::fs::read(&archive).expect("packed");
        let path = format!("/{}.tar.gz", revision.replace([':', '@'], "-"));
        let size = bytes.len();
        let mut archives = self.archives.lock().unwrap_or_else(PoisonError::into_inner);
        archives.insert(path.clone(), bytes);
        drop(archives);

        crate::apply(
            world,
            &json!({
                "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": "access", "namespace": world.cluster.namespace},
                "spec": {"interval": "1h", "url": "https://git.example.com/access"}
            }),
        );
        let status = json!({"status": {
            "observedGeneration": 1,
            "artifact": {
                "path": path, "url": format!("http://{}{path}", self.address), "revision": revision,
                "digest": format!("sha256:{digest}"), "size": size,
                "lastUpdateTime": "2026-11-23T18:00:00Z"
            },
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored",
                "observedGeneration": 1, "lastTransitionTime": "2026-11-23T18:00:00Z"
            }]
        }});
        let patch = [
            "patch",
            "gitrepository",
            "access",
            "--subresource=status",
            "--type=merge",
        ];
        world
            .cluster
            .kubectl(&[&patch[..], &["-p", &status.to_string()]].concat());
    }
}
