//! One person, one request: which request a person belongs to, and which jobs are named by which request.
//!
//! It lives in the memory of the process that acts. It is filled from all statuses, read from the API server,
//! before anything is sent; after that the first request that has resolved its identity takes a person that is
//! free.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kube::ResourceExt;
use parking_lot::Mutex;

use super::enrollment_key::EnrollmentKey;
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus, FINALIZER};

/// A request that holds a person, or waits for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Holder {
    /// The request as a holder.
    pub fn of(request: &EnrollmentRequest) -> Self {
        Self {
            uid: request.uid().unwrap_or_default(),
            namespace: request.namespace().unwrap_or_default(),
            name: request.name_any(),
        }
    }
}

/// Why a person cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReserveError {
    /// Another request has it.
    By(Holder),
    /// A send of another request to the same identity, by another configuration, is under way or in doubt. A list
    /// may not tell which of two such sends a job is of, so there is one at a time.
    Busy(Holder),
    /// Nobody knows yet who has whom.
    NotSeeded,
}

/// Tenant, realm and identity.
type Identity = [String; 3];

type Wake = Box<dyn Fn(&Holder) + Send + Sync>;

/// Who holds whom.
pub struct Reservations {
    state: Mutex<State>,
    wake: Wake,
}

#[derive(Default)]
struct State {
    seeded: bool,
    holders: BTreeMap<EnrollmentKey, Holder>,
    waiting: BTreeMap<EnrollmentKey, BTreeSet<Holder>>,
    /// The request that may send to an identity now, or whose send to it is in doubt.
    sending: BTreeMap<Identity, Holder>,
    /// Those that wait for their turn to send to an identity.
    next: BTreeMap<Identity, BTreeSet<Holder>>,
    /// The requests whose sends are in doubt.
    in_doubt: BTreeSet<Holder>,
    /// The jobs that a request's status names.
    named: BTreeMap<Holder, BTreeSet<String>>,
    /// The requests whose statuses name a job, by the job.
    namers: HashMap<String, BTreeSet<Holder>>,
}

