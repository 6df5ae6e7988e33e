//! What each crate must not know, checked over `cargo metadata` and the source.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

/// For each of our packages the names of what it depends on (tests and build scripts apart).
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies").iter();
        all.filter(|d| d["kind"].is_null()).map(|d| text(&d["name"])).collect()
    };
    packages.iter().map(|p| (text(&p["name"]), of(p))).collect()
}

/// What each of our packages may know, besides failures.
const ALLOWED: [(&str, &[&str]); 27] = [
    ("marquetry-failure", &[]),
    ("marquetry-geometry", &[]),
    ("marquetry-ensemble", &["geometry"]),
    ("marquetry-region", &["geometry"]),
    ("marquetry-evaluation", &["geometry"]),
    ("marquetry-label-quality", &["geometry", "evaluation"]),
    ("marquetry-tuning", &["evaluation"]),
    ("marquetry-job", &["geometry", "ensemble", "region"]),
    ("marquetry-spec", &["failure", "geometry", "ensemble", "evaluation", "job"]),
    ("marquetry-page", &[]),
    ("marquetry-raster", &["geometry"]),
    ("marquetry-labels", &["evaluation", "geometry", "raster"]),
    ("marquetry-nights", &["geometry", "job", "page", "raster"]),
    ("marquetry-onnx", &[]),
    ("marquetry-openvino", &[]),
    ("marquetry-model", &["geometry", "job", "onnx", "openvino"]),
    ("marquetry-telemetry", &[]),
    ("marquetry-transport", &["telemetry"]),
    ("marquetry-imagery", &["geometry", "raster", "region", "transport"]),
    ("marquetry-scores", &["geometry", "ensemble", "job", "region", "transport"]),
    (
        "marquetry-worker",
        &[
            "geometry",
            "ensemble",
            "job",
            "raster",
            "region",
            "model",
            "scores",
            "transport",
            "imagery",
            "telemetry",
        ],
    ),
    (
        "marquetry-coordinator",
        &[
            "geometry",
            "ensemble",
            "job",
            "spec",
            "raster",
            "region",
            "model",
            "page",
            "transport",
            "imagery",
            "telemetry",
            "aggregator",
            "evaluation",
            "evaluator",
            "labels",
            "label-quality",
            "nights",
            "tuning",
        ],
    ),
    (
        "marquetry-aggregator",
        &[
            "geometry",
            "ensemble",
            "evaluation",
            "label-quality",
            "tuning",
            "job",
            "spec",
            "raster",
            "region",
            "scores",
            "transport",
            "imagery",
            "telemetry",
        ],
    ),
    ("marquetry-evaluator", &["geometry", "evaluation", "labels", "page", "raster"]),
    (
        "marquetry-cli",
        &[
            "evaluator",
            "labels",
            "ensemble",
            "geometry",
            "job",
            "nights",
            "spec",
            "raster",
            "model",
            "onnx",
            "transport",
            "telemetry",
            "worker",
            "coordinator",
            "aggregator",
            "tuning",
        ],
    ),
    ("marquetry-tests", &[]),
    ("marquetry-cluster-tests", &[]),
];

#[test]
fn crates_know_only_what_they_may() {
    let known = dependencies();
    for (package, allowed) in ALLOWED {
        let ours =
            known[package].iter().filter_map(|d| d.strip_prefix("marquetry-")).filter(|d| *d != "failure");
        let strange: Vec<_> = ours.filter(|d| !allowed.contains(d)).collect();
        assert!(strange.is_empty(), "{package} must not know {strange:?}");
    }
    for package in [
        "marquetry-failure",
        "marquetry-geometry",
        "marquetry-ensemble",
        "marquetry-evaluation",
        "marquetry-label-quality",
        "marquetry-tuning",
        "marquetry-region",
        "marquetry-job",
        "marquetry-spec",
        "marquetry-onnx",
    ] {
        for effect in ["tokio", "tempfile", "rand", "ort", "image", "tiff", "reqwest", "tracing"] {
            assert!(!known[package].contains(effect), "{package} is pure and must not know {effect}");
        }
    }
    for (library, home) in [
        ("ort", "marquetry-model"),
        ("marquetry-openvino", "marquetry-model"),
        ("libloading", "marquetry-openvino"),
        ("prometheus", "marquetry-telemetry"),
        ("axum", "marquetry-telemetry"),
        ("nvml-wrapper", "marquetry-telemetry"),
        ("tracing-subscriber", "marquetry-telemetry"),
        ("clap", "marquetry-cli"),
    ] {
        let users: Vec<_> =
            known.iter().filter(|(_, d)| d.contains(library)).map(|(p, _)| p.as_str()).collect();
        assert!(
            users.iter().all(|u| [home, "marquetry-devtools", "xtask"].contains(u)),
            "{library} belongs in {home}, not in {users:?}"
        );
    }
}

