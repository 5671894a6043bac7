//! The policies of one namespace, and its users.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    ALEX, DANA, LABEL, PATIENCE,
    shipped::{self, Said, kubectl, text, try_kubectl},
};

/// The documents of one file, the policies of it in force in one namespace; withdrawn when dropped.
pub struct InForce {
    pub namespace: String,
    bindings: Vec<Value>,
}

impl InForce {
    /// Of a user who may do everything with requests in the namespace, and of one who may ask for
    /// others beside.
    pub fn new(files: &[&str]) -> Self {
        kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "crds/"]);
        kubectl(&["wait", "--for=condition=Established", "crd", "--all"]);
        let namespace = format!("policies-{:08x}", rand::random::<u32>());
        kubectl(&["create", "namespace", &namespace]);
        Self::within(namespace, files)
    }

    /// The same in a namespace that is there, where the definitions are served.
    pub fn within(namespace: String, files: &[&str]) -> Self {
        for (role, user, verbs) in [
            ("ask", DANA, "create,get,update,patch,delete"),
            (
                "ask-all",
                ALEX,
                "create,get,update,patch,delete,request-for-others",
            ),
        ] {
            let resource = "--resource=accessrequests.access.apono.io";
            let make = ["create", "role", role, resource, "-n", &namespace];
            kubectl(&[&make[..], &[&format!("--verb={verbs}")]].concat());
            let bind = ["create", "rolebinding", role, "-n", &namespace];
            let whom = [&*format!("--role={role}"), &*format!("--user={user}")];
            kubectl(&[&bind[..], &whom].concat());
        }
        let mut bindings = Vec::new();
        for file in files {
            let path = format!("deploy/policies/{file}.yaml");
            let stream = std::fs::read_to_string(path).expect("a policy");
            for mut document in serde_saphyr::from_multiple::<Value>(&stream).expect("YAML") {
                if text(&document, "/kind").ends_with("Binding") {
                    let name = format!("{}-{namespace}", text(&document, "/metadata/name"));
                    document["metadata"]["name"] = json!(name);
                    let labels = json!({"kubernetes.io/metadata.name": namespace});
                    let here = json!({"namespaceSelector": {"matchLabels": labels}});
                    document["spec"]["matchResources"] = here;
                    if document["spec"]["paramRef"].is_object() {
                        document["spec"]["paramRef"]["namespace"] = json!(namespace);
                    }
                    bindings.push(document);
                } else {
                    if text(&document, "/kind") == "ConfigMap" {
                        document["metadata"]["namespace"] = json!(namespace);
                    }
                    shipped::apply([&document]);
                }
            }
        }
        let in_force = Self {
            namespace,
            bindings,
        };
        shipped::apply(&in_force.bindings);
        in_force
    }

    pub fn request(&self, name: &str, spec: &Value) -> Value {
        json!({
            "apiVersion": "access.apono.io/v1alpha1", "kind": "AccessRequest",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec
        })
    }

    /// Has the apiserver judge the creation of a request by this user, and stores nothing.
    pub fn judge(&self, user: &str, spec: &Value) -> Said {
        let how = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
        let who = format!("--as={user}");
        let object = self.request("judged", spec).to_string();
        try_kubectl(&[&how[..], &[&who]].concat(), &object)
    }

    /// It is refused with these words; what is shown is what the user reads.
    pub fn refuses(&self, user: &str, spec: &Value, words: &str) {
        let said = self.judge(user, spec);
        assert!(!said.is_success, "{user} may create {spec}");
        assert!(said.errors.contains(words), "{spec}: {}", said.errors);
    }

    pub fn allows(&self, user: &str, spec: &Value) {
        let said = self.judge(user, spec);
        assert!(said.is_success, "{user} {spec}: {}", said.errors);
    }

    /// Waits until this, which has to be refused, is: from then on the policies hold.
    pub fn holds(&self, user: &str, spec: &Value) {
        let started = Instant::now();
        while !self
            .judge(user, spec)
            .errors
            .contains("ValidatingAdmissionPolicy")
        {
            let said = self.judge(user, spec);
            assert!(
                started.elapsed() < PATIENCE,
                "not in force: {}",
                said.errors
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn label(&self, value: &str) {
        let label = format!("{LABEL}={value}");
        kubectl(&["label", "--overwrite", "namespace", &self.namespace, &label]);
    }

    pub fn act(&self, user: &str, arguments: &[&str]) -> Said {
        let place = ["-n", &*self.namespace, &*format!("--as={user}")];
        try_kubectl(&[&place[..], arguments].concat(), "")
    }
}

impl Drop for InForce {
    fn drop(&mut self) {
        let input = shipped::stream(&self.bindings);
        let said = try_kubectl(&["delete", "--ignore-not-found", "-f", "-"], &input);
        if !said.is_success {
            eprintln!("policies are left in force: {}", said.errors);
        }
        try_kubectl(
            &["delete", "namespace", "--wait=false", &self.namespace],
            "",
        );
    }
}
