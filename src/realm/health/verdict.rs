//! What a check of the credentials means for a provider config. Pure.

use jiff::Timestamp;

use crate::api::Reason;
use crate::beyond_identity::{ApiToken, Error, NotSent, RealmCheck, Refusal};
use crate::reconcile::Failure;

/// Whether calls through a provider config can succeed.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The service accepts the credentials.
    Accepted,
    /// No call can succeed, for this reason.
    Refused(Failure),
}

/// What a token says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenClaims {
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The tenant it belongs to.
    pub tenant_id: Option<String>,
    /// Whether it was issued for client credentials. The operator renews it, so its expiration is of no concern.
    pub is_issued: bool,
}

impl TokenClaims {
    /// Reads the claims of `token`. An opaque token has none.
    pub fn of(token: &ApiToken) -> Self {
        Self { expires_at: token.expires_at(), tenant_id: token.tenant_id(), is_issued: false }
    }

    /// Reads the claims of a token that was issued for client credentials.
    pub fn of_issued(token: &ApiToken) -> Self {
        Self { expires_at: None, tenant_id: token.tenant_id(), is_issued: true }
    }

    /// What to do if the service refuses the token.
    fn remedy(&self) -> &'static str {
        if self.is_issued {
            "check the application in spec.credentials.clientCredentials"
        } else {
            "store a new token in its Secret"
        }
    }
}

/// The credentials that a check is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The tenant that the provider config names.
    pub tenant_id: &'a str,
    /// What its token says.
    pub claims: &'a TokenClaims,
}

/// The verdict of a check, or `None` if it decides nothing, because the service limits the request rate.
pub fn of_check(check: &RealmCheck, subject: Subject<'_>, now: Timestamp) -> Option<Verdict> {
    Some(match &check.failure {
        None if check.is_forbidden() => {
            let message = format!(
                "The service refuses every read (403): the token lacks all scopes, belongs to another tenant, or has \
                 expired; {}",
                subject.claims.remedy()
            );
            Verdict::Refused(refused(Reason::PermissionDenied, message, subject, now))
        }
        None => Verdict::Accepted,
        Some(error) => return of_error(error, subject, now),
    })
}

/// The verdict of the failed call, or `None` if it says nothing about calls in general.
pub fn of_error(error: &Error, subject: Subject<'_>, now: Timestamp) -> Option<Verdict> {
    let failure = match error {
        Error::Refused { cause: Refusal::Unauthorized, .. } => {
            let message = format!("{error}; {}", subject.claims.remedy());
            refused(Reason::Unauthorized, message, subject, now)
        }
        Error::Refused { cause: Refusal::UnknownRealm, .. } => {
            Failure::blocked(Reason::RealmNotFound, error.to_string())
        }
        Error::Retry { cause: NotSent::NoConnection, .. } | Error::InDoubt { .. } => {
            let failure = Failure::transient(Reason::ServiceUnavailable, error.to_string());
            Failure { after: error.after(), ..failure }
        }
        // A list always exists in a realm that exists.
        Error::NotFound { .. } => Failure::blocked(Reason::RealmNotFound, error.to_string()),
        Error::Refused { cause: Refusal::BadRequest | Refusal::Unprocessable | Refusal::Forbidden, .. } => {
            return Some(Verdict::Accepted);
        }
        Error::Retry { cause: NotSent::TooManyCalls | NotSent::Stopped, .. }
        | Error::Refused { cause: Refusal::Local, .. } => return None,
    };
    Some(Verdict::Refused(failure))
}

/// A refusal of the token, explained by what the token says about itself.
fn refused(reason: Reason, message: String, subject: Subject<'_>, now: Timestamp) -> Failure {
    let Subject { tenant_id, claims } = subject;
    match claims {
        TokenClaims { expires_at: Some(at), .. } if *at <= now => Failure::blocked(
            Reason::TokenExpired,
            format!("The token expired at {at}; store a new token in its Secret"),
        ),
        TokenClaims { tenant_id: Some(of), .. } if of != tenant_id => Failure::blocked(
            Reason::TenantMismatch,
            if claims.is_issued {
                "The token does not belong to the tenant in spec.tenantID; use an application of that tenant in \
                 spec.credentials.clientCredentials"
            } else {
                "The token does not belong to the tenant in spec.tenantID; store a token of that tenant in its Secret"
            },
        ),
        TokenClaims { .. } => Failure::blocked(reason, message),
    }
}
