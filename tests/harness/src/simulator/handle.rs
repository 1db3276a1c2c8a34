//! The interface of tests to a realm.

use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;
use parking_lot::Mutex;

use super::ambiguities::Ambiguities;
use super::call::Operation;
use super::faults::{Rule, RuleId};
use super::model::{Application, Config, Email, Identity, Job, Recorded};
use super::quota::Quota;
use super::state::{Key, Realm, Registered, World};

/// One realm of one tenant. Clones refer to the same realm.
///
/// After a violation of the API contract, every method and the drop panic.
///
/// A change of an identity, a job or a configuration that does not exist panics, since such a test is wrong.
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

    /// The URL of the simulator.
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

    /// Replaces the accepted token.
    pub fn set_token(&self, token: &str) {
        self.with(|realm| token.clone_into(&mut realm.token));
    }

    /// Adds an application of the tenant that issues tokens for this realm, or replaces the one with its realm and id.
    pub fn add_application(&self, application: Application) {
        let id = (self.key.0.clone(), application.realm.clone(), application.id.clone());
        let registered = Registered { application, managed: self.key.clone() };
        self.world.lock().applications.insert(id, registered);
    }

    /// The tokens that applications issued for this realm, oldest first, except the revoked ones.
    #[must_use]
    pub fn issued_tokens(&self) -> Vec<String> {
        self.with(|realm| realm.issued.iter().map(|issued| issued.token.clone()).collect())
    }

    /// Revokes all tokens that applications issued for this realm.
    pub fn revoke_tokens(&self) {
        self.with(|realm| realm.issued.clear());
    }

    /// Decides what the vendor's documents leave open.
    pub fn set_ambiguities(&self, ambiguities: Ambiguities) {
        self.with(|realm| realm.ambiguities = ambiguities);
    }

    /// Keeps what is created and changed from now on in another form than it was sent, such as [`Config::normalize`], and
    /// answers with that form. The API reference says nothing about it.
    pub fn keep_configs_as(&self, form: impl Into<Option<fn(&mut Config)>>) {
        self.with(|realm| realm.config_form = form.into());
    }

    /// Refuses every `:revoke` with 401 or 403, whatever the token. `None` ends that. The API reference does not say
    /// which credentials the call requires.
    #[track_caller]
    pub fn refuse_revoke(&self, status: impl Into<Option<u16>>) {
        let status = status.into();
        assert!(matches!(status, None | Some(401 | 403)), "must be 401 or 403: {status:?}");
        self.with(|realm| realm.refuse_revoke = status);
    }

    /// Sets the lifetime of the links of new jobs, instead of seven days. A job in state `LINK_SENT` or `LINK_OPENED`
    /// becomes `EXPIRED` at the first read after its expire time.
    pub fn set_link_life(&self, lifetime: SignedDuration) {
        self.with(|realm| realm.link_lifetime = Some(lifetime));
    }

    /// Keeps the state of jobs after their expire time. The API reference does not say when a job becomes `EXPIRED`.
    pub fn leave_expired(&self) {
        self.with(|realm| realm.keeps_expired = true);
    }

    /// Sets the difference of the realm's clock from the clock of this machine. It applies to `Date` headers and to the
    /// times of jobs. The outbox and the recorded requests have the time of this machine.
    pub fn set_clock_skew(&self, skew: SignedDuration) {
        self.with(|realm| realm.clock_skew = skew);
    }

    /// Stops answering: each connection is closed without an answer, and nothing is carried out. Requests are recorded.
    pub fn pause(&self) {
        self.with(|realm| realm.paused = true);
    }

    /// Answers again.
    pub fn resume(&self) {
        self.with(|realm| realm.paused = false);
    }

    /// Sets or removes the quota of calls of the tenant, for all its realms together.
    pub fn set_quota(&self, quota: impl Into<Option<Quota>>) {
        let quotas = &mut self.world.lock().quotas;
        match quota.into() {
            Some(quota) => _ = quotas.insert(self.key.0.clone(), quota.into()),
            None => _ = quotas.remove(&self.key.0),
        }
    }

    /// Every request to the tenant, to any of its realms.
    #[must_use]
    pub fn requests_of_tenant(&self) -> Vec<Recorded> {
        self.check();
        self.world.lock().requests.iter().filter(|request| request.tenant == self.key.0).cloned().collect()
    }

    /// Adds a fault. Of several that match a request, the oldest applies.
    pub fn fault(&self, rule: Rule) -> RuleId {
        self.with(|realm| realm.faults.add(rule))
    }

    /// Removes a fault.
    pub fn remove_fault(&self, id: RuleId) {
        self.with(|realm| realm.faults.remove(id));
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.with(|realm| realm.faults.clear());
    }

    /// The number of requests that a fault was applied to.
    #[must_use]
    pub fn fired(&self, id: RuleId) -> u64 {
        self.with(|realm| realm.faults.fired(id))
    }

    /// Adds an identity, or replaces the one with this id.
    pub fn add_identity(&self, identity: Identity) {
        self.with(|realm| realm.identities.put(&identity.id.clone(), identity));
    }

    /// The identity with this id.
    #[must_use]
    pub fn identity(&self, id: &str) -> Option<Identity> {
        self.with(|realm| realm.identities.get(id).cloned())
    }

    /// Changes an identity.
    #[track_caller]
    pub fn edit_identity(&self, id: &str, edit: impl FnOnce(&mut Identity)) {
        let found = self.with(|realm| realm.identities.get_mut(id).map(edit).is_some());
        assert!(found, "no identity {id} in this realm");
    }

    /// Sets the status: `active`, `suspended`, or none.
    #[track_caller]
    pub fn set_identity_status<'a>(&self, id: &str, status: impl Into<Option<&'a str>>) {
        let status = status.into().map(str::to_owned);
        self.edit_identity(id, |identity| identity.status = status);
    }

    /// Removes an identity. Its jobs stay.
    #[track_caller]
    pub fn remove_identity(&self, id: &str) {
        let found = self.with(|realm| realm.identities.take(id).is_some());
        assert!(found, "no identity {id} in this realm");
    }

    /// All jobs, oldest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.with(|realm| {
            realm.expire(|_| true);
            realm.jobs.oldest_first().into_iter().cloned().collect()
        })
    }

    /// The job with this id.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<Job> {
        self.with(|realm| realm.job(id).cloned())
    }

    /// Adds a job that another client created. It does not appear in the outbox, which has only emails of API calls.
    pub fn add_job(&self, job: Job) {
        self.with(|realm| realm.jobs.put(&job.id.clone(), job));
    }

    /// Changes a job. Its update time and its identity stay as they are.
    #[track_caller]
    pub fn edit_job(&self, id: &str, edit: impl FnOnce(&mut Job)) {
        let found = self.with(|realm| realm.jobs.get_mut(id).map(edit).is_some());
        assert!(found, "no job {id} in this realm");
    }

    /// Sets the state of a job, as the service does: the update time is now. `COMPLETE` adds a credential, and sets the
    /// identity to `ENROLLED`. Any state is accepted, also an unknown one.
    #[track_caller]
    pub fn set_job_state(&self, id: &str, state: &str) {
        let found = self.with(|realm| realm.set_job_state(id, state));
        assert!(found, "no job {id} in this realm");
    }

    /// Removes a job.
    #[track_caller]
    pub fn remove_job(&self, id: &str) {
        let found = self.with(|realm| realm.jobs.take(id).is_some());
        assert!(found, "no job {id} in this realm");
    }

    /// All authenticator configurations, oldest first.
    #[must_use]
    pub fn configs(&self) -> Vec<Config> {
        self.with(|realm| realm.configs.oldest_first().into_iter().cloned().collect())
    }

    /// The authenticator configuration with this id.
    #[must_use]
    pub fn config(&self, id: &str) -> Option<Config> {
        self.with(|realm| realm.configs.get(id).cloned())
    }

    /// Adds an authenticator configuration that another client created. It is not validated.
    pub fn add_config(&self, config: Config) {
        self.with(|realm| realm.configs.put(&config.id.clone(), config));
    }

    /// Changes an authenticator configuration. It is not validated.
    #[track_caller]
    pub fn edit_config(&self, id: &str, edit: impl FnOnce(&mut Config)) {
        let found = self.with(|realm| realm.configs.get_mut(id).map(edit).is_some());
        assert!(found, "no authenticator configuration {id} in this realm");
    }

    /// Removes an authenticator configuration.
    #[track_caller]
    pub fn remove_config(&self, id: &str) {
        let found = self.with(|realm| realm.configs.take(id).is_some());
        assert!(found, "no authenticator configuration {id} in this realm");
    }

    /// The emails that the service would have sent, oldest first.
    #[must_use]
    pub fn outbox(&self) -> Vec<Email> {
        self.with(|realm| realm.outbox.clone())
    }

    /// The number of emails in the outbox.
    #[must_use]
    pub fn emails_sent(&self) -> usize {
        self.with(|realm| realm.outbox.len())
    }

    /// Every request to this realm but the checks of credentials, in the order of arrival, also those with a wrong token.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        let mut requests = self.all_requests();
        requests.retain(|request| request.operation != Operation::Check);
        requests
    }

    /// The requests to this realm with this operation.
    #[must_use]
    pub fn requests_of(&self, operation: Operation) -> Vec<Recorded> {
        let mut requests = self.all_requests();
        requests.retain(|request| request.operation == operation);
        requests
    }

    /// All requests to this realm, checks of credentials included.
    #[must_use]
    pub fn all_requests(&self) -> Vec<Recorded> {
        self.check();
        let (tenant, realm) = &self.key;
        let here = |request: &&Recorded| request.tenant == *tenant && request.realm == *realm;
        self.world.lock().requests.iter().filter(here).cloned().collect()
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
