//! The watched objects of one kind: a store for each watched namespace, or one for the whole cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use kube::Resource;
use kube::runtime::reflector::ObjectRef;

use super::pack::Pack;
use super::store::{Store, StoreWriter, store};

/// The stores of one kind, combined. Clones share the stores.
pub struct Stores<K: Resource<DynamicType = ()> + 'static>(Arc<BTreeMap<Option<String>, Store<K>>>);

impl<K: Resource<DynamicType = ()> + Pack + 'static> Stores<K> {
    /// Creates a store and its writer for each of `scopes`: a namespace, or `None` for the whole cluster.
    pub fn new(scopes: &[Option<String>]) -> (Self, Vec<StoreWriter<K>>) {
        let mut writers = Vec::new();
        let new = |scope: &Option<String>| {
            let (store, writer) = store();
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

    /// All objects. Not for a kind of which there may be many.
    pub fn state(&self) -> Vec<Arc<K>> {
        let mut all = Vec::new();
        self.each(|object| all.push(object.clone()));
        all
    }

    /// Calls `each` with each object. It must not use these stores.
    pub fn each(&self, mut each: impl FnMut(&Arc<K>)) {
        self.0.values().for_each(|store| store.each(&mut each));
    }

    /// Calls `each` with each finished object. It must not use these stores.
    pub fn each_finished(&self, mut each: impl FnMut(&K)) {
        self.0.values().for_each(|store| store.each_packed(&mut each));
    }

    /// The objects that are not finished.
    pub fn unfinished(&self) -> Vec<Arc<K>> {
        self.0.values().flat_map(Store::unpacked).collect()
    }

    /// All objects, for counting: each one that is not finished, and the shapes of the finished ones, with their number.
    pub fn counted(&self) -> Vec<(Arc<K>, usize)> {
        let shapes = self.0.values().flat_map(Store::shapes);
        self.unfinished().into_iter().map(|object| (object, 1)).chain(shapes).collect()
    }

    /// Waits until the store of `scope` is synced.
    pub async fn synced_in(&self, scope: &Option<String>) {
        if let Some(store) = self.0.get(scope) {
            store.synced().await;
        }
    }

    /// Waits until all stores are synced.
    pub async fn synced(&self) {
        join_all(self.0.values().map(Store::synced)).await;
    }
}

impl<K: Resource<DynamicType = ()> + 'static> Clone for Stores<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
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
        let list = |writer: &mut StoreWriter<_>, namespace: &str| {
            writer.list(config(namespace));
            writer.end_list();
        };
        list(&mut writers[0], "a");
        assert!(found(&stores, "a") && !found(&stores, "b"));
        list(&mut writers[1], "b");
        assert!(found(&stores, "b") && !found(&stores, "c"));
        assert_eq!(stores.state().len(), 2);

        let (stores, mut writers) = Stores::new(&[None]);
        list(&mut writers[0], "b");
        assert!(found(&stores, "b") && !found(&stores, "a"));
    }
}
