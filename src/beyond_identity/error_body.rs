//! The body of an error response: whether the Beyond Identity API wrote it, and its message.

use serde_json::{Map, Value};

use super::error_fields;
use super::redaction::Redactor;

/// The content of an error body. The default is a body that could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    /// The types of the resources that it names, if it has the form of the API. `None` if it has not, like the page of
    /// a proxy or a load balancer. Then its status says nothing about the requested object.
    resource_types: Option<Vec<String>>,
    /// What is shown of it: its code, the fields that it rejects, and its message if messages are shown.
    pub detail: Option<String>,
}

impl ErrorBody {
    /// Reads a body.
    ///
    /// The form of the API is defined by the OpenAPI document. It is an `Error` with the strings `code` and `message`,
    /// or a bare `ResourceInfo`, which some of its examples use. A gateway's `{"message": "Not Found"}` is neither.
    pub fn parse(body: &[u8], redactor: &Redactor) -> Self {
        let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return Self::default() };
        let details: Vec<_> = match body.get("details") {
            Some(Value::Array(details)) => details.iter().filter_map(Value::as_object).collect(),
            _ => Vec::new(),
        };
        let is_error = ["code", "message"].iter().all(|key| body.get(*key).is_some_and(Value::is_string));
        let is_resource = body.get("resource_type").is_some_and(Value::is_string);
        let named = || details.iter().copied().chain([&body]).filter_map(|info| text(info, "resource_type"));
        Self {
            resource_types: (is_error || is_resource).then(|| named().map(str::to_owned).collect()),
            detail: detail(&body, &details, redactor),
        }
    }

    /// The same without its message.
    pub fn without_detail(self) -> Self {
        Self { detail: None, ..self }
    }

    /// Whether it has the form of the API.
    pub fn is_from_api(&self) -> bool {
        self.resource_types.is_some()
    }

    /// Whether it is about the realm or the tenant, and so not about an object in it.
    pub fn names_realm(&self) -> bool {
        let is_realm = |name: &String| ["realm", "tenant"].iter().any(|realm| name.eq_ignore_ascii_case(realm));
        self.resource_types.iter().flatten().any(is_realm)
    }
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// What the reader learns if messages are not shown.
pub(super) const HIDDEN: &str = "the message of the response is hidden (--show-service-messages)";

