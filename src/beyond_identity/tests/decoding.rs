//! Decoding of responses: documented, incomplete and undocumented ones.

use serde_json::{Value, json};

use super::TOKEN;
use crate::beyond_identity::decode::{Listed, Object, object_of, page_of};
use crate::beyond_identity::redaction::Redactor;
use crate::beyond_identity::types::{
    AuthenticatorConfig, CredentialBindingJob, DeliveryMethod, EnrollmentStatus, Identity, IdentityStatus, JobState,
};

fn decode<T: Object>(value: &Value) -> Result<T, &'static str> {
    object_of(value.to_string().as_bytes(), &Redactor::hiding_messages(TOKEN))
}

fn read<T: Object>(value: &Value) -> T {
    decode(value).unwrap()
}

#[test]
fn documented_job_is_decoded() {
    let job = json!({
        "id": "81490afab171aef0", "identity_id": "e85de356dc78843a", "realm_id": "7df92e4a38ba0993",
        "tenant_id": "0001b42d80372976", "credential_id": "9802966246819b35", "batch_id": "9802966246819b36",
        "delivery_method": "EMAIL", "state": "COMPLETE", "post_binding_redirect_uri": "http://example.com/callback",
        "authenticator_config_id": "67bb0acf12e5c899", "expire_time": "2022-03-21T03:42:52.905657Z",
        "create_time": "2022-03-14T03:42:52.905657Z", "update_time": "2022-03-15T05:55:23.823187Z",
    });
    let expected = CredentialBindingJob {
        id: "81490afab171aef0".to_owned(),
        realm_id: Some("7df92e4a38ba0993".to_owned()),
        tenant_id: Some("0001b42d80372976".to_owned()),
        identity_id: Some("e85de356dc78843a".to_owned()),
        authenticator_config_id: Some("67bb0acf12e5c899".to_owned()),
        delivery_method: Some(DeliveryMethod::Email),
        state: Some(JobState::Complete),
        credential_id: Some("9802966246819b35".to_owned()),
        post_binding_redirect_uri: Some("http://example.com/callback".to_owned()),
        expire_time: Some("2022-03-21T03:42:52.905657Z".to_owned()),
        create_time: Some("2022-03-14T03:42:52.905657Z".to_owned()),
        update_time: Some("2022-03-15T05:55:23.823187Z".to_owned()),
    };
    assert_eq!(read::<CredentialBindingJob>(&job), expected);
    assert_eq!(read::<CredentialBindingJob>(&json!({ "credential_binding_job": job })), expected);
}

#[test]
fn only_the_id_is_required() {
    let bare = CredentialBindingJob { id: "1".to_owned(), ..CredentialBindingJob::default() };
    assert_eq!(read::<CredentialBindingJob>(&json!({ "id": "1" })), bare);
    for odd in [json!(null), json!(""), json!(true), json!(-1), json!(1.5), json!([[1], {}]), json!({ "a": ["b"] })] {
        let job = json!({
            "id": "1", "identity_id": odd, "realm_id": odd, "tenant_id": odd, "credential_id": odd, "batch_id": odd,
            "delivery_method": odd, "state": odd, "post_binding_redirect_uri": odd, "authenticator_config_id": odd,
            "expire_time": odd, "create_time": odd, "update_time": odd, "unheard_of": odd,
        });
        assert_eq!(read::<CredentialBindingJob>(&job), bare, "{odd}");
        // Lists decode without an intermediate value.
        assert_eq!(serde_json::from_str::<CredentialBindingJob>(&job.to_string()).unwrap(), bare, "{odd}");
    }
}

#[test]
fn object_without_id_is_an_error() {
    for bad in [json!({}), json!({ "id": null }), json!({ "id": 7 }), json!({ "id": "" }), json!([]), json!("id")] {
        let enveloped = json!({ "credential_binding_job": bad });
        assert!(decode::<CredentialBindingJob>(&enveloped).is_err(), "{bad}");
        assert!(serde_json::from_value::<CredentialBindingJob>(bad.clone()).is_err(), "{bad}");
    }
}

