//! That a row of the table is all that a key needs.

use super::JobSpec;
use super::error::SpecErrorKind;
use super::job::tests::EXAMPLES;
use super::kind::{Maybe, Text, Whole, Words};
use super::load::load;
use super::read::{At, FoundErrors};
use super::scope::Scope;
use super::section::{Section, section};
use super::table::{Shape, Table};
use super::{reference, schema};
use serde_json::{Value, json};

section! {
    /// A picture's frame.
    struct Frame: "frame" (_) {
        /// How wide it is, px.
        width_px: u32 = 3, Whole::<u32>::new(1, 9);
        /// What it is made of.
        wood: Option<&'static str> = None, Maybe(Words(&[("oak", "oak"), ("ash", "ash")]));
        /// What is written on it.
        title as text: String = String::new(), Text::not_blank("a title"), required = "a title";
    }
}

/// A section that exists here alone is read, checked, printed, described and explained.
#[test]
fn a_key_is_one_declaration() {
    let frame = |text: &str| {
        let (node, errors) = (load(text).unwrap(), FoundErrors::default());
        let frame = Scope::documented(|scope| {
            let frame = Frame::read(&At::root(&node, &errors), scope);
            frame.map(|frame| (frame.width_px, super::print::to_yaml(&frame.node(scope))))
        });
        let errors: Vec<String> = errors.into_inner().iter().map(ToString::to_string).collect();
        (frame, errors.join("\n"))
    };
    assert_eq!(frame("title: a"), (Some((3, "width_px: 3\ntitle: a\n".to_owned())), String::new()));
    let whole = "width_px: 9\nwood: ash\ntitle: a\n";
    assert_eq!(frame(whole), (Some((9, whole.to_owned())), String::new()));
    let errors = "line 1: wide_px: unknown key (did you mean `width_px`?); allowed are width_px, wood, title\n\
                  line 2: wood: given `elm`; allowed is oak or ash\n\
                  line 1: title: missing; needed is a title";
    assert_eq!(frame("wide_px: 2\nwood: elm"), (None, errors.to_owned()));

    let table = Frame::table();
    let schema = schema::of(&table);
    assert_eq!(
        schema["properties"]["width_px"],
        json!({"type": "integer", "minimum": 1, "maximum": 9, "default": 3, "description": "How wide it is, px."})
    );
    assert_eq!(
        (&schema["required"], &schema["description"]),
        (&json!(["title"]), &json!("A picture's frame."))
    );
    let page = reference::of(&table);
    for line in [
        "| `width_px` | a whole number from 1 to 9 | `3` | How wide it is, px. |",
        "| `wood` | `oak` or `ash` | none | What it is made of. |",
        "| `title` | a title | required | What is written on it. |",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}

/// A job that has what its keys need, as the map at `path` of which `key` is set to nothing.
fn job_with(table: &Table, path: &str, key: &str) -> Value {
    let mut job = json!({
        "version": 1, "images": {"from": "x"}, "classes": [{"name": "background"}, {"name": "nucleus"}],
        "members": [{"onnx": "a"}], "outputs": [{}],
    });
    if path == "outputs[]" {
        let word = match &table.keys[0].shape {
            Shape::Words(words) => words[0],
            _ => "",
        };
        job["outputs"][0][table.keys[0].name] = json!(word);
    }
    let mut map = &mut job;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        map = match part.strip_suffix("[]") {
            Some(list) => {
                if map[list].is_null() {
                    map[list] = json!([{}]);
                }
                &mut map[list][0]
            }
            None if part == "<class>" => &mut map["nucleus"],
            None => &mut map[part],
        };
        if !map.is_object() {
            *map = json!({});
        }
    }
    map[key] = Value::Null;
    job
}

/// What is said when `key` is in the map at `path`, if it is unknown there.
fn unknown(table: &Table, path: &str, key: &str) -> Option<SpecErrorKind> {
    let full = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let full = full.replace("[]", "[0]").replace("<class>", "nucleus");
    let errors = JobSpec::parse(&job_with(table, path, key).to_string()).err()?;
    let is_unknown = |kind: &SpecErrorKind| matches!(kind, SpecErrorKind::UnknownKey { .. });
    errors.iter().find(|error| error.path == full && is_unknown(&error.kind)).map(|error| error.kind.clone())
}

