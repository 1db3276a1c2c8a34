//! A model of the API server: objects with a resourceVersion, status as a subresource, finalizers, and a log of changes
//! for watches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest, FINALIZER, HasStatus, PAUSED};
use beyond_identity_operator::reconcile::WriteError;
use beyond_identity_operator::reconcile::annotations::is_paused;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::faults::Port;
use crate::lease::Lease;
use crate::process::Process;
use crate::world::State;

/// Namespace and name.
pub type Key = (String, String);

/// Objects by key.
pub type Objects<K> = BTreeMap<Key, Arc<K>>;

/// A kind that the operator reconciles.
pub trait Kind: Resource<DynamicType = ()> + HasStatus + Send + Sync + 'static {
    const READ: Port;
    const WRITE: Port;
    const FINALIZE: Port;

    fn table(state: &mut State) -> &mut Table<Self>;
    fn cache(process: &Process) -> &parking_lot::Mutex<Objects<Self>>;
    /// Sets the default status of the schema, as for a new object.
    fn reset_status(&mut self);
    /// The call that its status announces, if any.
    fn announced(&self) -> Option<Announced>;
    /// The remote jobs that its status names.
    fn named(&self) -> Vec<String>;
    /// Removes the write-ahead record.
    fn remove_record(&mut self);
    /// Checks the invariants after a write of its status.
    fn check(&self, state: &mut State);
    /// A summary of the status.
    fn summary(&self) -> String;
}

/// A call that a status announces.
#[derive(Clone, Debug)]
pub struct Announced {
    pub id: String,
    pub attempt: i64,
    /// The job that a resend follows.
    pub resend_of: Option<String>,
}

/// The cluster: its objects, and the settings of the API server.
#[derive(Debug, Default)]
pub struct Cluster {
    pub requests: Table<EnrollmentRequest>,
    pub configs: Table<AuthenticatorConfig>,
    /// Whether the installed schema lacks the write-ahead records.
    pub old_schema: bool,
    /// The namespaces in which the operator has no Role.
    pub denied: BTreeSet<String>,
    /// Since when an admission policy refuses every status that the operator writes.
    pub policy_since: Option<Instant>,
    /// The Lease of the leader election.
    pub lease: Lease,
    /// Notifies watches of changes.
    pub changes: Arc<Notify>,
}

/// All objects of one kind.
#[derive(Debug)]
pub struct Table<K> {
    pub objects: Objects<K>,
    /// Every change, in order.
    pub log: Vec<Change<K>>,
}

/// A change of an object.
#[derive(Debug)]
pub struct Change<K> {
    pub at: Instant,
    pub key: Key,
    /// The object. For a deletion, its last version.
    pub object: Arc<K>,
    pub deleted: bool,
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        Self { at: self.at, key: self.key.clone(), object: self.object.clone(), deleted: self.deleted }
    }
}

impl<K> Table<K> {
    /// The objects at a past moment, and the number of changes until then.
    pub fn as_of(&self, moment: Instant) -> (Objects<K>, usize) {
        let before = self.log.iter().take_while(|change| change.at <= moment);
        let (mut objects, mut count) = (Objects::new(), 0);
        for Change { key, object, deleted, .. } in before {
            count += 1;
            if *deleted {
                objects.remove(key);
            } else {
                objects.insert(key.clone(), object.clone());
            }
        }
        (objects, count)
    }
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), log: Vec::new() }
    }
}

pub fn key<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

impl State {
    /// Creates an object, as a user does.
    pub fn create<K: Kind>(&mut self, mut object: K, now: Timestamp) {
        let uid = self.number();
        object.meta_mut().uid = Some(format!("uid-{uid}"));
        object.meta_mut().generation = Some(1);
        object.meta_mut().creation_timestamp = Some(Time(now));
        object.reset_status();
        self.store(object);
    }

    /// Deletes an object, as a user does. It stays as long as it has finalizers.
    pub fn delete<K: Kind>(&mut self, key: &Key, now: Timestamp) {
        let Some(object) = K::table(self).objects.get(key).cloned() else { return };
        if object.meta().deletion_timestamp.is_some() {
            return;
        }
        let mut object = Arc::unwrap_or_clone(object);
        object.meta_mut().deletion_timestamp = Some(Time(now));
        object.meta_mut().generation = object.meta().generation.map(|generation| generation + 1);
        self.store(object);
    }

    /// Changes an object's spec, as a user does. The caller ensures that the schema allows the change.
    pub fn edit<K: Kind>(&mut self, key: &Key, change: impl FnOnce(&mut K)) {
        let Some(object) = K::table(self).objects.get(key).cloned() else { return };
        let mut object = Arc::unwrap_or_clone(object);
        change(&mut object);
        object.meta_mut().generation = object.meta().generation.map(|generation| generation + 1);
        self.store(object);
    }

