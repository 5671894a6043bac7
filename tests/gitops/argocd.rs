//! `deploy/argocd`: the layout that Argo CD keeps such scripts in, its tests, the actions, and the same
//! scripts as one puts them into `argocd-cm`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    drive::stored,
    judge::{ACTIONS, Health, Question, judge, read, script},
    support::{CONNECTION, Setup, World},
};

const KINDS: [&str; 3] = ["AccessRequest", "AponoConnection", "ClusterAponoConnection"];
const FOLDER: &str = "deploy/argocd/access.apono.io";

/// Writes what the operator produced as test data of the scripts, where that is asked for:
/// `APONO_WRITE_GOLDEN=1 cargo xtask test -- --test gitops`.
pub fn keep_as_testdata(driven: &[(&'static str, Value)]) {
    if std::env::var_os("APONO_WRITE_GOLDEN").is_none() {
        return;
    }
    let mut tests = Vec::new();
    for (name, object) in driven {
        let object = &plain(object);
        let path = format!("testdata/{name}.yaml");
        let text = serde_saphyr::to_string(object).expect("YAML");
        fs::write(format!("{FOLDER}/AccessRequest/{path}"), text).expect("written");
        let verdicts = judge(&Question::of("AccessRequest", vec![object.clone()]));
        let health = verdicts[0].health.as_ref().unwrap();
        tests.push(json!({
            "healthStatus": {"status": health.status, "message": health.message},
            "inputPath": path
        }));
    }
    tests.sort_by_key(|test| test["inputPath"].to_string());
    let text = serde_saphyr::to_string(&json!({"tests": tests})).expect("YAML");
    fs::write(format!("{FOLDER}/AccessRequest/health_test.yaml"), text).expect("written");
}

/// Without what differs from run to run and says nothing.
fn plain(object: &Value) -> Value {
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .expect("a namespace");
    let text = object.to_string().replace(namespace, "payments");
    let mut object: Value = serde_json::from_str(&text).expect("as it was");
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for key in [
        "uid",
        "resourceVersion",
        "managedFields",
        "creationTimestamp",
    ] {
        metadata.remove(key);
    }
    if let Some(annotations) = metadata
        .get_mut("annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.remove("access.apono.io/attempt");
    }
    let annotations = metadata.get("annotations").and_then(Value::as_object);
    if annotations.is_some_and(serde_json::Map::is_empty) {
        metadata.remove("annotations");
    }
    object
}

/// The tests of upstream's layout, run as upstream runs them.
#[test]
fn the_scripts_pass_their_own_tests_in_upstreams_layout() {
    let mut count = 0;
    for kind in KINDS {
        let tests: Value = serde_saphyr::from_str(&script(kind, "health_test.yaml")).unwrap();
        let tests = tests["tests"].as_array().unwrap();
        assert!(!tests.is_empty(), "{kind}");
        let object = |test: &Value| -> Value {
            let path = test["inputPath"].as_str().unwrap();
            serde_saphyr::from_str(&script(kind, path)).unwrap()
        };
        let objects: Vec<_> = tests.iter().map(object).collect();
        for object in &objects {
            assert_eq!(object["kind"], kind);
        }
        let verdicts = judge(&Question::of(kind, objects));
        for (test, verdict) in tests.iter().zip(verdicts) {
            let wanted: Health = serde_json::from_value(test["healthStatus"].clone()).unwrap();
            assert_eq!(
                verdict.health.unwrap(),
                wanted,
                "{kind} {}",
                test["inputPath"]
            );
            count += 1;
        }
        // Nothing lies about that no test reads.
        for entry in fs::read_dir(format!("{FOLDER}/{kind}/testdata")).unwrap() {
            let path = format!("testdata/{}", entry.unwrap().file_name().display());
            assert!(
                tests.iter().any(|test| test["inputPath"] == path),
                "{kind} {path}"
            );
        }
    }
    println!("{count} tests of health scripts");
    assert!(count >= 30, "{count}");
}

#[test]
fn the_actions_pass_their_own_tests_in_upstreams_layout() {
    let kind = "AccessRequest";
    let tests: Value = serde_saphyr::from_str(&script(kind, "actions/action_test.yaml")).unwrap();
    let of = |path: &Value| -> Value {
        let path = format!("actions/{}", path.as_str().unwrap());
        serde_saphyr::from_str(&script(kind, &path)).unwrap()
    };
    for test in tests["discoveryTests"].as_array().unwrap() {
        let verdict = &judge(&Question::of(kind, vec![of(&test["inputPath"])]))[0];
        let mut wanted = test["result"].as_array().unwrap().iter();
        for (name, is_enabled) in &verdict.actions {
            let entry = json!({"name": name, "disabled": !is_enabled});
            assert!(
                wanted.any(|one| *one == entry),
                "{entry} {}",
                test["inputPath"]
            );
        }
    }
    let acts = tests["actionTests"].as_array().unwrap();
    for test in acts {
        let action = test["action"].as_str().unwrap();
        let verdict = &judge(&Question::of(kind, vec![of(&test["inputPath"])]))[0];
        let mut found = verdict.acted[action].clone();
        let mut wanted = of(&test["expectedOutputPath"]);
        // The value is the time it was done at.
        let done = done(action);
        for object in [&mut found, &mut wanted] {
            let time = object["metadata"]["annotations"][done].take();
            assert!(
                time.as_str().is_some_and(|text| text.ends_with('Z')),
                "{action} {time}"
            );
        }
        assert_eq!(even(found), even(wanted), "{action}");
    }
    let tested: Vec<_> = acts
        .iter()
        .map(|test| test["action"].as_str().unwrap())
        .collect();
    assert_eq!(tested, ACTIONS);
}

/// Lua knows one kind of number, and no difference between an empty list and an empty map.
fn even(mut value: Value) -> Value {
    match &mut value {
        Value::Number(number) => return json!(number.as_f64()),
        Value::Array(list) if list.is_empty() => return json!({}),
        Value::Array(list) => list.iter_mut().for_each(|one| *one = even(one.take())),
        Value::Object(map) => map.values_mut().for_each(|one| *one = even(one.take())),
        _ => {}
    }
    value
}

/// The annotation that an action writes.
fn done(action: &str) -> &'static str {
    match action {
        "refresh" => "access.apono.io/reconcile-requested-at",
        "revoke" => "access.apono.io/revoke",
        _ => "access.apono.io/request-again",
    }
}

/// Does what Argo CD does when somebody clicks: the script, and then a patch with what it changed.
async fn click(world: &World, name: &str, action: &str) {
    let object = stored(world, "accreq", name);
    let verdict = &judge(&Question::of("AccessRequest", vec![object]))[0];
    assert!(
        verdict.actions[action],
        "{action} is not offered for {name}"
    );
    let value = &verdict.acted[action]["metadata"]["annotations"][done(action)];
    let patch = json!({"metadata": {"annotations": {done(action): value}}});
    world.patch(name, patch).await;
}

/// The operator heeds each action, after everything else has been looked at.
pub async fn actions_are_heeded(world: &World) {
    click(world, "active", "refresh").await;
    world
        .wait_for("active", "the refresh is heeded", |found| {
            let status = serde_json::to_value(&found.status).unwrap();
            status["lastHandled"]["reconcile"].is_string()
        })
        .await;
    click(world, "active", "revoke").await;
    world
        .wait_row("active", "Synced=True Complete=True:Revoked -> Current")
        .await;
    click(world, "active", "request-again").await;
    world
        .wait_row("active", "Ready=True:Active Synced=True -> Current")
        .await;
}

/// The whole of what a user pastes is made of the files beside it.
#[test]
fn the_snippet_for_the_config_map_holds_the_same_scripts() {
    let snippet: Value = serde_saphyr::from_str(&read("deploy/argocd/argocd-cm.yaml")).unwrap();
    assert_eq!(snippet["metadata"]["name"], "argocd-cm");
    let data = snippet["data"].as_object().unwrap();
    for kind in KINDS {
        let key = format!("resource.customizations.health.access.apono.io_{kind}");
        assert_eq!(data[&key], script(kind, "health.lua"), "{key}");
    }
    let actions = &data["resource.customizations.actions.access.apono.io_AccessRequest"];
    let actions: Value = serde_saphyr::from_str(actions.as_str().unwrap()).unwrap();
    let kind = "AccessRequest";
    assert_eq!(
        actions["discovery.lua"],
        script(kind, "actions/discovery.lua")
    );
    let definitions = actions["definitions"].as_array().unwrap();
    let names: Vec<_> = definitions
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ACTIONS);
    for definition in definitions {
        let path = format!(
            "actions/{}/action.lua",
            definition["name"].as_str().unwrap()
        );
        assert_eq!(definition["action.lua"], script(kind, &path));
    }
    assert_eq!(data.len(), KINDS.len() + 1);
}

