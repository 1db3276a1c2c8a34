//! What is noted of a run, so that invariants can tell whether a promise is broken.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::kubernetes::{Announced, Key, Kind};

/// What is noted.
#[derive(Debug, Default)]
pub struct Record {
    /// Who announced a call, by the id of its record.
    pub announced: BTreeMap<String, Announcement>,
    /// When the last email of an object went out.
    pub emails: BTreeMap<String, Instant>,
    /// The object that named a job first, by the job.
    pub namers: BTreeMap<String, String>,
    /// The records of resends that were written once. From then on the annotation may go.
    pub resends: BTreeSet<String>,
    /// The jobs that were read by their ids, in a state in which they can be adopted.
    pub read: BTreeSet<String>,
    /// The jobs that were adopted.
    pub adopted: BTreeSet<String>,
    /// The jobs of which was told that they are left.
    pub left: BTreeSet<String>,
    /// The objects whose memory or whose end somebody laid hands on: their links may be left.
    pub touched: BTreeSet<String>,
    /// When an object's last way to the service began without a Secret, where there is one process at a time.
    pub opened_without: BTreeMap<Key, Instant>,
    /// When an admission policy, or a fault, refused a status last.
    pub refused_at: Option<Instant>,
    /// How often people paused an object while a call was in doubt.
    pub paused_in_doubt: u64,
    /// How often something was revoked or deleted by the token that was seen last.
    pub by_the_last_token: u64,
    /// Whether a rule was taken out, so that what is promised has to show it.
    pub mutated: bool,
    /// What must not happen, and did.
    pub violation: Option<String>,
}

/// Who announced a call, and when the writing of its record began.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub uid: String,
    pub record: Announced,
    pub begun: Instant,
    /// The jobs that the service made for it.
    pub jobs: Vec<String>,
    /// Whether its object was made to forget it since.
    pub stripped: bool,
}

impl Record {
    /// The writing of a status begins: from here on its record, if it has a new one, may come to stand.
    pub fn announce<K: Kind>(&mut self, object: &K) {
        let Some(record) = object.announced() else { return };
        let (uid, begun) = (object.meta().uid.clone().unwrap_or_default(), Instant::now());
        let new = Announcement { uid, record: record.clone(), begun, jobs: Vec::new(), stripped: false };
        self.announced.entry(record.id).or_insert(new);
    }

    /// How many emails went out for what `record` announces: an attempt of an object, or a resend of one job. One whose job
    /// another request for the same person took for its own counts for that one.
    pub fn done_for(&self, uid: &str, Announced { attempt, resend_of, .. }: &Announced) -> usize {
        let same = |it: &&Announcement| {
            it.uid == uid && (it.record.attempt, &it.record.resend_of) == (*attempt, resend_of) && !it.stripped
        };
        let is_its = |job: &&String| self.namers.get(*job).is_none_or(|namer| namer == uid);
        self.announced.values().filter(same).flat_map(|it| &it.jobs).filter(is_its).count()
    }
}
