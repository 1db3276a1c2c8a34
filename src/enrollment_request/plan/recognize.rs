//! Recognize: whether what answers is the service that it was the last time. An empty list and a 404 can come from another
//! one, to which a name that resolves wrongly or a proxy leads for a while. The service that keeps a request's job knows the
//! job's identity, or else its authenticator configuration.

use super::input::{Input, Step};
use crate::api::{ProviderConfigRef, Reason};
use crate::enrollment_request::observed::Recognized;
use crate::enrollment_request::step::{Known, Query};
use crate::reconcile::Fact;

/// What the service behind `reference` knows of this identity and this configuration: one of them at least. Otherwise it is
/// not believed, and `Err` says so, or what to ask first.
pub(super) fn service(
    input: &Input<'_>,
    reference: &ProviderConfigRef,
    identity_id: &str,
    config_id: &str,
) -> Result<Recognized, Step> {
    match input.observed.recognized.get(identity_id).unwrap_or(&Fact::Unknown) {
        Fact::Unknown => {
            let known = Known { identity_id: identity_id.to_owned(), authenticator_config_id: config_id.to_owned() };
            Err(Step::Fetch(Query::Recognize(reference.clone(), known)))
        }
        Fact::Failed(failure) => Err(input.failed(failure)),
        Fact::Known(Recognized { identity: false, config: false }) => Err(input.blocked(
            Reason::UnrecognizedService,
            format!(
                "The service behind {reference} knows neither identity {identity_id} nor authenticator configuration \
                 {config_id}, so it may be another service and its answers are not trusted; check the name \
                 resolution, the proxies and the endpoint"
            ),
        )),
        Fact::Known(recognized) => Ok(*recognized),
    }
}
