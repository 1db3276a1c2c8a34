//! Values that the service keeps in a form of its own: its answer to a PATCH shows another value than was sent. Such a value
//! is not sent again for the same generation, and any other value is drift. Pure.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::compare::Difference;
use super::desired::{Desired, is_in_patch};
use super::meaning::same;
use super::observed::Patched;
use crate::api::authenticator_config::OtherValue;
use crate::beyond_identity::fields::for_each_text;
use crate::beyond_identity::redaction::without_addresses;
use crate::beyond_identity::types::AuthenticatorConfig as RemoteConfig;

/// The length of a hash. Nobody gains anything from a value with the same hash.
const HASH: usize = 32;

/// The most characters of a value that a message shows.
const SHOWN: usize = 200;

impl Desired {
    /// The values that status must record after a PATCH: those of `recorded` for this generation that the PATCH did not
    /// send, and those of `differences`, which are those of its answer, that it sent.
    pub(super) fn other_values(
        &self,
        recorded: &[OtherValue],
        patched: &Patched,
        differences: &[Difference],
    ) -> Vec<OtherValue> {
        let sent = |field: &str| is_in_patch(field, &patched.sent);
        let generation = self.lifecycle.generation;
        let kept = recorded.iter().filter(|value| value.generation == generation && !sent(&value.field)).cloned();
        let other = differences.iter().filter(|it| sent(it.field)).map(|it| it.other_value(generation));
        let mut values: Vec<_> = kept.chain(other).collect();
        values.sort_by(|one, other| one.field.cmp(&other.field));
        values.dedup_by(|one, other| one.field == other.field);
        values
    }
}

impl Difference {
    /// The record of this difference, if the service keeps its value in this generation of the spec.
    pub(super) fn other_value(&self, generation: i64) -> OtherValue {
        let mut hash = HEXLOWER.encode(&Sha256::digest(canonical(&self.wanted, &self.have).to_string()));
        hash.truncate(HASH);
        OtherValue { field: self.field.to_owned(), generation, hash }
    }

    /// What was sent and what is kept, as messages may show it. `shown` is the configuration in the answer.
    pub(super) fn sentence(&self, shown: &RemoteConfig) -> String {
        let mut sent = self.wanted.clone();
        for_each_text(&mut sent, &mut |text| *text = without_addresses(text));
        let kept = match (self.key, &shown.config) {
            (None, _) => json!(shown.display_name),
            (Some(key), settings) => settings.as_ref().and_then(|it| it.get(key)).cloned().unwrap_or_default(),
        };
        let of = |shown, of_sent| {
            brief(&differing(self.key.unwrap_or_default(), (&self.wanted, &self.have), shown, of_sent))
        };
        format!("{} was sent as {} and is kept as {}", self.field, of(&sent, true), of(&kept, false))
    }
}

/// The part of `have` that counts for the comparison with `wanted`, in one form: lists are sets.
fn canonical(wanted: &Value, have: &Value) -> Value {
    match (wanted, have) {
        (Value::Object(wanted), Value::Object(have)) => {
            let part = |(key, wanted): (&String, &Value)| Some((key.clone(), canonical(wanted, have.get(key)?)));
            Value::Object(wanted.iter().filter_map(part).collect())
        }
        (_, Value::Array(have)) => {
            let mut items: Vec<_> = have.iter().map(Value::to_string).collect();
            items.sort();
            items.dedup();
            json!(items)
        }
        (_, have) => have.clone(),
    }
}

/// The parts of `shown` in which the two values of the setting `key` differ. `shown` has the structure of the value that was
/// sent, or of the one that is kept.
fn differing(key: &str, (wanted, have): (&Value, &Value), shown: &Value, of_sent: bool) -> Value {
    const NULL: &Value = &Value::Null;
    match (wanted, have, shown) {
        (Value::Array(wanted), Value::Array(have), Value::Array(shown)) => {
            let (own, others) = if of_sent { (wanted, have) } else { (have, wanted) };
            let is_same =
                |own: &Value, other: &Value| if of_sent { same(key, own, other) } else { same(key, other, own) };
            let differs = |own: &Value| !others.iter().any(|other| is_same(own, other));
            own.iter().zip(shown).filter(|(own, _)| differs(own)).map(|(_, shown)| shown.clone()).collect()
        }
        (Value::Object(wanted), Value::Object(have), Value::Object(shown)) => {
            let of = |(key, wanted): (&String, &Value)| {
                let (have, shown) = (have.get(key).unwrap_or(NULL), shown.get(key).unwrap_or(NULL));
                let differs = !same(key, wanted, have);
                differs.then(|| (key.clone(), differing(key, (wanted, have), shown, of_sent)))
            };
            Value::Object(wanted.iter().filter_map(of).collect())
        }
        _ => shown.clone(),
    }
}

