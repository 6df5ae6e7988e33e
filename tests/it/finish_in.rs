//! `--finish-in`, through the real binary: as many rounds as fit, and the bytes of the plain job of these.

use crate::fixture::{Place, Ran, below, same_files};
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;
use std::collections::BTreeMap;

const HEAD: &str = "
version: 1
name: timed
images: images
classes: [ground, a, b, c]
defaults: {window: {size: 64}}
limits: {block_mb: 1}
outputs: [{masks: png}, {submission: kaggle-rle}, {report: html}]
";
const ONE: &str = "  - {onnx: one.onnx}\n";
const TWO: &str = "  - {onnx: two.onnx, weight: 0.5, window: {size: 48, overlap: 0.25}}\n";
const THREE: &str = "  - {onnx: three.onnx, weight: 2}\n";
/// A window at every pixel, of a model with a large kernel: minutes of work for one lane of any machine.
const SLOW: &str = "  - {onnx: slow.onnx, window: {size: 64, stride: 1}}\n";
const NONE: &str = "  - {onnx: one.onnx, name: none, weight: 0}\n";

fn place() -> Place {
    let place = Place::new();
    place.write("images/large.bmp", bmp(600, 520, 7));
    for seed in 0..2 {
        place.write(&format!("images/{seed}.bmp"), bmp(90, 110, seed));
    }
    for (name, seed) in [("one", 1), ("two", 2), ("three", 3)] {
        let toy = Toy { classes: 4, kernel: 3, weights: Weights::Seeded(seed), ..Toy::default() };
        place.model(&format!("{name}.onnx"), &toy);
    }
    let slow = Toy { classes: 4, kernel: 41, weights: Weights::Seeded(4), ..Toy::default() };
    place.model("slow.onnx", &slow);
    place
}

fn job(place: &Place, file: &str, members: &[&str], more: &str) {
    place.write(file, format!("{HEAD}{more}members:\n{}", members.concat()));
}

/// The job of `members` run by itself, in another store: its outputs.
fn plain(place: &Place, members: &[&str], more: &str) -> BTreeMap<String, Vec<u8>> {
    let more = format!("{more}store: plain\ntiles: {{per: member}}\n");
    job(place, "plain.yaml", members, &more);
    place.run("plain.yaml").ends_with(0);
    place.outputs("plain")
}

fn finish_in(place: &Place, time: &str) -> Ran {
    let one_lane = ["--lanes", "1", "--threads", "1"];
    place.marquetry(&[&["run", "job.yaml", "--finish-in", time, "--format", "json"][..], &one_lane].concat())
}

/// The outputs of the one job in the store, which is the one that is told.
fn outputs(place: &Place, summary: &Value) -> BTreeMap<String, Vec<u8>> {
    let folder = summary["outputs"].as_str().expect("a folder");
    let own = place.job_folder("store");
    assert!(folder.contains(&own), "{folder} {own}");
    place.outputs("store")
}

fn tiles(place: &Place) -> usize {
    let folder = place.path("store/tiles");
    if folder.exists() { below(&folder).len() } else { 0 }
}

fn report(place: &Place) -> String {
    let page = place.path(&format!("{}/out/report.html", place.job_folder("store")));
    String::from_utf8(std::fs::read(page).expect("a report")).expect("UTF-8")
}

#[test]
fn with_enough_time_it_is_the_job_with_all_members() {
    let place = place();
    job(&place, "job.yaml", &[ONE, NONE, TWO, THREE], "store: store\n");
    let ran = finish_in(&place, "1h").ends_with(0).says(&["3 rounds: one, two, three", "all of 3 rounds in"]);
    let summary = ran.json();
    let told = &summary["finish_in"];
    assert_eq!((&told["rounds"], &told["rounds_of"]), (&3.into(), &3.into()), "{told}");
    assert_eq!((&told["left_out"], &told["seconds"]), (&Value::Array(Vec::new()), &3600.0.into()), "{told}");
    same_files(&plain(&place, &[ONE, TWO, THREE], ""), &outputs(&place, &summary));
    assert_eq!(tiles(&place), 0, "they are not asked for");
    assert!(!report(&place).contains("Left out"));

    // The same command finds all of it, though no tile is left.
    let again = finish_in(&place, "1h").ends_with(0).json();
    let tally = &again["tally"];
    assert_eq!((&tally["forwards"], &tally["images_found"]), (&0.into(), &3.into()), "{again}");
    assert_eq!(
        (&again["outputs"], &again["finish_in"]["rounds"]),
        (&summary["outputs"], &3.into()),
        "{again}"
    );
}

#[test]
fn what_does_not_fit_is_left_out_and_told() {
    let place = place();
    job(&place, "job.yaml", &[ONE, TWO, SLOW, THREE], "store: store\ntiles: {keep: true}\n");
    let ran = finish_in(&place, "2m").ends_with(0).says(&["2 of 4 rounds", "left out: slow, three"]);
    let summary = ran.json();
    assert_eq!(summary["finish_in"]["left_out"], serde_json::json!(["slow", "three"]), "{summary}");
    same_files(&plain(&place, &[ONE, TWO], ""), &outputs(&place, &summary));
    let report = report(&place);
    assert!(report.contains("Left out") && report.contains("2 of 4 rounds"), "its report says so");

    // With tiles that are kept, the same command with other members goes on where it was.
    assert!(tiles(&place) > 0);
    let forwards = summary["tally"]["forwards"].as_u64().expect("a number");
    job(&place, "job.yaml", &[ONE, TWO, THREE], "store: store\ntiles: {keep: true}\n");
    let more = finish_in(&place, "1h").ends_with(0).json();
    assert_eq!(more["finish_in"]["rounds"], 3, "{more}");
    assert!(forwards > 0 && more["tally"]["forwards_found"].as_u64() > Some(0), "{more}");
}

