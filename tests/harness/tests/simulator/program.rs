//! The simulator as a program, and a port that is in use.

use std::process::{Command, Output, Stdio};

use crate::start;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
    command.args(["--token", "secret"]).args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn port_in_use_is_one_sentence() {
    let used = start(0).unwrap();
    let port = used.url().rsplit(':').next().unwrap().to_owned();
    let error = start(port.parse().unwrap()).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen on 127.0.0.1:{port}: ")), "{error}");

    let Output { status, stdout, stderr } = program(&["--port", &port]).output().unwrap();
    assert_eq!(status.code(), Some(1));
    assert_eq!(String::from_utf8(stdout).unwrap(), "");
    assert_eq!(String::from_utf8(stderr).unwrap(), format!("error: {error}\n"));
}

#[tokio::test]
async fn url_is_printed_and_identities_exist() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let people = ["jane=jane@example.com", "joe=joe@example.com,suspended", "jim"].map(|person| ["--identity", person]);
    let command = program(&[&["--tenant", "t", "--realm", "r"], people.as_flattened()].concat());
    let mut child = tokio::process::Command::from(command).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    for (id, state, email) in [
        ("jane", "active", Some("jane@example.com")),
        ("joe", "suspended", Some("joe@example.com")),
        ("jim", "active", None),
    ] {
        let request = reqwest::Client::new().get(format!("{url}/v1/tenants/t/realms/r/identities/{id}"));
        let (status, identity) = crate::parts(request.bearer_auth("secret").send().await.unwrap()).await;
        assert_eq!((status, identity["status"].as_str()), (200, Some(state)), "{id}");
        assert_eq!(identity["traits"]["primary_email_address"].as_str(), email, "{id}");
    }
}

#[test]
fn error_names_the_form_of_an_identity() {
    let Output { status, stderr, .. } = program(&["--identity", "=jane@example.com"]).output().unwrap();
    assert_eq!(status.code(), Some(2));
    assert!(String::from_utf8(stderr).unwrap().contains("ID=EMAIL"));
}
