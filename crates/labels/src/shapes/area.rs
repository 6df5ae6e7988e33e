//! Areas that people draw, as pixels: a pixel belongs to what its centre lies in.

use marquetry_geometry::Size;
use std::ops::Range;

/// Crossings of outlines and rows that are kept at a time, at most.
const CROSSINGS_MAX: usize = 1 << 26;

/// An area in px from the image's top left corner, x to the right and y down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Area {
    /// What lies inside of an odd number of rings.
    Rings(Vec<Vec<[f64; 2]>>),
    /// An ellipse, turned about its centre by `degrees`, clockwise.
    Ellipse { centre: [f64; 2], radii: [f64; 2], degrees: f64 },
    /// The pixels of a box that are covered, row by row.
    Mask { left: i64, top: i64, size: Size, covered: Vec<bool> },
}

impl Area {
    /// A box by two opposite corners.
    pub(crate) fn rectangle(corner: [f64; 2], opposite: [f64; 2]) -> Self {
        Self::Rings(vec![vec![corner, [opposite[0], corner[1]], opposite, [corner[0], opposite[1]]]])
    }

    /// A box by two opposite corners, turned about a point by `degrees`, clockwise.
    pub(crate) fn turned_rectangle(
        corner: [f64; 2],
        opposite: [f64; 2],
        about: [f64; 2],
        degrees: f64,
    ) -> Self {
        let mut area = Self::rectangle(corner, opposite);
        if let (Self::Rings(rings), true) = (&mut area, degrees != 0.0) {
            let (sin, cos) = degrees.to_radians().sin_cos();
            for point in rings.iter_mut().flatten() {
                let (dx, dy) = (point[0] - about[0], point[1] - about[1]);
                *point = [dx.mul_add(cos, -dy * sin) + about[0], dx.mul_add(sin, dy * cos) + about[1]];
            }
        }
        area
    }

    /// Calls `paint` with rows and columns of an image of `size`, until all pixels of the area in it have come.
    ///
    /// # Errors
    /// When it has no place in the plane, or too many corners; in words.
    pub(crate) fn paint(&self, size: Size, mut paint: impl FnMut(usize, Range<usize>)) -> Result<(), String> {
        match self {
            Self::Rings(rings) => fill(rings, size, paint),
            Self::Ellipse { centre, radii, degrees } => ellipse(*centre, *radii, *degrees, size, paint),
            Self::Mask { left, top, size: own, covered } => {
                let width = own.width.max(1) as usize;
                for (row, flags) in covered.chunks_exact(width).enumerate() {
                    let y = top + row as i64;
                    if !(0..i64::from(size.height)).contains(&y) {
                        continue;
                    }
                    let mut at = 0;
                    for run in flags.chunk_by(|a, b| a == b) {
                        let x =
                            |column: usize| (left + column as i64).clamp(0, i64::from(size.width)) as usize;
                        if run[0] {
                            paint(y as usize, x(at)..x(at + run.len()));
                        }
                        at += run.len();
                    }
                }
                Ok(())
            }
        }
    }
}

/// The first of the pixels `0..all` whose centre is at `place` or beyond it.
fn first_beyond(place: f64, all: u32) -> usize {
    // NaN becomes 0; nobody asks for one.
    (place - 0.5).ceil().clamp(0.0, f64::from(all)) as usize
}

fn finite(numbers: &[f64]) -> Result<(), String> {
    match numbers.iter().find(|number| !number.is_finite()) {
        Some(number) => Err(format!("it has the coordinate {number}")),
        None => Ok(()),
    }
}

fn fill(
    rings: &[Vec<[f64; 2]>],
    size: Size,
    mut paint: impl FnMut(usize, Range<usize>),
) -> Result<(), String> {
    let mut crossings: Vec<(usize, f64)> = Vec::new();
    for ring in rings {
        for (&[x0, y0], &[x1, y1]) in ring.iter().zip(ring.iter().cycle().skip(1)) {
            finite(&[x0, y0, x1, y1])?;
            let rows = first_beyond(y0.min(y1), size.height)..first_beyond(y0.max(y1), size.height);
            if crossings.len() + rows.len() > CROSSINGS_MAX {
                return Err(format!("its outline crosses rows of the image more than {CROSSINGS_MAX} times"));
            }
            // By halves: the way from one end of all numbers to the other is none.
            let slope = (x1 / 2.0 - x0 / 2.0) / (y1 / 2.0 - y0 / 2.0);
            let crossing = |row: usize| {
                let x = (row as f64 + 0.5 - y0).mul_add(slope, x0);
                // So flat that its slope is no number: the row is the one that it begins at.
                if x.is_nan() { x0 } else { x }
            };
            crossings.extend(rows.map(|row| (row, crossing(row))));
        }
    }
    crossings.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    // A ring is closed: it crosses each row an even number of times.
    for &[(row, from), (_, to)] in crossings.as_chunks::<2>().0 {
        paint(row, first_beyond(from, size.width)..first_beyond(to, size.width));
    }
    Ok(())
}

