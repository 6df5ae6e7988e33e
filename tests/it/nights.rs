//! A job that runs again over images that have become others: what is computed, what each run had, and what changed.

use crate::decode::Mask;
use crate::fixture::{Place, Ran, same_files};
use crate::pictures::{bmp, grey_png};
use marquetry_model::toy::{Toy, Weights};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::time::SystemTime;

const CLASSES: [&str; 4] = ["ground", "a", "b", "c"];

fn job(store: &str, more: &str) -> String {
    format!(
        "version: 1\nname: nightly\nimages: list.csv\nclasses: [ground, a, b, c]\ndefaults: {{window: {{size: 64}}}}\n\
         members: [{{onnx: one.onnx}}]\noutputs: [{{masks: png}}]\nnights: {{keep: 2}}\nstore: {store}\n{more}"
    )
}

fn model(seed: u64) -> Toy {
    Toy { classes: 4, kernel: 3, weights: Weights::Seeded(seed), ..Toy::default() }
}

/// Writes the list of these images, each an id and a path.
fn list(place: &Place, images: &[(&str, &str)]) {
    let rows: String = images.iter().map(|(id, path)| format!("{id},{path}\n")).collect();
    place.write("list.csv", format!("image_id,path\n{rows}"));
}

fn first_night() -> Place {
    let place = Place::new();
    for (seed, name) in ["same", "moved", "replaced", "gone"].into_iter().enumerate() {
        place.write(&format!("in/{name}.bmp"), bmp(90, 130, seed as u64));
    }
    list(&place, &["same", "moved", "replaced", "gone"].map(|id| (id, &*format!("in/{id}.bmp").leak())));
    place.model("one.onnx", &model(1));
    place.write("job.yaml", job("store", ""));
    place
}

fn run(place: &Place) -> (Ran, Value) {
    // Nights are named by the second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let ran = place.run("job.yaml").ends_with(0);
    let summary = ran.json();
    (ran, summary)
}

fn number(summary: &Value, key: &str) -> u64 {
    summary["tally"][key].as_u64().unwrap_or_else(|| panic!("tally.{key} is a number in {summary}"))
}

/// All nights that are kept, in order.
fn nights(place: &Place) -> Vec<Value> {
    let files = place.files("store/nights/nightly");
    files.values().map(|bytes| serde_json::from_slice(bytes).expect("JSON")).collect()
}

/// Pixels by what they were and are, where these differ, of the masks that two nights have of an image; computed here from
/// the PNG files.
fn flips(
    before: &BTreeMap<String, Vec<u8>>,
    after: &BTreeMap<String, Vec<u8>>,
    id: &str,
) -> BTreeMap<(u16, u16), u64> {
    let read = |files: &BTreeMap<String, Vec<u8>>| Mask::from_png(&files[&format!("masks/{id}.png")]).labels;
    let mut flips = BTreeMap::new();
    for (then, now) in read(before).into_iter().zip(read(after)) {
        if then != now {
            *flips.entry((u16::from(then), u16::from(now))).or_default() += 1;
        }
    }
    flips
}

