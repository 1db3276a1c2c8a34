//! `cargo load`: the cost of many enrolments: while they are sent, at rest, and when the operator restarts.

mod client;
mod clutter;
mod enrol;
mod failures;
mod figures;
mod finished;
mod floor;
mod plot;
mod processes;
mod sweep;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use figures::Per;
use processes::{memory_of, pid_of};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    chart,
    control_plane::ControlPlane,
    program::{self, Running},
    simulator::{RealmHandle, Simulator},
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
    /// Enrol each of these numbers of requests instead, print a table, and write the plot docs/sizing.svg
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    sweep: Vec<usize>,
    /// Do not measure how long the same objects, writes and POSTs take without the operator
    #[arg(long)]
    no_floor: bool,
    /// Use this operator binary instead of a release build
    #[arg(long, value_name = "FILE")]
    operator: Option<PathBuf>,
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
    /// Number of requests that are COMPLETE already, to measure the memory and the starts alone; 0: none
    #[arg(long, default_value_t = 0)]
    finished: usize,
}

/// Runs the whole measurement, with a release build of the operator and the permissions of the chart.
///
/// # Errors
/// If a process does not start, or the operator does not finish the enrolments in time.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = arguments.operator.as_ref().map_or_else(build, |program| Ok(std::path::absolute(program)?))?;
    if !arguments.sweep.is_empty() {
        return sweep::run(&arguments.sweep, &program);
    }
    if arguments.finished > 0 {
        let load = Load::new(1)?;
        load.install()?;
        return load.finished(arguments.finished, Duration::from_secs(arguments.rest), &program);
    }
    println!("{:<44}{:>12}", "EnrollmentRequests", arguments.requests);
    let floor = if arguments.no_floor { None } else { Some(floor::measure(arguments.requests)?) };
    let load = Load::new(arguments.requests)?;
    load.install()?;
    let mut operator = load.start(&program)?;
    load.enrol(floor)?;
    load.complete_half()?;
    load.measure("At rest", Per::Minute, || {
        thread::sleep(Duration::from_secs(arguments.rest));
        Ok(())
    })?;
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
    let (operator, _) = load.measure("At a restart", Per::Minute, || {
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
    /// Declared last, so that nothing calls it any more when it ends.
    _simulator: Simulator,
}

impl Load {
    /// Starts a control plane and a simulator for this many requests.
    fn new(requests: usize) -> anyhow::Result<Self> {
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into())?;
        let realm = simulator.realm("tenant", "realm", "token");
        Ok(Self { cluster: ControlPlane::start()?, realm, requests, home: TempDir::new()?, _simulator: simulator })
    }

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

    /// A token of the operator's ServiceAccount.
    fn operator_token(&self) -> anyhow::Result<String> {
        let token = ["create", "token", RELEASE, "--namespace", OPERATOR_NAMESPACE, "--duration", "24h"];
        self.cluster.run_kubectl(token)
    }

    /// Starts the operator with its defaults, as its ServiceAccount, and waits until its controllers are started.
    fn start(&self, program: &Path) -> anyhow::Result<Running> {
        let operator = self.spawn(program, self.home.path())?;
        wait(TIMEOUT.1, "the controllers are started", || Ok(!operator.logged("Controllers started").is_empty()))?;
        Ok(operator)
    }

    /// Starts the operator with its defaults, as its ServiceAccount, with this home directory.
    fn spawn(&self, program: &Path, home: &Path) -> anyhow::Result<Running> {
        let cluster = &self.cluster;
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "load", "cluster": {
                "server": cluster.server_url(), "certificate-authority": cluster.folder().join("pki/apiserver.crt"),
            }}],
            "users": [{"name": "load", "user": {"token": self.operator_token()?.trim()}}],
            "contexts": [{"name": "load", "context": {"cluster": "load", "user": "load"}}],
            "current-context": "load",
        });
        let file = home.join("kubeconfig");
        fs::write(&file, kubeconfig.to_string())?;
        let arguments = ["run", "--cluster-name", "load", "--operator-namespace", OPERATOR_NAMESPACE, "--leader-elect"];
        let all = [&arguments[..], &["--allow-loopback-endpoints"]].concat();
        let program = program.to_str().context("the path of the program is not valid UTF-8")?;
        let mut command = program::command(program, home, &all);
        command.env("KUBECONFIG", file);
        Ok(Running::start(command, home))
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
