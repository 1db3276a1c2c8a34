//! What is said of an AuthenticatorConfig that is as its spec says. Pure.

use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::reconcile::RealmIds;

/// What is said when the remote side is as the spec says.
pub fn available(realm: &RealmIds) -> Phase {
    let RealmIds { tenant_id, realm_id } = realm;
    Phase::Available(why(Reason::Available, format!("Configuration exists in realm {realm_id} of tenant {tenant_id}")))
}
