//! A part of a job: members of some tags, a sample of the images.

use crate::fixture::{Place, same_files};
use crate::pictures::bmp;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;

const HEAD: &str = "
version: 1
name: part
classes: [ground, a]
defaults: {window: {size: 32}}
tiles: {per: member, keep: true}
";

fn place() -> Place {
    let place = Place::new();
    let mut list = "image_id,path,fold,site\n".to_owned();
    for n in 0..20 {
        place.write(&format!("images/{n}.bmp"), bmp(32, 40, n));
        list += &format!("{n},images/{n}.bmp,{},{}\n", n % 2, n % 5);
    }
    place.write("images.csv", list);
    for (fold, seed) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
        let weights = Weights::Seeded(fold * 10 + seed);
        let name = format!("net_fold{fold}_seed{seed}.onnx");
        place.model(&name, &Toy { classes: 2, kernel: 3, weights, ..Toy::default() });
    }
    let members = "members: [{onnx: \"net_*.onnx\"}]\noutputs: [{masks: png}]\n";
    place.write("job.yaml", format!("{HEAD}images: images.csv\nstore: store\n{members}"));
    place.write(
        "folds.yaml",
        format!("{HEAD}images: images.csv\nfolds: out_of_fold\nstore: folds\n{members}"),
    );
    place
}

fn number(summary: &Value, key: &str) -> u64 {
    summary["tally"][key].as_u64().expect("a number")
}

fn images(place: &Place, summary: &Value, store: &str) -> usize {
    place.files(&format!("{store}/jobs/{}/out/masks", summary["job"].as_str().expect("a job"))).len()
}

#[test]
fn a_sample_is_computed_and_the_rest_stays_when_it_is_run_again() {
    let place = place();
    let run = |more: &[&str]| {
        let args = [&["run", "job.yaml", "--format", "json"], more].concat();
        place.marquetry(&args).ends_with(0).json()
    };
    let some = run(&["--sample", "0.25", "--stratify", "site"]);
    assert_eq!(images(&place, &some, "store"), 5, "one of each site");
    let all = run(&[]);
    assert_eq!((number(&all, "images_found"), images(&place, &all, "store")), (5, 20), "{all}");
    let files = place.files(&format!("store/jobs/{}/out/masks", all["job"].as_str().expect("a job")));
    let again = run(&["--sample", "0.25", "--seed", "3"]);
    assert_eq!((number(&again, "images_found"), number(&again, "forwards")), (5, 0), "{again}");
    let all = run(&[]);
    assert_eq!((number(&all, "images_found"), number(&all, "forwards")), (20, 0), "nothing was lost: {all}");
    same_files(
        &files,
        &place.files(&format!("store/jobs/{}/out/masks", all["job"].as_str().expect("a job"))),
    );
    place
        .marquetry(&["run", "job.yaml", "--sample", "0.5", "--stratify", "city"])
        .ends_with(65)
        .says(&["no image has the column `city`"]);
    place.marquetry(&["run", "job.yaml", "--sample", "1.5"]).ends_with(64);
}

#[test]
fn members_of_some_tags_are_a_job_of_these() {
    let place = place();
    let run = |job: &str, more: &[&str]| {
        let args = [&["run", job, "--format", "json"], more].concat();
        place.marquetry(&args).ends_with(0).json()
    };
    let of_a_kind = run("job.yaml", &["--members", "seed=1"]);
    let own =
        "members: [{onnx: net_fold0_seed1.onnx}, {onnx: net_fold1_seed1.onnx}]\noutputs: [{masks: png}]\n";
    place.write("own.yaml", format!("{HEAD}images: images.csv\nstore: own\n{own}"));
    place.run("own.yaml").ends_with(0);
    let masks = |store: &str, summary: &Value| {
        place.files(&format!("{store}/jobs/{}/out/masks", summary["job"].as_str().expect("a job")))
    };
    same_files(&place.files(&format!("{}/out/masks", place.job_folder("own"))), &masks("store", &of_a_kind));
    // The others are computed alone.
    let all = run("job.yaml", &[]);
    assert_eq!(number(&all, "forwards"), number(&of_a_kind, "forwards"), "{all}");
    let several = run("job.yaml", &["--members", "fold=0,seed=1|2"]);
    assert_eq!(number(&several, "forwards"), 0, "{several}");

    let fold =
        place.marquetry(&["run", "folds.yaml", "--members", "fold=1", "--format", "json"]).ends_with(0);
    let fold = fold.says(&["10 of 20 images are of folds that no member is left for"]);
    assert_eq!(images(&place, &fold.json(), "folds"), 10);
    place
        .marquetry(&["run", "job.yaml", "--members", "seed=7"])
        .ends_with(65)
        .says(&["no member is seed=7; there are members of fold=0|1, seed=1|2"]);
}
