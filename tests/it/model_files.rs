//! Models as people keep them: weights in a second file, equal file names in different folders, files of other kinds.

use crate::decode::{Mask, zarr};
use crate::fixture::{Place, same_files};
use crate::pictures::{bmp, scene};
use marquetry_geometry::Size;
use marquetry_model::ModelFiles;
use marquetry_model::toy::{Toy, Weights};

const HEAD: &str = "
version: 1
images: images
classes: [ground, a, b]
defaults: {window: {size: 32}}
outputs: [{masks: png}, {probabilities: {format: zarr, dtype: f16}}]
tiles: {dtype: f32}
";

fn place() -> Place {
    let place = Place::new();
    place.write("images/one.bmp", bmp(60, 70, 5));
    place
}

fn toy(seed: u64) -> Toy {
    Toy { classes: 3, kernel: 3, weights: Weights::Seeded(seed), ..Toy::default() }
}

/// Writes a model and the files that belong to it into a folder.
fn write_model(place: &Place, path: &str, model: &ModelFiles) {
    let folder = path.rsplit_once('/').map_or(".", |(folder, _)| folder);
    place.write(path, &model.onnx);
    for file in &model.external {
        place.write(&format!("{folder}/{}", file.location), &file.bytes);
    }
}

fn run(place: &Place, store: &str, members: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    place.write(&format!("{store}.yaml"), format!("{HEAD}store: {store}\nmembers: [{members}]\n"));
    place.run(&format!("{store}.yaml")).ends_with(0);
    place.outputs(store)
}

#[test]
fn weights_are_read_from_beside_the_model_and_from_nowhere_else() {
    let place = place();
    place.model("whole.onnx", &toy(1));
    let whole = run(&place, "whole", "{onnx: whole.onnx}");
    let split = toy(1).with_external_data(&["model.onnx.data", "sub/more.bin"]);
    write_model(&place, "models/fold_0/model.onnx", &split);
    // Another model's weights under the same names, where the job is run.
    write_model(&place, "model.onnx", &toy(2).with_external_data(&["model.onnx.data", "sub/more.bin"]));
    same_files(&run(&place, "beside", "{onnx: models/fold_0/model.onnx}"), &whole);
    let other = run(&place, "other", "{onnx: model.onnx}");
    assert_ne!(whole["masks/one.png"], other["masks/one.png"], "the test can tell them apart");

    // The masks are those of the file's own weights: class c is channel c.
    let copy = Toy { classes: 3, weights: Weights::Copy, ..Toy::default() };
    write_model(&place, "copy/model.onnx", &copy.with_external_data(&["model.onnx.data"]));
    let mask = Mask::from_png(&run(&place, "copied", "{onnx: copy/model.onnx}")["masks/one.png"]).labels;
    let pixels = scene(60, 70, 5);
    let right = |(pixel, label): (&[u8], &u8)| {
        let most = *pixel.iter().max().expect("three channels");
        pixel[usize::from(*label)] == most
    };
    assert!(pixels.chunks_exact(3).zip(&mask).all(right), "the label is a brightest channel");

    std::fs::remove_file(place.path("models/fold_0/model.onnx.data")).expect("it was there");
    place.write("gone.yaml", format!("{HEAD}store: gone\nmembers: [{{onnx: models/fold_0/model.onnx}}]\n"));
    place
        .run("gone.yaml")
        .ends_with(65)
        .says(&["`model.onnx.data`", "models/fold_0/model.onnx.data is not there"]);
    let inspected = place.marquetry(&["inspect", "models/fold_0/model.onnx"]).ends_with(65);
    inspected.says(&["models/fold_0/model.onnx.data is not there"]);
    let escaping = toy(1).with_external_data(&["../model.onnx.data"]);
    place
        .write("models/fold_0/model.onnx", &escaping.onnx)
        .write("models/model.onnx.data", &escaping.external[0].bytes);
    place.run("gone.yaml").ends_with(65).says(&["`../model.onnx.data`", "own folder"]);
    assert!(!place.path("gone/jobs").exists());
}

