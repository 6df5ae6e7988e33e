//! What a setting changes in a job.

use super::Shown;
use marquetry_ensemble::Views;
use marquetry_geometry::Size;
use marquetry_spec::{JobSpec, MemberSpec, Spacing, Swap, WholeFit, Window, WindowMode};

/// How large windows are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowSize {
    /// This, px.
    Px(Size),
    /// As large as each member's own times this, rounded up to a multiple of 32 px.
    Times(f64),
}

/// Sides of windows that are not said are multiples of this, px: what models mostly take.
const MULTIPLE: u32 = 32;

/// What a setting changes in a job; what it does not say stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Nothing.
    None,
    /// How windows are laid over images.
    Windows {
        /// How large they are.
        size: Option<WindowSize>,
        /// The fraction of a window that it shares with the next, along both axes.
        overlap: Option<f64>,
        /// Factor on each member's own scale.
        scale: Option<f64>,
    },
    /// The names of views beside the window as it is.
    Views(Vec<String>),
}

impl WindowSize {
    /// In px, of a window that is `own` px.
    pub(super) fn px(self, own: Size) -> Size {
        let side = |own: u32, times: f64| {
            let side = (f64::from(own) * times).round().max(1.0) as u32;
            side.checked_next_multiple_of(MULTIPLE).unwrap_or(side)
        };
        match self {
            Self::Px(size) => size,
            Self::Times(times) => Size::new(side(own.height, times), side(own.width, times)),
        }
    }
}

impl Change {
    /// `spec` with this change, in the entries of members that `shown` knows; views are of the whole job.
    ///
    /// # Errors
    /// When it is no job then: in words.
    pub fn apply(&self, spec: &JobSpec, shown: &Shown) -> Result<JobSpec, String> {
        let mut job = spec.clone();
        match self {
            Self::None => return Ok(job),
            Self::Windows { size, overlap, scale } => {
                for (entry, own) in &shown.0 {
                    let Some(member) = job.members.get_mut(*entry) else { continue };
                    if let Some(size) = size {
                        resize(&mut member.window, size.px(own.outer()), own.inner, own.stride);
                    }
                    if let (Some(overlap), WindowMode::Slide(slide)) = (overlap, &mut member.window.mode) {
                        slide.spacing = Spacing::Overlap([*overlap; 2]);
                    }
                    if let (Some(scale), true) = (scale, slides(member)) {
                        member.scale *= scale;
                    }
                }
            }
            Self::Views(names) => {
                let product = job.tta.views.product && names.len() > 1;
                job.tta.views = Views { names: names.clone(), product, identity: true };
                if !swaps(&job) {
                    job.tta.swap = Swap::None;
                }
            }
        }
        JobSpec::parse(&job.to_yaml()).map_err(|errors| errors.to_string())
    }

    /// What to call it. `shown` says what members have themselves.
    pub fn name(&self, spec: &JobSpec, shown: &Shown) -> String {
        match self {
            Self::None => "the job as it is".to_owned(),
            Self::Views(names) if names.is_empty() => "identity".to_owned(),
            Self::Views(names) => names.join(" + "),
            Self::Windows { size, overlap, scale } => {
                let mut parts = Vec::new();
                if let Some(size) = size {
                    parts.push(size_name(*size, shown));
                }
                if let Some(overlap) = overlap {
                    parts.push(format!("overlap {overlap}"));
                }
                if let Some(scale) = scale {
                    let of_all = shown.0.keys().all(|entry| spec.members[*entry].scale == 1.0);
                    parts.push(format!("scale {}{scale}", if of_all { "" } else { "× " }));
                }
                parts.join(", ")
            }
        }
    }
}

/// A window of another size; what is said in px of its stride stays the same share of it.
fn resize(window: &mut Window, size: Size, inner: Size, stride: Size) {
    match &mut window.mode {
        WindowMode::Whole(whole) if matches!(whole.fit, WholeFit::Multiple(_)) => return,
        WindowMode::Whole(_) => {}
        WindowMode::Slide(slide) => {
            if let Spacing::Stride(_) = slide.spacing {
                let overlap = |stride: u32, inner: u32| 1.0 - f64::from(stride) / f64::from(inner.max(1));
                let [y, x] = [overlap(stride.height, inner.height), overlap(stride.width, inner.width)];
                slide.spacing = Spacing::Overlap([y.max(0.0), x.max(0.0)]);
            }
        }
    }
    window.size = Some(size);
}

/// Whether the windows of a member slide; of others the scale follows from their size.
pub(super) const fn slides(member: &MemberSpec) -> bool {
    matches!(member.window.mode, WindowMode::Slide(_))
}

/// Whether classes change places in any of the job's views; where none do, `tta.swap` may not be said. What is wrong with the
/// views is found when the job is read.
fn swaps(job: &JobSpec) -> bool {
    let Ok(views) = job.tta.views.resolve(Window::USUAL, false) else { return true };
    views.iter().any(|view| !matches!(job.tta.swap.order(view.d4, job.classes.len()), Ok(None)))
}

fn size_name(size: WindowSize, shown: &Shown) -> String {
    let mut px: Vec<Size> = shown.0.values().map(|own| size.px(own.outer())).collect();
    px.sort_unstable();
    px.dedup();
    let one = |size: Size| {
        if size.is_square() { format!("size {}", size.height) } else { format!("size {size}") }
    };
    match (size, px.as_slice()) {
        (WindowSize::Px(size), _) => one(size),
        (WindowSize::Times(_), [size]) => one(*size),
        (WindowSize::Times(times), _) => format!("size × {times}"),
    }
}
