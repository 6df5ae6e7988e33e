//! The size of windows where the job leaves it to what is measured: the model's own, or what just holds the images.

use crate::planning::candidate::{Candidate, sizes};
use crate::planning::findings::Origin;
use crate::planning::images::Found;
use crate::planning::members_error::MembersError;
use crate::planning::models::{Models, PlannedModel};
use crate::planning::parallel_map::parallel_map;
use crate::planning::scale::settle_scale;
use marquetry_ensemble::View;
use marquetry_geometry::{Reading, Size};
use marquetry_imagery::{ImageFiles, probe};
use marquetry_job::{Element, Input, PlannedImage};
use marquetry_model::{ModelError, ModelFacts, resolve};
use marquetry_raster::read::Limits;
use marquetry_spec::{JobSpec, Spacing, Window, WindowMode};
use marquetry_transport::Files;
use std::borrow::Cow;

/// Models mostly take sides that are multiples of this, px: they halve them five times at most.
const MULTIPLE: u32 = 32;
/// With views of other scales a side times the usual ones (1/2, 3/4, 5/4, 3/2) should be such a multiple too, px.
const SCALED_MULTIPLE: u32 = 128;
/// Headers that are read at a time.
const AT_ONCE: usize = 16;
/// Sizes that are tried of one model: what images ask for, and what it says then.
const TRIES: usize = 3;

/// The size to try first for a model that may take any: images that are all smaller than the usual window are shown whole, as
/// a plain loop shows them. `scale` is the member's factor on images.
pub(super) fn first_size(largest: Option<Size>, scale: f64, window: &Window, views: &[View]) -> Size {
    let usual = Window::USUAL;
    let in_px = match &window.mode {
        WindowMode::Slide(slide) => {
            matches!(slide.spacing, Spacing::Stride(_)) || slide.margin != Size::square(0)
        }
        WindowMode::Whole(_) => true,
    };
    // Strides and margins in px were thought of for some size; how far a whole image shrinks is not the image's to say.
    let Some(largest) = largest.filter(|_| !in_px) else { return usual };
    let multiple = if views.iter().any(|view| view.scale != 1.0) { SCALED_MULTIPLE } else { MULTIPLE };
    let side = |most: u32, usual: u32| {
        let shown = (f64::from(most) * scale).ceil().clamp(1.0, f64::from(usual));
        (shown as u32).next_multiple_of(multiple).min(usual)
    };
    let (height, width) = (side(largest.height, usual.height), side(largest.width, usual.width));
    let turns = views.iter().any(|view| view.d4.apply_to_size(Size::new(1, 2)) != Size::new(1, 2));
    // One network for all views, rather than one for each way round.
    if turns { Size::square(height.max(width)) } else { Size::new(height, width) }
}

/// Images of the job that are not in its sample, and how they would be read.
pub(super) struct Unsampled<'a> {
    pub(super) others: &'a [Found],
    pub(super) files: &'a Files,
    pub(super) limits: &'a Limits,
    pub(super) reading: &'a Reading,
}

/// The largest height and width among the images of a job, px. Those that are not in a sample count too, so that a part of a job has
/// the windows of the whole; their headers are read where that can matter.
pub(super) fn largest_sides(
    spec: &JobSpec,
    images: &[PlannedImage],
    unsampled: &Unsampled<'_>,
) -> Option<Size> {
    let larger = |a: Size, b: Size| Size::new(a.height.max(b.height), a.width.max(b.width));
    let largest = images.iter().map(|image| image.size).reduce(larger)?;
    let is_asked = spec.members.iter().any(|member| member.window.size.is_none());
    let usual = Window::USUAL;
    if !is_asked || (largest.height >= usual.height && largest.width >= usual.width) {
        return Some(largest);
    }
    let Unsampled { others, files, limits, reading } = unsampled;
    // One that cannot be read is told when it is looked at.
    let size = |image: &Found| {
        let of = ImageFiles { uri: &image.uri, stat: image.stat.as_ref(), sidecars: &[] };
        probe(files, &of, limits, reading).ok().map(|info| info.size)
    };
    let sizes = parallel_map(others, AT_ONCE, size, |_| false).into_iter().flatten().flatten();
    Some(sizes.fold(largest, larger))
}

