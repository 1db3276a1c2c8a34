//! Decoding of responses: documented, incomplete and undocumented ones.

use serde_json::{Value, json};

use crate::beyond_identity::decode::{Object, object_of};
use crate::beyond_identity::types::{
    AuthenticatorConfig, CredentialBindingJob, DeliveryMethod, EnrollmentStatus, Identity, IdentityStatus, JobState,
};

fn read<T: Object>(value: &Value) -> T {
    object_of(value.to_string().as_bytes()).unwrap()
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
        assert!(object_of::<CredentialBindingJob>(bad.to_string().as_bytes()).is_err(), "{bad}");
        let enveloped = json!({ "credential_binding_job": bad });
        assert!(object_of::<CredentialBindingJob>(enveloped.to_string().as_bytes()).is_err(), "{bad}");
        assert!(serde_json::from_value::<CredentialBindingJob>(bad.clone()).is_err(), "{bad}");
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
    for id in ["57d73b5909ede35a", "4e129fc8-29eb-440a-9c43-5e6bd419e416", "a/b:c", &"x".repeat(256)] {
        assert_eq!(job(id).unwrap().id, id);
    }
    for id in ["", ".", "..", "-", "a b", "a\nb", "ä", &"x".repeat(257)] {
        assert!(job(id).is_err(), "{id:?}");
    }
}
