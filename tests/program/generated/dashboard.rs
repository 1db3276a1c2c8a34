//! The dashboard for Grafana, from a short description of its panels.

use serde_json::{Value, json};

/// The metrics of the chosen installation. The panels write it as `@`.
const CHOSEN: &str = r#"namespace=~"$namespace",job=~"$job""#;

/// How a panel shows its queries.
#[derive(Clone, Copy, PartialEq)]
enum Shows {
    /// The last value, in a small panel.
    Stat,
    /// The last value of each series, as bars.
    Bars,
    /// All values over time.
    Lines,
    /// The same, each on top of the others.
    Stack,
}

use Shows::{Bars, Lines, Stack, Stat};

/// A panel: what it shows, its unit, its title, its description, and its queries, each with its legend.
type Panel = (Shows, &'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

/// The rows, each with its panels.
const ROWS: [(&str, &[Panel]); 5] = [
    (
        "Overview",
        &[
            (
                Stat,
                "bool_yes_no",
                "Has a leader",
                "Without a leader, nothing is sent, revoked or polled.",
                &[("max(leader_election_master_status{@,name=\"beyond-identity-operator\"})", "leader")],
            ),
            (
                Stat,
                "short",
                "Emails sent",
                "Within the chosen time.",
                &[("round(sum(increase(beyond_identity_operator_emails_sent_total{@}[$__range])))", "emails")],
            ),
            (
                Stat,
                "short",
                "Waiting for people",
                "Requests with an active link.",
                &[(
                    "sum(beyond_identity_operator_enrollment_requests{@,state=~\"LINK_SENT|LINK_OPENED|REQUEST_DELIVERED\"}) or vector(0)",
                    "requests",
                )],
            ),
            (
                Stat,
                "short",
                "Enrolled",
                "Requests whose person has bound a passkey.",
                &[("sum(beyond_identity_operator_enrollment_requests{@,state=\"COMPLETE\"}) or vector(0)", "requests")],
            ),
            (
                Stat,
                "short",
                "Expired links",
                "These people have no passkey from their request.",
                &[("sum(beyond_identity_operator_enrollment_requests{@,state=\"EXPIRED\"}) or vector(0)", "requests")],
            ),
            (
                Stat,
                "short",
                "Stalled objects",
                "They wait until somebody acts.",
                &[("sum(beyond_identity_operator_object_conditions{@,type=\"Stalled\"}) or vector(0)", "objects")],
            ),
        ],
    ),
    (
        "Requests and emails",
        &[
            (
                Stack,
                "short",
                "Requests by state",
                "By the state of their job. `none` has no job.",
                &[("sum by (state) (beyond_identity_operator_enrollment_requests{@})", "{{state}}")],
            ),
            (
                Stack,
                "short",
                "Objects that need attention",
                "By type and reason of the condition.",
                &[(
                    "sum by (controller, type, reason) (beyond_identity_operator_object_conditions{@})",
                    "{{controller}} {{type}} {{reason}}",
                )],
            ),
            (
                Bars,
                "s",
                "Time from a request to its email",
                "From the creation of a request to its first email, within the chosen time.",
                &[
                    (
                        "histogram_quantile(0.5, sum by (le) (increase(beyond_identity_operator_request_to_email_seconds_bucket{@}[$__range])))",
                        "half of them",
                    ),
                    (
                        "histogram_quantile(0.9, sum by (le) (increase(beyond_identity_operator_request_to_email_seconds_bucket{@}[$__range])))",
                        "90%",
                    ),
                ],
            ),
            (
                Bars,
                "s",
                "Time from a request to a passkey",
                "From the creation of a request until its person has bound a passkey, within the chosen time.",
                &[
                    (
                        "histogram_quantile(0.5, sum by (le) (increase(beyond_identity_operator_request_to_passkey_seconds_bucket{@}[$__range])))",
                        "half of them",
                    ),
                    (
                        "histogram_quantile(0.9, sum by (le) (increase(beyond_identity_operator_request_to_passkey_seconds_bucket{@}[$__range])))",
                        "90%",
                    ),
                ],
            ),
            (
                Lines,
                "short",
                "Emails per hour",
                "Emails that were sent and recorded.",
                &[(
                    "3600 * sum(rate(beyond_identity_operator_emails_sent_total{@}[$__rate_interval]))",
                    "emails per hour",
                )],
            ),
            (
                Lines,
                "short",
                "Sends that wait",
                "A send is in doubt until its outcome is known. A send over the budget waits for a limit of its provider config.",
                &[
                    ("sum(beyond_identity_operator_sends_in_doubt{@})", "in flight or in doubt"),
                    ("sum(beyond_identity_operator_sends_over_budget{@})", "over the budget"),
                ],
            ),
        ],
    ),
    (
        "Calls to the Beyond Identity API",
        &[
            (
                Stack,
                "reqps",
                "Calls by operation",
                "All calls, with their answer or without one.",
                &[(
                    "sum by (method, path) (rate(beyond_identity_operator_api_requests_total{@}[$__rate_interval]))",
                    "{{method}} {{path}}",
                )],
            ),
            (
                Stack,
                "reqps",
                "Failed calls",
                "By operation and outcome. `not_found` is an answer, and no failure.",
                &[(
                    "sum by (method, path, outcome) (rate(beyond_identity_operator_api_requests_total{@,outcome!~\"success|not_found\"}[$__rate_interval]))",
                    "{{method}} {{path}}: {{outcome}}",
                )],
            ),
            (
                Lines,
                "s",
                "Duration of calls",
                "99% of the calls of an operation took at most this long.",
                &[(
                    "histogram_quantile(0.99, sum by (le, method, path) (rate(beyond_identity_operator_api_request_duration_seconds_bucket{@}[$__rate_interval])))",
                    "{{method}} {{path}}",
                )],
            ),
            (
                Lines,
                "short",
                "Rate limit",
                "Objects that wait for their turn, and answers 429 in a minute.",
                &[
                    ("sum(beyond_identity_operator_rate_limited_objects{@})", "objects that wait"),
                    (
                        "60 * sum(rate(beyond_identity_operator_api_requests_total{@,outcome=\"too_many_requests\"}[$__rate_interval])) or vector(0)",
                        "429 in a minute",
                    ),
                ],
            ),
        ],
    ),
    (
        "Provider configs and namespaces",
        &[
            (
                Bars,
                "bool_yes_no",
                "Ready",
                "Whether the API accepts the credentials of a provider config.",
                &[(
                    "max by (kind, object_namespace, name) (beyond_identity_operator_provider_config_ready{@})",
                    "{{kind}} {{object_namespace}} {{name}}",
                )],
            ),
            (
                Bars,
                "s",
                "Time until a token expires",
                "Of each token that says when. The operator renews tokens of client credentials.",
                &[(
                    "min by (kind, object_namespace, name, credentials) (beyond_identity_operator_token_expiration_timestamp_seconds{@}) - time()",
                    "{{kind}} {{object_namespace}} {{name}} {{credentials}}",
                )],
            ),
            (
                Bars,
                "short",
                "Objects that refer to a provider config",
                "They stop when it is not Ready.",
                &[(
                    "max by (kind, object_namespace, name) (beyond_identity_operator_provider_config_referrers{@})",
                    "{{kind}} {{object_namespace}} {{name}}",
                )],
            ),
            (
                Bars,
                "bool_yes_no",
                "Watched namespaces",
                "Whether the operator can read a watched namespace. Empty, if it watches the whole cluster.",
                &[(
                    "max by (watched_namespace) (beyond_identity_operator_watched_namespace_available{@})",
                    "{{watched_namespace}}",
                )],
            ),
        ],
    ),
    (
        "Operator",
        &[
            (
                Lines,
                "short",
                "Leader",
                "1 is the leader, 0 a standby.",
                &[(
                    "max by (instance, pod) (leader_election_master_status{@,name=\"beyond-identity-operator\"})",
                    "{{pod}} {{instance}}",
                )],
            ),
            (
                Stack,
                "short",
                "Objects in the queue",
                "By priority: 200 revocations, 100 sends and changes, 0 first reconciles and retries, -100 polls.",
                &[("sum by (controller, priority) (workqueue_depth{@})", "{{controller}} {{priority}}")],
            ),
            (
                Lines,
                "short",
                "Busy workers",
                "If they stay at the limit while the API answers quickly, raise it.",
                &[
                    ("sum by (controller) (controller_runtime_active_workers{@})", "{{controller}}"),
                    ("max(controller_runtime_max_concurrent_reconciles{@})", "limit of each"),
                ],
            ),
            (
                Stack,
                "ops",
                "Reconciles by result",
                "`error` is retried with a delay.",
                &[(
                    "sum by (controller, result) (rate(controller_runtime_reconcile_total{@}[$__rate_interval]))",
                    "{{controller}}: {{result}}",
                )],
            ),
            (
                Lines,
                "s",
                "Duration of reconciles",
                "99% of the reconciles took at most this long, calls included.",
                &[(
                    "histogram_quantile(0.99, sum by (le, controller) (rate(controller_runtime_reconcile_time_seconds_bucket{@}[$__rate_interval])))",
                    "{{controller}}",
                )],
            ),
            (
                Bars,
                "short",
                "What must not happen",
                "Within the chosen time. Each has an alert.",
                &[
                    ("round(sum(increase(beyond_identity_operator_duplicates_total{@}[$__range])))", "duplicates"),
                    (
                        "round(sum(increase(beyond_identity_operator_retained_remote_resources_total{@}[$__range])))",
                        "left behind",
                    ),
                    (
                        "round(sum(increase(beyond_identity_operator_status_not_stored_total{@}[$__range])))",
                        "writes not stored",
                    ),
                    ("round(sum(increase(controller_runtime_reconcile_panics_total{@}[$__range])))", "panics"),
                ],
            ),
        ],
    ),
];

/// The columns of a dashboard.
const COLUMNS: usize = 24;

/// The dashboard.
pub fn file() -> String {
    let mut panels = Vec::new();
    let mut top = 0;
    for (row, of_row) in ROWS {
        panels.push(json!({
            "type": "row", "title": row, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": 1},
        }));
        top += 1;
        let mut left = 0;
        for panel in of_row {
            let (width, height) = if panel.0 == Stat { (4, 4) } else { (12, 8) };
            panels.push(shown(panel, &json!({"x": left, "y": top, "w": width, "h": height})));
            left += width;
            if left == COLUMNS {
                (left, top) = (0, top + height);
            }
        }
        assert_eq!(left, 0, "the panels of {row} fill no line");
    }
    for (id, panel) in (1..).zip(&mut panels) {
        panel["id"] = id.into();
    }
    let dashboard = json!({
        "title": "Beyond Identity operator",
        "uid": "beyond-identity-operator",
        "description": "Enrolment requests, emails, calls to the Beyond Identity API, and the operator itself.",
        "tags": ["beyond-identity", "kubernetes"],
        "editable": true,
        "graphTooltip": 1,
        "refresh": "1m",
        "schemaVersion": 39,
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": variables()},
        "panels": panels,
    });
    format!("{dashboard:#}\n")
}

/// The datasource, and the installation by the labels of its metrics.
fn variables() -> Value {
    let of_label = |label: &str, query: &str| {
        json!({
            "name": label, "label": label, "type": "query", "datasource": datasource(),
            "query": {"query": query, "refId": label}, "refresh": 2, "sort": 1,
            "includeAll": true, "allValue": ".*", "multi": false,
            "current": {"text": "All", "value": "$__all"},
        })
    };
    json!([
        {"name": "datasource", "label": "datasource", "type": "datasource", "query": "prometheus", "current": {}},
        of_label("namespace", "label_values(beyond_identity_operator_build_info, namespace)"),
        of_label("job", "label_values(beyond_identity_operator_build_info{namespace=~\"$namespace\"}, job)"),
    ])
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn shown((shows, unit, title, description, queries): &Panel, place: &Value) -> Value {
    let is_instant = matches!(shows, Stat | Bars);
    let target = |(number, (query, legend)): (u8, &(&str, &str))| {
        json!({
            "refId": char::from(b'A' + number).to_string(), "datasource": datasource(),
            "expr": query.replace('@', CHOSEN), "legendFormat": legend, "instant": is_instant, "range": !is_instant,
        })
    };
    let type_ = match shows {
        Stat => "stat",
        Bars => "bargauge",
        Lines | Stack => "timeseries",
    };
    let custom = match shows {
        Stat | Bars => json!({}),
        Lines => json!({"fillOpacity": 5}),
        Stack => json!({"fillOpacity": 30, "stacking": {"mode": "normal"}}),
    };
    let options = match shows {
        Stat => json!({"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "none", "graphMode": "none"}),
        Bars => json!({"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal"}),
        Lines | Stack => {
            json!({"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}})
        }
    };
    json!({
        "type": type_, "title": title, "description": description, "datasource": datasource(), "gridPos": place,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "options": options,
        "targets": (0..).zip(queries.iter()).map(target).collect::<Vec<_>>(),
    })
}
