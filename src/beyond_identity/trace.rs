//! The trace of a task, which links log lines to requests on both sides. Each request sends it in the header
//! `traceparent` of [W3C Trace Context](https://www.w3.org/TR/trace-context/).

use std::fmt;

use reqwest::header::HeaderValue;
use tokio::task_local;

task_local! {
    static CURRENT: TraceId;
}

/// A trace id, displayed as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

impl TraceId {
    /// A new random id.
    pub fn random() -> Self {
        // An id of zeros is invalid.
        Self(rand::random::<u128>().max(1))
    }

    /// The id of the current task's trace, if it has one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|id| *id).ok()
    }

    /// Runs `task` in this trace.
    pub fn run<F: Future>(self, task: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, task)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The header for another request in the current task's trace.
pub(super) fn header() -> Option<HeaderValue> {
    let (trace, call) = (TraceId::current()?, rand::random::<u64>().max(1));
    HeaderValue::try_from(format!("00-{trace}-{call:016x}-01")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn calls_share_the_trace_id_and_have_unique_span_ids() {
        assert_eq!((TraceId::current(), header()), (None, None));
        let id = TraceId::random();
        let headers = id.run(async { [header(), header()].map(|header| header.unwrap().to_str().unwrap().to_owned()) });
        let [one, other] = headers.await;
        for header in [&one, &other] {
            assert!(
                header.starts_with(&format!("00-{id}-")) && header.ends_with("-01") && header.len() == 55,
                "{header}"
            );
        }
        assert_ne!(one, other);
        assert_ne!(TraceId::random(), TraceId::random());
        assert_eq!(TraceId(10).to_string(), "0000000000000000000000000000000a");
    }
}
