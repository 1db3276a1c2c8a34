//! Reads a complete list from its pages, although the service may shift items between pages meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::asked::Asked;
use super::client::{PAGE_LIMIT, Success};
use super::decode::{self, Listed, Page};
use super::error::{Doubt, Error};
use super::operation::Operation;
use super::outcome;
use super::redaction::Redactor;

/// The most reads of a list whose ids do not reach `total_size`, as happens while items are added and removed.
const READS: usize = 3;

/// The fewest reads of a list with several pages. When an item is removed meanwhile, the next page starts one item
/// later, so one item is on no page. `total_size` may still be reached, because the removed item was counted.
const READS_OF_PAGES: usize = 2;

/// Far more pages than any usable list has. Stops a service that never ends its list.
const PAGES: usize = 200;

/// The most items of a list, far more than any usable one has. In memory, an item is many times as large as its shortest
/// form.
pub(super) const ITEMS: usize = 20_000;

/// The most JSON values in all pages of all reads together. In memory, a short one takes a hundred bytes.
pub(super) const VALUES: usize = 200_000;

/// The size limit of all pages of all reads together, in bytes.
const LIST_LIMIT: usize = 4 * PAGE_LIMIT;

/// The timeout of a complete list, as a multiple of the timeout of one page.
const TIME_FACTOR: u32 = 10;

/// A complete list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// Every observed item, once, ordered by id.
    pub items: Vec<T>,
    /// The service's time when its first response began, from the `Date` header. Every item that existed then is in the
    /// list, as far as the service lists its items.
    pub server_time: Option<Timestamp>,
}

/// These items, and those that only an `earlier` list shows.
pub fn union_by_id<T>(items: Vec<T>, earlier: Vec<T>, id: impl Fn(&T) -> &str) -> Vec<T> {
    let ids: HashSet<&str> = items.iter().map(&id).collect();
    let missed: Vec<T> = earlier.into_iter().filter(|item| !ids.contains(id(item))).collect();
    items.into_iter().chain(missed).collect()
}

/// Reads all pages with `fetch(page_token, timeout)`.
///
/// # Errors
/// If any page fails or is unusable, or has an item that was not `asked` for. A list with a gap would look as if an item
/// did not exist.
pub(super) async fn read_all<T, F, Response>(
    operation: Operation,
    page_timeout: Duration,
    redactor: &Redactor,
    asked: &Asked<'_>,
    mut fetch: F,
) -> Result<Listing<T>, Error>
where
    T: Listed,
    F: FnMut(Option<String>, Duration) -> Response,
    Response: Future<Output = Result<Success, Error>>,
{
    let (started, allowed) = (Instant::now(), page_timeout.saturating_mul(TIME_FACTOR));
    let mut found: BTreeMap<String, T> = BTreeMap::new();
    let mut server_time = None;
    let (mut bytes, mut values) = (0_usize, 0_usize);

    // What the last read promised.
    let mut promised = 0;
    for read in 0..READS {
        let mut next = None;
        let mut seen = HashSet::new();
        let mut total = None;
        let mut has_pages = false;
        for page in 0.. {
            let left = allowed.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(outcome::in_doubt(
                    operation,
                    Doubt::Timeout,
                    None,
                    "did not return the complete list in time",
                ));
            }
            let success = fetch(next.take(), page_timeout.min(left)).await?;
            if read == 0 && page == 0 {
                server_time = success.server_time;
            }
            let unusable = |why: &str| outcome::unusable(operation, success.status, why);
            bytes = bytes.saturating_add(success.body.len());
            if bytes > LIST_LIMIT {
                return Err(unusable(&format!("the complete list is larger than {LIST_LIMIT} bytes")));
            }
            values = values.saturating_add(decode::values_in(&success.body));
            if values > VALUES {
                return Err(unusable(&format!("the complete list has more than {VALUES} values")));
            }
            let Page { items, total_size, next_page_token } =
                decode::page_of::<T>(&success.body, redactor).map_err(&unusable)?;
            items.iter().try_for_each(|item| asked.check(item)).map_err(&unusable)?;
            found.extend(items.into_iter().map(|item| (item.id().to_owned(), item)));
            if found.len() > ITEMS {
                return Err(unusable(&format!("the list has more than {ITEMS} items")));
            }
            total = total_size.or(total);
            let Some(token) = next_page_token else { break };
            if page + 1 >= PAGES {
                return Err(unusable(&format!("the list has more than {PAGES} pages")));
            }
            if !seen.insert(token.clone()) {
                return Err(unusable("the list repeats a page token"));
            }
            next = Some(token);
            has_pages = true;
        }
        let least = if has_pages { READS_OF_PAGES } else { 1 };
        promised = total.unwrap_or_default();
        if found.len() as u64 >= promised && read + 1 >= least {
            return Ok(Listing { items: found.into_values().collect(), server_time });
        }
    }
    // An apparently short list would cause another send.
    let what = format!("returned {} of {promised} items in {READS} reads of the list", found.len());
    Err(outcome::in_doubt(operation, Doubt::Unusable, None, &what))
}