/// A value in at most [`SHOWN`] characters.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::AuthenticatorConfigStatus;
    use crate::authenticator_config::testing::{desired, remote};

    /// The configuration with these origins.
    fn with(origins: &Value) -> RemoteConfig {
        let mut config = remote();
        config.config.get_or_insert_default().insert("trusted_origins".to_owned(), origins.clone());
        config
    }

    /// The status after a PATCH of `before` that was answered with `answer`.
    fn after_patch(desired: &Desired, before: &RemoteConfig, answer: &RemoteConfig) -> AuthenticatorConfigStatus {
        let mut status = AuthenticatorConfigStatus::default();
        let sent = desired.patch(before, &status).unwrap();
        let patched = Patched { sent, shown: answer.clone() };
        let differences = desired.differences(answer, &[]);
        status.other_values = desired.other_values(&status.other_values, &patched, &differences);
        status
    }

    #[test]
    fn kept_value_is_not_sent_again_in_its_generation() {
        let kept = with(&json!(["https://b.example.com", "https://c.example.com"]));
        let status = after_patch(&desired(), &with(&json!([])), &kept);
        assert_eq!(status.other_values.len(), 1);
        assert_eq!(desired().patch(&kept, &status), None);
        let reordered = with(&json!(["https://c.example.com", "https://b.example.com", "https://b.example.com"]));
        assert_eq!(desired().patch(&reordered, &status), None, "lists are sets");
        for other in [json!([]), json!(null), json!(["https://b.example.com"]), json!(["https://d.example.com"])] {
            assert!(desired().patch(&with(&other), &status).is_some(), "another writer is drift: {other}");
        }
        let mut next = desired();
        next.lifecycle.generation += 1;
        assert!(next.patch(&kept, &status).is_some(), "it is sent once more");
    }

    #[test]
    fn only_what_was_sent_is_recorded() {
        // Another writer renames it between the read and the PATCH.
        let mut answer = with(&json!(["https://b.example.com"]));
        answer.display_name = Some("Another name".to_owned());
        let status = after_patch(&desired(), &with(&json!([])), &answer);
        assert_eq!(
            status.other_values.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(),
            ["config.trustedOrigins"]
        );
        let patch = desired().patch(&answer, &status).unwrap();
        assert_eq!((patch.display_name, patch.config), (Some(desired().display_name), None));
        // What another PATCH of the same generation sends does not replace it.
        let patched = Patched { sent: desired().patch(&answer, &status).unwrap(), shown: answer.clone() };
        let differences = desired().differences(&answer, &[]);
        let values = desired().other_values(&status.other_values, &patched, &differences);
        assert_eq!(values.len(), 2);
    }

    #[test]
    fn missing_name_is_kept_as_well() {
        let adopting = Desired { resource_id: Some(remote().id), ..desired() };
        let nameless = RemoteConfig { display_name: None, ..remote() };
        let status = after_patch(&adopting, &nameless, &nameless);
        assert_eq!(adopting.patch(&nameless, &status), None);
        let renamed = RemoteConfig { display_name: Some("Theirs".to_owned()), ..remote() };
        assert!(adopting.patch(&renamed, &status).is_some());
    }

    #[test]
    fn sentence_shows_both_forms_of_what_differs() {
        let difference = |key, wanted, have| Difference { field: "config.field", key: Some(key), wanted, have };
        let sentence = |difference: &Difference, shown: Value| {
            let settings = json!({difference.key.unwrap(): shown});
            difference.sentence(&RemoteConfig { config: settings.as_object().cloned(), ..remote() })
        };
        let origins = difference(
            "trusted_origins",
            json!(["https://a.example.com", "http://b.example.com"]),
            json!(["https://A.example.com:443", "https://b.example.com"]),
        );
        assert_eq!(
            sentence(&origins, origins.have.clone()),
            "config.field was sent as [\"http://b.example.com\"] and is kept as [\"https://b.example.com\"]"
        );
        let roaming = difference(
            "roaming_auth_config",
            json!({"enabled": true, "allowed_user_ids": ["jane", "joe"]}),
            json!({"enabled": true, "allowed_user_ids": ["jane"], "something_new": 1}),
        );
        assert_eq!(
            sentence(&roaming, roaming.have.clone()),
            "config.field was sent as {\"allowed_user_ids\":[\"joe\"]} and is kept as {\"allowed_user_ids\":[]}"
        );
        let hidden = difference("invoke_url", json!("https://a.example.com/bi?token=a"), json!("x"));
        assert_eq!(
            sentence(&hidden, json!("[redacted]")),
            "config.field was sent as \"https://a.example.com/[redacted]\" and is kept as \"[redacted]\""
        );
        let long = difference("invoke_url", json!("a".repeat(500)), Value::Null);
        assert!(sentence(&long, Value::Null).chars().count() < 300);
        assert!(sentence(&long, Value::Null).ends_with("… and is kept as null"));
    }
}
