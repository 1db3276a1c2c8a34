//! The fields that an error names. Only names from this client's own requests are shown, so that nothing else gets into a
//! message as a name.

/// The names in the requests, in alphabetical order.
const NAMES: [&str; 24] = [
    "allow_unknown_user",
    "allowed_source_ips",
    "allowed_user_group_ids",
    "allowed_user_ids",
    "authentication_methods",
    "authenticator_config",
    "authenticator_config_id",
    "config",
    "credential_binding_job",
    "delivery_method",
    "display_name",
    "enabled",
    "filter",
    "identity_id",
    "idp_id",
    "invocation_type",
    "invoke_url",
    "job",
    "onboarding_configuration",
    "post_binding_redirect_uri",
    "roaming_auth_config",
    "trusted_origins",
    "type",
    "verification_method",
];

/// The most fields that are shown.
const MOST: usize = 4;

/// The known ones of these fields.
pub(super) fn named<'a>(fields: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut known: Vec<&str> = fields.filter(|field| is_known(field)).collect();
    known.sort_unstable();
    known.dedup();
    let what = if known.len() == 1 { "field" } else { "fields" };
    let more = if known.len() > MOST { " and others" } else { "" };
    known.truncate(MOST);
    (!known.is_empty()).then(|| format!("{what} {}{more}", known.join(", ")))
}

/// Whether the path consists of known names, each with an index or without. The deepest one has three.
fn is_known(path: &str) -> bool {
    let is_name = |part: &str| {
        let name = match part.split_once('[') {
            Some((name, index)) if index.len() <= 6 => {
                let digits = index.strip_suffix(']').unwrap_or_default();
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return false;
                }
                name
            }
            _ => part,
        };
        NAMES.binary_search(&name).is_ok()
    };
    path.split('.').count() <= 5 && path.split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_fields_are_named() {
        assert!(NAMES.is_sorted());
        for known in ["job.authenticator_config_id", "authenticator_config.config.trusted_origins[12]", "filter"] {
            assert!(is_known(known), "{known}");
        }
        for unknown in [
            "",
            "jane",
            "job.jane",
            "job[jane]",
            "job[]",
            "job[1",
            "job[1234567]",
            "job..type",
            "traits.jane@example.com",
            "job.job.job.job.job.job",
            "job\u{200b}",
        ] {
            assert!(!is_known(unknown), "{unknown}");
        }
        let shown = |fields: &[&str]| named(fields.iter().copied());
        assert_eq!(shown(&["jane"]), None);
        assert_eq!(shown(&["job.type", "jane", "job.type"]).as_deref(), Some("field job.type"));
        assert_eq!(shown(&["type", "job"]).as_deref(), Some("fields job, type"));
        let many = ["config", "enabled", "filter", "job", "type"];
        assert_eq!(shown(&many).as_deref(), Some("fields config, enabled, filter, job and others"));
    }
}
