//! The cache of one watch: the newest known version of each object. Finished objects are kept packed.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use kube::Resource;
use kube::runtime::reflector::ObjectRef;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::pack::{Pack, Packed, Shapes};
use crate::reconcile::ObjectUid;

/// Read access to the objects of one watch. Clones share them.
pub struct Store<K>(Arc<Shared<K>>);

struct Shared<K> {
    /// The objects by [`key`].
    objects: RwLock<HashMap<Box<str>, Entry<K>>>,
    synced: watch::Sender<bool>,
}

struct Entry<K> {
    kept: Kept<K>,
    /// The last list that contained the object.
    list: u32,
}

/// An object as it is kept.
enum Kept<K> {
    Whole(Arc<K>),
    Packed(Packed<K>),
}

/// Write access to the objects of one watch.
pub struct StoreWriter<K> {
    store: Store<K>,
    shapes: Shapes<K>,
    /// The number of the current list.
    list: u32,
    /// The versions before this list of the objects that it changed; `None`: the object is new.
    before: HashMap<Box<str>, Option<Kept<K>>>,
    /// The objects that this list replaced by others of the same names.
    replaced: Vec<ObjectUid>,
}

/// What a complete list has changed.
pub struct Listed<K> {
    /// The objects that no longer exist.
    pub gone: Vec<ObjectUid>,
    store: Store<K>,
    /// The keys of all objects that exist.
    keys: Vec<Box<str>>,
    is_first: bool,
    before: HashMap<Box<str>, Option<Kept<K>>>,
}

/// An empty store with its writer.
pub fn store<K: Pack + Resource<DynamicType = ()>>() -> (Store<K>, StoreWriter<K>) {
    let store = Store(Arc::new(Shared { objects: RwLock::default(), synced: watch::Sender::new(false) }));
    let writer = StoreWriter {
        store: store.clone(),
        shapes: Shapes::default(),
        list: 0,
        before: HashMap::new(),
        replaced: Vec::new(),
    };
    (store, writer)
}

fn key(namespace: Option<&str>, name: &str) -> Box<str> {
    format!("{}/{name}", namespace.unwrap_or_default()).into()
}

