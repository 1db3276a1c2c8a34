//! Reservations: each enrolment key belongs to at most one request. They also record which requests name which jobs.
//!
//! Reservations live in the memory of the active process. They are seeded from all statuses, read from the API
//! server, before anything is sent. After that, the first request that resolves its identity reserves a free key.

mod claim;
mod holders;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

pub use claim::Claim;
use holders::Holders;
use names::Names;

use super::enrollment_key::EnrollmentKey;
use crate::api::enrollment_request::Skipped;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
use crate::reconcile::ObjectUid;

/// Why a key cannot be reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReserveError {
    /// Another request holds the key.
    HeldBy(ObjectUid),
    /// Another request's send to the same identity, through another configuration, is in flight or in doubt. A list
    /// may not distinguish the jobs of two such sends, so each identity gets one send at a time.
    Busy(ObjectUid),
    /// The reservations are not seeded from the statuses of its namespace yet.
    NotSeeded,
}

/// The ids of a tenant, a realm and an identity.
type Identity = [String; 3];

type EnqueueFn = Box<dyn Fn(&ObjectUid) + Send + Sync>;

/// The enrolment keys and send slots, with the requests that hold them or wait for them.
pub struct Reservations {
    state: Mutex<State>,
    enqueue: EnqueueFn,
}

#[derive(Default)]
struct State {
    /// The namespaces whose statuses are known; `None`: those of the whole cluster.
    seeded: BTreeSet<Option<String>>,
    holders: Holders,
    waiting: BTreeMap<EnrollmentKey, BTreeSet<ObjectUid>>,
    /// For each identity: the request that may send now, or whose send is in doubt.
    sending: BTreeMap<Identity, ObjectUid>,
    /// For each identity: the requests that wait for the send slot.
    next: BTreeMap<Identity, BTreeSet<ObjectUid>>,
    /// The requests whose sends are in doubt.
    in_doubt: BTreeSet<ObjectUid>,
    names: Names,
}

