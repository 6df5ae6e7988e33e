//! Tiles of single members are named by what they hold: a job with another member computes that one and finds the others.

use crate::fixture::{Place, same_files};
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;
use std::collections::BTreeMap;

const HEAD: &str = "
version: 1
name: changing
images: images
classes: [ground, a, b, c]
defaults: {window: {size: 64}}
tta: {views: [hflip]}
limits: {block_mb: 1}
tiles: {per: member, keep: true}
outputs: [{masks: png}, {probabilities: {format: zarr, dtype: f16}}, {submission: kaggle-rle}]
";
const ONE: &str = "  - {onnx: one.onnx}\n";
const TWO: &str = "  - {onnx: two.onnx, weight: 0.5, window: {size: 48, overlap: 0.25}}\n";
const THREE: &str = "  - {onnx: three.onnx, weight: 2}\n";

fn place() -> Place {
    let place = Place::new();
    for seed in 0..3 {
        place.write(
            &format!("images/{seed}.bmp"),
            bmp(90 + 20 * seed as usize, 110 - 10 * seed as usize, seed),
        );
    }
    for (name, seed) in [("one", 1), ("two", 2), ("three", 3)] {
        model(&place, name, seed);
    }
    place
}

fn model(place: &Place, name: &str, seed: u64) {
    let toy = Toy { classes: 4, kernel: 3, weights: Weights::Seeded(seed), ..Toy::default() };
    place.model(&format!("{name}.onnx"), &toy);
}

/// Runs the job of these members over the tiles that are kept, and in a fresh store, which must come to the same.
struct Runs {
    place: Place,
    count: usize,
}

impl Runs {
    fn new(place: Place) -> Self {
        Self { place, count: 0 }
    }

    /// Forwards that were run over kept tiles, and forwards that a fresh run takes.
    fn forwards(&mut self, head: &str, members: &[&str]) -> (u64, u64) {
        self.count += 1;
        let fresh = format!("fresh-{}", self.count);
        let [kept, fresh] = ["kept", &fresh].map(|store| {
            let job = format!("{head}store: {store}\nmembers:\n{}", members.concat());
            self.place.write("job.yaml", job);
            let summary = self.place.run("job.yaml").ends_with(0).json();
            (count(&summary), outputs(&self.place, store, &summary))
        });
        same_files(&fresh.1, &kept.1);
        (kept.0, fresh.0)
    }
}

fn count(summary: &Value) -> u64 {
    summary["tally"]["forwards"].as_u64().expect("a number")
}

fn outputs(place: &Place, store: &str, summary: &Value) -> BTreeMap<String, Vec<u8>> {
    place.files(&format!("{store}/jobs/{}/out", summary["job"].as_str().expect("a job")))
}

#[test]
fn another_member_is_computed_and_the_others_are_found() {
    let mut runs = Runs::new(place());
    let (two, all) = runs.forwards(HEAD, &[ONE, TWO]);
    assert!(two > 0 && two == all);
    let (third, three) = runs.forwards(HEAD, &[ONE, TWO, THREE]);
    assert_eq!(third, three - two, "what the third one takes");
    assert_eq!(runs.forwards(HEAD, &[THREE, ONE, TWO]).0, 0, "in another order");
    assert_eq!(runs.forwards(HEAD, &[THREE, TWO]).0, 0, "without one");
    let named = "  - {onnx: one.onnx, name: first, tags: {fold: 7}, weight: 3}\n";
    assert_eq!(runs.forwards(HEAD, &[named, TWO]).0, 0, "under another name");
    let (twice, _) = runs.forwards(HEAD, &[ONE, TWO, "  - {onnx: one.onnx, name: again}\n"]);
    assert_eq!(twice, 0, "one that is there twice");

    model(&runs.place, "one", 77);
    let (changed, all) = runs.forwards(HEAD, &[ONE, TWO, THREE]);
    assert!(changed > 0 && changed < all, "one whose weights have changed: {changed} of {all}");
    let (window, all) = runs.forwards(HEAD, &[ONE, &TWO.replace("48", "32"), THREE]);
    assert!(window > 0 && window < all, "one with another window: {window} of {all}");
    let views = HEAD.replace("[hflip]", "[vflip]");
    let (views, all) = runs.forwards(&views, &[ONE, TWO]);
    assert_eq!(views, all, "other views are other scores");
}

/// Each image is seen by the members of its own fold: a new fold computes what it sees.
#[test]
fn a_fold_that_is_new_computes_its_own_images() {
    let place = place();
    place.write("images.csv", "image_id,path,fold\nx,images/0.bmp,0\ny,images/1.bmp,1\nz,images/2.bmp,2\n");
    let head = HEAD.replace("images: images", "images: images.csv\nfolds: out_of_fold");
    let fold = |n: u32, model: &str| format!("  - {{onnx: {model}.onnx, name: f{n}, tags: {{fold: {n}}}}}\n");
    let folds = [fold(0, "one"), fold(1, "two"), fold(2, "three")];
    let mut runs = Runs::new(place);
    let (first, all) = runs.forwards(&head, &[&folds[0], &folds[1], &folds[2]]);
    assert!(first == all);
    let seed = fold(1, "three").replace("name: f1", "name: f1s1");
    let (second, all) = runs.forwards(&head, &[&folds[0], &seed, &folds[1], &folds[2]]);
    assert_eq!(second, all - first, "the second one of fold 1 sees one image");
}
