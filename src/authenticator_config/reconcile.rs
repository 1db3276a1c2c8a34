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
    let (namespace, name, uid) =
        (config.namespace().unwrap_or_default(), config.name_any(), config.uid().unwrap_or_default());
    let is_there = || ports.configs.cached(&namespace, &name).is_some_and(|it| it.uid().as_ref() == Some(&uid));
    let look = Look::at(ports, config, ports.memories.recall(&uid));
    look::run(look, &uid, &ports.memories, is_there, ports.environment.as_ref()).await
}
