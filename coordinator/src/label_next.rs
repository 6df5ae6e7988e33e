//! What to label next: of all images or windows those that the ensemble is least sure of, and that are not all alike.
//!
//! Maximal marginal relevance (Carbonell & Goldstein 1998): one after the other, that of the greatest
//! `(1 − d) · u / u_max − d · s`, with u how unsure the ensemble is of it, and s how like it is to the most like of those that
//! stand above it.

use crate::TableError;
use crate::tables::number;
use marquetry_aggregator::{RankedImage, RankedWindow, similarity};
use marquetry_spec::Ranking;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io::{Error, Result, Write};

/// The columns of the table.
const COLUMNS: [&str; 10] =
    ["rank", "image_id", "path", "top", "left", "height", "width", "uncertainty", "similarity", "most_like"];
/// Of so many times as many as are wanted, the most uncertain, diversity chooses; and of so many more at most.
const CANDIDATES: usize = 10;
const CANDIDATES_MORE: usize = 5_000;

/// A window of an image, by how unsure the ensemble is of it; of equal ones the first comes first.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Candidate {
    uncertainty: f64,
    image: usize,
    window: usize,
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let first = (other.image, other.window).cmp(&(self.image, self.window));
        self.uncertainty.total_cmp(&other.uncertainty).then(first)
    }
}

/// Something that was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Chosen {
    /// Its place among the candidates.
    candidate: usize,
    /// How like it is to what stands above it, and where that stands, from 0; nothing for the first.
    like: Option<(f64, usize)>,
}

/// Writes the table; `rows` has what an image adds to it, and is asked twice, and `uri` says where it lies.
pub(crate) fn write_ranking<'u>(
    out: impl Write,
    ranking: &Ranking,
    ids: &[String],
    uri: impl Fn(&str) -> &'u str,
    mut rows: impl FnMut(&str) -> Result<Option<String>>,
) -> std::result::Result<(), TableError> {
    let mut read = |id: &str| -> Result<Option<RankedImage>> {
        let text = rows(id)?;
        text.map(|text| serde_json::from_str(&text).map_err(Error::other)).transpose()
    };
    let wanted = ranking.count as usize;
    let most = (wanted * CANDIDATES).min(wanted + CANDIDATES_MORE);
    let mut heap = BinaryHeap::with_capacity(most + 1);
    for (image, id) in ids.iter().enumerate() {
        let windows = read(id)?.map(|image| image.windows).unwrap_or_default();
        for (window, ranked) in windows.iter().enumerate() {
            heap.push(Reverse(Candidate { uncertainty: ranked.uncertainty, image, window }));
            if heap.len() > most {
                heap.pop();
            }
        }
    }
    let candidates: Vec<Candidate> = heap.into_sorted_vec().into_iter().map(|Reverse(c)| c).collect();
    // One look at each image, however many of its windows are candidates.
    let mut of_image: Vec<usize> = (0..candidates.len()).collect();
    of_image.sort_unstable_by_key(|n| (candidates[*n].image, candidates[*n].window));
    let mut found = vec![None; candidates.len()];
    for group in of_image.chunk_by(|a, b| candidates[*a].image == candidates[*b].image) {
        let Some(image) = read(&ids[candidates[group[0]].image])? else { continue };
        for &n in group {
            found[n] = image.windows.get(candidates[n].window).cloned();
        }
    }
    let scenes: Vec<Vec<u8>> =
        found.iter().map(|found| found.as_ref().map(RankedWindow::scene).unwrap_or_default()).collect();
    let uncertainty: Vec<f64> = candidates.iter().map(|candidate| candidate.uncertainty).collect();
    let mut table = csv::Writer::from_writer(out);
    table.write_record(COLUMNS).map_err(Error::other)?;
    for (rank, chosen) in choose(&uncertainty, &scenes, wanted, ranking.diversity).iter().enumerate() {
        let Some(window) = &found[chosen.candidate] else { continue };
        let like = chosen.like.map(|(similarity, place)| [number(similarity), (place + 1).to_string()]);
        let [similarity, place] = like.unwrap_or_default();
        let record = [
            (rank + 1).to_string(),
            ids[candidates[chosen.candidate].image].clone(),
            uri(&ids[candidates[chosen.candidate].image]).to_owned(),
            window.top.to_string(),
            window.left.to_string(),
            window.height.to_string(),
            window.width.to_string(),
            number(window.uncertainty),
            similarity,
            place,
        ];
        table.write_record(record).map_err(Error::other)?;
    }
    Ok(table.flush()?)
}

