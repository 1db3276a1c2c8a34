//! Which request holds which enrolment key. There may be very many, and most of them are of one configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::enrollment_request::enrollment_key::EnrollmentKey;
use crate::reconcile::ObjectUid;

/// The ids of a tenant, a realm and an authenticator configuration.
type Configuration = [String; 3];

/// The holders, by configuration and identity.
#[derive(Default)]
pub(super) struct Holders(BTreeMap<Configuration, BTreeMap<Box<str>, Arc<ObjectUid>>>);

fn configuration_of(key: &EnrollmentKey) -> Configuration {
    [&key.tenant_id, &key.realm_id, &key.authenticator_config_id].map(Clone::clone)
}

impl Holders {
    /// The request that holds `key`.
    pub(super) fn get(&self, key: &EnrollmentKey) -> Option<&ObjectUid> {
        self.0.get(&configuration_of(key))?.get(&*key.identity_id).map(Arc::as_ref)
    }

    /// Gives `key` to a request.
    pub(super) fn insert(&mut self, key: &EnrollmentKey, holder: Arc<ObjectUid>) {
        self.of_configuration(key).insert(key.identity_id.as_str().into(), holder);
    }

    /// Gives `key` to a request, unless another one holds it.
    pub(super) fn insert_if_free(&mut self, key: &EnrollmentKey, holder: &Arc<ObjectUid>) {
        self.of_configuration(key).entry(key.identity_id.as_str().into()).or_insert_with(|| holder.clone());
    }

    fn of_configuration(&mut self, key: &EnrollmentKey) -> &mut BTreeMap<Box<str>, Arc<ObjectUid>> {
        self.0.entry(configuration_of(key)).or_default()
    }

    /// Removes all keys of this request, except `keep`. Returns the removed ones.
    pub(super) fn remove(&mut self, uid: &str, keep: Option<&EnrollmentKey>) -> Vec<EnrollmentKey> {
        let mut removed = Vec::new();
        for ([tenant_id, realm_id, authenticator_config_id], identities) in &mut self.0 {
            let key = |identity_id: &str| EnrollmentKey {
                tenant_id: tenant_id.clone(),
                realm_id: realm_id.clone(),
                identity_id: identity_id.to_owned(),
                authenticator_config_id: authenticator_config_id.clone(),
            };
            identities.retain(|identity, holder| {
                let key = (holder.uid == uid).then(|| key(identity)).filter(|key| keep != Some(key));
                let is_kept = key.is_none();
                removed.extend(key);
                is_kept
            });
        }
        self.0.retain(|_, identities| !identities.is_empty());
        removed
    }
}
