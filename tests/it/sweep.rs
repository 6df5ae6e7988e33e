//! `marquetry tune --windows` and `--views`, through the real binary.

use crate::fixture::{Place, Ran};
use crate::pictures::bmp;
use marquetry_geometry::Size;
use marquetry_model::Activation;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;
use std::time::{Duration, Instant};

const HEAD: &str = "
version: 1
name: swept
classes: [ground, a]
merge: {space: logits}
limits: {block_mb: 1}
";

/// Images of which each is a group of its own.
const IMAGES: usize = 8;

/// Class `a` is what `kernel` makes of the first channel, the ground `level` times the second one.
fn linear(kernel: &dyn Fn(usize, usize) -> f32, side: usize, level: f32) -> Toy {
    let area = side * side;
    let mut given = vec![0.0; 2 * 3 * area];
    given[area + area / 2] = level;
    for (place, weight) in given[3 * area..4 * area].iter_mut().enumerate() {
        *weight = kernel(place / side, place % side);
    }
    Toy {
        classes: 2,
        kernel: side as u32,
        weights: Weights::Given(given),
        activation: Activation::None,
        ..Toy::default()
    }
}

/// A place whose truth is what the job `members` says of its images.
fn place(toy: &Toy, right: &Toy, truth: &str) -> Place {
    let place = Place::new();
    for seed in 0..IMAGES {
        place.write(&format!("images/{seed}.bmp"), bmp(90 + 6 * seed, 128, seed as u64));
    }
    place.model("m.onnx", toy).model("right.onnx", right);
    let text = format!(
        "{HEAD}store: labels\nimages: images\nmembers: [{{onnx: right.onnx{truth}}}]\noutputs: [{{masks: png}}]\n"
    );
    place.write("truth.yaml", text);
    place.run("truth.yaml").ends_with(0);
    let labels = format!("{}/out/masks", place.job_folder("labels"));
    let rows = (0..IMAGES).map(|n| format!("{n},images/{n}.bmp,{labels}/{n}.png,{}\n", n % 2));
    place.write("images.csv", format!("image_id,path,label,fold\n{}", rows.collect::<String>()));
    place
}

fn job(member: &str, more: &str) -> String {
    format!(
        "{HEAD}store: store\nimages: images.csv\ntruth: {{column: label}}\nmembers: [{member}]\n\
         outputs: [{{masks: png}}, {{evaluation: html, boundary_px: 3}}]\n{more}"
    )
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// The rows of a sweep by their names.
fn row<'a>(swept: &'a Value, name: &str) -> &'a Value {
    let rows = swept["settings"].as_array().expect("settings");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {swept:#}"))
}

fn names(swept: &Value) -> Vec<&str> {
    let rows = swept["settings"].as_array().expect("settings");
    rows.iter().map(|row| row["name"].as_str().expect("a name")).collect()
}

fn tune(place: &Place, args: &[&str]) -> Ran {
    let threads = ["--format", "json", "--lanes", "1", "--threads", "1"];
    place.marquetry(&[&["tune", "job.yaml"], args, &threads].concat())
}

fn chosen(swept: &Value) -> &Value {
    &swept["settings"][swept["chosen"].as_u64().expect("a place") as usize]
}