#[test]
fn other_weights_in_the_second_file_are_another_job() {
    let place = place();
    let model = |seed| toy(seed).with_external_data(&["m.onnx.data"]);
    assert_eq!(model(1).onnx, model(2).onnx, "only the second file differs");
    write_model(&place, "m/m.onnx", &model(1));
    let first = run(&place, "store", "{onnx: m/m.onnx}");
    let before = place.job_folder("store");
    write_model(&place, "m/m.onnx", &model(2));
    place.run("store.yaml").ends_with(0);
    let jobs = std::fs::read_dir(place.path("store/jobs")).expect("jobs").count();
    assert_eq!(jobs, 2, "the first one stays");
    let mut files = place.files("store");
    files.retain(|name, _| {
        name.contains("/out/masks/") && !before.ends_with(name.split('/').nth(1).expect("a job"))
    });
    let (_, second) = files.pop_first().expect("a mask");
    assert_ne!(first["masks/one.png"], second);
    place.model("whole.onnx", &toy(2));
    assert_eq!(run(&place, "whole", "{onnx: whole.onnx}")["masks/one.png"], second);
    let inspected = place.marquetry(&["inspect", "m/m.onnx", "--window", "32"]).ends_with(0);
    assert!(inspected.stdout.contains("a segmentation model"), "{}", inspected.stdout);
}

#[test]
fn members_of_equal_file_names_are_told_apart_by_their_folders() {
    let place = place();
    let list = "image_id,path,fold\none,images/one.bmp,1\n";
    place.write("list.csv", list);
    for fold in 0..3 {
        place.model(&format!("models/fold_{fold}/model.onnx"), &toy(fold));
        place.model(&format!("flat/m{fold}.onnx"), &toy(fold));
    }
    let folders = run(&place, "folders", "{onnx: \"models/fold_{0..2}/model.onnx\"}");
    let flat = run(&place, "flat", "{onnx: \"flat/m{0..2}.onnx\"}");
    same_files(&folders, &flat);
    // The mean of what each gives alone.
    let alone: Vec<Vec<f32>> = (0..3)
        .map(|fold| {
            let files =
                run(&place, &format!("alone{fold}"), &format!("{{onnx: models/fold_{fold}/model.onnx}}"));
            zarr(&files, "probabilities/one.zarr").1
        })
        .collect();
    let all = zarr(&folders, "probabilities/one.zarr").1;
    let far = |n: usize| (all[n] - alone.iter().map(|scores| scores[n]).sum::<f32>() / 3.0).abs();
    assert!((0..all.len()).all(|n| far(n) < 2e-3));

    // The folder is the fold.
    let job = HEAD.replace("images: images", "images: list.csv");
    let job = format!(
        "{job}folds: out_of_fold\nstore: oof\nmembers: [{{onnx: \"models/fold_{{0..2}}/model.onnx\"}}]\n"
    );
    place.write("oof.yaml", job);
    place.run("oof.yaml").ends_with(0).says(&["scored by fold_1/model"]);
    same_files(&place.outputs("oof"), &run(&place, "fold1", "{onnx: flat/m1.onnx}"));

    place.write(
        "named.yaml",
        format!("{HEAD}store: named\nmembers: [{{name: unet, onnx: \"models/*/model.onnx\"}}]\n"),
    );
    place.run("named.yaml").ends_with(0);
    same_files(&place.outputs("named"), &flat);
    let twice = "{onnx: flat/m0.onnx}, {onnx: flat/m0.onnx, scale: 0.5}";
    place.write("twice.yaml", format!("{HEAD}store: twice\nmembers: [{twice}]\n"));
    place.run("twice.yaml").ends_with(65).says(&["members[1].name", "two members are called `m0`"]);
}

#[test]
fn files_of_other_kinds_and_models_of_other_purposes_are_said_to_be_such() {
    let place = place();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
    place.write("lfs.onnx", pointer).write("page.onnx", "<!DOCTYPE html>\n<html></html>");
    place.write("job.yaml", format!("{HEAD}store: s\nmembers: [{{onnx: lfs.onnx}}, {{onnx: page.onnx}}]\n"));
    place.run("job.yaml").ends_with(65).says(&["2 members", "Git LFS pointer", "git lfs pull", "a web page"]);
    place.marquetry(&["inspect", "lfs.onnx"]).ends_with(65).says(&["Git LFS pointer"]);

    // It runs, since the job may know better, and is told.
    place.model("depth.onnx", &Toy { heads: vec!["depth".into()], classes: 1, ..toy(1) });
    let job = format!("{HEAD}store: s\nmembers: [{{onnx: depth.onnx}}]\n");
    let job = job.replace("[ground, a, b]", "[ground, a]");
    let inspected = place.marquetry(&["inspect", "depth.onnx"]).ends_with(65).stdout;
    assert!(
        inspected.contains("not a segmentation model, as it seems") && !inspected.contains("Member entry"),
        "{inspected}"
    );
    place.write("depth.yaml", &job);
    place.marquetry(&["plan", "depth.yaml"]).says(&[
        "seems to be no segmentation model",
        "is a depth",
        "allow: [purpose]",
    ]);
    place.write("depth.yaml", format!("{job}allow: [purpose]\n"));
    assert!(!place.marquetry(&["plan", "depth.yaml"]).stderr.contains("is a depth"));
    // What comes out is the image: nothing that a segmentation does.
    let same = (0..9).map(|k| f32::from(u8::from(k % 4 == 0))).collect();
    place.model("denoiser.onnx", &Toy { kernel: 1, weights: Weights::Given(same), ..toy(1) });
    place.write("denoiser.yaml", format!("{HEAD}store: s\nmembers: [{{onnx: denoiser.onnx}}]\n"));
    place
        .marquetry(&["plan", "denoiser.yaml"])
        .ends_with(0)
        .says(&["seems to be no segmentation model", "nearly that of the input"]);
    place
        .write("other.yaml", format!("{HEAD}store: s\nmembers: [{{onnx: a.onnx}}]\n"))
        .model("a.onnx", &toy(1));
    assert!(!place.marquetry(&["plan", "other.yaml"]).ends_with(0).stderr.contains("segmentation model"));
}

