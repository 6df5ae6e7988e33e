//! A whole job file.

use super::classes::{Class, Classes};
use super::decide::Decide;
use super::error::SpecErrors;
use super::load::load;
use super::member::{self, DEFAULTS_KEYS, MemberLayer, MemberSpec};
use super::node::Node;
use super::output::{self, Context, Output};
use super::preset::{Defaults, PRESETS, Preset};
use super::print::to_yaml;
use super::read::{At, Faults, Fields};
use super::settings::{self, Failures, Folds, Images, Limits, Tiles, TilesPer};
use super::tta::{SPACES, Tta};
use super::window::name_of;
use marquetry_ensemble::{Labelling, Space};
use serde::{Serialize, Serializer};

pub(super) const KEYS: [&str; 16] = [
    "version", "name", "preset", "images", "classes", "defaults", "members", "folds", "tta", "merge",
    "decide", "outputs", "store", "tiles", "limits", "failures",
];

/// A job as it was asked for, with every default filled in.
///
/// Paths stay as they were written. It serialises as a job file of the same meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// 1 to 64 of `a-z 0-9 - _ .`, the first a letter or digit.
    pub name: String,
    /// The set of defaults it started from.
    pub preset: Option<Preset>,
    /// Its images.
    pub images: Images,
    /// Its classes: a class's place is its label and the models' channel.
    pub classes: Vec<Class>,
    /// Whether classes exclude each other.
    pub labelling: Labelling,
    /// Its members, with `defaults` merged in.
    pub members: Vec<MemberSpec>,
    /// Which of them score an image.
    pub folds: Folds,
    /// Views at test time.
    pub tta: Tta,
    /// The space in which windows and members are merged.
    pub merge: Space,
    /// How scores become labels.
    pub decide: Decide,
    /// What it hands back.
    pub outputs: Vec<Output>,
    /// Where tiles and outputs are kept: a folder, or `s3://bucket/prefix`.
    pub store: String,
    /// How tiles are kept.
    pub tiles: Tiles,
    /// How much memory each part takes.
    pub limits: Limits,
    /// What it does about what fails.
    pub failures: Failures,
}

impl JobSpec {
    /// Reads a job file (YAML 1.2, of which JSON is a part).
    ///
    /// # Errors
    /// All that is wrong with it, in the order of its lines. When the text is no YAML, only where it stops being that.
    pub fn parse(text: &str) -> Result<Self, SpecErrors> {
        let root = load(text).map_err(|error| SpecErrors::new(vec![error]))?;
        let faults = Faults::default();
        let spec = read(&At::root(&root, &faults).fields(&KEYS));
        let faults = faults.into_inner();
        if faults.is_empty() { Ok(spec) } else { Err(SpecErrors::new(faults)) }
    }

    /// The job as a job file with every field in it; [`parse`](Self::parse) reads it back to an equal job.
    pub fn to_yaml(&self) -> String {
        to_yaml(&self.document())
    }

    /// Class names, by label.
    pub fn class_names(&self) -> Vec<String> {
        self.classes.iter().map(|class| class.name.clone()).collect()
    }

