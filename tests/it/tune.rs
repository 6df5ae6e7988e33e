//! `marquetry tune`, through the real binary.

use crate::fixture::{Place, same_files};
use crate::pictures::bmp;
use marquetry_model::Activation;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;

const HEAD: &str = "
version: 1
classes: [ground, a, b]
defaults: {window: {size: 64}}
limits: {block_mb: 1}
store: store
";

/// The sums that are right, `[class][channel and constant]`; classes are then about as frequent as each other.
const RIGHT: [[f32; 4]; 3] = [[4.0, -2.0, 0.0, -1.0], [-2.0, 4.0, -1.0, -0.5], [0.0, -1.0, 4.0, -1.5]];

fn model(place: &Place, name: &str, bias: [f32; 3], noise: f32) {
    let rows = RIGHT.iter().zip(bias).enumerate().map(|(n, (row, bias))| {
        let wrong = noise * if n % 2 == 0 { 1.0 } else { -1.0 };
        vec![row[0] + wrong, row[1] - wrong, row[2] + wrong, row[3] + bias]
    });
    let weights = Weights::Linear(rows.collect());
    place.model(
        &format!("{name}.onnx"),
        &Toy { classes: 3, weights, activation: Activation::None, ..Toy::default() },
    );
}

/// Images whose truth is what one model says of them, in two groups.
fn place() -> Place {
    let place = Place::new();
    for seed in 0..12 {
        place.write(&format!("images/{seed:02}.bmp"), bmp(70 + 2 * seed as usize, 120, seed));
    }
    model(&place, "right", [0.0; 3], 0.0);
    let truth = format!(
        "{}name: truth\nimages: images\nmembers: [{{onnx: right.onnx}}]\noutputs: [{{masks: png}}]\n",
        HEAD.replace("store: store", "store: labels")
    );
    place.write("truth.yaml", truth);
    place.run("truth.yaml").ends_with(0);
    let labels = format!("{}/out/masks", place.job_folder("labels"));
    let rows = (0..12).map(|n| format!("{n:02},images/{n:02}.bmp,{labels}/{n:02}.png,{}\n", n % 4));
    place.write("images.csv", format!("image_id,path,label,group\n{}", rows.collect::<String>()));
    place
}

fn job(members: &str, more: &str) -> String {
    format!(
        "{HEAD}name: tuned\nimages: images.csv\ntruth: {{column: label}}\nmembers:\n{members}tiles: {{per: member, keep: true, dtype: f32}}\n\
         outputs: [{{masks: png}}, {{evaluation: html, boundary_px: 3}}]\n{more}"
    )
}

