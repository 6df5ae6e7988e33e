//! What a job hands back.

use super::kind::{Kind, LayerKind, Maybe, ReadKind, Text, Words};
use super::node::Node;
use super::read::{At, one_of};
use super::scope::Scope;
use super::section::{Section, section};
use super::submission::{ClassCsv, KaggleRle};
use super::table::{Shape, Table};

/// The table of outputs that are not called as their images are, below the job's outputs.
pub const NAME_LIST: &str = "output-names.csv";
/// The list of files below the job's outputs that its last run has not made.
pub const STALE_LIST: &str = "stale-files.csv";

/// One thing that a job hands back.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// One image of labels for each image.
    Masks(MaskForm),
    /// One array of probabilities for each image.
    Probabilities(Probabilities),
    /// A table of run lengths.
    KaggleRle(KaggleRle),
    /// A table of class ids, pixel by pixel.
    ClassCsv(ClassCsv),
    /// A COCO list of annotations.
    Coco(Coco),
    /// Outlines as GeoJSON, one file for each image.
    Polygons(Polygons),
    /// A page that says what was done.
    Report,
}

/// A kind of output: the first of its keys tells it from others.
struct OutputKind {
    table: fn() -> Table,
    key: &'static str,
    /// The word behind that key, where several outputs have the key.
    word: Option<&'static str>,
    read: fn(&At<'_>, &Scope<'_>) -> Option<Output>,
}

impl OutputKind {
    const fn of<S: Section>(
        key: &'static str,
        word: Option<&'static str>,
        read: fn(&At<'_>, &Scope<'_>) -> Option<Output>,
    ) -> Self {
        Self { table: S::table, key, word, read }
    }
}

/// All of them. A new output is a section, a line here, and what [`Output`] says of it.
const KINDS: [OutputKind; 7] = [
    OutputKind::of::<Masks>("masks", None, |at, scope| {
        Masks::read(at, scope).map(|Masks { masks }| Output::Masks(masks))
    }),
    OutputKind::of::<ProbabilitiesOutput>("probabilities", None, ProbabilitiesOutput::read_checked),
    OutputKind::of::<KaggleRle>("submission", Some("kaggle-rle"), |at, scope| {
        KaggleRle::read_checked(at, scope).map(Output::KaggleRle)
    }),
    OutputKind::of::<ClassCsv>("submission", Some("class-csv"), |at, scope| {
        ClassCsv::read_checked(at, scope).map(Output::ClassCsv)
    }),
    OutputKind::of::<Coco>("coco", None, Coco::read_checked),
    OutputKind::of::<Polygons>("polygons", None, |at, scope| Polygons::read(at, scope).map(Output::Polygons)),
    OutputKind::of::<Report>("report", None, |at, scope| {
        Report::read(at, scope).map(|Report {}| Output::Report)
    }),
];

section! {
    /// One image of labels for each image.
    pub(super) struct Masks: "masks" (_) {
        /// `png`: with a palette. `tiff`: tiled, with the source's georeference, and a palette too. `{png: grey}` and
        /// `{tiff: grey}` have none: programs that make colours of palettes (OpenCV, TensorFlow, torchvision) read labels
        /// from these.
        masks: MaskForm = MaskForm { format: MaskFormat::Png, look: MaskLook::Palette }, MasksKind,
            required = "png or tiff";
    }
}

section! {
    /// A format of masks, and what their numbers are to programs that show them.
    pub(super) struct MaskFile: "maskFile" (_) {
        /// PNG: 8 bits, 16 where a label is above 255.
        png: Option<MaskLook> = None, Maybe(Words(&LOOKS));
        /// Tiled TIFF: 8 bits, 16 where a label is above 255.
        tiff: Option<MaskLook> = None, Maybe(Words(&LOOKS));
    }
}

/// A format of masks, and what their numbers are to programs that show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskForm {
    /// The format.
    pub format: MaskFormat,
    /// Colours or brightnesses.
    pub look: MaskLook,
}

/// What the numbers of a mask are to programs that show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskLook {
    /// Places in a palette of the classes' colours; above 255 labels a PNG has none.
    Palette,
    /// Brightnesses: the labels themselves, dark as they are.
    Grey,
}

/// How masks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskFormat {
    /// PNG with a palette.
    Png,
    /// Tiled TIFF, with the source's georeference.
    Tiff,
}