#[test]
fn only_what_is_new_is_computed_and_what_changed_is_told() {
    let place = first_night();
    let (_, first) = run(&place);
    let each = number(&first, "forwards") / 4;
    let before = place.outputs("store");

    // Of the same length and time, as archives write files; another folder; and a new one.
    let (path, when) = (place.path("in/replaced.bmp"), SystemTime::UNIX_EPOCH);
    for seed in [2, 12] {
        place.write("in/replaced.bmp", bmp(90, 130, seed));
        File::options().write(true).open(&path).expect("a file").set_modified(when).expect("a time");
        if seed == 2 {
            // As it was: only its time is another one.
            let (_, again) = run(&place);
            assert_eq!((number(&again, "images_found"), number(&again, "forwards")), (4, 0), "{again}");
            same_files(&place.outputs("store"), &before);
        }
    }
    fs::create_dir_all(place.path("elsewhere")).expect("a folder");
    fs::rename(place.path("in/moved.bmp"), place.path("elsewhere/other.bmp")).expect("moved");
    place.write("in/new.bmp", bmp(90, 130, 20));
    let images = [
        ("same", "in/same.bmp"),
        ("new", "in/new.bmp"),
        ("moved", "elsewhere/other.bmp"),
        ("replaced", "in/replaced.bmp"),
    ];
    list(&place, &images);
    let (ran, second) = run(&place);
    assert_eq!((number(&second, "images_found"), number(&second, "forwards")), (2, 2 * each), "{second}");
    ran.says(&["1 new, 1 another content, 1 moved, 1 the same, 1 gone"]);
    let after = place.outputs("store");
    place.write("fresh.yaml", job("fresh", ""));
    place.run("fresh.yaml").ends_with(0);
    let (mut kept, fresh) = (after.clone(), place.outputs("fresh"));
    kept.retain(|name, _| fresh.contains_key(name));
    same_files(&kept, &fresh);

    let nights = nights(&place);
    assert_eq!(nights.len(), 2, "two are kept of three");
    let image = |id: &str| {
        nights[1]["images"].as_array().expect("images").iter().find(|i| i["id"] == id).expect("it").clone()
    };
    assert_eq!(nights[1]["counts"], json!({"new": 1, "changed": 1, "moved": 1, "same": 1}));
    assert_eq!(
        (&image("moved")["came"], &image("moved")["since"]),
        (&json!("moved"), &image("same")["since"])
    );
    assert!(image("same")["since"].as_str() < nights[0]["at"].as_str(), "the first night, which is not kept");
    assert_eq!(image("replaced")["since"], nights[1]["at"]);
    assert_eq!(nights[1]["gone"], json!(["gone"]));

    let page = place.path("page").display().to_string();
    let told = place
        .marquetry(&["diff", "store/nights/nightly", "--format", "json", "--html", &page])
        .ends_with(0)
        .json();
    let counted = json!({"same": 2, "came": 1, "gone": 1, "changed": 1, "unchanged": 0, "not_compared": 0});
    assert_eq!(told["images"], counted);
    let wanted = flips(&before, &after, "replaced");
    let found: BTreeMap<(u16, u16), u64> = told["flips"]
        .as_array()
        .expect("flips")
        .iter()
        .map(|flip| {
            let class =
                |key: &str| CLASSES.iter().position(|class| flip[key] == *class).expect("a class") as u16;
            ((class("from"), class("to")), flip["pixels"].as_u64().expect("a number"))
        })
        .collect();
    assert_eq!(found, wanted);
    assert_eq!(told["changed_pixels"].as_u64(), Some(wanted.values().sum()));
    assert_eq!(told["compared_pixels"], 3 * 90 * 130);
    let files = place.files("page");
    assert_eq!(serde_json::from_slice::<Value>(&files["difference.json"]).expect("JSON"), told);
    let html = String::from_utf8(files["index.html"].clone()).expect("UTF-8");
    assert!(html.contains("pictures/000000.png") && files.contains_key("pictures/000000.png"), "{html}");
    assert!(String::from_utf8_lossy(&files["images.csv"]).contains("replaced,changed,another content,"));
}

#[test]
fn nights_beyond_those_that_are_kept_are_forgotten_with_their_labels() {
    let place = first_night();
    let labels = || place.files(&format!("{}/out/nights", place.job_folder("store"))).len();
    for (night, wanted) in [(0, 4), (1, 5), (2, 5), (3, 5)] {
        place.write("in/replaced.bmp", bmp(90, 130, 30 + night));
        run(&place);
        assert_eq!((nights(&place).len(), labels()), (2.min(night as usize + 1), wanted), "night {night}");
    }
    // Nothing among the outputs is called stale for it.
    assert!(!place.outputs("store").contains_key("stale-files.csv"));
}

