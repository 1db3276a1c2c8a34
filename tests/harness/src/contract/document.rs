//! Reads the OpenAPI document into the validators for requests and answers.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail};
use jsonschema::Validator;
use serde_json::{Value, json};

use super::place::{Template, decoded};
use super::{Finding, finding, schema_errors};

/// All operations of the API.
#[derive(Debug)]
pub struct Contract {
    operations: Vec<Operation>,
}

/// One operation of the API.
#[derive(Debug)]
pub struct Operation {
    /// Its name.
    pub id: String,
    /// Its method, in capitals.
    pub method: String,
    /// Its path, with parameters in braces.
    pub template: String,
    /// The OAuth scope that it requires.
    pub scope: String,
    form: Template,
    pub(super) path: BTreeMap<String, Parameter>,
    pub(super) query: BTreeMap<String, Parameter>,
    pub(super) headers: BTreeMap<String, Parameter>,
    pub(super) body: Option<Validator>,
    /// The schema of the response body by status. `None` means no body.
    pub(super) answers: BTreeMap<u16, Option<Validator>>,
}

/// A parameter in the path, in the query or in a header.
#[derive(Debug)]
pub(super) struct Parameter {
    pub required: bool,
    pub schema: Validator,
    is_number: bool,
}

impl Parameter {
    /// Validates an encoded value of a URL, and adds the errors to `found`.
    pub fn check(&self, raw: &str, place: &str, found: &mut Vec<Finding>) {
        let Some(text) = decoded(raw) else {
            found.push(finding(place, "value is not percent-encoded"));
            return;
        };
        let number = self.is_number.then(|| text.parse::<u64>().ok()).flatten();
        found.extend(schema_errors(&self.schema, &number.map_or_else(|| Value::from(text), Value::from), place));
    }
}

pub(super) fn parse(yaml: &str) -> anyhow::Result<Value> {
    serde_saphyr::from_str(yaml).context("not valid YAML")
}

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

impl Contract {
    /// Reads a document.
    ///
    /// # Errors
    /// If it contains something that is not checked, or a schema is invalid.
    pub fn read(document: &Value) -> anyhow::Result<Self> {
        let reader = Reader { document };
        let mut operations = Vec::new();
        for (template, item) in fields(&document["paths"]) {
            for (method, operation) in fields(item).filter(|(method, _)| METHODS.contains(&method.as_str())) {
                let read = reader.operation(template, method, &item["parameters"], operation);
                operations.push(read.with_context(|| format!("{method} {template}"))?);
            }
        }
        Ok(Self { operations })
    }

    /// Every operation.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation of a request, with the names and raw values of its path parameters.
    pub(super) fn find<'a, 'b>(
        &'a self,
        method: &str,
        path: &'b str,
    ) -> Option<(&'a Operation, Vec<(&'a str, &'b str)>)> {
        let of_method = self.operations.iter().filter(|operation| operation.method == method);
        let matching = of_method.filter_map(|operation| Some((operation, operation.form.matches(path)?)));
        matching.max_by_key(|(operation, _)| operation.form.fixed())
    }
}

struct Reader<'a> {
    document: &'a Value,
}

impl Reader<'_> {
    fn operation(&self, template: &str, method: &str, shared: &Value, item: &Value) -> anyhow::Result<Operation> {
        let mut operation = Operation {
            id: text(item, "operationId")?,
            method: method.to_ascii_uppercase(),
            template: template.to_owned(),
            scope: self.scope(&item["security"])?,
            form: Template::parse(template),
            path: BTreeMap::new(),
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            body: None,
            answers: BTreeMap::new(),
        };
        for parameter in items(shared).chain(items(&item["parameters"])) {
            let parameter = self.resolve(parameter)?;
            let (name, place) = (text(parameter, "name")?, text(parameter, "in")?);
            let read = Parameter {
                required: parameter["required"] == true,
                schema: self.schema(&parameter["schema"])?,
                is_number: parameter["schema"]["type"] == "integer",
            };
            match place.as_str() {
                "path" => operation.path.insert(name, read),
                "query" => operation.query.insert(name, read),
                "header" => operation.headers.insert(name, read),
                other => bail!("a parameter in {other} is not checked"),
            };
        }
        if let Value::Object(_) = item["requestBody"] {
            operation.body = self.body(self.resolve(&item["requestBody"])?)?;
        }
        for (status, answer) in fields(&item["responses"]) {
            let status = status.parse().with_context(|| format!("the status {status} is not a number"))?;
            operation.answers.insert(status, self.body(self.resolve(answer)?)?);
        }
        Ok(operation)
    }

    /// The only scope of the only security scheme.
    fn scope(&self, security: &Value) -> anyhow::Result<String> {
        let scheme = &self.document["components"]["securitySchemes"]["token"];
        if scheme["type"] != "http" || scheme["scheme"] != "bearer" {
            bail!("the security scheme is not a bearer token");
        }
        let scope = security[0]["token"][0].as_str().context("no scope of the bearer token")?;
        Ok(scope.to_owned())
    }

    /// The schema of a JSON body, if there is a body.
    fn body(&self, holder: &Value) -> anyhow::Result<Option<Validator>> {
        let content: Vec<_> = fields(&holder["content"]).collect();
        match content.as_slice() {
            [] => Ok(None),
            [(kind, media)] if *kind == "application/json" => self.schema(&media["schema"]).map(Some),
            _ => bail!("only application/json is checked"),
        }
    }

    /// The target of a reference. A value without a reference is returned as it is.
    fn resolve<'v>(&'v self, value: &'v Value) -> anyhow::Result<&'v Value> {
        let Some(reference) = value["$ref"].as_str() else { return Ok(value) };
        let pointer = reference.strip_prefix('#').context("a reference leaves the document")?;
        self.document.pointer(pointer).with_context(|| format!("{reference} does not exist"))
    }

    fn schema(&self, schema: &Value) -> anyhow::Result<Validator> {
        let Value::Object(schema) = schema else { bail!("no schema") };
        let mut schema = schema.clone();
        // The targets of its references.
        schema.insert("components".to_owned(), json!({"schemas": self.document["components"]["schemas"]}));
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        options.build(&Value::Object(schema)).map_err(|error| anyhow!("invalid schema: {error}"))
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value, name: &str) -> anyhow::Result<String> {
    value[name].as_str().map(str::to_owned).with_context(|| format!("no {name}"))
}
