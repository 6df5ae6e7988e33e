//! Which rounds fit into the time that is left: a value that is told what happened at which instant, and knows no clock.
//!
//! Instants are seconds since the command began. What a round takes is its work (`ForwardCost::work`) by a moving estimate of
//! the speed, and what a submission takes beside it: planning, opening models, putting together, tables. Both have a margin.

use super::speed::Speed;
use crate::forward_cost::ForwardCost;

/// Forwards may take so many times as long as they have lately, of models as large as one that was run.
const MARGIN: f64 = 1.1;
/// The same of models of another size: their bytes and windows say roughly how long they take.
const MARGIN_UNKNOWN: f64 = 1.3;
/// What a submission takes beside forwards may take so many times as long as the last one.
const MARGIN_BESIDE: f64 = 1.25;
/// A step has so much work that all else takes a tenth of its time at most.
const WORK_FOR_TOGETHER: f64 = 9.0;
/// A step that would be late at so many times the speed is given up.
const HOPELESS: f64 = 2.0;
/// The estimate is of so much of the whole time, s.
const WINDOW: std::ops::RangeInclusive<f64> = 5.0..=600.0;
const WINDOW_SHARE: f64 = 1.0 / 20.0;
/// So much of its window the estimate must have seen before anything is broken off for it.
const TRUST_SHARE: f64 = 0.25;

/// A time, the rounds of a job, and what became of both.
#[derive(Debug, Clone)]
pub struct Budget {
    seconds: f64,
    costs: Vec<ForwardCost>,
    /// Work of each round of which no tile is stored.
    left: Vec<f64>,
    /// So many rounds have their results from an earlier run.
    found: usize,
    /// So many rounds are in the submission that stands.
    whole: usize,
    speed: Speed,
    /// Work by forward of the rounds that were computed: the models whose speed is known.
    known: Vec<f64>,
    /// Seconds that submissions took before and after forwards, and of how many rounds they were.
    beside: Vec<(f64, usize)>,
    /// Seconds that all of it took but forwards, also what was done while these went on.
    together: Vec<(f64, usize)>,
    step: Option<Step>,
}

/// A submission on its way.
#[derive(Debug, Clone, Copy)]
struct Step {
    rounds: usize,
    began: f64,
    work: f64,
    forwards: f64,
    done: f64,
    /// When forwards were first seen, last seen, and all done.
    first: Option<f64>,
    last: f64,
    computed: Option<f64>,
}

/// What to do between two submissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Make the submission of so many rounds.
    Make(usize),
    /// The one that stands is the last one.
    Stop(Cut),
}

/// What to do while a submission is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Go on.
    GoOn,
    /// Break it off: what is stored of it stays.
    BreakOff(Cut),
}

/// Why no more is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing: all rounds are whole.
    All,
    /// No further round fits into what is left.
    NothingFits,
    /// The time is over.
    TimeIsUp,
    /// It is slower than was thought, and fewer rounds fit.
    FewerFit,
}

/// What a submission took, s of threads side by side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spent {
    /// Running members.
    pub computing: f64,
    /// Putting images together.
    pub together: f64,
}

impl Budget {
    /// `seconds` for rounds that cost so much.
    pub fn new(seconds: f64, costs: Vec<ForwardCost>) -> Self {
        let left = costs.iter().map(|cost| cost.work).collect();
        let window = (seconds * WINDOW_SHARE).clamp(*WINDOW.start(), *WINDOW.end());
        Self {
            seconds,
            costs,
            left,
            found: 0,
            whole: 0,
            speed: Speed::new(window),
            known: Vec::new(),
            beside: Vec::new(),
            together: Vec::new(),
            step: None,
        }
    }

    /// Of each round so many model runs have their tiles in the store.
    pub fn stored(&mut self, forwards: &[u64]) {
        for ((left, cost), stored) in self.left.iter_mut().zip(&self.costs).zip(forwards) {
            let missing = cost.forwards.saturating_sub(*stored) as f64;
            *left = cost.work * missing / (cost.forwards as f64).max(1.0);
        }
    }

    /// The first so many rounds have their submission from an earlier run.
    pub const fn found(&mut self, rounds: usize) {
        self.found = rounds;
    }

