//! Fuzz targets: what the service, a proxy, a Secret or a file may contain. Nothing panics or runs without end, nothing
//! that is kept is larger than its source, and nothing misleading is shown.

use std::cell::Cell;
use std::fmt::Debug;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use harness::tls::Authority;
use proptest::collection;
use proptest::prelude::*;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::{Value, json};

use super::TOKEN;
use crate::beyond_identity::asked::Asked;
use crate::beyond_identity::client::Success;
use crate::beyond_identity::client_credentials::ClientCredentials;
use crate::beyond_identity::decode::{Listed, Object, object_of, page_of};
use crate::beyond_identity::error_body::ErrorBody;
use crate::beyond_identity::operation::{CREATE_JOB, LIST_JOBS};
use crate::beyond_identity::redaction::Redactor;
use crate::beyond_identity::types::{AuthenticatorConfig, CredentialBindingJob, Identity};
use crate::beyond_identity::{ApiToken, CaBundle, Endpoint, IssuedToken, headers, listing, outcome};
use crate::fuzz::{body, damaged, mutated, run, text};
use crate::harmless::harmless;

fn objects() -> Vec<Value> {
    let job = json!({
        "id": "81490afab171aef0", "identity_id": "jane", "realm_id": "realm", "tenant_id": "tenant",
        "delivery_method": "EMAIL", "state": "LINK_SENT", "authenticator_config_id": "configuration",
        "expire_time": "2022-03-21T03:42:52.905657Z", "create_time": "2022-03-14T03:42:52.905657Z",
    });
    let identity = json!({
        "id": "jane", "status": "active", "enrollment_status": "ENROLLED",
        "traits": {"username": "jane", "primary_email_address": "jane@example.com"},
    });
    let config = json!({
        "id": "configuration", "display_name": "Hosted web (demo abcdefghijkl)",
        "config": {"type": "hosted_web", "trusted_origins": ["https://a.example.com"]},
    });
    let lists = json!({
        "credential_binding_jobs": [job, job], "identities": [identity], "authenticator_configs": [config],
        "total_size": 2, "next_page_token": "next",
    });
    vec![json!({"credential_binding_job": job}), json!({"identity": identity}), config, job, identity, lists]
}

/// Asserts that a decoded value holds no more than its source.
fn assert_bounded(decoded: &impl Debug, source: &[u8]) {
    // A character of one byte may take ten in `Debug`, beside the names of the fields.
    let (shown, bound) = (format!("{decoded:?}").len(), 10 * source.len() + 1_000);
    assert!(shown <= bound, "{shown} bytes of {} are kept", source.len());
}

fn decode_object<T: Object + Debug>(body: &[u8]) {
    if let Ok(object) = object_of::<T>(body, &Redactor::hiding_messages(TOKEN)) {
        assert_bounded(&object, body);
    }
}

fn decode_page<T: Listed + Debug>(body: &[u8]) {
    if let Ok(page) = page_of::<T>(body, &Redactor::hiding_messages(TOKEN)) {
        assert!(page.items.len() <= body.len() / r#"{"id":"1"}"#.len() + 1);
        assert!(page.items.iter().all(|item| !matches!(item.id(), "" | "." | ".." | "-")), "{page:?}");
    }
}

#[test]
fn objects_and_pages() {
    run("objects and pages", &body(objects()), |body| {
        decode_object::<CredentialBindingJob>(&body);
        decode_object::<Identity>(&body);
        decode_object::<AuthenticatorConfig>(&body);
        decode_page::<CredentialBindingJob>(&body);
        decode_page::<Identity>(&body);
        decode_page::<AuthenticatorConfig>(&body);
    });
}

/// However the pages continue, a list ends.
#[test]
fn lists_of_pages() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let pages = (collection::vec(body(objects()), 1..4), any::<bool>());
    run("lists of pages", &pages, |(pages, endless)| {
        let fetched = Cell::new(0_usize);
        let fetch = |_token, _timeout| {
            let number = fetched.get();
            fetched.set(number + 1);
            let next = json!({"credential_binding_jobs": [], "next_page_token": number.to_string()});
            let body = if endless { next.to_string().into_bytes() } else { pages[number % pages.len()].clone() };
            async move { Ok(Success { status: 200, server_time: None, body, _large: None }) }
        };
        let (timeout, redactor, asked) = (Duration::from_secs(600), Redactor::hiding_messages(TOKEN), Asked::default());
        let list = listing::read_all::<CredentialBindingJob, _, _>(LIST_JOBS, timeout, &redactor, &asked, fetch);
        let read = runtime.block_on(list);
        assert!(fetched.get() <= 600, "{} pages are read", fetched.get());
        assert!(!endless || read.is_err());
    });
}

