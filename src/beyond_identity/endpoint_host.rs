//! A host that a free endpoint may name.

use std::str::FromStr;

use super::endpoint::Endpoint;

/// A host and its port, which is 443 if it is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointHost(Endpoint);

impl EndpointHost {
    /// Whether `endpoint` is https at this host and port.
    #[must_use]
    pub fn is_of(&self, endpoint: &Endpoint) -> bool {
        self.0 == *endpoint
    }
}

impl FromStr for EndpointHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || "must be HOST or HOST:PORT, without a scheme, a path or a wildcard".to_owned();
        // The URL parser also takes characters such as `*` in a host.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:[]-".contains(c);
        if !text.chars().all(is_plain) {
            return Err(invalid());
        }
        Endpoint::parse(&format!("https://{text}"), false).map(Self).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_a_name_or_an_address_with_an_optional_port() {
        for text in [
            "",
            "*",
            "*.example.com",
            "https://api.example.com",
            "api.example.com/",
            "api.example.com/v1",
            "jane@api.example.com",
            "api.example.com:99999",
            ":443",
            " api.example.com",
            "api example.com",
            "[::1",
            "b\u{fc}cher.example",
        ] {
            assert!(text.parse::<EndpointHost>().is_err(), "{text:?}");
        }
    }
}
