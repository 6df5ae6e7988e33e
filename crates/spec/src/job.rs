//! A whole job file.

use super::allow::{Concern, Concerns};
use super::cascade::{self, Cascade, CascadeKind};
use super::classes::{Class, ClassList, Classes};
use super::decide::Decide;
use super::error::SpecErrors;
use super::folds::{Folds, FoldsKind};
use super::gate::{self, Gate, GateKind};
use super::images::{ImageSource, Images, ImagesKind, STORE};
use super::kind::{Kind, LayerKind, Maybe, ReadKind, Text, Whole, Words};
use super::labels::{self, LabelValues};
use super::load::load;
use super::member::{self, MemberDefaults, MemberList, MemberSpec};
use super::nights::Nights;
use super::node::Node;
use super::output::{self, Output, OutputList};
use super::preset::{Defaults, PRESETS, Preset};
use super::print::to_yaml;
use super::read::{At, Fields, FoundErrors};
use super::region::{Region, RegionKind};
use super::scope::Scope;
use super::section::{Nested, Section, section};
use super::settings::{
    DEVICES, DeviceKind, EXACTNESS, Exactness, Failures, Limits, MergeSpace, PRIORITIES, Priority, Tiles,
    TilesPer,
};
use super::subset::Subset;
use super::table::Shape;
use super::truth::{Truth, TruthKind};
use super::tta::Tta;
use marquetry_ensemble::{Labelling, ScoreSpace};
use serde::{Serialize, Serializer};

