//! The images, unpacked and started by runc as a node would: as the user they name, on a root that cannot
//! be written to, without any capability; the operator then serves `/readyz` against the real apiserver.
//!
//! `cargo xtask prove image` runs it, since it needs root and static programs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, its helpers too"
)]

#[path = "support/wait.rs"]
#[allow(dead_code, reason = "each test binary uses a part of it")]
mod wait;

use std::{
    env,
    fs::{self, File},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use wait::eventually;

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `cargo xtask prove image`"))
}

fn run(command: &mut Command) -> String {
    let ended = command.stdin(Stdio::null()).output().expect("it starts");
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// An unpacked image.
struct Image {
    folder: TempDir,
    config: Value,
}

impl Image {
    fn unpack(archive: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Whoever runs in it has to reach it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("opened");
        let layout = folder.path().join("layout");
        let root = folder.path().join("rootfs");
        for folder in [&layout, &root] {
            fs::create_dir(folder).expect("created");
        }
        run(Command::new("tar")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(&layout));
        let blob = |described: &Value| {
            let digest = described["digest"].as_str().expect("a digest");
            layout.join("blobs").join(digest.replace(':', "/"))
        };
        let read = |path: &Path| -> Value {
            serde_json::from_slice(&fs::read(path).expect("a part")).expect("JSON")
        };
        let index = read(&layout.join("index.json"));
        let manifest = read(&blob(&index["manifests"][0]));
        for layer in manifest["layers"].as_array().expect("layers") {
            let flags = ["--same-owner", "--same-permissions", "-xzf"];
            run(Command::new("tar")
                .args(flags)
                .arg(blob(layer))
                .arg("-C")
                .arg(&root));
        }
        let config = read(&blob(&manifest["config"]));
        Self { folder, config }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    /// Every file in it, by its path.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.push(path);
            }
        }
        found
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Starts it as its configuration says, in the network of this machine.
    fn start(self, arguments: &[&str], environment: &[(&str, &str)]) -> Container {
        let config = &self.config["config"];
        let user = config["User"].as_str().expect("a user");
        let (uid, gid) = user.split_once(':').expect("a group too");
        let number = |text: &str| text.parse::<u32>().expect("a number");
        let strings =
            |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).expect("words") };
        let mut words = strings(&config["Entrypoint"]);
        words.extend(arguments.iter().map(|&word| word.to_owned()));
        let mut variables = strings(&config["Env"]);
        variables.extend(
            environment
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        // Only it: whoever reads it is nobody.
        let kubeconfig = self.folder.path().join("kubeconfig");
        fs::copy(variable("KUBECONFIG"), &kubeconfig).expect("copied");
        fs::set_permissions(&kubeconfig, fs::Permissions::from_mode(0o444)).expect("opened");
        let name = format!("apono-image-{}", std::process::id());
        let name = format!("{name}-{}", words[0].trim_start_matches('/'));
        let bundle = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": number(uid), "gid": number(gid)},
                "args": words, "env": variables, "cwd": config["WorkingDir"],
                "capabilities": {}, "noNewPrivileges": true,
            },
            "root": {"path": "rootfs", "readonly": true},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {
                    "destination": "/kubeconfig", "type": "bind", "source": kubeconfig,
                    "options": ["bind", "ro"]
                },
            ],
            "linux": {
                "cgroupsPath": format!("/{name}"),
                "namespaces": [
                    {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}
                ],
                "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"],
            },
        });
        fs::write(self.folder.path().join("config.json"), bundle.to_string()).expect("written");
        let log = self.folder.path().join("log");
        let output = File::create(&log).expect("a log");
        let runtime = variable("APONO_IMAGE_RUNC");
        let process = Command::new(&runtime)
            .args([
                "--root",
                &self.folder.path().join("state").to_string_lossy(),
                "run",
                "--bundle",
            ])
            .arg(self.folder.path())
            .arg(&name)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("shared"))
            .stderr(output)
            .spawn()
            .expect("runc starts");
        Container {
            image: self,
            name,
            runtime,
            log,
            process,
        }
    }
}

/// A running image. It ends when dropped.
struct Container {
    image: Image,
    name: String,
    runtime: String,
    log: PathBuf,
    process: Child,
}

impl Container {
    fn signal(&self, signal: &str) -> bool {
        let state = self.image.folder.path().join("state");
        let mut kill = Command::new(&self.runtime);
        kill.arg("--root")
            .arg(state)
            .args(["kill", &self.name, signal]);
        kill.stderr(Stdio::null())
            .status()
            .is_ok_and(|ended| ended.success())
    }

    /// What `find` finds in a line of its log.
    async fn said(&self, find: impl Fn(&str) -> Option<String>) -> String {
        eventually("a word in its log", async || {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            text.lines().find_map(&find).ok_or(text)
        })
        .await
    }

