//! Watches: each keeps a store in sync and reports changes.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{Stream, StreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource};

use super::lenient::{Lenient, Salvage};
use super::list_watch::list_watch;
use super::report::WatchReport;
use super::store::StoreWriter;
use crate::reconcile::ObjectUid;

/// Watches the objects of `api` into `writer` forever, and reports when the store is synced or the watch fails.
/// `applied` receives every version of an object, with the previous one. `gone` receives each deleted object, including
/// those deleted while the watch was interrupted.
pub async fn watch<K>(
    api: Api<Lenient<K>>,
    report: WatchReport,
    writer: StoreWriter<K>,
    applied: impl Fn(Option<&K>, &K) + Send + 'static,
    gone: impl Fn(&ObjectUid) + Send + 'static,
) where
    K: Salvage + Debug + Send + Sync + 'static,
{
    let (to, events) = mpsc::channel(0);
    let events = events.inspect(|event| match event {
        Ok(Event::InitDone) => report.synced(),
        Ok(_) => {}
        Err(error) => report.failed(error),
    });
    future::join(list_watch(&api, to, Pauses), follow(events, writer, applied, gone)).await;
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

/// Delivers `events` only once the store contains them, because receivers read the object from the store. Nothing of a list
/// is delivered until it is complete. But an object that is reconciled meanwhile is read in its new version.
async fn follow<K>(
    events: impl Stream<Item = watcher::Result<Event<Lenient<K>>>> + Send,
    mut writer: StoreWriter<K>,
    applied: impl Fn(Option<&K>, &K) + Send,
    gone: impl Fn(&ObjectUid) + Send,
) where
    K: Salvage + Send + Sync + 'static,
{
    let mut events = pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(Lenient(mut object))) => {
                strip(&mut object);
                let object = Arc::new(object);
                let before = writer.apply(&object);
                applied(before.as_deref(), &object);
            }
            Ok(Event::Delete(Lenient(object))) => {
                writer.delete(&object);
                gone(&ObjectUid::of(&object));
            }
            Ok(Event::Init) => writer.begin_list(),
            Ok(Event::InitApply(Lenient(mut object))) => {
                strip(&mut object);
                writer.list(object);
            }
            Ok(Event::InitDone) => {
                let listed = writer.end_list();
                // Deleted objects first, so that their reservations are released before another object is enqueued.
                listed.gone.iter().for_each(&gone);
                listed.each(&applied);
            }
            Err(_) => {}
        }
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
    use kube::runtime::reflector::ObjectRef;
    use parking_lot::Mutex;

    use super::*;
    use crate::api::{AuthenticatorConfig, FINALIZER};
    use crate::authenticator_config::testing::object;
    use crate::kubernetes::store::store;
    use crate::triggers::Fingerprint;

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
        let (store, writer) = store();
        let reported = Mutex::new(Vec::new());
        let report = |what: &str, config: &AuthenticatorConfig| {
            let generation = config.metadata.generation.unwrap();
            reported.lock().push(format!("{what} {}{generation}", config.name_any()));
        };
        let applied = |before: Option<&AuthenticatorConfig>, config: &AuthenticatorConfig| {
            let stored = store.get(&ObjectRef::from_obj(config)).expect("the store has the object");
            assert_eq!(stored.metadata.generation, config.metadata.generation, "the store has the current version");
            let changed = Fingerprint::of(config).differs_from(before.map(Fingerprint::of));
            report(if changed { "changed" } else { "seen" }, config);
        };
        // Every watch begins with a list.
        let events = [list(Vec::new()), events].concat();
        let events = stream::iter(events.into_iter().map(|event| Ok(guarded(event))));
        let deleted = |deleted: &ObjectUid| {
            assert_eq!(deleted.uid, format!("uid of {}", deleted.name));
            let stored = store.unpacked().iter().any(|stored| stored.uid().as_ref() == Some(&deleted.uid));
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
            let (store, writer) = store();
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
        let (_, writer) = store();
        let (reported, mut recreated) = (Mutex::new(Vec::new()), config("a", 1));
        recreated.metadata.uid = Some("another".to_owned());
        let deleted = |deleted: &ObjectUid| reported.lock().push(deleted.uid.clone());
        let events =
            [list(vec![config("a", 1)]), list(vec![recreated])].concat().into_iter().map(|event| Ok(guarded(event)));
        follow(stream::iter(events), writer, |_, _| {}, deleted).await;
        assert_eq!(reported.into_inner(), ["uid of a"]);
    }
}
