//! The documentation: links lead to existing files and headings, and pages show the examples.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::iter::once;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::Value;

use crate::generated::root;

/// What one Markdown file contains.
#[derive(Default)]
struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut pages = BTreeMap::new();
    find(root(), &mut pages);
    assert!(pages.len() >= 20, "{:?}", pages.keys());
    let mut broken = Vec::new();
    for (path, page) in &pages {
        for link in page.links.iter().filter(|link| !is_external(link)) {
            if let Err(reason) = check(path, link, &pages) {
                broken.push(format!("{}: {link}: {reason}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// Only links inside of the repository are checked: a test does not depend on another site.
fn is_external(link: &str) -> bool {
    ["https://", "http://", "mailto:"].iter().any(|scheme| link.starts_with(scheme))
}

fn check(from: &Path, link: &str, pages: &BTreeMap<PathBuf, Page>) -> Result<(), &'static str> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { from.to_owned() } else { normal(&from.parent().unwrap().join(file)) };
    if !target.starts_with(root()) || !target.exists() {
        return Err("no such file");
    }
    match anchor {
        Some(anchor) if !pages.get(&target).is_some_and(|page| page.anchors.contains(anchor)) => Err("no such heading"),
        _ => Ok(()),
    }
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

/// Reads all Markdown files below `folder`, except those of Git and of Cargo.
fn find(folder: &Path, pages: &mut BTreeMap<PathBuf, Page>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !matches!(name, ".git" | "target") {
                find(&path, pages);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).unwrap();
            pages.insert(path, read(&text));
        }
    }
}

fn read(text: &str) -> Page {
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let first = anchor(&heading.take().unwrap());
                let numbered = (1..).map(|number| format!("{first}-{number}"));
                let free = once(first.clone()).chain(numbered).find(|anchor| !page.anchors.contains(anchor));
                page.anchors.extend(free);
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            _ => {}
        }
    }
    page
}

/// The anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn pages_show_the_examples() {
    for (page, example) in [
        ("README.md", "authenticator-config.yaml"),
        ("README.md", "enrollment-request.yaml"),
        ("docs/install.md", "namespaced-provider.yaml"),
        ("docs/flux.md", "flux/source.yaml"),
        ("docs/flux.md", "flux/kustomizations.yaml"),
        ("docs/flux.md", "flux/wait-for-people.yaml"),
        ("docs/flux.md", "flux/alert.yaml"),
        ("docs/argocd.md", "argocd/application.yaml"),
        ("docs/argocd.md", "argocd/notifications.yaml"),
        ("docs/argocd.md", "many-people/applicationset/applicationset.yaml"),
        ("docs/howto/gitops-secrets.md", "secrets/external-secret.yaml"),
        ("docs/howto/gitops-secrets.md", "secrets/flux-kustomization.yaml"),
        ("docs/howto/gitops-secrets.md", "secrets/sealed-secret.yaml"),
        ("docs/howto/gitops-secrets.md", "secrets/secret.yaml"),
        ("docs/kustomize.md", "kustomize/name-reference/name-reference.yaml"),
        ("docs/kustomize.md", "kustomize/production/kustomization.yaml"),
        ("docs/kustomize.md", "kustomize/provider/kustomization.yaml"),
        ("docs/kustomize.md", "kustomize/staging/kustomization.yaml"),
    ] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let manifest = fs::read_to_string(root().join("examples").join(example)).unwrap();
        assert!(text.contains(&format!("```yaml\n{manifest}```\n")), "{page} does not show examples/{example}");
    }
}

#[test]
fn sops_only_adds_decryption_to_the_kustomization() {
    let read = |path| fs::read_to_string(root().join("examples").join(path)).unwrap();
    let plain = read("flux/kustomizations.yaml");
    let plain: Value = serde_saphyr::from_str(plain.split("\n---\n").next().unwrap()).unwrap();
    let mut decrypting: Value = serde_saphyr::from_str(&read("secrets/flux-kustomization.yaml")).unwrap();
    let decryption = decrypting["spec"].as_object_mut().unwrap().remove("decryption").unwrap();
    assert_eq!(decryption["provider"], "sops");
    assert_eq!(decrypting, plain);
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(anchor("Why `RETURN` is left out, for now"), "why-return-is-left-out-for-now");
}
