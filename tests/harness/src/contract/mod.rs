//! The contract with the Beyond Identity API, and what breaks it: `tests/contract/beyond-identity.yaml`.
//!
//! It reads requests by itself, and not as the simulator does, so that the two cannot agree on something that is wrong.

mod document;
mod place;

use std::fmt;
use std::sync::OnceLock;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use jsonschema::Validator;
use serde_json::Value;

pub use document::{Contract, Operation};

/// A request as it went over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, as it was encoded.
    pub path: &'a str,
    /// What stands behind the question mark.
    pub query: Option<&'a str>,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body; empty where there is none.
    pub body: &'a [u8],
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// What the headers say of the body.
    pub content_type: Option<&'a str>,
    /// The body; empty where there is none.
    pub body: &'a [u8],
}

/// What is wrong, and where. It never holds a value of the request or the answer, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The operation, by the name that the contract gives it, and which side of it.
    pub about: String,
    /// Where: a path in the body, or the name of a header or of a parameter.
    pub place: String,
    /// What is wrong there.
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
/// Where the document cannot be read, since nothing can be held against it then.
#[expect(clippy::panic, reason = "a test without its contract shows nothing")]
pub fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    let read = || document::parse(DOCUMENT).and_then(|document| Contract::read(&document));
    CONTRACT.get_or_init(|| read().unwrap_or_else(|error| panic!("the contract cannot be read: {error:#}")))
}

/// The contract as it is written.
pub const DOCUMENT: &str = include_str!("../../../contract/beyond-identity.yaml");

/// The contract as JSON.
///
/// # Errors
/// Where it is not YAML.
pub fn document() -> anyhow::Result<Value> {
    document::parse(DOCUMENT)
}

impl Contract {
    /// What is wrong with a request.
    #[must_use]
    pub fn check_request(&self, request: &Request<'_>) -> Vec<Breach> {
        let Some((operation, ids)) = self.find(request.method, request.path) else {
            // Without the path: what is asked for may name somebody.
            let what = format!("{} of this path is no operation of the contract", request.method);
            return vec![Breach { about: "request".to_owned(), place: "the path".to_owned(), what }];
        };
        let mut found = Vec::new();
        operation.check_path(&ids, &mut found);
        operation.check_query(request.query, &mut found);
        operation.check_headers(request, &mut found);
        match &operation.body {
            Some(schema) => check_body(schema, request.body, &mut found),
            None if request.body.is_empty() => {}
            None => found.push(wrong("the body", "there must be none")),
        }
        about(&format!("{}, request", operation.id), found)
    }

    /// What is wrong with the answer to a request of this method and path.
    #[must_use]
    pub fn check_answer(&self, method: &str, path: &str, answer: &Answer<'_>) -> Vec<Breach> {
        // A request that nobody knows was said to be wrong already.
        let Some((operation, _)) = self.find(method, path) else { return Vec::new() };
        let mut found = Vec::new();
        match operation.answers.get(&answer.status) {
            None => found.push(wrong("the status", "it is none that the contract knows of this operation")),
            Some(None) if answer.body.is_empty() => {}
            Some(None) => found.push(wrong("the body", "there must be none")),
            Some(Some(schema)) => {
                if !answer.content_type.is_some_and(is_json) {
                    found.push(wrong("Content-Type", "it is not application/json"));
                }
                check_body(schema, answer.body, &mut found);
            }
        }
        about(&format!("{}, answer {}", operation.id, answer.status), found)
    }
}

impl Operation {
    fn check_path(&self, ids: &[(&str, &str)], found: &mut Vec<Wrong>) {
        for (name, raw) in ids {
            match self.path.get(*name) {
                Some(parameter) => parameter.check(raw, &format!("path parameter {name}"), found),
                None => found.push(wrong(name, "the contract does not describe this parameter")),
            }
        }
    }

    fn check_query(&self, query: Option<&str>, found: &mut Vec<Wrong>) {
        let pairs =
            query.into_iter().flat_map(|query| query.split('&')).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let pairs: Vec<(&str, &str)> = pairs.collect();
        for (number, (name, raw)) in pairs.iter().enumerate() {
            let place = format!("query parameter {name}");
            match self.query.get(*name) {
                None => found.push(wrong("the query", "it has a parameter that the contract does not know")),
                Some(_) if pairs[..number].iter().any(|(earlier, _)| earlier == name) => {
                    found.push(wrong(&place, "it is there twice"));
                }
                Some(parameter) => parameter.check(raw, &place, found),
            }
        }
        let is_there = |name: &str| pairs.iter().any(|(given, _)| *given == name);
        for (name, parameter) in &self.query {
            if parameter.required && !is_there(name) {
                found.push(wrong(&format!("query parameter {name}"), "it is missing"));
            }
        }
    }

    fn check_headers(&self, request: &Request<'_>, found: &mut Vec<Wrong>) {
        let text = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = |value: &str| value.strip_prefix("Bearer ").is_some_and(|token| !token.trim().is_empty());
        if !text(AUTHORIZATION.as_str()).is_some_and(bearer) {
            found.push(wrong("Authorization", "it holds no bearer token"));
        }
        if !text(ACCEPT.as_str()).is_some_and(is_json) {
            found.push(wrong("Accept", "it is not application/json"));
        }
        if self.body.is_some() && !text(CONTENT_TYPE.as_str()).is_some_and(is_json) {
            found.push(wrong("Content-Type", "it is not application/json"));
        }
        for (name, parameter) in &self.headers {
            match text(name) {
                Some(value) => found.extend(problems(&parameter.schema, &Value::from(value), name)),
                None if parameter.required => found.push(wrong(name, "it is missing")),
                None => {}
            }
        }
    }
}

/// A place, and what is wrong there.
type Wrong = (String, String);

fn wrong(place: &str, what: &str) -> Wrong {
    (place.to_owned(), what.to_owned())
}

fn about(what: &str, found: Vec<Wrong>) -> Vec<Breach> {
    found.into_iter().map(|(place, wrong)| Breach { about: what.to_owned(), place, what: wrong }).collect()
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn check_body(schema: &Validator, body: &[u8], found: &mut Vec<Wrong>) {
    match serde_json::from_slice(body) {
        Ok(body) => found.extend(problems(schema, &body, "")),
        Err(_) => found.push(wrong("the body", "it is not JSON")),
    }
}

/// All that is wrong with a value, none of which shows it.
fn problems(schema: &Validator, value: &Value, place: &str) -> Vec<Wrong> {
    let at = |path: &str| match format!("{place}{path}") {
        none if none.is_empty() => "the body".to_owned(),
        place => place,
    };
    schema.iter_errors(value).map(|error| (at(error.instance_path().as_str()), error.masked().to_string())).collect()
}
