//! The registry of reasons: each reason that needs manual action has a remedy, and the program uses each reason.

use std::fs;
use std::path::Path;

use beyond_identity_operator::api::Reason;
use beyond_identity_operator::api::reason::{REASONS, Shown};

#[test]
fn reasons_that_need_manual_action_have_a_remedy() {
    for entry in REASONS {
        let resolves_itself =
            entry.shown.iter().all(|shown| matches!(shown, Shown::Ready | Shown::InProgress | Shown::Deleting));
        assert!(resolves_itself || !entry.remedy.is_empty(), "{} has no remedy", entry.reason);
        for sentence in [entry.meaning, entry.remedy].into_iter().filter(|sentence| !sentence.is_empty()) {
            assert!(sentence.ends_with('.') && !sentence.contains(['|', '\n']), "{}: {sentence}", entry.reason);
        }
    }
}

#[test]
fn each_reason_is_used_by_the_program() {
    let mut program = String::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut program);
    let unused: Vec<Reason> = REASONS
        .iter()
        .map(|entry| entry.reason)
        .filter(|reason| {
            let named = format!("Reason::{reason}");
            let ends = |rest: &str| rest.chars().next().is_none_or(|next| !next.is_alphanumeric());
            !program.match_indices(&named).any(|(at, _)| ends(&program[at + named.len()..]))
        })
        .collect();
    assert_eq!(unused, [], "the program does not use these reasons");
}

/// Appends all files below `folder`, except tests.
fn read(folder: &Path, content: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap();
        if path.is_dir() && name != "tests" {
            read(&path, content);
        } else if path.is_file() && name != "tests" {
            let text = fs::read_to_string(&path).unwrap();
            content.push_str(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
        }
    }
}
