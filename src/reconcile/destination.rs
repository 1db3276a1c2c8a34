//! The destination of calls, and the realm that an object belongs to for its whole life. Pure.

use super::failure::{Failure, FailureKind};
use crate::api::{ProviderConfigRef, Reason};
use crate::beyond_identity::RealmClient;

/// A tenant and a realm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RealmIds {
    /// The tenant's id.
    pub tenant_id: String,
    /// The realm's id.
    pub realm_id: String,
}

/// The destination of calls: the realm, and the base URL of its API.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The realm.
    pub realm: RealmIds,
    /// The base URL of the API, without a trailing slash.
    pub endpoint: String,
}

impl From<&RealmClient> for Destination {
    fn from(client: &RealmClient) -> Self {
        let realm = RealmIds { tenant_id: client.tenant_id().to_owned(), realm_id: client.realm_id().to_owned() };
        Self { realm, endpoint: client.endpoint().to_owned() }
    }
}

impl Destination {
    /// Why `reference`, which points to this destination, does not point to the given realm and endpoint. An argument
    /// that is `None` is not checked.
    pub fn mismatch(
        &self,
        reference: &ProviderConfigRef,
        realm: Option<&RealmIds>,
        endpoint: Option<&str>,
    ) -> Option<Failure> {
        let mismatch = |reason, message: String| Some(Failure::new(FailureKind::Mismatch, reason, message));
        let RealmIds { tenant_id, realm_id } = &self.realm;
        if let Some(recorded) = realm.filter(|recorded| **recorded != self.realm) {
            return mismatch(
                Reason::RealmChanged,
                format!(
                    "{reference} points to realm {realm_id} of tenant {tenant_id}, but this object belongs to realm \
                     {} of tenant {}, so nothing is sent, created or deleted; point {reference} back to that realm, \
                     or delete and recreate this object, which leaves its remote resource in that realm and creates \
                     another one",
                    recorded.realm_id, recorded.tenant_id
                ),
            );
        }
        let recorded = endpoint.filter(|recorded| *recorded != self.endpoint)?;
        mismatch(
            Reason::EndpointChanged,
            format!(
                "{reference} points to {}, but the requests for this object went to {recorded}, and only that \
                 endpoint knows their outcome; point {reference} back to it until the outcome is known",
                self.endpoint
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(realm: &str) -> RealmIds {
        RealmIds { tenant_id: "tenant".to_owned(), realm_id: realm.to_owned() }
    }

    #[test]
    fn changed_realm_or_endpoint_is_a_mismatch() {
        let (reference, a, b) = (ProviderConfigRef::default(), ids("a"), ids("b"));
        let here = Destination { realm: a.clone(), endpoint: "https://one".to_owned() };
        let mismatch = |realm: Option<&RealmIds>, endpoint: Option<&str>| {
            let failure = here.mismatch(&reference, realm, endpoint)?;
            assert_eq!(failure.kind, FailureKind::Mismatch);
            Some(failure.why.reason)
        };
        for (realm, endpoint) in [(None, None), (Some(&a), None), (Some(&a), Some("https://one"))] {
            assert_eq!(mismatch(realm, endpoint), None, "{realm:?} {endpoint:?}");
        }
        assert_eq!(mismatch(Some(&b), None), Some(Reason::RealmChanged));
        assert_eq!(mismatch(Some(&b), Some("https://two")), Some(Reason::RealmChanged));
        assert_eq!(mismatch(Some(&a), Some("https://two")), Some(Reason::EndpointChanged));
    }
}
