//! The API server: objects under a resourceVersion, status as a subresource, finalizers, and a log of changes
//! that watches follow.

use std::collections::BTreeMap;
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

/// Objects as a watch keeps them.
pub type Objects<K> = BTreeMap<Key, Arc<K>>;

/// A kind that the operator works on.
pub trait Kind: Resource<DynamicType = ()> + HasStatus + Send + Sync + 'static {
    const READ: Port;
    const WRITE: Port;
    const FINALIZE: Port;

    fn table(state: &mut State) -> &mut Table<Self>;
    fn cache(process: &Process) -> &parking_lot::Mutex<Objects<Self>>;
    /// A new object's status: what the schema gives as default.
    fn reset_status(&mut self);
    /// The id of the record that announces a call.
    fn announced(&self) -> Option<Announced>;
    /// Takes the record out.
    fn forget_record(&mut self);
    /// Looks whether its status, which was just written, keeps the promises.
    fn check(&self, state: &mut State);
    /// What the status says, in a few words.
    fn brief(&self) -> String;
}

/// What a status says of a call that is about to be made.
#[derive(Clone, Debug)]
pub struct Announced {
    pub id: String,
    pub attempt: i64,
    /// The job that is sent again for.
    pub resend_of: Option<String>,
}

/// The cluster: its objects, and what else the API server goes by.
#[derive(Debug, Default)]
pub struct Cluster {
    pub requests: Table<EnrollmentRequest>,
    pub configs: Table<AuthenticatorConfig>,
    /// Whether the schema that the API server serves has no write-ahead records.
    pub old_schema: bool,
    /// Since when an admission policy refuses every status that the operator writes.
    pub policy_since: Option<Instant>,
    /// The lease by which one of several processes is elected.
    pub lease: Lease,
    /// Tells watches of changes.
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
    /// The object; as it was last, where it is gone.
    pub object: Arc<K>,
    pub gone: bool,
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        Self { at: self.at, key: self.key.clone(), object: self.object.clone(), gone: self.gone }
    }
}

impl<K> Table<K> {
    /// The objects as they were at a moment, and how many changes had been made until then.
    pub fn as_of(&self, moment: Instant) -> (Objects<K>, usize) {
        let before = self.log.iter().take_while(|change| change.at <= moment);
        let (mut objects, mut count) = (Objects::new(), 0);
        for Change { key, object, gone, .. } in before {
            count += 1;
            if *gone {
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
    /// Creates an object, as a person does.
    pub fn create<K: Kind>(&mut self, mut object: K, now: Timestamp) {
        let uid = self.number();
        object.meta_mut().uid = Some(format!("uid-{uid}"));
        object.meta_mut().generation = Some(1);
        object.meta_mut().creation_timestamp = Some(Time(now));
        object.reset_status();
        self.store(object);
    }

    /// Deletes an object, as a person does. It stays as long as it has finalizers.
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

    /// Changes an object's spec, as a person does; whether the schema allows it is for the caller to know.
    pub fn edit<K: Kind>(&mut self, key: &Key, change: impl FnOnce(&mut K)) {
        let Some(object) = K::table(self).objects.get(key).cloned() else { return };
        let mut object = Arc::unwrap_or_clone(object);
        change(&mut object);
        object.meta_mut().generation = object.meta().generation.map(|generation| generation + 1);
        self.store(object);
    }

    /// Annotates an object, as a person does.
    pub fn annotate<K: Kind>(&mut self, key: &Key, annotation: &str, value: &str) {
        let Some(object) = K::table(self).objects.get(key).cloned() else { return };
        let mut object = Arc::unwrap_or_clone(object);
        object.annotations_mut().insert(annotation.to_owned(), value.to_owned());
        self.store(object);
    }

    /// Stops all work on an object, as a person does.
    pub fn pause<K: Kind>(&mut self, key: &Key) {
        self.annotate::<K>(key, PAUSED, "true");
        let in_doubt = K::table(self).objects.get(key).is_some_and(|object| object.announced().is_some());
        self.record.paused_in_doubt += u64::from(in_doubt);
        self.plans.paused.entry((K::READ, key.clone())).or_insert_with(Instant::now);
    }

    /// Has work on it go on.
    pub fn resume<K: Kind>(&mut self, key: &Key) {
        self.annotate::<K>(key, PAUSED, "false");
        self.plans.paused.remove(&(K::READ, key.clone()));
    }

    /// Since when the object is paused.
    pub fn paused_since<K: Kind>(&mut self, key: &Key) -> Option<Instant> {
        let since = self.plans.paused.get(&(K::READ, key.clone())).copied();
        // The one of that name may be a new one.
        since.filter(|_| K::table(self).objects.get(key).is_some_and(|object| is_paused(object.as_ref())))
    }

    /// Changes the annotations of a request, as a person does.
    pub fn annotate_request(&mut self, key: &Key, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let Some(request) = self.cluster.requests.objects.get(key).cloned() else { return };
        let mut request = Arc::unwrap_or_clone(request);
        change(request.annotations_mut());
        self.store(request);
    }

    /// Takes all finalizers off, as a person does.
    pub fn free<K: Kind>(&mut self, key: &Key) {
        let Some(object) = K::table(self).objects.get(key).cloned() else { return };
        let mut object = Arc::unwrap_or_clone(object);
        object.meta_mut().finalizers = None;
        self.store(object);
    }

    /// PUT of a status, under uid and resourceVersion unless `anyhow`.
    pub fn write_status<K: Kind>(&mut self, object: &K, anyhow: bool) -> Result<K, WriteError> {
        let current = self.current(object, anyhow)?;
        if current.same_status(object) {
            return Ok(current);
        }
        let announces = |object: &K| object.announced().map(|announced| announced.id);
        if announces(object).is_some() && announces(object) != announces(&current) && is_paused(&current) {
            self.violate(format!("a call was announced for {:?}, which is paused", key(object)));
        }
        let mut written = current;
        written.take_status(object);
        if self.cluster.old_schema {
            // What the schema does not have is dropped without a word.
            written.forget_record();
        }
        Ok(self.store(written))
    }

    /// PATCH of the finalizer, under uid and resourceVersion.
    pub fn set_finalizer<K: Kind>(&mut self, object: &K, present: bool) -> Result<K, WriteError> {
        let current = self.current(object, false)?;
        let stands = current.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        if stands == present {
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

    fn current<K: Kind>(&mut self, object: &K, anyhow: bool) -> Result<K, WriteError> {
        let current = K::table(self).objects.get(&key(object)).ok_or(WriteError::NotFound)?;
        let same = current.uid() == object.uid() && current.resource_version() == object.resource_version();
        if same || anyhow { Ok((**current).clone()) } else { Err(WriteError::Conflict) }
    }

    /// Stores a new version, or removes the object if nothing keeps it any more.
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
        table.log.push(Change { at: Instant::now(), key, object: shared, gone: !kept });
        self.cluster.changes.notify_waiters();
        object
    }
}
