use apono_client::AccessRequest;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::owed::progress::{Refusal, Searches};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn request(word: &str) -> AccessRequest {
    serde_json::from_value(json!({
        "id": "r1", "status": word, "creation_date": "2026-11-23T12:00:00Z",
        "custom_fields": {}, "access_groups": [],
        "requestor": {"id": "user-1", "source_id": "dana@example.com"}
    }))
    .unwrap()
}

/// A debt of one request, and what is known of it.
fn debt(api: RemoteApi) -> (OwedRevocationSpec, Progress) {
    let request = OwedRequest {
        id: "r1".to_owned(),
        api: Some(api),
        requestor_id: Some("user-1".to_owned()),
        was_access: None,
    };
    let mut progress = Progress::default();
    let known = progress.ids.entry("r1".to_owned()).or_default();
    known.request = request.clone();
    let spec = OwedRevocationSpec {
        requests: vec![request],
        ..OwedRevocationSpec::default()
    };
    (spec, progress)
}

/// The same, read back in this state at second 0.
fn read(word: &str) -> (OwedRevocationSpec, Progress) {
    let (mut spec, mut progress) = debt(RemoteApi::UserV4);
    progress.see("r1", &request(word), at(0));
    spec.requests = requests(&spec, &progress);
    (spec, progress)
}

fn tried(progress: &mut Progress, second: i64, is_refused: bool) {
    let refusal = is_refused.then(|| Refusal {
        is_definite: true,
        message: String::new(),
    });
    progress.ids.get_mut("r1").unwrap().tried = Some(Tried {
        count: 1,
        last: at(second),
        refusal,
    });
}

fn read_step() -> Step {
    Step::Read("r1".to_owned())
}

#[test]
fn nothing_is_taken_back_before_it_was_read() {
    let (spec, progress) = debt(RemoteApi::UserV4);
    assert_eq!(next(&spec, &progress, at(0)), read_step());
}

#[test]
fn what_is_live_is_taken_back_and_read_back_until_it_has_ended() {
    for word in ["Active", "Pending", "Granting", "Whatever"] {
        let (mut spec, mut progress) = read(word);
        let revoke = Step::Revoke {
            id: "r1".to_owned(),
            together: false,
        };
        assert_eq!(next(&spec, &progress, at(0)), revoke, "{word}");
        tried(&mut progress, 1, false);
        assert_eq!(next(&spec, &progress, at(9)), read_step(), "{word}");
        // Accepted is not ended.
        progress.see("r1", &request("Revoking"), at(9));
        spec.requests = requests(&spec, &progress);
        let step = next(&spec, &progress, at(9));
        assert!(matches!(step, Step::Wait(_)), "{word}: {step:?}");
        assert_eq!(next(&spec, &progress, at(70)), read_step(), "{word}");
        progress.see("r1", &request("Revoked"), at(70));
        assert_eq!(next(&spec, &progress, at(70)), Step::Pay, "{word}");
    }
}

#[test]
fn a_refused_revoke_is_tried_again_soon_and_an_accepted_one_later() {
    for (is_refused, second, due) in [(true, 3, true), (false, 3, false), (false, 60, true)] {
        let (spec, mut progress) = read("Active");
        tried(&mut progress, 0, is_refused);
        progress.see("r1", &request("Active"), at(1));
        progress.ids.get_mut("r1").unwrap().reads = 9;
        let step = next(&spec, &progress, at(second));
        let is_revoke = matches!(step, Step::Revoke { .. });
        assert_eq!(is_revoke, due, "{is_refused} {second}: {step:?}");
    }
}

#[test]
fn the_bulk_revoke_takes_what_the_user_api_declines_and_all_of_the_admin_api() {
    let together = |step: Step| matches!(step, Step::Revoke { together: true, .. });
    let (spec, mut progress) = read("Active");
    progress.ids.get_mut("r1").unwrap().is_declined = true;
    assert!(together(next(&spec, &progress, at(0))));
    let (mut spec, mut progress) = debt(RemoteApi::AdminV3);
    progress.see("r1", &request("Active"), at(0));
    spec.requests = requests(&spec, &progress);
    assert!(together(next(&spec, &progress, at(0))));
}

#[test]
fn failed_is_an_end_only_for_what_never_was_access() {
    let (spec, mut progress) = read("Failed");
    let describe = Step::Describe("r1".to_owned());
    assert_eq!(next(&spec, &progress, at(0)), describe);
    progress.ids.get_mut("r1").unwrap().granted = Some(false);
    assert_eq!(next(&spec, &progress, at(0)), Step::Pay);
    progress.ids.get_mut("r1").unwrap().granted = Some(true);
    assert!(matches!(next(&spec, &progress, at(0)), Step::Revoke { .. }));

    let (mut spec, mut progress) = read("Active");
    progress.see("r1", &request("Failed"), at(1));
    progress.ids.get_mut("r1").unwrap().granted = Some(false);
    spec.requests = requests(&spec, &progress);
    let step = next(&spec, &progress, at(1));
    assert!(
        matches!(step, Step::Revoke { .. }),
        "it was access: {step:?}"
    );
}

