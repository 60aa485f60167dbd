//! A JSON Schema of one `--l2-adapter`, made from the table of fields, for editors and for those who write configurations by
//! program.

use serde_json::{Map, Value, json};

use crate::adapter::AdapterType;
use crate::backend::Backend;
use crate::fields::{FIELDS, Field, Kind, Place, Preset, Role, Scope};

/// The schema (draft 2020-12): one alternative for each adapter with each of its backends.
///
/// What it accepts may still be refused by [`AdapterConfig::parse`](crate::AdapterConfig::parse), for what no schema says: a
/// key that is given twice, two names for one thing, two queues at once.
#[must_use]
pub fn json_schema() -> Value {
    let alternatives: Vec<Value> = AdapterType::ALL
        .iter()
        .flat_map(|adapter| adapter.backends().iter().map(|backend| object(Place::Top, *adapter, *backend)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "--l2-adapter of nixl-l2",
        "oneOf": alternatives,
    })
}

fn object(place: Place, adapter: AdapterType, backend: Backend) -> Value {
    let scope = Scope { adapter: Some(adapter), backend: Some(backend) };
    let fields = || {
        FIELDS
            .iter()
            .filter(move |field| field.place == place && field.role != Role::Refused && field.applies(scope))
    };
    let properties: Map<String, Value> =
        fields().map(|field| (field.name.to_owned(), property(field, adapter, backend))).collect();
    let mut required: Vec<&str> = fields().filter(|field| field.required).map(|field| field.name).collect();
    let inner = Place::BackendParams;
    if place == Place::Top && needs(inner, scope) {
        required.push(inner.path());
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Whether something in an object must be given, so that the object must.
fn needs(place: Place, scope: Scope) -> bool {
    FIELDS.iter().any(|field| field.place == place && field.required && field.applies(scope))
}

fn property(field: &Field, adapter: AdapterType, backend: Backend) -> Value {
    let mut schema = match (field.name, field.place) {
        ("type", Place::Top) => json!({ "const": adapter.name() }),
        ("backend", Place::Top) => json!({ "const": backend.name() }),
        (name, Place::Top) if name == Place::BackendParams.path() => {
            object(Place::BackendParams, adapter, backend)
        }
        (name, Place::Top) if name == Place::Eviction.path() => object(Place::Eviction, adapter, backend),
        _ => value(field.kind),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), field.about.into());
        match field.default {
            Preset::Boolean(default) => drop(schema.insert("default".to_owned(), default.into())),
            Preset::Number(default) => drop(schema.insert("default".to_owned(), default.into())),
            Preset::None | Preset::Described(_) => {}
        }
        if field.is_secret() {
            schema.insert("writeOnly".to_owned(), true.into());
        }
    }
    schema
}

/// What may be given, as itself or as a text.
fn value(kind: Kind) -> Value {
    match kind {
        Kind::Boolean => {
            json!({ "anyOf": [{ "type": "boolean" }, { "type": "string", "pattern": "^(?i:true|false)$" }] })
        }
        Kind::Integer { min, max } => json!({ "anyOf": [
            { "type": "integer", "minimum": min, "maximum": max },
            { "type": "string", "pattern": "^[0-9]+$" },
        ] }),
        Kind::Number { max } => json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0, "maximum": max },
            { "type": "string", "pattern": "^[0-9.eE+-]+$" },
        ] }),
        Kind::NumberFromZero { max } => json!({ "anyOf": [
            { "type": "number", "minimum": 0, "maximum": max },
            { "type": "string", "pattern": "^[0-9.eE+-]+$" },
        ] }),
        Kind::Text { may_be_blank: true } => json!({ "type": "string" }),
        Kind::Text { may_be_blank: false } => json!({ "type": "string", "pattern": "\\S" }),
        Kind::Choice(choices) => json!({ "enum": choices }),
        Kind::Object => json!({ "type": "object" }),
    }
}
