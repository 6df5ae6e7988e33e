//! Two ways to divide the plane into cells.

use super::dice::Dice;
use super::noise::floor;
use std::f32::consts::{FRAC_PI_2, FRAC_PI_3, PI};

/// The cell at a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// The cell's own seed.
    pub(super) dice: Dice,
    pub(super) middle: [f32; 2],
    /// A direction that suits the cell, in radians.
    pub(super) angle: f32,
    /// The distance from the point to the cell's border.
    pub(super) edge_px: f32,
}

/// Voronoi cells around jittered lattice points.
#[derive(Debug)]
pub(super) struct Voronoi {
    dice: Dice,
    spacing_px: f32,
    /// What the point asked for last needed; its neighbours mostly need the same.
    near: Option<Neighbourhood>,
}

impl Voronoi {
    pub(super) const fn new(dice: Dice, spacing_px: f32) -> Self {
        Self { dice, spacing_px, near: None }
    }

    pub(super) fn cell_at(&mut self, x: f32, y: f32) -> Cell {
        let lattice = (floor(x / self.spacing_px), floor(y / self.spacing_px));
        if self.near.as_ref().is_none_or(|near| near.lattice != lattice) {
            self.near = None;
        }
        let near = self.near.get_or_insert_with(|| Neighbourhood::new(self.dice, self.spacing_px, lattice));
        near.cell_at(x, y)
    }
}

/// The nine sites around a lattice cell.
#[derive(Debug)]
struct Neighbourhood {
    lattice: (i32, i32),
    dice: [Dice; 9],
    middles: [[f32; 2]; 9],
    /// A site, and its borders to all: the unit vector towards the other site and how far along it the border lies.
    borders: (usize, [([f32; 2], f32); 9]),
}

impl Neighbourhood {
    fn new(dice: Dice, spacing_px: f32, lattice: (i32, i32)) -> Self {
        let corner = |index: usize| (lattice.0 - 1 + index as i32 % 3, lattice.1 - 1 + index as i32 / 3);
        let dice: [Dice; 9] = std::array::from_fn(|index| dice.at(corner(index).0, corner(index).1));
        let middles = std::array::from_fn(|index| {
            // A jitter of up to 0.4 keeps the nearest site within the nine.
            let place = |start: i32, name| (start as f32 + dice[index].range(name, 0.1, 0.9)) * spacing_px;
            [place(corner(index).0, 1), place(corner(index).1, 2)]
        });
        Self { lattice, dice, middles, borders: (4, borders(&middles, 4)) }
    }

    fn cell_at(&mut self, x: f32, y: f32) -> Cell {
        let squares = self.middles.map(|middle| (middle[0] - x).powi(2) + (middle[1] - y).powi(2));
        let nearest = (0..9).fold(4, |best, index| if squares[index] < squares[best] { index } else { best });
        if self.borders.0 != nearest {
            self.borders = (nearest, borders(&self.middles, nearest));
        }
        let middle = self.middles[nearest];
        let edge_px = self.borders.1.iter().fold(f32::INFINITY, |edge_px, (towards, reach)| {
            edge_px.min(reach - towards[0] * (x - middle[0]) - towards[1] * (y - middle[1]))
        });
        Cell { dice: self.dice[nearest], middle, angle: 0.0, edge_px: edge_px.max(0.0) }
    }
}

/// The borders of one site, half-way to each other one; to itself there is none, at an infinite distance.
fn borders(middles: &[[f32; 2]; 9], site: usize) -> [([f32; 2], f32); 9] {
    std::array::from_fn(|index| {
        let line = [middles[index][0] - middles[site][0], middles[index][1] - middles[site][1]];
        let length = line[0].hypot(line[1]);
        if index == site { ([0.0; 2], f32::INFINITY) } else { (line.map(|part| part / length), length / 2.0) }
    })
}

/// Tumbling blocks: hexagons of three rhombi, seen as cubes.
#[derive(Debug)]
pub(super) struct Cubes {
    dice: Dice,
    side_px: f32,
}

impl Cubes {
    pub(super) const fn new(dice: Dice, side_px: f32) -> Self {
        Self { dice, side_px }
    }

    pub(super) fn cell_at(&self, x: f32, y: f32) -> Cell {
        let (width, height) = (3.0f32.sqrt() * self.side_px, 3.0 * self.side_px);
        // The middles of hexagons are two rectangular lattices, one in the middles of the other.
        let middles = [0.0, 0.5].map(|shift: f32| {
            let (column, row) = ((x / width - shift).round(), (y / height - shift).round());
            (column, row, [(column + shift) * width, (row + shift) * height])
        });
        let square = |middle: [f32; 2]| (x - middle[0]).powi(2) + (y - middle[1]).powi(2);
        let odd = usize::from(square(middles[1].2) < square(middles[0].2));
        let (column, row, middle) = middles[odd];
        let (dx, dy) = (x - middle[0], y - middle[1]);

        let to_side = (0..3)
            .map(|side| {
                let (sin, cos) = (side as f32 * FRAC_PI_3).sin_cos();
                width / 2.0 - (cos * dx + sin * dy).abs()
            })
            .fold(f32::INFINITY, f32::min);
        let turn = (dy.atan2(dx) - FRAC_PI_2).rem_euclid(2.0 * PI) / (2.0 * FRAC_PI_3);
        let sector = turn.floor().min(2.0);
        let from_line = 2.0 * FRAC_PI_3 * (turn - sector).min(1.0 - (turn - sector)).max(0.0);
        let to_line = dx.hypot(dy) * from_line.sin();

        let face = FRAC_PI_2 + 2.0 * FRAC_PI_3 * (sector + 0.5);
        let reach = self.side_px / 2.0;
        Cell {
            dice: self.dice.at(2 * column as i32 + odd as i32, row as i32).named(sector as u64),
            middle: [middle[0] + reach * face.cos(), middle[1] + reach * face.sin()],
            angle: face + FRAC_PI_3,
            edge_px: to_side.min(to_line).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small step never crosses into another cell while the border is farther away than the step.
    #[test]
    fn edge_distance_bounds_the_way_to_another_cell() {
        let mut voronoi = Voronoi::new(Dice::new(5), 40.0);
        let cubes = Cubes::new(Dice::new(6), 30.0);
        for step in 0..4000 {
            let (x, y) = (step as f32 * 0.37 - 500.0, (step as f32 * 1.91) % 300.0 - 150.0);
            let pairs = [
                (voronoi.cell_at(x, y), voronoi.cell_at(x + 0.8, y + 0.6)),
                (cubes.cell_at(x, y), cubes.cell_at(x + 0.8, y + 0.6)),
            ];
            for (here, there) in pairs {
                assert!(here.edge_px < 1.001 || here.dice == there.dice, "({x}, {y}) {here:?} {there:?}");
            }
        }
    }
}
