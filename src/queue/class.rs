//! How urgent the reconcile of an object is, and whose share of the workers it takes. Pure.

use std::cmp::min;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::conditions::REVOKE_REFUSED;
use crate::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigKey};
use crate::reconcile::rules::judge;
use crate::reconcile::{Options, Rules};

/// What the order of an object's reconcile goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The provider config whose calls the reconcile makes; `None` where it is not known.
    pub provider: Option<ProviderConfigKey>,
    /// The namespace of the object.
    pub namespace: String,
    /// How urgent it is.
    pub priority: Priority,
}

/// How urgent a reconcile is. A later one is more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// A poll or a resync.
    Routine,
    /// The first reconcile of an object by this process, or a retry.
    First,
    /// An email to send, or a configuration to create or to update.
    Pending,
    /// A revocation or a deletion that was asked for.
    Removal,
}

impl Priority {
    /// All of them, the most urgent one first.
    pub const ALL: [Self; 4] = [Self::Removal, Self::Pending, Self::First, Self::Routine];

    /// The value of the metric label `priority`. As in controller-runtime it is a number, more urgent work has a higher one,
    /// 0 is that of an ordinary event, and -100 that of what is only reconciled again (its `LowPriority`).
    pub fn label(self) -> &'static str {
        match self {
            Self::Routine => "-100",
            Self::First => "0",
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
    /// Something has changed, or another writer came first and the reconcile starts over.
    Change,
    /// The delay that its last reconcile asked for is over, and nothing has changed.
    Requeue,
    /// It is its turn to call its tenant. The limiter has chosen it among all that wait, and keeps the turn only for a while.
    Turn,
}

/// What is to be done for an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Work {
    /// Something is to be revoked or deleted.
    removal: bool,
    /// Something is to be sent, created or updated.
    pending: bool,
}

impl Work {
    /// What was tried by this process, and comes back after its own delay, has failed, or waits for something that did not
    /// come. It ranks below all that nobody has tried yet: 1,000 sends to identities that are not there must not hold up one
    /// that can go out. It ranks above polls: one lost answer must not put an email behind all of them. A change makes it as
    /// urgent as before.
    fn priority(self, cause: Cause) -> Priority {
        let priority = match (self, cause) {
            (Self { removal: true, .. }, _) => Priority::Removal,
            (Self { pending: true, .. }, _) => Priority::Pending,
            (_, Cause::First) => Priority::First,
            (_, Cause::Turn) => Priority::Pending,
            (_, Cause::Change | Cause::Requeue) => Priority::Routine,
        };
        if cause == Cause::Requeue { min(priority, Priority::First) } else { priority }
    }
}

/// The class of an AuthenticatorConfig.
pub fn of_config(config: &AuthenticatorConfig, cause: Cause, options: &Options, now: Timestamp) -> Class {
    let namespace = config.namespace().unwrap_or_default();
    let provider = Some(config.spec.provider_config_ref.resolve(&namespace));
    Class { provider, namespace, priority: work_of(config, options, now).priority(cause) }
}

/// The class of an EnrollmentRequest. `config` finds the AuthenticatorConfig of this name in its namespace.
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
    // What was sent is followed where it was sent, whatever the AuthenticatorConfig says by now.
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

/// What the rules of an object's kind say is to be done for it.
fn work_of<K: Rules>(object: &K, options: &Options, now: Timestamp) -> Work {
    // A link that cannot be revoked must not make each poll of its request as urgent as a revocation that can succeed.
    let is_refused = object.conditions().iter().any(|condition| condition.type_ == REVOKE_REFUSED);
    judge(object, options, now, |input| Work {
        removal: input.is_deleting() || (!is_refused && K::is_removing(input)),
        pending: if is_refused { K::is_send_pending(input) } else { K::is_pending(input) },
    })
}

#[cfg(test)]
mod tests;