/// Every id of an object, in a response with all of them.
fn with_ids<T: Listed + std::fmt::Debug>(fields: &[&str]) {
    let object = |field: &str, id: &str| {
        let mut object = json!({ "id": "1" });
        object[field] = json!(id);
        object
    };
    let (long, longest) = ("a".repeat(257), "a".repeat(256));
    let in_base64 = data_encoding::BASE64URL_NOPAD.encode(TOKEN.as_bytes());
    let escaped = format!("a~{TOKEN}");
    for field in fields {
        for usable in ["81490afab171aef0", "4e129fc8-29eb-440a-9c43-5e6bd419e416", "a.b_c~d-", &longest] {
            let object = object(field, usable);
            assert!(decode::<T>(&object).is_ok(), "{object}");
        }
        for unusable in [
            ".",
            "..",
            "-",
            "a b",
            "a\nb",
            "a\u{202e}b",
            "a\u{200b}",
            "ä",
            "a/b",
            "a?b",
            "a#b",
            "a%2fb",
            "<a>",
            "jane@example.com",
            "a;b",
            "a\"b",
            "a\\b",
            &long,
            TOKEN,
            &escaped,
            &in_base64,
        ] {
            let object = object(field, unusable);
            let error = decode::<T>(&object).unwrap_err();
            assert!(!error.contains(unusable) || unusable.len() < 3, "{error}");
            assert!(decode::<T>(&json!({ T::ENVELOPE: object })).is_err(), "{object}");
            let mut page = json!({ "total_size": 2 });
            page[T::LIST] = json!([{ "id": "2" }, object]);
            let page = page_of::<T>(page.to_string().as_bytes(), &Redactor::hiding_messages(TOKEN));
            assert!(page.is_err(), "one such id spoils the whole page: {object}");
        }
    }
}

#[test]
fn id_that_cannot_be_used_as_it_is_spoils_the_response() {
    let ids = ["id", "realm_id", "tenant_id", "identity_id", "authenticator_config_id", "credential_id"];
    with_ids::<CredentialBindingJob>(&ids);
    with_ids::<Identity>(&ids[..3]);
    with_ids::<AuthenticatorConfig>(&ids[..3]);
}

#[test]
fn times_are_written_in_one_form() {
    let time = |time: &str| {
        let job: CredentialBindingJob =
            read(&json!({ "id": "1", "expire_time": time, "create_time": time, "update_time": time }));
        assert_eq!((&job.create_time, &job.update_time), (&job.expire_time, &job.expire_time));
        job.expire_time
    };
    for (read, written) in [
        ("2026-01-01T12:00:02Z", "2026-01-01T12:00:02Z"),
        ("2022-03-21T03:42:52.905657Z", "2022-03-21T03:42:52.905657Z"),
        ("2026-01-01T12:00:02.509980Z", "2026-01-01T12:00:02.509980Z"),
        ("2026-01-01T12:00:02.000000000Z", "2026-01-01T12:00:02.000000000Z"),
        ("2026-01-01 13:00:02+01:00", "2026-01-01T12:00:02Z"),
    ] {
        assert_eq!(time(read).as_deref(), Some(written));
    }
    for unreadable in [
        "soon",
        "2026-01-01",
        "2026-01-01T12:00:02",
        "2026-01-01T12:00:02Z ",
        "2026-01-01T12:00:02Z\nERROR forged",
        "2026-13-01T12:00:02Z",
        "9999999-99-99",
        "jane@example.com",
        TOKEN,
        "20260101",
        "1767268802",
    ] {
        assert_eq!(time(unreadable), None, "{unreadable}");
    }
}

#[test]
fn unknown_value_that_is_no_word_is_redacted() {
    for odd in ["COMPLETE\u{200b}", "jane.doe", "jane@example.com", TOKEN, "A\nB", "+4915112345"] {
        let job: CredentialBindingJob = read(&json!({ "id": "1", "state": odd, "delivery_method": odd }));
        assert_eq!(job.state, Some(JobState::Other("[redacted]".to_owned())), "{odd}");
        assert_eq!(job.delivery_method, Some(DeliveryMethod::Other("[redacted]".to_owned())), "{odd}");
        let identity: Identity = read(&json!({ "id": "1", "status": odd, "enrollment_status": odd }));
        assert_eq!(identity.status, Some(IdentityStatus::Other("[redacted]".to_owned())), "{odd}");
        assert_eq!(identity.enrollment_status, Some(EnrollmentStatus::Other("[redacted]".to_owned())), "{odd}");
        let config: AuthenticatorConfig = read(&json!({ "id": "1", "config": { "type": odd, "later": odd } }));
        assert_eq!(config.config_type(), Some("[redacted]"), "{odd}");
        assert_eq!(config.config.unwrap()["later"], odd, "other settings are only compared");
    }
}

