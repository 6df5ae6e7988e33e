//! Ways to run an ensemble that differ in how good they are and in what they take: which of them no other beats, and which
//! one to take.

use crate::accept::{Gain, gain};
use crate::{Metric, WeightedCounts};
use serde::Serialize;

/// Seconds that differ by less than this factor are alike: two runs of one job differ by as much.
const ALIKE: f64 = 1.1;

/// A way to run an ensemble, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Counts of each group of images that are drawn together, in the same order for all that are compared.
    pub counts: Vec<WeightedCounts>,
    /// What it takes, of any one unit.
    pub cost: f64,
}

/// What there is to say of one way beside the others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The metric, counts of all groups added up.
    pub score: f64,
    /// What it gains over the ensemble as it is; none where fewer than two groups say nothing of others.
    pub gain: Option<Gain>,
    /// Whether no other is as good for less, or better for as much.
    pub on_front: bool,
    /// Of what is on the front: whether it is better than the next cheaper one there by more than one standard error. The
    /// cheapest one is.
    pub is_surely_better: bool,
    /// Whether the best one is no more than one standard error better.
    pub is_near_best: bool,
}

/// Ways to run an ensemble beside each other.
#[derive(Debug, Clone, PartialEq)]
pub struct TradeOff {
    /// Each of them, in their order.
    pub judged: Vec<Judged>,
    /// The one of the greatest metric.
    pub best: usize,
    /// The one that the rule takes, of all groups.
    pub by_rule: usize,
    /// What the rule gains over the ensemble as it is on groups that it did not see when it chose; none of fewer than two groups.
    pub held_out: Option<Gain>,
    /// The one to take.
    pub chosen: usize,
}

/// Parts that groups are cut into for cross-validation.
const PARTS: usize = 5;

/// Which points, each how good (more is better) and what it costs (less is better), lie on the Pareto front: those for which
/// no other is at least as good and costs no more, and is better in one of the two. Equal points are on it together.
pub fn pareto_front(points: &[(f64, f64)]) -> Vec<bool> {
    let beats = |(good, cost): (f64, f64), (other_good, other_cost): (f64, f64)| {
        good >= other_good && cost <= other_cost && (good > other_good || cost < other_cost)
    };
    points.iter().map(|point| !points.iter().any(|other| beats(*other, *point))).collect()
}

/// Judges what was tried beside the one at `as_it_is`.
///
/// The rule takes the cheapest of those than which the best is no more than one standard error better (the rule of one
/// standard error; Breiman, Friedman, Olshen and Stone, 1984, 3.4.3). One that costs as much as what is there, or more, must
/// also be better than it by more than one standard error. Costs within 10 % are alike, and then what is there stays, else the better
/// one is taken. Standard errors are of the paired bootstrap over groups.
///
/// The rule itself is cross-validated in five parts: it chooses on the other groups, and what it chose is judged on those of the
/// part. What it takes of all groups is accepted if that gains more than one standard error, or, where it costs less than what
/// is there, if that loses no more than one; else what is there stays.
///
/// # Panics
/// When `as_it_is` is none of them, or they are of different groups.
pub fn trade_off(tried: &[Tried], as_it_is: usize, metric: Metric) -> TradeOff {
    let groups = tried[as_it_is].counts.len();
    assert!(tried.iter().all(|one| one.counts.len() == groups), "all are of the same groups");
    let (judged, best) = judge(tried, as_it_is, metric);
    let by_rule = choose(tried, &judged, as_it_is);
    let held_out = held_out(tried, as_it_is, metric);
    let saves = is_cheaper(&tried[by_rule], &tried[as_it_is]);
    let is_accepted = held_out.is_some_and(|of| is_sure(of) || (saves && of.gain >= -of.standard_error));
    let chosen = if is_accepted { by_rule } else { as_it_is };
    TradeOff { judged, best, by_rule, held_out, chosen }
}