impl Candidate<'_> {
    /// The candidate at the size of windows that its job says, or that is measured.
    pub(super) fn sized(
        &self,
        models: &Models<'_>,
        model: &PlannedModel,
        threads: usize,
    ) -> Result<(Self, Origin), MembersError> {
        if self.member.window.size.is_some() {
            return Ok((self.clone(), Origin::Said));
        }
        let mut member = self.member.clone().into_owned();
        member.window.size = Some(self.measured_size(models, model, threads)?);
        if let Some(contradiction) = member.window.contradiction() {
            return Err(self.unfit(format!("window: {contradiction}")));
        }
        Ok((Self { member: Cow::Owned(member), ..self.clone() }, Origin::Measured))
    }

    /// How the model's values are scaled where only the job speaks.
    pub(super) fn guessed_input(&self) -> Input {
        let scale = settle_scale(&self.member.input, &Element::F32, None, self.looked_at.depths);
        self.input(scale.scale, self.scaling().2)
    }

    /// What is seen of the model in windows of `size` px before anything is settled.
    pub(super) fn first_facts(
        &self,
        models: &Models<'_>,
        model: &PlannedModel,
        size: Size,
        threads: usize,
    ) -> Result<ModelFacts, MembersError> {
        self.inspect(models, model, (&self.guessed_input(), self.scaling().0), size, threads)
    }

    /// The size of windows for a member whose job leaves it to what is measured.
    fn measured_size(
        &self,
        models: &Models<'_>,
        model: &PlannedModel,
        threads: usize,
    ) -> Result<Size, MembersError> {
        let window = &self.member.window;
        let views = self.spec.tta.views.resolve(Window::USUAL, false).unwrap_or_default();
        let first = first_size(self.looked_at.largest, self.member.scale, window, &views);
        match self.taken_size(models, model, first, threads) {
            Ok((size, true)) => Ok(size),
            // Some models run at large windows alone, or give the middle of theirs, or are shown views of other sizes.
            _ if first != Window::USUAL => {
                self.taken_size(models, model, Window::USUAL, threads).map(|(size, _)| size)
            }
            taken => taken.map(|(size, _)| size),
        }
    }

    /// The size that the model takes which is nearest to `size`; and whether it is one for a whole image: the model gives scores
    /// of all of it, and takes what views make of it.
    fn taken_size(
        &self,
        models: &Models<'_>,
        model: &PlannedModel,
        mut size: Size,
        threads: usize,
    ) -> Result<(Size, bool), MembersError> {
        for _ in 0..TRIES {
            let facts = self.first_facts(models, model, size, threads)?;
            let resolved = match resolve(&facts, &self.wanted(&facts, size)) {
                Err(ModelError::WrongSize { found, .. }) => {
                    size = found;
                    continue;
                }
                Err(ModelError::WrongMultiple { nearest, .. }) => {
                    size = nearest;
                    continue;
                }
                Err(ModelError::UnknownSize { tried, .. }) => {
                    size = tried;
                    continue;
                }
                // Told when the model is settled.
                Err(_) => return Ok((size, true)),
                Ok(resolved) => resolved.signature,
            };
            let is_whole = resolved.output_size == resolved.size
                || self.shrinks_alike(models, model, (resolved.size, resolved.output_size), threads);
            let image = facts.image.as_ref();
            let fixed = image.is_some_and(|of| of.height.fixed().is_some() || of.width.fixed().is_some());
            let views = self.spec.tta.views.resolve(size, fixed).unwrap_or_default();
            let takes = |(of, _): &(Size, _)| {
                let facts = self.first_facts(models, model, *of, threads);
                facts.is_ok_and(|facts| resolve(&facts, &self.wanted(&facts, *of)).is_ok())
            };
            return Ok((size, is_whole && sizes(&views, size).iter().skip(1).all(takes)));
        }
        Ok((size, true))
    }

    /// Whether the model's output is the same share of the usual window as of this one. If not, it leaves out a border, which of a
    /// small window is so much that the rest may look like all of it, made smaller.
    fn shrinks_alike(
        &self,
        models: &Models<'_>,
        model: &PlannedModel,
        (size, output): (Size, Size),
        threads: usize,
    ) -> bool {
        let facts = self.first_facts(models, model, Window::USUAL, threads);
        let usual = facts.ok().and_then(|facts| resolve(&facts, &self.wanted(&facts, Window::USUAL)).ok());
        let Some(usual) = usual.map(|resolved| resolved.signature) else { return true };
        let alike = |output: u32, of: u32, usual_output: u32, usual: u32| {
            u64::from(output) * u64::from(usual) == u64::from(usual_output) * u64::from(of)
        };
        alike(output.height, size.height, usual.output_size.height, usual.size.height)
            && alike(output.width, size.width, usual.output_size.width, usual.size.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_geometry::D4;

    fn size(largest: Size, member: &str, views: &[View]) -> Size {
        let job = format!(
            "version: 1\nimages: i\nclasses: [a, b]\nmembers: [{{onnx: m.onnx{member}}}]\noutputs: [{{masks: png}}]\n"
        );
        let spec = JobSpec::parse(&job).unwrap();
        first_size(Some(largest), spec.members[0].scale, &spec.members[0].window, views)
    }

    #[test]
    fn small_images_are_shown_whole_and_others_by_the_usual_window() {
        let small = Size::new(64, 101);
        assert_eq!(size(small, "", &[]), Size::new(64, 128));
        assert_eq!(size(small, "", &[View::of(D4::HFLIP)]), Size::new(64, 128));
        assert_eq!(size(small, "", &[View::of(D4::TRANSPOSE)]), Size::square(128));
        assert_eq!(size(small, "", &[View { scale: 1.5, ..View::IDENTITY }]), Size::square(128));
        assert_eq!(size(small, ", scale: 2", &[]), Size::new(128, 224));
        for large in [Size::new(600, 300), Size::new(100_000, 300)] {
            assert_eq!(size(large, "", &[]), Size::new(512, 320));
        }
        assert_eq!(size(Size::new(513, 4000), "", &[]), Window::USUAL);
        assert_eq!(size(Size::new(481, 512), "", &[]), Window::USUAL);
    }

    #[test]
    fn what_is_said_in_px_is_of_the_usual_window() {
        let small = Size::square(64);
        for window in ["stride: 128", "margin: 16", "mode: whole"] {
            assert_eq!(size(small, &format!(", window: {{{window}}}"), &[]), Window::USUAL, "{window}");
        }
    }
}
