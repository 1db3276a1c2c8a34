//! What a request asks for, taken from its spec and its metadata. Pure.

use jiff::Timestamp;
use kube::ResourceExt;

use super::wishes::Wishes;
use crate::api::EnrollmentRequest;
use crate::api::enrollment_request::{DeletionPolicy, DeliveryMethod};
use crate::reconcile::annotations::look_asked_for;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The namespace, in which the AuthenticatorConfig lies, too.
    pub namespace: String,
    /// The name of the AuthenticatorConfig.
    pub authenticator_config: String,
    /// Who is to be enrolled.
    pub identity: Who,
    /// How the link reaches the person.
    pub delivery_method: DeliveryMethod,
    /// Where the person is led to afterwards.
    pub post_binding_redirect_uri: Option<String>,
    /// The attempt that is asked for.
    pub attempt: i64,
    /// Whether a link that is out is to be revoked, and none to be sent.
    pub revoked: bool,
    /// What its annotations ask for.
    pub wishes: Wishes,
    /// Whether a link that is out stays valid when the request is deleted.
    pub orphan: bool,
    /// The generation of the spec.
    pub generation: i64,
    /// Whether the request is being deleted.
    pub deleting: bool,
    /// Since when.
    pub deleted_at: Option<Timestamp>,
    /// The look that somebody asked for, and that was not made yet.
    pub look_asked_for: Option<String>,
    /// Why this version cannot decode the spec, if it cannot. Nothing else of the spec counts then but for a deletion.
    pub undecodable: Option<String>,
}

/// How an identity is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By its id.
    Id(String),
    /// By its username, which is not to be shown.
    Username(String),
}

impl Desired {
    /// Reads what `request` asks for.
    pub fn of(request: &EnrollmentRequest) -> Self {
        let spec = &request.spec;
        let identity = match (&spec.identity.id, &spec.identity.username) {
            (None, Some(username)) => Who::Username(username.clone()),
            // The API server sees to it that there is exactly one of the two.
            (id, _) => Who::Id(id.clone().unwrap_or_default()),
        };
        Self {
            namespace: request.namespace().unwrap_or_default(),
            authenticator_config: spec.authenticator_config_ref.name.clone(),
            identity,
            delivery_method: spec.delivery_method,
            post_binding_redirect_uri: spec.post_binding_redirect_uri.clone(),
            attempt: spec.attempt,
            revoked: spec.revoked,
            wishes: Wishes::of(request.annotations()),
            orphan: spec.deletion_policy == DeletionPolicy::Orphan,
            generation: request.metadata.generation.unwrap_or_default(),
            deleting: request.metadata.deletion_timestamp.is_some(),
            deleted_at: request.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            look_asked_for: look_asked_for(request),
            undecodable: spec.undecodable.as_ref().map(|undecodable| undecodable.why.clone()),
        }
    }

    /// The same, where the operator may be told that no deletion touches the remote side.
    pub fn orphaned_by(self, orphan_on_delete: bool) -> Self {
        Self { orphan: self.orphan || orphan_on_delete, ..self }
    }
}
