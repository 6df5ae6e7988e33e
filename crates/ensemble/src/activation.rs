//! From what a model says to scores in a declared space.

use crate::exp::sigmoid;
use crate::softmax::{Planes, softmax};
use crate::{ClassMap, Labelling, OutputActivation, Rest, ScoreSpace};

#[path = "plain_transform.rs"]
mod plain_transform;

pub use plain_transform::{PlainRoute, PlainStep, PlainTransform};

/// Probabilities are kept this far from 0 and 1 before a logarithm is taken.
const CLAMP: f32 = 1e-6;

/// How far beyond 0 and 1 a probability may lie: what half precision and rounding make of it, and no more.
const BEYOND: f32 = 0.01;

/// The logit of a class for which a model does not speak: its probability is 0, in half precision too.
const SILENT: f32 = -1e4;

/// What a model said that is no score.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BadScore {
    /// NaN or infinity, said by the model or come of merging what it said.
    #[error("the scores hold NaN or infinity")]
    NonFinite,
    /// A number outside 0 to 1 where the output counts as probabilities.
    #[error(
        "the scores hold {0}, which is no probability, and the output counts as probabilities: set `activation` to what \
         the graph really applies"
    )]
    NoProbability(f32),
    /// A label that is none of the job's classes.
    #[error("the model says the label {0}, which is none of its classes: name them in `output.classes`")]
    NoLabel(f32),
    /// What cannot be a label of any class.
    #[error(
        "the model says {0} where it gives labels, and labels are whole numbers from 0 up: have its graph give such numbers"
    )]
    NotALabel(f32),
}

/// What is done to each pixel's channels to make them classes in the wanted space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ActivationOp {
    Keep,
    Softmax,
    Sigmoid,
    Ln,
    Logit,
}

/// How channels become classes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    /// Channel `k` is class `order[k]`.
    Direct { order: Vec<u16> },
    /// The one channel speaks of `object`, and what it leaves of 1 is the background's.
    Binary { object: u16, background: u16 },
    /// Probabilities of channels are summed.
    Summed(Sums),
    /// The one channel holds labels: each pixel's is a vote for one class.
    Votes {
        /// Class of each label, where it has one.
        classes: Vec<Option<u16>>,
        rest: Rest,
    },
}

/// Sums of channels' probabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sums {
    /// Channel and class, class by class.
    parts: Vec<(u16, u16)>,
    /// Whether the classes share 1 between them, whatever else the model speaks of.
    shared: bool,
    /// The class that has what the others leave of 1.
    complement: Option<u16>,
    /// Classes for which the model does not speak.
    silent: Vec<u16>,
    /// From probabilities of classes to the wanted space.
    finish: ActivationOp,
}

/// Turns a model's channels into scores of all classes in one space, pixel by pixel.
///
/// A model with one channel in a job of two exclusive classes speaks of one of them: its logit `z` becomes `[0, z]`, its
/// probability `p` becomes `[1 − p, p]`; softmax and argmax then say what sigmoid and ½ would. Where channels are not
/// classes one for one, their probabilities are taken over all channels first, and summed then: a class that is one of
/// 21 channels has the probability that it has among the 21.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreTransform {
    step: ActivationOp,
    to: ScoreSpace,
    /// Whether what comes in is what a model calls probabilities.
    probabilities: bool,
    classes: usize,
    route: Route,
}

