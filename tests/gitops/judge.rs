//! One question to `gitops`, the program of `tests/tools` that holds the libraries of the tools.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is judged, and by what.
#[derive(Debug, Default, Serialize)]
pub struct Question {
    pub objects: Vec<Value>,
    pub health: String,
    pub discovery: String,
    pub actions: BTreeMap<String, String>,
    pub expressions: BTreeMap<String, Value>,
}

/// What a tool shows of an object.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub struct Health {
    pub status: String,
    pub message: String,
}

/// What is made of one object.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    pub kstatus: String,
    pub health: Option<Health>,
    #[serde(default)]
    pub actions: BTreeMap<String, bool>,
    #[serde(default)]
    pub acted: BTreeMap<String, Value>,
    #[serde(default)]
    pub expressions: BTreeMap<String, String>,
}

/// A file of the repository.
pub fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The scripts of a kind, as shipped for Argo CD.
pub fn script(kind: &str, name: &str) -> String {
    read(&format!("deploy/argocd/access.apono.io/{kind}/{name}"))
}

/// The actions of access requests.
pub const ACTIONS: [&str; 3] = ["refresh", "request-again", "revoke"];

impl Question {
    /// These objects, by everything that is shipped for their kind.
    pub fn of(kind: &str, objects: Vec<Value>) -> Self {
        let mut question = Self {
            objects,
            health: script(kind, "health.lua"),
            ..Self::default()
        };
        if kind == "AccessRequest" {
            question.discovery = script(kind, "actions/discovery.lua");
            for name in ACTIONS {
                let text = script(kind, &format!("actions/{name}/action.lua"));
                question.actions.insert(name.to_owned(), text);
            }
            for name in ["gate", "fire-and-forget"] {
                let list = read(&format!("deploy/flux/{name}.yaml"));
                let list: Vec<Value> = serde_saphyr::from_str(&list).expect("a list");
                assert_eq!(list.len(), 1, "{name}");
                assert_eq!(list[0]["kind"], kind, "{name}");
                question
                    .expressions
                    .insert(name.to_owned(), list[0].clone());
            }
        }
        question
    }
}

/// The answer; it must be one.
pub fn judge(question: &Question) -> Vec<Verdict> {
    let mut child = Command::new(program())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let asked = serde_json::to_vec(question).expect("JSON");
    let mut input = child.stdin.take().expect("piped");
    // It reads all before it writes.
    input.write_all(&asked).expect("it reads");
    drop(input);
    let ended = child.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{errors}");
    let verdicts: Vec<Verdict> = serde_json::from_slice(&ended.stdout).expect("an answer");
    assert_eq!(verdicts.len(), question.objects.len());
    verdicts
}

fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let xtask = std::env::var("APONO_TEST_XTASK").expect("run `cargo xtask test`");
        let output = Command::new(xtask)
            .args(["tool", "gitops"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("xtask starts");
        assert!(output.status.success(), "no gitops: see above");
        String::from_utf8(output.stdout).unwrap().trim().into()
    })
}
