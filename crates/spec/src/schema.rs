//! The JSON Schema of job files, from their table.

use super::job::JobSpec;
use super::node::Node;
use super::section::Section;
use super::table::{Bounds, Case, CrossCheck, Key, Shape, Table, Unset};
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of job files: every key, type, range and default.
///
/// What hangs on several fields at once (class names, weights that are all zero, margins wider than the window) is
/// checked by [`JobSpec::parse`](super::JobSpec::parse) alone, but for what words alone decide.
pub fn schema() -> Value {
    let mut schema = of(&JobSpec::table());
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Marquetry job");
    schema
}

/// The schema of a section, with those of all sections below it.
pub(super) fn of(table: &Table) -> Value {
    let mut sections = Sections::default();
    let mut schema = sections.map(table);
    schema.insert("$defs".to_owned(), Value::Object(sections.0));
    Value::Object(schema)
}

/// The schemas of sections, by name.
#[derive(Default)]
struct Sections(Map<String, Value>);

impl Sections {
    /// A reference to a section, which is added if it is new.
    fn refer(&mut self, table: &Table) -> Value {
        if !self.0.contains_key(table.name) {
            let map = self.map(table);
            self.0.insert(table.name.to_owned(), Value::Object(map));
        }
        json!({"$ref": format!("#/$defs/{}", table.name)})
    }

    fn map(&mut self, table: &Table) -> Map<String, Value> {
        let mut map = Map::new();
        let properties = table.keys.iter().map(|key| (key.name.to_owned(), self.key(key))).collect();
        map.insert("type".to_owned(), json!("object"));
        map.insert("description".to_owned(), json!(table.about));
        map.insert("additionalProperties".to_owned(), json!(false));
        map.insert("properties".to_owned(), Value::Object(properties));
        let required = table.keys.iter().filter(|key| matches!(key.unset, Unset::Required));
        let required: Vec<&str> = required.map(|key| key.name).collect();
        if !required.is_empty() {
            map.insert("required".to_owned(), json!(required));
        }
        if !table.checks.is_empty() {
            map.insert("allOf".to_owned(), table.checks.iter().map(cross_check).collect());
        }
        map
    }

    fn key(&mut self, key: &Key) -> Value {
        let mut value = self.shape(&key.shape);
        if let (Unset::Value(default), false) = (&key.unset, matches!(key.shape, Shape::Section(_))) {
            value["default"] = json!(default);
        }
        let unset = match &key.unset {
            Unset::Described(words) => format!(" If not given: {words}."),
            _ => String::new(),
        };
        value["description"] = json!(format!("{}{unset}", key.about));
        value
    }

    fn shape(&mut self, shape: &Shape) -> Value {
        match shape {
            Shape::Words(words) => json!({"enum": words}),
            Shape::Numbers(numbers) => json!({"enum": numbers}),
            Shape::Whole { min, max: u64::MAX } => json!({"type": "integer", "minimum": min}),
            Shape::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Shape::Real(bounds) => number(bounds),
            Shape::Text { pattern: Some(pattern), .. } => json!({"type": "string", "pattern": pattern}),
            Shape::Text { pattern: None, .. } => json!({"type": "string"}),
            Shape::Flag => json!({"type": "boolean"}),
            Shape::Scalar(_) => json!({"type": ["string", "number", "boolean"]}),
            Shape::List { item, min, max, unique } => {
                let mut list = json!({"type": "array", "items": self.shape(item)});
                if *min > 0 {
                    list["minItems"] = json!(min);
                }
                if let Some(max) = max {
                    list["maxItems"] = json!(max);
                }
                if *unique {
                    list["uniqueItems"] = json!(true);
                }
                list
            }
            Shape::MapOf(_, value) => json!({"type": "object", "additionalProperties": self.shape(value)}),
            Shape::AnyOf(shapes) => {
                json!({"anyOf": shapes.iter().map(|shape| self.shape(shape)).collect::<Vec<_>>()})
            }
            Shape::OneOf(tables) => {
                json!({"oneOf": tables.iter().map(|table| self.refer(table)).collect::<Vec<_>>()})
            }
            Shape::Section(table) => self.refer(table),
            Shape::Described(_, shape) => self.shape(shape),
        }
    }
}

fn number(bounds: &Bounds) -> Value {
    let mut number = json!({"type": "number"});
    let limits = [
        ("minimum", bounds.min),
        ("exclusiveMinimum", bounds.above),
        ("maximum", bounds.max),
        ("exclusiveMaximum", bounds.below),
    ];
    for (name, limit) in limits {
        if let Some(limit) = limit {
            number[name] = json!(limit);
        }
    }
    number
}

/// Objects in which the key is given and has just this value.
fn given((key, word): Case) -> Value {
    json!({"properties": {key: {"const": Node::from(word)}}, "required": [key]})
}

/// Objects that have none of `keys`.
fn without(keys: &[&str]) -> Value {
    let never: Map<String, Value> = keys.iter().map(|&key| (key.to_owned(), json!(false))).collect();
    json!({ "properties": never })
}

/// What is written says less than what comes of it with defaults and layers: an object is refused only for what it says
/// itself.
fn cross_check(check: &CrossCheck) -> Value {
    match check {
        CrossCheck::UnusedIf { keys, case, .. } => json!({"if": given(*case), "then": without(&keys())}),
        CrossCheck::UsedIf { key, case: (other, word), rival, .. } => {
            let may = json!({"properties": {*other: {"const": Node::from(*word)}}});
            json!({"if": may, "else": without(&[key]), "not": {"required": [key, rival]}})
        }
        CrossCheck::NeededIf { key, case, .. } => json!({"if": given(*case), "then": {"required": [key]}}),
        CrossCheck::Either { key, or, .. } => json!({"not": {"required": [key, or]}}),
        CrossCheck::Never { cases: [a, b], .. } => json!({"not": {"allOf": [given(*a), given(*b)]}}),
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
