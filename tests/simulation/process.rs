//! A process of the operator: its watch caches, its memory, its loops. It can be
//! suspended and killed between any two calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, ProviderConfigRef};
use beyond_identity_operator::enrollment_request::reservations::Reservations;
use beyond_identity_operator::reconcile::{ObjectUid, Options};
use beyond_identity_operator::triggers::{self, Cache, Enqueue, Fingerprint};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until};

use crate::controller::{self, Controller};
use crate::kubernetes::{Change, Key, Kind, Objects};
use crate::lease::Candidate;
use crate::reconciles;
use crate::world::World;

/// A process.
pub struct Process {
    pub world: Arc<World>,
    pub name: String,
    pub requests: Mutex<Objects<EnrollmentRequest>>,
    pub configs: Mutex<Objects<AuthenticatorConfig>>,
    /// How far its wall clock is from the true time, when the clocks have not jumped since it was started.
    pub skew: SignedDuration,
    /// How far they had jumped then.
    pub clocks: SignedDuration,
    /// When it was started, by its own wall clock and by the monotonic one.
    pub began: (Timestamp, Instant),
    /// Until when it leads, where one of several is elected.
    leads_until: Option<Mutex<Instant>>,
    /// Whether it starts no remote writes any more.
    pub ending: AtomicBool,
    /// Whether it is the successor of one that was killed.
    pub restarted: bool,
    /// How many changes of each kind its caches have.
    seen: (usize, usize),
    /// What its triggers go by.
    options: Options,
    /// Which person belongs to which request.
    pub reservations: Arc<Reservations>,
    /// Wakes the loops.
    controllers: OnceLock<Controllers>,
    /// Whether the reservations are filled, and it works.
    filled: AtomicBool,
    at_work: Notify,
    /// Whether it has seen the token.
    pub saw_token: AtomicBool,
    /// Status writes that are still to fail.
    pub failing_writes: Mutex<u32>,
    dead: AtomicBool,
    suspended: Mutex<Option<Instant>>,
    died: Notify,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// What wakes the loop of each kind.
struct Controllers {
    configs: Arc<Controller<AuthenticatorConfig>>,
    requests: Arc<Controller<EnrollmentRequest>>,
}

impl Process {
    /// Starts a process; where one of several is elected, one that leads until then.
    pub fn start(
        world: &Arc<World>,
        name: String,
        restarted: bool,
        elected: Option<(Candidate, Instant)>,
    ) -> Arc<Self> {
        let process = Arc::new_cyclic(|this: &Weak<Self>| {
            let mut state = world.lock();
            // Its watches may have lagged while it waited for its turn.
            let lag = state.watch_lag();
            let moment = Instant::now().checked_sub(lag).expect("there is a time before the beginning");
            let ((requests, seen_requests), (configs, seen_configs)) =
                (state.cluster.requests.as_of(moment), state.cluster.configs.as_of(moment));
            let this = this.clone();
            let skew = state.chance.skew(60);
            let wall = world.wall().checked_add(skew).expect("within the calendar");
            let freed = move |holder: &ObjectUid| {
                let process = this.upgrade();
                process.iter().for_each(|it| it.enqueue(triggers::reservation_freed(holder, &**it)));
            };
            Self {
                world: world.clone(),
                name,
                requests: Mutex::new(requests),
                configs: Mutex::new(configs),
                seen: (seen_requests, seen_configs),
                skew,
                clocks: state.clocks,
                began: (wall, Instant::now()),
                leads_until: elected.as_ref().map(|(_, until)| Mutex::new(*until)),
                ending: AtomicBool::new(false),
                restarted,
                options: reconciles::options(reconciles::SETTLE),
                reservations: Arc::new(Reservations::new(freed)),
                controllers: OnceLock::new(),
                filled: AtomicBool::new(false),
                at_work: Notify::new(),
                saw_token: AtomicBool::new(false),
                failing_writes: Mutex::new(0),
                dead: AtomicBool::new(false),
                suspended: Mutex::new(None),
                died: Notify::new(),
                tasks: Mutex::default(),
            }
        });
        world.say(format_args!("{} starts", process.name));
        let configs = Controller::new(&process, reconciles::config_reconciles(&process), controller::class_of_config);
        let requests =
            Controller::new(&process, reconciles::request_reconciles(&process), controller::class_of_request);
        _ = process.controllers.set(Controllers { configs, requests });
        process.watch(
            process.seen.1,
            |process, before, config| triggers::config_applied(before, config, false, process),
            |process, config: &AuthenticatorConfig| {
                triggers::config_deleted(config.metadata.namespace.as_deref(), &config.name_any(), process)
            },
        );
        process.watch(
            process.seen.0,
            |process, before, request| triggers::request_applied(before, request, false, process),
            |process, request: &EnrollmentRequest| {
                process.reservations.release(&ObjectUid::of(request));
                triggers::request_deleted(request.metadata.namespace.as_deref(), process)
            },
        );
        process.watch_provider();
        if let Some((candidate, until)) = elected {
            process.spawn(candidate.hold(process.clone(), until));
        }
        let filling = process.clone();
        process.spawn(async move {
            filling.reservations.seed(&reconciles::all_requests(&filling).await);
            filling.filled.store(true, Ordering::SeqCst);
            filling.at_work.notify_waiters();
        });
        process
    }

