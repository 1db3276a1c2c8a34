//! Which configurations a provider config lets its namespaces create. Pure.
//!
//! The emailed link of an `embedded` configuration leads to its `invokeURL`, with the enrolment token. A user who chooses
//! that address can bind a passkey for another identity (vendor's documentation of the embedded flow).

use super::config_spec::{ConfigSpec, ConfigType};

/// The types and addresses that a provider config allows in an AuthenticatorConfig.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigPolicy {
    /// `spec.allowedConfigTypes`; `None`: only `hosted_web`.
    pub types: Option<Vec<ConfigType>>,
    /// `spec.allowedInvokeURLs`: origins, or schemes of native apps (`myapp://`). Empty: none.
    pub invoke_urls: Vec<String>,
    /// `spec.allowedTrustedOrigins`; `None`: any.
    pub trusted_origins: Option<Vec<String>>,
}

/// A field of an AuthenticatorConfig that the provider config does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAllowed {
    /// The field, with its value if that is not personal data.
    pub field: String,
    /// The field of the provider config that would allow it.
    pub allowed_by: &'static str,
}

impl ConfigPolicy {
    /// The first field of `config` that is not allowed.
    pub fn refusal(&self, config: &ConfigSpec) -> Option<NotAllowed> {
        let type_ = config.type_;
        let types = self.types.as_deref().unwrap_or(&[ConfigType::HostedWeb]);
        if !types.contains(&type_) {
            let field = format!("spec.config.type {}", type_.as_str());
            return Some(NotAllowed { field, allowed_by: "spec.allowedConfigTypes" });
        }
        if config.invoke_url.as_deref().is_some_and(|url| !self.invoke_urls.iter().any(|allowed| covers(allowed, url)))
        {
            let field = "the address in spec.config.invokeURL".to_owned();
            return Some(NotAllowed { field, allowed_by: "spec.allowedInvokeURLs" });
        }
        let (Some(allowed), Some(origins)) = (&self.trusted_origins, &config.trusted_origins) else { return None };
        let is_allowed = |trusted: &String| allowed.iter().any(|allowed| covers(allowed, trusted));
        if origins.iter().all(is_allowed) {
            return None;
        }
        let field = "an origin in spec.config.trustedOrigins".to_owned();
        Some(NotAllowed { field, allowed_by: "spec.allowedTrustedOrigins" })
    }
}

/// Whether `url` is at the origin `allowed`. An allowed scheme without a host (`myapp://`) covers all its addresses.
pub(super) fn covers(allowed: &str, url: &str) -> bool {
    let (Some((scheme, authority)), Some(url)) = (origin(allowed), origin(url)) else { return false };
    let any_host = authority.is_empty() && !is_web(&scheme);
    url.0 == scheme && (any_host || url.1 == authority)
}

/// The scheme and the authority of an address, in lower case and without the scheme's own port. `None` if URL parsers
/// could disagree about the host: a user, a backslash, a blank, or an escape before the path.
fn origin(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_plain = authority.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]_".contains(c));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    if !is_scheme || !is_plain || (is_web(&scheme) && authority.is_empty()) {
        return None;
    }
    let default_port = if scheme == "http" { ":80" } else { ":443" };
    let authority = match authority.strip_suffix(default_port) {
        Some(host) if is_web(&scheme) => host.to_owned(),
        _ => authority,
    };
    Some((scheme, authority))
}

