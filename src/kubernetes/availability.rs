//! Which of the watched namespaces can be read. One that cannot, because it does not exist or the operator has no Role
//! there, does not stop the others.
//!
//! Only denials (403) make a namespace unavailable. An API server that does not answer, or has an error, says nothing
//! about it. A watch of the whole cluster is never unavailable: nothing is left to work with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long reads of a namespace must be denied until it is unavailable. A new Role takes effect with a delay, and an
/// API server may deny everything in the moment of its start.
const UNAVAILABLE_AFTER: Duration = Duration::from_secs(10);
/// A denial that is not repeated for this time is over. Watches and lists that are denied are retried sooner. A watch
/// that resumes reports nothing until the next change.
const DENIAL_EXPIRES_AFTER: Duration = Duration::from_secs(15);
/// How often denials are checked for their end.
const INTERVAL: Duration = Duration::from_secs(1);

/// A watched namespace, or `None` for the whole cluster.
pub type WatchScope = Option<String>;

/// The availability of each scope. Clones share it.
#[derive(Clone, Debug)]
pub struct Availability(Arc<watch::Sender<BTreeMap<WatchScope, Reads>>>);

/// The reads of one scope.
#[derive(Debug, Default)]
struct Reads {
    sources: Vec<SourceState>,
    state: State,
}

/// What is known of a scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Not enough yet.
    #[default]
    Unknown,
    /// All its watches are synced, and none has been denied for long.
    Available,
    /// A read has been denied for long.
    Unavailable,
}

#[derive(Debug)]
struct SourceState {
    synced: bool,
    denial: Option<Denial>,
}

#[derive(Debug)]
struct Denial {
    what: String,
    since: Instant,
    last: Instant,
}

/// Reports about one watch, or one list, in a scope.
#[derive(Clone, Debug)]
pub struct ReadReporter {
    availability: Availability,
    scope: WatchScope,
    number: usize,
}

impl Availability {
    /// The availability of `scopes`, of which nothing is known yet.
    pub fn new(scopes: &[WatchScope]) -> Self {
        let scopes = scopes.iter().map(|scope| (scope.clone(), Reads::default())).collect();
        Self(Arc::new(watch::Sender::new(scopes)))
    }

    /// Adds a watch in `scope`, which is available only when the watch is synced.
    pub fn watch(&self, scope: &WatchScope) -> ReadReporter {
        self.source(scope, false)
    }

    /// Adds a list in `scope`.
    pub fn list(&self, scope: &WatchScope) -> ReadReporter {
        self.source(scope, true)
    }

    fn source(&self, scope: &WatchScope, synced: bool) -> ReadReporter {
        let mut number = 0;
        self.0.send_modify(|scopes| {
            let sources = &mut scopes.entry(scope.clone()).or_default().sources;
            number = sources.len();
            sources.push(SourceState { synced, denial: None });
        });
        ReadReporter { availability: self.clone(), scope: scope.clone(), number }
    }

    /// Whether all watches of `scope` are synced, and none has been denied for long.
    pub fn is_available(&self, scope: &WatchScope) -> bool {
        self.state(scope) == State::Available
    }

    /// Whether a read of `scope` has been denied for long.
    pub fn is_unavailable(&self, scope: &WatchScope) -> bool {
        self.state(scope) == State::Unavailable
    }

    fn state(&self, scope: &WatchScope) -> State {
        self.0.borrow().get(scope).map(|reads| reads.state).unwrap_or_default()
    }

    /// Each watched namespace, and whether it is available. Empty for the whole cluster.
    pub fn namespaces(&self) -> Vec<(String, bool)> {
        let scopes = self.0.borrow();
        let named = scopes.iter().filter_map(|(scope, reads)| Some((scope.clone()?, reads.state)));
        named.map(|(namespace, state)| (namespace, state == State::Available)).collect()
    }

    /// Waits until each scope is available or unavailable, and one of them is available.
    pub async fn known(&self) {
        let is_known = |scopes: &BTreeMap<WatchScope, Reads>| {
            let mut states = scopes.values().map(|reads| reads.state);
            states.clone().all(|state| state != State::Unknown) && states.any(|state| state == State::Available)
        };
        // The sender lives as long as `self`.
        _ = self.0.subscribe().wait_for(is_known).await;
    }

    /// Waits until one of `scopes` is available, and returns its index.
    pub async fn one_of(&self, scopes: &[&WatchScope]) -> usize {
        let mut found = None;
        let find = |known: &BTreeMap<WatchScope, Reads>| {
            let is_available = |scope: &&WatchScope| known.get(*scope).is_some_and(|it| it.state == State::Available);
            found = scopes.iter().position(is_available);
            found.is_some()
        };
        // The sender lives as long as `self`.
        _ = self.0.subscribe().wait_for(find).await;
        match found {
            Some(index) => index,
            None => std::future::pending().await,
        }
    }

    /// Notices the end of denials, forever.
    pub async fn follow(self) {
        loop {
            sleep(INTERVAL).await;
            self.update(|_| {});
        }
    }

    /// Applies `change`, and logs each scope whose availability changes.
    fn update(&self, change: impl FnOnce(&mut BTreeMap<WatchScope, Reads>)) {
        let mut lines = Vec::new();
        self.0.send_if_modified(|scopes| {
            change(scopes);
            let now = Instant::now();
            for (scope, reads) in scopes.iter_mut() {
                let before = reads.state;
                reads.evaluate(scope.is_some(), now);
                if before != reads.state {
                    lines.push((scope.clone(), before, reads.state, reads.denied().map(str::to_owned)));
                }
            }
            !lines.is_empty()
        });
        for (namespace, before, state, what) in lines {
            match (before, state) {
                (_, State::Unavailable) => {
                    let what = what.unwrap_or_default();
                    let error = format!(
                        "{what}; create the namespace first if it does not exist, or remove it from --watch-namespace"
                    );
                    tracing::warn!(namespace, error, "Watched namespace is unavailable; its objects wait");
                }
                (State::Unavailable, _) => tracing::info!(namespace, "Watched namespace is available"),
                (State::Unknown | State::Available, _) => {}
            }
        }
    }
}

