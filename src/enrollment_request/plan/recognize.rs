//! Recognize: whether the service that responds is the same service as the last time. An empty list or a 404 can come
//! from another service, if name resolution or a proxy is wrong for a while. The service that keeps a request's job
//! knows the job's identity, or else its authenticator configuration.

use super::input::{Input, Step};
use crate::api::{ProviderConfigRef, Reason};
use crate::enrollment_request::observed::Recognized;
use crate::enrollment_request::step::{Query, RecognizableIds};
use crate::reconcile::Fact;

/// What the service behind `reference` knows: this identity, this configuration, or both. Otherwise the service is
/// not trusted, and `Err` reports that. `Err` can also be the query to fetch first.
pub(super) fn service(
    input: &Input<'_>,
    reference: &ProviderConfigRef,
    identity_id: &str,
    config_id: &str,
) -> Result<Recognized, Step> {
    match input.observed.recognized.get(identity_id).unwrap_or(&Fact::Unknown) {
        Fact::Unknown => {
            let known =
                RecognizableIds { identity_id: identity_id.to_owned(), authenticator_config_id: config_id.to_owned() };
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