/// A label is read from its file and from the mask beside it: a mask that comes, changes or goes is noticed.
#[test]
fn masks_beside_labels_are_watched() {
    let place = first_night();
    for (n, name) in ["same", "moved", "replaced", "gone"].into_iter().enumerate() {
        let labels: Vec<u8> = (0..90 * 130).map(|at| ((at / 130 + n) % 4) as u8).collect();
        place.write(&format!("labels/{name}.png"), grey_png(130, &labels));
    }
    let text = |store: &str| {
        let outputs = "outputs: [{evaluation: html, boundary_px: 2}]\ntruth: labels";
        job(store, "").replace("outputs: [{masks: png}]", outputs)
    };
    place.write("job.yaml", text("store"));
    // Until what was written is relied on.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    run(&place);
    let mask = |dark: usize| {
        let values: Vec<u8> = (0..90 * 130).map(|at| if at < dark { 0 } else { 255 }).collect();
        grey_png(130, &values)
    };
    for (night, found) in [(Some(mask(1300)), 3), (Some(mask(2600)), 3), (None, 3)].into_iter().enumerate() {
        let (bytes, found) = found;
        match bytes {
            Some(bytes) => drop(place.write("labels/same.png.msk", bytes).path("")),
            None => fs::remove_file(place.path("labels/same.png.msk")).expect("it is there"),
        }
        let (_, summary) = run(&place);
        assert_eq!(number(&summary, "images_found"), found, "night {night}: {summary}");
        let fresh = format!("fresh{night}");
        place.write("fresh.yaml", text(&fresh));
        place.run("fresh.yaml").ends_with(0);
        let kept: BTreeMap<_, _> =
            place.outputs("store").into_iter().filter(|(name, _)| !name.starts_with("nights/")).collect();
        let wanted: BTreeMap<_, _> =
            place.outputs(&fresh).into_iter().filter(|(name, _)| !name.starts_with("nights/")).collect();
        same_files(&kept, &wanted);
        std::thread::sleep(std::time::Duration::from_millis(2100));
    }
}

/// What was replaced and came again is not forgotten with the first night that had it.
#[test]
fn labels_that_a_kept_night_has_again_are_kept() {
    let place = first_night();
    place.write("job.yaml", job("store", "").replace("keep: 2", "keep: 3"));
    for seed in [40, 41, 40, 42] {
        place.write("in/replaced.bmp", bmp(90, 130, seed));
        run(&place);
    }
    let files: Vec<String> = place
        .files("store/nights/nightly")
        .into_keys()
        .map(|name| format!("store/nights/nightly/{name}"))
        .collect();
    assert_eq!(files.len(), 3);
    for pair in files.windows(2) {
        let told = place.marquetry(&["diff", &pair[0], &pair[1], "--format", "json"]).ends_with(0).json();
        assert_eq!(
            (&told["images"]["changed"], &told["images"]["not_compared"]),
            (&json!(1), &json!(0)),
            "{pair:?}"
        );
        assert!(told["changed_pixels"].as_u64() > Some(0));
    }
}

#[test]
fn other_members_and_decisions_are_compared_too() {
    let place = first_night();
    let (_, _) = run(&place);
    let before = place.outputs("store");
    place.model("one.onnx", &model(2));
    run(&place);
    let two = nights(&place);
    assert_eq!(two[1]["counts"], json!({"members": 4}));
    assert_ne!(two[0]["job"], two[1]["job"]);
    let told = place.marquetry(&["diff", "store/nights/nightly", "--format", "json"]).ends_with(0).json();
    assert_eq!(told["members"]["replaced"], json!(["one"]));
    let folder = format!("store/jobs/{}/out", two[1]["job"].as_str().expect("a job"));
    let after = place.files(&folder);
    let wanted: u64 = ["same", "moved", "replaced", "gone"]
        .iter()
        .flat_map(|id| flips(&before, &after, id).into_values())
        .sum();
    assert_eq!((told["changed_pixels"].as_u64(), &told["images"]["changed"]), (Some(wanted), &json!(4)));
    place.write("job.yaml", job("store", "decide: {min_area: 50}\ntiles: {keep: true}\n"));
    run(&place);
    assert_eq!(nights(&place)[1]["counts"], json!({"decisions": 4}));
    let told = place.marquetry(&["diff", "store/nights/nightly"]).ends_with(0).stdout;
    assert!(told.contains("4 changed") && told.contains("other decisions"), "{told}");
}

