//! Lists in pages. The size of an object is up to whoever may write it, so a list as a whole could fill the memory.

use std::future::Future;

use kube::api::ListParams;
use kube::core::ObjectList;

use super::objects::{CallError, answered};

/// The number of objects of a page.
pub const PAGE: u32 = 20;

/// Calls `each` with each object that `fetch` lists. All pages are of one moment; if the API server no longer knows it, that
/// is an error.
pub async fn list_each<K: Clone, F>(
    params: ListParams,
    fetch: impl Fn(ListParams) -> F,
    mut each: impl FnMut(K),
) -> Result<(), CallError>
where
    F: Future<Output = kube::Result<ObjectList<K>>>,
{
    let mut params = params.limit(PAGE);
    loop {
        let page = answered(fetch(params.clone())).await?;
        page.items.into_iter().for_each(&mut each);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(()),
        }
    }
}
