//! Lists in pages. The size of an object is up to whoever may write it, so a list as a whole could fill the memory. So could a
//! page of many objects, and pages of few objects take long. A page has more objects while they are small and the API server
//! returns it in time.

use futures::AsyncReadExt as _;
use kube::api::ListParams;
use kube::core::{ObjectList, Request};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::objects::{CallError, answered};

/// The number of objects of a page whose objects may be large.
const PAGE: u32 = 20;

/// The most objects of a page.
const LONGEST: u32 = 500;

/// The size above which a page of more than [`PAGE`] objects is not read, in bytes: about 500 requests of usual size.
const MOST: u64 = 2 << 20;

/// The pages of a list. All pages are of one moment; if the API server no longer knows it, that is an error.
pub struct Pages<'a, K> {
    client: Client,
    api: &'a Api<K>,
    /// The parameters of the next page; `None` after the last one.
    next: Option<ListParams>,
    length: Length,
}

/// How many objects the next page has.
#[derive(Clone, Copy, Debug)]
struct Length {
    limit: u32,
    /// The most objects of a page that the API server returned in time, as far as is known.
    longest: u32,
}

impl<'a, K: Resource + Clone + DeserializeOwned> Pages<'a, K> {
    /// The pages of `api`.
    pub fn of(api: &'a Api<K>, params: ListParams) -> Self {
        Self { client: api.clone().into_client(), api, next: Some(params), length: Length::FIRST }
    }

    /// The next page; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<ObjectList<K>>, CallError> {
        while let Some(params) = &self.next {
            // A continue token also continues with another limit, although the Kubernetes documentation does not say so.
            let params = params.clone().limit(self.length.limit);
            let read = answered(page(&self.client, self.api, &params, self.length.is_long())).await;
            let Page { list, size } = match read {
                Ok(Some(page)) => page,
                Ok(None) => {
                    self.length.too_large();
                    continue;
                }
                Err(CallError::Late) if self.length.is_long() => {
                    self.length.late();
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.length.read(size);
            let token = list.metadata.continue_.as_ref().filter(|token| !token.is_empty());
            self.next = token.map(|token| params.continue_token(token));
            return Ok(Some(list));
        }
        Ok(None)
    }
}

/// Calls `each` with each object of `api`.
pub async fn list_each<K: Resource + Clone + DeserializeOwned>(
    api: &Api<K>,
    params: ListParams,
    mut each: impl FnMut(K),
) -> Result<(), CallError> {
    let mut pages = Pages::of(api, params);
    while let Some(page) = pages.next().await? {
        page.items.into_iter().for_each(&mut each);
    }
    Ok(())
}

struct Page<K: Clone> {
    list: ObjectList<K>,
    /// Its size in bytes.
    size: u64,
}

/// Reads a page; `None` if it is too large and `is_bounded`.
async fn page<K: Resource + Clone + DeserializeOwned>(
    client: &Client,
    api: &Api<K>,
    params: &ListParams,
    is_bounded: bool,
) -> kube::Result<Option<Page<K>>> {
    let request = Request::new(api.resource_url()).list(params).map_err(kube::Error::BuildRequest)?;
    let most = if is_bounded { MOST } else { u64::MAX - 1 };
    let (mut text, body) = (Vec::new(), client.request_stream(request).await?);
    body.take(most + 1).read_to_end(&mut text).await.map_err(kube::Error::ReadEvents)?;
    let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if size > most {
        return Ok(None);
    }
    let list = serde_json::from_slice(&text).map_err(kube::Error::SerdeError)?;
    Ok(Some(Page { list, size }))
}

impl Length {
    /// That of the first page.
    const FIRST: Self = Self { limit: PAGE, longest: LONGEST };

    /// Whether a shorter page can be asked for.
    fn is_long(self) -> bool {
        self.limit > PAGE
    }

    /// A page of this size in bytes was read. The next one has at most twice as many objects, and as many as fit if they
    /// are as large.
    fn read(&mut self, size: u64) {
        let fits = u64::from(self.limit) * MOST / 2 / size.max(1);
        self.limit = u32::try_from(fits).unwrap_or(u32::MAX).min(2 * self.limit).clamp(PAGE, self.longest);
    }

    /// A page was too large.
    fn too_large(&mut self) {
        self.limit = PAGE;
    }

    /// A page did not arrive in time. Pages of this list are shorter from now on, so that a busy API server does not make
    /// it start over for ever.
    fn late(&mut self) {
        self.longest = (self.limit / 2).max(PAGE);
        self.limit = self.longest;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::client::Body;
    use serde_json::json;
    use tokio::time::sleep;

    use super::*;
    use crate::kubernetes::objects::TIMEOUT;

    /// The lengths of so many pages of objects of this size.
    fn limits(size_of_object: u64, pages: usize) -> Vec<u32> {
        let next = |length: &Length| Some(after(*length, size_of_object));
        std::iter::successors(Some(Length::FIRST), next).take(pages).map(|length| length.limit).collect()
    }

    fn after(mut length: Length, size_of_object: u64) -> Length {
        length.read(u64::from(length.limit) * size_of_object);
        length
    }

    #[test]
    fn pages_grow_while_objects_are_small() {
        assert_eq!(limits(1_000, 7), [20, 40, 80, 160, 320, 500, 500]);
        assert_eq!(limits(20_000, 4), [20, 40, 52, 52]);
        assert_eq!(limits(1_500_000, 3), [20, 20, 20]);
        assert_eq!(after(Length { limit: 500, ..Length::FIRST }, 100_000).limit, PAGE, "after large objects");
        assert_eq!(after(Length::FIRST, 0).limit, 2 * PAGE);
    }

    /// An API server with so many ConfigMaps, which returns pages of more than `most` too late.
    fn slow_for_long_pages(count: usize, most: usize) -> Client {
        let answer = move |request: http::Request<Body>| async move {
            let url = format!("http://localhost{}", request.uri());
            let query: HashMap<_, _> = reqwest::Url::parse(&url)?.query_pairs().into_owned().collect();
            let number = |name: &str| query.get(name).map_or(Ok(0), |value| value.parse::<usize>());
            let (first, limit) = (number("continue")?, number("limit")?);
            if limit > most {
                sleep(2 * TIMEOUT).await;
            }
            let last = (first + limit).min(count);
            let items: Vec<_> = (first..last).map(|n| json!({"metadata": {"name": n.to_string()}})).collect();
            let token = if last < count { last.to_string() } else { String::new() };
            let list = json!({
                "apiVersion": "v1", "kind": "ConfigMapList", "items": items,
                "metadata": {"resourceVersion": "1", "continue": token},
            });
            Ok::<_, tower::BoxError>(http::Response::new(Body::from(list.to_string().into_bytes())))
        };
        Client::new(tower::service_fn(answer), "default")
    }

    #[tokio::test(start_paused = true)]
    async fn page_that_is_late_is_asked_for_again_with_fewer_objects() {
        let listed = async |most: usize| {
            let api = Api::<ConfigMap>::default_namespaced(slow_for_long_pages(1_000, most));
            let mut names = Vec::new();
            let result = list_each(&api, ListParams::default(), |map| names.extend(map.metadata.name)).await;
            result.map(|()| names.into_iter().map(|name| name.parse::<usize>().unwrap()).collect::<Vec<_>>())
        };
        for most in [20, 70, 1_000] {
            assert_eq!(listed(most).await.unwrap(), (0..1_000).collect::<Vec<_>>(), "up to {most} in time");
        }
        assert!(matches!(listed(10).await, Err(CallError::Late)), "the shortest pages are late, too");
    }
}