section! {
    /// A job: its images, its models, how their scores become labels, and what it hands back.
    ///
    /// Every default is filled in, and paths stay as they were written. It serialises as a job file of the same
    /// meaning.
    pub struct JobSpec: "job" (scope) {
        /// The version of this form: 1.
        constant version, Version, required = "1";
        /// Names the job's keys and messages.
        pub name: String = "job".to_owned(), NAME;
        /// The set of defaults it starts from, as another tool has them; keys that are given come first.
        pub preset: Option<Preset> = None, Maybe(Words(&PRESETS));
        /// Its images: a glob, a folder, a CSV file (`image_id,path[,tags]`), or `s3://bucket/prefix`.
        pub images: Images = Images::standard(scope), ImagesKind, required = "where the images are";
        /// Its classes, in the order of the models' channels: a class's place is its label.
        apart pub classes: Vec<Class> = Vec::new(), ClassList, required = "a list of class names";
        /// What stands for a class where labels are written as numbers: `{road: 7}`. Classes that are not named keep their
        /// place, and no two have one value. So it is in masks (with 16 bits where a value is above 255; the colour of a
        /// class lies at its value), in `class-csv`, as `category_id` in COCO files and as `label` in GeoJSON. What names
        /// classes, or has them in the order of the list, does not change: `kaggle-rle` with its `{index}`, probabilities,
        /// the report. With `multilabel: true` each class has a mask of its own, of 0 and 1.
        apart pub labels: Vec<u16> = Vec::new(), LabelValues, unset = "every class its place";
        /// The labels that are right, where there are any: a folder or file of labels, or a map that says what their values
        /// mean. They are read before any model runs, and what they hold is printed.
        apart pub truth: Option<Truth> = None, Maybe(TruthKind);
        /// Which part of each image is computed: `nonblank`, masks, or a map that says more. All of it if not given.
        apart pub region: Option<Region> = None, Maybe(RegionKind);
        /// Whether classes exclude each other.
        field pub labelling: Labelling = scope.labelling;
        /// What holds for every member that does not say otherwise.
        constant defaults, MemberDefaults;
        /// Its members, with `defaults` merged in.
        apart pub members: Vec<MemberSpec> = Vec::new(), MemberList, required = "a list of members: [{onnx: path}]";
        /// Which members score an image: all, or those tagged with the image's own fold, which were trained without
        /// it; a map says where images' folds stand. What one fold may know of another is looked for and told: groups (the
        /// column `group`) with images in two folds, equal pixels, rectangles that overlap (of georeferenced images, or by the
        /// columns `x`, `y` and `scene`), and a fold that scores better than it should.
        pub folds: Folds = Folds::All, FoldsKind;
        /// Views at test time.
        apart pub tta: Tta = Tta::standard(scope), Nested::<Tta>::new();
        /// How windows and members are merged: the space.
        apart pub merge: ScoreSpace = ScoreSpace::Probabilities, MergeSpace;
        /// Members and views that look only at what the first ones are unsure of. All look at everything if not given.
        apart pub cascade: Option<Cascade> = None, Maybe(CascadeKind);
        /// Models that say which classes an image has at all; its other classes are out before labels are decided. Every image may have
        /// every class if not given.
        apart pub gate: Option<Gate> = None, Maybe(GateKind);
        /// How scores become labels.
        apart pub decide: Decide = Decide::standard(scope), Nested::<Decide>::new();
        /// What it hands back.
        apart pub outputs: Vec<Output> = Vec::new(), OutputList, required = "a list such as [{masks: png}]";
        /// Warnings that may pass, by the words that they name; they are not given then. `activation`: what a graph
        /// applies is measured, and the job says otherwise. `batch`: a model runs at another batch. `classes`: the class
        /// names in a model's metadata are not the job's. `constant`: what a model says does not hang on the image.
        /// `folds`: one fold may know of another. `head`: several outputs are as good as each other. `outlines`: they do not come
        /// in longitude and latitude, or not exactly. `purpose`: a model seems to be no segmentation model. `random`: two runs
        /// of one input differ. `region`: masks belong to no image. `truth`: labels are odd, or images have none.
        pub allow: Vec<Concern> = Vec::new(), Concerns;
        /// How much of the workers' time it gets beside other jobs on a cluster, however many tasks each of them has: `normal`
        /// ones get equal shares, `high` four times and `low` a quarter of that. Alone, each gets all of it.
        pub priority: Priority = Priority::Normal, Words(&PRIORITIES);
        /// Where members run. `auto`: with `marquetry run` each model on the quickest device of the machine, as measured, and on a
        /// cluster on each worker's own. `cpu` (the processor, by ONNX Runtime), `openvino` (the processor, by OpenVINO), `cuda`: only
        /// there. Last bits of scores differ from one of them to another, so what one has computed is not used for another; on a
        /// cluster whose workers have GPUs and processors, `auto` lets both take part.
        pub device: DeviceKind = DeviceKind::Auto, Words(&DEVICES);
        /// How exactly members are computed. `exact`: in single precision, whatever devices do by themselves. `fast`: each in the quickest
        /// of its device's precisions (on a GPU `tf32` and `f16`; on a processor those that it has instructions for, by OpenVINO: `bf16`,
        /// `f16`) in which at least 99.5 % of labels are the same on windows of the job's first images; what was measured is printed.
        pub precision: Exactness = Exactness::Exact, Words(&EXACTNESS);
        /// Where tiles and outputs are kept: a folder, or `s3://bucket/prefix`.
        pub store: String = "./out".to_owned(), STORE;
        /// A part of it, for an experiment.
        pub subset: Subset = Subset::standard(scope), Nested::<Subset>::new();
        /// What is kept of each run, where the job runs again and again.
        pub nights: Nights = Nights::standard(scope), Nested::<Nights>::new();
        /// How tiles are kept.
        pub tiles: Tiles = Tiles::standard(scope), Nested::<Tiles>::new();
        /// How much memory each part takes.
        pub limits: Limits = Limits::standard(scope), Nested::<Limits>::new();
        /// What it does about what fails.
        apart pub failures: Failures = Failures::standard(scope), Nested::<Failures>::new();
    }
}

const NAME: Text = Text {
    allowed: "1 to 64 of a-z, 0-9, `-`, `_` and `.`, the first a letter or digit",
    pattern: Some("^[a-z0-9][-a-z0-9_.]{0,63}$"),
    accept: |text| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        first && text.len() <= 64 && text.bytes().all(known)
    },
};

/// The version of the form of job files.
struct Version;

const VERSION: Whole<u32> = Whole::new(1, 1);

impl Kind for Version {
    type Value = ();

    fn write(&self, (): &(), scope: &Scope<'_>) -> Option<Node> {
        VERSION.write(&1, scope)
    }

    fn shape(&self) -> Shape {
        VERSION.shape()
    }
}

