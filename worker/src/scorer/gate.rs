//! What a model of the gate says of a whole image.

use crate::Failure;
use crate::context::GateContext;
use crate::image::OpenImage;
use crate::network::Networks;
use crate::prepare::Prepared;
use crate::read::{Shown, WindowSamples};
use marquetry_ensemble::View;
use marquetry_geometry::{Rect, Size};
use marquetry_job::{GateModel, StageSeconds};
use std::time::Instant;

/// One image, and a model of the gate that it is shown to.
#[derive(Debug)]
pub struct GateRequest<'a> {
    model: &'a GateModel,
    context: &'a GateContext,
    image: &'a OpenImage,
    samples: &'a mut WindowSamples,
}

impl<'a> GateRequest<'a> {
    pub(crate) fn new(
        (model, context): (&'a GateModel, &'a GateContext),
        image: &'a OpenImage,
        samples: &'a mut WindowSamples,
    ) -> Self {
        samples.start(1);
        Self { model, context, image, samples }
    }

    /// The model, and how the image is shown to it.
    pub const fn model(&self) -> &'a GateModel {
        self.model
    }

    /// The image as large as the model sees it, `[bands, H, W]`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn samples(&mut self) -> Result<&[f32], Failure> {
        let group = &self.model.group;
        let (window, scaled) = group.shown(self.image.image.info().size, Rect::whole(Size::square(1)));
        let padding = self.model.member().input.padding;
        self.samples.get(0, self.image, Shown { window, scaled, resample: group.resample, padding })
    }

    fn failed(&self, reason: &str) -> String {
        format!("model {} of the gate: {reason}", self.model.member().name)
    }
}

/// Memory that is kept from one image to the next.
pub(super) struct GateRunner {
    prepared: Prepared,
    /// The image as often as the model wants images at once.
    batch: Vec<f32>,
}

impl GateRunner {
    pub(super) const fn new() -> Self {
        Self { prepared: Prepared::new(), batch: Vec::new() }
    }

    /// The probability of each channel, and how long it took to prepare and infer. An image is alone in its run, or beside itself,
    /// so that nothing hangs on others.
    pub(super) fn run(
        &mut self,
        request: &mut GateRequest<'_>,
        networks: &mut Networks,
    ) -> Result<(Vec<f32>, StageSeconds), Failure> {
        let (member, group) = (request.model.member(), &request.model.group);
        let signature = &member.signatures[0];
        let (image, context) = (request.image, request.context);
        let samples = request.samples()?;
        let started = Instant::now();
        let (size, channels) = (group.shown_size(), signature.channels);
        self.prepared.normalise(samples, size, image, &member.input, channels, &group.views)?;
        let shown = self.prepared.unchanged(View::IDENTITY).unwrap_or(&[]);
        let input = if signature.batch == 1 {
            shown
        } else {
            self.batch.clear();
            (0..signature.batch).for_each(|_| self.batch.extend_from_slice(shown));
            &self.batch
        };
        let prepare = started.elapsed().as_secs_f64();
        let network = networks.get(context.network, member, signature)?;
        let output = network.run(input).map_err(|error| {
            let failure = Failure::from(error);
            Failure { reason: request.failed(&failure.reason), ..failure }
        })?;
        let mut probabilities = vec![0.0; signature.classes as usize];
        let said = &output[..probabilities.len()];
        let applied = context.transform.apply(said, 1, 0, &mut probabilities);
        applied.map_err(|error| Failure::reject(request.failed(&error.to_string())))?;
        let infer = started.elapsed().as_secs_f64() - prepare;
        Ok((probabilities, StageSeconds { prepare, infer, ..StageSeconds::default() }))
    }
}
