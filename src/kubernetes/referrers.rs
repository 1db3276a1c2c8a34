//! The requests that refer to an AuthenticatorConfig: from the watch or, where it shows none, from the API server.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use super::lenient::Lenient;
use super::pages::list_each;
use super::stores::Stores;
use crate::api::EnrollmentRequest;
use crate::reconcile::Referrers;

/// The most names that are returned. A deletion waits for one referrer as for many.
const MOST: usize = 10;

/// The EnrollmentRequests of the cluster.
pub struct KubeReferrers {
    /// The API server.
    pub client: Client,
    /// The stores of the EnrollmentRequest watches.
    pub requests: Stores<EnrollmentRequest>,
}

impl Referrers for KubeReferrers {
    async fn referrers_of(&self, namespace: &str, name: &str) -> Result<Vec<String>, String> {
        let mut cached = Vec::new();
        self.requests.each(|request| {
            cached.extend(is_user(request, namespace, name).then(|| named(&request.metadata)));
        });
        let cached = first(cached);
        if !cached.is_empty() {
            return Ok(cached);
        }
        let api: Api<Lenient<EnrollmentRequest>> = Api::namespaced(self.client.clone(), namespace);
        let selector = format!("spec.authenticatorConfigRef.name={name}");
        let mut there = Vec::new();
        let listed = list_each(
            &api,
            ListParams::default().fields(&selector),
            |Lenient(EnrollmentRequest { metadata, .. })| {
                there.extend(metadata.deletion_timestamp.is_none().then(|| named(&metadata)));
            },
        );
        listed.await.map_err(|error| format!("Cannot list EnrollmentRequests: {error}"))?;
        Ok(first(there))
    }
}

fn is_user(request: &EnrollmentRequest, namespace: &str, name: &str) -> bool {
    request.metadata.deletion_timestamp.is_none()
        && request.namespace().as_deref() == Some(namespace)
        && request.spec.authenticator_config_ref.name == name
}

fn named(meta: &ObjectMeta) -> String {
    meta.name.clone().unwrap_or_default()
}

/// The first names in sorted order, so that the result is stable while these objects exist.
fn first(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.truncate(MOST);
    names
}
