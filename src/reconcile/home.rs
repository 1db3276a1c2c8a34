//! The realm that an object belongs to, which its provider config has to lead to as long as it lives.

use std::time::Duration;

use super::fact::Fact;
use super::failure::Failure;
use super::wait::{Until, Wait};
use crate::api::phase::why;
use crate::api::{Phase, ProviderConfigRef, Reason};
use crate::beyond_identity::RealmClient;

/// A tenant and a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmIds {
    /// The tenant's id.
    pub tenant_id: String,
    /// The realm's id.
    pub realm_id: String,
}

/// Where calls go: the realm, and the base URL of the API that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The realm.
    pub realm: RealmIds,
    /// The base URL of the API, without a slash at the end.
    pub endpoint: String,
}

impl From<&RealmClient> for Destination {
    fn from(client: &RealmClient) -> Self {
        let realm = RealmIds { tenant_id: client.tenant_id().to_owned(), realm_id: client.realm_id().to_owned() };
        Self { realm, endpoint: client.endpoint().to_owned() }
    }
}

/// What an object's provider config has to lead to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Home<'a> {
    /// The realm that the object belongs to; `None`: to none yet.
    pub realm: Option<&'a RealmIds>,
    /// The endpoint that a call in doubt was sent to; `None`: there is none, or the record does not say.
    pub endpoint: Option<&'a str>,
}

/// Why an object is not at home.
#[derive(Clone, Debug, PartialEq)]
pub enum Away {
    /// Nobody has asked where the provider config leads.
    Unknown,
    /// It cannot be told.
    Failed(Failure),
    /// It leads elsewhere.
    Wait(Wait),
}

/// Where the provider config `reference` leads, as `found`; it has to be `home`, where that is known.
pub fn at_home<'a>(
    found: Fact<&'a Destination>,
    reference: &ProviderConfigRef,
    home: Home<'_>,
    resync: Duration,
) -> Result<&'a Destination, Away> {
    let destination = match found {
        Fact::Unknown => return Err(Away::Unknown),
        Fact::Failed(failure) => return Err(Away::Failed(failure)),
        Fact::Known(destination) => destination,
    };
    let elsewhere = |reason, message: String| {
        Err(Away::Wait(Wait::saying(Phase::Refused(why(reason, message)), Until::After(resync))))
    };
    let RealmIds { tenant_id, realm_id } = &destination.realm;
    if let Some(home) = home.realm.filter(|home| **home != destination.realm) {
        return elsewhere(
            Reason::RealmChanged,
            format!(
                "{reference} leads to realm {realm_id} of tenant {tenant_id}, but this object belongs to realm {} of tenant {}: \
                 nothing is sent, made or deleted; let {reference} lead there again, or delete this object and create it again",
                home.realm_id, home.tenant_id
            ),
        );
    }
    if let Some(endpoint) = home.endpoint.filter(|endpoint| *endpoint != destination.endpoint) {
        return elsewhere(
            Reason::EndpointChanged,
            format!(
                "{reference} leads to {}, but what this object has sent or made went to {endpoint}, and only there can be found \
                 out what became of it: let {reference} lead there again, until that is found out",
                destination.endpoint
            ),
        );
    }
    Ok(destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(realm: &str) -> RealmIds {
        RealmIds { tenant_id: "tenant".to_owned(), realm_id: realm.to_owned() }
    }

    fn at(endpoint: &str) -> Destination {
        Destination { realm: ids("a"), endpoint: endpoint.to_owned() }
    }

    fn home<'a>(realm: Option<&'a RealmIds>, endpoint: Option<&'a str>) -> Home<'a> {
        Home { realm, endpoint }
    }

    #[test]
    fn an_object_stays_in_its_realm_and_a_call_in_doubt_at_its_endpoint() {
        let (reference, s) = (ProviderConfigRef::default(), Duration::from_secs(600));
        let (known, a) = (at("https://one"), ids("a"));
        assert_eq!(at_home(Fact::Unknown, &reference, Home::default(), s), Err(Away::Unknown));
        for home in [home(None, None), home(Some(&a), None), home(Some(&a), Some("https://one"))] {
            assert_eq!(at_home(Fact::Known(&known), &reference, home, s), Ok(&at("https://one")), "{home:?}");
        }
        for (elsewhere, reason) in [
            (home(Some(&ids("b")), None), Reason::RealmChanged),
            (home(Some(&ids("b")), Some("https://two")), Reason::RealmChanged),
            (home(Some(&a), Some("https://two")), Reason::EndpointChanged),
        ] {
            let Err(Away::Wait(wait)) = at_home(Fact::Known(&known), &reference, elsewhere, s) else {
                panic!("{elsewhere:?}")
            };
            assert!(matches!(wait.say, Some(Phase::Refused(why)) if why.reason == reason), "{elsewhere:?}");
        }
    }
}
