//! What lies in the chart agrees with the rest of the repository; none of Helm's tools is needed.

use super::*;
use crate::deploy::{metric_of, names};
use serde_json::{Value, json};
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
    // What only narrows a definition stands behind it.
    if let Some(definition) = schema["allOf"].get(0) {
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
    let pool = &schema["definitions"]["pool"]["properties"]["autoscaling"]["allOf"][1];
    let threshold = &pool["properties"]["keda"]["properties"]["lagThreshold"];
    assert_eq!(threshold["maximum"], constant("AHEAD_EACH") - 1);
    // One of low priority has fewer out, for which the default is small enough.
    let default = &values_file()["workerDefaults"]["autoscaling"]["keda"]["lagThreshold"];
    assert_eq!(*default, constant("AHEAD_EACH") / constant("STEP") - 1);
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
    for (case, job) in [("minimal", "nuclei"), ("overrides", "2026")] {
        let values = yaml::document(&read(&values(case)).unwrap()).unwrap();
        let map = documents(case)
            .into_iter()
            .find(|object| object["kind"] == "ConfigMap" && !object["data"]["job.yaml"].is_null())
            .unwrap();
        assert_eq!(map["data"]["job.yaml"], values["jobs"][job]["file"], "{case}");
    }
    let difficult = read(&golden("overrides")).unwrap();
    assert!(
        difficult.contains(r"{{ .Values.x }} $(HOME)") && difficult.contains(r"\r\n"),
        "as it was written"
    );
}

/// What a user says counts before what the chart says, once and in its place.
#[test]
fn what_is_set_counts() {
    let all = documents("overrides");
    let find = |kind: &str, name: &str| {
        let found = all.iter().find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    };
    let worker = find("Deployment", "marquetry-worker-cpu");
    let pod = &worker["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    // A tag of its own is not hidden by the digest of all.
    assert_eq!(container["image"], "registry.example.org/marquetry:0.2.0-rc1");
    let cuda =
        &find("Deployment", "marquetry-worker-gpu")["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(cuda, "marquetry-cuda:0.1.1", "all roles are of one version");
    let variables = container["env"].as_array().unwrap();
    let said = |name: &str| variables.iter().filter(|v| v["name"] == name).collect::<Vec<_>>();
    assert_eq!(said("MARQUETRY_MODELS_MB"), [&json!({"name": "MARQUETRY_MODELS_MB", "value": "8192"})]);
    assert_eq!(said("AWS_ACCESS_KEY_ID").len(), 1);
    assert_eq!(said("AWS_ACCESS_KEY_ID")[0]["valueFrom"]["secretKeyRef"]["name"], "other");
    assert_eq!(pod["metadata"]["labels"]["team"], "2");
    assert_eq!(worker["metadata"]["labels"]["team"], "1");
    assert_eq!(worker["metadata"]["labels"]["app.kubernetes.io/part-of"], "batch");

    let worker = &find("Deployment", "marquetry-worker-all-cores")["spec"];
    assert_eq!(worker["replicas"], 0);
    let pod = &worker["template"]["spec"];
    assert!(pod["tolerations"].is_null() && pod["priorityClassName"] == "1000", "{pod}");
    let names: Vec<_> = pod["containers"][0]["env"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
    assert!(
        !names.iter().any(|name| *name == "MARQUETRY_LANES" || *name == "MARQUETRY_THREADS"),
        "{names:?}"
    );
    assert_eq!(pod["containers"][0]["resources"]["limits"], json!({"cpu": "8", "memory": "12Gi"}));

    let asked = &find("ScaledObject", "marquetry-aggregator")["spec"]["triggers"][0]["metadata"];
    assert_eq!(asked["limitToPartitionsWithLag"], "false");
    // Brokers and the store are reached at the ports that are named.
    let egress = &find("NetworkPolicy", "marquetry")["spec"]["egress"];
    let ports = |rule: usize| egress[rule]["ports"].as_array().unwrap().iter().map(|p| p["port"].clone());
    assert_eq!(ports(1).collect::<Vec<_>>(), [9092, 9094, 9095]);
    assert_eq!(ports(2).collect::<Vec<_>>(), [443, 7070]);
}

/// The scripts of `helm test`, with a stand-in for AWS' command line and, beside it, only what its image has.
#[cfg(unix)]
#[test]
fn the_charts_own_test_deletes_and_compares_its_own_files_alone() {
    let scripts = documents("relabel").into_iter().find(|o| !o["data"]["put.sh"].is_null()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let programs = path("bin");
    fs::create_dir_all(&programs).unwrap();
    let sha256sum = ["/usr/bin/sha256sum", "/bin/sha256sum"].into_iter().find(|p| Path::new(p).exists());
    let Some(sha256sum) = sha256sum else { return };
    std::os::unix::fs::symlink(sha256sum, programs.join("sha256sum")).unwrap();
    let aws = format!("#!/bin/sh\necho \"$@\" >> {}\n", path("asked").display());
    fs::write(programs.join("aws"), aws).unwrap();
    fs::set_permissions(programs.join("aws"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = |script: &str| {
        let text = scripts["data"][script].as_str().unwrap();
        let text = text.replace("/etc/marquetry/test", &path("test").to_string_lossy());
        let text = text.replace("/tmp/found", &path("found").to_string_lossy());
        let mut shell = Command::new("/bin/sh");
        let shell = shell.arg("-c").arg(text).env_clear().env("PATH", &programs);
        shell.env("STORE", "s3://b/p").output().unwrap()
    };
    assert!(run("put.sh").status.success());
    let asked = fs::read_to_string(path("asked")).unwrap();
    let deleted = asked.lines().find(|line| line.starts_with("s3 rm ")).unwrap();
    assert!(deleted.ends_with("--exclude * --include helm-test-* s3://b/p/jobs/"), "{deleted}");

    fs::create_dir_all(path("test")).unwrap();
    fs::write(path("test/mask.png"), "mask").unwrap();
    assert!(!run("compare.sh").status.success(), "there is no mask");
    let place = path("found/helm-test-0a1b2c3d/out/masks");
    fs::create_dir_all(&place).unwrap();
    for (mask, is_right) in [("mask", true), ("other", false)] {
        fs::write(place.join("picture.png"), mask).unwrap();
        let output = run("compare.sh");
        assert_eq!(output.status.success(), is_right, "{}", String::from_utf8_lossy(&output.stderr));
    }
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
