//! Objects that this version cannot decode. A newer version may have written them before a rollback. Dropping them
//! would leave stale versions in the store. Instead, the metadata and status are salvaged, and the spec is marked so
//! that the operator does not act on it.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::decode_error::redacted;
use super::metadata;
use super::pack::Pack;
use crate::api::Undecodable;

/// An object of kind `K`: decoded, or salvaged where it cannot be decoded.
#[derive(Clone, Debug)]
pub struct Lenient<K>(pub K);

/// A kind that can be salvaged when it does not decode.
pub trait Salvage: Resource<DynamicType = ()> + Pack + DeserializeOwned {
    /// The marker of a salvaged object.
    fn undecodable(&self) -> Option<&Undecodable>;

    /// Builds the object from what can be decoded, marked with `undecodable`.
    fn salvage(metadata: ObjectMeta, undecodable: Undecodable) -> Self;
}

impl<'de, K: Salvage> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut raw = Value::deserialize(deserializer)?;
        metadata::reduce(&mut raw);
        let why = match serde_path_to_error::deserialize(&raw) {
            Ok(object) => return Ok(Self(object)),
            Err(error) => redacted(&error),
        };
        // The API server never returns an object without metadata. The error is not reported, because it may contain
        // personal data.
        let metadata = raw.get("metadata").and_then(|metadata| ObjectMeta::deserialize(metadata).ok());
        let metadata = metadata.ok_or_else(|| D::Error::custom(format!("{} has no metadata", K::kind(&()))))?;
        if let Some(metadata) = raw.get_mut("metadata").and_then(Value::as_object_mut) {
            // A write of the status must not change them.
            metadata.remove("managedFields");
        }
        Ok(Self(K::salvage(metadata, Undecodable { why, raw: raw.into() })))
    }
}

/// Serializes the object for a write. For a salvaged object, only changed status fields are replaced, so fields unknown
/// to this version stay unchanged.
impl<K: Salvage> Serialize for Lenient<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.undecodable() {
            None => self.0.serialize(serializer),
            Some(undecodable) => changed(&self.0, undecodable).serialize(serializer),
        }
    }
}

/// Returns the object as the API server has it, and replaces only those status fields that differ from the salvaged
/// status.
fn changed<K: Salvage>(object: &K, undecodable: &Undecodable) -> Value {
    let salvaged = K::salvage(object.meta().clone(), undecodable.clone());
    let (before, now) = (status_of(&salvaged), status_of(object));
    let mut raw = undecodable.raw.as_ref().clone();
    let Some(status) = raw.as_object_mut().map(|object| object.entry("status").or_insert_with(|| json!({}))) else {
        return raw;
    };
    if !status.is_object() {
        *status = json!({});
    }
    let Some(status) = status.as_object_mut() else { return raw };
    let fields = |status: &Value| status.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    for field in [fields(&before), fields(&now)].into_iter().flatten().flatten() {
        if before.get(&field) == now.get(&field) {
            continue;
        }
        match now.get(&field) {
            Some(value) => status.insert(field, value.clone()),
            None => status.remove(&field),
        };
    }
    raw
}

fn status_of(object: &impl Serialize) -> Value {
    serde_json::to_value(object).ok().and_then(|mut object| Some(object.get_mut("status")?.take())).unwrap_or_default()
}

