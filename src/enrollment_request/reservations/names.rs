//! Which requests name which jobs in their statuses. There may be very many, and most of them name one job of their own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::reconcile::ObjectUid;

/// The names, in both directions.
#[derive(Default)]
pub(super) struct Names {
    /// For each request: the jobs that its status names, sorted.
    named: BTreeMap<Arc<ObjectUid>, Box<[Arc<str>]>>,
    /// For each job: the requests whose statuses name it.
    namers: HashMap<Arc<str>, Vec<Arc<ObjectUid>>>,
}

impl Names {
    /// Whether it is known which jobs a request names.
    pub(super) fn knows(&self, holder: &ObjectUid) -> bool {
        self.named.contains_key(holder)
    }

    /// The shared copy of `holder`, or a new one.
    pub(super) fn shared(&self, holder: &ObjectUid) -> Arc<ObjectUid> {
        self.named.get_key_value(holder).map_or_else(|| Arc::new(holder.clone()), |(shared, _)| shared.clone())
    }

    /// Sets which jobs a request names.
    pub(super) fn set(&mut self, holder: &Arc<ObjectUid>, jobs: &BTreeSet<&str>) {
        if self.named.get(holder).is_some_and(|known| known.iter().map(AsRef::as_ref).eq(jobs.iter().copied())) {
            return;
        }
        for job in self.named.remove(holder).into_iter().flatten() {
            if let Some(namers) = self.namers.get_mut(&job) {
                namers.retain(|other| other != holder);
                if namers.is_empty() {
                    self.namers.remove(&job);
                }
            }
        }
        if jobs.is_empty() {
            return;
        }
        let jobs: Box<[Arc<str>]> = jobs.iter().map(|job| Arc::from(*job)).collect();
        for job in &jobs {
            // Most jobs have one namer, so there is no room for more.
            self.namers.entry(job.clone()).or_insert_with(|| Vec::with_capacity(1)).push(holder.clone());
        }
        self.named.insert(holder.clone(), jobs);
    }

    /// The other requests that name this job.
    pub(super) fn others(&self, holder: &ObjectUid, job: &str) -> BTreeSet<ObjectUid> {
        let namers = self.namers.get(job).into_iter().flatten();
        namers.filter(|other| other.uid != holder.uid).map(|other| ObjectUid::clone(other)).collect()
    }
}