#[test]
fn unknown_enum_value_is_kept() {
    let job: CredentialBindingJob = read(&json!({ "id": "1", "state": "TELEPORTED", "delivery_method": "PIGEON" }));
    assert_eq!(job.state, Some(JobState::Other("TELEPORTED".to_owned())));
    assert_eq!(serde_json::to_value(&job.state).unwrap(), "TELEPORTED");
    assert_eq!(job.delivery_method.unwrap().to_string(), "PIGEON");
    for state in ["LINK_SENT", "LINK_OPENED", "REQUEST_DELIVERED", "COMPLETE", "EXPIRED", "FAILED_TO_SEND", "REVOKED"] {
        assert_eq!(JobState::from(state).as_str(), state);
        assert!(!matches!(JobState::from(state), JobState::Other(_)));
    }
    // Values are case-sensitive.
    assert_eq!(JobState::from("complete"), JobState::Other("complete".to_owned()));
}

#[test]
fn identity_is_decoded_and_redacted_in_debug() {
    let identity: Identity = read(&json!({
        "id": "e372db224c06e850", "realm_id": "8f5bec58229e6f29", "tenant_id": "0001f1f460b1ace6",
        "display_name": "Test Identity", "enrollment_status": "UNENROLLED", "status": "active",
        "traits": { "type": "traits_v0", "username": "test", "primary_email_address": "test@example.com" },
    }));
    assert_eq!(identity.status, Some(IdentityStatus::Active));
    assert_eq!(identity.enrollment_status, Some(EnrollmentStatus::Unenrolled));
    assert_eq!(identity.primary_email_address().unwrap().expose(), "test@example.com");
    assert_eq!(identity.username().unwrap().expose(), "test");
    let printed = format!("{identity:?}");
    assert!(!printed.contains("test") && !printed.contains("Test"), "{printed}");
}

#[test]
fn usernames_compare_case_insensitively() {
    let named = |username: Value| read::<Identity>(&json!({ "id": "1", "traits": { "username": username } }));
    for (own, requested) in [("jane", "jane"), ("Jane@Example.com", "jANE@eXAMPLE.COM"), ("ÄRA", "ära"), ("ΣΑΣ", "σας")]
    {
        assert!(
            named(json!(own)).has_username(requested) && named(json!(requested)).has_username(own),
            "{own} {requested}"
        );
    }
    for (own, requested) in [("jane", "jane "), ("jane", "jan"), ("jane", ""), ("strasse", "straße"), ("a", "ä")] {
        assert!(!named(json!(own)).has_username(requested), "{own} {requested}");
    }
    for none in [json!(null), json!(""), json!(7)] {
        assert!(!named(none).has_username(""));
    }
}

#[test]
fn blank_email_address_is_none() {
    for traits in
        [json!(null), json!({}), json!({ "primary_email_address": " " }), json!({ "primary_email_address": 1 })]
    {
        let identity: Identity = read(&json!({ "identity": { "id": "1", "traits": traits } }));
        assert_eq!(identity.primary_email_address(), None, "{traits}");
        assert_eq!(identity.status, None);
    }
}

#[test]
fn configuration_keeps_unknown_fields() {
    let fields = json!({ "type": "hosted_web", "trusted_origins": ["https://a.example"], "later": { "more": 1 } });
    let config: AuthenticatorConfig = read(&json!({ "id": "1", "config": fields }));
    assert_eq!(config.config_type(), Some("hosted_web"));
    assert_eq!(config.display_name, None);
    assert_eq!(Value::Object(config.config.unwrap()), fields);
    for odd in [json!(null), json!("hosted_web"), json!([])] {
        let config: AuthenticatorConfig = read(&json!({ "id": "1", "config": odd }));
        assert_eq!(config.config_type(), None, "{odd}");
        assert_eq!(config.config, None, "{odd}");
    }
}

#[test]
fn ambiguous_or_invalid_id_is_refused() {
    let job = |id: &str| serde_json::from_value::<CredentialBindingJob>(serde_json::json!({ "id": id }));
    for id in ["57d73b5909ede35a", "4e129fc8-29eb-440a-9c43-5e6bd419e416", "a.b_c~d-", &"x".repeat(256)] {
        assert_eq!(job(id).unwrap().id, id);
    }
    for id in ["", ".", "..", "-", "a b", "a\nb", "a/b", "a:b", "ä", &"x".repeat(257)] {
        assert!(job(id).is_err(), "{id:?}");
    }
}