fn ellipse(
    [x, y]: [f64; 2],
    [a, b]: [f64; 2],
    degrees: f64,
    size: Size,
    mut paint: impl FnMut(usize, Range<usize>),
) -> Result<(), String> {
    finite(&[x, y, a, b, degrees])?;
    if a <= 0.0 || b <= 0.0 {
        return Ok(());
    }
    let (sin, cos) = degrees.to_radians().sin_cos();
    let reach = (a * sin).hypot(b * cos);
    let (a, b) = (a.powi(-2), b.powi(-2));
    // With u and v along the axes, a u² + b v² < 1 is quadratic in the distance from the centre along a row.
    let square = (cos * cos).mul_add(a, sin * sin * b);
    for row in first_beyond(y - reach, size.height)..first_beyond(y + reach, size.height) {
        let dy = row as f64 + 0.5 - y;
        let linear = dy * cos * sin * (a - b);
        let rest = (dy * dy).mul_add((sin * sin).mul_add(a, cos * cos * b), -1.0);
        let root = linear.mul_add(linear, -square * rest);
        if root <= 0.0 {
            continue;
        }
        let (middle, half) = (x - linear / square, root.sqrt() / square);
        let from = first_beyond(middle - half, size.width);
        // A centre upon the rim is outside, on both sides.
        let from = from + usize::from(from as f64 + 0.5 == middle - half);
        let to = first_beyond(middle + half, size.width);
        if from < to {
            paint(row, from..to);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(area: &Area, size: Size) -> Vec<String> {
        let mut rows = vec![vec![b'.'; size.width as usize]; size.height as usize];
        area.paint(size, |row, columns| rows[row][columns].fill(b'#')).unwrap();
        rows.into_iter().map(|row| String::from_utf8(row).unwrap()).collect()
    }

    #[test]
    fn a_pixel_belongs_to_what_its_centre_lies_in() {
        let size = Size::new(4, 6);
        let area = Area::rectangle([0.6, 0.4], [4.5, 2.6]);
        assert_eq!(painted(&area, size), [".###..", ".###..", ".###..", "......"]);
        let corners = Area::rectangle([4.5, 2.6], [0.6, 0.4]);
        assert_eq!(painted(&corners, size), painted(&area, size), "corners in any order");
        let far = Area::rectangle([-3e8, -3e8], [2.0, 3e8]);
        assert_eq!(painted(&far, size), ["##....", "##....", "##....", "##...."], "clipped");
        let turned = Area::turned_rectangle([1.0, 1.0], [3.0, 3.0], [1.0, 1.0], 90.0);
        assert_eq!(
            painted(&turned, size),
            ["......", "#.....", "#.....", "......"],
            "clockwise about its corner"
        );
    }

    #[test]
    fn a_ring_in_a_ring_is_a_hole() {
        let ring = |from: f64, to: f64| vec![[from, from], [to, from], [to, to], [from, to]];
        let area = Area::Rings(vec![ring(0.0, 5.0), ring(1.0, 4.0)]);
        assert_eq!(painted(&area, Size::new(5, 5)), ["#####", "#...#", "#...#", "#...#", "#####"]);
    }

    #[test]
    fn ellipses_stand_and_are_turned() {
        let size = Size::new(7, 7);
        let circle = Area::Ellipse { centre: [3.0, 3.0], radii: [2.0, 2.0], degrees: 0.0 };
        let wanted = [".......", "..##...", ".####..", ".####..", "..##...", ".......", "......."];
        assert_eq!(painted(&circle, size), wanted);
        let lying = Area::Ellipse { centre: [3.5, 3.5], radii: [3.2, 1.2], degrees: 0.0 };
        let standing = Area::Ellipse { centre: [3.5, 3.5], radii: [1.2, 3.2], degrees: 90.0 };
        assert_eq!(painted(&lying, size), painted(&standing, size));
        // Against the definition, pixel by pixel.
        let (centre, radii, degrees) = ([3.2, 3.6], [3.1, 1.4], 35.0_f64);
        let rows = painted(&Area::Ellipse { centre, radii, degrees }, size);
        let (sin, cos) = degrees.to_radians().sin_cos();
        for (row, line) in rows.iter().enumerate() {
            for (column, found) in line.bytes().enumerate() {
                let (dx, dy) = (column as f64 + 0.5 - centre[0], row as f64 + 0.5 - centre[1]);
                let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
                let inside = (u / radii[0]).powi(2) + (v / radii[1]).powi(2) < 1.0;
                assert_eq!(found == b'#', inside, "{row}, {column} of {rows:?}");
            }
        }
    }

    #[test]
    fn masks_are_clipped() {
        let covered = [true, false, true, true, true, true].to_vec();
        let area = Area::Mask { left: -1, top: 1, size: Size::new(2, 3), covered };
        assert_eq!(painted(&area, Size::new(2, 3)), ["...", ".#."]);
    }

    #[test]
    fn edges_may_be_as_long_as_numbers_go() {
        let flat = Area::Rings(vec![vec![[-1.7e308, 0.5], [1.7e308, 0.6], [0.0, 9.0]]]);
        assert_eq!(painted(&flat, Size::new(3, 4)), ["....", "####", "####"]);
        let steep = Area::Rings(vec![vec![[2.0, -1.7e308], [2.0, 1.7e308], [1.7e308, 0.0]]]);
        assert_eq!(painted(&steep, Size::new(2, 4)), ["..##", "..##"]);
        let wide = Area::Rings(vec![vec![[1.7e308, 0.5], [-1.7e308, 2.5], [1.7e308, 2.5]]]);
        assert_eq!(painted(&wide, Size::new(3, 4)), ["....", "####", "...."]);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let area = Area::Rings(vec![vec![[0.0, 0.0], [f64::NAN, 1.0], [1.0, 1.0]]]);
        assert!(area.paint(Size::new(4, 4), |_, _| {}).unwrap_err().contains("NaN"));
    }
}