impl ScoreTransform {
    /// The transform from `channels` channels with `applied` already done to `classes` classes in space `to`, or `None`
    /// when the channels cannot be those classes.
    pub fn new(
        applied: OutputActivation,
        labelling: Labelling,
        channels: usize,
        classes: usize,
        map: &ClassMap,
        to: ScoreSpace,
    ) -> Option<Self> {
        let exclusive = labelling == Labelling::Multiclass;
        let route = if applied == OutputActivation::Labels {
            votes(channels, classes, map)?
        } else if map.is_by_channel() {
            match (channels, classes) {
                (1, 2) if exclusive => Route::Binary { object: 1, background: 0 },
                _ if channels == classes => Route::Direct { order: (0..classes as u16).collect() },
                _ => return None,
            }
        } else {
            route(applied, exclusive, channels, classes, map)?
        };
        if channels == 1 && exclusive && applied == OutputActivation::Softmax {
            return None;
        }
        let alone = channels == 1 || !exclusive;
        let direct = matches!(route, Route::Direct { .. } | Route::Binary { .. });
        let step = match (applied, to) {
            (OutputActivation::None, ScoreSpace::Logits) if direct => ActivationOp::Keep,
            (OutputActivation::None, _) if alone => ActivationOp::Sigmoid,
            (OutputActivation::None, _) => ActivationOp::Softmax,
            (OutputActivation::Softmax, ScoreSpace::Logits) if direct => ActivationOp::Ln,
            (OutputActivation::Sigmoid, ScoreSpace::Logits) if direct => ActivationOp::Logit,
            (OutputActivation::Labels, ScoreSpace::Logits) => ActivationOp::Ln,
            _ => ActivationOp::Keep,
        };
        let probabilities = matches!(applied, OutputActivation::Softmax | OutputActivation::Sigmoid);
        let route = match route {
            Route::Summed(sums) => {
                let finish = match (to, exclusive) {
                    (ScoreSpace::Probabilities, _) => ActivationOp::Keep,
                    (ScoreSpace::Logits, true) => ActivationOp::Ln,
                    (ScoreSpace::Logits, false) => ActivationOp::Logit,
                };
                Route::Summed(Sums { finish, ..sums })
            }
            route => route,
        };
        Some(Self { step, to, probabilities, classes, route })
    }

    /// The transform of merged scores of all classes from one space to another.
    pub fn between(from: ScoreSpace, to: ScoreSpace, labelling: Labelling, classes: usize) -> Self {
        let step = match (from, to, labelling) {
            (ScoreSpace::Logits, ScoreSpace::Probabilities, Labelling::Multiclass) => ActivationOp::Softmax,
            (ScoreSpace::Logits, ScoreSpace::Probabilities, Labelling::Multilabel) => ActivationOp::Sigmoid,
            (ScoreSpace::Probabilities, ScoreSpace::Logits, Labelling::Multiclass) => ActivationOp::Ln,
            (ScoreSpace::Probabilities, ScoreSpace::Logits, Labelling::Multilabel) => ActivationOp::Logit,
            (ScoreSpace::Logits, ScoreSpace::Logits, _)
            | (ScoreSpace::Probabilities, ScoreSpace::Probabilities, _) => ActivationOp::Keep,
        };
        let route = Route::Direct { order: (0..classes as u16).collect() };
        Self { step, to, probabilities: false, classes, route }
    }

    /// The same for a mirrored view, in which what the model calls class `k` is class `order[k]` of the image.
    ///
    /// # Panics
    /// When `order` is not as long as there are classes.
    #[must_use]
    pub fn mirrored(&self, order: &[u16]) -> Self {
        assert_eq!(order.len(), self.classes, "one class for each class");
        let class = |class: u16| order[usize::from(class)];
        let route = match &self.route {
            Route::Direct { order } => Route::Direct { order: order.iter().map(|&c| class(c)).collect() },
            Route::Binary { object, background } => {
                Route::Binary { object: class(*object), background: class(*background) }
            }
            Route::Summed(sums) => Route::Summed(Sums {
                parts: sums.parts.iter().map(|&(channel, c)| (channel, class(c))).collect(),
                complement: sums.complement.map(class),
                silent: sums.silent.iter().map(|&c| class(c)).collect(),
                ..sums.clone()
            }),
            Route::Votes { classes, rest } => Route::Votes {
                classes: classes.iter().map(|c| c.map(class)).collect(),
                rest: if let Rest::Class(c) = rest { Rest::Class(class(*c)) } else { *rest },
            },
        };
        Self { route, ..self.clone() }
    }

    /// Whether scores that are already classes pass unchanged.
    pub fn is_identity(&self) -> bool {
        self.step == ActivationOp::Keep && matches!(self.route, Route::Direct { .. })
    }

