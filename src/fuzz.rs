//! What the fuzz targets share: hostile inputs, and a runner. The targets are the modules named `fuzz` of the tests, so
//! `cargo test --lib fuzz` runs them all, and `PROPTEST_CASES` says how many inputs each gets.

use std::cell::Cell;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest::{collection, option, sample};
use serde_json::{Value, json};

/// Runs `check` on inputs of a strategy: the same few each time, or as many new ones as `PROPTEST_CASES` says. A failure
/// panics with the smallest failing input.
pub(crate) fn run<S: Strategy>(target: &str, inputs: &S, check: impl Fn(S::Value)) {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.rng_seed = RngSeed::Fixed(1);
    }
    let (started, executions) = (Instant::now(), Cell::new(0_u64));
    let outcome = TestRunner::new(config).run(inputs, |input| {
        executions.set(executions.get() + 1);
        check(input);
        Ok(())
    });
    println!("{target}: {} executions in {:?}", executions.get(), started.elapsed());
    if let Err(failure) = outcome {
        panic!("{target}: {failure}");
    }
}

/// A text: short or long, of any characters, or one that a parser may stumble over.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let any = |most| collection::vec(any::<char>(), 0..most).prop_map(String::from_iter);
    prop_oneof![
        4 => any(8),
        2 => "[ -~]{0,24}",
        2 => sample::select(vec![
            "", "-", ".", "..", "/", "%2f", "a/b?c#d", "LINK_SENT", "COMPLETE", "EXPIRED", "EMAIL", "hosted_web", "job",
            "2026-01-01T12:00:02Z", "-9999-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "+275760-09-13T00:00:00.1Z",
            "Hosted web (demo abcdefghijkl)", "(((((", "\u{202e}\u{200b}\0\n", "\u{1f9d1}\u{200d}", "jane@example.com",
        ]).prop_map(str::to_owned),
        1 => (any(3), 0_usize..3_000).prop_map(|(text, times)| text.repeat(times)),
    ]
}

/// A JSON value.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => text().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => sample::select(vec![json!(u64::MAX), json!(1e308), json!(-0.0), json!(1.5), json!([]), json!({})]),
        1 => (text(), text()).prop_map(|(one, other)| json!([one, {"id": other, "a": [other]}])),
    ]
}

/// One of these values, with some of its parts replaced by any value.
pub(crate) fn mutated(valid: Vec<Value>) -> impl Strategy<Value = Value> {
    let changes = collection::vec((any::<sample::Index>(), value()), 0..4);
    (sample::select(valid), changes).prop_map(|(mut mutated, changes)| {
        for (index, value) in changes {
            let mut paths = vec![String::new()];
            paths_of(&mutated, "", &mut paths);
            if let Some(part) = mutated.pointer_mut(&paths[index.index(paths.len())]) {
                *part = value;
            }
        }
        mutated
    })
}

/// The JSON pointers of all parts.
fn paths_of(value: &Value, path: &str, paths: &mut Vec<String>) {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, part) in parts {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        paths.push(path.clone());
        paths_of(part, &path, paths);
    }
}

/// The bytes with some of them replaced, and perhaps cut.
pub(crate) fn damaged(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = collection::vec((any::<sample::Index>(), any::<u8>()), 0..3);
    (bytes, changes, option::weighted(0.1, any::<sample::Index>())).prop_map(|(mut bytes, changes, cut)| {
        for (index, byte) in changes {
            if !bytes.is_empty() {
                let place = index.index(bytes.len());
                bytes[place] = byte;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        bytes
    })
}

/// A body: any bytes, JSON that nests or repeats without end, or one of these values in some other form.
pub(crate) fn body(valid: Vec<Value>) -> impl Strategy<Value = Vec<u8>> {
    let json = mutated(valid).prop_map(|value| value.to_string().into_bytes());
    let nested = |open: &str, times: usize| open.repeat(times).into_bytes();
    prop_oneof![
        6 => json,
        2 => collection::vec(any::<u8>(), 0..256),
        1 => (sample::select(vec!["[", "{\"a\":", "[{\"id\":[", "{\"id\":\"1\",", "9", "\"\\ud800", " "]), 0_usize..2_000)
            .prop_map(move |(open, times)| nested(open, times)),
    ]
    .boxed()
    .prop_flat_map(|bytes| prop_oneof![2 => Just(bytes.clone()), 1 => damaged(Just(bytes))])
}
