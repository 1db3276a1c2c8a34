//! One received request: its operation, its realm and its parameters.

use std::collections::HashMap;

use axum::body::{Body, to_bytes};
use axum::extract::Query;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, Method, Request};
use data_encoding::BASE64;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;

use super::server::NoAnswer;

/// More than the body of any valid request.
const BODY_LIMIT: usize = 1 << 20;

/// The operation of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST …/authenticator-configs`
    CreateConfig,
    /// `GET …/authenticator-configs`
    ListConfigs,
    /// `GET …/authenticator-configs/ID`
    GetConfig,
    /// `PATCH …/authenticator-configs/ID`
    UpdateConfig,
    /// `DELETE …/authenticator-configs/ID`
    DeleteConfig,
    /// `GET …/identities`
    ListIdentities,
    /// `GET …/identities/ID`
    GetIdentity,
    /// `POST …/identities/ID/credential-binding-jobs`
    CreateJob,
    /// `GET …/identities/ID/credential-binding-jobs`
    ListJobs,
    /// `GET …/identities/-/credential-binding-jobs`
    ListAllJobs,
    /// `GET …/identities/ID/credential-binding-jobs/ID`
    GetJob,
    /// `POST …/identities/ID/credential-binding-jobs/ID:revoke`
    RevokeJob,
    /// A list with a page size that only checks have: the operator checks whether its credentials are accepted.
    Check,
    /// `POST …/applications/ID/token`, an operation of the token endpoint. It belongs to the realm that the tokens are for.
    RequestToken,
    /// An operation that the simulator does not know.
    Unknown,
}

/// A request with its complete body.
#[derive(Debug)]
pub(super) struct Call {
    pub operation: Operation,
    /// What is carried out: for a check, the list.
    pub carried_out: Operation,
    pub method: String,
    pub path: String,
    pub raw_query: Option<String>,
    pub query: HashMap<String, String>,
    pub body: Vec<u8>,
    pub is_json: bool,
    pub is_form: bool,
    pub authorization: Option<String>,
    pub user_agent: Option<String>,
    pub traceparent: Option<String>,
    pub headers: HeaderMap,
    pub tenant: String,
    pub realm: String,
    /// The ids in the path after the realm, in the order of the path.
    pub ids: Vec<String>,
}

impl Call {
    pub async fn read(request: Request<Incoming>) -> Result<Self, NoAnswer> {
        let (parts, body) = request.into_parts();
        // A client that closed the connection during its body receives no answer.
        let body = to_bytes(Body::new(body), BODY_LIMIT).await.map_err(|_| NoAnswer)?;
        let path = parts.uri.path().to_owned();
        // Only an unencoded colon starts a verb. An encoded one belongs to the id.
        let (resource, revoke) =
            path.strip_suffix(":revoke").map_or((path.as_str(), false), |resource| (resource, true));
        let segments: Vec<String> = resource.split('/').skip(1).map(decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (tenant, realm, rest) = match segments.as_slice() {
            ["v1", "tenants", tenant, "realms", realm, rest @ ..] => (*tenant, *realm, rest),
            _ => ("", "", [].as_slice()),
        };
        let (carried_out, ids) = operation(&parts.method, rest, revoke);
        let query: HashMap<String, String> =
            Query::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default();
        let lists = [Operation::ListConfigs, Operation::ListIdentities, Operation::ListJobs, Operation::ListAllJobs];
        let is_check =
            lists.contains(&carried_out) && query.get("page_size").is_some_and(|size| size == "1" || size == "50");
        Ok(Self {
            operation: if is_check { Operation::Check } else { carried_out },
            carried_out,
            method: parts.method.to_string(),
            raw_query: parts.uri.query().map(str::to_owned),
            query,
            body: body.to_vec(),
            is_form: text(&parts.headers, CONTENT_TYPE).as_deref() == Some("application/x-www-form-urlencoded"),
            is_json: text(&parts.headers, CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json")),
            authorization: text(&parts.headers, AUTHORIZATION),
            user_agent: text(&parts.headers, USER_AGENT),
            traceparent: text(&parts.headers, HeaderName::from_static("traceparent")),
            headers: parts.headers,
            tenant: tenant.to_owned(),
            realm: realm.to_owned(),
            ids: ids.into_iter().map(str::to_owned).collect(),
            path,
        })
    }

    /// The token of `Authorization: Bearer TOKEN`.
    pub fn token(&self) -> Option<&str> {
        let (scheme, token) = self.authorization.as_deref()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    }

    /// The credentials of `Authorization: Basic CREDENTIALS`.
    pub fn basic(&self) -> Option<(String, String)> {
        let (scheme, pair) = self.authorization.as_deref()?.split_once(' ')?;
        let pair = String::from_utf8(BASE64.decode(pair.as_bytes()).ok()?).ok()?;
        let (id, secret) = pair.split_once(':')?;
        scheme.eq_ignore_ascii_case("basic").then(|| (decoded(id), decoded(secret)))
    }

    /// The fields of a form.
    pub fn form(&self) -> HashMap<String, String> {
        let text = String::from_utf8_lossy(&self.body);
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (decoded(name), decoded(&value.replace('+', " ")))).collect()
    }

    /// The id at this index of the path. It is empty if the operation has fewer ids.
    pub fn id(&self, index: usize) -> &str {
        self.ids.get(index).map_or("", String::as_str)
    }
}

fn operation<'a>(method: &Method, rest: &[&'a str], revoke: bool) -> (Operation, Vec<&'a str>) {
    const CONFIGS: &str = "authenticator-configs";
    const IDENTITIES: &str = "identities";
    const JOBS: &str = "credential-binding-jobs";
    match (method.as_str(), rest) {
        ("POST", [IDENTITIES, id, JOBS, job]) if revoke => (Operation::RevokeJob, vec![id, job]),
        _ if revoke || rest.iter().any(|segment| segment.contains(':')) => (Operation::Unknown, vec![]),
        ("POST", [CONFIGS]) => (Operation::CreateConfig, vec![]),
        ("GET", [CONFIGS]) => (Operation::ListConfigs, vec![]),
        ("GET", [CONFIGS, id]) => (Operation::GetConfig, vec![id]),
        ("PATCH", [CONFIGS, id]) => (Operation::UpdateConfig, vec![id]),
        ("DELETE", [CONFIGS, id]) => (Operation::DeleteConfig, vec![id]),
        ("GET", [IDENTITIES]) => (Operation::ListIdentities, vec![]),
        ("GET", [IDENTITIES, id]) => (Operation::GetIdentity, vec![id]),
        ("POST", [IDENTITIES, id, JOBS]) => (Operation::CreateJob, vec![id]),
        ("GET", [IDENTITIES, "-", JOBS]) => (Operation::ListAllJobs, vec!["-"]),
        ("GET", [IDENTITIES, id, JOBS]) => (Operation::ListJobs, vec![id]),
        ("GET", [IDENTITIES, id, JOBS, job]) => (Operation::GetJob, vec![id, job]),
        ("POST", ["applications", id, "token"]) => (Operation::RequestToken, vec![id]),
        _ => (Operation::Unknown, vec![]),
    }
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
