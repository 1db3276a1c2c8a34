//! Which status is written, and to which version of the object.

use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::api::authenticator_config::CreateRecord;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfig, Reason};
use crate::environment::SystemEnvironment;
use crate::reconcile::{Leftover, Requeue};
use crate::runtime::leader::Leadership;

/// An API server that accepts every write.
struct AcceptingApi;

impl Objects<AuthenticatorConfig> for AcceptingApi {
    fn cached(&self, _: &str, _: &str) -> Option<Arc<AuthenticatorConfig>> {
        None
    }

    async fn read(&self, _: &str, _: &str) -> Result<Option<AuthenticatorConfig>, String> {
        Ok(None)
    }

    async fn write_status(&self, object: &AuthenticatorConfig) -> Result<AuthenticatorConfig, WriteError> {
        Ok(object.clone())
    }

    async fn set_finalizer(&self, object: &AuthenticatorConfig, _: bool) -> Result<AuthenticatorConfig, WriteError> {
        Ok(object.clone())
    }

    fn emit_event(&self, _: &AuthenticatorConfig, _: EventToEmit) {}
}

/// An API server with a newer version than the cached one.
struct NewerApi;

impl Objects<AuthenticatorConfig> for NewerApi {
    fn cached(&self, _: &str, _: &str) -> Option<Arc<AuthenticatorConfig>> {
        None
    }

    async fn read(&self, _: &str, _: &str) -> Result<Option<AuthenticatorConfig>, String> {
        let mut newer = crate::authenticator_config::testing::object();
        newer.metadata.generation = Some(2);
        Ok(Some(newer))
    }

    async fn write_status(&self, object: &AuthenticatorConfig) -> Result<AuthenticatorConfig, WriteError> {
        if object.metadata.generation == Some(2) { Ok(object.clone()) } else { Err(WriteError::Conflict) }
    }

    async fn set_finalizer(&self, _: &AuthenticatorConfig, _: bool) -> Result<AuthenticatorConfig, WriteError> {
        Err(WriteError::Conflict)
    }

    fn emit_event(&self, _: &AuthenticatorConfig, _: EventToEmit) {}
}

#[tokio::test]
async fn conditions_planned_for_an_older_version_are_not_written() {
    let (objects, environment) =
        (NewerApi, SystemEnvironment::new(Leadership::default(), Arc::default(), Arc::default()));
    let mut handle =
        ObjectHandle::cached(&objects, &environment, Duration::ZERO, crate::authenticator_config::testing::object());
    let available = End::with_phase(Phase::Available(why(Reason::Available, "text")), Requeue::OnChange);
    assert_eq!(handle.end_reconcile(&available).await, Ok(false), "the reconcile must plan again");
    assert!(handle.fresh());
    assert!(handle.object().conditions().is_empty());
    assert_eq!(handle.end_reconcile(&available).await, Ok(true));
    assert_eq!(handle.object().status.as_ref().and_then(|status| status.observed_generation), Some(2));
}

#[tokio::test]
async fn observed_generation_is_set_with_conditions_or_at_the_end() {
    let (objects, environment) =
        (AcceptingApi, SystemEnvironment::new(Leadership::default(), Arc::default(), Arc::default()));
    let mut handle =
        ObjectHandle::cached(&objects, &environment, Duration::ZERO, crate::authenticator_config::testing::object());
    let seen = |handle: &ObjectHandle<'_, AuthenticatorConfig, AcceptingApi>| {
        handle.object().status.as_ref().and_then(|status| status.observed_generation)
    };
    let id = |config: &mut AuthenticatorConfig| {
        config.status.get_or_insert_default().id = Some("a".to_owned());
        true
    };
    assert_eq!(handle.update_status(|_| None, id).await, Ok(true));
    assert_eq!(seen(&handle), None, "a change alone does not set the generation");
    handle.end_reconcile(&End::keeping_conditions(Requeue::OnChange)).await.unwrap();
    assert_eq!(seen(&handle), Some(1));
    assert!(handle.object().conditions().is_empty());
    let available = Phase::Available(why(Reason::Available, "text"));
    handle.end_reconcile(&End::with_phase(available, Requeue::OnChange)).await.unwrap();
    assert_eq!(visible_state(handle.object()), Some(("True".to_owned(), "Available".to_owned(), false)));
}

