//! Models that say which classes an image has at all, and from which probability on.

use super::images::Paths;
use super::input::{HEAD, InputSpec};
use super::kind::{AutoOr, FLAG, Kind, Maybe, ReadKind, Sides, Text, Whole, Words};
use super::node::Node;
use super::per_class::Thresholds;
use super::read::{At, Fields};
use super::scope::Scope;
use super::section::{Nested, Section, section};
use super::table::{CrossCheck, Shape, Word};
use super::window::RESAMPLES;
use marquetry_ensemble::{Labelling, OutputActivation};
use marquetry_geometry::{Resample, Size};

section! {
    /// Models that see each image whole and say which classes it has at all. A class whose probability is below its threshold is
    /// out before labels are decided: its pixels are of the next best class that is allowed, and its probabilities 0. The background
    /// is always allowed. It costs one run of each model for each image; other thresholds run no model. `marquetry tune` fits
    /// thresholds that lose hardly an image.
    pub struct Gate: "gate" (scope) derive [] {
        /// The models, whose probabilities are averaged.
        pub models: Vec<GateModelSpec> = Vec::new(), GateModels, required = MODELS;
        /// From which probability on an image has a class: one for all classes but the background, or one per class by name (0.5
        /// for the others). 0 allows a class in every image.
        pub threshold as thresholds: Vec<f32> = vec![THRESHOLD; scope.classes.len()], Thresholds;
    }
}

section! {
    /// A classifier, or a segmentation model with a head that speaks of the whole image. `defaults` are those of members, and hold
    /// for none of these.
    pub struct GateModelSpec: "gateModel" (scope) derive [] {
        /// Where the models are: a path, or a pattern as that of a member. Each model that it names is one of the gate.
        pub onnx: String = String::new(), Paths(Text::not_blank(PATH)), required = PATH;
        /// Name of the output to use: one number for each class, `[N, K]`, `[N, K, 1, 1]` or `[N]`. `auto` is the one that holds such
        /// numbers and goes with the job's classes.
        pub head: Option<String> = None, AutoOr(HEAD, "`auto`, or the name of an output of the model");
        /// What the graph already applies to its scores: `auto` looks at the values of a trial run, as for a member.
        pub activation: Option<OutputActivation> = None, Words(&ACTIVATIONS);
        /// Whether the channels are independent of each other (sigmoid) or exclude each other (softmax). It must be said of scores
        /// without an activation in several channels, where no run tells it.
        pub multilabel: Option<bool> = None, Maybe(FLAG),
            unset = "measured; scores without an activation in two channels, of which the first is the background, exclude each other";
        /// Which channel says that an image has a class: `{crack: 1}`, counted from 0; one channel may speak of several classes. A
        /// class that is not named is always allowed.
        pub classes: Option<Vec<Option<u16>>> = None, Maybe(ChannelOfClass),
            unset = "by the class names in the model's metadata, else one for one; one channel, or the second of two, is whether anything but \
                     the background is there; as many channels as there are other classes are these in their order";
        /// What it sees, px: the image is stretched to it. `auto` is what the model takes, if that is one size alone.
        pub size: Option<Size> = None, AutoOr(Sides::at_least(1), "`auto`, a whole number from 1 to 16384, or `[y, x]`");
        /// How the image comes to that size, as `window.resample` of a member.
        pub resample: Resample = Resample::Linear, Words(&RESAMPLES);
        /// How pixels become its input.
        pub input: InputSpec = InputSpec::standard(scope), Nested::<InputSpec>::new();
    }
    checks [
        CrossCheck::Never {
            cases: [("activation", Word::Text("softmax")), ("multilabel", Word::Flag(true))],
            because:
                "activation: softmax makes classes exclude each other, and multilabel: true says that they do not",
        },
    ]
}

const THRESHOLD: f32 = 0.5;
const MODELS: &str = "a list of models: {onnx: path, …}";
const PATH: &str = "the path of a model, or a pattern";
const ACTIVATIONS: [(&str, Option<OutputActivation>); 4] = [
    ("auto", None),
    ("none", Some(OutputActivation::None)),
    ("softmax", Some(OutputActivation::Softmax)),
    ("sigmoid", Some(OutputActivation::Sigmoid)),
];

/// A map.
pub(super) struct GateKind;

impl Kind for GateKind {
    type Value = Gate;

    fn write(&self, gate: &Gate, scope: &Scope<'_>) -> Option<Node> {
        Some(gate.node(scope))
    }

    fn shape(&self) -> Shape {
        Shape::Section(Gate::table())
    }
}

impl ReadKind for GateKind {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Gate> {
        Gate::read(at, scope)
    }
}

/// A list of models.
struct GateModels;

impl Kind for GateModels {
    type Value = Vec<GateModelSpec>;

    fn write(&self, models: &Vec<GateModelSpec>, scope: &Scope<'_>) -> Option<Node> {
        Some(Node::list(models.iter().map(|model| model.node(scope))))
    }

    fn shape(&self) -> Shape {
        Shape::list_of(Shape::Section(GateModelSpec::table()), 1, None)
    }
}

