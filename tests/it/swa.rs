//! `marquetry swa`: the mean of checkpoints, by the real binary.

use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_onnx::toy::{Net, Style, WIDTH};
use marquetry_onnx::{FloatType, Model, batch_norms, numbers_at};
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
             defaults: {{window: {{size: 64}}, input: {{scale: auto, mean: 0, std: 1}}}}\noutputs: [{{masks: png}}]\nstore: store-{model}\n"
        );
        place.write("job.yaml", job);
        let ran = place.run("job.yaml");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    assert_eq!(place.outputs("store-mean"), place.outputs("store-expected"));
}

/// Halves in the file are halves in the mean, each rounded once, and ONNX Runtime runs it.
#[test]
fn halves_stay_halves() {
    let place = Place::new();
    let style = Style { element: FloatType::F16, ..Style::default() };
    let halves: Vec<Net> = (1..=2).map(|seed| Net::seeded(seed, 2).written(style.clone())).collect();
    place.write("a.onnx", halves[0].bytes()).write("b.onnx", halves[1].bytes());
    place.marquetry(&["swa", "a.onnx", "b.onnx", "-o", "mean.onnx"]).ends_with(0);
    // What the files hold is rounded to halves before it is averaged.
    let rounded: Vec<Net> = halves
        .iter()
        .map(|net| {
            net.with_numbers(
                &net.numbers().iter().map(|n| half::f16::from_f32(*n).to_f32()).collect::<Vec<_>>(),
            )
        })
        .collect();
    let found = std::fs::read(place.path("mean.onnx")).expect("the file");
    assert!(found.starts_with(&mean(&rounded, &[1.0; 2]).bytes()));
    let facts = place.marquetry(&["inspect", "mean.onnx", "--format", "json"]).ends_with(0).json();
    assert_eq!(facts["heads"][0]["scores"]["classes"], 2, "{facts}");
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
    // A type that this ONNX Runtime has no convolution for: the files are no worse than their mean.
    for (name, seed) in [("x.onnx", 3), ("y.onnx", 4)] {
        let style = Style { element: FloatType::BF16, ..Style::default() };
        place.write(name, Net::seeded(seed, 2).written(style).bytes());
    }
    swa(&["x.onnx", "y.onnx"]).ends_with(65).says(&["is not written", "the first of them cannot be loaded"]);
    assert!(!place.path("mean.onnx").exists());
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
    assert_eq!(left.len(), 9, "nothing half written is left: {left:?}");
    swa(&["folded.onnx", "folded.onnx"]).ends_with(0).says(&[
        "optimize=False",
        "TrainingMode.PRESERVE",
        "counts twice",
    ]);
}

/// A convolution of 3 × 3 px with a border of zeros, in the plainest way: planes `[channels, SIDE, SIDE]`.
fn convolved(planes: &[Vec<f64>], weight: &[f32]) -> Vec<Vec<f64>> {
    let channels = planes.len();
    let at = |plane: &[f64], y: i64, x: i64| {
        let inside = |v: i64| (0..SIDE as i64).contains(&v);
        if inside(y) && inside(x) { plane[(y * SIDE as i64 + x) as usize] } else { 0.0 }
    };
    let pixel = |filter: &[f32], y: i64, x: i64| -> f64 {
        let taps = (0..channels).flat_map(|c| (0..9).map(move |tap| (c, tap)));
        taps.map(|(c, tap)| {
            f64::from(filter[c * 9 + tap]) * at(&planes[c], y + tap as i64 / 3 - 1, x + tap as i64 % 3 - 1)
        })
        .sum()
    };
    let pixels = || (0..SIDE as i64).flat_map(|y| (0..SIDE as i64).map(move |x| (y, x)));
    weight.chunks(channels * 9).map(|filter| pixels().map(|(y, x)| pixel(filter, y, x)).collect()).collect()
}

const SIDE: usize = 32;

