//! A violation of each rule: an object or a change that violates only that rule, as far as possible.

use serde_json::{Map, Value, json};

use super::rules::Rule;

/// The key of an entry of a map.
pub const KEY: &str = "sample";

/// A violation of a rule.
pub enum Violation {
    /// An object that is valid without the rule.
    Stored(Value),
    /// A change of a valid object that the rule forbids.
    Change(Value),
}

/// A violation of `rule`, which belongs to the kind with this schema and this valid object.
pub fn violation(kind: &str, schema: &Value, valid: &Value, rule: &Rule) -> Violation {
    if rule.keyword == "x-kubernetes-validations" {
        return by_expression(kind, valid, rule);
    }
    let mut object = valid.clone();
    let (value, schema) = reach(&mut object, schema, &rule.path);
    let bound = || usize::try_from(rule.value.as_u64().unwrap()).unwrap();
    match rule.keyword.as_str() {
        "enum" => *value = json!("Unheard-of"),
        "format" => *value = json!("not a time"),
        "maxItems" => *value = (0..=bound()).map(|number| item(schema, number)).collect(),
        "maxProperties" => {
            *value = (0..=bound()).map(|number| (format!("label-{number}"), json!("x"))).collect::<Map<_, _>>().into();
        }
        "maxLength" => *value = json!("x".repeat(bound() + 1)),
        "maximum" => *value = json!(rule.value.as_i64().unwrap() + 1),
        "minLength" => *value = json!("x".repeat(bound() - 1)),
        "minimum" => *value = json!(rule.value.as_i64().unwrap() - 1),
        "pattern" => *value = json!("\n"),
        "required" => _ = value.as_object_mut().unwrap().remove(rule.value.as_str().unwrap()),
        "x-kubernetes-list-type" => *value = json!([item(schema, 0), item(schema, 0)]),
        other => {
            panic!("no violating object is known for {other} at {}: add one here", rule.path.join("."))
        }
    }
    Violation::Stored(object)
}

/// A violation of a CEL rule. These violations cannot be derived from the schema.
fn by_expression(kind: &str, valid: &Value, rule: &Rule) -> Violation {
    let message = rule.value["message"].as_str().unwrap();
    let config = |config: Value| json!({"spec": {"config": config}});
    let methods = json!([{"type": "webauthn_passkey"}]);
    let onboarding = |type_: &str| json!({"verificationMethod": {"type": type_}});
    let stored = |change: Value| {
        let mut object = valid.clone();
        merge(&mut object, change);
        Violation::Stored(object)
    };
    let with_credentials = |credentials: Value| {
        let mut object = valid.clone();
        object["spec"]["credentials"] = credentials;
        Violation::Stored(object)
    };
    let selector = |selector: Value| {
        let mut object = valid.clone();
        object["spec"]["allowedNamespaces"] = json!({"selector": selector});
        Violation::Stored(object)
    };
    let starts = |prefix: &str| message.starts_with(prefix);
    match kind {
        "EnrollmentRequest" if starts("exactly one of id and username must be set") => {
            stored(json!({"spec": {"identity": {"username": "jane"}}}))
        }
        "EnrollmentRequest" if starts("must be an https URI") => {
            stored(json!({"spec": {"postBindingRedirectURI": "http://app.example.com/"}}))
        }
        "EnrollmentRequest" if starts("must not contain a user") => {
            stored(json!({"spec": {"postBindingRedirectURI": "https://a.example@b.example/"}}))
        }
        "EnrollmentRequest" if starts("must not contain control characters") => {
            let mut object = valid.clone();
            object["spec"]["identity"] = json!({"username": "jane\u{200b}"});
            Violation::Stored(object)
        }
        "EnrollmentRequest" if starts("must not begin or end with a blank") => {
            let mut object = valid.clone();
            object["spec"]["identity"] = json!({"username": "jane "});
            Violation::Stored(object)
        }
        "EnrollmentRequest" if starts("identity, authenticatorConfigRef, deliveryMethod and") => {
            Violation::Change(json!({"spec": {"identity": {"id": "joe"}}}))
        }
        "AuthenticatorConfig" if starts("spec.config.type, spec.providerConfigRef and spec.resourceID are") => {
            Violation::Change(json!({"spec": {"providerConfigRef": {"name": "another"}}}))
        }
        "AuthenticatorConfig" if starts("managementPolicy Observe requires resourceID") => {
            stored(json!({"spec": {"managementPolicy": "Observe"}}))
        }
        "AuthenticatorConfig" if starts("config.type embedded requires") => stored(config(json!({"type": "embedded"}))),
        "AuthenticatorConfig" if starts("config.type console requires") => stored(config(json!({"type": "console"}))),
        "AuthenticatorConfig" if starts("must not contain any of") => {
            stored(json!({"spec": {"displayName": "Web (old)"}}))
        }
        "AuthenticatorConfig" if starts("must not contain control characters") => {
            stored(json!({"spec": {"displayName": "Web\u{202e}"}}))
        }
        "AuthenticatorConfig" if starts("authenticationMethods is only allowed") => {
            stored(config(json!({"type": "platform", "authenticationMethods": methods})))
        }
        "AuthenticatorConfig" if starts("trustedOrigins is only allowed") => stored(config(json!({
            "type": "console", "onboardingConfiguration": onboarding("none"), "trustedOrigins": ["https://a.example.com"],
        }))),
        "AuthenticatorConfig" if starts("must not contain an origin") => stored(config(json!({
            "type": "hosted_web", "trustedOrigins": ["https://a.example.com/"],
        }))),
        "AuthenticatorConfig" if starts("must contain only origins") => stored(config(json!({
            "type": "hosted_web", "trustedOrigins": ["https://*.example.com"],
        }))),
        "ClusterProviderConfig" if starts("must not contain an origin") => {
            stored(json!({"spec": {"allowedTrustedOrigins": ["https://a.example.com/"]}}))
        }
        "ClusterProviderConfig" if starts("must contain only origins") => {
            stored(json!({"spec": {"allowedTrustedOrigins": ["https://*.example.com"]}}))
        }
        "AuthenticatorConfig" if starts("must not contain a user") => stored(config(json!({
            "type": "embedded", "invokeURL": "https://a.example@b.example", "trustedOrigins": ["https://a.example.com"],
        }))),
        "AuthenticatorConfig" if starts("must not contain characters that look like") => {
            stored(json!({"spec": {"displayName": "Hosted web \u{ff08}demo\u{ff09}"}}))
        }
        "AuthenticatorConfig" if starts("invokeURL is only allowed") => {
            stored(config(json!({"invokeURL": "https://app.example.com"})))
        }
        "AuthenticatorConfig" if starts("invocationType is only allowed") => {
            stored(config(json!({"invocationType": "automatic"})))
        }
        "AuthenticatorConfig" if starts("onboardingConfiguration is only allowed") => {
            stored(config(json!({"onboardingConfiguration": onboarding("none")})))
        }
        "AuthenticatorConfig" if starts("roamingAuthConfig is only allowed") => {
            stored(config(json!({"roamingAuthConfig": {"enabled": true, "allowUnknownUser": true}})))
        }
        "AuthenticatorConfig" if starts("idpID is required for the type idp") => {
            stored(config(json!({"type": "console", "onboardingConfiguration": onboarding("idp")})))
        }
        "ClusterProviderConfig" if starts("api must be https") => {
            stored(json!({"spec": {"endpoint": {"api": "https://api.example.com/path"}}}))
        }
        "ClusterProviderConfig" if starts("auth must be https") => {
            stored(json!({"spec": {"endpoint": {"auth": "https://auth.example.com/path"}}}))
        }
        "ClusterProviderConfig" if starts("endpoint.auth is required") => {
            let client = json!({"applicationID": "application", "secretRef": {"name": "beyond-identity"}});
            with_credentials(json!({"clientCredentials": client}))
        }
        "ClusterProviderConfig" | "ProviderConfig" if starts("exactly one of apiToken and clientCredentials") => {
            with_credentials(json!({}))
        }
        "ClusterProviderConfig" if starts("exactly one of region and endpoint must be set") => {
            stored(json!({"spec": {"region": "EU"}}))
        }
        "ClusterProviderConfig" if starts("at least one of matchLabels and matchExpressions") => selector(json!({})),
        "ClusterProviderConfig" if starts("the key of a label must have") => {
            selector(json!({"matchLabels": {"": "x"}}))
        }
        "ClusterProviderConfig" if starts("values must be set with the operators In and NotIn") => {
            selector(json!({"matchExpressions": [{"key": "team", "operator": "In"}]}))
        }
        "ClusterProviderConfig" | "ProviderConfig" if starts("tenantID and realmID are immutable") => {
            Violation::Change(json!({"spec": {"realmID": "another"}}))
        }
        _ => panic!("no violating object of {kind} is known for the rule {message:?}: add one here"),
    }
}

