//! Namespaces in which the operator has no Role for a while, as when a watched namespace is deleted and created again.

use std::sync::Arc;
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::reconcile::ObjectUid;
use beyond_identity_operator::triggers::{self, Fingerprint};
use kube::ResourceExt;
use tokio::time::sleep;

use crate::actors::Action;
use crate::chance::Chance;
use crate::kubernetes::{Key, Kind};
use crate::mutants::Mutation;
use crate::process::Process;
use crate::reconciles;
use crate::world::State;

/// How often a process looks whether a namespace can be read again.
const INTERVAL: Duration = Duration::from_secs(2);

/// All namespaces of a run.
pub static NAMESPACES: [&str; 2] = ["a", "b"];

/// The actions of a seed. They are drawn separately, so that other schedules do not change.
pub fn actions(seed: u64) -> Vec<Action> {
    let mut chance = Chance::of(!seed ^ (1 << 42));
    if !chance.happens(0.15) {
        return Vec::new();
    }
    let namespace = chance.pick(&NAMESPACES);
    let times = 1 + usize::try_from(chance.below(3)).unwrap_or(0);
    repeated(namespace, times)
}

/// Denies a namespace this many times.
pub fn repeated(namespace: &str, times: usize) -> Vec<Action> {
    let once = || [Action::DenyNamespace(namespace.to_owned()), Action::AllowNamespace(namespace.to_owned())];
    (0..times).flat_map(|_| once()).collect()
}

impl State {
    /// Whether the operator may not access the objects of this namespace.
    pub fn denies(&self, namespace: &str) -> bool {
        self.cluster.denied.contains(namespace)
    }

    /// Allows access to all namespaces again.
    pub fn allow_all(&mut self) {
        if !self.cluster.denied.is_empty() {
            self.cluster.denied.clear();
            self.cluster.changes.notify_waiters();
        }
    }
}

impl Process {
    /// Remembers that the watch of a kind has missed changes in a namespace.
    pub fn has_missed<K: Kind>(&self, namespace: &str) {
        self.missed.lock().insert((K::READ, namespace.to_owned()));
    }

    /// Replaces the cached objects of each namespace that can be read again by the current ones, as its watch does.
    pub fn catch_up<K: Kind>(&self, on_applied: impl Fn(Option<Fingerprint>, &K), on_gone: impl Fn(&K)) {
        let allowed: Vec<String> = {
            let state = self.world.lock();
            let missed = self.missed.lock();
            let of_kind = missed.iter().filter(|(kind, namespace)| *kind == K::READ && !state.denies(namespace));
            of_kind.map(|(_, namespace)| namespace.clone()).collect()
        };
        for namespace in allowed {
            self.world.log(format_args!("{}: the namespace {namespace} can be read again", self.name));
            let is_within = |key: &Key| key.0 == namespace;
            let now: Vec<_> = {
                let mut state = self.world.lock();
                let objects = K::table(&mut state).objects.iter().filter(|(key, _)| is_within(key));
                objects.map(|(key, object)| (key.clone(), object.clone())).collect()
            };
            let before = {
                let mut cache = K::cache(self).lock();
                let before: Vec<_> = cache.extract_if(.., |key, _| is_within(key)).collect();
                cache.extend(now.iter().cloned());
                before
            };
            let same = |one: &K, other: &K| one.uid() == other.uid();
            for (_, gone) in before.iter().filter(|(_, old)| !now.iter().any(|(_, new)| same(old, new))) {
                on_gone(gone);
            }
            for (_, object) in now {
                let old = before.iter().find(|(_, old)| same(old, &object));
                on_applied(old.map(|(_, old)| Fingerprint::of(&**old)), &object);
            }
            self.missed.lock().remove(&(K::READ, namespace));
        }
    }

    /// Whether both watches know the current objects of a namespace.
    pub fn is_synced(&self, namespace: &str) -> bool {
        !self.world.lock().denies(namespace) && !self.missed.lock().iter().any(|(_, missed)| missed == namespace)
    }

    /// Seeds the reservations from each namespace that could not be read at the start, when it can be read.
    pub async fn seed_later(self: Arc<Self>) {
        let reservations = self.shared.reservations.clone();
        loop {
            let is_later = |it: &&[&str]| !reservations.is_seeded(&Some(it[0].to_owned()));
            let mut later = NAMESPACES.chunks(1).filter(is_later).peekable();
            if later.peek().is_none() {
                return;
            }
            let Some(namespace) = later.find(|it| self.is_synced(it[0])) else {
                drop(later);
                sleep(INTERVAL).await;
                self.wait_while_suspended().await;
                continue;
            };
            let (readable, requests) = reconciles::listed(&self, namespace).await;
            if readable.is_empty() {
                continue;
            }
            let (scope, mutation) = ([Some(namespace[0].to_owned())], Mutation::of(&self));
            reservations.seed_from(&scope, &mutation.late_seed(requests));
            self.world.lock().record.seeded_late += 1;
            let namespace = namespace[0];
            self.world.log(format_args!("{}: the namespace {namespace} is seeded later", self.name));
            let keys = |keys: Vec<Key>| keys.into_iter().filter(|key| key.0 == namespace).collect::<Vec<_>>();
            let configs = keys(self.configs.lock().keys().cloned().collect());
            let requests = keys(self.requests.lock().keys().cloned().collect());
            configs.iter().for_each(|key| self.enqueue_config(key));
            requests.iter().for_each(|key| self.enqueue_request(key));
        }
    }
}

/// What a deletion of a request triggers.
pub fn request_gone(process: &Process, request: &EnrollmentRequest) -> triggers::Enqueue {
    process.shared.released(&ObjectUid::of(request));
    triggers::request_deleted(request.metadata.namespace.as_deref(), process)
}

/// What a deletion of a configuration triggers.
pub fn config_gone(process: &Process, config: &AuthenticatorConfig) -> triggers::Enqueue {
    triggers::config_deleted(config.metadata.namespace.as_deref(), &config.name_any(), process)
}
