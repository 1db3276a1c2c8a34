//! The demo's command line: nothing is sent in the real service by mistake.

#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::collections::BTreeSet;
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
    assert_eq!(error, "error: set the environment variable BEYOND_IDENTITY_API_TOKEN to an API token of tenant t\n");
}

#[test]
fn the_real_service_needs_a_yes() {
    let (code, error) = demo(&REAL, "token");
    assert_eq!(code, 1);
    assert_eq!(error, "error: not confirmed, nothing was sent (use --yes to skip the confirmation)\n");
}

#[test]
fn a_further_double_dash_does_no_harm() {
    let (code, error) = demo(&["--", "--region", "US"], "");
    assert_eq!(code, 2);
    assert!(error.contains("--tenant"), "{error}");
}

/// After `cargo test`, `cargo demo` compiles nothing but what is missing: no dependency of the tests alone has a feature turned
/// on of anything that both are built of.
#[test]
fn the_demo_is_built_of_what_the_tests_are_built_of() {
    let (demo, tests) = (built_of("normal,build"), built_of("normal,build,dev"));
    let others: Vec<_> = demo.difference(&tests).collect();
    assert!(others.is_empty(), "the tests have these with other features: {others:#?}");
    assert!(demo.len() > 100, "{demo:#?}");
}

/// The packages of the workspace and of its dependencies by these edges, each with its features.
fn built_of(edges: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--offline",
            "--locked",
            "--no-dedupe",
            "--prefix",
            "none",
            "--format",
            "{p} {f}",
        ])
        .args(["--edges", edges])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
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
