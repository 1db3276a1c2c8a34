//! Decodes untrusted JSON: lenient fields, envelopes and pages.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::fields::usable_id;
use super::types::{AuthenticatorConfig, CredentialBindingJob, Identity};

/// An object of the API, with the names used in responses.
pub(super) trait Object: DeserializeOwned {
    /// The key of the envelope that some responses use.
    const ENVELOPE: &'static str;
}

impl Object for Identity {
    const ENVELOPE: &'static str = "identity";
}

impl Object for CredentialBindingJob {
    const ENVELOPE: &'static str = "credential_binding_job";
}

impl Object for AuthenticatorConfig {
    const ENVELOPE: &'static str = "authenticator_config";
}

/// Decodes one object, with or without its envelope. The error says what is wrong, without quoting the response.
pub(super) fn object_of<T: Object>(body: &[u8]) -> Result<T, &'static str> {
    let value: Value = serde_json::from_slice(body).map_err(|_| "the body is not JSON")?;
    let Value::Object(mut fields) = value else {
        return Err("the body is not a JSON object");
    };
    let fields = match fields.remove(T::ENVELOPE) {
        Some(Value::Object(inner)) => inner,
        _ => fields,
    };
    if !fields.get("id").and_then(Value::as_str).is_some_and(usable_id) {
        return Err("the object has no usable `id`");
    }
    serde_json::from_value(Value::Object(fields)).map_err(|_| "the object does not match the documented schema")
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub items: Vec<T>,
    pub total_size: Option<u64>,
    pub next_page_token: Option<String>,
}

/// An object that the API lists.
pub(super) trait Listed: Object {
    /// The key of the items of a page.
    const LIST: &'static str;
    /// The API's maximum page size.
    const PAGE_SIZE: u32;
    /// The unique id of an item.
    fn id(&self) -> &str;
}

impl Listed for Identity {
    const LIST: &'static str = "identities";
    const PAGE_SIZE: u32 = 200;
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for CredentialBindingJob {
    const LIST: &'static str = "credential_binding_jobs";
    const PAGE_SIZE: u32 = 200;
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for AuthenticatorConfig {
    const LIST: &'static str = "authenticator_configs";
    const PAGE_SIZE: u32 = 100;
    fn id(&self) -> &str {
        &self.id
    }
}

/// Decodes one page. A page without its list is an error, because an apparently empty list would cause another send. So
/// is a count or token of another type, because it would hide whether more pages exist.
pub(super) fn page_of<T: Listed>(body: &[u8]) -> Result<Page<T>, &'static str> {
    let page: Page<T> = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            "the body is not a complete page of a list, or one of its items has no usable `id`"
        }
        _ => "the body is not JSON",
    })?;
    Ok(page)
}

impl<'de, T: Listed> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PageVisitor(PhantomData))
    }
}

struct PageVisitor<T>(PhantomData<T>);

impl<'de, T: Listed> Visitor<'de> for PageVisitor<T> {
    type Value = Page<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with `{}`", T::LIST)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page<T>, A::Error> {
        let (mut items, mut total_size, mut next_page_token) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                list if list == T::LIST => {
                    if items.replace(map.next_value::<Vec<T>>()?).is_some() {
                        return Err(A::Error::duplicate_field(T::LIST));
                    }
                }
                "total_size" => total_size = map.next_value::<Option<u64>>()?,
                "next_page_token" => next_page_token = map.next_value::<Option<String>>()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let items = items.ok_or_else(|| A::Error::missing_field(T::LIST))?;
        Ok(Page { items, total_size, next_page_token: next_page_token.filter(|token| !token.is_empty()) })
    }
}