#[test]
fn error_bodies() {
    let error = json!({
        "code": "bad_request", "message": format!("no {TOKEN} for jane@example.com"),
        "details": [{"type": "FieldViolations", "field_violations": [{"field": "job", "description": "empty"}]},
            {"type": "ResourceInfo", "resource_type": "Realm", "id": "1"}],
    });
    run("error bodies", &(body(vec![error]), any::<u16>()), |(body, status)| {
        for redactor in [Redactor::showing_messages(TOKEN), Redactor::hiding_messages(TOKEN)] {
            let body = ErrorBody::parse(&body, &redactor);
            let shown = outcome::refused(CREATE_JOB, status, None, &body).to_string();
            assert!(!shown.contains(TOKEN) && harmless(&shown) == shown && shown.chars().count() < 1000, "{shown:?}");
        }
    });
}

/// A secret with characters in between that are not shown.
#[test]
fn redacted_texts() {
    let split = (text(), 0..TOKEN.len(), any::<char>(), text());
    run("redacted texts", &split, |(before, at, character, after)| {
        let (start, end) = TOKEN.split_at(at);
        let text = format!("{before}{start}{character}{end}{after} {TOKEN}");
        let shown = Redactor::showing_messages(TOKEN).text(&text);
        assert!(!shown.contains(TOKEN) && harmless(&shown) == shown && shown.chars().count() <= 300, "{shown:?}");
    });
}

#[test]
fn token_answers() {
    let answer = json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 86400, "scope": "a:read b:read"});
    run("token answers", &body(vec![answer]), |body| match IssuedToken::parse(&body) {
        Ok(issued) => {
            assert!(issued.lifetime >= Duration::from_secs(1) && issued.lifetime <= Duration::from_secs(8_640_000));
            assert!(issued.token.header().is_some());
            assert_bounded(&issued, &body);
            assert!(!format!("{issued:?}").contains(TOKEN));
        }
        Err(why) => assert!(!why.contains(TOKEN) && why.len() < 300, "{why}"),
    });
}

#[test]
fn secrets() {
    let claims = mutated(vec![json!({"exp": 4_100_000_000_u64, "bi_t": "tenant"})]);
    let jwt = claims.prop_map(|claims| format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.to_string().as_bytes())));
    let word = prop_oneof![jwt, "[!-~]{0,64}[\r\n]{0,2}", text()].prop_map(String::into_bytes);
    let bytes = prop_oneof![damaged(word), collection::vec(any::<u8>(), 0..64)];
    run("secrets", &(bytes, text()), |(bytes, answer)| {
        if let Ok(token) = ApiToken::parse(&bytes) {
            assert!(token.header().is_some());
            let _ = (token.expires_at(), token.tenant_id());
        }
        if let Ok(word) = ClientCredentials::word(&bytes) {
            let credentials = ClientCredentials::new(word, word);
            assert!(credentials.header().is_some());
            let redactor = Redactor::new(credentials.secret(), Vec::new(), true);
            let shown = redactor.text(&format!("{answer} {word}"));
            assert!(if word.len() < 8 { shown.is_empty() } else { !shown.contains(word) }, "{shown}");
        }
    });
}

#[test]
fn ca_bundles() {
    let pem = Authority::new().unwrap().pem();
    let bundle = prop_oneof![
        3 => damaged(Just(pem.clone().into_bytes())),
        1 => damaged(Just([pem.clone(), pem].concat().into_bytes())),
        1 => text().prop_map(|text| {
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n").into_bytes()
        }),
        1 => collection::vec(any::<u8>(), 0..256),
    ];
    run("CA bundles", &bundle, |bundle| _ = CaBundle::parse(&bundle));
}

#[test]
fn endpoints() {
    let part = || prop_oneof![3 => "(https?|HTTPS|file|)", 2 => "(://|:|//|@|\\\\|%2f|/\\.\\.)", 3 => "[a-z0-9.\\[\\]:-]{0,12}", 1 => text()];
    let endpoint = collection::vec(part(), 0..8).prop_map(|parts| parts.concat());
    run("endpoints", &(endpoint, any::<bool>()), |(endpoint, allow_loopback)| {
        let Ok(parsed) = Endpoint::parse(&endpoint, allow_loopback) else { return };
        let base = parsed.as_str();
        assert!(base.starts_with("https://") || (allow_loopback && parsed.is_loopback()), "{base}");
        assert!(!base.contains(['@', '?', '#', '\\']) && base.matches('/').count() == 2 && base.is_ascii(), "{base}");
        assert_eq!(Endpoint::parse(base, allow_loopback).as_ref(), Ok(&parsed), "the base is its own form");
    });
}

#[test]
fn response_headers() {
    let names = [DATE, RETRY_AFTER, HeaderName::from_static("ratelimit-reset")];
    let value = prop_oneof![
        text().prop_map(String::into_bytes),
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        damaged(Just(b"Thu, 01 Jan 2026 12:00:00 GMT".to_vec())),
    ];
    run("response headers", &collection::vec(value, 3), |values| {
        let mut headers = HeaderMap::new();
        for (name, value) in names.iter().zip(&values) {
            headers.extend(HeaderValue::from_bytes(value).ok().map(|value| (name.clone(), value)));
        }
        let _ = headers::server_time(&headers);
        let wait = headers::wait(&headers);
        assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(24 * 60 * 60)), "{wait:?}");
    });
}
