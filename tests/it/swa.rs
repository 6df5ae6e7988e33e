//! `marquetry swa`: the mean of checkpoints, by the real binary.

use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_onnx::FloatType;
use marquetry_onnx::toy::{Net, Style};
use serde_json::json;

/// The mean of networks, number by number, in the plainest way.
fn mean(nets: &[Net], weights: &[f64]) -> Net {
    let all: Vec<Vec<f32>> = nets.iter().map(Net::numbers).collect();
    let total: f64 = weights.iter().sum();
    let number = |n: usize| {
        let sum: f64 = all.iter().zip(weights).map(|(net, w)| w * f64::from(net[n])).sum();
        (sum / total) as f32
    };
    let numbers: Vec<f32> = (0..all[0].len()).map(number).collect();
    nets[0].with_numbers(&numbers)
}

fn epochs(place: &Place, count: u64) -> Vec<Net> {
    let nets: Vec<Net> = (1..=count).map(|seed| Net::seeded(seed, 2)).collect();
    for (epoch, net) in nets.iter().enumerate() {
        place.write(&format!("net_epoch{epoch}.onnx"), net.bytes());
    }
    nets
}

#[test]
fn the_mean_of_checkpoints_is_a_file_that_runs() {
    let place = Place::new();
    let nets = epochs(&place, 3);
    let files = ["net_epoch0.onnx", "net_epoch1.onnx", "net_epoch2.onnx"];
    let said = place.marquetry(&["swa", files[0], files[1], files[2], "-o", "mean.onnx"]).ends_with(0);
    assert!(said.stdout.contains("the mean of 3 files, 12 tensors with"), "{}", said.stdout);
    assert!(said.stdout.contains("BatchNorm  full (2)"), "{}", said.stdout);
    // The file is the first one's with other numbers, and the note after it.
    let found = std::fs::read(place.path("mean.onnx")).expect("the file");
    let expected = mean(&nets, &[1.0; 3]);
    assert!(found.starts_with(&expected.bytes()), "number by number");

    let weighted =
        ["swa", files[0], files[1], files[2], "-o", "w.onnx", "--weights", "1,0,3", "--format", "json"];
    let document = place.marquetry(&weighted).ends_with(0).json();
    let found = std::fs::read(place.path("w.onnx")).expect("the file");
    assert!(found.starts_with(&mean(&nets, &[1.0, 0.0, 3.0]).bytes()));
    assert_eq!(document["members"][2]["file"], "net_epoch2.onnx");
    assert_eq!(document["members"][2]["weight"], 3.0);
    assert_eq!(document["batch_norm"], json!({"state": "full", "there": 2, "all": 2}));
    assert_eq!(document["numbers"], nets[0].numbers().len());
    // What it is the mean of stands in the file.
    let facts = place.marquetry(&["inspect", "w.onnx", "--format", "json"]).ends_with(0).json();
    let note = facts["metadata"]["marquetry.swa"].as_str().expect("the note");
    let note: serde_json::Value = serde_json::from_str(note).expect("JSON");
    assert_eq!((&note["members"], &note["bn"]), (&document["members"], &json!("keep")));

    // A job gives the same masks with it as with the mean made here.
    place.write("images/one.bmp", bmp(70, 90, 1));
    place.write("expected.onnx", expected.bytes());
    for model in ["mean", "expected"] {
        let job = format!(
            "version: 1\nimages: images\nclasses: [a, b]\nmembers: [{{onnx: {model}.onnx}}]\n\
             defaults: {{window: {{size: 64}}, input: {{scale: 255, mean: 0, std: 1}}}}\noutputs: [{{masks: png}}]\nstore: store-{model}\n"
        );
        place.write("job.yaml", job);
        let ran = place.run("job.yaml");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_eq!(place.outputs("store-mean"), place.outputs("store-expected"));
}

#[test]
fn files_that_are_no_checkpoints_of_one_training_are_refused() {
    let place = Place::new();
    epochs(&place, 2);
    let net = Net::seeded(9, 2);
    place.write("net_fold1.onnx", net.bytes()).write("net_fold2.onnx", Net::seeded(8, 2).bytes());
    place.write("other.onnx", Net::seeded(8, 3).bytes());
    place.write("halves.onnx", net.written(Style { element: FloatType::F16, ..Style::default() }).bytes());
    place.write("folded.onnx", net.written(Style { folded: 2, ..Style::default() }).bytes());
    let swa = |files: &[&str]| place.marquetry(&[&["swa", "-o", "mean.onnx"], files].concat());
    swa(&["net_fold1.onnx", "net_fold2.onnx"]).ends_with(65).says(&[
        "`fold` is 1, 2",
        "--force",
        "members of a job",
    ]);
    assert!(!place.path("mean.onnx").exists());
    swa(&["net_fold1.onnx", "net_fold2.onnx", "--force"]).ends_with(0).says(&["warning", "`fold` is 1, 2"]);
    std::fs::remove_file(place.path("mean.onnx")).expect("it was written");

    swa(&["net_epoch0.onnx", "other.onnx"]).ends_with(65).says(&["not one architecture", "[2, 4, 1, 1]"]);
    swa(&["net_epoch0.onnx", "halves.onnx"]).ends_with(65).says(&["not one architecture", "`image`"]);
    swa(&["net_epoch0.onnx", "folded.onnx"]).ends_with(65).says(&["2 and 0 BatchNormalization"]);
    swa(&["net_epoch0.onnx", "none.onnx"]).ends_with(65).says(&["none.onnx"]);
    swa(&["net_epoch0.onnx"]).ends_with(64).says(&["two models at least"]);
    swa(&["net_epoch0.onnx", "net_epoch1.onnx", "--weights", "1"])
        .ends_with(64)
        .says(&["1 weight", "2 models"]);
    swa(&["net_epoch0.onnx", "net_epoch1.onnx", "--weights", "1,nan"])
        .ends_with(64)
        .says(&["NaN is no weight"]);
    swa(&["net_epoch0.onnx", "net_epoch1.onnx", "--weights", "0,0"]).ends_with(64).says(&["all are 0"]);
    let before = std::fs::read(place.path("net_epoch1.onnx")).expect("a file");
    let onto = ["swa", "net_epoch0.onnx", "net_epoch1.onnx", "-o", "./net_epoch1.onnx"];
    place.marquetry(&onto).ends_with(64).says(&["which is read"]);
    assert_eq!(std::fs::read(place.path("net_epoch1.onnx")).expect("a file"), before);
    let left: Vec<_> = std::fs::read_dir(place.path("")).expect("the folder").collect();
    assert_eq!(left.len(), 7, "nothing half written is left: {left:?}");
    swa(&["folded.onnx", "folded.onnx"]).ends_with(0).says(&[
        "optimize=False",
        "TrainingMode.PRESERVE",
        "counts twice",
    ]);
}