section! {
    /// One array of probabilities for each image.
    pub(super) struct ProbabilitiesOutput: "probabilities" (scope) {
        /// The format, or a map of format and dtype.
        probabilities: Probabilities = Probabilities::standard(scope), ProbabilitiesKind, required = "zarr or tiff";
    }
}

section! {
    /// Probabilities of all classes.
    pub struct Probabilities: "scores" (_) derive [Copy, Eq] {
        /// `zarr`: a chunked array in a folder. `tiff`: tiled, one band per class.
        pub format: ScoreFormat = ScoreFormat::Zarr, Words(&FORMATS), required = "zarr or tiff";
        /// How one probability is kept: half precision, or `round(255 · p)`.
        pub dtype: ScoreDtype = ScoreDtype::F16, Words(&DTYPES);
    }
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

section! {
    /// A COCO list of annotations.
    pub struct Coco: "coco" (_) derive [Eq] {
        /// How a mask is written: compressed run lengths, or outlines.
        pub coco as shape: CocoShape = CocoShape::Rle, Words(&SHAPES), required = "rle or polygons";
        /// `dataset`: images, categories and annotations with ids, as annotation tools and `COCO(file)` read them; images are
        /// numbered from 1 unless all ids are numbers. `results`: a list with scores, as `loadRes` reads it, whose score is
        /// the mean probability of the class over the pixels of the mask or outline; `image_id` is the image's id.
        pub form: CocoForm = CocoForm::Dataset, Words(&FORMS);
        /// Its path below the job's outputs.
        pub file: String = "coco.json".to_owned(), FILE;
    }
}

/// The two forms of COCO files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CocoForm {
    /// Images, categories, and annotations with ids.
    Dataset,
    /// A list of annotations with scores.
    Results,
}

/// How COCO writes a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CocoShape {
    /// Compressed run lengths.
    Rle,
    /// Outlines.
    Polygons,
}

section! {
    /// Outlines, one file for each image.
    pub struct Polygons: "polygons" (_) derive [Copy, Eq] {
        /// The format.
        constant polygons, Words(&[("geojson", ())]), required = "geojson";
        /// The coordinates of images that lie on earth. `lonlat`: longitude and latitude on WGS 84, as RFC 7946 has them.
        /// `source`: the image's own, whose system a `crs` member names; so is it, with a warning, where the system cannot be
        /// converted.
        pub crs: PolygonCrs = PolygonCrs::LonLat, Words(&SYSTEMS);
    }
}

/// The coordinates of outlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolygonCrs {
    /// Longitude and latitude on WGS 84.
    LonLat,
    /// Those of the image.
    Source,
}

section! {
    /// A page that says what was done.
    pub(super) struct Report: "report" (_) {
        /// The format.
        constant report, Words(&[("html", ())]), required = "html";
    }
}

const MASKS: [(&str, MaskFormat); 2] = [("png", MaskFormat::Png), ("tiff", MaskFormat::Tiff)];
const LOOKS: [(&str, MaskLook); 2] = [("palette", MaskLook::Palette), ("grey", MaskLook::Grey)];
const FORMS: [(&str, CocoForm); 2] = [("dataset", CocoForm::Dataset), ("results", CocoForm::Results)];
const SYSTEMS: [(&str, PolygonCrs); 2] = [("lonlat", PolygonCrs::LonLat), ("source", PolygonCrs::Source)];
const FORMATS: [(&str, ScoreFormat); 2] = [("zarr", ScoreFormat::Zarr), ("tiff", ScoreFormat::Tiff)];
const DTYPES: [(&str, ScoreDtype); 2] = [("f16", ScoreDtype::F16), ("u8", ScoreDtype::U8)];
const SHAPES: [(&str, CocoShape); 2] = [("rle", CocoShape::Rle), ("polygons", CocoShape::Polygons)];

/// The path of a file below the job's outputs.
pub(super) const FILE: Text = Text {
    allowed: "a relative path that stays below the job's outputs",
    pattern: Some(
        "^(?!\\.{1,2}(/|$))[^/\\\\:\\x00-\\x1f\\x7f]+(/(?!\\.{1,2}(/|$))[^/\\\\:\\x00-\\x1f\\x7f]+)*$",
    ),
    accept: |path| {
        path.split('/').all(|part| !matches!(part, "" | "." | ".."))
            && !path.contains(['\\', ':'])
            && !path.contains(char::is_control)
    },
};

/// The word of a format, or a map of it and a look.
struct MasksKind;

