//! A quota of calls: for a tenant with all its realms, and how a 429 says how long to wait.

use std::time::Duration;

use harness::simulator::{Quota, Tells};
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::{Api, JANE, SIMULATOR, jobs_of};

/// Longer than any test takes.
const WINDOW: Duration = Duration::from_secs(3600);

impl Api {
    /// Of a tenant of its own.
    fn of_tenant(tenant: &str) -> Self {
        let api = Self::new();
        let realm = SIMULATOR.realm(tenant, api.realm.realm(), &api.token);
        Self { realm, ..api }
    }

    async fn answer(&self) -> (u16, HeaderMap) {
        let response = self.send(Method::GET, "authenticator-configs", None).await.unwrap();
        (response.status().as_u16(), response.headers().clone())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_tenant_has_one_quota_for_all_its_realms_and_another_tenant_has_its_own() {
    let (one, other, elsewhere) = (Api::of_tenant("quota"), Api::of_tenant("quota"), Api::of_tenant("no quota"));
    one.realm.set_quota(Quota { calls: 2, window: WINDOW, tells: Tells::Nothing });
    assert_eq!((one.answer().await.0, other.answer().await.0), (200, 200));
    assert_eq!((one.answer().await.0, other.answer().await.0, elsewhere.answer().await.0), (429, 429, 200));
    let enrolled = one.post(&jobs_of(JANE), one.enrolment()).await;
    assert_eq!((enrolled.0, one.realm.jobs().len()), (429, 0), "nothing happens");
    assert_eq!(one.realm.requests_of_tenant().len(), 5);
    one.realm.set_quota(None);
    assert_eq!(other.answer().await.0, 200);
}

#[tokio::test]
async fn a_call_too_many_is_told_how_long_to_wait_in_four_ways() {
    for tells in [Tells::Seconds, Tells::Date, Tells::Reset, Tells::Nothing] {
        let api = Api::of_tenant(&format!("{tells:?}"));
        api.realm.set_quota(Quota { calls: 0, window: WINDOW, tells });
        let (status, headers) = api.answer().await;
        assert_eq!(status, 429);
        let (after, reset) = (text(&headers, "retry-after"), text(&headers, "ratelimit-reset"));
        match tells {
            Tells::Seconds => assert_eq!((after, reset), (Some("3601"), None)),
            Tells::Reset => assert_eq!((after, reset), (None, Some("3601"))),
            Tells::Nothing => assert_eq!((after, reset), (None, None)),
            Tells::Date => assert!(after.unwrap().ends_with(" GMT") && reset.is_none(), "{after:?}"),
        }
    }
}
