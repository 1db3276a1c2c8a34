//! Around the way to a realm.

use beyond_identity_operator::api::ProviderConfigRef;
use beyond_identity_operator::reconcile::{Caller, Opened, Realms, Trouble};

use super::{Mutant, Mutated};

impl<R: Realms<Remote: Send>> Realms for Mutated<R> {
    type Remote = Mutated<R::Remote>;

    async fn open(&self, caller: Caller<'_>, reference: &ProviderConfigRef) -> Result<Opened<Self::Remote>, Trouble> {
        let last_token = self.mutation.is(Mutant::SendsByTheLastToken);
        let caller = Caller { is_leaving: caller.is_leaving || last_token, ..caller };
        let Opened { remote, not_allowed, no_resource_ids } = self.port.open(caller, reference).await?;
        let not_allowed = not_allowed.filter(|_| !last_token);
        Ok(Opened { remote: self.mutation.around(remote), not_allowed, no_resource_ids })
    }
}
