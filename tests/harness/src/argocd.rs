//! Runs scripts for Argo CD as Argo CD does: on an object, in the global `obj`, in a Lua 5.1 with the base library and
//! `table` only.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use mlua::{Lua, LuaOptions, StdLib, Table, Value as LuaValue};
use serde_json::{Map, Number, Value};

/// The health codes that a script may return.
const CODES: [&str; 4] = ["Healthy", "Progressing", "Degraded", "Suspended"];

/// What a health script returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `Healthy`, `Progressing`, `Degraded` or `Suspended`.
    pub status: String,
    /// The message that Argo CD shows.
    pub message: String,
}

/// Runs a health script.
pub fn health(script: &str, object: &Value) -> anyhow::Result<Health> {
    let returned = run(script, object)?;
    let text = |name: &str| returned[name].as_str().map(str::to_owned).with_context(|| format!("{name} in {returned}"));
    let health = Health { status: text("status")?, message: text("message")? };
    anyhow::ensure!(CODES.contains(&health.status.as_str()), "{health:?}");
    Ok(health)
}

/// Runs a discovery script. Returns each action as it returns it.
pub fn discover(script: &str, object: &Value) -> anyhow::Result<BTreeMap<String, Value>> {
    let returned = run(script, object)?;
    let actions = returned.as_object().with_context(|| format!("no table of actions: {returned}"))?;
    Ok(actions.clone().into_iter().collect())
}

/// The names of the actions that a discovery script offers.
pub fn offered(script: &str, object: &Value) -> anyhow::Result<Vec<String>> {
    let actions = discover(script, object)?;
    Ok(actions.into_iter().filter(|(_, action)| action["disabled"] != true).map(|(name, _)| name).collect())
}

/// Runs an action. Returns the changed object, or the error that the script raises.
pub fn act(script: &str, object: &Value) -> anyhow::Result<Value> {
    Ok(like(run(script, object)?, object))
}

/// Lua has one type for lists and maps. An empty table is what it was before the script.
fn like(returned: Value, before: &Value) -> Value {
    match (returned, before) {
        (Value::Array(items), Value::Object(_)) if items.is_empty() => Value::Object(Map::new()),
        (Value::Object(fields), Value::Object(before)) => {
            let like = |(name, value)| {
                let value =
                    before.get(&name).map_or_else(|| Value::clone(&value), |before| like(value.clone(), before));
                (name, value)
            };
            Value::Object(fields.into_iter().map(like).collect())
        }
        (Value::Array(items), Value::Array(before)) => {
            let null = Value::Null;
            let before = before.iter().chain(std::iter::repeat(&null));
            Value::Array(items.into_iter().zip(before).map(|(item, before)| like(item, before)).collect())
        }
        (returned, _) => returned,
    }
}

/// Runs a script, and returns what it returns.
fn run(script: &str, object: &Value) -> anyhow::Result<Value> {
    // mlua always opens the base library.
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default()).map_err(readable)?;
    // In Lua 5.1 that includes `coroutine`, but not in Argo CD's Lua.
    lua.globals().set("coroutine", LuaValue::Nil).map_err(readable)?;
    let object = to_lua(&lua, object).map_err(readable)?;
    lua.globals().set("obj", object).map_err(readable)?;
    let returned: LuaValue = lua.load(script).set_name("=script").eval().map_err(readable)?;
    to_json(&returned)
}

/// The message of an error, as Argo CD shows it: without the stack trace.
fn readable(error: mlua::Error) -> anyhow::Error {
    let message = match error {
        mlua::Error::RuntimeError(message) => message,
        error => error.to_string(),
    };
    anyhow::Error::msg(message.split("\nstack traceback:").next().unwrap_or_default().to_owned())
}

/// Every number is a float, as in Argo CD, and `null` is nothing.
fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(value) => LuaValue::Boolean(*value),
        Value::Number(value) => LuaValue::Number(value.as_f64().unwrap_or_default()),
        Value::String(value) => LuaValue::String(lua.create_string(value)?),
        Value::Array(items) => {
            let table = lua.create_table()?;
            for item in items.iter().filter(|item| !item.is_null()) {
                table.raw_push(to_lua(lua, item)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Object(fields) => {
            let table = lua.create_table()?;
            for (name, value) in fields {
                table.raw_set(name.as_str(), to_lua(lua, value)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

fn to_json(value: &LuaValue) -> anyhow::Result<Value> {
    Ok(match value {
        LuaValue::Nil => Value::Null,
        LuaValue::Boolean(value) => Value::Bool(*value),
        LuaValue::Integer(value) => Value::from(*value),
        LuaValue::Number(value) => number(*value),
        LuaValue::String(value) => Value::String(value.to_str().map_err(readable)?.to_owned()),
        LuaValue::Table(table) => table_to_json(table)?,
        other => bail!("a {} cannot be JSON", other.type_name()),
    })
}

/// A whole number is an integer, as in the manifests.
fn number(value: f64) -> Value {
    let whole = value as i64;
    if whole as f64 == value { Value::from(whole) } else { Number::from_f64(value).map_or(Value::Null, Value::Number) }
}

fn table_to_json(table: &Table) -> anyhow::Result<Value> {
    let (mut fields, mut items) = (Map::new(), 0);
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, value) = pair.map_err(readable)?;
        match key {
            LuaValue::String(name) => {
                fields.insert(name.to_str().map_err(readable)?.to_owned(), to_json(&value)?);
            }
            _ => items += 1,
        }
    }
    if !fields.is_empty() {
        anyhow::ensure!(items == 0, "a table has names and numbers as keys");
        return Ok(Value::Object(fields));
    }
    let list = table.sequence_values::<LuaValue>().map(|item| to_json(&item.map_err(readable)?));
    Ok(Value::Array(list.collect::<anyhow::Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_base_library_and_table_are_open() {
        let open = "local names = {} for name, value in pairs(_G) do \
                    if type(value) == 'table' and name ~= '_G' and name ~= 'obj' then table.insert(names, name) end end \
                    return names";
        assert_eq!(run(open, &json!({})).unwrap(), json!(["table"]));
        assert!(run("return ('x'):len()", &json!({})).is_err());
    }

    #[test]
    fn object_survives_a_script_that_returns_it() {
        let object =
            json!({"a": {}, "b": [], "c": [{"d": {}}, 1, "x", true, 1.5], "e": {"f": [[], {}]}, "g": 1_700_000_000});
        assert_eq!(act("return obj", &object).unwrap(), object);
    }

    #[test]
    fn error_has_the_message_of_the_script_only() {
        let error = act("error('The link is not active', 0)", &json!({})).unwrap_err();
        assert_eq!(error.to_string(), "The link is not active");
    }
}
