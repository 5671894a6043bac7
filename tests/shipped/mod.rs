//! What `deploy/` ships, as kubectl renders it, and kubectl itself.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::panic,
    reason = "helpers of tests are not seen as tests by the lint"
)]

use std::{
    env,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// What `cargo xtask test` sets.
pub fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; this test needs an apiserver: run `cargo xtask test`")
    })
}

/// How a call of kubectl ended.
#[derive(Debug)]
pub struct Said {
    pub is_success: bool,
    pub output: String,
    pub errors: String,
}

/// Calls kubectl as the administrator, with this on its standard input.
pub fn try_kubectl(arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new(variable("APONO_TEST_KUBECTL"))
        .args(["--kubeconfig", &variable("APONO_TEST_KUBECONFIG")])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let mut stdin = child.stdin.take().expect("piped");
    // It may end without reading; then its errors say why.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let ended = child.wait_with_output().expect("kubectl ends");
    Said {
        is_success: ended.status.success(),
        output: String::from_utf8_lossy(&ended.stdout).into_owned(),
        errors: String::from_utf8_lossy(&ended.stderr).into_owned(),
    }
}

/// The same where it must succeed.
pub fn kubectl_with(arguments: &[&str], input: &str) -> Said {
    let said = try_kubectl(arguments, input);
    assert!(said.is_success, "kubectl {arguments:?}: {}", said.errors);
    said
}

/// The same without input; gives what it printed.
pub fn kubectl(arguments: &[&str]) -> String {
    kubectl_with(arguments, "").output
}

/// The documents of `deploy/kustomize/<folder>`.
pub fn render(folder: &str) -> Vec<Value> {
    let folder = Path::new("deploy/kustomize").join(folder);
    let text = kubectl(&["kustomize", &folder.to_string_lossy()]);
    text.split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).expect("a YAML document"))
        .collect()
}

/// One stream, as kubectl reads it. JSON is YAML.
pub fn stream<'a>(documents: impl IntoIterator<Item = &'a Value>) -> String {
    let texts: Vec<_> = documents.into_iter().map(Value::to_string).collect();
    texts.join("\n---\n")
}

/// A text of a document, empty where there is none; `path` is a JSON pointer.
pub fn text<'a>(document: &'a Value, path: &str) -> &'a str {
    document
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Applies these documents as an administrator does.
pub fn apply<'a>(documents: impl IntoIterator<Item = &'a Value>) {
    let input = stream(documents);
    kubectl_with(
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        &input,
    );
}
