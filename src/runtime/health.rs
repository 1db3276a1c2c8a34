//! `/healthz` and `/readyz`, and what the process still waits for before it is ready.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// What was last said so long ago is over: whatever is in trouble tries again, and says so, much sooner.
const OVER: Duration = Duration::from_secs(90);

/// Whether the process is ready, as its parts report it.
#[derive(Clone, Debug)]
pub struct Readiness {
    first: Arc<str>,
    parts: Arc<Mutex<Vec<Part>>>,
}

/// A part of the process that reports for itself.
#[derive(Debug)]
struct Part {
    ready: bool,
    trouble: Option<Trouble>,
}

#[derive(Clone, Debug)]
struct Trouble {
    what: String,
    /// Whether a part is not ready for it that has been before.
    denied: bool,
    said: Instant,
}

impl Part {
    fn trouble(&self, now: Instant) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|trouble| now.saturating_duration_since(trouble.said) < OVER)
    }

    fn is_ready(&self, now: Instant) -> bool {
        self.ready && !self.trouble(now).is_some_and(|trouble| trouble.denied)
    }
}

impl Readiness {
    /// Ready as soon as all parts are. `first` is what is waited for while none of those that are not says more.
    pub fn waiting_for(first: &str) -> Self {
        Self { first: first.into(), parts: Arc::default() }
    }

    /// Adds a part, which is ready at once or when it says so.
    pub fn part(&self, ready: bool) -> Report {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(Part { ready, trouble: None });
        Report { parts: self.parts.clone(), number: parts.len() - 1 }
    }

    /// What is waited for, if anything.
    pub fn waits_for(&self) -> Option<String> {
        let now = Instant::now();
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting: Vec<&Part> = parts.iter().filter(|part| !part.is_ready(now)).collect();
        let mut troubles: Vec<&str> = waiting.iter().filter_map(|part| Some(&*part.trouble(now)?.what)).collect();
        troubles.sort_unstable();
        troubles.dedup();
        match (waiting.is_empty(), troubles.is_empty()) {
            (true, _) => None,
            (false, true) => Some(self.first.to_string()),
            (false, false) => Some(troubles.join("; ")),
        }
    }
}

/// What a part of the process reports by.
#[derive(Clone, Debug)]
pub struct Report {
    parts: Arc<Mutex<Vec<Part>>>,
    number: usize,
}

impl Report {
    /// All is well, and the part is ready from now on.
    pub fn ready(&self) {
        self.with(|part, _| *part = Part { ready: true, trouble: None });
    }

    /// Something is in the way, and is tried again. A part that is ready stays so.
    pub fn trouble(&self, what: String) {
        self.say(Trouble { what, denied: false, said: Instant::now() });
    }

    /// Something is in the way that a person has to mend. The part is not ready while that is so.
    pub fn denied(&self, what: String) {
        self.say(Trouble { what, denied: true, said: Instant::now() });
    }

    /// Logs what is in the way, unless this part or another one has said so already.
    fn say(&self, trouble: Trouble) {
        let mut log = Some(trouble.what.clone());
        self.with(|part, known| {
            log.take_if(|what| known.contains(what));
            part.trouble = Some(trouble);
        });
        if let Some(what) = log {
            tracing::warn!("{what}; it is tried again");
        }
    }

    fn with(&self, change: impl FnOnce(&mut Part, &[String])) {
        let now = Instant::now();
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<String> = parts.iter().filter_map(|part| Some(part.trouble(now)?.what.clone())).collect();
        if let Some(part) = parts.get_mut(self.number) {
            change(part, &known);
        }
    }
}

/// Serves the two paths for ever.
pub async fn serve(listener: TcpListener, readiness: Readiness) {
    let router =
        Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(readyz)).with_state(readiness);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!("the health server ended: {error}");
    }
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    match readiness.waits_for() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting: {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_when_all_parts_are_and_names_what_the_others_wait_for_once() {
        let readiness = Readiness::waiting_for("the first answer");
        let (a, b) = (readiness.part(false), readiness.part(false));
        assert_eq!(readiness.waits_for().as_deref(), Some("the first answer"));
        a.trouble("no way".to_owned());
        b.trouble("no way".to_owned());
        assert_eq!(readiness.waits_for().as_deref(), Some("no way"));
        b.denied("no right".to_owned());
        assert_eq!(readiness.waits_for().as_deref(), Some("no right; no way"));
        b.ready();
        assert_eq!(readiness.waits_for().as_deref(), Some("no way"));
        a.ready();
        assert_eq!(readiness.waits_for(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_right_by_itself_makes_nothing_unready_and_a_missing_right_does_while_it_is_said() {
        let readiness = Readiness::waiting_for("the first answer");
        let part = readiness.part(true);
        part.trouble("no way".to_owned());
        assert_eq!(readiness.waits_for(), None);
        part.denied("no right".to_owned());
        assert_eq!(readiness.waits_for().as_deref(), Some("no right"));
        tokio::time::advance(OVER).await;
        assert_eq!(readiness.waits_for(), None, "it was not said again");
    }
}