/// The other TIFF library is what tests compare with: files are read by one parser, so that no file is readable in one
/// place and damaged in another.
#[test]
fn tiff_is_read_by_one_parser() {
    let known = dependencies();
    // What is fuzzed is our parser; the other one writes the files to begin with.
    let users = known.iter().filter(|(p, d)| d.contains("tiff") && *p != "marquetry-fuzz");
    let users: Vec<_> = users.map(|(p, _)| p).collect();
    assert!(users.is_empty(), "tiff is for tests alone, not for {users:?}");
}

/// What is built for a first look has nothing in it that only a cluster needs.
#[test]
fn a_build_without_services_has_no_clients_of_them() {
    let packages = |options: &[&str]| -> BTreeSet<String> {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--prefix", "none", "--edges", "normal,build"])
            .args(["--package", "marquetry-cli"])
            .args(options)
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("cargo tree is UTF-8");
        text.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect()
    };
    let clients = |packages: &BTreeSet<String>| -> Vec<String> {
        let heavy =
            ["rdkafka", "rdkafka-sys", "openssl-sys", "openssl-src", "rustls", "ring", "nvml-wrapper"];
        let client = |name: &&String| name.starts_with("aws-") || heavy.contains(&name.as_str());
        packages.iter().filter(client).cloned().collect()
    };
    let with_tools = ["--package", "marquetry-devtools", "--no-default-features"];
    assert_eq!(clients(&packages(&with_tools)), Vec::<String>::new());
    let all = clients(&packages(&[]));
    for client in ["rdkafka", "openssl-sys", "aws-sdk-s3", "nvml-wrapper"] {
        assert!(all.iter().any(|name| name == client), "{client} is in what is released, not only {all:?}");
    }
    // Where the system has none, `vendored-openssl` builds it.
    assert!(!all.iter().any(|name| name == "openssl-src"), "{all:?}");
    assert_eq!(clients(&packages(&["--no-default-features", "--features", "gpu-metrics"])), ["nvml-wrapper"]);
}

/// `cargo xtask` is compiled before it can begin, in silence.
#[test]
fn xtask_itself_is_light() {
    let heavy: Vec<_> =
        dependencies()["xtask"].iter().filter(|name| name.starts_with("marquetry-")).cloned().collect();
    assert!(heavy.is_empty(), "{heavy:?} belong in xtask/devtools");
}

/// Client libraries of services are named in one place each.
#[test]
fn services_are_spoken_to_in_one_place() {
    let home = Path::new("crates/transport/src/s3");
    for folder in ["crates", "worker", "coordinator", "aggregator", "evaluator", "cli", "xtask"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            let names = ["aws_sdk", "aws_config", "aws_smithy", "aws_types"].iter().any(|n| text.contains(n));
            let inside = file.strip_prefix(root()).is_ok_and(|path| path.starts_with(home));
            assert!(inside || !names, "{} must not know how S3 is spoken to", file.display());
        }
    }
}

/// Pure crates do not touch the world through the standard library either.
#[test]
fn pure_crates_touch_nothing() {
    for krate in
        ["failure", "geometry", "ensemble", "evaluation", "label-quality", "tuning", "job", "spec", "onnx"]
    {
        for file in sources(&root().join("crates").join(krate).join("src")) {
            let text = std::fs::read_to_string(&file).expect("a source file");
            for effect in ["std::fs", "std::env", "std::time", "std::net", "std::process", "std::thread"] {
                assert!(!text.contains(effect), "{} is pure and must not use {effect}", file.display());
            }
        }
    }
}

/// No room gets too large: 500 lines at most, tests apart.
#[test]
fn files_stay_small() {
    let mut large = Vec::new();
    for folder in ["crates", "worker", "coordinator", "aggregator", "evaluator", "cli", "xtask", "tests"] {
        for file in sources(&root().join(folder)) {
            let lines = std::fs::read_to_string(&file).expect("a source file").lines().count();
            if lines > 500 {
                large.push(format!("{} ({lines})", file.display()));
            }
        }
    }
    assert!(large.is_empty(), "split these: {large:?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}
