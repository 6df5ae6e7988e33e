//! The benchmark beside peers compares programs that do the same: its plain loop writes the labels that Marquetry writes, and
//! its bare loop runs as many forwards.

use crate::decode::Mask;
use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const CLASSES: u32 = 11;
/// Windows of 32 px every 16 px: the last of each axis is moved back into the image.
const SIZE: [usize; 2] = [100, 75];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

/// A Python program of the benchmark, with what stands in for OpenCV, and what it printed.
fn said(program: &str, args: &[String]) -> Value {
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/stand_in");
    let packages = std::env::var_os("PYTHONPATH").unwrap_or_default();
    let folders = [stand_in].into_iter().chain(std::env::split_paths(&packages));
    let mut command = Command::new("python3");
    command.arg(root().join("xtask/devtools/python").join(program)).args(args);
    command.env("PYTHONPATH", std::env::join_paths(folders).expect("folders have plain names"));
    let output = command.output().expect("python3 runs");
    assert!(
        output.status.success(),
        "{program} needs numpy and onnxruntime (`cargo xtask test` has them):\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_plain_loop_does_what_marquetry_does() {
    let place = Place::new();
    let names = ["a", "b"];
    for (seed, name) in names.into_iter().enumerate() {
        place.write(&format!("images/{name}.bmp"), bmp(SIZE[0], SIZE[1], seed as u64));
        let weights = Weights::Seeded(seed as u64);
        place.model(
            &format!("members/{seed}.onnx"),
            &Toy { classes: CLASSES, kernel: 5, weights, ..Toy::default() },
        );
    }
    let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let classes: Vec<String> = (0..CLASSES).map(|class| format!("class{class}")).collect();
    for views in ["d4", "none"] {
        let store = format!("store-{views}");
        let shown = if views == "none" { json!([]) } else { json!(views) };
        let job = json!({
            "version": 1, "images": "images", "classes": classes, "members": [{"onnx": "members/*.onnx"}],
            "defaults": {"input": {"mean": mean, "std": std}, "window": {"size": 32, "overlap": 0.5}},
            "tta": {"views": shown}, "tiles": {"dtype": "f32"}, "outputs": [{"masks": {"png": "grey"}}], "store": store,
        });
        place.write("job.json", job.to_string());
        let summary = place.run("job.json").ends_with(0).json();
        let case = json!({
            "folder": place.path(""), "classes": CLASSES, "window": 32, "overlap": 0.5, "views": views, "mean": mean, "std": std,
        });
        place.write("case.json", case.to_string());
        let files = place.outputs(&store);
        for workers in ["1", "2"] {
            let out = place.path(&format!("plain-{views}-{workers}"));
            let text = |path: &Path| path.to_string_lossy().into_owned();
            let told =
                said("peers/plain_loop.py", &[text(&place.path("case.json")), text(&out), workers.into()]);
            assert_eq!(told["forwards"], summary["tally"]["forwards"], "{views}, {workers}");
            assert!(told["seconds"].as_f64().expect("seconds") > 0.0);
            for name in names {
                let plain = std::fs::read(out.join(format!("{name}.png"))).expect("a mask");
                let ours = Mask::from_grey_png(&files[&format!("masks/{name}.png")]);
                assert_eq!([ours.height, ours.width], SIZE);
                let used: BTreeSet<u8> = plain.iter().copied().collect();
                assert!(used.len() > 2, "labels that say something: {used:?}");
                let unlike = plain.iter().zip(&ours.labels).filter(|(a, b)| a != b).count();
                assert_eq!((plain.len(), unlike), (ours.labels.len(), 0), "{views}, {workers}, {name}");
            }
        }
    }
}

#[test]
fn the_bare_loop_runs_as_often_as_it_is_told() {
    let place = Place::new();
    place.model("a.onnx", &Toy { classes: CLASSES, ..Toy::default() });
    place.model("b.onnx", &Toy { classes: CLASSES, kernel: 3, ..Toy::default() });
    let told = json!({
        "models": [place.path("a.onnx"), place.path("b.onnx")], "shape": [2, 3, 32, 32], "forwards": 12, "sessions": 2,
        "threads": 1,
    });
    let said = said("bare_loop.py", &[told.to_string()]);
    assert_eq!(said["forwards"], 12);
    let number = |name: &str| said[name].as_f64().unwrap_or_else(|| panic!("{name} in {said}"));
    assert!((number("rate") * number("seconds") - 12.0).abs() < 1e-6 && number("peak_bytes") > 0.0);
}