impl Reservations {
    /// Creates unseeded reservations. `enqueue` enqueues a request when the key or send slot that it waits for becomes
    /// free.
    pub fn new(enqueue: impl Fn(&ObjectUid) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), enqueue: Box::new(enqueue) }
    }

    /// Seeds the reservations from all statuses of the cluster.
    pub fn seed(&self, requests: &[EnrollmentRequest]) {
        self.seed_from(&[None], requests);
    }

    /// Seeds the reservations from all statuses of these namespaces; `None`: of the whole cluster. What is reserved
    /// already stays, so a namespace that could not be read at first is seeded later. Until then none of its requests may
    /// be reconciled. If two requests have the same key, the request with an attempt concluded under it gets it, then the
    /// older object, then the lower uid. The record of a send in doubt can appear late, when another request has already
    /// sent under the key. If that doubt turns out to be nothing, its request must not send.
    pub fn seed_from(&self, namespaces: &[Option<String>], requests: &[EnrollmentRequest]) {
        self.seed_claims(namespaces, requests.iter().filter_map(Claim::of).collect());
    }

    /// The same from the claims of these statuses.
    pub fn seed_claims(&self, namespaces: &[Option<String>], mut claims: Vec<Claim>) {
        claims.sort_by_cached_key(Claim::order);
        let mut state = self.lock();
        for Claim { holder, key, in_doubt, names, .. } in claims {
            if let Some(key) = key {
                if in_doubt {
                    state.sending.entry(identity_of(&key)).or_insert_with(|| ObjectUid::clone(&holder));
                }
                state.holders.insert_if_free(&key, &holder);
            }
            state.set_doubt(&holder, in_doubt);
            state.names.set(&holder, &names.iter().map(String::as_str).collect());
        }
        state.seeded.extend(namespaces.iter().cloned());
    }

    /// Whether the statuses of this namespace are known; `None`: those of the whole cluster.
    pub fn is_seeded(&self, namespace: &Option<String>) -> bool {
        self.lock().is_seeded(namespace)
    }

    /// Reserves `key` for `holder`. If another request holds the key, the caller may find that request deleted, and
    /// release it. All other keys of `holder` are released: its spec resolves to `key` now, and nothing of it is in
    /// doubt, or it would not reserve.
    pub fn reserve(&self, key: &EnrollmentKey, holder: &ObjectUid) -> Result<(), ReserveError> {
        let freed = {
            let mut state = self.lock();
            if !state.is_seeded(&Some(holder.namespace.clone())) {
                return Err(ReserveError::NotSeeded);
            }
            if let Some(other) = state.holders.get(key).filter(|other| other.uid != holder.uid) {
                let other = other.clone();
                state.waiting.entry(key.clone()).or_default().insert(holder.clone());
                return Err(ReserveError::HeldBy(other));
            }
            let identity = identity_of(key);
            if let Some(other) = state.sending.get(&identity).filter(|other| other.uid != holder.uid) {
                let other = other.clone();
                state.next.entry(identity).or_default().insert(holder.clone());
                return Err(ReserveError::Busy(other));
            }
            let freed = state.give_up(&holder.uid, Some(key));
            let shared = state.names.shared(holder);
            state.holders.insert(key, shared);
            state.sending.insert(identity, holder.clone());
            freed
        };
        freed.iter().for_each(|waiting| (self.enqueue)(waiting));
        Ok(())
    }

    /// Whether the request holds the send slot of an identity, so that no other request may send to it.
    pub fn holds_send_slot(&self, holder: &ObjectUid) -> bool {
        self.lock().sending.values().any(|other| other.uid == holder.uid)
    }

    /// Releases the request's send slot, because nothing of it is in flight or in doubt any more. A request that needs no
    /// key releases its key, too.
    pub fn settled(&self, holder: &ObjectUid, status: &EnrollmentRequestStatus) {
        let freed = {
            let mut state = self.lock();
            let mut freed = state.end_sending(&holder.uid);
            if needs_no_key(status) {
                freed.extend(state.give_up(&holder.uid, None));
            }
            freed
        };
        freed.iter().for_each(|waiting| (self.enqueue)(waiting));
    }

    /// Releases everything that a request holds or waits for, because the request is deleted.
    pub fn release(&self, holder: &ObjectUid) {
        let freed = {
            let mut state = self.lock();
            state.set_doubt(holder, false);
            let shared = state.names.shared(holder);
            state.names.set(&shared, &BTreeSet::new());
            state.stop_waiting(&holder.uid);
            let mut freed = state.give_up(&holder.uid, None);
            freed.extend(state.end_sending(&holder.uid));
            freed
        };
        freed.iter().for_each(|waiting| (self.enqueue)(waiting));
    }

    /// The other request that holds the key of the send in doubt in `status`, if that request is in doubt, too. The
    /// write-ahead record of a process that has ended can appear late, when another request already holds the key. A
    /// job that could belong to either request is left to the holder of the key.
    pub fn rival_in_doubt(&self, holder: &ObjectUid, status: &EnrollmentRequestStatus) -> Option<ObjectUid> {
        status.send.as_ref()?;
        let state = self.lock();
        let rival = state.holders.get(&key_of(status)?).filter(|other| other.uid != holder.uid)?;
        state.in_doubt.contains(rival).then(|| rival.clone())
    }

    /// Records whether the send of a request is in doubt, and the jobs that its status names. A status from the watch
    /// cache may be older than this process's own writes (`fresh` is false). It counts only where nothing is known.
    pub fn note(&self, holder: &ObjectUid, status: &EnrollmentRequestStatus, fresh: bool) {
        let mut state = self.lock();
        if fresh {
            state.set_doubt(holder, status.send.is_some());
        }
        if fresh || !state.names.knows(holder) {
            let shared = state.names.shared(holder);
            state.names.set(&shared, &named_by(status));
        }
    }

    /// Those of `jobs` that a request other than `holder` names, with the requests that name them.
    pub fn named_elsewhere<'a>(
        &self,
        holder: &ObjectUid,
        jobs: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, BTreeSet<ObjectUid>> {
        let state = self.lock();
        jobs.map(|job| (job.to_owned(), state.names.others(holder, job)))
            .filter(|(_, others)| !others.is_empty())
            .collect()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn is_seeded(&self, namespace: &Option<String>) -> bool {
        self.seeded.contains(&None) || self.seeded.contains(namespace)
    }

    fn set_doubt(&mut self, holder: &ObjectUid, in_doubt: bool) {
        if !in_doubt {
            self.in_doubt.remove(holder);
        } else if !self.in_doubt.contains(holder) {
            self.in_doubt.insert(holder.clone());
        }
    }

    /// Removes `uid` from all wait lists.
    fn stop_waiting(&mut self, uid: &str) {
        fn without<K: Ord>(lists: &mut BTreeMap<K, BTreeSet<ObjectUid>>, uid: &str) {
            lists.retain(|_, waiting| {
                waiting.retain(|holder| holder.uid != uid);
                !waiting.is_empty()
            });
        }
        without(&mut self.waiting, uid);
        without(&mut self.next, uid);
    }

    /// Releases the send slots of `uid`. Returns the requests that waited for them.
    fn end_sending(&mut self, uid: &str) -> Vec<ObjectUid> {
        let Self { sending, next, .. } = self;
        let mut freed = Vec::new();
        sending.retain(|identity, holder| {
            let ended = holder.uid == uid;
            if ended {
                freed.extend(next.remove(identity).into_iter().flatten());
            }
            !ended
        });
        freed
    }

    /// Releases the keys that `uid` holds, except `keep`. Returns the requests that waited for them.
    fn give_up(&mut self, uid: &str, keep: Option<&EnrollmentKey>) -> Vec<ObjectUid> {
        let given_up = self.holders.remove(uid, keep);
        given_up.iter().flat_map(|key| self.waiting.remove(key).into_iter().flatten()).collect()
    }
}

