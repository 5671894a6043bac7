//! What the mutants are made from: specs that hold every property, in each combination that the
//! rules let through. The connection is the one of a test's world; what is asked for is in the
//! simulator's catalogue.

use serde_json::{Value, json};

/// Specs of access requests.
pub fn access_request() -> Vec<Value> {
    let reference = json!({"kind": "AponoConnection", "name": "apono"});
    let common = json!({
        "connectionRef": reference, "grantee": "alex@example.com",
        "justification": "INC-42: stuck orders", "duration": "8h",
        "customFields": {"ticket": "INC-42"}, "pendingTimeout": "24h",
        "renewal": {"before": "15m", "maxRenewals": 3, "justification": "still stuck"},
        "credentials": {
            "secretName": "orders-db", "onEnd": "Delete",
            "rolloutRestart": [{"kind": "Deployment", "name": "orders"}]
        },
        "deletionPolicy": "Revoke", "suspend": false, "ttlSecondsAfterFinished": 3600
    });
    let with = |access: Value| {
        let mut spec = common.clone();
        spec["access"] = access;
        spec
    };
    let mut integration = with(json!({"integration": {
        "integration": "postgres-prod", "resourceType": "postgresql-database",
        "resources": ["orders"], "permissions": ["ReadOnly"]
    }}));
    for refused in ["customFields", "renewal"] {
        integration.as_object_mut().map(|spec| spec.remove(refused));
    }
    vec![
        with(json!({"bundle": "prod-read"})),
        with(json!({"entitlements": [{
            "integration": "postgres-prod", "resourceType": "postgresql-database",
            "resource": "orders", "permission": "ReadOnly"
        }]})),
        with(
            json!({"entitlements": [{"resourceId": "res-orders", "permissionId": "perm-db-read-only"}]}),
        ),
        integration,
        json!({"connectionRef": reference, "justification": "j", "access": {"bundle": "prod-read"}}),
    ]
}

/// Specs of connections of a namespace.
pub fn connection() -> Vec<Value> {
    let full = json!({
        "endpoint": "https://api.apono.io", "insecure": false, "caBundle": "aGVsbG8=",
        "tokenSecretRef": {"name": "apono-token", "key": "token"},
        "correlation": {"settle": "15s"}, "identity": {"customField": "requested_by"},
        "allow": {
            "access": ["Bundle"], "bundles": ["prod-*"], "integrations": ["prod-*"],
            "grantees": ["self", "*@example.com"], "maxDuration": "8h",
            "requireJustification": true, "orphan": false, "credentialsForOthers": false
        },
        "limits": {"requestsPerSecond": 10, "burst": 20, "concurrency": 32},
        "polling": {"fast": "1s", "pending": "10s", "active": "60s"},
        "revocationDeadline": "10m"
    });
    vec![
        full,
        json!({"tokenSecretRef": {"name": "apono-token", "key": "token"}}),
    ]
}

/// Specs of connections of the cluster.
pub fn cluster_connection() -> Vec<Value> {
    let mut all = connection();
    all[0]["allow"]["namespaces"] = json!({
        "names": ["payments"],
        "selector": {
            "matchLabels": {"team": "payments"},
            "matchExpressions": [{"key": "team", "operator": "In", "values": ["payments"]}]
        }
    });
    all
}

/// Specs of what is owed.
pub fn owed_revocation() -> Vec<Value> {
    let time = "2026-11-23T18:00:00Z";
    vec![json!({
        "origin": {"namespace": "payments", "name": "orders", "uid": "3c1d"},
        "reason": "Unauthorized", "owedSince": time,
        "connection": {
            "kind": "ClusterAponoConnection", "name": "apono", "uid": "77aa",
            "endpoint": "https://api.apono.io", "insecure": false, "caBundle": "aGVsbG8=",
            "limits": {"requestsPerSecond": 10, "burst": 20, "concurrency": 32}
        },
        "tokenSecretRef": {"name": "apono-token", "key": "token"},
        "requests": [{"id": "req-1", "api": "UserV4", "requestorId": "user-1", "wasAccess": true}],
        "marks": [{"nonce": "n1", "searchUntil": time, "api": "AdminV3", "user": "alex@example.com", "askerId": "user-1"}],
        "writtenOff": {"by": "dana@example.com", "reason": "by hand"}
    })]
}
