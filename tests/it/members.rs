//! Tiles of single members, and images that some members score: what is inferred once is merged in any way.

use crate::decode::{Mask, zarr};
use crate::fixture::{Place, below, same_files};
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;

const HEAD: &str = "
version: 1
images: images
classes: [ground, a, b, c]
defaults: {window: {size: 64}}
tta: {views: [hflip]}
limits: {block_mb: 1}
";

fn place() -> Place {
    let place = Place::new();
    for seed in 0..3 {
        let (height, width) = (150 + 20 * seed as usize, 170 - 10 * seed as usize);
        place.write(&format!("images/{seed}.bmp"), bmp(height, width, seed));
    }
    for (name, seed) in [("m_fold0", 1), ("m_fold1", 2), ("m_fold2", 3)] {
        let weights = Weights::Seeded(seed);
        place.model(&format!("{name}.onnx"), &Toy { classes: 4, kernel: 3, weights, ..Toy::default() });
    }
    place
}

fn job(store: &str, weights: [f32; 3], more: &str) -> String {
    let [a, b, c] = weights;
    format!(
        "{HEAD}store: {store}
members:
  - {{onnx: m_fold0.onnx, weight: {a}}}
  - {{onnx: m_fold1.onnx, weight: {b}, scale: 0.5}}
  - {{onnx: m_fold2.onnx, weight: {c}}}
outputs: [{{masks: png}}, {{probabilities: {{format: zarr, dtype: f16}}}}]
{more}
"
    )
}

fn forwards(summary: &Value) -> (u64, u64) {
    let number = |key: &str| summary["tally"][key].as_u64().expect("a number");
    (number("forwards"), number("forwards_found"))
}

#[test]
fn other_weights_and_spaces_over_tiles_of_members_run_no_model() {
    let place = place();
    let tiles = "tiles: {per: member, keep: true, dtype: f32}";
    place.write("first.yaml", job("kept", [1.0, 1.0, 1.0], tiles));
    let (first, found) = forwards(&place.run("first.yaml").ends_with(0).json());
    assert!(first > 0 && found == 0);
    let before = place.outputs("kept");

    for (n, (weights, space)) in
        [([0.25, 2.0, 1.5], "probabilities"), ([1.0, 0.0, 3.0], "logits")].into_iter().enumerate()
    {
        let more = format!("{tiles}\nmerge: {{space: {space}}}");
        place.write("other.yaml", job("kept", weights, &more));
        let summary = place.run("other.yaml").ends_with(0).json();
        assert_eq!(forwards(&summary), (0, first), "no model runs for {weights:?} in {space}");
        let after = place.outputs("kept");
        assert_ne!(before, after, "other weights make other masks");
        place.write("fresh.yaml", job(&format!("fresh{n}"), weights, &more));
        assert_eq!(forwards(&place.run("fresh.yaml").ends_with(0).json()), (first, 0));
        same_files(&place.outputs(&format!("fresh{n}")), &after);
    }
}

#[test]
fn tiles_of_members_and_of_groups_make_the_same_scores() {
    let place = place();
    let weights = [0.5, 1.0, 2.0];
    for per in ["member", "group"] {
        place.write("job.yaml", job(per, weights, &format!("tiles: {{per: {per}, dtype: f32}}")));
        place.run("job.yaml").ends_with(0);
    }
    let (members, groups) = (place.outputs("member"), place.outputs("group"));
    for image in ["0", "1", "2"] {
        let read = |files| zarr(files, &format!("probabilities/{image}.zarr")).1;
        let (a, b) = (read(&members), read(&groups));
        let far = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-3, "image {image}: {far}");
        let mask = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
            Mask::from_png(&files[&format!("masks/{image}.png")]).labels
        };
        let (a, b) = (mask(&members), mask(&groups));
        let unlike = a.iter().zip(&b).filter(|(a, b)| a != b).count();
        assert!(unlike * 2000 < a.len(), "image {image}: {unlike} of {} labels", a.len());
    }
}

/// Out of fold: an image gets just what a job of the members of its fold alone would give it.
#[test]
fn an_image_is_scored_by_the_members_that_were_trained_without_it() {
    let place = place();
    let list = "image_id,path,fold,site\n0,images/0.bmp,0,x\n1,images/1.bmp,1,y\n2,images/2.bmp,2,x\n";
    place.write("list.csv", list);
    for per in ["group", "member"] {
        let more = format!("folds: out_of_fold\ntiles: {{per: {per}}}");
        let text = job(per, [1.0; 3], &more).replace("images: images", "images: list.csv");
        place.write("job.yaml", text);
        let plan = place.marquetry(&["plan", "job.yaml", "--format", "json"]).ends_with(0);
        let plan = plan.says(&["fold 0: 1 images, scored by m_fold0"]).json();
        let (ran, _) = forwards(&place.run("job.yaml").ends_with(0).json());
        assert_eq!(plan["cost"]["forwards"].as_u64(), Some(ran), "the plan counts what is run");
        let scored = place.outputs(per);
        for (image, member) in [("0", "m_fold0"), ("1", "m_fold1"), ("2", "m_fold2")] {
            let scale = if image == "1" { ", scale: 0.5" } else { "" };
            let store = format!("alone-{per}-{image}");
            let alone = format!(
                "{HEAD}store: {store}\nmembers: [{{onnx: {member}.onnx{scale}}}]\noutputs: [{{masks: png}}]\n"
            );
            place
                .write("alone.yaml", alone.replace("images: images", &format!("images: images/{image}.bmp")));
            place.run("alone.yaml").ends_with(0);
            let name = format!("masks/{image}.png");
            assert_eq!(scored[&name], place.outputs(&store)[&name], "image {image}, per {per}");
        }
    }
    place.write("list.csv", list.replace(",2,x", ",9,x"));
    place.run("job.yaml").ends_with(65).says(&["image 2 is of fold 9", "fold 0, 1, 2"]);
}

