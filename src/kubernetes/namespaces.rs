//! The labels of the namespaces, watched by their metadata.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::pin::pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, future};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;

use super::client::WATCH;
use super::report::WatchReport;
use super::watch::Pauses;

/// The labels of an object.
pub type Labels = BTreeMap<String, String>;

/// The existing namespaces of a scope, with their labels.
type Known = HashMap<String, Arc<Labels>>;

/// The labels of the namespaces in all watched scopes. Clones share them.
#[derive(Clone)]
pub struct Namespaces(Vec<watch::Receiver<Option<Known>>>);

/// Records the labels of one scope.
pub struct LabelsWriter(watch::Sender<Option<Known>>);

impl Namespaces {
    /// Creates the labels of `count` scopes, with their writers.
    pub fn new(count: usize) -> (Self, Vec<LabelsWriter>) {
        let (writers, readers) =
            (0..count).map(|_| watch::channel(None)).map(|(to, from)| (LabelsWriter(to), from)).unzip();
        (Self(readers), writers)
    }

    /// The labels of a namespace, if it exists and is watched.
    pub fn labels(&self, namespace: &str) -> Option<Arc<Labels>> {
        self.0.iter().find_map(|scope| scope.borrow().as_ref()?.get(namespace).cloned())
    }

    /// Waits until all scopes are synced.
    pub async fn synced(&self) {
        for scope in &self.0 {
            if scope.clone().wait_for(Option::is_some).await.is_err() {
                future::pending::<()>().await;
            }
        }
    }
}

/// Watches the labels of `scope`, one namespace or all, forever. `changed` receives the namespaces that were created, or
/// whose labels have changed.
pub async fn watch(
    client: Client,
    scope: Option<String>,
    report: WatchReport,
    writer: LabelsWriter,
    changed: impl Fn(&BTreeSet<String>) + Send,
) {
    let mut config = watcher::Config::default().timeout(WATCH);
    if let Some(namespace) = scope {
        config = config.fields(&format!("metadata.name={namespace}"));
    }
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client);
    let events = watcher(namespaces, config).backoff(Pauses).inspect(|event| match event {
        Ok(Event::InitDone) => report.synced(),
        Ok(_) => {}
        Err(error) => report.failed(error),
    });
    follow(events, &writer, changed).await;
}

/// Records the labels from `events`. For a list, nothing changes until it is complete. While the watch fails, the last
/// labels are kept.
async fn follow(
    events: impl Stream<Item = watcher::Result<Event<PartialObjectMeta<Namespace>>>>,
    LabelsWriter(writer): &LabelsWriter,
    changed: impl Fn(&BTreeSet<String>),
) {
    let mut events = pin!(events);
    let mut listed = Known::new();
    while let Some(event) = events.next().await {
        let mut news = BTreeSet::new();
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(namespace)) => _ = insert(&mut listed, &namespace),
            Ok(Event::InitDone) => writer.send_modify(|known| {
                let before = known.replace(mem::take(&mut listed)).unwrap_or_default();
                let now = known.iter().flatten().filter(|(name, labels)| before.get(*name) != Some(labels));
                news.extend(now.map(|(name, _)| name.clone()));
            }),
            Ok(Event::Apply(namespace)) => writer.send_modify(|known| {
                if insert(known.get_or_insert_default(), &namespace) {
                    news.insert(namespace.name_any());
                }
            }),
            Ok(Event::Delete(namespace)) => writer.send_modify(|known| {
                known.get_or_insert_default().remove(&namespace.name_any());
            }),
            Err(_) => {}
        }
        if !news.is_empty() {
            changed(&news);
        }
    }
}

/// Inserts a namespace, and returns whether it is new or has other labels.
fn insert(known: &mut Known, namespace: &PartialObjectMeta<Namespace>) -> bool {
    let labels = Arc::new(namespace.labels().clone());
    known.insert(namespace.name_any(), labels.clone()).as_ref() != Some(&labels)
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use kube::core::ObjectMeta;
    use parking_lot::Mutex;

    use super::*;

    type Events = Vec<watcher::Result<Event<PartialObjectMeta<Namespace>>>>;

    /// A namespace with the label `team`, unless it is empty.
    fn namespace(name: &str, team: &str) -> PartialObjectMeta<Namespace> {
        let labels = (!team.is_empty()).then(|| Labels::from([("team".to_owned(), team.to_owned())]));
        let metadata = ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() };
        PartialObjectMeta { metadata, ..PartialObjectMeta::default() }
    }

    fn listed(namespaces: &[(&str, &str)]) -> Events {
        let applied = namespaces.iter().map(|(name, team)| Ok(Event::InitApply(namespace(name, team))));
        [Ok(Event::Init)].into_iter().chain(applied).chain([Ok(Event::InitDone)]).collect()
    }

    /// The reported changes, and the final label `team` of `a` and `b`: `-` without one, and nothing if the namespace
    /// does not exist.
    async fn followed<const N: usize>(events: [Events; N]) -> (Vec<String>, [Option<String>; 2]) {
        let (namespaces, mut writers) = Namespaces::new(1);
        let reported = Mutex::new(Vec::new());
        let changed = |names: &BTreeSet<String>| {
            reported.lock().push(names.iter().cloned().collect::<Vec<_>>().join(" "));
        };
        follow(stream::iter(events.into_iter().flatten()), &writers.remove(0), changed).await;
        let team = |name: &str| {
            let labels = namespaces.labels(name)?;
            Some(labels.get("team").cloned().unwrap_or_else(|| "-".to_owned()))
        };
        (reported.into_inner(), ["a", "b"].map(team))
    }

    fn some(team: &str) -> Option<String> {
        Some(team.to_owned())
    }

    #[tokio::test]
    async fn changed_labels_are_reported_once() {
        let applied = |team: &str| vec![Ok(Event::Apply(namespace("a", team)))];
        let events = [listed(&[("a", "x"), ("b", "")]), applied("x"), applied("y"), applied("y")];
        assert_eq!(followed(events).await, (vec!["a b".to_owned(), "a".to_owned()], [some("y"), some("-")]));
    }

    #[tokio::test]
    async fn relist_reports_what_changed_meanwhile() {
        let events = [listed(&[("a", "x"), ("b", "x")]), listed(&[("a", "x"), ("b", "y")])];
        assert_eq!(followed(events).await, (vec!["a b".to_owned(), "b".to_owned()], [some("x"), some("y")]));
        let events = [listed(&[("a", "x"), ("b", "x")]), listed(&[("b", "x")])];
        assert_eq!(followed(events).await, (vec!["a b".to_owned()], [None, some("x")]), "deleted meanwhile");
    }

    #[tokio::test]
    async fn deleted_namespace_has_no_labels() {
        let deleted = vec![Ok(Event::Delete(namespace("a", "x")))];
        let events = [listed(&[("a", "x")]), deleted];
        assert_eq!(followed(events).await, (vec!["a".to_owned()], [None, None]));
    }

    #[tokio::test]
    async fn failed_watch_and_incomplete_list_keep_the_labels() {
        let failed = vec![Err(watcher::Error::NoResourceVersion)];
        let mut incomplete = listed(&[("a", "y")]);
        incomplete.pop();
        let events = [listed(&[("a", "x")]), failed, incomplete];
        assert_eq!(followed(events).await, (vec!["a".to_owned()], [some("x"), None]));
    }
}
