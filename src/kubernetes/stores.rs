//! The watched objects of one kind: a store for each watched namespace, or one for the whole cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};

use super::watch::synced;

/// The stores of one kind, combined. Clones share the stores.
pub struct Stores<K: Resource<DynamicType = ()> + 'static>(Arc<BTreeMap<Option<String>, Store<K>>>);

impl<K: Resource<DynamicType = ()> + Clone + 'static> Stores<K> {
    /// Creates a store and its writer for each of `scopes`: a namespace, or `None` for the whole cluster.
    pub fn new(scopes: &[Option<String>]) -> (Self, Vec<Writer<K>>) {
        let mut writers = Vec::new();
        let new = |scope: &Option<String>| {
            let (store, writer) = reflector::store();
            writers.push(writer);
            (scope.clone(), store)
        };
        let stores = scopes.iter().map(new).collect();
        (Self(Arc::new(stores)), writers)
    }

    /// The object of this reference, if it is watched and exists.
    pub fn get(&self, object: &ObjectRef<K>) -> Option<Arc<K>> {
        let store = self.0.get(&object.namespace).or_else(|| self.0.get(&None))?;
        store.get(object)
    }

    /// All objects.
    pub fn state(&self) -> Vec<Arc<K>> {
        self.0.values().flat_map(Store::state).collect()
    }

    /// Waits until the store of `scope` is synced.
    pub async fn synced_in(&self, scope: &Option<String>) {
        if let Some(store) = self.0.get(scope) {
            synced(store).await;
        }
    }

    /// Waits until all stores are synced.
    pub async fn synced(&self) {
        join_all(self.0.values().map(synced)).await;
    }
}

impl<K: Resource<DynamicType = ()> + 'static> Clone for Stores<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::api::AuthenticatorConfig;
    use crate::authenticator_config::testing::object;

    fn config(namespace: &str) -> AuthenticatorConfig {
        let mut config = object();
        config.metadata.namespace = Some(namespace.to_owned());
        config
    }

    #[test]
    fn object_is_found_in_namespace_or_cluster_store() {
        let found = |stores: &Stores<AuthenticatorConfig>, namespace: &str| {
            let found = stores.get(&ObjectRef::from_obj(&config(namespace)));
            found.is_some_and(|it| it.metadata.namespace.as_deref() == Some(namespace))
        };
        let (stores, mut writers) = Stores::new(&[Some("a".to_owned()), Some("b".to_owned())]);
        writers[0].apply_watcher_event(&Event::Apply(config("a")));
        assert!(found(&stores, "a") && !found(&stores, "b"));
        writers[1].apply_watcher_event(&Event::Apply(config("b")));
        assert!(found(&stores, "b") && !found(&stores, "c"));
        assert_eq!(stores.state().len(), 2);

        let (stores, mut writers) = Stores::new(&[None]);
        writers[0].apply_watcher_event(&Event::Apply(config("b")));
        assert!(found(&stores, "b") && !found(&stores, "a"));
    }
}
