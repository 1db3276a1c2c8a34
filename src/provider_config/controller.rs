//! The reconcile of one provider config: checks its credentials when that is due, writes its status, and keeps it while
//! objects refer to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::events::EventType;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::plan::{Input, beside, phase};
use crate::api::phase::why;
use crate::api::{HasStatus, Phase, ProviderConfigKey, ProviderConfigStatus, Reason};
use crate::kubernetes::KubeObjects;
use crate::queues::Queues;
use crate::realm::health::{Health, TokenClaims};
use crate::realm::{KubeRealms, ProviderConfigResource};
use crate::reconcile::annotations::{self, is_paused};
use crate::reconcile::{End, Ended, Environment, Failure, Interrupted, ObjectHandle, ReconcileResult, Requeue};
use crate::runtime::warnings::About;
use crate::triggers;

/// The retry after a failed request to the Kubernetes API.
const RETRY: Duration = Duration::from_secs(5);
/// The retry after a conflict, which lets the watch cache catch up.
const RETRY_CONFLICT: Duration = Duration::from_millis(200);
/// How often a provider config that is being deleted looks for objects that refer to it.
const IN_USE: Duration = Duration::from_secs(2);
/// The longest wait for a change. A check or a trial is due earlier.
const LONGEST: Duration = Duration::from_secs(3600);
/// The longest time until a provider config that is not Ready is reconciled again.
const NOT_READY: Duration = Duration::from_secs(60);
/// How long before the expiration of a token an event warns of it.
const WARN_BEFORE: Duration = Duration::from_hours(7 * 24);
/// Maximum number of times that a reconcile starts over after a conflict.
const TRIES: usize = 5;

/// A kind of provider config with a controller.
pub(crate) trait ControlledProvider: ProviderConfigResource + HasStatus<Status = ProviderConfigStatus> {}

impl<K: ProviderConfigResource + HasStatus<Status = ProviderConfigStatus>> ControlledProvider for K {}

/// The controller of one kind of provider config.
pub(crate) struct ProviderController<K: ControlledProvider> {
    pub(crate) objects: KubeObjects<K>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) realms: Arc<KubeRealms>,
    pub(crate) queues: Queues,
    /// The pause between two checks of accepted credentials.
    pub(crate) interval: Duration,
    /// How long a recoverable problem is reported as Reconciling before it becomes Stalled.
    pub(crate) grace: Duration,
    /// Whether the operator writes to objects of this kind. Where it watches some namespaces only, it does not write to
    /// cluster-scoped ones.
    pub(crate) writes: bool,
    pub(crate) memory: Mutex<HashMap<ProviderConfigKey, Memory>>,
}

/// What a controller remembers of one provider config.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// The expiration that an event has warned of.
    warned_of: Option<Timestamp>,
    /// Why the last request to the Kubernetes API failed.
    failed: Option<String>,
    /// The last reported reason, where no status is written, and whether it was reported as a warning.
    reported: Option<(Reason, bool)>,
    /// Since when something has been missing that may be on its way, where no status is written.
    missing_since: Option<Instant>,
    /// The last value of the annotation that requested a check. Where no status is written, it stays on the object.
    requested: Option<String>,
}

/// The state of the credentials in one reconcile.
struct Credentials {
    /// The health, or why there are no credentials.
    health: Result<Health, Failure>,
    claims: TokenClaims,
}

impl<K: ControlledProvider> ProviderController<K> {
    /// Reconciles `object`.
    pub(crate) async fn reconcile(&self, object: K) -> ReconcileResult {
        let key = object.key();
        if !self.writes && !self.realms.providers.serves(&key) {
            return ReconcileResult { ended: Ended::Done, requeue_after: None };
        }
        let mut handle = ObjectHandle::cached(&self.objects, &*self.environment, self.grace, object);
        let after = match self.run(&key, &mut handle).await {
            Ok(after) => {
                self.memory.lock().get_mut(&key).into_iter().for_each(|memory| memory.failed = None);
                return ReconcileResult { ended: Ended::RequeueAfter, requeue_after: Some(after) };
            }
            Err(Interrupted::Conflict) => {
                return ReconcileResult { ended: Ended::Conflict, requeue_after: Some(RETRY_CONFLICT) };
            }
            Err(
                Interrupted::Refused(why)
                | Interrupted::NotStored(why)
                | Interrupted::ConditionsRefused { why, .. }
                | Interrupted::Failed(why),
            ) => {
                self.log_failure(&key, why);
                RETRY
            }
        };
        ReconcileResult { ended: Ended::Failed, requeue_after: Some(after) }
    }

