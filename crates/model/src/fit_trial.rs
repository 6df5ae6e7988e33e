//! Trial runs that show where an output of another size than the window lies in it: what two bright spots become.

use crate::ModelError;
use crate::facts::{Fit, HeadFacts, Relation, ScoreFacts};
use crate::fit::{self, Spots};
use crate::probe::{Noise, Output, Probe};
use crate::reading::less;
use marquetry_geometry::Size;

/// Measures where outputs of other sizes than the window lie in it. Spots at quarters of the window tell most; an output
/// that may be a small part of its middle does not show them, and is shown others.
pub(crate) fn fit_heads(
    probe: &mut Probe<'_>,
    heads: &mut [HeadFacts],
    batch: u32,
    size: Size,
) -> Result<(), ModelError> {
    // Those of which it is clear that none of the answers is theirs.
    let mut others = vec![false; heads.len()];
    for distance in distances(heads, size) {
        let unclear = |head: &HeadFacts| {
            let scores = head.scores.as_ref();
            scores.is_some_and(|scores| scores.relation != Relation::Same && !scores.fit_is_sure)
        };
        if !heads.iter().zip(&others).any(|(head, other)| unclear(head) && !other) {
            break;
        }
        let axes = [(size.height, distance.height), (size.width, distance.width)];
        let [rows, columns] = axes.map(|(side, distance)| [side / 2 - distance, side / 2 + distance]);
        let [base, near, far] = spots(probe, batch, size, [0, 1].map(|k| [rows[k], columns[k]]))?;
        for (index, head) in heads.iter_mut().enumerate().filter(|(_, head)| unclear(head)) {
            if others[index] {
                continue;
            }
            let Some(scores) = head.scores.as_mut() else { continue };
            let moved = |run: &[Output]| centre_of_change(&base[index].values, &run[index].values, scores);
            let seen = moved(&near).zip(moved(&far));
            let spots = [rows, columns].map(|at| at.map(|at| f64::from(at) - 0.5));
            let spots = seen.map(|(near, far)| {
                [0, 1].map(|axis| Spots { shown: spots[axis], seen: [near[axis], far[axis]] })
            });
            others[index] =
                spots.is_some_and(|spots| fit::is_of_another_resolution(size, scores.size, spots));
            match fit::measured(size, scores.size, scores.relation, spots) {
                Ok((fit, is_sure)) => {
                    (scores.fit, scores.fit_is_sure) = (fit, is_sure);
                    if fit == Fit::Centre && is_sure {
                        scores.relation = less(size, scores.size).unwrap_or(scores.relation);
                    }
                }
                Err(reason) => (head.scores, head.reason) = (None, Some(reason)),
            }
        }
    }
    Ok(())
}

/// How far spots are from the middle of the window, px, in rows and columns.
fn distances(heads: &[HeadFacts], size: Size) -> Vec<Size> {
    let quarter = |size: Size| Size::new(size.height / 4, size.width / 4);
    let small =
        heads.iter().filter_map(|head| head.scores.as_ref()).map(|scores| scores.size).filter(|output| {
            output.height < size.height / 4 * 3
                && output.height >= 8
                && output.width < size.width
                && output.width >= 8
        });
    let mut small: Vec<Size> = small.map(quarter).collect();
    small.sort_unstable_by_key(|distance| std::cmp::Reverse((distance.height, distance.width)));
    small.dedup();
    [vec![quarter(size)], small].concat()
}

/// Runs on noise, and on the same noise with a spot around each of two places, row and column.
fn spots(
    probe: &mut Probe<'_>,
    batch: u32,
    size: Size,
    [near, far]: [[u32; 2]; 2],
) -> Result<[Vec<Output>; 3], ModelError> {
    let (height, width) = (size.height as usize, size.width as usize);
    let base = Noise::fill(3, batch as usize * probe.pixels(size), 0.0, 1.0);
    let radius = (height.min(width) / 64).max(1);
    let around =
        |at: u32, side: usize| (at as usize).saturating_sub(radius)..(at as usize + radius).min(side);
    let with_spot = |[row, column]: [u32; 2]| {
        let mut planes = base.clone();
        for plane in planes.chunks_exact_mut(height * width) {
            for y in around(row, height) {
                plane[y * width..][around(column, width)].fill(6.0);
            }
        }
        planes
    };
    Ok([
        probe.run(batch, size, &base)?,
        probe.run(batch, size, &with_spot(near))?,
        probe.run(batch, size, &with_spot(far))?,
    ])
}

/// The row and column around which `after` differs from `before`, px of the output; none where it does not.
fn centre_of_change(before: &[f32], after: &[f32], scores: &ScoreFacts) -> Option<[f64; 2]> {
    let inner = if scores.form.is_interleaved() { scores.classes as usize } else { 1 };
    let (height, width) = (scores.size.height as usize, scores.size.width as usize);
    let (mut sum, mut moments) = (0.0_f64, [0.0_f64; 2]);
    for (index, (a, b)) in before.chunks_exact(inner).zip(after.chunks_exact(inner)).enumerate() {
        // The fourth power keeps to the place of the spot where the model also reacts a little everywhere.
        let change: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(4)).sum();
        sum += change;
        moments[0] += change * (index / width % height) as f64;
        moments[1] += change * (index % width) as f64;
    }
    (sum.is_finite() && sum > 0.0).then(|| moments.map(|moment| moment / sum))
}
