//! `docs/reasons.md`: every reason, from the registry.

use std::fmt::Write as _;

use beyond_identity_operator::api::reason::{REASONS, Shown};

const INTRODUCTION: &str = "\
# Reasons

Each condition and each event has one of these reasons. Its message names the object, the field and the
remedy, where they are known. `cargo gen` generates this page from [the registry](../src/api/reason.rs). Do not
edit it.

| Shown as | Meaning |
|---|---|
";

/// The name on the page.
fn name(shown: Shown) -> &'static str {
    match shown {
        Shown::Ready => "ready",
        Shown::InProgress => "in progress",
        Shown::Waiting => "waiting",
        Shown::Stalled => "stalled",
        Shown::Deleting => "deleting",
        Shown::OwnCondition => "additional",
        Shown::Event => "event",
    }
}

const MEANINGS: [(Shown, &str); 7] = [
    (
        Shown::Ready,
        "`Ready` is True: the API has accepted what the spec requests. Flux reports Current, and Argo CD Healthy.",
    ),
    (
        Shown::InProgress,
        "`Reconciling` is True: work is in progress, or the problem resolves itself. Flux reports InProgress, and Argo CD Progressing.",
    ),
    (
        Shown::Waiting,
        "`Reconciling` is True for `--grace-period`, then `Stalled`: the problem must be fixed in another object or system. Flux reports InProgress, then Failed; Argo CD Progressing, then Degraded. An object that has already reached its goal keeps its conditions.",
    ),
    (Shown::Stalled, "`Stalled` is True: this object must be changed. Flux reports Failed, and Argo CD Degraded."),
    (
        Shown::Deleting,
        "The object is being deleted, and `Ready` names what the deletion waits for. Flux reports Terminating, and Argo CD Progressing.",
    ),
    (Shown::OwnCondition, "An additional condition of this type, present only while it is True."),
    (
        Shown::Event,
        "An event with this reason. When a reason first appears in a condition, an event reports it too, except for `Sending` and `Creating`.",
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
            writeln!(page, "\n## {heading}\n\n| Reason | Shown as | Meaning | Remedy |\n|---|---|---|---|").unwrap();
        }
        let shown: Vec<_> = entry.shown.iter().copied().map(name).collect();
        writeln!(page, "| `{}` | {} | {} | {} |", entry.reason, shown.join(", "), entry.meaning, entry.remedy).unwrap();
    }
    page
}
