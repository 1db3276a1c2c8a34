//! Lists with mistakes: what the user reads, and from which tool. Nobody gets an email by mistake.

use beyond_identity_operator::api::EnrollmentRequest;
use harness::simulator::Identity;
use kube::api::PostParams;
use serde_json::json;

use super::support::{ManyPeople, Way, person, read};
use crate::fixture::{Fixture, job_of, message, object, refusal};

#[test]
fn generator_names_the_line_and_keeps_the_files() {
    let repository = ManyPeople::new();
    let before = repository.generated();
    for (csv, expected) in [
        (
            "name,username\na,jane@example.com\nb,Jane@Example.com\n",
            "people.csv, line 3: username Jane@Example.com is also in line 2: one request for each person",
        ),
        ("name,username\na,\n", "people.csv, line 2: username of a is empty"),
        ("name,username\na\n", "people.csv, line 2: username of a is empty"),
        ("name,username\n# a comment\n\na,x\na,y\n", "people.csv, line 5: name a is also in line 4"),
        ("name,username\nJane Doe,x\n", "people.csv, line 2: name \"Jane Doe\" must be lowercase letters, digits and"),
        ("name,username\n../a,x\n", "people.csv, line 2: name \"../a\" must be"),
        ("name,username\nkustomization,x\n", "people.csv, line 2: name \"kustomization\" must be"),
        ("name,username\na,\"x\"\n", "people.csv, line 2: a value must not have quotes or backslashes"),
        ("name,username\na,x,2\n", "people.csv, line 2: more values than columns"),
        ("name,mail\na,x\n", "people.csv, line 1: unknown column mail"),
        ("username,name\nx,a\n", "people.csv, line 1: the first column must be name"),
        ("name;username\na;x\n", "people.csv, line 1: unknown column name;username"),
        ("", "people.csv: no people"),
        ("name,username\n", "people.csv: no people"),
    ] {
        let refused = repository.generate(csv).unwrap_err();
        assert!(refused.contains(expected), "{csv:?}: {refused}");
        assert_eq!(repository.generated(), before, "{csv:?}");
    }
}

#[test]
fn generator_accepts_what_a_spreadsheet_writes() {
    let repository = ManyPeople::new();
    repository.generate("\u{feff}name,id,attempt,revoked\r\na, 1f ,2,\r\n\r\nb,2f,,true").unwrap();
    let files: Vec<_> = repository.generated().into_iter().map(|(_, text)| text).collect();
    assert!(files[0].ends_with("name: 'a'\nspec:\n  attempt: 2\n  identity:\n    id: '1f'\n"), "{}", files[0]);
    assert!(files[1].ends_with("name: 'b'\nspec:\n  revoked: true\n  identity:\n    id: '2f'\n"), "{}", files[1]);
}

#[test]
fn chart_names_the_person() {
    let repository = ManyPeople::new();
    for (people, expected) in [
        (
            json!([{"name": "a", "username": "jane@example.com"}, {"name": "b", "username": "Jane@Example.com"}]),
            "people: a and b have the same username: one request for each person",
        ),
        (json!([{"name": "a", "id": "1f"}, {"name": "b", "id": "1f"}]), "people: a and b have the same id"),
        (json!([{"name": "a", "id": "1f"}, {"name": "a", "id": "2f"}]), "people: a and a have the same name"),
        (json!([{"name": "a", "username": ""}]), "at '/people/0/username': minLength: got 0, want 1"),
        (json!([{"name": "a"}]), "at '/people/0': missing property 'username'"),
        (json!([{"name": "a", "id": "1f", "username": "x"}]), "at '/people/0': 'oneOf' failed"),
        (json!([{"username": "x"}]), "at '/people/0': missing property 'name'"),
        (json!([{"name": "Jane Doe", "username": "x"}]), "at '/people/0/name': 'Jane Doe' does not match pattern"),
        (json!([{"name": "a", "username": "x", "atempt": 2}]), "additional properties 'atempt' not allowed"),
        (json!(["jane@example.com"]), "at '/people/0': got string, want object"),
        (json!({"a": {"username": "x"}}), "at '/people': got object, want array"),
        (json!([]), "at '/people': minItems: got 0, want 1"),
    ] {
        let refused = repository.render_chart(&json!({"people": people}).to_string()).unwrap_err();
        assert!(refused.contains(expected), "{people}: {refused}");
    }
    let people = json!([{"name": "a", "id": "1f", "attempt": 20_000_000, "revoked": true}]);
    let spec = repository.render_chart(&json!({"people": people}).to_string()).unwrap().remove(0)["spec"].take();
    assert_eq!(
        (&spec["attempt"], &spec["revoked"], &spec["identity"]),
        (&json!(20_000_000), &json!(true), &json!({"id": "1f"}))
    );
}

