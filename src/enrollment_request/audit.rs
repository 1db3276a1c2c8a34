//! The audit line of each send and each revocation: who asked for it, and what became of it. It is a log line with the target
//! `audit`.

use std::fmt::Write as _;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::{Resource, ResourceExt};
use sha2::{Digest, Sha256};

use super::reconciler::RequestReconcile;
use crate::api::{EnrollmentRequest, RESEND, REVOKE};
use crate::beyond_identity::TraceId;
use crate::harmless::harmless;
use crate::reconcile::{Backend, Outcome};

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// An enrolment email.
    Send,
    /// The revocation of a link.
    Revoke,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    /// The service accepted it.
    Accepted,
    /// It was certainly not carried out.
    Refused,
    /// It may have been carried out.
    Unknown,
    /// A send of unknown outcome has created this job.
    Found,
}

impl<T> From<&Outcome<T>> for Became {
    fn from(outcome: &Outcome<T>) -> Self {
        match outcome {
            Outcome::Done(_) => Self::Accepted,
            Outcome::NotDone(_) => Self::Refused,
            Outcome::InDoubt => Self::Unknown,
        }
    }
}

impl<B: Backend> RequestReconcile<'_, B> {
    /// Writes the line. `because` says what in the object asks for the call.
    pub(super) fn audit(&self, call: Call, because: &str, job_id: Option<&str>, became: Became) {
        let object = self.handle.object();
        let managers = managers(object.meta(), because);
        let job = job_id.map(|id| if self.context.options.audit_job_ids { id.to_owned() } else { hashed(id) });
        tracing::info!(
            target: "audit",
            call = match call {
                Call::Send => "send",
                Call::Revoke => "revoke",
            },
            outcome = match became {
                Became::Accepted => "accepted",
                Became::Refused => "refused",
                Became::Unknown => "unknown",
                Became::Found => "found",
            },
            because,
            kind = %EnrollmentRequest::kind(&()),
            namespace = object.namespace(),
            name = object.name_any(),
            uid = object.uid(),
            generation = object.metadata.generation,
            attempt = object.spec.attempt,
            managers = (!managers.is_empty()).then(|| managers.join(", ")),
            job,
            trace_id = TraceId::current().map(display),
            "Audit"
        );
    }

    /// What asks for the revocation of a link.
    pub(super) fn revocation_because(&self, job_id: &str) -> &'static str {
        if self.handle.object().metadata.deletion_timestamp.is_some() {
            "deletion"
        } else if self.status.job_id.as_deref() != Some(job_id) {
            "later email"
        } else if self.desired.revoked {
            "spec.revoked"
        } else {
            REVOKE
        }
    }
}

/// What asks for a send: the attempt in the spec, or the annotation that names the job before it.
pub(super) fn send_because(resend_of: Option<&String>) -> &'static str {
    if resend_of.is_some() { RESEND } else { "spec" }
}

/// The field managers of the annotation `because`, or else of the spec, the last one first. A status has its own.
fn managers(meta: &ObjectMeta, because: &str) -> Vec<String> {
    let is_annotation = [RESEND, REVOKE].contains(&because);
    let asks = |entry: &&ManagedFieldsEntry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        let found = fields.and_then(|fields| match is_annotation {
            true => fields.get("f:metadata")?.get("f:annotations")?.get(format!("f:{because}")),
            false => fields.get("f:spec"),
        });
        entry.subresource.is_none() && found.is_some()
    };
    let mut entries: Vec<_> = meta.managed_fields.iter().flatten().filter(asks).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.time.as_ref().map(|time| time.0)));
    entries.into_iter().filter_map(|entry| entry.manager.as_deref()).map(harmless).collect()
}

/// The SHA-256 of an id, in hexadecimal digits. Whoever knows the id can compute it.
fn hashed(id: &str) -> String {
    Sha256::digest(id).iter().fold("sha256:".to_owned(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn managers_are_those_who_wrote_what_asks() {
        let entry = |manager: &str, time: &str, fields: serde_json::Value| {
            json!({"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                   "time": time, "fieldsV1": fields})
        };
        let mut status = entry("operator", "2026-01-01T00:00:09Z", json!({"f:spec": {}}));
        status["subresource"] = json!("status");
        let annotation = json!({"f:metadata": {"f:annotations": {format!("f:{RESEND}"): {}}}});
        let meta: ObjectMeta = serde_json::from_value(json!({"managedFields": [
            entry("argocd-controller", "2026-01-01T00:00:01Z", json!({"f:spec": {"f:identity": {}}})),
            entry("kubectl-edit\n", "2026-01-01T00:00:02Z", json!({"f:spec": {"f:attempt": {}}})),
            entry("kubectl-annotate", "2026-01-01T00:00:03Z", annotation),
            entry("labeller", "2026-01-01T00:00:04Z", json!({"f:metadata": {"f:labels": {}}})),
            status,
        ]}))
        .unwrap();
        let by_spec = managers(&meta, "spec");
        assert_eq!((by_spec.len(), by_spec[1].as_str()), (2, "argocd-controller"));
        assert!(by_spec[0].starts_with("kubectl-edit") && !by_spec[0].contains('\n'), "{by_spec:?}");
        assert_eq!(managers(&meta, RESEND), ["kubectl-annotate"]);
        assert_eq!(managers(&meta, REVOKE), Vec::<String>::new());
        assert_eq!(managers(&meta, "deletion"), by_spec);
    }

    #[test]
    fn id_is_hashed() {
        // From: printf 57d73b5909ede35a | sha256sum
        assert_eq!(
            hashed("57d73b5909ede35a"),
            "sha256:9893691f901cb609c4064ed10a62952006e6e7213a19f30fb048969ab211bf6e"
        );
    }
}
