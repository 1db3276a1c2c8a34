//! What is salvaged of each kind. A spec keeps only the fields that other objects depend on and those that prevent a
//! removal. An unreadable field takes the value that undoes nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::lenient::Salvage;
use crate::api::allowed_namespaces::AllowedNamespaces;
use crate::api::authenticator_config::{self, ConfigSpec, ConfigType, ManagementPolicy};
use crate::api::cluster_provider_config::{Credentials, Region};
use crate::api::enrollment_limits::EnrollmentLimits;
use crate::api::enrollment_request::{self, AuthenticatorConfigRef, DeliveryMethod, IdentityRef};
use crate::api::{
    AuthenticatorConfig, AuthenticatorConfigSpec, ClusterProviderConfig, ClusterProviderConfigSpec, EnrollmentRequest,
    EnrollmentRequestSpec, ProviderConfig, ProviderConfigRef, ProviderConfigSpec, ProviderConfigStatus, Undecodable,
};

impl Salvage for EnrollmentRequest {
    fn undecodable(&self) -> Option<&Undecodable> {
        self.spec.undecodable.as_ref()
    }

    fn salvage(metadata: ObjectMeta, undecodable: Undecodable) -> Self {
        let (spec, status) = (&undecodable.raw["spec"], status(&undecodable.raw, ("send", send)));
        let spec = EnrollmentRequestSpec {
            // Keeps the reference, so that the AuthenticatorConfig stays in use.
            authenticator_config_ref: AuthenticatorConfigRef { name: text(&spec["authenticatorConfigRef"], "name") },
            identity: IdentityRef { id: None, username: None },
            delivery_method: DeliveryMethod::default(),
            post_binding_redirect_uri: None,
            attempt: 1,
            revoked: false,
            deletion_policy: read_or(spec, "deletionPolicy", enrollment_request::DeletionPolicy::Orphan),
            undecodable: Some(undecodable),
        };
        Self { metadata, spec, status }
    }
}

impl Salvage for AuthenticatorConfig {
    fn undecodable(&self) -> Option<&Undecodable> {
        self.spec.undecodable.as_ref()
    }

    fn salvage(metadata: ObjectMeta, undecodable: Undecodable) -> Self {
        let (spec, status) = (&undecodable.raw["spec"], status(&undecodable.raw, ("create", create)));
        let spec = AuthenticatorConfigSpec {
            // If the reference does not resolve to the realm in status, nothing is deleted there.
            provider_config_ref: provider(&spec["providerConfigRef"]),
            display_name: None,
            config: ConfigSpec {
                type_: ConfigType::deserialize(&spec["config"]["type"]).unwrap_or(ConfigType::HostedWeb),
                authentication_methods: None,
                trusted_origins: None,
                invoke_url: None,
                invocation_type: None,
                onboarding_configuration: None,
                roaming_auth_config: None,
            },
            resource_id: spec.get("resourceID").map(|_| text(spec, "resourceID")),
            management_policy: read_or(spec, "managementPolicy", ManagementPolicy::Observe),
            deletion_policy: read_or(spec, "deletionPolicy", Some(authenticator_config::DeletionPolicy::Orphan)),
            undecodable: Some(undecodable),
        };
        Self { metadata, spec, status }
    }
}

impl Salvage for ClusterProviderConfig {
    fn undecodable(&self) -> Option<&Undecodable> {
        self.spec.undecodable.as_ref()
    }

    /// Salvages nothing of the spec, because a token must not be sent according to a guess.
    fn salvage(metadata: ObjectMeta, undecodable: Undecodable) -> Self {
        let status = provider_status(&undecodable);
        let spec = ClusterProviderConfigSpec {
            tenant_id: String::new(),
            realm_id: String::new(),
            region: None,
            endpoint: None,
            credentials: no_credentials(),
            allowed_namespaces: AllowedNamespaces::default(),
            allow_resource_ids: false,
            allow_revoking_adopted_links: false,
            allowed_config_types: None,
            allowed_invoke_urls: Vec::new(),
            allowed_trusted_origins: None,
            enrollment: EnrollmentLimits::default(),
            shared_realm: false,
            former_cluster_names: Vec::new(),
            undecodable: Some(undecodable),
        };
        Self { metadata, spec, status }
    }
}

impl Salvage for ProviderConfig {
    fn undecodable(&self) -> Option<&Undecodable> {
        self.spec.undecodable.as_ref()
    }