impl ReadKind for Version {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<()> {
        VERSION.read(at, scope).map(|_| ())
    }
}

impl JobSpec {
    /// Reads a job file (YAML 1.2, of which JSON is a part).
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines. When the text is no YAML, only where it stops being that.
    pub fn parse(text: &str) -> Result<Self, SpecErrors> {
        let root = load(text).map_err(|error| SpecErrors::new(vec![error]))?;
        let errors = FoundErrors::default();
        let spec = read(&JobSpec::fields(&At::root(&root, &errors)));
        let errors = errors.into_inner();
        if errors.is_empty() { Ok(spec) } else { Err(SpecErrors::new(errors)) }
    }

    /// The job as a job file with every field in it; [`parse`](Self::parse) reads it back to an equal job.
    pub fn to_yaml(&self) -> String {
        to_yaml(&self.document())
    }

    /// Class names, by label.
    pub fn class_names(&self) -> Vec<String> {
        self.classes.iter().map(|class| class.name.clone()).collect()
    }

    /// The class of everything else, where the job knows it: the one that is called background, or another than the first
    /// that `decide.background` names (the first is what it is unless it is said).
    pub fn background(&self) -> Option<u16> {
        let called = self.classes.iter().position(|class| marquetry_evaluation::is_background(&class.name));
        called.or(self.decide.background.filter(|&class| class > 0)).map(|class| class as u16)
    }

    /// The class of pixels outside of the region, where the job has one and classes exclude each other.
    pub fn outside_class(&self) -> Option<u16> {
        let background = self.decide.background?;
        Some(self.region.as_ref()?.class.unwrap_or(background) as u16)
    }

    /// The label of pixels without scores in rows of labels, which name classes by their place: none of those. What stands
    /// for them in files is `failures.ignore`, which may well be a place.
    pub fn missing_label(&self) -> u16 {
        let labels = if self.labelling == Labelling::Multilabel { 2 } else { self.classes.len() };
        match self.failures.ignore {
            ignore if usize::from(ignore) >= labels => ignore,
            _ if labels <= 255 => 255,
            _ => u16::MAX,
        }
    }

    fn document(&self) -> Node {
        let classes = Classes::from(self.classes.as_slice());
        self.node(&Scope { background: self.decide.background, ..Scope::of(&classes) })
    }
}

impl Serialize for JobSpec {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.document().serialize(to)
    }
}

impl std::str::FromStr for JobSpec {
    type Err = SpecErrors;

    fn from_str(text: &str) -> Result<Self, SpecErrors> {
        Self::parse(text)
    }
}

/// Reads every key: first those that stand alone, then, in an order of their own, those that hang on others. What is
/// missing or wrong is noted, and has some value all the same.
fn read(fields: &Fields<'_>) -> JobSpec {
    let none = Classes::default();
    let spec = JobSpec::standard(&Scope::of(&none)).over_fields(fields, &Scope::of(&none));
    let defaults = Defaults::of(spec.preset);
    let classes = fields.get("classes").map_or_else(Classes::default, Classes::read);
    let scope = Scope { slide: defaults.slide, ..Scope::of(&classes) };

    let below = member::read_defaults(fields.get("defaults"), &scope);
    let image_bands = spec.images.bands.as_ref().map(Vec::len);
    let members = fields.get("members").map(|at| member::read(at, &below, image_bands, &scope));
    let members = members.unwrap_or_default();
    let labelling = members.first().map_or(Labelling::Multiclass, |m| m.output.labelling);
    if let Some(at) =
        fields.get("classes").filter(|_| classes.len() == 1 && labelling == Labelling::Multiclass)
    {
        at.conflict("one class that excludes all others is everywhere; add a background, or set output.multilabel: true");
    }
    let scope = Scope { labelling, ..scope };

    let merge = fields.get("merge").and_then(|at| MergeSpace.read_over(at, &defaults.merge, &scope));
    let merge = merge.unwrap_or(defaults.merge);
    let tta = read_tta(fields, &spec, merge, defaults, &scope);
    let decide = Decide::read_or_standard(fields.get("decide"), &scope);
    check_spaces(fields, &tta, merge, &decide);
    let tile_space = if spec.tiles.per == TilesPer::Member { tta.space } else { merge };
    let in_tiles = tta.keeps_probabilities() && tile_space == ScoreSpace::Probabilities;
    spec.tiles.check(fields.get("tiles"), in_tiles);

    let scope = Scope {
        background: decide.background,
        probabilities: tta.keeps_probabilities(),
        member_tiles: spec.tiles.per == TilesPer::Member,
        ..scope
    };
    let failures = Failures::read_or_standard(fields.get("failures"), &scope);
    let truth = fields.get("truth").and_then(|at| Maybe(TruthKind).read(at, &scope)).flatten();
    let region = fields.get("region").and_then(|at| Maybe(RegionKind).read(at, &scope)).flatten();
    let outputs = fields.get("outputs").map(|at| output::read(at, &scope)).unwrap_or_default();
    check_truth(fields, &spec.images, truth.as_ref(), &outputs);
    check_region(fields, &spec.images, region.as_ref());
    let cascade = fields.get("cascade").and_then(|at| Maybe(CascadeKind).read(at, &scope)).flatten();
    let gate = fields.get("gate").and_then(|at| Maybe(GateKind).read(at, &scope)).flatten();
    gate::check(fields, &scope);
    if let Some(cascade) = &cascade {
        cascade::check(fields, cascade, &tta, spec.tiles.per, &outputs);
    }
    JobSpec {
        labelling,
        members,
        merge,
        outputs,
        truth,
        region,
        cascade,
        gate,
        labels: labels::read(fields.get("labels"), failures.ignore, fields.get("failures"), &scope),
        failures,
        tta,
        decide,
        classes: classes.list,
        ..spec
    }
}