impl ReadKind for GateModels {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Vec<GateModelSpec>> {
        let model = |at: &At<'_>| {
            let model = GateModelSpec::read(at, scope)?;
            model.check_contradictions(at, scope);
            model.input.check(&at.entry("input").unwrap_or_else(|| at.clone()), None);
            Some(model)
        };
        let models = at.each(MODELS, model)?;
        if models.is_empty() { at.refuse(MODELS) } else { Some(models) }
    }
}

/// For each class the channel that speaks of it.
struct ChannelOfClass;

const CHANNEL: Whole<u16> = Whole::new(0, 65_534);

impl Kind for ChannelOfClass {
    type Value = Vec<Option<u16>>;

    fn write(&self, channels: &Self::Value, scope: &Scope<'_>) -> Option<Node> {
        Some(scope.classes.map(channels, |_, channel| channel.map(Node::from)))
    }

    fn shape(&self) -> Shape {
        Shape::MapOf("class", Box::new(CHANNEL.shape()))
    }
}

impl ReadKind for ChannelOfClass {
    fn read(&self, at: &At<'_>, scope: &Scope<'_>) -> Option<Self::Value> {
        let allowed = "a map from class to the channel that speaks of it";
        let channels = scope.classes.values(at, allowed, |at| CHANNEL.read(at, scope))?;
        if let Some(background) = scope.background
            && channels.get(background).is_some_and(Option::is_some)
        {
            let name = scope.classes.name(background);
            at.conflict(format!("class `{name}` is the background, which is always allowed"));
        } else if at.entries(allowed)?.is_empty() {
            at.conflict("no class; needed is at least one");
        }
        Some(channels)
    }
}

/// What a gate and the rest of a job can only get wrong together.
pub(super) fn check(fields: &Fields<'_>, scope: &Scope<'_>) {
    let (Some(at), Some(background)) = (fields.get("gate"), scope.background) else { return };
    let is_said = fields.get("decide").is_some_and(|decide| decide.entry("background").is_some());
    let is_called_so = scope
        .classes
        .list
        .get(background)
        .is_none_or(|class| marquetry_evaluation::is_background(&class.name));
    if scope.labelling == Labelling::Multiclass && !is_said && !is_called_so {
        at.conflict(format!(
            "pixels of a class that an image does not have are of another then, and of the background where no other is left: which \
             class is that? It would be `{}`, the first, which the gate never denies; say decide: {{background: {0}}}, or another",
            scope.classes.name(background)
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::JobSpec;

    fn job(gate: &str, more: &str) -> Result<JobSpec, String> {
        let classes = if more.contains("classes") { "" } else { "classes: [background, crack, dent]\n" };
        let text = format!(
            "version: 1\nimages: i\n{classes}members: [{{onnx: m.onnx}}]\noutputs: [{{masks: png}}]\ngate: {gate}\n{more}"
        );
        JobSpec::parse(&text).map_err(|errors| errors.to_string())
    }

    #[test]
    fn models_have_thresholds_for_all_or_each() {
        let gate = job("{models: [{onnx: g.onnx}]}", "").unwrap().gate.unwrap();
        assert_eq!((gate.models.len(), gate.thresholds), (1, vec![0.5; 3]));
        let models = "[{onnx: 'g{0,1}.onnx', classes: {dent: 3}}, {onnx: h.onnx}]";
        let spec = job(&format!("{{models: {models}, threshold: {{crack: 0.25}}}}"), "").unwrap();
        let gate = spec.gate.clone().unwrap();
        assert_eq!((gate.models.len(), &gate.thresholds), (2, &vec![0.5, 0.25, 0.5]));
        assert_eq!(gate.models[0].classes, Some(vec![None, None, Some(3)]));
        assert_eq!(JobSpec::parse(&spec.to_yaml()).unwrap(), spec);
    }

    #[test]
    fn what_is_left_is_some_class() {
        let found = |gate: &str, more: &str| job(gate, more).unwrap_err();
        let classes = "classes: [road, tree]";
        assert!(found("{models: [{onnx: g.onnx}]}", classes).contains("say decide: {background: road}"));
        assert!(
            job("{models: [{onnx: g.onnx}]}", &format!("{classes}\ndecide: {{background: tree}}")).is_ok()
        );
        assert!(
            job(
                "{models: [{onnx: g.onnx}]}",
                &format!("{classes}\ndefaults: {{output: {{multilabel: true}}}}")
            )
            .is_ok()
        );
        assert!(found("{models: []}", "").contains("a list of models"));
        assert!(found("{models: [{onnx: g}], threshold: {hole: 1}}", "").contains("class `hole`"));
        assert!(found("{models: [{onnx: g}], threshold: {background: 1}}", "").contains("is the background"));
        assert!(found("{models: [{onnx: g, classes: {background: 1}}]}", "").contains("always allowed"));
        assert!(
            found("{models: [{onnx: g, activation: softmax, multilabel: true}]}", "")
                .contains("exclude each other")
        );
    }
}
