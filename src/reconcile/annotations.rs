//! Annotation actions of an object of any kind. Pure.

use kube::{Resource, ResourceExt};

use crate::api::{HasStatus, PAUSED, RECONCILE_REQUESTED_AT, text};

/// Whether the object is paused. Only the exact value `true` pauses it. A typo does not, and the missing condition
/// shows the user that it does not.
pub fn is_paused(object: &impl Resource) -> bool {
    object.annotations().get(PAUSED).is_some_and(|value| value == "true")
}

/// The requested reconcile that is not handled yet: any annotation value other than the last handled one, in the form
/// that the status can store.
pub fn reconcile_requested(object: &(impl Resource + HasStatus)) -> Option<String> {
    let asked = text::status_text(object.annotations().get(RECONCILE_REQUESTED_AT)?);
    (object.last_handled_reconcile_at() != Some(asked.as_str())).then_some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AuthenticatorConfig;
    use crate::authenticator_config::testing::object;

    fn annotated(name: &str, value: &str) -> AuthenticatorConfig {
        let mut config = object();
        config.annotations_mut().insert(name.to_owned(), value.to_owned());
        config
    }

    #[test]
    fn only_the_value_true_pauses() {
        assert!(is_paused(&annotated(PAUSED, "true")));
        for other in ["", "false", "True", "TRUE", " true", "yes", "1"] {
            assert!(!is_paused(&annotated(PAUSED, other)), "{other:?}");
        }
        assert!(!is_paused(&object()));
    }

    #[test]
    fn unhandled_annotation_value_requests_a_reconcile() {
        assert_eq!(reconcile_requested(&object()), None);
        for value in ["", "now", "2026-01-01T12:00:00Z", &"ä".repeat(2000)] {
            let mut config = annotated(RECONCILE_REQUESTED_AT, value);
            let requested = reconcile_requested(&config).unwrap();
            assert!(requested.chars().count() <= 1024);
            config.set_last_handled_reconcile_at(requested);
            assert_eq!(reconcile_requested(&config), None, "{value:?} is handled");
            config.annotations_mut().insert(RECONCILE_REQUESTED_AT.to_owned(), "another".to_owned());
            assert_eq!(reconcile_requested(&config).as_deref(), Some("another"));
        }
    }
}
