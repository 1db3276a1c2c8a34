//! The registry of reasons: each one that needs a person has a remedy, and the program uses each one.

use std::fs;
use std::path::Path;

use beyond_identity_operator::api::Reason;
use beyond_identity_operator::api::reason::{REASONS, Shown};

#[test]
fn what_only_a_person_can_mend_has_a_remedy() {
    for entry in REASONS {
        let mends_itself =
            entry.shown.iter().all(|shown| matches!(shown, Shown::Ready | Shown::InProgress | Shown::Deleting));
        assert!(mends_itself || !entry.remedy.is_empty(), "{}: what to do?", entry.reason);
        for sentence in [entry.meaning, entry.remedy].into_iter().filter(|sentence| !sentence.is_empty()) {
            assert!(sentence.ends_with('.') && !sentence.contains(['|', '\n']), "{}: {sentence}", entry.reason);
        }
    }
}

#[test]
fn each_reason_is_said_somewhere() {
    let mut program = String::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut program);
    let unsaid: Vec<Reason> = REASONS
        .iter()
        .map(|entry| entry.reason)
        .filter(|reason| {
            let named = format!("Reason::{reason}");
            let ends = |rest: &str| rest.chars().next().is_none_or(|next| !next.is_alphanumeric());
            !program.match_indices(&named).any(|(at, _)| ends(&program[at + named.len()..]))
        })
        .collect();
    assert_eq!(unsaid, [], "nothing in the program says these");
}

/// All files below `folder` but the tests.
fn read(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap();
        if path.is_dir() && name != "tests" {
            read(&path, into);
        } else if path.is_file() && name != "tests" {
            let text = fs::read_to_string(&path).unwrap();
            into.push_str(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
        }
    }
}
