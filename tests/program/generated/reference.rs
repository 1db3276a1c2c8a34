//! `docs/reference.md`: every field of every kind, from the CustomResourceDefinitions.

use std::fmt::Write as _;

use serde_json::Value;

const INTRODUCTION: &str = "\
# Reference

This page lists the fields of each kind of `beyondidentity.dev/v1alpha1`. `cargo gen` generates it from the
CustomResourceDefinitions. Do not edit it.
";

/// The page, from the definitions as YAML.
pub fn page(definitions: &[(String, String)]) -> String {
    let mut page = INTRODUCTION.to_owned();
    for (_, yaml) in definitions {
        page.push_str(&section(&serde_saphyr::from_str(yaml).unwrap()));
    }
    page
}

/// The section of one kind.
fn section(definition: &Value) -> String {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let schema = &spec["versions"][0]["schema"]["openAPIV3Schema"];
    let mut text = String::new();
    let scope = if spec["scope"] == "Cluster" { "cluster-scoped" } else { "namespaced" };
    let short = names["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let short: String = short.map(|name| format!(", short name `{name}`")).collect();
    writeln!(text, "\n## {}\n", names["kind"].as_str().unwrap()).unwrap();
    writeln!(text, "{} It is {scope}{short}.", schema["description"].as_str().unwrap()).unwrap();
    let rules = rules(schema);
    if !rules.is_empty() {
        writeln!(text, "\nValidation rules:\n").unwrap();
        for (path, message) in rules {
            let of = if path.is_empty() { String::new() } else { format!("`{path}`: ") };
            writeln!(text, "- {of}{message}").unwrap();
        }
    }
    for part in ["spec", "status"] {
        if schema["properties"][part]["properties"].is_object() {
            writeln!(text, "\n| `{part}` | Type | Description |\n|---|---|---|").unwrap();
            rows(&mut text, "", &schema["properties"][part]);
        }
    }
    text
}

/// The messages of all validation rules below `schema`, each with its path.
fn rules(schema: &Value) -> Vec<(String, String)> {
    fn walk(schema: &Value, path: &str, found: &mut Vec<(String, String)>) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            found.push((path.to_owned(), rule["message"].as_str().unwrap().to_owned()));
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            walk(field, format!("{path}.{name}").trim_start_matches('.'), found);
        }
        if schema["items"].is_object() {
            walk(&schema["items"], &format!("{path}[]"), found);
        }
    }
    let mut found = Vec::new();
    walk(schema, "", &mut found);
    found
}

/// A row for each field below `schema`.
fn rows(text: &mut String, path: &str, schema: &Value) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().unwrap() {
        let path = format!("{path}.{name}").trim_start_matches('.').to_owned();
        let mut meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        if required.contains(&name.as_str()) {
            meaning.push_str(" **Required.**");
        }
        if let Some(default) = field.get("default").filter(|default| !default.is_object() && !default.is_array()) {
            write!(meaning, " Default: `{}`.", default.to_string().trim_matches('"')).unwrap();
        }
        writeln!(text, "| `{path}` | {} | {meaning} |", type_of(field)).unwrap();
        let inner = if field["items"].is_object() { &field["items"] } else { field };
        if inner["properties"].is_object() && name != "conditions" {
            rows(text, &if field["items"].is_object() { format!("{path}[]") } else { path }, inner);
        }
    }
}

fn type_of(field: &Value) -> String {
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<String> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    match field["type"].as_str().unwrap_or("any") {
        "array" => format!("list of {}", type_of(&field["items"])),
        "string" if field["maxLength"].is_u64() => format!("string, at most {}", field["maxLength"]),
        "integer" if field["minimum"].is_number() => format!("integer, at least {}", field["minimum"]),
        other => other.to_owned(),
    }
}
