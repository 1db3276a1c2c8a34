//! The command line: an error is one sentence, and the exit code is 2.

use crate::support::end_of;

/// A complete command line.
const COMPLETE: [&str; 5] = ["run", "--cluster-name", "test", "--operator-namespace", "beyond-identity"];

/// The error for an invalid command line.
fn error_for(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let ended = end_of(arguments, environment);
    assert_eq!(ended.code, 2, "{ended:?}");
    ended.error().to_owned()
}

#[test]
fn cluster_name_is_required() {
    let ended = end_of(&["run", "--operator-namespace", "beyond-identity"], &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("--cluster-name <NAME>"), "{}", ended.stderr);
}

#[test]
fn cluster_name_is_a_dns_label_of_at_most_32_characters() {
    let named = |name: &str| {
        error_for(&["run", "--operator-namespace=beyond-identity", &format!("--cluster-name={name}")], &[])
    };
    let long = named(&"c".repeat(33));
    assert!(long.contains("--cluster-name") && long.ends_with("must have at most 32 characters, but has 33"), "{long}");
    for name in ["Prod", "prod_1", "prod.eu", "-prod", "prod-", ""] {
        let error = named(name);
        assert!(error.contains("--cluster-name"), "{error}");
    }
    assert!(named("Prod").ends_with(
        "not a DNS label: use lowercase letters and digits, with hyphens only in between, at most 63 characters"
    ));
}

#[test]
fn certificate_of_the_metrics_requires_secure_metrics() {
    let ended = end_of(&[&COMPLETE[..], &["--metrics-cert-path", "/certificate"]].concat(), &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("required arguments were not provided:\n  --metrics-secure"), "{}", ended.stderr);
}

#[test]
fn operator_namespace_is_required_without_pod_namespace() {
    for environment in [&[][..], &[("POD_NAMESPACE", "")]] {
        assert_eq!(
            error_for(&COMPLETE[..3], environment),
            "error: neither --operator-namespace nor POD_NAMESPACE is set: set one to the namespace of the Lease and of the \
             Secrets of ClusterProviderConfigs"
        );
    }
    let error = error_for(&COMPLETE[..3], &[("POD_NAMESPACE", "Not A Label")]);
    assert!(error.starts_with("error: POD_NAMESPACE is not a DNS label"), "{error}");
    assert_eq!(
        end_of(&COMPLETE[..3], &[("POD_NAMESPACE", "beyond-identity")]).code,
        1,
        "it reaches the connection to the cluster"
    );
}

#[test]
fn invalid_value_is_reported_with_its_flag() {
    for (flag, value, remedy) in [
        ("--settle-time", "5", "must be a duration, such as 90s or 10m"),
        ("--settle-time", "", "must be a duration, such as 90s or 10m"),
        ("--settle-time", "-5s", "must not be negative"),
        ("--settle-time", "0s", "must be between 1s and 1h"),
        ("--settle-time", "61m", "must be between 1s and 1h"),
        ("--grace-period", "169h", "must be between 0s and 168h"),
        ("--request-timeout", "500ms", "must be between 1s and 30m"),
        ("--request-timeout", "31m", "must be between 1s and 30m"),
        ("--job-poll-min", "999ms", "must be between 1s and 24h"),
        ("--job-poll-max", "25h", "must be between 1s and 24h"),
        ("--poll-budget", "0", "0 is not in 1..=6000"),
        ("--poll-budget", "-1", "invalid value '-1'"),
        ("--resync-interval", "0s", "must be between 1s and 24h"),
        ("--resync-interval", "5124095576030431h", "must be between 1s and 24h"),
        ("--resync-interval", "99999999999999999999h", "must be between 1s and 24h"),
        ("--resync-interval", "1e9h", "must be a duration, such as 90s or 10m"),
        ("--health-address", "8081", "must be IP:PORT, such as 127.0.0.1:8080, or :PORT for every address"),
        ("--watch-namespace", "a,B", "not a DNS label"),
        ("--max-concurrent-reconciles", "0", "0 is not in 1..=1000"),
        ("--max-concurrent-reconciles-per-provider-config", "1001", "1001 is not in 1..=1000"),
        ("--allowed-endpoint-hosts", "a.example,*.b.example", "must be HOST or HOST:PORT, without a scheme"),
        ("--allowed-endpoint-hosts", "", "must be HOST or HOST:PORT, without a scheme"),
        ("--cluster-provider-configs", "no", "must be true or false"),
        ("--log-level", "info=very=much", "error parsing level filter"),
    ] {
        let error = error_for(&[&COMPLETE[..], &[&format!("{flag}={value}")]].concat(), &[]);
        assert!(error.contains(flag) && error.contains(remedy), "{error}");
    }
}

