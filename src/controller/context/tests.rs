use std::collections::HashMap;

use super::*;
use crate::{
    clock::SystemClock,
    connection::Namespaces,
    controller::{alarms::FAR, come_again, fixtures::world},
};
use kube::runtime::controller::Action;

/// The context of a process that has just begun, with this way to the API server.
pub(in crate::controller) fn context_of(client: Client) -> Context {
    let limit = Duration::from_secs(5);
    let namespace = || "apono-system".to_owned();
    Context {
        shards: Shards::all(),
        escrow: Escrow {
            client: client.clone(),
            namespace: namespace(),
            kube_timeout: limit,
            metrics: Metrics::new(),
        },
        debts: Debts::new(client.clone(), namespace(), limit, Metrics::new()),
        client,
        registry: Registry::new(Namespaces::unknown()),
        clock: Arc::new(SystemClock),
        metrics: Metrics::new(),
        cluster: "cluster".to_owned(),
        is_namespaced: false,
        kube_timeout: limit,
        remote_timeout: limit,
        ttl_owner_labels: Vec::new(),
        turns: Turns::new(1),
        resources: Mutex::new(HashMap::new()),
    }
}

/// One that asks nobody.
fn context() -> Context {
    let nowhere = kube::Config::new("http://127.0.0.1:9".parse().unwrap());
    context_of(crate::kubernetes::client(nowhere).unwrap())
}

/// Has the context keep something of a resource of this name.
fn known(context: &Context, namespace: &str, name: &str) -> ObjectKey {
    let mut resource = world().resource;
    resource.metadata.namespace = Some(namespace.to_owned());
    resource.metadata.name = Some(name.to_owned());
    context.fence(&resource);
    (namespace.to_owned(), name.to_owned())
}

fn taken(context: &Context, namespace: Option<&str>, until: Instant) -> Vec<ObjectKey> {
    let taken = context.take_alarms(namespace, until).into_iter();
    taken.map(|(_, key)| key).collect()
}

#[tokio::test]
async fn what_no_store_holds_is_forgotten() {
    let context = context();
    let held = known(&context, "payments", "orders-read");
    known(&context, "payments", "gone");
    assert_eq!(context.resources.lock().unwrap().len(), 2);
    context.prune(|key| *key == held);
    let kept: Vec<_> = context.resources.lock().unwrap().keys().cloned().collect();
    assert_eq!(kept, [held]);
}

#[tokio::test]
async fn an_alarm_is_taken_once_when_it_is_due_and_the_last_that_was_set_counts() {
    let context = context();
    let key = known(&context, "payments", "orders-read");
    let due = Instant::now() + FAR;
    let after = due + Duration::from_secs(1);
    context.alarm(&key, Some(due));
    assert_eq!(taken(&context, None, due), [], "before its time");
    context.alarm(&key, Some(due + FAR));
    assert_eq!(taken(&context, None, after), [], "moved");
    context.alarm(&key, Some(due));
    assert_eq!(context.take_alarms(None, after), [(due, key.clone())]);
    assert_eq!(taken(&context, None, after), [], "taken");
    context.alarm(&key, Some(due));
    context.alarm(&key, None);
    assert_eq!(taken(&context, None, after), [], "cleared");
}

#[tokio::test]
async fn an_alarm_is_taken_by_the_controller_of_its_namespace_and_goes_with_its_resource() {
    let context = context();
    let due = Instant::now() + FAR;
    let after = due + Duration::from_secs(1);
    let key = known(&context, "payments", "orders-read");
    context.alarm(&key, Some(due));
    assert_eq!(taken(&context, Some("billing"), after), []);
    let taken_now = taken(&context, Some("payments"), after);
    assert_eq!(taken_now, std::slice::from_ref(&key));
    context.alarm(&key, Some(due));
    context.forget_object("payments", "orders-read");
    assert_eq!(taken(&context, None, after), []);
    context.alarm(&key, Some(due));
    assert_eq!(taken(&context, None, after), [], "it is not known any more");
}

#[tokio::test]
async fn what_waits_for_long_is_given_an_alarm_and_what_does_not_is_left_to_kube() {
    let context = context();
    let key = known(&context, "payments", "orders-read");
    let all = Instant::now() + 2 * FAR;
    let far = come_again(&context, &key, Some(FAR));
    assert_eq!(far, Action::await_change());
    let set = context.take_alarms(None, all);
    assert_eq!(set.len(), 1);
    assert!(set[0].0 <= Instant::now() + FAR, "at its time");

    context.alarm(&key, Some(Instant::now()));
    let near = Duration::from_secs(59);
    assert!(near < FAR);
    let action = come_again(&context, &key, Some(near));
    assert_eq!(action, Action::requeue(near));
    assert_eq!(taken(&context, None, all), [], "kube wakes it");

    context.alarm(&key, Some(Instant::now()));
    let action = come_again(&context, &key, None);
    assert_eq!(action, Action::await_change());
    assert_eq!(taken(&context, None, all), [], "nothing is waited for");
}
