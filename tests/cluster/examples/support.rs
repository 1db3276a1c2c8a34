//! Renders the examples with kubectl's kustomize and helm, and applies them in the namespace of a test.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use harness::chart;
use harness::process::output_of;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Fixture, cluster};

/// The folder of the examples for many people, in a repository.
const MANY_PEOPLE: &str = "examples/many-people";

/// A file or a folder of this repository.
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of a file of this repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(in_repository(path)).unwrap()
}

/// The objects of a YAML stream.
pub fn parsed(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The objects of a kustomization.
pub fn kustomize(folder: &Path) -> Vec<Value> {
    parsed(&cluster::control_plane().run_kubectl(["kustomize", folder.to_str().unwrap()]).unwrap())
}

/// The names of the objects, in their order.
pub fn names(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect()
}

/// Someone in a list: the name of the request, the username, and whether the link is to be revoked.
#[derive(Clone, Debug)]
pub struct Person {
    pub name: String,
    pub username: String,
    pub revoked: bool,
}

pub fn person(name: &str, username: &str) -> Person {
    Person { name: name.to_owned(), username: username.to_owned(), revoked: false }
}

/// How a list becomes requests.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Generator,
    Chart,
    ApplicationSet,
}

/// A copy of the examples for many people, whose list a test replaces.
pub struct ManyPeople(TempDir);

