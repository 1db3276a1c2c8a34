//! What people do to objects besides writing and deleting them: they lose them, and lay hands on what the operator keeps.

use std::sync::Arc;

use beyond_identity_operator::api::authenticator_config::DeletionPolicy;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::kubernetes::{Key, Kind};
use crate::world::State;

impl State {
    /// Somebody lays hands on a request.
    pub fn touch(&mut self, key: &Key) {
        let uid = self.cluster.requests.objects.get(key).and_then(|request| request.metadata.uid.clone());
        self.record.touched.extend(uid);
    }

    /// The configuration that an object's status names.
    pub fn remote_of(&self, key: &Key) -> Option<String> {
        self.cluster.configs.objects.get(key)?.status.as_ref()?.id.clone()
    }

    /// Has the configuration of an object stay when that is deleted.
    pub fn orphan_config(&mut self, key: &Key) {
        let orphan = DeletionPolicy::Orphan;
        if self.cluster.configs.objects.get(key).is_some_and(|config| config.spec.deletion_policy != orphan) {
            self.edit(key, |config: &mut AuthenticatorConfig| config.spec.deletion_policy = orphan);
        }
    }

    /// All objects of a kind in a namespace are lost, and made again as they were written.
    pub fn rebuild<K: Kind>(&mut self, namespace: &str, now: Timestamp) {
        let objects = K::table(self).objects.iter().filter(|(key, _)| key.0 == namespace);
        let lost: Vec<_> = objects.map(|(key, object)| (key.clone(), K::clone(object))).collect();
        for (key, mut object) in lost {
            let uid = object.meta().uid.clone().unwrap_or_default();
            // What its spec leaves behind when it is deleted, it still does.
            let leaves = !self.record.touched.insert(uid);
            self.free::<K>(&key);
            self.delete::<K>(&key, now);
            let meta = object.meta_mut();
            *meta = ObjectMeta { namespace: meta.namespace.take(), name: meta.name.take(), ..ObjectMeta::default() };
            self.create(object, now);
            if leaves {
                let again = K::table(self).objects.get(&key).and_then(|object| object.meta().uid.clone());
                self.record.touched.extend(again);
            }
        }
    }

    /// Takes everything out of a status. What was sent for its attempts does not count any more, where nobody can
    /// know: the newest job is dead.
    pub fn strip(&mut self, key: &Key) {
        let Some(request) = self.cluster.requests.objects.get(key).cloned() else { return };
        let mut request = Arc::unwrap_or_clone(request);
        let uid = request.metadata.uid.clone().unwrap_or_default();
        request.reset_status();
        _ = self.write_status(&request, true);
        // A change of the status alone wakes nobody.
        let number = self.number().to_string();
        self.annotate::<EnrollmentRequest>(key, "look-at-it", &number);
        self.record.announced.values_mut().filter(|it| it.uid == uid).for_each(|it| it.stripped = true);
    }
}
