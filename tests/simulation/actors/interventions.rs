//! Interventions: rebuilds of a namespace, and changes of the data that the operator stores.

use std::sync::Arc;

use beyond_identity_operator::api::authenticator_config::DeletionPolicy;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::kubernetes::{Key, Kind};
use crate::world::State;

impl State {
    /// Records an intervention on a request.
    pub fn record_intervention(&mut self, key: &Key) {
        let uid = self.cluster.requests.objects.get(key).and_then(|request| request.metadata.uid.clone());
        self.record.tampered.extend(uid);
    }

    /// The id of the remote configuration in an object's status.
    pub fn remote_of(&self, key: &Key) -> Option<String> {
        self.cluster.configs.objects.get(key)?.status.as_ref()?.id.clone()
    }

    /// Sets the deletion policy Orphan of a configuration.
    pub fn orphan_config(&mut self, key: &Key) {
        let orphan = Some(DeletionPolicy::Orphan);
        if self.cluster.configs.objects.get(key).is_some_and(|config| config.spec.deletion_policy != orphan) {
            self.edit(key, |config: &mut AuthenticatorConfig| config.spec.deletion_policy = orphan);
        }
    }

    /// Deletes all objects of a kind in a namespace, and creates them again with the same spec.
    pub fn rebuild<K: Kind>(&mut self, namespace: &str, now: Timestamp) {
        let objects = K::table(self).objects.iter().filter(|(key, _)| key.0 == namespace);
        let lost: Vec<_> = objects.map(|(key, object)| (key.clone(), K::clone(object))).collect();
        for (key, mut object) in lost {
            let uid = object.meta().uid.clone().unwrap_or_default();
            // A retained link may still remain after the rebuild.
            let may_remain = !self.record.tampered.insert(uid);
            self.remove_finalizers::<K>(&key);
            self.delete::<K>(&key, now);
            let meta = object.meta_mut();
            *meta = ObjectMeta { namespace: meta.namespace.take(), name: meta.name.take(), ..ObjectMeta::default() };
            self.create(object, now);
            if may_remain {
                let again = K::table(self).objects.get(&key).and_then(|object| object.meta().uid.clone());
                self.record.tampered.extend(again);
            }
        }
    }

    /// Clears a status. The emails of its attempts no longer count, since the operator cannot know them.
    pub fn clear_status(&mut self, key: &Key) {
        let Some(request) = self.cluster.requests.objects.get(key).cloned() else { return };
        let mut request = Arc::unwrap_or_clone(request);
        let uid = request.metadata.uid.clone().unwrap_or_default();
        request.reset_status();
        _ = self.write_status(&request, true);
        // A change of the status alone does not enqueue the object.
        let number = self.number().to_string();
        self.annotate::<EnrollmentRequest>(key, "status-cleared", &number);
        self.record.announced.values_mut().filter(|it| it.uid == uid).for_each(|it| it.status_cleared = true);
    }
}
