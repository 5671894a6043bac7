//! Another cluster. It ends with this value, and there is one at a time: two cores have no room for
//! many.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use tokio::sync::{Mutex, MutexGuard};

/// Held by whoever has one.
static ALONE: Mutex<()> = Mutex::const_new(());

pub struct Plane {
    _alone: MutexGuard<'static, ()>,
    process: Child,
    pub kubeconfig: String,
}

impl Plane {
    pub async fn start() -> Self {
        let alone = ALONE.lock().await;
        let xtask = std::env::var("APONO_TEST_XTASK").expect("run `cargo xtask test`");
        let mut process = Command::new(xtask)
            .args(["control-plane", "up"])
            .env_remove("APONO_TEST_KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("xtask starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let kubeconfig = loop {
            let line = lines.next().expect("it comes up").expect("text");
            if let Some(path) = line.strip_prefix("export KUBECONFIG=") {
                break path.trim_matches('\'').to_owned();
            }
        };
        // Whatever else it prints has a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            _alone: alone,
            process,
            kubeconfig,
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // What it started ends with it, see its `supervise`.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
