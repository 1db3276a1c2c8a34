//! Decodes untrusted JSON: lenient fields, envelopes and pages.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::asked::ObjectIds;
use super::fields::{for_each_text, usable_id};
use super::listing::{ITEMS, VALUES};
use super::redaction::Redactor;
use super::types::{AuthenticatorConfig, CredentialBindingJob, Identity, PatchedConfig};

/// An object of the API, with the names used in responses.
pub(super) trait Object: DeserializeOwned {
    /// The key of the envelope that some responses use.
    const ENVELOPE: &'static str;
    /// Redacts every text that can be shown.
    ///
    /// # Errors
    /// An id cannot be redacted. One that contains the credential of the call makes the response unusable.
    fn redact(&mut self, redactor: &Redactor) -> Result<(), &'static str>;
    /// The ids that tell what it is.
    fn ids(&self) -> ObjectIds<'_>;
}

const ID_WITH_CREDENTIAL: &str = "an id in it contains the credential of the call";

fn check_ids<'a>(ids: impl IntoIterator<Item = Option<&'a String>>, redactor: &Redactor) -> Result<(), &'static str> {
    let is_found = ids.into_iter().flatten().any(|id| redactor.finds_own_credential_in(id));
    if is_found { Err(ID_WITH_CREDENTIAL) } else { Ok(()) }
}

impl Object for Identity {
    const ENVELOPE: &'static str = "identity";

    fn redact(&mut self, redactor: &Redactor) -> Result<(), &'static str> {
        self.status.iter_mut().for_each(|status| status.redact(redactor));
        self.enrollment_status.iter_mut().for_each(|status| status.redact(redactor));
        check_ids([Some(&self.id), self.realm_id.as_ref(), self.tenant_id.as_ref()], redactor)
    }

    fn ids(&self) -> ObjectIds<'_> {
        let Self { id, realm_id, tenant_id, .. } = self;
        ObjectIds { id, identity_id: None, realm_id: realm_id.as_deref(), tenant_id: tenant_id.as_deref() }
    }
}

impl Object for CredentialBindingJob {
    const ENVELOPE: &'static str = "credential_binding_job";

    fn redact(&mut self, redactor: &Redactor) -> Result<(), &'static str> {
        let Self {
            id,
            realm_id,
            tenant_id,
            identity_id,
            authenticator_config_id,
            delivery_method,
            state,
            credential_id,
            post_binding_redirect_uri: _, // only compared
            expire_time: _,
            create_time: _,
            update_time: _,
        } = self;
        delivery_method.iter_mut().for_each(|method| method.redact(redactor));
        state.iter_mut().for_each(|state| state.redact(redactor));
        let others = [realm_id, tenant_id, identity_id, authenticator_config_id, credential_id];
        check_ids(others.into_iter().map(|id| id.as_ref()).chain([Some(&*id)]), redactor)
    }

    fn ids(&self) -> ObjectIds<'_> {
        let Self { id, identity_id, realm_id, tenant_id, .. } = self;
        let [identity_id, realm_id, tenant_id] = [identity_id, realm_id, tenant_id].map(Option::as_deref);
        ObjectIds { id, identity_id, realm_id, tenant_id }
    }
}

impl Object for AuthenticatorConfig {
    const ENVELOPE: &'static str = "authenticator_config";

    fn redact(&mut self, redactor: &Redactor) -> Result<(), &'static str> {
        // Of a display name, only an ownership mark is shown, which has a form of its own. Of the settings, only the type.
        let Self { id, realm_id, tenant_id, display_name: _, config } = self;
        if let Some(Value::String(type_)) = config.as_mut().and_then(|config| config.get_mut("type")) {
            *type_ = redactor.word(type_);
        }
        check_ids([Some(&*id), realm_id.as_ref(), tenant_id.as_ref()], redactor)
    }

    fn ids(&self) -> ObjectIds<'_> {
        let Self { id, realm_id, tenant_id, .. } = self;
        ObjectIds { id, identity_id: None, realm_id: realm_id.as_deref(), tenant_id: tenant_id.as_deref() }
    }
}

impl Object for PatchedConfig {
    const ENVELOPE: &'static str = AuthenticatorConfig::ENVELOPE;

    fn redact(&mut self, redactor: &Redactor) -> Result<(), &'static str> {
        let AuthenticatorConfig { display_name, config, .. } = &mut self.shown;
        display_name.iter_mut().for_each(|name| *name = redactor.text(name));
        for value in config.iter_mut().flat_map(|config| config.values_mut()) {
            for_each_text(value, &mut |text| *text = redactor.text(text));
        }
        self.config.redact(redactor)
    }

    fn ids(&self) -> ObjectIds<'_> {
        self.config.ids()
    }
}

/// Decodes one object, with or without its envelope. The error says what is wrong, without quoting the response.
pub(super) fn object_of<T: Object>(body: &[u8], redactor: &Redactor) -> Result<T, &'static str> {
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
    let mut object: T = serde_json::from_value(Value::Object(fields))
        .map_err(|_| "the object does not match the documented schema, or an id in it is unusable")?;
    object.redact(redactor)?;
    Ok(object)
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

/// The number of values in a JSON body, or more if its texts have commas or brackets.
pub(super) fn values_in(body: &[u8]) -> usize {
    body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

/// Decodes one page. A page without its list is an error, because an apparently empty list would cause another send. So
/// is a count or token of another type, because it would hide whether more pages exist.
pub(super) fn page_of<T: Listed>(body: &[u8], redactor: &Redactor) -> Result<Page<T>, &'static str> {
    if values_in(body) > VALUES {
        return Err("the page has too many values");
    }
    let mut page: Page<T> = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            "the body is not a complete page of a list, or it has too many items, or one of them has no usable `id`, or an unusable id of another object"
        }
        _ => "the body is not JSON",
    })?;
    page.items.iter_mut().try_for_each(|item| item.redact(redactor))?;
    Ok(page)
}

impl<'de, T: Listed> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PageVisitor(PhantomData))
    }
}

struct PageVisitor<T>(PhantomData<T>);

/// The items of a page, at most [`ITEMS`]. No more is decoded.
struct Items<T>(Vec<T>);

impl<'de, T: Listed> Deserialize<'de> for Items<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor(PhantomData))
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: Listed> Visitor<'de> for ItemsVisitor<T> {
    type Value = Items<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {ITEMS} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() == ITEMS {
                return Err(A::Error::invalid_length(ITEMS + 1, &self));
            }
            items.push(item);
        }
        Ok(Items(items))
    }
}

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
                    if items.replace(map.next_value::<Items<T>>()?.0).is_some() {
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