fn detail(body: &Map<String, Value>, details: &[&Map<String, Value>], redactor: &Redactor) -> Option<String> {
    let code = text(body, "code").filter(|code| redactor.is_word(code)).map(|code| format!("code {code}"));
    let violations = details.iter().filter_map(|detail| detail.get("field_violations")?.as_array()).flatten();
    let violations: Vec<_> = violations.filter_map(Value::as_object).collect();
    let fields = error_fields::named(violations.iter().filter_map(|violation| text(violation, "field")));
    let main = ["message", "description"].into_iter().find_map(|key| text(body, key)).map(str::to_owned);
    let described = violations
        .iter()
        .filter_map(|violation| Some(format!("{}: {}", text(violation, "field")?, text(violation, "description")?)));
    let texts: Vec<String> = main.into_iter().chain(described).collect();
    let parts: Vec<String> = code.into_iter().chain(fields).chain(message(&texts.join("; "), redactor)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// What is shown of the free text of a response.
pub(super) fn message(text: &str, redactor: &Redactor) -> Option<String> {
    if text.trim().is_empty() {
        return None;
    }
    let shown = redactor.message(text).map(|shown| format!("the response says: {shown}"));
    Some(shown.unwrap_or_else(|| HIDDEN.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> ErrorBody {
        ErrorBody::parse(body.as_bytes(), &Redactor::showing_messages("secret-token-1"))
    }

    #[test]
    fn documented_error_bodies_are_parsed() {
        let body = parse(
            r#"{"code":"bad_request","message":"invalid parameters","details":[
            {"type":"FieldViolations","field_violations":[
                {"field":"job.authenticator_config_id","description":"empty string"}, {"field":1}, null]},
            {"type":"ResourceInfo","resource_type":"Identity","id":"1"}, {"resource_type":7}, 7]}"#,
        );
        assert_eq!(body.resource_types, Some(vec!["Identity".to_owned()]));
        assert_eq!(
            body.detail.as_deref(),
            Some(
                "code bad_request; field job.authenticator_config_id; the response says: invalid parameters; \
                 job.authenticator_config_id: empty string"
            )
        );
        let body = parse(r#"{"resource_type":"Identity","id":"1","description":"identity not found"}"#);
        assert_eq!(body.resource_types, Some(vec!["Identity".to_owned()]));
        assert_eq!(body.detail.as_deref(), Some("the response says: identity not found"));
        let body = parse(r#"{"code":"not_found","message":""}"#);
        assert_eq!((body.resource_types, body.detail.as_deref()), (Some(vec![]), Some("code not_found")));
    }

    #[test]
    fn only_code_and_known_fields_are_shown_by_default() {
        let shown = |body: &str| ErrorBody::parse(body.as_bytes(), &Redactor::hiding_messages("secret-token-1")).detail;
        for (body, expected) in [
            (
                r#"{"code":"bad_request","message":"Jane Doe, +49 151 12345"}"#,
                Some(format!("code bad_request; {HIDDEN}")),
            ),
            (r#"{"code":"Jane Doe","message":" "}"#, None),
            (r#"{"code":"secret-token-1","message":""}"#, None),
            (r#"{"description":"Jane Doe"}"#, Some(HIDDEN.to_owned())),
            (
                r#"{"code":"bad_request","message":"","details":[{"field_violations":[{"field":"job.delivery_method"}, {"field":"Jane"}]}]}"#,
                Some("code bad_request; field job.delivery_method".to_owned()),
            ),
            (
                r#"{"details":[{"field_violations":[{"field":"config.type","description":"Jane"}]}]}"#,
                Some(format!("field config.type; {HIDDEN}")),
            ),
        ] {
            assert_eq!(shown(body), expected, "{body}");
        }
    }

    #[test]
    fn gateway_responses_are_not_from_the_api() {
        for (body, detail) in [
            (
                r#"{"message":"no Route matched with those values"}"#,
                Some("the response says: no Route matched with those values"),
            ),
            (r#"{"message":"Not Found"}"#, Some("the response says: Not Found")),
            (r#"{"code":"forbidden"}"#, Some("code forbidden")),
            (r#"{"code":404,"message":"Not Found"}"#, Some("the response says: Not Found")),
            (r#"{"code":"not_found","message":{}}"#, Some("code not_found")),
            (r#"{"details":[{"resource_type":"Realm"}]}"#, None),
            (r#"{"resource_type":7}"#, None),
            (r#"[{"code":"not_found","message":"no"}]"#, None),
            (r#""not_found""#, None),
            (r#"{"code":"not_found","message":"cut"#, None),
            ("<html><title>404 Not Found</title>", None),
            ("null", None),
            ("{}", None),
            ("", None),
        ] {
            let read = parse(body);
            assert!(!read.is_from_api() && !read.names_realm(), "{body}");
            assert_eq!(read.detail.as_deref(), detail, "{body}");
        }
        assert_eq!(ErrorBody::parse(b"\xff", &Redactor::hiding_messages("secret-token-1")), ErrorBody::default());
    }

    #[test]
    fn realm_and_tenant_errors_are_recognized() {
        let about = |kind: &str| {
            let info = format!(r#"{{"type":"ResourceInfo","resource_type":"{kind}","id":"1","description":"no"}}"#);
            let error = format!(r#"{{"code":"not_found","message":"no","details":[{info}]}}"#);
            [parse(&info), parse(&error)].map(|body| body.names_realm())
        };
        for kind in ["Realm", "Tenant", "realm"] {
            assert_eq!(about(kind), [true; 2], "{kind}");
        }
        for kind in ["Identity", "CredentialBindingJob", "AuthenticatorConfig", ""] {
            assert_eq!(about(kind), [false; 2], "{kind}");
        }
    }

    #[test]
    fn body_without_detail_is_still_from_the_api() {
        let body = parse(r#"{"code":"bad_request","message":"jane"}"#).without_detail();
        assert_eq!((body.is_from_api(), body.detail), (true, None));
    }
}
