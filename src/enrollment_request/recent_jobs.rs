//! The ages of jobs that no list tells: those of this process's own sends, which a list may not show yet, and those
//! without a usable time. They count for an hour from when this process first saw them.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::plan::budget::HOUR;
use crate::reconcile::RealmIds;

/// An identity of a realm.
type Identity = (String, String, String);
/// When this process first saw each job.
type FirstSeen = BTreeMap<String, Instant>;

/// The jobs whose ages only this process knows.
#[derive(Default)]
pub struct RecentJobs {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: BTreeMap<Identity, FirstSeen>,
    undated: BTreeMap<Identity, FirstSeen>,
    /// The number of identities at which old sends are removed.
    prune_at: usize,
}

/// The most jobs of an identity without a usable time that are remembered, which is more than any limit. The others count as
/// new in each list, so nothing is sent to such an identity.
const MOST_UNDATED: usize = 1_000;

/// The fewest identities at which old sends are removed.
const PRUNE_AT: usize = 64;

impl RecentJobs {
    /// Records a job that this process created.
    pub fn sent(&self, realm: &RealmIds, identity_id: &str, job_id: &str, now: Instant) {
        let state = &mut *self.state.lock();
        if state.sent.len() >= state.prune_at {
            state.sent.retain(|_, jobs| jobs.values().any(|seen| is_recent(*seen, now)));
            state.prune_at = PRUNE_AT.max(2 * state.sent.len());
        }
        state.sent.entry(key(realm, identity_id)).or_default().entry(job_id.to_owned()).or_insert(now);
    }

    /// Whether this process created a job for an identity within the last hour.
    pub fn has_sent(&self, realm: &RealmIds, identity_id: &str, now: Instant) -> bool {
        let state = self.state.lock();
        state.sent.get(&key(realm, identity_id)).is_some_and(|jobs| jobs.values().any(|seen| is_recent(*seen, now)))
    }

    /// The ages of the jobs that this process created for an identity within the last hour, and of those that a list shows
    /// without a usable time. By job id.
    pub fn ages<'a>(
        &self,
        realm: &RealmIds,
        identity_id: &str,
        undated: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> BTreeMap<String, Duration> {
        let state = &mut *self.state.lock();
        let key = key(realm, identity_id);
        let mut before = state.undated.remove(&key).unwrap_or_default();
        // A job that is remembered already stays so.
        let (known, new): (Vec<_>, Vec<_>) = undated.partition(|id| before.contains_key(*id));
        let mut undated: FirstSeen = known.into_iter().filter_map(|id| before.remove_entry(id)).collect();
        let (remembered, others) = new.split_at(new.len().min(MOST_UNDATED.saturating_sub(undated.len())));
        undated.extend(remembered.iter().map(|id| ((*id).to_owned(), now)));
        let others: Vec<String> = others.iter().map(|id| (*id).to_owned()).collect();
        let sent = state.sent.get(&key).into_iter().flatten().filter(|(_, seen)| is_recent(**seen, now));
        let age = |(id, seen): (&String, &Instant)| (id.clone(), now.saturating_duration_since(*seen));
        let ages =
            undated.iter().chain(sent).map(age).chain(others.into_iter().map(|id| (id, Duration::ZERO))).collect();
        if !undated.is_empty() {
            state.undated.insert(key, undated);
        }
        ages
    }
}

fn key(RealmIds { tenant_id, realm_id }: &RealmIds, identity_id: &str) -> Identity {
    (tenant_id.clone(), realm_id.clone(), identity_id.to_owned())
}

fn is_recent(seen: Instant, now: Instant) -> bool {
    now.saturating_duration_since(seen) < HOUR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm() -> RealmIds {
        RealmIds { tenant_id: "tenant".to_owned(), realm_id: "realm".to_owned() }
    }

    fn ids(ages: &BTreeMap<String, Duration>) -> Vec<(&str, u64)> {
        ages.iter().map(|(id, age)| (id.as_str(), age.as_secs())).collect()
    }

    #[test]
    fn own_sends_count_for_an_hour_without_a_list() {
        let (jobs, start) = (RecentJobs::default(), Instant::now());
        jobs.sent(&realm(), "jane", "a", start);
        jobs.sent(&realm(), "joe", "b", start);
        let ages = |after| jobs.ages(&realm(), "jane", [].into_iter(), start + after);
        assert_eq!(ids(&ages(Duration::from_secs(5))), [("a", 5)]);
        assert_eq!(ids(&ages(HOUR - Duration::from_secs(1))).len(), 1);
        assert_eq!(ids(&ages(HOUR)), []);
    }

    #[test]
    fn undated_jobs_age_from_the_first_list_that_shows_them() {
        let (jobs, start) = (RecentJobs::default(), Instant::now());
        let ages = |undated: &[&str], after| {
            ids(&jobs.ages(&realm(), "jane", undated.iter().copied(), start + Duration::from_secs(after)))
                .into_iter()
                .map(|(id, age)| (id.to_owned(), age))
                .collect::<Vec<_>>()
        };
        let aged = |all: &[(&str, u64)]| all.iter().map(|(id, age)| ((*id).to_owned(), *age)).collect::<Vec<_>>();
        assert_eq!(ages(&["x"], 0), aged(&[("x", 0)]));
        assert_eq!(ages(&["x", "y"], 10), aged(&[("x", 10), ("y", 0)]));
        assert_eq!(ages(&["x"], 4000), aged(&[("x", 4000)]), "it is not new again after an hour");
        assert_eq!(ages(&["y"], 4001), aged(&[("y", 0)]), "a job that was not listed is forgotten");
    }

    #[test]
    fn jobs_beyond_those_remembered_are_always_new() {
        let (jobs, start) = (RecentJobs::default(), Instant::now());
        let ids: Vec<String> = (0..MOST_UNDATED + 5).map(|id| format!("{id:05}")).collect();
        for (after, old) in [(0, 0), (5, MOST_UNDATED)] {
            let now = start + Duration::from_secs(after);
            let ages = jobs.ages(&realm(), "jane", ids.iter().map(String::as_str), now);
            assert_eq!(ages.len(), ids.len());
            assert_eq!(ages.values().filter(|age| age.as_secs() == 5).count(), old);
            assert_eq!(jobs.state.lock().undated.values().map(BTreeMap::len).sum::<usize>(), MOST_UNDATED);
        }
    }

    #[test]
    fn old_sends_are_removed() {
        let (jobs, start) = (RecentJobs::default(), Instant::now());
        for number in 0..10_000_u64 {
            jobs.sent(&realm(), &number.to_string(), "job", start + Duration::from_secs(60 * number));
        }
        assert!(jobs.state.lock().sent.len() <= 2 * PRUNE_AT);
    }
}
