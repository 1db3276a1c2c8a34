//! The single validation rules of a schema, and the schema without them.

use serde_json::{Value, json};

/// Keywords that forbid no value.
const NOT_RESTRICTIVE: [&str; 8] = [
    "additionalProperties",
    "default",
    "description",
    "items",
    "properties",
    "title",
    "type",
    "x-kubernetes-list-map-keys",
];

/// One rule of a schema.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The path of the rule's schema: names of properties, `[]` for the items of a list, and `*` for the values of a map.
    pub path: Vec<String>,
    /// The keyword of the schema.
    pub keyword: String,
    /// The value of the keyword. For `required` and `x-kubernetes-validations` it is one item of the list.
    pub value: Value,
}

/// All rules in `schema`. An unknown keyword counts as a rule.
pub fn rules(schema: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    walk(schema, &mut Vec::new(), &mut rules);
    rules
}

fn walk(schema: &Value, path: &mut Vec<String>, rules: &mut Vec<Rule>) {
    for (keyword, value) in schema.as_object().unwrap() {
        let mut add = |value: &Value| {
            rules.push(Rule { path: path.clone(), keyword: keyword.clone(), value: value.clone() });
        };
        match (keyword.as_str(), value) {
            ("format", format) if format == "int64" => {}
            ("x-kubernetes-list-type", list_type) if list_type == "atomic" => {}
            ("required" | "x-kubernetes-validations", Value::Array(values)) => values.iter().for_each(add),
            (keyword, _) if NOT_RESTRICTIVE.contains(&keyword) => {}
            _ => add(value),
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        path.push(name.clone());
        walk(property, path, rules);
        path.pop();
    }
    if let Some(items) = schema.get("items") {
        path.push("[]".to_owned());
        walk(items, path, rules);
        path.pop();
    }
    if let Some(values) = schema.get("additionalProperties") {
        path.push("*".to_owned());
        walk(values, path, rules);
        path.pop();
    }
}

/// The schema with its fields and defaults, but without its rules.
pub fn loosened(mut schema: Value) -> Value {
    let fields = schema.as_object_mut().unwrap();
    fields.retain(|keyword, value| {
        keyword == "x-kubernetes-list-type" || (keyword == "format" && value == "int64") || {
            NOT_RESTRICTIVE.contains(&keyword.as_str()) && keyword != "x-kubernetes-list-map-keys"
        }
    });
    if let Some(list_type) = fields.get_mut("x-kubernetes-list-type") {
        *list_type = json!("atomic");
    }
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.values_mut().for_each(|property| *property = loosened(property.take()));
    }
    if let Some(items) = fields.get_mut("items") {
        *items = loosened(items.take());
    }
    if let Some(values) = fields.get_mut("additionalProperties") {
        *values = loosened(values.take());
    }
    schema
}
