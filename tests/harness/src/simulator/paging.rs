//! Pages: how a list is cut, and how a fault cuts it differently.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use super::reply::Reply;

/// How a fault lets a list look; the default is as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct View {
    pub lag: Duration,
    pub short: Option<usize>,
    pub shifting: bool,
}

/// The sizes of a list's pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub default: usize,
    pub max: usize,
}

/// What a list is narrowed down to: by the query, or by the page token, which keeps it. The two may not differ.
pub(super) fn filter(query: &HashMap<String, String>) -> Result<Option<String>, Reply> {
    let asked = query.get("filter").filter(|filter| !filter.is_empty());
    match page_token(query)? {
        None => Ok(asked.cloned()),
        Some(token) if asked.is_none_or(|asked| Some(asked) == token.filter.as_ref()) => Ok(token.filter),
        Some(_) => Err(invalid("filter", "does not match the page token")),
    }
}

/// One page as a list's answer. `items` are those that fit the filter.
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
    if view.shifting && offset > 0 && total > 0 {
        items.rotate_left(1);
    }
    let shown = view.short.map_or(size, |most| size.min(most.max(1)));
    let end = offset.saturating_add(shown).min(total);
    let items = items.into_iter().skip(offset).take(shown).collect();
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
    let (offset, kept) = page_token(query)?.map_or((0, None), |token| (token.offset, Some(token.size)));
    let offset = offset.saturating_add(number("skip")?.unwrap_or(0));
    let asked = number("page_size")?.filter(|size| *size > 0);
    let size = asked.or(kept).unwrap_or(sizes.default).min(sizes.max);
    Ok((offset, size))
}

fn invalid(field: &str, description: &str) -> Reply {
    Reply::invalid(&[(field.to_owned(), description.to_owned())])
}

fn page_token(query: &HashMap<String, String>) -> Result<Option<Token>, Reply> {
    let given = query.get("page_token").filter(|token| !token.is_empty());
    given.map(|token| Token::parse(token).ok_or_else(|| invalid("page_token", "invalid page token"))).transpose()
}

/// Where the next page begins, the size of the pages, and what the list is narrowed down to. It has characters that mean
/// something else in a query when they are not encoded there, so that a client that forgets to do so does not get far.
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
