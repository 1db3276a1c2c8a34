//! The priority of an object's reconcile, and the provider config whose share of workers it uses. Pure.

use std::cmp::min;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::conditions::REVOKE_REFUSED;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigKey};
use crate::realm::ProviderConfigResource;
use crate::reconcile::rules::judge;
use crate::reconcile::{Options, Rules};

/// The inputs for the order of a reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The provider config that the reconcile calls; `None` if it is unknown.
    pub provider: Option<ProviderConfigKey>,
    /// The namespace of the object.
    pub namespace: String,
    /// The priority.
    pub priority: Priority,
}

/// The priority of a reconcile. Later variants are more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A poll or a resync.
    Routine,
    /// The first reconcile of an object by this process, or a retry.
    Default,
    /// An email to send, or a configuration to create or to update.
    Pending,
    /// A requested revocation or deletion.
    Removal,
}

impl Priority {
    /// All priorities, the most urgent one first.
    pub const ALL: [Self; 4] = [Self::Removal, Self::Pending, Self::Default, Self::Routine];

    /// The value of the metric label `priority`. As in controller-runtime it is a number, and more urgent work has a
    /// higher one. Value 0 is an ordinary event, and -100 is controller-runtime's `LowPriority`, for objects that are
    /// only reconciled again.
    pub fn label(self) -> &'static str {
        match self {
            Self::Routine => "-100",
            Self::Default => "0",
            Self::Pending => "100",
            Self::Removal => "200",
        }
    }
}

/// Why an object is enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This process has not reconciled it yet.
    First,
    /// A change, or a reconcile that starts over because another writer was first.
    Change,
    /// The delay requested by its last reconcile is over, and nothing has changed.
    Requeue,
    /// Its turn to call its tenant. The limiter chose it among all waiters, and reserves the turn only for a while.
    Turn,
}

/// The work to do for an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Work {
    /// A revocation or a deletion.
    removal: bool,
    /// A send, a creation or an update.
    pending: bool,
}

impl Work {
    /// An object that comes back after its own delay has failed, or waits for something that did not happen. It ranks
    /// below untried work: 1,000 sends to missing identities must not hold up one that can succeed. It ranks above
    /// polls: one lost answer must not put an email behind all of them. A change restores its priority.
    fn priority(self, cause: Cause) -> Priority {
        let priority = match (self, cause) {
            (Self { removal: true, .. }, _) => Priority::Removal,
            (Self { pending: true, .. }, _) => Priority::Pending,
            (_, Cause::First) => Priority::Default,
            (_, Cause::Turn) => Priority::Pending,
            (_, Cause::Change | Cause::Requeue) => Priority::Routine,
        };
        if cause == Cause::Requeue { min(priority, Priority::Default) } else { priority }
    }
}

/// The class of an AuthenticatorConfig.
pub fn of_config(config: &AuthenticatorConfig, cause: Cause, options: &Options, now: Timestamp) -> Class {
    let namespace = config.namespace().unwrap_or_default();
    let provider = Some(config.spec.provider_config_ref.resolve(&namespace));
    Class { provider, namespace, priority: work_of(config, options, now).priority(cause) }
}

/// The class of an EnrollmentRequest. `config` gets the AuthenticatorConfig of this name in the namespace of the
/// request.
pub fn of_request<C>(
    request: &EnrollmentRequest,
    config: impl FnOnce(&str) -> Option<C>,
    cause: Cause,
    options: &Options,
    now: Timestamp,
) -> Class
where
    C: AsRef<AuthenticatorConfig>,
{
    let namespace = request.namespace().unwrap_or_default();
    let status = request.status.as_ref();
    // A job is polled through the provider config it was sent through, even if the AuthenticatorConfig has changed.
    let recorded = status.and_then(|status| {
        let in_doubt = status.send.as_ref().map(|send| &send.provider_config_ref);
        status.provider_config_ref.as_ref().or(in_doubt)
    });
    let provider = match recorded {
        Some(reference) => Some(reference.resolve(&namespace)),
        None => config(&request.spec.authenticator_config_ref.name)
            .map(|config| config.as_ref().spec.provider_config_ref.resolve(&namespace)),
    };
    Class { provider, namespace, priority: work_of(request, options, now).priority(cause) }
}

/// The class of a provider config. A change of it is checked before routine work.
pub(crate) fn of_provider_config(config: &impl ProviderConfigResource, cause: Cause) -> Class {
    let provider = config.key();
    let work = Work { removal: false, pending: true };
    let namespace = provider.namespace.clone().unwrap_or_default();
    Class { provider: Some(provider), namespace, priority: work.priority(cause) }
}

/// The work to do for an object, by the rules of its kind.
fn work_of<K: Rules>(object: &K, options: &Options, now: Timestamp) -> Work {
    // A link that cannot be revoked must not give each poll of its request the priority of a revocation that can
    // succeed.
    let is_refused = object.conditions().iter().any(|condition| condition.type_ == REVOKE_REFUSED);
    judge(object, options, now, |input| Work {
        removal: input.is_deleting() || (!is_refused && K::is_removing(input)),
        pending: if is_refused { K::is_send_pending(input) } else { K::is_pending(input) },
    })
}

#[cfg(test)]
mod tests;
