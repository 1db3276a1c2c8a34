//! The command line: what is wrong with it is said in one sentence, and ends the program with 2.

use crate::support::end_of;

/// A command line that lacks nothing.
const WHOLE: [&str; 5] = ["run", "--cluster-name", "test", "--operator-namespace", "beyond-identity"];

/// The complaint about a wrong command line.
fn wrong(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let ended = end_of(arguments, environment);
    assert_eq!(ended.code, 2, "{ended:?}");
    ended.complaint().to_owned()
}

#[test]
fn the_clusters_name_is_required() {
    let ended = end_of(&["run", "--operator-namespace", "beyond-identity"], &[]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("--cluster-name <NAME>"), "{}", ended.stderr);
}

#[test]
fn the_clusters_name_is_a_dns_label_of_at_most_32_characters() {
    let named =
        |name: &str| wrong(&["run", "--operator-namespace=beyond-identity", &format!("--cluster-name={name}")], &[]);
    let long = named(&"c".repeat(33));
    assert!(long.contains("--cluster-name") && long.ends_with("must have at most 32 characters, but has 33"), "{long}");
    for name in ["Prod", "prod_1", "prod.eu", "-prod", "prod-", ""] {
        let said = named(name);
        assert!(said.contains("--cluster-name"), "{said}");
    }
    assert!(named("Prod").ends_with(
        "not a DNS label: use lowercase letters and digits, with hyphens only in between, at most 63 characters"
    ));
}

#[test]
fn the_operators_namespace_is_required_where_the_pod_does_not_say_it() {
    for empty in [&[][..], &[("POD_NAMESPACE", "")]] {
        assert_eq!(
            wrong(&WHOLE[..3], empty),
            "error: neither --operator-namespace nor POD_NAMESPACE is set: set one to the namespace of the Lease and of the \
             Secrets of ClusterProviderConfigs"
        );
    }
    let said = wrong(&WHOLE[..3], &[("POD_NAMESPACE", "Not A Label")]);
    assert!(said.starts_with("error: POD_NAMESPACE is not a DNS label"), "{said}");
    assert_eq!(end_of(&WHOLE[..3], &[("POD_NAMESPACE", "beyond-identity")]).code, 1, "it gets as far as the cluster");
}

#[test]
fn a_value_that_cannot_be_read_is_named_with_its_flag() {
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
        ("--resync-interval", "0s", "must be between 1s and 24h"),
        ("--resync-interval", "5124095576030431h", "must be between 1s and 24h"),
        ("--resync-interval", "99999999999999999999h", "must be between 1s and 24h"),
        ("--resync-interval", "1e9h", "must be a duration, such as 90s or 10m"),
        ("--health-address", "8081", "invalid socket address syntax"),
        ("--watch-namespace", "a,B", "not a DNS label"),
        ("--max-concurrent-reconciles", "0", "0 is not in 1..=1000"),
        ("--max-concurrent-reconciles-per-provider-config", "1001", "1001 is not in 1..=1000"),
        ("--log-level", "info=very=much", "error parsing level filter"),
    ] {
        let said = wrong(&[&WHOLE[..], &[&format!("{flag}={value}")]].concat(), &[]);
        assert!(said.contains(flag) && said.contains(remedy), "{said}");
    }
}

#[test]
fn a_provider_config_cannot_have_more_reconciles_than_there_are_and_has_no_more_by_default() {
    let end = |flags: &[&str]| end_of(&[&WHOLE[..], flags].concat(), &[]);
    let said = end(&["--max-concurrent-reconciles=4", "--max-concurrent-reconciles-per-provider-config=5"]);
    let remedy = "--max-concurrent-reconciles-per-provider-config 5 exceeds --max-concurrent-reconciles 4: lower the first, or \
                  raise the second";
    assert!(said.code == 1 && said.stderr.contains(remedy), "{}", said.stderr);
    let cluster = end(&["--max-concurrent-reconciles=4"]);
    assert!(
        cluster.code == 1 && !cluster.stderr.contains("exceeds"),
        "it gets as far as the cluster: {}",
        cluster.stderr
    );
}

#[test]
fn a_variable_stands_for_a_flag_and_the_flag_comes_first() {
    let long = "c".repeat(33);
    let variable = [("BEYOND_IDENTITY_OPERATOR_CLUSTER_NAME", long.as_str())];
    assert!(wrong(&["run", "--operator-namespace", "beyond-identity"], &variable).contains("but has 33"));
    assert_eq!(end_of(&WHOLE, &variable).code, 1, "it gets as far as the cluster");
    let both = [
        ("BEYOND_IDENTITY_OPERATOR_CLUSTER_NAME", "test"),
        ("BEYOND_IDENTITY_OPERATOR_OPERATOR_NAMESPACE", "beyond-identity"),
    ];
    assert_eq!(end_of(&["run"], &both).code, 1, "it gets as far as the cluster");
}

#[test]
fn the_help_names_each_flag_once_with_its_variable_and_one_line_about_it() {
    let help = end_of(&["run", "--help"], &[]);
    assert_eq!(help.code, 0);
    let lines: Vec<&str> = help.stdout.lines().map(str::trim).collect();
    let mut flags = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(flag) = line.strip_prefix("--").and_then(|rest| rest.split_whitespace().next()) else { continue };
        assert!(!flags.contains(&flag), "{flag} is named twice");
        flags.push(flag);
        let (about, after) = (lines[number + 1], lines[number + 2]);
        assert!(!about.is_empty() && about.len() <= 120 && after.is_empty(), "one line about {flag}: {about} {after}");
        let variable = format!("[env: BEYOND_IDENTITY_OPERATOR_{}=", flag.to_uppercase().replace('-', "_"));
        assert_eq!(help.stdout.matches(&variable).count(), 1, "{variable}");
    }
    assert!(flags.len() >= 13 && flags.contains(&"cluster-name"), "{flags:?}");
}

#[test]
fn the_version_and_the_commands_are_told() {
    let version = end_of(&["--version"], &[]);
    assert_eq!(
        (version.code, version.stdout),
        (0, format!("beyond-identity-operator {}\n", env!("CARGO_PKG_VERSION")))
    );
    let bare = end_of(&[], &[]);
    assert_eq!(bare.code, 2);
    assert!(bare.stderr.contains("run ") && bare.stderr.contains("crds "), "{}", bare.stderr);
}
