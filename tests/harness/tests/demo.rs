//! The demo's command line: nothing is sent in the real service by mistake.

#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::process::{Command, Stdio};

const REAL: [&str; 8] = ["--tenant", "t", "--realm", "r", "--region", "US", "--identity", "i"];

#[test]
fn the_real_service_needs_to_know_whom_to_enrol() {
    let (code, error) = demo(&REAL[..6], "");
    assert_eq!(code, 2);
    assert!(error.contains("--identity"), "{error}");
}

#[test]
fn the_real_service_needs_a_token() {
    let (code, error) = demo(&REAL, "");
    assert_eq!(code, 1);
    assert_eq!(error, "error: put an API token of tenant t into the environment variable BEYOND_IDENTITY_API_TOKEN\n");
}

#[test]
fn the_real_service_needs_a_yes() {
    let (code, error) = demo(&REAL, "token");
    assert_eq!(code, 1);
    assert_eq!(error, "error: nothing was sent, since the answer was not yes (--yes says so beforehand)\n");
}

#[test]
fn a_further_double_dash_does_no_harm() {
    let (code, error) = demo(&["--", "--region", "US"], "");
    assert_eq!(code, 2);
    assert!(error.contains("--tenant"), "{error}");
}

fn demo(arguments: &[&str], token: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(arguments)
        .env("BEYOND_IDENTITY_API_TOKEN", token)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}
