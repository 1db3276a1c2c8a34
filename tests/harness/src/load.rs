//! `cargo load`: the cost of many enrolments: while they are sent, at rest, and when the operator restarts.

mod clutter;
mod failures;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    chart,
    control_plane::ControlPlane,
    program::{self, Running},
    simulator::{Identity, Operation, RealmHandle, Simulator},
};

const NAMESPACE: &str = "identity";
const RELEASE: &str = "beyond-identity-operator";
const OPERATOR_NAMESPACE: &str = "beyond-identity-system";
const CONFIG: &str = "hosted-web";

/// The time limit for each enrolment, and for everything else.
const TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// Calls and writes of the operator within this time after its start belong to the restart.
const START: Duration = Duration::from_secs(30);

/// Measures the API calls, writes, CPU and memory of the operator under load, at rest, and at a restart.
#[derive(Debug, clap::Parser)]
#[command(name = "load", bin_name = "cargo load")]
pub struct Arguments {
    /// Number of EnrollmentRequests: half of them reach LINK_SENT, half COMPLETE
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    /// Duration of the measurement at rest, in seconds
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// Duration of the measurement with a revoked token, in seconds; 0: none
    #[arg(long, default_value_t = 0)]
    revoked: u64,
    /// Duration of the measurement in an outage of the service, in seconds; 0: none
    #[arg(long, default_value_t = 0)]
    outage: u64,
    /// Number of EnrollmentRequests with large annotations in a namespace that is not allowed; 0: none
    #[arg(long, default_value_t = 0)]
    clutter: usize,
}

/// Runs the whole measurement, with a release build of the operator and the permissions of the chart.
///
/// # Errors
/// If a process does not start, or the operator does not finish the enrolments in time.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = build()?;
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into())?;
    let realm = simulator.realm("tenant", "realm", "token");
    let load = Load { cluster: ControlPlane::start()?, realm, requests: arguments.requests, home: TempDir::new()? };
    load.install()?;
    println!("{:<44}{:>12}", "EnrollmentRequests", arguments.requests);
    let mut operator = load.start(&program)?;
    load.enrol()?;
    load.rest(Duration::from_secs(arguments.rest))?;
    if arguments.revoked > 0 {
        load.revoke_token(Duration::from_secs(arguments.revoked))?;
    }
    if arguments.outage > 0 {
        load.fail(Duration::from_secs(arguments.outage))?;
    }
    if arguments.clutter > 0 {
        operator = load.clutter(arguments.clutter, &program, operator)?;
    }
    stop(operator)?;
    let operator = load.measure("At a restart", || {
        let started = Instant::now();
        let operator = load.start(&program)?;
        row("time to ready, s", started.elapsed().as_secs_f64());
        thread::sleep(START.saturating_sub(started.elapsed()));
        Ok(operator)
    })?;
    stop(operator)
}

/// Stops the operator. Fails if its exit code is not 0.
fn stop(operator: Running) -> anyhow::Result<()> {
    let (status, log) = operator.stop();
    ensure!(status.success(), "the operator exited with {status}:\n{log}");
    Ok(())
}

struct Load {
    cluster: ControlPlane,
    realm: RealmHandle,
    requests: usize,
    home: TempDir,
}

/// The calls and writes so far.
struct Counts {
    calls: usize,
    complete: usize,
    writes: usize,
    leases: usize,
}