    /// Logs a failed request to the Kubernetes API once, until it succeeds or fails for another cause.
    fn log_failure(&self, key: &ProviderConfigKey, why: String) {
        let before = self.memory.lock().entry(key.clone()).or_default().failed.replace(why.clone());
        if before.as_ref() == Some(&why) {
            return;
        }
        let ProviderConfigKey { kind, namespace, name } = key;
        let kind = kind.as_str();
        if let Some(left_out) = self.environment.warns(About::Request) {
            tracing::warn!(kind, namespace, name, error = %why, left_out, "Reconcile failed; retrying");
        } else {
            tracing::debug!(kind, namespace, name, error = %why, "Reconcile failed; retrying");
        }
    }

    async fn run(
        &self,
        key: &ProviderConfigKey,
        handle: &mut ObjectHandle<'_, K, KubeObjects<K>>,
    ) -> Result<Duration, Interrupted> {
        for _ in 0..TRIES {
            if handle.object().meta().deletion_timestamp.is_some() && self.writes {
                let referrers = triggers::referrers_of(key, &self.queues);
                if !handle.has_finalizer() || (referrers.is_empty() && self.release(key, handle).await?) {
                    return Ok(LONGEST);
                }
            } else if self.writes && !handle.has_finalizer() {
                handle.set_finalizer(true).await?;
            }
            let credentials = self.check(key, handle.object()).await;
            if self.report(key, handle, &credentials).await? {
                let due = Self::due(handle.object(), &credentials);
                let until_stalled = handle.grace_remaining(None, None);
                let becomes_stalled = handle.object().failing_since().is_some() && !until_stalled.is_zero();
                return Ok(if becomes_stalled { due.min(until_stalled) } else { due });
            }
        }
        Err(Interrupted::Conflict)
    }

    /// Removes the finalizer, unless an object refers to it by now. Returns whether it is removed.
    async fn release(
        &self,
        key: &ProviderConfigKey,
        handle: &mut ObjectHandle<'_, K, KubeObjects<K>>,
    ) -> Result<bool, Interrupted> {
        handle.refresh().await?;
        if !handle.is_deleted() && !triggers::referrers_of(key, &self.queues).is_empty() {
            return Ok(false);
        }
        if !handle.is_deleted() {
            handle.set_finalizer(false).await?;
        }
        self.realms.healths.forget(key);
        self.memory.lock().remove(key);
        Ok(true)
    }

    /// Checks the credentials if that is due, and lets waiting objects continue if they may.
    async fn check(&self, key: &ProviderConfigKey, object: &K) -> Credentials {
        let healths = &self.realms.healths;
        let session = match self.realms.check_session(key).await {
            Ok(session) => session,
            Err(failure) => {
                healths.unusable(key, &failure, is_paused(object));
                return Credentials { health: Err(failure), claims: TokenClaims::default() };
            }
        };
        let (version, claims) = (session.version, session.claims);
        let mut health = healths.begin(key, version, &session.tenant_id, &claims, session.restrictions);
        let begun = Instant::now();
        if health.due_at(begun) <= begun || self.is_requested(key, object) {
            let check = session.client.check().await;
            health = healths.checked(key, version, &check, begun, self.interval).unwrap_or(health);
        }
        if healths.release_waiting(key) {
            self.queues.provider_config_ready(key);
        }
        Credentials { health: Ok(health), claims }
    }

