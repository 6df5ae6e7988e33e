//! Inlaid motifs: medallions, leaves and rosettes.

use super::dice::Dice;
use super::layout::Piece;
use super::species::Species;
use std::f32::consts::{FRAC_PI_2, TAU};

/// One motif, drawn around its middle.
pub(super) struct Motif {
    dice: Dice,
    middle: [f32; 2],
    turn: f32,
    radius_px: f32,
    shape: Shape,
    woods: [Species; 3],
}

enum Shape {
    /// An ellipse with a rim; the number is its height by its width.
    Medallion(f32),
    /// A leaf of two halves; the number is the half width of its bow by the radius.
    Leaf(f32),
    /// A flower of so many petals with an eye.
    Rosette(u32),
}

impl Motif {
    /// The motif of a square cell with this middle, if it has one. It never reaches out of its cell.
    pub(super) fn draw(dice: Dice, cell_middle: [f32; 2], cell_px: f32) -> Option<Self> {
        if dice.unit(1) < 0.3 {
            return None;
        }
        let radius_px = dice.range(2, 0.17, 0.34) * cell_px;
        let free_px = (cell_px / 2.0 - radius_px - 4.0).max(0.0);
        let shape = match dice.weighted(3, &[1.0, 1.3, 1.3]) {
            0 => Shape::Medallion(dice.range(4, 0.55, 0.95)),
            1 => Shape::Leaf(dice.range(4, 0.42, 0.65)),
            _ => Shape::Rosette(5 + (dice.unit(4) * 5.0) as u32),
        };
        // Three different woods: a shuffle by steps that are coprime to five.
        let first = dice.weighted(5, &[1.0; 5]);
        let step = 1 + dice.weighted(6, &[1.0; 4]);
        Some(Self {
            dice,
            middle: [
                cell_middle[0] + free_px * dice.range(7, -1.0, 1.0),
                cell_middle[1] + free_px * dice.range(8, -1.0, 1.0),
            ],
            turn: dice.range(9, 0.0, TAU),
            radius_px,
            shape,
            woods: [0, 1, 2].map(|place| Species::ALL[(first + place * step) % 5]),
        })
    }

    /// The motif's piece at a point and the distance to the motif's outline, negative inside; `None` well outside.
    pub(super) fn piece_at(&self, x: f32, y: f32) -> Option<(Piece, f32)> {
        let (sin, cos) = self.turn.sin_cos();
        let (dx, dy) = (x - self.middle[0], y - self.middle[1]);
        let (u, v) = (cos * dx + sin * dy, cos * dy - sin * dx);
        if u * u + v * v > (self.radius_px + 4.0).powi(2) {
            return None;
        }
        Some(match self.shape {
            Shape::Medallion(flatness) => self.medallion(u, v, flatness),
            Shape::Leaf(bow) => self.leaf(u, v, bow),
            Shape::Rosette(petals) => self.rosette(u, v, petals),
        })
    }

    fn piece(&self, part: u64, wood: Species, angle: f32, edge_px: f32, scorch: f32) -> Piece {
        Piece {
            dice: self.dice.named(100 + part),
            species: wood,
            angle: self.turn + angle,
            middle: self.middle,
            edge_px,
            scorch,
        }
    }

    fn medallion(&self, u: f32, v: f32, flatness: f32) -> (Piece, f32) {
        let height_px = flatness * self.radius_px;
        let outside_px = to_ellipse(u, v, self.radius_px, height_px);
        let rim_px = 5.0 + 0.06 * self.radius_px;
        let to_field = to_ellipse(u, v, self.radius_px - rim_px, height_px - rim_px);
        if to_field < 0.0 {
            return (
                self.piece(0, self.woods[0], self.dice.range(20, -0.5, 0.5), -to_field, 0.4),
                outside_px,
            );
        }
        // The rim is bent from four lengths, each with its grain along it.
        let quarter = (v.atan2(u).rem_euclid(TAU) / FRAC_PI_2).floor().min(3.0);
        let angle = (quarter + 0.5) * FRAC_PI_2 + FRAC_PI_2;
        let seam_px = u.abs().min(v.abs());
        (self.piece(1 + quarter as u64, self.woods[1], angle, to_field.min(seam_px), 0.0), outside_px)
    }

    fn leaf(&self, u: f32, v: f32, bow: f32) -> (Piece, f32) {
        // Two circles cross in the leaf's tips, which lie at distance `radius` from its middle.
        let half_px = bow * self.radius_px;
        let circle_px = (self.radius_px.powi(2) + half_px.powi(2)) / (2.0 * half_px);
        let shift = circle_px - half_px;
        let outside_px = u.hypot(v.abs() + shift) - circle_px;
        let midrib = 0.10 * half_px * (2.4 * u / self.radius_px).sin();
        let upper = v < midrib;
        let lean = if upper { 0.5 } else { -0.5 };
        let wood = self.woods[usize::from(upper)];
        (self.piece(u64::from(upper), wood, lean, (v - midrib).abs(), 0.6), outside_px)
    }

    fn rosette(&self, u: f32, v: f32, petals: u32) -> (Piece, f32) {
        let radius = u.hypot(v);
        let eye_px = 0.24 * self.radius_px;
        if radius < eye_px {
            return (self.piece(0, self.woods[2], 0.0, eye_px - radius, 0.0), radius - self.radius_px);
        }
        let turn = v.atan2(u).rem_euclid(TAU) / TAU * petals as f32;
        let petal = turn.floor().min(petals as f32 - 1.0);
        let from_rib = (turn - petal - 0.5) * 2.0;
        // Petals end in round bows; the factor turns the radial distance into about the shortest one.
        let reach_px = self.radius_px * (0.62 + 0.38 * (1.0 - from_rib * from_rib).max(0.0).sqrt());
        let outside_px = (radius - reach_px) * 0.75;
        let seam_px = radius * ((1.0 - from_rib.abs()) * std::f32::consts::PI / petals as f32).sin();
        let wood = self.woods[if petals.is_multiple_of(2) { petal as usize % 2 } else { 0 }];
        let angle = (petal + 0.5) * TAU / petals as f32;
        (self.piece(1 + petal as u64, wood, angle, seam_px.min(radius - eye_px), 0.8), outside_px)
    }
}

/// About the distance to an ellipse's outline, negative inside.
fn to_ellipse(u: f32, v: f32, half_width: f32, half_height: f32) -> f32 {
    let level = (u / half_width).hypot(v / half_height);
    let slope = (u / half_width.powi(2)).hypot(v / half_height.powi(2));
    if slope < 1e-6 { -half_height } else { level * (level - 1.0) / slope }
}