impl Load {
    /// Installs the chart, whose pods do not run here, and the Secret and provider config of an installation.
    fn install(&self) -> anyhow::Result<()> {
        let Self { cluster, realm, .. } = self;
        crate::demo::install(cluster)?;
        for namespace in [OPERATOR_NAMESPACE, NAMESPACE] {
            cluster.run_kubectl(["create", "namespace", namespace])?;
        }
        let values = json!({ "clusterName": "load", "crds": { "install": false } });
        self.apply(&chart::render(RELEASE, OPERATOR_NAMESPACE, &values)?)?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": {"token": "token"},
            "metadata": {"name": "beyond-identity", "namespace": OPERATOR_NAMESPACE},
        });
        let provider = json!({
            "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "ClusterProviderConfig", "metadata": {"name": "default"},
            "spec": {
                "tenantID": realm.tenant(), "realmID": realm.realm(), "endpoint": {"api": realm.url()},
                "credentials": {"apiToken": {"secretRef": {"name": "beyond-identity", "key": "token"}}},
                "allowedNamespaces": {"names": [NAMESPACE]},
            },
        });
        self.apply(&secret.to_string())?;
        self.apply(&provider.to_string())?;
        // Shortly after its installation, a CustomResourceDefinition answers 429. The retries must not count.
        let watch = "/apis/beyondidentity.dev/v1alpha1/enrollmentrequests?watch=true&timeoutSeconds=1";
        wait(TIMEOUT.1, "the API server can watch EnrollmentRequests", || {
            Ok(cluster.run_kubectl(["get", "--raw", watch]).is_ok())
        })
    }

    fn apply(&self, objects: &str) -> anyhow::Result<()> {
        self.cluster.apply(objects).map(drop)
    }

    /// Starts the operator with its defaults, as its ServiceAccount, and waits until its controllers are started.
    fn start(&self, program: &Path) -> anyhow::Result<Running> {
        let Self { cluster, home, .. } = self;
        let token = ["create", "token", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--duration", "24h"];
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "load", "cluster": {
                "server": cluster.server_url(), "certificate-authority": cluster.folder().join("pki/apiserver.crt"),
            }}],
            "users": [{"name": "load", "user": {"token": cluster.run_kubectl(token)?.trim()}}],
            "contexts": [{"name": "load", "context": {"cluster": "load", "user": "load"}}],
            "current-context": "load",
        });
        let file = home.path().join("kubeconfig");
        fs::write(&file, kubeconfig.to_string())?;
        let arguments = ["run", "--cluster-name", "load", "--operator-namespace", OPERATOR_NAMESPACE, "--leader-elect"];
        let all = [&arguments[..], &["--allow-loopback-endpoints"]].concat();
        let program = program.to_str().context("the path of the program is not valid UTF-8")?;
        let mut command = program::command(program, home.path(), &all);
        command.env("KUBECONFIG", file);
        let operator = Running::start(command, home.path());
        wait(TIMEOUT.1, "the controllers are started", || Ok(!operator.logged("Controllers started").is_empty()))?;
        Ok(operator)
    }

    /// Creates all objects, waits until all emails are sent, and completes half of the jobs.
    fn enrol(&self) -> anyhow::Result<()> {
        let names: Vec<String> = (0..self.requests).map(|number| format!("person-{number}")).collect();
        for name in &names {
            self.realm.add_identity(Identity::active(name, &format!("{name}@example.com")));
        }
        let meta = |name: &str| json!({"name": name, "namespace": NAMESPACE});
        let mut objects = vec![json!({
            "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "AuthenticatorConfig", "metadata": meta(CONFIG),
            "spec": {"config": {"type": "hosted_web"}},
        })];
        objects.extend(names.iter().map(|name| {
            json!({
                "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "EnrollmentRequest", "metadata": meta(name),
                "spec": {"authenticatorConfigRef": {"name": CONFIG}, "identity": {"id": name}},
            })
        }));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let timeout = TIMEOUT.0.saturating_mul(u32::try_from(self.requests)?) + TIMEOUT.1;
        let started = (Instant::now(), self.counts()?);
        self.cluster.run_kubectl_with(&list.to_string(), ["create", "--filename", "-"])?;
        wait(timeout, "all emails are sent", || Ok(self.in_state("LINK_SENT")? == self.requests))?;
        let (elapsed, counts) = (started.0.elapsed(), self.counts()?);
        let each = |count: usize| count as f64 / self.requests.max(1) as f64;
        row("time until all emails are sent, s", elapsed.as_secs_f64());
        row("API calls per request", each(counts.calls - started.1.calls));
        row("writes per request", each(counts.writes - started.1.writes));
        ensure!(
            self.realm.outbox().len() == self.requests,
            "{} emails were sent, expected one per request",
            self.realm.outbox().len()
        );
        let complete: Vec<String> = self.realm.jobs().into_iter().map(|job| job.id).step_by(2).collect();
        for job in &complete {
            self.realm.set_job_state(job, "COMPLETE");
        }
        wait(timeout, "half of them are COMPLETE", || Ok(self.in_state("COMPLETE")? == complete.len()))
    }

    /// The number of requests with this state in their status.
    fn in_state(&self, state: &str) -> anyhow::Result<usize> {
        let path = "jsonpath={range .items[*]}{.status.state}{\"\\n\"}{end}";
        let get = ["get", "enrollmentrequests", "--namespace", NAMESPACE, "--output", path];
        Ok(self.cluster.run_kubectl(get)?.lines().filter(|line| *line == state).count())
    }

    fn rest(&self, window: Duration) -> anyhow::Result<()> {
        let pid = pid_of(self.home.path())?;
        let cpu = cpu_of(pid)?;
        self.measure("At rest", || {
            thread::sleep(window);
            Ok(())
        })?;
        row("CPU, % of a core", (cpu_of(pid)? - cpu) * 100.0 / window.as_secs_f64());
        row("RSS, MB", memory_of(pid, "VmRSS:")?);
        Ok(())
    }

    /// Prints the calls and writes during `run`.
    fn measure<T>(&self, when: &str, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        println!("{when}:");
        let (started, before) = (Instant::now(), self.counts()?);
        let result = run()?;
        let after = self.counts()?;
        let minute = |count: usize| count as f64 * 60.0 / started.elapsed().as_secs_f64();
        row("API calls per minute", minute(after.calls - before.calls));
        row("API calls per minute for COMPLETE jobs", minute(after.complete - before.complete));
        row("writes", (after.writes - before.writes) as f64);
        row("Lease writes per minute", minute(after.leases - before.leases));
        Ok(result)
    }

    fn counts(&self) -> anyhow::Result<Counts> {
        let complete: Vec<String> = self
            .realm
            .jobs()
            .into_iter()
            .filter(|job| job.state.as_deref() == Some("COMPLETE"))
            .map(|job| job.id)
            .collect();
        let about_complete = |path: &str| complete.iter().any(|id| path.ends_with(id.as_str()));
        let reads = self.realm.requests_of(Operation::GetJob);
        let log = self.cluster.audit_log()?;
        let writes = log.iter().filter(|call| {
            matches!(call["verb"].as_str(), Some("create" | "update" | "patch" | "delete"))
                && call["objectRef"]["resource"] != "events"
        });
        let (leases, writes): (Vec<&Value>, Vec<&Value>) =
            writes.partition(|call| call["objectRef"]["resource"] == "leases");
        Ok(Counts {
            calls: self.realm.all_requests().len(),
            complete: reads.iter().filter(|call| about_complete(&call.path)).count(),
            writes: writes.len(),
            leases: leases.len(),
        })
    }
}

