//! The number of objects by their abnormal conditions, computed from the stores at each scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::computed::{LabelSet, number};
use crate::api::HasStatus;
use crate::api::conditions::{DEGRADED, FIELD_NOT_UNSET, PAUSED, REVOKE_REFUSED, STALLED, is_true};
use crate::api::reason::REASONS;

/// The conditions that are present only while something needs attention.
const ABNORMAL: [&str; 5] = [STALLED, REVOKE_REFUSED, FIELD_NOT_UNSET, PAUSED, DEGRADED];

/// The label value of a reason that this version does not know. Everybody who may write a status chooses its text, so it is
/// never used as a label.
const UNKNOWN: &str = "unknown";

/// The number of these objects with each abnormal condition, by type and reason. Each object comes with how many of its kind
/// there are.
pub(super) fn condition_counts<K: HasStatus>(
    controller: &'static str,
    objects: &[(Arc<K>, usize)],
) -> Vec<(LabelSet, i64)> {
    let mut counts = BTreeMap::<(&str, &str), i64>::new();
    for (conditions, count) in objects.iter().map(|(object, count)| (object.conditions(), *count)) {
        for type_ in ABNORMAL.into_iter().filter(|type_| is_true(conditions, type_)) {
            let reason = conditions.iter().find(|condition| condition.type_ == type_).map(|it| it.reason.as_str());
            *counts.entry((type_, reason.unwrap_or_default())).or_default() += number(count);
        }
    }
    let labelled = |((type_, reason), count): ((&str, &str), i64)| {
        let is_known = REASONS.iter().any(|entry| entry.reason.to_string() == reason);
        let labels = [("controller", controller), ("type", type_), ("reason", if is_known { reason } else { UNKNOWN })];
        (labels.map(|(label, value)| (label, value.to_owned())).to_vec(), count)
    };
    counts.into_iter().map(labelled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AuthenticatorConfig;

    #[test]
    fn abnormal_conditions_are_counted_by_known_reasons() {
        let config = |conditions: &[(&str, &str, &str)]| {
            let condition = |(type_, status, reason): &(&str, &str, &str)| {
                serde_json::json!({
                    "type": type_, "status": status, "reason": reason, "message": "",
                    "lastTransitionTime": "2026-01-01T12:00:00Z",
                })
            };
            let conditions: Vec<_> = conditions.iter().map(condition).collect();
            Arc::new(
                serde_json::from_value::<AuthenticatorConfig>(serde_json::json!({
                    "metadata": {"name": "web", "namespace": "identity"},
                    "spec": {"displayName": "web", "config": {"type": "hosted_web", "hostedWeb": {}}},
                    "status": {"conditions": conditions},
                }))
                .unwrap(),
            )
        };
        let configs = [
            config(&[("Stalled", "True", "Refused"), ("Ready", "False", "Refused"), ("Paused", "True", "Paused")]),
            config(&[("Stalled", "True", "Refused")]),
            config(&[("Stalled", "True", "jane@example.com")]),
            config(&[("Stalled", "False", "Refused"), ("Ready", "True", "Available")]),
        ];
        let counts = condition_counts("authenticatorconfig", &configs.map(|config| (config, 1)));
        let counts: Vec<_> =
            counts.iter().map(|(labels, count)| (labels[0].1.as_str(), &*labels[1].1, &*labels[2].1, *count)).collect();
        let of = |type_, reason, count| ("authenticatorconfig", type_, reason, count);
        assert_eq!(
            counts,
            [of("Paused", "Paused", 1), of("Stalled", "Refused", 2), of("Stalled", "unknown", 1)],
            "the text of a status is no label"
        );
    }
}
