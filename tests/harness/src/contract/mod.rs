//! The contract with the Beyond Identity API, `tests/contract/beyond-identity.yaml`, and its validation.
//!
//! It parses requests independently of the simulator, so that the two do not share a mistake.

mod document;
mod place;

use std::fmt;
use std::sync::OnceLock;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use jsonschema::Validator;
use serde_json::Value;

pub use document::{Contract, Operation};

/// A request as sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The encoded path.
    pub path: &'a str,
    /// The query, without the question mark.
    pub query: Option<&'a str>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body. It may be empty.
    pub body: &'a [u8],
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The header Content-Type.
    pub content_type: Option<&'a str>,
    /// The body. It may be empty.
    pub body: &'a [u8],
}

/// A violation of the contract. It contains no value of the request or the answer, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The operation id, and whether the request or the answer is invalid.
    pub about: String,
    /// The location: a path in the body, or the name of a header or a parameter.
    pub place: String,
    /// The error.
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { about, place, what } = self;
        write!(f, "{about}: {place}: {what}")
    }
}

/// The contract.
///
/// # Panics
/// If the document cannot be read.
#[expect(clippy::panic, reason = "without the contract, no test is valid")]
pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    let read = || document::parse(DOCUMENT).and_then(|document| Contract::read(&document));
    CONTRACT.get_or_init(|| read().unwrap_or_else(|error| panic!("the contract cannot be read: {error:#}")))
}

/// The text of the contract.
pub const DOCUMENT: &str = include_str!("../../../contract/beyond-identity.yaml");

/// The contract as JSON.
///
/// # Errors
/// If it is not valid YAML.
pub fn document() -> anyhow::Result<Value> {
    document::parse(DOCUMENT)
}

impl Contract {
    /// Validates a request.
    #[must_use]
    pub fn check_request(&self, request: &Request<'_>) -> Vec<Breach> {
        let Some((operation, ids)) = self.find(request.method, request.path) else {
            // Without the path, which may contain the name of a person.
            let what = format!("{} of this path is not in the contract", request.method);
            return vec![Breach { about: "request".to_owned(), place: "the path".to_owned(), what }];
        };
        let mut found = Vec::new();
        operation.check_path(&ids, &mut found);
        operation.check_query(request.query, &mut found);
        operation.check_headers(request, &mut found);
        match &operation.body {
            Some(schema) => check_body(schema, request.body, &mut found),
            None if request.body.is_empty() => {}
            None => found.push(finding("the body", "must be empty")),
        }
        about(&format!("{}, request", operation.id), found)
    }

    /// Validates the answer to a request of this method and path.
    #[must_use]
    pub fn check_answer(&self, method: &str, path: &str, answer: &Answer<'_>) -> Vec<Breach> {
        // An unknown request was already reported.
        let Some((operation, _)) = self.find(method, path) else { return Vec::new() };
        let mut found = Vec::new();
        match operation.answers.get(&answer.status) {
            None => found.push(finding("the status", "not in the contract of this operation")),
            Some(None) if answer.body.is_empty() => {}
            Some(None) => found.push(finding("the body", "must be empty")),
            Some(Some(schema)) => {
                if !answer.content_type.is_some_and(is_json) {
                    found.push(finding("Content-Type", "not application/json"));
                }
                check_body(schema, answer.body, &mut found);
            }
        }
        about(&format!("{}, answer {}", operation.id, answer.status), found)
    }
}

impl Operation {
    fn check_path(&self, ids: &[(&str, &str)], found: &mut Vec<Finding>) {
        for (name, raw) in ids {
            match self.path.get(*name) {
                Some(parameter) => parameter.check(raw, &format!("path parameter {name}"), found),
                None => found.push(finding(name, "not in the contract")),
            }
        }
    }

    fn check_query(&self, query: Option<&str>, found: &mut Vec<Finding>) {
        let pairs =
            query.into_iter().flat_map(|query| query.split('&')).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let pairs: Vec<(&str, &str)> = pairs.collect();
        for (number, (name, raw)) in pairs.iter().enumerate() {
            let place = format!("query parameter {name}");
            match self.query.get(*name) {
                None => found.push(finding("the query", "it has a parameter that is not in the contract")),
                Some(_) if pairs[..number].iter().any(|(earlier, _)| earlier == name) => {
                    found.push(finding(&place, "given twice"));
                }
                Some(parameter) => parameter.check(raw, &place, found),
            }
        }
        let is_given = |name: &str| pairs.iter().any(|(given, _)| *given == name);
        for (name, parameter) in &self.query {
            if parameter.required && !is_given(name) {
                found.push(finding(&format!("query parameter {name}"), "missing"));
            }
        }
    }

    fn check_headers(&self, request: &Request<'_>, found: &mut Vec<Finding>) {
        let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = |value: &str| value.strip_prefix("Bearer ").is_some_and(|token| !token.trim().is_empty());
        if !text(AUTHORIZATION.as_str()).is_some_and(bearer) {
            found.push(finding("Authorization", "no bearer token"));
        }
        if !text(ACCEPT.as_str()).is_some_and(is_json) {
            found.push(finding("Accept", "not application/json"));
        }
        if self.body.is_some() && !text(CONTENT_TYPE.as_str()).is_some_and(is_json) {
            found.push(finding("Content-Type", "not application/json"));
        }
        for (name, parameter) in &self.headers {
            match text(name) {
                Some(value) => found.extend(schema_errors(&parameter.schema, &Value::from(value), name)),
                None if parameter.required => found.push(finding(name, "missing")),
                None => {}
            }
        }
    }
}

/// A location, and the error there.
type Finding = (String, String);

fn finding(place: &str, what: &str) -> Finding {
    (place.to_owned(), what.to_owned())
}

fn about(what: &str, found: Vec<Finding>) -> Vec<Breach> {
    found.into_iter().map(|(place, finding)| Breach { about: what.to_owned(), place, what: finding }).collect()
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn check_body(schema: &Validator, body: &[u8], found: &mut Vec<Finding>) {
    match serde_json::from_slice(body) {
        Ok(body) => found.extend(schema_errors(schema, &body, "")),
        Err(_) => found.push(finding("the body", "not valid JSON")),
    }
}

/// The validation errors of a value. They do not contain the value.
fn schema_errors(schema: &Validator, value: &Value, place: &str) -> Vec<Finding> {
    let at = |path: &str| match format!("{place}{path}") {
        none if none.is_empty() => "the body".to_owned(),
        place => place,
    };
    schema.iter_errors(value).map(|error| (at(error.instance_path().as_str()), error.masked().to_string())).collect()
}
