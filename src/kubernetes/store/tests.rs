//! The store with packed objects, and lists that are repeated.

use harness::statuses::objects_of_earlier_versions;
use parking_lot::Mutex;

use super::*;
use crate::api::EnrollmentRequest;

/// A finished request.
fn request(name: &str, uid: &str, version: u32) -> EnrollmentRequest {
    let all = objects_of_earlier_versions("enrollment-request-complete").unwrap();
    let mut request: EnrollmentRequest = serde_json::from_str(&all[0].text).unwrap();
    request.metadata.name = Some(name.to_owned());
    request.metadata.uid = Some(uid.to_owned());
    request.metadata.resource_version = Some(version.to_string());
    request
}

/// The same with a link that is out.
fn unfinished(name: &str, uid: &str, version: u32) -> EnrollmentRequest {
    let mut request = request(name, uid, version);
    request.status.as_mut().unwrap().state = Some("LINK_SENT".to_owned());
    request
}

fn get(store: &Store<EnrollmentRequest>, name: &str) -> Option<Arc<EnrollmentRequest>> {
    store.get(&ObjectRef::new(name).within("fixture-namespace"))
}

fn list(writer: &mut StoreWriter<EnrollmentRequest>, requests: Vec<EnrollmentRequest>) {
    writer.begin_list();
    requests.into_iter().for_each(|request| writer.list(request));
}

/// What a list has changed, such as `gone 1` with the uid, and `b: 1 -> 2` with the versions.
fn changes(listed: Listed<EnrollmentRequest>) -> Vec<String> {
    let changes = Mutex::new(listed.gone.iter().map(|gone| format!("gone {}", gone.uid)).collect::<Vec<_>>());
    let version = |request: &EnrollmentRequest| request.metadata.resource_version.clone().unwrap();
    listed.each(|before, request| {
        let before = before.map_or_else(String::new, version);
        changes.lock().push(format!("{}: {before} -> {}", request.metadata.name.as_ref().unwrap(), version(request)));
    });
    let mut changes = changes.into_inner();
    changes.sort();
    changes
}

#[test]
fn finished_objects_are_packed_until_they_change() {
    let (store, mut writer) = store();
    list(&mut writer, vec![request("a", "1", 1), request("b", "2", 1), unfinished("c", "3", 1)]);
    assert!(get(&store, "a").is_none() && store.unpacked().is_empty() && store.shapes().is_empty(), "not complete yet");
    writer.end_list();
    assert_eq!(*get(&store, "b").unwrap(), request("b", "2", 1));
    assert_eq!(*get(&store, "c").unwrap(), unfinished("c", "3", 1));
    let count = || (store.unpacked().len(), store.shapes().into_iter().map(|(_, count)| count).sum::<usize>());
    assert_eq!(count(), (1, 2));
    let (mut all, mut packed) = (Vec::new(), Vec::new());
    store.each(|request| all.push(request.metadata.name.clone().unwrap()));
    store.each_packed(|request| packed.push(request.metadata.name.clone().unwrap()));
    all.sort();
    packed.sort();
    assert_eq!((all.join(" "), packed.join(" ")), ("a b c".to_owned(), "a b".to_owned()));

    let before = writer.apply(&Arc::new(unfinished("a", "1", 2)));
    assert_eq!(*before.unwrap(), request("a", "1", 1));
    assert_eq!(count(), (2, 1));
    assert_eq!(*writer.apply(&Arc::new(request("a", "1", 3))).unwrap(), unfinished("a", "1", 2));
    assert_eq!(count(), (1, 2));
    assert!(writer.apply(&Arc::new(request("a", "another", 4))).is_none(), "it is another object");
    writer.delete(&request("a", "another", 4));
    assert!(get(&store, "a").is_none());
}

#[test]
fn repeated_list_tells_what_it_has_changed() {
    let (_store, mut writer) = store();
    list(&mut writer, vec![request("a", "1", 1), request("b", "2", 1), request("c", "3", 1)]);
    assert_eq!(changes(writer.end_list()), ["a:  -> 1", "b:  -> 1", "c:  -> 1"]);
    list(&mut writer, vec![request("a", "1", 1), unfinished("b", "2", 2), request("d", "4", 1)]);
    assert_eq!(changes(writer.end_list()), ["a: 1 -> 1", "b: 1 -> 2", "d:  -> 1", "gone 3"]);
    list(&mut writer, vec![request("a", "replaced", 3), request("b", "2", 3)]);
    assert_eq!(changes(writer.end_list()), ["a:  -> 3", "b: 2 -> 3", "gone 1", "gone 4"]);
}

#[test]
fn list_that_is_begun_again_tells_the_changes_of_both() {
    let (store, mut writer) = store();
    list(&mut writer, vec![request("a", "1", 1), request("b", "2", 1), request("c", "3", 1)]);
    writer.end_list();
    list(&mut writer, vec![request("a", "1", 2), request("b", "replaced", 2)]);
    assert!(get(&store, "c").is_some(), "it may be on a later page");
    list(&mut writer, vec![request("a", "1", 3), request("b", "again", 3), request("d", "4", 3)]);
    let changed = ["a: 1 -> 3", "b:  -> 3", "d:  -> 3", "gone 2", "gone 3", "gone replaced"];
    assert_eq!(changes(writer.end_list()), changed, "an object that only the first list showed is gone, too");
    assert_eq!(changes(writer.end_list()).iter().filter(|change| change.starts_with("gone")).count(), 0);
}