    /// Number of classes that come out.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Transforms `out.len() / classes` neighbouring pixels: channel `k` starts at `planes[k · plane_len + offset]`;
    /// `out` is `[classes, pixels]`.
    ///
    /// # Errors
    /// When a value is NaN or infinite, or no probability or label where the model's output counts as that.
    pub fn apply(
        &self,
        planes: &[f32],
        plane_len: usize,
        offset: usize,
        out: &mut [f32],
    ) -> Result<(), BadScore> {
        let n = out.len() / self.classes;
        let channel = |k: u16| &planes[usize::from(k) * plane_len + offset..][..n];
        match &self.route {
            Route::Direct { order } if self.step == ActivationOp::Softmax => {
                softmax(Some(&Planes { values: planes, plane_len, offset, order }), out, n)
            }
            Route::Direct { order } => {
                for (k, &class) in order.iter().enumerate() {
                    out[usize::from(class) * n..][..n].copy_from_slice(channel(k as u16));
                }
                self.activate(out, n)
            }
            Route::Binary { object, background } => {
                let object = usize::from(*object) * n..usize::from(*object) * n + n;
                out[object.clone()].copy_from_slice(channel(0));
                self.activate(&mut out[object.clone()], n)?;
                for x in 0..n {
                    out[usize::from(*background) * n + x] = match self.to {
                        ScoreSpace::Logits => 0.0,
                        ScoreSpace::Probabilities => 1.0 - out[object.start + x],
                    };
                }
                Ok(())
            }
            Route::Summed(sums) => {
                let mut read: Vec<f32> = Vec::with_capacity(sums.parts.len() * n);
                sums.parts.iter().for_each(|&(k, _)| read.extend_from_slice(channel(k)));
                self.activate(&mut read, n)?;
                sums.add(&read, out, n, self.to);
                Ok(())
            }
            Route::Votes { classes, rest } => {
                vote(classes, *rest, channel(0), out)?;
                if self.step == ActivationOp::Ln {
                    out.iter_mut().for_each(|x| *x = x.max(CLAMP).ln());
                }
                Ok(())
            }
        }
    }

    /// Transforms pixels in place, `[classes, pixels]`, that are already classes.
    ///
    /// # Errors
    /// When a value is NaN or infinite.
    pub fn apply_in_place(&self, rows: &mut [f32]) -> Result<(), BadScore> {
        let n = rows.len() / self.classes;
        self.activate(rows, n)
    }

    /// The activation of `rows`, some planes of `n` pixels.
    fn activate(&self, rows: &mut [f32], n: usize) -> Result<(), BadScore> {
        if self.step == ActivationOp::Softmax {
            return softmax(None, rows, n);
        }
        // No early exit: a whole row is checked faster than a branch per pixel is taken.
        if rows.iter().fold(false, |bad, x| bad | !x.is_finite()) {
            return Err(BadScore::NonFinite);
        }
        if self.probabilities && rows.iter().fold(false, |bad, x| bad | is_no_probability(*x)) {
            let found = rows.iter().copied().find(|x| is_no_probability(*x)).unwrap_or_default();
            return Err(BadScore::NoProbability(found));
        }
        each(self.step, rows);
        Ok(())
    }
}

/// What is done to each number by itself.
fn each(step: ActivationOp, rows: &mut [f32]) {
    match step {
        ActivationOp::Keep | ActivationOp::Softmax => {}
        ActivationOp::Sigmoid => rows.iter_mut().for_each(|x| *x = sigmoid(*x)),
        ActivationOp::Ln => rows.iter_mut().for_each(|x| *x = x.max(CLAMP).ln()),
        ActivationOp::Logit => rows.iter_mut().for_each(|x| {
            let p = x.clamp(CLAMP, 1.0 - CLAMP);
            *x = (p / (1.0 - p)).ln();
        }),
    }
}

impl Sums {
    /// Sums `read`, a plane for each part, into `out`, `[classes, n]`, and brings it to the space `to`.
    fn add(&self, read: &[f32], out: &mut [f32], n: usize, to: ScoreSpace) {
        out.fill(0.0);
        for (plane, &(_, class)) in read.chunks_exact(n).zip(&self.parts) {
            let sum = &mut out[usize::from(class) * n..][..n];
            sum.iter_mut().zip(plane).for_each(|(sum, p)| *sum += p);
        }
        let classes = out.len() / n;
        for x in 0..n {
            // Sums of independent probabilities, and rounding, may pass 1.
            (0..classes).for_each(|class| out[class * n + x] = out[class * n + x].min(1.0));
            let sum: f32 = (0..classes).map(|class| out[class * n + x]).sum();
            if self.shared && sum > 0.0 {
                (0..classes).for_each(|class| out[class * n + x] /= sum);
            }
            if let Some(class) = self.complement {
                out[usize::from(class) * n + x] = (1.0 - sum).max(0.0);
            }
        }
        each(self.finish, out);
        if to == ScoreSpace::Logits {
            self.silent.iter().for_each(|&class| out[usize::from(class) * n..][..n].fill(SILENT));
        }
    }
}

