//! What people write: the objects, and whom they name.

use beyond_identity_operator::api::enrollment_request::IdentityRef;
use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use serde_json::{Value, json};

use crate::actors::Who;
use crate::kubernetes::Key;
use crate::world::State;

/// Whom a request names, and how.
pub fn who(state: &State, request: &EnrollmentRequest) -> Who {
    let IdentityRef { id, username } = request.spec.identity.clone();
    let by_username = username.is_some();
    let named = |name: &str| {
        let people = state.remote.service.people.iter();
        people.filter(|(_, person)| person.username.eq_ignore_ascii_case(name)).map(|(id, _)| id.clone()).next()
    };
    let person = id.or_else(|| named(&username?)).unwrap_or_default();
    Who { person, by_username }
}

/// How a request names somebody.
pub fn identity(state: &State, who: &Who) -> Value {
    match state.remote.service.people.get(&who.person) {
        Some(person) if who.by_username => json!({ "username": person.username.to_uppercase() }),
        _ => json!({ "id": who.person }),
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

/// A request for a person.
pub fn request(key: &Key, identity: &Value) -> EnrollmentRequest {
    let spec = json!({ "authenticatorConfigRef": { "name": "hosted-web" }, "identity": identity });
    serde_json::from_value(object("EnrollmentRequest", key, spec)).expect("a request")
}

/// A configuration.
pub fn config(key: &Key) -> AuthenticatorConfig {
    let spec = json!({ "config": { "type": "hosted_web", "trustedOrigins": ["https://a.example.com"] } });
    serde_json::from_value(object("AuthenticatorConfig", key, spec)).expect("a configuration")
}
