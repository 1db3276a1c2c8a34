//! The trait `Kind` for each kind.

use beyond_identity_operator::api::{AuthenticatorConfig, EnrollmentRequest};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use crate::budget;
use crate::faults::Port;
use crate::invariants;
use crate::kubernetes::{Announced, Kind, Objects, Table};
use crate::process::Process;
use crate::world::State;

impl Kind for EnrollmentRequest {
    const READ: Port = Port::ReadRequest;
    const WRITE: Port = Port::WriteRequest;
    const FINALIZE: Port = Port::FinalizeRequest;

    fn table(state: &mut State) -> &mut Table<Self> {
        &mut state.cluster.requests
    }

    fn cache(process: &Process) -> &parking_lot::Mutex<Objects<Self>> {
        &process.requests
    }

    fn reset_status(&mut self) {
        self.status = None;
        self.status.get_or_insert_default().observed_generation = Some(-1);
    }

    fn announced(&self) -> Option<Announced> {
        let send = self.status.as_ref()?.send.as_ref()?;
        Some(Announced { id: send.id.clone(), attempt: send.attempt, resend_of: send.resend_of.clone() })
    }

    fn named(&self) -> Vec<String> {
        budget::named(self)
    }

    fn remove_record(&mut self) {
        self.status.iter_mut().for_each(|status| status.send = None);
    }

    fn check(&self, state: &mut State) {
        invariants::after_a_status(state, self);
    }

    fn summary(&self) -> String {
        let status = self.status.clone().unwrap_or_default();
        let send = status
            .send
            .map(|send| format!("{} not before {} but {:?}", send.id, send.not_before, send.existing_job_ids));
        format!(
            "{} attempt {:?} job {:?} state {:?} send {send:?} {}",
            self.uid().unwrap_or_default(),
            status.attempt,
            status.job_id,
            status.state,
            reasons(&status.conditions)
        )
    }
}

impl Kind for AuthenticatorConfig {
    const READ: Port = Port::ReadConfig;
    const WRITE: Port = Port::WriteConfig;
    const FINALIZE: Port = Port::FinalizeConfig;

    fn table(state: &mut State) -> &mut Table<Self> {
        &mut state.cluster.configs
    }

    fn cache(process: &Process) -> &parking_lot::Mutex<Objects<Self>> {
        &process.configs
    }

    fn reset_status(&mut self) {
        self.status = None;
        self.status.get_or_insert_default().observed_generation = Some(-1);
    }

    fn announced(&self) -> Option<Announced> {
        let create = self.status.as_ref()?.create.as_ref()?;
        Some(Announced { id: create.id.clone(), attempt: 1, resend_of: None })
    }

    fn named(&self) -> Vec<String> {
        Vec::new()
    }

    fn remove_record(&mut self) {
        self.status.iter_mut().for_each(|status| status.create = None);
    }

    fn check(&self, _state: &mut State) {}

    fn summary(&self) -> String {
        let status = self.status.clone().unwrap_or_default();
        let create = status.create.map(|create| create.id);
        let uid = self.uid().unwrap_or_default();
        format!("{uid} id {:?} create {create:?} {}", status.id, reasons(&status.conditions))
    }
}

fn reasons(conditions: &[Condition]) -> String {
    let reasons: Vec<_> = conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason)).collect();
    reasons.join(", ")
}
