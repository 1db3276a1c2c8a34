//! The objects that users create.

use beyond_identity_operator::api::enrollment_request::IdentityRef;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use serde_json::{Value, json};

use crate::actors::Selector;
use crate::kubernetes::Key;
use crate::world::State;

/// The identity of a request, and how the request selects it.
pub fn selector(state: &State, request: &EnrollmentRequest) -> Selector {
    let IdentityRef { id, username } = request.spec.identity.clone();
    let by_username = username.is_some();
    let named = |name: &str| {
        let identities = state.remote.service.identities.iter();
        identities.filter(|(_, identity)| identity.username.eq_ignore_ascii_case(name)).map(|(id, _)| id.clone()).next()
    };
    let identity = id.or_else(|| named(&username?)).unwrap_or_default();
    Selector { identity, by_username }
}

/// The field `identity` of a request.
pub fn identity(state: &State, selector: &Selector) -> Value {
    match state.remote.service.identities.get(&selector.identity) {
        Some(identity) if selector.by_username => json!({ "username": identity.username.to_uppercase() }),
        _ => json!({ "id": selector.identity }),
    }
}

fn object(kind: &str, (namespace, name): &Key, spec: Value) -> Value {
    json!({
        "apiVersion": "beyondidentity.dev/v1alpha1",
        "kind": kind,
        "metadata": { "namespace": namespace, "name": name },
        "spec": spec,
    })
}

/// A request for an identity.
pub fn request(key: &Key, identity: &Value) -> EnrollmentRequest {
    let spec = json!({ "authenticatorConfigRef": { "name": "hosted-web" }, "identity": identity });
    serde_json::from_value(object("EnrollmentRequest", key, spec)).expect("a request")
}

/// A configuration, which may only observe the remote configuration of an id.
pub fn config(key: &Key, observed: Option<&String>) -> AuthenticatorConfig {
    let mut spec = json!({ "config": { "type": "hosted_web", "trustedOrigins": ["https://a.example.com"] } });
    if let Some(id) = observed {
        (spec["resourceID"], spec["managementPolicy"]) = (json!(id), json!("Observe"));
    }
    serde_json::from_value(object("AuthenticatorConfig", key, spec)).expect("a configuration")
}
