//! The client calls exactly the operations of the API contract.

use std::collections::BTreeSet;

use harness::contract::contract;

use crate::beyond_identity::operation::ALL;

#[test]
fn contract_and_client_have_the_same_operations() {
    let ours = ALL.iter().map(|operation| format!("{operation} {}", operation.scope));
    let theirs = contract().operations().iter().map(|operation| {
        // The client writes paths from the last collection on, or from the one before a wildcard, with one placeholder for
        // all ids.
        let segments: Vec<&str> = operation.template.split('/').collect();
        let is_id = |segment: &str| segment.starts_with('{');
        let last = segments.iter().rposition(|segment| !is_id(segment)).unwrap();
        let from = if segments[last - 1] == "-" { last - 2 } else { last };
        let path: Vec<String> = segments[from..].iter().map(|segment| with_plain_id(segment)).collect();
        format!("{} {} {}", operation.method, path.join("/"), operation.scope)
    });
    assert_eq!(theirs.collect::<BTreeSet<_>>(), ours.collect::<BTreeSet<_>>());
    assert_eq!(contract().operations().len(), ALL.len());
}

/// `{any_id}:verb` as `{id}:verb`.
fn with_plain_id(segment: &str) -> String {
    match segment.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((_, behind)) => format!("{{id}}{behind}"),
        None => segment.to_owned(),
    }
}