    /// Waits until the answer at `url` is 200, and gives it.
    async fn answers(&self, url: &str) -> String {
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        eventually("200", async || {
            let answer = client
                .get(url)
                .send()
                .await
                .map_err(|error| error.to_string())?;
            let status = answer.status();
            let body = answer.text().await.unwrap_or_default();
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            (status == 200)
                .then_some(())
                .ok_or(format!("{status} {body}\n{log}"))?;
            Ok(body)
        })
        .await
    }

    /// Ends it as a node does; gives its exit code.
    fn end(mut self) -> Option<i32> {
        assert!(self.signal("TERM"), "it runs");
        self.process.wait().expect("runc ends").code()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.signal("KILL");
        // Nothing to do about a failure: it means that it has ended.
        let _ = self.process.wait();
    }
}

#[tokio::test]
#[ignore = "cargo xtask prove image: needs root"]
async fn the_operator_serves_as_nobody_on_a_root_that_cannot_be_written_to() {
    let image = Image::unpack(&variable("APONO_IMAGE_OPERATOR"));
    run(Command::new(variable("APONO_TEST_KUBECTL")).args([
        "apply",
        "--server-side",
        "-f",
        "crds",
    ]));
    let settings = [
        ("KUBECONFIG", "/kubeconfig"),
        ("ADMIN_LISTEN", "127.0.0.1:0"),
        ("OPERATOR_NAMESPACE", "default"),
        ("CLUSTER_NAME", "image"),
        ("LOG_FORMAT", "json"),
    ];
    let container = image.start(&["run"], &settings);
    let address = container
        .said(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            let is_it = line["message"] == "the admin port is open";
            is_it.then(|| line["address"].as_str().map(str::to_owned))?
        })
        .await;
    container.answers(&format!("http://{address}/readyz")).await;
    let metrics = container
        .answers(&format!("http://{address}/metrics"))
        .await;
    let resident = metrics
        .lines()
        .find(|line| line.starts_with("process_resident_memory_bytes "));
    println!("\nproved: image: ready, {}", resident.expect("its memory"));
    assert_eq!(container.end(), Some(0));
}

#[tokio::test]
#[ignore = "cargo xtask prove image: needs root"]
async fn the_simulator_serves_as_nobody_too() {
    let image = Image::unpack(&variable("APONO_IMAGE_SIMULATOR"));
    let container = image.start(&["--listen", "127.0.0.1:0", "--token", "t"], &[]);
    let url = container
        .said(|line| line.strip_prefix("listening on ").map(str::to_owned))
        .await;
    container.answers(&format!("{url}/_control/ready")).await;
    assert_eq!(container.end(), Some(0));
}

#[test]
#[ignore = "cargo xtask prove image: needs root"]
fn nothing_in_an_image_can_be_changed_by_who_runs_in_it_and_all_licences_are_there() {
    for (name, archive) in [
        ("apono-operator", "APONO_IMAGE_OPERATOR"),
        ("apono-simulator", "APONO_IMAGE_SIMULATOR"),
    ] {
        let image = Image::unpack(&variable(archive));
        assert_eq!(image.config["config"]["User"], "65532:65532", "{name}");
        for path in image.files() {
            let data = path.symlink_metadata().expect("it is there");
            assert_eq!((data.uid(), data.gid()), (0, 0), "{}", path.display());
            // Neither written to by others, nor run as somebody else.
            assert_eq!(
                data.mode() & 0o6022,
                0,
                "{}: {:o}",
                path.display(),
                data.mode()
            );
        }
        let authorities = image.text("etc/ssl/certs/ca-certificates.crt");
        assert!(
            authorities.matches("BEGIN CERTIFICATE").count() > 100,
            "{name}"
        );
        let bill = image.text(&format!("usr/share/sbom/{name}.cdx.json"));
        let bill: Value = serde_json::from_str(&bill).expect("JSON");
        assert_eq!(bill["metadata"]["component"]["name"], name);
        let notices = image.text(&format!("usr/share/licenses/{name}/THIRD-PARTY.txt"));
        let components = bill["components"].as_array().expect("a list");
        assert!(components.len() > 50, "{name}: {}", components.len());
        for one in components {
            let (crate_name, version) = (
                one["name"].as_str().unwrap(),
                one["version"].as_str().unwrap(),
            );
            assert!(one["licenses"][0]["expression"].is_string(), "{crate_name}");
            // Ours have the licence of the whole, and Rust's library a file of its own.
            let is_foreign = one.get("hashes").is_some();
            let row = format!("  {crate_name} {version}: ");
            assert_eq!(
                notices.contains(&row),
                is_foreign,
                "{name}: {crate_name} {version}"
            );
        }
        for file in ["LICENSE", "rust-standard-library.html"] {
            assert!(
                !image
                    .text(&format!("usr/share/licenses/{name}/{file}"))
                    .is_empty()
            );
        }
    }
}
