//! What a job hands back.

use super::classes::Classes;
use super::node::Node;
use super::read::{At, Fields, one_of};
use super::submission::{self, ClassCsv, KaggleRle};
use super::window::name_of;
use marquetry_ensemble::Labelling;

pub(super) const KINDS: [&str; 6] = ["masks", "probabilities", "submission", "coco", "polygons", "report"];
pub(super) const PROBABILITIES_KEYS: [&str; 2] = ["format", "dtype"];
pub(super) const COCO_KEYS: [&str; 2] = ["coco", "file"];

/// One thing that a job hands back.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// One image of labels for each image.
    Masks(MaskFormat),
    /// One array of probabilities for each image.
    Probabilities(Probabilities),
    /// A table of run lengths.
    KaggleRle(KaggleRle),
    /// A table of class ids, pixel by pixel.
    ClassCsv(ClassCsv),
    /// A COCO list of annotations.
    Coco(Coco),
    /// Outlines as GeoJSON, one file for each image.
    Polygons,
    /// A page that says what was done.
    Report,
}

/// How masks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskFormat {
    /// PNG with a palette.
    Png,
    /// Tiled TIFF, with the source's georeference.
    Tiff,
}

/// Probabilities of all classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probabilities {
    /// How they are written.
    pub format: ScoreFormat,
    /// How one is kept.
    pub dtype: ScoreDtype,
}

/// How probabilities are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreFormat {
    /// A chunked array in a folder.
    Zarr,
    /// Tiled TIFF, one band per class.
    Tiff,
}

/// How one probability is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreDtype {
    /// `round(255 · p)`.
    U8,
    /// Half precision.
    F16,
}

/// A COCO list of annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coco {
    /// Its path below the job's outputs.
    pub file: String,
    /// How a mask is written.
    pub shape: CocoShape,
}

/// How COCO writes a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CocoShape {
    /// Compressed run lengths.
    Rle,
    /// Outlines.
    Polygons,
}

const MASKS: [(&str, MaskFormat); 2] = [("png", MaskFormat::Png), ("tiff", MaskFormat::Tiff)];
const FORMATS: [(&str, ScoreFormat); 2] = [("zarr", ScoreFormat::Zarr), ("tiff", ScoreFormat::Tiff)];
const DTYPES: [(&str, ScoreDtype); 2] = [("f16", ScoreDtype::F16), ("u8", ScoreDtype::U8)];
const SHAPES: [(&str, CocoShape); 2] = [("rle", CocoShape::Rle), ("polygons", CocoShape::Polygons)];
/// What an output must know of the job.
pub(super) struct Context<'a> {
    pub(super) classes: &'a Classes,
    pub(super) labelling: Labelling,
    pub(super) background: Option<usize>,
    /// Whether scores are still probabilities.
    pub(super) probabilities: bool,
}

/// Reads the list of outputs.
pub(super) fn read(at: &At<'_>, job: &Context<'_>) -> Vec<Output> {
    let items = at.items("a list of outputs: [{masks: png}, …]").unwrap_or_default();
    if at.is_list() && items.is_empty() {
        at.conflict("no output; needed is at least one");
    }
    let mut outputs: Vec<Output> = Vec::new();
    for item in &items {
        let Some(output) = job.read(item) else { continue };
        if let Some(first) = outputs.iter().position(|other| other.place() == output.place()) {
            item.conflict(format!("writes to the same place ({}) as outputs[{first}]", output.place()));
        }
        outputs.push(output);
    }
    outputs
}

impl Output {
    /// Where it is written, below the job's outputs: a file, or a folder with something for each image.
    pub fn place(&self) -> String {
        match self {
            Self::Masks(MaskFormat::Png) => "masks/*.png".to_owned(),
            Self::Masks(MaskFormat::Tiff) => "masks/*.tiff".to_owned(),
            Self::Probabilities(p) if p.format == ScoreFormat::Zarr => "probabilities/*.zarr".to_owned(),
            Self::Probabilities(_) => "probabilities/*.tiff".to_owned(),
            Self::KaggleRle(KaggleRle { file, .. })
            | Self::ClassCsv(ClassCsv { file, .. })
            | Self::Coco(Coco { file, .. }) => file.clone(),
            Self::Polygons => "polygons/*.geojson".to_owned(),
            Self::Report => "report.html".to_owned(),
        }
    }