    /// Wakes the loop for a request that the cache has.
    pub fn wake_request(&self, key: &Key) {
        self.controllers.get().iter().for_each(|controllers| controllers.requests.enqueue(key));
    }

    /// Wakes the loop for a configuration that the cache has.
    pub fn wake_config(&self, key: &Key) {
        self.controllers.get().iter().for_each(|controllers| controllers.configs.enqueue(key));
    }

    /// Wakes the loops for what a change enqueues.
    fn enqueue(&self, Enqueue { configs, requests }: Enqueue) {
        let Some(controllers) = self.controllers.get() else { return };
        configs.into_iter().for_each(|it| controllers.configs.enqueue(&(it.namespace.unwrap_or_default(), it.name)));
        requests.into_iter().for_each(|it| controllers.requests.enqueue(&(it.namespace.unwrap_or_default(), it.name)));
    }

    /// Whether it leads now, by its own clock; always, where none is elected.
    pub fn leads(&self) -> bool {
        self.leads_until.as_ref().is_none_or(|until| Instant::now() < *until.lock())
    }

    /// It leads until then.
    pub fn lead_until(&self, until: Instant) {
        self.leads_until.iter().for_each(|leads_until| *leads_until.lock() = until);
    }

    /// Whether one of several is elected.
    pub fn is_elected(&self) -> bool {
        self.leads_until.is_some()
    }

    /// Waits until it may work.
    pub async fn work_begins(&self) {
        loop {
            let begins = self.at_work.notified();
            if self.filled.load(Ordering::SeqCst) {
                return;
            }
            begins.await;
        }
    }

    /// Kills it.
    pub fn kill(&self) {
        if !self.dead.swap(true, Ordering::SeqCst) {
            self.world.say(format_args!("{} is killed", self.name));
            self.died.notify_one();
            self.tasks.lock().drain(..).for_each(|task| task.abort());
        }
    }

    /// Waits until it is dead.
    pub async fn death(&self) {
        self.died.notified().await;
    }

    /// Suspends it.
    pub fn suspend(&self, pause: Duration) {
        self.world.say(format_args!("{} is suspended for {pause:?}", self.name));
        *self.suspended.lock() = Some(Instant::now() + pause);
    }

    /// Waits while the process is suspended, and for ever once it is dead.
    pub async fn awake(&self) {
        loop {
            if self.dead.load(Ordering::SeqCst) {
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

    /// Follows the changes of one kind from the change `next` on, some way behind, and wakes the loops.
    fn watch<K: Kind>(
        self: &Arc<Self>,
        mut next: usize,
        applied: fn(&Self, Option<Fingerprint>, &K) -> Enqueue,
        gone: fn(&Self, &K) -> Enqueue,
    ) {
        let process = self.clone();
        let changes = self.world.lock().cluster.changes.clone();
        let objects = K::cache(self).lock().clone();
        objects.values().for_each(|object| self.enqueue(applied(self, None, object)));
        self.spawn(async move {
            loop {
                // Hears of every change from here on.
                let changed = changes.notified();
                let (change, behind) = {
                    let mut state = process.world.lock();
                    let change = K::table(&mut state).log.get(next).cloned();
                    (change, state.watch_lag())
                };
                let Some(Change { key, object, gone: is_gone, .. }) = change else {
                    changed.await;
                    continue;
                };
                sleep(behind).await;
                process.awake().await;
                if process.world.lock().watch_starts_anew() {
                    next = process.relist(applied);
                    continue;
                }
                next += 1;
                let mut cache = K::cache(&process).lock();
                let before = if is_gone { cache.remove(&key) } else { cache.insert(key.clone(), object.clone()) };
                drop(cache);
                let before = before.map(|before| Fingerprint::of(&*before));
                process.enqueue(if is_gone { gone(&process, &object) } else { applied(&process, before, &object) });
            }
        });
    }

    /// Puts what there is now in the place of a cache, as a watch does that starts anew: nobody hears of what is gone.
    fn relist<K: Kind>(&self, applied: fn(&Self, Option<Fingerprint>, &K) -> Enqueue) -> usize {
        let (objects, next) = {
            let mut state = self.world.lock();
            let table = K::table(&mut state);
            (table.objects.clone(), table.log.len())
        };
        self.world.say(format_args!("{}: a watch of {} starts anew", self.name, K::kind(&())));
        let before = std::mem::replace(&mut *K::cache(self).lock(), objects.clone());
        for (key, object) in objects {
            let before = before.get(&key).map(|before| Fingerprint::of(&**before));
            self.enqueue(applied(self, before, &object));
        }
        next
    }

    /// Hears of the changes of the provider config and its Secret, some time later.
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
                let behind = {
                    let mut state = process.world.lock();
                    let is_news =
                        std::mem::replace(&mut known, state.remote.provider_changes) != state.remote.provider_changes;
                    is_news.then(|| state.watch_lag())
                };
                let Some(behind) = behind else {
                    changed.await;
                    continue;
                };
                sleep(behind).await;
                process.awake().await;
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
