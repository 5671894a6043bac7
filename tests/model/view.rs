//! What a pass of the model observes: in place of `observe.rs` and of the poller's store. Only what
//! these two hand to the deciding code is put together here; nothing is decided.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use apono_client::{Entitlement, State, Status};
use apono_operator::{
    controller::{
        entitlements, latch,
        observed::{ConnectionSight, Memory, Observed},
        picture::{Picture, state},
        plan::Intent,
        resolution::Resolution,
    },
    crd::{AccessRequest, RemoteApi},
    marker::{Nonce, Origin, RANDOM_BYTES, marked},
    poller::{Look, Reign, Sight, Snapshot, View},
};
use jiff::Timestamp;
use kube::ResourceExt;

use crate::world::{Knowledge, Object, World, id, index, moment};

/// The validity of a mark, the deadline of a call and the default settle window, in seconds.
pub const SETTLED: i64 = 5 + 10 + 15;
/// The connection's, long enough for a lost answer to be looked for in vain, short enough to pass.
const DEADLINE: Duration = Duration::from_mins(2);

/// Where the requests of a name come from.
fn origin(name: &str) -> Origin {
    Origin::new("cluster", "payments", name)
}

/// Randomness that no other POST has: of the desk, of how many its resource has made, and of who has
/// taken over.
fn roll(world: &World, object: &Object) -> [u8; RANDOM_BYTES] {
    let uid = object.uid();
    let made = world.posts.iter().filter(|post| post.uid == uid).count();
    let mut roll = [u8::try_from(made + 1).unwrap_or(u8::MAX); RANDOM_BYTES];
    roll[0] = object.desk;
    // Two replicas never draw alike.
    roll[1] = world.budget.takeovers;
    roll
}

/// The intent of a pass over this object.
pub fn intent(object: &Object) -> Intent {
    if object.is_deleting() {
        Intent::Release
    } else {
        Intent::Hold
    }
}

/// What is observed of an object.
#[expect(
    clippy::too_many_lines,
    reason = "one part after the other, none of use by itself"
)]
pub fn observe(
    world: &World,
    object: &Object,
    knowledge: &Knowledge,
    memory: &Memory,
    at: i64,
) -> Observed {
    let now = moment(at);
    let mut observed = blank(memory, &object.resource.name_any(), roll(world, object));
    // As by a process that saw the deletion come.
    let deleted_at = object.resource.metadata.deletion_timestamp.as_ref();
    observed.memory.releasing_since = deleted_at.map(|time| time.0);
    let picture = Picture::of(&object.resource, &observed, now);
    let intent = intent(object);
    let is_release = |picture: &Picture| {
        intent == Intent::Release
            || latch::reading(&object.resource, picture, Intent::Hold) == Intent::Release
    };
    let deleting = is_release(&picture);
    let tracked: Vec<usize> = picture
        .requests
        .iter()
        .filter(|one| !state(one).is_terminal() || deleting && state(one) == State::Failed)
        .map(|one| index(&one.id))
        .collect();
    let wanted: Vec<Nonce> = picture
        .searching()
        .map(|entry| entry.nonce.clone())
        .chain(
            knowledge
                .answered
                .iter()
                .map(|post| world.posts[*post].nonce.clone()),
        )
        .collect();
    let look = knowledge.look.map(|asked_at| Look {
        asked_at: moment(asked_at),
        since: Timestamp::MIN,
    });
    observed.view.look = look
        .map(|look| (RemoteApi::UserV4, look))
        .into_iter()
        .collect();
    for index in &tracked {
        let sight = match knowledge.readings.get(index) {
            Some(reading) => Sight::Seen(snapshot(world, *index, *reading)),
            None => Sight::Unread,
        };
        observed.view.sights.insert(id(*index), sight);
    }
    for nonce in wanted {
        let made = knowledge.readings.iter().filter(|(index, _)| {
            let post = world.remotes[**index].post;
            post.is_some_and(|post| world.posts[post].nonce == nonce)
        });
        let found = made.map(|(index, reading)| snapshot(world, *index, *reading));
        let found = found.collect();
        observed.view.by_nonce.insert(nonce, found);
    }
    for (index, reading) in &knowledge.readings {
        if !tracked.contains(index) && !reading.is_terminal() {
            let snapshot = snapshot(world, *index, *reading);
            let mark = snapshot.mark.clone();
            observed
                .view
                .strays
                .extend(mark.map(|mark| (mark, snapshot)));
        }
    }
    describe(world, object, &mut observed, intent, now);
    observed
}

