//! Where the pieces lie: panels of veneer, bands across them, motifs on top.

use super::dice::Dice;
use super::motif::Motif;
use super::noise::{Noise, floor};
use super::species::Species;
use super::tiling::{Cell, Cubes, Voronoi};

/// The mean distance of panels, of bands and of motifs.
const PANEL_PX: f32 = 470.0;
const BAND_PX: f32 = 310.0;
const MOTIF_PX: f32 = 250.0;

/// What lies at one point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Tells pieces apart, and seeds what differs between them.
    pub(super) dice: Dice,
    pub(super) species: Species,
    /// The grain's angle in radians.
    pub(super) angle: f32,
    /// A point near the piece's middle.
    pub(super) middle: [f32; 2],
    /// The distance from the point to the piece's outline.
    pub(super) edge_px: f32,
    /// How strongly its outline was scorched in hot sand, as marquetry makers do for depth: 0 to 1.
    pub(super) scorch: f32,
}

impl Piece {
    /// This piece with another let into it; `outside_px` is the distance to that one's outline, negative inside.
    pub(super) fn with_inlay(self, inlay: Self, outside_px: f32) -> Self {
        if outside_px < 0.0 {
            Self { edge_px: inlay.edge_px.min(-outside_px), ..inlay }
        } else {
            Self { edge_px: self.edge_px.min(outside_px), ..self }
        }
    }
}

/// The pieces of a picture without bounds.
pub(super) struct Layout {
    dice: Dice,
    bend: [Noise; 2],
    panels: Voronoi,
    panel: Option<Panel>,
    band_wave: Noise,
    band_angle: f32,
    /// Sine and cosine of the bands' angle.
    band_turn: (f32, f32),
    motif: Option<((i32, i32), Option<Motif>)>,
}

impl Layout {
    pub(super) fn new(dice: Dice) -> Self {
        let band_angle = dice.range(5, 0.0, std::f32::consts::PI);
        Self {
            dice,
            bend: [Noise::new(dice, 1), Noise::new(dice, 2)],
            panels: Voronoi::new(dice.named(3), PANEL_PX),
            panel: None,
            band_wave: Noise::new(dice, 4),
            band_angle,
            band_turn: band_angle.sin_cos(),
            motif: None,
        }
    }

    /// The piece at a point. Points near the last one asked for are cheap.
    pub(super) fn piece_at(&mut self, x: f32, y: f32) -> Piece {
        // Bent coordinates bend every outline that is straight in them.
        let bent_x = x + 13.0 * self.bend[0].rough(x / 85.0, y / 85.0);
        let bent_y = y + 13.0 * self.bend[1].rough(x / 85.0, y / 85.0);
        let mut piece = self.ground(bent_x, bent_y);
        if let Some((band, outside_px)) = self.band(x, y) {
            piece = piece.with_inlay(band, outside_px);
        }
        let cell = (floor(x / MOTIF_PX), floor(y / MOTIF_PX));
        if self.motif.as_ref().is_none_or(|(at, _)| *at != cell) {
            let middle = [(cell.0 as f32 + 0.5) * MOTIF_PX, (cell.1 as f32 + 0.5) * MOTIF_PX];
            self.motif = Some((cell, Motif::draw(self.dice.named(6).at(cell.0, cell.1), middle, MOTIF_PX)));
        }
        if let Some((_, Some(motif))) = &self.motif
            && let Some((inlay, outside_px)) = motif.piece_at(x, y)
        {
            piece = piece.with_inlay(inlay, outside_px);
        }
        piece
    }

    fn ground(&mut self, x: f32, y: f32) -> Piece {
        let cell = self.panels.cell_at(x, y);
        if self.panel.as_ref().is_none_or(|panel| panel.dice != cell.dice) {
            self.panel = Some(Panel::draw(cell.dice));
        }
        let panel = self.panel.get_or_insert_with(|| Panel::draw(cell.dice));
        let piece = panel.piece_at(x, y);
        Piece { edge_px: piece.edge_px.min(cell.edge_px), ..piece }
    }

