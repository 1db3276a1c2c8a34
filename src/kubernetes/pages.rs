//! Lists in pages. The size of an object is up to whoever may write it, so a list as a whole could fill the memory. So could a
//! page of many objects, and pages of few objects take long. A page has more objects while they are small.

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
    limit: u32,
}

impl<'a, K: Resource + Clone + DeserializeOwned> Pages<'a, K> {
    /// The pages of `api`.
    pub fn of(api: &'a Api<K>, params: ListParams) -> Self {
        Self { client: api.clone().into_client(), api, next: Some(params), limit: PAGE }
    }

    /// The next page; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<ObjectList<K>>, CallError> {
        while let Some(params) = &self.next {
            let params = params.clone().limit(self.limit);
            let Some(Page { list, size }) = answered(page(&self.client, self.api, &params, self.limit > PAGE)).await?
            else {
                self.limit = PAGE;
                continue;
            };
            self.limit = next_limit(self.limit, size);
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

/// The number of objects of the next page, after one of this size: at most twice as many, and as many as fit if they are as
/// large.
fn next_limit(limit: u32, size: u64) -> u32 {
    let fits = u64::from(limit) * MOST / 2 / size.max(1);
    u32::try_from(fits).unwrap_or(u32::MAX).min(2 * limit).clamp(PAGE, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_while_objects_are_small() {
        let limits = |size_of_object: u64, pages: usize| {
            let next = |limit: &u32| Some(next_limit(*limit, u64::from(*limit) * size_of_object));
            std::iter::successors(Some(PAGE), next).take(pages).collect::<Vec<_>>()
        };
        assert_eq!(limits(1_000, 7), [20, 40, 80, 160, 320, 500, 500]);
        assert_eq!(limits(20_000, 4), [20, 40, 52, 52]);
        assert_eq!(limits(1_500_000, 3), [20, 20, 20]);
        assert_eq!(next_limit(500, 500 * 100_000), PAGE, "after large objects");
        assert_eq!(next_limit(PAGE, 0), 2 * PAGE);
    }
}