fn mean_iou(place: &Place, summary: &Value) -> f64 {
    let folder = format!("store/jobs/{}/out/evaluation", summary["job"].as_str().expect("a job"));
    let files = place.files(&folder);
    let evaluation: Value = serde_json::from_slice(&files["evaluation.json"]).expect("JSON");
    evaluation["mean_iou"]["dataset"].as_f64().expect("a number")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Two members that say the last class too seldom, and one that knows nothing.
fn biased() -> Place {
    let place = place();
    model(&place, "one", [0.5, 0.0, -1.5], 0.1);
    model(&place, "two", [0.4, 0.1, -1.2], -0.1);
    place.model("none.onnx", &Toy { classes: 3, kernel: 3, weights: Weights::Seeded(5), ..Toy::default() });
    place.write("job.yaml", job("  - {onnx: \"{one,two,none}.onnx\"}\n", ""));
    place
}

#[test]
fn what_is_fitted_is_a_job_that_is_better_and_runs_no_model() {
    let place = biased();
    let tuned = place.marquetry(&["tune", "job.yaml", "--format", "json"]).ends_with(0).json();
    let step = |name: &str| {
        let steps = tuned["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["name"] == name).expect("a step").clone()
    };
    assert_eq!((&tuned["images"], &tuned["groups"]), (&Value::from(12), &Value::from(4)), "{tuned}");
    assert_eq!(step("class factors")["verdict"], "accepted", "{tuned}");
    assert!(number(&tuned["factors"][2]["factor"]) > 1.2, "{tuned}");
    let [before, after, error] = ["before", "after", "sampling_error"].map(|key| number(&tuned[key]));
    assert!(after > before + 0.05, "{before} {after}");

    // The tiles are there: of the job as it is too, which has tiles of members.
    let plain = place.run("job.yaml").ends_with(0).json();
    let better = place.run("job-tuned.yaml").ends_with(0).json();
    for summary in [&plain, &better] {
        assert_eq!(summary["tally"]["forwards"], 0, "{summary}");
    }
    // What probes say of all pixels is true within their own error, and what was fitted holds.
    let found = [mean_iou(&place, &plain), mean_iou(&place, &better)];
    assert!((found[0] - before).abs() < 3.0 * error + 1e-3, "{found:?} {before} ± {error}");
    assert!((found[1] - after).abs() < 3.0 * error + 5e-3, "{found:?} {after}");
    let text = place.files(".")["job-tuned.yaml"].clone();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("factors:") && text.contains("onnx: one.onnx"), "{text}");

    // A run that was there before is found after another fit.
    place.run("job.yaml").ends_with(0);
    place.marquetry(&["tune", "job.yaml", "-o", "third.yaml"]).ends_with(0);
    let found = place.run("job.yaml").ends_with(0).json();
    assert_eq!(
        (number(&found["tally"]["images_found"]), &found["tally"]["forwards"]),
        (12.0, &Value::from(0)),
        "{found}"
    );

    // The same again: nothing is computed, and the same comes of it.
    let again = place.marquetry(&["tune", "job.yaml", "--format", "json", "-o", "again.yaml"]).ends_with(0);
    let mut again = again.json();
    again["output"] = tuned["output"].clone();
    assert_eq!(again, tuned);
    let files = place.files(".");
    assert!(files["again.yaml"] == files["job-tuned.yaml"]);
}

/// Out of fold: members of one kind are one candidate, and the same probes come of any number of lanes.
#[test]
fn folds_of_one_kind_get_one_weight() {
    let place = place();
    for (fold, bias) in [(0, -1.4), (1, -1.6)] {
        model(&place, &format!("good_fold{fold}"), [0.2, 0.0, bias], 0.1);
        model(&place, &format!("bad_fold{fold}"), [3.0, 0.0, -4.0], 2.0);
    }
    let list = String::from_utf8_lossy(&place.files(".")["images.csv"]).into_owned();
    let fold = |(n, line): (usize, &str)| {
        if n == 0 { format!("{line},fold\n") } else { format!("{line},{}\n", n % 2) }
    };
    place.write("images.csv", list.lines().enumerate().map(fold).collect::<String>());
    let members = "  - {onnx: \"good_fold{0,1}.onnx\"}\n  - {onnx: \"bad_fold{0,1}.onnx\"}\n";
    place.write("job.yaml", job(members, "folds: out_of_fold\n"));
    place.write("other.yaml", job(members, "folds: out_of_fold\n").replace("store: store", "store: other"));
    let tuned = place.marquetry(&["tune", "job.yaml", "--format", "json"]).ends_with(0).json();
    assert_eq!(tuned["members"][0]["name"], "good_fold*", "{tuned}");
    assert_eq!(
        (&tuned["members"][1]["members"], &tuned["members"][1]["weight"]),
        (&2.into(), &0.0.into()),
        "{tuned}"
    );
    let text = String::from_utf8_lossy(&place.files(".")["job-tuned.yaml"]).into_owned();
    assert!(text.contains("good_fold1.onnx") && !text.contains("bad_fold"), "{text}");
    place.run("job-tuned.yaml").ends_with(0);

    // Of one group nothing is left out: what is better comes first, with all of its folds.
    let list = String::from_utf8_lossy(&place.files(".")["images.csv"]).into_owned();
    let members = "  - {onnx: \"{bad,good}_fold0.onnx\"}\n  - {onnx: \"{bad,good}_fold1.onnx\"}\n";
    let text = job(members, "folds: out_of_fold\n").replace("images.csv", "all.csv");
    let list = list.lines().enumerate().map(|(n, line)| {
        let fields: Vec<&str> = line.split(',').collect();
        let group = if n == 0 { "group" } else { "g" };
        format!("{},{},{},{group},{}\n", fields[0], fields[1], fields[2], fields[4])
    });
    place.write("all.csv", list.collect::<String>());
    place.write("all.yaml", text);
    place.marquetry(&["tune", "all.yaml"]).ends_with(0);
    let text = String::from_utf8_lossy(&place.files(".")["all-tuned.yaml"]).into_owned();
    let files: Vec<&str> = parts(&text).1.into_iter().map(file_of).collect();
    assert_eq!(
        files,
        ["good", "bad"].map(|k| [0, 1].map(|f| format!("{k}_fold{f}.onnx"))).concat(),
        "{text}"
    );
    let summary = place.run("all-tuned.yaml").ends_with(0).json();
    assert_eq!(summary["tally"]["forwards"], 0, "{summary}");

    place.marquetry(&["tune", "other.yaml", "--lanes", "1", "--threads", "1"]).ends_with(0);
    let probes = |store: &str| place.files(&format!("{}/out/probes", place.job_folder(store)));
    // The store of the tuned job has the run's outputs too.
    let of_first = place.files("store/jobs");
    let of_first = of_first.into_iter().filter_map(|(name, bytes)| {
        let (_, name) = name.split_once("/out/probes/")?;
        Some((name.to_owned(), bytes))
    });
    same_files(&of_first.collect(), &probes("other"));
}

/// A written job: what is before its members, these, and what is after.
fn parts(text: &str) -> (&str, Vec<&str>, &str) {
    let (head, rest) = text.split_once("\nmembers:\n").expect("members");
    let (members, tail) = rest.split_once("\nfolds:").expect("folds");
    (head, members.trim_start_matches("  - ").split("\n  - ").collect(), tail)
}

fn file_of(entry: &str) -> &str {
    entry.lines().next().and_then(|line| line.strip_prefix("onnx: ")).expect("a file")
}

/// The members of a pattern come in another order, and between them those of another entry: by what each adds, and by what it costs.
#[test]
fn the_tuned_job_has_first_what_adds_most_for_its_cost() {
    let place = biased();
    model(&place, "dear", [0.0, 0.0, -0.3], 0.0);
    let others = "  - {onnx: \"{none,one,two}.onnx\"}\n";
    let text = |dear: &str| job(&format!("  - {{onnx: dear.onnx{dear}}}\n{others}"), "");
    place.write("dear.yaml", text(", window: {size: 64, stride: 8}"));
    place.write("cheap.yaml", text(""));
    let mut orders = Vec::new();
    for name in ["cheap", "dear"] {
        let told =
            place.marquetry(&["tune", &format!("{name}.yaml"), "--format", "json"]).ends_with(0).json();
        let rounds = told["rounds"].as_array().expect("rounds");
        let last = number(&rounds[rounds.len() - 1]["score"]);
        assert!((last - number(&told["after"])).abs() < 1e-4, "all of them are what was fitted: {told}");
        let written = format!("{name}-tuned.yaml");
        let text = String::from_utf8_lossy(&place.files(".")[&written]).into_owned();
        let (head, members, tail) = parts(&text);
        let files: Vec<&str> = members.iter().map(|entry| file_of(entry)).collect();
        let told: Vec<String> = rounds
            .iter()
            .map(|round| format!("{}.onnx", round["member"].as_str().expect("a name")))
            .collect();
        assert_eq!(files, told, "the order that is told is the order that is written");

        // Another order finds the tiles, and sums of three or four numbers in another order are the same labels, or nearly.
        let summary = place.run(&written).ends_with(0).json();
        assert_eq!(summary["tally"]["forwards"], 0, "{summary}");
        let back: Vec<&str> = members.iter().rev().copied().collect();
        let back = format!("{head}\nmembers:\n  - {}\nfolds:{tail}", back.join("\n  - "));
        place.write("back.yaml", back);
        let other = place.run("back.yaml").ends_with(0).json();
        assert_eq!(other["tally"]["forwards"], 0, "{other}");
        let found = [mean_iou(&place, &summary), mean_iou(&place, &other)];
        assert!((found[0] - found[1]).abs() < 1e-4, "{found:?}");
        orders.push(told);
    }
    assert_eq!(orders[0][0], "dear.onnx", "the best one, while all cost alike: {orders:?}");
    assert_eq!(orders[1][..2], ["two.onnx", "dear.onnx"], "which has more forwards: {orders:?}");
    assert_eq!(orders[1].last().map(String::as_str), Some("none.onnx"), "{orders:?}");
}

#[test]
fn what_cannot_be_tuned_is_refused_in_words() {
    let place = biased();
    let refused = |text: String, words: &str| {
        place.write("other.yaml", text);
        place.marquetry(&["tune", "other.yaml"]).ends_with(65).says(&[words]);
    };
    let plain = job("  - {onnx: one.onnx}\n", "");
    refused(
        plain.replace("truth: {column: label}\n", "").replace(", {evaluation: html, boundary_px: 3}", ""),
        "truth: the job says nothing of labels",
    );
    refused(plain.clone() + "decide: {thresholds: 0.4}\n", "this job decides by thresholds");
    let by_class = job("  - {onnx: one.onnx, weight: {a: 2}}\n  - {onnx: two.onnx}\n", "");
    refused(by_class, "weighs differently by class");
    place
        .marquetry(&["tune", "job.yaml", "-o", "job.yaml"])
        .ends_with(64)
        .says(&["names the job file itself"]);
    place
        .marquetry(&["tune", "job.yaml", "-o", "images/t.yaml"])
        .ends_with(64)
        .says(&["belongs into the same folder"]);
}

/// One file at two scales, factors that the job has, and a member that weighs nothing: what is told is what is run.
#[test]
fn the_job_as_it_is_and_as_it_is_written_come_to_what_is_told() {
    let place = biased();
    let members = "  - {onnx: one.onnx}\n  - {onnx: one.onnx, name: large, scale: 1.5, weight: 2}\n  - {onnx: two.onnx}\n  \
                   - {onnx: none.onnx, weight: 0}\n";
    let job = |space: &str| {
        job(members, &format!("decide: {{factors: {{ground: 1.8}}}}\nmerge: {{space: {space}}}\n"))
    };
    for space in ["probabilities", "logits"] {
        place.write("job.yaml", job(space));
        let _ = std::fs::remove_file(place.path("job-tuned.yaml"));
        let tuned = place.marquetry(&["tune", "job.yaml", "--format", "json"]).ends_with(0).json();
        let names: Vec<&Value> =
            tuned["members"].as_array().expect("members").iter().map(|m| &m["name"]).collect();
        assert_eq!(names, ["one", "large", "two"], "{tuned}");
        let [before, after, error] = ["before", "after", "sampling_error"].map(|key| number(&tuned[key]));
        for (job, told) in [("job.yaml", before), ("job-tuned.yaml", after)] {
            let summary = place.run(job).ends_with(0).json();
            let found = mean_iou(&place, &summary);
            assert!((found - told).abs() < 4.0 * error + 2e-3, "{space} {job}: {found} for {told} ± {error}");
        }
        let text = String::from_utf8_lossy(&place.files(".")["job-tuned.yaml"]).into_owned();
        assert!(!text.contains("none.onnx"), "{text}");
    }
}

/// Probes that a run has drawn, here or on a cluster, are found: nothing is computed.
#[test]
fn what_has_been_drawn_is_fitted_to() {
    let place = biased();
    let text = job("  - {onnx: \"{one,two}.onnx\"}\n", "");
    place.write(
        "job.yaml",
        text.replace("{masks: png}", "{masks: png}, {probes: safetensors, per_image: 500}"),
    );
    place.run("job.yaml").ends_with(0);
    std::fs::remove_dir_all(place.path("store/tiles")).expect("tiles that are kept");
    let tuned = place.marquetry(&["tune", "job.yaml", "--format", "json"]).ends_with(0).json();
    let probes = number(&tuned["probes"]);
    assert!(probes > 4000.0 && probes <= 12.0 * 500.0, "{tuned}");
    assert!(!place.path("store/tiles").exists(), "nothing was computed");
}

/// Two members of which one comes first: how sure it must be is fitted so that hardly anything is lost, which the job that is written
/// shows.
#[test]
fn how_sure_a_first_round_must_be_is_fitted() {
    let place = place();
    model(&place, "first", [0.0; 3], 0.4);
    model(&place, "second", [0.0; 3], -0.4);
    let members = "  - {onnx: first.onnx, tags: {round: 1}}\n  - {onnx: second.onnx, tags: {round: 2}}\n";
    place.write("whole.yaml", job(members, ""));
    let cascade = "cascade: {first: {round: 1}, margin: 0.05}\n";
    place.write("job.yaml", job(members, cascade));
    let tuned = place.marquetry(&["tune", "job.yaml", "--format", "json"]).ends_with(0).json();
    let fitted = &tuned["cascade"]["fitted"];
    let [margin, sure, loss] = ["margin", "sure", "loss"].map(|key| number(&fitted[key]));
    assert!((0.05..1.0).contains(&margin) && sure > 0.3 && loss <= 1e-3, "{tuned}");
    let text = String::from_utf8(place.files(".")["job-tuned.yaml"].clone()).expect("text");
    let written =
        text.lines().find(|line| line.contains("margin") && line.contains("round")).expect("a cascade");
    let written: f64 = written
        .split("margin: ")
        .nth(1)
        .and_then(|rest| rest.split([',', '}']).next()?.parse().ok())
        .expect(written);
    assert!(written >= margin && written < margin + 1e-3, "{written} {margin}");
    let run = |text: String| {
        place.write("made.yaml", text);
        let summary = place.run("made.yaml").ends_with(0).json();
        (mean_iou(&place, &summary), summary)
    };
    let without: String =
        text.lines().filter(|line| !line.starts_with("cascade")).map(|line| line.to_owned() + "\n").collect();
    let (whole, summary) = run(without);
    let (rounds, told) = run(text);
    assert!(summary["cascade"].is_null() && told["cascade"]["forwards"]["all"].as_u64() > Some(0), "{told}");
    // Probes are a sample of the pixels.
    assert!((whole - rounds - loss).abs() < 3e-3, "{whole} {rounds} {loss}");
    let careless = run(job(members, cascade)).0;
    assert!(careless < rounds, "{careless} {rounds}");
}