/// What holds of every sweep: the front is one, the rule is kept, and the job that is written comes to what is told.
fn check(place: &Place, swept: &Value) {
    let rows = swept["settings"].as_array().expect("settings");
    let point = |row: &Value| (number(&row["score"]), number(&row["ratio"]));
    for row in rows {
        let (score, ratio) = point(row);
        let beats = |other: &&Value| {
            let (good, cost) = point(other);
            good >= score && cost <= ratio && (good > score || cost < ratio)
        };
        assert_eq!(row["on_front"] == true, !rows.iter().any(|other| beats(&other)), "{swept:#}");
        assert!(ratio > 0.0 && number(&row["seconds_per_megapixel"]) > 1e-9, "{swept:#}");
    }
    let taken = chosen(swept);
    assert_eq!(taken["is_near_best"], true, "{swept:#}");
    let is_sure = |row: &Value| number(&row["gain"]["gain"]) > number(&row["gain"]["standard_error"]);
    for row in rows.iter().filter(|row| row["is_near_best"] == true && is_sure(row)) {
        assert!(number(&row["ratio"]) * 1.1 >= number(&taken["ratio"]) / 1.1, "{swept:#}");
    }
    let html = place.files(".")["job-tuned.html"].clone();
    let html = String::from_utf8(html).expect("UTF-8");
    assert_eq!(html.matches("<circle").count(), rows.len());
    for row in rows {
        // What a setting is said to come to is what its own evaluation says, and the tuned job runs to that.
        let folder = row["evaluation"].as_str().expect("a folder");
        let evaluation =
            std::fs::read(place.path(folder).join("evaluation/evaluation.json")).expect("an evaluation");
        assert_eq!(dataset(&evaluation), number(&row["score"]), "{row}");
    }
    let summary = place.run("job-tuned.yaml").ends_with(0).json();
    assert_eq!(number(&summary["mean_iou"]), number(&taken["score"]), "{swept:#}");
}

fn dataset(evaluation: &[u8]) -> f64 {
    let evaluation: Value = serde_json::from_slice(evaluation).expect("JSON");
    number(&evaluation["mean_iou"]["dataset"])
}

/// A model that takes what is right of a pixel for more than what is left of it: a flip makes up for that.
fn lopsided() -> Place {
    let toy = linear(&|y, x| if y == 2 { [0.0, -1.5, 1.0, 1.5, 0.0][x] } else { 0.0 }, 5, 0.5);
    let right = linear(&|y, x| if (y, x) == (2, 2) { 1.0 } else { 0.0 }, 5, 0.5);
    let place = place(&toy, &right, ", window: {size: 128}");
    place.write("job.yaml", job("{onnx: m.onnx, window: {size: 128}}", ""));
    place
}

#[test]
fn a_flip_is_taken_where_it_helps() {
    let place = lopsided();
    let ran = tune(&place, &["--views"]).ends_with(0).says(&["identity", "hflip; flips; d4"]);
    let swept = ran.json();
    assert_eq!(names(&swept), ["the job as it is", "hflip", "flips", "d4"], "identity is the job as it is");
    let [own, flip] = ["the job as it is", "hflip"].map(|name| number(&row(&swept, name)["score"]));
    assert!(own < 0.9 && flip > 0.99, "{swept:#}");
    let forwards = |name| row(&swept, name)["forwards"].as_u64().expect("a number");
    assert_eq!(forwards("d4"), 8 * forwards("the job as it is"));
    assert_eq!((&swept["is_changed"], &swept["images"]), (&true.into(), &IMAGES.into()), "{swept:#}");
    assert_ne!(chosen(&swept)["name"], "the job as it is");
    assert!(number(&swept["held_out"]["low"]) > 0.1, "it helps images that it was not chosen by: {swept:#}");
    check(&place, &swept);
    let text = String::from_utf8(place.files(".")["job-tuned.yaml"].clone()).expect("UTF-8");
    let taken = chosen(&swept)["name"].as_str().expect("a name");
    assert!(text.contains(&format!("views: [{taken}]")), "{text}");

    // The same again: nothing is run, and all is as it was, seconds too.
    let again = tune(&place, &["--views"]).ends_with(0).json();
    assert_eq!(again, swept);
    let one = tune(&place, &["--views", "hflip"]).ends_with(0).json();
    assert_eq!(row(&one, "hflip")["seconds_per_megapixel"], row(&swept, "hflip")["seconds_per_megapixel"]);
    // Of other sets the labels are made, and all are timed in turn.
    let more = tune(&place, &["--views", "hflip|vflip|rot90+hflip"]).ends_with(0);
    let more = more.says(&["4 settings in turn on 1 of 8 images"]).json();
    assert_eq!(names(&more), ["the job as it is", "hflip", "vflip", "rot90 + hflip"]);
    check(&place, &more);
}

