//! The kinds and what they say: types with their schema, phases, reasons, conditions. Pure.

#![allow(dead_code)] // KubeSchema copies each spec, and nobody reads `undecodable` in the copy

pub mod authenticator_config;
pub mod cluster_provider_config;
pub mod conditions;
pub mod config_spec;
pub mod crds;
pub mod enrollment_request;
pub mod phase;
pub mod reason;
pub mod stored;
pub mod text;
pub mod undecodable;

pub use authenticator_config::{AuthenticatorConfig, AuthenticatorConfigSpec, AuthenticatorConfigStatus};
pub use cluster_provider_config::{ClusterProviderConfig, ClusterProviderConfigSpec};
pub use enrollment_request::{EnrollmentRequest, EnrollmentRequestSpec, EnrollmentRequestStatus};
pub use phase::Phase;
pub use reason::Reason;
pub use undecodable::Undecodable;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API group of all kinds.
pub const GROUP: &str = "beyondidentity.dev";

/// The finalizer that keeps an object until its remote side has been dealt with.
pub const FINALIZER: &str = "beyondidentity.dev/finalizer";

/// The annotation that stops all work on an object while it says exactly `true`.
pub const PAUSED: &str = "beyondidentity.dev/paused";

/// The annotation that asks for a look now, by any value that was not handled last.
pub const RECONCILE_REQUESTED_AT: &str = "beyondidentity.dev/reconcile-requested-at";

/// What an id of the Beyond Identity API may look like in a spec.
pub(crate) const ID_PATTERN: &str = "^[A-Za-z0-9_-]{1,64}$";

/// The name of a Kubernetes object (RFC 1123 subdomain).
pub(crate) const NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

/// How long a string may be that the remote side put into a status. Longer ones are cut (see [`text`]; the
/// client takes no id that is longer), so that the API server never refuses to record what exists.
pub(crate) const STATUS_TEXT: u32 = 1024;

/// What all kinds with a loop have in common, so that one mechanism writes their status.
pub trait HasStatus: Clone {
    /// The conditions as they stand in the object's status.
    fn conditions(&self) -> &[Condition];
    /// Puts `conditions` into the status, and with them the generation they are about.
    fn set_conditions(&mut self, conditions: Vec<Condition>, observed_generation: Option<i64>);
    /// The generation that the status is about.
    fn observed_generation(&self) -> Option<i64>;
    /// The value of [`RECONCILE_REQUESTED_AT`] that was handled last, as the status has it.
    fn last_handled_reconcile_at(&self) -> Option<&str>;
    /// Puts that value into the status.
    fn set_last_handled_reconcile_at(&mut self, handled: String);
    /// Since when something is owed that could come right by itself, as the status has it.
    fn failing_since(&self) -> Option<&str>;
    /// Puts that time into the status, or takes it out.
    fn set_failing_since(&mut self, since: Option<String>);
    /// Whether the status, conditions included, says the same in both.
    fn same_status(&self, other: &Self) -> bool;
    /// Takes over the status of `other`, as a whole.
    fn take_status(&mut self, other: &Self);
    /// The fields of this status that `stored`, which the API server answered when this was written, does not have like
    /// this: see [`stored::differing`].
    fn not_stored_in(&self, stored: &Self) -> Vec<String>;
    /// A number for what the status remembers, to compare by. What is only said does not count, but whether anything is.
    fn remembered(&self) -> u64;
}

/// Implements [`HasStatus`] for a kind whose status has `conditions` and `observed_generation`.
macro_rules! has_status {
    ($kind:ty) => {
        impl crate::api::HasStatus for $kind {
            fn conditions(&self) -> &[k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition] {
                self.status.as_ref().map_or(&[], |status| &status.conditions)
            }

            fn set_conditions(
                &mut self,
                conditions: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
                observed_generation: Option<i64>,
            ) {
                let status = self.status.get_or_insert_default();
                status.conditions = conditions;
                status.observed_generation = observed_generation;
            }

            fn observed_generation(&self) -> Option<i64> {
                self.status.as_ref()?.observed_generation
            }

            fn last_handled_reconcile_at(&self) -> Option<&str> {
                self.status.as_ref()?.last_handled_reconcile_at.as_deref()
            }

            fn set_last_handled_reconcile_at(&mut self, handled: String) {
                self.status.get_or_insert_default().last_handled_reconcile_at = Some(handled);
            }

            fn failing_since(&self) -> Option<&str> {
                self.status.as_ref()?.failing_since.as_deref()
            }

            fn set_failing_since(&mut self, since: Option<String>) {
                self.status.get_or_insert_default().failing_since = since;
            }

            fn same_status(&self, other: &Self) -> bool {
                self.status == other.status
            }

            fn take_status(&mut self, other: &Self) {
                self.status.clone_from(&other.status);
            }

            fn not_stored_in(&self, stored: &Self) -> Vec<String> {
                crate::api::stored::differing(&self.status, &stored.status)
            }

            fn remembered(&self) -> u64 {
                use std::hash::{DefaultHasher, Hash, Hasher};

                let mut status = self.status.clone().unwrap_or_default();
                let speaks = !std::mem::take(&mut status.conditions).is_empty();
                (status.observed_generation, status.failing_since) = (None, None);
                let mut hasher = DefaultHasher::new();
                (speaks, format!("{status:?}")).hash(&mut hasher);
                hasher.finish()
            }
        }
    };
}
pub(crate) use has_status;

/// Which provider config an object goes through.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderConfigRef {
    /// The kind of the provider config.
    #[serde(default)]
    pub kind: ProviderConfigKind,
    /// The name of the provider config.
    #[serde(default = "default_name")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

impl ProviderConfigRef {
    /// The provider config that an object in `namespace` means by this.
    pub fn resolve(&self, _namespace: &str) -> ProviderConfigKey {
        let namespace = match self.kind {
            ProviderConfigKind::ClusterProviderConfig => None,
        };
        ProviderConfigKey { kind: self.kind, namespace, name: self.name.clone() }
    }
}

/// The identity of a provider config in the cluster. Two namespaces can have one of the same name each, so the name alone
/// never identifies one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderConfigKey {
    /// Its kind.
    pub kind: ProviderConfigKind,
    /// Its namespace; `None` for a cluster-scoped kind.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// The kinds of provider config.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderConfigKind {
    /// The cluster-scoped kind.
    #[default]
    ClusterProviderConfig,
}

impl Default for ProviderConfigRef {
    fn default() -> Self {
        Self { kind: ProviderConfigKind::default(), name: default_name() }
    }
}

impl std::fmt::Display for ProviderConfigRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

impl ProviderConfigKind {
    /// The kind as manifests name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterProviderConfig => "ClusterProviderConfig",
        }
    }
}

impl std::fmt::Display for ProviderConfigKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name) = (self.kind.as_str(), &self.name);
        match &self.namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{name}"),
            None => write!(f, "{kind} {name}"),
        }
    }
}

fn default_name() -> String {
    "default".to_owned()
}
