//! Names for sets of defaults, so that a job starts from what another tool does.

use super::tta::Tta;
use super::window::{Fill, Layer, Slide, Step};
use marquetry_ensemble::{Importance, Space, ViewMerge, Views};
use marquetry_geometry::{Edges, Padding, Size};

/// A set of defaults for windows, views and merging. Fields that the job gives itself come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// nnU-Net v2's predictor: evenly spaced windows at half steps, its Gaussian, zeros after normalisation beyond the
    /// border, all flips, and everything merged as logits.
    Nnunet,
    /// MONAI's sliding window: overlap ¼, its Gaussian, zeros after normalisation beyond the border.
    Monai,
    /// mmsegmentation's `slide` mode: overlap ⅓, every pixel of a window of equal weight.
    MmsegSlide,
}

pub(super) const PRESETS: [(&str, Preset); 3] =
    [("nnunet", Preset::Nnunet), ("monai", Preset::Monai), ("mmseg-slide", Preset::MmsegSlide)];

/// What holds where the job says nothing.
pub(super) struct Defaults {
    pub(super) window: Layer,
    pub(super) tta: Tta,
    /// The space of views, where it is not simply that of the merge.
    pub(super) view_space: Option<Space>,
    pub(super) merge: Space,
}

impl Defaults {
    pub(super) fn of(preset: Option<Preset>) -> Self {
        let slide = Slide {
            step: Step::Overlap([0.5; 2]),
            margin: Size::square(0),
            edges: Edges::Shift,
            fill: Fill { padding: Padding::Reflect, value: 0.0 },
            importance: Importance::Gaussian,
        };
        let zeros = Fill { padding: Padding::Constant, value: 0.0 };
        let slide = match preset {
            None => slide,
            Some(Preset::Nnunet) => {
                Slide { edges: Edges::Spread, importance: Importance::GaussianNnunet, fill: zeros, ..slide }
            }
            Some(Preset::Monai) => Slide { step: Step::Overlap([0.25; 2]), fill: zeros, ..slide },
            Some(Preset::MmsegSlide) => {
                Slide { step: Step::Overlap([1.0 / 3.0; 2]), importance: Importance::Constant, ..slide }
            }
        };
        let nnunet = preset == Some(Preset::Nnunet);
        let names = if nnunet { vec!["flips".to_owned()] } else { Vec::new() };
        let merge = if nnunet { Space::Logits } else { Space::Probabilities };
        Self {
            window: Layer { size: Size::square(512), whole: false, slide },
            tta: Tta {
                views: Views { names, product: false, identity: true },
                merge: ViewMerge::Mean,
                space: merge,
                swap: Vec::new(),
            },
            view_space: nnunet.then_some(Space::Logits),
            merge,
        }
    }
}