/// The views, over what preset and merge imply.
fn read_tta(
    fields: &Fields<'_>,
    spec: &JobSpec,
    merge: ScoreSpace,
    defaults: Defaults,
    scope: &Scope<'_>,
) -> Tta {
    // The tiles of a member do not hang on how members are merged.
    let view_space = if spec.tiles.per == TilesPer::Member { ScoreSpace::Probabilities } else { merge };
    let space = defaults.view_space.unwrap_or(view_space);
    let standard = Tta { views: defaults.views, space, ..Tta::standard(scope) };
    fields.get("tta").map_or_else(|| standard.clone(), |at| standard.read_over(at, scope))
}

/// What the truth and those who need it can only get wrong together.
fn check_truth(fields: &Fields<'_>, images: &Images, truth: Option<&Truth>, outputs: &[Output]) {
    if let Some(at) = fields.get("truth")
        && truth.is_some_and(|truth| truth.column.is_some())
        && images.source() != ImageSource::Manifest
    {
        at.conflict("`column` is one of a list of images; images.from must then be a CSV file");
    }
    if let Some(at) = fields.get("outputs").filter(|_| fields.get("truth").is_none())
        && outputs.iter().any(Output::takes_truth)
    {
        at.conflict(
            "an evaluation, and the quality of labels, need the labels: say where they are, as in `truth: labels/`",
        );
    }
}

/// What the region and the list of images can only get wrong together.
fn check_region(fields: &Fields<'_>, images: &Images, region: Option<&Region>) {
    if let Some(at) = fields.get("region")
        && region.is_some_and(|region| region.column.is_some())
        && images.source() != ImageSource::Manifest
    {
        at.conflict("`column` is one of a list of images; images.from must then be a CSV file");
    }
}

/// What views, merge and decision can only get wrong together.
fn check_spaces(fields: &Fields<'_>, tta: &Tta, merge: ScoreSpace, decide: &Decide) {
    if tta.keeps_probabilities() {
        return;
    }
    let sums = "tta.merge makes sums that are no probabilities";
    if decide.needs_probabilities() {
        let at = fields.get("decide").or_else(|| fields.get("tta"));
        let at = at.unwrap_or(fields.at());
        at.conflict(format!(
            "{sums}, and thresholds need them; merge views by mean, gmean, max or min, or use rule: argmax"
        ));
    }
    if merge == ScoreSpace::Logits
        && let Some(at) = fields.get("merge").or_else(|| fields.get("tta"))
    {
        at.conflict(format!(
            "{sums}, so no logits can be had from them; merge views by mean, gmean, max or min"
        ));
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
pub(super) mod tests;
