//! The memory that objects take which the operator must not act on: requests with large annotations, in a namespace that no
//! provider config allows.

use std::{path::Path, thread, time::Duration};

use serde_json::{Value, json};

use super::{CONFIG, Load, TIMEOUT, memory_of, pid_of, processes::reset_peak, row, stop, wait};
use crate::program::Running;

const ELSEWHERE: &str = "elsewhere";
/// The size of the annotation of each request, in bytes. The API server allows 256 KiB for all annotations.
const ANNOTATION: usize = 255_000;
/// How many requests one `kubectl` creates.
const BATCH: usize = 20;

impl Load {
    /// Creates `count` such requests, restarts the operator, and deletes them. Returns the operator.
    pub(super) fn clutter(&self, count: usize, program: &Path, operator: Running) -> anyhow::Result<Running> {
        println!("With {count} requests of {ANNOTATION} bytes in a namespace that is not allowed:");
        self.cluster.run_kubectl(["create", "namespace", ELSEWHERE])?;
        self.print_memory("before")?;
        for first in (0..count).step_by(BATCH) {
            let items: Vec<Value> = (first..count.min(first + BATCH)).map(request).collect();
            let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
            self.cluster.run_kubectl_with(&list.to_string(), ["create", "--filename", "-"])?;
        }
        self.wait_until_refused(count)?;
        self.print_memory("created")?;
        stop(operator)?;
        let operator = self.start(program)?;
        thread::sleep(Duration::from_secs(10));
        self.print_memory("after a restart")?;
        let delete = ["delete", "enrollmentrequests", "--all", "--namespace", ELSEWHERE];
        self.cluster.run_kubectl(delete)?;
        self.print_memory("deleted")?;
        Ok(operator)
    }

    fn wait_until_refused(&self, count: usize) -> anyhow::Result<()> {
        let path = "jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].reason}{\"\\n\"}{end}";
        let get = ["get", "enrollmentrequests", "--namespace", ELSEWHERE, "--output", path];
        wait(TIMEOUT.1 * 5, "all of them have conditions", || {
            Ok(self.cluster.run_kubectl(get)?.lines().filter(|reason| !reason.is_empty()).count() == count)
        })
    }

    /// Prints the memory now, and its peak since the last time.
    fn print_memory(&self, when: &str) -> anyhow::Result<()> {
        let pid = pid_of(self.home.path())?;
        row(&format!("{when}: peak RSS, MB"), memory_of(pid, "VmHWM:")?);
        row(&format!("{when}: RSS, MB"), memory_of(pid, "VmRSS:")?);
        reset_peak(pid)
    }
}

fn request(number: usize) -> Value {
    json!({
        "apiVersion": "beyondidentity.dev/v1alpha1", "kind": "EnrollmentRequest",
        "metadata": {
            "name": format!("clutter-{number}"), "namespace": ELSEWHERE,
            "annotations": {"example.com/clutter": "x".repeat(ANNOTATION)},
        },
        "spec": {"authenticatorConfigRef": {"name": CONFIG}, "identity": {"id": format!("clutter-{number}")}},
    })
}
