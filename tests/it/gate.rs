//! Jobs in which models say which classes an image has at all.

use crate::decode::{Mask, zarr};
use crate::fixture::{Place, same_files};
use crate::linear_models::linear;
use crate::pictures::{bmp_of, grey_png, scene};
use marquetry_geometry::Size;
use marquetry_model::Activation;
use marquetry_model::toy::Toy;
use serde_json::Value;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;
/// From the probabilities of a pixel to its label.
type Decides<'a> = &'a dyn Fn(&[f64]) -> usize;

const HEIGHT: usize = 70;
pub(crate) const WIDTH: usize = 90;
pub(crate) const AREA: usize = HEIGHT * WIDTH;
pub(crate) const IMAGES: usize = 6;
/// What the gate's models see, px.
const SEEN: u32 = 24;

/// All three classes are everywhere, by how blue a pixel is.
pub(crate) const SEGMENTS: [[f32; 4]; 3] =
    [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 7.0, -3.8], [0.0, 0.0, -7.0, 3.0]];
/// An image has cracks if it is red, and dents if it is green; of the background, which is always there, it is wrong.
pub(crate) const GATE: [[f32; 4]; 3] =
    [[0.0, 0.0, 0.0, -9.0], [40.0, 0.0, 0.0, -20.0], [0.0, 40.0, 0.0, -20.0]];

/// Whether image `n` is red, and whether it is green.
pub(crate) const fn has(n: usize) -> [bool; 2] {
    [n.is_multiple_of(2), n.is_multiple_of(3)]
}

/// A classifier of whole images.
pub(crate) fn classifier(rows: &[[f32; 4]], activation: Activation) -> Toy {
    Toy { size: Some(Size::square(SEEN)), image_heads: 1, activation, ..linear(rows) }
}

pub(crate) fn place() -> Place {
    let place = Place::new();
    for n in 0..IMAGES {
        let mut pixels = scene(HEIGHT, WIDTH, n as u64 + 3);
        for pixel in pixels.chunks_exact_mut(3) {
            for (value, is_there) in pixel.iter_mut().zip(has(n)) {
                *value = if is_there { value.saturating_add(80) } else { value.saturating_sub(80) };
            }
        }
        place.write(&format!("images/{n}.bmp"), bmp_of(HEIGHT, WIDTH, &pixels));
    }
    place.model("m.onnx", &linear(&SEGMENTS));
    place.model("gate.onnx", &classifier(&GATE, Activation::Sigmoid));
    place
}

pub(crate) const GATED: &str = "gate: {models: [{onnx: gate.onnx}]}\n";

pub(crate) fn job(store: &str, more: &str) -> String {
    format!(
        "version: 1\nimages: images\nclasses: [background, crack, dent]\ndefaults: {{window: {{size: 48}}}}\n\
         members: [{{onnx: m.onnx}}]\nstore: {store}\n\
         outputs: [{{masks: png}}, {{probabilities: {{format: zarr, dtype: f16}}}}]\n{more}\n"
    )
}

#[track_caller]
pub(crate) fn run(place: &Place, text: String) -> Value {
    place.write("job.yaml", text);
    place.run("job.yaml").ends_with(0).json()
}

fn forwards(summary: &Value) -> u64 {
    summary["tally"]["forwards"].as_u64().expect("a number")
}

/// What is stored of the gate in `store`: for each image, by id, the probability of each class.
pub(crate) fn gates(place: &Place, store: &str) -> Vec<Vec<Option<f64>>> {
    let stored = place.files(&format!("{}/gates", place.job_folder(store)));
    let mut all: Vec<(String, Vec<Option<f64>>)> = Vec::new();
    for bytes in stored.values() {
        let value: Value = serde_json::from_slice(bytes).expect("JSON");
        let said = value["probabilities"].as_array().expect("a list").iter().map(Value::as_f64);
        all.push((value["image"].as_str().expect("a key").to_owned(), said.collect()));
    }
    all.into_iter().map(|(_, said)| said).collect()
}

