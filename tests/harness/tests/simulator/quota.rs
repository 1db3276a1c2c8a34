//! A quota of calls of a tenant, for all its realms, and the headers of a 429.

use std::time::Duration;

use harness::simulator::{Quota, Tells};
use reqwest::Method;
use reqwest::header::HeaderMap;

use crate::{Api, JANE, SIMULATOR, jobs_of};

/// Longer than any test takes.
const WINDOW: Duration = Duration::from_secs(3600);

impl Api {
    /// A realm of another tenant.
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
async fn quota_applies_to_all_realms_of_one_tenant() {
    let (one, other, elsewhere) = (Api::of_tenant("quota"), Api::of_tenant("quota"), Api::of_tenant("no quota"));
    one.realm.set_quota(Quota { calls: 2, window: WINDOW, tells: Tells::Nothing });
    assert_eq!((one.answer().await.0, other.answer().await.0), (200, 200));
    assert_eq!((one.answer().await.0, other.answer().await.0, elsewhere.answer().await.0), (429, 429, 200));
    let created = one.post(&jobs_of(JANE), one.enrolment()).await;
    assert_eq!((created.0, one.realm.jobs().len()), (429, 0), "no job is created");
    assert_eq!(one.realm.requests_of_tenant().len(), 5);
    one.realm.set_quota(None);
    assert_eq!(other.answer().await.0, 200);
}

#[tokio::test]
async fn call_beyond_the_quota_reports_the_time_to_wait() {
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
