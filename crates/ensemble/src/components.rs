//! Clean-up of label maps by connected components, for images larger than memory.
//!
//! A [`Stage`] sees the rows of an image twice: an [`Analysis`] finds the components and comes to a verdict on each, a
//! [`Rewrite`] goes over the same rows again and carries it out. Both number components in the same way, by the runs of
//! one row and the row before, so no map of components is ever kept. Memory: the runs of two rows, and about 60 bytes
//! for each component (also for each tip of one: a U has two until they meet); then 4 bytes in the second pass.
//!
//! Stages chain: while one rewrites a row, the next can analyse it, so that `n` stages read an image `n + 1` times. The
//! usual order is [`Clean::FillHoles`], [`Clean::MinArea`], [`Clean::Largest`].

use std::collections::{BTreeMap, BTreeSet};

/// Which pixels are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Connectivity {
    /// Pixels that share a side.
    Four,
    /// Pixels that share a side or a corner.
    #[default]
    Eight,
}

impl Connectivity {
    /// What holes have where objects have this one: two regions cannot both pass through a corner.
    #[must_use]
    pub const fn dual(self) -> Self {
        match self {
            Self::Four => Self::Eight,
            Self::Eight => Self::Four,
        }
    }

    /// How far beyond its ends a run touches those of the next row, px.
    const fn reach(self) -> usize {
        match self {
            Self::Four => 0,
            Self::Eight => 1,
        }
    }
}

/// A rule over components. In a binary plane the background, and the fill, is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clean {
    /// A component of `background` that does not touch the image's border and has only one label around it (sides,
    /// not corners) becomes that label.
    FillHoles {
        /// The label of holes.
        background: u16,
        /// The labels whose holes are filled.
        labels: BTreeSet<u16>,
        /// Greater holes stay, px.
        max_area_px: Option<u64>,
    },
    /// Components of a label smaller than its least area become `fill`.
    MinArea {
        /// The least area of each label that has one, px.
        areas_px: BTreeMap<u16, u64>,
        /// What removed pixels become.
        fill: u16,
    },
    /// Of each of `labels` only the largest component stays: of equal ones, that of the first pixel in row-major order.
    Largest {
        /// The labels to thin out.
        labels: BTreeSet<u16>,
        /// What removed pixels become.
        fill: u16,
    },
}

impl Clean {
    /// Whether components of `label` are looked at.
    fn concerns(&self, label: u16) -> bool {
        match self {
            Self::FillHoles { background, .. } => label == *background,
            Self::MinArea { areas_px, .. } => areas_px.contains_key(&label),
            Self::Largest { labels, .. } => labels.contains(&label),
        }
    }
}

/// One rule, for images of one width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    rule: Clean,
    connectivity: Connectivity,
    width: usize,
}

impl Stage {
    /// `connectivity` is that of objects; holes have its dual. `width` is the image's, px.
    pub const fn new(rule: Clean, connectivity: Connectivity, width: usize) -> Self {
        Self { rule, connectivity, width }
    }

    /// Starts the first pass.
    pub fn analyse(&self) -> Analysis<'_> {
        Analysis { scan: Scan::new(self), above: Vec::new(), parents: Vec::new(), facts: Vec::new() }
    }

    /// Cleans a whole label map `[H, W]` that is in memory.
    ///
    /// # Panics
    /// When `labels` is not whole rows.
    pub fn clean(&self, labels: &mut [u16]) {
        let mut analysis = self.analyse();
        analysis.rows(labels);
        analysis.finish().rewrite().rows(labels);
    }
}

/// Neighbouring pixels of one label in a row.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: usize,
    end: usize,
    label: u16,
    component: usize,
}

/// Numbers components provisionally: the same rows always give the same numbers.
#[derive(Debug)]
struct Scan<'a> {
    stage: &'a Stage,
    reach: usize,
    before: Vec<Run>,
    runs: Vec<Run>,
    components: usize,
}

impl<'a> Scan<'a> {
    fn new(stage: &'a Stage) -> Self {
        let connectivity = match stage.rule {
            Clean::FillHoles { .. } => stage.connectivity.dual(),
            Clean::MinArea { .. } | Clean::Largest { .. } => stage.connectivity,
        };
        Self { stage, reach: connectivity.reach(), before: Vec::new(), runs: Vec::new(), components: 0 }
    }

