//! Watches: each keeps a store in sync and reports changes.

use std::collections::HashMap;
use std::fmt::Debug;
use std::mem;
use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt, TryStreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};

use super::client::WATCH;
use super::lenient::{Lenient, Salvage};
use super::pages::PAGE;
use super::report::WatchReport;
use crate::reconcile::ObjectUid;
use crate::triggers::Fingerprint;

/// Watches the objects of `api` into `writer` forever, and reports when the store is synced or the watch fails.
/// `applied` receives every version of an object, with the fingerprint of the previous one. `gone` receives each
/// deleted object, including those deleted while the watch was interrupted.
pub async fn watch<K>(
    api: Api<Lenient<K>>,
    report: WatchReport,
    writer: Writer<K>,
    applied: impl Fn(Option<Fingerprint>, &K) + Send + 'static,
    gone: impl Fn(&ObjectUid) + Send + 'static,
) where
    K: Salvage + Debug + Send + Sync + 'static,
{
    let config = watcher::Config::default().timeout(WATCH).page_size(PAGE);
    let events = watcher(api, config).backoff(Pauses).inspect(|event| match event {
        Ok(Event::InitDone) => report.synced(),
        Ok(_) => {}
        Err(error) => report.failed(error),
    });
    follow(events, writer, applied, gone).await;
}

/// The objects of a namespace, or of the whole cluster for `None`.
pub fn scoped<K>(client: &Client, scope: &Option<String>) -> Api<Lenient<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match scope {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// The delays after failures: short, because the failure may end at any time, and randomized, to spread the retries.
pub(super) struct Pauses;

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(rand::random_range(1000..3000)))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {}
}

/// Delivers `events` only once the store contains them, because receivers read the object from the store. For a list,
/// the store shows nothing until it is complete.
async fn follow<K>(
    events: impl Stream<Item = watcher::Result<Event<Lenient<K>>>> + Send,
    writer: Writer<K>,
    applied: impl Fn(Option<Fingerprint>, &K) + Send,
    gone: impl Fn(&ObjectUid) + Send,
) where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let store = writer.as_reader();
    let mut known: HashMap<ObjectUid, Fingerprint> = HashMap::new();
    let mut events = pin!(events.map_ok(unwrapped).modify(strip).reflect(writer));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object)) => {
                let before = known.insert(ObjectUid::of(&object), Fingerprint::of(&object));
                applied(before, &object);
            }
            Ok(Event::Delete(object)) => {
                let object = ObjectUid::of(&object);
                known.remove(&object);
                gone(&object);
            }
            Ok(Event::InitDone) => {
                let (before, there) = (mem::take(&mut known), store.state());
                known.extend(there.iter().map(|object| (ObjectUid::of(&**object), Fingerprint::of(&**object))));
                // Deleted objects first, so that their reservations are released before another object is reconciled.
                before.keys().filter(|object| !known.contains_key(object)).for_each(&gone);
                for object in there {
                    applied(before.get(&ObjectUid::of(&*object)).copied(), &object);
                }
            }
            Ok(Event::Init | Event::InitApply(_)) | Err(_) => {}
        }
    }
}

/// Waits until a store is synced. If its watch has ended, this waits forever.
pub async fn synced<K>(store: &Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    if store.wait_until_ready().await.is_err() {
        future::pending::<()>().await;
    }
}

