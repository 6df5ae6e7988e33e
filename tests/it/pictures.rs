//! Images made in code, and the chance in tests.

use std::time::{SystemTime, UNIX_EPOCH};

/// The seed of a test whose course is random: `MARQUETRY_SEED`, or one of the moment. Who takes it prints it.
pub(crate) fn seed() -> u64 {
    let from_clock =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| u64::from(t.subsec_nanos()));
    std::env::var("MARQUETRY_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(from_clock)
}

/// Numbers that look random; the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// From `low` to less than `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.next() as f64 / (1_u64 << 53) as f64
    }
}

/// An RGB image `[H, W, 3]` of soft waves with discs on them, and some noise: nothing in it is symmetric.
pub(crate) fn scene(height: usize, width: usize, seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let waves: Vec<[f64; 3]> = (0..3).map(|_| [(); 3].map(|()| dice.between(0.02, 0.2))).collect();
    let discs: Vec<[f64; 6]> = (0..=height * width / 900)
        .map(|_| {
            let [y, x] = [height, width].map(|side| dice.between(0.0, side as f64));
            let [r, g, b] = [(); 3].map(|()| dice.between(-90.0, 90.0));
            [y, x, dice.between(3.0, 14.0), r, g, b]
        })
        .collect();
    let mut pixels = Vec::with_capacity(height * width * 3);
    for y in 0..height {
        for x in 0..width {
            let (fy, fx) = (y as f64, x as f64);
            for (channel, [down, right, phase]) in waves.iter().enumerate() {
                let wave = 128.0 + 60.0 * (fy * down + fx * right + phase * 40.0).sin();
                let on = |d: &&[f64; 6]| (fy - d[0]).hypot(fx - d[1]) < d[2];
                let disc: f64 = discs.iter().filter(on).map(|d| d[3 + channel]).sum();
                pixels.push((wave + disc + dice.between(-12.0, 12.0)).clamp(0.0, 255.0) as u8);
            }
        }
    }
    pixels
}

/// A [`scene`] as an uncompressed 24-bit bitmap.
pub(crate) fn bmp(height: usize, width: usize, seed: u64) -> Vec<u8> {
    bmp_of(height, width, &scene(height, width, seed))
}

/// RGB pixels `[H, W, 3]` as an uncompressed 24-bit bitmap.
pub(crate) fn bmp_of(height: usize, width: usize, pixels: &[u8]) -> Vec<u8> {
    let row_bytes = (width * 3).next_multiple_of(4);
    let mut file = b"BM".to_vec();
    let numbers = |file: &mut Vec<u8>, numbers: &[usize]| {
        numbers.iter().for_each(|&n| file.extend((n as u32).to_le_bytes()));
    };
    numbers(&mut file, &[54 + row_bytes * height, 0, 54, 40, width, height]);
    // One plane, 24 bits a pixel, no compression; the rest may be zero.
    numbers(&mut file, &[1 | 24 << 16, 0, 0, 0, 0, 0, 0]);
    for row in pixels.chunks_exact(width * 3).rev() {
        let start = file.len();
        file.extend(row.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]));
        file.resize(start + row_bytes, 0);
    }
    file
}

/// Values as a grey PNG, row by row.
pub(crate) fn grey_png(width: usize, values: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, (values.len() / width) as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(values)).expect("a PNG");
    file
}

/// A [`scene`] as a PNG; with one band it is grey.
pub(crate) fn png(height: usize, width: usize, bands: usize, seed: u64) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    let grey = bands == 1;
    encoder.set_color(if grey { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    let pixels: Vec<u8> = scene(height, width, seed).into_iter().step_by(if grey { 3 } else { 1 }).collect();
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("an end");
    file
}

/// A PNG of nothing but white.
pub(crate) fn white(height: u32, width: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&vec![255; height as usize * width as usize * 3]).expect("pixels");
    writer.finish().expect("an end");
    file
}

/// A plain TIFF of 8-bit samples `[H, W, bands]`, none of which is alpha; 5 bands at least.
pub(crate) fn tiff(height: usize, width: usize, bands: usize) -> Vec<u8> {
    let (depths, pixels) = (8 + 2 + 8 * 12 + 4, 8 + 2 + 8 * 12 + 4 + bands * 2);
    let bytes = height * width * bands;
    // Tag, type (3 is 16 bits, 4 is 32), count, value.
    let entries = [
        [256, 4, 1, width],
        [257, 4, 1, height],
        [258, 3, bands, depths],
        [259, 3, 1, 1],
        [262, 3, 1, 1],
        [273, 4, 1, pixels],
        [277, 3, 1, bands],
        [279, 4, 1, bytes],
    ];
    let mut file = b"II*\0\x08\0\0\0\x08\0".to_vec();
    for [tag, kind, count, value] in entries {
        file.extend([(tag as u16).to_le_bytes(), (kind as u16).to_le_bytes()].concat());
        file.extend([(count as u32).to_le_bytes(), (value as u32).to_le_bytes()].concat());
    }
    file.extend([0; 4]);
    file.extend([8_u8, 0].repeat(bands));
    file.extend((0..bytes).map(|n| (n * 7) as u8));
    file
}