/// Builds the operator in the release profile.
fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    crate::demo::build(Command::new(cargo).arg("build").arg("--release"))
}

fn row(what: &str, value: f64) {
    println!("  {what:<42}{value:>12.2}");
}

fn wait(timeout: Duration, what: &str, holds: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !holds()? {
        if started.elapsed() > timeout {
            bail!("timed out waiting until {what}");
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// The id of the operator's process. `Leashed` knows only the id of its shell, so this searches by the home directory.
fn pid_of(home: &Path) -> anyhow::Result<u32> {
    let wanted = format!("HOME={}", home.display());
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has_home = environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes());
        if has_home && comm.starts_with("beyond-identity") {
            return Ok(pid);
        }
    }
    bail!("cannot find the process of the operator")
}

/// The CPU time of a process, in seconds.
fn cpu_of(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the process may contain brackets, so the fields begin after the last closing one.
    let (_, fields) = stat.rsplit_once(") ").context("unexpected format of /proc/PID/stat")?;
    let ticks = |index: usize| fields.split(' ').nth(index).and_then(|field| field.parse::<f64>().ok());
    // Linux reports hundredths of a second, independent of the kernel's timer frequency.
    Ok((ticks(11).unwrap_or_default() + ticks(12).unwrap_or_default()) / 100.0)
}

/// A figure about the memory of a process, such as `VmRSS:`, in megabytes.
fn memory_of(pid: u32, figure: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix(figure)).context("no such figure in /proc/PID/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1000.0)
}
