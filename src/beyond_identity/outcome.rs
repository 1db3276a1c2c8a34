//! Classifies responses and failures. This is the only place that decides whether a call was certainly not carried out.

use std::error::Error as _;
use std::time::Duration;

use super::error::{Doubt, Error, NotSent, Refusal};
use super::error_body::ErrorBody;
use super::gate::Held;
use super::operation::Operation;
use super::redaction::Redactor;

/// In the message of a change in doubt.
pub const MAY_HAVE_TAKEN_EFFECT: &str = "; the request may have taken effect";

/// The error for a response that is not a success. A refusal or a 404 is only trusted if its body has the form of the
/// API. A proxy, a load balancer or a wrong endpoint may respond with the same statuses.
pub(super) fn refused(operation: Operation, status: u16, after: Option<Duration>, body: &ErrorBody) -> Error {
    let Operation { scope, .. } = operation;
    let message = body.detail.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    let sentence = |answer: &str| format!("{operation} {answer}{message}");
    let refusal = |cause, answer: &str, remedy: &str| {
        let message = sentence(answer);
        Error::Refused { cause, message: format!("{message}{remedy}") }
    };
    let doubt = |cause, answer: String| {
        let doubt = if operation.is_read() { "" } else { MAY_HAVE_TAKEN_EFFECT };
        Error::InDoubt { cause, status: Some(status), after, message: format!("{operation} {answer}{doubt}{message}") }
    };
    match status {
        429 => Error::Retry {
            cause: NotSent::TooManyCalls,
            after,
            message: sentence("was rate limited (429) and can be retried later"),
        },
        400..500 if !body.is_from_api() => {
            let doubt = if operation.is_read() { "" } else { MAY_HAVE_TAKEN_EFFECT };
            let message = body.detail.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
            let message = format!(
                "{operation} returned {status}, but not in the form of the Beyond Identity API; check the endpoint, \
                 and any proxy or load balancer in between{doubt}{message}"
            );
            Error::InDoubt { cause: Doubt::NotFromTheApi, status: Some(status), after, message }
        }
        400 => refusal(Refusal::BadRequest, "was refused as invalid (400)", ""),
        401 => refusal(
            Refusal::Unauthorized,
            "was refused (401)",
            "; check that the token has not expired and belongs to this tenant and region",
        ),
        403 => refusal(
            Refusal::Forbidden,
            "was refused (403)",
            &format!("; check that the token belongs to this tenant and realm and has the scope {scope}"),
        ),
        404 if body.names_realm() => refusal(
            Refusal::UnknownRealm,
            "found no such realm (404)",
            "; check tenantID, realmID and the region or endpoint of the provider config",
        ),
        404 => Error::NotFound { message: sentence("found no object with this id (404)") },
        422 => refusal(Refusal::Unprocessable, "was refused as unprocessable (422)", ""),
        300..400 => {
            doubt(Doubt::Redirect, format!("returned a redirect ({status}), which is not followed; check the endpoint"))
        }
        500.. => doubt(Doubt::Server, format!("failed with a server error ({status})")),
        _ => doubt(Doubt::Status, format!("returned {status}")),
    }
}

/// The error for a request without a response.
pub(super) fn unanswered(
    operation: Operation,
    error: &reqwest::Error,
    proxied: bool,
    timeout: Duration,
    redactor: &Redactor,
) -> Error {
    if error.is_builder() {
        return local(operation, "the request cannot be built");
    }
    let reason = reason(error, redactor);
    if error.is_connect() {
        let way = if proxied { " through the proxy in HTTPS_PROXY" } else { "" };
        let message = format!("{operation} was not sent because no connection was made{way}: {reason}");
        return Error::Retry { cause: NotSent::NoConnection, after: None, message };
    }
    broken(operation, None, error, timeout, redactor)
}

