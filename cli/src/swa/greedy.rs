//! Which of the files go into the mean: judged by images with truth.

use super::workshop::Workshop;
use crate::exit::{Exit, Fatal};
use crate::new_model::Scores;
use crate::say;
use marquetry_failure::Classify;
use marquetry_onnx::distance;

/// A file and its weight.
type Pick<'a> = (&'a str, f64);

/// The files of `all` whose mean scores best, found one after the other: the best alone, and then each next best that does
/// not make the score of the mean fall. In the order of `all`.
pub(crate) fn chosen<'a>(
    shop: &Workshop<'_>,
    scores: &Scores<'_>,
    all: &[Pick<'a>],
) -> Result<Vec<Pick<'a>>, Fatal> {
    let mut ranked = Vec::new();
    for (place, (uri, _)) in all.iter().enumerate() {
        ranked.push((place, scores.of(uri, &shop.bench.whole(uri)?)?));
    }
    // Of equal ones the first stays before the others.
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let (first, mut best) = ranked[0];
    let mut kept = vec![first];
    for (next, _) in &ranked[1..] {
        let mut with = kept.clone();
        with.push(*next);
        with.sort_unstable();
        let picks: Vec<Pick<'_>> = with.iter().map(|place| all[*place]).collect();
        let what = format!("the mean of {} with {}", kept.len(), all[*next].0);
        let settled = shop.settled(&shop.mean(&picks)?, &what, Some(scores))?;
        let score = settled.score.map_or_else(|| scores.of(&what, &settled.onnx), Ok)?;
        if score >= best {
            (kept, best) = (with, score);
        }
    }
    let left: Vec<&str> =
        (0..all.len()).filter(|place| !kept.contains(place)).map(|place| all[place].0).collect();
    if !left.is_empty() {
        say::note(&format!("left out, since the mean scores worse with them: {}", left.join(", ")));
    }
    Ok(kept.into_iter().map(|place| all[place]).collect())
}

/// Looks whether the two files that lie farthest apart are in one valley: the model halfway between them must not score worse
/// than the worse of them. If it does, the mean is refused, or warned of where that is forced.
pub(crate) fn midpoint(shop: &Workshop<'_>, scores: &Scores<'_>, picks: &[Pick<'_>]) -> Result<(), Fatal> {
    let mut farthest: Option<(f64, usize, usize)> = None;
    for a in 0..picks.len() {
        let first = shop.bench.whole(picks[a].0)?;
        for b in a + 1..picks.len() {
            let other = shop.bench.whole(picks[b].0)?;
            let apart = distance((picks[a].0, &first), (picks[b].0, &other));
            let apart = apart.map_err(|error| Fatal::new(error.class().into(), error))?;
            if farthest.is_none_or(|(most, ..)| apart > most) {
                farthest = Some((apart, a, b));
            }
        }
    }
    let Some((_, a, b)) = farthest else { return Ok(()) };
    let ends = [picks[a].0, picks[b].0];
    let mut worse = f64::INFINITY;
    for uri in ends {
        let known = scores.said().into_iter().find(|(what, _)| what == uri);
        let score = match known {
            Some((_, score)) => score,
            None => scores.of(uri, &shop.bench.whole(uri)?)?,
        };
        worse = worse.min(score);
    }
    let what = format!("halfway between {} and {}", ends[0], ends[1]);
    let mean = shop.mean(&[(ends[0], 1.0), (ends[1], 1.0)])?;
    let settled = shop.settled(&mean, &what, Some(scores))?;
    let score = settled.score.map_or_else(|| scores.of(&what, &settled.onnx), Ok)?;
    if score >= worse {
        return Ok(());
    }
    let reason = format!(
        "{} and {} lie farthest apart, and the model halfway between them scores {score:.4}, worse than either of them \
         ({worse:.4} the worse one): their weights are not of one valley, and a mean of them means little. Average what they \
         predict instead: give them as members of a job",
        ends[0], ends[1]
    );
    if shop.args.force {
        say::note(&format!("warning: {reason}"));
        return Ok(());
    }
    Err(Fatal::new(Exit::BadJob, format!("{reason}; leave one out, try --greedy, or --force the mean")))
}
