//! The conditions of a provider config, from the health of its credentials. Pure.

use crate::api::conditions::{DEGRADED, PAUSED as PAUSED_CONDITION};
use crate::api::phase::{Why, why};
use crate::api::{PAUSED, Phase, Reason};
use crate::realm::health::{FOR_REMOVALS, Health};
use crate::reconcile::Failure;

/// The most referring objects that a message names.
const NAMED: usize = 3;

/// What is known about a provider config.
pub(super) struct Input<'a> {
    /// The health of its credentials, or why they cannot be read.
    pub health: Result<&'a Health, &'a Failure>,
    /// Whether an annotation stops all sends through it.
    pub is_paused: bool,
    /// The objects that refer to it, if it is being deleted.
    pub in_use_by: Option<&'a [String]>,
}

/// The phase of the provider config.
pub(super) fn phase(input: &Input<'_>) -> Phase {
    if let Some(referrers) = input.in_use_by {
        return Phase::Deleting { why: why(Reason::InUse, in_use(referrers)), blocked: false };
    }
    let health = match input.health {
        Ok(health) => health,
        Err(failure) => return failure.phase(),
    };
    let (_, needed) = missing(health);
    if let Some(failure) = health.refusal() {
        failure.phase()
    } else if !health.is_known() {
        let message = "The service limits the request rate; the credentials are checked later";
        Phase::Progressing(why(Reason::RateLimited, message))
    } else if !needed.is_empty() {
        let message =
            format!("The token lacks {}; grant it, or store a token that has it in the Secret", scopes(&needed));
        Phase::Blocked(why(Reason::MissingScopes, message))
    } else if let Some(failure) = health.realm_in_use() {
        failure.phase()
    } else {
        Phase::Available(why(Reason::CredentialsAccepted, "The service accepts the credentials"))
    }
}

/// The conditions beside the phase: the type of each, and why it is True.
pub(super) fn beside(input: &Input<'_>) -> Vec<(&'static str, Why)> {
    let mut conditions = Vec::new();
    let (for_removals, _) = input.health.map_or_else(|_| Default::default(), missing);
    if !for_removals.is_empty() {
        let message = format!(
            "The token lacks {}, so not everything can be revoked or deleted; sends are not affected; grant \
             it, or store a token that has it in the Secret",
            scopes(&for_removals)
        );
        conditions.push((DEGRADED, why(Reason::MissingScopes, message)));
    }
    if input.is_paused {
        let message = format!(
            "Nothing new is created or sent through this provider config; existing links are still polled and revoked; \
             remove the annotation {PAUSED} to resume"
        );
        conditions.push((PAUSED_CONDITION, why(Reason::Paused, message)));
    }
    conditions
}

/// The missing scopes: those that only removals need, and the others.
fn missing(health: &Health) -> (Vec<&'static str>, Vec<&'static str>) {
    health.missing_scopes().partition(|scope| FOR_REMOVALS.contains(scope))
}

fn scopes(scopes: &[&str]) -> String {
    format!("the scope{} {}", if scopes.len() == 1 { "" } else { "s" }, scopes.join(", "))
}