/// The error for a connection that broke, or a timeout that expired, before the response was complete.
pub(super) fn broken(
    operation: Operation,
    status: Option<u16>,
    error: &reqwest::Error,
    timeout: Duration,
    redactor: &Redactor,
) -> Error {
    let (cause, what) = if error.is_timeout() {
        (Doubt::Timeout, format!("got no complete response within {} ms", timeout.as_millis()))
    } else {
        (Doubt::Connection, format!("lost the connection ({})", reason(error, redactor)))
    };
    in_doubt(operation, cause, status, &what)
}

/// The error for a success with an unusable response.
pub(super) fn unusable(operation: Operation, status: u16, why: &str) -> Error {
    in_doubt(operation, Doubt::Unusable, Some(status), &format!("returned {status} with an unusable response: {why}"))
}

/// The error for an answer that a cache kept, whatever it says. A list without the newest job would cause another send.
pub(super) fn cached(operation: Operation, status: u16, seconds: u64) -> Error {
    let what = format!(
        "returned {status} from a cache that kept it for {seconds} s; turn off caching in the proxies and load balancers \
         in between"
    );
    in_doubt(operation, Doubt::Unusable, Some(status), &what)
}

/// The error for a request that this client refuses to send.
pub(super) fn local(operation: Operation, why: &str) -> Error {
    Error::Refused { cause: Refusal::Local, message: format!("{operation} was not sent: {why}") }
}

/// The error for a request that was held back.
pub(super) fn held_back(operation: Operation, held: Held) -> Error {
    let (cause, after, why) = match held {
        Held::RateLimited(after) => {
            let why = "the rate limit of the service is still in effect".to_owned();
            (NotSent::TooManyCalls, Some(after), why)
        }
        Held::Stopped(why) => (NotSent::Stopped, None, why),
    };
    Error::Retry { cause, after, message: format!("{operation} was not sent because {why}") }
}

/// The error for a call whose outcome is unknown.
pub(super) fn in_doubt(operation: Operation, cause: Doubt, status: Option<u16>, what: &str) -> Error {
    let doubt = if operation.is_read() { "" } else { MAY_HAVE_TAKEN_EFFECT };
    Error::InDoubt { cause, status, after: None, message: format!("{operation} {what}{doubt}") }
}

