//! Builds the programs with Go, once for each set of pinned versions, into a cache that all checkouts share.

use std::{
    env,
    fs::{self, File, TryLockError},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use sha2::{Digest as _, Sha256};

use super::{
    log_progress,
    tools::{TAGS, Tool},
};
use crate::process::output_of;

/// The interval of progress messages during a long build.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A Go command, and the cache for its builds.
pub struct Builder {
    cache: PathBuf,
    go: String,
}

impl Builder {
    /// Fails if there is no Go command. The cache needs it too, since its keys depend on the version of Go.
    pub fn new(cache: &Path) -> anyhow::Result<Self> {
        let output = go(&modules()).arg("version").output().map_err(|error| {
            anyhow!(
                "cannot find or build the programs of the control plane: install Go and have `go` in PATH to build them \
                 ({error}), or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl"
            )
        })?;
        if !output.status.success() {
            bail!("`go version` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(Self { cache: cache.to_owned(), go: String::from_utf8_lossy(&output.stdout).trim().to_owned() })
    }

    /// The path of the program. Builds it if it does not exist. Another process that needs it waits for the build.
    pub fn get(&self, tool: &Tool) -> anyhow::Result<PathBuf> {
        let folder = self.cache.join(self.key(tool)?);
        let path = folder.join(tool.name);
        if path.is_file() {
            return Ok(path);
        }
        fs::create_dir_all(&self.cache)
            .with_context(|| format!("cannot create the directory {}", self.cache.display()))?;
        let _lock = self.lock(tool)?;
        if !path.is_file() {
            self.remove_interrupted_builds();
            self.build(tool, &folder)?;
        }
        Ok(path)
    }

    /// The cache key. It depends on every input of the build.
    fn key(&self, tool: &Tool) -> anyhow::Result<String> {
        let mut hash = Sha256::new();
        let folder = modules().join(tool.module);
        for path in ["go.mod", "go.sum"].map(|file| folder.join(file)).into_iter().chain(own_sources(&folder)) {
            hash.update(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        for text in [self.go.as_str(), tool.package, tool.ldflags]
            .into_iter()
            .chain(FLAGS)
            .chain(ENVIRONMENT.iter().flat_map(|(name, value)| [*name, *value]))
        {
            hash.update([0]);
            hash.update(text);
        }
        for tags in tags(tool) {
            hash.update([0]);
            hash.update(tags);
        }
        let hash: String = hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{}-{hash}", tool.name))
    }

    /// Locks the cache, so that one process builds at a time. The system releases the lock when the process ends.
    fn lock(&self, tool: &Tool) -> anyhow::Result<File> {
        let path = self.cache.join("lock");
        let context = || format!("cannot lock {}", path.display());
        let file = File::create(&path).with_context(context)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                log_progress(format_args!("{}: waiting for a build in another process", tool.name));
                file.lock().with_context(context)?;
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        Ok(file)
    }

    /// Removes the folders of interrupted builds. No other build runs, since this process holds the lock.
    fn remove_interrupted_builds(&self) {
        let Ok(entries) = fs::read_dir(&self.cache) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(BUILDING) {
                // A folder that cannot be removed only takes space.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn build(&self, tool: &Tool, folder: &Path) -> anyhow::Result<()> {
        // In the file system of the cache, so that the rename is atomic. It also has the temporary files of Go, and is
        // removed when it is dropped.
        let building = tempfile::Builder::new()
            .prefix(BUILDING)
            .tempdir_in(&self.cache)
            .with_context(|| format!("cannot create a directory in {}", self.cache.display()))?;
        let output = building.path().join(tool.name);
        log_progress(format_args!(
            "{}: building with {} into {} (the first build takes minutes)",
            tool.name,
            self.go.trim_start_matches("go version "),
            folder.display()
        ));
        let started = Instant::now();
        let mut command = go(&modules().join(tool.module));
        command
            .env("GOTMPDIR", building.path())
            .arg("build")
            .args(FLAGS)
            .args(tags(tool).flat_map(|tags| ["-tags", tags]))
            .args(["-ldflags", tool.ldflags, "-o"])
            .args([output.as_os_str(), tool.package.as_ref()]);
        let failed = |reason: &dyn std::fmt::Display| {
            anyhow!("building {} in {} failed: {reason}", tool.name, self.cache.display())
        };
        run(command, tool).map_err(|reason| failed(&reason))?;
        File::open(&output)
            .and_then(|file| file.sync_all()) // otherwise a power failure after the rename could leave an empty file
            .and_then(|()| fs::create_dir_all(folder))
            .and_then(|()| fs::rename(&output, folder.join(tool.name)))
            .map_err(|error| failed(&error))?;
        log_progress(format_args!("{}: built in {} s", tool.name, started.elapsed().as_secs()));
        Ok(())
    }
}

/// The folder with the files of a Go module, in the version that the module of `tool` pins. Go downloads it if it is not in
/// its cache.
pub fn module_folder(tool: &Tool, module: &str) -> anyhow::Result<PathBuf> {
    let mut command = go(&modules().join(tool.module));
    command.args(["mod", "download", "-json", module]);
    let answer: serde_json::Value = serde_json::from_str(&output_of(command, "")?)?;
    let folder = answer["Dir"].as_str().with_context(|| format!("go has no folder of {module}: {answer}"))?;
    Ok(folder.into())
}

/// The prefix of the folder of a running build.
const BUILDING: &str = "building-";

const FLAGS: [&str; 1] = ["-trimpath"];

/// The build tags of the tool's module.
fn tags(tool: &Tool) -> impl Iterator<Item = &'static str> {
    TAGS.iter().filter(|(module, _)| *module == tool.module).map(|(_, tags)| *tags)
}

/// Settings that must not depend on the user's environment.
const ENVIRONMENT: [(&str, &str); 4] =
    [("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", ""), ("GOWORK", "off")];

/// The Go files of this project in the folder of a module.
fn own_sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "go");
    let mut sources: Vec<_> = entries.map(|entry| entry.path()).filter(is_source).collect();
    sources.sort();
    sources
}

/// The folder of the pinned modules.
fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../control-plane")
}

fn go(folder: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(folder).envs(ENVIRONMENT);
    // The program runs on this machine.
    command.env_remove("GOOS").env_remove("GOARCH");
    command
}

/// Runs a build and prints its progress. An error contains the last output line of Go.
fn run(mut command: Command, tool: &Tool) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run go: {error}"))?;
    let (sender, lines) = mpsc::channel();
    if let Some(stderr) = child.stderr.take() {
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    let started = Instant::now();
    let mut beat = started + HEARTBEAT;
    let mut last = String::from("nothing");
    let mut download = None;
    loop {
        match lines.recv_timeout(beat.saturating_duration_since(Instant::now())) {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                download = line.strip_prefix("go: ").filter(|rest| rest.starts_with("downloading")).map(str::to_owned);
                last = line;
            }
            Err(RecvTimeoutError::Timeout) => {
                let now = download.take().unwrap_or_else(|| "compiling".to_owned());
                log_progress(format_args!("{}: {} s, {now}", tool.name, started.elapsed().as_secs()));
                beat += HEARTBEAT;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.wait().map_err(|error| format!("cannot wait for go: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("go exited with {status}; its last output line: {last}")) }
}