/// Folds as nnU-Net writes them, and what one fold may know of another: told before anything runs.
#[test]
fn folds_from_a_file_of_the_training_are_those_of_a_column() {
    let place = place();
    place.write("list.csv", "image_id,path,fold\n0,images/0.bmp,0\n1,images/1.bmp,1\n2,images/2.bmp,2\n");
    place.write(
        "splits_final.json",
        r#"[{"train": ["1", "2"], "val": ["0"]}, {"train": ["0", "2"], "val": ["1"]}, {"train": ["0", "1"], "val": ["2"]}]"#,
    );
    let text = |store, folds: &str| job(store, [1.0; 3], &format!("folds: {folds}"));
    place.write("column.yaml", text("column", "out_of_fold").replace("images: images", "images: list.csv"));
    place.write("file.yaml", text("file", "{from: splits_final.json}"));
    place.run("column.yaml").ends_with(0);
    let told = place.run("file.yaml").ends_with(0);
    assert!(!told.stderr.contains("warning: folds"), "{}", told.stderr);
    assert_eq!(place.outputs("column"), place.outputs("file"));
    // Whose members have seen one fold alone are asked about the others.
    place.write("seen.yaml", text("seen", "{from: splits_final.json, tags: seen}"));
    place
        .marquetry(&["plan", "seen.yaml"])
        .ends_with(0)
        .says(&["fold 0: 1 images, scored by m_fold2, m_fold1"]);
    place.write("short.json", r#"[{"train": [], "val": ["0"]}]"#);
    place.write("short.yaml", text("short", "{from: short.json}"));
    place
        .marquetry(&["plan", "short.yaml"])
        .ends_with(65)
        .says(&["short.json", "image 1 is in none of its folds"]);
    // The second image once more under another name, in another fold, and a patient in two.
    std::fs::copy(place.path("images/1.bmp"), place.path("images/9.bmp")).expect("a copy");
    let list = "image_id,path,fold,group\n0,images/0.bmp,0,p\n1,images/1.bmp,1,q\n9,images/9.bmp,2,p\n";
    place.write("list.csv", list);
    let leaks = ["1 (fold 1) and 9 (fold 2)", "1 group of 2 has images in several folds: p (folds 0, 2)"];
    place.marquetry(&["plan", "column.yaml"]).ends_with(0).says(&leaks);
    let allowed = text("column", "out_of_fold\nallow: [folds]").replace("images: images", "images: list.csv");
    place.write("column.yaml", allowed);
    let told = place.marquetry(&["plan", "column.yaml"]).ends_with(0);
    assert!(!told.stderr.contains("same pixels"), "{}", told.stderr);
}

/// The mean and deviation of an image are computed once, stored, and believed only when they are whole.
#[test]
fn statistics_are_computed_once_and_checked() {
    let place = place();
    let more = "tiles: {keep: true}";
    let text = job("store", [1.0; 3], more).replace("defaults: {", "defaults: {input: {normalize: image}, ");
    place.write("job.yaml", text);
    place.run("job.yaml").ends_with(0);
    let folder = place.job_folder("store");
    let first = place.outputs("store");
    let statistics = below(&place.path(&format!("{folder}/statistics")));
    assert_eq!(statistics.len(), 3, "one for each image: {statistics:?}");
    let whole: Vec<_> = statistics.iter().map(|path| std::fs::read(path).expect("statistics")).collect();

    // Of one image half an object is left, of another none; all tiles and outputs are gone.
    std::fs::write(&statistics[0], &whole[0][..whole[0].len() / 2]).expect("half an object");
    std::fs::remove_file(&statistics[1]).expect("an object that goes");
    for gone in ["store/tiles".to_owned(), format!("{folder}/parts"), format!("{folder}/out")] {
        std::fs::remove_dir_all(place.path(&gone)).expect("a folder");
    }
    place.run("job.yaml").ends_with(0);
    same_files(&first, &place.outputs("store"));
    for (path, whole) in statistics.iter().zip(&whole) {
        assert!(std::fs::read(path).expect("statistics") == *whole, "{} is not mended", path.display());
    }
}