/// Fails the test unless in each image what the gate denies is out of what was said without it, and labels are what `label` makes of
/// the rest; where two are as good as equal either will do.
#[track_caller]
pub(crate) fn is_gated(
    free: &Files,
    gated: &Files,
    denies: impl Fn(usize) -> [bool; 3],
    label: impl Fn(&[f64]) -> usize,
) {
    let mut changed = 0;
    for n in 0..IMAGES {
        let scores = |files| zarr(files, &format!("probabilities/{n}.zarr")).1;
        let (free_scores, found) = (scores(free), scores(gated));
        let labels = |files: &Files| Mask::from_png(&files[&format!("masks/{n}.png")]).labels;
        let (before, labels) = (labels(free), labels(gated));
        let denied = denies(n);
        for at in 0..AREA {
            let said: Vec<f64> = (0..3).map(|class| f64::from(free_scores[class * AREA + at])).collect();
            let left = |class: usize| if denied[class] { 0.0 } else { said[class] };
            let (all, rest): (f64, f64) = (said.iter().sum(), (0..3).map(left).sum());
            let wanted: Vec<f64> = (0..3).map(|class| left(class) * all / rest).collect();
            for class in 0..3 {
                let found = f64::from(found[class * AREA + at]);
                assert!(
                    (found - wanted[class]).abs() < 3e-3,
                    "image {n}, pixel {at}: {found}, not {wanted:?}"
                );
            }
            let (one, other) = (usize::from(labels[at]), label(&wanted));
            let near = (wanted[one] - wanted[other]).abs() < 5e-3;
            assert!(one == other || (near && !denied[one]), "image {n}, pixel {at}: {one} of {wanted:?}");
            assert!(!denied[one]);
            changed += usize::from(labels[at] != before[at]);
        }
    }
    assert!(changed > AREA / 2, "the gate changed {changed} pixels");
}

pub(crate) fn greatest(of: impl Iterator<Item = f64>) -> usize {
    of.enumerate().fold((0, f64::NEG_INFINITY), |best, (k, p)| if p > best.1 { (k, p) } else { best }).0
}

fn denied(n: usize) -> [bool; 3] {
    let [crack, dent] = has(n);
    [false, !crack, !dent]
}

