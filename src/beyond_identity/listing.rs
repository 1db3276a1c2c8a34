//! A whole list out of its pages, from a service that shifts its pages while they are read.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::client::{PAGE_LIMIT, Success};
use super::decode::{self, Listed, Page};
use super::error::{Doubt, Error};
use super::operation::Operation;
use super::outcome;

/// Times that a list is read at most where the ids do not reach `total_size`, which happens while items come and go.
const READS: usize = 3;

/// Times that a list of several pages is read at least. When an item is removed while they are read, the next page begins
/// one item later: an item is on neither of the two, although `total_size` may be reached by the one that was removed.
const READS_OF_PAGES: usize = 2;

/// Far more pages than a list has that anybody could use; the end of a service that never comes to one.
const PAGES: usize = 200;

/// The bound on all pages of all reads together, in bytes.
const LIST_LIMIT: usize = 4 * PAGE_LIMIT;

/// A whole list takes at most this many times what one page may take.
const TIME_FACTOR: u32 = 10;

/// A whole list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// Every item that was seen, once, ordered by id.
    pub items: Vec<T>,
    /// The service's own time when its first answer began, from the `Date` header: whatever existed then is in the list, as
    /// far as the service shows what it has.
    pub server_time: Option<Timestamp>,
}

/// Reads all pages with `fetch(page_token, timeout)`.
///
/// # Errors
/// Any page that failed or cannot be used fails the whole: a list with a hole in it looks as if something were missing.
pub(super) async fn read_all<T, F, Response>(
    operation: Operation,
    page_timeout: Duration,
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
    let mut bytes = 0_usize;

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
            let Page { items, total_size, next_page_token } = decode::page_of::<T>(&success.body).map_err(&unusable)?;
            found.extend(items.into_iter().map(|item| (item.id().to_owned(), item)));
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
        let is_whole = total.is_none_or(|total| found.len() as u64 >= total);
        if is_whole && read + 1 >= least {
            break;
        }
    }
    Ok(Listing { items: found.into_values().collect(), server_time })
}
