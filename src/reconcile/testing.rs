//! Values that the tests of both kinds start from.

use std::time::Duration;

use super::{Options, Times};

/// The times that all plans are made by.
pub(crate) const TIMES: Times = Times {
    request_timeout: Duration::from_secs(30),
    settle: Duration::from_secs(60),
    job_poll_min: Duration::from_secs(5),
    job_poll_max: Duration::from_secs(300),
    resync: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

/// How the operator of all tests is to run.
pub(crate) fn options() -> Options {
    Options { cluster: "demo".to_owned(), orphan_on_delete: false, times: TIMES }
}
