//! Reads of the remote that lie, and clocks that disagree.

use apono_simulator::{Action, Endpoint, Fault, When, switches::OverLimit};
use jiff::SignedDuration;
use serde_json::json;

use crate::support::{Setup, World};

/// What reads a request's fate.
const READS: [Endpoint; 3] = [Endpoint::List, Endpoint::Get, Endpoint::Entitlements];

fn setup() -> Setup {
    Setup::default()
        .remote(|remote| {
            remote.switches.max_limit = 5;
            remote.switches.over_limit = OverLimit::Clamp;
        })
        .setting("REMOTE_TIMEOUT", "1s")
        .setting("RUST_LOG", "info")
}

/// A dozen come, live and go while reads fail now and then in this way.
async fn a_dozen(word: &str, action: Action) -> u64 {
    let world = World::new(setup()).await;
    world.operator.ready().await;
    for endpoint in READS {
        let fault = Fault::new(action.clone()).at(endpoint).probability(0.4);
        world.simulator.arm(fault);
    }
    let names: Vec<_> = (0..12).map(|number| format!("orders-{number}")).collect();
    for name in &names {
        world.ask_bundle(name, "prod-read").await;
    }
    for name in &names {
        world.wait_reason(name, "Active").await;
        world.only_remote(name);
    }
    world.assert_live(names.len());
    for name in &names {
        world.delete(name).await;
    }
    for name in &names {
        world.wait_gone(name).await;
        world.only_remote(name);
    }
    world.assert_live(0);
    let struck = world.simulator.faults().iter().map(|one| one.struck).sum();
    println!("{word}: {struck} faults");
    assert!(struck > 0, "{word}");
    world.simulator.clear_faults();
    world.end().await;
    struck
}

#[tokio::test]
async fn reads_that_lie_neither_double_nor_forget_anything() {
    let by = SignedDuration::from_secs(2);
    let content_type = "text/html".to_owned();
    let lies = [
        ("garbage", Action::Garbage),
        ("half a document", Action::Truncate { complete: true }),
        ("cut off", Action::Truncate { complete: false }),
        ("another type", Action::ContentType { content_type }),
        ("10 MB", Action::Oversize { bytes: 10 << 20 }),
        (
            "late",
            Action::Slow {
                by,
                when: When::After,
            },
        ),
        ("stale", Action::StaleList { by }),
        ("new ones missing", Action::ListLag { by: by / 2 }),
        ("pages that skip", Action::PageDrift { by: 1 }),
        ("pages that repeat", Action::PageDrift { by: -1 }),
    ];
    let mut all = 0;
    for (word, action) in lies {
        all += a_dozen(word, action).await;
    }
    println!("{all} faults");
}

#[tokio::test]
async fn an_id_that_vanishes_is_neither_asked_for_again_nor_taken_for_ended() {
    let world = World::new(setup()).await;
    for name in ["stays", "goes"] {
        world.ask_bundle(name, "prod-read").await;
        world.wait_reason(name, "Active").await;
    }
    let nowhere = Action::Answer {
        status: 404,
        retry_after: None,
        body: None,
        when: When::Before,
    };
    let by = SignedDuration::from_hours(1);
    for (list, get) in [
        (Endpoint::List, Endpoint::Get),
        (Endpoint::ListDelegated, Endpoint::GetDelegated),
    ] {
        world.simulator.arm(Fault::new(nowhere.clone()).at(get));
        world
            .simulator
            .arm(Fault::new(Action::ListLag { by }).at(list));
    }
    world.delete("goes").await;
    // Looked at now, and not when its list is due.
    let now = json!({ "access.apono.io/reconcile-requested-at": "now" });
    world
        .patch("stays", json!({ "metadata": { "annotations": now } }))
        .await;
    // Three times 404 on every route over half a minute.
    world.wait_reason("stays", "RemoteNotFound").await;
    let goes = world.get("goes").await;
    assert!(goes.metadata.deletion_timestamp.is_some(), "let go unseen");
    let struck: u64 = world.simulator.faults().iter().map(|one| one.struck).sum();
    world.simulator.clear_faults();
    world.wait_gone("goes").await;
    world.wait_reason("stays", "Active").await;
    assert_eq!(world.calls(Endpoint::Create), 2);
    world.assert_live(1);
    println!("{struck} faults");
    world.end().await;
}

/// A world whose operator has a clock that can be made to step.
async fn world_with_clock() -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seconds");
    let world = setup().setting("APONO_FAILPOINT_CLOCK", path.to_str().unwrap());
    (World::new(world).await, folder)
}

fn step(folder: &tempfile::TempDir, seconds: i64) {
    std::fs::write(folder.path().join("seconds"), seconds.to_string()).unwrap();
}

#[tokio::test]
async fn a_clock_that_steps_doubles_and_forgets_nothing() {
    for seconds in [3600, -3600] {
        let (mut world, folder) = world_with_clock().await;
        world.operator.ready().await;
        let lost = Fault::new(Action::Drop { when: When::After });
        world.simulator.arm(lost.at(Endpoint::Create).once());
        world.ask_bundle("orders", "prod-read").await;
        world.wait_remote("orders", 1).await;
        step(&folder, seconds);
        world.wait_reason("orders", "Active").await;
        world.only_remote("orders");
        // Back again, over a restart.
        world.operator.kill();
        step(&folder, 0);
        world.operator.start();
        world.operator.ready().await;
        world.more_polls(3).await;
        world.wait_reason("orders", "Active").await;
        step(&folder, -seconds);
        world.delete("orders").await;
        world.wait_gone("orders").await;
        world.only_remote("orders");
        world.assert_live(0);
        println!("{seconds} s: 4 faults");
        world.end().await;
    }
}

#[tokio::test]
async fn a_remote_whose_clock_is_an_hour_ahead_is_asked_once_and_taken_back_from() {
    let world = World::new(setup()).await;
    world.operator.ready().await;
    world.simulator.advance(SignedDuration::from_hours(1));
    let lost = Fault::new(Action::Drop { when: When::After });
    world.simulator.arm(lost.at(Endpoint::Create).once());
    world.ask_bundle("orders", "prod-read").await;
    world.wait_reason("orders", "Active").await;
    // A step while it lives.
    world.simulator.advance(SignedDuration::from_hours(1));
    world.more_polls(3).await;
    world.delete("orders").await;
    world.wait_gone("orders").await;
    world.only_remote("orders");
    world.assert_live(0);
    println!("3 faults");
    world.end().await;
}
