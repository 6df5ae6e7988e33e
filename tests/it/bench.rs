//! `marquetry bench`: what it measures hangs together, and a job's own results stay as they are.

use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};

const JOB: &str = "
version: 1
images: images
classes: [ground, road, roof]
defaults: {window: {size: 64}}
members: [{onnx: 'small{0,1}.onnx'}, {onnx: large.onnx}]
tta: {views: [hflip]}
outputs: [{masks: png}, {submission: kaggle-rle}, {report: html}]
";

fn place() -> Place {
    let place = Place::new();
    for seed in 0..4 {
        place.write(&format!("images/{seed}.bmp"), bmp(90, 130, seed));
    }
    place.write("job.yaml", JOB);
    for (name, kernel, seed) in [("small0", 3, 1), ("small1", 3, 2), ("large", 9, 3)] {
        let weights = Weights::Seeded(seed);
        place.model(&format!("{name}.onnx"), &Toy { classes: 3, kernel, weights, ..Toy::default() });
    }
    place
}

#[test]
fn models_of_one_architecture_are_measured_once_and_the_job_is_forecast() {
    let place = place();
    let before = place.run("job.yaml").ends_with(0).json();
    let results = place.outputs("out");
    let args = ["bench", "job.yaml", "--seconds", "2", "--price", "3.6", "--format", "json"];
    let bench = place.marquetry(&args).ends_with(0).json();
    assert_eq!(place.outputs("out"), results, "the job's own results stay as they are");

    let models = bench["models"].as_array().expect("models");
    let told: Vec<_> = models.iter().map(|m| (m["first"].as_str(), m["members"].as_u64())).collect();
    assert_eq!(told, [(Some("small0"), Some(2)), (Some("large"), Some(1))]);
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or_else(|| panic!("{value} in {bench}"));
    let forwards = models.iter().map(|m| number(&m["forwards"])).sum::<f64>();
    assert_eq!(forwards, number(&bench["job"]["forwards"]));
    assert_eq!(forwards, number(&before["tally"]["forwards"]));
    assert_eq!(number(&models[0]["forwards"]), 2.0 * number(&models[1]["forwards"]));
    assert!(
        models
            .iter()
            .flat_map(|m| m["rates"].as_array().unwrap())
            .all(|r| number(&r["windows_per_second"]) > 0.0)
    );

    let sample = &bench["sample"];
    assert_eq!(sample["broken_off"], false);
    let share = number(&sample["images"]) / number(&bench["job"]["images"]);
    assert_eq!(number(&sample["forwards"]), forwards * share, "all images are of one size");
    let seconds = number(&bench["fixed_seconds"]) + forwards / number(&bench["forwards_per_second"]);
    assert!((number(&bench["job"]["seconds"]) - seconds).abs() < 1e-6 * seconds);
    assert!((number(&bench["price"]) - seconds * 1e-3).abs() < 1e-9, "3.6 an hour is a thousandth a second");

    let text = place.marquetry(&["bench", "job.yaml", "--seconds", "1", "--lanes", "1", "--threads", "1"]);
    text.ends_with(0).prints(&[
        "small0 and 1 like it",
        "cpu, 1 session of 1 thread",
        "--lanes 1 --threads 1",
    ]);
}

#[test]
fn an_image_that_takes_too_long_is_broken_off() {
    let place = place();
    place.write("images/0.bmp", bmp(300, 320, 7)).write(
        "slow.yaml",
        JOB.replace("window: {size: 64}", "window: {size: 64, overlap: 0.95}")
            .replace("'small{0,1}.onnx'", "slow.onnx")
            .replace(", {onnx: large.onnx}", "")
            .replace("images: images", "images: images/0.bmp"),
    );
    place.model("slow.onnx", &Toy { classes: 3, kernel: 41, weights: Weights::Seeded(4), ..Toy::default() });
    let bench =
        place.marquetry(&["bench", "slow.yaml", "--seconds", "1", "--format", "json"]).ends_with(0).json();
    assert_eq!(bench["sample"]["broken_off"], true, "{bench}");
    let (all, some) =
        (bench["job"]["forwards"].as_f64().unwrap(), bench["sample"]["forwards"].as_f64().unwrap());
    assert!(some < all && bench["job"]["seconds"].as_f64().unwrap() > 4.0, "{bench}");
    place.marquetry(&["bench", "slow.yaml", "--price", "-1"]).ends_with(64);
}
