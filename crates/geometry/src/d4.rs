//! The eight symmetries of the square.

use crate::Size;
use serde::{Deserialize, Serialize};

/// One element of the dihedral group D4: an optional transposition, then optional flips.
///
/// Applied to an image `x`, the element first exchanges rows and columns (when it transposes), then flips the rows'
/// order (`vflip`), then the columns' (`hflip`). Every rotation and reflection is one of these eight, so a chain of
/// any length is one element too, and equal ones are equal by `==`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct D4 {
    transpose: bool,
    vflip: bool,
    hflip: bool,
}

impl D4 {
    /// Leaves the image as it is.
    pub const IDENTITY: Self = Self::of(false, false, false);
    /// Left and right exchanged (NumPy's `flip(axis=-1)`).
    pub const HFLIP: Self = Self::of(false, false, true);
    /// Top and bottom exchanged (`flip(axis=-2)`).
    pub const VFLIP: Self = Self::of(false, true, false);
    /// Turned by 180°.
    pub const ROT180: Self = Self::of(false, true, true);
    /// Rows and columns exchanged.
    pub const TRANSPOSE: Self = Self::of(true, false, false);
    /// Turned counter-clockwise by 90° (`rot90(k=1)`).
    pub const ROT90: Self = Self::of(true, true, false);
    /// Turned counter-clockwise by 270° (`rot90(k=3)`).
    pub const ROT270: Self = Self::of(true, false, true);
    /// Mirrored at the other diagonal.
    pub const ANTITRANSPOSE: Self = Self::of(true, true, true);

    /// All eight, in the order of ttach's `d4`: no flip × turns by 0°, 90°, 180°, 270°, then `hflip` × the turns.
    pub const ALL: [Self; 8] = [
        Self::IDENTITY,
        Self::ROT90,
        Self::ROT180,
        Self::ROT270,
        Self::HFLIP,
        Self::TRANSPOSE,
        Self::VFLIP,
        Self::ANTITRANSPOSE,
    ];

    const fn of(transpose: bool, vflip: bool, hflip: bool) -> Self {
        Self { transpose, vflip, hflip }
    }

    /// Whether height and width change places: legal on a fixed window only if it is square.
    pub const fn transposes(self) -> bool {
        self.transpose
    }

    /// Whether left and right hands change: true for the four reflections, false for the four rotations.
    pub const fn is_reflection(self) -> bool {
        self.transpose ^ self.vflip ^ self.hflip
    }

    /// The size of an image of `size` after this element.
    pub const fn apply_to_size(self, size: Size) -> Size {
        if self.transpose { size.transposed() } else { size }
    }

    /// The element that applies `self` first and `next` then.
    #[must_use]
    pub const fn then(self, next: Self) -> Self {
        // A transposition after flips exchanges which axis each flip acts on.
        let (v, h) = if next.transpose { (self.hflip, self.vflip) } else { (self.vflip, self.hflip) };
        Self::of(self.transpose ^ next.transpose, v ^ next.vflip, h ^ next.hflip)
    }

    /// The element that undoes this one.
    #[must_use]
    pub const fn inverse(self) -> Self {
        if self.transpose { Self::of(true, self.hflip, self.vflip) } else { self }
    }

    /// The pixel of an image of `size` that lands at (`row`, `col`) of the transformed image.
    pub const fn source(self, size: Size, row: u32, col: u32) -> (u32, u32) {
        let out = self.apply_to_size(size);
        let row = if self.vflip { out.height - 1 - row } else { row };
        let col = if self.hflip { out.width - 1 - col } else { col };
        if self.transpose { (col, row) } else { (row, col) }
    }

    /// Its name: `identity`, `hflip`, `vflip`, `rot90`, `rot180`, `rot270`, `transpose` or `antitranspose`.
    pub const fn name(self) -> &'static str {
        match (self.transpose, self.vflip, self.hflip) {
            (false, false, false) => "identity",
            (false, false, true) => "hflip",
            (false, true, false) => "vflip",
            (false, true, true) => "rot180",
            (true, false, false) => "transpose",
            (true, true, false) => "rot90",
            (true, false, true) => "rot270",
            (true, true, true) => "antitranspose",
        }
    }

    /// The element of that [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|element| element.name() == name)
    }
}

impl std::fmt::Display for D4 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl From<D4> for String {
    fn from(element: D4) -> Self {
        element.name().to_owned()
    }
}

impl TryFrom<String> for D4 {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::from_name(&name).ok_or_else(|| format!("`{name}` is no symmetry of the square"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 3 × 5 image of distinct values, transformed pixel by pixel.
    fn applied(element: D4, size: Size, image: &[u32]) -> (Size, Vec<u32>) {
        let out = element.apply_to_size(size);
        let at = |r, c| {
            let (row, col) = element.source(size, r, c);
            image[(row * size.width + col) as usize]
        };
        (out, (0..out.height).flat_map(|r| (0..out.width).map(move |c| at(r, c))).collect())
    }

    const SIZE: Size = Size::new(3, 5);

    #[test]
    fn inverse_undoes_and_composition_is_one_element() {
        let image: Vec<u32> = (0..15).collect();
        for a in D4::ALL {
            let (size, there) = applied(a, SIZE, &image);
            assert_eq!(applied(a.inverse(), size, &there), (SIZE, image.clone()), "{a}");
            assert_eq!(a.then(a.inverse()), D4::IDENTITY);
            for b in D4::ALL {
                assert_eq!(applied(b, size, &there), applied(a.then(b), SIZE, &image), "{a} then {b}");
            }
        }
    }

    #[test]
    fn all_eight_differ_and_names_round_trip() {
        let image: Vec<u32> = (0..15).collect();
        let seen: std::collections::HashSet<_> =
            D4::ALL.map(|e| (e.apply_to_size(SIZE).height, applied(e, SIZE, &image).1)).into();
        assert_eq!(seen.len(), 8);
        assert!(D4::ALL.iter().all(|&e| D4::from_name(e.name()) == Some(e)));
        assert_eq!(D4::ALL.iter().filter(|e| e.is_reflection()).count(), 4);
    }

    /// `numpy.rot90([[0, 1, 2], [3, 4, 5]])` is `[[2, 5], [1, 4], [0, 3]]`.
    #[test]
    fn rot90_turns_counter_clockwise() {
        let image: Vec<u32> = (0..6).collect();
        assert_eq!(applied(D4::ROT90, Size::new(2, 3), &image), (Size::new(3, 2), vec![2, 5, 1, 4, 0, 3]));
    }

    /// ttach: hflip first, then the turn, in the order of its `d4` alias.
    #[test]
    fn order_is_that_of_ttach() {
        let turns = [D4::IDENTITY, D4::ROT90, D4::ROT180, D4::ROT270];
        let product: Vec<D4> =
            [D4::IDENTITY, D4::HFLIP].iter().flat_map(|flip| turns.map(|turn| flip.then(turn))).collect();
        assert_eq!(product, D4::ALL);
    }
}
