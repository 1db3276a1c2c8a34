//! Tokens, addresses, usernames and links are in no error and no log line.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::server::{Reply, Server, answer};
use super::{TIMEOUT, TOKEN, client, new_job};

const SECRETS: [&str; 4] = [TOKEN, "jane.doe", "example.com", "s3cr3t"];

fn assert_clean(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in: {text}");
    }
}

/// A log that a test can read.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures all log lines of this thread, at every level, until the guard is dropped.
    pub async fn listen(&self) -> DefaultGuard {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(self.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        // tracing caches the interest of each callsite from the first thread that reaches it. That can be another test
        // without a subscriber. So this registers the callsites and rebuilds the cache on this thread.
        client(([127, 0, 0, 1], 1).into(), TIMEOUT).identity("unknown").await.unwrap_err();
        tracing::callsite::rebuild_interest_cache();
        self.0.lock().clear();
        guard
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn errors_and_log_lines_contain_no_secrets() {
    let log = Log::default();
    let _guard = log.listen().await;

    let echo = format!(
        r#"{{"code":"no","message":"identity jane.doe@example.com with Bearer {TOKEN} and /x:invoke?token=s3cr3t","details":[
            {{"field_violations":[{{"field":"traits.jane.doe@example.com","description":"see https://x/jane.doe?s3cr3t=1"}}]}}]}}"#
    );
    let link = r#"{"credential_binding_job":{"id":"1"},"credential_binding_link":"https://x/?token=s3cr3t"}"#;
    let identity_body = r#"{"id":"1","display_name":"jane.doe","traits":{"username":"jane.doe","primary_email_address":"jane.doe@example.com"}}"#;
    let wrong = r#"{"id":"1","traits":"jane.doe@example.com"}"#;
    let mut replies: Vec<_> = ["400 No", "404 No", "409 No", "429 No", "503 No", "200 OK"]
        .iter()
        .map(|status| Reply::Send(answer(status, &echo)))
        .collect();
    replies.extend([Reply::Reset, Reply::Send(answer("200 OK", link))]);
    let failures = replies.len() - 1;
    replies.extend([Reply::Send(answer("200 OK", identity_body)), Reply::Send(answer("200 OK", wrong))]);
    let server = Server::start(replies).await;
    let client = client(server.address, TIMEOUT);
    for _ in 0..failures {
        let error = client.create_job("jane.doe", &new_job(), TIMEOUT).await.unwrap_err();
        assert_clean(&error.to_string());
        assert_clean(&format!("{error:?}"));
    }
    let created = client.create_job("jane.doe", &new_job(), TIMEOUT).await.unwrap();
    assert_clean(&format!("{created:?}"));
    assert_clean(&format!("{:?}", client.identity("1").await.unwrap()));
    assert_clean(&client.identity("1").await.unwrap_err().to_string());
    assert_clean(&format!("{client:?}"));

    let log = log.text();
    let ours: Vec<&str> = log.lines().filter(|line| line.contains("beyond_identity::client")).collect();
    assert_eq!(ours.len(), failures + 3, "one line for each call");
    for part in ["DEBUG", "POST", "credential-binding-jobs", "status=503", "milliseconds="] {
        assert!(ours.iter().any(|line| line.contains(part)), "{part} is missing in {ours:?}");
    }
    for line in ours {
        assert_clean(line);
    }
}
