//! Publishes and counts events.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as EventObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};

use super::objects::{CallError, answered};
use crate::api::text;
use crate::environment::wall_clock;
use crate::metrics::Metrics;
use crate::reconcile::EventToEmit;
use crate::runtime::warnings::{About, Warnings};

/// The longest name of an object to which the recorder can append a dot and a time in hexadecimal nanoseconds.
const LONGEST_NAME: usize = 253 - 17;

/// Publishes and counts events.
#[derive(Clone)]
pub struct Events {
    client: Client,
    recorder: Recorder,
    controller: String,
    metrics: Arc<Metrics>,
    warnings: Arc<Warnings>,
}

impl Events {
    /// Creates it for the events of `controller`.
    pub fn new(client: Client, controller: &str, metrics: Arc<Metrics>, warnings: Arc<Warnings>) -> Self {
        let reporter = Reporter { controller: controller.to_owned(), instance: None };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, recorder, controller: controller.to_owned(), metrics, warnings }
    }

    /// Counts an event about the object of `reference`, and publishes it in the background.
    pub(super) fn emit(&self, kind: &str, reference: ObjectReference, event: EventToEmit) {
        let EventToEmit { type_, reason, note } = event;
        self.metrics.event_emitted(&kind.to_lowercase(), type_, reason);
        let note = Some(text::event_note(&note));
        let event = Event { type_, reason: reason.to_string(), note, action: "Reconcile".to_owned(), secondary: None };
        let this = self.clone();
        tokio::spawn(async move {
            let Err(error) = this.publish(&event, &reference).await else { return };
            let ObjectReference { kind, namespace, name, .. } = reference;
            let (kind, namespace, name) = (kind.as_deref(), namespace.as_deref(), name.as_deref());
            let warns = if is_expected(&error) { None } else { this.warnings.next(About::Event) };
            if let Some(left_out) = warns {
                tracing::warn!(kind, namespace, name, %reason, %error, left_out, "An event was not published");
            } else {
                tracing::debug!(kind, namespace, name, %reason, %error, "An event was not published");
            }
        });
    }

    async fn publish(&self, event: &Event, reference: &ObjectReference) -> Result<(), CallError> {
        let name = reference.name.as_deref().unwrap_or_default();
        if name.len() <= LONGEST_NAME {
            return answered(self.recorder.publish(event, reference)).await;
        }
        let namespace = reference.namespace.as_deref().unwrap_or("default");
        let events: Api<EventObject> = Api::namespaced(self.client.clone(), namespace);
        let object = self.with_generated_name(event, reference.clone(), namespace, name);
        answered(events.create(&PostParams::default(), &object)).await.map(drop)
    }

    /// The event as the recorder makes it, but with a name from the API server, which cuts its start to 58 characters.
    fn with_generated_name(
        &self,
        event: &Event,
        reference: ObjectReference,
        namespace: &str,
        name: &str,
    ) -> EventObject {
        EventObject {
            action: Some(event.action.clone()),
            reason: Some(event.reason.clone()),
            event_time: Some(MicroTime(wall_clock())),
            regarding: Some(reference),
            note: event.note.clone(),
            metadata: ObjectMeta {
                namespace: Some(namespace.to_owned()),
                generate_name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.controller.clone()),
            type_: Some(if event.type_ == EventType::Warning { "Warning" } else { "Normal" }.to_owned()),
            ..EventObject::default()
        }
    }
}

/// Whether an event cannot be published for a reason that needs no attention: its namespace is being deleted.
fn is_expected(error: &CallError) -> bool {
    let CallError::Kube(kube::Error::Api(status)) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 404 || causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}
