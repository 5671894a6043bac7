//! More passes are wanted than may run at once.

use apono_simulator::{Action, Endpoint, Fault, When};
use jiff::SignedDuration;

use crate::{
    ACTIVE,
    support::{Setup, World},
};

/// One at a time, and the first takes its time: whoever comes meanwhile waits. One of them is gone when
/// its turn is there, and holds up nobody.
#[tokio::test]
async fn who_waits_is_called_and_who_is_gone_by_then_takes_no_turn() {
    let setup = Setup::default()
        .setting("CONCURRENCY", "1")
        .setting("REMOTE_TIMEOUT", "20s");
    let world = World::new(setup).await;
    let slow = Action::Slow {
        by: SignedDuration::from_secs(6),
        when: When::After,
    };
    let fault = Fault::new(slow).at(Endpoint::Create).once();
    world.simulator.arm(fault);
    world.ask_bundle("first", "prod-read").await;
    world.wait_remote("first", 1).await;
    for name in ["gone", "second", "third"] {
        world.ask_bundle(name, "prod-read").await;
    }
    // Nothing has been done for it yet, so nothing holds it.
    world.delete("gone").await;
    world.wait_gone("gone").await;
    assert!(world.remote("gone").is_empty(), "it was asked for");
    assert_eq!(
        world.calls(Endpoint::Create),
        1,
        "the first was over too soon"
    );
    for name in ["first", "second", "third"] {
        world.wait_row(name, ACTIVE).await;
        world.delete(name).await;
    }
    for name in ["first", "second", "third"] {
        world.wait_gone(name).await;
    }
    world.assert_live(0);
    world.end().await;
}
