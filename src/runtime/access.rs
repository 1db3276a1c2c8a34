//! Lets only those read the metrics whom the Kubernetes API authenticates and authorizes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::{Resource, serde};
use kube::api::PostParams;
use kube::{Api, Client};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::cause;
use super::readiness::Report;

/// The path that a reader needs the permission to `get`.
const PATH: &str = "/metrics";
/// How long a token that may read is not checked again.
const ALLOWED: Duration = Duration::from_secs(60);
/// The same for one that may not, whose permission somebody may be adding.
const DENIED: Duration = Duration::from_secs(10);
/// The maximum number of remembered tokens. Only authenticated ones are, so a stranger cannot displace them.
const REMEMBERED: usize = 256;
/// The maximum number of concurrent checks, and the timeout of each: a stranger cannot flood the Kubernetes API.
const CONCURRENT: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Who may read the metrics, as the Kubernetes API decides.
pub struct Access {
    client: Client,
    report: Report,
    remembered: Mutex<HashMap<[u8; 32], (Decision, Instant)>>,
    checks: Semaphore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Allowed,
    Forbidden,
    Unauthenticated,
}

impl Access {
    /// `report` takes failures of the Kubernetes API.
    pub fn new(client: Client, report: Report) -> Arc<Self> {
        Arc::new(Self { client, report, remembered: Mutex::default(), checks: Semaphore::new(CONCURRENT) })
    }

    /// Middleware that answers requests that are not allowed.
    pub async fn require(State(access): State<Arc<Self>>, request: Request, next: Next) -> Response {
        let token = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok()).and_then(bearer);
        let decision = match token {
            Some(token) => access.decide(token).await,
            None => Some(Decision::Unauthenticated),
        };
        match decision {
            Some(Decision::Allowed) => next.run(request).await,
            Some(Decision::Forbidden) => {
                (StatusCode::FORBIDDEN, "Forbidden: the user of this token may not get /metrics.\n").into_response()
            }
            Some(Decision::Unauthenticated) => (
                StatusCode::UNAUTHORIZED,
                [(WWW_AUTHENTICATE, "Bearer")],
                "Unauthorized: send a token of this cluster in the header Authorization.\n",
            )
                .into_response(),
            None => {
                let sentence = "Unavailable: the Kubernetes API cannot check the token at the moment.\n";
                (StatusCode::SERVICE_UNAVAILABLE, sentence).into_response()
            }
        }
    }

    /// The decision for a token; `None` if there is none at the moment.
    async fn decide(&self, token: &str) -> Option<Decision> {
        let key: [u8; 32] = Sha256::digest(token).into();
        if let Some((decision, until)) = self.remembered.lock().get(&key)
            && Instant::now() < *until
        {
            return Some(*decision);
        }
        let decision = timeout(TIMEOUT, self.check(token)).await.ok()??;
        let time = match decision {
            Decision::Allowed => ALLOWED,
            Decision::Forbidden => DENIED,
            Decision::Unauthenticated => return Some(decision),
        };
        let now = Instant::now();
        let mut remembered = self.remembered.lock();
        remembered.retain(|_, (_, until)| now < *until);
        if remembered.len() < REMEMBERED {
            remembered.insert(key, (decision, now + time));
        }
        Some(decision)
    }

    /// Asks the Kubernetes API.
    async fn check(&self, token: &str) -> Option<Decision> {
        let _turn = self.checks.acquire().await.ok()?;
        let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences: None };
        let review = self.create(TokenReview { spec, ..TokenReview::default() }, "tokenreviews").await?;
        let status = review.status.filter(|status| status.authenticated == Some(true));
        let Some(user) = status.and_then(|status| status.user) else { return Some(Decision::Unauthenticated) };
        let attributes = NonResourceAttributes { path: Some(PATH.to_owned()), verb: Some("get".to_owned()) };
        let spec = SubjectAccessReviewSpec {
            user: user.username,
            groups: user.groups,
            uid: user.uid,
            extra: user.extra,
            non_resource_attributes: Some(attributes),
            resource_attributes: None,
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let review = self.create(review, "subjectaccessreviews").await?;
        let allowed = review.status.is_some_and(|status| status.allowed);
        Some(if allowed { Decision::Allowed } else { Decision::Forbidden })
    }

    /// Creates a review, which the API server answers and does not store.
    async fn create<R>(&self, review: R, plural: &str) -> Option<R>
    where
        R: Resource + kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        match Api::all(self.client.clone()).create(&PostParams::default(), &review).await {
            Ok(review) => {
                self.report.ready();
                Some(review)
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let group = <R as Resource>::GROUP;
                self.report.trouble(
                    format!(
                        "the operator cannot check who reads the metrics: grant it create on {plural}.{group} in a \
                         ClusterRole"
                    ),
                    String::new(),
                );
                None
            }
            Err(error) => {
                self.report.trouble("the operator cannot check who reads the metrics".to_owned(), cause(&error));
                None
            }
        }
    }
}

/// The token of an `Authorization` header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_token_is_read_from_its_header_only() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for other in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}
