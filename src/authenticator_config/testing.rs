//! Fixtures for the tests of this directory.

use serde_json::{Value, json};

use super::desired::Desired;
use crate::api::AuthenticatorConfig;
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;
use crate::reconcile::testing::options;

/// An AuthenticatorConfig with two methods and one origin.
pub(crate) fn object() -> AuthenticatorConfig {
    serde_json::from_value(json!({
        "apiVersion": "beyondidentity.dev/v1alpha1",
        "kind": "AuthenticatorConfig",
        "metadata": {"name": "hosted-web", "namespace": "identity", "generation": 1},
        "spec": {
            "displayName": "Hosted web",
            "config": {
                "type": "hosted_web",
                "authenticationMethods": [{"type": "webauthn_passkey"}, {"type": "software_passkey"}],
                "trustedOrigins": ["https://a.example.com"],
            }
        }
    }))
    .unwrap()
}

/// The same with this spec.
pub(crate) fn object_with(spec: Value) -> AuthenticatorConfig {
    AuthenticatorConfig { spec: serde_json::from_value(spec).unwrap(), ..object() }
}

/// The desired state of [`object`].
pub(crate) fn desired() -> Desired {
    Desired::of(&object(), &options())
}

/// The remote configuration that equals [`desired`].
pub(crate) fn remote() -> RemoteConfig {
    let Value::Object(fields) = json!(desired().fields) else { unreachable!("fields are an object") };
    RemoteConfig {
        id: "4e129fc8".to_owned(),
        display_name: Some(desired().display_name),
        config: Some(fields),
        ..RemoteConfig::default()
    }
}
