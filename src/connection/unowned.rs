//! Live requests that bear this cluster's mark and belong to no resource: a finalizer was removed by
//! hand. They are told of in an event on the connection, and never taken back: nobody asked for that,
//! and another cluster of the same name may own them.

use std::collections::BTreeSet;

use kube::{
    core::DeserializeGuard,
    runtime::events::{Event, EventType, Recorder},
};

use super::{ConnectionResource, Registry, controller::Context, supervised::Supervised};
use crate::{crd::FIELD_MANAGER, kubernetes::deadline, marker::Mark, metrics::KubeWrite};

/// As many of them as are named.
const MOST_NAMED: usize = 5;

/// What is to be told of such requests that were not told of before.
pub(super) fn news(registry: &Registry, supervised: &mut Supervised) -> Option<String> {
    let found = registry.unowned(&supervised.connection);
    let ids: BTreeSet<_> = found.iter().map(|(_, id)| id.clone()).collect();
    let is_news = ids.iter().any(|id| !supervised.unowned.contains(id));
    supervised.unowned = ids;
    is_news.then(|| note(&found))
}

fn note(found: &[(Mark, String)]) -> String {
    let named = found.iter().take(MOST_NAMED).map(|(mark, id)| {
        let id = crate::controller::bounds::cut(id, 64);
        format!("{id} (of {})", mark.origin.as_str())
    });
    let named: Vec<_> = named.collect();
    let rest = match found.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "live requests belong to no AccessRequest: {}{rest}. A finalizer was removed by hand, or \
         another cluster has the same CLUSTER_NAME; the operator does not touch them: revoke them \
         in Apono if nobody needs them",
        named.join(", ")
    )
}

/// Publishes the event. Best effort.
pub(super) async fn say<K: ConnectionResource>(
    object: &DeserializeGuard<K>,
    note: &str,
    context: &Context,
) {
    tracing::warn!("{note}");
    let Ok(resource) = &object.0 else {
        return;
    };
    let event = Event {
        type_: EventType::Warning,
        reason: "UnownedRequests".to_owned(),
        note: Some(note.to_owned()),
        action: "UnownedRequests".to_owned(),
        secondary: None,
    };
    publish(context, resource, &event).await;
}

async fn publish(context: &Context, resource: &impl ConnectionResource, event: &Event) {
    let recorder = Recorder::new(context.client.clone(), FIELD_MANAGER.into());
    let reference = resource.object_ref(&());
    let published = recorder.publish(event, &reference);
    context.metrics.kube_write(KubeWrite::Event);
    let limit = context.settings.kube_timeout;
    if let Err(error) = deadline("publish an event", limit, published).await {
        tracing::debug!(%error, "event lost");
    }
}