/// Mean and biased variance of each channel over all images, layer by layer, as they must be: in the plainest way.
fn statistics(net: &Net, images: &[Vec<Vec<f64>>]) -> Vec<[Vec<f64>; 2]> {
    let mut images = images.to_vec();
    let mut all = Vec::new();
    for block in &net.blocks {
        images.iter_mut().for_each(|image| *image = convolved(image, &block.weight));
        let count = (images.len() * SIDE * SIDE) as f64;
        let over = |c: usize, f: &dyn Fn(f64) -> f64| {
            images.iter().flat_map(|image| &image[c]).map(|v| f(*v)).sum::<f64>() / count
        };
        let means: Vec<f64> = (0..WIDTH).map(|c| over(c, &|v| v)).collect();
        let variances: Vec<f64> = (0..WIDTH).map(|c| over(c, &|v| (v - means[c]).powi(2))).collect();
        for image in &mut images {
            for (c, plane) in image.iter_mut().enumerate() {
                let factor = f64::from(block.scale[c]) / (variances[c] + 1e-5).sqrt();
                plane
                    .iter_mut()
                    .for_each(|v| *v = ((*v - means[c]) * factor + f64::from(block.bias[c])).max(0.0));
            }
        }
        all.push([means, variances]);
    }
    all
}

