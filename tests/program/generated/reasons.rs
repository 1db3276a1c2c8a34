//! `docs/reasons.md`: every reason, from the registry.

use std::fmt::Write as _;

use beyond_identity_operator::api::reason::{REASONS, Shown};

const INTRODUCTION: &str = "\
# Reasons

Each condition and each event has one of these reasons. The message beside it names the object, the field and the
remedy, as far as they are known. `cargo gen` generates this page from [the registry](../src/api/reason.rs). Do not
edit it.

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
    (Shown::Ready, "`Ready` is True: the API has accepted what the spec requests. Flux reports Current."),
    (
        Shown::InProgress,
        "`Reconciling` is True: work is in progress, or the problem resolves itself. Flux reports InProgress.",
    ),
    (
        Shown::Waiting,
        "`Reconciling` is True for `--grace-period`, and `Stalled` from then on: somebody has to act elsewhere. Flux reports InProgress, then Failed. A settled object keeps its conditions.",
    ),
    (Shown::Stalled, "`Stalled` is True: this object has to be changed. Flux reports Failed."),
    (
        Shown::Deleting,
        "The object is being deleted, and the message of `Ready` says what the deletion waits for. Flux reports Terminating.",
    ),
    (Shown::Beside, "A condition type of this name is True, in addition to the other conditions."),
    (
        Shown::Event,
        "An event has this reason. Each condition reason emits an event too when it begins, except `Sending` and `Creating`.",
    ),
];

/// The page.
pub fn page() -> String {
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
    page
}
