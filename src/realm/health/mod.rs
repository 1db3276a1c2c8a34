//! The health of the provider configs. What fails because of a provider config fails there, once: while one is not Ready,
//! its objects make no calls, and they are enqueued when it is Ready again.
//!
//! The controller of the provider configs checks the credentials ([`verdict`]), [`state`] decides who may call, and the
//! [`HealthGate`] stops the calls that have begun meanwhile and reports what they meet.

mod gate;
mod state;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

pub use gate::HealthGate;
pub use state::{FOR_REMOVALS, Health, Purpose};
pub use verdict::{Subject, TokenClaims, Verdict, of_check};

use crate::api::{PAUSED, ProviderConfigKey, Reason};
use crate::beyond_identity::{CREATE_CONFIG, CREATE_JOB, Error, LIST_ALL_JOBS, Operation, RealmCheck, Refusal};
use crate::environment::wall_clock;
use crate::reconcile::{Failure, RealmRules};

/// How long the calls of an object wait for the first check of its provider config.
const FIRST_CHECK: Duration = Duration::from_secs(10);

/// Enqueues a provider config with its controller.
pub type CheckFn = Box<dyn Fn(&ProviderConfigKey) + Send + Sync>;

/// The health of the provider configs that this process serves.
pub struct Healths {
    all: Mutex<HashMap<ProviderConfigKey, Entry>>,
    /// Notified when a provider config is checked for the first time.
    known: Notify,
    check: CheckFn,
    /// The name of this cluster.
    cluster: String,
}

/// What is known about one provider config.
#[derive(Clone, Debug, Default)]
struct Entry {
    health: Health,
    /// The version of the spec and the credentials that the health is about.
    version: u64,
    /// The tenant that the spec names, and what the token says.
    tenant_id: String,
    claims: TokenClaims,
    restrictions: Restrictions,
}

/// What the spec and the annotations of a provider config stop, whatever its credentials are.
#[derive(Clone, Debug, Default)]
pub struct Restrictions {
    /// Whether an annotation stops all sends through it.
    pub is_paused: bool,
    /// Which clusters may use its realm.
    pub realm: RealmRules,
}

