//! Law 4: the whole system equals a single process without tiles and blocks, written apart in NumPy. Both read the same
//! job file.

use crate::decode::{Mask, zarr};
use crate::fixture::Place;
use crate::pictures::bmp;
use half::f16;
use marquetry_geometry::Size;
use marquetry_model::Activation;
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

pub(crate) const CLASSES: usize = 12;
/// An image smaller than every window, px.
const SMALL: [usize; 2] = [52, 30];

/// A job and its images.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Height and width of the larger of two images, px. With twelve classes a block of 1 MB is about 148 px squared.
    pub(crate) large: [usize; 2],
    /// `members`, and whatever else is not as usual.
    pub(crate) words: Value,
    pub(crate) tiles: &'static [Tiles],
}

/// How tiles are stored, and what that allows.
#[derive(Debug)]
pub(crate) struct Tiles {
    dtype: &'static str,
    /// How far scores may be from the plain reference's.
    near: f32,
    /// A label that was decided by no more than this may be another one.
    undecided: f32,
}

/// Sums of a few hundred f32 numbers up to 1 differ by less than 1e-6 from those in f64.
pub(crate) const F32: Tiles = Tiles { dtype: "f32", near: 1e-5, undecided: 1e-6 };
pub(crate) const F16: Tiles = Tiles { dtype: "f16", near: 1e-3, undecided: 2e-3 };

/// What the plain reference says of one image.
struct Plain {
    /// Of which case.
    case: &'static str,
    image: &'static str,
    size: [usize; 2],
    /// `[C, H, W]`.
    scores: Vec<f32>,
    /// `[H, W]`, or `[C, H, W]` where classes share pixels.
    labels: Vec<u8>,
    /// By how much each label was decided.
    margin: Vec<f32>,
}

impl Plain {
    fn read(place: &Place, case: &'static str, image: &'static str, size: [usize; 2]) -> Self {
        let read =
            |what| std::fs::read(place.path(&format!("{image}.{what}"))).expect("the reference wrote it");
        let numbers = |what| -> Vec<f32> {
            let bytes = read(what);
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect()
        };
        let (scores, labels, margin) = (numbers("scores"), read("labels"), numbers("margin"));
        let area = size[0] * size[1];
        assert_eq!(scores.len(), CLASSES * area, "{case}, {image}");
        assert!(labels.len() == area || labels.len() == scores.len(), "{case}, {image}");
        assert_eq!(labels.len(), margin.len(), "{case}, {image}");
        Self { case, image, size, scores, labels, margin }
    }

    fn has_labels(&self, files: &BTreeMap<String, Vec<u8>>, tiles: &Tiles) {
        let [height, width] = self.size;
        let planes = self.labels.chunks_exact(height * width).zip(self.margin.chunks_exact(height * width));
        let several = planes.len() > 1;
        for (class, (labels, margin)) in planes.enumerate() {
            let file = if several { format!("{}/c{class}", self.image) } else { self.image.to_owned() };
            let mask = Mask::from_png(&files[&format!("masks/{file}.png")]);
            assert_eq!((mask.height, mask.width), (height, width));
            let wrong = |&p: &usize| labels[p] != mask.labels[p] && margin[p] >= tiles.undecided;
            let wrong: Vec<usize> = (0..labels.len()).filter(wrong).collect();
            assert!(
                wrong.is_empty(),
                "{}, {tiles:?}, {file}: {} of {} labels, the first at {:?}",
                self.case,
                wrong.len(),
                labels.len(),
                wrong.first().map(|p| (p / width, p % width, margin[*p]))
            );
        }
    }

    /// The output holds halves: each must be what a number near enough to the reference's is rounded to.
    fn has_scores(&self, files: &BTreeMap<String, Vec<u8>>, tiles: &Tiles) {
        let (shape, found) = zarr(files, &format!("probabilities/{}.zarr", self.image));
        assert_eq!(shape, [CLASSES, self.size[0], self.size[1]]);
        let round = |p: f32| f16::from_f32(p).to_f32();
        let near = |found: f32, p: f32| (round(p - tiles.near)..=round(p + tiles.near)).contains(&found);
        let wrong = found.iter().zip(&self.scores).filter(|(a, b)| !near(**a, **b));
        let worst = wrong.clone().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let n = wrong.count();
        let (case, image, all) = (self.case, self.image, found.len());
        assert!(n == 0, "{case}, {tiles:?}, {image}: {n} of {all} scores, off by up to {worst}");
    }
}