#[test]
fn reconciles_per_provider_config_are_capped_by_the_total() {
    let end = |flags: &[&str]| end_of(&[&COMPLETE[..], flags].concat(), &[]);
    let ended = end(&["--max-concurrent-reconciles=4", "--max-concurrent-reconciles-per-provider-config=5"]);
    let remedy = "--max-concurrent-reconciles-per-provider-config 5 exceeds --max-concurrent-reconciles 4: lower the first, or \
                  raise the second";
    assert!(ended.code == 1 && ended.stderr.contains(remedy), "{}", ended.stderr);
    let capped = end(&["--max-concurrent-reconciles=4"]);
    assert!(
        capped.code == 1 && !capped.stderr.contains("exceeds"),
        "it reaches the connection to the cluster: {}",
        capped.stderr
    );
}

#[test]
fn variable_sets_a_flag_and_the_flag_takes_precedence() {
    let long = "c".repeat(33);
    let variable = [("BEYOND_IDENTITY_OPERATOR_CLUSTER_NAME", long.as_str())];
    assert!(error_for(&["run", "--operator-namespace", "beyond-identity"], &variable).contains("but has 33"));
    assert_eq!(end_of(&COMPLETE, &variable).code, 1, "it reaches the connection to the cluster");
    let both = [
        ("BEYOND_IDENTITY_OPERATOR_CLUSTER_NAME", "test"),
        ("BEYOND_IDENTITY_OPERATOR_OPERATOR_NAMESPACE", "beyond-identity"),
    ];
    assert_eq!(end_of(&["run"], &both).code, 1, "it reaches the connection to the cluster");
}

#[test]
fn help_lists_each_flag_with_its_variable_and_one_line() {
    let help = end_of(&["run", "--help"], &[]);
    assert_eq!(help.code, 0);
    let lines: Vec<&str> = help.stdout.lines().map(str::trim).collect();
    let mut flags = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(flag) = line.strip_prefix("--").and_then(|rest| rest.split_whitespace().next()) else { continue };
        assert!(!flags.contains(&flag), "{flag} is listed twice");
        flags.push(flag);
        let (about, after) = (lines[number + 1], lines[number + 2]);
        assert!(
            !about.is_empty() && about.len() <= 120 && after.is_empty(),
            "the help of {flag} must be one line: {about} {after}"
        );
        let variable = format!("[env: BEYOND_IDENTITY_OPERATOR_{}=", flag.to_uppercase().replace('-', "_"));
        assert_eq!(help.stdout.matches(&variable).count(), 1, "{variable}");
    }
    assert!(flags.len() >= 13 && flags.contains(&"cluster-name"), "{flags:?}");
}

#[test]
fn version_and_commands_are_printed() {
    let version = end_of(&["--version"], &[]);
    assert_eq!(
        (version.code, version.stdout),
        (0, format!("beyond-identity-operator {}\n", env!("CARGO_PKG_VERSION")))
    );
    let bare = end_of(&[], &[]);
    assert_eq!(bare.code, 2);
    assert!(bare.stderr.contains("run ") && bare.stderr.contains("crds "), "{}", bare.stderr);
}
