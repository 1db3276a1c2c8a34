//! The state of each object that this process keeps between two reconciles.
//!
//! A reconcile gets a [`LocalState`] from [`LocalStates`], changes it, and inserts it at its end; the watch removes it
//! with the object. It holds backoff counters, the last poll, refused writes, and the ages of the write-ahead record
//! and the remote resource. Nothing here is needed for safety: a restart loses it, and starts every wait anew.

mod states;

use std::time::Duration;

use tokio::time::Instant;

pub use states::LocalStates;

use super::kind::Kind;
use super::leftover::Leftover;
use super::times::RETRY_REFUSED_WRITE;
use super::unwritable::Unwritable;
use crate::api::text;

/// The local state of one object.
#[derive(Clone, Debug)]
pub struct LocalState<K: Kind> {
    /// The part that is specific to the kind.
    pub own: K::LocalState,
    /// Consecutive failures, for the backoff.
    pub failures: u32,
    /// Consecutive reconciles that ended in a conflict.
    pub conflicts: u32,
    /// The last poll of the remote resource that got an answer.
    poll: Option<Poll>,
    /// The id of the last write-ahead record, and when this process first saw it.
    doubt: Option<(String, Instant)>,
    /// The id of the last remote resource in the status, and when this process first saw it.
    in_status: Option<(String, Instant)>,
    /// The operator's writes that were refused or not stored completely.
    refused_writes: Option<RefusedWrites>,
    /// The last value of the annotation that requested a reconcile.
    last_request: Option<String>,
    /// The leftover that the last event reported, for an object whose finalizer is about to be removed.
    pub reported: Option<Leftover>,
    /// The last refusal by the service that may still have had an effect.
    pub refusal: Option<Refusal>,
}

/// Writes that were refused or not stored completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedWrites {
    /// The time of the first one.
    pub since: Instant,
    /// The time of the last one.
    pub last: Instant,
    /// The reason of the last one.
    pub why: String,
    /// Whether the last one was accepted but not stored completely.
    pub not_stored: bool,
}

/// A refusal that may still have had an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The id of the write-ahead record.
    pub record_id: String,
    /// The generation of the spec that was refused.
    pub generation: i64,
    /// The message of the service.
    pub message: String,
}

/// A poll of the remote resource that got an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// The id of the remote resource.
    pub of: String,
    /// The generation of the spec at the time of the poll.
    pub generation: i64,
    /// Whether the remote resource existed.
    pub found: bool,
    /// When the next poll is due; `None`: on a change.
    pub next_poll_at: Option<Instant>,
}

impl<K: Kind> Default for LocalState<K> {
    fn default() -> Self {
        Self {
            own: K::LocalState::default(),
            failures: 0,
            conflicts: 0,
            poll: None,
            doubt: None,
            in_status: None,
            refused_writes: None,
            last_request: None,
            reported: None,
            refusal: None,
        }
    }
}

impl<K: Kind> LocalState<K> {
    /// The message with which the service refused the call of the record `record_id`. Without a record, it is the
    /// message for the spec of this generation.
    pub fn refusal(&self, record_id: Option<&str>, generation: i64) -> Option<String> {
        let refusal = self.refusal.as_ref()?;
        let concerns = match record_id {
            Some(id) => refusal.record_id == id,
            None => refusal.generation == generation,
        };
        concerns.then(|| refusal.message.clone())
    }

    /// Sets the last poll.
    pub fn polled(&mut self, poll: Poll) {
        self.poll = Some(poll);
    }

    /// The last poll, if it was of this remote resource. The id in the status may have been edited since.
    pub fn poll_of(&self, id: Option<&str>) -> Option<&Poll> {
        self.poll.as_ref().filter(|poll| Some(poll.of.as_str()) == id)
    }

    /// Discards the last poll, so that the remote resource is polled again.
    pub fn forget_poll(&mut self) {
        self.poll = None;
    }

    /// Applies the reconcile request with this annotation value: clears the state that would delay a reconcile. Each
    /// value counts once: where the status cannot be written, the same value is still present at every reconcile.
    pub fn apply_reconcile_request(&mut self, asked: &str) {
        if self.last_request.as_deref() == Some(asked) {
            return;
        }
        self.last_request = Some(asked.to_owned());
        self.poll = None;
        self.refused_writes = None;
        K::retry_now(&mut self.own);
    }

    /// Remembers a write that was refused, or was `not_stored` completely, for the reason `why`. Returns whether the
    /// reason is new.
    pub fn write_refused(&mut self, why: &str, not_stored: bool, now: Instant) -> bool {
        let before = self.refused_writes.take();
        let is_news = before.as_ref().is_none_or(|before| !text::same_meaning(&before.why, why));
        let since = before.map_or(now, |before| before.since);
        self.refused_writes = Some(RefusedWrites { since, last: now, why: why.to_owned(), not_stored });
        is_news
    }

    /// Clears the refused writes after a write was stored.
    pub fn write_stored(&mut self) {
        self.refused_writes = None;
    }

    /// How long the operator's writes have been refused or not stored completely.
    pub fn refused_for(&self, now: Instant) -> Option<Duration> {
        self.refused_writes.as_ref().map(|writes| now.saturating_duration_since(writes.since))
    }

