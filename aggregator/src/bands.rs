//! The merged scores of one image, band by band from top to bottom.

use crate::tiles::{GroupTiles, Rows, TilesError};
use marquetry_ensemble::Resampled;
use marquetry_geometry::Size;
use marquetry_job::Plan;
use marquetry_transport::ObjectStore;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Most rows of one band: those of one frame of a tile.
const BAND_ROWS_MAX: u64 = 64;

/// A band of one image's merged scores.
pub(crate) struct Band {
    /// First row, px.
    pub(crate) top: u32,
    /// Scores in the plan's merge space, `[rows, C, W]`.
    pub(crate) scores: Vec<f32>,
    /// Pixels of which some group's scores are missing, `[rows, W]`.
    pub(crate) missing: Vec<bool>,
}

/// Merges the groups of one image: `Σ weight · scores / Σ weight`, per class, each group seen at the image's size.
pub(crate) struct Bands {
    image: Size,
    classes: usize,
    rows: u32,
    next: u32,
    groups: Vec<(GroupTiles, Vec<f32>)>,
    total: Vec<f32>,
}

impl Bands {
    /// The bands of image number `image`, each of as many rows as `band_bytes` allows. `None` if the plan has no such
    /// image.
    pub(crate) fn new(
        store: &Arc<dyn ObjectStore>,
        runtime: &Handle,
        plan: &Plan,
        image: u32,
        may_miss: bool,
        band_bytes: u64,
    ) -> Option<Self> {
        let classes = plan.scoring.classes.len();
        let size = plan.images.get(image as usize)?.size;
        let groups = (0..plan.scoring.groups.len() as u32)
            .map(|group| {
                let tiles =
                    GroupTiles::new(Arc::clone(store), runtime.clone(), plan, image, group, may_miss)?;
                Some((tiles, plan.scoring.groups[group as usize].weights(classes)))
            })
            .collect::<Option<Vec<_>>>()?;
        // A row costs its scores here, in the band that is decided meanwhile, in one group's rows, and about twice in
        // that group's decoded frames.
        let row_bytes = u64::from(size.width) * classes as u64 * 4 * 5;
        let rows = (band_bytes / row_bytes).clamp(1, BAND_ROWS_MAX) as u32;
        Some(Self { image: size, classes, rows, next: 0, groups, total: plan.scoring.total_weights() })
    }

    /// The next band; `None` below the last row.
    fn merge_next(&mut self) -> Result<Option<Band>, TilesError> {
        let top = self.next;
        if top >= self.image.height {
            return Ok(None);
        }
        let bottom = (top + self.rows).min(self.image.height);
        self.next = bottom;
        let width = self.image.width as usize;
        if let [(tiles, _)] = self.groups.as_mut_slice()
            && tiles.size() == self.image
        {
            // One group at the image's own size: its mean is the mean.
            let rows = tiles.rows(top..bottom)?;
            let missing = rows.weights.iter().map(|w| *w == 0.0).collect();
            return Ok(Some(Band { top, scores: rows.scores, missing }));
        }
        let pixels = (bottom - top) as usize * width;
        let mut band = Band { top, scores: vec![0.0; pixels * self.classes], missing: vec![false; pixels] };
        for (tiles, weights) in &mut self.groups {
            add_group(tiles, weights, self.image, bottom, self.classes, &mut band)?;
        }
        for row in band.scores.chunks_exact_mut(self.classes * width) {
            for (line, total) in row.chunks_exact_mut(width).zip(&self.total) {
                let share = 1.0 / total;
                line.iter_mut().for_each(|v| *v *= share);
            }
        }
        Ok(Some(band))
    }
}

impl Iterator for Bands {
    type Item = Result<Band, TilesError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.merge_next().transpose()
    }
}

fn add_group(
    tiles: &mut GroupTiles,
    weights: &[f32],
    image: Size,
    bottom: u32,
    classes: usize,
    band: &mut Band,
) -> Result<(), TilesError> {
    let width = image.width as usize;
    if tiles.size() == image {
        let rows = tiles.rows(band.top..bottom)?;
        for (y, row) in rows.scores.chunks_exact(classes * width).enumerate() {
            add_row(row, weights, &mut band.scores[y * classes * width..][..classes * width]);
        }
        band.missing.iter_mut().zip(&rows.weights).for_each(|(m, w)| *m |= *w == 0.0);
        return Ok(());
    }
    let sampling = Resampled::new(tiles.size(), image, band.top, bottom);
    let rows = tiles.rows(sampling.needs())?;
    let mut line = vec![0.0; classes * width];
    for (y, sums) in band.scores.chunks_exact_mut(classes * width).enumerate() {
        sampling.row(y, &rows.scores, classes, &mut line);
        add_row(&line, weights, sums);
    }
    mark_missing(&sampling, &rows, width, &mut band.missing);
    Ok(())
}

fn add_row(row: &[f32], weights: &[f32], sums: &mut [f32]) {
    let width = row.len() / weights.len();
    for ((sums, line), weight) in sums.chunks_exact_mut(width).zip(row.chunks_exact(width)).zip(weights) {
        sums.iter_mut().zip(line).for_each(|(s, v)| *s += v * weight);
    }
}

/// A pixel is missing if any of the group's pixels it is made of is.
fn mark_missing(sampling: &Resampled, rows: &Rows, width: usize, missing: &mut [bool]) {
    if rows.weights.iter().all(|w| *w > 0.0) {
        return;
    }
    let holes: Vec<f32> = rows.weights.iter().map(|w| f32::from(u8::from(*w == 0.0))).collect();
    let mut line = vec![0.0; width];
    for (y, missing) in missing.chunks_exact_mut(width).enumerate() {
        sampling.row(y, &holes, 1, &mut line);
        missing.iter_mut().zip(&line).for_each(|(m, v)| *m |= *v > 0.0);
    }
}
