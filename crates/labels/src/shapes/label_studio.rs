//! Exports of Label Studio (JSON and JSON-MIN): shapes in percent of the image, brushes as a packed stream of RGBA.

use super::{Area, Draft, Shape, ShapeImage, ShapeSource};
use crate::error::LabelError;
use marquetry_geometry::Size;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::Path;

#[derive(Deserialize)]
struct Task {
    #[serde(default)]
    data: Map<String, Value>,
    #[serde(default, alias = "completions")]
    annotations: Option<Vec<Annotation>>,
    /// In JSON-MIN, the task's data and, under the names of what they were drawn with, the shapes of one annotation.
    #[serde(flatten)]
    min: Map<String, Value>,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    was_cancelled: bool,
    #[serde(default)]
    completed_by: Value,
    #[serde(default)]
    result: Vec<Drawn>,
}

#[derive(Deserialize)]
struct Drawn {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    value: Map<String, Value>,
    original_width: Option<u32>,
    original_height: Option<u32>,
    #[serde(default)]
    image_rotation: f64,
}

/// Reads an export.
///
/// # Errors
/// When it cannot be read, an image has several annotations that count, or shapes cannot be drawn: all of these.
pub(crate) fn open(path: &Path) -> Result<ShapeSource, LabelError> {
    let name = path.display().to_string();
    let text = std::fs::read(path).map_err(|source| LabelError::Io {
        path: path.to_owned(),
        doing: "reading the annotations",
        source,
    })?;
    let tasks: Vec<Task> = serde_json::from_slice(&text)
        .map_err(|error| LabelError::meaning(&name, format!("it is no export of Label Studio: {error}")))?;
    let tasks = whole_tasks(tasks);
    let mut draft = Draft::new();
    let (paths, prefixed) = image_paths(&tasks, &mut draft);
    for (task, path) in tasks.iter().zip(paths) {
        let annotations = task.annotations.as_deref().unwrap_or_default();
        let counting: Vec<&Annotation> = annotations.iter().filter(|one| !one.was_cancelled).collect();
        match counting.as_slice() {
            // Nobody has annotated it yet: it has no label.
            [] => {}
            [annotation] => image(path, annotation, &mut draft),
            several => {
                let by: Vec<String> = several.iter().map(|one| one.completed_by.to_string()).collect();
                draft.fault(format!(
                    "{path} has {} annotations, by {}; which of them counts is not known: export one of each image",
                    several.len(),
                    by.join(", ")
                ));
            }
        }
    }
    if prefixed > 0 {
        draft.note(format!(
            "{prefixed} names have the prefix that uploads get (12345678-name.png); it is left out"
        ));
    }
    draft.finish(name, "Label Studio")
}

/// What is drawn, as JSON-MIN has it.
const DRAWN: [&str; 4] = ["brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels"];

/// What JSON-MIN says of an annotation, beside the task's own data.
const OF_ANNOTATIONS: [&str; 4] = ["annotator", "created_at", "updated_at", "lead_time"];

/// Tasks with their annotations. In JSON-MIN each entry is one annotation, and several of one task are told by its id.
fn whole_tasks(tasks: Vec<Task>) -> Vec<Task> {
    let mut whole: Vec<Task> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for mut task in tasks {
        if task.annotations.is_some() || !task.data.is_empty() {
            whole.push(task);
            continue;
        }
        let annotation = Annotation::of_min(&task.min);
        let id = task.min.get("id").map(ToString::to_string);
        if let Some(&place) = id.as_ref().and_then(|id| by_id.get(id)) {
            whole[place].annotations.get_or_insert_default().push(annotation);
            continue;
        }
        by_id.extend(id.map(|id| (id, whole.len())));
        task.annotations = Some(vec![annotation]);
        task.data = std::mem::take(&mut task.min);
        task.data.retain(|key, _| !OF_ANNOTATIONS.contains(&key.as_str()));
        whole.push(task);
    }
    whole
}

