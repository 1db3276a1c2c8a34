//! The simulator as a program, and the port that is taken.

use std::process::{Command, Output, Stdio};

use crate::start;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
    command.args(["--token", "secret"]).args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn a_port_that_is_taken_is_one_sentence() {
    let taken = start(0).unwrap();
    let port = taken.url().rsplit(':').next().unwrap().to_owned();
    let error = start(port.parse().unwrap()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");

    let Output { status, stdout, stderr } = program(&["--port", &port]).output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(String::from_utf8(stdout).unwrap(), "");
    assert_eq!(String::from_utf8(stderr).unwrap(), format!("error: {error}\n"));
}

#[tokio::test]
async fn it_prints_its_address_and_knows_its_identities() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let command = program(&["--tenant", "t", "--realm", "r", "--identity", "jane=jane@example.com"]);
    let mut child = tokio::process::Command::from(command).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    let request = reqwest::Client::new().get(format!("{url}/v1/tenants/t/realms/r/identities/jane"));
    let (status, identity) = crate::parts(request.bearer_auth("secret").send().await.unwrap()).await;
    assert_eq!((status, identity["traits"]["primary_email_address"].as_str()), (200, Some("jane@example.com")));
}

#[test]
fn a_wrong_identity_is_explained() {
    let Output { status, stderr, .. } = program(&["--identity", "jane"]).output().unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(String::from_utf8(stderr).unwrap().contains("ID=EMAIL"));
}
