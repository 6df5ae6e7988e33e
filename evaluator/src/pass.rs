//! Reading all pairs once.

use crate::budget::Budget;
use crate::fold::{Fold, ImageRow};
use crate::pictures::{self, PICTURES, Pictures};
use crate::request::Request;
use crate::resize::{nearest, same_aspect};
use crate::sources::Sources;
use marquetry_evaluation::{Distances, ImageCounts, LabelPair};
use marquetry_failure::chain;
use marquetry_geometry::Size;
use marquetry_labels::{Census, LEFT_OUT, LabelError, Mapping, RawLabel};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that a pixel of a pair in hand takes, its numbers, classes and pieces of rows together.
const BYTES_PER_PIXEL: u64 = 24;
/// So many pairs may be done before their turn, for each thread.
const AHEAD: usize = 4;
/// So many faults of single pairs are kept.
const FAULTS_MAX: usize = 50;

/// What a pass came to.
pub(crate) struct Passed {
    pub(crate) truth: Census,
    pub(crate) predicted: Census,
    pub(crate) fold: Fold,
    /// Pairs that were brought to one size.
    pub(crate) resized: u64,
    /// Pairs that agree better, and worse, with the pixels of one side numbered the other way.
    pub(crate) turned: [u64; 2],
    /// What is wrong with single pairs, and with how many.
    pub(crate) faults: Vec<String>,
    pub(crate) faults_all: u64,
}

/// What is done in a pass.
pub(crate) struct Pass<'a> {
    pub(crate) request: &'a Request,
    pub(crate) sources: &'a Sources,
    pub(crate) truth: &'a Mapping,
    pub(crate) predicted: &'a Mapping,
    pub(crate) distances: Distances,
    /// Whether pairs are counted, or only looked at.
    pub(crate) counts: bool,
    /// Pictures of those that are counted.
    pub(crate) pictures: Option<&'a Pictures>,
}

/// What one pair came to.
struct Pair {
    truth: Census,
    predicted: Census,
    counted: Result<Option<(ImageRow, ImageCounts)>, String>,
    resized: bool,
    /// Whether the two agree better when the pixels of one are numbered the other way, or worse.
    turned: Ordering,
}

/// Memory of one thread.
#[derive(Default)]
struct Hand {
    raw: RawLabel,
    truth: Vec<u16>,
    predicted: Vec<u16>,
}

/// Pairs that are done and wait for their turn.
#[derive(Default)]
struct Queue {
    next: usize,
    folded: usize,
    done: BTreeMap<usize, Pair>,
}