impl Healths {
    /// Without any health yet, in the cluster of this name. `check` enqueues a provider config with its controller.
    pub fn new(cluster: &str, check: impl Fn(&ProviderConfigKey) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            all: Mutex::default(),
            known: Notify::new(),
            check: Box::new(check),
            cluster: cluster.to_owned(),
        })
    }

    /// Whether an object may make calls through a provider config in this `version`. If this process serves it (`is_served`),
    /// it waits for its first check, but not for long: the gate stops the calls that meet a failure of the provider config.
    /// Only the check shows whether another cluster uses the realm, so nothing new begins before it.
    pub async fn admit(
        &self,
        key: &ProviderConfigKey,
        version: u64,
        purpose: Purpose,
        is_served: bool,
    ) -> Result<(), Failure> {
        if is_served && !self.is_known(key, version) {
            (self.check)(key);
            _ = timeout(FIRST_CHECK, self.wait_until_known(key, version)).await;
        }
        let is_unknown = is_served && purpose.is_new && !self.is_known(key, version);
        let mut all = self.all.lock();
        if is_unknown {
            all.entry(key.clone()).or_default().health.holds_back();
            return Err(not_checked(key));
        }
        match all.get_mut(key).filter(|entry| entry.version == version) {
            Some(entry) => entry.health.admit(key, purpose, Instant::now()),
            None => Ok(()),
        }
    }

    /// Why nothing may be created or sent through a provider config in this `version` with these rules, because another
    /// cluster uses its realm. The object waits then.
    pub fn realm_in_use(&self, key: &ProviderConfigKey, version: u64, rules: &RealmRules) -> Option<Failure> {
        let mut all = self.all.lock();
        let entry = all.get_mut(key).filter(|entry| entry.version == version)?;
        let failure = entry.health.realm_in_use_by(rules, key, &self.cluster)?;
        entry.health.holds_back();
        Some(failure)
    }

    async fn wait_until_known(&self, key: &ProviderConfigKey, version: u64) {
        loop {
            let notified = self.known.notified();
            if self.is_known(key, version) {
                return;
            }
            notified.await;
        }
    }

    fn is_known(&self, key: &ProviderConfigKey, version: u64) -> bool {
        self.all.lock().get(key).is_some_and(|entry| entry.version == version && entry.health.is_known())
    }

    /// The health of a provider config in this `version`, for its controller. A new version starts anew.
    pub fn begin(
        &self,
        key: &ProviderConfigKey,
        version: u64,
        tenant_id: &str,
        claims: &TokenClaims,
        restrictions: Restrictions,
    ) -> Health {
        let mut all = self.all.lock();
        let entry = all.entry(key.clone()).or_default();
        if entry.version != version {
            let health = entry.health.renewed();
            let (tenant_id, claims, restrictions) = (tenant_id.to_owned(), claims.clone(), Restrictions::default());
            *entry = Entry { health, version, tenant_id, claims, restrictions };
        }
        entry.restrictions = restrictions;
        entry.health.apply_realm_rules(&entry.restrictions.realm, key, &self.cluster);
        entry.health.clone()
    }

    /// Records a check of this `version`, and returns the health; `None` if there is another version by now.
    pub fn checked(
        &self,
        key: &ProviderConfigKey,
        version: u64,
        check: &RealmCheck,
        begun: Instant,
        interval: Duration,
    ) -> Option<Health> {
        let mut all = self.all.lock();
        let entry = all.get_mut(key).filter(|entry| entry.version == version)?;
        let verdict = of_check(check, entry.subject(), wall_clock());
        entry.health.checked(verdict, check, begun, interval);
        entry.health.apply_realm_rules(&entry.restrictions.realm, key, &self.cluster);
        let health = entry.health.clone();
        drop(all);
        self.known.notify_waiters();
        Some(health)
    }

    /// Records that there are no credentials to check. The objects learn that where they resolve them. A pause still stops
    /// the calls that have begun.
    pub fn unusable(&self, key: &ProviderConfigKey, failure: &Failure, is_paused: bool) {
        let mut all = self.all.lock();
        let entry = all.entry(key.clone()).or_default();
        let restrictions = Restrictions { is_paused, ..Restrictions::default() };
        *entry = Entry { health: entry.health.unusable(failure.clone()), restrictions, ..Entry::default() };
        drop(all);
        self.known.notify_waiters();
    }

    /// Forgets a provider config that is deleted.
    pub fn forget(&self, key: &ProviderConfigKey) {
        self.all.lock().remove(key);
        self.known.notify_waiters();
    }

    /// Whether objects wait that may continue now. True once for each time that they had to wait.
    pub fn release_waiting(&self, key: &ProviderConfigKey) -> bool {
        let mut all = self.all.lock();
        all.get_mut(key)
            .is_some_and(|entry| !entry.restrictions.is_paused && entry.health.release_waiting(Instant::now()))
    }

    /// An object waits for another reason than the health.
    pub fn holds_back(&self, key: &ProviderConfigKey) {
        if let Some(entry) = self.all.lock().get_mut(key) {
            entry.health.holds_back();
        }
    }

    /// Whether each provider config that was checked is Ready.
    pub fn ready(&self) -> Vec<(ProviderConfigKey, bool)> {
        let ready = |(key, entry): (&ProviderConfigKey, &Entry)| (key.clone(), entry.health.is_ready());
        self.all.lock().iter().filter(|(_, entry)| entry.health.is_known()).map(ready).collect()
    }

    /// Why a call must not be sent now.
    fn stopped(&self, key: &ProviderConfigKey, version: u64, operation: Operation) -> Option<String> {
        let mut all = self.all.lock();
        let entry = all.get_mut(key)?;
        let is_new = operation == CREATE_JOB || operation == CREATE_CONFIG;
        let why = if entry.restrictions.is_paused && is_new {
            format!("{key} is paused by the annotation {PAUSED}")
        } else if let Some(failure) = entry.health.realm_in_use().filter(|_| is_new) {
            format!("{key} is not Ready ({})", failure.why.reason)
        } else {
            let refusal = entry.health.refusal().filter(|_| entry.version == version)?;
            format!("{key} is not Ready ({})", refusal.why.reason)
        };
        entry.health.holds_back();
        Some(why)
    }

    /// Records the outcome of a call of an object.
    fn called(&self, key: &ProviderConfigKey, version: u64, operation: Operation, error: Option<&Error>) {
        let now = Instant::now();
        let mut all = self.all.lock();
        let Some(entry) = all.get_mut(key).filter(|entry| entry.version == version) else { return };
        let Entry { health, tenant_id, claims, .. } = entry;
        let subject = Subject { tenant_id, claims };
        match error {
            None => {
                if !health.has(operation.scope()) {
                    return;
                }
            }
            // Another operation needs the same scope, and may be allowed.
            Some(Error::Refused { cause: Refusal::Forbidden, .. }) if operation == LIST_ALL_JOBS => return,
            Some(Error::Refused { cause: Refusal::Forbidden, .. }) => health.lacks(operation.scope(), now),
            Some(error @ (Error::Refused { .. } | Error::Retry { .. } | Error::InDoubt { .. })) => {
                match verdict::of_error(error, subject, wall_clock()) {
                    // The service may refuse only removals, and a token without their scopes stops no send.
                    Some(Verdict::Refused(_)) if FOR_REMOVALS.contains(&operation.scope()) => health.suspect(None, now),
                    verdict @ Some(Verdict::Refused(_)) => health.suspect(verdict, now),
                    Some(Verdict::Accepted) | None => return,
                }
            }
            Some(Error::NotFound { .. }) => return,
        }
        drop(all);
        (self.check)(key);
    }
}

impl Entry {
    fn subject(&self) -> Subject<'_> {
        Subject { tenant_id: &self.tenant_id, claims: &self.claims }
    }
}

/// Why nothing may be created or sent through a provider config that is not checked yet.
fn not_checked(key: &ProviderConfigKey) -> Failure {
    Failure::transient(
        Reason::ServiceUnavailable,
        format!(
            "{key} is not Ready: the service has not answered a check yet, and nothing is created or sent before that"
        ),
    )
}

/// Why nothing may be created or sent through a provider config that is paused.
pub fn paused(key: &ProviderConfigKey) -> Failure {
    Failure::blocked(
        Reason::ProviderConfigPaused,
        format!(
            "{key} is paused by the annotation {PAUSED}, so nothing is created or sent through it; remove the annotation \
             there to resume"
        ),
    )
}
