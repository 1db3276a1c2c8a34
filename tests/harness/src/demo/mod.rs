//! The demo: applies the examples on a real API server, prints each status change, and checks the email.

mod arguments;
mod operator;
mod service;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::{Value, json};

pub use arguments::{Arguments, ServiceArguments};
use operator::Operator;
pub(crate) use operator::build;
use service::Service;
use watch::{Phase, Watch};

use crate::control_plane::ControlPlane;

/// The namespace of the operator's Secrets.
const OPERATOR_NAMESPACE: &str = "beyond-identity-system";

/// The namespace of the objects of the examples.
const NAMESPACE: &str = "identity";

/// The time limit for the whole enrolment.
const TIMEOUT: Duration = Duration::from_secs(60);

const CONFIG: &str = "authenticatorconfig/hosted-web";
const REQUEST: &str = "enrollmentrequest/jane";

/// Runs the demo and checks its outcome.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { stay, operator: program, service } = arguments;
    let started = Instant::now();
    let service = match service {
        Some(service) => Service::real(service)?,
        None => Service::simulated()?,
    };
    let program = match program {
        Some(program) => std::path::absolute(program)?,
        None => {
            log_progress(started, "Building the operator");
            operator::build(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).arg("build"))?
        }
    };
    log_progress(started, "Starting a Kubernetes API server");
    let control_plane = ControlPlane::start()?;
    log_progress(started, "Installing the CustomResourceDefinitions");
    install(&control_plane)?;
    log_progress(started, "Starting the operator");
    let operator = Operator::start(&program, &control_plane, service.realm().is_some())?;
    let log = operator.log().to_owned();
    Demo { started, service, control_plane: &control_plane }
        .run(operator, stay)
        .map_err(|error| anyhow!("{error:#}\n{}", operator::last_lines(&log)))
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Prints a line of progress.
fn log_progress(started: Instant, line: impl fmt::Display) {
    println!("[{:5.1} s] {line}", started.elapsed().as_secs_f64());
}

/// Installs the CustomResourceDefinitions, and waits until they are established.
pub(crate) fn install(control_plane: &ControlPlane) -> anyhow::Result<()> {
    let folder = root().join("crds");
    let folder = folder.to_string_lossy();
    control_plane.run_kubectl(["apply", "--server-side", "--filename", &folder])?;
    control_plane.run_kubectl(["wait", "--for", "condition=Established", "--timeout", "30s", "--filename", &folder])?;
    Ok(())
}

struct Demo<'a> {
    started: Instant,
    service: Service,
    control_plane: &'a ControlPlane,
}