    /// Checks that `labels` is whole rows, and answers their length.
    fn width_of(&self, labels: &[u16]) -> usize {
        let width = self.stage.width;
        assert!(
            width > 0 && labels.len().is_multiple_of(width),
            "{} labels in rows of {width}",
            labels.len()
        );
        width
    }

    /// Finds the runs of the next row. `joined` hears of every two components that turn out to be one.
    fn row(&mut self, labels: &[u16], mut joined: impl FnMut(usize, usize)) {
        std::mem::swap(&mut self.before, &mut self.runs);
        self.runs.clear();
        let (mut first, mut candidate) = (0, 0);
        for piece in labels.chunk_by(|a, b| a == b) {
            let (begin, label) = (first, piece[0]);
            first += piece.len();
            if !self.stage.rule.concerns(label) {
                continue;
            }
            let mut run = Run { first: begin, end: first, label, component: usize::MAX };
            // Runs that end before this one end before all that follow.
            while self.before.get(candidate).is_some_and(|above| above.end + self.reach <= run.first) {
                candidate += 1;
            }
            let touching =
                self.before[candidate..].iter().take_while(|above| above.first < run.end + self.reach);
            for above in touching.filter(|above| above.label == label) {
                if run.component == usize::MAX {
                    run.component = above.component;
                } else {
                    joined(run.component, above.component);
                }
            }
            if run.component == usize::MAX {
                run.component = self.components;
                self.components += 1;
            }
            self.runs.push(run);
        }
    }
}

/// What is around a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing,
    One(u16),
    Several,
}

impl Around {
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, only) | (only, Self::Nothing) => only,
            (Self::One(a), Self::One(b)) if a == b => self,
            _ => Self::Several,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Facts {
    label: u16,
    area_px: u64,
    /// Kept for holes only.
    at_border: bool,
    around: Around,
}

/// The first pass of a [`Stage`].
#[derive(Debug)]
pub struct Analysis<'a> {
    scan: Scan<'a>,
    /// The row before; empty at the first. Kept for holes only.
    above: Vec<u16>,
    /// A forest over provisional components; a root is the first of its tree in row-major order.
    parents: Vec<usize>,
    /// Right at roots.
    facts: Vec<Facts>,
}

impl<'a> Analysis<'a> {
    /// Takes the next rows, from top to bottom: any number of whole ones.
    ///
    /// # Panics
    /// When `labels` is not whole rows.
    pub fn rows(&mut self, labels: &[u16]) {
        let width = self.scan.width_of(labels);
        labels.chunks_exact(width).for_each(|row| self.row(row));
    }

    fn row(&mut self, labels: &[u16]) {
        let parents = &mut self.parents;
        let facts = &mut self.facts;
        // Joins may come before a component's first run is known, and concern earlier components only.
        self.scan.row(labels, |a, b| join(parents, facts, a, b));
        for run in &self.scan.runs {
            let found = Facts {
                label: run.label,
                area_px: (run.end - run.first) as u64,
                at_border: false,
                around: Around::Nothing,
            };
            if run.component == self.parents.len() {
                self.parents.push(run.component);
                self.facts.push(found);
            } else {
                let root = find(&mut self.parents, run.component);
                self.facts[root].area_px += found.area_px;
            }
        }
        if let Clean::FillHoles { background, .. } = self.scan.stage.rule {
            self.look_around(labels, background);
        }
    }

    /// Notes what lies beside, above and below the runs of holes.
    fn look_around(&mut self, labels: &[u16], background: u16) {
        let mut note = |component, at_border, pixels: &[u16]| {
            let facts = &mut self.facts[find(&mut self.parents, component)];
            facts.at_border |= at_border;
            let others = pixels.iter().filter(|&&label| label != background);
            facts.around = others.fold(facts.around, |around, &label| around.and(Around::One(label)));
        };
        for run in &self.scan.runs {
            let at_border = self.above.is_empty() || run.first == 0 || run.end == labels.len();
            note(run.component, at_border, &labels[run.first.saturating_sub(1)..run.first]);
            note(run.component, false, &labels[run.end..labels.len().min(run.end + 1)]);
            note(run.component, false, self.above.get(run.first..run.end).unwrap_or_default());
        }
        for run in &self.scan.before {
            note(run.component, false, &labels[run.first..run.end]);
        }
        self.above.clear();
        self.above.extend_from_slice(labels);
    }