fn is_web(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(type_: ConfigType, invoke_url: Option<&str>, origins: Option<&[&str]>) -> ConfigSpec {
        ConfigSpec {
            type_,
            authentication_methods: None,
            trusted_origins: origins.map(|origins| origins.iter().map(ToString::to_string).collect()),
            invoke_url: invoke_url.map(str::to_owned),
            invocation_type: None,
            onboarding_configuration: None,
            roaming_auth_config: None,
        }
    }

    fn allowing(urls: &[&str]) -> ConfigPolicy {
        let invoke_urls = urls.iter().map(ToString::to_string).collect();
        ConfigPolicy { types: Some(vec![ConfigType::Embedded]), invoke_urls, trusted_origins: None }
    }

    #[test]
    fn only_hosted_web_is_allowed_by_default() {
        for (type_, is_allowed) in [
            (ConfigType::HostedWeb, true),
            (ConfigType::Embedded, false),
            (ConfigType::Console, false),
            (ConfigType::Platform, false),
        ] {
            let refusal = ConfigPolicy::default().refusal(&config(type_, None, Some(&["https://any.example.com"])));
            assert_eq!(refusal.is_none(), is_allowed, "{refusal:?}");
        }
    }

    #[test]
    fn listed_type_replaces_the_default() {
        let policy = allowing(&[]);
        assert_eq!(policy.refusal(&config(ConfigType::Embedded, None, None)), None);
        assert!(policy.refusal(&config(ConfigType::HostedWeb, None, None)).is_some());
    }

    #[test]
    fn invoke_url_is_allowed_at_the_same_origin_only() {
        let policy =
            allowing(&["https://app.example.com", "https://other.example.com:8443", "myapp://", "app2://bind"]);
        let is_allowed = |url: &str| policy.refusal(&config(ConfigType::Embedded, Some(url), None)).is_none();
        for url in [
            "https://app.example.com",
            "https://app.example.com/bind?x=1#y",
            "HTTPS://App.Example.com:443/",
            "https://other.example.com:8443/x",
            "myapp://anything/at/all",
            "myapp://",
            "app2://bind/x",
        ] {
            assert!(is_allowed(url), "{url}");
        }
        for url in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://other.example.com",
            "https://app.example.com.evil.example",
            "https://app.example.com@evil.example",
            "https://evil.example\\@app.example.com",
            "https://app.example.com\\@evil.example/",
            "https://app.example.com%2f@evil.example",
            "https:app.example.com",
            "https:///app.example.com",
            "//app.example.com",
            " https://app.example.com",
            "https://app.example.com .evil.example",
            "https://\u{ff41}pp.example.com",
            "myapp:x",
            "myapp2://x",
            "app2://other",
            "javascript://app.example.com",
            "",
        ] {
            assert!(!is_allowed(url), "{url}");
        }
    }

    #[test]
    fn no_invoke_url_is_allowed_by_default() {
        assert!(allowing(&[]).refusal(&config(ConfigType::Embedded, Some("https://a.example"), None)).is_some());
        for web in ["https://", "http://"] {
            let refusal = allowing(&[web]).refusal(&config(ConfigType::Embedded, Some("https://a.example"), None));
            assert!(refusal.is_some(), "{web} without a host does not allow every host");
        }
    }

    #[test]
    fn trusted_origins_are_any_or_all_listed() {
        let with = |allowed: &[&str]| ConfigPolicy {
            trusted_origins: Some(allowed.iter().map(ToString::to_string).collect()),
            ..ConfigPolicy::default()
        };
        let refusal = |policy: &ConfigPolicy, origins: &[&str]| {
            policy.refusal(&config(ConfigType::HostedWeb, None, Some(origins))).map(|refusal| refusal.allowed_by)
        };
        let one = with(&["https://a.example"]);
        assert_eq!(refusal(&ConfigPolicy::default(), &["https://b.example"]), None);
        assert_eq!(refusal(&one, &["https://a.example"]), None);
        assert_eq!(refusal(&one, &["https://a.example", "https://b.example"]), Some("spec.allowedTrustedOrigins"));
        assert_eq!(refusal(&one, &["*"]), Some("spec.allowedTrustedOrigins"));
        assert_eq!(refusal(&with(&[]), &[]), None);
    }

    proptest! {
        /// Whatever a tenant writes, an allowed address has the allowed host in the URL parser of the HTTP client too.
        #[test]
        fn allowed_address_has_the_allowed_host(tail in ".{0,24}", head in "(https?:)?/{0,3}.{0,8}") {
            let policy = allowing(&["https://app.example.com"]);
            for url in [format!("https://app.example.com{tail}"), format!("{head}app.example.com{tail}")] {
                if policy.refusal(&config(ConfigType::Embedded, Some(&url), None)).is_none() {
                    let parsed = reqwest::Url::parse(&url).unwrap();
                    prop_assert_eq!((parsed.scheme(), parsed.host_str()), ("https", Some("app.example.com")), "{}", url);
                    prop_assert_eq!((parsed.username(), parsed.port()), ("", None), "{}", url);
                }
            }
        }
    }
}
