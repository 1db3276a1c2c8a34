//! What a change enqueues: one function for each kind of change. Pure. The watches call them, and so does the simulation.
//!
//! One more thing enqueues an object: its turn at a tenant (`realm/limiter`). That is the object itself, and needs no rule.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::api::{AuthenticatorConfig, EnrollmentRequest, FINALIZER, ProviderConfigKey, ProviderConfigRef};
use crate::enrollment_request::plan::pending::is_pending;
use crate::enrollment_request::reservations::Holder;
use crate::reconcile::Options;
use crate::reconcile::rules::judge;

/// The objects that a watch has.
pub trait Cache {
    /// The configurations.
    fn configs(&self) -> Vec<Arc<AuthenticatorConfig>>;
    /// The requests.
    fn requests(&self) -> Vec<Arc<EnrollmentRequest>>;
    /// Whether this request is one of them.
    fn has_request(&self, request: &ObjectRef<EnrollmentRequest>) -> bool;
    /// How the operator is to run.
    fn options(&self) -> &Options;
    /// The wall clock.
    fn now(&self) -> Timestamp;
}

/// The objects to reconcile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Enqueue {
    /// The configurations.
    pub configs: Vec<ObjectRef<AuthenticatorConfig>>,
    /// The requests.
    pub requests: Vec<ObjectRef<EnrollmentRequest>>,
}

/// What a person or a tool can change of an object. It is all that a watch has to keep of a version to tell what the next
/// one changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Of its uid, its generation, its annotations, and whether it is being deleted.
    asked: u64,
    /// Whether the operator's finalizer stands.
    kept: bool,
}

impl Fingerprint {
    /// Of this version of an object.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let meta = object.meta();
        let mut hasher = DefaultHasher::new();
        (&meta.uid, meta.generation, &meta.annotations, meta.deletion_timestamp.is_some()).hash(&mut hasher);
        let kept = object.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        Self { asked: hasher.finish(), kept }
    }

    /// Whether somebody has changed something since `before`. The operator sets its finalizer itself, and only others take
    /// it off.
    pub fn differs_from(self, before: Option<Self>) -> bool {
        before.is_none_or(|before| before.asked != self.asked || (before.kept && !self.kept))
    }
}

/// A configuration is there, or there in another version than the one of `before`. Its status may have been `edited`.
pub fn config_applied(
    before: Option<Fingerprint>,
    config: &AuthenticatorConfig,
    edited: bool,
    cache: &impl Cache,
) -> Enqueue {
    let itself = Fingerprint::of(config).differs_from(before) || edited;
    Enqueue {
        configs: itself.then(|| ObjectRef::from_obj(config)).into_iter().collect(),
        ..config_deleted(config.metadata.namespace.as_deref(), &config.name_any(), cache)
    }
}

/// A configuration is gone.
pub fn config_deleted(namespace: Option<&str>, name: &str, cache: &impl Cache) -> Enqueue {
    let refers = |request: &EnrollmentRequest| {
        request.metadata.namespace.as_deref() == namespace && request.spec.authenticator_config_ref.name == name
    };
    Enqueue { configs: Vec::new(), requests: unsettled(cache, refers) }
}

/// A request is there, or there in another version than the one of `before`. Its status may have been `edited`.
pub fn request_applied(
    before: Option<Fingerprint>,
    request: &EnrollmentRequest,
    edited: bool,
    cache: &impl Cache,
) -> Enqueue {
    let changed = Fingerprint::of(request).differs_from(before);
    let mut enqueue = Enqueue::default();
    if changed || edited {
        enqueue.requests.push(ObjectRef::from_obj(request));
    }
    if changed {
        // The configuration that it referred to before is not known any more.
        let is_free = |config: &AuthenticatorConfig| {
            request.metadata.deletion_timestamp.is_some()
                || config.metadata.name.as_ref() != Some(&request.spec.authenticator_config_ref.name)
        };
        enqueue.configs = deleting(request.metadata.namespace.as_deref(), cache, is_free);
    }
    enqueue
}

/// A request is gone.
pub fn request_deleted(namespace: Option<&str>, cache: &impl Cache) -> Enqueue {
    Enqueue { configs: deleting(namespace, cache, |_| true), requests: Vec::new() }
}

/// A provider config, or its Secret, has changed.
pub fn provider_config_changed(provider: &ProviderConfigKey, cache: &impl Cache) -> Enqueue {
    let refers = |reference: &ProviderConfigRef, namespace: Option<&str>| {
        reference.name == provider.name && reference.resolve(namespace.unwrap_or_default()) == *provider
    };
    let configs = cache.configs();
    let configs =
        configs.iter().filter(|config| refers(&config.spec.provider_config_ref, config.metadata.namespace.as_deref()));
    let configs: Vec<_> = configs.map(|config| ObjectRef::from_obj(config.as_ref())).collect();
    let referred: HashSet<_> =
        configs.iter().map(|config| (config.namespace.as_deref(), config.name.as_str())).collect();
    let requests = unsettled(cache, |request| {
        let (namespace, status) = (request.metadata.namespace.as_deref(), request.status.as_ref());
        let concluded = status.and_then(|status| status.provider_config_ref.as_ref());
        let in_doubt = status.and_then(|status| status.send.as_ref()).map(|send| &send.provider_config_ref);
        concluded.into_iter().chain(in_doubt).any(|reference| refers(reference, namespace))
            || referred.contains(&(namespace, request.spec.authenticator_config_ref.name.as_str()))
    });
    Enqueue { requests, configs }
}

/// A person that this request waited for is free, or it may send to its identity now.
pub fn reservation_freed(holder: &Holder, cache: &impl Cache) -> Enqueue {
    let request = ObjectRef::new(&holder.name).within(&holder.namespace);
    Enqueue { requests: cache.has_request(&request).then_some(request).into_iter().collect(), configs: Vec::new() }
}

/// The concerned requests that still owe something. Those that are settled need nothing of others.
fn unsettled(cache: &impl Cache, concerned: impl Fn(&EnrollmentRequest) -> bool) -> Vec<ObjectRef<EnrollmentRequest>> {
    let requests = cache.requests();
    let (options, now) = (cache.options(), cache.now());
    let requests = requests.iter().filter(|request| concerned(request) && !is_settled(request, options, now));
    requests.map(|request| ObjectRef::from_obj(request.as_ref())).collect()
}

fn is_settled(request: &EnrollmentRequest, options: &Options, now: Timestamp) -> bool {
    let Some(status) = &request.status else { return false };
    let is_settled = status.failing_since.is_none() && !judge(request, options, now, is_pending);
    is_settled && !request.spec.revoked
}

/// The configurations of a namespace whose deletion may wait for a request to go.
fn deleting(
    namespace: Option<&str>,
    cache: &impl Cache,
    concerned: impl Fn(&AuthenticatorConfig) -> bool,
) -> Vec<ObjectRef<AuthenticatorConfig>> {
    let waits = |config: &AuthenticatorConfig| {
        config.metadata.deletion_timestamp.is_some() && config.metadata.namespace.as_deref() == namespace
    };
    let configs = cache.configs();
    let configs = configs.iter().filter(|config| waits(config) && concerned(config));
    configs.map(|config| ObjectRef::from_obj(config.as_ref())).collect()
}

#[cfg(test)]
mod tests;
