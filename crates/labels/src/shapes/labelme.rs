//! Files of labelme: one for each image, later shapes on top.

use super::{Area, Draft, Shape, ShapeImage, ShapeSource};
use crate::error::LabelError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use marquetry_geometry::{Rect, Size};
use marquetry_raster::read::Limits;
use marquetry_raster::read::labels::{LabelReader, Labels};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What is read of a file; the image inside is not.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    shapes: Vec<FileShape>,
    image_path: Option<String>,
    image_height: Option<u32>,
    image_width: Option<u32>,
}

#[derive(Deserialize)]
struct FileShape {
    label: String,
    points: Vec<[f64; 2]>,
    shape_type: Option<String>,
    mask: Option<String>,
}

/// Reads files, each with the path of its folder below the root, which ends in `/` where it is not empty.
///
/// # Errors
/// When one cannot be read or has shapes that cannot be drawn, all of these.
pub(crate) fn open(
    root: &Path,
    files: &[(String, PathBuf)],
    limits: &Limits,
) -> Result<ShapeSource, LabelError> {
    let mut draft = Draft::new();
    for (folder, path) in files {
        let shown = path.display().to_string();
        let text = std::fs::read(path).map_err(|source| LabelError::Io {
            path: path.clone(),
            doing: "reading the shapes",
            source,
        })?;
        let file: File = match serde_json::from_slice(&text) {
            Ok(file) => file,
            Err(error) => {
                draft.fault(format!("{shown} is no file of labelme: {error}"));
                continue;
            }
        };
        let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let image =
            file.image_path.as_deref().and_then(|path| path.rsplit(['/', '\\']).next()).map(str::to_owned);
        let size = file.image_height.zip(file.image_width).map(|(height, width)| Size::new(height, width));
        let mut shapes = Vec::new();
        for (at, shape) in file.shapes.into_iter().enumerate() {
            let kind = shape.shape_type.as_deref().unwrap_or("polygon");
            match area(kind, &shape, limits) {
                Ok(Some(area)) => shapes.push(Shape { number: draft.number(&shape.label), area }),
                Ok(None) => draft.without_area(kind),
                Err(found) => draft.fault(format!("{shown}, shape {at} (`{}`): {found}", shape.label)),
            }
        }
        draft.image(ShapeImage { path: format!("{folder}{}", image.unwrap_or_else(stem)), size, shapes });
    }
    draft.finish(root.display().to_string(), "labelme")
}

fn area(kind: &str, shape: &FileShape, limits: &Limits) -> Result<Option<Area>, String> {
    match (kind, shape.points.as_slice()) {
        ("rectangle", &[corner, opposite]) => Ok(Some(Area::rectangle(corner, opposite))),
        ("polygon" | "rectangle", points) if points.len() >= 3 => {
            Ok(Some(Area::Rings(vec![points.to_vec()])))
        }
        ("circle", &[centre, rim]) => {
            let radius = (rim[0] - centre[0]).hypot(rim[1] - centre[1]);
            Ok(Some(Area::Ellipse { centre, radii: [radius; 2], degrees: 0.0 }))
        }
        ("mask", &[[left, top], ..]) => {
            let mask = shape.mask.as_deref().ok_or("a mask without one")?;
            let (size, covered) = mask_of(mask, limits)?;
            Ok(Some(Area::Mask { left: left.round() as i64, top: top.round() as i64, size, covered }))
        }
        ("polygon" | "point" | "points" | "line" | "linestrip", _) => Ok(None),
        ("rectangle" | "circle" | "mask", points) => Err(format!("a {kind} of {} points", points.len())),
        _ => Err(format!("shapes of type `{kind}` are not known")),
    }
}

fn mask_of(text: &str, limits: &Limits) -> Result<(Size, Vec<bool>), String> {
    let bytes = STANDARD.decode(text.trim()).map_err(|error| format!("its mask is no Base64: {error}"))?;
    let failed =
        |error: marquetry_raster::read::ReadError| format!("its mask cannot be read: {}", error.found());
    let reader = LabelReader::open_from(Box::new(bytes), Path::new("mask"), limits).map_err(failed)?;
    let size = reader.info().size;
    let mut labels = Labels::default();
    reader.read(Rect::whole(size), &mut labels).map_err(failed)?;
    // Of more bands than one the first counts: they are equal.
    Ok((size, labels.values[..size.area() as usize].iter().map(|&value| value > 0).collect()))
}
