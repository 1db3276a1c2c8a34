//! When a token is used, renewed or requested: pure rules on a monotonic clock.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::beyond_identity::IssuedToken;
use crate::reconcile::{Failure, FailureKind};

/// The longest time before its end that a token is renewed. A short-lived token is renewed in the last fifth of its life.
const RENEWAL: Duration = Duration::from_secs(5 * 60);
/// The longest time before its end that a token is no longer used, so that it is valid for the calls of a reconcile.
const MARGIN: Duration = Duration::from_secs(30);
/// The time between two renewals after refused calls. A refusal can also mean a missing scope, which no token has.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(60);
/// How long the first failure of a request answers all callers. It doubles with each further failure.
const FIRST_FAILURE: Duration = Duration::from_secs(1);
/// The longest time that a failure answers all callers.
const LONGEST_FAILURE: Duration = Duration::from_secs(60);

/// The token of one issuer.
#[derive(Debug, Default)]
pub(super) struct TokenState {
    current: Option<Token>,
    failed: Option<Failed>,
    /// The last renewal after a refused call.
    renewed_after_refusal: Option<Instant>,
    /// The number of tokens so far.
    count: u64,
}

/// A token that was issued.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Distinguishes it from earlier and later ones.
    pub(super) number: u64,
    pub(super) issued: IssuedToken,
    renew_at: Instant,
    expires: Instant,
    /// The end of its life, for users.
    expires_at: Option<Timestamp>,
    refused: Option<CallRefusal>,
}

/// How the API refused a call with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallRefusal {
    /// 401: the token is not accepted.
    Unauthorized,
    /// 403: the token has expired, or lacks a scope.
    Forbidden,
}

/// A failed request.
#[derive(Debug)]
struct Failed {
    why: Failure,
    until: Instant,
    /// The number of failures in a row.
    count: u32,
}

/// What a caller does.
#[derive(Clone, Debug)]
pub(super) enum Decision {
    /// Use this token.
    Use(Token),
    /// Renew this token, which can still be used.
    Renew(Token),
    /// Request a token, because there is none that can be used.
    Request,
    /// Report this failure.
    Fail(Failure),
}

impl TokenState {
    /// What a caller does now.
    pub(super) fn decide(&self, now: Instant) -> Decision {
        let current = self.current.as_ref().filter(|token| now < token.expires);
        if let Some(token) = current
            && now < token.renew_at
            && !(token.refused.is_some() && self.may_renew_refused(now))
        {
            return Decision::Use(token.clone());
        }
        if let Some(failed) = self.failed.as_ref().filter(|failed| now < failed.until) {
            return match current {
                Some(token) if !failed.outweighs(token) => Decision::Use(token.clone()),
                _ => Decision::Fail(failed.at(now)),
            };
        }
        match current {
            Some(token) if token.refused.is_none() => Decision::Renew(token.clone()),
            _ => Decision::Request,
        }
    }

    /// Stores a token that was requested at `now`. Returns whether a failure preceded it.
    pub(super) fn issued(&mut self, issued: IssuedToken, now: Instant, wall_clock: Timestamp) -> bool {
        let lifetime = issued.lifetime;
        if self.current.as_ref().is_some_and(|token| token.refused.is_some()) {
            self.renewed_after_refusal = Some(now);
        }
        self.count += 1;
        self.current = Some(Token {
            number: self.count,
            renew_at: now + lifetime.saturating_sub(RENEWAL.min(lifetime / 5)),
            expires: now + used_for(lifetime),
            expires_at: issued.token.expires_at().or_else(|| wall_clock.checked_add(lifetime).ok()),
            refused: None,
            issued,
        });
        self.failed.take().is_some()
    }

    /// Stores the failure of a request that ended at `now`. Returns whether it is the first one in a row.
    pub(super) fn failed(&mut self, why: Failure, now: Instant) -> bool {
        let count = self.failed.as_ref().map_or(0, |failed| failed.count).saturating_add(1);
        let pause = FIRST_FAILURE.saturating_mul(2_u32.saturating_pow(count - 1)).min(LONGEST_FAILURE);
        let pause = pause.max(why.after.unwrap_or_default());
        self.failed = Some(Failed { why, until: now + pause, count });
        count == 1
    }

    /// Stores that the API refused a call with the token of this number. A later token is not affected. Returns whether
    /// the next call has another token.
    pub(super) fn refused(&mut self, number: u64, refusal: CallRefusal, now: Instant) -> bool {
        let may_renew = self.may_renew_refused(now);
        match self.current.as_mut().filter(|token| token.number == number) {
            Some(token) => {
                token.refused = Some(refusal);
                may_renew
            }
            None => true,
        }
    }

    /// Whether a refused token is renewed now.
    fn may_renew_refused(&self, now: Instant) -> bool {
        self.renewed_after_refusal.is_none_or(|renewed| now.duration_since(renewed) >= BETWEEN_REFUSALS)
    }

    /// The end of the life of the current token.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.current.as_ref()?.expires_at
    }
}

/// How long a token of this lifetime is used from its request on.
pub(super) fn used_for(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(MARGIN.min(lifetime / 20))
}

impl Failed {
    /// Whether this failure says more than the refusal of calls with `token`. After 401 it does. After 403, the token may
    /// still serve other calls through an outage of the token endpoint.
    fn outweighs(&self, token: &Token) -> bool {
        match token.refused {
            None => false,
            Some(CallRefusal::Unauthorized) => true,
            Some(CallRefusal::Forbidden) => self.why.kind != FailureKind::Transient,
        }
    }

    /// The failure, with the time until the next request.
    fn at(&self, now: Instant) -> Failure {
        Failure { after: Some(self.until.saturating_duration_since(now)), ..self.why.clone() }
    }
}