    /// Comes to a verdict on every component.
    #[must_use]
    pub fn finish(mut self) -> Verdicts<'a> {
        // The last row is at the border.
        for run in &self.scan.runs {
            let root = find(&mut self.parents, run.component);
            self.facts[root].at_border = true;
        }
        let largest = self.largest();
        let verdict = |root: usize| {
            let Facts { label, area_px, at_border, around } = self.facts[root];
            match &self.scan.stage.rule {
                Clean::FillHoles { labels, max_area_px, .. } => match around {
                    Around::One(label)
                        if !at_border
                            && labels.contains(&label)
                            && max_area_px.is_none_or(|most| area_px <= most) =>
                    {
                        Some(label)
                    }
                    _ => None,
                },
                Clean::MinArea { areas_px, fill } => {
                    areas_px.get(&label).is_some_and(|&least| area_px < least).then_some(*fill)
                }
                Clean::Largest { fill, .. } => (largest.get(&label) != Some(&root)).then_some(*fill),
            }
        };
        let roots: Vec<_> = (0..self.parents.len()).map(|index| find(&mut self.parents, index)).collect();
        Verdicts { stage: self.scan.stage, becomes: roots.into_iter().map(verdict).collect() }
    }

    /// The largest component of each label; of equal ones, the first.
    fn largest(&self) -> BTreeMap<u16, usize> {
        let mut largest: BTreeMap<u16, usize> = BTreeMap::new();
        let roots = self.parents.iter().enumerate().filter(|&(index, &parent)| index == parent);
        for (root, _) in roots {
            let best = largest.entry(self.facts[root].label).or_insert(root);
            if self.facts[root].area_px > self.facts[*best].area_px {
                *best = root;
            }
        }
        largest
    }
}

/// The root of a component, halving the way to it.
fn find(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

/// Makes one component of two; the earlier root stays.
fn join(parents: &mut [usize], facts: &mut [Facts], a: usize, b: usize) {
    let (a, b) = (find(parents, a), find(parents, b));
    if a == b {
        return;
    }
    let (root, other) = (a.min(b), a.max(b));
    parents[other] = root;
    let joined = facts[other];
    facts[root].area_px += joined.area_px;
    facts[root].at_border |= joined.at_border;
    facts[root].around = facts[root].around.and(joined.around);
}

/// What becomes of every component.
#[derive(Debug, Clone)]
pub struct Verdicts<'a> {
    stage: &'a Stage,
    /// By provisional number.
    becomes: Vec<Option<u16>>,
}

impl Verdicts<'_> {
    /// Whether the second pass would change nothing, and can be left out.
    pub fn change_nothing(&self) -> bool {
        self.becomes.iter().all(Option::is_none)
    }

    /// Starts the second pass.
    pub fn rewrite(&self) -> Rewrite<'_> {
        Rewrite { scan: Scan::new(self.stage), becomes: &self.becomes }
    }
}

/// The second pass of a [`Stage`].
#[derive(Debug)]
pub struct Rewrite<'a> {
    scan: Scan<'a>,
    becomes: &'a [Option<u16>],
}

impl Rewrite<'_> {
    /// Rewrites the next rows. They are those of the first pass, in any bands of whole rows.
    ///
    /// # Panics
    /// When `labels` is not whole rows, or has components that the first pass has not seen.
    pub fn rows(&mut self, labels: &mut [u16]) {
        let width = self.scan.width_of(labels);
        for row in labels.chunks_exact_mut(width) {
            self.scan.row(row, |_, _| ());
            assert!(
                self.scan.components <= self.becomes.len(),
                "the second pass must see the rows of the first"
            );
            for run in &self.scan.runs {
                if let Some(label) = self.becomes[run.component] {
                    row[run.first..run.end].fill(label);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "components_tests.rs"]
mod tests;