impl Case {
    /// Runs the job and the plain reference, and compares every label and score of every image.
    pub(crate) fn is_plain(&self) {
        let place = self.place();
        for tiles in self.tiles {
            place.write("job.json", self.job(tiles.dtype));
            let summary = place.run("job.json").ends_with(0).json();
            let whole = self.images().len() * self.words["members"].as_array().expect("members").len();
            assert!(
                summary["tally"]["tasks_computed"].as_u64() > Some(whole as u64),
                "{}: several blocks: {summary}",
                self.name
            );
        }
        self.reference(&place);
        for (image, size) in self.images() {
            let plain = Plain::read(&place, self.name, image, size);
            for tiles in self.tiles {
                let files = place.outputs(&format!("store-{}", tiles.dtype));
                plain.has_labels(&files, tiles);
                if self.has_probabilities() {
                    plain.has_scores(&files, tiles);
                }
            }
        }
    }

    fn images(&self) -> [(&'static str, [usize; 2]); 2] {
        [("large", self.large), ("small", SMALL)]
    }

    /// A folder with the images, and with every model that members may name.
    fn place(&self) -> Place {
        let place = Place::new();
        for (seed, (name, [height, width])) in self.images().into_iter().enumerate() {
            place.write(&format!("images/{name}.bmp"), bmp(height, width, seed as u64));
        }
        let toy = |seed, kernel| {
            let weights = Weights::Seeded(seed);
            Toy { classes: CLASSES as u32, kernel, weights, ..Toy::default() }
        };
        place
            .model("a.onnx", &toy(1, 5))
            .model("b.onnx", &toy(2, 3))
            .model("c.onnx", &toy(3, 7))
            .model("fixed.onnx", &Toy { size: Some(Size::new(48, 80)), ..toy(4, 3) })
            .model("softmax.onnx", &Toy { activation: Activation::Softmax, ..toy(5, 3) })
            .model("sigmoid.onnx", &Toy { activation: Activation::Sigmoid, ..toy(6, 3) })
            .model("centre.onnx", &Toy { valid: true, coarse: 4, ..toy(7, 7) })
            .model("coarse.onnx", &Toy { stride: 2, ..toy(8, 3) });
        place
    }

    /// Whether merged scores are probabilities. Others are not given out: only their labels can be seen.
    fn has_probabilities(&self) -> bool {
        let sums = matches!(self.words["tta"]["merge"].as_str(), Some("sum" | "tsharpen"));
        !sums || self.words["merge"]["space"] == "logits"
    }

    /// The job file; JSON is YAML.
    fn job(&self, dtype: &str) -> String {
        let names: Vec<String> = (0..CLASSES).map(|c| format!("c{c}")).collect();
        let mut outputs = vec![json!({"masks": "png"})];
        outputs.extend(self.has_probabilities().then(|| json!({"probabilities": "zarr"})));
        let mut job = json!({"version": 1, "images": "images", "classes": names, "limits": {"block_mb": 1},
            "tiles": {"dtype": dtype}, "outputs": outputs, "store": format!("store-{dtype}")});
        let own = self.words.as_object().expect("the words of a job").clone();
        job.as_object_mut().expect("a job").extend(own);
        job.to_string()
    }

    fn reference(&self, place: &Place) {
        let mut command = Command::new("python3");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/reference.py")).arg("job.json");
        for (image, _) in self.images() {
            command.args([&format!("images/{image}.bmp"), image]);
        }
        let said = command.current_dir(place.path("")).output().expect("python3 runs");
        assert!(
            said.status.success(),
            "{}: the reference needs numpy and onnxruntime (`cargo xtask test` has them):\n{}",
            self.name,
            String::from_utf8_lossy(&said.stderr)
        );
    }
}

/// Three members of other sizes and strides, one for each way to end at a border.
fn members() -> Value {
    let weights = |seed: usize| (0..CLASSES).map(|c| 0.25 + ((c * 7 + seed * 5) % 8) as f64 / 4.0).collect();
    let weights: Vec<Vec<f64>> = (0..3).map(weights).collect();
    let input = json!({"mean": [0.5, 0.4375, 0.375], "std": [0.25, 0.1875, 0.25]});
    json!([
        {"onnx": "a.onnx", "weight": weights[0], "input": input,
            "window": {"size": 64, "stride": 32, "edges": "shift"}},
        {"onnx": "b.onnx", "weight": weights[1], "input": input, "scale": 0.6,
            "window": {"size": 48, "stride": 20, "edges": "spread", "importance": "constant"}},
        {"onnx": "c.onnx", "weight": weights[2], "input": input,
            "window": {"size": [40, 72], "stride": [24, 40], "edges": "pad", "padding": "replicate"}},
    ])
}

#[test]
fn probabilities_with_all_views_of_the_square() {
    let words = json!({"members": members(), "tta": {"views": "d4"}});
    Case { name: "d4", large: [302, 430], words, tiles: &[F32, F16] }.is_plain();
}

#[test]
fn logits_with_a_mirrored_view() {
    let words = json!({"members": members(), "tta": {"views": "hflip"}, "merge": {"space": "logits"}});
    Case { name: "hflip", large: [302, 430], words, tiles: &[F32, F16] }.is_plain();
}
