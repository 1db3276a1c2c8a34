//! Fixtures for the tests of this directory.

use crate::api::enrollment_request::{DeliveryMethod, SendRecord};
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus, ProviderConfigRef};
use crate::beyond_identity::types::{CredentialBindingJob, DeliveryMethod as RemoteDeliveryMethod, JobState};

/// The endpoint of [`send`].
pub(crate) const ENDPOINT: &str = "https://api.example.com";

/// A job that [`send`] creates, two seconds after its list.
pub(crate) fn job(id: &str) -> CredentialBindingJob {
    CredentialBindingJob {
        id: id.to_owned(),
        identity_id: Some("9ca7716e846cfa97".to_owned()),
        authenticator_config_id: Some("4e129fc8".to_owned()),
        delivery_method: Some(RemoteDeliveryMethod::Email),
        state: Some(JobState::LinkSent),
        create_time: Some("2026-01-01T12:00:02Z".to_owned()),
        expire_time: Some("2026-01-08T12:00:02Z".to_owned()),
        ..CredentialBindingJob::default()
    }
}

/// A record written after a list of 12:00:00 server time.
pub(crate) fn send() -> SendRecord {
    SendRecord {
        id: "nonce".to_owned(),
        attempt: 1,
        resend_of: None,
        provider_config_ref: ProviderConfigRef::default(),
        endpoint: Some(ENDPOINT.to_owned()),
        tenant_id: "tenant".to_owned(),
        realm_id: "realm".to_owned(),
        identity_id: "9ca7716e846cfa97".to_owned(),
        authenticator_config_id: "4e129fc8".to_owned(),
        delivery_method: DeliveryMethod::Email,
        post_binding_redirect_uri: None,
        not_before: "2026-01-01T11:59:30Z".to_owned(),
        existing_job_ids: Vec::new(),
        timeout_seconds: 31,
    }
}

/// The status of a request whose job is [`job`].
pub(crate) fn concluded() -> EnrollmentRequestStatus {
    let mut status = EnrollmentRequestStatus { send: Some(send()), ..EnrollmentRequestStatus::default() };
    let conclude = super::change::Change::Conclude {
        send_id: "nonce".to_owned(),
        job: Box::new(job("job")),
        answered: true,
        others: vec![],
    };
    assert!(conclude.apply(&mut status));
    status
}

/// A request with this uid and status.
pub(crate) fn request(uid: &str, status: EnrollmentRequestStatus) -> EnrollmentRequest {
    let mut request: EnrollmentRequest = serde_json::from_value(serde_json::json!({
        "apiVersion": "beyondidentity.dev/v1alpha1",
        "kind": "EnrollmentRequest",
        "metadata": {"name": uid, "namespace": "identity", "uid": uid, "generation": 1},
        "spec": {"authenticatorConfigRef": {"name": "hosted-web"}, "identity": {"id": "9ca7716e846cfa97"}},
    }))
    .unwrap();
    request.status = Some(status);
    request
}
