//! A process of the operator: its watch caches, its reservations and its controllers. It can be suspended and killed
//! between any two calls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef};
use beyond_identity_operator::beyond_identity::JobsPage;
use beyond_identity_operator::enrollment_request::pacer::SendPacer;
use beyond_identity_operator::enrollment_request::realm_lists::{RealmLists, Sharing};
use beyond_identity_operator::enrollment_request::reservations::Reservations;
use beyond_identity_operator::enrollment_request::shared::Shared;
use beyond_identity_operator::enrollment_request::watcher::JobWatcher;
use beyond_identity_operator::reconcile::{ObjectKey, ObjectUid, Options};
use beyond_identity_operator::triggers::{self, Cache, Enqueue, Fingerprint};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until};

use crate::controller::{self, Controller};
use crate::denied;
use crate::faults::Port;
use crate::kubernetes::{Change, Key, Kind, Objects};
use crate::lease::Candidate;
use crate::mutants::Mutation;
use crate::provider::{self, Provider};
use crate::reconciles;
use crate::world::World;

/// A process.
pub struct Process {
    pub world: Arc<World>,
    pub name: String,
    pub requests: Mutex<Objects<EnrollmentRequest>>,
    pub configs: Mutex<Objects<AuthenticatorConfig>>,
    /// The error of its wall clock, without the jumps since its start.
    pub skew: SignedDuration,
    /// The sum of the clock jumps at its start.
    pub clock_jumps: SignedDuration,
    /// When it was started, by its wall clock and by the monotonic clock.
    pub started_at: (Timestamp, Instant),
    /// Until when it is the leader, if the processes elect one.
    leader_until: Option<Mutex<Instant>>,
    /// Whether it is shutting down, and starts no remote writes.
    pub ending: AtomicBool,
    /// Whether it is a restart of an earlier process.
    pub restarted: bool,
    /// The number of changes of each kind in its initial caches.
    observed: (usize, usize),
    /// The options of its triggers.
    options: Options,
    /// What its requests share.
    pub shared: Shared,
    /// The controllers, once they are started.
    controllers: OnceLock<Controllers>,
    /// Whether the reservations are seeded, so that it reconciles.
    seeded: AtomicBool,
    seeded_notify: Notify,
    /// Whether it has seen the token.
    pub saw_token: AtomicBool,
    /// The token that it has seen last.
    pub last_token: AtomicU64,
    /// The health of its provider config, and its controller.
    pub provider: Provider,
    /// The pages of all jobs that a mutant returns again, by their tokens.
    pub old_pages: Mutex<BTreeMap<Option<String>, JobsPage>>,
    /// The number of status writes that still fail.
    pub failing_writes: Mutex<u32>,
    /// The kinds and namespaces whose watches have missed changes, because the operator has no Role there.
    pub missed: Mutex<BTreeSet<(Port, String)>>,
    killed: AtomicBool,
    suspended: Mutex<Option<Instant>>,
    killed_notify: Notify,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// The controller of each kind.
struct Controllers {
    configs: Arc<Controller<AuthenticatorConfig>>,
    requests: Arc<Controller<EnrollmentRequest>>,
}

impl Process {
    /// Starts a process. With leader election, it is the leader until the given time.
    pub fn start(
        world: &Arc<World>,
        name: String,
        restarted: bool,
        elected: Option<(Candidate, Instant)>,
    ) -> Arc<Self> {
        let process = Arc::new_cyclic(|this: &Weak<Self>| {
            let mut state = world.lock();
            // Its watches may have lagged while it waited for the Lease.
            let lag = state.watch_lag();
            let moment = Instant::now().checked_sub(lag).expect("a time before the start");
            let ((mut requests, seen_requests), (mut configs, seen_configs)) =
                (state.cluster.requests.as_of(moment), state.cluster.configs.as_of(moment));
            let missed = state
                .cluster
                .denied
                .iter()
                .flat_map(|namespace| [Port::ReadRequest, Port::ReadConfig].map(|kind| (kind, namespace.clone())));
            let missed = missed.collect();
            let readable = |key: &Key| !state.denies(&key.0);
            requests.retain(|key, _| readable(key));
            configs.retain(|key, _| readable(key));
            let (this, of_pacer, of_watcher) = (this.clone(), this.clone(), this.clone());
            let skew = state.chance.skew(60);
            let skew = state.remote.proxy.skew(skew);
            let wall = world.wall().checked_add(skew).expect("within the calendar");
            let freed = move |holder: &ObjectUid| {
                let process = this.upgrade();
                process.iter().for_each(|it| it.enqueue(triggers::reservation_freed(holder, &**it)));
            };
            let granted = move |ObjectKey { namespace, name, .. }: &ObjectKey| {
                let process = of_pacer.upgrade();
                process.iter().for_each(|it| it.enqueue_request(&(namespace.clone(), name.clone())));
            };
            let allowed = move |ObjectKey { namespace, name, .. }: &ObjectKey| {
                let process = of_watcher.upgrade().filter(|process| Mutation::of(process).enqueues_reads());
                process.iter().for_each(|it| it.enqueue_request(&(namespace.clone(), name.clone())));
            };
            let options = reconciles::options(reconciles::SETTLE);
            let lists = RealmLists::new(if state.shares_lists { Sharing::Always } else { Sharing::WhenCheaper });
            let watcher = JobWatcher::new(reconciles::POLL_BUDGET, options.times, allowed);
            Self {
                world: world.clone(),
                name,
                requests: Mutex::new(requests),
                configs: Mutex::new(configs),
                observed: (seen_requests, seen_configs),
                skew,
                clock_jumps: state.clock_jumps,
                started_at: (wall, Instant::now()),
                leader_until: elected.as_ref().map(|(_, until)| Mutex::new(*until)),
                ending: AtomicBool::new(false),
                restarted,
                options,
                shared: Shared::new(Reservations::new(freed), SendPacer::new(granted), watcher, lists),
                controllers: OnceLock::new(),
                seeded: AtomicBool::new(false),
                seeded_notify: Notify::new(),
                saw_token: AtomicBool::new(false),
                last_token: AtomicU64::new(0),
                provider: Provider::new(state.remote.paused_since.is_some()),
                old_pages: Mutex::default(),
                failing_writes: Mutex::new(0),
                missed: Mutex::new(missed),
                killed: AtomicBool::new(false),
                suspended: Mutex::new(None),
                killed_notify: Notify::new(),
                tasks: Mutex::default(),
            }
        });
        world.log(format_args!("{} starts", process.name));
        let configs = Controller::new(&process, reconciles::config_reconciles(&process), controller::class_of_config);
        let requests =
            Controller::new(&process, reconciles::request_reconciles(&process), controller::class_of_request);
        _ = process.controllers.set(Controllers { configs, requests });
        process.watch(
            process.observed.1,
            |process, before, config| triggers::config_applied(before, config, false, process),
            denied::config_gone,
        );
        process.watch(
            process.observed.0,
            |process, before, request| {
                let seen_at = process.world.first_seen();
                process.shared.realm_lists.observe(request, seen_at);
                triggers::request_applied(before, request, false, process)
            },
            denied::request_gone,
        );
        process.watch_provider();
        process.spawn(provider::control(process.clone()));
        if let Some((candidate, until)) = elected {
            process.spawn(candidate.renew_until_lost(process.clone(), until));
        }
        Mutation::of(&process).start(&process.shared.pacer);
        let pacer = process.shared.pacer.clone();
        process.spawn(async move { pacer.grant_turns().await });
        process.spawn(reconciles::follow_jobs(process.clone()));
        let seeding = process.clone();
        process.spawn(async move {
            reconciles::seed(&seeding).await;
            seeding.seeded.store(true, Ordering::SeqCst);
            seeding.seeded_notify.notify_waiters();
            seeding.seed_later().await;
        });
        process
    }