/// The value at `path`, and its schema. Missing values on the way are created as valid values.
pub fn reach<'a>(mut value: &'a mut Value, mut schema: &'a Value, path: &[String]) -> (&'a mut Value, &'a Value) {
    if value.is_null() {
        *value = sample(schema);
    }
    for step in path {
        if step == "[]" {
            schema = &schema["items"];
            let items = value.as_array_mut().unwrap();
            if items.is_empty() {
                items.push(sample(schema));
            }
            value = &mut items[0];
        } else if step == "*" {
            schema = &schema["additionalProperties"];
            value = &mut value[KEY];
            *value = sample(schema);
        } else {
            schema = &schema["properties"][step];
            value = &mut value[step];
            if value.is_null() {
                *value = sample(schema);
            }
        }
    }
    (value, schema)
}

/// A valid value of a schema, with its required fields only.
fn sample(schema: &Value) -> Value {
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    match schema["type"].as_str().unwrap() {
        "string" if schema["format"] == "date-time" => json!("2026-01-01T00:00:00Z"),
        "string" if schema.get("pattern").is_some() => json!("sample"),
        "string" => json!("https://sample.example.com/"),
        "integer" => json!(schema["minimum"].as_i64().unwrap_or_default().max(1)),
        "boolean" => json!(true),
        "array" => json!([]),
        "object" => {
            let required = schema["required"].as_array().into_iter().flatten();
            let names = required.map(|name| name.as_str().unwrap());
            names.map(|name| (name.to_owned(), sample(&schema["properties"][name]))).collect()
        }
        other => panic!("no value is known for the type {other}"),
    }
}

/// An item of a list, which differs from all other items if the list is a set or a map.
fn item(list: &Value, number: usize) -> Value {
    let mut item = sample(&list["items"]);
    let own = json!(format!("item-{number}"));
    match list["x-kubernetes-list-map-keys"].as_array() {
        Some(keys) => keys.iter().for_each(|key| item[key.as_str().unwrap()] = own.clone()),
        None if item.is_object() => {}
        None => item = own,
    }
    item
}

/// Merges `change` into `value`, as the API server merges a patch.
pub fn merge(value: &mut Value, change: Value) {
    match change {
        Value::Object(fields) => fields.into_iter().for_each(|(name, change)| merge(&mut value[name], change)),
        change => *value = change,
    }
}