    pub(super) fn write(&self, classes: &Classes) -> Node {
        match self {
            Self::Masks(format) => Node::map([("masks", Some(name_of(&MASKS, *format)))]),
            Self::Probabilities(Probabilities { format, dtype }) => {
                let keys =
                    [("format", Some(name_of(&FORMATS, *format))), ("dtype", Some(name_of(&DTYPES, *dtype)))];
                Node::map([("probabilities", Some(Node::map(keys)))])
            }
            Self::KaggleRle(rle) => rle.write(classes),
            Self::ClassCsv(csv) => csv.write(),
            Self::Coco(coco) => Node::map([
                ("coco", Some(name_of(&SHAPES, coco.shape))),
                ("file", Some(coco.file.as_str().into())),
            ]),
            Self::Polygons => Node::map([("polygons", Some("geojson".into()))]),
            Self::Report => Node::map([("report", Some("html".into()))]),
        }
    }
}

impl Context<'_> {
    fn read(&self, at: &At<'_>) -> Option<Output> {
        let entries = at.peek();
        let kinds: Vec<&str> =
            entries.iter().map(|(key, _)| *key).filter(|key| KINDS.contains(key)).collect();
        let kind = match kinds.as_slice() {
            [kind] => *kind,
            [] if entries.is_empty() => return at.refuse(format!("a map with one of {}", one_of(&KINDS))),
            // Every key is an unknown one.
            [] => {
                at.fields(&KINDS);
                return None;
            }
            [first, second, ..] => {
                at.conflict(format!(
                    "`{first}` and `{second}` are two outputs; write them as two entries of the list"
                ));
                return None;
            }
        };
        match kind {
            "masks" => {
                let fields = at.fields(&["masks"]);
                fields.read("masks", |at| at.one_of(&MASKS)).map(Output::Masks)
            }
            "probabilities" => self.probabilities(&at.fields(&["probabilities"])).map(Output::Probabilities),
            "submission" => submission::read(at, self),
            "coco" => {
                let fields = at.fields(&COCO_KEYS);
                let file = file(&fields, "coco.json");
                let shape = fields.read("coco", |at| at.one_of(&SHAPES))?;
                Some(Output::Coco(Coco { file, shape }))
            }
            "polygons" => {
                let fields = at.fields(&["polygons"]);
                fields.read("polygons", |at| at.one_of(&[("geojson", ())])).map(|()| Output::Polygons)
            }
            _ => {
                let fields = at.fields(&["report"]);
                fields.read("report", |at| at.one_of(&[("html", ())])).map(|()| Output::Report)
            }
        }
    }

    fn probabilities(&self, fields: &Fields<'_>) -> Option<Probabilities> {
        if !self.probabilities {
            fields.forbid(
                &["probabilities"],
                "tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min",
            );
        }
        let at = fields.get("probabilities")?;
        if !at.is_map() {
            let format = at.one_of(&FORMATS)?;
            return Some(Probabilities { format, dtype: ScoreDtype::F16 });
        }
        let inner = at.fields(&PROBABILITIES_KEYS);
        let format = inner.need("format", "zarr or tiff").and_then(|at| at.one_of(&FORMATS));
        let dtype = inner.read("dtype", |at| at.one_of(&DTYPES)).unwrap_or(ScoreDtype::F16);
        Some(Probabilities { format: format?, dtype })
    }
}

/// The path of a file below the job's outputs.
pub(super) fn file(fields: &Fields<'_>, standard: &str) -> String {
    let inside = |path: &str| {
        path.split('/').all(|part| !matches!(part, "" | "." | ".."))
            && !path.contains(['\\', ':'])
            && !path.contains(char::is_control)
    };
    let read = |at: &At<'_>| at.text_where("a relative path that stays below the job's outputs", inside);
    fields.read("file", read).unwrap_or_else(|| standard.to_owned())
}