#[test]
fn a_failed_request_that_nobody_describes_ends_when_its_revoke_was_refused_or_had_its_time() {
    let read_at = |tried: Option<Tried>, read: i64| {
        let (mut spec, mut progress) = debt(RemoteApi::AdminV3);
        progress.see("r1", &request("Failed"), at(0));
        progress.ids.get_mut("r1").unwrap().tried = tried;
        progress.see("r1", &request("Failed"), at(read));
        spec.requests = requests(&spec, &progress);
        next(&spec, &progress, at(read))
    };
    let tried = |refusal: Option<bool>| {
        let refusal = refusal.map(|is_definite| Refusal {
            is_definite,
            message: "no".to_owned(),
        });
        let (count, last) = (1, at(1));
        Some(Tried {
            count,
            last,
            refusal,
        })
    };
    assert!(matches!(read_at(None, 2), Step::Revoke { .. }));
    assert_eq!(read_at(tried(Some(true)), 2), Step::Pay);
    assert_ne!(read_at(tried(Some(false)), 60), Step::Pay);
    assert_ne!(read_at(tried(None), 16), Step::Pay);
    assert_eq!(read_at(tried(None), 17), Step::Pay);
}

#[test]
fn that_it_was_access_is_written_down_before_anything_else() {
    let (spec, mut progress) = debt(RemoteApi::UserV4);
    progress.see("r1", &request("Active"), at(0));
    assert_eq!(next(&spec, &progress, at(0)), Step::Store);
    assert_eq!(requests(&spec, &progress)[0].was_access, Some(true));
}

#[test]
fn not_found_is_an_end_only_for_the_user_who_made_it_and_only_if_said_often() {
    let user = |id: &str| Some(id.to_owned());
    for (seconds, identity, ended) in [
        (vec![0, 15, 30], user("user-1"), true),
        (vec![0, 30], user("user-1"), false),
        (vec![0, 10, 29], user("user-1"), false),
        (vec![0, 15, 30], user("user-2"), false),
        (vec![0, 15, 30], None, false),
    ] {
        let (spec, mut progress) = read("Active");
        for second in &seconds {
            progress.miss("r1", at(*second));
        }
        progress.identity = identity.clone();
        let now = at(*seconds.last().unwrap());
        let is_paid = next(&spec, &progress, now) == Step::Pay;
        assert_eq!(is_paid, ended, "{seconds:?} {identity:?}");
    }
}

#[test]
fn who_the_token_is_is_asked_where_that_decides() {
    let (spec, mut progress) = read("Active");
    for second in [0, 15, 30] {
        progress.miss("r1", at(second));
    }
    assert_eq!(next(&spec, &progress, at(30)), Step::Identify);
    progress.identity_asked = Some(at(30));
    assert!(matches!(next(&spec, &progress, at(30)), Step::Wait(_)));
}

#[test]
fn a_mark_is_looked_for_until_a_whole_look_began_after_its_time() {
    let (mut spec, _) = debt(RemoteApi::UserV4);
    spec.requests.clear();
    spec.marks = vec![OwedMark {
        nonce: "n".to_owned(),
        search_until: Some(Time(at(100))),
        ..OwedMark::default()
    }];
    let looked = |last, complete| Progress {
        searches: Searches {
            count: 1,
            last: Some(at(last)),
            complete,
            ..Searches::default()
        },
        ..Progress::default()
    };
    assert_eq!(next(&spec, &Progress::default(), at(0)), Step::Search);
    let before = looked(10, Some(at(10)));
    assert!(matches!(next(&spec, &before, at(10)), Step::Wait(_)));
    assert_eq!(next(&spec, &before, at(20)), Step::Search);
    let half = looked(101, None);
    assert_eq!(next(&spec, &half, at(200)), Step::Search, "not whole");
    assert_eq!(next(&spec, &looked(101, Some(at(101))), at(101)), Step::Pay);
}