#[test]
fn statistics_are_those_of_the_images() {
    let place = Place::new();
    let nets = epochs(&place, 3);
    // The last image is another kind of one: a mean of means would not be the mean. Each has two windows, which overlap.
    let (wide, mut images) = (SIDE + SIDE / 2, Vec::new());
    for number in 0..5_u8 {
        let sample =
            |n: usize| ((n * 37 + usize::from(number) * 91) % 251) as u8 / (1 + 3 * u8::from(number == 4));
        let rgb: Vec<u8> = (0..SIDE * wide * 3).map(sample).collect();
        for left in [0, SIDE / 2] {
            let places = || (0..SIDE).flat_map(|y| (left..left + SIDE).map(move |x| y * wide + x));
            let plane = |c: usize| places().map(|at| f64::from(rgb[at * 3 + c]) / 255.0).collect();
            images.push((0..3).map(plane).collect::<Vec<Vec<f64>>>());
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, wide as u32, SIDE as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().and_then(|mut writer| writer.write_image_data(&rgb)).expect("a PNG");
        place.write(&format!("images/{number}.png"), file);
    }
    let job = |members: &str| {
        format!(
            "version: 1\nimages: images\nclasses: [a, b]\nmembers: {members}\n\
             defaults: {{window: {{size: 32, overlap: 0}}, input: {{mean: 0, std: 1}}}}\noutputs: [{{masks: png}}]\n"
        )
    };
    place.write("job.yaml", job("[{onnx: \"net_epoch*.onnx\"}]"));
    let files = ["net_epoch0.onnx", "net_epoch1.onnx", "net_epoch2.onnx"];
    let swa = |more: &[&str]| place.marquetry(&[&["swa"], &files[..], more].concat());
    let asked = ["-o", "mean.onnx", "--bn", "reestimate", "--job", "job.yaml", "--format", "json"];
    let document = swa(&asked).ends_with(0).json();
    assert_eq!(document["bn"], "reestimate");
    assert_eq!(
        document["bn_measured"],
        json!({"job": "job.yaml", "images": 5, "windows": 10, "pixels": 10 * SIDE * SIDE})
    );
    let found = std::fs::read(place.path("mean.onnx")).expect("the file");
    let mean = mean(&nets, &[1.0; 3]);
    let layers = batch_norms(&Model::read(&found).expect("a model").graph);
    for (layer, expected) in layers.iter().zip(statistics(&mean, &images)) {
        for (slot, expected) in [layer.mean(), layer.variance()].into_iter().zip(expected) {
            let numbers = numbers_at(&found, slot).expect("numbers");
            for (number, expected) in numbers.iter().zip(&expected) {
                assert!((number - expected).abs() < 1e-6, "{}: {numbers:?} {expected:?}", layer.said);
            }
        }
    }
    // All else is the mean.
    let kept = |slot| numbers_at(&found, slot).expect("numbers");
    for (layer, block) in layers.iter().zip(&mean.blocks) {
        let scale = marquetry_onnx::Slot { node: layer.node, input: 1 };
        assert_eq!(kept(scale), block.scale.iter().map(|s| f64::from(*s)).collect::<Vec<_>>());
    }
    swa(&asked).ends_with(0);
    assert_eq!(
        std::fs::read(place.path("mean.onnx")).expect("the file"),
        found,
        "whichever lane had which window"
    );
    let few = swa(&[&asked[..], &["--bn-windows", "2"]].concat()).ends_with(0).json();
    assert_eq!(few["bn_measured"]["windows"], 2);

    swa(&["-o", "m.onnx", "--bn", "reestimate"]).ends_with(64).says(&["--job"]);
    swa(&["-o", "m.onnx", "--job", "job.yaml"]).ends_with(64).says(&["--bn reestimate"]);
    place.write("two.yaml", job("[{onnx: net_epoch0.onnx}, {onnx: net_epoch1.onnx, input: {mean: 0.5}}]"));
    swa(&["-o", "m.onnx", "--bn", "reestimate", "--job", "two.yaml"]).ends_with(65).says(&["several kinds"]);
    place.write("folded.onnx", mean.written(Style { folded: 2, ..Style::default() }).bytes());
    let folded =
        ["swa", "folded.onnx", "folded.onnx", "-o", "m.onnx", "--bn", "reestimate", "--job", "job.yaml"];
    place.marquetry(&folded).ends_with(65).says(&["no BatchNorm to measure", "optimize=False"]);
    assert!(!place.path("m.onnx").exists());
    // An image that cannot be read is told and left out.
    place.write("images/9.png", b"no picture");
    let left = swa(&asked).ends_with(0);
    assert_eq!(left.json()["bn_measured"]["images"], 5);
    left.says(&["image 9 is left out"]);
}

/// Images, and a job over them whose truth is what `model` says of them.
pub(crate) fn judged_by(place: &Place, model: &str) {
    for number in 0..4 {
        place.write(&format!("images/{number}.bmp"), bmp(40, 56, number + 3));
    }
    let head = "version: 1\nimages: images\nclasses: [a, b]\ndefaults: {window: {size: 32}, input: {mean: 0, std: 1}}\n";
    place.write(
        "masks.yaml",
        format!("{head}members: [{{onnx: {model}}}]\noutputs: [{{masks: png}}]\nstore: truth\n"),
    );
    let ran = place.run("masks.yaml");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let masks = format!("{}/out/masks", place.job_folder("truth"));
    place.write(
        "judged.yaml",
        format!("{head}members: [{{onnx: {model}}}]\noutputs: [{{masks: png}}]\ntruth: {masks}\n"),
    );
}

/// `net` with each number moved by up to `by`, to one side or the other.
fn moved(net: &Net, by: f32, seed: usize) -> Net {
    let numbers = net.numbers();
    let moved = numbers
        .iter()
        .enumerate()
        .map(|(n, number)| number + by * (((n * 2_654_435_761 + seed * 40_503) % 1009) as f32 / 504.5 - 1.0));
    net.with_numbers(&moved.collect::<Vec<_>>())
}

#[test]
fn the_best_are_taken_while_the_score_does_not_fall() {
    let place = Place::new();
    let good = Net::seeded(1, 2);
    place.write("good.onnx", good.bytes());
    judged_by(&place, "good.onnx");
    let here = moved(&good, 0.02, 1);
    // What is as far on the other side: the mean of the two is the good one but for rounding.
    let there: Vec<f32> = good.numbers().iter().zip(here.numbers()).map(|(g, h)| 2.0 * g - h).collect();
    let there = good.with_numbers(&there);
    place.write("here.onnx", here.bytes()).write("there.onnx", there.bytes());
    place.write("bad.onnx", Net::seeded(77, 2).bytes());
    let asked =
        ["swa", "bad.onnx", "here.onnx", "there.onnx", "-o", "best.onnx", "--greedy", "--job", "judged.yaml"];
    let ran = place.marquetry(&[&asked[..], &["--format", "json"]].concat()).ends_with(0);
    let document = ran.json();
    let files: Vec<&str> =
        document["members"].as_array().expect("members").iter().filter_map(|m| m["file"].as_str()).collect();
    assert_eq!(files, ["here.onnx", "there.onnx"], "{}", ran.stderr);
    ran.says(&["left out, since the mean scores worse with them: bad.onnx"]);
    let found = std::fs::read(place.path("best.onnx")).expect("the file");
    assert!(found.starts_with(&mean(&[here, there], &[1.0; 2]).bytes()));

    // The scores are those that `evaluate` finds in the masks of a job.
    let head = "version: 1\nimages: images\nclasses: [a, b]\ndefaults: {window: {size: 32}, input: {mean: 0, std: 1}}\n";
    place.write(
        "bad.yaml",
        format!("{head}members: [{{onnx: bad.onnx}}]\noutputs: [{{masks: png}}]\nstore: bad\n"),
    );
    assert_eq!(place.run("bad.yaml").code, Some(0));
    let masks = |store: &str| format!("{}/out/masks", place.job_folder(store));
    let (pred, truth) = (masks("bad"), masks("truth"));
    let evaluated = place.marquetry(&[
        "evaluate",
        "--pred",
        &pred,
        "--truth",
        &truth,
        "--classes",
        "a,b",
        "--format",
        "json",
    ]);
    let expected = evaluated.ends_with(0).json()["mean_iou"]["dataset"].clone();
    let score = |what: &str| {
        let all = document["scores"].as_array().expect("scores");
        all.iter().find(|score| score["what"] == what).expect("a score")["mean_iou"].clone()
    };
    assert_eq!(score("bad.onnx"), expected);
    assert!(expected.as_f64() < score("here.onnx").as_f64());

    let needs = |more: &[&str]| {
        place.marquetry(&[&["swa", "here.onnx", "there.onnx", "-o", "m.onnx"], more].concat())
    };
    needs(&["--greedy"]).ends_with(64).says(&["--greedy needs images with truth"]);
    needs(&["--bn", "auto"]).ends_with(64).says(&["--bn auto needs images with truth"]);
    needs(&["--greedy", "--job", "masks.yaml"]).ends_with(65).says(&["has no `truth`"]);
    needs(&["--greedy", "--weights", "1,2", "--job", "judged.yaml"]).ends_with(64).says(&["--weights"]);
}

#[test]
fn two_valleys_are_told_by_the_model_halfway() {
    let place = Place::new();
    let good = Net::seeded(1, 2);
    // The same network with its channels in another order says the same of every image.
    let mut other = good.clone();
    let turned = |rows: &mut Vec<f32>, each: usize| {
        *rows = rows.chunks(each).rev().flatten().copied().collect();
    };
    for block in &mut other.blocks {
        let each = block.weight.len() / WIDTH;
        turned(&mut block.weight, each);
        for vector in [&mut block.scale, &mut block.bias, &mut block.mean, &mut block.variance] {
            vector.reverse();
        }
    }
    let inputs = |weight: &mut Vec<f32>, area: usize| {
        let filter = |filter: &[f32]| filter.chunks(area).rev().flatten().copied().collect::<Vec<_>>();
        *weight = weight.chunks(WIDTH * area).flat_map(filter).collect();
    };
    inputs(&mut other.blocks[1].weight, 9);
    inputs(&mut other.head, 1);
    place.write("good.onnx", good.bytes()).write("other.onnx", other.bytes());
    judged_by(&place, "good.onnx");
    let asked = ["swa", "good.onnx", "other.onnx", "-o", "m.onnx", "--bn", "auto", "--job", "judged.yaml"];
    place.marquetry(&asked).ends_with(65).says(&[
        "mean IoU 1.0000  good.onnx",
        "mean IoU 1.0000  other.onnx",
        "the model halfway between them scores",
        "not of one valley",
    ]);
    assert!(!place.path("m.onnx").exists());
    place
        .marquetry(&[&asked[..], &["--force"]].concat())
        .ends_with(0)
        .says(&["warning", "not of one valley"]);
}

#[test]
fn statistics_are_taken_where_they_score_better() {
    let place = Place::new();
    let good = Net::seeded(1, 2);
    let (here, there) = (moved(&good, 0.01, 1), moved(&good, 0.01, 2));
    place.write("here.onnx", here.bytes()).write("there.onnx", there.bytes());
    let asked = |bn: &str, out: &str, job: &str| {
        place
            .marquetry(&[
                "swa",
                "here.onnx",
                "there.onnx",
                "-o",
                out,
                "--bn",
                bn,
                "--job",
                job,
                "--format",
                "json",
            ])
            .ends_with(0)
            .json()
    };
    // The truth is what the mean says with the statistics that it has.
    place.marquetry(&["swa", "here.onnx", "there.onnx", "-o", "kept.onnx"]).ends_with(0);
    judged_by(&place, "kept.onnx");
    let document = asked("auto", "auto.onnx", "judged.yaml");
    assert_eq!(document["bn"], "keep", "{document}");
    let bytes = |name: &str| std::fs::read(place.path(name)).expect("the file");
    assert_eq!(bytes("auto.onnx"), bytes("kept.onnx"));
    // And now what it says with those of the images.
    asked("reestimate", "measured.onnx", "judged.yaml");
    std::fs::remove_dir_all(place.path("truth")).expect("the store");
    judged_by(&place, "measured.onnx");
    let document = asked("auto", "auto.onnx", "judged.yaml");
    assert_eq!(document["bn"], "reestimate", "{document}");
    assert_eq!(bytes("auto.onnx"), bytes("measured.onnx"));
    let scores = document["scores"].as_array().expect("scores");
    let measured = scores.iter().find(|score| score["what"] == "the mean, BatchNorm measured").expect("it");
    assert_eq!(measured["mean_iou"], 1.0);
}
