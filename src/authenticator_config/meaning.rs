//! Whether two values of a setting have the same meaning, although they are written differently. Pure.

use std::net::IpAddr;

use icu_normalizer::ComposingNormalizerBorrowed;
use reqwest::Url;
use serde_json::Value;

/// Whether `have` matches `wanted`, the value of the setting `key`. Lists are compared as sets, texts by their meaning, and
/// `have` may contain fields that `wanted` does not.
pub(super) fn same(key: &str, wanted: &Value, have: &Value) -> bool {
    match (wanted, have) {
        (Value::Array(wanted), Value::Array(have)) => {
            wanted.iter().all(|wanted| have.iter().any(|have| same(key, wanted, have)))
                && have.iter().all(|have| wanted.iter().any(|wanted| same(key, wanted, have)))
        }
        (Value::Object(wanted), Value::Object(have)) => {
            wanted.iter().all(|(key, wanted)| have.get(key).is_some_and(|have| same(key, wanted, have)))
        }
        // The service may return an empty list as null.
        (Value::Array(wanted), Value::Null) => wanted.is_empty(),
        (Value::String(wanted), Value::String(have)) => wanted == have || same_text(key, wanted, have),
        _ => wanted == have,
    }
}

fn same_text(key: &str, wanted: &str, have: &str) -> bool {
    match key {
        "trusted_origins" | "invoke_url" => is_same(url, wanted, have),
        "allowed_source_ips" => is_same(range, wanted, have),
        _ => false,
    }
}

/// Whether two display names are the same, apart from blanks around them and the composition of their characters.
pub(super) fn same_name(wanted: &str, have: &str) -> bool {
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    wanted == have || nfc.normalize(wanted.trim()) == nfc.normalize(have.trim())
}

/// Texts that cannot be read are not the same.
fn is_same<T: PartialEq>(read: fn(&str) -> Option<T>, wanted: &str, have: &str) -> bool {
    read(wanted).is_some_and(|wanted| read(have) == Some(wanted))
}

/// A URL as browsers read it: host and scheme in lower case, no default port, and short IPv6 addresses.
fn url(text: &str) -> Option<Url> {
    // Browsers also read `https:host`, which the service may not.
    text.contains("://").then(|| Url::parse(text).ok()).flatten()
}

/// An address range: its first address and its length. An address is the range of itself.
fn range(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: u32 = length.map_or(Ok(bits), str::parse).ok()?;
    let host = bits.checked_sub(length)?;
    let first = match address {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) & u32::MAX.checked_shl(host).unwrap_or(0)).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & u128::MAX.checked_shl(host).unwrap_or(0)).into()),
    };
    Some((first, length))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_of_the_same_meaning_are_the_same() {
        let (origins, ranges) = ("trusted_origins", "allowed_source_ips");
        for (key, one, other) in [
            (origins, "https://App.Example.com", "https://app.example.com"),
            (origins, "https://app.example.com:443", "HTTPS://app.example.com/"),
            (origins, "http://[2001:DB8:0:0::1]:80", "http://[2001:db8::1]"),
            (origins, "myapp://Host", "MYAPP://Host"),
            ("invoke_url", "https://App.example.com:443/bi?a=B", "https://app.example.com/bi?a=B"),
            (ranges, "198.51.100.9/24", "198.51.100.0/24"),
            (ranges, "192.0.2.1", "192.0.2.1/32"),
            (ranges, "2001:DB8:0:0::1", "2001:db8::1"),
            (ranges, "2001:db8::ffff/64", "2001:db8::/64"),
            (ranges, "198.51.100.9/0", "0.0.0.0/0"),
            (ranges, "2001:db8::1/0", "::/0"),
        ] {
            assert!(same(key, &json!([one]), &json!([other])), "{one} {other}");
            assert!(same(key, &json!([other]), &json!([one])), "{other} {one}");
            assert!(!same("allowed_user_ids", &json!([one]), &json!([other])), "{one} {other}: ids are exact");
        }
    }

    #[test]
    fn texts_of_another_meaning_differ() {
        let (origins, ranges) = ("trusted_origins", "allowed_source_ips");
        for (key, one, other) in [
            (origins, "https://app.example.com", "http://app.example.com"),
            (origins, "https://app.example.com", "https://app.example.com:8443"),
            (origins, "https://app.example.com", "https://user@app.example.com"),
            (origins, "https://app.example.com", "https://app.example.com/path"),
            (origins, "https://app.example.com", "https:app.example.com"),
            (origins, "myapp://Host", "myapp://host"),
            ("invoke_url", "https://app.example.com/bi", "https://app.example.com/BI"),
            (ranges, "198.51.100.0/24", "198.51.100.0/25"),
            (ranges, "198.51.100.9/24", "198.51.101.9/24"),
            (ranges, "192.0.2.1", "192.0.2.1/33"),
            (ranges, "192.0.2.1/33", "192.0.2.2/33"),
            (ranges, "not an address", "Not an address"),
        ] {
            assert!(!same(key, &json!(one), &json!(other)), "{one} {other}");
        }
    }

    #[test]
    fn names_are_compared_in_nfc_without_outer_blanks() {
        assert!(same_name(" Zu\u{308}rich (a b)", "Z\u{fc}rich (a b)"));
        for other in ["Zurich (a b)", "z\u{fc}rich (a b)", "Z\u{fc}rich  (a b)"] {
            assert!(!same_name("Z\u{fc}rich (a b)", other), "{other}");
        }
    }
}
