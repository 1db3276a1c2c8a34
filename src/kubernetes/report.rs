//! Describes a watch failure in one sentence for the person who can fix it.

use kube::Resource;
use kube::runtime::watcher;

use super::availability::{ReadReporter, WatchScope};
use crate::runtime::cause;
use crate::runtime::readiness::{Readiness, Report};

/// The readiness report of one watch. It becomes ready when its store is synced.
#[derive(Debug)]
pub struct WatchReport {
    report: Report,
    server: String,
    /// The watched resource, such as `enrollmentrequests.beyondidentity.dev`. This is also the name of its definition.
    resource: String,
    /// The watched namespace; `None` for the whole cluster.
    namespace: WatchScope,
    /// Whether that namespace can be read. `None`: the watch is not about a namespace.
    source: Option<ReadReporter>,
}

impl WatchReport {
    /// Creates the report of a watch of kind `K`, which is not about a namespace, on the API server at `server`.
    pub fn new<K: Resource<DynamicType = ()>>(readiness: &Readiness, server: &str) -> Self {
        let group = K::group(&());
        let resource =
            if group.is_empty() { K::plural(&()).into_owned() } else { format!("{}.{group}", K::plural(&())) };
        Self { report: readiness.part(false), server: server.to_owned(), resource, namespace: None, source: None }
    }

    /// Creates the report of a watch of kind `K` in `scope`, with `source` as its availability.
    pub fn within<K: Resource<DynamicType = ()>>(
        readiness: &Readiness,
        server: &str,
        scope: &WatchScope,
        source: ReadReporter,
    ) -> Self {
        Self { namespace: scope.clone(), source: Some(source), ..Self::new::<K>(readiness, server) }
    }

    /// Reports that the store is synced.
    pub fn synced(&self) {
        self.report.ready();
        self.source.iter().for_each(ReadReporter::synced);
    }

    /// Reports a failure. The watch is retried.
    pub fn failed(&self, error: &watcher::Error) {
        let Self { report, server, resource, .. } = self;
        let (verb, error) = match error {
            watcher::Error::InitialListFailed(error) => ("list", error),
            watcher::Error::WatchStartFailed(error) => ("watch", error),
            // Every watch ends this way at times. A failed restart is reported separately.
            watcher::Error::WatchError(_) | watcher::Error::WatchFailed(_) | watcher::Error::NoResourceVersion => {
                return tracing::debug!(resource, %error, "Watch ended; restarting it");
            }
        };
        let kube::Error::Api(status) = error else {
            let detail = format!("{server}: {}", cause(error));
            return report.trouble("requests to the Kubernetes API fail".to_owned(), detail);
        };
        match status.code {
            401 => report.denied("the Kubernetes API rejects the operator's credentials (401): renew them".to_owned()),
            403 => {
                let what = self.lacks(verb);
                if self.source.as_ref().is_some_and(|source| source.denied(&what)) {
                    report.set_aside(what);
                } else {
                    report.denied(what);
                }
            }
            404 => report.denied(format!("the CustomResourceDefinition {resource} is not installed")),
            code => report.trouble(
                format!("the Kubernetes API does not {verb} {resource}"),
                format!("{server}: {code}: {}", status.message),
            ),
        }
    }

    fn lacks(&self, verb: &str) -> String {
        let Self { resource, .. } = self;
        match &self.namespace {
            None => {
                format!("the operator is not allowed to {verb} {resource}: grant it list and watch in its ClusterRole")
            }
            Some(namespace) => format!(
                "the operator is not allowed to {verb} {resource} in namespace {namespace}: grant it list and watch in its Role there"
            ),
        }
    }
}
