//! The models of the gate: found, tried, and settled on what each is shown and which class each of its numbers speaks of.

use crate::planning::activation::{channels as counted, settle_activation};
use crate::planning::candidate::LookedAt;
use crate::planning::findings::{Choice, MemberChoices, MemberKind, Origin, Warning};
use crate::planning::gate_classes::{self, GateChannels, SettledGate};
use crate::planning::member_names::{Named, member_names};
use crate::planning::model_input;
use crate::planning::models::{ModelReadError, Models, PlannedModel, read_model};
use crate::planning::paths::{Match, PathError, expand};
use crate::planning::scale::{SettledScale, settle_scale};
use crate::planning::seen_range::contradicts;
use marquetry_ensemble::{ClassMap, Importance, Labelling, OutputActivation, View};
use marquetry_geometry::{Edges, Padding, Size, WindowSpec};
use marquetry_job::{Element, Fit, GateModel, Group, Input, IoContract, Member, Scaling};
use marquetry_model::{
    InspectOptions, IoRequest, ModelError, ModelFacts, ResolvedIo, Response, ScoreFacts, ScoresOf, resolve,
    rival_heads, yaml_size,
};
use marquetry_spec::{Concern, Gate, GateModelSpec, InputLayout, JobSpec, Window};
use marquetry_transport::FileError;
use std::collections::BTreeMap;

/// Why the gate of a job cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("gate.models[{entry}]{}: {cause}", of.as_ref().map(|uri| format!(": {uri}")).unwrap_or_default())]
pub struct GateError {
    /// Place in the job file.
    entry: usize,
    /// The model.
    of: Option<String>,
    #[source]
    cause: Box<GateCause>,
}

/// What is wrong with it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GateCause {
    /// The files cannot be found.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A model cannot be fetched.
    #[error(transparent)]
    File(#[from] FileError),
    /// It cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It does not go with the rest of the job.
    #[error("{0}")]
    Unfit(String),
}

impl From<ModelReadError> for GateCause {
    fn from(error: ModelReadError) -> Self {
        match error {
            ModelReadError::File(error) => Self::File(error),
            ModelReadError::Model(error) => Self::Model(error),
        }
    }
}

impl GateError {
    /// The trouble with a file or store behind this error, if that is what it is.
    pub(crate) fn file(&self) -> Option<&FileError> {
        match &*self.cause {
            GateCause::File(error) | GateCause::Path(PathError::File(error)) => Some(error),
            _ => None,
        }
    }
}

/// The models of a gate, and what there is to tell of them.
#[derive(Debug, Default)]
pub(crate) struct PlannedGate {
    pub(crate) models: Vec<GateModel>,
    pub(crate) kinds: Vec<MemberKind>,
    pub(crate) warnings: Vec<Warning>,
}

/// The models of the gate of `spec`, where it has one; `each` hears of which one is tried.
///
/// # Errors
/// When one is not there, gives no scores of an image, or what it says goes with no class of the job.
pub(crate) fn plan(
    spec: &JobSpec,
    base: &str,
    models: &Models<'_>,
    looked_at: LookedAt<'_>,
    each: impl Fn(&str),
) -> Result<PlannedGate, GateError> {
    let Some(Gate { models: entries, .. }) = &spec.gate else { return Ok(PlannedGate::default()) };
    let mut found = Vec::new();
    for (entry, model) in entries.iter().enumerate() {
        let files = expand(models.files, &model.onnx, base);
        let files = files.map_err(|error| GateError { entry, of: None, cause: Box::new(error.into()) })?;
        found.extend(files.into_iter().map(|file| (entry, model, file)));
    }
    let named = found.iter().map(|(entry, _, file)| Named { entry: *entry, given: None, uri: &file.uri });
    let names = member_names(&named.collect::<Vec<_>>());
    let (mut planned, mut choices) = (PlannedGate::default(), Vec::new());
    for ((entry, model, file), name) in found.into_iter().zip(names) {
        each(&name);
        let candidate = GateCandidate { spec, model, name: &name, file: &file, models, looked_at };
        let settled = candidate.settle().map_err(|cause| GateError {
            entry,
            of: Some(file.uri.clone()),
            cause: Box::new(cause),
        })?;
        planned.models.push(settled.model);
        planned.warnings.extend(
            settled.warnings.into_iter().map(|(concern, text)| Warning::new(concern, name.as_str(), text)),
        );
        choices.push((name, settled.choices));
    }
    planned.kinds = MemberKind::of(choices);
    Ok(planned)
}

