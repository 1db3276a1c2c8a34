//! The desired state of a request, from its spec and its metadata. Pure.

use std::fmt;

use kube::ResourceExt;

use super::annotation_actions::AnnotationActions;
use crate::api::enrollment_request::{DeletionPolicy, DeliveryMethod};
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
use crate::reconcile::{Lifecycle, Options};

/// The desired state of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The namespace of the request and of its AuthenticatorConfig.
    pub namespace: String,
    /// The name of the AuthenticatorConfig.
    pub authenticator_config: String,
    /// The identity to enrol.
    pub identity: IdentitySelector,
    /// How the link is delivered.
    pub delivery_method: DeliveryMethod,
    /// The URI to redirect to afterwards.
    pub post_binding_redirect_uri: Option<String>,
    /// The requested attempt.
    pub attempt: i64,
    /// Whether an active link must be revoked, and no email sent.
    pub revoked: bool,
    /// The actions that its annotations request.
    pub annotation_actions: AnnotationActions,
    /// The settings that objects of every kind have.
    pub lifecycle: Lifecycle,
}

/// How an identity is selected.
#[derive(Clone, PartialEq, Eq)]
pub enum IdentitySelector {
    /// By its id.
    Id(String),
    /// By its username, which must not be shown.
    Username(String),
}

impl Desired {
    /// Whether the link of the job in `status` must be revoked.
    pub fn wants_revocation(&self, status: &EnrollmentRequestStatus) -> bool {
        self.revoked || self.annotation_actions.revoke(status)
    }

    /// Reads the desired state of `request`.
    pub fn of(request: &EnrollmentRequest, options: &Options) -> Self {
        let spec = &request.spec;
        let identity = match (&spec.identity.id, &spec.identity.username) {
            (None, Some(username)) => IdentitySelector::Username(username.clone()),
            // The API server validates that exactly one of the two is set.
            (id, _) => IdentitySelector::Id(id.clone().unwrap_or_default()),
        };
        Self {
            namespace: request.namespace().unwrap_or_default(),
            authenticator_config: spec.authenticator_config_ref.name.clone(),
            identity,
            delivery_method: spec.delivery_method,
            post_binding_redirect_uri: spec.post_binding_redirect_uri.clone(),
            attempt: spec.attempt,
            revoked: spec.revoked,
            annotation_actions: AnnotationActions::of(request.annotations()),
            lifecycle: Lifecycle::of(
                request,
                spec.deletion_policy == DeletionPolicy::Orphan || options.orphan_on_delete,
                spec.undecodable.as_ref().map(|undecodable| undecodable.why.as_str()),
            ),
        }
    }
}

impl fmt::Debug for IdentitySelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.debug_tuple("Id").field(id).finish(),
            Self::Username(_) => f.write_str("Username(..)"),
        }
    }
}
