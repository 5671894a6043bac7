//! The paged lists: filters, tokens, and what they cost when there is much to list.

use apono_simulator::{Config, Mode, Outside};

use crate::support::{Api, DELEGATED, OTHER_TOKEN, OWN, config, ids, start, started};

#[tokio::test]
async fn pages_are_read_by_the_token_alone_or_with_a_limit_and_carry_the_filters() {
    let (simulator, api) = start();
    let mut all = Vec::new();
    for place in 0..7 {
        all.push(api.one("prod-read").await);
        if place % 3 == 0 {
            simulator
                .command(&all[place], &apono_simulator::Command::Revoke)
                .unwrap();
        }
    }
    all.reverse();
    let pages = api.pages(OWN, "limit=3").await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(pages.concat(), all);
    let revoked = [&all[0], &all[3], &all[6]].map(Clone::clone);
    let pages = api
        .pages(OWN, "limit=2&statuses=Revoked&statuses=Failed")
        .await;
    assert_eq!(pages.concat(), revoked);
    assert_eq!(pages.len(), 2);
    let first = api.get(&format!("{OWN}?limit=3")).await.ok();
    let token = first["pagination"]["next_page_token"].as_str().unwrap();
    let wider = api
        .get(&format!("{OWN}?page_token={token}&limit=100"))
        .await
        .ok();
    assert_eq!(ids(&wider["items"]), all[3..]);
    assert!(wider["pagination"]["next_page_token"].is_null());
}

#[tokio::test]
async fn a_page_token_is_of_one_list_and_one_user() {
    let (simulator, api) = start();
    for _ in 0..2 {
        api.one("prod-read").await;
    }
    let first = api.get(&format!("{OWN}?limit=1")).await.ok();
    let token = first["pagination"]["next_page_token"].as_str().unwrap();
    assert_eq!(
        api.get(&format!("{DELEGATED}?page_token={token}"))
            .await
            .status,
        400
    );
    let other = Api::with_token(&simulator, Some(OTHER_TOKEN));
    assert_eq!(
        other.get(&format!("{OWN}?page_token={token}")).await.status,
        400
    );
}

#[tokio::test]
async fn a_status_filter_takes_exact_words_and_a_comma_is_part_of_a_word() {
    let (_simulator, api) = start();
    let active = api.one("prod-read").await;
    let pending = api.one("prod-admin").await;
    assert_eq!(
        api.listed(OWN, "statuses=Active&statuses=Pending").await,
        [pending, active.clone()]
    );
    assert_eq!(api.listed(OWN, "statuses=Active").await, [active]);
    for nothing in [
        "statuses=active",
        "statuses=Active,Pending",
        "statuses=Nonsense",
        "statuses=",
    ] {
        assert!(api.listed(OWN, nothing).await.is_empty(), "{nothing}");
    }
}

#[tokio::test]
async fn entitlements_are_filtered_and_paged() {
    let (_simulator, api) = start();
    let id = api.one("two-integrations").await;
    let count = async |query: &str| {
        let path = format!("{OWN}/{id}/entitlements?{query}");
        api.get(&path).await.ok()["items"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 2);
    assert_eq!(count("integration_ids=int-postgres-prod").await, 1);
    assert_eq!(
        count("integration_ids=int-postgres-prod&integration_ids=int-kubernetes-prod").await,
        2
    );
    assert_eq!(count("resource_types=k8s-namespace").await, 1);
    assert_eq!(count("statuses=Granted").await, 2);
    assert_eq!(count("statuses=Active").await, 0);
    let path = format!("{OWN}/{id}/entitlements");
    let first = api.get(&format!("{path}?limit=1")).await.ok();
    let token = first["pagination"]["next_page_token"].as_str().unwrap();
    let second = api.get(&format!("{path}?page_token={token}")).await.ok();
    assert_ne!(first["items"], second["items"]);
    assert!(second["pagination"]["next_page_token"].is_null());
}

/// Lists stay cheap: a page costs what it shows, not what there is.
#[tokio::test]
async fn thirty_thousand_requests_are_paged_through_quickly_in_any_order() {
    let (simulator, api) = started(&Config {
        mode: Mode::Explicit,
        ..config()
    });
    for _ in 0..30_000 {
        let outside = Outside {
            requestor: "operator@example.com".to_owned(),
            bundle: Some("stuck-revoke".to_owned()),
            ..Outside::default()
        };
        simulator.create(outside).unwrap();
    }
    let one = simulator.requests()[12_345].id.clone();
    simulator.activate(&one).unwrap();
    let began = std::time::Instant::now();
    let listed = api.listed(OWN, "limit=100&statuses=Initializing").await;
    assert_eq!(listed.len(), 29_999);
    let distinct: std::collections::BTreeSet<_> = listed.iter().collect();
    assert_eq!(distinct.len(), 29_999);
    for _ in 0..100 {
        assert_eq!(api.listed(OWN, "statuses=Active").await, [one.as_str()]);
    }
    // Generous: an unoptimized build on a busy machine; a square would take minutes.
    let took = began.elapsed();
    assert!(took.as_secs() < 120, "{took:?}");
}

/// What the index finds is what a search through everything finds.
#[tokio::test]
async fn a_list_read_from_the_index_is_the_list_read_in_full() {
    let (simulator, api) = start();
    for place in 0..40 {
        let id = api
            .one(["prod-read", "prod-admin", "prod-mfa"][place % 3])
            .await;
        if place % 4 == 0 {
            simulator.revoke(&id).unwrap();
        }
    }
    for order in ["newest-first", "oldest-first"] {
        simulator.set_switches(|it| it.set("list-order", order).unwrap());
        for query in [
            "limit=7",
            "limit=3&statuses=Active&statuses=Pending",
            "limit=100&statuses=Revoked",
            "limit=1&statuses=PendingMFA",
        ] {
            let mut lists = Vec::new();
            for position in ["cursor", "offset"] {
                simulator.set_switches(|it| it.set("page-position", position).unwrap());
                lists.push(api.pages(OWN, query).await);
            }
            assert_eq!(lists[0], lists[1], "{order} {query}");
        }
    }
}