/// What the rule gains on groups that it did not see.
fn held_out(tried: &[Tried], as_it_is: usize, metric: Metric) -> Option<Gain> {
    let own = &tried[as_it_is].counts;
    let parts = PARTS.min(own.len());
    if parts < 2 {
        return None;
    }
    let choose_without = |part: usize| {
        let others = |one: &Tried| {
            let counts = one.counts.iter().enumerate().filter(|(group, _)| group % parts != part);
            Tried { counts: counts.map(|(_, counts)| counts.clone()).collect(), cost: one.cost }
        };
        let others: Vec<Tried> = tried.iter().map(others).collect();
        choose(&others, &judge(&others, as_it_is, metric).0, as_it_is)
    };
    let chosen: Vec<usize> = (0..parts).map(choose_without).collect();
    let new: Vec<WeightedCounts> =
        (0..own.len()).map(|group| tried[chosen[group % parts]].counts[group].clone()).collect();
    Some(gain(&new, own, metric))
}

/// What there is to say of each, and the best one.
fn judge(tried: &[Tried], as_it_is: usize, metric: Metric) -> (Vec<Judged>, usize) {
    let groups = tried[as_it_is].counts.len();
    let scores: Vec<f64> = tried.iter().map(|one| score(&one.counts, metric)).collect();
    let points: Vec<(f64, f64)> = scores.iter().zip(tried).map(|(score, one)| (*score, one.cost)).collect();
    let front = pareto_front(&points);
    // Of equal ones what is there, then the first.
    let better = |best: usize, next: usize| if scores[next] > scores[best] { next } else { best };
    let best = (0..tried.len()).fold(as_it_is, better);
    let over =
        |new: usize, old: usize| (groups > 1).then(|| gain(&tried[new].counts, &tried[old].counts, metric));
    let judged = (0..tried.len()).map(|place| Judged {
        score: scores[place],
        gain: over(place, as_it_is),
        on_front: front[place],
        is_surely_better: front[place]
            && next_cheaper(&points, &front, place)
                .is_none_or(|cheaper| over(place, cheaper).is_some_and(is_sure)),
        is_near_best: over(best, place).is_some_and(|gain| !is_sure(gain)),
    });
    (judged.collect(), best)
}

/// Whether one costs less than another, by more than two runs of one job do.
fn is_cheaper(one: &Tried, other: &Tried) -> bool {
    one.cost * ALIKE < other.cost
}

/// Whether a gain is more than one standard error.
fn is_sure(gain: Gain) -> bool {
    gain.gain > gain.standard_error
}

/// The metric of all groups together.
fn score(counts: &[WeightedCounts], metric: Metric) -> f64 {
    let mut sum = WeightedCounts::new(counts.first().map_or(0, |own| own.hits.len()));
    counts.iter().for_each(|own| sum.merge(own));
    sum.mean(metric)
}

/// The dearest one on the front that costs less than `place` does.
fn next_cheaper(points: &[(f64, f64)], front: &[bool], place: usize) -> Option<usize> {
    let cheaper = (0..points.len()).filter(|other| front[*other] && points[*other].1 < points[place].1);
    cheaper.max_by(|a, b| points[*a].1.total_cmp(&points[*b].1))
}

/// The one that the rule takes.
fn choose(tried: &[Tried], judged: &[Judged], as_it_is: usize) -> usize {
    let may_be = |place: &usize| {
        let (own, of) = (&tried[as_it_is], &judged[*place]);
        let is_worth_it = || is_cheaper(&tried[*place], own) || of.gain.is_some_and(is_sure);
        of.is_near_best && (*place == as_it_is || is_worth_it())
    };
    let candidates: Vec<usize> = (0..tried.len()).filter(may_be).collect();
    let least = candidates.iter().map(|place| tried[*place].cost).fold(f64::INFINITY, f64::min);
    let cheap: Vec<usize> =
        candidates.into_iter().filter(|place| tried[*place].cost <= least * ALIKE).collect();
    if cheap.is_empty() || cheap.contains(&as_it_is) {
        return as_it_is;
    }
    let better = |best: usize, next: usize| {
        let key = |place: usize| (judged[place].score, -tried[place].cost);
        if key(next) > key(best) { next } else { best }
    };
    cheap.iter().copied().fold(cheap[0], better)
}

#[cfg(test)]
#[path = "trade_off_tests.rs"]
mod tests;
