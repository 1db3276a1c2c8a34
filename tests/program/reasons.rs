//! `docs/reasons.md`: every reason, as the registry has them; and that each of them is said somewhere.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use beyond_identity_operator::api::Reason;
use beyond_identity_operator::api::reason::{REASONS, Shown};

use crate::page::up_to_date;

const INTRODUCTION: &str = "\
# Reasons of conditions and events

Each condition and each event has one of these reasons. Its message names the object, the field and the remedy, where
they are known. This page is generated from [the registry](../src/api/reason.rs) by
`UPDATE=1 cargo test --test program reasons`.

| Shown as | Meaning |
|---|---|
";

/// In the words of the page.
fn name(shown: Shown) -> &'static str {
    match shown {
        Shown::Ready => "ready",
        Shown::InProgress => "in progress",
        Shown::Waiting => "waiting",
        Shown::Stalled => "stalled",
        Shown::Deleting => "deleting",
        Shown::Beside => "additional",
        Shown::Event => "event",
    }
}

const MEANINGS: [(Shown, &str); 7] = [
    (Shown::Ready, "`Ready` is True: the API has accepted the request. Flux shows Current, Argo CD shows Healthy."),
    (
        Shown::InProgress,
        "`Reconciling` is True: work is in progress, or the problem resolves by itself. Flux shows InProgress, Argo CD shows Progressing.",
    ),
    (
        Shown::Waiting,
        "`Reconciling` is True for `--grace-period`, then `Stalled`: the problem must be fixed in another object or system. Flux shows InProgress, then Failed; Argo CD shows Progressing, then Degraded. An object that has already reached its goal keeps its conditions.",
    ),
    (Shown::Stalled, "`Stalled` is True: this object must be changed. Flux shows Failed, Argo CD shows Degraded."),
    (
        Shown::Deleting,
        "The object is being deleted, and `Ready` names what the deletion waits for. Flux shows Terminating, Argo CD shows Progressing.",
    ),
    (Shown::Beside, "An additional condition of this type, present only while it is True."),
    (
        Shown::Event,
        "An event with this reason. When a reason first appears in a condition, an event reports it too, except for `Sending` and `Creating`.",
    ),
];

#[test]
fn the_page_is_up_to_date() {
    let mut page = INTRODUCTION.to_owned();
    for (shown, meaning) in MEANINGS {
        writeln!(page, "| {} | {meaning} |", name(shown)).unwrap();
    }
    let mut heading = "";
    for entry in REASONS {
        if entry.of != heading {
            heading = entry.of;
            writeln!(page, "\n## {heading}\n\n| Reason | Shown as | Meaning | Remedy |\n|---|---|---|---|").unwrap();
        }
        let shown: Vec<_> = entry.shown.iter().copied().map(name).collect();
        writeln!(page, "| `{}` | {} | {} | {} |", entry.reason, shown.join(", "), entry.meaning, entry.remedy).unwrap();
    }
    up_to_date("docs/reasons.md", &page);
}

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
