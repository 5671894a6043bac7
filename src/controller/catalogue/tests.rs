//! What means what, as tables.

use serde_json::{Value, json};

use super::{words::Who, *};

fn bundles(all: &[(&str, &str)]) -> Vec<AvailableBundle> {
    let bundle = |(id, name): &(&str, &str)| AvailableBundle {
        id: (*id).to_owned(),
        name: (*name).to_owned(),
    };
    all.iter().map(bundle).collect()
}

fn told<T>(found: Found<T>, id: impl Fn(&T) -> String) -> String {
    match found {
        Found::One(one) => id(&one),
        Found::Several(all) => format!("several: {}", all.join(", ")),
        Found::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn a_bundle_is_found_by_id_by_name_and_without_regard_to_case() {
    let offered = bundles(&[
        ("b-1", "prod-read"),
        ("b-2", "Prod-Admin"),
        ("b-3", "PROD-READ"),
        ("b-4", "same"),
        ("b-5", "same"),
        ("b-6", "prod-*"),
        ("b-7", "Éclair"),
        ("b-1", "prod-read"),
    ]);
    for (written, expected) in [
        ("b-2", "b-2"),
        ("prod-read", "b-1"),
        ("PROD-READ", "b-3"),
        ("prod-admin", "b-2"),
        ("éCLAIR", "b-7"),
        ("prod-*", "b-6"),
        ("Prod-Read", "several: `prod-read` (b-1), `PROD-READ` (b-3)"),
        ("same", "several: `same` (b-4), `same` (b-5)"),
        ("prod", "nothing"),
        ("*", "nothing"),
        ("", "nothing"),
        ("B-1", "nothing"),
    ] {
        let found = bundle(written, &offered);
        assert_eq!(
            told(found, |one| one.id.clone().unwrap()),
            expected,
            "{written}"
        );
    }
}

/// `integration/type/resource/permission`; ids are the names in lower case, with their path.
fn offered(all: &[&str]) -> Vec<AvailableEntitlement> {
    let entitlement = |path: &&str| {
        let [integration, kind, resource, permission]: [&str; 4] =
            path.split('/').collect::<Vec<_>>().try_into().unwrap();
        let id = |text: String| text.to_lowercase();
        serde_json::from_value(json!({
            "integration": {"id": id(integration.to_owned()), "name": integration},
            "resource": {
                "id": id(format!("{integration}.{kind}.{resource}")), "source_id": "s",
                "type": {"id": id(kind.to_owned()), "label": format!("The {kind}")},
                "name": resource
            },
            "permission": {"id": id(permission.to_owned()), "source_id": "s", "name": permission}
        }))
        .unwrap()
    };
    all.iter().map(entitlement).collect()
}

fn written(value: &Value) -> EntitlementRef {
    serde_json::from_value(value.clone()).unwrap()
}

fn named(path: &str) -> EntitlementRef {
    let parts: Vec<_> = path.split('/').collect();
    let mut value = json!({"integration": parts[0], "resource": parts[2], "permission": parts[3]});
    if !parts[1].is_empty() {
        value["resourceType"] = json!(parts[1]);
    }
    written(&value)
}

fn catalogue() -> Vec<AvailableEntitlement> {
    offered(&[
        "PG/db/orders/Read",
        "PG/db/orders/Write",
        "PG/table/orders/Read",
        "PG/db/Billing/Read",
        "K8s/ns/orders/View",
        "k8s/ns/orders/View",
    ])
}

#[test]
fn an_entitlement_is_found_by_its_names() {
    let offered = catalogue();
    for (path, expected) in [
        ("PG//orders/Write", "pg.db.orders + write"),
        ("PG/table/orders/Read", "pg.table.orders + read"),
        ("PG/The db/orders/Read", "pg.db.orders + read"),
        ("pg//billing/READ", "pg.db.billing + read"),
        (
            "PG//orders/Read",
            "several: resourceType `db`, resourceId `pg.db.orders`, permissionId `read`, \
             resourceType `table`, resourceId `pg.table.orders`, permissionId `read`",
        ),
        ("PG//order/Read", "nothing"),
        ("PG//*/Read", "nothing"),
        ("PG/ns/orders/Read", "nothing"),
        // The same pair in two integrations that differ in case: the exact one is meant.
        ("k8s//orders/View", "k8s.ns.orders + view"),
    ] {
        let found = entitlement(&named(path), &offered);
        let told = told(found, |pair| {
            let id = |id: &Option<String>| id.clone().unwrap();
            format!(
                "{} + {}",
                id(&pair.ids.resource_id),
                id(&pair.ids.permission_id)
            )
        });
        assert_eq!(told, expected, "{path}");
    }
}

#[test]
fn a_pair_of_ids_brings_every_integration_it_is_in() {
    let offered = catalogue();
    let ids = json!({"resourceId": "k8s.ns.orders", "permissionId": "view"});
    let Found::One(pair) = entitlement(&written(&ids), &offered) else {
        panic!("not found")
    };
    let names: Vec<_> = pair
        .integrations
        .iter()
        .filter_map(|one| one.name.clone())
        .collect();
    assert_eq!(names, ["K8s", "k8s"]);
    let swapped = json!({"resourceId": "view", "permissionId": "k8s.ns.orders"});
    assert_eq!(entitlement(&written(&swapped), &offered), Found::Nothing);
    let case = json!({"resourceId": "K8S.ns.orders", "permissionId": "view"});
    assert_eq!(entitlement(&written(&case), &offered), Found::Nothing);
}

#[test]
fn what_is_missing_is_named_with_what_is_near() {
    let offered = catalogue();
    let all: Vec<_> = offered.iter().collect();
    for (path, words) in [
        (
            "PX//orders/Read",
            ["[3].integration is `PX`", "no such integration", "`PG`"],
        ),
        (
            "PG/dbs/orders/Read",
            ["[3].resourceType is `dbs`", "no such type", "`db`, `table`"],
        ),
        (
            "PG//ordres/Read",
            [
                "[3].resource is `ordres`",
                "no such resource",
                "`orders`, `Billing`",
            ],
        ),
        (
            "PG//Billing/Reed",
            [
                "[3].permission is `Reed`",
                "no such permission",
                "nearest it offers: `Read`;",
            ],
        ),
    ] {
        let told = words::unknown_entitlement((3, &named(path)), Who(None), &all);
        for word in words {
            assert!(told.contains(word), "{path}: no {word:?} in {told}");
        }
        assert!(
            told.contains("the user of the connection's token"),
            "{told}"
        );
    }
    let dana = Who(Some("dana@example.com"));
    let told = words::unknown_entitlement((0, &named("PG//orders/Read")), dana, &[]);
    let expected = "offers no integration to `dana@example.com`: no access flow lets them ask";
    assert!(told.contains(expected), "{told}");
    for (resource, words) in [
        (
            "pg.db.orders",
            ["[0].permissionId is `raed`", "nearest it offers: `read`"],
        ),
        (
            "pg.db.order",
            [
                "[0].resourceId is `pg.db.order`",
                "nearest it offers: `pg.db.orders`",
            ],
        ),
    ] {
        let ids = written(&json!({"resourceId": resource, "permissionId": "raed"}));
        let told = words::unknown_entitlement((0, &ids), dana, &all);
        for word in words {
            assert!(told.contains(word), "{resource}: no {word:?} in {told}");
        }
    }
}

#[test]
fn at_most_five_names_are_offered_the_nearest_first() {
    let names = [
        "prod-read",
        "prod-write",
        "a",
        "b",
        "c",
        "d",
        "e",
        "prod-read",
        "",
    ];
    let near = words::nearest("PROD-raed", names);
    assert_eq!(near.len(), 5, "{near:?}");
    assert_eq!(near[..2], ["`prod-read`", "`prod-write`"]);
    assert!(words::nearest("x", [""]).is_empty());
    let long = "é".repeat(5000);
    assert!(words::nearest(&long, [long.as_str()])[0].chars().count() < 200);
}

#[test]
fn too_many_meanings_are_counted() {
    let all: Vec<_> = (0..7).map(|number| format!("`b` (b-{number})")).collect();
    let told = words::ambiguous(("spec.access.bundle", "b"), &all, "the id");
    for word in ["`b`", "7 things", "(b-0)", "(b-4) and 2 more", "the id"] {
        assert!(told.contains(word), "no {word:?} in {told}");
    }
}

#[test]
fn integrations_types_and_resources_are_found_alike() {
    let found = integration("pg", &catalogue());
    assert_eq!(told(found, |one| one.id.clone().unwrap()), "pg");
    let found = integration("K8S", &offered(&["K8s/ns/a/View", "k8s.b/ns/a/View"]));
    assert_eq!(told(found, |one| one.id.clone().unwrap()), "k8s");
    let kinds: Vec<SelectableResourceType> = serde_json::from_value(json!([
        {"id": "db", "name": "Database"}, {"id": "Database", "name": "other"}
    ]))
    .unwrap();
    assert_eq!(told(resource_type("database", &kinds), Clone::clone), "db");
    let found = resource_type("Database", &kinds);
    assert_eq!(
        told(found, Clone::clone),
        "several: `other` (Database), `Database` (db)"
    );
    let resources: Vec<SelectableResource> = serde_json::from_value(json!([
        {"id": "r-1", "type": "db", "name": "orders"}, {"id": "r-2", "type": "db", "name": "r-1"}
    ]))
    .unwrap();
    assert_eq!(told(resource("ORDERS", &resources), Clone::clone), "r-1");
    assert!(matches!(resource("r-1", &resources), Found::Several(_)));
    assert_eq!(resource("r-3", &resources), Found::Nothing);
}
