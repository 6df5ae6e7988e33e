//! Small pictures of an image, its mask and its confidence.

use crate::read::{Depth, Image, Pixels, ReadError};
use marquetry_geometry::{Rect, Size};
use png::EncodingError;

/// Longest side of a picture, px.
const SIDE_MAX: u32 = 224;

/// Which pixels of an image are in its picture: one in each square of `step` px.
#[derive(Debug, Clone, Copy)]
pub struct Thumbnail {
    step: u32,
    size: Size,
}

impl Thumbnail {
    /// The picture of an image of this size, px; its longest side is at most 224 px.
    pub fn new(image: Size) -> Self {
        let step = image.height.max(image.width).div_ceil(SIDE_MAX).max(1);
        Self { step, size: Size::new(image.height.div_ceil(step), image.width.div_ceil(step)) }
    }

    /// Whether row `y` of the image is in the picture.
    pub const fn has_row(&self, y: u32) -> bool {
        y.is_multiple_of(self.step)
    }

    /// The values of one image row that are in the picture.
    pub fn of<T: Copy>(self, row: &[T]) -> impl Iterator<Item = T> + '_ {
        row.iter().copied().step_by(self.step as usize)
    }

    /// The values of a whole image, `[H, W]` row by row, that are in the picture.
    pub fn of_image<T: Copy>(self, image: &[T], width: u32) -> Vec<T> {
        let rows = image.chunks_exact(width.max(1) as usize).zip(0..).filter(|&(_, y)| self.has_row(y));
        rows.flat_map(|(row, _)| self.of(row)).collect()
    }

    /// How many pixels of the image stand in one of the picture, on each side.
    pub const fn step(&self) -> u32 {
        self.step
    }

    /// The picture's own size, px.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The image itself, red, green and blue: the first three bands, stretched from the smallest to the greatest value if
    /// samples are not 8-bit.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn image(self, image: &Image) -> Result<Vec<u8>, ReadError> {
        let info = image.info().clone();
        let mut rgb = vec![0.0_f32; self.size.area() as usize * 3];
        let mut pixels = Pixels::default();
        for (row, y) in (0..info.size.height).step_by(self.step as usize).enumerate() {
            let line = Rect::new(i64::from(y), 0, Size::new(1, info.size.width));
            image.read(line, &mut pixels)?;
            for channel in 0..3 {
                let band = if info.bands >= 3 { channel } else { 0 };
                let values = &pixels.data[band * info.size.width as usize..][..info.size.width as usize];
                let start = row * self.size.width as usize;
                for (x, value) in self.of(values).enumerate() {
                    rgb[(start + x) * 3 + channel] = value;
                }
            }
        }
        let (low, high) = if info.depth == Depth::U8 {
            (0.0, 255.0)
        } else {
            rgb.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)))
        };
        let stretch = 255.0 / (high - low).max(f32::MIN_POSITIVE);
        Ok(rgb.iter().map(|v| ((v - low) * stretch).clamp(0.0, 255.0) as u8).collect())
    }

    /// A mask, `[h, w]` of labels, red, green and blue in the colours of the classes; what is no class is grey.
    pub fn mask(self, labels: &[u16], colours: &[[u8; 3]]) -> Vec<u8> {
        let colour = |l: &u16| colours.get(*l as usize).copied().unwrap_or([128; 3]);
        labels.iter().flat_map(colour).collect()
    }

    /// A confidence map, `[h, w]` of 0 to 1: from dark violet over orange to pale yellow.
    pub fn confidence(self, values: &[f32]) -> Vec<u8> {
        const STOPS: [[f32; 3]; 5] = [
            [10.0, 7.0, 34.0],
            [87.0, 16.0, 110.0],
            [188.0, 55.0, 84.0],
            [249.0, 142.0, 9.0],
            [252.0, 255.0, 164.0],
        ];
        let colour = |v: &f32| {
            let at = v.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
            let low = (at as usize).min(STOPS.len() - 2);
            let share = at - low as f32;
            std::array::from_fn::<u8, 3, _>(|c| {
                (STOPS[low][c] + (STOPS[low + 1][c] - STOPS[low][c]) * share) as u8
            })
        };
        values.iter().flat_map(colour).collect()
    }

    /// Several pictures of one size side by side, as PNG.
    ///
    /// # Errors
    /// When there is none, or one is not of its size.
    pub fn strip(self, pictures: &[Vec<u8>]) -> Result<Vec<u8>, EncodingError> {
        let line = self.size.width as usize * 3;
        let row = |y: usize| pictures.iter().flat_map(move |p| p[y * line..(y + 1) * line].iter().copied());
        let rgb: Vec<u8> = (0..self.size.height as usize).flat_map(row).collect();
        encode(Size::new(self.size.height, self.size.width * pictures.len() as u32), &rgb)
    }

    /// A picture as PNG.
    ///
    /// # Errors
    /// When `rgb` is not of its size.
    pub fn png(self, rgb: &[u8]) -> Result<Vec<u8>, EncodingError> {
        encode(self.size, rgb)
    }
}

fn encode(size: Size, rgb: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(rgb)?;
    Ok(out)
}
