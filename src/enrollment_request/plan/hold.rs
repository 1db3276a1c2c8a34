//! Hold: nothing is sent for an object that could vanish without a word.

use super::Facts;
use crate::enrollment_request::step::Step;

pub(super) fn rule(facts: &Facts<'_>) -> Option<Step> {
    (!facts.observed.finalizer).then_some(Step::AddFinalizer)
}