/// Up to `wanted` candidates, which come in descending order of uncertainty; of equal merit the first.
fn choose(uncertainty: &[f64], scenes: &[Vec<u8>], wanted: usize, diversity: f64) -> Vec<Chosen> {
    let scale = uncertainty.first().copied().filter(|most| *most > 0.0).unwrap_or(1.0);
    let mut chosen: Vec<Chosen> = Vec::new();
    let mut likeness: Vec<Option<(f64, usize)>> = vec![None; scenes.len()];
    let mut left: Vec<usize> = (0..scenes.len()).collect();
    while chosen.len() < wanted {
        let merit = |n: usize| {
            let like = likeness[n].map_or(0.0, |(similarity, _)| similarity);
            (1.0 - diversity) * uncertainty[n] / scale - diversity * like
        };
        let best =
            left.iter().enumerate().max_by(|(_, a), (_, b)| merit(**a).total_cmp(&merit(**b)).then(b.cmp(a)));
        let Some((place, &candidate)) = best else { break };
        left.remove(place);
        for &n in &left {
            let like = similarity(&scenes[candidate], &scenes[n]);
            if likeness[n].is_none_or(|(most, _)| like > most) {
                likeness[n] = Some((like, chosen.len()));
            }
        }
        chosen.push(Chosen { candidate, like: likeness[candidate] });
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four scenes of two classes: two are alike.
    fn scenes() -> Vec<Vec<u8>> {
        let scene = |shares: [u8; 4]| -> Vec<u8> {
            (0..16).flat_map(|field| [shares[field / 4], 255 - shares[field / 4]]).collect()
        };
        vec![
            scene([255, 255, 0, 0]),
            scene([255, 250, 0, 0]),
            scene([0, 0, 255, 255]),
            scene([0, 255, 0, 255]),
        ]
    }

    #[test]
    fn the_same_scene_does_not_come_twice_before_others() {
        let uncertainty = [0.5, 0.49, 0.4, 0.3];
        let order = |diversity| {
            let chosen = choose(&uncertainty, &scenes(), 9, diversity);
            chosen.iter().map(|c| c.candidate).collect::<Vec<_>>()
        };
        assert_eq!(order(0.0), [0, 1, 2, 3], "by uncertainty alone");
        assert_eq!(order(0.5), [0, 2, 3, 1]);
        let chosen = choose(&uncertainty, &scenes(), 4, 0.5);
        assert_eq!(chosen[0].like, None);
        assert_eq!(chosen[1].like, Some((0.0, 0)));
        assert_eq!(chosen[2].like, Some((0.5, 0)), "half of it is like the first");
        let (like, place) = chosen[3].like.unwrap();
        assert!(
            place == 0 && (like - (1.0 - 4.0 * 2.0 * 5.0 / (2.0 * 255.0 * 16.0))).abs() < 1e-12,
            "{like}"
        );
        assert_eq!(choose(&uncertainty, &scenes(), 2, 0.5).len(), 2);
        assert_eq!(choose(&[0.0, 0.0], &scenes()[..2], 2, 0.5).len(), 2, "nothing is uncertain");
    }

    #[test]
    fn candidates_are_the_most_uncertain() {
        let at = |uncertainty, image| Candidate { uncertainty, image, window: 0 };
        let mut all = [at(0.2, 0), at(0.5, 3), at(0.5, 1), at(0.9, 2)];
        all.sort_by_key(|c| Reverse(*c));
        assert_eq!(all.iter().map(|c| c.image).collect::<Vec<_>>(), [2, 1, 3, 0]);
    }
}
