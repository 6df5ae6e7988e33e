//! What a job hands back.

use super::corrected_labels::CorrectedLabels;
use super::kind::{Kind, Maybe, Text, Whole, Words};
use super::label_quality::{LABEL_QUALITY, LabelQuality};
use super::masks::{MaskForm, Masks};
use super::node::Node;
use super::probabilities::{Probabilities, ProbabilitiesOutput};
use super::probes::Probes;
use super::pseudo_labels::PseudoLabels;
use super::read::{At, one_of};
use super::scope::Scope;
use super::section::{Section, section};
use super::soft_labels::SoftLabels;
use super::submission::{ClassCsv, KaggleRle};
use super::table::{Shape, Table};
use super::uncertainty::{Ranking, Uncertainty};

/// The table of outputs that are not called as their images are, below the job's outputs.
pub const NAME_LIST: &str = "output-names.csv";
/// The list of files below the job's outputs that its last run has not made.
pub const STALE_LIST: &str = "stale-files.csv";

/// The folder of an evaluation, below the job's outputs.
pub const EVALUATION: &str = "evaluation";

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
    /// One array of soft targets for each image.
    SoftLabels(SoftLabels),
    /// One mask for each image, of what is sure enough, and a table of all.
    PseudoLabels(PseudoLabels),
    /// One array of measures of uncertainty for each image.
    Uncertainty(Uncertainty),
    /// A table of what to label next.
    Ranking(Ranking),
    /// How well labels agree with the truth.
    Evaluation(Evaluation),
    /// Which labels of the truth are probably wrong.
    LabelQuality(LabelQuality),
    /// The labels of the truth, with what is surely wrong changed.
    CorrectedLabels(CorrectedLabels),
    /// What each member says at some pixels of each image.
    Probes(Probes),
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
const KINDS: [OutputKind; 15] = [
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
    OutputKind::of::<SoftLabels>("soft_labels", None, SoftLabels::read_checked),
    OutputKind::of::<PseudoLabels>("pseudo_labels", None, PseudoLabels::read_checked),
    OutputKind::of::<Uncertainty>("uncertainty", None, Uncertainty::read_checked),
    OutputKind::of::<Ranking>("ranking", None, Ranking::read_checked),
    OutputKind::of::<Evaluation>("evaluation", None, Evaluation::read_checked),
    OutputKind::of::<LabelQuality>("label_quality", None, LabelQuality::read_checked),
    OutputKind::of::<CorrectedLabels>("corrected_labels", None, CorrectedLabels::read_checked),
    OutputKind::of::<Probes>("probes", None, Probes::read_checked),
    OutputKind::of::<Report>("report", None, |at, scope| {
        Report::read(at, scope).map(|Report {}| Output::Report)
    }),
];