    /// What is to be done at `at`, when no submission is on its way.
    pub fn next(&self, at: f64) -> Next {
        let all = self.costs.len();
        if self.whole >= all {
            return Next::Stop(Cut::All);
        }
        if at >= self.seconds {
            return Next::Stop(Cut::TimeIsUp);
        }
        let stored = self.left.iter().take_while(|left| **left <= 0.0).count();
        let there = stored.max(self.found).min(all);
        // As early as possible there is one; late, what is stored helps the next run.
        if self.whole == 0 {
            return Next::Make(there.max(1));
        }
        if self.speed.work().is_none() {
            return Next::Make(there.max(self.whole + 1));
        }
        match self.fitting(at) {
            fits if fits == self.whole => Next::Stop(Cut::NothingFits),
            fits => Next::Make(fits.min(there.max(self.whole + self.stride()))),
        }
    }

    /// A submission of so many rounds is begun at `at`.
    pub fn begin(&mut self, at: f64, rounds: usize) {
        let work = self.work_to(rounds);
        let forwards: f64 = (0..rounds)
            .map(|n| self.costs[n].forwards as f64 * self.left_of(n, rounds) / self.costs[n].work.max(1e-9))
            .sum();
        let (done, first, computed) = (0.0, None, (work <= 0.0).then_some(at));
        self.step = Some(Step { rounds, began: at, work, forwards, done, first, last: at, computed });
    }

    /// So many forwards of the submission on its way are done at `at`. The first ones are warm-up: models are opened.
    pub fn heard(&mut self, at: f64, forwards: u64) {
        let Some(step) = &mut self.step else { return };
        let done = (forwards as f64).min(step.forwards);
        if step.computed.is_some() || (step.first.is_none() && done <= 0.0) {
            return;
        }
        if step.first.is_some() {
            let new = (done - step.done).max(0.0);
            self.speed.add(at - step.last, step.work * new / step.forwards.max(1.0), new);
        }
        step.first.get_or_insert(at);
        (step.done, step.last) = (step.done.max(done), at);
        if step.done >= step.forwards {
            step.computed = Some(at);
        }
    }

    /// What becomes of the submission on its way at `at`.
    pub fn look(&self, at: f64) -> Look {
        let Some(step) = &self.step else { return Look::GoOn };
        if at >= self.seconds {
            return Look::BreakOff(Cut::TimeIsUp);
        }
        let is_trusted = self.speed.seconds() >= self.speed_window() * TRUST_SHARE && step.first.is_some();
        let Some(ends) = self.ends(at).filter(|ends| is_trusted && *ends > self.seconds) else {
            return Look::GoOn;
        };
        // Of a step of several rounds each has as much left.
        let share = 1.0 - step.done / step.forwards.max(1.0);
        let fits = |rounds: &usize| {
            let work: f64 = (0..*rounds).map(|n| self.seconds_of(n, self.left_of(n, *rounds) * share)).sum();
            at + work + self.beside(*rounds) * MARGIN_BESIDE <= self.seconds
        };
        if (self.whole.max(1)..step.rounds).rev().any(|rounds| rounds > self.whole && fits(&rounds)) {
            return Look::BreakOff(Cut::FewerFit);
        }
        let at_best = at + (ends - at) / HOPELESS;
        if self.whole > 0 && at_best > self.seconds {
            return Look::BreakOff(Cut::NothingFits);
        }
        Look::GoOn
    }

    /// When the submission on its way will be whole, by what is known at `at` and without a margin.
    pub fn ends(&self, at: f64) -> Option<f64> {
        let step = self.step.as_ref()?;
        let together = grown(&self.beside, step.rounds, 0.0);
        if let Some(computed) = step.computed {
            return Some((computed + together).max(at));
        }
        let left = step.work * (1.0 - step.done / step.forwards.max(1.0));
        Some(at + left / self.speed.work()? + together)
    }

    /// The submission on its way is whole at `at`.
    pub fn whole(&mut self, at: f64, spent: Spent) {
        let Some(step) = self.step.take() else { return };
        let took = at - step.began;
        let computing = match (step.first, step.computed) {
            (_, _) if step.work <= 0.0 => 0.0,
            (Some(first), Some(computed)) if computed > first => computed - first,
            // Over before it was looked at: what threads say they took is the best that is known.
            _ => {
                let seconds = spent.computing.clamp(0.0, took);
                // What took no time was there already, and says nothing of how fast forwards go.
                if seconds > 0.0 {
                    self.speed.add(seconds, step.work, step.forwards);
                }
                seconds
            }
        };
        let beside = (took - computing).max(0.0);
        self.beside.push((beside, step.rounds));
        self.together.push((beside.max(spent.together), step.rounds));
        let computed = (0..step.rounds).filter(|n| self.left_of(*n, step.rounds) > 0.0);
        let computed: Vec<f64> = computed.map(|n| self.kind(n)).collect();
        self.known.extend(computed);
        if step.work > 0.0 {
            self.left[..step.rounds].fill(0.0);
        }
        self.whole = step.rounds;
    }

