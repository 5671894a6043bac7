//! What people do: they apply the objects the world begins with, and act on them at any time.

use std::collections::BTreeMap;

use apono_client::State;
use apono_operator::crd::{
    ATTEMPT_ANNOTATION, Access, AccessRequest, AccessRequestSpec, DurationText, FINALIZER,
    REQUEST_AGAIN_ANNOTATION, REVOKE_ANNOTATION, Renewal,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::{
    config::{Act, Begins, Config, Names},
    fair, operator,
    world::{Desk, Remote, World, moment},
};

/// A name is applied twice at most.
const MOST_RESOURCES: u8 = 2;

type Annotations = BTreeMap<String, String>;

/// A fresh world: what there is from the beginning was just applied.
pub fn start(config: &Config) -> World {
    let second = Desk {
        number: 1,
        ..Desk::default()
    };
    let mut world = World {
        now: 0,
        desk: Desk::default(),
        other: (config.names != Names::One).then(|| Box::new(second)),
        versions: 0,
        lines: 0,
        released: std::collections::BTreeSet::default(),
        owed: std::collections::BTreeSet::default(),
        tampered: std::collections::BTreeSet::default(),
        is_endless: !config.renewal,
        posts: Vec::new(),
        remotes: Vec::new(),
        flights: Vec::new(),
        late: std::collections::BTreeSet::default(),
        budget: config.budget,
        violation: None,
    };
    if config.foreign {
        world.remotes.push(Remote {
            post: None,
            state: State::Active,
            access: true,
            shown: 0,
            ends: operator::ENDLESS,
        });
    }
    apply_manifest(&mut world, config, Annotations::new());
    if config.begins == Begins::Live {
        world = fair::settled(world, config);
    }
    if config.names == Names::Two {
        world.focus(1);
        apply_manifest(&mut world, config, Annotations::new());
        world.focus(0);
    }
    world
}

/// Applies the name at the desk. One that carries a record of its own name goes on with its line.
fn apply_manifest(world: &mut World, config: &Config, annotations: Annotations) {
    let spec = AccessRequestSpec {
        access: Access {
            bundle: Some("prod-read".to_owned()),
            ..Access::default()
        },
        renewal: config.renewal.then(|| Renewal {
            before: DurationText("2m".to_owned()),
            max_renewals: 1,
            justification: None,
        }),
        pending_timeout: config
            .pending_timeout
            .then(|| DurationText("1m".to_owned())),
        ..AccessRequestSpec::default()
    };
    let mut resource = AccessRequest::new(&world.name(world.desk.number), spec);
    let is_first = world.desk.resources == 0;
    world.desk.resources += 1;
    resource.metadata.namespace = Some("payments".to_owned());
    // As the uids of two names may end alike.
    let kind = if world.desk.number == 0 {
        "uid"
    } else {
        "other"
    };
    resource.metadata.uid = Some(format!("{kind}-{}", world.desk.resources));
    resource.metadata.generation = Some(1);
    if is_first || !annotations.contains_key(ATTEMPT_ANNOTATION) {
        world.lines += 1;
        world.desk.line = world.lines;
    }
    if !annotations.is_empty() {
        resource.metadata.annotations = Some(annotations);
    }
    world.store(resource);
}

/// What somebody may do now to what is at the desk.
pub fn possible(world: &World, config: &Config) -> Vec<Act> {
    if world.budget.acts == 0 {
        return Vec::new();
    }
    let all = config.acts.iter().copied();
    all.filter(|act| is_possible(world, *act)).collect()
}

fn is_possible(world: &World, act: Act) -> bool {
    let desk = &world.desk;
    let object = desk.object.as_ref();
    let annotation =
        |name: &str| object.is_some_and(|one| one.resource.annotations().contains_key(name));
    let is_free = object.is_none() && desk.resources < MOST_RESOURCES;
    match act {
        Act::Delete => object.is_some_and(|one| !one.is_deleting()),
        Act::Revoke => object.is_some() && !annotation(REVOKE_ANNOTATION),
        Act::Again => object.is_some() && !annotation(REQUEST_AGAIN_ANNOTATION),
        Act::Withdraw => annotation(REVOKE_ANNOTATION) || annotation(REQUEST_AGAIN_ANNOTATION),
        Act::Suspend => object.is_some(),
        Act::DropRecord => annotation(ATTEMPT_ANNOTATION),
        Act::Strip => object.is_some_and(|one| !one.resource.finalizers().is_empty()),
        Act::Reapply => is_free && desk.resources > 0,
        Act::Restore => is_free && desk.exported.is_some(),
        Act::Copy => {
            let is_second = desk.number == 1 && desk.resources == 0;
            is_second && copied(world).is_some()
        }
    }
}

/// The annotations of the first name, with a record among them.
fn copied(world: &World) -> Option<Annotations> {
    let first = world.desks().next()?;
    let standing = first.object.as_ref();
    let standing = standing.map(|one| one.resource.annotations().clone());
    let all = standing.or_else(|| first.exported.clone());
    all.filter(|all| all.contains_key(ATTEMPT_ANNOTATION))
}

/// Somebody acts on what is at the desk.
pub fn act(world: &mut World, config: &Config, act: Act) {
    match act {
        Act::Reapply => return apply_manifest(world, config, Annotations::new()),
        Act::Restore => {
            let exported = world.desk.exported.take();
            return apply_manifest(world, config, exported.unwrap_or_default());
        }
        Act::Copy => {
            let annotations = copied(world);
            return apply_manifest(world, config, annotations.unwrap_or_default());
        }
        _ => {}
    }
    let Some(object) = world.desk.object.clone() else {
        return;
    };
    let mut resource = (*object.resource).clone();
    match act {
        Act::Delete => {
            resource.metadata.deletion_timestamp = Some(Time(moment(world.now)));
            let is_kept = config.acts.contains(&Act::Restore)
                && resource.annotations().contains_key(ATTEMPT_ANNOTATION);
            world.desk.exported = is_kept.then(|| resource.annotations().clone());
        }
        Act::Revoke => set(&mut resource, REVOKE_ANNOTATION),
        Act::Again => set(&mut resource, REQUEST_AGAIN_ANNOTATION),
        Act::Withdraw => resource
            .annotations_mut()
            .retain(|name, _| name != REVOKE_ANNOTATION && name != REQUEST_AGAIN_ANNOTATION),
        Act::Suspend => {
            let is_suspended = resource.spec.suspend == Some(true);
            resource.spec.suspend = (!is_suspended).then_some(true);
            resource.metadata.generation = resource.metadata.generation.map(|one| one + 1);
        }
        Act::DropRecord => {
            resource.annotations_mut().remove(ATTEMPT_ANNOTATION);
            world.tampered.insert(object.uid());
        }
        Act::Strip => {
            let finalizers = resource.metadata.finalizers.get_or_insert_default();
            finalizers.retain(|name| name != FINALIZER);
            world.tampered.insert(object.uid());
        }
        Act::Reapply | Act::Restore | Act::Copy => {}
    }
    world.store(resource);
}

fn set(resource: &mut AccessRequest, annotation: &str) {
    resource
        .annotations_mut()
        .insert(annotation.to_owned(), "now".to_owned());
}