/// A model that sees 0 beyond the border of its window, and takes a mean: wrong there, and right in the middle.
fn wrong_at_borders() -> Place {
    let mean = linear(&|_, _| 1.0 / 441.0, 21, 1.0);
    place(&mean, &mean, ", window: {size: 192, padding: {constant: 0}}")
}

#[test]
fn overlap_is_taken_where_windows_are_wrong_at_their_borders() {
    let place = wrong_at_borders();
    place.write("job.yaml", job("{onnx: m.onnx, window: {size: 64, overlap: 0}}", ""));
    let swept = tune(&place, &["--windows", "overlap=0|0.25|0.5"]).ends_with(0).json();
    assert_eq!(names(&swept), ["the job as it is", "overlap 0.25", "overlap 0.5"], "{swept:#}");
    let score = |name| number(&row(&swept, name)["score"]);
    assert!(score("overlap 0.25") > score("the job as it is") + 0.01, "{swept:#}");
    assert!(score("overlap 0.5") > score("overlap 0.25"), "{swept:#}");
    assert_eq!(swept["is_changed"], true, "{swept:#}");
    check(&place, &swept);
}

/// A model of one size alone is shown no other, and one that says the same wherever its window lies is shown as few as will do.
#[test]
fn what_does_not_help_is_not_taken_and_what_is_as_good_for_less_is() {
    let toy = linear(&|y, x| if (y, x) == (20, 20) { 1.0 } else { 0.0 }, 41, 0.5);
    let fixed = Toy { size: Some(Size::square(64)), ..toy.clone() };
    let place = place(&fixed, &toy, ", window: {size: 128}");
    place.write("job.yaml", job("{onnx: m.onnx}", ""));
    let ran = tune(&place, &["--windows"]).ends_with(0).says(&["size 128 is not tried", "64"]);
    let swept = ran.json();
    let all = [
        "the job as it is",
        "overlap 0",
        "overlap 0.25",
        "overlap 0.75",
        "scale 0.5",
        "scale 0.75",
        "scale 1.5",
    ];
    assert_eq!(names(&swept), all, "{swept:#}");
    let left_out: Vec<&Value> =
        swept["left_out"].as_array().expect("a list").iter().map(|one| &one["name"]).collect();
    assert_eq!(left_out, ["size 32", "size 128"], "{swept:#}");
    for overlap in &all[..4] {
        assert_eq!(number(&row(&swept, overlap)["score"]), 1.0, "{swept:#}");
    }
    assert!(number(&row(&swept, "scale 0.5")["score"]) < 0.9, "{swept:#}");
    let taken = chosen(&swept);
    assert!(taken["name"] == "overlap 0" || taken["name"] == "overlap 0.25", "{swept:#}");
    check(&place, &swept);

    // Eight views say what one does.
    let swept = tune(&place, &["--views", "d4"]).ends_with(0).json();
    assert_eq!((&swept["is_changed"], &swept["chosen"]), (&false.into(), &0.into()), "{swept:#}");
    assert!(swept["verdict"].as_str().expect("words").contains("the job stays as it is"), "{swept:#}");
    check(&place, &swept);
}