    /// Salvages nothing of the spec, as above.
    fn salvage(metadata: ObjectMeta, undecodable: Undecodable) -> Self {
        let status = provider_status(&undecodable);
        let spec = ProviderConfigSpec {
            tenant_id: String::new(),
            realm_id: String::new(),
            region: Region::US,
            credentials: no_credentials(),
            enrollment: EnrollmentLimits::default(),
            shared_realm: false,
            former_cluster_names: Vec::new(),
            undecodable: Some(undecodable),
        };
        Self { metadata, spec, status }
    }
}

/// Credentials that name no Secret.
fn no_credentials() -> Credentials {
    Credentials { api_token: None, client_credentials: None }
}

/// The status of a provider config. It has no write-ahead record.
fn provider_status(undecodable: &Undecodable) -> Option<ProviderConfigStatus> {
    status(&undecodable.raw, ("", |_, _| Value::Null))
}

/// Returns the value of this field: the default if it is absent, and `otherwise` if it cannot be decoded.
fn read_or<T: DeserializeOwned + Default>(object: &Value, field: &str, otherwise: T) -> T {
    object.get(field).map_or_else(T::default, |value| T::deserialize(value).unwrap_or(otherwise))
}

/// Reads a reference to a provider config. An undecodable one may be of an unknown kind with its own names, so it
/// refers to none.
fn provider(reference: &Value) -> ProviderConfigRef {
    let none = || ProviderConfigRef { name: String::new(), ..ProviderConfigRef::default() };
    ProviderConfigRef::deserialize(reference).unwrap_or_else(|_| none())
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

/// Returns the whole status if it decodes, else each field and list item that does. The write-ahead record is always
/// kept, because the call that it records may have taken effect.
fn status<S: DeserializeOwned>(raw: &Value, (record, salvaged): (&str, fn(&Value, &Value) -> Value)) -> Option<S> {
    let status = raw.get("status")?;
    if let Ok(status) = S::deserialize(status) {
        return Some(status);
    }
    let decodes = |field: &str, value: &Value| S::deserialize(&json!({ field: value })).is_ok();
    let mut kept = Map::new();
    for (field, value) in status.as_object().into_iter().flatten() {
        let value = match value {
            value if decodes(field, value) => value.clone(),
            value if field == record => salvaged(value, status),
            Value::Array(items) => {
                let decoded = |item: &Value| {
                    [item.clone(), job(item, status)].into_iter().find(|it| decodes(field, &json!([it])))
                };
                items.iter().filter_map(decoded).collect()
            }
            _ => continue,
        };
        if decodes(field, &value) {
            kept.insert(field.clone(), value);
        }
    }
    S::deserialize(Value::Object(kept)).ok()
}

/// Salvages the ids of a job in a list item that does not decode. Its state is read from the API by these ids.
fn job(item: &Value, status: &Value) -> Value {
    let identity_id = Some(text(item, "identityID")).filter(|id| !id.is_empty());
    // Every send of a request is to the same identity.
    json!({ "id": item["id"], "identityID": identity_id.unwrap_or_else(|| text(status, "identityID")) })
}

/// Salvages the ids of a send record that does not decode, but nothing that would settle its outcome. Without
/// `notBefore`, no job is matched to it, and none is ruled out.
fn send(record: &Value, status: &Value) -> Value {
    let of = |field: &str| match text(record, field) {
        // Every send of a request is to the same identity.
        empty if empty.is_empty() => text(status, field),
        id => id,
    };
    json!({
        "id": text(record, "id"),
        "attempt": record["attempt"].as_i64().unwrap_or(1),
        "providerConfigRef": provider(&record["providerConfigRef"]),
        "tenantID": of("tenantID"),
        "realmID": of("realmID"),
        "identityID": of("identityID"),
        "authenticatorConfigID": of("authenticatorConfigID"),
        "deliveryMethod": "EMAIL",
        "notBefore": "",
        "timeoutSeconds": LONGEST,
    })
}

/// The same for a create record. A created configuration is found by its ownership mark; without a realm it is not
/// searched for.
fn create(record: &Value, _: &Value) -> Value {
    json!({
        "id": text(record, "id"),
        "tenantID": text(record, "tenantID"),
        "realmID": text(record, "realmID"),
        "timeoutSeconds": LONGEST,
    })
}

/// The longest timeout that any call may have, in seconds.
const LONGEST: i64 = 3600;