#[tokio::test]
async fn empty_username_is_refused_by_the_api_server() {
    let fixture = Fixture::new().await;
    for (identity, expected) in [
        (json!({"username": ""}), "spec.identity.username in body should be at least 1 chars long"),
        (json!({}), "spec.identity: Invalid value: exactly one of id and username must be set"),
        (json!({"username": " jane"}), "spec.identity.username: Invalid value: "),
    ] {
        let request: EnrollmentRequest = object(json!({
            "metadata": {"name": "employee-1001"},
            "spec": {"authenticatorConfigRef": {"name": "hosted-web"}, "identity": identity},
        }));
        let refused = refusal(fixture.requests().create(&PostParams::default(), &request).await);
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn page_quotes_the_messages() {
    let (repository, page) = (ManyPeople::new(), read("examples/many-people/README.md"));
    let quoted = |messages: String, expected: &str| {
        assert!(messages.contains(expected) && page.contains(&format!("`{expected}`")), "{expected}: {messages}");
    };
    let generated = |csv| repository.generate(csv).unwrap_err();
    let rendered = |people| repository.render_chart(&json!({"people": people}).to_string()).unwrap_err();
    let [jane, upper] = ["jane@example.com", "Jane@example.com"];
    quoted(
        generated("name,username\na,Jane@example.com\nb,jane@example.com\n"),
        "people.csv, line 3: username jane@example.com is also in line 2: one request for each person",
    );
    quoted(generated("name,username\na,\n"), "people.csv, line 2: username of a is empty");
    quoted(generated("name,username\na,x\na,y\n"), "people.csv, line 3: name a is also in line 2");
    quoted(
        rendered(json!([{"name": "a", "username": jane}, {"name": "b", "username": upper}])),
        "people: a and b have the same username: one request for each person",
    );
    quoted(rendered(json!([{"name": "a", "username": ""}])), "at '/people/0/username': minLength: got 0, want 1");
    quoted(
        rendered(json!([{"name": "a", "id": "1f"}, {"name": "a", "id": "2f"}])),
        "people: a and a have the same name",
    );
    quoted(
        rendered(json!([{"name": "Jane Doe", "id": "1f"}])),
        "at '/people/0/name': 'Jane Doe' does not match pattern",
    );
}

/// No list check sees two files of two teams. The operator does.
#[tokio::test]
async fn person_in_two_files_gets_one_email() {
    let (fixture, _operator) = Fixture::ready().await;
    fixture.realm.add_identity(Identity::active("joe", "joe@example.com").username("joe@example.com"));
    let repository = ManyPeople::new();
    // Each of the two is in a file of its own.
    let people = [person("employee-1001", "joe@example.com"), person("employee-2001", "JOE@example.com")];
    let requests = repository.requests(Way::ApplicationSet, &people).unwrap();
    fixture.apply(&requests[..1]);
    let first = job_of(&fixture.wait_for_request_named("employee-1001", "LinkSent").await);
    fixture.apply(&requests[1..]);
    let second = fixture.wait_for_request_named("employee-2001", "DuplicateRequest").await;
    assert!(
        message(&second).contains("belong to EnrollmentRequest employee-1001, so nothing is sent"),
        "{}",
        message(&second)
    );
    assert_eq!(fixture.mailed(), [first]);
}