/// Images are scored by the members of their own fold, members of one entry alone are tried, and the job that is written is whole.
#[test]
fn a_part_of_a_job_out_of_fold_is_tried_and_the_whole_is_written() {
    let place = wrong_at_borders();
    let bytes = place.files(".")["m.onnx"].clone();
    for name in ["one_fold0", "one_fold1", "two_fold0", "two_fold1"] {
        place.write(&format!("{name}.onnx"), bytes.clone());
    }
    let members = "{onnx: \"one_fold{0,1}.onnx\", window: {size: 64, overlap: 0}, tags: {kind: one}}, \
                   {onnx: \"two_fold{0,1}.onnx\", window: {size: 96, overlap: 0}, tags: {kind: two}}";
    place.write("job.yaml", job(members, "folds: out_of_fold\n"));
    let part = ["--windows", "overlap=0.5", "--members", "kind=one", "--sample", "0.5"];
    let swept = tune(&place, &part).ends_with(0).says(&["left as they are", "two_fold{0,1}.onnx"]).json();
    let half = IMAGES / 2;
    assert_eq!(
        (&swept["images"], &chosen(&swept)["name"]),
        (&half.into(), &"overlap 0.5".into()),
        "{swept:#}"
    );
    let text = String::from_utf8(place.files(".")["job-tuned.yaml"].clone()).expect("UTF-8");
    let (one, two) = text.split_once("two_fold{0,1}.onnx").expect("both entries");
    assert!(one.contains("overlap: 0.5") && two.contains("overlap: 0\n"), "{text}");
    assert!(text.contains("subset: {sample: 1,") && !text.contains("kind: [one]"), "{text}");
    let whole = place.run("job-tuned.yaml").ends_with(0).json();
    assert_eq!(whole["tally"]["progress"]["images_done"], IMAGES, "{whole}");

    let swept = tune(&place, &["--windows", "overlap=0.5"]).ends_with(0).json();
    assert_eq!(
        (&swept["images"], &chosen(&swept)["name"]),
        (&IMAGES.into(), &"overlap 0.5".into()),
        "{swept:#}"
    );
    check(&place, &swept);
}

/// A command that is killed goes on: it comes to what one comes to that was left alone.
#[test]
fn a_sweep_that_is_killed_goes_on() {
    let place = lopsided();
    place.write(
        "calm.yaml",
        job("{onnx: m.onnx, window: {size: 32}}", "").replace("store: store", "store: calm"),
    );
    place.write("job.yaml", job("{onnx: m.onnx, window: {size: 32}}", ""));
    let calm = place.marquetry(&["tune", "calm.yaml", "--views", "--format", "json"]).ends_with(0).json();
    let mut run = place.start(&["tune", "job.yaml", "--views", "--lanes", "1", "--threads", "1"]);
    // Something of the second setting is there, which is after the first.
    let jobs = || std::fs::read_dir(place.path("store/tune/jobs")).map_or(0, Iterator::count);
    let began = Instant::now();
    while jobs() < 2 && began.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let is_early = run.try_wait().expect("a child").is_none();
    run.kill().expect("SIGKILL");
    run.wait().expect("a child that ended");
    assert!(is_early && jobs() >= 2, "it was over too early to tell");
    assert!(!place.path("job-tuned.yaml").exists(), "nothing is written before all is known");
    let swept = tune(&place, &["--views"]).ends_with(0).json();
    let told = |swept: &Value| {
        let rows = swept["settings"].as_array().expect("settings");
        let row = |row: &Value| {
            (row["name"].clone(), row["score"].clone(), row["gain"].clone(), row["forwards"].clone())
        };
        rows.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(told(&swept), told(&calm));
    check(&place, &swept);
}

#[test]
fn what_cannot_be_tried_is_refused_in_words() {
    let place = lopsided();
    let ends = |args: &[&str], code: i32, words: &str| {
        tune(&place, args).ends_with(code).says(&[words]);
    };
    ends(&["--windows", "overlap=1"], 64, "0 to less than 1");
    ends(&["--views", "sideways"], 64, "is no view");
    ends(&["--views", "--windows"], 64, "cannot be used with");
    ends(&["--views", "--probe-mb", "5"], 64, "cannot be used with");
    ends(&["--views", "identity"], 65, "there is nothing to try");
    // One window holds each image, so how far windows overlap is nothing.
    place.write("job.yaml", job("{onnx: m.onnx, window: {size: 160}}", ""));
    ends(&["--windows", "overlap=0.25|0.75"], 65, "there is nothing to try");
    place.write(
        "job.yaml",
        job("{onnx: m.onnx}", "")
            .replace("truth: {column: label}\n", "")
            .replace(", {evaluation: html, boundary_px: 3}", ""),
    );
    ends(&["--views"], 65, "truth: the job says nothing of labels");
    place.write("job-tuned.html", "mine");
    ends(&["--views"], 64, "tune has not written it");
}
