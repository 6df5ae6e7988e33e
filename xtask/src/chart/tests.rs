//! What lies in the chart agrees with the rest of the repository; none of Helm's tools is needed.

use super::*;
use crate::deploy::{metric_of, names};
use serde_json::Value;
use std::collections::BTreeSet;

fn text(path: &str) -> String {
    read(&root().join(path)).unwrap()
}

fn values_file() -> Value {
    yaml::document(&text("charts/marquetry/values.yaml")).unwrap()
}

fn documents(case: &str) -> Vec<Value> {
    yaml::documents(&read(&golden(case)).unwrap()).unwrap()
}

#[test]
fn the_dashboard_in_the_chart_is_the_projects() {
    let [ours, copy] = DASHBOARD.map(text);
    assert!(ours == copy, "run `cargo xtask chart --write`");
}

#[test]
fn the_table_of_values_is_what_the_values_say() {
    let readme = text("charts/marquetry/README.md");
    let made = page::with_table(&readme, &text("charts/marquetry/values.yaml")).unwrap();
    assert!(made == readme, "run `cargo xtask chart --write`");
}

#[test]
fn versions_are_the_projects() {
    let chart = yaml::document(&text("charts/marquetry/Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
}

/// Every key of the values has a schema, and every key that the schema knows has a default in the values.
#[test]
fn schema_and_values_know_the_same_keys() {
    let schema: Value = serde_json::from_str(&text("charts/marquetry/values.schema.json")).unwrap();
    let mut faults = Vec::new();
    compare(&schema, &schema, &values_file(), "", &mut faults);
    // Helm's own.
    faults.retain(|fault| fault != "global has no default");
    assert!(faults.is_empty(), "{faults:#?}");
}

fn compare(root: &Value, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let definition = root.pointer(name.trim_start_matches('#')).unwrap();
        return compare(root, definition, value, path, faults);
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    if schema["additionalProperties"] != false {
        faults.push(format!("{path} takes any key"));
    }
    let Some(map) = value.as_object() else {
        return faults.push(format!("{path} is no map"));
    };
    // What a user may leave out altogether has an empty default.
    if map.is_empty() {
        return;
    }
    for key in properties.keys().chain(map.keys()).collect::<BTreeSet<_>>() {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (properties.get(key), map.get(key)) {
            (Some(schema), Some(value)) => compare(root, schema, value, &below, faults),
            // Kubernetes' own words, of which a default says some.
            (Some(_), None) if path.ends_with("resources") => {}
            (Some(_), None) => faults.push(format!("{below} has no default")),
            _ => faults.push(format!("{below} has no schema")),
        }
    }
}

/// With a threshold of as many messages as a coordinator has out for each worker, a pool would never grow.
#[test]
fn pools_can_grow() {
    let source = text("coordinator/src/job_runner.rs");
    let constant = |name: &str| -> u64 {
        let (_, rest) = source.split_once(&format!("const {name}: usize = ")).unwrap();
        rest.split(';').next().unwrap().parse().unwrap()
    };
    let schema: Value = serde_json::from_str(&text("charts/marquetry/values.schema.json")).unwrap();
    let threshold = &schema["definitions"]["autoscaling"]["properties"]["keda"]["properties"]["lagThreshold"];
    assert_eq!(threshold["maximum"], constant("AHEAD_EACH") - 1);
    let said =
        format!("at most {} tasks out, or {} for each worker", constant("AHEAD_MIN"), constant("AHEAD_EACH"));
    assert!(text("charts/marquetry/README.md").contains(&said), "{said}");
}

#[test]
fn every_value_is_described() {
    let values = text("charts/marquetry/values.yaml");
    let described = page::paths(&values);
    let mut missing = Vec::new();
    undescribed(&values_file(), "", &described, &mut missing);
    assert!(missing.is_empty(), "without a comment: {missing:?}");
}

fn undescribed(value: &Value, path: &str, described: &[String], missing: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let inner = described.iter().any(|known| known.starts_with(&format!("{below}.")));
        if inner {
            undescribed(value, &below, described, missing);
        } else if !described.contains(&below) {
            missing.push(below);
        }
    }
}

#[test]
fn alerts_ask_for_metrics_that_there_are() {
    let rules = yaml::document(&text("charts/marquetry/files/rules.yaml")).unwrap();
    let rules: Vec<&Value> = rules["groups"][0]["rules"].as_array().unwrap().iter().collect();
    let alerts = rules.iter().filter(|rule| rule["alert"].is_string()).count();
    assert!(alerts >= 6, "{alerts}");
    for rule in rules {
        let query = rule["expr"].as_str().unwrap();
        for (name, after) in names(query) {
            let metric = metric_of(&name).unwrap_or_else(|| panic!("there is no {name} to query"));
            let matched = after.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
            // A value may hold commas, but none of ours does.
            for label in matched.split(',').filter_map(|pair| pair.split(['=', '!']).next()) {
                // What Prometheus and the ServiceMonitor add.
                let known =
                    ["release", "role"].contains(&label) || metric.labels.iter().any(|l| l.name == label);
                assert!(known, "{name} has no label `{label}`");
            }
        }
        if rule["alert"].is_string() {
            assert!(query.contains("release=\"this\""), "{} is of every release", rule["alert"]);
            assert!(!rule["annotations"]["summary"].is_null(), "{}", rule["alert"]);
        }
    }
}

#[test]
fn what_is_scaled_by_is_a_metric_that_there_is() {
    let mut asked = Vec::new();
    for scaler in CASES.iter().flat_map(|case| documents(case)) {
        for trigger in scaler["spec"]["triggers"].as_array().into_iter().flatten() {
            let query = trigger["metadata"]["query"].as_str().unwrap_or_default();
            for (name, after) in names(query) {
                let metric = metric_of(&name).unwrap_or_else(|| panic!("there is no {name} to query"));
                assert!(
                    metric.labels.iter().any(|label| after.contains(&format!(",{}=\"", label.name))),
                    "{query}"
                );
                asked.push(name);
            }
        }
        for metric in scaler["spec"]["metrics"].as_array().into_iter().flatten() {
            if let Some(name) = metric["external"]["metric"]["name"].as_str() {
                assert!(metric_of(name).is_some(), "there is no {name}");
                asked.push(name.to_owned());
            }
        }
    }
    assert_eq!(asked, ["marquetry_queue_lag_messages"; 2]);
}

#[test]
fn every_alert_has_a_test() {
    let rules = yaml::document(&text("charts/marquetry/files/rules.yaml")).unwrap();
    let tests = text("charts/marquetry/ci/rules_test.yaml");
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        if let Some(alert) = rule["alert"].as_str() {
            assert!(
                tests.contains(&format!("alertname: {alert}\n")),
                "nothing shows that {alert} is ever said"
            );
        }
    }
}

