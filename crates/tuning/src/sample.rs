//! The probes of all images, and what an ensemble of given weights says at them.

use crate::{Metric, Probes, WeightedCounts};
use half::f16;
use serde::{Deserialize, Serialize};

/// The space in which members are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Mean of probabilities.
    Probabilities,
    /// Mean of logits: of logarithms of probabilities, which differ from them by what all classes of a pixel share.
    Logits,
}

impl Space {
    /// What each logarithm of a probability is in this space, by the bits of its half precision without their sign. `least` is the
    /// probability that stands for all below it where logarithms are taken of probabilities.
    fn table(self, least: f32) -> Vec<f32> {
        let of = |ln: f32| match self {
            Self::Probabilities => ln.exp(),
            Self::Logits => ln.max(least.ln()),
        };
        (0..f16::INFINITY.to_bits()).map(|bits| of(-f16::from_bits(bits).to_f32())).collect()
    }

    /// Factors on probabilities, of which these are the logarithms, as scores take them in this space.
    pub(crate) fn factors(self, ln_factors: &[f32]) -> Vec<f32> {
        match self {
            Self::Probabilities => ln_factors.iter().map(|ln| ln.exp()).collect(),
            Self::Logits => ln_factors.to_vec(),
        }
    }

    /// A score times one of [`factors`](Self::factors).
    pub(crate) fn times(self, score: f32, factor: f32) -> f32 {
        match self {
            Self::Probabilities => score * factor,
            Self::Logits => score + factor,
        }
    }

    /// The logarithm of the factor on `low` that makes it equal to `high`.
    pub(crate) fn ln_ratio(self, high: f32, low: f32) -> f32 {
        match self {
            Self::Probabilities => (high / low).ln(),
            Self::Logits => high - low,
        }
    }
}

/// The probes of one image, and whose they are.
#[derive(Debug, Clone)]
pub struct ImageProbes {
    /// What it is drawn and left out together with: a scene, a patient, a drive.
    pub group: usize,
    /// The probes.
    pub probes: Probes,
    /// Of each of the probes' members, the candidate that it belongs to, and its weight beside others.
    pub members: Vec<(usize, f32)>,
}

/// Why images are no sample.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SampleError {
    /// Sizes that do not fit.
    #[error("the probes of image {image} are of {found}, and the job is of {wanted}")]
    Form {
        /// Its place among the images.
        image: usize,
        /// What they have.
        found: String,
        /// What they should have.
        wanted: String,
    },
}

/// The probes of all images. A *candidate* is what is weighed: a member, or in cross-validation, where each image is seen by the
/// members of its own fold alone, all members that differ in nothing but their fold.
#[derive(Debug, Clone)]
pub struct Sample {
    pub(crate) classes: usize,
    pub(crate) candidates: usize,
    pub(crate) images: Vec<ImageProbes>,
    /// Of each space.
    tables: [Vec<f32>; 2],
}

/// What an ensemble says at the probes of some images, before factors.
#[derive(Debug, Clone)]
pub(crate) struct Blend {
    pub(crate) classes: usize,
    pub(crate) space: Space,
    /// `[N, C]`, in the space.
    pub(crate) scores: Vec<f32>,
    /// `[N]`.
    pub(crate) truth: Vec<u16>,
    /// `[N]`.
    pub(crate) weights: Vec<f32>,
}

impl Sample {
    /// A sample of `images`, of `classes` classes and `candidates` candidates. Where a run takes logits of probabilities, `least`
    /// stands for all below it; 0 where it has logits.
    ///
    /// # Errors
    /// When probes are of other classes or members.
    pub fn new(
        classes: usize,
        candidates: usize,
        images: Vec<ImageProbes>,
        least: f32,
    ) -> Result<Self, SampleError> {
        for (image, of) in images.iter().enumerate() {
            let (found, wanted) = ((of.probes.classes, of.probes.members), (classes, of.members.len()));
            let is_known =
                of.members.iter().all(|(candidate, weight)| *candidate < candidates && *weight > 0.0);
            if found != wanted || !is_known {
                let words = |(classes, members)| format!("{members} members and {classes} classes");
                return Err(SampleError::Form { image, found: words(found), wanted: words(wanted) });
            }
        }
        let tables = [Space::Probabilities, Space::Logits].map(|space| space.table(least));
        Ok(Self { classes, candidates, images, tables })
    }

    /// Number of images.
    pub const fn images(&self) -> usize {
        self.images.len()
    }

    /// Number of probes.
    pub fn probes(&self) -> usize {
        self.images.iter().map(|image| image.probes.truth.len()).sum()
    }

