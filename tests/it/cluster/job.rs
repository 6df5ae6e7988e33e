//! The job that clusters run, and what one process makes of it.

use crate::fixture::Place;
use crate::pictures::{bmp, grey_png};
use marquetry_model::toy::{Toy, Weights};
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

/// 50 tasks in two groups, with everything that an order of arrival could change. Say where its store is.
const JOB: &str = "
version: 1
images: images
classes: [ground, a, b, c, d, e, f, g, h, i, j, k]
defaults: {window: {size: 64}}
members:
  - {onnx: one.onnx}
  - {onnx: two.onnx, scale: 0.5, weight: 0.5}
tta: {views: [hflip]}
decide: {min_area: 6}
limits: {block_mb: 1}
outputs:
  - {masks: png}
  - {probabilities: zarr}
  - {submission: kaggle-rle}
  - {coco: rle}
  - {evaluation: html}
  - {label_quality: html}
  - {report: html}
truth: {from: truth, suffix: -right}
";

/// Images of the job.
pub(crate) const IMAGES: u64 = 6;

/// Height and width of an image of the job.
const fn size(seed: u64) -> (usize, usize) {
    (180 + 20 * seed as usize, 330 - 10 * seed as usize)
}

/// The files that [`JOB`] names.
static FILES: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let mut files = BTreeMap::new();
    for seed in 0..IMAGES {
        let (height, width) = size(seed);
        files.insert(format!("images/{seed}.bmp"), bmp(height, width, seed));
    }
    // Some have labels that are right, and in these something is unknown.
    for seed in 1..IMAGES - 1 {
        let (height, width) = size(seed);
        let labels: Vec<u8> =
            (0..height * width).map(|at| if at % 31 == 0 { 255 } else { (at / 977 % 12) as u8 }).collect();
        files.insert(format!("truth/{seed}-right.png"), grey_png(width, &labels));
    }
    for (name, seed) in [("one", 1), ("two", 2)] {
        files.insert(format!("{name}.onnx"), model(seed).bytes());
    }
    files
});

/// A model of the job. Its kernel makes a run take some milliseconds.
pub(crate) fn model(seed: u64) -> Toy {
    Toy { classes: 12, kernel: 11, weights: Weights::Seeded(seed), ..Toy::default() }
}

/// A folder with the images and models of the job.
pub(crate) fn place() -> Place {
    let place = Place::new();
    for (name, bytes) in &*FILES {
        place.write(name, bytes);
    }
    place
}

/// Takes image number `image` out of the job's list.
pub(crate) fn take_image(place: &Place, image: u64) {
    std::fs::remove_file(place.path(&format!("images/{image}.bmp"))).expect("the image goes");
}

/// Puts image number `image` back, as somebody does who knows that others list the folder: whole at once.
pub(crate) fn give_image(place: &Place, image: u64) {
    let name = format!("images/{image}.bmp");
    let aside = format!("{image}.aside");
    place.write(&aside, &FILES[&name]);
    std::fs::rename(place.path(&aside), place.path(&name)).expect("the image comes");
}

/// The job file, with `more` lines at its end.
pub(crate) fn job(store: &str, more: &str) -> String {
    format!("{JOB}store: {store}\n{more}")
}

/// The outputs of `marquetry run`.
pub(crate) fn alone() -> &'static BTreeMap<String, Vec<u8>> {
    static ALONE: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    ALONE.get_or_init(|| {
        let place = place();
        place.write("job.yaml", job("store", ""));
        place.run("job.yaml").ends_with(0);
        place.outputs("store")
    })
}