impl Demo<'_> {
    fn run(self, mut operator: Operator, stay: bool) -> anyhow::Result<()> {
        let watch = Watch::start(self.control_plane, &["authenticatorconfigs", "enrollmentrequests"])?;
        self.apply()?;
        self.follow(&watch, &mut operator)?;
        drop(watch);
        self.show()?;
        let outcome = self.check()?;
        if stay {
            self.stay(&mut operator)?;
        }
        log_progress(self.started, "Stopping the operator");
        operator.stop()?;
        if !stay {
            self.check_outbox(&outcome.job)?;
        }
        println!("\nSuccess: {outcome}");
        Ok(())
    }

    /// Applies what a user applies: namespaces, a Secret, and the three examples.
    fn apply(&self) -> anyhow::Result<()> {
        for namespace in [OPERATOR_NAMESPACE, NAMESPACE] {
            self.control_plane.run_kubectl(["create", "namespace", namespace])?;
        }
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "beyond-identity", "namespace": OPERATOR_NAMESPACE},
            "stringData": {"token": self.service.token},
        });
        // Created instead of applied: `apply` would keep a copy of the token in an annotation.
        self.control_plane.run_kubectl_with(&secret.to_string(), ["create", "--filename", "-"])?;
        self.apply_example("provider", &self.service.provider)?;
        self.apply_example("authenticator-config", &json!({}))?;
        self.apply_example("enrollment-request", &json!({"spec": {"identity": {"id": self.service.identity}}}))
    }

    /// Applies a file of `examples/` with a merge patch.
    fn apply_example(&self, name: &str, patch: &Value) -> anyhow::Result<()> {
        log_progress(self.started, format_args!("Applying examples/{name}.yaml"));
        let file = root().join(format!("examples/{name}.yaml"));
        let (file, patch) = (file.to_string_lossy(), patch.to_string());
        let patched = self.control_plane.run_kubectl([
            "patch",
            "--local",
            "--filename",
            &file,
            "--type",
            "merge",
            "--patch",
            &patch,
            "--output",
            "json",
        ])?;
        self.control_plane.run_kubectl_with(&patched, ["apply", "--filename", "-"])?;
        Ok(())
    }

    /// Prints each phase until the configuration and the request are complete.
    fn follow(&self, watch: &Watch, operator: &mut Operator) -> anyhow::Result<()> {
        let mut last = BTreeMap::from([CONFIG, REQUEST].map(|name| (name.to_owned(), String::new())));
        let mut done = BTreeSet::new();
        let deadline = Instant::now() + TIMEOUT;
        while !(done.contains(CONFIG) && done.contains(REQUEST)) {
            operator.check()?;
            if Instant::now() > deadline {
                let last: Vec<String> = last.iter().map(|(name, text)| format!("{name} is {text}")).collect();
                bail!("timed out after {} s: {}", TIMEOUT.as_secs(), last.join("; "));
            }
            let object = match watch.changes.recv_timeout(Duration::from_millis(200)) {
                Ok(object) => object,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => bail!("kubectl get --watch ended unexpectedly"),
            };
            let phase = Phase::of(&object);
            let (name, text) = (phase.name(), phase.text());
            let Some(last) = last.get_mut(&name) else { continue };
            if *last != text {
                log_progress(self.started, format_args!("{name}: {text}"));
                last.clone_from(&text);
            }
            ensure!(!phase.is_stalled(), "{name} is stalled: {text}");
            let fields: &[&str] = if name == REQUEST { &["jobID", "state", "expireTime"] } else { &[] };
            if phase.is_complete(fields) {
                done.insert(name);
            } else {
                done.remove(&name);
            }
        }
        Ok(())
    }

    /// Prints the objects and the emails.
    fn show(&self) -> anyhow::Result<()> {
        let command = ["get", "authenticatorconfigs,enrollmentrequests", "--namespace", NAMESPACE];
        println!("\n$ kubectl {}\n{}", command.join(" "), self.control_plane.run_kubectl(command)?);
        if let Some(realm) = self.service.realm() {
            println!("Emails sent by the simulator:");
            for email in realm.outbox() {
                println!("  to {}: identity {}, job {}", email.address, email.identity_id, email.job_id);
            }
            println!();
        }
        Ok(())
    }

    /// Compares the status of the request with the job and the email.
    fn check(&self) -> anyhow::Result<Outcome> {
        let request = self.control_plane.run_kubectl(["get", REQUEST, "--namespace", NAMESPACE, "--output", "json"])?;
        let request: Value = serde_json::from_str(&request)?;
        let field = |name: &str| {
            let value = Phase::of(&request).field(name).map(str::to_owned);
            value.with_context(|| format!("{REQUEST} has no {name} in its status"))
        };
        let outcome = Outcome { job: field("jobID")?, state: field("state")?, expires: field("expireTime")? };
        self.check_outbox(&outcome.job)?;
        if let Some(realm) = self.service.realm() {
            let job = realm.job(&outcome.job).context("the simulator does not have the job")?;
            let (state, expires) = (job.state.unwrap_or_default(), job.expire_time.unwrap_or_default());
            ensure!(outcome.state == "LINK_SENT", "status.state is {}, expected LINK_SENT", outcome.state);
            ensure!(outcome.state == state, "status.state is {}, but the API returns {state}", outcome.state);
            ensure!(
                outcome.expires == expires,
                "status.expireTime is {}, but the API returns {expires}",
                outcome.expires
            );
        }
        Ok(outcome)
    }

    /// Checks that one email was sent, for this job. The real API does not show the emails that it sent.
    fn check_outbox(&self, job: &str) -> anyhow::Result<()> {
        let Some(realm) = self.service.realm() else { return Ok(()) };
        let outbox = realm.outbox();
        let [email] = outbox.as_slice() else { bail!("{} emails were sent, expected 1", outbox.len()) };
        ensure!(email.job_id == job, "the email belongs to job {}, but status.jobID is {job}", email.job_id);
        ensure!(
            email.identity_id == self.service.identity,
            "the email was sent to identity {}, expected {}",
            email.identity_id,
            self.service.identity
        );
        Ok(())
    }

    /// Keeps everything running until Ctrl-C.
    fn stay(&self, operator: &mut Operator) -> anyhow::Result<()> {
        let (sender, interrupted) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            // An error means that the signal cannot be handled. It also ends the wait.
            let _ = sender.send(runtime.block_on(tokio::signal::ctrl_c()));
        });
        println!("Everything keeps running until Ctrl-C. Operator log: {}", operator.log().display());
        if let Some(folder) = Path::new(self.control_plane.kubectl([""; 0]).get_program()).parent() {
            println!("export PATH=\"{}:$PATH\"", folder.display());
        }
        println!("export KUBECONFIG={}", self.control_plane.kubeconfig().display());
        while let Err(RecvTimeoutError::Timeout) = interrupted.recv_timeout(Duration::from_millis(200)) {
            operator.check()?;
        }
        println!();
        Ok(())
    }
}

/// The enrolment, by the status of the request.
struct Outcome {
    job: String,
    state: String,
    expires: String,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, state, expires } = self;
        write!(f, "job {job} is {state} and expires at {expires}.")
    }
}