/// Each row of the table is a key that the reader knows, the schema describes and the page explains; its neighbour is
/// none, and the reader says which key was meant.
#[test]
fn every_key_of_the_table_is_read_described_and_explained() {
    let job = JobSpec::table();
    let (schema, page) = (schema(), reference());
    let mut keys = 0;
    for place in reference::places(&job) {
        let Table { name, keys: rows, .. } = place.table;
        let section = if *name == "job" { &schema } else { &schema["$defs"][name] };
        let (_, explained) = page.split_once(&format!("<a id=\"{name}\">")).expect("a heading");
        for key in rows {
            let at = format!("{name}.{}", key.name);
            let description = section["properties"][key.name]["description"].as_str().expect(&at);
            assert!(!key.about.is_empty() && description.starts_with(&key.about), "{at}: {description}");
            let explained = explained.split("<a id").next().expect("the section");
            assert!(explained.contains(&format!("\n| `{}` | ", key.name)), "{at} is not explained");
            for path in &place.paths {
                assert_eq!(unknown(place.table, path, key.name), None, "{path}: {at}");
                let neighbour = format!("{}x", key.name);
                let said = unknown(place.table, path, &neighbour).expect(&at).to_string();
                let meant = format!("unknown key (did you mean `{}`?)", key.name);
                assert!(said.starts_with(&meant), "{path}: {neighbour}: {said}");
            }
            keys += 1;
        }
    }
    assert_eq!(section_sizes(&schema), keys, "the schema has a key that the table has not");
}

fn section_sizes(schema: &Value) -> usize {
    let size = |map: &Value| map["properties"].as_object().expect("properties").len();
    size(schema) + schema["$defs"].as_object().expect("sections").values().map(size).sum::<usize>()
}

/// Jobs in which every key is printed: the examples, and what they leave out.
const MORE: [&str; 4] = [
    "
version: 1
images: x
classes: [background, a]
members: [{onnx: a}]
tta: {views: d4}
tiles: {per: member}
cascade: {first: {fold: 0}, views: flips, margin: 0.8, agreement: 1, joins: true, around: 9}
gate:
  models: [{onnx: g, head: h, activation: none, multilabel: true, classes: {a: 0}, size: 9, resample: area, input: {bands: [0]}}, {onnx: h, input: {normalize: {per: window, percentiles: [1, 99]}}}]
  threshold: 0.3
outputs: [{masks: png}]
",
    "
version: 1
images: x
classes: [background, a]
members: [{onnx: a}]
decide: {factors: {a: 1.5}}
tiles: {per: member}
truth: labels
region: {from: masks, margin: 9, class: a}
subset: {members: {fold: 0}, sample: 0.5, stratify: site}
outputs: [{probes: safetensors, per_image: 9}]
",
    "
version: 1
preset: nnunet
images: {from: x.csv, bands: [0, 1], page: 2, nodata: -9999}
region: {column: mask}
classes: [background, {name: a, color: '#010203'}, b]
labels: {b: 9}
members:
  - {onnx: a, name: n, tags: {fold: 1}, input: {bands: [0]}, output: {head: h, classes: {a: 0, b: [1, 2]}, rest: drop}, window: {stride: 9, padding: {constant: 1}}}
tta: {views: d4, swap: {hflip: [[a, b]], transpose: []}}
decide: {thresholds: 0.5}
outputs:
  - {masks: png}
  - {probabilities: zarr}
  - {submission: kaggle-rle, sample: s.csv}
  - {submission: class-csv, file: c.csv}
  - {coco: rle}
  - {polygons: geojson}
  - {report: html}
",
    "
version: 1
images: x
classes: [background, a]
members:
  - {onnx: a, input: {normalize: {per: window, percentiles: [1, 99]}}, window: {overlap: 0.1}}
  - {onnx: b, window: {mode: whole, fit: letterbox}}
decide: {triplet: {a: {top: 0.7, area_px: 8, bottom: 0.3}}}
truth: {from: labels, map: {7: a}, colours: c.json, array: l, property: p}
folds: {from: splits_final.json}
outputs:
  - {evaluation: html, boundary_px: 5, tolerance_px: 2}
  - {label_quality: html, shown: 9}
  - {corrected_labels: {png: grey}, probability: 0.95, usual: x, file: c.csv}
  - {corrected_labels: {tiff: grey}}
  - {masks: {png: grey}}
  - {masks: {tiff: grey}}
  - {soft_labels: zarr, top: 1}
  - {pseudo_labels: {png: grey}}
  - {uncertainty: entropy}
  - {ranking: margin, of: windows, window: 99}
  - {pseudo_labels: {tiff: grey}, share: 0.3, file: p.csv}
",
];

/// Adds the places of all keys of a printed value, as the table names them.
fn printed(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                printed(value, &path, found);
                found.push(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| printed(item, &format!("{path}[]"), found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_table_is_printed() {
    let mut found = Vec::new();
    for text in MORE.iter().copied().chain(EXAMPLES.map(|(_, text)| text)) {
        let job = JobSpec::parse(text).unwrap_or_else(|errors| panic!("{errors}\nin {text}"));
        printed(&serde_json::to_value(&job).unwrap(), "", &mut found);
    }
    let job = JobSpec::table();
    for place in reference::places(&job) {
        // Defaults are printed in each member.
        for path in
            place.paths.iter().filter(|path| !path.starts_with("defaults") && *path != "decide.triplet")
        {
            for key in place.table.keys.iter().filter(|key| key.name != "defaults") {
                let full = format!("{path}.{}", key.name);
                let full = full.trim_start_matches('.').replace("<class>", "a");
                assert!(found.contains(&full), "{full} is in no printed job");
            }
        }
    }
}
