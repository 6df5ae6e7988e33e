//! Pictures of marquetry, drawn by a seed: the demo's data.
//!
//! A seed stands for one picture without bounds, in which every pixel is computed from its place alone. Any rectangle
//! can be painted, of any size, and pieces are as large in a small picture as in a huge one. The classes are five
//! woods whose colours overlap; grain and figure tell them apart where colour does not.

mod board;
mod camera;
mod dataset;
mod dice;
mod layout;
mod motif;
mod noise;
mod species;
mod tiling;

pub(crate) use dataset::{DatasetSpec, write_dataset, write_mask, write_scene};
pub(crate) use dice::Dice;

use board::Board;
use camera::Camera;
use layout::{Layout, Piece};
use marquetry_geometry::{Rect, Size};
use noise::smoothstep;
use species::{Rgb, Species};

/// The names of the classes, in the order of their indices in masks.
pub(crate) fn class_names() -> Vec<&'static str> {
    Species::ALL.map(Species::name).to_vec()
}

/// A painted rectangle and the truth about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) size: Size,
    /// `[H, W, 3]`, red, green, blue.
    pub(crate) image: Vec<u8>,
    /// `[H, W]`, class indices.
    pub(crate) mask: Vec<u8>,
}

/// Rows painted at a time: bounds the memory of a huge picture.
const BAND_ROWS: u32 = 128;

/// Paints a rectangle of the picture that the seed stands for.
pub(crate) fn paint(seed: u64, rect: Rect) -> Scene {
    let mut painter = Painter::new(Dice::new(seed));
    let area = rect.size.area() as usize;
    let mut scene =
        Scene { size: rect.size, image: Vec::with_capacity(3 * area), mask: Vec::with_capacity(area) };
    let mut top = rect.top;
    while top < rect.bottom() {
        let rows = (rect.bottom() - top).min(i64::from(BAND_ROWS)) as u32;
        painter.paint_band(Rect::new(top, rect.left, Size::new(rows, rect.size.width)), &mut scene);
        top += i64::from(rows);
    }
    scene
}

struct Painter {
    layout: Layout,
    camera: Camera,
    /// The board of the piece painted last: neighbours in a row mostly share it.
    board: Option<(Dice, Board)>,
}

impl Painter {
    fn new(dice: Dice) -> Self {
        Self { layout: Layout::new(dice.named(1)), camera: Camera::new(dice.named(2)), board: None }
    }

    /// Appends the band's pixels and classes to the scene.
    fn paint_band(&mut self, band: Rect, scene: &mut Scene) {
        let margin = self.camera.margin_px();
        let outer = band.grown(Size::square(margin));
        let width = outer.size.width as usize;
        let mut colours = Vec::with_capacity(outer.size.area() as usize);
        for y in outer.top..outer.bottom() {
            for x in outer.left..outer.right() {
                let piece = self.layout.piece_at(x as f32, y as f32);
                colours.push(self.colour(&piece, x as f32, y as f32));
                if band.contains(Rect::new(y, x, Size::square(1))) {
                    scene.mask.push(piece.species.class());
                }
            }
        }
        self.camera.blur(&mut colours, width);
        let inner = colours.chunks_exact(width).skip(margin as usize);
        for (y, row) in (band.top..band.bottom()).zip(inner) {
            for (x, colour) in (band.left..band.right()).zip(&row[margin as usize..]) {
                scene.image.extend(self.camera.developed(*colour, x as i32, y as i32));
            }
        }
    }

    fn colour(&mut self, piece: &Piece, x: f32, y: f32) -> Rgb {
        if self.board.as_ref().is_none_or(|(dice, _)| *dice != piece.dice) {
            self.board = None;
        }
        let (_, board) = self.board.get_or_insert_with(|| {
            (piece.dice, Board::new(piece.species, piece.dice, piece.angle, piece.middle))
        });
        let scorch = 1.0 - 0.55 * piece.scorch * (-piece.edge_px / 6.0).exp();
        let glue = 0.30 + 0.70 * smoothstep(0.15, 1.15, piece.edge_px);
        let wood = board.colour(x, y).map(|level| level * scorch * glue);
        self.camera.lit(wood, x, y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_picture() {
        let rect = Rect::whole(Size::new(70, 90));
        assert_eq!(paint(3, rect), paint(3, rect));
        assert_ne!(paint(3, rect).image, paint(4, rect).image);
    }

    /// Parts painted alone fit together without a seam, also where the whole is painted in several bands.
    #[test]
    fn a_part_equals_the_same_part_of_the_whole() {
        let whole = paint(11, Rect::whole(Size::new(BAND_ROWS + 60, 150)));
        let part = paint(11, Rect::new(100, 40, Size::new(80, 70)));
        for row in 0..80usize {
            let start = (row + 100) * 150 + 40;
            assert_eq!(part.mask[row * 70..][..70], whole.mask[start..][..70]);
            assert_eq!(part.image[row * 210..][..210], whole.image[3 * start..][..210], "row {row}");
        }
    }

    #[test]
    fn every_wood_is_used() {
        let scene = paint(1, Rect::whole(Size::square(700)));
        let mut counts = [0usize; 5];
        for class in &scene.mask {
            counts[usize::from(*class)] += 1;
        }
        assert!(counts.iter().all(|count| *count > scene.mask.len() / 50), "{counts:?}");
    }
}
