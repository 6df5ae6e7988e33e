//! The windows of a plan's images as its members see them, for those who want to look at the pixels themselves.

use crate::Failure;
use crate::image::{ImageOptions, Images, OpenImage};
use crate::prepare::Prepared;
use crate::read::{Shown, WindowSamples};
use marquetry_ensemble::View;
use marquetry_geometry::Grid;
use marquetry_job::{Inference, IoContract, Plan, PlannedImage};
use std::sync::Arc;

/// One window of one image, for one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPlace {
    /// The image's place in the list.
    pub image: usize,
    group: usize,
    row: usize,
    col: usize,
}

/// Reads windows of a plan, cut and prepared as a worker does for its members, without views.
pub struct PlannedWindows<'a> {
    plan: &'a Plan,
    planned: &'a [PlannedImage],
    images: Images,
}

/// Memory that is kept from one window to the next, and the image that was opened last.
#[derive(Default)]
pub struct WindowBuffers {
    samples: WindowSamples,
    prepared: Option<Prepared>,
    open: Option<(usize, Arc<OpenImage>)>,
}

impl<'a> PlannedWindows<'a> {
    /// Of these images of a plan, which are read as `options` says.
    pub fn new(plan: &'a Plan, planned: &'a [PlannedImage], options: &ImageOptions) -> Self {
        Self { plan, planned, images: Images::new(options) }
    }

    /// All windows, in the order of images, groups and rows: those of the first member of each group that scores an image.
    ///
    /// # Errors
    /// When a group's grid does not fit an image.
    pub fn places(&self) -> Result<Vec<WindowPlace>, Failure> {
        let mut places = Vec::new();
        for (image, planned) in self.planned.iter().enumerate() {
            let inference = self.plan.inference.scored_by(planned);
            for group in 0..inference.groups.len() {
                if inference.groups[group].members.is_empty() {
                    continue;
                }
                let grid = grid(&inference, group, planned)?;
                let rows = 0..grid.tops().len();
                places.extend(rows.flat_map(|row| {
                    (0..grid.lefts().len()).map(move |col| WindowPlace { image, group, row, col })
                }));
            }
        }
        Ok(places)
    }

    /// Hands a window to `each`, `[C, H, W]`, with the contract of the model that takes it.
    ///
    /// # Errors
    /// When the image cannot be read, or no member takes a window as it is.
    pub fn read<T>(
        &self,
        place: WindowPlace,
        buffers: &mut WindowBuffers,
        each: impl FnOnce(&IoContract, &[f32]) -> T,
    ) -> Result<T, Failure> {
        let planned = &self.planned[place.image];
        let inference = self.plan.inference.scored_by(planned);
        let group = &inference.groups[place.group];
        let member = group.members.first().ok_or_else(|| Failure::bug("a group without a member"))?;
        let contract = member.signatures.iter().find(|signature| signature.size == group.shown_size());
        let contract = contract.ok_or_else(|| {
            Failure::reject("no view of the job shows a window as it is: leave out `tta` for this".to_owned())
        })?;
        let image = match &buffers.open {
            Some((at, image)) if *at == place.image => Arc::clone(image),
            _ => {
                let image = self.images.open(planned, &inference.reading)?;
                if let Some(measure) = member.input.wants() {
                    let measured = image.measure(vec![measure])?;
                    image.set_statistics(&marquetry_job::ImageStatistics::new(&planned.key, measured));
                }
                buffers.open = Some((place.image, Arc::clone(&image)));
                image
            }
        };
        let rect = grid(&inference, place.group, planned)?.inner(place.row, place.col);
        let (window, scaled) = group.shown(image.image.info().size, rect);
        let shown = Shown { window, scaled, resample: group.resample, padding: member.input.padding };
        buffers.samples.start(1);
        let samples = buffers.samples.get(0, &image, shown)?;
        let prepared = buffers.prepared.get_or_insert_with(Prepared::new);
        let (size, views) = (group.shown_size(), [View::IDENTITY]);
        prepared.normalise(samples, size, &image, &member.input, contract.channels, &views)?;
        let planes = prepared.unchanged(View::IDENTITY).unwrap_or(&[]);
        Ok(each(contract, planes))
    }
}

fn grid(inference: &Inference, group: usize, planned: &PlannedImage) -> Result<Grid, Failure> {
    let grid = inference.groups[group].grid(planned.size);
    grid.map_err(|error| Failure::reject(format!("image {}: {error}", planned.id)))
}
