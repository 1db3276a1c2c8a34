//! Faults as rules: the requests that a rule matches, and its effect.

use std::time::Duration;

use super::call::{Call, Operation};
use super::reply::Reply;

/// The effect of a fault. `server::apply_effect` implements each of them.
#[derive(Clone, Debug)]
pub enum Effect {
    /// The request is not carried out, and the connection is closed without an answer.
    LoseRequest,
    /// The request is carried out, and the connection is closed without an answer.
    LoseAnswer,
    /// The connection is closed at once without an answer, and the request is carried out after this delay.
    HappenLate(Duration),
    /// The request is not carried out, and this is the answer.
    Answer(Reply),
    /// The request is carried out, and the connection is closed after half of the answer's body.
    CutAnswer,
    /// The request is carried out, and this is the answer.
    HappenThenAnswer(Reply),
    /// The request is carried out and answered after this delay, even if the client has closed the connection.
    Delay(Duration),
    /// The request is carried out at once, and answered after this delay.
    DelayAnswer(Duration),
    /// A list does not show objects that are younger than this.
    LagList(Duration),
    /// A page of a list has at most this many items, whatever the request.
    ShortPages(usize),
    /// A list moves by one item after its first page: one item is on no page, and one is on two.
    ShiftPages,
}

impl Effect {
    /// 503. The request is not carried out.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::Answer(Reply::unavailable())
    }
}

/// An effect, and the requests that it applies to. By default, these are all requests of the realm.
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
    /// A rule with this effect, for every request.
    #[must_use]
    pub fn new(effect: Effect) -> Self {
        Self { effect, operation: None, method: None, id: None, skip: 0, times: u64::MAX }
    }

    /// Matches only this operation.
    #[must_use]
    pub fn on(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Matches only this HTTP method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Matches only requests with this id of an identity, a job or a configuration in their path.
    #[must_use]
    pub fn about(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Skips the first `count` matching requests.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Applies at most `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = count;
        self
    }

    /// Applies once.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    fn matches(&self, call: &Call) -> bool {
        let Self { effect: _, operation, method, id, skip: _, times: _ } = self;
        operation.is_none_or(|operation| operation == call.operation)
            && method.as_ref().is_none_or(|method| *method == call.method)
            && id.as_ref().is_none_or(|id| call.ids.contains(id))
    }
}

/// The id of a rule, to remove it, or to count its uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(u64);

/// The rules of a realm. Of several that match a request, only the oldest applies and counts it.
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

    /// The effect for this request, if any. It counts as applied.
    pub fn take(&mut self, call: &Call) -> Option<Effect> {
        for active in self.rules.iter_mut().filter(|active| active.rule.matches(call)) {
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