    /// Why a write that was refused or not stored completely is not retried yet; `None` if it may be.
    pub fn unwritable(&self, resync: Duration, deleting: bool, now: Instant) -> Option<Unwritable> {
        let RefusedWrites { last, why, not_stored, .. } = self.refused_writes.as_ref()?;
        let retry = match (deleting, not_stored) {
            (true, _) => RETRY_REFUSED_WRITE,
            (false, true) => resync,
            (false, false) => resync.min(RETRY_REFUSED_WRITE),
        };
        let retry_in = retry.saturating_sub(now.saturating_duration_since(*last));
        (!retry_in.is_zero()).then(|| Unwritable { why: why.clone(), retry_in })
    }

    /// Starts the age of this write-ahead record, unless it has started already. A restart makes the wait longer, never
    /// shorter.
    pub fn note_record(&mut self, id: Option<&str>, now: Instant) {
        first_seen(&mut self.doubt, id, now);
    }

    /// Starts the age of the remote resource in the status, unless it has started already.
    pub fn note_remote(&mut self, id: Option<&str>, now: Instant) {
        first_seen(&mut self.in_status, id, now);
    }

    /// How long this process has known the write-ahead record `id`.
    pub fn record_known_for(&self, id: &str, now: Instant) -> Duration {
        known_for(&self.doubt, id, now)
    }

    /// How long this process has known the remote resource `id`, if the status names it.
    pub fn remote_known_for(&self, id: &str, now: Instant) -> Duration {
        known_for(&self.in_status, id, now)
    }
}

fn first_seen(seen: &mut Option<(String, Instant)>, id: Option<&str>, now: Instant) {
    if let Some(id) = id
        && seen.as_ref().is_none_or(|(known, _)| known != id)
    {
        *seen = Some((id.to_owned(), now));
    }
}

fn known_for(seen: &Option<(String, Instant)>, id: &str, now: Instant) -> Duration {
    seen.as_ref().filter(|(known, _)| known == id).map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(*at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::EnrollmentRequest;

    type LocalState = super::LocalState<EnrollmentRequest>;

    #[test]
    fn record_age_counts_from_its_first_observation() {
        let (mut local_state, start) = (LocalState::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(local_state.record_known_for("a", after(60)), Duration::ZERO, "after a restart");
        local_state.note_record(Some("a"), start);
        local_state.note_record(Some("a"), after(1));
        local_state.note_record(None, after(2));
        assert_eq!(local_state.record_known_for("a", after(5)), Duration::from_secs(5));
        local_state.note_record(Some("b"), after(6));
        assert_eq!(local_state.record_known_for("b", after(6)), Duration::ZERO);
        assert_eq!(local_state.record_known_for("a", after(7)), Duration::ZERO, "an unknown record has no age");
    }

    #[test]
    fn requested_reconcile_clears_delays_but_not_the_record_age() {
        let (mut local_state, start) = (LocalState::default(), Instant::now());
        local_state.note_record(Some("a"), start);
        local_state.polled(Poll { of: "one".to_owned(), generation: 1, found: true, next_poll_at: None });
        assert!(local_state.poll_of(Some("one")).is_some());
        assert!(local_state.poll_of(Some("another")).is_none() && local_state.poll_of(None).is_none());
        local_state.own.revocations.refuse("job", start, "403");
        local_state.write_refused("a policy", false, start);
        local_state.apply_reconcile_request("at noon");
        assert!(local_state.poll_of(Some("one")).is_none() && local_state.refused_for(start).is_none());
        assert!(local_state.own.revocations.refused_within(Duration::MAX, start).is_empty());
        local_state.write_refused("a policy", false, start);
        local_state.apply_reconcile_request("at noon");
        assert!(local_state.refused_for(start).is_some(), "the request is handled once, even if it cannot be recorded");
        local_state.apply_reconcile_request("at one");
        assert!(local_state.refused_for(start).is_none());
        assert_eq!(local_state.record_known_for("a", start + Duration::from_secs(5)), Duration::from_secs(5));
    }

    #[test]
    fn refused_writes_count_from_the_first_until_one_is_stored() {
        let (mut local_state, start) = (LocalState::default(), Instant::now());
        let later = start + Duration::from_secs(5);
        let resync = Duration::from_secs(600);
        assert!(local_state.write_refused("no right", false, start));
        assert!(!local_state.write_refused("no right", false, later));
        assert!(local_state.write_refused("a policy", false, later));
        assert_eq!(local_state.refused_for(later), Some(Duration::from_secs(5)));
        let retry =
            |local_state: &LocalState, deleting| local_state.unwritable(resync, deleting, later).map(|it| it.retry_in);
        assert_eq!(retry(&local_state, false), Some(RETRY_REFUSED_WRITE));
        assert!(local_state.unwritable(resync, false, later + RETRY_REFUSED_WRITE).is_none());
        local_state.write_refused("an old schema", true, later);
        assert_eq!((retry(&local_state, false), retry(&local_state, true)), (Some(resync), Some(RETRY_REFUSED_WRITE)));
        local_state.write_stored();
        assert_eq!((local_state.refused_for(later), retry(&local_state, true)), (None, None));
        assert!(local_state.write_refused("a policy", false, later));
        assert!(local_state.write_refused("Cannot write X: denied, request 7f3c", false, later));
        assert!(!local_state.write_refused("Cannot write X: denied, request 91ab", false, later), "no event each time");
    }
}
