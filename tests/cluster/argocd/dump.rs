//! Dumps of objects for the tests of the scripts for Argo CD. What differs from run to run is replaced.
//!
//! `ARGOCD_DUMPS=write` writes the files. Otherwise they must be as this run would write them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use jiff::{SignedDuration, Timestamp};
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Resource};
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// What a dump shows for a time.
const PAST: &str = "2025-12-25T00:00:00Z";
const NOW: &str = "2026-01-01T00:00:00Z";
const FUTURE: &str = "2026-01-08T00:00:00Z";

/// The file of a dump of this kind.
fn file(kind: &str, state: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("argocd/resource_customizations/beyondidentity.dev");
    folder.join(kind).join("testdata").join(state).with_extension("yaml")
}

/// The objects of a kind, with every field.
pub fn api<K: Resource<DynamicType = ()>>(fixture: &Fixture) -> Api<DynamicObject> {
    let (client, resource) = (fixture.client.clone(), ApiResource::erase::<K>(&()));
    if K::kind(&()) == "ClusterProviderConfig" {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, &fixture.namespace, &resource)
    }
}

/// The object of this name as the API server returns it.
pub async fn live<K: Resource<DynamicType = ()>>(fixture: &Fixture, name: &str) -> Value {
    serde_json::to_value(api::<K>(fixture).get(name).await.unwrap()).unwrap()
}

/// Dumps the object of this name in this state.
pub async fn dump<K: Resource<DynamicType = ()>>(fixture: &Fixture, name: &str, state: &str) {
    let object = stable(fixture, live::<K>(fixture, name).await, state);
    let text = serde_saphyr::to_string(&object).unwrap();
    let file = file(&K::kind(&()), state);
    if env::var("ARGOCD_DUMPS").is_ok_and(|value| value == "write") {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        return;
    }
    let before = fs::read_to_string(&file).unwrap_or_default();
    let advice = "run `ARGOCD_DUMPS=write cargo test --test cluster argocd`, and then `cargo gen`";
    assert!(before == text, "{} is stale: {advice}; this run dumps\n{text}", file.display());
}

/// The object with everything replaced that differs from run to run.
fn stable(fixture: &Fixture, mut object: Value, state: &str) -> Value {
    let metadata = &mut object["metadata"];
    metadata.as_object_mut().unwrap().remove("managedFields");
    metadata["uid"] = json!("7be71a92-ebfc-424e-b215-5c1a08780bc1");
    metadata["resourceVersion"] = json!("1000");
    let names = [
        (fixture.realm.url(), "https://api.example.com"),
        (&*fixture.namespace, "identity"),
        (&*fixture.operator_namespace, "beyond-identity-system"),
        (&*fixture.provider, "beyond-identity"),
        (fixture.realm.tenant(), "0001abcd2345ef67"),
        (fixture.realm.realm(), "89abcdef01234567"),
    ];
    let now = object["metadata"]["creationTimestamp"].as_str().unwrap().parse().unwrap();
    let mut replaced = Replaced { names: &names, ids: BTreeMap::new(), now };
    let jobs = fixture.realm.outbox().into_iter().map(|email| email.job_id);
    let configs = fixture.realm.configs().into_iter().map(|config| config.id);
    replaced.ids.extend(jobs.chain(configs).map(|id| (id, String::new())));
    let own = ["/status/send/id", "/status/credentialID"].map(|path| object.pointer(path).and_then(Value::as_str));
    replaced.ids.extend(own.into_iter().flatten().map(|id| (id.to_owned(), String::new())));
    replaced.replace(&mut object);
    if object["metadata"]["name"] != "beyond-identity" {
        object["metadata"]["name"] = json!(state);
    }
    object
}

struct Replaced<'a> {
    names: &'a [(&'a str, &'a str)],
    /// Each id that the service or the operator chose, with what replaces it once it is found.
    ids: BTreeMap<String, String>,
    /// When the object was created.
    now: Timestamp,
}

impl Replaced<'_> {
    fn replace(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|value| self.replace(value)),
            Value::Array(items) => items.iter_mut().for_each(|value| self.replace(value)),
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }

    /// Words are compared as a whole, since the namespace `enrol-1` is a part of `enrol-10`.
    fn text(&mut self, text: &str) -> String {
        let url = self.names[0];
        let text = text.replace(url.0, url.1);
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-:._".contains(c);
        let (mut replaced, mut rest) = (String::new(), text.as_str());
        while let Some(start) = rest.find(is_word) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c| !is_word(c)).unwrap_or(from.len());
            let word = from[..end].trim_end_matches(['.', ':']);
            replaced += before;
            // Punctuation at the end of a word belongs to the sentence.
            let after = if word.is_empty() { &from[..end] } else { "" };
            replaced += &self.word(word);
            replaced += after;
            rest = &from[word.len() + after.len()..];
        }
        replaced + rest
    }

    fn word(&mut self, word: &str) -> String {
        if let Some((_, name)) = self.names.iter().find(|(name, _)| *name == word) {
            return (*name).to_owned();
        }
        if let Ok(time) = word.parse::<Timestamp>() {
            let day = SignedDuration::from_hours(24);
            let past = time < self.now - day;
            return if past {
                PAST
            } else if time > self.now + day {
                FUTURE
            } else {
                NOW
            }
            .to_owned();
        }
        let number = self.ids.values().filter(|id| !id.is_empty()).count();
        match self.ids.get_mut(word) {
            Some(id) if id.is_empty() => {
                *id = if word.len() == 36 {
                    format!("0cd0457e-5322-4c87-852d-4bc6b4d2{number:04}")
                } else {
                    format!("9ca7716e846c{number:04}")
                };
                id.clone()
            }
            Some(id) => id.clone(),
            None => word.to_owned(),
        }
    }
}
