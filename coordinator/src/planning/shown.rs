//! Windows of a job's first images, as a member would be shown them: models are tried on them beside noise.

use crate::planning::images::ImageKind;
use crate::planning::seen_range::SeenRange;
use marquetry_ensemble::resize_planes;
use marquetry_geometry::{Reading, Rect, Size, nearest};
use marquetry_imagery::{ImageFiles, open};
use marquetry_job::{Channels, Input, PlannedImage, Scaling};
use marquetry_raster::read::{Depth, Image, Limits, Pixels, luma_of};
use marquetry_transport::Files;
use std::collections::HashSet;
use std::sync::OnceLock;

/// Images that are looked at, from the first on.
const IMAGES: usize = 2;
/// Kinds of images beyond these whose first one is looked at too: a folder may hold two sorts of files.
const KINDS: usize = 4;
/// So many more images, spread over the job, of which is looked at what samples reach, where not all are of 8 bits.
const SPREAD: usize = 64;
/// Of a larger part of an image a trial is shown some pixels, px.
const PART_MAX: u64 = 1 << 22;
/// Larger ones take too long to decode for a trial, px.
const PIXELS_MAX: u64 = 100_000_000;

/// The first images of a job, and of each kind of them, that are not too large, opened.
pub(crate) struct FirstImages {
    /// Those of which models are shown windows.
    images: Vec<Image>,
    /// Their keys.
    keys: Vec<String>,
    ids: Vec<String>,
    /// Others, by id: the first of each further kind, and some that are spread over the job. What their samples reach is looked
    /// at, no more.
    others: Vec<(String, Image)>,
    /// What their samples reach, once somebody asks.
    ranges: OnceLock<Vec<SeenRange>>,
}

impl FirstImages {
    /// Those of `images`, which are of these kinds. What cannot be opened is left out: why, is said where it is read in earnest.
    pub(crate) fn open(
        files: &Files,
        images: &[PlannedImage],
        (kinds, depths): (&[ImageKind], &[Depth]),
        limits: &Limits,
        reading: &Reading,
    ) -> Self {
        let small = || images.iter().filter(|image| image.size.area() <= PIXELS_MAX);
        let first: Vec<&str> = small().take(IMAGES).map(|image| image.id.as_str()).collect();
        let of_kinds = kinds.iter().map(|kind| kind.first.as_str()).filter(|id| !first.contains(id));
        let of_kinds: HashSet<&str> = of_kinds.take(KINDS).collect();
        let opened = |planned: &PlannedImage| {
            let of = ImageFiles { uri: &planned.uri, stat: None, sidecars: &planned.sidecars };
            let image = open(files, &of, limits, reading).ok()?;
            let is_planned = (image.info().size, image.info().bands) == (planned.size, planned.bands);
            is_planned.then_some(image)
        };
        let spread: HashSet<&str> = if depths.iter().all(|depth| *depth == Depth::U8) {
            HashSet::new()
        } else {
            let step = images.len().div_ceil(SPREAD).max(1);
            small().step_by(step).map(|image| image.id.as_str()).filter(|id| !first.contains(id)).collect()
        };
        let further = |image: &&PlannedImage| {
            of_kinds.contains(image.id.as_str()) || spread.contains(image.id.as_str())
        };
        let others =
            small().filter(further).filter_map(|image| Some((image.id.clone(), opened(image)?))).collect();
        let shown: Vec<_> = small().take(IMAGES).filter_map(|image| Some((image, opened(image)?))).collect();
        let (keys, ids) = shown.iter().map(|(image, _)| (image.key.clone(), image.id.clone())).unzip();
        let images = shown.into_iter().map(|(_, image)| image).collect();
        Self { images, keys, ids, others, ranges: OnceLock::new() }
    }

    /// What samples of each reach.
    pub(crate) fn ranges(&self) -> &[SeenRange] {
        let shown = self.ids.iter().zip(&self.images);
        let all = shown.chain(self.others.iter().map(|(id, image)| (id, image)));
        self.ranges.get_or_init(|| all.filter_map(|(id, image)| SeenRange::of(id, image)).collect())
    }

    /// Names what windows hang on, beside their size.
    pub(crate) fn key(&self, input: &Input, scaling: Scaling) -> String {
        format!("{:?}", (&self.keys, input, scaling))
    }

