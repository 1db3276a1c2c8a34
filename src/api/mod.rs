//! The kinds and what they say: types with their schema, phases, reasons, conditions. Pure.

#![allow(dead_code)] // KubeSchema copies each spec, and nobody reads `undecodable` in the copy

pub mod allowed_namespaces;
pub mod authenticator_config;
pub mod cluster_provider_config;
pub mod conditions;
pub mod config_policy;
pub mod config_spec;
pub mod crds;
pub mod enrollment_limits;
pub mod enrollment_request;
pub mod phase;
pub mod provider_config;
pub mod provider_config_status;
pub mod reason;
pub mod status;
pub mod stored;
pub mod text;
pub mod undecodable;

pub use authenticator_config::{AuthenticatorConfig, AuthenticatorConfigSpec, AuthenticatorConfigStatus};
pub use cluster_provider_config::{ClusterProviderConfig, ClusterProviderConfigSpec};
pub use enrollment_request::{EnrollmentRequest, EnrollmentRequestSpec, EnrollmentRequestStatus};
pub use phase::Phase;
pub use provider_config::{ProviderConfig, ProviderConfigSpec};
pub use provider_config_status::ProviderConfigStatus;
pub use reason::Reason;
pub use status::HasStatus;
pub use undecodable::Undecodable;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API group of all kinds.
pub const GROUP: &str = "beyondidentity.dev";

/// The finalizer that keeps an object until its remote resources are revoked or deleted.
pub const FINALIZER: &str = "beyondidentity.dev/finalizer";

/// The annotation that stops all work on an object while it says exactly `true`.
pub const PAUSED: &str = "beyondidentity.dev/paused";

/// The annotation that requests a reconcile, by any value that was not handled last.
pub const RECONCILE_REQUESTED_AT: &str = "beyondidentity.dev/reconcile-requested-at";

/// The annotation that sends again: `JOBID/STATE`, while both match the status and the link no longer works.
pub const RESEND: &str = "beyondidentity.dev/resend";

/// The annotation that revokes the link of a job: `JOBID`, while the job is the current one and its link is active.
pub const REVOKE: &str = "beyondidentity.dev/revoke";

/// The annotations that the operator reads.
pub const ANNOTATIONS: [&str; 4] = [PAUSED, RECONCILE_REQUESTED_AT, RESEND, REVOKE];

/// What an id of the Beyond Identity API may look like in a spec.
pub(crate) const ID_PATTERN: &str = "^[A-Za-z0-9_-]{1,64}$";

/// A CEL rule for names: no character is invisible or changes how a line reads. [`crate::harmless`] has those of the
/// categories Cf, Zl and Zp that text from outside is shown without.
pub(crate) const NO_INVISIBLE: &str =
    r"!self.matches('[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\x{34f}\\x{115f}\\x{1160}\\x{3164}\\x{ffa0}]')";

/// A CEL rule for usernames: no blank at an end, and no other blank than the space. People do not see the difference.
pub(crate) const PLAIN_BLANKS: &str =
    r"!self.matches('^ | $|[\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{202f}\\x{205f}\\x{3000}]')";

/// The message of [`PLAIN_BLANKS`].
pub(crate) const PLAIN_BLANKS_MESSAGE: &str = "must not begin or end with a blank, or contain another blank than the space \
                                               (such as a no-break space, U+00A0): type it instead of copying it";

/// A CEL rule for a list of origins: none has the slash that people copy from a browser.
pub(crate) const NO_SLASH: &str = "!self.exists(origin, origin.matches('^[^/]+//[^/]+/$'))";

/// The message of [`NO_SLASH`].
pub(crate) const NO_SLASH_MESSAGE: &str = "must not contain an origin with a slash at its end: remove the slash";

/// A CEL rule for a list of origins: each is a scheme, a host and an optional port. Those that [`NO_SLASH`] refuses pass.
pub(crate) const ORIGINS: &str = r"self.all(origin,
    origin.matches('^[A-Za-z][A-Za-z0-9+.-]*://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?/?$'))";

/// The message of [`ORIGINS`].
pub(crate) const ORIGINS_MESSAGE: &str = "must contain only origins: scheme, host and optional port, as in \
                                          https://app.example.com; no user, path, query or wildcard";

/// A CEL rule for URIs: nothing but a host and a port stands between `//` and the path. A browser opens the host after an `@`,
/// and reads a backslash as a slash.
pub(crate) const NO_USER: &str = r"!self.matches('^[^/?#]*//[^/?#]*[@\\\\]')";

/// The message of [`NO_USER`].
pub(crate) const NO_USER_MESSAGE: &str =
    "must not contain a user or a backslash before the path: a browser opens the host after the @";

/// The message of [`NO_INVISIBLE`].
pub(crate) const NO_INVISIBLE_MESSAGE: &str =
    "must not contain control characters, or characters that are invisible or change the direction of text";

/// What an address in a spec may consist of.
pub(crate) const ASCII_PATTERN: &str = r"^[\x21-\x7e]+$";

/// The name of a Kubernetes object (RFC 1123 subdomain).
pub(crate) const NAME_PATTERN: &str = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";

/// The name of a cluster, as `--cluster-name` takes it (RFC 1123 label).
pub(crate) const CLUSTER_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Maximum length of a string from the Beyond Identity API in a status. Longer ones are cut (see [`text`]; the
/// client takes no id that is longer), so that the API server never refuses to record what exists.
pub(crate) const STATUS_TEXT: u32 = 1024;

/// Reference to a provider config.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderConfigRef {
    /// Kind of the provider config.
    #[serde(default)]
    pub kind: ProviderConfigKind,
    /// Name of the provider config.
    #[serde(default = "default_name")]
    #[schemars(length(min = 1, max = 253), regex(pattern = NAME_PATTERN))]
    pub name: String,
}

impl ProviderConfigRef {
    /// The provider config that an object in `namespace` means by this.
    pub fn resolve(&self, namespace: &str) -> ProviderConfigKey {
        let namespace = match self.kind {
            ProviderConfigKind::ClusterProviderConfig => None,
            ProviderConfigKind::ProviderConfig => Some(namespace.to_owned()),
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

/// Kind of a provider config.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderConfigKind {
    /// The cluster-scoped kind.
    #[default]
    ClusterProviderConfig,
    /// The namespaced kind, in the namespace of the object that refers to it.
    ProviderConfig,
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
    /// The name of its controller, in metrics.
    pub const fn controller(self) -> &'static str {
        match self {
            Self::ClusterProviderConfig => "clusterproviderconfig",
            Self::ProviderConfig => "providerconfig",
        }
    }

    /// The kind as manifests name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterProviderConfig => "ClusterProviderConfig",
            Self::ProviderConfig => "ProviderConfig",
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
