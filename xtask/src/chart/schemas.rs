//! JSON Schemas of every kind of object that the chart makes, from what Kubernetes, KEDA and the Prometheus operator
//! publish: the API's description, and the definitions of custom resources. An unknown key is an error in all of them.

use super::tools::{MODULES, Tools};
use super::yaml;
use crate::services::install_once;
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Changes with what is made of the sources.
const FORM: u32 = 1;
/// Where the definitions of resources lie in their modules.
const RESOURCES: [&str; 2] = ["config/crd/bases", "example/prometheus-operator-crd"];

/// The folder of the schemas, `GROUP-VERSION-kind.json`, made when they are missing.
pub(super) fn ready() -> Result<PathBuf> {
    let versions = MODULES.map(|(_, version, _)| version).join("-");
    install_once(&format!("kubernetes-schemas-{versions}-{FORM}"), "apps-v1-deployment.json", |folder| {
        let [kubernetes, keda, operator] = Tools::modules()?;
        let described = fs::read_to_string(kubernetes.join("api/openapi-spec/swagger.json"))?;
        let mut schemas = of_api(&serde_json::from_str(&described)?);
        for (module, place) in [keda, operator].iter().zip(RESOURCES) {
            for entry in fs::read_dir(module.join(place))? {
                let text = fs::read_to_string(entry?.path())?;
                schemas.extend(of_resource(&yaml::document(&text)?));
            }
        }
        write_all(folder, &schemas)
    })
}

fn write_all(folder: &Path, schemas: &BTreeMap<String, Value>) -> Result<()> {
    for (name, schema) in schemas {
        let file = folder.join(name);
        fs::write(&file, serde_json::to_vec(schema)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// As kubeconform asks for it: of an `apiVersion` without a group, such as `v1`, the version stands for both.
fn file_name(group: &str, version: &str, kind: &str) -> String {
    let group = if group.is_empty() { version } else { group };
    format!("{group}-{version}-{}.json", kind.to_lowercase())
}

/// The schema of each kind in the description of an API (`OpenAPI` 2), each with all the definitions that it needs.
fn of_api(api: &Value) -> BTreeMap<String, Value> {
    let definitions: BTreeMap<&str, Value> = api["definitions"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, definition)| (name.as_str(), strict(definition.clone())))
        .collect();
    let mut schemas = BTreeMap::new();
    for (name, definition) in &definitions {
        for known in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |key: &str| known[key].as_str().unwrap_or_default();
            let needed = needed_by(name, &definitions);
            let schema = json!({"$ref": format!("#/definitions/{name}"), "definitions": needed});
            schemas.insert(file_name(text("group"), text("version"), text("kind")), schema);
        }
    }
    schemas
}

/// The definition of this name and all that it names, directly or not.
fn needed_by(name: &str, definitions: &BTreeMap<&str, Value>) -> Map<String, Value> {
    let mut needed = Map::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        if needed.contains_key(&name) {
            continue;
        }
        if let Some(definition) = definitions.get(name.as_str()) {
            named_in(definition, &mut open);
            needed.insert(name, definition.clone());
        }
    }
    needed
}

fn named_in(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            let name = map.get("$ref").and_then(Value::as_str);
            names.extend(name.and_then(|name| name.strip_prefix("#/definitions/")).map(str::to_owned));
            map.values().for_each(|value| named_in(value, names));
        }
        Value::Array(items) => items.iter().for_each(|value| named_in(value, names)),
        _ => {}
    }
}

/// The schema of each version of a custom resource.
fn of_resource(definition: &Value) -> BTreeMap<String, Value> {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (group, kind) = (text(&spec["group"]), text(&spec["names"]["kind"]));
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions
        .map(|version| {
            let schema = strict(version["schema"]["openAPIV3Schema"].clone());
            (file_name(&group, &text(&version["name"]), &kind), schema)
        })
        .collect()
}

/// A schema in which an object has no keys but those that are listed, and numbers may stand where Kubernetes lets them.
fn strict(mut schema: Value) -> Value {
    tighten(&mut schema);
    schema
}

fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // Below `properties` a key is a name that someone chose, such as `type`, and no word of the schema's.
            for (word, part) in map.iter_mut() {
                if let ("properties", Value::Object(properties)) = (word.as_str(), &mut *part) {
                    properties.values_mut().for_each(tighten);
                } else if !matches!(word.as_str(), "enum" | "default" | "example") {
                    tighten(part);
                }
            }
            let is_quantity = map.get("description").and_then(Value::as_str).is_some_and(is_quantity);
            if map.get("format").and_then(Value::as_str) == Some("int-or-string") || is_quantity {
                map.insert("type".into(), json!(["string", "number"]));
                map.remove("format");
            }
            if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
                map.remove("type");
            }
            let open = map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
            if map.get("properties").is_some_and(Value::is_object) && !open {
                map.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tighten),
        _ => {}
    }
}

/// Kubernetes describes quantities (`500m`, `2Gi`) as texts, and takes numbers too.
fn is_quantity(description: &str) -> bool {
    description.starts_with("Quantity is a fixed-point representation of a number.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_an_api_has_what_it_needs_and_no_key_beside() {
        let api = json!({"definitions": {
            "io.Pod": {
                "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}],
                "properties": {"spec": {"$ref": "#/definitions/io.Spec"}},
            },
            "io.Spec": {"properties": {"type": {"type": "string"}, "port": {"type": "string", "format": "int-or-string"}}},
            "io.Other": {"properties": {}},
        }});
        let schemas = of_api(&api);
        let pod = &schemas["v1-v1-pod.json"];
        assert_eq!(pod["definitions"].as_object().unwrap().keys().collect::<Vec<_>>(), ["io.Pod", "io.Spec"]);
        let spec = &pod["definitions"]["io.Spec"];
        assert_eq!(spec["additionalProperties"], false);
        assert_eq!(spec["properties"]["port"]["type"], json!(["string", "number"]));
        assert_eq!(spec["properties"]["type"], json!({"type": "string"}));
    }

    #[test]
    fn a_custom_resource_is_strict_where_it_does_not_say_otherwise() {
        let definition = json!({"spec": {
            "group": "keda.sh", "names": {"kind": "ScaledObject"},
            "versions": [{"name": "v1alpha1", "schema": {"openAPIV3Schema": {
                "properties": {
                    "spec": {"properties": {"a": {"x-kubernetes-int-or-string": true, "type": "string"}}},
                    "free": {"properties": {}, "x-kubernetes-preserve-unknown-fields": true},
                },
            }}}],
        }});
        let schema = &of_resource(&definition)["keda.sh-v1alpha1-scaledobject.json"];
        assert_eq!(schema["properties"]["spec"]["additionalProperties"], false);
        assert_eq!(schema["properties"]["spec"]["properties"]["a"].get("type"), None);
        assert_eq!(schema["properties"]["free"].get("additionalProperties"), None);
    }
}