/// What there is to tell of classes of which no model speaks, whatever their threshold.
pub(crate) fn never_denied(spec: &JobSpec, models: &[GateModel]) -> Option<String> {
    let is_spoken_of =
        |class: usize| models.iter().any(|model| model.channels.get(class).is_some_and(Option::is_some));
    let others = spec.classes.iter().enumerate().filter(|(class, _)| {
        Some(*class) != spec.decide.background && !models.is_empty() && !is_spoken_of(*class)
    });
    let others: Vec<String> = others.map(|(_, class)| format!("`{}`", class.name)).collect();
    (!others.is_empty()).then(|| format!("gate: no model speaks of {}: always allowed", others.join(", ")))
}

/// One model of one entry.
struct GateCandidate<'a> {
    spec: &'a JobSpec,
    model: &'a GateModelSpec,
    name: &'a str,
    file: &'a Match,
    models: &'a Models<'a>,
    looked_at: LookedAt<'a>,
}

/// What was settled of it.
struct Settled {
    model: GateModel,
    choices: MemberChoices,
    warnings: Vec<(Concern, String)>,
}

/// What the model's numbers mean.
struct Meaning {
    applied: OutputActivation,
    labelling: Labelling,
    classes: SettledGate,
    activation: Choice<String>,
    warning: Option<String>,
}

