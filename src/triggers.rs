//! The triggers: which objects a change enqueues, with one function for each kind of change. Pure. The watches and the
//! simulation call them.
//!
//! An object's turn at a tenant (`realm/limiter`) also enqueues it. This needs no rule, as it is the object itself.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};

use crate::api::{AuthenticatorConfig, EnrollmentRequest, FINALIZER, ProviderConfigKey, ProviderConfigRef};
use crate::enrollment_request::job_state::is_complete;
use crate::enrollment_request::plan::pending::is_pending;
use crate::reconcile::ObjectUid;
use crate::reconcile::Options;
use crate::reconcile::rules::judge;

/// Read access to the watch caches.
pub trait Cache {
    /// The configurations.
    fn configs(&self) -> Vec<Arc<AuthenticatorConfig>>;
    /// The requests. Finished ones, which are settled, may be missing.
    fn requests(&self) -> Vec<Arc<EnrollmentRequest>>;
    /// Calls `each` with each request that is missing in [`requests`](Self::requests).
    fn each_finished(&self, _: &mut dyn FnMut(&EnrollmentRequest)) {}
    /// Whether the cache has this request.
    fn has_request(&self, request: &ObjectRef<EnrollmentRequest>) -> bool;
    /// The configuration of reconciles.
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

/// The hash of the parts of an object that users and other controllers can change. Those of two versions tell whether
/// somebody changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The hash of its uid, generation and annotations, and of whether it is being deleted.
    asked: u64,
    /// Whether the object has the operator's finalizer.
    kept: bool,
}

impl Fingerprint {
    /// The fingerprint of this version of an object.
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let meta = object.meta();
        let mut hasher = DefaultHasher::new();
        (&meta.uid, meta.generation, &meta.annotations, meta.deletion_timestamp.is_some()).hash(&mut hasher);
        let kept = is_held(object);
        Self { asked: hasher.finish(), kept }
    }

    /// Whether another writer changed something since `before`. The operator adds its finalizer itself, so only its
    /// removal by others counts.
    pub fn differs_from(self, before: Option<Self>) -> bool {
        before.is_none_or(|before| before.asked != self.asked || (before.kept && !self.kept))
    }
}

/// A configuration was added, or updated from the version of `before`. `edited`: its status may have been changed by
/// another writer.
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

/// A configuration was deleted.
pub fn config_deleted(namespace: Option<&str>, name: &str, cache: &impl Cache) -> Enqueue {
    let refers = |request: &EnrollmentRequest| {
        request.metadata.namespace.as_deref() == namespace && request.spec.authenticator_config_ref.name == name
    };
    Enqueue { configs: Vec::new(), requests: unsettled(cache, refers) }
}

/// A request was added, or updated from the version of `before`. `edited`: its status may have been changed by another
/// writer.
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
        // The configuration that the previous version referred to is unknown here.
        let is_free = |config: &AuthenticatorConfig| {
            request.metadata.deletion_timestamp.is_some()
                || config.metadata.name.as_ref() != Some(&request.spec.authenticator_config_ref.name)
        };
        enqueue.configs = deleting(request.metadata.namespace.as_deref(), cache, is_free);
    }
    enqueue
}

/// A request was deleted.
pub fn request_deleted(namespace: Option<&str>, cache: &impl Cache) -> Enqueue {
    Enqueue { configs: deleting(namespace, cache, |_| true), requests: Vec::new() }
}

/// A provider config or its Secret has changed.
pub fn provider_config_changed(provider: &ProviderConfigKey, cache: &impl Cache) -> Enqueue {
    let configs = configs_of(provider, cache);
    let requests = unsettled(cache, concerned_by(provider, &configs));
    Enqueue { requests, configs }
}

/// The labels of these namespaces have changed, by which these provider configs select them.
pub fn namespaces_relabeled(
    providers: &[ProviderConfigKey],
    namespaces: &BTreeSet<String>,
    cache: &impl Cache,
) -> Enqueue {
    let mut enqueue = Enqueue::default();
    for provider in providers {
        let Enqueue { mut configs, mut requests } = provider_config_changed(provider, cache);
        configs.retain(|config| config.namespace.as_ref().is_some_and(|namespace| namespaces.contains(namespace)));
        requests.retain(|request| request.namespace.as_ref().is_some_and(|namespace| namespaces.contains(namespace)));
        enqueue.configs.append(&mut configs);
        enqueue.requests.append(&mut requests);
    }
    enqueue
}