impl Kind for MasksKind {
    type Value = MaskForm;

    fn write(&self, masks: &MaskForm, scope: &Scope<'_>) -> Option<Node> {
        let MaskForm { format, look } = *masks;
        if look == MaskLook::Palette {
            return Words(&MASKS).write(&format, scope);
        }
        let of = |wanted| (format == wanted).then_some(look);
        Some(MaskFile { png: of(MaskFormat::Png), tiff: of(MaskFormat::Tiff) }.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![Words(&MASKS).shape(), Shape::Section(MaskFile::table())])
    }
}

impl ReadKind for MasksKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<MaskForm> {
        if !at.is_map() {
            let format = Words(&MASKS).read(at, scope)?;
            return Some(MaskForm { format, look: MaskLook::Palette });
        }
        let MaskFile { png, tiff } = MaskFile::read(at, scope)?;
        match (png, tiff) {
            (Some(look), None) => Some(MaskForm { format: MaskFormat::Png, look }),
            (None, Some(look)) => Some(MaskForm { format: MaskFormat::Tiff, look }),
            _ => {
                at.conflict("one of `png` and `tiff` is needed; two formats are two entries of the list");
                None
            }
        }
    }
}

impl Coco {
    fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        let coco = Self::read(at, scope)?;
        if coco.form == CocoForm::Results
            && let Some(form) = at.entry("form").filter(|_| !scope.probabilities)
        {
            form.conflict(
                "scores are probabilities, and tta.merge makes sums that are none; merge views by mean, gmean, max or min",
            );
        }
        Some(Output::Coco(coco))
    }
}

/// The word of a format, or a map with a dtype too.
struct ProbabilitiesKind;

impl Kind for ProbabilitiesKind {
    type Value = Probabilities;

    fn write(&self, probabilities: &Probabilities, scope: &Scope<'_>) -> Option<Node> {
        Some(probabilities.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::AnyOf(vec![Words(&FORMATS).shape(), Shape::Section(Probabilities::table())])
    }
}

impl LayerKind for ProbabilitiesKind {
    fn read_over(&self, at: &At<'_>, below: &Probabilities, scope: &Scope<'_>) -> Option<Probabilities> {
        if at.is_map() {
            return Probabilities::read(at, scope);
        }
        Words(&FORMATS).read(at, scope).map(|format| Probabilities { format, ..*below })
    }
}

impl ProbabilitiesOutput {
    fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        if let Some(probabilities) = at.entry("probabilities").filter(|_| !scope.probabilities) {
            probabilities.conflict(
                "tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min",
            );
        }
        Self::read(at, scope).map(|Self { probabilities }| Output::Probabilities(probabilities))
    }
}

impl Output {
    /// Where it is written, below the job's outputs: a file, or one for each image, whose name stands for the `*`.
    pub fn path_pattern(&self) -> String {
        match self {
            Self::Masks(MaskForm { format: MaskFormat::Png, .. }) => "masks/*.png".to_owned(),
            Self::Masks(MaskForm { format: MaskFormat::Tiff, .. }) => "masks/*.tiff".to_owned(),
            Self::Probabilities(p) if p.format == ScoreFormat::Zarr => "probabilities/*.zarr".to_owned(),
            Self::Probabilities(_) => "probabilities/*.tiff".to_owned(),
            Self::KaggleRle(KaggleRle { file, .. })
            | Self::ClassCsv(ClassCsv { file, .. })
            | Self::Coco(Coco { file, .. }) => file.clone(),
            Self::Polygons(_) => "polygons/*.geojson".to_owned(),
            Self::Report => "report.html".to_owned(),
        }
    }

    fn node(&self, scope: &Scope<'_>) -> Node {
        match self {
            Self::Masks(masks) => Masks { masks: *masks }.node(scope),
            Self::Probabilities(probabilities) => {
                ProbabilitiesOutput { probabilities: *probabilities }.node(scope)
            }
            Self::KaggleRle(rle) => rle.node(scope),
            Self::ClassCsv(csv) => csv.node(scope),
            Self::Coco(coco) => coco.node(scope),
            Self::Polygons(polygons) => polygons.node(scope),
            Self::Report => Report {}.node(scope),
        }
    }
}

/// All that a job hands back.
pub(super) struct OutputList;

impl Kind for OutputList {
    type Value = Vec<Output>;

    fn write(&self, outputs: &Vec<Output>, scope: &Scope<'_>) -> Option<Node> {
        Some(Node::list(outputs.iter().map(|output| output.node(scope))))
    }