    /// The band near a point: three strips side by side, sawn into lengths.
    fn band(&self, x: f32, y: f32) -> Option<(Piece, f32)> {
        let (sin, cos) = self.band_turn;
        let along = cos * x + sin * y;
        let across = cos * y - sin * x + 46.0 * self.band_wave.along(along / 150.0);
        let row = floor(across / BAND_PX + 0.5);
        let dice = self.dice.named(7).at(row, 0);
        let half_px = dice.range(1, 5.0, 10.0);
        let aside = across - row as f32 * BAND_PX;
        let outside_px = aside.abs() - half_px;
        if outside_px > 4.0 || dice.unit(2) < 0.2 {
            return None;
        }
        let core_px = half_px * dice.range(3, 0.3, 0.6);
        let in_core = aside.abs() < core_px;
        let length = floor(along / 110.0 + if in_core { 0.0 } else { 0.5 });
        let middle = (length as f32 + 0.5) * 110.0;
        let strip = if in_core { 0 } else { 1 + i32::from(aside > 0.0) };
        let woods = dice.weighted(4, &[1.0; 5]);
        let species =
            Species::ALL[if in_core { woods } else { (woods + 1 + dice.weighted(5, &[1.0; 4])) % 5 }];
        let piece = Piece {
            dice: dice.at(length, strip),
            species,
            angle: self.band_angle,
            middle: [middle * cos, middle * sin],
            edge_px: (aside.abs() - core_px).abs(),
            scorch: 0.0,
        };
        Some((piece, outside_px))
    }
}

/// A region of one pattern and one choice of woods.
struct Panel {
    dice: Dice,
    pattern: Pattern,
    weights: [f32; 5],
    /// The grain's usual direction, and how far single pieces leave it.
    angle: f32,
    turn: (f32, f32),
    freedom: f32,
    /// How strongly cells are drawn out along the panel's angle.
    stretch: f32,
}

enum Pattern {
    Shards(Box<Voronoi>),
    Cubes(Cubes),
}

impl Panel {
    fn draw(dice: Dice) -> Self {
        let pattern = if dice.unit(1) < 0.68 {
            Pattern::Shards(Box::new(Voronoi::new(dice.named(2), dice.range(3, 50.0, 88.0))))
        } else {
            Pattern::Cubes(Cubes::new(dice.named(2), dice.range(3, 34.0, 56.0)))
        };
        // Every panel favours some woods; ebony stays rare, as it is dear.
        let rarity = [1.0, 1.1, 1.1, 1.0, 0.35];
        let weights = std::array::from_fn(|wood| rarity[wood] * dice.range(10 + wood as u64, 0.25, 1.0));
        let angle = dice.range(4, 0.0, std::f32::consts::PI);
        Self {
            dice,
            pattern,
            weights,
            angle,
            turn: angle.sin_cos(),
            freedom: dice.range(5, 0.15, 1.6),
            stretch: dice.range(6, 1.0, 2.2),
        }
    }

    fn piece_at(&mut self, x: f32, y: f32) -> Piece {
        let (sin, cos) = self.turn;
        let cell = match &mut self.pattern {
            Pattern::Shards(voronoi) => {
                let cell = voronoi.cell_at((cos * x + sin * y) / self.stretch, cos * y - sin * x);
                let [along, across] = [cell.middle[0] * self.stretch, cell.middle[1]];
                let angle = self.angle + self.freedom * cell.dice.normal(20);
                Cell { middle: [cos * along - sin * across, sin * along + cos * across], angle, ..cell }
            }
            Pattern::Cubes(cubes) => cubes.cell_at(x, y),
        };
        Piece {
            dice: cell.dice,
            species: Species::ALL[cell.dice.weighted(21, &self.weights)],
            angle: cell.angle,
            middle: cell.middle,
            edge_px: cell.edge_px,
            scorch: if cell.dice.unit(22) < 0.3 { 0.5 } else { 0.0 },
        }
    }
}