/// A model that is slower than its bytes say: its round is begun, and broken off.
#[test]
fn a_round_that_is_broken_off_leaves_the_one_before() {
    let place = place();
    let quick = Toy { classes: 4, kernel: 401, stride: 32, weights: Weights::Seeded(5), ..Toy::default() };
    place.model("quick.onnx", &quick);
    let quick = "  - {onnx: quick.onnx}\n";
    job(&place, "job.yaml", &[quick, SLOW], "store: store\n");
    let ran = finish_in(&place, "1m").ends_with(0);
    let ran = ran.says(&["the submission of 2 rounds is broken off", "1 of 2 rounds in", "left out: slow"]);
    let summary = ran.json();
    assert_eq!(summary["finish_in"]["members"], serde_json::json!(["quick"]), "{summary}");
    same_files(&plain(&place, &[quick], ""), &outputs(&place, &summary));
    assert_eq!(tiles(&place), 0, "nothing of it stays");
}

#[test]
fn a_time_in_which_nothing_can_be_whole_is_told_and_the_command_goes_on() {
    let place = place();
    job(&place, "job.yaml", &[SLOW, ONE], "store: store\n");
    let ran = finish_in(&place, "8s")
        .ends_with(75)
        .says(&["the first round is not whole", "the same command goes on"]);
    let told = ran.json();
    assert_eq!((&told["finish_in"]["rounds"], &told["exit"]["retry"]), (&0.into(), &true.into()), "{told}");
    assert!(!told["finish_in"]["left_out"].as_array().expect("a list").is_empty(), "{told}");
    let outputs = place.path("store/jobs");
    let left = if outputs.exists() { below(&outputs) } else { Vec::new() };
    assert!(!left.iter().any(|path| path.components().any(|part| part.as_os_str() == "out")), "{left:?}");
}

/// Images that are scored out of fold all have a label after the first round.
#[test]
fn a_round_out_of_fold_has_a_member_for_every_image() {
    let place = place();
    place.write("images.csv", "image_id,path,fold\nx,images/0.bmp,0\ny,images/1.bmp,1\n");
    let fold = |n: u32, model: &str| {
        format!("  - {{onnx: {model}.onnx, name: net_{n}_{model}, tags: {{fold: {n}, seed: {model}}}}}\n")
    };
    let members = [fold(0, "one"), fold(0, "two"), fold(1, "one"), fold(1, "two")];
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let folds = "folds: out_of_fold\n";
    let text = |more: &str| {
        let head = HEAD.replace("images: images", "images: images.csv");
        format!("{head}{folds}{more}members:\n{}", members.concat())
    };
    place.write("job.yaml", text("store: store\ntiles: {per: member}\n"));
    let summary = finish_in(&place, "1h").ends_with(0).says(&["2 rounds: "]).json();
    assert_eq!(summary["finish_in"]["rounds"], 2, "{summary}");
    place.write("plain.yaml", text("store: plain\ntiles: {per: member}\n"));
    place.run("plain.yaml").ends_with(0);
    same_files(&place.outputs("plain"), &outputs(&place, &summary));
}

/// What hangs on all images is decided anew in every round, in two passes.
#[test]
fn jobs_of_two_passes_run_in_rounds() {
    let place = place();
    let head = HEAD.replace("{masks: png}", "{masks: png}, {pseudo_labels: png, share: 0.5}");
    for (file, store) in [("job.yaml", "store"), ("plain.yaml", "plain")] {
        let members = [ONE, THREE].concat();
        place.write(file, format!("{head}store: {store}\ntiles: {{per: member}}\nmembers:\n{members}"));
    }
    let summary = finish_in(&place, "1h").ends_with(0).json();
    assert_eq!(summary["finish_in"]["rounds"], 2, "{summary}");
    place.run("plain.yaml").ends_with(0);
    same_files(&place.outputs("plain"), &outputs(&place, &summary));
}

/// What a plain run has made of the same members is no round that is superseded.
#[test]
fn what_others_have_made_stays() {
    let place = place();
    job(&place, "job.yaml", &[ONE], "store: store\ntiles: {per: member}\n");
    place.run("job.yaml").ends_with(0);
    let first = place.job_folder("store");
    job(&place, "job.yaml", &[ONE, THREE], "store: store\ntiles: {per: member}\n");
    let summary = finish_in(&place, "1h").ends_with(0).json();
    assert_eq!(summary["finish_in"]["rounds"], 2, "{summary}");
    assert!(place.path(&first).join("out/masks").is_dir(), "it was there before");
}

#[test]
fn what_cannot_be_done_in_rounds_is_refused_in_words() {
    let place = place();
    job(&place, "job.yaml", &[ONE], "store: store\nnights: {keep: 3}\n");
    finish_in(&place, "1h").ends_with(65).says(&["--finish-in: nights"]);
    for nonsense in ["8", "1h1h", "soon", "0s"] {
        finish_in(&place, nonsense).ends_with(64).says(&["8h30m"]);
    }
}
