//! Where members run: what a job and `--device` say, on a machine whose ONNX Runtime has no kernels for GPUs, with OpenVINO and without.

use crate::fixture::{Place, Ran, same_files};
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::json;
use std::collections::BTreeMap;

const JOB: &str = "
version: 1
images: images
classes: [ground, road, roof]
defaults: {window: {size: 64}}
members: [{onnx: one.onnx}]
tta: {views: [hflip]}
outputs: [{masks: png}]
";

fn place() -> Place {
    let place = Place::new();
    place.write("images/a.bmp", bmp(90, 130, 1)).write("job.yaml", JOB);
    place.write("cpu.yaml", format!("{JOB}device: cpu\nstore: cpu\n"));
    place.write("cuda.yaml", format!("{JOB}device: cuda\nstore: cuda\n"));
    place.model("one.onnx", &Toy { classes: 3, weights: Weights::Seeded(1), ..Toy::default() });
    place
}

#[test]
fn a_job_that_names_the_processor_has_the_same_masks_and_tiles_of_its_own() {
    let place = place();
    let unsaid = place.run("job.yaml").ends_with(0).json();
    let said = place.run("cpu.yaml").ends_with(0).json();
    assert_ne!(unsaid["job"], said["job"]);
    same_files(&place.outputs("out"), &place.outputs("cpu"));
    // The option is the key.
    let same =
        place.marquetry(&["run", "job.yaml", "--device", "cpu", "--format", "json"]).ends_with(0).json();
    assert_eq!(same["job"], said["job"]);
    place.marquetry(&["plan", "cpu.yaml"]).ends_with(0).prints(&["device cpu in f32 (said)"]);
}

#[test]
fn a_gpu_that_is_not_there_is_told_before_work_begins() {
    let place = place();
    for args in [&["run", "cuda.yaml"][..], &["run", "job.yaml", "--device", "cuda:1"]] {
        let ran = place.marquetry(args).ends_with(78);
        ran.says(&["has no kernels for GPUs", "pip install onnxruntime-gpu"]);
    }
    assert!(!place.path("cuda").exists() && !place.path("out").exists(), "nothing was begun");
    let typo = place.marquetry(&["run", "job.yaml", "--device", "gpu"]).ends_with(64);
    typo.says(&["auto, cpu, openvino, cuda or cuda:N"]);
    // A coordinator plans for machines that it is not.
    let plan = place.marquetry(&["plan", "cuda.yaml"]).ends_with(0);
    plan.says(&["planned as for a cluster"])
        .prints(&["device cuda in f32; 16 windows at once, which is not measured (said)"]);
    place.marquetry(&["plan", "cuda.yaml", "--device", "cuda"]).ends_with(78);
    let three = JOB.replace("{onnx: one.onnx}", "{onnx: one.onnx, batch: 3}");
    place.write("three.yaml", format!("{three}device: cuda\n"));
    place.marquetry(&["plan", "three.yaml"]).ends_with(0).prints(&["device cuda in f32 (said)"]);
}

#[test]
fn providers_are_listed_and_tried() {
    let place = place();
    let listed = place.marquetry(&["providers"]).ends_with(0);
    listed.prints(&["ONNX Runtime 1.", "cpu       works", "cuda:0"]);
    let found = place.marquetry(&["providers", "--format", "json"]).ends_with(0).json();
    assert_eq!(found["providers"][0]["device"], "cpu");
    assert_eq!(found["providers"][0]["works"], true);
    assert_eq!(found["providers"][1]["device"], "openvino");
    assert_eq!((&found["providers"][1]["works"], &found["openvino"]), (&json!(false), &json!(null)));
    let there = with_openvino(&place, &["providers", "--format", "json"]).ends_with(0).json();
    assert_eq!(there["providers"][1]["works"], true);
    assert_eq!(there["openvino"]["path"].as_str(), Some(openvino().as_str()));
}

/// OpenVINO's library.
pub(crate) fn openvino() -> String {
    std::env::var("OPENVINO_DYLIB_PATH")
        .expect("OPENVINO_DYLIB_PATH names OpenVINO's library (cargo xtask test sets it)")
}

/// Runs the binary where OpenVINO is there.
pub(crate) fn with_openvino(place: &Place, args: &[&str]) -> Ran {
    Ran::of(&place.command(args).env("OPENVINO_DYLIB_PATH", openvino()).output().expect("the binary runs"))
}

