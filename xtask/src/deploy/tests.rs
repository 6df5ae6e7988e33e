//! What lies in `deploy/`, `docker/` and the compose files agrees with the rest of the repository.

use super::*;
use crate::services::{KAFKA, VERSITYGW};
use crate::tools::{ONNXRUNTIME, OPENVINO};
use marquetry_spec::JobSpec;
use marquetry_telemetry::ALL;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All queries of the dashboard, with the legends and titles of where they stand.
fn queries() -> Vec<(String, String, String)> {
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/dashboards/marquetry.json")).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let field = |value: &Value| value.as_str().unwrap().to_owned();
            found.push((field(&panel["title"]), field(&target["expr"]), field(&target["legendFormat"])));
        }
    }
    found
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let mut used = BTreeSet::new();
    for (title, query, legend) in queries() {
        for (name, after) in names(&query) {
            let metric = metric_of(&name).unwrap_or_else(|| panic!("{title}: there is no {name} to query"));
            used.insert(metric.name);
            // `{label="…"}` directly behind the name, and `{{label}}` in the legend.
            let matched = after.strip_prefix('{').and_then(|rest| rest.split(['=', '!']).next());
            let shown = legend.split("{{").skip(1).filter_map(|part| part.split("}}").next());
            for label in matched.into_iter().chain(shown).filter(|label| *label != "instance") {
                assert!(
                    metric.labels.iter().any(|known| known.name == label),
                    "{title}: {} has no label `{label}`",
                    metric.name
                );
            }
        }
    }
    let unused: Vec<_> = ALL.iter().map(|m| m.name).filter(|name| !used.contains(name)).collect();
    assert!(unused.is_empty(), "not on the dashboard: {unused:?}");
}

#[test]
fn panels_do_not_cover_each_other() {
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana/dashboards/marquetry.json")).unwrap();
    let mut taken = BTreeMap::new();
    let mut ids = BTreeMap::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap(), title).is_none(), "{title}: its id is another's");
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(side("x") + side("w") <= 24, "{title} is wider than the dashboard");
        for cell in (side("y")..side("y") + side("h"))
            .flat_map(|y| (side("x")..side("x") + side("w")).map(move |x| (y, x)))
        {
            if let Some(other) = taken.insert(cell, title) {
                panic!("{title} covers {other} at row {}, column {}", cell.0, cell.1);
            }
        }
    }
}

#[test]
fn the_demo_job_in_the_bucket_is_a_job() {
    let job = JobSpec::parse(&text("deploy/demo/job.yaml")).unwrap();
    let local = JobSpec::parse(&text("demo/job.yaml")).unwrap();
    assert_eq!((job.classes, job.tta, job.decide), (local.classes, local.tta, local.decide));
}

#[test]
fn versions_are_the_same_everywhere() {
    let dockerfile = text("docker/Dockerfile");
    let argument = |name: &str| {
        let start = format!("ARG {name}=");
        dockerfile.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default()
    };
    let toolchain = text("rust-toolchain.toml");
    assert!(toolchain.contains(&format!("channel = \"{}\"", argument("RUST"))), "{toolchain}");
    assert_eq!(ONNXRUNTIME, format!("onnxruntime=={}", argument("ONNXRUNTIME")));
    assert_eq!(OPENVINO, format!("openvino=={}", argument("OPENVINO")));
    let compose = text("docker-compose.yml") + &text("docker-compose.gpu.yml");
    let ours = env!("CARGO_PKG_VERSION");
    for image in [
        format!("apache/kafka:{KAFKA}"),
        format!("versity/versitygw:{VERSITYGW}"),
        format!("marquetry:{ours}"),
        format!("marquetry-demo:{ours}"),
        format!("marquetry-cuda:{ours}"),
    ] {
        assert!(compose.lines().any(|line| line.trim() == format!("image: {image}")), "no {image}");
    }
}

#[test]
fn images_are_built_from_all_that_the_workspace_is_made_of() {
    let (manifest, dockerfile, ignored) =
        (text("Cargo.toml"), text("docker/Dockerfile"), text(".dockerignore"));
    let members = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let folders: BTreeSet<&str> =
        members.split('"').skip(1).step_by(2).filter_map(|member| member.split('/').next()).collect();
    assert!(folders.len() > 5, "{folders:?}");
    for folder in folders {
        assert!(dockerfile.contains(&format!("\nCOPY {folder} {folder}\n")), "{folder} is not copied");
        assert!(ignored.contains(&format!("\n!{folder}\n")), "{folder} is left out of the build's context");
    }
}

#[test]
fn images_run_as_nobody_in_particular_and_without_a_shell() {
    let dockerfile = text("docker/Dockerfile");
    let stages: Vec<&str> = dockerfile.split("\nFROM ").skip(1).collect();
    let target = |name: &str| {
        *stages.iter().find(|stage| stage.lines().next().unwrap().ends_with(&format!(" AS {name}"))).unwrap()
    };
    for name in ["cpu", "cuda", "demo"] {
        assert!(target(name).contains("\nUSER 10001:10001\n"), "{name}");
        assert!(target(name).contains("\nENTRYPOINT [\""), "{name}");
    }
    for line in dockerfile.lines().filter(|line| line.starts_with("ENTRYPOINT") || line.starts_with("CMD")) {
        assert!(line.contains("[\""), "a shell would get the signals: {line}");
    }
    // The default target is the last one.
    assert!(stages.last().unwrap().starts_with("debian:"));
}

#[test]
fn faults_of_a_project_are_named() {
    let sound = json!({
        "image": "a/b:1.2", "restart": "unless-stopped", "healthcheck": {"test": ["CMD", "true"]},
        "ports": [{"host_ip": "127.0.0.1", "published": "1"}],
        "volumes": [{"type": "volume", "source": "data"}, {"type": "bind", "source": root()}],
    });
    let with = |key: &str, value: Value| {
        let mut service = sound.clone();
        service[key] = value;
        faults(&json!({"services": {"x": service}}))
    };
    assert_eq!(with("image", json!("a/b:1.2")), Vec::<String>::new());
    for (key, value, word) in [
        ("image", json!("a/b:latest"), "names no version"),
        ("image", json!("a/b"), "names no version"),
        ("healthcheck", Value::Null, "no health check"),
        ("ports", json!([{"published": "9090"}]), "9090"),
        ("volumes", json!([{"type": "bind", "source": "/no/such/file"}]), "/no/such/file"),
    ] {
        let faults = with(key, value);
        assert!(faults.len() == 1 && faults[0].starts_with("x: ") && faults[0].contains(word), "{faults:?}");
    }
}
