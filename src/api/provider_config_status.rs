//! The status of both kinds of provider config.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::STATUS_TEXT;
use super::status::{Common, CommonMut, CommonStatus};

/// Observed state of the provider config.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProviderConfigStatus {
    /// The generation that the conditions describe. −1 means not reconciled yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// When the token expires (RFC 3339), if it says so itself. Unset for an opaque token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub token_expire_time: Option<String>,
    /// When the current recoverable failure began (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub failing_since: Option<String>,
    /// The last handled value of the annotation `beyondidentity.dev/reconcile-requested-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = STATUS_TEXT))]
    pub last_handled_reconcile_at: Option<String>,
    /// Current conditions, by the Kubernetes API conventions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

impl CommonStatus for ProviderConfigStatus {
    fn common(&self) -> Common<'_> {
        let Self { observed_generation, failing_since, last_handled_reconcile_at, conditions, .. } = self;
        Common { observed_generation, failing_since, last_handled_reconcile_at, conditions }
    }

    fn common_mut(&mut self) -> CommonMut<'_> {
        let Self { observed_generation, failing_since, last_handled_reconcile_at, conditions, .. } = self;
        CommonMut { observed_generation, failing_since, last_handled_reconcile_at, conditions }
    }
}
