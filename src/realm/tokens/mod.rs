//! The access tokens of provider configs with client credentials: requested once for all that wait, kept in memory only,
//! and renewed before they expire or after a call is refused.

mod failure;
mod state;
#[cfg(test)]
mod tests;
mod used;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::api::ProviderConfigKey;
use crate::beyond_identity::{ClientCredentials, IssuedToken, TokenEndpoint};
use crate::environment::wall_clock;
use crate::reconcile::Failure;
use state::{Decision, TokenState};

pub(super) use failure::failure;
pub(super) use used::{Renewed, UsedToken};

/// What a token is requested with. Another token endpoint, application, scope or secret means another token.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Issuer {
    /// The application.
    pub(super) endpoint: TokenEndpoint,
    /// Its client credentials.
    pub(super) client: ClientCredentials,
}

/// The token of each provider config.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<ProviderConfigKey, Arc<Entry>>>);

/// The token of one provider config, as long as its spec and its Secret stay as they are.
#[derive(Debug)]
struct Entry {
    issuer: Issuer,
    state: Mutex<TokenState>,
    /// Held by the one request in flight.
    requesting: tokio::sync::Mutex<()>,
}

impl Tokens {
    /// The token of `provider`. `request` is made if there is none that can be used, by one caller at a time. All others
    /// wait for its result. A failure answers all callers for a while.
    pub(super) async fn get(
        &self,
        provider: &ProviderConfigKey,
        issuer: &Issuer,
        request: impl Future<Output = Result<IssuedToken, Failure>>,
    ) -> Result<UsedToken, Failure> {
        let entry = self.entry(provider, issuer);
        let decide = || entry.state.lock().decide(Instant::now());
        let used = |token| UsedToken::new(token, entry.clone());
        let requesting = match decide() {
            Decision::Use(token) => return Ok(used(token)),
            Decision::Fail(why) => return Err(why),
            // The current token serves until another caller has renewed it.
            Decision::Renew(token) => match entry.requesting.try_lock() {
                Ok(requesting) => requesting,
                Err(_) => return Ok(used(token)),
            },
            Decision::Request => entry.requesting.lock().await,
        };
        // Another caller may have finished its request meanwhile.
        let current = match decide() {
            Decision::Use(token) => return Ok(used(token)),
            Decision::Fail(why) => return Err(why),
            Decision::Renew(token) => Some(token),
            Decision::Request => None,
        };
        let (now, time) = (Instant::now(), wall_clock());
        let result = request.await.and_then(|issued| {
            // Its life began before the request. Such an answer is a failure, so that not each caller requests another one.
            let is_usable = now.elapsed() < state::used_for(issued.lifetime);
            if is_usable { Ok(issued) } else { Err(failure::expired(provider)) }
        });
        let failed = result.as_ref().err().map(|why| why.why.message.clone());
        let is_news = match result {
            Ok(issued) => entry.state.lock().issued(issued, now, time),
            Err(why) => entry.state.lock().failed(why, Instant::now()),
        };
        drop(requesting);
        if let (Some(error), Some(_), true) = (failed, &current, is_news) {
            let ProviderConfigKey { kind, namespace, name } = provider;
            tracing::warn!(
                kind = kind.as_str(),
                namespace,
                name,
                error,
                "Token cannot be renewed; using the current one until it expires"
            );
        }
        match decide() {
            Decision::Use(token) | Decision::Renew(token) => Ok(used(token)),
            Decision::Fail(why) => Err(why),
            // It has expired since.
            Decision::Request => Err(failure::expired(provider)),
        }
    }

    /// When the current token of `provider` expires.
    pub(super) fn expires_at(&self, provider: &ProviderConfigKey) -> Option<Timestamp> {
        let entry = self.0.lock().get(provider)?.clone();
        let state = entry.state.lock();
        state.expires_at()
    }

    /// The entry of `provider`. If its issuer has changed, it begins anew.
    fn entry(&self, provider: &ProviderConfigKey, issuer: &Issuer) -> Arc<Entry> {
        let mut all = self.0.lock();
        if let Some(entry) = all.get(provider).filter(|entry| entry.issuer == *issuer) {
            return entry.clone();
        }
        let (issuer, state) = (issuer.clone(), Mutex::default());
        let entry = Arc::new(Entry { issuer, state, requesting: tokio::sync::Mutex::default() });
        all.insert(provider.clone(), entry.clone());
        entry
    }
}
