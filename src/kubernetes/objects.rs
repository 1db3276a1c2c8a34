//! The objects port, implemented with the Kubernetes API.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{GetParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

use super::events::Events;
use super::lenient::{Lenient, Salvage};
use super::metadata::FINALIZERS;
use super::self_writes::SelfWriteFilter;
use super::stores::Stores;
use crate::api::{FINALIZER, HasStatus};
use crate::reconcile::{EventToEmit, Objects, WriteError};

/// The timeout of one request. The client has no limit on the whole response.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// The objects of one kind, from the API server and from the stores of the watches.
pub struct KubeObjects<K>
where
    K: Resource<DynamicType = ()> + 'static,
{
    client: Client,
    api: ApiFn<K>,
    stores: Stores<K>,
    events: Events,
    self_writes: Arc<SelfWriteFilter>,
}

/// The API of the objects in a namespace, or of a cluster-scoped kind. Lenient, because the client logs a response that does
/// not decode in full, usernames included.
pub type ApiFn<K> = fn(Client, &str) -> Api<Lenient<K>>;

impl<K> KubeObjects<K>
where
    K: Salvage + Debug + Send + Sync + 'static,
{
    /// Sets the finalizer of an object that may have more finalizers than are kept.
    async fn set_finalizer_among_many(&self, object: &K, present: bool) -> Result<Lenient<K>, CallError> {
        let (api, name) = (self.api(&object.namespace().unwrap_or_default()), object.name_any());
        let change = if present {
            vec![json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})]
        } else {
            let read = Request::new(api.resource_url()).get(&name, &GetParams::default());
            let read = read.map_err(|error| CallError::Kube(kube::Error::BuildRequest(error)))?;
            let raw: Value = answered(self.client.request(read)).await?;
            let finalizers = raw.pointer("/metadata/finalizers").and_then(Value::as_array);
            let at = finalizers.and_then(|all| all.iter().position(|finalizer| finalizer == FINALIZER));
            let path = at.map(|at| format!("/metadata/finalizers/{at}"));
            path.map_or_else(Vec::new, |path| {
                vec![json!({"op": "test", "path": path, "value": FINALIZER}), json!({"op": "remove", "path": path})]
            })
        };
        let tests = [
            json!({"op": "test", "path": "/metadata/uid", "value": object.uid()}),
            json!({"op": "test", "path": "/metadata/resourceVersion", "value": object.resource_version()}),
        ];
        let patch = serde_json::from_value(tests.into_iter().chain(change).collect());
        let patch = patch.map_err(|error| CallError::Kube(kube::Error::SerdeError(error)))?;
        answered(api.patch(&name, &PatchParams::default(), &Patch::Json::<()>(patch))).await
    }

    /// Creates the port from `stores`. `self_writes` records each status write, so that the watches can recognize it.
    pub fn new(
        client: Client,
        api: ApiFn<K>,
        stores: Stores<K>,
        events: Events,
        self_writes: Arc<SelfWriteFilter>,
    ) -> Self {
        Self { client, api, stores, events, self_writes }
    }

    fn api(&self, namespace: &str) -> Api<Lenient<K>> {
        (self.api)(self.client.clone(), namespace)
    }
}

impl<K> Objects<K> for KubeObjects<K>
where
    K: Salvage + Debug + Send + Sync + HasStatus + 'static,
{
    fn cached(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.stores.get(&ObjectRef::new(name).within(namespace))
    }

    async fn read(&self, namespace: &str, name: &str) -> Result<Option<K>, String> {
        let read = answered(self.api(namespace).get_opt(name)).await;
        let read = read.map_err(|error| format!("Cannot read {}: {error}", K::kind(&())))?;
        Ok(read.map(|Lenient(object)| object))
    }

    async fn write_status(&self, object: &K) -> Result<K, WriteError> {
        let api = self.api(&object.namespace().unwrap_or_default());
        let (name, mut lenient) = (object.name_any(), Lenient(object.clone()));
        // Those that are read are reduced. Without any, the API server keeps its own.
        lenient.0.meta_mut().managed_fields = None;
        // Before the write, because the watch may deliver it before the response arrives.
        self.self_writes.expect_write(object);
        let written = answered(api.replace_status(&name, &PostParams::default(), &lenient)).await;
        written.map(|Lenient(object)| object).map_err(write_error::<K>).inspect_err(|error| {
            if !matches!(error, WriteError::NoAnswer(_)) {
                self.self_writes.revert(object);
            }
        })
    }

    async fn set_finalizer(&self, object: &K, present: bool) -> Result<K, WriteError> {
        if object.finalizers().len() >= FINALIZERS {
            let patched = self.set_finalizer_among_many(object, present).await;
            return patched.map(|Lenient(object)| object).map_err(write_error::<K>);
        }
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|finalizer| finalizer != FINALIZER);
        if present {
            finalizers.push(FINALIZER.to_owned());
        }
        // With uid and resourceVersion, so that a late patch cannot change an object recreated under the same name.
        let patch = json!({ "metadata": {
            "uid": object.uid(),
            "resourceVersion": object.resource_version(),
            "finalizers": finalizers,
        }});
        let api = self.api(&object.namespace().unwrap_or_default());
        let name = object.name_any();
        let patched = answered(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))).await;
        patched.map(|Lenient(object)| object).map_err(write_error::<K>)
    }

    fn emit_event(&self, object: &K, event: EventToEmit) {
        self.events.emit(&K::kind(&()), object.object_ref(&()), event);
    }
}