    /// Whether an annotation requests a check that was not made yet.
    fn is_requested(&self, key: &ProviderConfigKey, object: &K) -> bool {
        let Some(requested) = annotations::reconcile_requested(object) else { return false };
        let before = self.memory.lock().entry(key.clone()).or_default().requested.replace(requested.clone());
        before != Some(requested)
    }

    /// Writes the status. `false`: another writer was first.
    async fn report(
        &self,
        key: &ProviderConfigKey,
        handle: &mut ObjectHandle<'_, K, KubeObjects<K>>,
        credentials: &Credentials,
    ) -> Result<bool, Interrupted> {
        let is_deleting = handle.object().meta().deletion_timestamp.is_some();
        let referrers = if is_deleting { triggers::referrers_of(key, &self.queues) } else { Vec::new() };
        let input = Input {
            health: credentials.health.as_ref(),
            is_paused: is_paused(handle.object()),
            in_use_by: is_deleting.then_some(&referrers[..]),
        };
        let phase = phase(&input);
        if !self.writes {
            self.log_new(key, &phase);
            return Ok(true);
        }
        handle.set_beside(beside(&input));
        let expire_time = credentials.claims.expires_at.map(|at| at.to_string());
        let set = |object: &mut K| {
            object.status_mut().get_or_insert_default().token_expire_time.clone_from(&expire_time);
        };
        if !handle.end_reconcile_with(&End::with_phase(phase, Requeue::OnChange), set).await? {
            return Ok(false);
        }
        self.warn_of_expiration(key, handle, credentials.claims.expires_at);
        Ok(true)
    }

    /// Reports a phase by a log line, where no status is written.
    fn log_new(&self, key: &ProviderConfigKey, phase: &Phase) {
        let why = phase.why();
        let is_warning = {
            let (mut memories, now) = (self.memory.lock(), Instant::now());
            let memory = memories.entry(key.clone()).or_default();
            let is_missing = why.reason.may_be_on_its_way();
            memory.missing_since = is_missing.then(|| memory.missing_since.unwrap_or(now));
            let missing_for = memory.missing_since.map(|since| now.saturating_duration_since(since));
            let is_warning = phase.is_warning(missing_for.is_some_and(|time| time >= self.grace));
            if memory.reported.replace((why.reason, is_warning)) == Some((why.reason, is_warning)) {
                return;
            }
            is_warning
        };
        let (kind, namespace, name, reason) = (key.kind.as_str(), &key.namespace, &key.name, why.reason);
        if is_warning {
            tracing::warn!(kind, namespace, name, %reason, "{}", why.message);
        } else {
            tracing::info!(kind, namespace, name, %reason, "{}", why.message);
        }
    }

    /// Emits an event some days before the token expires, once for each token.
    fn warn_of_expiration(
        &self,
        key: &ProviderConfigKey,
        handle: &ObjectHandle<'_, K, KubeObjects<K>>,
        expires_at: Option<Timestamp>,
    ) {
        let Some(at) = expires_at else { return };
        let left = Duration::try_from(at.duration_since(self.environment.now())).unwrap_or_default();
        if left.is_zero() || left > WARN_BEFORE {
            return;
        }
        let before = self.memory.lock().entry(key.clone()).or_default().warned_of.replace(at);
        if before != Some(at) {
            let message = format!("The token expires at {at}; store a new token in its Secret before then");
            handle.emit_event(EventType::Warning, &why(Reason::TokenExpiring, message));
        }
    }

    /// The delay until the next reconcile.
    fn due(object: &K, credentials: &Credentials) -> Duration {
        let now = Instant::now();
        let in_use = object.meta().deletion_timestamp.is_some().then_some(IN_USE);
        let due = match &credentials.health {
            Ok(health) => {
                let at = health.due_at(now).min(health.next_trial(now).unwrap_or(now + LONGEST));
                at.saturating_duration_since(now).min(if health.is_ready() { LONGEST } else { NOT_READY })
            }
            Err(failure) => failure.after.unwrap_or(NOT_READY).min(NOT_READY),
        };
        due.min(in_use.unwrap_or(LONGEST))
    }
}