#[test]
fn what_is_no_night_is_refused() {
    let place = first_night();
    place.write("one/x.json", "{}");
    place.marquetry(&["diff", "one"]).ends_with(78).says(&["holds one run", "nights: {keep: 30}"]);
    place
        .marquetry(&["diff", "one/x.json", "one/x.json"])
        .ends_with(65)
        .says(&["one/x.json", "nights/NAME/DATE.json"]);
    place.marquetry(&["diff", "nowhere"]).ends_with(65);
    place.marquetry(&["diff", "one/x.json"]).ends_with(78).says(&["name the later one too"]);
}

/// Tables that name an image's file name the one that is there now.
#[test]
fn tables_name_the_place_that_an_image_has_moved_to() {
    let place = first_night();
    let outputs = "tiles: {per: member}\noutputs: [{pseudo_labels: png, thresholds: 0.3}, {ranking: entropy}, {coco: rle}]";
    let text = |store: &str| job(store, "").replace("outputs: [{masks: png}]", outputs);
    place.write("job.yaml", text("store"));
    run(&place);
    place.write("elsewhere/other.bmp", fs::read(place.path("in/moved.bmp")).expect("it is there"));
    let images = [
        ("same", "in/same.bmp"),
        ("moved", "elsewhere/other.bmp"),
        ("replaced", "in/replaced.bmp"),
        ("gone", "in/gone.bmp"),
    ];
    list(&place, &images);
    let (_, second) = run(&place);
    assert_eq!((number(&second, "images_found"), number(&second, "forwards")), (4, 0), "{second}");
    place.write("fresh.yaml", text("fresh"));
    place.run("fresh.yaml").ends_with(0);
    same_files(&place.outputs("fresh"), &place.outputs("store"));
    for table in ["pseudo_labels.csv", "label_next.csv"] {
        let text = String::from_utf8_lossy(&place.outputs("store")[table]).into_owned();
        assert!(text.contains("elsewhere/other.bmp"), "{table}: {text}");
    }
}

/// Results of images are not read again: they could not be.
#[test]
fn a_run_that_finds_nothing_new_writes_no_table_again() {
    let place = first_night();
    let outputs = "outputs: [{masks: png}, {submission: kaggle-rle}, {report: html}]";
    place.write("job.yaml", job("store", "").replace("outputs: [{masks: png}]", outputs));
    run(&place);
    let (first, folder) = (place.outputs("store"), place.job_folder("store"));
    let parts = place.files(&format!("{folder}/parts"));
    let spoil = || {
        for name in parts.keys() {
            place.write(&format!("{folder}/parts/{name}"), "{}");
        }
    };
    spoil();
    let (ran, second) = run(&place);
    assert_eq!(number(&second, "images_found"), 4);
    ran.says(&["4 the same"]);
    same_files(&place.outputs("store"), &first);
    assert_eq!(nights(&place)[1]["counts"], json!({"same": 4}));

    // What is gone is written again, and so it is when anything is new.
    for (name, bytes) in &parts {
        place.write(&format!("{folder}/parts/{name}"), bytes);
    }
    fs::remove_file(place.path(&format!("{folder}/out/submission.csv"))).expect("it is there");
    run(&place);
    assert_eq!(place.outputs("store")["submission.csv"], first["submission.csv"]);
    spoil();
    list(&place, &["same", "moved", "replaced"].map(|id| (id, &*format!("in/{id}.bmp").leak())));
    assert_ne!(place.marquetry(&["run", "job.yaml"]).code, Some(0), "its table lacks a row now");
}