/// Returns the response to a request, or an error after the timeout.
pub(super) async fn answered<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(result) => result.map_err(CallError::Kube),
        Err(_) => Err(CallError::Late),
    }
}

/// Why a request has no usable response.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("no response from the Kubernetes API within {} s", TIMEOUT.as_secs())]
    Late,
    #[error("{}", with_causes(.0))]
    Kube(kube::Error),
}

/// Whether the API server denies the request.
pub fn is_forbidden(error: &CallError) -> bool {
    matches!(error, CallError::Kube(kube::Error::Api(status)) if status.code == 403)
}

/// The message of an error with its causes. Of a request without a response, kube's message names no cause.
fn with_causes(error: &kube::Error) -> String {
    let kube::Error::Service(cause) = error else { return error.to_string() };
    let mut message = format!("the Kubernetes API did not respond: {cause}");
    let mut next = cause.source();
    while let Some(cause) = next {
        message = format!("{message}: {cause}");
        next = cause.source();
    }
    message
}

fn write_error<K: Resource<DynamicType = ()>>(error: CallError) -> WriteError {
    let status = match &error {
        CallError::Kube(kube::Error::Api(status)) => status,
        CallError::Kube(kube::Error::SerdeError(_) | kube::Error::BuildRequest(_)) => {
            return WriteError::Refused(format!("Cannot write {}: {error}", K::kind(&())));
        }
        CallError::Late | CallError::Kube(_) => {
            return WriteError::NoAnswer(format!("Cannot write {}: {error}", K::kind(&())));
        }
    };
    match status.code {
        404 => WriteError::NotFound,
        409 => WriteError::Conflict,
        // etcd stores at most 1.5 MiB, and the API server passes its answer on as a failure of its own.
        413 | 500 if status.code == 413 || status.message.contains("request is too large") => {
            WriteError::Refused(format!(
                "Cannot write {}: the object is too large for the API server; remove annotations, finalizers or labels",
                K::kind(&())
            ))
        }
        // Matches the wording of RBAC, because an admission policy may also respond with 403.
        403 if status.message.contains(" cannot ") => WriteError::Refused(format!(
            "The operator lacks permission: {}; grant it update on {}/status and patch on {} in its ClusterRole or \
             Role",
            status.message,
            K::plural(&()),
            K::plural(&())
        )),
        400..=499 if status.code != 429 => {
            WriteError::Refused(format!("Cannot write {}: {}", K::kind(&()), status.message))
        }
        _ => WriteError::NoAnswer(format!("Cannot write {}: {}", K::kind(&()), status.message)),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;
    use crate::api::EnrollmentRequest;

    fn classified(code: u16) -> WriteError {
        let status = Status { code, message: "detail".to_owned(), ..Status::default() };
        write_error::<EnrollmentRequest>(CallError::Kube(kube::Error::Api(status.boxed())))
    }

    #[test]
    fn write_errors_are_classified() {
        assert_eq!(classified(404), WriteError::NotFound);
        assert_eq!(classified(409), WriteError::Conflict);
        assert!(matches!(classified(422), WriteError::Refused(_)));
        assert!(matches!(classified(413), WriteError::Refused(_)));
        assert!(matches!(classified(500), WriteError::NoAnswer(_)));
        let of_etcd = Status { code: 500, message: "etcdserver: request is too large".to_owned(), ..Status::default() };
        assert!(matches!(
            write_error::<EnrollmentRequest>(CallError::Kube(kube::Error::Api(of_etcd.boxed()))),
            WriteError::Refused(why) if why.contains("too large for the API server")
        ));
        let refused = |message: &str| {
            let status = Status { code: 403, message: message.to_owned(), ..Status::default() };
            match write_error::<EnrollmentRequest>(CallError::Kube(kube::Error::Api(status.boxed()))) {
                WriteError::Refused(why) => why,
                other => panic!("{other:?}"),
            }
        };
        let rbac = r#"enrollmentrequests.beyondidentity.dev "a" is forbidden: User "b" cannot update resource"#;
        assert!(refused(rbac).contains("grant it update on enrollmentrequests/status"));
        assert_eq!(
            refused("policy x denied request: frozen"),
            "Cannot write EnrollmentRequest: policy x denied request: frozen"
        );
        for code in [429, 500, 503, 504] {
            assert!(matches!(classified(code), WriteError::NoAnswer(_)), "{code}");
        }
        assert!(matches!(write_error::<EnrollmentRequest>(CallError::Late), WriteError::NoAnswer(_)));
    }
}