fn key_of(object: &impl Resource) -> Box<str> {
    let meta = object.meta();
    key(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
}

impl<K: Pack + Resource<DynamicType = ()>> Store<K> {
    /// The object of this reference. Nothing is found before the first list is complete.
    pub fn get(&self, object: &ObjectRef<K>) -> Option<Arc<K>> {
        let key = key(object.namespace.as_deref(), &object.name);
        self.is_synced().then(|| self.0.objects.read().get(&key).map(|entry| entry.kept.whole()))?
    }

    /// Calls `each` with each object. It must not use this store.
    pub fn each(&self, mut each: impl FnMut(&Arc<K>)) {
        if self.is_synced() {
            self.0.objects.read().values().for_each(|entry| each(&entry.kept.whole()));
        }
    }

    /// Calls `each` with each packed object. It must not use this store.
    pub fn each_packed(&self, mut each: impl FnMut(&K)) {
        if self.is_synced() {
            for entry in self.0.objects.read().values() {
                if let Kept::Packed(packed) = &entry.kept {
                    each(&packed.unpacked());
                }
            }
        }
    }

    /// All objects that are not packed.
    pub fn unpacked(&self) -> Vec<Arc<K>> {
        if !self.is_synced() {
            return Vec::new();
        }
        let objects = self.0.objects.read();
        let whole = objects.values().filter_map(|entry| match &entry.kept {
            Kept::Whole(object) => Some(object.clone()),
            Kept::Packed(_) => None,
        });
        whole.collect()
    }

    /// The shapes of the packed objects, which lack what is the own of each object, with the number of objects.
    pub fn shapes(&self) -> Vec<(Arc<K>, usize)> {
        let mut shapes = HashMap::<*const K, (Arc<K>, usize)>::new();
        if self.is_synced() {
            for entry in self.0.objects.read().values() {
                if let Kept::Packed(packed) = &entry.kept {
                    let shape = packed.shape();
                    shapes.entry(Arc::as_ptr(shape)).or_insert_with(|| (shape.clone(), 0)).1 += 1;
                }
            }
        }
        shapes.into_values().collect()
    }

    fn is_synced(&self) -> bool {
        *self.0.synced.borrow()
    }

    /// Waits until the first list is complete.
    pub async fn synced(&self) {
        // Fails only if the sender is dropped, and this is one of its owners.
        let _ = self.0.synced.subscribe().wait_for(|synced| *synced).await;
    }
}

impl<K: Pack + Resource<DynamicType = ()>> StoreWriter<K> {
    /// Stores a version of an object. Returns the previous one.
    pub fn apply(&mut self, object: &Arc<K>) -> Option<Arc<K>> {
        let entry = Entry { kept: self.keep(object), list: self.list };
        let before = self.store.0.objects.write().insert(key_of(&**object), entry);
        before.map(|before| before.kept.whole()).filter(|before| is_same(&**before, &**object))
    }

    /// Removes an object.
    pub fn delete(&mut self, object: &K) {
        self.store.0.objects.write().remove(&key_of(object));
    }

    /// Begins a list of all objects.
    pub fn begin_list(&mut self) {
        self.list = self.list.wrapping_add(1);
    }

    /// Stores an object of a list. A version that is known already is not stored again.
    pub fn list(&mut self, object: K) {
        let key = key_of(&object);
        let version = |object: &K| (object.meta().uid.clone(), object.meta().resource_version.clone());
        let mut objects = self.store.0.objects.write();
        if let Some(known) = objects.get_mut(&key)
            && object.meta().resource_version.is_some()
            && version(&known.kept.whole()) == version(&object)
        {
            known.list = self.list;
            return;
        }
        drop(objects);
        let uid = object.meta().uid.clone();
        let entry = Entry { kept: self.keep(&Arc::new(object)), list: self.list };
        let before = self.store.0.objects.write().insert(key.clone(), entry);
        if *self.store.0.synced.borrow() {
            let new = uid.as_deref();
            self.replaced.extend(
                before.as_ref().map(|before| ObjectUid::of(&*before.kept.whole())).filter(|it| Some(&*it.uid) != new),
            );
            self.before.entry(key).or_insert(before.map(|before| before.kept));
        }
    }

    /// Ends a list. Removes the objects that it did not contain.
    pub fn end_list(&mut self) -> Listed<K> {
        let (mut gone, before, list) = (mem::take(&mut self.replaced), mem::take(&mut self.before), self.list);
        let mut objects = self.store.0.objects.write();
        objects.retain(|_, entry| {
            let is_there = entry.list == list;
            if !is_there {
                gone.push(ObjectUid::of(&*entry.kept.whole()));
            }
            is_there
        });
        let keys = objects.keys().cloned().collect();
        drop(objects);
        let is_first = !self.store.0.synced.send_replace(true);
        Listed { gone, store: self.store.clone(), keys, is_first, before }
    }

    fn keep(&mut self, object: &Arc<K>) -> Kept<K> {
        let packed = object.is_finished().then(|| self.shapes.pack(object)).flatten();
        packed.map_or_else(|| Kept::Whole(object.clone()), Kept::Packed)
    }
}

impl<K: Pack + Resource<DynamicType = ()>> Listed<K> {
    /// Calls `each` with each object, and with the version that was known before the list.
    pub fn each(mut self, each: impl Fn(Option<&K>, &K)) {
        for key in self.keys {
            let Some(object) = self.store.0.objects.read().get(&key).map(|entry| entry.kept.whole()) else { continue };
            let before = match self.before.remove(&key) {
                Some(before) => before.map(|before| before.whole()).filter(|before| is_same(&**before, &*object)),
                None => (!self.is_first).then(|| object.clone()),
            };
            each(before.as_deref(), &object);
        }
    }
}

/// Whether both are versions of one object, and not two objects of the same name.
fn is_same(one: &impl Resource, other: &impl Resource) -> bool {
    one.meta().uid == other.meta().uid
}

impl<K: Pack + Resource<DynamicType = ()>> Kept<K> {
    fn whole(&self) -> Arc<K> {
        match self {
            Self::Whole(object) => object.clone(),
            Self::Packed(packed) => Arc::new(packed.unpacked()),
        }
    }
}

impl<K> Clone for Store<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cfg(test)]
mod tests;
