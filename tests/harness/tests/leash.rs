//! A leashed program ends when its owner ends, for whatever reason.

#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::{
    env,
    fs::{self, File},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use harness::leash::Leashed;

/// Set in the process that `program_ends_when_its_owner_is_killed` kills.
const OWNER_OF: &str = "LEASH_TEST_OWNER_OF";

/// Logs its start and the signal TERM.
const PROGRAM: &str = "trap 'echo terminated; exit 7' TERM; echo started; while :; do sleep 0.05; done";

#[test]
fn stop_sends_term_and_waits() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut program = start(&log);
    until(|| fs::read_to_string(&log).unwrap() == "started\n");
    assert!(program.ended().unwrap().is_none());
    assert_eq!(program.stop().unwrap().code(), Some(7));
    assert_eq!(fs::read_to_string(&log).unwrap(), "started\nterminated\n");
}

#[test]
fn kill_sends_no_term() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let program = start(&log);
    until(|| fs::read_to_string(&log).unwrap() == "started\n");
    assert_eq!(program.kill().unwrap().code(), Some(128 + 9), "the exit code of a shell");
    assert!(!fs::read_to_string(&log).unwrap().contains("terminated"));
}

#[test]
fn exit_of_the_program_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let log = File::create(folder.path().join("log")).unwrap();
    let mut program = Leashed::spawn(Command::new("sh").args(["-c", "exit 3"]), log).unwrap();
    until(|| program.ended().unwrap().is_some());
    assert_eq!(program.stop().unwrap().code(), Some(3));
}

#[test]
fn program_ends_when_its_owner_is_killed() {
    if let Some(log) = env::var_os(OWNER_OF) {
        let _program = start(Path::new(&log));
        loop {
            thread::park(); // until this process is killed
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "program_ends_when_its_owner_is_killed"])
        .env(OWNER_OF, &log)
        .spawn()
        .unwrap();
    until(|| fs::read_to_string(&log).is_ok_and(|log| log == "started\n"));
    owner.kill().unwrap();
    owner.wait().unwrap();
    until(|| fs::read_to_string(&log).unwrap() == "started\nterminated\n");
}

fn start(log: &Path) -> Leashed {
    Leashed::spawn(Command::new("sh").args(["-c", PROGRAM]), File::create(log).unwrap()).unwrap()
}

fn until(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "the condition did not become true within 30 s");
        thread::sleep(Duration::from_millis(10));
    }
}
