//! Strategies for answers outside the API's specification: texts, values, objects of the API and whole answers.

use harness::simulator::Reply;
use proptest::prelude::*;
use proptest::{collection, option, sample};
use serde_json::{Map, Value, json};

use crate::fixture::JANE;

/// An unexpected text, or an expected one.
fn text() -> impl Strategy<Value = String> {
    let any = |most| collection::vec(any::<char>(), 0..most).prop_map(String::from_iter);
    prop_oneof![
        Just(String::new()),
        Just("x".repeat(10_000)),
        Just("Ä\u{301}".repeat(5_000)),
        Just("\u{0}\u{1b}\u{7f}\u{85}\u{202e}\u{feff}\u{fffe}\u{1f9d1}\u{200d}".repeat(200)),
        Just("9999999-99-99T99:99:99Z".to_owned()),
        Just("2026-01-01T00:00:00Z".to_owned()),
        Just("<script>%00%0a{{.}}\r\n\"'\\".to_owned()),
        any(2_000),
        any(20),
        sample::select(vec!["COMPLETE", "LINK_SENT", "EXPIRED", "REVOKED", "SOMETHING_NEW"]).prop_map(str::to_owned),
        Just("-9999-01-01T00:00:00Z".to_owned()),
        Just("EMAIL".to_owned()),
    ]
}

/// Any value.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => Just(Value::Null),
        1 => any::<i64>().prop_map(|number| json!(number)),
        1 => (text(), text()).prop_map(|(one, other)| json!([one, { "a": other }])),
        1 => (text(), text()).prop_map(|(kind, field)| json!({ "type": kind, field: [null] })),
        1 => Just(json!(1e300)),
        5 => text().prop_map(|text| json!(text)),
    ]
}

/// An object of the API: an id, mostly one that can be used, and any of these fields with any values.
fn object(fields: &[(&'static str, Option<&str>)]) -> impl Strategy<Value = Value> + use<> {
    let id = prop_oneof![
        1 => value(),
        1 => Just(json!("x".repeat(10_000))),
        1 => Just(json!("!~".repeat(128))),
        7 => (0..1_000_000).prop_map(|number| json!(format!("id-{number}"))),
    ];
    let mut object = id.prop_map(|id| Map::from_iter([("id".to_owned(), id)])).boxed();
    for (field, usual) in fields {
        let of_the_field = match usual {
            Some(usual) => {
                let usual = json!(usual);
                prop_oneof![1 => Just(None), 1 => Just(Some(usual)), 2 => value().prop_map(Some)].boxed()
            }
            None => option::weighted(0.75, value()).boxed(),
        };
        let with_the_field = |(mut object, value): (Map<_, _>, Option<Value>)| {
            object.extend(value.map(|value| ((*field).to_owned(), value)));
            object
        };
        object = (object, of_the_field).prop_map(with_the_field).boxed();
    }
    object.prop_map(Value::Object)
}

/// A job.
pub fn job() -> impl Strategy<Value = Value> {
    object(&[
        ("identity_id", Some(JANE)),
        ("authenticator_config_id", Some("configuration")),
        ("delivery_method", Some("EMAIL")),
        ("state", Some("LINK_SENT")),
        ("credential_id", None),
        ("post_binding_redirect_uri", None),
        ("expire_time", Some("2026-01-08T00:00:00Z")),
        ("create_time", Some("2026-01-01T00:00:00Z")),
        ("update_time", None),
    ])
}

/// An authenticator configuration, usually with this name, and sometimes with the ownership mark of another object.
pub fn config(display_name: &str) -> impl Strategy<Value = Value> + use<> {
    let other_name = format!("{} (ELSE {})", "ü".repeat(9_000), "a".repeat(12));
    let fields = [("display_name", Some(display_name)), ("config", None)];
    (object(&fields), prop::bool::weighted(0.25)).prop_map(move |(mut config, has_other_mark)| {
        if has_other_mark {
            config["display_name"] = json!(other_name);
        }
        config
    })
}

/// An answer: an object, in its envelope or bare, or an error.
pub fn reply(envelope: &'static str, object: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Reply> {
    let error = (sample::select(vec![400, 401, 403, 404, 409, 418, 422, 429, 500, 503]), value(), text(), value());
    let error = error.prop_map(|(status, code, message, details)| {
        Reply::json(status, &json!({ "code": code, "message": message, "details": details }))
    });
    let object = object.boxed();
    prop_oneof![
        1 => error,
        1 => text().prop_map(|page| Reply::text(200, "text/html", &page)),
        4 => object.clone().prop_map(move |object| Reply::json(200, &json!({ envelope: object }))),
        4 => object.prop_map(|object| Reply::json(200, &object)),
    ]
}

/// A list of jobs, sometimes in an unexpected form.
pub fn list_of_jobs() -> impl Strategy<Value = Reply> {
    let list = collection::vec(job(), 0..4)
        .prop_map(|jobs| json!({ "credential_binding_jobs": jobs, "total_size": jobs.len() }))
        .boxed();
    prop_oneof![9 => list.clone().prop_map(|list| Reply::json(200, &list)), 1 => reply("odd", list)]
}
