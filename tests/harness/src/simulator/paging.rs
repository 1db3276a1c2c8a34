//! Pages of lists, and faults that change them.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::reply::Reply;

/// How a fault changes a list. The default changes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    pub lag: Duration,
    pub max_items: Option<usize>,
    pub shift: bool,
}

/// The page sizes of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub default: usize,
    pub max: usize,
}

/// The filter of a list, from the query or from the page token. The two must not differ.
pub(super) fn filter(query: &HashMap<String, String>) -> Result<Option<String>, Reply> {
    let given = query.get("filter").filter(|filter| !filter.is_empty());
    match page_token(query)? {
        None => Ok(given.cloned()),
        Some(token) if given.is_none_or(|given| Some(given) == token.filter.as_ref()) => Ok(token.filter),
        Some(_) => Err(invalid("filter", "does not match the page token")),
    }
}

/// The answer with one page of a list. `items` already match the filter.
pub(super) fn page(
    key: &str,
    mut items: Vec<Value>,
    query: &HashMap<String, String>,
    sizes: Sizes,
    view: View,
) -> Reply {
    let (offset, size, filter) = match bounds(query, sizes).and_then(|(at, size)| Ok((at, size, filter(query)?))) {
        Ok(bounds) => bounds,
        Err(reply) => return reply,
    };
    let total = items.len();
    if view.shift && offset > 0 && total > 0 {
        items.rotate_left(1);
    }
    let count = view.max_items.map_or(size, |most| size.min(most.max(1)));
    let end = offset.saturating_add(count).min(total);
    let items = items.into_iter().skip(offset).take(count).collect();
    let mut body =
        Map::from_iter([(key.to_owned(), Value::Array(items)), ("total_size".to_owned(), Value::from(total))]);
    if end < total {
        body.insert("next_page_token".to_owned(), Value::from(Token { offset: end, size, filter }.to_string()));
    }
    Reply::json(200, &Value::Object(body))
}

fn bounds(query: &HashMap<String, String>, sizes: Sizes) -> Result<(usize, usize), Reply> {
    let number = |field: &str| match query.get(field).map(|text| text.parse::<u32>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(usize::try_from(number).ok()),
        Some(Err(_)) => Err(invalid(field, "not a number")),
    };
    let (offset, previous) = page_token(query)?.map_or((0, None), |token| (token.offset, Some(token.size)));
    let offset = offset.saturating_add(number("skip")?.unwrap_or(0));
    let requested = number("page_size")?.filter(|size| *size > 0);
    let size = requested.or(previous).unwrap_or(sizes.default).min(sizes.max);
    Ok((offset, size))
}

fn invalid(field: &str, description: &str) -> Reply {
    Reply::invalid(&[(field.to_owned(), description.to_owned())])
}

fn page_token(query: &HashMap<String, String>) -> Result<Option<Token>, Reply> {
    let given = query.get("page_token").filter(|token| !token.is_empty());
    given.map(|token| Token::parse(token).ok_or_else(|| invalid("page_token", "invalid page token"))).transpose()
}

/// The start of the next page, the page size, and the filter. It contains reserved characters, so that a client that
/// does not encode it fails.
struct Token {
    offset: usize,
    size: usize,
    filter: Option<String>,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, size, filter } = self;
        write!(f, "{offset}+{size}+{}/&=", filter.as_deref().unwrap_or_default())
    }
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix("/&=")?.splitn(3, '+');
        let (offset, size) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let filter = parts.next().filter(|filter| !filter.is_empty()).map(str::to_owned);
        Some(Self { offset, size, filter })
    }
}