    /// Enqueues a request of the cache.
    pub fn enqueue_request(&self, key: &Key) {
        self.controllers.get().iter().for_each(|controllers| controllers.requests.enqueue(key));
    }

    /// Enqueues a configuration of the cache.
    pub fn enqueue_config(&self, key: &Key) {
        self.controllers.get().iter().for_each(|controllers| controllers.configs.enqueue(key));
    }

    /// Enqueues the objects that a change triggers.
    pub fn enqueue(&self, Enqueue { configs, requests }: Enqueue) {
        let Some(controllers) = self.controllers.get() else { return };
        configs.into_iter().for_each(|it| controllers.configs.enqueue(&(it.namespace.unwrap_or_default(), it.name)));
        requests.into_iter().for_each(|it| controllers.requests.enqueue(&(it.namespace.unwrap_or_default(), it.name)));
    }

    /// Whether it is the leader now, by its own clock. Always true without leader election.
    pub fn is_leader(&self) -> bool {
        self.leader_until.as_ref().is_none_or(|until| Instant::now() < *until.lock())
    }

    /// Extends its leadership until this time.
    pub fn extend_leadership(&self, until: Instant) {
        self.leader_until.iter().for_each(|leader_until| *leader_until.lock() = until);
    }

    /// Whether the processes elect a leader.
    pub fn is_elected(&self) -> bool {
        self.leader_until.is_some()
    }

