//! What is said of an object, and of which version.

use std::sync::Arc;

use super::*;
use crate::api::phase::why;
use crate::api::{AuthenticatorConfig, Reason};
use crate::environment::SystemEnvironment;
use crate::reconcile::Until;
use crate::runtime::leader::Leadership;

/// An API server that takes whatever is written.
struct Agreeable;

impl Objects<AuthenticatorConfig> for Agreeable {
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

    fn announce(&self, _: &AuthenticatorConfig, _: Announcement) {}
}

/// An API server that has a newer version than the one in hand.
struct Ahead;

impl Objects<AuthenticatorConfig> for Ahead {
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

    fn announce(&self, _: &AuthenticatorConfig, _: Announcement) {}
}

#[tokio::test]
async fn what_was_planned_for_an_older_version_is_not_said_of_a_newer_one() {
    let (objects, environment) = (Ahead, SystemEnvironment::new(Leadership::default(), Arc::default()));
    let mut held = Held::cached(&objects, &environment, Duration::ZERO, crate::authenticator_config::testing::object());
    let available = Wait::saying(Phase::Available(why(Reason::Available, "text")), Until::Change);
    assert_eq!(held.conclude(&available).await, Ok(false), "it has to be planned anew");
    assert!(held.fresh());
    assert!(held.object().conditions().is_empty());
    assert_eq!(held.conclude(&available).await, Ok(true));
    assert_eq!(held.object().status.as_ref().and_then(|status| status.observed_generation), Some(2));
}

#[tokio::test]
async fn an_object_counts_as_looked_at_when_something_is_said_of_it_or_the_look_ends() {
    let (objects, environment) = (Agreeable, SystemEnvironment::new(Leadership::default(), Arc::default()));
    let mut held = Held::cached(&objects, &environment, Duration::ZERO, crate::authenticator_config::testing::object());
    let seen = |held: &Held<'_, AuthenticatorConfig, Agreeable>| {
        held.object().status.as_ref().and_then(|status| status.observed_generation)
    };
    let id = |config: &mut AuthenticatorConfig| {
        config.status.get_or_insert_default().id = Some("a".to_owned());
        true
    };
    assert_eq!(held.record_saying(|_| None, id).await, Ok(true));
    assert_eq!(seen(&held), None, "a change alone says nothing of the object");
    held.conclude(&Wait { say: None, until: Until::Change }).await.unwrap();
    assert_eq!(seen(&held), Some(1));
    assert!(held.object().conditions().is_empty());
    let available = Phase::Available(why(Reason::Available, "text"));
    held.conclude(&Wait::saying(available, Until::Change)).await.unwrap();
    assert_eq!(spoken(held.object()), Some(("True".to_owned(), "Available".to_owned(), false)));
}
