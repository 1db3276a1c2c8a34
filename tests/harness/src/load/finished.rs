//! The memory and the starts of an operator whose requests are all finished: how soon it is ready, and what it takes at a
//! start, at rest, when its watches start anew, and when a standby takes over.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Load, NAMESPACE, TIMEOUT,
    figures::Per,
    processes::{cpu_of, memory_of, pid_of, reset_peak},
    row, stop, wait,
};
use crate::program::Running;

mod seed;

/// The operator has settled when it takes less than this share of a core for as long.
const SETTLED: (f64, Duration) = (0.02, Duration::from_secs(5));

/// The time limit of a start, and of what follows it.
const START: Duration = Duration::from_secs(900);

impl Load {
    /// Creates `count` finished requests and measures. The operator itself finishes the first one, which is then copied.
    pub(super) fn finished(&self, count: usize, rest: Duration, program: &Path) -> anyhow::Result<()> {
        let operator = self.start(program)?;
        self.enrol(None)?;
        self.complete_all()?;
        stop(operator)?;
        let started = Instant::now();
        seed::copies(self.cluster.etcd_url(), count)?;
        row("finished requests stored per second", count as f64 / started.elapsed().as_secs_f64());

        let operator = self.phase("At a start with finished requests", || {
            let started = Instant::now();
            let operator = self.spawn(program, self.home.path())?;
            self.started_since(&operator, started)?;
            settle(self.home.path())?;
            Ok(operator)
        })?;
        print_peak(self.home.path())?;
        self.measure("At rest", Per::Minute, || {
            thread::sleep(rest);
            Ok(())
        })?;
        self.phase("When the watches start anew", || self.watch_anew())?;
        print_peak(self.home.path())?;

        let other = TempDir::new()?;
        let standby = self.spawn(program, other.path())?;
        wait(START, "the standby waits", || Ok(!standby.logged("Caches synced").is_empty()))?;
        settle(other.path())?;
        println!("At the start of a standby:");
        print_peak(other.path())?;
        self.phase("When the standby takes over", || {
            stop(operator)?;
            self.started_since(&standby, Instant::now())?;
            settle(other.path())
        })?;
        print_peak(other.path())?;
        stop(standby)
    }

    /// Prints the calls and writes during `run`.
    fn phase<T>(&self, when: &str, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        println!("{when}:");
        let before = self.counts()?;
        let result = run()?;
        let counts = self.counts()?.since(&before);
        row("API calls", counts.total() as f64);
        row("writes", counts.writes as f64);
        Ok(result)
    }

    /// Waits until the controllers are started, and prints how long that took.
    fn started_since(&self, operator: &Running, started: Instant) -> anyhow::Result<()> {
        wait(START, "the controllers are started", || Ok(!operator.logged("Controllers started").is_empty()))?;
        row("time to ready, s", started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Changes the CustomResourceDefinition, as an upgrade does. The API server then ends the watches and forgets the versions
    /// of the objects before, so each watch lists all objects again.
    fn watch_anew(&self) -> anyhow::Result<()> {
        let lists = || -> anyhow::Result<usize> {
            let is_list =
                |call: &&Value| call["verb"] == "list" && call["objectRef"]["resource"] == "enrollmentrequests";
            Ok(self.cluster.audit_log()?.iter().filter(is_list).count())
        };
        let before = lists()?;
        // A watch that knows the newest version of all objects could continue.
        self.cluster.run_kubectl(["annotate", "namespace", NAMESPACE, "example.com/version=newer"])?;
        let column = json!([{
            "op": "add", "path": "/spec/versions/0/additionalPrinterColumns/-",
            "value": {"name": "Anew", "type": "string", "jsonPath": ".status.state"},
        }]);
        let definition = ["patch", "customresourcedefinition", "enrollmentrequests.beyondidentity.dev"];
        let patch = ["--type", "json", "--patch", &column.to_string()];
        self.cluster.run_kubectl(definition.into_iter().chain(patch))?;
        wait(TIMEOUT.1, "the operator lists all requests again", || Ok(lists()? > before))?;
        settle(self.home.path())
    }
}

/// Waits until the operator has nothing left to do.
fn settle(home: &Path) -> anyhow::Result<()> {
    let (pid, (share, window)) = (pid_of(home)?, SETTLED);
    wait(START, "the operator has settled", || {
        let before = cpu_of(pid)?;
        thread::sleep(window);
        Ok(cpu_of(pid)? - before < share * window.as_secs_f64())
    })
}

/// Prints the memory now, and its peak since the last time.
fn print_peak(home: &Path) -> anyhow::Result<()> {
    let pid = pid_of(home)?;
    row("peak RSS, MB", memory_of(pid, "VmHWM:")?);
    row("RSS after it, MB", memory_of(pid, "VmRSS:")?);
    reset_peak(pid)
}
