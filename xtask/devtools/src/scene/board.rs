//! One board: the grain that a piece of veneer shows.

use super::dice::Dice;
use super::noise::{Noise, floor, lerp, smoothstep};
use super::species::{Look, Rgb, Species};

/// A board of some wood, lying under the whole plane; a piece shows the part inside its outline.
pub(super) struct Board {
    look: &'static Look,
    colours: [Rgb; 2],
    /// Cosine and sine of the grain's angle.
    turn: [f32; 2],
    /// The plane's point that is the board's origin.
    origin: [f32; 2],
    /// How the plane of the cut lies to the tree's axis: its distance, its tilt, and the piece's place on it.
    cut: [f32; 3],
    ring_px: f32,
    knot: Option<Knot>,
    curl: f32,
    noise: Noise,
}

struct Knot {
    at: [f32; 2],
    radius_px: f32,
}

impl Board {
    /// The board of a piece: `angle` in radians is the grain's, `origin` a point near the piece's middle.
    pub(super) fn new(species: Species, dice: Dice, angle: f32, origin: [f32; 2]) -> Self {
        let look = species.look();
        // Two draws averaged: most boards are of middle age, and the ages at which woods look alike are rare.
        let age = f32::midpoint(dice.unit(1), dice.unit(2));
        // Fibres shine along their direction: equal woods differ in brightness by the way they are laid.
        let shine = 1.0 + look.spread * dice.normal(3).clamp(-1.6, 1.6) + 0.06 * (2.0 * angle - 0.7).cos();
        let warmth = 0.03 * dice.normal(4);
        let tint = [shine * (1.0 + warmth), shine, shine * (1.0 - warmth)];
        let colours = [0, 1]
            .map(|wood| [0, 1, 2].map(|c| lerp(look.fresh[wood][c], look.aged[wood][c], age) * tint[c]));
        let knot = (dice.unit(5) < look.knots).then(|| Knot {
            at: [dice.range(6, -28.0, 28.0), dice.range(7, -28.0, 28.0)],
            radius_px: dice.range(8, 3.0, 8.0),
        });
        Self {
            look,
            colours,
            turn: [angle.cos(), angle.sin()],
            origin,
            cut: [dice.range(9, 10.0, 60.0), dice.range(10, -0.35, 0.35), dice.range(11, -130.0, 130.0)],
            ring_px: look.ring_px * dice.range(12, 0.55, 1.7),
            knot,
            curl: look.curl * (1.6 * dice.unit(13) - 0.3).max(0.0),
            noise: Noise::new(dice, 14),
        }
    }

    /// The colour at a point of the plane.
    pub(super) fn colour(&self, x: f32, y: f32) -> Rgb {
        let (dx, dy) = (x - self.origin[0], y - self.origin[1]);
        let along = self.turn[0] * dx + self.turn[1] * dy;
        let across = self.turn[0] * dy - self.turn[1] * dx;
        let bent = across + self.look.wave_px * self.noise.rough(along / 95.0, across / 60.0);
        let knot = self.knot(along, across);
        let late = self.late_wood(along, bent, knot);
        let brightness = self.brightness(along, bent) * (1.0 - 0.55 * knot * knot);
        [0, 1, 2].map(|c| lerp(self.colours[0][c], self.colours[1][c], late) * brightness)
    }

    /// How far a point is in the late, dark wood of its ring: 0 to 1.
    fn late_wood(&self, along: f32, bent: f32, knot: f32) -> f32 {
        // A board is a plane through a cone of rings; where it comes near the axis, the rings show as arches.
        let [distance, tilt, aside] = self.cut;
        let (reach, depth) = (bent + aside, distance + tilt * along);
        let radius = (reach * reach + depth * depth).sqrt() + 26.0 * knot;
        let ring = radius / self.ring_px + 0.7 * self.noise.along(radius / (2.6 * self.ring_px));
        let year = floor(ring) as f32;
        let phase = ring - year;
        // Wood darkens slowly towards the end of a year, and the next begins at once.
        let profile = smoothstep(0.15, 0.85, phase) * smoothstep(1.0, 0.93, phase);
        let strength = self.look.rings * (0.75 + 0.25 * self.noise.at(7.7 * year, along / 140.0));
        let stain =
            self.look.streaks * smoothstep(0.25, 0.75, self.noise.at(along / 70.0 + 31.0, bent / 7.0));
        0.15 + strength * profile + 2.0 * stain
    }

    /// The light that fibres, pores and figure give back: about 1.
    fn brightness(&self, along: f32, bent: f32) -> f32 {
        let look = self.look;
        let fibres = look.fibres * self.noise.at(along / 22.0 + 5.0, bent / 1.3);
        let pore = smoothstep(0.42, 0.75, self.noise.at(along / 9.0, bent / 1.1 + 80.0));
        let ribbon = look.ribbon * self.noise.at(along / 260.0, bent / 8.0 + 40.0);
        let curl = if self.curl > 0.0 {
            let wander = 1.8 * self.noise.at(along / 30.0, bent / 45.0 + 60.0);
            self.curl * (along / 2.6 + 3.0 * wander).sin()
        } else {
            0.0
        };
        (1.0 + fibres + ribbon + curl) * (1.0 - look.pores * pore)
    }

    /// 1 in the middle of a knot, falling to 0 around it.
    fn knot(&self, along: f32, across: f32) -> f32 {
        self.knot.as_ref().map_or(0.0, |knot| {
            let (dx, dy) = ((along - knot.at[0]) / 1.7, across - knot.at[1]);
            (-(dx * dx + dy * dy) / (2.0 * knot.radius_px * knot.radius_px)).exp()
        })
    }
}