#[tokio::test]
async fn connections_are_healthy_when_their_token_is_taken() {
    let mut world = World::new(Setup::default().stopped()).await;
    let unseen = stored(&world, "aponoconnection", CONNECTION);
    world.operator.start();
    world.wait_connection(CONNECTION, "True", "Ready").await;
    let ready = stored(&world, "aponoconnection", CONNECTION);
    world
        .connect("lost", &world.simulator.url(), json!({}))
        .await;
    world
        .wait_connection("lost", "False", "SecretNotFound")
        .await;
    let lost = stored(&world, "aponoconnection", "lost");
    for kind in ["AponoConnection", "ClusterAponoConnection"] {
        let objects = vec![unseen.clone(), ready.clone(), lost.clone()];
        let verdicts = judge(&Question::of(kind, objects));
        let found: Vec<_> = verdicts
            .iter()
            .map(|one| {
                (
                    one.kstatus.as_str(),
                    one.health.as_ref().unwrap().status.as_str(),
                )
            })
            .collect();
        let wanted = [
            ("InProgress", "Progressing"),
            ("Current", "Healthy"),
            ("Failed", "Degraded"),
        ];
        assert_eq!(found, wanted, "{lost:#}");
        keep_connections(
            kind,
            [("unseen", &unseen), ("ready", &ready), ("no-secret", &lost)],
        );
    }
}

/// As [`keep_as_testdata`].
fn keep_connections(kind: &str, objects: [(&str, &Value); 3]) {
    if std::env::var_os("APONO_WRITE_GOLDEN").is_none() {
        return;
    }
    let mut tests = Vec::new();
    for (name, object) in objects {
        let mut object = plain(object);
        object["kind"] = json!(kind);
        let metadata = object["metadata"].as_object_mut().unwrap();
        if kind == "ClusterAponoConnection" {
            metadata.remove("namespace");
        }
        object["spec"]["endpoint"] = json!("https://api.apono.io");
        let text = serde_saphyr::to_string(&object).expect("YAML");
        let path = format!("testdata/{name}.yaml");
        fs::write(format!("{FOLDER}/{kind}/{path}"), text).expect("written");
        let verdicts = judge(&Question::of(kind, vec![object]));
        let health = verdicts[0].health.as_ref().unwrap();
        tests.push(json!({
            "healthStatus": {"status": health.status, "message": health.message},
            "inputPath": path
        }));
    }
    let text = serde_saphyr::to_string(&json!({"tests": tests})).expect("YAML");
    fs::write(format!("{FOLDER}/{kind}/health_test.yaml"), text).expect("written");
}
