//! Faults as rules: which requests one hits, and what it does to them.

use std::time::Duration;

use super::call::{Call, Operation};
use super::reply::Reply;

/// What a fault does to a request. Each is carried out in `server::follow`.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Nothing happens, and the connection is closed without an answer.
    LoseRequest,
    /// What was asked for happens, and then the connection is closed without an answer.
    LoseAnswer,
    /// The connection is closed at once without an answer, and what was asked for happens that much later.
    HappenLate(Duration),
    /// Nothing happens, and this is answered.
    Answer(Reply),
    /// What was asked for happens, and the connection is closed after half of the answer's body.
    CutAnswer,
    /// What was asked for happens, but this is answered.
    HappenThenAnswer(Reply),
    /// What was asked for happens, and is answered, that much later. It happens even if the caller has given up by then.
    Delay(Duration),
    /// What was asked for happens at once, and is answered that much later.
    DelayAnswer(Duration),
    /// A list does not show what was made less than that long ago.
    LagList(Duration),
    /// A list gives at most so many items on a page, whatever was asked for.
    ShortPages(usize),
    /// A list moves on by one item between its first page and the next: one item is on no page, and one on two.
    ShiftPages,
}

impl Effect {
    /// 503, and nothing happens.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::Answer(Reply::unavailable())
    }
}

/// An effect, and which requests it is for: all of the realm, until that is narrowed down.
#[derive(Clone, Debug)]
pub struct Rule {
    effect: Effect,
    operation: Option<Operation>,
    method: Option<String>,
    id: Option<String>,
    skip: u64,
    times: u64,
}

impl Rule {
    /// This effect, for every request.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self { effect, operation: None, method: None, id: None, skip: 0, times: u64::MAX }
    }

    /// Only this operation.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only this HTTP method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests that have this id in their path: an identity's, a job's or a configuration's.
    #[must_use]
    pub fn about(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Not the first `count` of those that fit: `skip(1)` begins with the second.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// So many times, and then never again.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    /// One time, and then never again.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    fn fits(&self, call: &Call) -> bool {
        let Self { effect: _, operation, method, id, skip: _, times: _ } = self;
        operation.is_none_or(|operation| operation == call.operation)
            && method.as_ref().is_none_or(|method| *method == call.method)
            && id.as_ref().is_none_or(|id| call.ids.contains(id))
    }
}

/// Names a rule that was set, to take it back or to ask how often it was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

/// The rules of a realm. Of several that apply to one request, the oldest is used, and the others don't count it.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<Active>,
    next: u64,
}

#[derive(Debug)]
struct Active {
    id: RuleId,
    rule: Rule,
    skipped: u64,
    fired: u64,
}

impl Faults {
    pub fn add(&mut self, rule: Rule) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        self.rules.push(Active { id, rule, skipped: 0, fired: 0 });
        id
    }

    pub fn remove(&mut self, id: RuleId) {
        self.rules.retain(|active| active.id != id);
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    pub fn fired(&self, id: RuleId) -> u64 {
        self.rules.iter().find(|active| active.id == id).map_or(0, |active| active.fired)
    }

    /// What is to be done to this request, if anything; it counts as done.
    pub fn take(&mut self, call: &Call) -> Option<Effect> {
        for active in self.rules.iter_mut().filter(|active| active.rule.fits(call)) {
            if active.skipped < active.rule.skip {
                active.skipped += 1;
            } else if active.fired < active.rule.times {
                active.fired += 1;
                return Some(active.rule.effect.clone());
            }
        }
        None
    }
}
