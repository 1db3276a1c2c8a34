//! What a request asks for, taken from its spec and its metadata. Pure.

use std::fmt;

use kube::ResourceExt;

use super::annotation_actions::AnnotationActions;
use crate::api::enrollment_request::{DeletionPolicy, DeliveryMethod};
use crate::api::{EnrollmentRequest, EnrollmentRequestStatus};
use crate::reconcile::{Lifecycle, Options};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The namespace, in which the AuthenticatorConfig lies, too.
    pub namespace: String,
    /// The name of the AuthenticatorConfig.
    pub authenticator_config: String,
    /// Who is to be enrolled.
    pub identity: IdentitySelector,
    /// How the link reaches the person.
    pub delivery_method: DeliveryMethod,
    /// Where the person is led to afterwards.
    pub post_binding_redirect_uri: Option<String>,
    /// The attempt that is asked for.
    pub attempt: i64,
    /// Whether a link that is out is to be revoked, and none to be sent.
    pub revoked: bool,
    /// What its annotations ask for.
    pub annotation_actions: AnnotationActions,
    /// What objects of every kind ask for.
    pub lifecycle: Lifecycle,
}

/// How an identity is named.
#[derive(Clone, PartialEq, Eq)]
pub enum IdentitySelector {
    /// By its id.
    Id(String),
    /// By its username, which is not to be shown.
    Username(String),
}

impl Desired {
    /// Whether the link of the job that `status` names is to be dead.
    pub fn wants_link_dead(&self, status: &EnrollmentRequestStatus) -> bool {
        self.revoked || self.annotation_actions.revoke(status)
    }

    /// Reads what `request` asks for.
    pub fn of(request: &EnrollmentRequest, options: &Options) -> Self {
        let spec = &request.spec;
        let identity = match (&spec.identity.id, &spec.identity.username) {
            (None, Some(username)) => IdentitySelector::Username(username.clone()),
            // The API server sees to it that there is exactly one of the two.
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