    /// The submission on its way was broken off. What it has stored is still to be told (`stored`).
    pub const fn broken_off(&mut self) {
        self.step = None;
    }

    /// Rounds in the submission that stands.
    pub const fn rounds(&self) -> usize {
        self.whole
    }

    /// All of the time, s.
    pub const fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Forwards a second, as far as that is known.
    pub fn forwards_per_second(&self) -> Option<f64> {
        self.speed.forwards()
    }

    /// The share of the forwards of the submission on its way that is done.
    pub fn share(&self) -> f64 {
        self.step
            .as_ref()
            .map_or(0.0, |step| if step.forwards > 0.0 { step.done / step.forwards } else { 1.0 })
    }

    /// The most rounds whose submission is there in time, by what is known at `at`: as many as are whole at least.
    pub fn fitting(&self, at: f64) -> usize {
        let stride = self.stride();
        let fits = |rounds: &usize| {
            let work: f64 = (0..*rounds).map(|n| self.seconds_of(n, self.left_of(n, *rounds))).sum();
            let steps = (rounds - self.whole).div_ceil(stride) as f64;
            at + work + steps * self.beside(*rounds) * MARGIN_BESIDE <= self.seconds
        };
        (self.whole + 1..=self.costs.len()).take_while(fits).last().unwrap_or(self.whole)
    }

    /// The fewest rounds that are worth a submission: all but forwards takes a tenth of its time at most.
    fn stride(&self) -> usize {
        let Some(speed) = self.speed.work() else { return 1 };
        let mut seconds = 0.0;
        for rounds in self.whole + 1..=self.costs.len() {
            seconds += self.left[rounds - 1] / speed;
            if seconds >= WORK_FOR_TOGETHER * grown(&self.together, rounds, 1.0) {
                return rounds - self.whole;
            }
        }
        (self.costs.len() - self.whole).max(1)
    }

    /// Seconds that a submission of so many rounds takes before and after forwards.
    fn beside(&self, rounds: usize) -> f64 {
        grown(&self.beside, rounds, 1.0)
    }

    /// Seconds for so much work of a round, with a margin.
    fn seconds_of(&self, round: usize, work: f64) -> f64 {
        let Some(speed) = self.speed.work() else { return 0.0 };
        let kind = self.kind(round);
        let is_known = self.known.iter().any(|known| (known / kind - 1.0).abs() < 0.05);
        work / speed * if is_known { MARGIN } else { MARGIN_UNKNOWN }
    }

    /// Work by forward.
    fn kind(&self, round: usize) -> f64 {
        self.costs[round].work / (self.costs[round].forwards as f64).max(1.0)
    }

    /// What is left of the round `n` for a submission of so many `rounds`.
    fn left_of(&self, n: usize, rounds: usize) -> f64 {
        if rounds <= self.found { 0.0 } else { self.left[n] }
    }

    fn work_to(&self, rounds: usize) -> f64 {
        (0..rounds).map(|n| self.left_of(n, rounds)).sum()
    }

    fn speed_window(&self) -> f64 {
        (self.seconds * WINDOW_SHARE).clamp(*WINDOW.start(), *WINDOW.end())
    }
}

/// Seconds for so many rounds: what the last submission took, and more as there is more to put together. How much more follows
/// from the last two; of one it may be all of it (`unknown`: 1) or nothing (0).
fn grown(took: &[(f64, usize)], rounds: usize, unknown: f64) -> f64 {
    let Some(&(last, of)) = took.last() else { return 0.0 };
    let each = last / of.max(1) as f64;
    let before = took.iter().rev().find(|(_, earlier)| *earlier != of);
    let slope = before.map_or(unknown * each, |(seconds, earlier)| {
        ((last - seconds) / (of as f64 - *earlier as f64)).clamp(0.0, each)
    });
    last + slope * (rounds.saturating_sub(of)) as f64
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
