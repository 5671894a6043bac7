//! Lists over many pages, with filters, and when they lag behind.

use std::collections::BTreeSet;

use apono_client::{DelegatedQuery, ListQuery, State};
use apono_simulator::switches::PageEnd;
use apono_simulator::{Action, Config, DEFAULT_USER, Endpoint, Fault, Outside, When};
use futures::{StreamExt, pin_mut};
use jiff::SignedDuration;

use crate::support::{ALEX, OTHER, bundle, ids, made, one, start, walk};

fn sizes<T>(pages: &[Vec<T>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn more_than_a_hundred_requests_come_page_by_page_newest_first() {
    let (simulator, client) = start(Config::instant());
    let mut expected = made(&simulator, 230);
    expected.reverse();
    let pages = walk(client.access_requests(ListQuery::default())).await;
    assert_eq!(sizes(&pages), [100, 100, 30]);
    assert_eq!(ids(&pages.concat()), expected);
    let query = ListQuery {
        limit: Some(50),
        ..ListQuery::default()
    };
    let pages = walk(client.access_requests(query)).await;
    assert_eq!(sizes(&pages), [50, 50, 50, 50, 30]);
    assert_eq!(ids(&pages.concat()), expected);
}

#[tokio::test]
async fn a_status_filter_holds_on_every_page_because_tokens_carry_it() {
    let (simulator, client) = start(Config::instant());
    let all = made(&simulator, 250);
    for id in all.iter().step_by(2) {
        simulator.revoke(id).unwrap();
    }
    let query = ListQuery {
        statuses: vec!["Active".into()],
        ..ListQuery::default()
    };
    let pages = walk(client.access_requests(query)).await;
    assert_eq!(sizes(&pages), [100, 25]);
    let found = pages.concat();
    assert!(found.iter().all(|it| it.status.state() == State::Active));
    let expected: BTreeSet<_> = all.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(ids(&found).into_iter().collect::<BTreeSet<_>>(), expected);
    let paths: Vec<_> = simulator.calls().into_iter().map(|it| it.path).collect();
    assert!(paths[0].contains("statuses=Active"));
    assert!(paths[1].contains("page_token=") && !paths[1].contains("statuses"));
    // Several words are several statuses; a word nobody knows is none.
    for (words, count) in [(vec!["Active", "Revoked"], 250), (vec!["Snoozed"], 0)] {
        let statuses = words.into_iter().map(Into::into).collect();
        let query = ListQuery {
            statuses,
            ..ListQuery::default()
        };
        let found = walk(client.access_requests(query)).await.concat();
        assert_eq!(found.len(), count);
    }
}

#[tokio::test]
async fn the_requestor_filter_shows_what_someone_else_asked_for_the_user() {
    let (simulator, client) = start(Config::instant());
    let own = one(&client, &bundle("prod-read")).await.id;
    let wanted = Outside {
        requestor: OTHER.into(),
        grantee: Some(DEFAULT_USER.into()),
        bundle: Some("prod-read".into()),
        ..Outside::default()
    };
    let theirs = simulator.create(wanted).unwrap().remove(0).id;
    let by = async |requestor: Option<&str>| {
        let query = ListQuery {
            requestor: requestor.map(Into::into),
            ..ListQuery::default()
        };
        ids(&walk(client.access_requests(query)).await.concat())
    };
    assert_eq!(by(None).await, [own]);
    assert_eq!(by(Some(OTHER)).await, [theirs]);
}

#[tokio::test]
async fn delegated_requests_are_listed_by_grantee_and_status() {
    let (simulator, client) = start(Config::instant());
    let mut made = Vec::new();
    for grantee in [ALEX, "sam@example.com", ALEX, ALEX] {
        let mut asked = bundle("prod-read");
        asked.grantee = Some(grantee.into());
        made.insert(0, one(&client, &asked).await.id);
    }
    one(&client, &bundle("prod-read")).await;
    simulator.revoke(&made[0]).unwrap();
    let listed = async |grantee: Option<&str>, statuses: &[&str]| {
        let query = DelegatedQuery {
            limit: Some(1),
            grantee: grantee.map(Into::into),
            statuses: statuses.iter().map(|it| (*it).into()).collect(),
        };
        ids(&walk(client.delegated_access_requests(query)).await.concat())
    };
    assert_eq!(listed(None, &[]).await, made);
    let [newest, second, _, first] = made.try_into().unwrap();
    let expected = [newest, second.clone(), first.clone()];
    assert_eq!(listed(Some(ALEX), &[]).await, expected);
    assert_eq!(listed(Some(ALEX), &["Active"]).await, [second, first]);
}

#[tokio::test]
async fn a_list_ends_in_each_of_the_forms_an_end_may_have() {
    for page_end in [PageEnd::Null, PageEnd::Absent, PageEnd::Empty] {
        let (simulator, client) = start(Config::instant());
        simulator.set_switches(|it| it.page_end = page_end);
        let query = || ListQuery {
            limit: Some(2),
            ..ListQuery::default()
        };
        let none = walk(client.access_requests(query())).await;
        assert_eq!(sizes(&none), [0], "{page_end:?}");
        let held = made(&simulator, 3);
        let pages = walk(client.access_requests(query())).await;
        assert_eq!(sizes(&pages), [2, 1], "{page_end:?}");
        let page = client.access_requests_page(&query(), None).await.unwrap();
        let last = client
            .access_requests_page(&query(), page.next.as_ref())
            .await;
        assert_eq!(last.unwrap().next, None, "{page_end:?}");
        let pages = walk(client.entitlements(&held[0])).await;
        assert_eq!(sizes(&pages), [3], "{page_end:?}");
    }
}

#[tokio::test]
async fn a_lagging_list_lacks_a_request_that_a_get_already_shows() {
    let (simulator, client) = start(Config::instant());
    let by = SignedDuration::from_secs(600);
    simulator.arm(Fault::new(Action::ListLag { by }));
    let id = one(&client, &bundle("prod-read")).await.id;
    let listed = async || {
        ids(&walk(client.access_requests(ListQuery::default()))
            .await
            .concat())
    };
    assert!(listed().await.is_empty());
    assert_eq!(client.access_request(&id).await.unwrap().id, id);
    simulator.advance(by);
    assert_eq!(listed().await, [id]);
}

#[tokio::test]
async fn a_walk_that_breaks_on_a_later_page_gives_the_earlier_ones_and_ends() {
    let (simulator, client) = start(Config::instant());
    made(&simulator, 150);
    let action = Action::Drop { when: When::Before };
    simulator.arm(Fault::new(action).at(Endpoint::List).only_after(1));
    let pages = client.access_requests(ListQuery::default());
    pin_mut!(pages);
    assert_eq!(pages.next().await.unwrap().unwrap().items.len(), 100);
    assert!(pages.next().await.unwrap().is_err());
    assert!(pages.next().await.is_none());
}
