//! Which settings are tried where the user does not say it, and what makes two of them one.

use super::change::slides;
use super::{Change, Shown, WindowSize};
use crate::forward_cost::ForwardCost;
use crate::planning::Planned;
use marquetry_ensemble::{ViewError, Views};
use marquetry_geometry::Size;
use marquetry_job::{Group, PlannedImage, Scaling};
use marquetry_spec::{JobSpec, MemberSpec, Spacing, WholeFit, Window, WindowMode};
use std::collections::BTreeSet;

/// Overlaps that are tried.
const OVERLAPS: [f64; 4] = [0.0, 0.25, 0.5, 0.75];
/// Sizes of windows that are tried, beside each member's own.
const SIZES: [f64; 2] = [0.5, 2.0];
/// Scales that are tried, beside each member's own.
const SCALES: [f64; 3] = [0.5, 0.75, 1.5];
/// Views that are tried.
const VIEWS: [&[&str]; 4] = [&[], &["hflip"], &["flips"], &["d4"]];
/// A window that is smaller is none, px.
const SIDE_MIN: u32 = 32;

/// What the user asks for of windows; what is not said stays as it is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowAxes {
    /// Sizes, px.
    pub sizes: Vec<Size>,
    /// Overlaps, 0 to less than 1.
    pub overlaps: Vec<f64>,
    /// Factors on each member's own scale.
    pub scales: Vec<f64>,
}

/// All combinations of what is asked for, or each of the usual values alone. `images` are those over which they are tried.
pub fn window_changes(
    asked: Option<&WindowAxes>,
    spec: &JobSpec,
    shown: &Shown,
    images: &[PlannedImage],
) -> Vec<Change> {
    asked.map_or_else(|| usual_windows(spec, shown, images), combined)
}

fn combined(WindowAxes { sizes, overlaps, scales }: &WindowAxes) -> Vec<Change> {
    // What is not said stays: one way.
    fn each<T: Copy>(values: &[T]) -> Vec<Option<T>> {
        if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
    }
    let mut changes = Vec::new();
    for size in each(sizes) {
        let size = size.map(WindowSize::Px);
        for overlap in each(overlaps) {
            changes.extend(each(scales).into_iter().map(|scale| Change::Windows { size, overlap, scale }));
        }
    }
    changes
}

/// Overlaps and scales, where windows slide, and sizes, each alone; what all members have themselves is not among them.
fn usual_windows(spec: &JobSpec, shown: &Shown, images: &[PlannedImage]) -> Vec<Change> {
    let own: Vec<(&MemberSpec, Size)> = shown
        .0
        .iter()
        .filter_map(|(entry, window)| Some((spec.members.get(*entry)?, window.outer())))
        .collect();
    let slide = own.iter().any(|(member, _)| slides(member));
    let is_own = |overlap: f64| {
        own.iter().all(|(member, _)| match &member.window.mode {
            WindowMode::Slide(slide) => slide.spacing == Spacing::Overlap([overlap; 2]),
            WindowMode::Whole(_) => true,
        })
    };
    let overlap = |overlap: f64| Change::Windows { size: None, overlap: Some(overlap), scale: None };
    let mut changes: Vec<Change> =
        OVERLAPS.into_iter().filter(|overlap| !is_own(*overlap)).map(overlap).collect();
    let makes_sense = |times: &f64| own.iter().any(|(member, size)| may_be(*times, member, *size, images));
    let size = |times| Change::Windows { size: Some(WindowSize::Times(times)), overlap: None, scale: None };
    changes.extend(SIZES.into_iter().filter(makes_sense).map(size));
    let scale = |scale| Change::Windows { size: None, overlap: None, scale: Some(scale) };
    changes.extend(SCALES.into_iter().filter(|_| slide).map(scale));
    changes
}

/// Whether windows of `member`, of `size`, are worth a look when they are so many times as large.
fn may_be(times: f64, member: &MemberSpec, size: Size, images: &[PlannedImage]) -> bool {
    match &member.window.mode {
        // Its size follows from the image.
        WindowMode::Whole(whole) if matches!(whole.fit, WholeFit::Multiple(_)) => false,
        _ if times < 1.0 => size.height / 2 >= SIDE_MIN && size.width / 2 >= SIDE_MIN,
        WindowMode::Whole(_) => true,
        // A window that holds every image already would be more padding and nothing else.
        WindowMode::Slide(_) => {
            let side = |side: u32| f64::from(side) * member.scale;
            images.iter().any(|PlannedImage { size: of, .. }| {
                side(of.height) > size.height.into() || side(of.width) > size.width.into()
            })
        }
    }
}

/// What is asked for, each the names of views beside the window as it is; or the usual ones, and of several views that the job
/// has all but one.
pub fn view_changes(asked: Option<&[Vec<String>]>, spec: &JobSpec) -> Vec<Change> {
    let owned = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    let mut sets: Vec<Vec<String>> =
        asked.map_or_else(|| VIEWS.iter().map(owned).collect(), <[Vec<String>]>::to_vec);
    let own = &spec.tta.views.names;
    if asked.is_none() && own.len() > 1 {
        let without = |left: usize| {
            let kept = own.iter().enumerate().filter(move |(place, _)| *place != left);
            kept.map(|(_, name)| name.clone()).collect::<Vec<_>>()
        };
        sets.extend((0..own.len()).map(without));
    }
    let mut seen = BTreeSet::new();
    sets.retain(|names| seen.insert(names.clone()));
    sets.into_iter().map(Change::Views).collect()
}

/// Whether all of these are names of views.
///
/// # Errors
/// With the name that is none.
pub fn known_views(names: &[String]) -> Result<(), ViewError> {
    let views = Views { names: names.to_vec(), product: false, identity: true };
    views.resolve(Window::USUAL, false).map(drop)
}

/// What models see of a job's images, in words that are equal where it is the same: settings that differ in nothing else are one. Where
/// each image is one window, how windows overlap is nothing.
pub fn what_is_seen(planned: &Planned) -> String {
    let Planned { plan, images, .. } = planned;
    let group = |(place, of): (usize, &Group)| {
        let slides = images
            .iter()
            .any(|image| plan.layout(image, place as u32).is_some_and(|(grid, _)| grid.len() > 1));
        let Group { scaling, resample, window, importance, views, members } = of;
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let laid = slides.then_some((window, importance));
        format!(
            "{scaling:?} {resample:?} {:?} {:?} {laid:?} {views:?} {names:?}\n",
            window.outer(),
            window.margin
        )
    };
    plan.inference.groups.iter().enumerate().map(group).collect()
}

/// What running all of `planned` costs; where members are no copies of each other, the work is an estimate.
pub fn job_cost(planned: &Planned) -> ForwardCost {
    let Planned { plan, images, .. } = planned;
    let mut cost = ForwardCost::default();
    for (place, group) in plan.inference.groups.iter().enumerate() {
        // A view of another scale has another number of pixels.
        let views: f64 = group.views.iter().map(|view| f64::from(view.scale).powi(2)).sum();
        for image in images {
            let Some((grid, _)) = plan.layout(image, place as u32) else { continue };
            let members = plan.members_of(image, place);
            let bytes: u64 = members.iter().map(|member| group.members[*member].model_bytes.max(1)).sum();
            let size = match group.scaling {
                Scaling::Whole(size) => size,
                Scaling::Factor(_) | Scaling::Inside => group.window.outer(),
            };
            cost.forwards += grid.len() * members.len() as u64 * group.views.len() as u64;
            cost.work += grid.len() as f64 * bytes as f64 * views * size.area() as f64;
        }
    }
    cost
}
