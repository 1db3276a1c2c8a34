//! Changes to an AuthenticatorConfig's status. A change applies to the current status, and reports whether it still
//! applies. Pure.

use super::phase::available;
use crate::api::authenticator_config::OtherValue;
use crate::api::{AuthenticatorConfigStatus, Phase};
use crate::reconcile::RealmIds;

/// A change to status.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Records that the remote configuration with this id belongs to this object.
    Adopt {
        /// The id of the write-ahead record that the configuration was created or found under; `None` without a
        /// record.
        create_id: Option<String>,
        /// Its id.
        id: String,
        /// The realm of the configuration.
        realm: RealmIds,
        /// The base URL of the API that has the configuration, if it is known.
        endpoint: Option<String>,
        /// The generation of the spec that the configuration was just created from. `None` if it was found, and is
        /// not compared yet.
        created_generation: Option<i64>,
        /// The ids of further configurations that were listed with this object's mark.
        duplicates: Vec<String>,
    },
    /// Records the fields that this object sets or has set on the configuration.
    SetFields {
        /// Its id.
        id: String,
        /// The fields, by their names in the spec.
        fields: Vec<String>,
    },
    /// Records the values that the service keeps otherwise than they were sent.
    OtherValues {
        /// The id of the configuration.
        id: String,
        /// The values.
        values: Vec<OtherValue>,
        /// The message about those that are new.
        note: Option<String>,
    },
    /// Removes the id of a configuration that no longer exists.
    Forget {
        /// Its id.
        id: String,
    },
}

impl Change {
    /// Applies the change. Returns `false`, and changes nothing, if the change no longer applies to this status.
    pub fn apply(&self, status: &mut AuthenticatorConfigStatus) -> bool {
        match self {
            Self::Adopt { create_id, id, realm, endpoint, created_generation: _, duplicates: _ } => {
                let record = status.create.as_ref().map(|create| &create.id);
                if status.id.as_ref().is_some_and(|known| known != id) || record != create_id.as_ref() {
                    return false;
                }
                status.id = Some(id.clone());
                status.tenant_id = Some(realm.tenant_id.clone());
                status.realm_id = Some(realm.realm_id.clone());
                status.endpoint.clone_from(endpoint);
                if let Some(create) = status.create.take() {
                    status.set_fields = create.set_fields;
                }
                true
            }
            Self::SetFields { id, fields } => {
                let applies = status.id.as_ref() == Some(id);
                if applies {
                    status.set_fields.clone_from(fields);
                }
                applies
            }
            Self::OtherValues { id, values, note: _ } => {
                let applies = status.id.as_ref() == Some(id);
                if applies {
                    status.other_values.clone_from(values);
                }
                applies
            }
            Self::Forget { id } => {
                let applies = status.id.take_if(|known| known == id).is_some();
                if applies {
                    status.set_fields.clear();
                    status.other_values.clear();
                }
                applies
            }
        }
    }

    /// The phase of an object of this generation after the change; `None` if its configuration is not compared yet.
    pub fn phase(&self, generation: i64) -> Option<Phase> {
        match self {
            Self::Adopt { realm, created_generation: Some(created), .. } if *created == generation => {
                Some(available(realm))
            }
            Self::Adopt { .. } | Self::SetFields { .. } | Self::OtherValues { .. } | Self::Forget { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::authenticator_config::CreateRecord;

    fn take(create_id: Option<&str>, id: &str) -> Change {
        let realm = RealmIds { tenant_id: "t".to_owned(), realm_id: "r".to_owned() };
        Change::Adopt {
            create_id: create_id.map(str::to_owned),
            id: id.to_owned(),
            realm,
            endpoint: None,
            created_generation: None,
            duplicates: Vec::new(),
        }
    }

    #[test]
    fn recorded_id_is_not_replaced_by_another_id() {
        let mut status = AuthenticatorConfigStatus::default();
        assert!(take(None, "a").apply(&mut status));
        assert!(!take(None, "b").apply(&mut status));
        assert_eq!(status.id.as_deref(), Some("a"));
        assert!(!Change::Forget { id: "b".to_owned() }.apply(&mut status));
        assert!(Change::Forget { id: "a".to_owned() }.apply(&mut status));
        assert_eq!(status.id, None);
    }

    #[test]
    fn record_of_another_process_is_kept() {
        let text = str::to_owned;
        let record = CreateRecord {
            id: text("another"),
            endpoint: None,
            tenant_id: text("t"),
            realm_id: text("r"),
            timeout_seconds: 31,
            set_fields: vec![text("displayName")],
        };
        let mut status = AuthenticatorConfigStatus { create: Some(record), ..AuthenticatorConfigStatus::default() };
        let before = status.clone();
        assert!(!take(Some("own"), "a").apply(&mut status));
        assert!(!take(None, "a").apply(&mut status));
        assert_eq!(status, before);
        assert!(take(Some("another"), "a").apply(&mut status));
        assert_eq!((status.create, status.set_fields), (None, vec![text("displayName")]));
    }

    #[test]
    fn taken_configuration_is_recorded_with_its_realm() {
        let mut status = AuthenticatorConfigStatus::default();
        assert!(take(None, "a").apply(&mut status));
        assert_eq!((status.tenant_id.as_deref(), status.realm_id.as_deref()), (Some("t"), Some("r")));
        let before = status.clone();
        assert!(take(None, "a").apply(&mut status), "taking it again changes nothing");
        assert_eq!(status, before);
        assert!(Change::Forget { id: "a".to_owned() }.apply(&mut status));
        assert_eq!(status.realm_id.as_deref(), Some("r"), "it is recreated in the same realm");
    }
}