/// A provider config is Ready again, after objects had to wait for it. Those that only poll have missed their polls.
pub fn provider_config_ready(provider: &ProviderConfigKey, cache: &impl Cache) -> Enqueue {
    let configs = configs_of(provider, cache);
    let is_concerned = concerned_by(provider, &configs);
    let is_polled = |request: &EnrollmentRequest| {
        let status = request.status.as_ref();
        status.is_none_or(|status| status.job_id.is_some() && !is_complete(status.state.as_deref()))
    };
    let (options, now) = (cache.options(), cache.now());
    let requests = cache.requests();
    let waiting = requests
        .iter()
        .filter(|request| is_concerned(request) && (is_polled(request) || !is_settled(request, options, now)));
    let requests = waiting.map(|request| ObjectRef::from_obj(request.as_ref())).collect();
    drop(is_concerned);
    Enqueue { requests, configs }
}

/// The objects that need a provider config to clean up, such as `AuthenticatorConfig team/web`, in the order of their names.
/// One that only names it, perhaps from a namespace that may not use it, does not count.
pub fn referrers_of(provider: &ProviderConfigKey, cache: &impl Cache) -> Vec<String> {
    let name =
        |kind: &str, namespace: Option<&str>, name: &str| format!("{kind} {}/{name}", namespace.unwrap_or_default());
    let configs = cache.configs();
    let configs = configs.iter().filter(|config| created_through(provider, config));
    let configs = configs.map(|it| name("AuthenticatorConfig", it.metadata.namespace.as_deref(), &it.name_any()));
    let mut referrers: Vec<_> = configs.collect();
    let mut add = |request: &EnrollmentRequest| {
        if is_held(request) && sent_through(provider, request) {
            referrers.push(name("EnrollmentRequest", request.metadata.namespace.as_deref(), &request.name_any()));
        }
    };
    cache.requests().iter().for_each(|request| add(request));
    cache.each_finished(&mut add);
    referrers.sort();
    referrers
}

/// Whether a configuration refers to a provider config, and has something in its realm, or may have.
fn created_through(provider: &ProviderConfigKey, config: &AuthenticatorConfig) -> bool {
    let has_remote = config.status.as_ref().is_some_and(|status| status.id.is_some() || status.create.is_some());
    let namespace = config.metadata.namespace.as_deref();
    is_held(config) && has_remote && refers_to(provider, &config.spec.provider_config_ref, namespace)
}

/// Whether the operator still has to clean up after an object. Others may keep one for longer.
fn is_held<K: Resource>(object: &K) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// The configurations that refer to a provider config.
fn configs_of(provider: &ProviderConfigKey, cache: &impl Cache) -> Vec<ObjectRef<AuthenticatorConfig>> {
    let refers = |config: &&Arc<AuthenticatorConfig>| {
        refers_to(provider, &config.spec.provider_config_ref, config.metadata.namespace.as_deref())
    };
    cache.configs().iter().filter(refers).map(|config| ObjectRef::from_obj(config.as_ref())).collect()
}

/// Whether a request goes through a provider config to which `configs` refer: by its configuration, or by what it sent.
fn concerned_by<'a>(
    provider: &'a ProviderConfigKey,
    configs: &'a [ObjectRef<AuthenticatorConfig>],
) -> impl Fn(&EnrollmentRequest) -> bool + 'a {
    let referred: HashSet<_> =
        configs.iter().map(|config| (config.namespace.as_deref(), config.name.as_str())).collect();
    move |request| {
        let namespace = request.metadata.namespace.as_deref();
        sent_through(provider, request)
            || referred.contains(&(namespace, request.spec.authenticator_config_ref.name.as_str()))
    }
}

/// Whether a request has sent something through a provider config, or may have.
fn sent_through(provider: &ProviderConfigKey, request: &EnrollmentRequest) -> bool {
    let (namespace, status) = (request.metadata.namespace.as_deref(), request.status.as_ref());
    let concluded = status.and_then(|status| status.provider_config_ref.as_ref());
    let in_doubt = status.and_then(|status| status.send.as_ref()).map(|send| &send.provider_config_ref);
    concluded.into_iter().chain(in_doubt).any(|reference| refers_to(provider, reference, namespace))
}

fn refers_to(provider: &ProviderConfigKey, reference: &ProviderConfigRef, namespace: Option<&str>) -> bool {
    reference.name == provider.name && reference.resolve(namespace.unwrap_or_default()) == *provider
}

/// A request's reservation became free, or it may send to its identity now.
pub fn reservation_freed(holder: &ObjectUid, cache: &impl Cache) -> Enqueue {
    let request = ObjectRef::new(&holder.name).within(&holder.namespace);
    Enqueue { requests: cache.has_request(&request).then_some(request).into_iter().collect(), configs: Vec::new() }
}

/// The concerned requests with pending work. A settled request does not depend on other objects.
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

/// The configurations of a namespace whose deletion may wait for the deletion of a request.
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