/// The route of channels that are not classes one for one; none where the map does not go with them.
fn route(
    applied: OutputActivation,
    exclusive: bool,
    channels: usize,
    classes: usize,
    map: &ClassMap,
) -> Option<Route> {
    let named = || map.channels.iter().flatten();
    if map.channels.len() != classes || named().any(|&channel| usize::from(channel) >= channels) {
        return None;
    }
    let alone = channels == 1 || applied == OutputActivation::Sigmoid;
    let has_own = |class: u16| map.channels.get(usize::from(class)).is_some_and(|own| !own.is_empty());
    let one_each = map.channels.iter().all(|own| own.len() <= 1);
    if classes == 2
        && channels == 1
        && exclusive
        && let Rest::Class(background) = map.rest
        && !has_own(background)
        && background < 2
    {
        return Some(Route::Binary { object: 1 - background, background });
    }
    if one_each && named().count() == channels && channels == classes {
        let mut order = vec![0; channels];
        for (class, own) in map.channels.iter().enumerate() {
            own.iter().for_each(|&channel| order[usize::from(channel)] = class as u16);
        }
        return Some(Route::Direct { order });
    }
    let mut own = map.channels.clone();
    let mut complement = None;
    match map.rest {
        // Each channel by itself: what is left of 1 is all that is known of a background without a channel.
        Rest::Class(class) if exclusive && alone && !has_own(class) => complement = Some(class),
        // Its own channel says what it is; what independent channels of other things say does not add up.
        Rest::Class(_) if exclusive && alone => {}
        Rest::Class(class) if exclusive => {
            own.get_mut(usize::from(class))?.extend(map.unnamed(channels));
        }
        Rest::Class(_) => return None,
        Rest::None | Rest::Dropped => {}
    }
    let parts: Vec<(u16, u16)> = own
        .iter()
        .enumerate()
        .flat_map(|(class, own)| own.iter().map(move |&channel| (channel, class as u16)))
        .collect();
    let silent = (0..classes).filter(|&class| !map.speaks_for(class)).map(|class| class as u16).collect();
    let shared = exclusive && applied == OutputActivation::Softmax && map.rest == Rest::Dropped;
    (!parts.is_empty()).then_some(Route::Summed(Sums {
        parts,
        shared,
        complement,
        silent,
        finish: ActivationOp::Keep,
    }))
}

/// The route of a channel of labels.
fn votes(channels: usize, classes: usize, map: &ClassMap) -> Option<Route> {
    if channels != 1 || !(map.is_by_channel() || map.channels.len() == classes) {
        return None;
    }
    let by_number: Vec<Option<u16>> = if map.is_by_channel() {
        (0..classes).map(|class| Some(class as u16)).collect()
    } else {
        let most = map.channels.iter().flatten().max().map_or(0, |&most| usize::from(most) + 1);
        let mut of = vec![None; most];
        for (class, own) in map.channels.iter().enumerate() {
            own.iter().for_each(|&label| of[usize::from(label)] = Some(class as u16));
        }
        of
    };
    Some(Route::Votes { classes: by_number, rest: map.rest })
}

/// Writes 1 for the class of each pixel's label and 0 for all others.
fn vote(classes: &[Option<u16>], rest: Rest, labels: &[f32], out: &mut [f32]) -> Result<(), BadScore> {
    let n = labels.len();
    out.fill(0.0);
    for (x, &label) in labels.iter().enumerate() {
        if label < 0.0 || label.fract() != 0.0 || !label.is_finite() {
            return Err(BadScore::NotALabel(label));
        }
        let class = classes.get(label as usize).copied().flatten();
        let class = match (class, rest) {
            (Some(class), _) | (None, Rest::Class(class)) => class,
            (None, Rest::Dropped) => continue,
            (None, Rest::None) => return Err(BadScore::NoLabel(label)),
        };
        out[usize::from(class) * n + x] = 1.0;
    }
    Ok(())
}

/// Whether `x` lies outside 0 to 1 by more than rounding.
fn is_no_probability(x: f32) -> bool {
    !(-BEYOND..=1.0 + BEYOND).contains(&x)
}

#[cfg(test)]
#[path = "activation_tests.rs"]
mod tests;
