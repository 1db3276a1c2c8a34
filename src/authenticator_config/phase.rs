//! The phase of an AuthenticatorConfig that matches its spec. Pure.

use crate::api::phase::why;
use crate::api::{Phase, Reason};
use crate::reconcile::RealmIds;

/// The phase when the remote configuration matches the spec.
pub fn available(realm: &RealmIds) -> Phase {
    let RealmIds { tenant_id, realm_id } = realm;
    Phase::Available(why(Reason::Available, format!("Configuration exists in realm {realm_id} of tenant {tenant_id}")))
}