#[test]
fn openvino_gives_the_processor_s_masks_whatever_the_lanes_and_has_tiles_of_its_own() {
    let place = place();
    let write = |name: &str| {
        let outputs = "outputs: [{masks: png}, {probabilities: zarr}]";
        let job = JOB.replace("outputs: [{masks: png}]", outputs);
        place.write(&format!("{name}.yaml"), format!("{job}store: {name}\ntiles: {{dtype: f32}}\n"));
        format!("{name}.yaml")
    };
    place.model("one.onnx", &Toy { classes: 3, kernel: 3, weights: Weights::Seeded(1), ..Toy::default() });
    let by_runtime = place.run(&write("runtime")).ends_with(0).json();
    let masks = |store: &str| {
        let of = place.outputs(store).into_iter();
        of.filter(|(name, _)| name.starts_with("masks")).collect::<BTreeMap<_, _>>()
    };
    for (name, lanes, threads) in [("first", "1", "1"), ("lanes", "3", "1"), ("threads", "1", "2")] {
        let (job, options) = (write(name), ["--device", "openvino", "--lanes", lanes, "--threads", threads]);
        let args = [&["run", &job, "--format", "json"][..], &options].concat();
        let by_openvino = with_openvino(&place, &args).ends_with(0).json();
        assert_ne!(by_runtime["job"], by_openvino["job"]);
        same_files(&place.outputs("first"), &place.outputs(name));
    }
    same_files(&masks("runtime"), &masks("first"));
    assert_ne!(
        place.outputs("runtime"),
        place.outputs("first"),
        "last bits are of the library that computed"
    );
    let plan = with_openvino(&place, &["plan", "first.yaml", "--device", "openvino"]).ends_with(0);
    plan.prints(&["device openvino in f32 (said)"]);
}

#[test]
fn the_quicker_of_two_libraries_computes_and_is_told() {
    let place = place();
    // A few windows are computed sooner than anything is measured.
    let small = with_openvino(&place, &["run", "job.yaml"]).ends_with(0);
    assert!(!small.stderr.contains("note: device"), "{}", small.stderr);
    place.write("fast.yaml", format!("{JOB}precision: fast\nstore: fast\n"));
    let ran = with_openvino(&place, &["run", "fast.yaml"]).ends_with(0);
    let ran = ran.says(&[
        "note: device: one: ",
        "on the processor, ",
        "on the processor by OpenVINO)",
        "note: precision: ",
    ]);
    // It is remembered: another time would measure other rates.
    let lines = |ran: &Ran| -> Vec<String> {
        ran.stderr.lines().filter(|line| line.starts_with("note: ")).map(str::to_owned).collect()
    };
    place.marquetry(&["run", "fast.yaml", "--device", "cpu"]).ends_with(0);
    let again = with_openvino(&place, &["run", "fast.yaml", "--lanes", "1"]).ends_with(0);
    assert_eq!(lines(&again), lines(&ran), "nor do lanes or other options change it");
    place.run("fast.yaml").ends_with(0).says(&["members run on the processor, which has no other here"]);
}

#[test]
fn an_openvino_that_cannot_be_used_is_told_before_work_begins() {
    let place = place();
    for command in ["run", "bench"] {
        let args = [command, "job.yaml", "--device", "openvino"];
        let ran = place.marquetry(&args).ends_with(78);
        ran.says(&["openvino cannot be used", "not to be used", "pip install openvino=="]);
    }
    assert!(!place.path("out").exists() && !place.path("store").exists(), "nothing was begun");
    place.write("openvino.yaml", format!("{JOB}device: openvino\n"));
    place.marquetry(&["plan", "openvino.yaml"]).ends_with(0).says(&["planned as for a cluster"]);
    place.write("broken.so", "no library");
    for named in ["/nowhere/libopenvino_c.so", "broken.so"] {
        let with = |args: &[&str]| {
            Ran::of(&place.command(args).env("OPENVINO_DYLIB_PATH", named).output().expect("the binary runs"))
        };
        with(&["run", "job.yaml", "--device", "openvino"]).ends_with(78).says(&[named]);
        // What was named is missed, though the job can do without it.
        with(&["run", "job.yaml"]).ends_with(0).says(&["members are not computed by OpenVINO", named]);
    }
}

/// What a process of its own is asked before OpenVINO is given a model here.
#[test]
fn a_model_is_tried_by_a_process_of_its_own() {
    let place = place();
    let tried = |model: &str, numbers: &[&str]| {
        let library = openvino();
        let args = [&["try-openvino", &library][..], numbers].concat();
        let input = std::fs::File::open(place.path(model)).unwrap();
        Ran::of(&place.command(&args).stdin(input).output().expect("the binary runs"))
    };
    let sound = tried("one.onnx", &["1", "f32", "1", "3", "64", "64"]).ends_with(0);
    let bytes = sound.stdout.trim().strip_prefix("tried").map(str::trim);
    assert!(bytes.is_some_and(|bytes| bytes.is_empty() || bytes.parse::<u64>().is_ok()), "{}", sound.stdout);
    // What the library has against it, it says to whoever asks it in earnest.
    for (model, channels) in [("one.onnx", "5"), ("job.yaml", "3")] {
        let refused = tried(model, &["1", "f32", "1", channels, "64", "64"]).ends_with(0);
        assert_eq!(refused.stdout.trim(), "tried");
    }
    tried("one.onnx", &["1", "f33", "1", "3", "64", "64"]).ends_with(64);
    let help = place.marquetry(&["--help"]).ends_with(0);
    assert!(!help.stdout.contains("try-openvino"), "nobody types it");
}
