//! Watches objects with `kubectl get --watch`.

use std::{
    process::{Child, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use anyhow::Context as _;
use serde_json::{Deserializer, Value};

use super::NAMESPACE;
use crate::control_plane::ControlPlane;

/// The changes of all objects of some kinds in the demo's namespace. Dropping it ends the watch.
pub struct Watch {
    processes: Vec<Child>,
    /// Each object after a change.
    pub changes: Receiver<Value>,
}

impl Watch {
    /// Starts a watch of these kinds.
    pub fn start(control_plane: &ControlPlane, kinds: &[&str]) -> anyhow::Result<Self> {
        let (sender, changes) = channel();
        let mut watch = Self { processes: Vec::new(), changes };
        for kind in kinds {
            let process = control_plane
                .kubectl(["get", kind, "--namespace", NAMESPACE, "--watch", "--output", "json"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .context("cannot run kubectl")?;
            watch.processes.push(process);
            forward(watch.processes.last_mut(), sender.clone());
        }
        Ok(watch)
    }
}

/// Reads the output of a kubectl until it ends, or until the receiver is dropped.
fn forward(process: Option<&mut Child>, sender: Sender<Value>) {
    let Some(stdout) = process.and_then(|process| process.stdout.take()) else { return };
    thread::spawn(move || {
        let objects = Deserializer::from_reader(stdout).into_iter();
        for object in objects.map_while(Result::ok) {
            if sender.send(object).is_err() {
                break;
            }
        }
    });
}

impl Drop for Watch {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // An error means that the process has already ended.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The status of an object, for progress output.
pub struct Phase<'a> {
    object: &'a Value,
}

impl<'a> Phase<'a> {
    /// The status of this object.
    pub fn of(object: &'a Value) -> Self {
        Self { object }
    }

    /// `kind/name`, as in kubectl.
    pub fn name(&self) -> String {
        let kind = self.object["kind"].as_str().unwrap_or_default().to_lowercase();
        format!("{kind}/{}", self.object["metadata"]["name"].as_str().unwrap_or_default())
    }

    /// Whether it is Ready, and has all of these fields in its status.
    pub fn is_complete(&self, fields: &[&str]) -> bool {
        self.is("Ready") && fields.iter().all(|field| self.field(field).is_some())
    }

    /// Whether it is Stalled.
    pub fn is_stalled(&self) -> bool {
        self.is("Stalled")
    }

    /// A field of the status, if it is not empty.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.object["status"][name].as_str().filter(|value| !value.is_empty())
    }

    /// One line: the state of Ready, its reason and its message.
    pub fn text(&self) -> String {
        let Some(ready) = self.condition("Ready") else { return "not reconciled yet".to_owned() };
        let part = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        let mut text = format!("Ready={} {}", part("status"), part("reason"));
        if let Some(state) = self.field("state") {
            text = format!("{text}, state {state}");
        }
        format!("{text}: {}", part("message"))
    }

    fn is(&self, condition: &str) -> bool {
        self.condition(condition).is_some_and(|condition| condition["status"] == "True")
    }

    fn condition(&self, kind: &str) -> Option<&'a Value> {
        let conditions = self.object["status"]["conditions"].as_array()?;
        conditions.iter().find(|condition| condition["type"] == kind)
    }
}
