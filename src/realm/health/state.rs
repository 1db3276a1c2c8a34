//! The health of one provider config: whether its calls can succeed, which scopes its token lacks, and when it is checked
//! next. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::verdict::Verdict;
use crate::api::{ProviderConfigKey, Reason};
use crate::authenticator_config::mark::cluster_in;
use crate::beyond_identity::RealmCheck;
use crate::reconcile::{Failure, FailureKind, KindName, RealmRules};

/// The first pause between two checks while they fail, or while objects report failures that checks do not find. It
/// doubles with each of them.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause between two checks of credentials that are refused.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause between two checks during an outage, so that work continues soon after its end.
const LONGEST_PAUSE_OF_OUTAGE: Duration = Duration::from_secs(20);
/// How long one object may try whether a missing scope was granted, before another one may.
const TRIAL: Duration = Duration::from_secs(60);
/// The first and the longest pause between two such trials.
const FIRST_TRIAL: Duration = Duration::from_secs(5);
const LONGEST_TRIAL: Duration = Duration::from_secs(600);

/// The scopes that only removals need. Without them everything is still sent and created.
pub const FOR_REMOVALS: [&str; 2] = ["credential-binding-jobs:revoke", "authenticator-configs:delete"];

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The kind of the object.
    pub kind: KindName,
    /// Whether it creates, sends or updates something that has not begun yet. What has begun is finished, as soon as calls
    /// can succeed.
    pub is_new: bool,
}

/// The health of one provider config.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// The last verdict; `None` before the first check.
    verdict: Option<Verdict>,
    /// The scopes that the last check found.
    granted: BTreeSet<&'static str>,
    /// The scopes that the token lacks.
    missing: BTreeMap<&'static str, Missing>,
    /// When the last check began.
    checked_at: Option<Instant>,
    /// When the next check is due; `None`: at once.
    due_at: Option<Instant>,
    /// Consecutive checks that failed, or that did not find what an object reported.
    streak: u32,
    /// Whether an object reported a failure since the last check.
    is_suspected: bool,
    /// The clusters that the last check found in the ownership marks of the realm's configurations.
    clusters: BTreeSet<String>,
    /// Why nothing may be created or sent in the realm, because of these clusters.
    realm_in_use: Option<Failure>,
    /// Whether an object was not admitted, and has to be enqueued when it would be.
    has_waiting: bool,
}

/// A scope that the token lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// A check found it, and the next one decides.
    Read,
    /// A call of an object found it. No check can, so one object may try again at this time.
    Write { retry_at: Instant, pause: Duration, is_tried: bool },
}

impl Health {
    /// Whether a check has decided anything yet.
    pub fn is_known(&self) -> bool {
        self.verdict.is_some()
    }

    /// Whether the credentials are accepted.
    pub fn is_accepted(&self) -> bool {
        self.verdict == Some(Verdict::Accepted)
    }

    /// Whether everything but removals can succeed.
    pub fn is_ready(&self) -> bool {
        let has_scopes = self.missing.keys().all(|scope| FOR_REMOVALS.contains(scope));
        self.is_accepted() && has_scopes && self.realm_in_use.is_none()
    }

    /// Why no call can succeed.
    pub fn refusal(&self) -> Option<&Failure> {
        match &self.verdict {
            Some(Verdict::Refused(failure)) => Some(failure),
            Some(Verdict::Accepted) | None => None,
        }
    }

    /// Why nothing may be created or sent in the realm, because another cluster uses it.
    pub fn realm_in_use(&self) -> Option<&Failure> {
        self.realm_in_use.as_ref()
    }

    /// The same by these rules of `key`, in the cluster `own`.
    pub fn realm_in_use_by(&self, rules: &RealmRules, key: &ProviderConfigKey, own: &str) -> Option<Failure> {
        rules.refusal(key, own, self.clusters.iter().map(String::as_str))
    }

    /// Applies these rules of `key` to the realm, in the cluster `own`.
    pub fn apply_realm_rules(&mut self, rules: &RealmRules, key: &ProviderConfigKey, own: &str) {
        self.realm_in_use = self.realm_in_use_by(rules, key, own);
    }