impl Annotation {
    /// The annotation of an entry of JSON-MIN.
    fn of_min(entry: &Map<String, Value>) -> Self {
        let lists = entry.values().filter_map(Value::as_array).flatten().filter_map(Value::as_object);
        let drawn = lists.filter_map(|value| {
            let kind = DRAWN.into_iter().find(|kind| value.contains_key(*kind));
            let side =
                |name: &str| value.get(name).and_then(Value::as_u64).and_then(|side| side.try_into().ok());
            let is_drawn = kind.is_some() || value.contains_key("original_width");
            is_drawn.then(|| Drawn {
                kind: kind.unwrap_or("something else").to_owned(),
                value: value.clone(),
                original_width: side("original_width"),
                original_height: side("original_height"),
                image_rotation: value.get("image_rotation").and_then(Value::as_f64).unwrap_or(0.0),
            })
        });
        Self {
            was_cancelled: false,
            completed_by: entry.get("annotator").cloned().unwrap_or_default(),
            result: drawn.collect(),
        }
    }
}

/// What the images are called. Uploads have a prefix of eight characters, which is left out where the rest is unique.
fn image_paths(tasks: &[Task], draft: &mut Draft) -> (Vec<String>, usize) {
    let whole: Vec<String> = tasks
        .iter()
        .enumerate()
        .map(|(at, task)| {
            let texts = || task.data.values().find_map(Value::as_str);
            let found = task.data.get("image").and_then(Value::as_str).or_else(texts);
            if found.is_none() {
                draft.fault(format!("task {at} names no image in its `data`"));
            }
            // Files that were not uploaded are the argument of an address.
            let path = found.unwrap_or_default();
            path.split_once("?d=").map_or(path, |(_, path)| path).to_owned()
        })
        .collect();
    let rest = |path: &str| -> Option<String> {
        let name = path.strip_prefix("/data/upload/")?.rsplit('/').next()?;
        let (prefix, rest) = name.split_at_checked(8)?;
        prefix.bytes().all(|b| b.is_ascii_hexdigit()).then(|| rest.strip_prefix('-').map(str::to_owned))?
    };
    let mut count: HashMap<String, usize> = HashMap::new();
    whole.iter().filter_map(|path| rest(path)).for_each(|rest| *count.entry(rest).or_default() += 1);
    let mut prefixed = 0;
    let paths = whole.iter().map(|path| match rest(path).filter(|rest| count[rest] == 1) {
        Some(rest) => {
            prefixed += 1;
            rest
        }
        None => path.trim_start_matches('/').to_owned(),
    });
    (paths.collect(), prefixed)
}

fn image(path: String, annotation: &Annotation, draft: &mut Draft) {
    let (mut size, mut shapes) = (None, Vec::new());
    for drawn in &annotation.result {
        let own =
            drawn.original_height.zip(drawn.original_width).map(|(height, width)| Size::new(height, width));
        match shape(drawn, own) {
            Ok(Some((label, area))) if size.is_none() || size == own => {
                size = own;
                shapes.push(Shape { number: draft.number(label), area });
            }
            Ok(Some(_)) => draft.fault(format!("{path}: its shapes give the image different sizes")),
            Ok(None) => draft.without_area(&drawn.kind),
            Err(found) => draft.fault(format!("{path}, {}: {found}", drawn.kind)),
        }
    }
    draft.image(ShapeImage { path, size, shapes });
}