impl Pass<'_> {
    /// Reads the first `number` pairs and folds them in their order.
    pub(crate) fn run(&self, number: usize) -> Passed {
        let budget = Budget::new(self.request.memory_bytes);
        let (queue, changed) = (Mutex::new(Queue::default()), Condvar::new());
        let lock = || queue.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = self.request.threads.clamp(1, number.max(1));
        let work = || {
            let mut hand = Hand::default();
            loop {
                let mut state = lock();
                while state.next < number && state.next >= state.folded + AHEAD * threads {
                    state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.next >= number {
                    return;
                }
                let at = state.next;
                state.next += 1;
                drop(state);
                let pair = self.pair(at, &budget, &mut hand);
                lock().done.insert(at, pair);
                changed.notify_all();
            }
        };
        let mut passed = Passed {
            truth: Census::default(),
            predicted: Census::default(),
            fold: Fold::new(self.request.classes.len()),
            resized: 0,
            turned: [0; 2],
            faults: Vec::new(),
            faults_all: 0,
        };
        std::thread::scope(|scope| {
            (0..threads).for_each(|_| drop(scope.spawn(work)));
            for at in 0..number {
                let wait = changed.wait_while(lock(), |state| !state.done.contains_key(&at));
                let mut state = wait.unwrap_or_else(PoisonError::into_inner);
                state.folded = at + 1;
                let pair = state.done.remove(&at);
                drop(state);
                changed.notify_all();
                pair.into_iter().for_each(|pair| passed.add(pair));
            }
        });
        passed
    }

    fn pair(&self, at: usize, budget: &Budget, hand: &mut Hand) -> Pair {
        let bytes = self.sources.sizes[at].map_or(0, |size| size.area().saturating_mul(BYTES_PER_PIXEL));
        let mut pair = Pair {
            truth: Census::default(),
            predicted: Census::default(),
            counted: Ok(None),
            resized: false,
            turned: Ordering::Equal,
        };
        if bytes > self.request.memory_bytes {
            let (p, _) = self.sources.pairing.pairs[at];
            pair.counted = Err(format!(
                "{}: it takes {} MB to evaluate, {} are allowed; raise the memory limit",
                self.sources.predicted.entries()[p].path,
                bytes.div_ceil(1_000_000),
                self.request.memory_bytes / 1_000_000
            ));
            return pair;
        }
        let _permit = budget.take(bytes);
        // What is in hand is written anew for the next pair, so nothing of a panic stays.
        let counted =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.counted(at, hand, &mut pair)));
        pair.counted = counted.unwrap_or_else(|_| {
            let (p, _) = self.sources.pairing.pairs[at];
            Err(format!("{}: a bug in Marquetry, please report it", self.sources.predicted.entries()[p].path))
        });
        pair
    }

    fn counted(
        &self,
        at: usize,
        hand: &mut Hand,
        pair: &mut Pair,
    ) -> Result<Option<(ImageRow, ImageCounts)>, String> {
        let (p, t) = self.sources.pairing.pairs[at];
        let (truth, predicted) = (&self.sources.truth, &self.sources.predicted);
        let failed = |error: LabelError| chain(&error);
        // A truth without a size of its own has that of its prediction.
        let known = predicted.size(p).ok().flatten();
        truth.read(t, known, &mut hand.raw).map_err(failed)?;
        pair.truth = Census::of(t, &hand.raw);
        let size = hand.raw.size;
        self.truth.apply(&hand.raw, &mut hand.truth);
        predicted.read(p, Some(size), &mut hand.raw).map_err(failed)?;
        pair.predicted = Census::of(p, &hand.raw);
        self.predicted.apply(&hand.raw, &mut hand.predicted);
        let (name, own) = (&predicted.entries()[p].path, hand.raw.size);
        if own != size {
            hand.predicted = self.resized(name, &truth.entries()[t].path, &hand.predicted, own, size)?;
            pair.resized = true;
        }
        if !self.counts {
            return Ok(None);
        }
        if own == size {
            let background = self.request.classes.background().unwrap_or(0);
            let mut turned = Vec::new();
            let agrees = if truth.read_turned(t, known, &mut hand.raw).map_err(failed)? {
                self.truth.apply(&hand.raw, &mut turned);
                Some(agreement(&turned, &hand.predicted, background))
            } else if predicted.read_turned(p, Some(size), &mut hand.raw).map_err(failed)? {
                self.predicted.apply(&hand.raw, &mut turned);
                Some(agreement(&hand.truth, &turned, background))
            } else {
                None
            };
            let as_said = || agreement(&hand.truth, &hand.predicted, background);
            pair.turned = agrees.map_or(Ordering::Equal, |agrees| agrees.total_cmp(&as_said()));
        }
        let labels = LabelPair { width: size.width, truth: &hand.truth, predicted: &hand.predicted };
        let classes = &self.request.classes;
        let counts = labels.count(classes.len(), classes.background(), self.distances);
        if let Some(pictures) = self.pictures {
            pictures
                .write(at, size, &hand.truth, &hand.predicted)
                .map_err(|error| format!("{name}: {error}"))?;
        }
        let (name, truth) = (name.clone(), truth.entries()[t].path.clone());
        let picture =
            self.pictures.map_or_else(String::new, |_| format!("{PICTURES}/{}", pictures::name(at)));
        let row = ImageRow::new(name, truth, picture, size, &counts);
        Ok(Some((row, counts)))
    }

    fn resized(
        &self,
        predicted: &str,
        truth: &str,
        labels: &[u16],
        from: Size,
        to: Size,
    ) -> Result<Vec<u16>, String> {
        let found = format!("{predicted} is {from} px, its truth {truth} {to} px");
        if from == to.transposed() {
            return Err(format!("{found}: it would fit if it were turned"));
        }
        if !same_aspect(from, to) {
            return Err(format!("{found}, of another aspect: one of them was cut or stretched"));
        }
        if !self.request.resize {
            return Err(format!("{found}; with `resize` nearest it is brought to the truth's size"));
        }
        Ok(nearest(labels, from, to))
    }
}

/// Of the pixels that either calls more than background, the share on which they agree; 0 where there is none.
fn agreement(truth: &[u16], predicted: &[u16], background: u16) -> f64 {
    let (mut agree, mut all) = (0_u64, 0_u64);
    for (&truth, &predicted) in truth.iter().zip(predicted) {
        if truth != LEFT_OUT && (truth != background || predicted != background) {
            all += 1;
            agree += u64::from(truth == predicted);
        }
    }
    agree as f64 / all.max(1) as f64
}

impl Passed {
    fn add(&mut self, pair: Pair) {
        self.truth.merge(pair.truth);
        self.predicted.merge(pair.predicted);
        self.resized += u64::from(pair.resized);
        self.turned[0] += u64::from(pair.turned == Ordering::Greater);
        self.turned[1] += u64::from(pair.turned == Ordering::Less);
        match pair.counted {
            Ok(Some((row, counts))) => self.fold.add(row, &counts),
            Ok(None) => {}
            Err(fault) => {
                self.faults_all += 1;
                if self.faults.len() < FAULTS_MAX {
                    self.faults.push(fault);
                }
            }
        }
    }
}
