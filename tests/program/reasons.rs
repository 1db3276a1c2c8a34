//! `docs/reasons.md`: every reason, as the registry has them; and that each of them is said somewhere.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use beyond_identity_operator::api::Reason;
use beyond_identity_operator::api::reason::{REASONS, Shown};

use crate::page::up_to_date;

const INTRODUCTION: &str = "\
# What can be said of an object, and what to do

Each condition has one of these reasons, and so has each event. The message beside it names the object, the field and
the remedy, as far as they are known. This page is made of [the registry](../src/api/reason.rs), with
`UPDATE=1 cargo test --test program reasons`.

| How it shows | What it means |
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
        Shown::Beside => "beside",
        Shown::Event => "event",
    }
}

const MEANINGS: [(Shown, &str); 7] = [
    (Shown::Ready, "`Ready` is True: the API has accepted what was asked for. Flux says Current, Argo CD Healthy."),
    (Shown::InProgress, "`Reconciling` is True: under way, or it comes right by itself. InProgress; Progressing."),
    (
        Shown::Waiting,
        "`Reconciling` is True for `--grace-period`, then `Stalled`: it comes right when somebody acts elsewhere. InProgress, then Failed; Progressing, then Degraded. What is settled keeps what it said.",
    ),
    (Shown::Stalled, "`Stalled` is True: it takes a change of this object. Failed; Degraded."),
    (Shown::Deleting, "The object is being deleted, and `Ready` says what that waits for. Terminating; Progressing."),
    (Shown::Beside, "A condition type of this name, beside the others, for as long as it is so."),
    (
        Shown::Event,
        "An event of this reason. What shows as a condition is told by an event, too, when it begins, save `Sending` and `Creating`.",
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
            writeln!(
                page,
                "\n## {heading}\n\n| Reason | How it shows | What it means | What to do |\n|---|---|---|---|"
            )
            .unwrap();
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