impl ManyPeople {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let copy = folder.path().join(MANY_PEOPLE);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        let from = in_repository(MANY_PEOPLE);
        assert!(Command::new("cp").arg("-R").args([&from, &copy]).status().unwrap().success());
        Self(folder)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.root().join(MANY_PEOPLE).join(name)
    }

    /// The requests of these people, or what the tool says.
    pub fn requests(&self, way: Way, people: &[Person]) -> Result<Vec<Value>, String> {
        match way {
            Way::Generator => self.generate(&csv(people)).map(|()| kustomize(&self.folder("generator"))),
            Way::Chart => self.render_chart(&values(people)),
            Way::ApplicationSet => {
                let teams = self.folder("applicationset/teams");
                fs::remove_dir_all(&teams).unwrap();
                fs::create_dir(&teams).unwrap();
                for (number, team) in people.chunks(people.len().div_ceil(10).max(1)).enumerate() {
                    fs::write(teams.join(format!("team-{number}.yaml")), values(team)).unwrap();
                }
                self.applications().iter().try_fold(Vec::new(), |mut all, application| {
                    all.extend(self.render(application)?);
                    Ok(all)
                })
            }
        }
    }

    /// Runs the generator on this list.
    pub fn generate(&self, csv: &str) -> Result<(), String> {
        let folder = self.folder("generator");
        fs::write(folder.join("people.csv"), csv).unwrap();
        output_of(Command::new(folder.join("generate.sh")), "").map(drop).map_err(|error| error.to_string())
    }

    /// The files that the generator wrote, with their contents.
    pub fn generated(&self) -> BTreeSet<(String, String)> {
        let files = fs::read_dir(self.folder("generator/people")).unwrap().map(|file| file.unwrap().path());
        let content =
            |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap());
        files.map(content).collect()
    }

    /// The requests of the chart with these values.
    pub fn render_chart(&self, values: &str) -> Result<Vec<Value>, String> {
        let chart = self.folder("chart");
        helm(&["template", "enrolments", chart.to_str().unwrap(), "--namespace", "identity", "--values", "-"], values)
    }

    /// The folder of the repository.
    pub fn root(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    /// The file with the ApplicationSet.
    pub fn application_set(&self) -> PathBuf {
        self.folder("applicationset/applicationset.yaml")
    }

    /// The path of the chart.
    pub fn chart(&self) -> PathBuf {
        self.folder("chart")
    }

    /// The Applications of the ApplicationSet: its template with the parameters of each file, as Argo CD documents them.
    pub fn applications(&self) -> Vec<Value> {
        let set = fs::read_to_string(self.application_set()).unwrap();
        let set = parsed(&set).remove(0);
        let pattern = set["spec"]["generators"][0]["git"]["files"][0]["path"].as_str().unwrap();
        let folder = pattern.strip_suffix("/*.yaml").unwrap();
        let mut files: Vec<_> = fs::read_dir(self.root().join(folder)).unwrap().map(|file| file.unwrap()).collect();
        files.sort_by_key(fs::DirEntry::file_name);
        let application = |file: fs::DirEntry| {
            let file = file.file_name().into_string().unwrap();
            let rendered = set["spec"]["template"]
                .to_string()
                .replace(r#"{{ trimSuffix \".yaml\" .path.filename }}"#, file.strip_suffix(".yaml").unwrap())
                .replace("{{ .path.path }}", folder)
                .replace("{{ .path.filename }}", &file);
            assert!(!rendered.contains("{{"), "{rendered}");
            let mut application: Value = serde_json::from_str(&rendered).unwrap();
            application["apiVersion"] = json!("argoproj.io/v1alpha1");
            application["kind"] = json!("Application");
            application
        };
        files.into_iter().map(application).collect()
    }

    /// The objects of an Application, whose source is a chart in this repository.
    fn render(&self, application: &Value) -> Result<Vec<Value>, String> {
        let spec = &application["spec"];
        let name = application["metadata"]["name"].as_str().unwrap();
        let namespace = spec["destination"]["namespace"].as_str().unwrap();
        let chart = self.root().join(spec["source"]["path"].as_str().unwrap());
        let file = spec["source"]["helm"]["valueFiles"][0].as_str().unwrap();
        let file = self.root().join(file.strip_prefix('/').expect("the path begins at the root of the repository"));
        let [chart, file] = [chart, file].map(|path| path.to_str().unwrap().to_owned());
        helm(&["template", name, &chart, "--namespace", namespace, "--values", &file], "")
    }
}

fn helm(args: &[&str], input: &str) -> Result<Vec<Value>, String> {
    output_of(chart::helm(args).unwrap(), input).map(|yaml| parsed(&yaml)).map_err(|error| error.to_string())
}

/// The list of the generator.
pub fn csv(people: &[Person]) -> String {
    people.iter().fold("name,username,revoked\n".to_owned(), |mut csv, Person { name, username, revoked }| {
        writeln!(csv, "{name},{username},{}", if *revoked { "true" } else { "" }).unwrap();
        csv
    })
}

/// The values of the chart.
pub fn values(people: &[Person]) -> String {
    let person = |Person { name, username, revoked }: &Person| match revoked {
        true => json!({"name": name, "username": username, "revoked": true}),
        false => json!({"name": name, "username": username}),
    };
    json!({"people": people.iter().map(person).collect::<Vec<_>>()}).to_string()
}

impl Fixture {
    /// These objects in the namespace of the test, with its provider config.
    pub fn own(&self, objects: &[Value]) -> Vec<Value> {
        let own = |mut object: Value| {
            object["metadata"]["namespace"] = json!(self.namespace);
            if object["kind"] == "AuthenticatorConfig" {
                object["spec"]["providerConfigRef"] = json!({"name": self.provider});
            }
            object
        };
        objects.iter().cloned().map(own).collect()
    }

    /// Applies these objects as kubectl does.
    pub fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": self.own(objects)});
        cluster::control_plane().apply(&list.to_string()).unwrap();
    }

    /// Applies these objects, and deletes all other requests, as a tool that prunes does. Returns the names of the deleted.
    pub async fn sync(&self, objects: &[Value]) -> Vec<String> {
        self.apply(objects);
        let kept: BTreeSet<_> = names(objects).into_iter().collect();
        let all = self.requests().list(&ListParams::default()).await.unwrap();
        let mut pruned = Vec::new();
        for request in all.items.iter().filter(|request| !kept.contains(&*request.name_any())) {
            self.delete_request(&request.name_any()).await;
            pruned.push(request.name_any());
        }
        pruned
    }
}