/// What does not go with an image that is shown whole is told with what does.
#[test]
fn models_that_cannot_be_shown_whole_images_say_what_they_can_be_shown() {
    let place = place();
    place.model("patches.onnx", &Toy { coarse: 14, ..toy(1) });
    place.model("valid.onnx", &Toy { kernel: 9, valid: true, ..toy(1) });
    place.model("fixed.onnx", &Toy { size: Some(Size::square(64)), ..toy(1) });
    for (onnx, window, says) in [
        ("patches.onnx", "fit: multiple(32)", "say fit: multiple(14)"),
        ("fixed.onnx", "fit: multiple(32)", "window: {size: 64}"),
        ("valid.onnx", "size: 64", "use windows that slide, window: {size: 64}"),
    ] {
        let job = format!("{HEAD}store: s\nmembers: [{{onnx: {onnx}, window: {{mode: whole, {window}}}}}]\n");
        place.write("job.yaml", job);
        place.marquetry(&["plan", "job.yaml"]).ends_with(65).says(&[says]);
    }
    place.write(
        "job.yaml",
        format!(
            "{HEAD}store: s\nmembers: [{{onnx: patches.onnx, window: {{mode: whole, fit: multiple(14)}}}}]\n"
        ),
    );
    place.marquetry(&["plan", "job.yaml"]).ends_with(0);
}

#[test]
fn a_window_that_does_not_suit_is_told_the_nearest_that_does() {
    let place = place();
    place.model("m.onnx", &Toy { coarse: 14, ..toy(1) });
    let inspected = place.marquetry(&["inspect", "m.onnx"]).ends_with(0).stdout;
    assert!(inspected.contains("any multiple of 14 px, tried at 518"), "{inspected}");
    let job = |size: u32| {
        format!("{HEAD}store: s{size}\nmembers: [{{onnx: m.onnx}}]\n")
            .replace("size: 32", &format!("size: {size}"))
    };
    place.write("job.yaml", job(30));
    place.run("job.yaml").ends_with(65).says(&["multiples of 14 px", "window: {size: 42}"]);
    place.write("job.yaml", job(42));
    place.run("job.yaml").ends_with(0);
}

#[test]
fn all_wrong_members_are_named_at_once_and_in_order() {
    let place = place();
    let wrong: Vec<String> = (0..102).map(|n| format!("{{onnx: gone{n}.onnx}}")).collect();
    place.write("gone.yaml", format!("{HEAD}store: s\nmembers: [{}]\n", wrong.join(", ")));
    let words = ["102 members", "gone0.onnx", "gone99.onnx", "and 2 more"];
    let said = place.run("gone.yaml").ends_with(65).says(&words);
    assert!(!said.stderr.contains("gone100.onnx"), "{}", said.stderr);

    place.model("a.onnx", &Toy { classes: 2, ..toy(1) }).model("b.onnx", &toy(1)).write("c.onnx", "");
    place.model("d.onnx", &Toy { classes: 5, ..toy(1) });
    let members = "{onnx: d.onnx}, {onnx: b.onnx}, {onnx: a.onnx}, {onnx: c.onnx}";
    place.write("wrong.yaml", format!("{HEAD}store: s\nmembers: [{members}]\n"));
    let said = place.run("wrong.yaml").ends_with(65).stderr;
    let at = |word: &str| said.find(word).unwrap_or_else(|| panic!("`{word}` is not in {said}"));
    assert!(
        at("3 members") < at("d.onnx") && at("d.onnx") < at("a.onnx") && at("a.onnx") < at("c.onnx"),
        "{said}"
    );
    assert!(!said.contains("b.onnx"), "{said}");
}
