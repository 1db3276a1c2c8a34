//! Decodes the response of the token endpoint: lenient in what is absent, strict in what is wrong.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::token::ApiToken;

/// The longest accepted lifetime of a token. Those of the Management API last three months.
const LONGEST: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// The assumed lifetime of a token without `expires_in`, which is only recommended. An earlier end is noticed by the
/// refusal of a call.
const ASSUMED: Duration = Duration::from_secs(60 * 60);

/// The most scopes that are kept, and the most characters of one.
const SCOPES: usize = 256;

/// A token as the token endpoint issued it.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The token.
    pub token: ApiToken,
    /// How long it is valid from the request on.
    pub lifetime: Duration,
    /// Its scopes, if the response lists them.
    pub scopes: Option<Vec<String>>,
}

/// The fields of the response. Text is borrowed, so that no second copy of the token remains in memory.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    access_token: Option<Field<'a>>,
    #[serde(borrow)]
    token_type: Option<Field<'a>>,
    #[serde(borrow)]
    expires_in: Option<Field<'a>>,
    #[serde(borrow)]
    scope: Option<Field<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Field<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Number(f64),
    Other(IgnoredAny),
}

impl IssuedToken {
    /// Decodes a response. The error says what is wrong and what to do, without quoting the response.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let fields: Fields<'_> = serde_json::from_slice(body).map_err(|_| NOT_JSON)?;
        let token = match fields.access_token {
            None => return Err("it has no access_token; check the token endpoint and the application".to_owned()),
            Some(Field::Text(token)) => ApiToken::parse(token.as_bytes()).ok(),
            Some(Field::Number(_) | Field::Other(_)) => None,
        };
        let token = token.ok_or("its access_token is not a valid token; check the token endpoint")?;
        match fields.token_type {
            None => {}
            Some(Field::Text(kind)) if kind.eq_ignore_ascii_case("bearer") => {}
            Some(_) => {
                return Err("its token_type is not Bearer; use an application that issues bearer tokens".to_owned());
            }
        }
        let scopes = match fields.scope {
            Some(Field::Text(scopes)) => scopes_of(&scopes),
            _ => None,
        };
        Ok(Self { token, lifetime: lifetime(fields.expires_in)?, scopes })
    }
}

const NOT_JSON: &str =
    "the body is not a JSON object; check the token endpoint, and any proxy or load balancer in between";

