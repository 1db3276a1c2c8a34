//! Leniently decodes single fields of a response.

use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Fields of a JSON object.
pub type Fields = serde_json::Map<String, Value>;

/// The longest accepted id, in bytes. The vendor's have up to 36.
const LONGEST_ID: usize = 256;

/// Whether this id can be requested, stored and shown as it is: the characters that a path contains unencoded (RFC 3986),
/// without a special meaning in a path, and not too long to store. An id is never altered, so a response with any other
/// is unusable.
pub(super) fn usable_id(id: &str) -> bool {
    (1..=LONGEST_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        && !matches!(id, "." | ".." | "-")
}

/// A required field: a usable id.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if usable_id(&id) { Ok(id) } else { Err(D::Error::custom("an unusable `id`")) }
}

/// The id of another object: a usable one, or `None` if it is missing, empty or of another type.
pub(super) fn other_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let id: Option<String> = text(deserializer)?;
    if id.as_deref().is_none_or(usable_id) { Ok(id) } else { Err(D::Error::custom("an unusable id")) }
}

/// A time (RFC 3339), written as this client writes times. A text that is no time is `None`, and so never shown.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text: Option<String> = text(deserializer)?;
    let Some(text) = text else { return Ok(None) };
    let Ok(time) = text.parse::<Timestamp>() else {
        tracing::debug!("A time from the Beyond Identity API is not in the form of RFC 3339; it is left out");
        return Ok(None);
    };
    // As many digits as in the text, so that a time as the service writes it stays as it is.
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count().min(9);
    Ok(Some(format!("{time:.digits$}")))
}

/// A text, or `None` if it is empty or of another type. Nothing is buffered, whatever its size.
pub(super) fn text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    let text = deserializer.deserialize_any(TextVisitor)?;
    Ok(text.filter(|text| !text.is_empty()).map(T::from))
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Changes every text in a value. Keys stay as they are.
pub(crate) fn for_each_text(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => change(text),
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_text(item, change)),
        Value::Object(fields) => fields.values_mut().for_each(|field| for_each_text(field, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A JSON object, or `None` for anything else.
pub(super) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fields>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(fields) => Some(fields),
        _ => None,
    })
}