/// The entitlements that are due, as they truly are.
fn describe(
    world: &World,
    object: &Object,
    observed: &mut Observed,
    intent: Intent,
    now: Timestamp,
) {
    let resource = &object.resource;
    let picture = Picture::of(resource, observed, now);
    let reading = latch::reading(resource, &picture, intent);
    let wanted = entitlements::wanted(resource, &picture, observed, reading, now);
    for id in wanted.now {
        let remote = &world.remotes[index(&id)];
        let word = if remote.access { "granted" } else { "failure" };
        let one = Entitlement {
            integration: apono_client::Named::default(),
            resource: apono_client::Resource::default(),
            permission: "read".to_owned(),
            status: word.into(),
        };
        observed.entitlements.insert(id, vec![one]);
    }
}

fn blank(memory: &Memory, name: &str, random: [u8; RANDOM_BYTES]) -> Observed {
    Observed {
        connection: ConnectionSight::Usable {
            orphan: false,
            paused: None,
        },
        view: View {
            identity: Some("user-1".to_owned()),
            reigns: vec![Reign {
                from: Timestamp::MIN,
                until: Timestamp::MAX,
            }],
            ..View::default()
        },
        entitlements: BTreeMap::new(),
        resolution: Resolution::AsWritten,
        memory: memory.clone(),
        origin: origin(name),
        revocation_deadline: DEADLINE,
        settled_after: Duration::from_secs(SETTLED.unsigned_abs()),
        clock_set: None,
        stale_after: Duration::from_mins(3),
        asks_for_another: false,
        asks_admin: false,
        user: Some("user-1".to_owned()),
        credentials: None,
        hastened: None,
        gitops_owner: None,
        random,
    }
}

/// A remote request as the remote answers it.
pub fn request(world: &World, index: usize, state: State) -> apono_client::AccessRequest {
    let remote = &world.remotes[index];
    let (nonce, desk) = match remote.post {
        Some(post) => (world.posts[post].nonce.clone(), world.posts[post].desk),
        None => (Nonce::new("somebody-else", [99; RANDOM_BYTES]), 0),
    };
    apono_client::AccessRequest {
        id: id(index).into(),
        status: Status::from(state),
        duration: None,
        justification: Some(marked(&nonce, &origin(&world.name(desk)), Some("why"))),
        creation_date: Some(moment(0)),
        revocation_date: Some(moment(remote.ends)),
        custom_fields: BTreeMap::new(),
        access_groups: Arc::default(),
        requestor: Some(Arc::new(apono_client::Identity {
            id: "user-1".to_owned(),
            source_id: String::new(),
        })),
        grantee: None,
        bundle: None,
        friendly_id: None,
        target: None,
    }
}

fn snapshot(world: &World, index: usize, state: State) -> Arc<Snapshot> {
    // Nothing that is modelled depends on when it was asked for.
    let request = request(world, index, state);
    Arc::new(Snapshot::new(request, RemoteApi::UserV4, moment(0)))
}

/// Everything that a status of this resource names.
pub fn known(resource: &AccessRequest) -> Vec<usize> {
    let status = resource.status.as_ref();
    let requests = status.into_iter().flat_map(|status| &status.requests);
    requests.map(|one| index(&one.id)).collect()
}
