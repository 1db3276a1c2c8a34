//! A leashed program ends when its owner does, in whatever way.

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

/// Set in the process that `ends_when_its_owner_is_killed` kills.
const OWNER_OF: &str = "LEASH_TEST_OWNER_OF";

/// Says when it has started, and when it was asked to end.
const PROGRAM: &str = "trap 'echo asked; exit 7' TERM; echo started; while :; do sleep 0.05; done";

#[test]
fn stopping_asks_and_waits() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut program = start(&log);
    until(|| fs::read_to_string(&log).unwrap() == "started\n");
    assert!(program.ended().unwrap().is_none());
    assert_eq!(program.stop().unwrap().code(), Some(7));
    assert_eq!(fs::read_to_string(&log).unwrap(), "started\nasked\n");
}

#[test]
fn killing_does_not_ask() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let program = start(&log);
    until(|| fs::read_to_string(&log).unwrap() == "started\n");
    assert_eq!(program.kill().unwrap().code(), Some(128 + 9), "as a shell says it");
    assert!(!fs::read_to_string(&log).unwrap().contains("asked"));
}

#[test]
fn a_program_that_ends_by_itself_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let log = File::create(folder.path().join("log")).unwrap();
    let mut program = Leashed::spawn(Command::new("sh").args(["-c", "exit 3"]), log).unwrap();
    until(|| program.ended().unwrap().is_some());
    assert_eq!(program.stop().unwrap().code(), Some(3));
}

#[test]
fn ends_when_its_owner_is_killed() {
    if let Some(log) = env::var_os(OWNER_OF) {
        let _program = start(Path::new(&log));
        loop {
            thread::park(); // until we are killed
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "ends_when_its_owner_is_killed"])
        .env(OWNER_OF, &log)
        .spawn()
        .unwrap();
    until(|| fs::read_to_string(&log).is_ok_and(|log| log == "started\n"));
    owner.kill().unwrap();
    owner.wait().unwrap();
    until(|| fs::read_to_string(&log).unwrap() == "started\nasked\n");
}

fn start(log: &Path) -> Leashed {
    Leashed::spawn(Command::new("sh").args(["-c", PROGRAM]), File::create(log).unwrap()).unwrap()
}

fn until(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "it did not come to that");
        thread::sleep(Duration::from_millis(10));
    }
}
