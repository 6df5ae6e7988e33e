//! "CVAT for images": one XML file; `z_order`, then the order of the file, says what is on top.

use super::{Area, Draft, Shape, ShapeImage, ShapeSource};
use crate::error::LabelError;
use marquetry_geometry::Size;
use roxmltree::{Document, Node};
use std::path::Path;

/// Most pixels of a mask's box.
const BOX_MAX: u64 = 1 << 31;

/// Reads a file.
///
/// # Errors
/// When it cannot be read, is another export, or has shapes that cannot be drawn.
pub(crate) fn open(path: &Path) -> Result<ShapeSource, LabelError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| LabelError::Io {
        path: path.to_owned(),
        doing: "reading the annotations",
        source,
    })?;
    let document = Document::parse(&text).map_err(|error| LabelError::meaning(&name, error.to_string()))?;
    let root = document.root_element();
    if !root.has_tag_name("annotations") {
        let found = format!("it is XML of `{}`, not the `annotations` of CVAT", root.tag_name().name());
        return Err(LabelError::meaning(&name, found));
    }
    if root.children().any(|node| node.has_tag_name("track")) {
        let found = "it is an export of a video (tracks); export the task as \"CVAT for images\"";
        return Err(LabelError::meaning(&name, found));
    }
    let mut draft = Draft::new();
    let mut broken = Vec::new();
    for image in root.children().filter(|node| node.has_tag_name("image")) {
        let path = image.attribute("name").unwrap_or_default().to_owned();
        let side = |name: &str| image.attribute(name).and_then(|side| side.parse().ok());
        let size = side("height").zip(side("width")).map(|(height, width)| Size::new(height, width));
        let mut shapes = Vec::new();
        for node in image.children().filter(Node::is_element) {
            let Some(label) = node.attribute("label") else { continue };
            let kind = node.tag_name().name();
            let order = node.attribute("z_order").and_then(|order| order.parse().ok()).unwrap_or(0_i64);
            match area(&node) {
                Ok(Some(area)) => shapes.push((order, Shape { number: draft.number(label), area })),
                Ok(None) => draft.without_area(kind),
                Err(Fault::Counts(found)) => broken.push(format!("{path}, {label}: {found}")),
                Err(Fault::Other(found)) => draft.fault(format!("{path}, {kind} `{label}`: {found}")),
            }
        }
        shapes.sort_by_key(|(order, _)| *order);
        let shapes = shapes.into_iter().map(|(_, shape)| shape).collect();
        draft.image(ShapeImage { path, size, shapes });
    }
    if !broken.is_empty() {
        draft.note(format!("masks whose counts do not fill their box, left out: {}", broken.join("; ")));
    }
    draft.finish(name, "CVAT")
}

enum Fault {
    /// Such masks are written by mistake, and the program itself shows nothing for them.
    Counts(String),
    Other(String),
}

fn area(node: &Node<'_, '_>) -> Result<Option<Area>, Fault> {
    let number = |name: &str| {
        let text = node.attribute(name).unwrap_or_default();
        let found = || Fault::Other(format!("its `{name}` is `{text}`"));
        text.trim().parse::<f64>().map_err(|_| found())
    };
    let degrees = || if node.has_attribute("rotation") { number("rotation") } else { Ok(0.0) };
    match node.tag_name().name() {
        "polygon" => Ok(Some(Area::Rings(vec![points(node.attribute("points").unwrap_or_default())?]))),
        "box" => {
            let ([left, top], [right, bottom]) =
                ([number("xtl")?, number("ytl")?], [number("xbr")?, number("ybr")?]);
            let middle = [f64::midpoint(left, right), f64::midpoint(top, bottom)];
            Ok(Some(Area::turned_rectangle([left, top], [right, bottom], middle, degrees()?)))
        }
        "ellipse" => Ok(Some(Area::Ellipse {
            centre: [number("cx")?, number("cy")?],
            radii: [number("rx")?, number("ry")?],
            degrees: degrees()?,
        })),
        "mask" => {
            let [left, top, width, height] = ["left", "top", "width", "height"].map(&number);
            let (size, at) = (Size::new(height? as u32, width? as u32), [left? as i64, top? as i64]);
            let covered = covered(node.attribute("rle").unwrap_or_default(), size)?;
            Ok(Some(Area::Mask { left: at[0], top: at[1], size, covered }))
        }
        "polyline" | "points" | "skeleton" | "cuboid" | "tag" => Ok(None),
        _ => Err(Fault::Other("shapes of this kind are not known".to_owned())),
    }
}

fn points(text: &str) -> Result<Vec<[f64; 2]>, Fault> {
    let point = |pair: &str| {
        let (x, y) = pair.split_once(',')?;
        Some([x.trim().parse().ok()?, y.trim().parse().ok()?])
    };
    let bad = |pair: &str| Fault::Other(format!("`{pair}` is no point x,y"));
    text.split(';').map(|pair| point(pair).ok_or_else(|| bad(pair))).collect()
}

/// Counts row by row within the box, of what is not covered first.
fn covered(rle: &str, size: Size) -> Result<Vec<bool>, Fault> {
    let counts = rle.split(',').map(|count| count.trim().parse::<u64>());
    let counts: Vec<u64> =
        counts.collect::<Result<_, _>>().map_err(|_| Fault::Other(format!("its counts are `{rle}`")))?;
    if size.area() > BOX_MAX {
        return Err(Fault::Other(format!("its box has {} px", size.area())));
    }
    let sum = counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
    if sum != Some(size.area()) {
        let sum = sum.map_or_else(|| "too many".to_owned(), |sum| sum.to_string());
        return Err(Fault::Counts(format!("{sum} px for a box of {}", size.area())));
    }
    let mut covered = Vec::with_capacity(size.area() as usize);
    for (at, &count) in counts.iter().enumerate() {
        covered.resize(covered.len() + count as usize, at % 2 == 1);
    }
    Ok(covered)
}