impl Reservations {
    /// Nothing is known yet. `wake` is called for a request that waited for a person who is free now.
    pub fn new(wake: impl Fn(&Holder) + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), wake: Box::new(wake) }
    }

    /// Takes over what all statuses say. Of two requests with one person it goes to the one in doubt, then to the
    /// older object, then to the lower uid.
    pub fn seed(&self, requests: &[EnrollmentRequest]) {
        let mut requests: Vec<_> = requests.iter().collect();
        requests.sort_by_key(|request| {
            let in_doubt = request.status.as_ref().is_some_and(|status| status.send.is_some());
            (!in_doubt, request.metadata.creation_timestamp.clone(), request.uid())
        });
        let mut state = self.lock();
        for request in requests {
            let Some(status) = &request.status else { continue };
            let is_let_go = request.metadata.deletion_timestamp.is_some()
                && !request.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
            if is_let_go {
                continue;
            }
            let holder = Holder::of(request);
            if let Some(key) = key_of(status) {
                if status.send.is_some() {
                    state.sending.entry(identity_of(&key)).or_insert_with(|| holder.clone());
                }
                state.holders.entry(key).or_insert_with(|| holder.clone());
            }
            state.set_doubt(&holder, status.send.is_some());
            state.set_names(&holder, named_by(status));
        }
        state.seeded = true;
    }

    /// Reserves `person` for `holder`. Where another one has it, whoever asks may find that one gone, and release
    /// it. Whoever else `holder` held is given up: its spec leads to `person` now, and nothing of it is in doubt,
    /// or it would not ask.
    pub fn reserve(&self, key: &EnrollmentKey, holder: &Holder) -> Result<(), ReserveError> {
        let freed = {
            let mut state = self.lock();
            if !state.seeded {
                return Err(ReserveError::NotSeeded);
            }
            if let Some(other) = state.holders.get(key).filter(|other| other.uid != holder.uid) {
                let other = other.clone();
                state.waiting.entry(key.clone()).or_default().insert(holder.clone());
                return Err(ReserveError::By(other));
            }
            let identity = identity_of(key);
            if let Some(other) = state.sending.get(&identity).filter(|other| other.uid != holder.uid) {
                let other = other.clone();
                state.next.entry(identity).or_default().insert(holder.clone());
                return Err(ReserveError::Busy(other));
            }
            let freed = state.give_up(&holder.uid, Some(key));
            state.holders.insert(key.clone(), holder.clone());
            state.sending.insert(identity, holder.clone());
            freed
        };
        freed.iter().for_each(|waiting| (self.wake)(waiting));
        Ok(())
    }

    /// Whether the request may send to an identity now, so that no other one may.
    pub fn holds_send_slot(&self, holder: &Holder) -> bool {
        self.lock().sending.values().any(|other| other.uid == holder.uid)
    }

    /// Nothing of the request is under way or in doubt any more.
    pub fn settled(&self, holder: &Holder) {
        let freed = self.lock().end_sending(&holder.uid);
        freed.iter().for_each(|waiting| (self.wake)(waiting));
    }

    /// Gives up all that the request held, and all that it waited for: it is gone.
    pub fn release(&self, holder: &Holder) {
        let freed = {
            let mut state = self.lock();
            state.set_doubt(holder, false);
            state.set_names(holder, BTreeSet::new());
            state.stop_waiting(&holder.uid);
            let mut freed = state.give_up(&holder.uid, None);
            freed.extend(state.end_sending(&holder.uid));
            freed
        };
        freed.iter().for_each(|waiting| (self.wake)(waiting));
    }

    /// The other request that has the person of the send that is in doubt in `status`, where it is in doubt, too: the
    /// record of a process that has ended can turn up late, when somebody else has the person already. A job that
    /// could be either's is left to the one that has the person.
    pub fn rival_in_doubt(&self, holder: &Holder, status: &EnrollmentRequestStatus) -> Option<Holder> {
        status.send.as_ref()?;
        let state = self.lock();
        let rival = state.holders.get(&key_of(status)?).filter(|other| other.uid != holder.uid)?;
        state.in_doubt.contains(rival).then(|| rival.clone())
    }

    /// Takes note of whether the send of a request is in doubt, and of which jobs its status names. What a watch
    /// cache says may be behind what this process wrote itself (`fresh` is false), and counts only where nothing is
    /// known.
    pub fn note(&self, holder: &Holder, status: &EnrollmentRequestStatus, fresh: bool) {
        let mut state = self.lock();
        if fresh {
            state.set_doubt(holder, status.send.is_some());
        }
        if fresh || !state.named.contains_key(holder) {
            state.set_names(holder, named_by(status));
        }
    }

    /// Those of `jobs` that another request than `holder` names, and which do.
    pub fn named_elsewhere<'a>(
        &self,
        holder: &Holder,
        jobs: impl Iterator<Item = &'a str>,
    ) -> BTreeMap<String, BTreeSet<Holder>> {
        let state = self.lock();
        let others = |job: &str| -> BTreeSet<Holder> {
            state.namers.get(job).into_iter().flatten().filter(|other| other.uid != holder.uid).cloned().collect()
        };
        jobs.map(|job| (job.to_owned(), others(job))).filter(|(_, others)| !others.is_empty()).collect()
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn set_doubt(&mut self, holder: &Holder, in_doubt: bool) {
        if !in_doubt {
            self.in_doubt.remove(holder);
        } else if !self.in_doubt.contains(holder) {
            self.in_doubt.insert(holder.clone());
        }
    }

    /// The status of `holder` names these jobs and no others.
    fn set_names(&mut self, holder: &Holder, jobs: BTreeSet<String>) {
        if self.named.get(holder).is_some_and(|known| known == &jobs) {
            return;
        }
        for job in self.named.remove(holder).into_iter().flatten() {
            if let Some(namers) = self.namers.get_mut(&job) {
                namers.remove(holder);
                if namers.is_empty() {
                    self.namers.remove(&job);
                }
            }
        }
        for job in &jobs {
            self.namers.entry(job.clone()).or_default().insert(holder.clone());
        }
        if !jobs.is_empty() {
            self.named.insert(holder.clone(), jobs);
        }
    }

    /// `uid` waits for nobody any more.
    fn stop_waiting(&mut self, uid: &str) {
        fn without<K: Ord>(lists: &mut BTreeMap<K, BTreeSet<Holder>>, uid: &str) {
            lists.retain(|_, waiting| {
                waiting.retain(|holder| holder.uid != uid);
                !waiting.is_empty()
            });
        }
        without(&mut self.waiting, uid);
        without(&mut self.next, uid);
    }

    /// Lets others send to whom `uid` was sending. Answers those that waited for that.
    fn end_sending(&mut self, uid: &str) -> Vec<Holder> {
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

    /// Frees whom `uid` holds, except `keep`. Answers those that waited for them.
    fn give_up(&mut self, uid: &str, keep: Option<&EnrollmentKey>) -> Vec<Holder> {
        let Self { holders, waiting, .. } = self;
        let mut freed = Vec::new();
        holders.retain(|key, holder| {
            let given_up = holder.uid == uid && keep != Some(key);
            if given_up {
                freed.extend(waiting.remove(key).into_iter().flatten());
            }
            !given_up
        });
        freed
    }
}

fn identity_of(key: &EnrollmentKey) -> Identity {
    [&key.tenant_id, &key.realm_id, &key.identity_id].map(Clone::clone)
}

/// Whom a status is about: the send in doubt, or what the last attempt was concluded for.
fn key_of(status: &EnrollmentRequestStatus) -> Option<EnrollmentKey> {
    if let Some(send) = &status.send {
        return Some(EnrollmentKey {
            tenant_id: send.tenant_id.clone(),
            realm_id: send.realm_id.clone(),
            identity_id: send.identity_id.clone(),
            authenticator_config_id: send.authenticator_config_id.clone(),
        });
    }
    Some(EnrollmentKey {
        tenant_id: status.tenant_id.clone()?,
        realm_id: status.realm_id.clone()?,
        identity_id: status.identity_id.clone()?,
        authenticator_config_id: status.authenticator_config_id.clone()?,
    })
}

/// The jobs that a status names.
fn named_by(status: &EnrollmentRequestStatus) -> BTreeSet<String> {
    status.job_id.iter().chain(status.previous_jobs.iter().map(|job| &job.id)).cloned().collect()
}

#[cfg(test)]
mod tests;