fn identity_of(key: &EnrollmentKey) -> Identity {
    [&key.tenant_id, &key.realm_id, &key.identity_id].map(Clone::clone)
}

/// Whether the request was revoked before it sent an email. Otherwise such a request would keep an identity from being
/// enrolled by others. It reserves a key again before it sends.
fn needs_no_key(status: &EnrollmentRequestStatus) -> bool {
    let has_sent = status.send.is_some() || status.job_id.is_some() || !status.previous_jobs.is_empty();
    status.skipped == Some(Skipped::Revoked) && !has_sent
}

/// The enrolment key that a status needs: the key of the send in doubt, or else of the last concluded attempt.
fn key_of(status: &EnrollmentRequestStatus) -> Option<EnrollmentKey> {
    if let Some(send) = &status.send {
        return Some(EnrollmentKey {
            tenant_id: send.tenant_id.clone(),
            realm_id: send.realm_id.clone(),
            identity_id: send.identity_id.clone(),
            authenticator_config_id: send.authenticator_config_id.clone(),
        });
    }
    if needs_no_key(status) { None } else { concluded_key(status) }
}

/// The enrolment key of the last concluded attempt.
fn concluded_key(status: &EnrollmentRequestStatus) -> Option<EnrollmentKey> {
    Some(EnrollmentKey {
        tenant_id: status.tenant_id.clone()?,
        realm_id: status.realm_id.clone()?,
        identity_id: status.identity_id.clone()?,
        authenticator_config_id: status.authenticator_config_id.clone()?,
    })
}

/// Whether an attempt was concluded under the enrolment key of this status.
fn has_concluded_under_its_key(status: &EnrollmentRequestStatus) -> bool {
    concluded_key(status).is_some_and(|concluded| key_of(status) == Some(concluded))
}

/// The jobs that a status names.
fn named_by(status: &EnrollmentRequestStatus) -> BTreeSet<&str> {
    status.job_id.iter().chain(status.previous_jobs.iter().map(|job| &job.id)).map(String::as_str).collect()
}

#[cfg(test)]
mod tests;
