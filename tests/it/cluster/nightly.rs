//! What the Helm chart asks of a cluster: its own test, and a job that runs again over images that have become more.

use crate::cluster::setup::{Cluster, Kept, tally};
use crate::cluster::view;
use crate::fixture::same_files;
use crate::pictures::bmp;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A file of the chart's `helm test`.
fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/marquetry/files/test").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn put(cluster: &Cluster, key: &str, bytes: Vec<u8>) {
    view::wait(cluster.store().put(key, bytes.into())).expect("stored");
}

fn images(summary: &Value) -> u64 {
    summary["tally"]["progress"]["images"].as_u64().unwrap_or_default()
}

#[test]
fn the_charts_own_test_passes_on_a_cluster() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    put(&cluster, "in/pictures/picture.bmp", file("picture.bmp"));
    put(&cluster, "in/model.onnx", file("model.onnx"));
    let job = String::from_utf8(file("job.yaml")).expect("UTF-8").replace("STORE", &cluster.uri);
    cluster.place.write("test.yaml", job);
    let store = cluster.uri.clone();
    let _roles = [cluster.worker_with(&["--store", &store]), cluster.role("aggregate", &["--store", &store])];
    cluster.coordinate("test.yaml").ends_with(0);
    let [job] = &cluster.jobs()[..] else { panic!("one job was run") };
    let found = view::objects(&*cluster.store(), &format!("jobs/{job}/out/masks/"));
    assert!(found["picture.png"] == file("mask.png"), "the mask is what `helm test` expects");
}

/// The same `coordinate`, every night: images that are there already are found, and those that are new or were replaced are
/// computed. Tables are of all of them, and all bytes are those of one run over what is there now.
#[test]
fn a_job_that_runs_again_does_what_is_new_or_changed() {
    let Some(mut cluster) = Cluster::start(Kept::InBucket) else { return };
    let uri = cluster.uri.clone();
    let job = |store: &str| {
        format!(
            "version: 1\nimages: {{from: '{uri}/pictures/*.bmp'}}\nclasses: [ground, a, b, c, d, e, f, g, h, i, j, k]\n\
             defaults: {{window: {{size: 64}}}}\nmembers: [{{onnx: one.onnx}}]\n\
             outputs: [{{masks: png}}, {{submission: kaggle-rle}}, {{report: html}}]\nnights: {{keep: 3}}\nstore: {store}\n"
        )
    };
    cluster.place.write("nightly.yaml", job(&uri));
    let _roles = [cluster.worker(), cluster.worker(), cluster.aggregator()];
    for seed in 0..4 {
        put(&cluster, &format!("pictures/{seed}.bmp"), bmp(90, 130, seed));
    }
    let first = cluster.coordinate("nightly.yaml").ends_with(0).json();
    assert_eq!((tally(&first, "images_found"), images(&first)), (0, 4), "{first}");

    // One is replaced, by a picture of the same length, and two come that sort before and behind the others.
    for (name, seed) in [("2", 12), ("00", 10), ("x", 11)] {
        put(&cluster, &format!("pictures/{name}.bmp"), bmp(90, 130, seed));
    }
    let second = cluster.coordinate("nightly.yaml").ends_with(0).json();
    assert_eq!((tally(&second, "images_found"), images(&second)), (3, 6), "{second}");
    let each = tally(&first, "tasks_computed") / 4;
    assert_eq!(tally(&second, "tasks_computed"), 3 * each, "{second}");

    let alone = format!("{uri}-alone");
    cluster.place.write("alone.yaml", job(&alone));
    let ran = cluster
        .place
        .command(&["run", "alone.yaml"])
        .env("AWS_ENDPOINT_URL", &cluster.s3)
        .output()
        .expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let mut all = cluster.outputs();
    let nights = view::objects(&*cluster.store(), "nights/job/");
    let counts =
        nights.values().map(|night| serde_json::from_slice::<Value>(night).expect("JSON")["counts"].clone());
    let wanted = [serde_json::json!({"new": 4}), serde_json::json!({"new": 2, "changed": 1, "same": 3})];
    assert_eq!(counts.collect::<Vec<_>>(), wanted);
    cluster.move_to("alone");
    let alone = cluster.outputs();
    // The labels of what was replaced are kept for as long as its night.
    let kept = all.len();
    all.retain(|name, _| alone.contains_key(name) || !name.starts_with("nights/"));
    assert_eq!(all.len(), kept - 1);
    same_files(&alone, &all);
}
