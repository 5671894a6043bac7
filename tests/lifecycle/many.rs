//! Three hundred requests of the admin API deleted together: few bulk revokes, however they arrive.

use apono_simulator::Endpoint;
use kube::api::{DeleteParams, ListParams};

use crate::{
    ACTIVE,
    integration::{setup, spec},
    support::{World, eventually, row},
};

const MANY: usize = 300;

/// How many there are, and how many of them are in a row of the table.
async fn count(world: &World, wanted: &str) -> (usize, usize) {
    let all = world.cluster.requests().list(&ListParams::default()).await;
    let all = all.unwrap().items;
    let found = all.iter().filter(|one| row(one) == wanted).count();
    (all.len(), found)
}

/// A world in which they are all live.
async fn live() -> World {
    let world = World::new(setup(|_| ()).setting("RUST_LOG", "info")).await;
    let asked = (0..MANY).map(|n| {
        let name = format!("r{n:03}");
        let world = &world;
        async move { world.ask(&name, spec("ReadOnly")).await }
    });
    let asked = futures::stream::iter(asked);
    let _: Vec<_> =
        futures::StreamExt::collect(futures::StreamExt::buffer_unordered(asked, 8)).await;
    eventually("all are active", async || {
        match count(&world, ACTIVE).await {
            (MANY, MANY) => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
    world.assert_live(MANY);
    world
}

/// Waits until all have gone; gives how many ids each bulk revoke had.
async fn all_gone(world: &World) -> Vec<usize> {
    eventually("all are gone", async || match count(world, ACTIVE).await {
        (0, _) => Ok(()),
        found => Err(format!("{found:?}\n{}", world.last_words())),
    })
    .await;
    world.assert_live(0);
    assert_eq!(world.calls(Endpoint::Revoke), 0);
    let calls = world.simulator.calls().into_iter();
    let bulk = calls.filter(|call| call.endpoint == Endpoint::V3BulkRevoke);
    let sizes: Vec<_> = bulk.map(|call| call.ids.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), MANY, "each once: {sizes:?}");
    sizes
}

#[tokio::test]
async fn three_hundred_deletions_are_three_calls() {
    let mut world = live().await;
    // All at once: this apiserver alone would take them one by one.
    assert_eq!(world.operator.terminate().await, Some(0));
    let (how, all) = (DeleteParams::default(), ListParams::default());
    let requests = world.cluster.requests();
    requests.delete_collection(&how, &all).await.unwrap();
    world.operator.start();
    let sizes = all_gone(&world).await;
    assert!(sizes.len() <= 3, "{sizes:?}");
    world.end().await;
}

#[tokio::test]
async fn three_hundred_deletions_under_the_operators_eyes_are_few_calls() {
    let world = live().await;
    let started = std::time::Instant::now();
    world
        .cluster
        .kubectl(&["delete", "accreq", "--all", "--wait=false"]);
    let asked = started.elapsed();
    let sizes = all_gone(&world).await;
    let gone = started.elapsed();
    println!("deleted in {asked:?}, gone after {gone:?}, by {sizes:?}");
    // They arrive as fast as the machine lets them: over a second, or over many.
    let slow = usize::try_from(asked.as_secs() / 4).unwrap();
    assert!(sizes.len() <= 4 + slow, "{sizes:?}");
    world.end().await;
}
