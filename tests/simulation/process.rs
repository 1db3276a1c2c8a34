//! A process of the operator: its watch caches, its memory, its loops. It can be
//! suspended and killed between any two calls.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use beyond_identity_operator::enrollment_request::reservations::{Holder, Reservations};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until};

use crate::kubernetes::{Change, Key, Kind, Objects};
use crate::lease::Candidate;
use crate::looks;
use crate::waker::Waker;
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
    /// Which person belongs to which request.
    pub reservations: Arc<Reservations>,
    /// Wakes the loops.
    wakers: OnceLock<Wakers>,
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
struct Wakers {
    configs: Arc<Waker<AuthenticatorConfig>>,
    requests: Arc<Waker<EnrollmentRequest>>,
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
            let wake = move |holder: &Holder| {
                let process = this.upgrade();
                process.iter().for_each(|it| it.wake_request(&(holder.namespace.clone(), holder.name.clone())));
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
                reservations: Arc::new(Reservations::new(wake)),
                wakers: OnceLock::new(),
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
        let configs = Waker::new(&process, looks::config_looks(&process));
        let requests = Waker::new(&process, looks::request_looks(&process));
        _ = process.wakers.set(Wakers { configs: configs.clone(), requests: requests.clone() });
        let waiting = requests.clone();
        process.watch(configs, process.seen.1, move |config, _| waiting.config_seen(config));
        let (reservations, this) = (process.reservations.clone(), Arc::downgrade(&process));
        process.watch(requests, process.seen.0, move |request, gone| {
            if gone {
                reservations.release(&Holder::of(request));
            }
            if let (true, Some(process)) = (gone || request.metadata.deletion_timestamp.is_some(), this.upgrade()) {
                process.user_goes(request);
            }
        });
        if let Some((candidate, until)) = elected {
            process.spawn(candidate.hold(process.clone(), until));
        }
        let filling = process.clone();
        process.spawn(async move {
            filling.reservations.fill(&looks::all_requests(&filling).await);
            filling.filled.store(true, Ordering::SeqCst);
            filling.at_work.notify_waiters();
        });
        process
    }

    /// Wakes the loop for a request that the cache has.
    pub fn wake_request(&self, key: &Key) {
        self.wakers.get().iter().for_each(|wakers| wakers.requests.wake_known(key));
    }

    /// Wakes the loop for a configuration that the cache has.
    pub fn wake_config(&self, key: &Key) {
        self.wakers.get().iter().for_each(|wakers| wakers.configs.wake_known(key));
    }

    /// Wakes the loop for the configurations whose deletion may wait for this request.
    fn user_goes(&self, request: &EnrollmentRequest) {
        let waits = |config: &AuthenticatorConfig| {
            config.metadata.deletion_timestamp.is_some() && config.metadata.namespace == request.metadata.namespace
        };
        let configs = self.configs.lock();
        let keys: Vec<Key> = configs.iter().filter(|(_, config)| waits(config)).map(|(key, _)| key.clone()).collect();
        drop(configs);
        keys.iter().for_each(|key| self.wake_config(key));
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
        waker: Arc<Waker<K>>,
        mut next: usize,
        seen: impl Fn(&K, bool) + Send + Sync + 'static,
    ) {
        let process = self.clone();
        let changes = self.world.lock().cluster.changes.clone();
        let keys: Vec<Key> = K::cache(self).lock().keys().cloned().collect();
        keys.iter().for_each(|key| waker.wake(key));
        self.spawn(async move {
            loop {
                // Hears of every change from here on.
                let changed = changes.notified();
                let (change, behind) = {
                    let mut state = process.world.lock();
                    let change = K::table(&mut state).log.get(next).cloned();
                    (change, state.watch_lag())
                };
                let Some(Change { key, object, gone, .. }) = change else {
                    changed.await;
                    continue;
                };
                sleep(behind).await;
                process.awake().await;
                if process.world.lock().watch_starts_anew() {
                    next = process.relist(&waker, &seen);
                    continue;
                }
                next += 1;
                let mut cache = K::cache(&process).lock();
                let before = if gone { cache.remove(&key) } else { cache.insert(key.clone(), object.clone()) };
                drop(cache);
                seen(&object, gone);
                if !gone && before.is_none_or(|before| !looks_the_same(before.as_ref(), object.as_ref())) {
                    waker.wake(&key);
                }
            }
        });
    }

    /// Puts what there is now in the place of a cache, as a watch does that starts anew: nobody hears of what is gone.
    fn relist<K: Kind>(&self, waker: &Waker<K>, seen: &impl Fn(&K, bool)) -> usize {
        let (objects, next) = {
            let mut state = self.world.lock();
            let table = K::table(&mut state);
            (table.objects.clone(), table.log.len())
        };
        self.world.say(format_args!("{}: a watch of {} starts anew", self.name, K::kind(&())));
        let before = std::mem::replace(&mut *K::cache(self).lock(), objects.clone());
        for (key, object) in objects {
            seen(&object, false);
            if before.get(&key).is_none_or(|before| !looks_the_same(before.as_ref(), object.as_ref())) {
                waker.wake(&key);
            }
        }
        next
    }
}

/// Whether a change is none that a loop is woken for.
fn looks_the_same<K: Kind>(a: &K, b: &K) -> bool {
    let (meta, other) = (a.meta(), b.meta());
    meta.uid == other.uid
        && meta.generation == other.generation
        && meta.annotations == other.annotations
        && meta.finalizers == other.finalizers
}
