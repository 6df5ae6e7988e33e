//! Scenes in a folder, as a segmentation project keeps its data.

use super::{Scene, class_names, paint};
use anyhow::{Context, Result};
use marquetry_geometry::{Rect, Size};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What to write.
pub(crate) struct DatasetSpec {
    pub(crate) out: PathBuf,
    /// How many scenes.
    pub(crate) count: u32,
    /// Equal seeds give equal data; the scenes of different seeds differ.
    pub(crate) seed: u32,
    pub(crate) size: Size,
    /// Scenes are dealt to so many folds in turn; with 0 all are `test`.
    pub(crate) folds: u32,
}

/// Writes `images/*.png` (RGB), `masks/*.png` (grey, class indices), `folds.csv` (columns image,fold) and
/// `classes.txt` (a name a line).
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write_dataset(spec: &DatasetSpec) -> Result<()> {
    let [images, masks] = ["images", "masks"].map(|name| spec.out.join(name));
    for folder in [&images, &masks] {
        std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let mut folds = String::from("image,fold\n");
    for index in 0..spec.count {
        let scene = paint(u64::from(spec.seed) << 32 | u64::from(index), Rect::whole(spec.size));
        let name = format!("scene_{}_{index:03}.png", spec.seed);
        write_scene(&scene, &images.join(&name), &masks.join(&name))?;
        match index.checked_rem(spec.folds) {
            Some(fold) => writeln!(folds, "{name},{fold}")?,
            None => writeln!(folds, "{name},test")?,
        }
    }
    for (name, text) in [("folds.csv", folds), ("classes.txt", class_names().join("\n") + "\n")] {
        let path = spec.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Writes a scene's picture and its mask.
pub(crate) fn write_scene(scene: &Scene, image: &Path, mask: &Path) -> Result<()> {
    write_png(image, scene.size, png::ColorType::Rgb, &scene.image)?;
    write_mask(mask, scene.size, &scene.mask)
}

/// Writes a mask: grey, class indices.
pub(crate) fn write_mask(path: &Path, size: Size, classes: &[u8]) -> Result<()> {
    write_png(path, size, png::ColorType::Grayscale, classes)
}

fn write_png(path: &Path, size: Size, colour: png::ColorType, pixels: &[u8]) -> Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("creating {}", path.display()))?;
    let mut encoder = png::Encoder::new(std::io::BufWriter::new(file), size.width, size.height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    // Sensor noise hardly compresses: more effort costs seconds on a large picture and gains a few per cent.
    encoder.set_compression(png::Compression::Fast);
    let encode = |encoder: png::Encoder<'_, _>| {
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    };
    encode(encoder).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> (png::OutputInfo, Vec<u8>) {
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info, pixels)
    }

    #[test]
    fn a_dataset_holds_what_was_painted_and_deals_folds_in_turn() {
        let out = std::env::temp_dir().join(format!("marquetry-scenes-{}", std::process::id()));
        let size = Size::new(30, 50);
        write_dataset(&DatasetSpec { out: out.clone(), count: 3, seed: 9, size, folds: 2 }).unwrap();
        let folds = std::fs::read_to_string(out.join("folds.csv")).unwrap();
        assert_eq!(folds, "image,fold\nscene_9_000.png,0\nscene_9_001.png,1\nscene_9_002.png,0\n");
        let scene = paint((9 << 32) | 1, Rect::whole(size));
        let (info, pixels) = read(&out.join("images/scene_9_001.png"));
        assert_eq!((info.height, info.width, info.color_type), (30, 50, png::ColorType::Rgb));
        assert_eq!(pixels, scene.image);
        let (info, pixels) = read(&out.join("masks/scene_9_001.png"));
        assert_eq!((info.bit_depth, info.color_type), (png::BitDepth::Eight, png::ColorType::Grayscale));
        assert_eq!(pixels, scene.mask);
        std::fs::remove_dir_all(out).unwrap();
    }
}