/// An API server that drops the id from each status. Another writer annotates the object right after the write.
#[derive(Default)]
struct DroppingApi(Mutex<Vec<AuthenticatorConfig>>);

impl DroppingApi {
    fn stored(&self) -> Vec<AuthenticatorConfig> {
        self.0.lock().clone()
    }
}

impl Objects<AuthenticatorConfig> for DroppingApi {
    fn cached(&self, _: &str, _: &str) -> Option<Arc<AuthenticatorConfig>> {
        None
    }

    async fn read(&self, _: &str, _: &str) -> Result<Option<AuthenticatorConfig>, String> {
        let mut annotated = self.stored().pop();
        annotated.iter_mut().for_each(|object| object.metadata.resource_version = Some("2".to_owned()));
        Ok(annotated)
    }

    async fn write_status(&self, object: &AuthenticatorConfig) -> Result<AuthenticatorConfig, WriteError> {
        let mut stored = self.0.lock();
        if stored.len() == 1 && object.metadata.resource_version.as_deref() != Some("2") {
            return Err(WriteError::Conflict);
        }
        let mut object = object.clone();
        object.status.get_or_insert_default().id = None;
        stored.push(object.clone());
        Ok(object)
    }

    async fn set_finalizer(&self, object: &AuthenticatorConfig, _: bool) -> Result<AuthenticatorConfig, WriteError> {
        Ok(object.clone())
    }

    fn emit_event(&self, _: &AuthenticatorConfig, _: EventToEmit) {}
}

#[tokio::test]
async fn partly_stored_status_is_reverted_despite_a_conflict() {
    let (objects, environment) =
        (DroppingApi::default(), SystemEnvironment::new(Leadership::default(), Arc::default(), Arc::default()));
    let mut object = crate::authenticator_config::testing::object();
    let create = CreateRecord {
        id: "record".to_owned(),
        endpoint: None,
        tenant_id: "tenant".to_owned(),
        realm_id: "realm".to_owned(),
        timeout_seconds: 1,
        set_fields: Vec::new(),
    };
    object.status.get_or_insert_default().create = Some(create.clone());
    let mut handle = ObjectHandle::cached(&objects, &environment, Duration::ZERO, object);
    let concluded = |config: &mut AuthenticatorConfig| {
        let status = config.status.get_or_insert_default();
        (status.create, status.id) = (None, Some("created".to_owned()));
        true
    };
    let recorded = handle.update_status(|_| None, concluded).await;
    assert!(matches!(recorded, Err(Interrupted::NotStored(what)) if what.contains("status.id")));
    let records: Vec<_> = objects.stored().into_iter().map(|object| object.status.unwrap().create).collect();
    assert_eq!(records, [None, Some(create)], "the record is restored");
    assert!(handle.object().status.as_ref().is_some_and(|status| status.create.is_some()));
}

#[tokio::test]
async fn leftover_of_a_deleted_object_is_not_reported_again() {
    let (objects, environment) =
        (AcceptingApi, SystemEnvironment::new(Leadership::default(), Arc::default(), Arc::default()));
    let mut handle =
        ObjectHandle::cached(&objects, &environment, Duration::ZERO, crate::authenticator_config::testing::object());
    let mut reported = None;
    let left = Some(Leftover::NotRemoved("text".to_owned()));
    assert_eq!(handle.remove_finalizer(left, &mut reported).await, Ok(()));
    assert!(handle.is_deleted());
    assert_eq!(reported, None);
}