impl ReadReporter {
    /// The watch is synced, or the list was answered.
    pub fn synced(&self) {
        self.change(|source| *source = SourceState { synced: true, denial: None });
    }

    /// The API server has denied the read, as `what` says. Returns whether the process serves without this scope.
    pub fn denied(&self, what: &str) -> bool {
        self.change(|source| {
            let now = Instant::now();
            let since = source.denial.as_ref().map_or(now, |denial| denial.since);
            source.denial = Some(Denial { what: what.to_owned(), since, last: now });
        });
        let scopes = self.availability.0.borrow();
        let state = |scope: &WatchScope| scopes.get(scope).map(|reads| reads.state).unwrap_or_default();
        state(&self.scope) == State::Unavailable && scopes.values().any(|reads| reads.state != State::Unavailable)
    }

    fn change(&self, change: impl FnOnce(&mut SourceState)) {
        self.availability.update(|scopes| {
            let source = scopes.get_mut(&self.scope).and_then(|reads| reads.sources.get_mut(self.number));
            if let Some(source) = source {
                change(source);
            }
        });
    }
}

impl Reads {
    /// What a denied read says.
    fn denied(&self) -> Option<&str> {
        self.sources.iter().find_map(|source| source.denial.as_ref()).map(|denial| denial.what.as_str())
    }

    /// Updates the state. Only a namespace `can_be_unavailable`.
    fn evaluate(&mut self, can_be_unavailable: bool, now: Instant) {
        for source in &mut self.sources {
            source.denial.take_if(|denial| now.saturating_duration_since(denial.last) >= DENIAL_EXPIRES_AFTER);
        }
        let mut denials = self.sources.iter().filter_map(|source| source.denial.as_ref()).peekable();
        let is_denied = denials.peek().is_some();
        let lasts = |denial: &Denial| denial.last.saturating_duration_since(denial.since) >= UNAVAILABLE_AFTER;
        if can_be_unavailable && denials.any(lasts) {
            self.state = State::Unavailable;
        } else if self.sources.iter().all(|source| source.synced) && !(is_denied && self.state == State::Unavailable) {
            self.state = State::Available;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn scopes() -> (Availability, [WatchScope; 2]) {
        let scopes = ["a", "b"].map(|namespace| Some(namespace.to_owned()));
        (Availability::new(&scopes), scopes)
    }

    /// Denies the reads of `source` for this time.
    async fn deny(source: &ReadReporter, time: Duration) -> bool {
        let (started, mut serves) = (Instant::now(), source.denied("no right"));
        while started.elapsed() < time {
            advance(INTERVAL).await;
            serves = source.denied("no right");
        }
        serves
    }

    fn states(availability: &Availability) -> Vec<State> {
        availability.0.borrow().values().map(|reads| reads.state).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn only_denials_that_last_make_a_namespace_unavailable() {
        let (availability, [a, b]) = scopes();
        let (of_a, of_b) = (availability.watch(&a), availability.watch(&b));
        of_a.synced();
        assert!(!deny(&of_b, UNAVAILABLE_AFTER - INTERVAL).await);
        assert_eq!(states(&availability), [State::Available, State::Unknown]);
        of_b.synced();
        assert!(!deny(&of_b, UNAVAILABLE_AFTER - INTERVAL).await);
        assert_eq!(states(&availability), [State::Available, State::Available], "an answer ends the denial");
        assert!(deny(&of_b, UNAVAILABLE_AFTER).await);
        assert_eq!(states(&availability), [State::Available, State::Unavailable]);
        assert_eq!(availability.namespaces(), [("a".to_owned(), true), ("b".to_owned(), false)]);
        of_b.synced();
        assert_eq!(states(&availability), [State::Available, State::Available]);
    }

    #[tokio::test(start_paused = true)]
    async fn denial_that_is_not_repeated_is_over() {
        let (availability, [a, b]) = scopes();
        let [of_a, of_b, others] = [&a, &b, &b].map(|scope| availability.watch(scope));
        of_a.synced();
        of_b.synced();
        deny(&of_b, UNAVAILABLE_AFTER).await;
        advance(DENIAL_EXPIRES_AFTER).await;
        availability.update(|_| {});
        assert_eq!(states(&availability)[1], State::Unavailable, "another watch is not synced");
        others.synced();
        assert_eq!(states(&availability)[1], State::Available);
    }

    #[tokio::test(start_paused = true)]
    async fn process_waits_for_a_namespace_that_is_available() {
        let (availability, [a, b]) = scopes();
        let (of_a, of_b) = (availability.watch(&a), availability.watch(&b));
        deny(&of_a, UNAVAILABLE_AFTER).await;
        assert!(!deny(&of_b, UNAVAILABLE_AFTER).await, "nothing is left to serve");
        let known = || tokio::time::timeout(Duration::ZERO, availability.known());
        assert!(known().await.is_err());
        of_b.synced();
        assert!(known().await.is_ok());
        assert!(of_a.denied("no right"));
        assert_eq!(availability.one_of(&[&a, &b]).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn whole_cluster_is_never_unavailable() {
        let availability = Availability::new(&[None]);
        let source = availability.watch(&None);
        assert!(!deny(&source, UNAVAILABLE_AFTER * 2).await);
        assert_eq!((states(&availability), availability.namespaces()), (vec![State::Unknown], Vec::new()));
    }
}
