//! A token in use, and the gate that notices the refusal of a call with it.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::Entry;
use super::state::{CallRefusal, Token};
use crate::beyond_identity::{Error, Gate, Held, IssuedToken, Operation};

/// A token in use.
#[derive(Clone, Debug)]
pub(in crate::realm) struct UsedToken {
    token: Token,
    entry: Arc<Entry>,
}

/// Reports the refusal of a call through `gate`, so that the token is renewed for later calls. The call is not repeated.
/// Instead, the object is reconciled again at once, with the new token.
pub(in crate::realm) struct Renewed<G, R> {
    pub(in crate::realm) gate: G,
    /// The token of the calls; `None` if it cannot be renewed.
    pub(in crate::realm) token: Option<UsedToken>,
    /// Enqueues the object that the calls are made for.
    pub(in crate::realm) retry: R,
}

impl UsedToken {
    pub(super) fn new(token: Token, entry: Arc<Entry>) -> Self {
        Self { token, entry }
    }

    /// The token, as it was issued.
    pub(in crate::realm) fn issued(&self) -> &IssuedToken {
        &self.token.issued
    }

    /// Stores the refusal of a call. Returns whether the next call has another token.
    pub(super) fn refused(&self, refusal: CallRefusal) -> bool {
        self.entry.state.lock().refused(self.token.number, refusal, Instant::now())
    }
}

impl<G: fmt::Debug, R> fmt::Debug for Renewed<G, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gate, token, retry: _ } = self;
        f.debug_struct("Renewed").field("gate", gate).field("token", token).finish_non_exhaustive()
    }
}

impl<G: Gate, R: Fn() + Send + Sync> Gate for Renewed<G, R> {
    fn begin(&self, operation: Operation) -> Result<(), Held> {
        self.gate.begin(operation)
    }

    fn end(&self, operation: Operation, begun: Instant, error: Option<&Error>) {
        let refusal = match error.and_then(Error::status) {
            Some(401) => Some(CallRefusal::Unauthorized),
            // An expired token may also be answered so.
            Some(403) => Some(CallRefusal::Forbidden),
            _ => None,
        };
        if let (Some(token), Some(refusal)) = (&self.token, refusal)
            && token.refused(refusal)
        {
            (self.retry)();
        }
        self.gate.end(operation, begun, error);
    }
}
