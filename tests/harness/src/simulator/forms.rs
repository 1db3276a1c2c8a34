//! The form in which the service may keep the values of a configuration.

use std::net::IpAddr;

use icu_normalizer::ComposingNormalizerBorrowed;
use reqwest::Url;
use serde_json::Value;

use super::model::Config;

impl Config {
    /// Brings the values into a normal form of the same meaning: host names in lower case, no default ports, short address
    /// ranges without host bits, and names in NFC without blanks around them. [`super::RealmHandle::keep_configs_as`]
    /// takes this function.
    pub fn normalize(&mut self) {
        let nfc = ComposingNormalizerBorrowed::new_nfc();
        self.display_name.iter_mut().for_each(|name| *name = nfc.normalize(name.trim()).into_owned());
        for path in ["/trusted_origins", "/roaming_auth_config/allowed_source_ips", "/invoke_url"] {
            let mut config = Value::Object(std::mem::take(&mut self.config));
            match config.pointer_mut(path) {
                Some(Value::Array(items)) => items.iter_mut().for_each(normalize_text),
                Some(text) => normalize_text(text),
                None => {}
            }
            if let Value::Object(config) = config {
                self.config = config;
            }
        }
    }
}

fn normalize_text(value: &mut Value) {
    let Some(text) = value.as_str() else { return };
    let normal = range(text).or_else(|| url(text));
    *value = normal.map_or_else(|| value.clone(), Value::from);
}

fn url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let text = url.to_string();
    // An origin has no path.
    Some(if url.path() == "/" && url.query().is_none() { text.trim_end_matches('/').to_owned() } else { text })
}

fn range(text: &str) -> Option<String> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let Some(length) = length else { return Some(address.to_string()) };
    let length: u32 = length.parse().ok()?;
    let network = match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(length)?).unwrap_or_default();
            IpAddr::from((u32::from(address) & mask).to_be_bytes())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(length)?).unwrap_or_default();
            IpAddr::from((u128::from(address) & mask).to_be_bytes())
        }
    };
    Some(format!("{network}/{length}"))
}