    /// At most `most` windows of `size` px for a model of `channels` channels, `[channels, H, W]`, spread over the images that are shown;
    /// otherwise as [`windows`](Self::windows).
    pub(crate) fn spread(
        &self,
        input: &Input,
        scaling: Scaling,
        (channels, size): (u32, Size),
        most: usize,
    ) -> Vec<Vec<f32>> {
        let mut windows = Vec::new();
        for image in &self.images {
            let whole = image.info().size;
            let part = part(whole, scaling, size);
            let (rows, columns) = (whole.height / part.height.max(1), whole.width / part.width.max(1));
            let places: Vec<(u32, u32)> =
                (0..rows.max(1)).flat_map(|y| (0..columns.max(1)).map(move |x| (y, x))).collect();
            let wanted = most.div_ceil(self.images.len());
            let taken = wanted.min(places.len());
            for (y, x) in (0..taken).map(|n| places[n * places.len() / taken]) {
                let at = (i64::from(y * part.height), i64::from(x * part.width));
                windows.extend(window(image, Rect::new(at.0, at.1, part), input, channels, size));
            }
        }
        windows
    }

    /// Windows of `size` px for a model of `channels` channels, `[channels, H, W]`: of each image the middle, and of the
    /// first a corner too. Statistics of the whole image are taken to be those of the window, and what is smaller than a
    /// window is enlarged rather than padded: for the look of a model's values that is near enough.
    pub(crate) fn windows(
        &self,
        input: &Input,
        scaling: Scaling,
        channels: u32,
        size: Size,
    ) -> Vec<Vec<f32>> {
        let mut windows = Vec::new();
        for (place, image) in self.images.iter().enumerate() {
            let whole = image.info().size;
            let part = part(whole, scaling, size);
            let middle =
                (i64::from((whole.height - part.height) / 2), i64::from((whole.width - part.width) / 2));
            let mut places = vec![middle];
            if place == 0 && middle != (0, 0) {
                places.push((0, 0));
            }
            for (top, left) in places {
                windows.extend(window(image, Rect::new(top, left, part), input, channels, size));
            }
        }
        windows
    }
}

/// The part of an image of `whole` px that a window of `size` px shows.
fn part(whole: Size, scaling: Scaling, size: Size) -> Size {
    match scaling {
        Scaling::Whole(_) | Scaling::Inside => whole,
        Scaling::Factor(factor) => {
            let side =
                |window: u32, most: u32| ((f64::from(window) / factor).round() as u32).clamp(1, most.max(1));
            Size::new(side(size.height, whole.height), side(size.width, whole.width))
        }
    }
}

/// Every so manieth pixel of a part of an image, `[bands, H, W]` of `size`, read row by row: the whole of it may be far
/// more than a trial is worth.
fn sampled(image: &Image, part: Rect, size: Size) -> Option<Vec<f32>> {
    let (bands, area, width) =
        (usize::from(image.info().bands), size.area() as usize, part.size.width as usize);
    let columns = nearest(part.size.width, size.width);
    let (mut planes, mut line) = (vec![0.0; bands * area], Pixels::default());
    for (y, row) in nearest(part.size.height, size.height).into_iter().enumerate() {
        let row = Rect::new(part.top + i64::from(row), part.left, Size::new(1, part.size.width));
        image.read(row, &mut line).ok()?;
        for (plane, samples) in planes.chunks_exact_mut(area).zip(line.data.chunks_exact(width)) {
            let own = &mut plane[y * columns.len()..][..columns.len()];
            own.iter_mut().zip(&columns).for_each(|(value, x)| *value = samples[*x as usize]);
        }
    }
    Some(planes)
}