impl<K: Resource> Resource for Lenient<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::enrollment_request::DeletionPolicy;
    use crate::api::{AuthenticatorConfig, ClusterProviderConfig, EnrollmentRequest, authenticator_config};

    fn read<K: Salvage>(object: &Value) -> K {
        serde_json::from_value::<Lenient<K>>(object.clone()).unwrap().0
    }

    /// A request of a newer operator version.
    fn request(spec: &Value, status: &Value) -> Value {
        json!({
            "apiVersion": "beyondidentity.dev/v1alpha1",
            "kind": "EnrollmentRequest",
            "metadata": {"name": "jane", "namespace": "identity", "uid": "uid", "managedFields": [{"manager": "x"}]},
            "spec": spec,
            "status": status,
        })
    }

    fn newer_spec() -> Value {
        json!({
            "authenticatorConfigRef": {"name": "hosted-web"},
            "identity": {"username": "jane@example.com"},
            "deliveryMethod": "SMS",
            "attempt": 7,
            "revoked": true,
        })
    }

    #[test]
    fn decodable_object_is_unchanged() {
        let mut spec = newer_spec();
        spec["deliveryMethod"] = json!("EMAIL");
        let known = request(&spec, &json!({"jobID": "job"}));
        let object: EnrollmentRequest = read(&known);
        assert!(object.undecodable().is_none());
        let mut same: EnrollmentRequest = serde_json::from_value(known).unwrap();
        // It manages nothing that is read.
        same.metadata.managed_fields = Some(Vec::new());
        assert_eq!((&object.metadata, &object.spec, &object.status), (&same.metadata, &same.spec, &same.status));
        assert_eq!(serde_json::to_value(Lenient(object.clone())).unwrap(), serde_json::to_value(object).unwrap());
    }

    #[test]
    fn undecodable_spec_keeps_references_only() {
        let object: EnrollmentRequest = read(&request(&newer_spec(), &json!({"jobID": "job", "attempt": 7})));
        let undecodable = object.undecodable().unwrap();
        assert_eq!(undecodable.why, "spec.deliveryMethod: expected `EMAIL`");
        assert_eq!(object.spec.authenticator_config_ref.name, "hosted-web");
        assert_eq!((object.spec.identity.username.as_ref(), object.spec.revoked), (None, false));
        assert_eq!(object.status.as_ref().unwrap().job_id.as_deref(), Some("job"));
        assert_eq!((object.metadata.uid.as_deref(), object.metadata.managed_fields.is_some()), (Some("uid"), true));
        let shown = format!("{object:?}");
        assert!(!shown.contains("jane@example.com"), "{shown}");
        let written = serde_json::to_value(&object).unwrap();
        assert!(written["spec"].get("undecodable").is_none(), "{written}");
    }

    #[test]
    fn undecodable_policy_defaults_to_no_deletion() {
        for (policy, expected) in [
            (None, DeletionPolicy::Revoke),
            (Some(json!("Revoke")), DeletionPolicy::Revoke),
            (Some(json!("Orphan")), DeletionPolicy::Orphan),
            (Some(json!("Retain")), DeletionPolicy::Orphan),
            (Some(json!(1)), DeletionPolicy::Orphan),
        ] {
            let mut spec = newer_spec();
            policy.iter().for_each(|policy| spec["deletionPolicy"] = policy.clone());
            let object: EnrollmentRequest = read(&request(&spec, &json!({})));
            assert_eq!(object.spec.deletion_policy, expected, "{policy:?}");
        }
        let config = |change: Value| -> AuthenticatorConfig {
            let mut spec = json!({"config": {"type": "kiosk"}, "providerConfigRef": {"name": "p"}, "resourceID": 1});
            spec.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            read(&json!({"metadata": {"name": "a"}, "spec": spec, "status": {"id": "id", "tenantID": "tenant"}}))
        };
        let AuthenticatorConfig { spec, status, .. } =
            config(json!({"managementPolicy": "Mirror", "deletionPolicy": "Retain"}));
        assert_eq!(spec.management_policy, authenticator_config::ManagementPolicy::Observe);
        assert_eq!(spec.deletion_policy, Some(authenticator_config::DeletionPolicy::Orphan));
        assert_eq!((spec.provider_config_ref.name.as_str(), spec.resource_id.as_deref()), ("p", Some("")));
        assert_eq!(status.unwrap().id.as_deref(), Some("id"));
        let unknown = config(json!({"providerConfigRef": {"kind": "VaultProviderConfig", "name": "p"}}));
        assert_eq!(
            unknown.spec.provider_config_ref.name, "",
            "another kind is not a ClusterProviderConfig of that name"
        );
        let plain = config(json!({}));
        assert_eq!(plain.spec.management_policy, authenticator_config::ManagementPolicy::Manage);
        assert_eq!(plain.spec.deletion_policy, None);
    }

    #[test]
    fn status_keeps_decodable_fields_and_its_record() {
        let earlier = json!({"id": "first", "identityID": "jane"});
        let status = json!({
            "jobID": "job",
            "state": 7,
            "identityID": "jane",
            "skipped": "Postponed",
            "previousJobs": [{"id": 1}, earlier, "x"],
            "conditions": 1,
            "send": {"id": "nonce", "tenantID": "tenant", "deliveryMethod": "SMS", "notBefore": "2026-01-01T12:00:00Z"},
        });
        let object: EnrollmentRequest = read(&request(&newer_spec(), &status));
        let kept = object.status.unwrap();
        assert_eq!((kept.job_id.as_deref(), kept.state, kept.skipped), (Some("job"), None, None));
        assert_eq!(json!(kept.previous_jobs), json!([earlier]));
        let send = kept.send.unwrap();
        assert_eq!([&*send.id, &*send.tenant_id, &*send.identity_id, &*send.realm_id], ["nonce", "tenant", "jane", ""]);
        assert_eq!(send.not_before, "", "so it settles nothing");

        let nothing: EnrollmentRequest = read(&request(&newer_spec(), &json!({"send": "x"})));
        assert_eq!(nothing.status.unwrap().send.unwrap().not_before, "");
        let config = json!({"metadata": {"name": "a"}, "spec": {}, "status": {"create": 1}});
        assert_eq!(read::<AuthenticatorConfig>(&config).status.unwrap().create.unwrap().tenant_id, "");
    }

    #[test]
    fn status_write_keeps_unknown_fields() {
        let status = json!({
            "jobID": "job",
            "state": "LINK_SENT",
            "skipped": "Postponed",
            "campaign": {"id": 1},
            "send": {"id": "nonce", "deliveryMethod": "SMS"},
        });
        let raw = request(&newer_spec(), &status);
        let mut object: EnrollmentRequest = read(&raw);
        let written = serde_json::to_value(Lenient(object.clone())).unwrap();
        assert_eq!(written["status"], status, "nothing is changed");
        let known = object.status.as_mut().unwrap();
        (known.state, known.failing_since) = (None, Some("2026-01-01T12:00:00Z".to_owned()));
        let written = serde_json::to_value(Lenient(object)).unwrap();
        let mut expected = status;
        expected.as_object_mut().unwrap().remove("state");
        expected["failingSince"] = json!("2026-01-01T12:00:00Z");
        assert_eq!(written["status"], expected);
        assert_eq!(written["spec"], raw["spec"]);
        assert_eq!(written["metadata"]["uid"], "uid");

        let mut bare: EnrollmentRequest = read(&json!({"metadata": {"name": "a"}, "spec": 1}));
        bare.status.get_or_insert_default().attempt = Some(1);
        assert_eq!(serde_json::to_value(Lenient(bare)).unwrap()["status"], json!({"attempt": 1}));
    }

    #[test]
    fn undecodable_provider_config_is_empty() {
        let provider = json!({
            "metadata": {"name": "default"},
            "spec": {
                "tenantID": "tenant", "realmID": "realm", "region": "AU", "allowResourceIDs": true,
                "credentials": {"apiToken": {"secretRef": {"name": "beyond-identity", "key": "token"}}},
                "allowedNamespaces": {"names": ["identity"]},
            },
        });
        let ClusterProviderConfig { spec, .. } = read(&provider);
        assert_eq!(spec.undecodable.unwrap().why, "spec.region: expected one of `US`, `EU`, `USFedRAMP`");
        assert!(spec.tenant_id.is_empty() && spec.allowed_namespaces.names.is_empty() && !spec.allow_resource_ids);
        assert_eq!(spec.credentials.api_token, None);
    }

    #[test]
    fn value_that_is_no_object_is_an_error() {
        for value in [json!("jane"), json!([]), json!({"spec": {}}), json!({"metadata": 1})] {
            assert!(serde_json::from_value::<Lenient<EnrollmentRequest>>(value).is_err());
        }
    }
}
