//! Flux's source-controller and kustomize-controller as processes of this machine, in the control plane that all tests
//! share.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use harness::control_plane::{ControlPlane, KUSTOMIZE_CONTROLLER, SOURCE_CONTROLLER, Tool, locate, module_folder};
use harness::leash::Leashed;

use crate::fixture::cluster;

/// The running controllers. They end with this process.
struct Controllers {
    _processes: [Leashed; 2],
}

/// Starts the controllers once.
pub fn start() {
    static STARTED: OnceLock<Controllers> = OnceLock::new();
    STARTED.get_or_init(|| {
        let programs = locate([&SOURCE_CONTROLLER, &KUSTOMIZE_CONTROLLER]).unwrap();
        let control_plane = cluster::control_plane();
        install(control_plane, &SOURCE_CONTROLLER);
        install(control_plane, &KUSTOMIZE_CONTROLLER);
        let storage = free_address();
        let files = control_plane.folder().join("flux");
        fs::create_dir_all(&files).unwrap();
        let source = [
            format!("--storage-addr={storage}"),
            format!("--storage-adv-addr={storage}"),
            format!("--storage-path={}", files.display()),
        ];
        // A Kustomization that waits for its health keeps a worker, and all tests share the workers.
        let dependencies = ["--requeue-dependency=1s", "--concurrent=40"].map(str::to_owned);
        let [source_controller, kustomize_controller] = &programs;
        Controllers {
            _processes: [
                spawn(control_plane, source_controller, &source),
                spawn(control_plane, kustomize_controller, &dependencies),
            ],
        }
    });
}

/// The last lines of both logs, for the message of a test that fails.
pub fn last_lines() -> String {
    [&SOURCE_CONTROLLER, &KUSTOMIZE_CONTROLLER]
        .map(|tool| {
            let log = fs::read_to_string(log_of(cluster::control_plane(), tool.name)).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            format!("{}:\n{}", tool.name, lines[lines.len().saturating_sub(20)..].join("\n"))
        })
        .join("\n")
}

/// Installs the kinds of a controller, and waits until each is served.
fn install(control_plane: &ControlPlane, controller: &Tool) {
    let folder = module_folder(controller, controller.package).unwrap().join("config/crd/bases");
    let folder = folder.to_str().unwrap();
    control_plane.run_kubectl(["apply", "--server-side", "--filename", folder]).unwrap();
    control_plane.run_kubectl(["wait", "--for=condition=Established", "--filename", folder]).unwrap();
}

fn spawn(control_plane: &ControlPlane, program: &Path, arguments: &[String]) -> Leashed {
    let name = program.file_name().unwrap().to_str().unwrap();
    let mut command = Command::new(program);
    command
        .envs([
            ("KUBECONFIG", control_plane.kubeconfig()),
            ("HOME", control_plane.folder().to_owned()),
            ("TMPDIR", control_plane.folder().to_owned()),
            ("RUNTIME_NAMESPACE", "default".into()),
        ])
        .args(["--metrics-addr=0", "--health-addr=0", "--events-addr=", "--watch-all-namespaces"])
        .args(arguments);
    let log = log_of(control_plane, name);
    let mut process = Leashed::spawn(&command, File::create(&log).unwrap()).unwrap();
    let started = Instant::now();
    while !fs::read_to_string(&log).unwrap().contains("Starting workers") {
        let ended = process.ended().unwrap();
        assert!(ended.is_none(), "{name} exited with {ended:?}: {}", fs::read_to_string(&log).unwrap());
        assert!(started.elapsed() < Duration::from_secs(60), "{name} does not work: {}", last_lines());
        std::thread::sleep(Duration::from_millis(50));
    }
    process
}

fn log_of(control_plane: &ControlPlane, name: &str) -> PathBuf {
    control_plane.folder().join(format!("{name}.log"))
}

/// An address that nobody listens on.
fn free_address() -> String {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().to_string()
}