    /// The scopes that the token lacks.
    pub fn missing_scopes(&self) -> impl Iterator<Item = &'static str> {
        self.missing.keys().copied()
    }

    /// Whether an object may make calls. While it may not, no call is made for it.
    pub fn admit(&mut self, key: &ProviderConfigKey, purpose: Purpose, now: Instant) -> Result<(), Failure> {
        if let Some(failure) = self.refusal() {
            let failure = not_ready(key, failure);
            self.has_waiting = true;
            return Err(failure);
        }
        let needed = needed_scopes(purpose.kind).iter().filter(|_| purpose.is_new);
        for scope in needed {
            match self.missing.get_mut(scope) {
                Some(Missing::Write { retry_at, is_tried, .. }) if *retry_at <= now => {
                    (*retry_at, *is_tried) = (now + TRIAL, true);
                }
                Some(Missing::Write { .. } | Missing::Read) => {
                    self.has_waiting = true;
                    return Err(lacks(key, scope));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// The health of new credentials. Objects that waited for the earlier ones still wait.
    pub fn renewed(&self) -> Self {
        Self { has_waiting: self.has_waiting, ..Self::default() }
    }

    /// The health without credentials.
    pub fn unusable(&self, failure: Failure) -> Self {
        Self { verdict: Some(Verdict::Refused(failure)), ..self.renewed() }
    }

    /// An object was not admitted, for a reason outside of this state.
    pub fn holds_back(&mut self) {
        self.has_waiting = true;
    }

    /// Whether objects wait that would be admitted now. True once for each time that they were not.
    pub fn release_waiting(&mut self, now: Instant) -> bool {
        let opens = self.is_ready() || self.trials().any(|at| at <= now);
        self.is_accepted() && self.realm_in_use.is_none() && opens && std::mem::take(&mut self.has_waiting)
    }

    /// When the next check is due.
    pub fn due_at(&self, now: Instant) -> Instant {
        self.due_at.unwrap_or(now)
    }

    /// When the next trial of a missing scope will be due. One that is due is made by the next object that needs it.
    pub fn next_trial(&self, now: Instant) -> Option<Instant> {
        self.trials().filter(|at| *at > now).min()
    }

    /// When each missing scope may be tried. Objects try a removal at their own intervals.
    fn trials(&self) -> impl Iterator<Item = Instant> {
        let new = self.missing.iter().filter(|(scope, _)| !FOR_REMOVALS.contains(scope));
        new.filter_map(|(_, missing)| match missing {
            Missing::Write { retry_at, .. } => Some(*retry_at),
            Missing::Read => None,
        })
    }

    /// Records `check`, which began at `begun`. Without a verdict it decided nothing. `interval` is the pause between two
    /// checks of accepted credentials.
    pub fn checked(&mut self, verdict: Option<Verdict>, check: &RealmCheck, begun: Instant, interval: Duration) {
        let is_outage = matches!(&verdict, Some(Verdict::Refused(failure)) if failure.kind == FailureKind::Transient);
        let is_accepted = verdict == Some(Verdict::Accepted);
        self.streak = if is_accepted && !self.is_suspected { 0 } else { self.streak.saturating_add(1) };
        let longest = if is_outage { LONGEST_PAUSE_OF_OUTAGE } else { LONGEST_PAUSE };
        let asked = match &verdict {
            Some(Verdict::Refused(failure)) => failure.after.unwrap_or_default(),
            Some(Verdict::Accepted) | None => Duration::ZERO,
        };
        let pause = if is_accepted { interval } else { self.pause().min(longest).max(asked) };
        (self.checked_at, self.is_suspected, self.due_at) = (Some(begun), false, Some(begun + pause));
        if verdict.is_some() {
            self.verdict = verdict;
        }
        if let Some(names) = &check.display_names {
            self.clusters = names.iter().filter_map(|name| cluster_in(name)).map(str::to_owned).collect();
        }
        if is_accepted {
            self.granted = check.granted.iter().map(|read| read.scope()).collect();
            self.missing.retain(|scope, _| !self.granted.contains(scope));
            self.missing.extend(check.forbidden.iter().map(|read| (read.scope(), Missing::Read)));
        }
    }

    /// A call of an object failed with `verdict`. A check is due soon, and a refusal of the credentials counts until then. It
    /// does not if the last check has contradicted an object: the service may refuse one operation only.
    pub fn suspect(&mut self, verdict: Option<Verdict>, now: Instant) {
        let stops = |verdict: &Verdict| match verdict {
            Verdict::Refused(failure) => failure.kind != FailureKind::Transient,
            Verdict::Accepted => false,
        };
        if self.is_accepted()
            && self.streak == 0
            && let Some(verdict) = verdict.filter(stops)
        {
            self.verdict = Some(verdict);
            // The object that met the refusal waits too.
            self.has_waiting = true;
        }
        self.is_suspected = true;
        let earliest = self.checked_at.map_or(now, |at| at + self.pause());
        self.due_at = Some(self.due_at(now).min(earliest.max(now)));
    }

    /// A call of an object was refused because the token lacks `scope`. If the last check has contradicted that, the service
    /// refuses this object only.
    pub fn lacks(&mut self, scope: &'static str, now: Instant) {
        if self.streak > 0 && self.granted.contains(scope) {
            return self.suspect(None, now);
        }
        let pause = match self.missing.get(scope) {
            // Its call began before the scope was known to be missing.
            Some(Missing::Write { is_tried: false, .. }) => return,
            Some(Missing::Write { pause, is_tried: true, .. }) => (*pause * 2).min(LONGEST_TRIAL),
            Some(Missing::Read) | None => FIRST_TRIAL,
        };
        self.missing.insert(scope, Missing::Write { retry_at: now + pause, pause, is_tried: false });
        // The object that met it waits too.
        self.has_waiting = true;
        self.suspect(None, now);
    }

    /// A call that needs `scope` succeeded. Returns whether the scope was missing.
    pub fn has(&mut self, scope: &str) -> bool {
        self.missing.remove(scope).is_some()
    }

    /// The pause after the last check, by its streak.
    fn pause(&self) -> Duration {
        match self.streak.min(6).checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE),
        }
    }
}

/// The scopes without which nothing new of this kind can succeed.
pub fn needed_scopes(kind: KindName) -> &'static [&'static str] {
    match kind {
        KindName::AuthenticatorConfig => {
            &["authenticator-configs:read", "authenticator-configs:create", "authenticator-configs:update"]
        }
        KindName::EnrollmentRequest => {
            &["identities:read", "credential-binding-jobs:read", "credential-binding-jobs:create"]
        }
    }
}

/// The failure of an object whose provider config is not Ready.
fn not_ready(key: &ProviderConfigKey, failure: &Failure) -> Failure {
    let Failure { kind, why, .. } = failure;
    Failure::new(*kind, why.reason, format!("{key} is not Ready: {}", why.message))
}

fn lacks(key: &ProviderConfigKey, scope: &str) -> Failure {
    Failure::blocked(
        Reason::MissingScopes,
        format!(
            "{key} is not Ready: its token lacks the scope {scope}; grant it, or store a token that has it in the Secret"
        ),
    )
}