section! {
    /// A COCO list of annotations.
    pub struct Coco: "coco" (_) derive [Eq] {
        /// How a mask is written: compressed run lengths, or outlines.
        pub coco as shape: CocoShape = CocoShape::Rle, Words(&SHAPES), required = "rle or polygons";
        /// `dataset`: images, categories and annotations with ids, as annotation tools and `COCO(file)` read them; images are
        /// numbered from 1 unless all ids are numbers. `results`: a list with scores, as `loadRes` reads it, whose score is
        /// the mean probability of the class over the pixels of the mask or outline; `image_id` is the image's id. Masks in
        /// it are run lengths, with `polygons` one for each object; there is no `bbox`, whose area `loadRes` would take for
        /// the object's.
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
        /// Systems of EPSG's are converted that come within 2 m of where PROJ (without tables of shifts) puts them all over
        /// their area of use, which is as exact as WGS 84 by itself; most come within millimetres. Where the shift of the datum
        /// is known to no better than 5 m, a warning says how well. `source`: the image's own coordinates, whose system a `crs`
        /// member names; so is it, with a warning, where the system is not converted: older datums whose shift differs from
        /// region to region (NAD27, ED50, S-JTSK, Tokyo, …), and systems without an EPSG code.
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
    /// How well labels agree with the truth: a page (`index.html`), `evaluation.json`, `images.csv`, and a small picture of
    /// each image. The numbers are those that `marquetry evaluate` finds in the masks.
    pub struct Evaluation: "evaluation" (_) derive [Copy, Eq] {
        /// The format.
        constant evaluation, Words(&[("html", ())]), required = "html";
        /// How wide boundaries are, px. Where images come and go, say it: it is one width for all of them.
        pub boundary_px: Option<u32> = None, Maybe(Whole::<u32>::new(1, 10_000)),
            unset = "2 % of the diagonal of the middle one of all images with truth, by size";
        /// How far outlines may be apart (between centres of border pixels, Euclidean) and still agree, px: the tolerance of the
        /// normalised surface distance.
        pub tolerance_px: u32 = 1, Whole::<u32>::new(1, 10_000);
    }
}

section! {
    /// A page that says what was done.
    pub(super) struct Report: "report" (_) {
        /// The format.
        constant report, Words(&[("html", ())]), required = "html";
    }
}

const FORMS: [(&str, CocoForm); 2] = [("dataset", CocoForm::Dataset), ("results", CocoForm::Results)];
const SYSTEMS: [(&str, PolygonCrs); 2] = [("lonlat", PolygonCrs::LonLat), ("source", PolygonCrs::Source)];
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

impl Evaluation {
    fn read_checked(at: &At<'_>, scope: &Scope<'_>) -> Option<Output> {
        if let Some(evaluation) = at.entry("evaluation").filter(|_| scope.background.is_none()) {
            evaluation.conflict(
                "classes do not exclude each other (multilabel: true), and a truth has one class for each pixel; leave it out",
            );
        }
        Self::read(at, scope).map(Output::Evaluation)
    }
}

impl Output {
    /// Where it is written, below the job's outputs: a file, or one for each image, whose name stands for the `*`.
    pub fn path_pattern(&self) -> String {
        match self {
            Self::Masks(masks) => format!("masks/*.{}", masks.format.ending()),
            Self::Probabilities(p) => format!("probabilities/*.{}", p.format.ending()),
            Self::KaggleRle(KaggleRle { file, .. })
            | Self::ClassCsv(ClassCsv { file, .. })
            | Self::Coco(Coco { file, .. })
            | Self::Ranking(Ranking { file, .. }) => file.clone(),
            Self::Polygons(_) => "polygons/*.geojson".to_owned(),
            Self::SoftLabels(soft) => format!("soft_labels/*.{}", soft.format.ending()),
            Self::Uncertainty(maps) => format!("uncertainty/*.{}", maps.format.ending()),
            Self::PseudoLabels(pseudo) => format!("pseudo_labels/*.{}", pseudo.form.format.ending()),
            Self::Evaluation(_) => format!("{EVALUATION}/index.html"),
            Self::LabelQuality(_) => format!("{LABEL_QUALITY}/index.html"),
            Self::CorrectedLabels(corrected) => {
                format!("corrected_labels/*.{}", corrected.form.format.ending())
            }
            Self::Probes(_) => "probes/*.safetensors".to_owned(),
            Self::Report => "report.html".to_owned(),
        }
    }

    /// Whether it is made of the labels that are right.
    pub const fn takes_truth(&self) -> bool {
        matches!(
            self,
            Self::Evaluation(_) | Self::LabelQuality(_) | Self::CorrectedLabels(_) | Self::Probes(_)
        )
    }

    /// All that it writes, below the job's outputs, as [`path_pattern`](Self::path_pattern) has it: with what lies beside the
    /// files of images, or beside a page.
    pub fn places(&self) -> Vec<String> {
        let beside = match self {
            Self::PseudoLabels(pseudo) => vec![pseudo.file.clone()],
            Self::CorrectedLabels(corrected) => vec![corrected.file.clone()],
            Self::Evaluation(_) => ["evaluation.json", "images.csv", "images.js", "pictures/*.png"]
                .map(|file| format!("{EVALUATION}/{file}"))
                .into(),
            Self::LabelQuality(_) => ["labels.csv", "doubts.csv", "pictures/*.png"]
                .map(|file| format!("{LABEL_QUALITY}/{file}"))
                .into(),
            _ => Vec::new(),
        };
        std::iter::once(self.path_pattern()).chain(beside).collect()
    }

    /// The path of its table or list, which the job may choose.
    fn file(&self) -> Option<&str> {
        match self {
            Self::KaggleRle(KaggleRle { file, .. })
            | Self::ClassCsv(ClassCsv { file, .. })
            | Self::Coco(Coco { file, .. })
            | Self::Ranking(Ranking { file, .. })
            | Self::PseudoLabels(PseudoLabels { file, .. })
            | Self::CorrectedLabels(CorrectedLabels { file, .. }) => Some(file),
            _ => None,
        }
    }

    /// Whether it hangs on what each member says.
    pub fn needs_members(&self) -> bool {
        match self {
            Self::PseudoLabels(pseudo) => pseudo.agreement > 0.0,
            Self::Uncertainty(maps) => maps.measures.iter().any(|measure| measure.needs_members()),
            Self::Ranking(ranking) => ranking.measure.needs_members(),
            Self::Probes(_) => true,
            _ => false,
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
            Self::SoftLabels(soft) => soft.node(scope),
            Self::PseudoLabels(pseudo) => pseudo.node(scope),
            Self::Uncertainty(maps) => maps.node(scope),
            Self::Ranking(ranking) => ranking.node(scope),
            Self::Evaluation(evaluation) => evaluation.node(scope),
            Self::LabelQuality(quality) => quality.node(scope),
            Self::CorrectedLabels(corrected) => corrected.node(scope),
            Self::Probes(probes) => probes.node(scope),
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
        for place in output.places() {
            if let Some(list) = [NAME_LIST, STALE_LIST].iter().find(|list| places_meet(list, &place)) {
                item.conflict(format!(
                    "{place} is where a list that Marquetry makes lies ({list}); take another file"
                ));
            }
            let taken = outputs
                .iter()
                .enumerate()
                .flat_map(|(n, other)| other.places().into_iter().map(move |p| (n, p)));
            if let Some((first, other)) = taken.into_iter().find(|(_, other)| places_meet(other, &place)) {
                let same = "writes to the same place";
                item.conflict(if other != place {
                    format!(
                        "{same} ({place}) as outputs[{first}] ({other}): one would be written over the other; take another file"
                    )
                } else if output.file() == Some(&place) {
                    format!("{same} ({place}) as outputs[{first}]; take another file")
                } else {
                    format!(
                        "{same} ({place}) as outputs[{first}]; a job has one such output: take another format where there is one, \
                         or a second job of another `name`"
                    )
                });
            }
        }
        if let [own, table] = output.places().as_slice()
            && places_meet(own, table)
        {
            item.conflict(format!(
                "its table ({table}) would lie where its masks do ({own}); take another file"
            ));
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
