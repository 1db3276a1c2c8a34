//! What a test does to a realm, and what it can ask of it.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use parking_lot::Mutex;

use super::call::Operation;
use super::faults::{Rule, RuleId};
use super::model::{Config, Email, Identity, Job, Recorded};
use super::quota::Quota;
use super::state::{Key, Realm, World};

/// One realm of one tenant. Clones are the same realm.
///
/// Whatever is asked of it, and its end, panics once a request or an answer broke the contract with the service.
///
/// What names an identity, a job or a configuration that is not there panics, and says so: a test that sets the state of a
/// job that does not exist tests nothing.
#[derive(Clone)]
pub struct RealmHandle {
    pub(super) world: Arc<Mutex<World>>,
    url: String,
    pub(super) key: Key,
}

impl fmt::Debug for RealmHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealmHandle").field("url", &self.url).field("key", &self.key).finish_non_exhaustive()
    }
}

impl RealmHandle {
    pub(super) fn open(world: &Arc<Mutex<World>>, url: String, tenant: &str, realm: &str, token: &str) -> Self {
        let handle = Self { world: Arc::clone(world), url, key: (tenant.to_owned(), realm.to_owned()) };
        handle.set_token(token);
        handle
    }

    /// The address of the simulator.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The tenant's id.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.key.0
    }

    /// The realm's id.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.key.1
    }

    /// From now on this token is the one that is accepted; the one before is unknown.
    pub fn set_token(&self, token: &str) {
        self.with(|realm| token.clone_into(&mut realm.token));
    }

    /// Whether a `hosted_web` configuration needs `authentication_methods` and `trusted_origins` (as the API's description
    /// says) or can do with its type alone (as the vendor's how-to does). Off at first.
    pub fn set_strict_config(&self, strict: bool) {
        self.with(|realm| realm.strict_config = strict);
    }

    /// Refuses every `:revoke` with 401 or 403, whatever the token, or with `None` none of them any more: the vendor's
    /// description does not say which credentials that call wants.
    #[track_caller]
    pub fn refuse_revoke(&self, status: impl Into<Option<u16>>) {
        let status = status.into();
        assert!(matches!(status, None | Some(401 | 403)), "the service does not refuse it with {status:?}");
        self.with(|realm| realm.refuse_revoke = status);
    }

    /// From now on the links of new jobs live that long, instead of seven days. A job whose link was not followed as far as
    /// to the authenticator becomes `EXPIRED` when somebody looks at it after its expire time, however it came to have that.
    pub fn set_link_life(&self, life: SignedDuration) {
        self.with(|realm| realm.link_life = Some(life));
    }

    /// From now on a job whose link has expired stays in the state that it was in: the vendor's description does not say when
    /// it becomes `EXPIRED`.
    pub fn leave_expired(&self) {
        self.with(|realm| realm.leaves_expired = true);
    }

    /// How far the realm's clock is ahead of this machine's, or behind it: it goes into every `Date` header and into the
    /// times of jobs. The outbox and what is recorded keep to this machine's.
    pub fn set_clock_skew(&self, skew: SignedDuration) {
        self.with(|realm| realm.clock_skew = skew);
    }

    /// Down: each request is closed without an answer, and nothing happens. They are recorded, as dropped.
    pub fn pause(&self) {
        self.with(|realm| realm.paused = true);
    }

    /// Up again.
    pub fn resume(&self) {
        self.with(|realm| realm.paused = false);
    }

    /// From now on the tenant, all its realms together, has this quota of calls; or none any more.
    pub fn set_quota(&self, quota: impl Into<Option<Quota>>) {
        let quotas = &mut self.world.lock().quotas;
        match quota.into() {
            Some(quota) => _ = quotas.insert(self.key.0.clone(), quota.into()),
            None => _ = quotas.remove(&self.key.0),
        }
    }

    /// Every request to the tenant, to whichever of its realms.
    #[must_use]
    pub fn requests_of_tenant(&self) -> Vec<Recorded> {
        self.check();
        self.world.lock().requests.iter().filter(|request| request.tenant == self.key.0).cloned().collect()
    }

    /// Sets a fault. The oldest that applies to a request is used.
    pub fn fault(&self, rule: Rule) -> RuleId {
        self.with(|realm| realm.faults.add(rule))
    }

    /// Takes a fault back.
    pub fn remove_fault(&self, id: RuleId) {
        self.with(|realm| realm.faults.remove(id));
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.with(|realm| realm.faults.clear());
    }

    /// How many requests a fault has hit.
    #[must_use]
    pub fn fired(&self, id: RuleId) -> u64 {
        self.with(|realm| realm.faults.fired(id))
    }

    /// Adds an identity, or puts it in the place of the one with that id.
    pub fn add_identity(&self, identity: Identity) {
        self.with(|realm| realm.identities.put(&identity.id.clone(), identity));
    }

    /// The identity of that id.
    #[must_use]
    pub fn identity(&self, id: &str) -> Option<Identity> {
        self.with(|realm| realm.identities.get(id).cloned())
    }

    /// Changes an identity.
    #[track_caller]
    pub fn edit_identity(&self, id: &str, edit: impl FnOnce(&mut Identity)) {
        let found = self.with(|realm| realm.identities.get_mut(id).map(edit).is_some());
        assert!(found, "there is no identity {id} in this realm");
    }

    /// `active`, `suspended`, or no status at all.
    #[track_caller]
    pub fn set_identity_status<'a>(&self, id: &str, status: impl Into<Option<&'a str>>) {
        let status = status.into().map(str::to_owned);
        self.edit_identity(id, |identity| identity.status = status);
    }

    /// Removes an identity; its jobs stay.
    #[track_caller]
    pub fn remove_identity(&self, id: &str) {
        let found = self.with(|realm| realm.identities.take(id).is_some());
        assert!(found, "there is no identity {id} in this realm");
    }

    /// All jobs, oldest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.with(|realm| {
            realm.expire(|_| true);
            realm.jobs.oldest_first().into_iter().cloned().collect()
        })
    }

    /// The job of that id.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<Job> {
        self.with(|realm| realm.job(id).cloned())
    }

    /// Adds a job that somebody made elsewhere. The outbox counts what came through the API, so it stays as it is.
    pub fn add_job(&self, job: Job) {
        self.with(|realm| realm.jobs.put(&job.id.clone(), job));
    }

    /// Changes a job, and nothing else: not its update time, not its identity.
    #[track_caller]
    pub fn edit_job(&self, id: &str, edit: impl FnOnce(&mut Job)) {
        let found = self.with(|realm| realm.jobs.get_mut(id).map(edit).is_some());
        assert!(found, "there is no job {id} in this realm");
    }

    /// Moves a job on, as the service does: it is updated now, and `COMPLETE` comes with a credential and makes the identity
    /// `ENROLLED`. Any state is taken, also one that nobody knows.
    #[track_caller]
    pub fn set_job_state(&self, id: &str, state: &str) {
        let found = self.with(|realm| realm.set_job_state(id, state));
        assert!(found, "there is no job {id} in this realm");
    }

    /// Removes a job.
    #[track_caller]
    pub fn remove_job(&self, id: &str) {
        let found = self.with(|realm| realm.jobs.take(id).is_some());
        assert!(found, "there is no job {id} in this realm");
    }

    /// All authenticator configurations, oldest first.
    #[must_use]
    pub fn configs(&self) -> Vec<Config> {
        self.with(|realm| realm.configs.oldest_first().into_iter().cloned().collect())
    }

    /// The authenticator configuration of that id.
    #[must_use]
    pub fn config(&self, id: &str) -> Option<Config> {
        self.with(|realm| realm.configs.get(id).cloned())
    }

    /// Adds an authenticator configuration that somebody made elsewhere; nothing about it is checked.
    pub fn add_config(&self, config: Config) {
        self.with(|realm| realm.configs.put(&config.id.clone(), config));
    }

    /// Changes an authenticator configuration; nothing about it is checked.
    #[track_caller]
    pub fn edit_config(&self, id: &str, edit: impl FnOnce(&mut Config)) {
        let found = self.with(|realm| realm.configs.get_mut(id).map(edit).is_some());
        assert!(found, "there is no authenticator configuration {id} in this realm");
    }

    /// Removes an authenticator configuration.
    #[track_caller]
    pub fn remove_config(&self, id: &str) {
        let found = self.with(|realm| realm.configs.take(id).is_some());
        assert!(found, "there is no authenticator configuration {id} in this realm");
    }

    /// One entry for each email that the service would have sent, oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<Email> {
        self.with(|realm| realm.outbox.clone())
    }

    /// Every request to this realm, in the order of arrival, those with a wrong token too.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.check();
        let (tenant, realm) = &self.key;
        let here = |request: &&Recorded| request.tenant == *tenant && request.realm == *realm;
        self.world.lock().requests.iter().filter(here).cloned().collect()
    }

    /// Those of the requests to this realm that ask for one operation.
    #[must_use]
    pub fn requests_of(&self, operation: Operation) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.operation == operation);
        requests
    }

    #[track_caller]
    pub(super) fn with<T>(&self, run: impl FnOnce(&mut Realm) -> T) -> T {
        self.check();
        let mut world = self.world.lock();
        let (tenant, id) = self.key.clone();
        let fresh = || Realm { tenant: tenant.clone(), id: id.clone(), ..Realm::default() };
        run(world.realms.entry(self.key.clone()).or_insert_with(fresh))
    }
}
