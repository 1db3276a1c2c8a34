//! The command line of the demo: the real API needs all ids, a token and a confirmation.

#![allow(clippy::unwrap_used)] // in helpers of tests too

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

const REAL: [&str; 8] = ["--tenant", "t", "--realm", "r", "--region", "US", "--identity", "i"];

#[test]
fn real_service_requires_an_identity() {
    let (code, error) = demo(&REAL[..6], "");
    assert_eq!(code, 2);
    assert!(error.contains("--identity"), "{error}");
}

#[test]
fn real_service_requires_a_token() {
    let (code, error) = demo(&REAL, "");
    assert_eq!(code, 1);
    assert_eq!(error, "error: set the environment variable BEYOND_IDENTITY_API_TOKEN to an API token of tenant t\n");
}

#[test]
fn real_service_requires_a_confirmation() {
    let (code, error) = demo(&REAL, "token");
    assert_eq!(code, 1);
    assert_eq!(error, "error: not confirmed, nothing was sent (use --yes to skip the confirmation)\n");
}

#[test]
fn second_double_dash_is_ignored() {
    let (code, error) = demo(&["--", "--region", "US"], "");
    assert_eq!(code, 2);
    assert!(error.contains("--tenant"), "{error}");
}

/// After `cargo test`, `cargo demo` recompiles no dependency: no dev-dependency turns on a feature of a shared
/// dependency.
#[test]
fn demo_and_tests_share_all_features() {
    let (demo, tests) = (packages("normal,build"), packages("normal,build,dev"));
    let others: Vec<_> = demo.difference(&tests).collect();
    assert!(others.is_empty(), "the tests use other features of these: {others:#?}");
    assert!(demo.len() > 100, "{demo:#?}");
}

/// The packages of the workspace and its dependencies of these kinds, with their features.
fn packages(edges: &str) -> BTreeSet<String> {
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