    /// Number of groups that have a probe.
    pub fn groups(&self) -> usize {
        let groups = self.images.iter().filter(|image| !image.probes.truth.is_empty());
        groups.map(|image| image.group).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Whether each of the images `among` has a member of a candidate that `weights` gives something.
    pub(crate) fn covers(&self, among: impl IntoIterator<Item = usize>, weights: &[f32]) -> bool {
        let is_scored = |image: usize| self.images[image].members.iter().any(|(k, _)| weights[*k] > 0.0);
        among.into_iter().all(is_scored)
    }

    /// Whether every image has.
    pub(crate) fn is_covered(&self, weights: &[f32]) -> bool {
        self.covers(0..self.images.len(), weights)
    }

    /// The number of images of `among` in which each class occurs.
    pub(crate) fn images_of_classes(&self, among: &[usize]) -> Vec<usize> {
        let mut number = vec![0; self.classes];
        for image in among {
            let truth = &self.images[*image].probes.truth;
            (0..self.classes)
                .filter(|class| truth.contains(&(*class as u16)))
                .for_each(|class| number[class] += 1);
        }
        number
    }

    /// Σ weight · score / Σ weight over the members of an image, in `space`, `[P, C]`, of candidates that weigh `weights`. An
    /// image of which all members weigh 0 is scored by all of them alike.
    pub(crate) fn image_scores(&self, image: usize, weights: &[f32], space: Space) -> Vec<f32> {
        let of = &self.images[image];
        let own = |weights: &[f32]| -> Vec<f32> { of.members.iter().map(|(k, w)| weights[*k] * w).collect() };
        let mut columns = own(weights);
        if columns.iter().all(|w| *w == 0.0) {
            columns = own(&vec![1.0; self.candidates]);
        }
        let total: f32 = columns.iter().sum();
        let mut scores = vec![0.0; of.probes.truth.len() * self.classes];
        for (column, weight) in columns.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            self.add_column(image, column, (weight / total, space), &mut scores);
        }
        scores
    }

    /// The share of the members of candidates that `weights` gives something that, each by itself, give each probe of an image the label
    /// that `scores`, `[P, C]`, give it, `[P]`.
    pub(crate) fn agreement(
        &self,
        image: usize,
        weights: &[f32],
        (space, factors): (Space, &[f32]),
        scores: &[f32],
    ) -> Vec<f32> {
        let members = self.images[image].members.iter().enumerate();
        let voters: Vec<usize> =
            members.filter(|(_, (k, _))| weights[*k] > 0.0).map(|(column, _)| column).collect();
        let mut agree = vec![0.0; scores.len() / self.classes];
        let mut own = vec![0.0; scores.len()];
        for column in &voters {
            own.fill(0.0);
            self.add_column(image, *column, (1.0, space), &mut own);
            let pairs = own.chunks_exact(self.classes).zip(scores.chunks_exact(self.classes));
            for (agree, (own, all)) in agree.iter_mut().zip(pairs) {
                if best(space, own, factors).0 == best(space, all, factors).0 {
                    *agree += 1.0 / voters.len() as f32;
                }
            }
        }
        // Thirds do not add up to one.
        agree.iter_mut().for_each(|share| *share = (*share * (1.0 + 1e-6)).min(1.0));
        agree
    }

    /// Adds what one member says of an image, times `weight`, to `sums`, `[P, C]`.
    fn add_column(&self, image: usize, column: usize, (weight, space): (f32, Space), sums: &mut [f32]) {
        let (of, classes, table) = (&self.images[image], self.classes, self.table(space));
        let probes = of.probes.scores.chunks_exact(of.members.len() * classes);
        for (probe, sum) in probes.zip(sums.chunks_exact_mut(classes)) {
            add(sum, &probe[column * classes..(column + 1) * classes], weight, table);
        }
    }

    fn table(&self, space: Space) -> &[f32] {
        &self.tables[usize::from(space == Space::Logits)]
    }

    /// Adds what candidate `k` says of an image, times the weights of its members and `factor`, to `sums`, `[P, C]`; what they
    /// weigh.
    fn add_candidate(&self, image: usize, (k, factor): (usize, f32), space: Space, sums: &mut [f32]) -> f32 {
        let mut total = 0.0;
        let members = self.images[image].members.iter().enumerate();
        for (column, (_, weight)) in members.filter(|(_, (own, _))| *own == k) {
            self.add_column(image, column, (factor * weight, space), sums);
            total += factor * weight;
        }
        total
    }

    /// What candidates of these weights say of the images `among`.
    pub(crate) fn blend(&self, among: &[usize], weights: &[f32], space: Space) -> Blend {
        let mut blend = Blend {
            classes: self.classes,
            space,
            scores: Vec::new(),
            truth: Vec::new(),
            weights: Vec::new(),
        };
        for image in among {
            blend.scores.extend(self.image_scores(*image, weights, space));
            blend.truth.extend_from_slice(&self.images[*image].probes.truth);
            blend.weights.extend_from_slice(&self.images[*image].probes.weights);
        }
        blend
    }
}

