//! Provider configs with their tokens, as they were seen last. When either is gone, what was made by them can still be
//! revoked and deleted, until this process ends.

use std::collections::HashMap;

use kube::ResourceExt;
use parking_lot::Mutex;

use crate::api::{ClusterProviderConfig, ClusterProviderConfigSpec};
use crate::beyond_identity::ApiToken;

/// A provider config, and the token that was read for it as it was. They stay together: a token goes to no other place
/// than the one that it was meant for.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) spec: ClusterProviderConfigSpec,
    pub(super) token: ApiToken,
}

impl Credentials {
    /// Whether they are for the same place as `spec`.
    pub(super) fn lead_where(&self, spec: &ClusterProviderConfigSpec) -> bool {
        let place = |spec: &ClusterProviderConfigSpec| {
            (spec.region, spec.endpoint.clone(), spec.tenant_id.clone(), spec.realm_id.clone())
        };
        place(&self.spec) == place(spec)
    }
}

/// The last credentials of each provider config, by its name, and whether their use was told of since they went.
#[derive(Debug, Default)]
pub(super) struct LastSeen(Mutex<HashMap<String, (Credentials, bool)>>);

impl LastSeen {
    /// This token was seen for `provider`.
    pub(super) fn keep(&self, provider: &ClusterProviderConfig, token: ApiToken) {
        let credentials = Credentials { spec: provider.spec.clone(), token };
        self.0.lock().insert(provider.name_any(), (credentials, false));
    }

    /// What was seen last of the provider config of this name is not to be used any more.
    pub(super) fn forget(&self, name: &str) {
        self.0.lock().remove(name);
    }

    /// The last credentials of the provider config of this name.
    pub(super) fn get(&self, name: &str) -> Option<Credentials> {
        let all = self.0.lock();
        all.get(name).map(|(credentials, _)| credentials.clone())
    }

    /// The credentials of the provider config of this name are used although they are gone: whether that is to be told,
    /// which is so once.
    pub(super) fn tells_of_use(&self, name: &str) -> bool {
        let mut all = self.0.lock();
        all.get_mut(name).is_some_and(|(_, told)| !std::mem::replace(told, true))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn provider(change: Value) -> ClusterProviderConfig {
        let mut spec = json!({
            "tenantID": "tenant",
            "realmID": "realm",
            "region": "US",
            "credentials": {"apiToken": {"secretRef": {"name": "beyond-identity", "key": "token"}}},
        });
        for (field, value) in change.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let object = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1",
            "kind": "ClusterProviderConfig",
            "metadata": {"name": "default"},
            "spec": spec,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_last_token_stays_with_the_provider_config_as_it_was_then() {
        let seen = LastSeen::default();
        assert!(seen.get("default").is_none());
        for token in ["old", "new"] {
            seen.keep(&provider(json!({})), ApiToken::parse(token.as_bytes()).unwrap());
        }
        let credentials = seen.get("default").unwrap();
        assert_eq!(credentials.spec, provider(json!({})).spec);
        assert!(!format!("{credentials:?}").contains("new"), "and is not shown");
        assert_eq!([seen.tells_of_use("default"), seen.tells_of_use("default")], [true, false]);
        seen.keep(&provider(json!({})), ApiToken::parse(b"new").unwrap());
        assert!(seen.tells_of_use("default"), "gone once more");
        let elsewhere = ["tenantID", "realmID"].map(|field| json!({ field: "another" }));
        let other_places =
            [json!({"region": "EU"}), json!({"region": null, "endpoint": {"api": "https://b.example.com"}})];
        for change in elsewhere.into_iter().chain(other_places) {
            assert!(!credentials.lead_where(&provider(change.clone()).spec), "{change}");
        }
        let allowed = json!({"allowedNamespaces": {"names": ["identity"]}});
        assert!(credentials.lead_where(&provider(allowed).spec), "who may use it says nothing of where it leads");
    }
}
