//! A Git repository on this machine, which it serves over HTTP for reading.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    thread::JoinHandle,
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::{io::AsyncWriteExt as _, sync::oneshot};

use crate::process::output_of;

/// The branch of all commits.
pub const BRANCH: &str = "main";

/// A repository with a server on loopback, which has its own thread. Dropping it ends the server and removes the files.
#[derive(Debug)]
pub struct Repository {
    folder: tempfile::TempDir,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Repository {
    /// Starts the server of an empty repository. It needs the program `git`.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("repository-").tempdir()?;
        output_of(git(folder.path(), &["init", "--quiet", "--initial-branch", BRANCH]), "")?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Router::new()
            .route("/info/refs", get(advertise))
            .route("/git-upload-pack", post(upload))
            .with_state(folder.path().to_owned());
        let thread = std::thread::Builder::new().name("git".to_owned()).spawn(move || {
            // The clients see the end of the server as a closed connection.
            let _ = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::select! {
                    _ = stopped => Ok(()),
                    ended = axum::serve(listener, router).into_future() => ended,
                }
            });
        })?;
        Ok(Self { folder, address, stop: Some(stop), thread: Some(thread) })
    }

    /// The URL to clone.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes these files, or removes those without a content, and commits that. Returns the id of the commit.
    pub fn commit(&self, files: &[(&str, Option<&str>)]) -> anyhow::Result<String> {
        let folder = self.folder.path();
        for (name, content) in files {
            let path = folder.join(name);
            write(&path, *content).with_context(|| format!("cannot change {}", path.display()))?;
        }
        output_of(git(folder, &["add", "--all"]), "")?;
        output_of(git(folder, &["commit", "--quiet", "--allow-empty", "--message", "Change files"]), "")?;
        Ok(output_of(git(folder, &["rev-parse", "HEAD"]), "")?.trim().to_owned())
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(path: &Path, content: Option<&str>) -> io::Result<()> {
    let Some(content) = content else {
        return fs::remove_file(path);
    };
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)
}

/// A Git command in this folder, without the settings of the user and of a repository above.
fn git(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command
        .current_dir(folder)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1")])
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
        .args(arguments);
    command
}

type Folder = State<std::path::PathBuf>;

/// The branches and their commits. The clients only read.
async fn advertise(State(folder): Folder) -> Response {
    let head = b"001e# service=git-upload-pack\n0000".to_vec();
    answer("application/x-git-upload-pack-advertisement", head, &folder, &["--advertise-refs"], &[]).await
}

/// The objects that the client asks for.
async fn upload(State(folder): Folder, body: Bytes) -> Response {
    answer("application/x-git-upload-pack-result", Vec::new(), &folder, &[], &body).await
}

/// An answer with this head and the output of `git upload-pack`, which implements the protocol.
async fn answer(kind: &'static str, mut head: Vec<u8>, folder: &Path, options: &[&str], input: &[u8]) -> Response {
    let arguments: Vec<_> = ["upload-pack", "--stateless-rpc"].iter().chain(options).chain(&["."]).copied().collect();
    match output(git(folder, &arguments), input).await {
        Ok(output) => {
            head.extend(output);
            ([(CONTENT_TYPE, HeaderValue::from_static(kind))], head).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    }
}

async fn output(command: Command, input: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot run git")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).await?;
    }
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        bail!("git upload-pack failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}
