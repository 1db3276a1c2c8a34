//! The last known provider configs with their credentials. After either is deleted, the operator can still revoke and delete
//! remote resources until this process ends.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::provider_config::ProviderConfig;
use super::secret::Credential;
use crate::api::ProviderConfigKey;

/// A provider config with the credentials that were read for it. They stay together, so that credentials are sent only
/// to the endpoint, tenant and realm that they were read for.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) provider: ProviderConfig,
    pub(super) credential: Credential,
}

/// The last credentials of each provider config, and whether their use after the deletion was reported.
#[derive(Debug, Default)]
pub(super) struct LastSeen(Mutex<HashMap<ProviderConfigKey, (Credentials, bool)>>);

impl LastSeen {
    /// Stores these credentials.
    pub(super) fn keep(&self, credentials: Credentials) {
        self.0.lock().insert(credentials.provider.key.clone(), (credentials, false));
    }

    /// Removes the credentials of this provider config, because they must not be used any more.
    pub(super) fn forget(&self, provider: &ProviderConfigKey) {
        self.0.lock().remove(provider);
    }

    /// The last credentials of this provider config.
    pub(super) fn get(&self, provider: &ProviderConfigKey) -> Option<Credentials> {
        let all = self.0.lock();
        all.get(provider).map(|(credentials, _)| credentials.clone())
    }

    /// Records that deleted credentials of this provider config are used. Returns true the first time, when this is to
    /// be reported.
    pub(super) fn is_first_use(&self, provider: &ProviderConfigKey) -> bool {
        let mut all = self.0.lock();
        all.get_mut(provider).is_some_and(|(_, told)| !std::mem::replace(told, true))
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector::ObjectRef;

    use super::super::provider_config::{CredentialsKind, CredentialsRef};
    use super::*;
    use crate::api::ProviderConfigKind;
    use crate::api::cluster_provider_config::{EndpointSpec, Region};
    use crate::api::enrollment_limits::EnrollmentLimits;
    use crate::beyond_identity::ApiToken;
    use crate::reconcile::RealmRules;

    fn key(namespace: Option<&str>) -> ProviderConfigKey {
        ProviderConfigKey {
            kind: ProviderConfigKind::ClusterProviderConfig,
            namespace: namespace.map(str::to_owned),
            name: "default".to_owned(),
        }
    }

    fn provider(key: ProviderConfigKey) -> ProviderConfig {
        ProviderConfig {
            key,
            tenant_id: "tenant".to_owned(),
            realm_id: "realm".to_owned(),
            region: Some(Region::US),
            endpoint: None,
            credentials: Some(CredentialsRef {
                secret: ObjectRef::new("beyond-identity").within("operator"),
                kind: CredentialsKind::ApiToken { key: "token".to_owned() },
            }),
            is_paused: false,
            access: None,
            enrollment: EnrollmentLimits::default(),
            realm_rules: RealmRules::default(),
        }
    }

    fn credentials(provider: ProviderConfig, token: &str) -> Credentials {
        Credentials { provider, credential: Credential::Token(ApiToken::parse(token.as_bytes()).unwrap()) }
    }

    #[test]
    fn last_token_is_kept_with_its_provider_config() {
        let (seen, key) = (LastSeen::default(), key(None));
        assert!(seen.get(&key).is_none());
        for token in ["old", "new"] {
            seen.keep(credentials(provider(key.clone()), token));
        }
        let last = seen.get(&key).unwrap();
        assert_eq!(last.provider, provider(key.clone()));
        assert!(!format!("{last:?}").contains("new"), "the token is redacted");
        assert_eq!([seen.is_first_use(&key), seen.is_first_use(&key)], [true, false]);
        seen.keep(credentials(provider(key.clone()), "new"));
        assert!(seen.is_first_use(&key), "new credentials reset the first use");
        let changed = |change: fn(&mut ProviderConfig)| {
            let mut provider = provider(key.clone());
            change(&mut provider);
            provider
        };
        for elsewhere in [
            changed(|it| it.tenant_id = "another".to_owned()),
            changed(|it| it.realm_id = "another".to_owned()),
            changed(|it| it.region = Some(Region::EU)),
            changed(|it| {
                it.region = None;
                it.endpoint = Some(EndpointSpec { api: "https://b.example.com".to_owned(), auth: None });
            }),
        ] {
            assert!(!last.provider.has_same_destination(&elsewhere), "{elsewhere:?}");
        }
        let allowed = changed(|it| it.access = None);
        assert!(last.provider.has_same_destination(&allowed), "the access rules do not affect the destination");
    }

    #[test]
    fn same_name_in_two_namespaces_has_separate_credentials() {
        let (seen, a, b) = (LastSeen::default(), key(Some("a")), key(Some("b")));
        seen.keep(credentials(provider(a.clone()), "of-a"));
        assert!(seen.get(&b).is_none() && seen.get(&key(None)).is_none());
        seen.keep(credentials(provider(b.clone()), "of-b"));
        for provider in [&a, &b] {
            assert_eq!(seen.get(provider).unwrap().provider.key, *provider);
            assert_eq!([seen.is_first_use(provider), seen.is_first_use(provider)], [true, false], "{provider}");
        }
        seen.forget(&a);
        assert!(seen.get(&a).is_none() && seen.get(&b).is_some());
    }
}