/// The law: what is denied is out before anything is decided, whatever decides.
#[test]
fn pixels_go_to_the_next_best_class_that_is_allowed() {
    let place = place();
    let factors = [1.0, 1.5, 0.75];
    let rules: [(&str, &str, Decides<'_>); 4] = [
        ("argmax", "tiles: {dtype: f32}\n", &|p| greatest(p.iter().copied())),
        ("logits", "tiles: {dtype: f32}\nmerge: {space: logits}\n", &|p| greatest(p.iter().copied())),
        ("factors", "tiles: {dtype: f32}\ndecide: {factors: {crack: 1.5, dent: 0.75}}\n", &|p| {
            greatest(p.iter().zip(factors).map(|(p, factor)| p * factor))
        }),
        (
            "thresholds",
            "tiles: {dtype: f32, per: member}\ndecide: {thresholds: {crack: 0.4, dent: 0.3}}\n",
            &|p| {
                let over = |class: usize, t: f64| if p[class] > t { p[class] } else { f64::NEG_INFINITY };
                greatest([0.0, over(1, 0.4), over(2, 0.3)].into_iter())
            },
        ),
    ];
    for (name, more, label) in rules {
        let [free, gated] = ["free", "gated"].map(|kind| format!("{name}-{kind}"));
        let without = run(&place, job(&free, more));
        let told = run(&place, job(&gated, &format!("{more}{GATED}")));
        assert_eq!(forwards(&told), forwards(&without) + IMAGES as u64, "one run of the gate for each image");
        is_gated(&place.outputs(&free), &place.outputs(&gated), denied, label);
        let of = |class: &str| {
            told["gate"]["classes"]
                .as_array()
                .and_then(|all| all.iter().find(|of| of["class"] == class))
                .map(|of| &of["denied"])
        };
        assert_eq!(
            (of("crack"), of("dent"), of("background")),
            (Some(&3.into()), Some(&4.into()), None),
            "{told}"
        );
    }
}

/// Classes that share pixels are gone where they are denied, and the others stay as they are.
#[test]
fn classes_that_share_pixels_are_denied_one_by_one() {
    let place = place();
    place
        .model("m.onnx", &linear(&SEGMENTS[1..]))
        .model("gate.onnx", &classifier(&GATE[1..], Activation::None));
    let text = |store: &str, more: &str| {
        job(store, more)
            .replace("classes: [background, crack, dent]", "classes: [crack, dent]")
            .replace("{size: 48}", "{size: 48}, output: {multilabel: true}")
    };
    run(&place, text("free", ""));
    place.write("job.yaml", text("gated", GATED));
    place
        .run("job.yaml")
        .ends_with(65)
        .says(&["2 channels are scores without an activation", "say multilabel: true"]);
    run(&place, text("gated", "gate: {models: [{onnx: gate.onnx, multilabel: true}]}"));
    let (free, gated) = (place.outputs("free"), place.outputs("gated"));
    for (n, (k, class)) in (0..IMAGES).flat_map(|n| [(n, (0, "crack")), (n, (1, "dent"))]) {
        let mask = |files: &Files| Mask::from_png(&files[&format!("masks/{n}/{class}.png")]).labels;
        let (before, after) = (mask(&free), mask(&gated));
        let wanted = if has(n)[k] { before.clone() } else { vec![0; AREA] };
        assert!(after == wanted && before.contains(&1), "{class} of image {n}");
    }
}

/// What allows everything changes no byte, and neither does a threshold of 0, whatever the gate says.
#[test]
fn a_gate_that_allows_everything_changes_no_byte() {
    let place = place();
    place.model(
        "all.onnx",
        &classifier(&[[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 9.0], [1.0, 0.0, 0.0, 9.0]], Activation::Sigmoid),
    );
    run(&place, job("free", ""));
    let free = place.outputs("free");
    for (store, gate) in
        [("all", "{onnx: all.onnx}], threshold: 0.9"), ("zero", "{onnx: gate.onnx}], threshold: 0")]
    {
        run(&place, job(store, &format!("gate: {{models: [{gate}}}")));
        same_files(&place.outputs(store), &free);
    }
    // What denies everything leaves the background.
    run(&place, job("nothing", "gate: {models: [{onnx: all.onnx}], threshold: 1}"));
    let nothing = place.outputs("nothing");
    assert!(
        (0..IMAGES)
            .all(|n| Mask::from_png(&nothing[&format!("masks/{n}.png")]).labels.iter().all(|l| *l == 0))
    );
}

/// Other thresholds run no model, and neither does finding everything done.
#[test]
fn other_thresholds_run_no_model() {
    let place = place();
    let text = |threshold: &str| {
        job(
            "out",
            &format!(
                "tiles: {{keep: true}}\ngate: {{models: [{{onnx: gate.onnx}}], threshold: {threshold}}}"
            ),
        )
    };
    let all = forwards(&run(&place, text("0.5")));
    assert!(all > IMAGES as u64);
    let before = place.files(&format!("{}/gates", place.job_folder("out")));
    assert_eq!(before.len(), IMAGES);
    let masks = place.outputs("out");
    assert_eq!(forwards(&run(&place, text("{crack: 0}"))), 0);
    assert_ne!(place.outputs("out")["masks/1.png"], masks["masks/1.png"]);
    assert_eq!(place.files(&format!("{}/gates", place.job_folder("out"))), before);
    assert_eq!(forwards(&run(&place, text("0.5"))), 0);
    same_files(&place.outputs("out"), &masks);
    // Another gate is another job, over the same tiles.
    place.model("other.onnx", &classifier(&[GATE[0], GATE[2], GATE[1]], Activation::Sigmoid));
    let other = run(&place, text("0.5").replace("gate.onnx", "other.onnx"));
    assert_eq!(forwards(&other), IMAGES as u64, "{other}");
}

/// What is gone or damaged of the gate is found again, and nothing comes out otherwise.
#[test]
fn what_is_damaged_is_found_again() {
    let place = place();
    let text = job("out", &format!("tiles: {{keep: true}}\n{GATED}"));
    run(&place, text.clone());
    let (wanted, folder) = (place.outputs("out"), place.job_folder("out"));
    let gates = place.files(&format!("{folder}/gates"));
    let mut all = gates.iter();
    let mut again = |break_it: &dyn Fn(&str, &[u8])| {
        let (name, bytes) = all.next().expect("more images");
        break_it(&format!("{folder}/gates/{name}"), bytes);
        std::fs::remove_dir_all(place.path(&format!("{folder}/parts"))).expect("results");
        let ran = forwards(&run(&place, text.clone()));
        same_files(&place.outputs("out"), &wanted);
        assert_eq!(place.files(&format!("{folder}/gates")), gates);
        ran
    };
    assert_eq!(again(&|_, _| {}), 0);
    assert_eq!(again(&|path, _| std::fs::remove_file(place.path(path)).expect("a file")), 1);
    // It is there, so nobody asks for it until it is read.
    let damaged = |bytes: &[u8]| String::from_utf8_lossy(bytes).replacen("null", "0.5", 1);
    let write = |path: &str, bytes: &[u8]| _ = place.write(path, bytes);
    assert_eq!(again(&|path, bytes| write(path, damaged(bytes).as_bytes())), 1);
    assert_eq!(again(&|path, bytes| write(path, &bytes[..bytes.len() / 2])), 1);
}

/// An image whose gate cannot be had is lost, with the reason, and the others are not.
#[test]
fn an_image_without_its_gate_is_lost() {
    let place = place();
    // Sums of more than floats hold in bright images.
    let much = 5.0e35;
    let rows = [GATE[0], [much, much, 0.0, 0.0], GATE[2]];
    place.model("gate.onnx", &classifier(&rows, Activation::None));
    let allow = "allow: [activation, constant, scale]";
    let text = job("out", &format!("gate: {{models: [{{onnx: gate.onnx, multilabel: true}}]}}\n{allow}"));
    place.write("job.yaml", text);
    let ran =
        place.run("job.yaml").ends_with(1).says(&["model gate of the gate: the scores hold NaN or infinity"]);
    let (told, outputs) = (ran.json(), place.outputs("out"));
    let is_there = |n: usize| outputs.contains_key(&format!("masks/{n}.png"));
    assert!(!is_there(0) && is_there(1) && is_there(5), "{told}");
    assert_eq!(told["failed_images"], (0..IMAGES).filter(|n| !is_there(*n)).count());
}

/// Lanes and kills change no byte.
#[test]
fn kills_and_lanes_change_no_byte() {
    let place = place();
    let text = |store: &str| job(store, &format!("tiles: {{keep: true}}\n{GATED}"));
    run(&place, text("one"));
    let (wanted, said) = (place.outputs("one"), gates(&place, "one"));
    place.write("killed.yaml", text("killed"));
    place.run_killed("killed.yaml", &[40, 80, 120, 200]);
    place.marquetry(&["run", "killed.yaml", "--lanes", "3"]).ends_with(0);
    same_files(&place.outputs("killed"), &wanted);
    assert_eq!(gates(&place, "killed"), said);
}

/// With labels, what the gate denies is held against them.
#[test]
fn what_it_costs_is_told() {
    let place = place();
    for n in 0..IMAGES {
        // Every image truly has a crack in its first rows, and those that are green have a dent.
        let class = |at: usize| match at / WIDTH {
            0..7 => 1,
            10..20 if has(n)[1] => 2,
            _ => 0,
        };
        place.write(&format!("labels/{n}.png"), grey_png(WIDTH, &(0..AREA).map(class).collect::<Vec<u8>>()));
    }
    let text = job("out", &format!("truth: labels\n{GATED}"))
        .replace("{masks: png}", "{masks: png}, {report: html}");
    place.write("job.yaml", text);
    let ran = place.run("job.yaml").ends_with(0);
    let told = ran.json();
    let crack = &told["gate"]["classes"][0];
    assert_eq!((&crack["truth"]["has"], &crack["truth"]["allowed"]), (&6.into(), &3.into()), "{told}");
    assert_eq!(crack["truth"]["denied_pixels"], 3 * 7 * WIDTH);
    assert_eq!(told["gate"]["classes"][1]["truth"]["allowed"], 2);
    // With the threshold that it tells none is lost, of so few.
    let keeps = crack["truth"]["keeps"].as_f64().expect("a threshold");
    assert!(keeps < crack["threshold"].as_f64().expect("a threshold"), "{told}");
    let gate = format!(
        "truth: labels\ngate: {{models: [{{onnx: gate.onnx}}], threshold: {{crack: {keeps}, dent: 0.5}}}}\n"
    );
    place.write("lower.yaml", job("kept", &gate));
    let kept = place.run("lower.yaml").ends_with(0).json();
    assert_eq!(kept["gate"]["classes"][0]["truth"]["allowed"], 6, "{kept}");
    let ran =
        ran.says(&["`crack` is denied in 3 of 6 images that truly have it (1, 3, 5)", "(recall 50.0 %)"]);
    assert!(!ran.stderr.contains("`dent` is denied"), "{}", ran.stderr);
    let report = std::fs::read_to_string(place.path(&format!("{}/out/report.html", place.job_folder("out"))));
    let report = report.expect("a report");
    assert!(
        report.contains("the gate denied `crack` in 3, `dent` in 4")
            && report.contains("its threshold 0.5 is too high")
    );
}

/// What is outside of a region stays what it is said to be, and a cascade spares what it spares.
#[test]
fn a_gate_goes_with_a_region_and_with_rounds() {
    let place = place();
    let inside: Vec<u8> = (0..AREA).map(|at| u8::from(at / WIDTH > 20)).collect();
    for n in 0..IMAGES {
        place.write(&format!("masks/{n}.png"), grey_png(WIDTH, &inside));
    }
    let region = "tiles: {dtype: f32}\nregion: {from: masks, margin: 0, class: crack}\n";
    run(&place, job("free", "tiles: {dtype: f32}"));
    run(&place, job("whole", &format!("tiles: {{dtype: f32}}\n{GATED}")));
    run(&place, job("part", &format!("{region}{GATED}")));
    let (whole, part) = (place.outputs("whole"), place.outputs("part"));
    for n in 0..IMAGES {
        let labels = |files: &Files| Mask::from_png(&files[&format!("masks/{n}.png")]).labels;
        let (whole, part) = (labels(&whole), labels(&part));
        let wanted = (0..AREA).map(|at| if inside[at] == 1 { whole[at] } else { 1 });
        assert!(wanted.eq(part), "image {n}");
    }
    place.model("m_fold0.onnx", &linear(&SEGMENTS)).model("n_fold1.onnx", &linear(&SEGMENTS));
    let rounds = |store: &str, more: &str| {
        job(
            store,
            &format!(
                "tiles: {{dtype: f32, per: member}}\ncascade: {{first: {{fold: 0}}, margin: 1}}\n{more}"
            ),
        )
        .replace("{onnx: m.onnx}", "{onnx: m_fold0.onnx}, {onnx: n_fold1.onnx}")
    };
    run(&place, rounds("rounds-free", ""));
    run(&place, rounds("rounds", GATED));
    is_gated(&place.outputs("rounds-free"), &place.outputs("rounds"), denied, |p| {
        greatest(p.iter().copied())
    });
}

/// Rounds in time are plain jobs, and each asks the gate.
#[test]
fn a_job_in_time_asks_the_gate_too() {
    let place = place();
    place.model("n.onnx", &linear(&[SEGMENTS[0], SEGMENTS[2], SEGMENTS[1]]));
    let text =
        |store: &str| job(store, GATED).replace("[{onnx: m.onnx}]", "[{onnx: m.onnx}, {onnx: n.onnx}]");
    let plain = text("plain").replace("store: plain", "store: plain\ntiles: {per: member}");
    run(&place, plain);
    place.write("job.yaml", text("timed"));
    let told =
        place.marquetry(&["run", "job.yaml", "--finish-in", "1h", "--format", "json"]).ends_with(0).json();
    let folder = told["outputs"].as_str().expect("a folder");
    let plain = place.outputs("plain");
    for n in 0..IMAGES {
        let name = format!("masks/{n}.png");
        let mask = std::fs::read(std::path::Path::new(folder).join(&name)).expect("a mask");
        assert!(mask == plain[&name], "{name}");
    }
}
