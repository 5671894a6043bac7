//! How access is asked for again before it ends.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::crd::{DurationText, rules};

/// When and how often the access is asked for again before it ends.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// How long before the planned end the access is asked for again, for example "15m"; at least
    /// 30s, and less than `duration` where that is set; required. It can be changed at any time.
    #[x_kube(
        validation = rules::is_duration(),
        validation = rules::is_within(rules::Span { min: "30s", max: "8760h" })
    )]
    pub before: DurationText,
    /// How many times the access is renewed, from 1 to 100; required. It can be changed at any
    /// time.
    #[schemars(range(min = 1, max = 100))]
    pub max_renewals: i32,
    /// Why the access is still needed, for the people who approve and audit it; at most 1000
    /// characters, without "[k8s ". Absent: the justification of the resource. It can be changed
    /// at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    #[x_kube(validation = rules::has_no_mark())]
    pub justification: Option<String>,
}
