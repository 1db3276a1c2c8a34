//! The base URLs of the API and of its token endpoint: the fixed hosts of a region, or configured URLs.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// A region of the service, each with its own fixed hosts for the API and for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Region {
    /// `api-us.beyondidentity.com`, `auth-us.beyondidentity.com`
    US,
    /// `api-eu.beyondidentity.com`, `auth-eu.beyondidentity.com`
    EU,
    /// `api.us1.beyondidentity-gov.com`, `auth.us1.beyondidentity-gov.com`
    USFedRAMP,
}

impl Region {
    const fn api_base(self) -> &'static str {
        match self {
            Self::US => "https://api-us.beyondidentity.com",
            Self::EU => "https://api-eu.beyondidentity.com",
            Self::USFedRAMP => "https://api.us1.beyondidentity-gov.com",
        }
    }

    const fn auth_base(self) -> &'static str {
        match self {
            Self::US => "https://auth-us.beyondidentity.com",
            Self::EU => "https://auth-eu.beyondidentity.com",
            Self::USFedRAMP => "https://auth.us1.beyondidentity-gov.com",
        }
    }
}

/// A base URL: scheme, host and optional port, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    base: String,
    loopback: bool,
}

/// Why a text is not an endpoint. The message never quotes the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute `http` or `https` URL.
    #[error("the endpoint is not a URL; write it as https://HOST or https://HOST:PORT")]
    NotAUrl,
    /// A user name or a password in the URL.
    #[error("the endpoint contains a user name or password; remove it, since credentials belong in a Secret")]
    UserInfo,
    /// Something after the port.
    #[error("the endpoint has a path, query or fragment; give only the scheme, host and port")]
    Path,
    /// `http` to another machine.
    #[error("the endpoint uses plain http to another machine, which would expose the token; use https")]
    PlainHttp,
    /// `http` to this machine, without the flag that allows it.
    #[error(
        "the endpoint uses plain http to this machine; use https or, for a local simulator, start the operator with \
         --allow-loopback-endpoints"
    )]
    LoopbackNotAllowed,
    /// A host that the operator does not allow.
    #[error(
        "the operator does not allow this host; add it to --allowed-endpoint-hosts (allowedEndpointHosts in the chart), \
         or set spec.region instead"
    )]
    HostNotAllowed,
}

impl Endpoint {
    /// Parses `https://HOST[:PORT]`. With `allow_loopback`, `http` is also accepted, but only to `localhost` or a
    /// loopback address.
    ///
    /// # Errors
    /// For anything else, a sentence with the remedy.
    pub fn parse(text: &str, allow_loopback: bool) -> Result<Self, EndpointError> {
        // The URL standard silently drops blanks and tabs, reads a backslash as a slash, and adds missing slashes. Such
        // a text is refused before the lenient parser, so that the URL is used as it is written.
        if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(EndpointError::NotAUrl);
        }
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::NotAUrl)?;
        if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
            return Err(EndpointError::NotAUrl);
        }
        if rest.contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if rest.strip_suffix('/').unwrap_or(rest).contains(['/', '?', '#']) {
            return Err(EndpointError::Path);
        }
        let url = Url::parse(text).map_err(|_| EndpointError::NotAUrl)?;
        let loopback = url.host_str().is_some_and(is_loopback);
        if url.scheme() == "http" {
            match (loopback, allow_loopback) {
                (false, _) => return Err(EndpointError::PlainHttp),
                (true, false) => return Err(EndpointError::LoopbackNotAllowed),
                (true, true) => {}
            }
        }
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { base, loopback })
    }

    /// The base URL, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.base
    }

    /// The base URL of the token endpoint of a region.
    #[must_use]
    pub fn of_tokens(region: Region) -> Self {
        Self { base: region.auth_base().to_owned(), loopback: false }
    }

    /// Whether this is the machine itself. Such requests bypass any proxy.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

impl From<Region> for Endpoint {
    fn from(region: Region) -> Self {
        Self { base: region.api_base().to_owned(), loopback: false }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// `localhost` itself, 127.0.0.0/8 and `[::1]`. No other name, because its resolver decides where it leads.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_has_its_host() {
        let host = |region| Endpoint::from(region).to_string();
        assert_eq!(host(Region::US), "https://api-us.beyondidentity.com");
        assert_eq!(host(Region::EU), "https://api-eu.beyondidentity.com");
        assert_eq!(host(Region::USFedRAMP), "https://api.us1.beyondidentity-gov.com");
        let host = |region| Endpoint::of_tokens(region).to_string();
        assert_eq!(host(Region::US), "https://auth-us.beyondidentity.com");
        assert_eq!(host(Region::EU), "https://auth-eu.beyondidentity.com");
        assert_eq!(host(Region::USFedRAMP), "https://auth.us1.beyondidentity-gov.com");
    }

    #[test]
    fn https_is_accepted_with_and_without_a_port() {
        for (text, base) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/", "https://api.example.com"),
            ("https://api.example.com:8443", "https://api.example.com:8443"),
            ("HTTPS://API.example.com:443", "https://api.example.com"),
            ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ] {
            for allowed in [false, true] {
                assert_eq!(Endpoint::parse(text, allowed).unwrap().as_str(), base, "{text}");
            }
        }
    }

    #[test]
    fn plain_http_is_accepted_for_loopback_with_the_flag_only() {
        for text in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "http://127.9.9.9"] {
            assert!(Endpoint::parse(text, true).unwrap().is_loopback(), "{text}");
            let refused = Endpoint::parse(text, false).unwrap_err();
            assert_eq!(refused, EndpointError::LoopbackNotAllowed, "{text}");
            assert!(refused.to_string().contains("--allow-loopback-endpoints"));
        }
        for text in [
            "http://api.example.com",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://evil.localhost",
            "http://127.0.0.1.nip.io",
            "http://0.0.0.0:80",
            "http://169.254.169.254",
            "http://[::ffff:127.0.0.1]",
            "http://[fe80::1]",
        ] {
            assert_eq!(Endpoint::parse(text, true), Err(EndpointError::PlainHttp), "{text}");
        }
    }

    #[test]
    fn only_scheme_host_and_port_are_accepted() {
        for (text, error) in [
            ("https://jane:hunter2@api.example.com", EndpointError::UserInfo),
            ("https://@api.example.com", EndpointError::UserInfo),
            ("http://localhost@evil.example.com", EndpointError::UserInfo),
            ("https://api.example.com/v1", EndpointError::Path),
            ("https://api.example.com//", EndpointError::Path),
            ("https://api.example.com?a=b", EndpointError::Path),
            ("https://api.example.com/?", EndpointError::Path),
            ("https://api.example.com#f", EndpointError::Path),
            ("api.example.com", EndpointError::NotAUrl),
            ("https:api.example.com", EndpointError::NotAUrl),
            ("https://", EndpointError::NotAUrl),
            ("https://:8443", EndpointError::NotAUrl),
            ("https://api.example.com:99999", EndpointError::NotAUrl),
            ("https://api.exam\nple.com", EndpointError::NotAUrl),
            ("https:\\\\api.example.com", EndpointError::NotAUrl),
            (" https://api.example.com", EndpointError::NotAUrl),
            ("ftp://api.example.com", EndpointError::NotAUrl),
            ("file:///etc/passwd", EndpointError::NotAUrl),
            ("", EndpointError::NotAUrl),
        ] {
            let refused = Endpoint::parse(text, true).unwrap_err();
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("hunter2"));
        }
    }
}