fn lifetime(expires_in: Option<Field<'_>>) -> Result<Duration, String> {
    let seconds = match expires_in {
        None => return Ok(ASSUMED),
        Some(Field::Number(seconds)) => seconds,
        Some(Field::Text(_) | Field::Other(_)) => {
            return Err("its expires_in is not a number of seconds; check the token endpoint".to_owned());
        }
    };
    // A number from outside may have hundreds of digits.
    let shown = if seconds.abs() < 1e12 { seconds.to_string() } else { format!("{seconds:e}") };
    if seconds < 1.0 {
        return Err(format!(
            "its expires_in is {shown}, so the token has already expired; set the token lifetime of the application \
             to an hour or more"
        ));
    }
    if seconds > LONGEST.as_secs_f64() {
        return Err(format!(
            "its expires_in is {shown} seconds, more than 100 days; set a shorter token lifetime in the application"
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// The scopes of a list with blanks in between; `None` if it is not such a list.
fn scopes_of(text: &str) -> Option<Vec<String>> {
    let scopes: Vec<&str> = text.split_ascii_whitespace().collect();
    let is_scope = |scope: &&str| scope.len() <= SCOPES && scope.bytes().all(|byte| byte.is_ascii_graphic());
    (scopes.len() <= SCOPES && scopes.iter().all(is_scope)).then(|| scopes.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Result<IssuedToken, String> {
        IssuedToken::parse(body.as_bytes())
    }

    fn error(body: &str) -> String {
        parse(body).unwrap_err()
    }

    #[test]
    fn documented_response_is_decoded() {
        let body =
            r#"{"access_token": "hunter2", "token_type": "Bearer", "expires_in": 86400, "scope": "a:read b:read"}"#;
        let issued = parse(body).unwrap();
        assert_eq!(issued.token.secret().expose(), "hunter2");
        assert_eq!(issued.lifetime, Duration::from_secs(86400));
        assert_eq!(issued.scopes, Some(vec!["a:read".to_owned(), "b:read".to_owned()]));
        assert!(!format!("{issued:?}").contains("hunter2"));
    }

    #[test]
    fn absent_and_unknown_fields_are_tolerated() {
        for body in [
            r#"{"access_token": "hunter2"}"#,
            r#"{"access_token": "hunter2", "token_type": null, "expires_in": null, "scope": null}"#,
            r#"{"access_token": "hunter2", "token_type": "bearer", "scope": ["a"], "refresh_token": {}}"#,
            r#"{"access_token": "hunter\u0032", "scope": "a\u0001"}"#,
        ] {
            let issued = parse(body).unwrap();
            assert_eq!((issued.token.secret().expose(), issued.lifetime), ("hunter2", ASSUMED), "{body}");
            assert_eq!(issued.scopes, None, "{body}");
        }
        for (seconds, lifetime) in [("1", 1000), ("3600.0", 3_600_000), ("1.5", 1500), ("8640000", 8_640_000_000)] {
            let issued = parse(&format!(r#"{{"access_token": "hunter2", "expires_in": {seconds}}}"#)).unwrap();
            assert_eq!(issued.lifetime, Duration::from_millis(lifetime));
        }
        let many = vec!["a"; SCOPES + 1].join(" ");
        assert_eq!(parse(&format!(r#"{{"access_token": "hunter2", "scope": "{many}"}}"#)).unwrap().scopes, None);
    }

    #[test]
    fn unusable_responses_say_what_is_wrong() {
        for body in ["", "<html>", "hunter2", "null", r#""hunter2""#, r#"{"access_token": "a""#, "\u{fffd}", "7"] {
            assert_eq!(error(body), NOT_JSON, "{body}");
        }
        assert_eq!(IssuedToken::parse(b"\xff").unwrap_err(), NOT_JSON);
        assert_eq!(error(r#"{"access_token": "a", "access_token": "b"}"#), NOT_JSON, "a token that is ambiguous");
        for body in ["{}", r#"{"access_token": null}"#, r#"{"error": "invalid_client"}"#, r#"{"token": "hunter2"}"#] {
            assert_eq!(error(body), "it has no access_token; check the token endpoint and the application", "{body}");
        }
        for token in ["7", "{}", "[]", "true", r#""""#, r#""hunter 2""#, r#""hunter\n2""#, r#""hünter2""#] {
            let error = error(&format!(r#"{{"access_token": {token}}}"#));
            assert_eq!(error, "its access_token is not a valid token; check the token endpoint", "{token}");
        }
        for kind in [r#""mac""#, "7", r#""""#] {
            let error = error(&format!(r#"{{"access_token": "hunter2", "token_type": {kind}}}"#));
            assert_eq!(error, "its token_type is not Bearer; use an application that issues bearer tokens", "{kind}");
        }
    }

    proptest! {
        #[test]
        fn any_response_is_decoded_or_refused_without_being_quoted(
            token in "[a-z]{12}", kind in value(), expires_in in value(), scope in value(), cut in 0_usize..200,
        ) {
            let body = format!(
                r#"{{"access_token":"{token}","token_type":{kind},"expires_in":{expires_in},"scope":{scope}}}"#
            );
            for body in [body.as_bytes(), body.as_bytes().get(..cut).unwrap_or_default()] {
                match IssuedToken::parse(body) {
                    Ok(issued) => {
                        prop_assert!(issued.lifetime >= Duration::from_secs(1) && issued.lifetime <= LONGEST);
                        let shown = format!("{issued:?}");
                        prop_assert!(!shown.contains(&token));
                    }
                    Err(error) => prop_assert!(!error.contains(&token)),
                }
            }
        }
    }

    /// Any JSON value.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("null".to_owned()),
            Just("[{}]".to_owned()),
            Just(r#""bearer""#.to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            (0.0..1e10).prop_map(|number: f64| number.to_string()),
            "[ -~]{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
        ]
    }

    #[test]
    fn unusable_lifetimes_say_what_is_wrong() {
        let error = |expires_in: &str| error(&format!(r#"{{"access_token": "hunter2", "expires_in": {expires_in}}}"#));
        for text in [r#""3600""#, r#""""#, "true", "{}", "[3600]"] {
            assert_eq!(error(text), "its expires_in is not a number of seconds; check the token endpoint", "{text}");
        }
        for seconds in ["0", "-1", "0.5", "-1e300"] {
            assert!(error(seconds).ends_with(
                ", so the token has already expired; set the token lifetime of the application to an hour or more"
            ));
        }
        assert_eq!(
            error("31536000"),
            "its expires_in is 31536000 seconds, more than 100 days; set a shorter token lifetime in the application"
        );
        assert!(error("18446744073709551616").contains("more than 100 days"));
        assert!(error("1e300").contains("more than 100 days"));
        assert_eq!(error("1e999"), NOT_JSON);
    }
}