    /// Waits until the reservations are seeded.
    pub async fn wait_until_seeded(&self) {
        loop {
            let notified = self.seeded_notify.notified();
            if self.seeded.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }

    /// Kills it.
    pub fn kill(&self) {
        if !self.killed.swap(true, Ordering::SeqCst) {
            self.world.log(format_args!("{} is killed", self.name));
            self.killed_notify.notify_one();
            self.tasks.lock().drain(..).for_each(|task| task.abort());
        }
    }

    /// Waits until it is killed.
    pub async fn wait_until_killed(&self) {
        self.killed_notify.notified().await;
    }

    /// Suspends it.
    pub fn suspend(&self, pause: Duration) {
        self.world.log(format_args!("{} is suspended for {pause:?}", self.name));
        *self.suspended.lock() = Some(Instant::now() + pause);
    }

    /// Waits while the process is suspended, and forever once it is killed.
    pub async fn wait_while_suspended(&self) {
        loop {
            if self.killed.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let until = self.suspended.lock().filter(|until| *until > Instant::now());
            let Some(until) = until else { return };
            sleep_until(until).await;
        }
    }

    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let handle = tokio::spawn(task);
        let mut tasks = self.tasks.lock();
        tasks.retain(|task| !task.is_finished());
        tasks.push(handle.abort_handle());
        handle
    }