fn in_use(referrers: &[String]) -> String {
    let named = referrers.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match referrers.len().saturating_sub(NAMED) {
        0 => format!("Referred to by {named}; delete what refers to it first"),
        more => format!("Referred to by {named} and {more} more; delete what refers to it first"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::api::conditions::{ConditionInput, conditions};
    use crate::api::{ProviderConfigKey, ProviderConfigKind};
    use crate::authenticator_config::mark::OwnershipMark;
    use crate::beyond_identity::{Operation, RealmCheck};
    use crate::realm::health::Verdict;
    use crate::reconcile::testing::now;
    use crate::reconcile::{FailureKind, RealmRules};

    fn health(verdict: Option<Verdict>, missing: &[&str]) -> Health {
        let (mut health, begun) = (Health::default(), Instant::now());
        let forbidden = missing.iter().map(|scope| Operation::by_scope(scope)).collect();
        let check = RealmCheck { forbidden, ..RealmCheck::default() };
        health.checked(verdict, &check, begun, Duration::from_secs(600));
        health
    }

    /// The conditions as one line, and the message of `Ready`.
    fn shown(input: &Input<'_>) -> (String, String) {
        let (phase, beside) = (phase(input), beside(input));
        assert!(phase.why().reason.shows_as(&phase), "not in the registry of reasons: {phase:?}");
        let input = ConditionInput { phase: &phase, overdue: false, beside: &beside };
        let set = conditions(input, 1, &[], now());
        let ready = set.iter().find(|condition| condition.type_ == "Ready").unwrap();
        let line = set.iter().map(|it| format!("{}={}", it.type_, it.status)).collect::<Vec<_>>().join(" ");
        (format!("{line} {}", ready.reason), ready.message.clone())
    }

    fn of_health(health: &Health) -> Input<'_> {
        Input { health: Ok(health), is_paused: false, in_use_by: None }
    }

    #[test]
    fn each_health_has_its_conditions() {
        let refused = |kind, reason| Some(Verdict::Refused(Failure::new(kind, reason, "because")));
        for (health, expected) in [
            (health(Some(Verdict::Accepted), &[]), "Ready=True CredentialsAccepted"),
            (health(None, &[]), "Reconciling=True Ready=False RateLimited"),
            (
                health(refused(FailureKind::Blocked, Reason::Unauthorized), &[]),
                "Reconciling=True Ready=False Unauthorized",
            ),
            (
                health(refused(FailureKind::Transient, Reason::ServiceUnavailable), &[]),
                "Reconciling=True Ready=False ServiceUnavailable",
            ),
            (health(Some(Verdict::Accepted), &["identities:read"]), "Reconciling=True Ready=False MissingScopes"),
            (
                health(Some(Verdict::Accepted), &["credential-binding-jobs:revoke"]),
                "Ready=True Degraded=True CredentialsAccepted",
            ),
        ] {
            assert_eq!(shown(&of_health(&health)).0, expected);
        }
        let gone = Failure::blocked(Reason::SecretNotFound, "no Secret");
        let input = Input { health: Err(&gone), is_paused: true, in_use_by: None };
        assert_eq!(shown(&input).0, "Reconciling=True Ready=False Paused=True SecretNotFound");
    }

    #[test]
    fn realm_in_use_is_not_ready_unless_the_credentials_are_refused() {
        let (key, rules) = (key(), RealmRules::default());
        let name = OwnershipMark::of("east", "identity", "hosted-web").to_string();
        let check = RealmCheck { display_names: Some(vec![name]), ..RealmCheck::default() };
        let refused = Verdict::Refused(Failure::blocked(Reason::Unauthorized, "because"));
        for (verdict, expected) in [(Verdict::Accepted, "RealmInUse"), (refused, "Unauthorized")] {
            let mut health = Health::default();
            health.checked(Some(verdict), &check, Instant::now(), Duration::from_secs(600));
            health.apply_realm_rules(&rules, &key, "demo");
            assert_eq!(shown(&of_health(&health)).0, format!("Reconciling=True Ready=False {expected}"));
        }
    }

    fn key() -> ProviderConfigKey {
        let (kind, namespace) = (ProviderConfigKind::ProviderConfig, Some("team".to_owned()));
        ProviderConfigKey { kind, namespace, name: "own".to_owned() }
    }

    #[test]
    fn messages_name_the_scopes_and_the_referrers() {
        let lacking = health(Some(Verdict::Accepted), &["identities:read", "credential-binding-jobs:create"]);
        assert_eq!(
            shown(&of_health(&lacking)).1,
            "The token lacks the scopes credential-binding-jobs:create, identities:read; grant it, or store a token that has \
             it in the Secret"
        );
        let healthy = health(Some(Verdict::Accepted), &[]);
        let in_use = |count: usize| {
            let referrers: Vec<_> = (0..count).map(|number| format!("AuthenticatorConfig team/{number}")).collect();
            phase(&Input { in_use_by: Some(&referrers), ..of_health(&healthy) }).why().message.clone()
        };
        assert_eq!(in_use(1), "Referred to by AuthenticatorConfig team/0; delete what refers to it first");
        assert!(in_use(3).ends_with("AuthenticatorConfig team/2; delete what refers to it first"));
        assert!(in_use(5).ends_with("AuthenticatorConfig team/2 and 2 more; delete what refers to it first"));
    }
}