#[test]
fn a_look_with_the_token_of_somebody_else_proves_nothing() {
    let (mut spec, _) = debt(RemoteApi::UserV4);
    spec.requests.clear();
    spec.marks = vec![OwedMark {
        nonce: "n".to_owned(),
        search_until: Some(Time(at(100))),
        asker_id: Some("user-1".to_owned()),
        ..OwedMark::default()
    }];
    let looked = |by: Option<&str>, is_shared| Progress {
        searches: Searches {
            count: 1,
            last: Some(at(101)),
            complete: Some(at(101)),
            by: by.map(str::to_owned),
            is_shared,
        },
        identity: by.map(str::to_owned),
        is_shared,
        ..Progress::default()
    };
    assert_eq!(
        next(&spec, &looked(Some("user-1"), false), at(101)),
        Step::Pay
    );
    assert_eq!(next(&spec, &looked(None, true), at(101)), Step::Pay);
    let other = looked(Some("user-2"), false);
    assert!(matches!(next(&spec, &other, at(101)), Step::Wait(_)));
    assert_eq!(next(&spec, &other, at(10_000)), Step::Search);
    let mut unknown = looked(None, false);
    assert_eq!(next(&spec, &unknown, at(101)), Step::Identify);
    unknown.identity_asked = Some(at(101));
    assert!(matches!(next(&spec, &unknown, at(101)), Step::Wait(_)));
}

#[test]
fn a_request_that_cannot_be_read_is_taken_back_and_holds_up_no_other() {
    let (mut spec, mut progress) = debt(RemoteApi::UserV4);
    let second = OwedRequest {
        id: "r2".to_owned(),
        ..spec.requests[0].clone()
    };
    let known = progress.ids.entry("r2".to_owned()).or_default();
    known.request = second.clone();
    spec.requests.push(second);
    assert_eq!(next(&spec, &progress, at(0)), read_step());
    progress.fail_to_read("r1", at(0));
    let revoke = Step::Revoke {
        id: "r1".to_owned(),
        together: false,
    };
    assert_eq!(next(&spec, &progress, at(0)), revoke);
    tried(&mut progress, 0, true);
    assert_eq!(next(&spec, &progress, at(0)), Step::Read("r2".to_owned()));
    progress.see("r2", &request("Revoked"), at(0));
    let waits = next(&spec, &progress, at(0));
    assert!(matches!(waits, Step::Wait(_)), "{waits:?}");
    assert_eq!(next(&spec, &progress, at(2)), read_step());
    progress.see("r1", &request("Revoked"), at(2));
    assert_eq!(next(&spec, &progress, at(2)), Step::Pay);
}

#[test]
fn after_the_clock_was_set_everything_is_due_and_nothing_is_proved() {
    let (spec, mut progress) = read("Active");
    tried(&mut progress, 3600, false);
    progress.failures = 3;
    progress.failed_at = Some(at(3600));
    assert!(matches!(next(&spec, &progress, at(0)), Step::Wait(_)));
    progress.forget_times(at(0));
    assert_eq!(next(&spec, &progress, at(0)), read_step());
    progress.see("r1", &request("Active"), at(0));
    assert!(matches!(next(&spec, &progress, at(1)), Step::Revoke { .. }));
}

#[test]
fn a_clock_that_is_set_forward_does_not_end_a_search() {
    let (mut spec, mut progress) = debt(RemoteApi::UserV4);
    spec.requests.clear();
    progress.ids.clear();
    spec.marks = vec![OwedMark {
        search_until: Some(Time(at(15))),
        ..OwedMark::default()
    }];
    let looked = |progress: &mut Progress, second| {
        progress.searches.complete = Some(at(second));
        progress.searches.last = Some(at(second));
    };
    progress.forget_times(at(3600));
    looked(&mut progress, 3601);
    assert_ne!(next(&spec, &progress, at(3602)), Step::Pay);
    looked(&mut progress, 3600 + 600);
    assert_eq!(next(&spec, &progress, at(3600 + 601)), Step::Pay);
}

#[test]
fn after_a_failure_nothing_is_tried_before_its_pause_is_over() {
    let (spec, mut progress) = debt(RemoteApi::UserV4);
    progress.failures = 3;
    progress.failed_at = Some(at(0));
    assert_eq!(next(&spec, &progress, at(7)), Step::Wait(at(8)));
    assert_eq!(next(&spec, &progress, at(8)), read_step());
    progress.failures = 100;
    assert_eq!(next(&spec, &progress, at(0)), Step::Wait(at(120)));
}

#[test]
fn what_is_found_is_taken_into_the_debt_as_far_as_there_is_room() {
    let (mut spec, mut progress) = debt(RemoteApi::UserV4);
    let found = OwedRequest {
        id: "found".to_owned(),
        ..OwedRequest::default()
    };
    progress.ids.entry("found".to_owned()).or_default().request = found.clone();
    assert!(requests(&spec, &progress).contains(&found));
    spec.requests = (0..MOST_OWED)
        .map(|n| OwedRequest {
            id: n.to_string(),
            ..OwedRequest::default()
        })
        .collect();
    assert_eq!(requests(&spec, &progress).len(), MOST_OWED);
}