/// One window; nothing where it cannot be read, or the bands are not the model's.
fn window(image: &Image, part: Rect, input: &Input, channels: u32, size: Size) -> Option<Vec<f32>> {
    let info = image.info();
    let channels = input.channels_of(info.bands, info.rgb, channels)?;
    let mut pixels = Pixels::default();
    let part = if part.size.area() > PART_MAX && size.area() < part.size.area() {
        pixels.data = sampled(image, part, size)?;
        Rect::new(0, 0, size)
    } else {
        image.read(part, &mut pixels).ok()?;
        part
    };
    let unit = input.scale.factor(info.full.map(f64::from));
    let area = part.size.area() as usize;
    let bands = match channels {
        Channels::Bands(bands) => bands,
        Channels::Luma => {
            let mut grey = Vec::new();
            luma_of(&pixels.data, area, info.depth, &mut grey);
            pixels.data = grey;
            vec![0]
        }
    };
    let mut planes = Vec::with_capacity(bands.len() * area);
    for (channel, &band) in bands.iter().enumerate() {
        let samples = &pixels.data[usize::from(band) * area..][..area];
        let of = |list: &[f32], default: f64| match list {
            [] => default,
            [one] => f64::from(*one),
            many => many.get(channel).map_or(default, |one| f64::from(*one)),
        };
        let (mean, std) = if input.measured.is_some() {
            deviation(samples, unit)
        } else {
            (of(&input.mean, 0.0), of(&input.std, 1.0))
        };
        // Missing pixels are filled somehow: one value is as good as another here.
        let value = |&v: &f32| if v.is_finite() { ((f64::from(v) * unit - mean) / std) as f32 } else { 0.0 };
        planes.extend(samples.iter().map(value));
    }
    let planes = if part.size == size { planes } else { resize_planes(&planes, part.size, size) };
    planes.iter().all(|v| v.is_finite()).then_some(planes)
}

/// Mean and standard deviation of scaled samples; a deviation of 1 where there is none.
fn deviation(samples: &[f32], unit: f64) -> (f64, f64) {
    let samples: Vec<f32> = samples.iter().copied().filter(|v| v.is_finite()).collect();
    let n = samples.len().max(1) as f64;
    let mean = samples.iter().map(|&v| f64::from(v) * unit).sum::<f64>() / n;
    let std = (samples.iter().map(|&v| (f64::from(v) * unit - mean).powi(2)).sum::<f64>() / n).sqrt();
    (mean, if std > 1e-8 { std } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use marquetry_job::{Input, Scale};

    fn value(y: usize, x: usize, band: usize) -> u8 {
        ((y * 7 + x * 3 + band * 50) % 251) as u8
    }

    /// 40 × 60 px of three bands.
    fn picture() -> Image {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let (height, width) = (40, 60);
        let samples: Vec<u8> =
            (0..height * width * 3).map(|at| value(at / 3 / width, at / 3 % width, at % 3)).collect();
        let mut encoder =
            png::Encoder::new(std::fs::File::create(&path).unwrap(), width as u32, height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header().unwrap().write_image_data(&samples).unwrap();
        let limits =
            Limits { pixels_max: 1 << 20, memory_bytes: 1 << 20, scratch_dir: folder.path().to_path_buf() };
        Image::open(&path, &limits, &Reading::default()).unwrap()
    }

    #[test]
    fn windows_are_spread_over_all_images_and_do_not_overlap() {
        let shown = FirstImages {
            images: vec![picture(), picture()],
            keys: Vec::new(),
            ids: Vec::new(),
            others: Vec::new(),
            ranges: OnceLock::new(),
        };
        let input = Input { scale: Scale::Bytes, ..Input::default() };
        let of = |size, most| shown.spread(&input, Scaling::Factor(1.0), (3, Size::square(size)), most);
        // Two rows of three windows lie in each image.
        assert_eq!([24, 6, 5].map(|most| of(20, most).len()), [12, 6, 6]);
        let corner = |window: &Vec<f32>| window[0] as u8;
        let corners: Vec<u8> = of(20, 24).iter().map(corner).collect();
        let expected = [0, 20].map(|y| [0, 20, 40].map(|x| value(y, x, 0))).concat();
        assert_eq!(corners, [expected.clone(), expected].concat());
        assert_eq!(of(64, 24).len(), 2, "what is smaller is shown whole");
    }

    #[test]
    fn a_sample_of_a_part_is_its_nearest_pixels() {
        let image = picture();
        let (part, size) = (Rect::new(5, 10, Size::new(30, 40)), Size::new(7, 9));
        let found = sampled(&image, part, size).unwrap();
        let wanted = (0..3).flat_map(|band| {
            (0..7).flat_map(move |y| {
                // The middle of the pixel, as it lies in the part.
                let at =
                    |n: usize, from: usize, to: usize| ((n as f64 + 0.5) * from as f64 / to as f64) as usize;
                (0..9).map(move |x| f32::from(value(5 + at(y, 30, 7), 10 + at(x, 40, 9), band)))
            })
        });
        assert_eq!(found, wanted.collect::<Vec<_>>());
    }
}
