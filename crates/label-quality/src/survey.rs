//! What is usual in a data set: sums over images, of integers, that add in any order to the same bytes.

use crate::component::Component;
use crate::confident::ConfidentSums;
use crate::findings::Findings;
use marquetry_evaluation::entries;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Parts of a root of evidence in the sums.
const ONE: f64 = 65_536.0;
/// Bins of the share of pixels that differ.
const SHARES: f64 = 1024.0;
/// Bins of evidence at boundaries in a nat.
const BINS: f64 = 256.0;

/// What is usual, over any number of images. Of one image: some hundred bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Images of which any pixel is labelled.
    images: u64,
    /// Their pixels that are labelled.
    labelled_px: u64,
    /// For the thresholds of confident learning.
    confident: ConfidentSums,
    /// Error components by their label and predicted class.
    #[serde(with = "entries")]
    pairs: BTreeMap<(u16, u16), PairSum>,
    /// How many images have so much evidence at their boundaries, in parts of 1/256 nat.
    #[serde(with = "entries")]
    edges: BTreeMap<u32, u64>,
    /// How many images have so large a share of pixels that differ, in parts of 1/1024.
    #[serde(with = "entries")]
    differing: BTreeMap<u32, u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct PairSum {
    components: u64,
    /// Σ √evidence, in parts of 2^-16.
    roots: u64,
    /// The same of components that are as deep as is looked at.
    deep: u64,
    deep_roots: u64,
    /// Σ ln of their areas, in parts of 2^-16.
    deep_areas: u64,
}

impl PairSum {
    fn of(component: &Component) -> Self {
        let parts = |value: f64| (value * ONE).round() as u64;
        let roots = parts(component.evidence().sqrt());
        let (deep, deep_roots, deep_areas) =
            if component.is_deep() { (1, roots, parts((component.area_px as f64).ln())) } else { (0, 0, 0) };
        Self { components: 1, roots, deep, deep_roots, deep_areas }
    }

    const fn add(&mut self, other: Self) {
        self.components += other.components;
        self.roots += other.roots;
        self.deep += other.deep;
        self.deep_roots += other.deep_roots;
        self.deep_areas += other.deep_areas;
    }
}

/// What deep components of a pair of classes are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct DeepSum {
    pub(crate) components: u64,
    /// Σ √evidence, and Σ ln area (px), in parts of 2^-16.
    parts: [u64; 2],
}

impl DeepSum {
    /// Σ √evidence and Σ ln area (px).
    pub(crate) fn sums(&self) -> [f64; 2] {
        self.parts.map(|parts| parts as f64 / ONE)
    }

    const fn of(pair: &PairSum) -> Self {
        Self { components: pair.deep, parts: [pair.deep_roots, pair.deep_areas] }
    }
}

impl Survey {
    /// No image, for `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self {
            images: 0,
            labelled_px: 0,
            confident: ConfidentSums::new(classes),
            pairs: BTreeMap::new(),
            edges: BTreeMap::new(),
            differing: BTreeMap::new(),
        }
    }

    /// Adds an image.
    pub fn add(&mut self, findings: &Findings) {
        let labelled_px = findings.confusion.pixels();
        if labelled_px == 0 {
            return;
        }
        self.images += 1;
        self.labelled_px += labelled_px;
        self.confident.merge(&findings.confident);
        *self.differing.entry((findings.differing() * SHARES).round() as u32).or_default() += 1;
        for component in &findings.components {
            self.pairs.entry((component.given, component.suggested)).or_default().add(PairSum::of(component));
        }
        if let Some(evidence) = findings.edges.evidence() {
            *self.edges.entry((evidence * BINS).round() as u32).or_default() += 1;
        }
    }

    /// Adds the images of another.
    pub fn merge(&mut self, other: &Self) {
        self.images += other.images;
        self.labelled_px += other.labelled_px;
        self.confident.merge(&other.confident);
        for (&pair, &more) in &other.pairs {
            self.pairs.entry(pair).or_default().add(more);
        }
        for (&bin, &more) in &other.edges {
            *self.edges.entry(bin).or_default() += more;
        }
        for (&bin, &more) in &other.differing {
            *self.differing.entry(bin).or_default() += more;
        }
    }

    /// The share of pixels that differ in the middle image, 0 to 1 (of an even number the lower one).
    pub(crate) fn usual_differing(&self) -> f64 {
        let mut before = 0;
        let middle = self.differing.iter().find(|(_, images)| {
            before += **images;
            2 * before >= self.images
        });
        middle.map_or(0.0, |(bin, _)| f64::from(*bin) / SHARES)
    }

    /// How many images there are of which any pixel is labelled.
    pub const fn images(&self) -> u64 {
        self.images
    }

    /// What the thresholds of confident learning follow from.
    pub const fn confident(&self) -> &ConfidentSums {
        &self.confident
    }

    /// How many components that have this one's label and predicted class are usual in an image of so many labelled pixels.
    pub(crate) fn usual(&self, component: &Component, labelled_px: u64) -> f64 {
        self.of(component).components as f64 * (labelled_px as f64 / self.labelled_px.max(1) as f64)
    }

    /// Σ √evidence of the components with this one's label and predicted class, and how many they are.
    pub(crate) fn roots(&self, component: &Component) -> (f64, u64) {
        let PairSum { components, roots, .. } = self.of(component);
        (roots as f64 / ONE, components)
    }

    /// The mean √evidence of all components.
    pub(crate) fn mean_root(&self) -> f64 {
        let all = self.all();
        all.roots as f64 / ONE / all.components.max(1) as f64
    }

    /// Deep components with this one's label and predicted class.
    pub(crate) fn deep(&self, component: &Component) -> DeepSum {
        DeepSum::of(&self.of(component))
    }

    /// All deep components.
    pub(crate) fn all_deep(&self) -> DeepSum {
        DeepSum::of(&self.all())
    }

    fn all(&self) -> PairSum {
        self.pairs.values().fold(PairSum::default(), |mut sum, &pair| {
            sum.add(pair);
            sum
        })
    }

    /// How many pairs of classes are confused at all: one that has far fewer components in an image than `rare` hardly counts.
    pub(crate) fn confused_pairs(&self, rare: f64) -> f64 {
        let few = rare * self.images.max(1) as f64;
        self.pairs.values().map(|pair| pair.components as f64 / (pair.components as f64 + few)).sum()
    }

    /// The lower quartile and the median of the images' evidence at boundaries, nats.
    pub(crate) fn usual_edges(&self) -> [f64; 2] {
        let images: u64 = self.edges.values().sum();
        let quantile = |quarter: u64| {
            let mut left = images.saturating_sub(1) * quarter / 4;
            let bin = self.edges.iter().find(|&(_, &n)| {
                let here = left < n;
                left = left.saturating_sub(n);
                here
            });
            bin.map_or(0.0, |(&bin, _)| f64::from(bin) / BINS)
        };
        [quantile(1), quantile(2)]
    }

    fn of(&self, component: &Component) -> PairSum {
        self.pairs.get(&(component.given, component.suggested)).copied().unwrap_or_default()
    }
}
