//! Linear models of one pixel, and what they must come to: every mask is compared with a computation of its own here, in
//! f64, from the pixels and the weights.

use crate::decode::Mask;
use crate::fixture::{Place, Ran};
use crate::pictures::{bmp, scene};
use marquetry_model::toy::{Toy, Weights};
use std::sync::LazyLock;

pub(crate) const HEIGHT: usize = 90;
pub(crate) const WIDTH: usize = 120;

/// Rows of a linear model of three channels: weights and a bias.
pub(crate) const ROWS: [[f32; 4]; 4] =
    [[3.0, -6.0, 2.0, 0.6], [-5.0, 2.0, 4.0, -0.4], [2.0, 5.0, -7.0, 0.2], [1.0, -2.0, 1.5, -0.1]];

pub(crate) fn linear(rows: &[[f32; 4]]) -> Toy {
    let weights = Weights::Linear(rows.iter().map(|row| row.to_vec()).collect());
    Toy { classes: rows.len() as u32, weights, ..Toy::default() }
}

/// What a linear model says of pixel `at`.
pub(crate) fn logits(rows: &[[f32; 4]], at: usize) -> Vec<f64> {
    static PIXELS: LazyLock<Vec<u8>> = LazyLock::new(|| scene(HEIGHT, WIDTH, 7));
    let pixels = &*PIXELS;
    let x: Vec<f64> = (0..3).map(|k| f64::from(pixels[at * 3 + k]) / 255.0).collect();
    let one = |row: &[f32; 4]| (0..3).map(|k| f64::from(row[k]) * x[k]).sum::<f64>() + f64::from(row[3]);
    rows.iter().map(one).collect()
}

pub(crate) fn softmax(z: &[f64]) -> Vec<f64> {
    let sum: f64 = z.iter().map(|z| z.exp()).sum();
    z.iter().map(|z| z.exp() / sum).collect()
}

pub(crate) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

pub(crate) fn place() -> Place {
    let place = Place::new();
    place.write("images/a.bmp", bmp(HEIGHT, WIDTH, 7));
    place
}

/// A job of these classes and members, in windows that do not overlap in their weights' effect: models see one pixel.
pub(crate) fn job(store: &str, classes: &str, members: &str, more: &str) -> String {
    format!(
        "version: 1\nname: classes\nimages: images\nclasses: {classes}\ndefaults: {{window: {{size: 48}}}}\nmembers: {members}\n\
         outputs: [{{masks: png}}, {{report: html}}]\nstore: {store}\n{more}\n"
    )
}

/// Fails the test unless the mask of the job in `store` is, pixel by pixel, the greatest of `scores`; where two of them
/// are as good as equal either will do.
#[track_caller]
pub(crate) fn is_greatest(place: &Place, store: &str, scores: impl Fn(usize) -> Vec<f64>) {
    let mask = Mask::from_png(&place.outputs(store)["masks/a.png"]);
    assert_eq!((mask.height, mask.width), (HEIGHT, WIDTH));
    let mut seen = [0_usize; 8];
    for (at, &label) in mask.labels.iter().enumerate() {
        let scores = scores(at);
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!(scores[usize::from(label)] > best - 2e-3, "pixel {at}: label {label} of {scores:?}");
        seen[usize::from(label)] += 1;
    }
    assert!(seen.iter().filter(|n| **n > 50).count() > 1, "a mask of one class shows nothing: {seen:?}");
}

/// Runs a job in one tile a group and in tiles of members: both must come to the greatest of `scores`.
#[track_caller]
pub(crate) fn comes_to(
    place: &Place,
    name: &str,
    classes: &str,
    members: &str,
    more: &str,
    scores: impl Fn(usize) -> Vec<f64>,
) -> Ran {
    let mut last = None;
    for per in ["group", "member"] {
        let store = format!("{name}-{per}");
        place.write("job.yaml", job(&store, classes, members, &format!("tiles: {{per: {per}}}\n{more}")));
        let ran = place.run("job.yaml").ends_with(0);
        is_greatest(place, &store, &scores);
        last = Some(ran);
    }
    last.expect("two runs")
}
