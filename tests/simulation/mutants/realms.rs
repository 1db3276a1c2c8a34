//! Mutants of the resolution of realms, and of the referrers of a configuration.

use beyond_identity_operator::api::ProviderConfigRef;
use beyond_identity_operator::reconcile::{Caller, Failure, Realms, Referrers, Resolved};

use super::{Mutant, Mutated};
use crate::calls::SimRemote;
use crate::ports::SimBackend;

impl Realms for Mutated<SimBackend> {
    type Remote = Mutated<SimRemote>;

    async fn resolve(&self, caller: Caller, reference: &ProviderConfigRef) -> Result<Resolved<Self::Remote>, Failure> {
        let last_token = self.mutation.is(Mutant::SendsWithLastToken);
        let caller = Caller { is_removing: caller.is_removing || last_token, ..caller };
        let Resolved { remote, mut permissions } = self.port.resolve(caller, reference).await?;
        if last_token {
            permissions.not_allowed = None;
        }
        if self.mutation.is(Mutant::IgnoresPermissionToRevoke) {
            permissions.no_revoking_adopted = None;
        }
        let enrollment = &mut permissions.enrollment;
        match self.mutation.mutant {
            Some(Mutant::NoLimitOfLinks) => enrollment.max_outstanding_per_identity = i32::MAX,
            Some(Mutant::NoLimitOfIdentity) => enrollment.max_sends_per_hour_per_identity = i32::MAX,
            Some(Mutant::NoLimitOfProviderConfig) => enrollment.max_sends_per_hour = None,
            _ => {}
        }
        Ok(Resolved { remote: self.mutation.wrap(remote), permissions })
    }
}

impl<U: Referrers> Referrers for Mutated<U> {
    async fn referrers_of(&self, namespace: &str, name: &str) -> Result<Vec<String>, String> {
        self.port.referrers_of(namespace, name).await
    }
}
