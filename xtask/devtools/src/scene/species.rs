//! The woods: the classes of the scenes, and what each looks like.

/// A wood, which is a class of the masks; the discriminant is its index there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Species {
    Maple,
    Cherry,
    Walnut,
    Padauk,
    Ebony,
}

impl Species {
    pub(crate) const ALL: [Self; 5] = [Self::Maple, Self::Cherry, Self::Walnut, Self::Padauk, Self::Ebony];

    /// The class index in masks.
    pub(crate) const fn class(self) -> u8 {
        self as u8
    }

    /// The class name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Maple => "maple",
            Self::Cherry => "cherry",
            Self::Walnut => "walnut",
            Self::Padauk => "padauk",
            Self::Ebony => "ebony",
        }
    }

    /// How the wood looks.
    pub(super) const fn look(self) -> &'static Look {
        match self {
            Self::Maple => &MAPLE,
            Self::Cherry => &CHERRY,
            Self::Walnut => &WALNUT,
            Self::Padauk => &PADAUK,
            Self::Ebony => &EBONY,
        }
    }
}

/// Red, green, blue, in display values of 0 to 255.
pub(super) type Rgb = [f32; 3];

/// Colours and grain of a wood. The strengths are shares of the brightness.
pub(super) struct Look {
    /// Early (light) and late (dark) wood of a freshly cut board.
    pub(super) fresh: [Rgb; 2],
    /// The same after years in the sun. Boards lie anywhere between, which is where woods come to look alike.
    pub(super) aged: [Rgb; 2],
    /// How much brighter or darker one board is than another.
    pub(super) spread: f32,
    /// The mean distance of growth rings.
    pub(super) ring_px: f32,
    /// How dark the late wood of a ring is drawn.
    pub(super) rings: f32,
    /// How far the grain wanders.
    pub(super) wave_px: f32,
    /// Short dark dashes along the grain.
    pub(super) pores: f32,
    /// Fine fibres along the grain.
    pub(super) fibres: f32,
    /// Ripples across the grain, as in curly maple.
    pub(super) curl: f32,
    /// Wide stripes along the grain that shine by turns, as in woods of interlocked grain.
    pub(super) ribbon: f32,
    /// Darker streaks of gum and mineral.
    pub(super) streaks: f32,
    /// The share of boards with a knot.
    pub(super) knots: f32,
}

const MAPLE: Look = Look {
    fresh: [[229.0, 202.0, 158.0], [205.0, 168.0, 119.0]],
    aged: [[206.0, 156.0, 102.0], [172.0, 119.0, 70.0]],
    spread: 0.10,
    ring_px: 17.0,
    rings: 0.40,
    wave_px: 12.0,
    pores: 0.02,
    fibres: 0.05,
    curl: 0.10,
    ribbon: 0.01,
    streaks: 0.05,
    knots: 0.10,
};

const CHERRY: Look = Look {
    fresh: [[207.0, 154.0, 104.0], [177.0, 119.0, 73.0]],
    aged: [[150.0, 84.0, 48.0], [116.0, 60.0, 34.0]],
    spread: 0.12,
    ring_px: 13.0,
    rings: 0.65,
    wave_px: 18.0,
    pores: 0.05,
    fibres: 0.06,
    curl: 0.03,
    ribbon: 0.03,
    streaks: 0.16,
    knots: 0.25,
};

const WALNUT: Look = Look {
    fresh: [[148.0, 104.0, 70.0], [90.0, 58.0, 38.0]],
    aged: [[101.0, 66.0, 44.0], [58.0, 38.0, 28.0]],
    spread: 0.16,
    ring_px: 9.0,
    rings: 0.90,
    wave_px: 26.0,
    pores: 0.22,
    fibres: 0.08,
    curl: 0.02,
    ribbon: 0.05,
    streaks: 0.25,
    knots: 0.30,
};

const PADAUK: Look = Look {
    fresh: [[190.0, 76.0, 40.0], [145.0, 48.0, 26.0]],
    aged: [[136.0, 74.0, 46.0], [92.0, 47.0, 31.0]],
    spread: 0.12,
    ring_px: 22.0,
    rings: 0.35,
    wave_px: 9.0,
    pores: 0.30,
    fibres: 0.10,
    curl: 0.01,
    ribbon: 0.13,
    streaks: 0.10,
    knots: 0.03,
};

const EBONY: Look = Look {
    fresh: [[48.0, 41.0, 38.0], [27.0, 23.0, 22.0]],
    aged: [[79.0, 57.0, 44.0], [36.0, 28.0, 25.0]],
    spread: 0.18,
    ring_px: 15.0,
    rings: 0.55,
    wave_px: 8.0,
    pores: 0.10,
    fibres: 0.10,
    curl: 0.0,
    ribbon: 0.06,
    streaks: 0.10,
    knots: 0.02,
};
