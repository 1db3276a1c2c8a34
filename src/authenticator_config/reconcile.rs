//! The loop's way in: one look at one object.

use kube::ResourceExt;

use super::execute::Look;
use super::ports::{Ports, Remote};
use crate::api::AuthenticatorConfig;
use crate::reconcile::look::{self, Looked};
use crate::reconcile::{Objects, Realms, Users};

/// Looks at one object, does what is to be done, and says when to look again.
pub async fn reconcile<O, R, U>(ports: &Ports<O, R, U>, config: AuthenticatorConfig) -> Looked
where
    O: Objects<AuthenticatorConfig>,
    R: Realms<Remote: Remote>,
    U: Users,
{
    let uid = config.uid().unwrap_or_default();
    let look = Look::at(ports, config, ports.memories.recall(&uid));
    look::run(look, &uid, &ports.memories, ports.environment.as_ref()).await
}
