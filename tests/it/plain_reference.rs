//! Law 4: the whole system equals a single process without tiles and blocks, written apart in NumPy.

use crate::decode::{Mask, zarr};
use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const CLASSES: usize = 12;
/// Height and width, px. With twelve classes a block of 1 MB is about 148 px squared, so the large one has many; the
/// small one is smaller than every window.
const IMAGES: [(&str, usize, usize); 2] = [("large", 302, 430), ("small", 52, 30)];

/// The members as the reference reads them. The job file says the same in its own words.
fn members() -> Vec<Value> {
    let weights = |seed: usize| (0..CLASSES).map(|c| 0.25 + ((c * 7 + seed * 5) % 8) as f64 / 4.0).collect();
    let weights: Vec<Vec<f64>> = (0..3).map(weights).collect();
    let (mean, std) = ([0.5, 0.4375, 0.375], [0.25, 0.1875, 0.25]);
    vec![
        json!({"onnx": "a.onnx", "scale": 1.0, "window": [64, 64], "stride": [32, 32], "edges": "shift",
            "importance": "gaussian", "padding": "reflect", "mean": mean, "std": std, "weights": weights[0]}),
        json!({"onnx": "b.onnx", "scale": 0.6, "window": [48, 48], "stride": [20, 20], "edges": "spread",
            "importance": "constant", "padding": "reflect", "mean": mean, "std": std, "weights": weights[1]}),
        json!({"onnx": "c.onnx", "scale": 1.0, "window": [40, 72], "stride": [24, 40], "edges": "pad",
            "importance": "gaussian", "padding": "replicate", "mean": mean, "std": std, "weights": weights[2]}),
    ]
}

const D4: [&str; 8] =
    ["identity", "hflip", "vflip", "rot90", "rot180", "rot270", "transpose", "antitranspose"];
const HFLIP: [&str; 2] = ["identity", "hflip"];

fn job(space: &str, dtype: &str, views: &str) -> String {
    let names: Vec<String> = (0..CLASSES).map(|c| format!("c{c}")).collect();
    let members = members().into_iter().map(|member| {
        json!({"onnx": member["onnx"], "scale": member["scale"], "weight": member["weights"],
            "input": {"mean": member["mean"], "std": member["std"]},
            "window": {"size": member["window"], "stride": member["stride"], "edges": member["edges"],
                "importance": member["importance"], "padding": member["padding"]}})
    });
    // JSON is YAML.
    json!({"version": 1, "images": "images", "classes": names, "members": members.collect::<Vec<_>>(),
        "tta": {"views": views}, "merge": {"space": space}, "tiles": {"dtype": dtype}, "limits": {"block_mb": 1},
        "outputs": [{"masks": "png"}, {"probabilities": "zarr"}], "store": format!("store-{space}-{dtype}")})
    .to_string()
}

fn place() -> Place {
    let place = Place::new();
    for (seed, (name, height, width)) in IMAGES.into_iter().enumerate() {
        place.write(&format!("images/{name}.bmp"), bmp(height, width, seed as u64));
    }
    for (name, seed, kernel) in [("a", 1, 5), ("b", 2, 3), ("c", 3, 7)] {
        let weights = Weights::Seeded(seed);
        place.model(
            &format!("{name}.onnx"),
            &Toy { classes: CLASSES as u32, kernel, weights, ..Toy::default() },
        );
    }
    place
}

/// Writes scores and labels of every image to `reference-<space>-<image>.{f32,u8}`.
fn reference(place: &Place, space: &str, views: &[&str]) {
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/reference.py"));
    for (name, ..) in IMAGES {
        let members: Vec<_> = members()
            .into_iter()
            .map(|mut member| {
                member["views"] = json!(views);
                member
            })
            .collect();
        let result = format!("reference-{space}-{name}");
        let description = json!({"image": format!("images/{name}.bmp"), "space": space, "members": members,
            "scores": format!("{result}.f32"), "labels": format!("{result}.u8")});
        place.write(&format!("{result}.json"), description.to_string());
        command.arg(format!("{result}.json"));
    }
    let said = command.current_dir(place.path("")).output().expect("python3 runs");
    assert!(
        said.status.success(),
        "the reference needs numpy and onnxruntime (`cargo xtask test` has them):\n{}",
        String::from_utf8_lossy(&said.stderr)
    );
}

/// The scores `[C, H, W]` and labels `[H, W]` of the reference.
fn expected(place: &Place, space: &str, image: &str) -> (Vec<f32>, Vec<u8>) {
    let read = |ending: &str| {
        std::fs::read(place.path(&format!("reference-{space}-{image}.{ending}")))
            .expect("the reference wrote it")
    };
    let number = |b: &[u8]| f32::from_le_bytes(b.try_into().expect("four bytes"));
    (read("f32").chunks_exact(4).map(number).collect(), read("u8"))
}

/// How far the best class of a pixel is above the second best.
fn lead(scores: &[f32], pixel: usize) -> f32 {
    let area = scores.len() / CLASSES;
    let mut all: Vec<f32> = (0..CLASSES).map(|c| scores[c * area + pixel]).collect();
    all.sort_by(f32::total_cmp);
    all[CLASSES - 1] - all[CLASSES - 2]
}

/// Runs the job with both kinds of tiles and compares: with f32 tiles every label is the reference's; f16 tiles may
/// decide otherwise only where two classes are nearer to each other than their rounding.
fn compare(space: &str, view: &str, views: &[&str]) {
    let place = place();
    reference(&place, space, views);
    for dtype in ["f32", "f16"] {
        place.write("job.yaml", job(space, dtype, view));
        let summary = place.run("job.yaml").ends_with(0).json();
        assert!(summary["tally"]["tasks_computed"].as_u64() > Some(20), "many blocks: {summary}");
        let files = place.outputs(&format!("store-{space}-{dtype}"));
        for (image, height, width) in IMAGES {
            let (scores, labels) = expected(&place, space, image);
            let mask = Mask::from_png(&files[&format!("masks/{image}.png")]);
            assert_eq!((mask.height, mask.width), (height, width));
            let wrong: Vec<usize> = (0..labels.len()).filter(|&p| labels[p] != mask.labels[p]).collect();
            let near = |p: &usize| dtype == "f16" && lead(&scores, *p) < 2e-3;
            assert!(
                wrong.iter().all(near),
                "{space} {dtype} {image}: {} of {} labels, the first at {:?}",
                wrong.len(),
                labels.len(),
                wrong.first().map(|p| (p / width, p % width, lead(&scores, *p)))
            );
            let (shape, found) = zarr(&files, &format!("probabilities/{image}.zarr"));
            assert_eq!(shape, [CLASSES, height, width]);
            let worst = found.iter().zip(&scores).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 1e-3, "{space} {dtype} {image}: off by {worst}");
            assert!(found.iter().all(|p| p.is_finite()));
        }
    }
}

#[test]
fn probabilities_with_all_views_of_the_square() {
    compare("probabilities", "d4", &D4);
}

#[test]
fn logits_with_a_mirrored_view() {
    compare("logits", "hflip", &HFLIP);
}
