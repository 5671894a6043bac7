//! Both Helms. The first test that needs one has it built, by `xtask tool`; all others wait.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

use crate::shipped::{Said, variable};

/// The chart, from the root of the workspace.
pub const CHART: &str = "deploy/chart";
/// Every test is by both.
pub const BOTH: [Helm; 2] = [Helm::Three, Helm::Four];

/// A line of Helm that the chart is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helm {
    Three,
    Four,
}

impl Helm {
    /// What its version begins with.
    pub fn start(self) -> &'static str {
        match self {
            Self::Three => "v3.",
            Self::Four => "v4.",
        }
    }

    fn program(self) -> &'static PathBuf {
        static THREE: OnceLock<PathBuf> = OnceLock::new();
        static FOUR: OnceLock<PathBuf> = OnceLock::new();
        let (place, name) = match self {
            Self::Three => (&THREE, "helm3"),
            Self::Four => (&FOUR, "helm4"),
        };
        place.get_or_init(|| tool(name))
    }

    /// Runs it without a cluster, and without a file of whoever runs the tests.
    pub fn command(self) -> Command {
        let mut command = Command::new(self.program());
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("helm");
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        for name in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{name}_HOME"), home.join(name));
        }
        command
    }

    /// Runs it, however it ends.
    pub fn attempt(self, arguments: &[&str]) -> Said {
        said(self.command().args(arguments))
    }

    /// Runs it; it must succeed.
    pub fn run(self, arguments: &[&str]) -> Said {
        let said = self.attempt(arguments);
        assert!(
            said.is_success,
            "{self:?} {arguments:?}: {}{}",
            said.errors, said.output
        );
        said
    }

    /// What the chart makes of these, as `helm template` takes them; hooks too.
    pub fn render(self, arguments: &[&str]) -> Vec<Value> {
        let start = ["template", "apono-operator", CHART, "-n", "apono-system"];
        let said = self.run(&[&start[..], arguments].concat());
        documents(&said.output)
    }
}

/// The documents of a stream that hold something.
pub fn documents(stream: &str) -> Vec<Value> {
    let read: Vec<Value> = serde_saphyr::from_multiple(stream).expect("YAML");
    read.into_iter().filter(|one| !one.is_null()).collect()
}

/// Runs a command to its end.
pub fn said(command: &mut Command) -> Said {
    let ended = command.output().expect("it starts");
    Said {
        is_success: ended.status.success(),
        output: String::from_utf8_lossy(&ended.stdout).into_owned(),
        errors: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

/// The path of a program that xtask builds.
pub fn tool(name: &str) -> PathBuf {
    let output = Command::new(variable("APONO_TEST_XTASK"))
        .args(["tool", name])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("xtask starts");
    assert!(output.status.success(), "no {name}: see above");
    String::from_utf8(output.stdout)
        .expect("a path")
        .trim()
        .into()
}