/// Candidates that are added one by one to what the images `among` are scored by.
pub(crate) struct Growing<'a> {
    sample: &'a Sample,
    among: &'a [usize],
    space: Space,
    /// Factors on the weights of candidates, `[candidates]`.
    factors: Vec<f32>,
    /// Σ weight · score, `[P, C]`, and Σ weight of each image.
    sums: Vec<(Vec<f32>, f32)>,
}

impl<'a> Growing<'a> {
    pub(crate) fn new(sample: &'a Sample, among: &'a [usize], space: Space) -> Self {
        let none =
            |image: &usize| (vec![0.0; sample.images[*image].probes.truth.len() * sample.classes], 0.0);
        let factors = vec![1.0; sample.candidates];
        Self { sample, among, space, factors, sums: among.iter().map(none).collect() }
    }

    /// The same, of candidates that weigh so many times what the job says.
    pub(crate) fn weighing(self, factors: &[f32]) -> Self {
        Self { factors: factors.to_vec(), ..self }
    }

    /// Counts of what they would say with candidate `k`, once more if it is among them; an image that it does not score stays as it
    /// is.
    pub(crate) fn counts_with(&self, k: usize, ln_factors: &[f32]) -> WeightedCounts {
        let (space, classes) = (self.space, self.sample.classes);
        let factors = space.factors(ln_factors);
        let table = self.sample.table(space);
        let mut counts = WeightedCounts::new(classes);
        let mut scores = vec![0.0_f32; classes];
        for (image, (sums, total)) in self.among.iter().zip(&self.sums) {
            let ImageProbes { probes, members, .. } = &self.sample.images[*image];
            let own = members.iter().enumerate().filter(|(_, (candidate, _))| *candidate == k);
            let own: Vec<(usize, f32)> =
                own.map(|(column, (_, weight))| (column, self.factors[k] * weight)).collect();
            let total = total + own.iter().map(|(_, weight)| weight).sum::<f32>();
            let share = 1.0 / total.max(f32::MIN_POSITIVE);
            let said = probes.scores.chunks_exact(members.len() * classes).zip(sums.chunks_exact(classes));
            for ((probe, sums), (truth, weight)) in said.zip(probes.truth.iter().zip(&probes.weights)) {
                scores.copy_from_slice(sums);
                for (column, weight) in &own {
                    add(&mut scores, &probe[column * classes..(column + 1) * classes], *weight, table);
                }
                scores.iter_mut().for_each(|score| *score *= share);
                counts.add(*truth, best(space, &scores, &factors).0, *weight);
            }
        }
        counts
    }

    pub(crate) fn add(&mut self, k: usize) {
        for (image, (sums, total)) in self.among.iter().zip(&mut self.sums) {
            *total += self.sample.add_candidate(*image, (k, self.factors[k]), self.space, sums);
        }
    }
}

impl Blend {
    /// The probes: scores, truth, weight.
    pub(crate) fn probes(&self) -> impl Iterator<Item = (&[f32], u16, f32)> {
        let labels = self.truth.iter().zip(&self.weights);
        self.scores
            .chunks_exact(self.classes)
            .zip(labels)
            .map(|(scores, (truth, weight))| (scores, *truth, *weight))
    }

    /// The label of each probe: the class of the greatest score times factor, of equal ones the first.
    pub(crate) fn labels(&self, ln_factors: &[f32]) -> impl Iterator<Item = u16> {
        let factors = self.space.factors(ln_factors);
        self.scores.chunks_exact(self.classes).map(move |scores| best(self.space, scores, &factors).0)
    }

    /// Counts of all probes under these factors.
    pub(crate) fn counts(&self, ln_factors: &[f32]) -> WeightedCounts {
        let mut counts = WeightedCounts::new(self.classes);
        let probes = self.probes().zip(self.labels(ln_factors));
        probes.for_each(|((_, truth, weight), label)| counts.add(truth, label, weight));
        counts
    }

    /// The metric under these factors.
    pub(crate) fn mean(&self, ln_factors: &[f32], metric: Metric) -> f64 {
        self.counts(ln_factors).mean(metric)
    }
}

/// Adds what a member says, as `table` has it, times `weight`.
fn add(sums: &mut [f32], member: &[f16], weight: f32, table: &[f32]) {
    // Finite, as those who read probes make sure.
    let last = table.len() - 1;
    for (sum, ln) in sums.iter_mut().zip(member) {
        *sum += weight * table[usize::from(ln.to_bits() & !SIGN).min(last)];
    }
}

/// The bit of the sign in half precision.
const SIGN: u16 = 0x8000;

/// The class of the greatest score times factor, of equal ones the first, and that product.
pub(crate) fn best(space: Space, scores: &[f32], factors: &[f32]) -> (u16, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, (score, factor)) in scores.iter().zip(factors).enumerate() {
        let value = space.times(*score, *factor);
        if value > best.1 {
            best = (class as u16, value);
        }
    }
    best
}