/// The causes of a transport error. The outermost message is omitted, because it contains the URL, and so identifiers.
fn reason(error: &reqwest::Error, redactor: &Redactor) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&part)) {
            parts.push(part);
        }
        source = error.source();
    }
    let shown = redactor.text(&parts.join(": "));
    if shown.is_empty() { "no reason given".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::text::same_meaning;
    use crate::beyond_identity::operation::{CREATE_JOB, LIST_JOBS};

    fn error(body: &str) -> ErrorBody {
        ErrorBody::parse(body.as_bytes(), &Redactor::showing_messages("secret-token-1"))
    }

    /// A body in the form of the API, without a message.
    fn ours() -> ErrorBody {
        error(r#"{"code":"","message":""}"#)
    }

    fn class(status: u16, body: &ErrorBody) -> &'static str {
        match refused(CREATE_JOB, status, None, body) {
            Error::Retry { .. } => "retry",
            Error::Refused { .. } => "refused",
            Error::NotFound { .. } => "not found",
            Error::InDoubt { .. } => "in doubt",
        }
    }

    #[test]
    fn only_some_statuses_mean_not_carried_out() {
        for status in (0..200).chain(300..=999) {
            let expected = match status {
                429 => "retry",
                400 | 401 | 403 | 422 => "refused",
                404 => "not found",
                _ => "in doubt",
            };
            assert_eq!(class(status, &ours()), expected, "{status}");
            assert_eq!(refused(CREATE_JOB, status, None, &ours()).status(), Some(status));
        }
    }

    #[test]
    fn non_api_body_is_in_doubt_except_for_429() {
        for body in ["", "<html>", r#"{"message":"no Route matched"}"#, r#"{"code":"not_found"}"#] {
            let body = error(body);
            for status in (0..200).chain(300..=999) {
                let expected = if status == 429 { "retry" } else { "in doubt" };
                assert_eq!(class(status, &body), expected, "{status}");
                let error = refused(CREATE_JOB, status, Some(Duration::from_secs(3)), &body);
                assert_eq!((error.status(), error.after()), (Some(status), Some(Duration::from_secs(3))));
                let is_foreign = matches!(error, Error::InDoubt { cause: Doubt::NotFromTheApi, .. });
                assert_eq!(is_foreign, (400..500).contains(&status) && status != 429, "{status}");
            }
        }
    }

    #[test]
    fn message_with_another_request_id_has_the_same_meaning() {
        let message = |status, text: &str| {
            let body = format!(r#"{{"code":"unavailable","message":"{text}"}}"#);
            refused(CREATE_JOB, status, None, &error(&body)).to_string()
        };
        let first = message(503, "down, request 7f3c");
        assert!(same_meaning(&first, &message(503, "down, request 91ab")), "{first}");
        for other in [message(500, "down, request 7f3c"), message(503, "up, request 7f3c")] {
            assert!(!same_meaning(&first, &other), "{first} {other}");
        }
    }

    #[test]
    fn in_doubt_error_has_a_cause() {
        for (status, expected) in [
            (302, Doubt::Redirect),
            (500, Doubt::Server),
            (503, Doubt::Server),
            (409, Doubt::Status),
            (408, Doubt::Status),
        ] {
            let error = refused(CREATE_JOB, status, Some(Duration::from_secs(3)), &ours());
            assert!(matches!(error, Error::InDoubt { cause, .. } if cause == expected), "{error:?}");
            assert_eq!(error.after(), Some(Duration::from_secs(3)));
        }
    }

    #[test]
    fn missing_realm_differs_from_missing_object() {
        for (body, code) in [
            (
                r#"{"code":"not_found","message":"realm not found","details":[{"type":"ResourceInfo","resource_type":"Realm"}]}"#,
                "code not_found; ",
            ),
            (r#"{"resource_type":"Realm","id":"1","description":"realm not found"}"#, ""),
        ] {
            let refusal = refused(LIST_JOBS, 404, None, &error(body));
            assert_eq!(refusal.status(), Some(404));
            assert!(matches!(refusal, Error::Refused { cause: Refusal::UnknownRealm, .. }), "{refusal:?}");
            assert_eq!(
                refusal.to_string(),
                format!(
                    "GET credential-binding-jobs found no such realm (404): {code}the response says: realm not found; \
                     check tenantID, realmID and the region or endpoint of the provider config"
                )
            );
            // Only a 404 means a missing realm.
            assert_eq!(class(403, &error(body)), "refused");
            assert_eq!(class(409, &error(body)), "in doubt");
        }
    }

    #[test]
    fn message_names_call_status_remedy_and_detail() {
        assert_eq!(
            refused(CREATE_JOB, 422, None, &error(r#"{"code":"x","message":"Identity missing email address"}"#))
                .to_string(),
            "POST credential-binding-jobs was refused as unprocessable (422): code x; the response says: Identity missing email address"
        );
        let forbidden = refused(LIST_JOBS, 403, None, &ours()).to_string();
        assert!(forbidden.contains("the scope credential-binding-jobs:read"), "{forbidden}");
        assert_eq!(
            refused(CREATE_JOB, 503, None, &ours()).to_string(),
            "POST credential-binding-jobs failed with a server error (503); the request may have taken effect"
        );
        // A read has no effect.
        assert_eq!(
            refused(LIST_JOBS, 503, None, &ours()).to_string(),
            "GET credential-binding-jobs failed with a server error (503)"
        );
        assert_eq!(
            refused(LIST_JOBS, 404, None, &error("<html>")).to_string(),
            "GET credential-binding-jobs returned 404, but not in the form of the Beyond Identity API; check the \
             endpoint, and any proxy or load balancer in between"
        );
        assert_eq!(
            refused(CREATE_JOB, 404, None, &error(r#"{"message":"no Route matched"}"#)).to_string(),
            "POST credential-binding-jobs returned 404, but not in the form of the Beyond Identity API; check the \
             endpoint, and any proxy or load balancer in between; the request may have taken effect; the response \
             says: no Route matched"
        );
    }
}
