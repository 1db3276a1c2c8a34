//! Whether an answer is about what was asked for. A proxy that mixes up answers, or a cache with a wrong key, returns the
//! valid answer to another request. Pure.

use super::decode::Object;
use super::requests::RealmClient;

/// What a request asked for. An id that is `None` may be any.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// The tenant of the request.
    pub tenant_id: Option<&'a str>,
    /// The realm of the request.
    pub realm_id: Option<&'a str>,
    /// The identity whose jobs are listed or created.
    pub identity_id: Option<&'a str>,
    /// The object, if the request names one.
    pub id: Option<&'a str>,
}

/// The ids that tell what an object is. A response may omit all but the first.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ObjectIds<'a> {
    pub id: &'a str,
    pub identity_id: Option<&'a str>,
    pub realm_id: Option<&'a str>,
    pub tenant_id: Option<&'a str>,
}

impl Asked<'_> {
    /// Checks that an object was asked for. The error says what is wrong, without quoting the response.
    pub fn check<T: Object>(&self, object: &T) -> Result<(), &'static str> {
        let ObjectIds { id, identity_id, realm_id, tenant_id } = object.ids();
        let differs = |asked: Option<&str>, found: Option<&str>| asked.zip(found).is_some_and(|(a, b)| a != b);
        if differs(self.id, Some(id)) {
            Err("it is about an object with another id, so it may be the answer to another request")
        } else if differs(self.identity_id, identity_id) {
            Err("it is about another identity, so it may be the answer to another request")
        } else if differs(self.realm_id, realm_id) || differs(self.tenant_id, tenant_id) {
            Err("it is about another realm or tenant, so it may be the answer to another request")
        } else {
            Ok(())
        }
    }
}

impl RealmClient {
    /// Asks for anything in the realm.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked { tenant_id: Some(self.tenant_id()), realm_id: Some(self.realm_id()), ..Asked::default() }
    }

    /// Asks for the object with this id.
    pub(super) fn asked_for<'a>(&'a self, id: &'a str) -> Asked<'a> {
        Asked { id: Some(id), ..self.asked() }
    }

    /// Asks for anything of this identity.
    pub(super) fn asked_of<'a>(&'a self, identity_id: &'a str) -> Asked<'a> {
        Asked { identity_id: Some(identity_id), ..self.asked() }
    }
}
