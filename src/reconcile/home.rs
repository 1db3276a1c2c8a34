//! The realm that an object belongs to, which its provider config has to lead to as long as it lives.

use std::time::Duration;

use super::fact::{Fact, Trouble};
use super::wait::{Until, Wait};
use crate::api::phase::why;
use crate::api::{Phase, ProviderConfigRef, Reason};

/// A tenant and a realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmIds {
    /// The tenant's id.
    pub tenant_id: String,
    /// The realm's id.
    pub realm_id: String,
}

/// Why an object is not at home.
#[derive(Clone, Debug, PartialEq)]
pub enum Away {
    /// Nobody has asked where the provider config leads.
    Unknown,
    /// It cannot be told.
    Trouble(Trouble),
    /// It leads elsewhere.
    Wait(Wait),
}

/// The realm that the provider config `reference` leads to, which has to be `home` where there is one.
pub fn at_home<'a>(
    realm: &'a Fact<RealmIds>,
    reference: &ProviderConfigRef,
    home: Option<&RealmIds>,
    resync: Duration,
) -> Result<&'a RealmIds, Away> {
    match (realm, home) {
        (Fact::Unknown, _) => Err(Away::Unknown),
        (Fact::Failed(trouble), _) => Err(Away::Trouble(trouble.clone())),
        (Fact::Known(realm), Some(home)) if realm != home => {
            let phase = Phase::Refused(why(
                Reason::RealmChanged,
                format!(
                    "{reference} leads to realm {} of tenant {}, but this object belongs to realm {} of tenant {}: \
                     nothing is sent, made or deleted; let {reference} lead there again, or delete this object and \
                     create it again",
                    realm.realm_id, realm.tenant_id, home.realm_id, home.tenant_id
                ),
            ));
            Err(Away::Wait(Wait::saying(phase, Until::After(resync))))
        }
        (Fact::Known(realm), _) => Ok(realm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(realm: &str) -> RealmIds {
        RealmIds { tenant_id: "tenant".to_owned(), realm_id: realm.to_owned() }
    }

    #[test]
    fn an_object_stays_in_its_realm() {
        let (reference, s) = (ProviderConfigRef::default(), Duration::from_secs(600));
        let known = Fact::Known(ids("a"));
        assert_eq!(at_home(&Fact::Unknown, &reference, None, s), Err(Away::Unknown));
        assert_eq!(at_home(&known, &reference, None, s), Ok(&ids("a")), "not at home anywhere yet");
        assert_eq!(at_home(&known, &reference, Some(&ids("a")), s), Ok(&ids("a")));
        let Err(Away::Wait(wait)) = at_home(&known, &reference, Some(&ids("b")), s) else { panic!("another realm") };
        assert!(matches!(wait.say, Some(Phase::Refused(why)) if why.reason == Reason::RealmChanged));
    }
}
