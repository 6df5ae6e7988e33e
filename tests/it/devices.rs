//! Where members run: what a job and `--device` say, on a machine whose ONNX Runtime has no kernels for GPUs.

use crate::fixture::{Place, same_files};
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};

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
    typo.says(&["auto, cpu, cuda or cuda:N"]);
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
}
