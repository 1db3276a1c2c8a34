//! What this process remembers of revocations, for each job by itself: one that cannot be revoked says nothing about another.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The revocations of an object's jobs, by the jobs' ids.
#[derive(Clone, Debug, Default)]
pub struct Revocations(BTreeMap<String, Revocation>);

#[derive(Clone, Debug, Default)]
struct Revocation {
    /// When the service accepted it first.
    accepted: Option<Instant>,
    /// When it was found last that the link cannot be revoked, and why.
    refused: Option<(Instant, String)>,
}

impl Revocations {
    /// The service accepts to revoke this job: since when it does.
    pub fn accepted_for(&mut self, job_id: &str, now: Instant) -> Duration {
        let accepted = *self.0.entry(job_id.to_owned()).or_default().accepted.get_or_insert(now);
        now.saturating_duration_since(accepted)
    }

    /// The link of this job cannot be revoked, as `said`. Answers whether that is news.
    pub fn refuse(&mut self, job_id: &str, now: Instant, said: &str) -> bool {
        let refused = &mut self.0.entry(job_id.to_owned()).or_default().refused;
        let is_news = refused.as_ref().is_none_or(|(_, known)| known != said);
        *refused = Some((now, said.to_owned()));
        is_news
    }

    /// Nothing is known any more that speaks against revoking this job.
    pub fn clear_refusal(&mut self, job_id: &str) {
        if let Some(revocation) = self.0.get_mut(job_id) {
            revocation.refused = None;
        }
    }

    /// The jobs that were found not to be revocable within the last `period`, and why.
    pub fn refused_within(&self, period: Duration, now: Instant) -> BTreeMap<String, String> {
        let recent = |(job_id, revocation): (&String, &Revocation)| {
            let (at, said) = revocation.refused.as_ref()?;
            (now.saturating_duration_since(*at) < period).then(|| (job_id.clone(), said.clone()))
        };
        self.0.iter().filter_map(recent).collect()
    }

    /// Every job may be tried again at once.
    pub fn retry_now(&mut self) {
        self.0.values_mut().for_each(|revocation| revocation.refused = None);
    }

    /// Forgets the jobs that `is_named` does not know.
    pub fn retain(&mut self, is_named: impl Fn(&str) -> bool) {
        self.0.retain(|job_id, _| is_named(job_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_job_has_a_clock_and_a_refusal_of_its_own() {
        let (mut all, start) = (Revocations::default(), Instant::now());
        assert_eq!(all.accepted_for("a", start), Duration::ZERO);
        assert_eq!(all.accepted_for("b", start + SECOND), Duration::ZERO);
        assert_eq!(all.accepted_for("a", start + 2 * SECOND), 2 * SECOND, "b does not start it anew");
        assert!(all.refuse("a", start, "403"));
        assert!(all.refuse("b", start + SECOND, "409"));
        assert!(!all.refuse("a", start + 2 * SECOND, "403"), "no news");
        assert!(all.refuse("a", start + 2 * SECOND, "401"));
        let refused = all.refused_within(SECOND, start + 2 * SECOND);
        assert_eq!(refused.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "401".to_owned())]);
        all.clear_refusal("a");
        assert_eq!(all.refused_within(10 * SECOND, start + 2 * SECOND).len(), 1);
        assert!(all.refuse("a", start, "401"), "once it was cleared it is news again");
        all.retry_now();
        assert!(all.refused_within(10 * SECOND, start).is_empty());
        assert_eq!(all.accepted_for("a", start + 3 * SECOND), 3 * SECOND, "the clock goes on");
        all.retain(|job_id| job_id == "b");
        assert_eq!(all.accepted_for("a", start + 4 * SECOND), Duration::ZERO);
    }
}