    /// Watches one kind from the change `next` on, with a lag, and enqueues objects.
    fn watch<K: Kind>(
        self: &Arc<Self>,
        mut next: usize,
        applied: fn(&Self, Option<Fingerprint>, &K) -> Enqueue,
        on_deleted: fn(&Self, &K) -> Enqueue,
    ) {
        let process = self.clone();
        let changes = self.world.lock().cluster.changes.clone();
        let objects = K::cache(self).lock().clone();
        objects.values().for_each(|object| self.enqueue(applied(self, None, object)));
        self.spawn(async move {
            loop {
                // Subscribed before the log is read, so that no change is missed.
                let changed = changes.notified();
                process.catch_up(
                    |before, object| process.enqueue(applied(&process, before, object)),
                    |gone| process.enqueue(on_deleted(&process, gone)),
                );
                let (change, lag) = {
                    let mut state = process.world.lock();
                    let change = K::table(&mut state).log.get(next).cloned();
                    (change, state.watch_lag())
                };
                let Some(Change { key, object, deleted: is_deleted, .. }) = change else {
                    changed.await;
                    continue;
                };
                sleep(lag).await;
                process.wait_while_suspended().await;
                if process.world.lock().watch_restarts() {
                    next = process.relist(applied);
                    continue;
                }
                next += 1;
                if process.world.lock().denies(&key.0) {
                    process.has_missed::<K>(&key.0);
                    if Mutation::of(&process).forgets_denied_namespaces() {
                        let cached: Vec<_> = K::cache(&process).lock().values().cloned().collect();
                        let within = cached.iter().filter(|it| it.namespace().as_ref() == Some(&key.0));
                        within.for_each(|it| _ = on_deleted(&process, it));
                    }
                    continue;
                }
                let mut cache = K::cache(&process).lock();
                let before = if is_deleted { cache.remove(&key) } else { cache.insert(key.clone(), object.clone()) };
                drop(cache);
                let before = before.map(|before| Fingerprint::of(&*before));
                process.enqueue(if is_deleted {
                    on_deleted(&process, &object)
                } else {
                    applied(&process, before, &object)
                });
            }
        });
    }

    /// Replaces a cache with the current objects, as a restarted watch does. Deletions trigger nothing.
    fn relist<K: Kind>(&self, applied: fn(&Self, Option<Fingerprint>, &K) -> Enqueue) -> usize {
        let (mut objects, next, denied) = {
            let mut state = self.world.lock();
            let denied = state.cluster.denied.clone();
            let table = K::table(&mut state);
            (table.objects.clone(), table.log.len(), denied)
        };
        self.world.log(format_args!("{}: the watch of {} restarts", self.name, K::kind(&())));
        objects.retain(|key, _| !denied.contains(&key.0));
        let before = {
            let mut cache = K::cache(self).lock();
            let kept: Vec<_> = cache.extract_if(.., |key, _| denied.contains(&key.0)).collect();
            let before = std::mem::replace(&mut *cache, objects.clone());
            cache.extend(kept);
            before
        };
        denied.iter().for_each(|namespace| self.has_missed::<K>(namespace));
        for (key, object) in objects {
            let before = before.get(&key).map(|before| Fingerprint::of(&**before));
            self.enqueue(applied(self, before, &object));
        }
        next
    }

    /// Watches the provider config and its Secret, with a lag.
    fn watch_provider(self: &Arc<Self>) {
        let process = self.clone();
        let (changes, mut known) = {
            let state = self.world.lock();
            (state.cluster.changes.clone(), state.remote.provider_changes)
        };
        let provider = ProviderConfigRef::default().resolve("");
        self.spawn(async move {
            loop {
                let changed = changes.notified();
                let lag = {
                    let mut state = process.world.lock();
                    let has_changed =
                        std::mem::replace(&mut known, state.remote.provider_changes) != state.remote.provider_changes;
                    has_changed.then(|| state.watch_lag())
                };
                let Some(lag) = lag else {
                    changed.await;
                    continue;
                };
                sleep(lag).await;
                process.wait_while_suspended().await;
                let is_paused = process.world.lock().remote.paused_since.is_some();
                process.provider.observe(is_paused);
                process.enqueue(triggers::provider_config_changed(&provider, &*process));
            }
        });
    }
}

impl Cache for Process {
    fn configs(&self) -> Vec<Arc<AuthenticatorConfig>> {
        self.configs.lock().values().cloned().collect()
    }

    fn requests(&self) -> Vec<Arc<EnrollmentRequest>> {
        self.requests.lock().values().cloned().collect()
    }

    fn has_request(&self, request: &ObjectRef<EnrollmentRequest>) -> bool {
        let key = (request.namespace.clone().unwrap_or_default(), request.name.clone());
        self.requests.lock().contains_key(&key)
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn now(&self) -> Timestamp {
        self.world.wall()
    }
}