/// The label and the area of something drawn; nothing where it has no area.
fn shape(drawn: &Drawn, size: Option<Size>) -> Result<Option<(&str, Area)>, String> {
    if !DRAWN.contains(&drawn.kind.as_str()) || drawn.value.get("closed") == Some(&Value::Bool(false)) {
        return Ok(None);
    }
    let labels =
        drawn.value.get(&drawn.kind).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [Value::String(label)] = labels else {
        return Err(format!("it has {} labels; a shape of a label has one", labels.len()));
    };
    if drawn.image_rotation != 0.0 {
        return Err(format!(
            "the image was turned by {} degrees; turn the file itself",
            drawn.image_rotation
        ));
    }
    let size = size.ok_or("it has no original_width and original_height")?;
    let (width, height) = (f64::from(size.width) / 100.0, f64::from(size.height) / 100.0);
    let number = |name: &str| {
        drawn.value.get(name).and_then(Value::as_f64).ok_or_else(|| format!("it has no number `{name}`"))
    };
    let degrees = drawn.value.get("rotation").and_then(Value::as_f64).unwrap_or(0.0);
    let area = match drawn.kind.as_str() {
        "brushlabels" => brush(&drawn.value, size)?,
        "polygonlabels" => {
            let points: Vec<[f64; 2]> = drawn
                .value
                .get("points")
                .and_then(|points| <Vec<[f64; 2]> as Deserialize>::deserialize(points).ok())
                .ok_or("its `points` are no points")?;
            Area::Rings(vec![points.into_iter().map(|[x, y]| [x * width, y * height]).collect()])
        }
        "rectanglelabels" => {
            let corner = [number("x")? * width, number("y")? * height];
            let extent = [number("width")? * width, number("height")? * height];
            Area::turned_rectangle(corner, [corner[0] + extent[0], corner[1] + extent[1]], corner, degrees)
        }
        _ => Area::Ellipse {
            centre: [number("x")? * width, number("y")? * height],
            radii: [number("radiusX")? * width, number("radiusY")? * height],
            degrees,
        },
    };
    Ok(Some((label, area)))
}

/// What a brush has touched: where its alpha, the last of four channels, is not 0.
fn brush(value: &Map<String, Value>, size: Size) -> Result<Area, String> {
    if value.get("format").and_then(Value::as_str) != Some("rle") {
        return Err("its `format` is not `rle`".to_owned());
    }
    let bytes = value
        .get("rle")
        .and_then(|bytes| <Vec<u8> as Deserialize>::deserialize(bytes).ok())
        .ok_or("its `rle` is no list of bytes")?;
    let covered = unpack(&bytes, size.area())?;
    Ok(Area::Mask { left: 0, top: 0, size, covered })
}

/// Unpacks a stream of `4 × pixels` values, and keeps of each fourth whether it is not 0.
///
/// 32 bits of how many values, 5 of the bits of a value less one, four times 4 of the bits of a length less one; then
/// runs: a bit that says whether all are equal, 2 bits of which length, the length less one, and the value or values.
fn unpack(bytes: &[u8], pixels: u64) -> Result<Vec<bool>, String> {
    let mut bits = Bits { bytes, at: 0 };
    let short = || "its stream ends too early".to_owned();
    let values = u64::from(bits.take(32).ok_or_else(short)?);
    if Some(values) != pixels.checked_mul(4) {
        return Err(format!(
            "its stream has {values} values; 4 for each of {pixels} pixels are {}",
            4 * pixels
        ));
    }
    let word = bits.take(5).ok_or_else(short)? + 1;
    let mut lengths = [0; 4];
    for length in &mut lengths {
        *length = bits.take(4).ok_or_else(short)? + 1;
    }
    let (mut covered, mut at) = (vec![false; pixels as usize], 0_u64);
    while at < values {
        let same = bits.take(1).ok_or_else(short)? == 1;
        let length = lengths[bits.take(2).ok_or_else(short)? as usize];
        let run = u64::from(bits.take(length).ok_or_else(short)?) + 1;
        let end = (at + run).min(values);
        let mut value = if same { bits.take(word).ok_or_else(short)? } else { 0 };
        for place in at..end {
            if !same {
                value = bits.take(word).ok_or_else(short)?;
            }
            if place % 4 == 3 {
                covered[(place / 4) as usize] = value > 0;
            }
        }
        at = end;
    }
    Ok(covered)
}

/// Bits of bytes, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `number` bits, at most 32, as a number.
    fn take(&mut self, number: u32) -> Option<u32> {
        let end = self.at + number as usize;
        if end > 8 * self.bytes.len() {
            return None;
        }
        let bit = |at: usize| u64::from(self.bytes[at / 8] >> (7 - at % 8) & 1);
        let taken = (self.at..end).fold(0, |taken, at| taken << 1 | bit(at));
        self.at = end;
        Some(taken as u32)
    }
}
