//! `cargo load --sweep 100,1000,10000`: whether the cost grows faster than the number of requests.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{Load, plot, stop};

/// What a number of requests cost: a row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub requests: usize,
    /// Until all emails are sent and recorded, in seconds.
    pub seconds: f64,
    /// Calls to the Beyond Identity API.
    pub calls: usize,
    /// Writes to the Kubernetes API, without events and Leases.
    pub writes: usize,
    /// The peak of the operator's memory, in megabytes.
    pub memory: f64,
}

/// Measures each of these numbers of requests, with a control plane of its own.
pub(super) fn run(counts: &[usize], program: &Path) -> anyhow::Result<()> {
    let costs = counts.iter().map(|requests| measure(*requests, program)).collect::<anyhow::Result<Vec<_>>>()?;
    println!("| Requests | Time, s | Calls | Writes | Peak memory, MB |\n|---|---|---|---|---|");
    for Cost { requests, seconds, calls, writes, memory } in &costs {
        println!("| {requests} | {seconds:.1} | {calls} | {writes} | {memory:.0} |");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sizing.svg");
    fs::write(&file, plot::svg(&costs)).with_context(|| format!("cannot write {}", file.display()))
}

fn measure(requests: usize, program: &Path) -> anyhow::Result<Cost> {
    println!("{:<44}{:>12}", "EnrollmentRequests", requests);
    let load = Load::new(requests)?;
    load.install()?;
    let operator = load.start(program)?;
    let (elapsed, figures) = load.enrol(None)?;
    stop(operator)?;
    let (calls, writes) = (figures.counts.total(), figures.counts.writes);
    Ok(Cost { requests, seconds: elapsed.as_secs_f64(), calls, writes, memory: figures.peak })
}
