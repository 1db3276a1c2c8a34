//! The job watcher: follows the links that are out, at a fixed number of calls a minute for each realm, however many there
//! are. A request's job is read only when the watcher allows it, or when somebody requests a reconcile.

mod budget;
mod link;
mod realm;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::ProviderConfigRef;
use crate::reconcile::times::Times;
use crate::reconcile::{Caller, Destination, Environment, ObjectKey, Realms, Remote, Resolved};
pub use link::{Link, NoPage, Shown, ShownPage};
use realm::{Next, Realm};

type EnqueueFn = Box<dyn Fn(&ObjectKey) + Send + Sync>;

/// The least time between two passes over all links, so that thousands of changes cost few of them.
const PASS: Duration = Duration::from_millis(50);

/// Where jobs are: the endpoint, the tenant and the realm.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchedRealm {
    /// The endpoint, if the status has it.
    pub endpoint: Option<String>,
    /// The tenant id.
    pub tenant_id: String,
    /// The realm id.
    pub realm_id: String,
}

impl WatchedRealm {
    /// Whether calls to `destination` are about this realm.
    fn is_at(&self, destination: &Destination) -> bool {
        let Destination { realm, endpoint } = destination;
        let same_endpoint = self.endpoint.as_ref().is_none_or(|ours| ours == endpoint);
        same_endpoint && self.tenant_id == realm.tenant_id && self.realm_id == realm.realm_id
    }
}

/// The links that are out, in all realms. They live in the memory of the active process.
pub struct JobWatcher {
    state: Mutex<State>,
    enqueue: EnqueueFn,
    /// The calls a minute for each realm.
    per_minute: u32,
    times: Times,
    /// Notified when a link is due earlier than the next pass.
    changed: Notify,
}

#[derive(Default)]
struct State {
    realms: BTreeMap<WatchedRealm, Realm>,
    /// By the uid of the request: the realm of its job.
    of: HashMap<String, WatchedRealm>,
    next_pass: Option<Instant>,
}

/// A page to read.
struct Page {
    realm: WatchedRealm,
    token: Option<String>,
    request: ObjectKey,
    provider: ProviderConfigRef,
}

impl JobWatcher {
    /// A watcher that makes `per_minute` calls for each realm, and enqueues requests with `enqueue` when their jobs may be
    /// read.
    pub fn new(per_minute: u32, times: Times, enqueue: impl Fn(&ObjectKey) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), enqueue: Box::new(enqueue), per_minute, times, changed: Notify::new() }
    }

    /// Follows the job of the request with this uid, and no other of it.
    pub fn follow(&self, uid: &str, realm: WatchedRealm, link: Link) {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.of.get(uid).is_some_and(|before| *before != realm) {
            state.leave(uid);
        }
        state.of.insert(uid.to_owned(), realm.clone());
        let due = link.due.unwrap_or(now);
        state.realms.entry(realm).or_insert_with(|| Realm::new(self.per_minute, now)).follow(uid, link, now);
        if state.next_pass.is_none_or(|next| due < next) {
            self.changed.notify_one();
        }
    }

    /// Follows the job of the request with this uid no longer.
    pub fn leave(&self, uid: &str) {
        self.state.lock().leave(uid);
    }

    /// Whether the request with this uid may read its job now.
    pub fn may_read(&self, uid: &str, job_id: &str) -> bool {
        let state = self.state.lock();
        let realm = state.of.get(uid).and_then(|realm| state.realms.get(realm));
        realm.is_some_and(|realm| realm.may_read(uid, job_id))
    }

    /// The request with this uid read its job, with an answer (`answered`) or without one.
    pub fn read(&self, uid: &str, job_id: &str, answered: bool) {
        let mut state = self.state.lock();
        let State { realms, of, .. } = &mut *state;
        if let Some(realm) = of.get(uid).and_then(|realm| realms.get_mut(realm)) {
            realm.read(uid, job_id, answered, &self.times, Instant::now());
        }
    }

    /// The request with this uid may read its job, but its provider config may not call.
    pub fn held(&self, uid: &str) {
        let mut state = self.state.lock();
        let State { realms, of, .. } = &mut *state;
        if let Some(realm) = of.get(uid).and_then(|realm| realms.get_mut(realm)) {
            realm.held(uid, &self.times, Instant::now());
        }
    }

    /// Follows the links, forever.
    pub async fn run<R: Realms>(&self, realms: &R, environment: &impl Environment) {
        let mut pages = FuturesUnordered::new();
        loop {
            let (to_read, next) = self.pass(Instant::now());
            pages.extend(to_read.into_iter().map(|page| self.read_page(page, realms, environment)));
            sleep(PASS).await;
            tokio::select! {
                biased;
                // First, since changes may never end.
                Some(()) = pages.next() => {}
                () = self.changed.notified() => {}
                () = async { match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                } } => {}
            }
        }
    }

    /// Enqueues the requests whose jobs may be read. Returns the pages to read, and when to check again.
    fn pass(&self, now: Instant) -> (Vec<Page>, Option<Instant>) {
        let (mut pages, mut requests, mut next_pass) = (Vec::new(), Vec::new(), None::<Instant>);
        {
            let mut state = self.state.lock();
            state.realms.retain(|_, realm| !realm.is_idle(now));
            for (key, realm) in &mut state.realms {
                let at = match realm.next(now) {
                    Next::Wait(at) => at,
                    Next::Read(allowed) => {
                        requests.extend(allowed);
                        Some(now)
                    }
                    Next::Page { token, request, provider } => {
                        pages.push(Page { realm: key.clone(), token, request, provider });
                        None
                    }
                };
                next_pass = next_pass.into_iter().chain(at).min();
            }
            state.next_pass = next_pass;
        }
        requests.iter().for_each(|request| (self.enqueue)(request));
        (pages, next_pass)
    }

    async fn read_page<R: Realms>(&self, page: Page, realms: &R, environment: &impl Environment) {
        let Page { realm: key, token, request, provider } = page;
        let caller = Caller { object: request, is_pending: false, is_new: false, is_removing: false };
        let read = match realms.resolve(caller, &provider).await {
            Ok(Resolved { remote, permissions })
                if key.is_at(&remote.destination()) && permissions.not_allowed.is_none() =>
            {
                remote.page_of_all_jobs(token).await.map_err(|error| NoPage::from(&error))
            }
            Ok(_) => Err(NoPage::NotAllowed),
            Err(failure) => Err(NoPage::from(&failure)),
        };
        let (now, time) = (Instant::now(), environment.now());
        let mut state = self.state.lock();
        let Some(realm) = state.realms.get_mut(&key) else { return };
        match read {
            Ok(page) => realm.listed(page.into(), &self.times, (now, time)),
            Err(why) => realm.not_listed(why, now),
        }
    }
}

impl State {
    fn leave(&mut self, uid: &str) {
        if let Some(realm) = self.of.remove(uid)
            && let Some(realm) = self.realms.get_mut(&realm)
        {
            realm.leave(uid);
        }
    }
}

#[cfg(test)]
mod tests;
