//! The loop's way in: one look at one object.

use kube::ResourceExt;

use super::execute::Look;
use super::ports::{Ports, Remote};
use crate::api::{AuthenticatorConfig, EnrollmentRequest};
use crate::reconcile::look::{self, Looked};
use crate::reconcile::{Objects, Realms};

/// Looks at one request, does what is to be done, and says when to look again.
pub async fn reconcile<O, C, R>(ports: &Ports<O, C, R>, request: EnrollmentRequest) -> Looked
where
    O: Objects<EnrollmentRequest>,
    C: Objects<AuthenticatorConfig>,
    R: Realms<Remote: Remote>,
{
    let (namespace, name, uid) =
        (request.namespace().unwrap_or_default(), request.name_any(), request.uid().unwrap_or_default());
    let is_there = || ports.requests.cached(&namespace, &name).is_some_and(|it| it.uid().as_ref() == Some(&uid));
    let look = Look::at(ports, request, ports.memories.recall(&uid));
    look::run(look, &uid, &ports.memories, is_there, ports.environment.as_ref()).await
}
