//! The readiness of the process, as its parts report it.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A failure expires after this time unless it is reported again. A failing part retries, and reports, sooner than
/// that.
const FAILURE_EXPIRES_AFTER: Duration = Duration::from_secs(90);
/// The same for a missing permission. A denial is immediate, so silence soon shows that the permission is no longer
/// missing.
const DENIAL_EXPIRES_AFTER: Duration = Duration::from_secs(15);

/// The readiness of the process, as its parts report it.
#[derive(Clone, Debug)]
pub struct Readiness {
    first: Arc<str>,
    parts: Arc<Mutex<Vec<Part>>>,
    ending: Arc<AtomicBool>,
}

/// A part of the process with its own report.
#[derive(Debug)]
struct Part {
    ready: bool,
    problem: Option<Problem>,
}

#[derive(Clone, Debug)]
struct Problem {
    /// The sentence that `/readyz` shows to everybody on the pod network, so without addresses and texts of others.
    what: String,
    /// Details for the log. They may differ each time, and are not logged again.
    detail: String,
    /// Whether this makes a part unready that was ready before.
    denied: bool,
    reported_at: Instant,
}

impl Part {
    fn trouble(&self, now: Instant) -> Option<&Problem> {
        let lasts = |problem: &Problem| if problem.denied { DENIAL_EXPIRES_AFTER } else { FAILURE_EXPIRES_AFTER };
        self.problem.as_ref().filter(|problem| now.saturating_duration_since(problem.reported_at) < lasts(problem))
    }

    fn is_ready(&self, now: Instant) -> bool {
        self.ready && !self.trouble(now).is_some_and(|problem| problem.denied)
    }
}

impl Readiness {
    /// Ready as soon as all parts are. `first` is shown while no unready part reports a failure.
    pub fn waiting_for(first: &str) -> Self {
        Self { first: first.into(), parts: Arc::default(), ending: Arc::default() }
    }

    /// Adds a part. If not `ready`, it is unready until it reports otherwise.
    pub fn part(&self, ready: bool) -> Report {
        let mut parts = self.parts.lock();
        parts.push(Part { ready, problem: None });
        Report { parts: self.parts.clone(), ending: self.ending.clone(), number: parts.len() - 1 }
    }

    /// The process ends, so further failures need no attention. The next process reports them.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Release);
    }

    /// What the process waits for, if anything. Without details, which only the log shows.
    pub fn waits_for(&self) -> Option<String> {
        let now = Instant::now();
        let parts = self.parts.lock();
        let waiting: Vec<&Part> = parts.iter().filter(|part| !part.is_ready(now)).collect();
        let mut troubles: Vec<&Problem> = waiting.iter().filter_map(|part| part.trouble(now)).collect();
        troubles.sort_by_key(|problem| &problem.what);
        troubles.dedup_by_key(|problem| &problem.what);
        match (waiting.is_empty(), troubles.is_empty()) {
            (true, _) => None,
            (false, true) => Some(self.first.to_string()),
            (false, false) => Some(troubles.iter().map(|problem| problem.what.as_str()).collect::<Vec<_>>().join("; ")),
        }
    }
}

/// The handle for reports of one part.
#[derive(Clone, Debug)]
pub struct Report {
    parts: Arc<Mutex<Vec<Part>>>,
    ending: Arc<AtomicBool>,
    number: usize,
}

impl Report {
    /// Reports that the part is ready, and clears its failure. Logs when no part has that failure any more.
    pub fn ready(&self) {
        let mut parts = self.parts.lock();
        let before =
            parts.get_mut(self.number).map(|part| std::mem::replace(part, Part { ready: true, problem: None }));
        let solved = before.and_then(|part| part.problem).filter(|solved| {
            !parts.iter().filter_map(|part| part.problem.as_ref()).any(|other| other.what == solved.what)
        });
        drop(parts);
        if let Some(Problem { what, .. }) = solved {
            tracing::info!(previous_error = what, "Kubernetes API request succeeds again");
        }
    }

    /// Reports a failure that is retried. A part that is ready stays ready.
    pub fn trouble(&self, what: String, detail: String) {
        self.report(Problem { what, detail, denied: false, reported_at: Instant::now() });
    }

    /// Reports a failure that a person has to fix, and without which the process is ready.
    pub fn set_aside(&self, what: String) {
        self.parts.lock().get_mut(self.number).into_iter().for_each(|part| part.ready = true);
        self.report(Problem { what, detail: String::new(), denied: false, reported_at: Instant::now() });
    }

    /// Reports a failure that a person has to fix. The part is not ready while this is reported.
    pub fn denied(&self, what: String) {
        self.report(Problem { what, detail: String::new(), denied: true, reported_at: Instant::now() });
    }

    /// Logs the failure, unless this part or another one has already reported it.
    fn report(&self, problem: Problem) {
        let (now, denied) = (Instant::now(), problem.denied);
        let mut parts = self.parts.lock();
        let known = parts.iter().filter_map(|part| part.trouble(now)).any(|known| known.what == problem.what);
        let line = (!known).then(|| problem.to_string());
        if let Some(part) = parts.get_mut(self.number) {
            part.problem = Some(problem);
        }
        drop(parts);
        match line {
            Some(error) if self.ending.load(Ordering::Acquire) => {
                tracing::debug!(error, "Kubernetes API request failed during the shutdown");
            }
            Some(error) if denied => tracing::warn!(error, "Kubernetes API request rejected; retrying"),
            Some(error) => tracing::warn!(error, "Kubernetes API request failed; retrying"),
            None => {}
        }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { what, detail, denied: _, reported_at: _ } = self;
        if detail.is_empty() { write!(f, "{what}") } else { write!(f, "{what}: {detail}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn readiness_requires_all_parts_and_names_each_cause_once() {
        let readiness = Readiness::waiting_for("the first answer");
        let (a, b) = (readiness.part(false), readiness.part(false));
        assert_eq!(readiness.waits_for().as_deref(), Some("the first answer"));
        a.trouble("no way".to_owned(), "refused".to_owned());
        b.trouble("no way".to_owned(), "reset".to_owned());
        assert_eq!(readiness.waits_for().as_deref(), Some("no way"));
        b.denied("no right".to_owned());
        assert_eq!(readiness.waits_for().as_deref(), Some("no right; no way"));
        b.ready();
        assert_eq!(readiness.waits_for().as_deref(), Some("no way"));
        a.ready();
        assert_eq!(readiness.waits_for(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn recoverable_part_is_unready_only_while_denied() {
        let readiness = Readiness::waiting_for("the first answer");
        let part = readiness.part(true);
        part.trouble("no way".to_owned(), String::new());
        assert_eq!(readiness.waits_for(), None);
        part.denied("no right".to_owned());
        assert_eq!(readiness.waits_for().as_deref(), Some("no right"));
        tokio::time::advance(DENIAL_EXPIRES_AFTER).await;
        assert_eq!(readiness.waits_for(), None, "the denial was not reported again");
    }

    #[tokio::test(start_paused = true)]
    async fn part_that_is_set_aside_is_ready_until_it_is_denied() {
        let readiness = Readiness::waiting_for("the first answer");
        let part = readiness.part(false);
        part.denied("no right".to_owned());
        part.set_aside("no right".to_owned());
        assert_eq!(readiness.waits_for(), None);
        part.denied("no right".to_owned());
        assert_eq!(readiness.waits_for().as_deref(), Some("no right"));
    }
}