    /// Annotates an object, as a user does.
    pub fn annotate<K: Kind>(&mut self, key: &Key, annotation: &str, value: &str) {
        let Some(object) = K::table(self).objects.get(key).cloned() else { return };
        let mut object = Arc::unwrap_or_clone(object);
        object.annotations_mut().insert(annotation.to_owned(), value.to_owned());
        self.store(object);
    }

    /// Pauses an object, as a user does.
    pub fn pause<K: Kind>(&mut self, key: &Key) {
        self.annotate::<K>(key, PAUSED, "true");
        let in_doubt = K::table(self).objects.get(key).is_some_and(|object| object.announced().is_some());
        self.record.paused_in_doubt += u64::from(in_doubt);
        self.plans.paused.entry((K::READ, key.clone())).or_insert_with(Instant::now);
    }

    /// Resumes an object.
    pub fn resume<K: Kind>(&mut self, key: &Key) {
        self.annotate::<K>(key, PAUSED, "false");
        self.plans.paused.remove(&(K::READ, key.clone()));
    }

    /// When the object was paused.
    pub fn paused_since<K: Kind>(&mut self, key: &Key) -> Option<Instant> {
        let since = self.plans.paused.get(&(K::READ, key.clone())).copied();
        // An object of that name may have been created again.
        since.filter(|_| K::table(self).objects.get(key).is_some_and(|object| is_paused(object.as_ref())))
    }

    /// Changes the annotations of a request, as a user does.
    pub fn annotate_request(&mut self, key: &Key, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let Some(request) = self.cluster.requests.objects.get(key).cloned() else { return };
        let mut request = Arc::unwrap_or_clone(request);
        change(request.annotations_mut());
        self.store(request);
    }

    /// Removes all finalizers, as a user does.
    pub fn remove_finalizers<K: Kind>(&mut self, key: &Key) {
        let Some(object) = K::table(self).objects.get(key).cloned() else { return };
        let mut object = Arc::unwrap_or_clone(object);
        object.meta_mut().finalizers = None;
        self.store(object);
    }

    /// PUT of a status, with uid and resourceVersion as preconditions unless `force`.
    pub fn write_status<K: Kind>(&mut self, object: &K, force: bool) -> Result<K, WriteError> {
        let current = self.current(object, force)?;
        if current.same_status(object) {
            return Ok(current);
        }
        let announces = |object: &K| object.announced().map(|announced| announced.id);
        if announces(object).is_some() && announces(object) != announces(&current) && is_paused(&current) {
            self.violate(format!("a call was announced for the paused object {:?}", key(object)));
        }
        let mut written = current;
        written.take_status(object);
        if self.cluster.old_schema {
            // The API server silently drops fields that are not in the schema.
            written.remove_record();
        }
        Ok(self.store(written))
    }

    /// PATCH of the finalizer, with uid and resourceVersion as preconditions.
    pub fn set_finalizer<K: Kind>(&mut self, object: &K, present: bool) -> Result<K, WriteError> {
        let current = self.current(object, false)?;
        let has_finalizer = current.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        if has_finalizer == present {
            return Ok(current);
        }
        if present && current.meta().deletion_timestamp.is_some() {
            return Err(WriteError::Refused(
                "no new finalizers can be added if the object is being deleted".to_owned(),
            ));
        }
        let mut patched = current;
        patched.meta_mut().finalizers = present.then(|| vec![FINALIZER.to_owned()]);
        Ok(self.store(patched))
    }

    fn current<K: Kind>(&mut self, object: &K, force: bool) -> Result<K, WriteError> {
        let current = K::table(self).objects.get(&key(object)).ok_or(WriteError::NotFound)?;
        let same = current.uid() == object.uid() && current.resource_version() == object.resource_version();
        if same || force { Ok((**current).clone()) } else { Err(WriteError::Conflict) }
    }

    /// Stores a new version, or removes an object that is deleted and has no finalizers.
    fn store<K: Kind>(&mut self, mut object: K) -> K {
        let version = self.number();
        object.meta_mut().resource_version = Some(version.to_string());
        let key = key(&object);
        let kept = object.meta().deletion_timestamp.is_none() || !object.finalizers().is_empty();
        let (table, shared) = (K::table(self), Arc::new(object.clone()));
        if kept {
            table.objects.insert(key.clone(), shared.clone());
        } else {
            table.objects.remove(&key);
        }
        table.log.push(Change { at: Instant::now(), key, object: shared, deleted: !kept });
        self.cluster.changes.notify_waiters();
        object
    }
}
