//! This process's record of revocations, separate for each job: one job that cannot be revoked says nothing about
//! another.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The revocations of an object's jobs, by job id.
#[derive(Clone, Debug, Default)]
pub struct Revocations(BTreeMap<String, Revocation>);

#[derive(Clone, Debug, Default)]
struct Revocation {
    /// When the service first accepted the revocation.
    accepted: Option<Instant>,
    /// When the link was last found not to be revocable, and why.
    refused: Option<(Instant, String)>,
}

impl Revocations {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Records that the service accepts the revocation of this job. Returns the time since it first did.
    pub fn accepted_for(&mut self, job_id: &str, now: Instant) -> Duration {
        let accepted = *self.0.entry(job_id.to_owned()).or_default().accepted.get_or_insert(now);
        now.saturating_duration_since(accepted)
    }

    /// Records that the link of this job cannot be revoked, for the reason `message`. Returns whether the reason is new.
    pub fn refuse(&mut self, job_id: &str, now: Instant, message: &str) -> bool {
        let refused = &mut self.0.entry(job_id.to_owned()).or_default().refused;
        let is_news = refused.as_ref().is_none_or(|(_, known)| known != message);
        *refused = Some((now, message.to_owned()));
        is_news
    }

    /// Clears the refusal: nothing known prevents the revocation of this job any more.
    pub fn clear_refusal(&mut self, job_id: &str) {
        if let Some(revocation) = self.0.get_mut(job_id) {
            revocation.refused = None;
        }
    }

    /// The jobs that were found not to be revocable within the last `period`, and why.
    pub fn refused_within(&self, period: Duration, now: Instant) -> BTreeMap<String, String> {
        let recent = |(job_id, revocation): (&String, &Revocation)| {
            let (at, message) = revocation.refused.as_ref()?;
            (now.saturating_duration_since(*at) < period).then(|| (job_id.clone(), message.clone()))
        };
        self.0.iter().filter_map(recent).collect()
    }

    /// Allows an immediate retry of every job.
    pub fn retry_now(&mut self) {
        self.0.values_mut().for_each(|revocation| revocation.refused = None);
    }

    /// Removes the jobs for which `is_named` returns false.
    pub fn retain(&mut self, is_named: impl Fn(&str) -> bool) {
        self.0.retain(|job_id, _| is_named(job_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_job_has_its_own_clock_and_refusal() {
        let (mut all, start) = (Revocations::default(), Instant::now());
        assert_eq!(all.accepted_for("a", start), Duration::ZERO);
        assert_eq!(all.accepted_for("b", start + SECOND), Duration::ZERO);
        assert_eq!(all.accepted_for("a", start + 2 * SECOND), 2 * SECOND, "b does not reset the clock of a");
        assert!(all.refuse("a", start, "403"));
        assert!(all.refuse("b", start + SECOND, "409"));
        assert!(!all.refuse("a", start + 2 * SECOND, "403"), "the same refusal is not new");
        assert!(all.refuse("a", start + 2 * SECOND, "401"));
        let refused = all.refused_within(SECOND, start + 2 * SECOND);
        assert_eq!(refused.into_iter().collect::<Vec<_>>(), [("a".to_owned(), "401".to_owned())]);
        all.clear_refusal("a");
        assert_eq!(all.refused_within(10 * SECOND, start + 2 * SECOND).len(), 1);
        assert!(all.refuse("a", start, "401"), "a cleared refusal is new again");
        all.retry_now();
        assert!(all.refused_within(10 * SECOND, start).is_empty());
        assert_eq!(all.accepted_for("a", start + 3 * SECOND), 3 * SECOND, "the clock continues");
        all.retain(|job_id| job_id == "b");
        assert_eq!(all.accepted_for("a", start + 4 * SECOND), Duration::ZERO);
    }
}
