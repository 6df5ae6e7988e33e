//! Pixels outside of an image's region: nothing was computed there, and what they are is stated.

use marquetry_ensemble::ScoreSpace;
use marquetry_region::Region;
use marquetry_scores::ScoreRows;
use ndarray::s;
use std::sync::Arc;

/// The logit of a class that a pixel is not: its probability is 0 in every form that is stored, and no sum of these overflows.
const NOT: f32 = -80.0;

/// What pixels outside of the region are.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    pub(crate) region: Arc<Region>,
    /// Their class; nothing where classes share pixels, of which then none is there.
    pub(crate) class: Option<u16>,
}

impl Outside {
    /// Sets `skipped`, `[W]`, to which pixels of row `y` are outside and not `missing`.
    pub(crate) fn skipped(&self, y: u32, missing: &[bool], skipped: &mut [bool]) {
        self.region.fill_row(y, skipped);
        skipped.iter_mut().zip(missing).for_each(|(skipped, missing)| *skipped = !(*skipped || *missing));
    }

    /// Gives pixels outside the scores of their class, as sure as can be; and says which they are, `[rows, W]`.
    pub(crate) fn state(&self, rows: &mut ScoreRows, space: ScoreSpace) -> Vec<bool> {
        let width = rows.missing.len_of(ndarray::Axis(1));
        let mut all = vec![false; rows.missing.len()];
        let [is, is_not] = match space {
            ScoreSpace::Probabilities => [1.0, 0.0],
            ScoreSpace::Logits => [0.0, NOT],
        };
        for ((k, y), skipped) in rows.rows.clone().enumerate().zip(all.chunks_exact_mut(width.max(1))) {
            let missing = rows.missing.row(k);
            self.skipped(y, missing.as_slice().unwrap_or(&[]), skipped);
            for (class, mut line) in rows.scores.slice_mut(s![k, .., ..]).outer_iter_mut().enumerate() {
                let score = if self.class.map(usize::from) == Some(class) { is } else { is_not };
                line.iter_mut().zip(&*skipped).filter(|(_, skipped)| **skipped).for_each(|(s, _)| *s = score);
            }
        }
        all
    }

    /// Gives pixels outside their class in a row of labels, `[planes, W]`.
    pub(crate) fn label(&self, labels: &mut [u16], skipped: &[bool]) {
        for plane in labels.chunks_exact_mut(skipped.len()) {
            let pixels = plane.iter_mut().zip(skipped).filter(|(_, skipped)| **skipped);
            pixels.for_each(|(label, _)| *label = self.class.unwrap_or(0));
        }
    }
}
