//! Secrets, each watched by name. Such a watch needs permission for the named Secrets only, delivers changes
//! immediately, and makes reads free.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use parking_lot::Mutex;
use secrecy::zeroize::Zeroizing;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::client::WATCH;
use super::watch::Pauses;
use crate::runtime::cause;

/// How long to wait for the API server's first response about a Secret.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The observed state of a Secret. It has no `Debug`, so that it cannot be printed.
#[derive(Clone, PartialEq)]
pub enum ObservedSecret {
    /// The data, by key. It is wiped from memory when it is dropped; the buffers in which it arrived are not.
    Present(Arc<SecretData>),
    /// No Secret of this name exists.
    Absent,
    /// The operator lacks permission.
    Forbidden,
    /// The API server has not responded yet; the sentence says why.
    Unknown(String),
}

/// The values of a Secret, by key.
pub type SecretData = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Called with a changed Secret and its observed state.
type Changed = dyn Fn(&ObjectRef<Secret>, &ObservedSecret) + Send + Sync;

/// The watched Secrets. Dropping this stops the watches.
pub struct Secrets {
    client: Client,
    changed: Arc<Changed>,
    watched: Mutex<HashMap<ObjectRef<Secret>, Watched>>,
}

struct Watched {
    seen: watch::Receiver<Option<ObservedSecret>>,
    _task: AbortOnDropHandle<()>,
}

impl Secrets {
    /// Creates it without watches. `changed` is called when a Secret's observed state changes.
    pub fn new(client: Client, changed: impl Fn(&ObjectRef<Secret>, &ObservedSecret) + Send + Sync + 'static) -> Self {
        Self { client, changed: Arc::new(changed), watched: Mutex::default() }
    }

    /// Watches this Secret too.
    pub fn watch_also(&self, secret: &ObjectRef<Secret>) {
        self.watched.lock().entry(secret.clone()).or_insert_with(|| self.watch(secret));
    }

    /// Watches exactly the Secrets that `wanted` returns, and stops all other watches. `wanted` runs under the lock:
    /// otherwise a slow caller would stop the watch of a Secret that was added after it had looked.
    pub fn watch_only(&self, wanted: impl FnOnce() -> HashSet<ObjectRef<Secret>>) {
        let mut watched = self.watched.lock();
        let secrets = wanted();
        watched.retain(|secret, _| secrets.contains(secret));
        for secret in secrets {
            watched.entry(secret).or_insert_with_key(|secret| self.watch(secret));
        }
    }

    /// The observed state of a Secret, if there is one yet.
    pub fn known(&self, secret: &ObjectRef<Secret>) -> Option<ObservedSecret> {
        let watched = self.watched.lock();
        watched.get(secret)?.seen.borrow().clone()
    }

    /// The observed state of a Secret. Starts the watch if there is none, and waits for the API server's first
    /// response.
    pub async fn get(&self, secret: &ObjectRef<Secret>) -> ObservedSecret {
        let mut seen = {
            let mut watched = self.watched.lock();
            watched.entry(secret.clone()).or_insert_with(|| self.watch(secret)).seen.clone()
        };
        match tokio::time::timeout(TIMEOUT, seen.wait_for(Option::is_some)).await {
            Ok(Ok(seen)) => seen.clone().unwrap_or_else(|| ObservedSecret::Unknown("not observed yet".to_owned())),
            Ok(Err(_)) => ObservedSecret::Unknown("no longer watched".to_owned()),
            Err(_) => ObservedSecret::Unknown(format!("no answer within {} s", TIMEOUT.as_secs())),
        }
    }

    fn watch(&self, secret: &ObjectRef<Secret>) -> Watched {
        let (sender, seen) = watch::channel(None);
        let api: Api<Secret> = Api::namespaced(self.client.clone(), secret.namespace.as_deref().unwrap_or_default());
        let named = watcher::Config::default().fields(&format!("metadata.name={}", secret.name)).timeout(WATCH);
        let events = watcher(api, named).backoff(Pauses);
        let (secret, changed) = (secret.clone(), self.changed.clone());
        let task = tokio::spawn(async move { follow(events, &secret, &sender, &*changed).await });
        Watched { seen, _task: AbortOnDropHandle::new(task) }
    }
}

/// Records the state from `events` until the stream ends. While the watch fails, the last observed state is kept.
async fn follow(
    events: impl Stream<Item = watcher::Result<Event<Secret>>>,
    secret: &ObjectRef<Secret>,
    sender: &watch::Sender<Option<ObservedSecret>>,
    changed: &(impl Fn(&ObjectRef<Secret>, &ObservedSecret) + ?Sized),
) {
    let mut events = pin!(events);
    let (mut listed, mut disturbed) = (false, false);
    while let Some(event) = events.next().await {
        let seen = match event {
            Ok(Event::Init) => {
                listed = false;
                continue;
            }
            Ok(Event::Apply(found) | Event::InitApply(found)) => {
                (listed, disturbed) = (true, false);
                let data = found.data.unwrap_or_default().into_iter();
                ObservedSecret::Present(Arc::new(data.map(|(key, ByteString(value))| (key, value.into())).collect()))
            }
            Ok(Event::InitDone) if listed => {
                disturbed = false;
                continue;
            }
            Ok(Event::Delete(_) | Event::InitDone) => {
                disturbed = false;
                ObservedSecret::Absent
            }
            // Every watch ends this way at times. A failed restart is reported separately.
            Err(watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_) | watcher::Error::NoResourceVersion) => {
                continue;
            }
            Err(error) => {
                if !std::mem::replace(&mut disturbed, true) {
                    let (namespace, name) = (secret.namespace.as_deref(), &secret.name);
                    tracing::warn!(kind = "Secret", namespace, name, error = cause(&error), "Watch failed; retrying");
                }
                if is_forbidden(&error) { ObservedSecret::Forbidden } else { ObservedSecret::Unknown(cause(&error)) }
            }
        };
        // A failing watch keeps the observed state. A lost permission replaces it, because changes would go unnoticed.
        let tells = !matches!(seen, ObservedSecret::Unknown(_));
        let news = sender.send_if_modified(|before| {
            let differs = before
                .as_ref()
                .is_none_or(|before| *before != seen && (tells || matches!(before, ObservedSecret::Unknown(_))));
            if differs {
                *before = Some(seen.clone());
            }
            differs
        });
        if news {
            changed(secret, &seen);
        }
    }
}

fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 403,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use futures::stream;
    use http::Uri;
    use kube::Config;
    use kube::core::Status;

    use super::*;

    fn holding(token: &str) -> Secret {
        let data = BTreeMap::from([("token".to_owned(), ByteString(token.as_bytes().to_vec()))]);
        Secret { data: Some(data), ..Secret::default() }
    }

    /// The events of a list.
    fn listed(found: Option<Secret>) -> Vec<watcher::Result<Event<Secret>>> {
        let found = found.map(|secret| Ok(Event::InitApply(secret)));
        [Ok(Event::Init)].into_iter().chain(found).chain([Ok(Event::InitDone)]).collect()
    }

    fn failed(code: u16) -> Vec<watcher::Result<Event<Secret>>> {
        let status = Status { code, ..Status::default() };
        vec![Err(watcher::Error::InitialListFailed(kube::Error::Api(status.boxed())))]
    }

    fn applied(secret: Secret) -> Vec<watcher::Result<Event<Secret>>> {
        vec![Ok(Event::Apply(secret))]
    }

    /// The final observation as one word, and the number of changes.
    async fn known<const N: usize>(events: [Vec<watcher::Result<Event<Secret>>>; N]) -> (String, usize) {
        let (sender, seen) = watch::channel(None);
        let secret = ObjectRef::new("beyond-identity").within("operator");
        let changes = Mutex::new(0);
        let events = stream::iter(events.into_iter().flatten());
        follow(events, &secret, &sender, &|_: &ObjectRef<Secret>, _: &ObservedSecret| *changes.lock() += 1).await;
        let word = match seen.borrow().clone().unwrap() {
            ObservedSecret::Present(data) => String::from_utf8(data["token"].to_vec()).unwrap(),
            ObservedSecret::Absent => "absent".to_owned(),
            ObservedSecret::Forbidden => "forbidden".to_owned(),
            ObservedSecret::Unknown(_) => "unknown".to_owned(),
        };
        (word, changes.into_inner())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 8)]
    async fn slow_caller_stops_no_watch_that_was_added_meanwhile() {
        // Nothing listens there.
        let client = Client::try_from(Config::new(Uri::from_static("http://127.0.0.1:1"))).unwrap();
        let secrets = Arc::new(Secrets::new(client, |_, _| {}));
        let all = Arc::new(Mutex::new(HashSet::new()));
        let one = |number: u32| {
            let (secrets, all) = (secrets.clone(), all.clone());
            tokio::spawn(async move {
                all.lock().insert(ObjectRef::new(&format!("of-{number}")).within("operator"));
                secrets.watch_only(|| {
                    let wanted = all.lock().clone();
                    std::thread::yield_now();
                    wanted
                });
            })
        };
        join_all((0..200).map(one)).await;
        assert_eq!(secrets.watched.lock().keys().cloned().collect::<HashSet<_>>(), *all.lock());
    }

    #[tokio::test]
    async fn only_changed_secret_is_reported() {
        let events = [listed(None), applied(holding("old")), listed(Some(holding("old"))), applied(holding("new"))];
        assert_eq!(known(events).await, ("new".to_owned(), 3));
        let deleted = vec![Ok(Event::Delete(holding("old")))];
        assert_eq!(known([listed(Some(holding("old"))), deleted]).await, ("absent".to_owned(), 2));
        assert_eq!(
            known([listed(Some(holding("old"))), listed(None)]).await,
            ("absent".to_owned(), 2),
            "deleted between two lists"
        );
    }

    #[tokio::test]
    async fn failed_watch_keeps_the_secret_and_forbidden_drops_it() {
        assert_eq!(known([listed(Some(holding("old"))), failed(500)]).await, ("old".to_owned(), 1));
        assert_eq!(known([listed(None), failed(500)]).await, ("absent".to_owned(), 1));
        assert_eq!(known([failed(403), failed(500)]).await, ("forbidden".to_owned(), 1));
        assert_eq!(known([listed(Some(holding("old"))), failed(403)]).await, ("forbidden".to_owned(), 2));
        assert_eq!(known([failed(500)]).await, ("unknown".to_owned(), 1));
        assert_eq!(known([failed(500), failed(403)]).await, ("forbidden".to_owned(), 2));
        assert_eq!(known([failed(403), listed(Some(holding("later")))]).await, ("later".to_owned(), 2));
    }
}
