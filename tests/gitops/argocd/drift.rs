//! What Argo CD sees as drift, in each of the three ways in which it compares.

use serde_json::{Value, json};

use super::application::{Application, control_plane};
use crate::fixture::{Fixture, Spelling, renamed, shared_simulator, spellings, with_defaults, without_defaults};

/// The three ways: with the annotation of the last apply, as the API server merges, and by the API server.
const WAYS: [(&[&str], bool); 3] = [(&[], false), (&["ServerSideApply=true"], false), (&[], true)];

/// The status of the objects in each of the three ways.
fn statuses(application: &Application, manifests: &[Value]) -> Vec<Vec<String>> {
    let status = |(options, server_side_diff)| {
        let application = application.with_options(options);
        Application { manifests: manifests.to_vec(), server_side_diff, ..application }.status()
    };
    WAYS.into_iter().map(status).collect()
}

/// The manifests, each with one change of its spec.
fn changed(manifests: &[Value]) -> Vec<Value> {
    let change = |manifest: &Value| {
        let mut manifest = manifest.clone();
        let (field, value) = match manifest["kind"].as_str().unwrap() {
            "AuthenticatorConfig" => ("displayName", json!("Another name")),
            "EnrollmentRequest" => ("attempt", json!(7)),
            _ => ("sharedRealm", json!(true)),
        };
        manifest["spec"][field] = value;
        manifest
    };
    manifests.iter().map(change).collect()
}

#[tokio::test]
async fn application_is_synced_and_healthy_after_the_operator_has_worked() {
    let (control_plane, client) = control_plane().await;
    let fixture = Fixture::for_manifests_at(client).await;
    let beside = fixture.beside_for_manifests().await;
    let ways: [(&Fixture, &[&str]); 2] = [(&fixture, &[]), (&beside, &["ServerSideApply=true"])];
    let applications = ways.map(|(fixture, options)| {
        let application = Application::new(control_plane, fixture, fixture.manifests()).with_options(options);
        let synced = application.sync();
        assert_eq!(synced.phase, "Succeeded", "{synced:?}");
        application
    });
    let _operator = fixture.start_everywhere(control_plane).await;
    for (application, (fixture, options)) in applications.iter().zip(ways) {
        fixture.wait_until_manifests_are_ready().await;
        let manifests = fixture.manifests();
        for lines in statuses(application, &manifests) {
            println!("{}", lines.join("\n"));
            assert_eq!(lines.len(), manifests.len());
            assert!(lines.iter().all(|line| line.ends_with(": Synced, Healthy")), "{options:?}: {lines:#?}");
        }
        for lines in statuses(application, &changed(&manifests)) {
            assert!(lines.iter().all(|line| line.contains(": OutOfSync, Healthy")), "{options:?}: {lines:#?}");
        }
        // Self-heal applies the same manifests again.
        let mailed = fixture.mailed();
        assert_eq!(mailed.len(), 3);
        let synced = application.sync();
        assert_eq!(synced.phase, "Succeeded", "{synced:?}");
        let expected = if options.is_empty() { "unchanged" } else { "serverside-applied" };
        assert!(synced.results.iter().all(|line| line.ends_with(expected)), "{synced:?}");
        assert_eq!(fixture.mailed(), mailed);
    }
}

/// The names of the objects that are not Synced.
fn out_of_sync(lines: &[String]) -> Vec<&str> {
    let differing = lines.iter().filter(|line| !line.contains(": Synced"));
    differing.map(|line| line.split([' ', ':']).nth(1).unwrap()).collect()
}

#[tokio::test]
async fn default_is_no_drift_whether_a_manifest_has_it_or_not() {
    let (control_plane, client) = control_plane().await;
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    let without = without_defaults(&fixture);
    for (options, way) in [(&[][..], "client"), (&["ServerSideApply=true"], "server")] {
        for (name, manifests) in [("without", &without), ("with", &with_defaults(&without))] {
            let name = format!("{name}-{way}");
            let manifests = renamed(manifests, &name);
            let application = Application::new(control_plane, &fixture, manifests.clone()).with_options(options);
            let application = Application { name, ..application };
            let synced = application.sync();
            assert_eq!(synced.phase, "Succeeded", "{synced:?}");
            for lines in statuses(&application, &manifests) {
                assert!(out_of_sync(&lines).is_empty(), "{options:?}: {lines:#?}");
            }
        }
    }
}

/// The documentation advises against the others.
#[tokio::test]
async fn only_null_and_empty_labels_are_drift_among_the_spellings() {
    let (control_plane, client) = control_plane().await;
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    for (options, way) in [(&[][..], "client"), (&["ServerSideApply=true"], "server")] {
        for wanted in [Spelling::Plain, Spelling::EmptyLabels, Spelling::NullForDefault] {
            let name = format!("{wanted:?}-{way}").to_lowercase();
            let spelled = spellings(&fixture).into_iter().filter(|(_, spelling)| *spelling == wanted);
            let numbered = |(number, (manifest, _))| renamed(&[manifest], &format!("{number}-{name}")).remove(0);
            let manifests: Vec<Value> = spelled.enumerate().map(numbered).collect();
            let application = Application::new(control_plane, &fixture, manifests.clone()).with_options(options);
            let application = Application { name, ..application };
            let synced = application.sync();
            assert_eq!(synced.phase, "Succeeded", "{synced:?}");
            let found: Vec<_> =
                statuses(&application, &manifests).iter().map(|lines| out_of_sync(lines).len()).collect();
            let all = manifests.len();
            let expected = match wanted {
                Spelling::EmptyLabels => [all, all, 0],
                Spelling::NullForDefault => [0, all, 0],
                _ => [0, 0, 0],
            };
            assert_eq!(found, expected, "{options:?} {wanted:?}");
        }
    }
}

#[tokio::test]
async fn null_for_a_field_without_a_default_is_refused_by_server_side_apply() {
    let (control_plane, client) = control_plane().await;
    let fixture = Fixture::bare_at(client, shared_simulator()).await;
    let manifests = vec![fixture.manifest(
        "EnrollmentRequest",
        "null",
        json!({"authenticatorConfigRef": {"name": "a"}, "identity": {"id": "a"}, "postBindingRedirectURI": null}),
    )];
    let application = Application::new(control_plane, &fixture, manifests).with_options(&["ServerSideApply=true"]);
    let refused = application.sync();
    assert_eq!(refused.phase, "Failed", "{refused:?}");
    assert!(refused.results[0].contains("postBindingRedirectURI in body must be of type string"), "{refused:?}");
    let applied = application.with_options(&[]);
    let synced = applied.sync();
    assert_eq!(synced.phase, "Succeeded", "{synced:?}");
    assert_eq!(applied.status(), ["EnrollmentRequest null: Synced, Progressing"]);
    let error = Application { server_side_diff: true, ..applied }.error();
    assert!(error.contains("postBindingRedirectURI in body must be of type string"), "{error}");
}
