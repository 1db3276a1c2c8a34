//! The record of a run, from which the invariants are checked.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::actors::Object;
use crate::budget;
use crate::kubernetes::{Announced, Key, Kind};

/// The record of a run.
#[derive(Debug, Default)]
pub struct Record {
    /// The announced calls, by the id of the write-ahead record.
    pub announced: BTreeMap<String, Announcement>,
    /// The time of the last list of jobs for each object, by process.
    pub listed: BTreeMap<String, Instant>,
    /// The time of the last email of each object.
    pub emails: BTreeMap<String, Instant>,
    /// The object that first had each job in its status.
    pub claimed_by: BTreeMap<String, String>,
    /// The records of resends that were written. From then on, the annotation may be removed.
    pub resends: BTreeSet<String>,
    /// The jobs that were read by id in an adoptable state.
    pub read: BTreeSet<String>,
    /// The jobs that were adopted.
    pub adopted: BTreeSet<String>,
    /// The jobs that an event reported as retained.
    pub retained: BTreeSet<String>,
    /// The objects with an intervention on their status or deletion. Their links may remain.
    pub tampered: BTreeSet<String>,
    /// When an object's realm was last resolved without the Secret. Recorded only with a single process.
    pub resolved_without_secret: BTreeMap<Key, Instant>,
    /// When an admission policy or a fault last refused a status.
    pub refused_at: Option<Instant>,
    /// When each process began to list all jobs of the realm for requests.
    pub lists_of_realm: BTreeMap<String, Vec<Instant>>,
    /// The number of pauses of an object with a call in doubt.
    pub paused_in_doubt: u64,
    /// The number of revocations and deletions with the last known token.
    pub with_last_token: u64,
    /// The tokens that the service refused for anything but a removal.
    pub refused_tokens: BTreeSet<u64>,
    /// Whether the service refused a scope that more than removals need.
    pub refused_scope: bool,
    /// The objects whose last call was refused, although the service accepts the token.
    pub single_refusals: Vec<Object>,
    /// How often a process seeded its reservations from a namespace that it could not read at its start.
    pub seeded_late: u64,
    /// How often a provider config held back an object or a call.
    pub held_back: u64,
    /// Whether a mutant is active. Then only the promises themselves count as violated.
    pub mutated: bool,
    /// The first violation.
    pub violation: Option<String>,
}

/// An announced call.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub uid: String,
    pub record: Announced,
    pub started: Instant,
    /// The list of the identity's jobs before the record.
    pub listed: Option<Instant>,
    /// The lists of all jobs of the realm before the record, for requests of its process.
    pub listed_realm: Vec<Instant>,
    /// The jobs that the status named.
    pub named: Vec<String>,
    /// The jobs that the service created for it.
    pub jobs: Vec<String>,
    /// Whether the status of its object was cleared since.
    pub status_cleared: bool,
}

impl Record {
    /// Records the write-ahead record of a status, before its write starts.
    pub fn announce<K: Kind>(&mut self, process: &str, object: &K) {
        let Some(record) = object.announced() else { return };
        let (uid, started) = (object.meta().uid.clone().unwrap_or_default(), Instant::now());
        let (listed, named) = (self.listed.get(&budget::lister_of(process, object)).copied(), object.named());
        let new = Announcement {
            uid,
            record: record.clone(),
            started,
            listed,
            listed_realm: self.lists_of_realm.get(process).cloned().unwrap_or_default(),
            named,
            jobs: Vec::new(),
            status_cleared: false,
        };
        self.announced.entry(record.id).or_insert(new);
    }

    /// The number of emails for an attempt of an object, or for a resend of one job. An email whose job another request
    /// has adopted counts for that request.
    pub fn emails_for(&self, uid: &str, Announced { attempt, resend_of, .. }: &Announced) -> usize {
        let same = |it: &&Announcement| {
            it.uid == uid && (it.record.attempt, &it.record.resend_of) == (*attempt, resend_of) && !it.status_cleared
        };
        let is_its = |job: &&String| self.claimed_by.get(*job).is_none_or(|claimant| claimant == uid);
        self.announced.values().filter(same).flat_map(|it| &it.jobs).filter(is_its).count()
    }
}