    pub(super) fn document(&self) -> Node {
        let classes = Classes::from(self.classes.as_slice());
        let merge = Node::map([("space", Some(name_of(&SPACES, self.merge)))]);
        Node::map([
            ("version", Some(1_u32.into())),
            ("name", Some(self.name.as_str().into())),
            ("preset", self.preset.map(|preset| name_of(&PRESETS, preset))),
            ("images", Some(self.images.write())),
            ("classes", Some(classes.write())),
            ("members", Some(Node::list(self.members.iter().map(|m| m.write(&classes))))),
            ("folds", Some(self.folds.write())),
            ("tta", Some(self.tta.write(&classes))),
            ("merge", Some(merge)),
            ("decide", Some(self.decide.write(&classes))),
            ("outputs", Some(Node::list(self.outputs.iter().map(|o| o.write(&classes))))),
            ("store", Some(self.store.as_str().into())),
            ("tiles", Some(self.tiles.write())),
            ("limits", Some(self.limits.write())),
            ("failures", Some(self.failures.write())),
        ])
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

/// Reads every field. What is missing or wrong is noted, and has some value all the same.
fn read(fields: &Fields<'_>) -> JobSpec {
    if let Some(version) = fields.need("version", "1") {
        version.integer(1..=1);
    }
    let preset = fields.read("preset", |at| at.one_of(&PRESETS));
    let standard = Defaults::of(preset);
    let images = fields.need("images", "where the images are").map_or_else(nowhere, Images::read);
    let classes =
        fields.need("classes", "a list of class names").map_or_else(Classes::default, Classes::read);

    let members = read_members(fields, &standard, &classes, images.bands.as_ref().map(Vec::len));
    let labelling = members.first().map_or(Labelling::Multiclass, |m| m.output.labelling);
    if let Some(at) =
        fields.get("classes").filter(|_| classes.len() == 1 && labelling == Labelling::Multiclass)
    {
        at.conflict("one class that excludes all others is everywhere; add a background, or set output.multilabel: true");
    }

    let merge = fields.read("merge", settings::merge).unwrap_or(standard.merge);
    let tile_fields = fields.get("tiles").map(|at| at.fields(&settings::TILES_KEYS));
    let tiles = Tiles::read(tile_fields.as_ref());
    // The tiles of a member do not hang on how members are merged.
    let view_space = if tiles.per == TilesPer::Member { Space::Probabilities } else { merge };
    let tta = Tta { space: standard.view_space.unwrap_or(view_space), ..standard.tta };
    let tta = fields.get("tta").map_or_else(|| tta.clone(), |at| tta.over(at, &classes));
    let decide = Decide::read(fields.get("decide"), &classes, labelling);
    check_spaces(fields, &tta, merge, &decide);

    let probabilities = tta.keeps_probabilities();
    let tile_space = if tiles.per == TilesPer::Member { tta.space } else { merge };
    tiles.check(tile_fields.as_ref(), probabilities && tile_space == Space::Probabilities);
    let context = Context { classes: &classes, labelling, background: decide.background, probabilities };
    let outputs =
        fields.need("outputs", "a list such as [{masks: png}]").map(|at| output::read(at, &context));
    let labels = if labelling == Labelling::Multilabel { 2 } else { classes.len() };
    JobSpec {
        name: fields.read("name", name).unwrap_or_else(|| "job".to_owned()),
        preset,
        images,
        labelling,
        members,
        folds: fields.read("folds", Folds::read).unwrap_or(Folds::All),
        tiles,
        tta,
        merge,
        decide,
        outputs: outputs.unwrap_or_default(),
        store: fields.read("store", settings::store).unwrap_or_else(|| "./out".to_owned()),
        limits: Limits::read(fields.get("limits")),
        failures: Failures::read(fields.get("failures"), labels),
        classes: classes.list,
    }
}

fn read_members(
    fields: &Fields<'_>,
    standard: &Defaults,
    classes: &Classes,
    image_bands: Option<usize>,
) -> Vec<MemberSpec> {
    let mut layer = MemberLayer::new(standard.window, classes);
    if let Some(defaults) = fields.get("defaults") {
        layer = layer.over(&defaults.fields(&DEFAULTS_KEYS), classes);
    }
    let members = fields.need("members", "a list of members: [{onnx: path}]");
    members.map(|at| member::read(at, &layer, classes, image_bands)).unwrap_or_default()
}

/// What views, merge and decision can only get wrong together.
fn check_spaces(fields: &Fields<'_>, tta: &Tta, merge: Space, decide: &Decide) {
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
    if merge == Space::Logits
        && let Some(at) = fields.get("merge").or_else(|| fields.get("tta"))
    {
        at.conflict(format!(
            "{sums}, so no logits can be had from them; merge views by mean, gmean, max or min"
        ));
    }
}

fn nowhere() -> Images {
    Images { from: String::new(), bands: None }
}

fn name(at: &At<'_>) -> Option<String> {
    at.text_where("1 to 64 of a-z, 0-9, `-`, `_` and `.`, the first a letter or digit", |text| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        first && text.len() <= 64 && text.bytes().all(known)
    })
}

#[cfg(test)]
#[path = "job_tests.rs"]
pub(super) mod tests;