#[test]
fn manifests_are_what_we_want_of_them() {
    for case in CASES {
        assert_eq!(policy::faults(&documents(case)), Vec::<String>::new(), "{case}");
    }
}

#[test]
fn a_job_file_comes_byte_for_byte() {
    let values = yaml::document(&read(&values("minimal")).unwrap()).unwrap();
    let map = documents("minimal")
        .into_iter()
        .find(|object| object["kind"] == "ConfigMap" && !object["data"]["job.yaml"].is_null())
        .unwrap();
    assert_eq!(map["data"]["job.yaml"], values["jobs"]["nuclei"]["file"]);
    assert!(map["data"]["job.yaml"].as_str().unwrap().contains("image_pixels: 1000000}"));
}

#[test]
fn modules_are_checked_by_their_sums() {
    for (path, version, sum) in tools::MODULES {
        assert!(version.starts_with('v') && sum.starts_with("h1:") && sum.len() == 47, "{path}");
    }
}

/// Pods run as the images' user, and write where the images have folders for it.
#[test]
fn pods_fit_the_images() {
    let dockerfile = text("docker/Dockerfile");
    let values = values_file();
    let user = &values["podSecurityContext"]["runAsUser"];
    let group = &values["podSecurityContext"]["runAsGroup"];
    assert!(dockerfile.contains(&format!("\nUSER {user}:{group}\n")), "{user}:{group}");
    assert!(dockerfile.contains(&format!("MARQUETRY_METRICS=0.0.0.0:{} ", values["metrics"]["port"])));
    let all: Vec<Value> = CASES.iter().flat_map(|case| documents(case)).collect();
    let settings = all.iter().find(|object| !object["data"]["MARQUETRY_CACHE"].is_null()).unwrap();
    for name in ["MARQUETRY_CACHE", "TMPDIR"] {
        let folder = settings["data"][name].as_str().unwrap();
        assert!(dockerfile.contains(&format!("{name}={folder}")), "{name}={folder}");
        for pod in all.iter().filter_map(policy::pod_of) {
            let container = &pod["spec"]["containers"][0];
            let is_ours = container["name"] != "aws";
            let mounts = container["volumeMounts"].as_array().unwrap();
            assert!(!is_ours || mounts.iter().any(|mount| mount["mountPath"] == folder), "{container}");
        }
    }
}

/// What a user of the GPU pools gets: the image that has CUDA.
#[test]
fn pools_on_cuda_run_the_image_for_it() {
    for case in CASES {
        for pod in documents(case).iter().filter_map(policy::pod_of) {
            let container = &pod["spec"]["containers"][0];
            let variables = container["env"].as_array().unwrap();
            let on_cuda = variables.iter().any(|v| v["name"] == "MARQUETRY_DEVICE" && v["value"] == "cuda");
            assert_eq!(
                container["image"].as_str().unwrap().contains("marquetry-cuda"),
                on_cuda,
                "{container}"
            );
        }
    }
}