/// Replaces the lenient object of an event by the object that was decoded or salvaged.
fn unwrapped<K>(event: Event<Lenient<K>>) -> Event<K> {
    match event {
        Event::Apply(Lenient(object)) => Event::Apply(object),
        Event::Delete(Lenient(object)) => Event::Delete(object),
        Event::InitApply(Lenient(object)) => Event::InitApply(object),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// Removes the field managers. The audit line needs them, and takes them from an object that was just read.
pub fn strip<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

#[cfg(test)]
mod tests {

    use futures::stream;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
    use kube::ResourceExt;
    use kube::runtime::reflector::{self, ObjectRef};
    use parking_lot::Mutex;

    use super::*;
    use crate::api::{AuthenticatorConfig, FINALIZER};
    use crate::authenticator_config::testing::object;

    fn config(name: &str, generation: i64) -> AuthenticatorConfig {
        let mut config = object();
        config.metadata.name = Some(name.to_owned());
        config.metadata.uid = Some(format!("uid of {name}"));
        config.metadata.generation = Some(generation);
        config
    }

    fn guarded(event: Event<AuthenticatorConfig>) -> Event<Lenient<AuthenticatorConfig>> {
        match event {
            Event::Apply(object) => Event::Apply(Lenient(object)),
            Event::Delete(object) => Event::Delete(Lenient(object)),
            Event::InitApply(object) => Event::InitApply(Lenient(object)),
            Event::Init => Event::Init,
            Event::InitDone => Event::InitDone,
        }
    }

    /// The reported events, such as `seen a1`: name and generation.
    async fn reported(events: Vec<Event<AuthenticatorConfig>>) -> Vec<String> {
        let (store, writer) = reflector::store();
        let reported = Mutex::new(Vec::new());
        let report = |what: &str, config: &AuthenticatorConfig| {
            let generation = config.metadata.generation.unwrap();
            reported.lock().push(format!("{what} {}{generation}", config.name_any()));
        };
        let applied = |before: Option<Fingerprint>, config: &AuthenticatorConfig| {
            let stored = store.get(&ObjectRef::from_obj(config)).expect("the store has the object");
            assert_eq!(stored.metadata.generation, config.metadata.generation, "the store has the current version");
            let changed = Fingerprint::of(config).differs_from(before);
            report(if changed { "changed" } else { "seen" }, config);
        };
        let events = stream::iter(events.into_iter().map(|event| Ok(guarded(event))));
        let deleted = |deleted: &ObjectUid| {
            assert_eq!(deleted.uid, format!("uid of {}", deleted.name));
            let stored = store.state().iter().any(|stored| stored.uid().as_ref() == Some(&deleted.uid));
            assert!(!stored, "the store dropped the object");
            reported.lock().push(format!("deleted {}", deleted.name));
        };
        follow(events, writer, applied, deleted).await;
        let mut reported = reported.into_inner();
        reported.sort();
        reported
    }

    fn list(configs: Vec<AuthenticatorConfig>) -> Vec<Event<AuthenticatorConfig>> {
        [vec![Event::Init], configs.into_iter().map(Event::InitApply).collect(), vec![Event::InitDone]].concat()
    }

    #[tokio::test]
    async fn relist_reports_only_changed_objects_as_changed() {
        let first = list(vec![config("a", 1), config("b", 1)]);
        assert_eq!(reported(first.clone()).await, ["changed a1", "changed b1"]);
        let both = [first, list(vec![config("a", 1), config("b", 2), config("c", 1)])].concat();
        assert_eq!(reported(both).await, ["changed a1", "changed b1", "changed b2", "changed c1", "seen a1"]);
    }

    #[tokio::test]
    async fn managers_of_fields_are_dropped_before_storing() {
        let mut written = config("a", 1);
        written.metadata.managed_fields = Some(vec![ManagedFieldsEntry::default()]);
        let guard = || Lenient(written.clone());
        let listed = vec![Event::Init, Event::InitApply(guard()), Event::InitDone];
        for events in [listed.clone(), [listed, vec![Event::Apply(guard())]].concat()] {
            let (store, writer) = reflector::store();
            follow(stream::iter(events.into_iter().map(Ok)), writer, |_, _| {}, |_| {}).await;
            let kept = store.get(&ObjectRef::from_obj(&written)).unwrap();
            assert_eq!(kept.managed_fields(), []);
            assert_eq!((&kept.spec, &kept.metadata.uid), (&written.spec, &written.metadata.uid));
        }
    }

    #[tokio::test]
    async fn status_change_is_seen_but_is_no_change() {
        let events = vec![Event::Apply(config("a", 1)), Event::Apply(config("a", 1)), Event::Apply(config("a", 2))];
        assert_eq!(reported(events).await, ["changed a1", "changed a2", "seen a1"]);
    }

    #[tokio::test]
    async fn only_finalizer_removal_is_a_change() {
        let mut kept = config("a", 1);
        kept.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
        let events = vec![Event::Apply(config("a", 1)), Event::Apply(kept.clone()), Event::Apply(kept)];
        assert_eq!(reported(events.clone()).await, ["changed a1", "seen a1", "seen a1"]);
        let freed = [events, vec![Event::Apply(config("a", 1))]].concat();
        assert_eq!(reported(freed).await, ["changed a1", "changed a1", "seen a1", "seen a1"]);
    }

    #[tokio::test]
    async fn recreated_object_is_changed() {
        let events = vec![Event::Apply(config("a", 1)), Event::Delete(config("a", 1)), Event::Apply(config("a", 1))];
        assert_eq!(reported(events).await, ["changed a1", "changed a1", "deleted a"]);
    }

    #[tokio::test]
    async fn relist_reports_objects_deleted_meanwhile() {
        let both = [list(vec![config("a", 1), config("b", 1)]), list(vec![config("b", 1)])].concat();
        assert_eq!(reported(both.clone()).await, ["changed a1", "changed b1", "deleted a", "seen b1"]);
        let none = [both, list(Vec::new()), list(Vec::new())].concat();
        let deleted =
            reported(none).await.into_iter().filter(|reported| reported.starts_with("deleted")).collect::<Vec<_>>();
        assert_eq!(deleted, ["deleted a", "deleted b"]);
    }

    #[tokio::test]
    async fn relist_reports_replaced_object_as_deleted() {
        let (_, writer) = reflector::store();
        let (reported, mut recreated) = (Mutex::new(Vec::new()), config("a", 1));
        recreated.metadata.uid = Some("another".to_owned());
        let deleted = |deleted: &ObjectUid| reported.lock().push(deleted.uid.clone());
        let events =
            [list(vec![config("a", 1)]), list(vec![recreated])].concat().into_iter().map(|event| Ok(guarded(event)));
        follow(stream::iter(events), writer, |_, _| {}, deleted).await;
        assert_eq!(reported.into_inner(), ["uid of a"]);
    }
}
