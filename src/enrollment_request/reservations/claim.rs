//! What the reservations need of a request when they are seeded. A whole request is many times as large.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{has_concluded_under_its_key, key_of, named_by};
use crate::api::{EnrollmentRequest, FINALIZER};
use crate::enrollment_request::enrollment_key::EnrollmentKey;
use crate::reconcile::ObjectUid;

/// What a request claims by its status.
pub struct Claim {
    /// Whether it concluded an attempt under its key.
    has_concluded: bool,
    created: Option<Time>,
    pub(super) holder: Arc<ObjectUid>,
    pub(super) key: Option<EnrollmentKey>,
    pub(super) in_doubt: bool,
    /// The jobs that it names.
    pub(super) names: Vec<String>,
}

impl Claim {
    /// The claim of `request`; `None` if it has none.
    pub fn of(request: &EnrollmentRequest) -> Option<Self> {
        let status = request.status.as_ref()?;
        let is_let_go = request.metadata.deletion_timestamp.is_some()
            && !request.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        (!is_let_go).then(|| Self {
            has_concluded: has_concluded_under_its_key(status),
            created: request.metadata.creation_timestamp.clone(),
            holder: Arc::new(ObjectUid::of(request)),
            key: key_of(status),
            in_doubt: status.send.is_some(),
            names: named_by(status).into_iter().map(str::to_owned).collect(),
        })
    }

    /// The order in which requests get a key that more than one of them claims.
    pub(super) fn order(&self) -> (bool, Option<Time>, String) {
        (!self.has_concluded, self.created.clone(), self.holder.uid.clone())
    }
}