impl GateCandidate<'_> {
    fn settle(&self) -> Result<Settled, GateCause> {
        let read = read_model(self.models.files, &self.file.uri, self.file.stat.as_ref());
        let model = PlannedModel::new(read?);
        let (facts, input, scale) = self.tried(&model)?;
        let size = self.size(&facts)?;
        let ResolvedIo { signature, warnings } = self.resolved(&facts, size)?;
        model_input::check(&self.model.input, signature.channels).map_err(GateCause::Unfit)?;
        let scores = facts.usable().find(|(head, _)| head.name == signature.head).map(|(_, scores)| scores);
        let scores = scores.ok_or_else(|| GateCause::Unfit("no output holds scores".to_owned()))?;
        let meaning = self.meaning(&facts, &signature, scores).map_err(GateCause::Unfit)?;
        let mut told: Vec<(Concern, String)> =
            warnings.into_iter().map(|text| (Concern::Batch, text)).collect();
        let SettledScale { warning: of_scale, expected, choice: scale_choice, .. } = scale;
        let unlike = expected.and_then(|expected| {
            contradicts(&expected, self.looked_at.shown.ranges(), self.model.input.bands.as_deref())
        });
        let suspicious = [
            (Concern::Scale, of_scale),
            (Concern::Scale, model_input::unlike_stated(&facts, &self.model.input.normalise)),
            (Concern::Scale, unlike),
            (Concern::Activation, meaning.warning.clone()),
            (Concern::Classes, meaning.classes.warning.clone()),
            (Concern::Head, self.rivals(&facts, &signature)),
        ];
        told.extend(suspicious.into_iter().filter_map(|(concern, text)| Some((concern, text?))));
        told.extend(no_answer(scores));
        let choices = self.choices(&meaning, &signature, scale_choice);
        Ok(Settled { model: self.gate_model(&model, input, signature, meaning), choices, warnings: told })
    }

    /// What is seen of the model, with the range of samples that it turns out to want.
    fn tried(&self, model: &PlannedModel) -> Result<(ModelFacts, Input, SettledScale), GateCause> {
        let depths = self.looked_at.depths;
        let settled = |element: &Element, facts: Option<&ModelFacts>| {
            let inside = facts.and_then(|facts| facts.image.as_ref()?.scaling.as_ref());
            settle_scale(&self.model.input, element, inside, depths)
        };
        let bands = self.spec.images.bands.as_deref();
        let input = |scale| model_input::input(bands, &self.model.input, scale, (Padding::Reflect, 0.0));
        let guessed = input(settled(&Element::F32, None).scale);
        let facts = self.inspect(model, &guessed)?;
        let element = facts.inputs.first().map_or(Element::F32, |input| input.element.clone());
        let scale = settled(&element, Some(&facts));
        if scale.scale == guessed.scale {
            return Ok((facts, guessed, scale));
        }
        let input = input(scale.scale);
        Ok((self.inspect(model, &input)?, input, scale))
    }

    fn inspect(&self, model: &PlannedModel, input: &Input) -> Result<ModelFacts, GateCause> {
        let size = self.model.size.unwrap_or(Window::USUAL);
        let scaling = Scaling::Whole(size);
        let options = InspectOptions {
            size: Some(size),
            layout: model_input::layout(&self.model.input),
            channels: self.model.input.bands.as_ref().map(|bands| bands.len() as u32),
            threads: Some(self.models.cores),
            of: ScoresOf::Image,
        };
        let shown = self.looked_at.shown;
        let windows = |channels, size| shown.windows(input, scaling, channels, size);
        Ok(self.models.facts(model, &options, &shown.key(input, scaling), &windows)?)
    }

    /// The size at which the model sees an image: what the job says, or what it takes alone.
    fn size(&self, facts: &ModelFacts) -> Result<Size, GateCause> {
        let unfit = |reason: String| Err(GateCause::Unfit(reason));
        if let Some(reason) = &facts.refusal {
            return unfit(format!("it does not say which classes an image has: {reason}"));
        }
        let Some(image) = &facts.image else { return unfit("it was never run".to_owned()) };
        let fixed = image.height.fixed().is_some() && image.width.fixed().is_some();
        match self.model.size {
            Some(said) if said != image.tried => {
                let takes = if fixed { "takes" } else { "runs at" };
                unfit(format!(
                    "size: the model {takes} {} px, and the job says {said} px: say size: {}{}",
                    image.tried,
                    yaml_size(image.tried),
                    if fixed { ", or leave it out" } else { "" }
                ))
            }
            None if !fixed => unfit(
                "size: the model takes images of any size, and what it says hangs on it: say size: and what it was trained on, px"
                    .to_owned(),
            ),
            _ => Ok(image.tried),
        }
    }

    /// Numbers of channels that may go with the job's classes.
    fn channels_out(&self, facts: &ModelFacts) -> Vec<u32> {
        if let Some(said) = &self.model.classes {
            let least = said.iter().flatten().max().map_or(1, |channel| u32::from(*channel) + 1);
            return facts
                .usable()
                .map(|(_, scores)| scores.classes)
                .filter(|count| *count >= least)
                .collect();
        }
        let classes = self.spec.classes.len() as u32;
        if self.spec.decide.background.is_some() { vec![classes, classes - 1, 1, 2] } else { vec![classes] }
    }

    fn resolved(&self, facts: &ModelFacts, size: Size) -> Result<ResolvedIo, GateCause> {
        let wanted = IoRequest {
            head: self.model.head.clone(),
            channels_out: self.channels_out(facts),
            layout: model_input::layout(&self.model.input),
            channels: self.model.input.bands.as_ref().map(|bands| bands.len() as u32),
            size,
            batch: 1,
        };
        Ok(resolve(facts, &wanted)?)
    }

    /// What its numbers mean.
    fn meaning(
        &self,
        facts: &ModelFacts,
        signature: &IoContract,
        scores: &ScoreFacts,
    ) -> Result<Meaning, String> {
        let said = self.model.multilabel;
        // Channels may sum to 1 and be called independent; the other way round is asked for below.
        let labelling = if said == Some(true) { Labelling::Multilabel } else { Labelling::Multiclass };
        let here = |text: String| text.replace("output.activation", "activation");
        let activation = settle_activation(self.model.activation, scores, labelling).map_err(here)?;
        let applied = activation.applied;
        if applied == OutputActivation::Labels {
            return Err(format!(
                "`{}` holds whole numbers, a decision, and thresholds need scores: say head: if another output has them, or activation: \
                 none if these are scores",
                signature.head
            ));
        }
        let names = facts.class_names_of(&signature.head);
        let channels = GateChannels { count: signature.classes, applied, names };
        let (classes, background) = (self.spec.class_names(), self.spec.decide.background);
        let classes = gate_classes::settle(self.model.classes.as_deref(), &classes, background, &channels)?;
        let mut warning = activation.warning.map(here);
        let labelling = match (applied, said) {
            (OutputActivation::Softmax, _) => Labelling::Multiclass,
            (OutputActivation::Sigmoid, _) => {
                if said == Some(false) && signature.classes > 1 {
                    let text = "multilabel: false says that its channels exclude each other, and in its trial run their values lie in 0 \
                                to 1 and do not sum to 1: leave it out, or say multilabel: true";
                    warning = warning.or_else(|| Some(text.to_owned()));
                }
                Labelling::Multilabel
            }
            (_, _) if signature.classes == 1 => Labelling::Multilabel,
            (_, Some(independent)) => {
                if independent {
                    Labelling::Multilabel
                } else {
                    Labelling::Multiclass
                }
            }
            (_, None) if classes.is_background_and_rest => Labelling::Multiclass,
            (_, None) => {
                return Err(format!(
                    "its {} are scores without an activation, and no run tells whether several classes may be in one image: say \
                     multilabel: true (each channel by itself, a sigmoid) or multilabel: false (one of them, a softmax)",
                    counted(signature.classes)
                ));
            }
        };
        let mut choice = activation.choice;
        if applied == OutputActivation::None {
            let what = if labelling == Labelling::Multilabel { "sigmoid" } else { "softmax" };
            choice.value += &format!(", so a {what} follows");
        }
        Ok(Meaning { applied, labelling, classes, activation: choice, warning })
    }

    /// What there is to tell of other outputs that may be meant.
    fn rivals(&self, facts: &ModelFacts, signature: &IoContract) -> Option<String> {
        let rivals = rival_heads(facts, &self.channels_out(facts), &signature.head);
        (self.model.head.is_none() && rivals.len() > 1).then(|| {
            format!(
                "the outputs `{}` may all say which classes an image has, and `{}` is used: say head if it is another",
                rivals.join("`, `"),
                signature.head
            )
        })
    }

    /// What was settled, in words.
    fn choices(&self, meaning: &Meaning, signature: &IoContract, scale: Choice<String>) -> MemberChoices {
        let choice = |value: String, from| Choice { value, from };
        let said = |is_said| if is_said { Origin::Said } else { Origin::Measured };
        MemberChoices {
            head: choice(
                format!("`{}` of {}", signature.head, counted(signature.classes)),
                said(self.model.head.is_some()),
            ),
            classes: meaning.classes.choice.clone(),
            activation: meaning.activation.clone(),
            scale,
            fit: choice("the whole image, stretched".to_owned(), Origin::Default),
            sizes: choice(format!("{} px", signature.size), said(self.model.size.is_some())),
            layout: choice(signature.layout.to_string(), said(self.model.input.layout != InputLayout::Auto)),
            device: None,
        }
    }

    fn gate_model(
        &self,
        model: &PlannedModel,
        input: Input,
        signature: IoContract,
        meaning: Meaning,
    ) -> GateModel {
        // One number for each channel: the image is one window, of which one pixel comes.
        let (one, size) = (Size::square(1), signature.size);
        let window = WindowSpec { inner: one, margin: Size::square(0), stride: one, edges: Edges::Shift };
        let member = Member {
            name: self.name.to_owned(),
            onnx: self.file.uri.clone(),
            sha256: model.sha256.clone(),
            external: model.external.clone(),
            model_bytes: model.files.bytes(),
            tags: BTreeMap::new(),
            weights: Vec::new(),
            input,
            applied: meaning.applied,
            classes: ClassMap::default(),
            fit: Fit::Resize,
            signatures: vec![signature],
        };
        let group = Group {
            scaling: Scaling::Whole(size),
            resample: self.model.resample,
            window,
            importance: Importance::Constant,
            views: vec![View::IDENTITY],
            members: vec![member],
        };
        GateModel { group, labelling: meaning.labelling, channels: meaning.classes.channels }
    }
}

/// What no classifier says that is in order.
fn no_answer(scores: &ScoreFacts) -> Option<(Concern, String)> {
    match scores.response {
        Response::Random => Some((
            Concern::Random,
            "two runs of the same input gave other scores: it was exported in training mode, with dropout left on; export it anew \
             after model.eval()"
                .to_owned(),
        )),
        Response::Constant => Some((
            Concern::Constant,
            "what it says does not depend on the image: is it trained, and is its input what it was trained on?".to_owned(),
        )),
        Response::Image | Response::Echo => None,
    }
}