    fn shape(&self) -> Shape {
        let tables = KINDS.iter().map(|kind| (kind.table)()).collect();
        Shape::list_of(Shape::OneOf(tables), 1, None)
    }
}

/// Reads the list of outputs.
pub(super) fn read(at: &At<'_>, scope: &Scope<'_>) -> Vec<Output> {
    let items = at.items("a list of outputs: [{masks: png}, …]").unwrap_or_default();
    if at.is_list() && items.is_empty() {
        at.conflict("no output; needed is at least one");
    }
    let mut outputs: Vec<Output> = Vec::new();
    for item in &items {
        let Some(output) = read_one(item, scope) else { continue };
        let place = output.path_pattern();
        if let Some(list) = [NAME_LIST, STALE_LIST].iter().find(|list| places_meet(list, &place)) {
            item.conflict(format!(
                "{place} is where a list that Marquetry makes lies ({list}); take another file"
            ));
        }
        let meets = |other: &Output| places_meet(&other.path_pattern(), &place);
        if let Some((first, other)) = outputs.iter().enumerate().find(|(_, other)| meets(other)) {
            let other = other.path_pattern();
            let same = "writes to the same place";
            item.conflict(if other == place {
                format!("{same} ({place}) as outputs[{first}]")
            } else {
                format!("{same} ({place}) as outputs[{first}] ({other}): one would be written over the other")
            });
        }
        outputs.push(output);
    }
    outputs
}

/// Whether files at two places may be one file, or one a folder of the other. `*` stands for any image.
fn places_meet(a: &str, b: &str) -> bool {
    let is_below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('/'));
    let of_all_images = |all: &str, file: &str| {
        let Some((folder, ending)) = all.split_once('*') else { return false };
        let name = file.strip_prefix(folder).filter(|name| !name.is_empty());
        let folder = folder.trim_end_matches('/');
        let is_image = |name: &str| name.ends_with(ending) || name.contains(&format!("{ending}/"));
        file == folder || is_below(folder, file) || name.is_some_and(is_image)
    };
    match (a.contains('*'), b.contains('*')) {
        (true, true) => a == b,
        (true, false) => of_all_images(a, b),
        (false, true) => of_all_images(b, a),
        (false, false) => a == b || is_below(a, b) || is_below(b, a),
    }
}

fn read_one(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
    let mut keys: Vec<&str> = KINDS.iter().map(|kind| kind.key).collect();
    keys.dedup();
    let entries = at.peek();
    let given: Vec<_> = entries.iter().filter(|(key, _)| keys.contains(key)).collect();
    match given.as_slice() {
        [(key, value)] => {
            let kinds: Vec<&OutputKind> = KINDS.iter().filter(|kind| kind.key == *key).collect();
            let meant = kinds.iter().find(|kind| kind.word.is_none() || kind.word == value.as_text());
            if meant.is_none() {
                let words: Vec<&str> = kinds.iter().filter_map(|kind| kind.word).collect();
                value.misspelt(&one_of(&words), words);
            }
            meant.and_then(|kind| (kind.read)(at, scope))
        }
        [] if entries.is_empty() => at.refuse(format!("a map with one of {}", one_of(&keys))),
        // Every key is an unknown one.
        [] => {
            at.fields(&keys);
            None
        }
        [(first, _), (second, _), ..] => {
            at.conflict(format!(
                "`{first}` and `{second}` are two outputs; write them as two entries of the list"
            ));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::places_meet;

    #[test]
    fn outputs_that_would_write_over_each_other_meet() {
        for (a, b) in [
            ("a.csv", "a.csv"),
            ("a", "a/b.json"),
            ("masks/*.png", "masks/im0.png"),
            ("masks/*.png", "masks"),
            ("masks/*.png", "masks/x/c0.png"),
            ("probabilities/*.zarr", "probabilities/a.zarr/0.0.0"),
        ] {
            assert!(places_meet(a, b) && places_meet(b, a), "{a} and {b}");
        }
        for (a, b) in [
            ("a.csv", "b.csv"),
            ("a", "ab/c.json"),
            ("masks/*.png", "masks/*.tiff"),
            ("masks/*.png", "masks/list.csv"),
            ("masks/*.png", "mask.png"),
        ] {
            assert!(!places_meet(a, b) && !places_meet(b, a), "{a} and {b}");
        }
    }
}
