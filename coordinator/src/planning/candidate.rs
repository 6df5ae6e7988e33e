//! One model of a member's entry: tried, and settled on what it is shown and what it says.

use crate::planning::activation::channels as counted;
use crate::planning::device::BATCHES;
use crate::planning::findings::{Choice, MemberChoices, Origin, Warning};
use crate::planning::fit::{SettledFit, settle_fit};
use crate::planning::meaning::{Meaning, channels_out, meaning};
use crate::planning::members_error::MembersError;
use crate::planning::model_input::{self, layout, unlike_stated};
use crate::planning::models::{ModelReadError, Models, PlannedModel, read_model};
use crate::planning::scale::settle_scale;
use crate::planning::seen_range::contradicts;
use crate::planning::shown::FirstImages;
use marquetry_ensemble::{
    Importance, Labelling, OutputActivation, ScoreSpace, ScoreTransform, View, ViewError,
};
use marquetry_geometry::{Grid, GridError, Padding, Size, WindowSpec};
use marquetry_job::{Element, Fit, Group, Input, IoContract, Member, PlannedImage, Scale, Scaling};
use marquetry_model::{InspectOptions, IoRequest, ModelError, ModelFacts, ScoresOf, resolve, yaml_size};
use marquetry_raster::read::Depth;
use marquetry_spec::{Concern, InputLayout, JobSpec, MemberSpec, TilesPer, WholeFit, WindowMode};
use marquetry_transport::FileStat;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Windows in one run of a model, unless the job says otherwise. Processors gain nothing from more.
const BATCH: u32 = 1;
/// What is known of the job's images.
#[derive(Clone, Copy)]
pub(crate) struct LookedAt<'a> {
    /// Those that can be used.
    pub(crate) images: &'a [PlannedImage],
    /// The largest height and width among the job's images, in a sample or not, px; none where there is no image.
    pub(crate) largest: Option<Size>,
    /// The depths that they have.
    pub(crate) depths: &'a [Depth],
    /// The first of them, to try models on.
    pub(crate) shown: &'a FirstImages,
}

/// A model that was looked into.
pub(super) struct Probed {
    /// It alone.
    pub(super) group: Group,
    pub(super) warnings: Vec<Warning>,
    pub(super) choices: MemberChoices,
    /// The contracts at each batch that the model takes, where the job leaves it open: for each size that it is shown.
    pub(super) at_batches: Vec<Vec<IoContract>>,
}

/// One model of one entry.
#[derive(Clone)]
pub(super) struct Candidate<'a> {
    pub(super) spec: &'a JobSpec,
    /// For one size of images the window's size is that.
    pub(super) member: Cow<'a, MemberSpec>,
    pub(super) entry: usize,
    pub(super) name: String,
    pub(super) made_for: Option<(u32, Size)>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) uri: String,
    pub(super) stat: Option<FileStat>,
    pub(super) looked_at: LookedAt<'a>,
}

impl Candidate<'_> {
    pub(super) fn unfit(&self, reason: impl std::fmt::Display) -> MembersError {
        MembersError::Unfit { entry: self.entry, uri: self.uri.clone(), reason: reason.to_string() }
    }

    pub(super) fn failed(&self, error: ModelError) -> MembersError {
        // The window's size follows from the images then, and is not what there is to set.
        match (self.made_for, &error) {
            (Some((of, size)), ModelError::WrongMultiple { multiple, .. }) => self.unfit(format!(
                "window.fit: images come to {size} px with multiple({of}), and the model needs sides that are multiples of \
                 {multiple} px: say fit: multiple({multiple})"
            )),
            (Some((of, size)), ModelError::WrongSize { found, .. }) => self.unfit(format!(
                "window.fit: images come to {size} px with multiple({of}), and the model takes {found} px only: say \
                 window: {{size: {}}} for windows that slide, with mode: whole and fit: letterbox or stretch for one",
                yaml_size(*found)
            )),
            _ => MembersError::Model { entry: self.entry, uri: self.uri.clone(), error: Box::new(error) },
        }
    }

    /// The model takes the job's window, and not what `view` makes of it.
    fn unseen(&self, view: View, size: Size, error: &ModelError) -> MembersError {
        let reason = match error {
            ModelError::WrongSize { found, .. } => format!("the model takes {found} px only"),
            ModelError::WrongMultiple { multiple, .. } => {
                format!("the model needs sides that are multiples of {multiple} px")
            }
            other => other.to_string(),
        };
        self.unfit(format!(
            "tta.views: {view} makes {size} px of a window of {} px: {reason}",
            self.member.window.size_px()
        ))
    }

    /// How images are resized for the member, the weight of a pixel by its place in its window, and what lies beyond the
    /// border.
    pub(super) fn scaling(&self) -> (Scaling, Importance, (Padding, f32)) {
        match &self.member.window.mode {
            WindowMode::Whole(whole) => {
                let scaling = match whole.fit {
                    WholeFit::Stretch => Scaling::Whole(self.member.window.size_px()),
                    WholeFit::Longest | WholeFit::Letterbox => Scaling::Inside,
                    WholeFit::Multiple(_) => Scaling::Factor(1.0),
                };
                (scaling, Importance::Constant, (whole.fill.padding, whole.fill.value))
            }
            WindowMode::Slide(slide) => {
                let padding = (slide.fill.padding, slide.fill.value);
                (Scaling::Factor(self.member.scale), slide.importance, padding)
            }
        }
    }

    /// Its model's files.
    pub(super) fn read(&self, models: &Models<'_>) -> Result<PlannedModel, MembersError> {
        let read = read_model(models.files, &self.uri, self.stat.as_ref());
        Ok(PlannedModel::new(read.map_err(|error| match error {
            ModelReadError::File(error) => MembersError::File { entry: self.entry, error },
            ModelReadError::Model(error) => self.failed(error),
        })?))
    }

    /// Reads and tries the model on `threads` threads.
    pub(super) fn probe(&self, models: &Models<'_>, threads: usize) -> Result<Probed, MembersError> {
        let model = self.read(models)?;
        let (sized, size_from) = self.sized(models, &model, threads)?;
        sized.probe_read(models, &model, threads, size_from)
    }

    /// Tries a model whose window's size is settled; `size_from` says how it was.
    fn probe_read(
        &self,
        models: &Models<'_>,
        model: &PlannedModel,
        threads: usize,
        size_from: Origin,
    ) -> Result<Probed, MembersError> {
        let outer = self.member.window.size_px();
        let (scaling, importance, padding) = self.scaling();
        let depths = self.looked_at.depths;
        let settled = |element: &Element, facts: Option<&ModelFacts>| {
            let inside = facts.and_then(|facts| facts.image.as_ref()?.scaling.as_ref());
            settle_scale(&self.member.input, element, inside, depths)
        };
        // What the model takes is known once it was tried: where that is another range, it is tried anew.
        let mut input = self.guessed_input();
        let mut facts = self.first_facts(models, model, outer, threads)?;
        let element = facts.inputs.first().map_or(Element::F32, |input| input.element.clone());
        let scale = settled(&element, Some(&facts));
        if scale.scale != input.scale {
            input = self.input(scale.scale, padding);
            facts = self.inspect(models, model, (&input, scaling), outer, threads)?;
        }
        let try_at = |size| self.inspect(models, model, (&input, scaling), size, threads);
        // One side that is fixed is enough: a window that is not square cannot be turned onto it.
        let fixed =
            facts.image.as_ref().is_some_and(|i| i.height.fixed().is_some() || i.width.fixed().is_some());
        let views = self.spec.tta.views.resolve(outer, fixed).map_err(|e: ViewError| self.unfit(e))?;
        let seems_other = facts.doubt.iter().map(|doubt| {
            Warning::new(
                Concern::Purpose,
                self.name.clone(),
                format!("it seems to be no segmentation model: {doubt}"),
            )
        });
        let (mut signatures, mut warnings) = (Vec::new(), seems_other.collect::<Vec<_>>());
        let mut at_sizes = Vec::new();
        for (size, view) in sizes(&views, outer) {
            let tried = if size == outer { facts.clone() } else { try_at(size)? };
            let resolved = resolve(&tried, &self.wanted(&facts, size)).map_err(|e| match view {
                None => self.failed(e),
                Some(view) => self.unseen(view, size, &e),
            })?;
            let batch =
                resolved.warnings.into_iter().map(|w| Warning::new(Concern::Batch, self.name.clone(), w));
            warnings.extend(batch);
            signatures.push(resolved.signature);
            at_sizes.push((size, tried));
        }
        let at_batches = if self.member.batch.is_some() { Vec::new() } else { self.at_batches(&at_sizes) };
        let meaning = meaning(self.spec, &self.member.output, &facts, &signatures[0]);
        let meaning = meaning.map_err(|reason| self.unfit(reason))?;
        let suspicious = meaning.warnings.iter().map(|(c, w)| Warning::new(*c, self.name.clone(), w.clone()));
        warnings.extend(suspicious);
        let fit = self.fit(&facts, &signatures[0])?;
        let unlike = scale.expected.as_ref().and_then(|expected| {
            contradicts(expected, self.looked_at.shown.ranges(), self.member.input.bands.as_deref())
        });
        let suspicious = [
            (Concern::Fit, fit.warning),
            (Concern::Scale, scale.warning),
            (Concern::Scale, unlike_stated(&facts, &self.member.input.normalise)),
            (Concern::Scale, unlike),
            (Concern::Views, self.dropped(&views, &facts)),
            (Concern::Weights, self.weighted_logits(meaning.applied)),
        ];
        warnings.extend(
            suspicious
                .into_iter()
                .filter_map(|(concern, text)| Some(Warning::new(concern, self.name.clone(), text?))),
        );
        let mut window = self.window(fit.fit, &signatures[0])?;
        self.check(fit.fit, &signatures, &meaning, &window, &views)?;
        if let (Scaling::Whole(_), Fit::Resize) = (scaling, fit.fit) {
            // Scores stay as coarse as they come until they are brought to the image's pixels.
            let said = signatures[0].output_size;
            window = WindowSpec { inner: said, stride: said, ..window };
        }
        let mut weights = self.member.weights.clone();
        for (class, weight) in weights.iter_mut().enumerate() {
            // What a member does not speak for stays the others' mean.
            if !meaning.classes.speaks_for(class) {
                *weight = 0.0;
            }
        }
        let member = Member {
            name: self.name.clone(),
            onnx: self.uri.clone(),
            model_bytes: model.files.bytes(),
            sha256: model.sha256.clone(),
            external: model.external.clone(),
            tags: self.tags.clone(),
            weights,
            input,
            applied: meaning.applied,
            classes: meaning.classes.clone(),
            fit: fit.fit,
            signatures,
        };
        let choices = self.choices(meaning, &member, (scale.choice, fit.choice), size_from);
        let resample = self.member.window.resample;
        let group = Group { scaling, resample, window, importance, views, members: vec![member] };
        Ok(Probed { group, warnings, choices, at_batches })
    }

    /// The contracts at each of the batches for devices, without those at which the model does not run. `tried` is what was seen at each
    /// size that it is shown.
    fn at_batches(&self, tried: &[(Size, ModelFacts)]) -> Vec<Vec<IoContract>> {
        let at = |batch: u32| -> Option<Vec<IoContract>> {
            let of = |(size, facts): &(Size, ModelFacts)| {
                let wanted = IoRequest { batch, ..self.wanted(facts, *size) };
                let contract = resolve(facts, &wanted).ok()?.signature;
                (contract.batch == batch).then_some(contract)
            };
            tried.iter().map(of).collect()
        };
        BATCHES.into_iter().filter_map(at).collect()
    }

    /// What was settled for the member, in words.
    fn choices(
        &self,
        meaning: Meaning,
        member: &Member,
        (mut scale, fit): (Choice<String>, Choice<String>),
        size_from: Origin,
    ) -> MemberChoices {
        let input = &self.member.input;
        let signature = &member.signatures[0];
        let choice = |value: String, from| Choice { value, from };
        let sizes = member.signatures.iter().map(|s| s.size.to_string()).collect::<Vec<_>>().join(", ");
        if signature.channels == 1 && member.input.bands.is_none() {
            scale.value += "; of RGB images their luma (ITU-R 601)";
        }
        let [head, classes, activation] = meaning.words;
        MemberChoices {
            head,
            classes,
            activation,
            scale,
            fit,
            sizes: choice(format!("{sizes} px"), size_from),
            layout: choice(
                signature.layout.to_string(),
                if input.layout == InputLayout::Auto { Origin::Measured } else { Origin::Said },
            ),
            device: None,
        }
    }

    pub(super) fn inspect(
        &self,
        models: &Models<'_>,
        model: &PlannedModel,
        (input, scaling): (&Input, Scaling),
        size: Size,
        threads: usize,
    ) -> Result<ModelFacts, MembersError> {
        let channels = self.member.input.bands.as_ref().map(|b| b.len() as u32);
        let options = InspectOptions {
            size: Some(size),
            layout: layout(&self.member.input),
            channels,
            threads: Some(threads),
            of: ScoresOf::Pixels,
        };
        let shown = self.looked_at.shown;
        let windows = |channels, size| shown.windows(input, scaling, channels, size);
        let shown = shown.key(input, scaling);
        models.facts(model, &options, &shown, &windows).map_err(|e| self.failed(e))
    }

    pub(super) fn wanted(&self, facts: &ModelFacts, size: Size) -> IoRequest {
        IoRequest {
            head: self.member.output.head.clone(),
            channels_out: channels_out(self.spec, &self.member.output, facts),
            layout: layout(&self.member.input),
            channels: self.member.input.bands.as_ref().map(|b| b.len() as u32),
            size,
            batch: self.member.batch.unwrap_or(BATCH),
        }
    }

    /// The member's windows. What a model with a smaller, central output does not say is margin, as if the job had said
    /// so: overlaps are of the part that is kept, and a stride in pixels is what it is.
    fn window(&self, fit: Fit, signature: &IoContract) -> Result<WindowSpec, MembersError> {
        let mut window = self.member.window;
        if fit != Fit::Centre || signature.output_size == signature.size {
            return Ok(window.layout());
        }
        let (input, output) = (signature.size, signature.output_size);
        let larger = |i: u32, o: u32| o > i && (o - i).is_multiple_of(2);
        if larger(input.height, output.height) && larger(input.width, output.width) {
            return Ok(window.layout());
        }
        let central = |i: u32, o: u32| i.checked_sub(o).filter(|d| d.is_multiple_of(2)).map(|d| d / 2);
        let margin = central(input.height, output.height).zip(central(input.width, output.width));
        let Some((height, width)) = margin else {
            return Err(self.unfit(format!(
                "output.fit: an output of {output} px cannot be the middle of a window of {input} px, since what is left out does \
                 not halve into whole px: try a window.size that is 1 px larger or smaller, or export the model so that it \
                 leaves out an even number of px in both directions"
            )));
        };
        let WindowMode::Slide(slide) = &mut window.mode else {
            return Err(self.unfit(format!(
                "output.fit: the model gives scores of the middle of its window, {output} of {input} px, and with window.mode: \
                 whole there is nothing around the image that its border could be the middle of: use windows that slide, \
                 window: {{size: {}}}",
                yaml_size(input)
            )));
        };
        if slide.margin != Size::square(0) {
            return Err(self.unfit("window.margin: the model's output is the centre of its window already"));
        }
        slide.margin = Size::new(height, width);
        Ok(window.layout())
    }

    /// Softmax heeds no constant that a model adds to all of its logits; weights that differ by class do.
    fn weighted_logits(&self, applied: OutputActivation) -> Option<String> {
        let (spec, weights) = (self.spec, &self.member.weights);
        let by_class = weights.windows(2).any(|pair| pair[0] != pair[1]);
        let raw = applied == OutputActivation::None && spec.labelling == Labelling::Multiclass;
        let together = spec.merge == ScoreSpace::Logits && spec.tiles.per == TilesPer::Group;
        let others = spec.members.iter().any(|member| member.weights != *weights);
        (by_class && raw && together && others).then(|| {
            "it weighs differently by class and is merged in logits as they come, so labels hang on the zero of its logits, \
             which softmax does not heed: merge in probabilities, or set tiles: {per: member}"
                .to_owned()
        })
    }

    fn check(
        &self,
        fit: Fit,
        signatures: &[IoContract],
        meaning: &Meaning,
        window: &WindowSpec,
        views: &[View],
    ) -> Result<(), MembersError> {
        Grid::new(window.inner, window).map_err(|e: GridError| self.unfit(e))?;
        let (classes, channels) = (self.spec.classes.len(), signatures[0].classes as usize);
        let (labelling, space) = (self.spec.labelling, self.spec.tta.space);
        let map = &meaning.classes;
        if ScoreTransform::new(meaning.applied, labelling, channels, classes, map, space).is_none() {
            return Err(self.unfit(format!(
                "its {} cannot be the job's {classes} classes: say which are which with output.classes",
                counted(signatures[0].classes)
            )));
        }
        let silent = |class: &u16| !map.speaks_for(usize::from(*class));
        let name = |class: u16| &self.spec.classes[usize::from(class)].name;
        if let Some(pair) = self.spec.tta.swap.pairs().iter().find(|[a, b]| silent(a) != silent(b)) {
            return Err(self.unfit(format!(
                "tta.swap: it speaks for one of `{}` and `{}` and not for the other, so they cannot change places",
                name(pair[0]),
                name(pair[1])
            )));
        }
        let merged =
            if self.spec.tiles.per == TilesPer::Group { self.spec.merge } else { ScoreSpace::Probabilities };
        if (0..classes).any(|class| !map.speaks_for(class))
            && [merged, self.spec.merge].contains(&ScoreSpace::Logits)
        {
            return Err(self.unfit(
                "merge.space: it does not speak for all classes, and logits that only some members say have no common \
                 zero: merge in probabilities",
            ));
        }
        model_input::check(&self.member.input, signatures[0].channels)
            .map_err(|reason| self.unfit(reason))?;
        let short =
            |s: &&IoContract| s.output_size.height < s.size.height || s.output_size.width < s.size.width;
        if let (Fit::Crop, Some(s)) = (fit, signatures.iter().find(short)) {
            return Err(self.unfit(format!(
                "output.fit: an output of {} px leaves out the end of a view of {} px; use another window.size",
                s.output_size, s.size
            )));
        }
        if fit == Fit::Centre && views.iter().any(|v| v.scale != 1.0) {
            return Err(
                self.unfit("tta.views: scale() cannot bring back an output that is the centre of its window")
            );
        }
        Ok(())
    }

    /// What there is to tell of views that a set of them names and this model does not take.
    fn dropped(&self, views: &[View], facts: &ModelFacts) -> Option<String> {
        let all = self.spec.tta.views.resolve(self.member.window.size_px(), false).ok()?;
        let gone: Vec<String> =
            all.iter().filter(|view| !views.contains(view)).map(ToString::to_string).collect();
        let sides = facts.image.as_ref().map(|image| (image.height.fixed(), image.width.fixed()));
        let takes = match sides {
            Some((Some(height), None)) => format!("{height} rows only, of any width"),
            Some((None, Some(width))) => format!("{width} columns only, of any height"),
            _ => format!("{} px only", self.member.window.size_px()),
        };
        (!gone.is_empty()).then(|| {
            format!(
                "tta.views: {} of {} views are left out ({}), since the model takes {takes}",
                gone.len(),
                all.len(),
                gone.join(", "),
            )
        })
    }

    /// Where the output lies in the window.
    pub(super) fn fit(&self, facts: &ModelFacts, signature: &IoContract) -> Result<SettledFit, MembersError> {
        let head = facts.usable().find(|(head, _)| head.name == signature.head);
        let scores = head.map(|(_, scores)| scores).filter(|scores| scores.size == signature.output_size);
        settle_fit(self.member.output.fit, signature.size, scores).map_err(|reason| self.unfit(reason))
    }

    pub(super) fn input(&self, scale: Scale, padding: (Padding, f32)) -> Input {
        model_input::input(self.spec.images.bands.as_deref(), &self.member.input, scale, padding)
    }
}

/// The sizes in which views of a window are shown, each with the first view that asks for it; the window as it is comes
/// first, and no view asks for that.
pub(super) fn sizes(views: &[View], outer: Size) -> Vec<(Size, Option<View>)> {
    let mut sizes = vec![(outer, None)];
    for view in views {
        let size = view.input_size(outer);
        if !sizes.iter().any(|(known, _)| *known == size) {
            sizes.push((size, Some(*view)));
        }
    }
    sizes
}
