//! What samples of a job's first images really reach, where their depth alone says too little of it.

use marquetry_geometry::{Rect, Size};
use marquetry_raster::read::{Depth, Image, Pixels};

/// Samples that are looked at in an image, all bands together.
const SAMPLES_MAX: u32 = 1 << 22;
/// An image of 16 bits that stays below this share of 65535 is one of fewer bits, most likely: reflectances are up to 10000.
const DARK: f64 = 0.5;
/// The share of samples that a range is of: hot pixels, scale bars and the like are not what an image reaches.
const REACHED: f64 = 0.99;
/// An image of 16 bits that stays below this is one of 12 at most, where others use all 16.
const FEW_BITS: f64 = 4095.0;
/// Floats up to this may be of 0 to 1, resampled.
const UNIT_MAX: f64 = 1.5;
/// Floats above this are not of 0 to 1.
const BEYOND_UNIT: f64 = 2.0;
/// Floats above this are not of 0 to 255.
const BEYOND_BYTES: f64 = 2.0 * 255.0;
/// Ranges that images often have.
const USUAL: [f64; 7] = [255.0, 1023.0, 4095.0, 10_000.0, 16_383.0, 32_767.0, 65_535.0];

/// The least sample of each band of one image, as stored, and what nearly all stay below.
#[derive(Debug, Clone)]
pub(crate) struct SeenRange {
    /// The image's id.
    pub(crate) id: String,
    pub(crate) depth: Depth,
    /// The greatest value that the file says; 65,535 for [`Depth::U16`] where it says nothing.
    pub(crate) full: Option<u16>,
    /// Nothing for a band without a value.
    pub(crate) bands: Vec<Option<(f64, f64)>>,
}

impl SeenRange {
    /// Of the image's middle; nothing where it cannot be read.
    pub(crate) fn of(id: &str, image: &Image) -> Option<Self> {
        let info = image.info();
        let side = (SAMPLES_MAX / u32::from(info.bands.max(1))).isqrt().max(1);
        let part = Size::new(side.min(info.size.height), side.min(info.size.width));
        let (top, left) = ((info.size.height - part.height) / 2, (info.size.width - part.width) / 2);
        let mut pixels = Pixels::default();
        image.read(Rect::new(i64::from(top), i64::from(left), part), &mut pixels).ok()?;
        let bands = pixels.data.chunks_exact((part.area() as usize).max(1)).map(|plane| {
            let mut values: Vec<f32> = plane.iter().copied().filter(|v| v.is_finite()).collect();
            let at = (REACHED * values.len().checked_sub(1)? as f64) as usize;
            let (below, high, _) = values.select_nth_unstable_by(at, f32::total_cmp);
            let low = below.iter().copied().fold(*high, f32::min);
            Some((f64::from(low), f64::from(*high)))
        });
        Some(Self { id: id.to_owned(), depth: info.depth, full: info.full, bands: bands.collect() })
    }

    /// The least and greatest sample of the bands that are seen.
    fn range(&self, sees: impl Fn(usize) -> bool) -> Option<(f64, f64)> {
        let ranges =
            self.bands.iter().enumerate().filter(|(band, _)| sees(*band)).filter_map(|(_, range)| *range);
        ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

/// The range that a member expects of samples, and what shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expected {
    /// 1 or 255.
    pub(crate) full: f64,
    /// Why, in words that go before "is for samples of …"; nothing where it is the default alone.
    pub(crate) since: Option<String>,
}

/// Numbers that programs write where there is no data, and often do not say so.
const NO_DATA: [f64; 4] = [-9999.0, -99_999.0, -32_767.0, -32_768.0];

/// What there is to tell of an image whose least sample is a number for no data that its file does not call so.
fn no_data(seen: &[SeenRange]) -> Option<String> {
    let least = |image: &SeenRange| image.range(|_| true).map(|(low, _)| low);
    let (image, low) = seen.iter().find_map(|image| {
        let low = least(image).filter(|low| image.depth == Depth::F32 && NO_DATA.contains(low))?;
        Some((image, low))
    })?;
    Some(format!(
        "input.scale: image {} holds samples of {low}, which its file does not call no data, and which count in windows and \
         statistics: if they are none, say images: {{nodata: {low}}}",
        image.id
    ))
}

/// What there is to tell of images whose samples cannot be what the member expects; `bands` are those that it sees.
pub(crate) fn contradicts(expected: &Expected, seen: &[SeenRange], bands: Option<&[u16]>) -> Option<String> {
    let sees = |band: usize| bands.is_none_or(|bands| bands.contains(&(band as u16)));
    let ranges = |of: &dyn Fn(&SeenRange) -> bool| -> Vec<(&str, (f64, f64))> {
        let seen = seen.iter().filter(|image| of(image));
        seen.filter_map(|image| Some((image.id.as_str(), image.range(sees)?))).collect()
    };
    let all = |ranges: &[(&str, (f64, f64))]| {
        ranges.iter().map(|(_, range)| *range).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    };
    let alone = if seen.iter().all(|image| image.depth == seen[0].depth) {
        ""
    } else {
        "; images of other depths are beside them, for which the same number would hold: give each depth a job of its own"
    };
    let floats = ranges(&|image| image.depth == Depth::F32);
    let words = ranges(&|image| image.depth == Depth::U16 && image.full == Some(u16::MAX));
    no_data(seen)
        .or_else(|| unlike(&floats, UNIT_MAX, BEYOND_BYTES / 4.0))
        .or_else(|| unlike(&words, FEW_BITS, DARK * 65_535.0))
        .or_else(|| all(&floats).and_then(|range| of_floats(expected, range)))
        .or_else(|| all(&words).and_then(|(_, high)| of_words(expected, high)))
        .map(|told| told + alone)
}

/// What there is to tell of images of which some stay below `small` and others reach beyond `large`: nobody trains on both.
fn unlike(ranges: &[(&str, (f64, f64))], small: f64, large: f64) -> Option<String> {
    let high = |(_, (_, high)): &&(&str, (f64, f64))| *high;
    let low = ranges
        .iter()
        .filter(|one| high(one) > 0.0 && high(one) <= small)
        .max_by(|a, b| high(a).total_cmp(&high(b)))?;
    let great = ranges.iter().filter(|one| high(one) > large).min_by(|a, b| high(a).total_cmp(&high(b)))?;
    Some(format!(
        "input.scale: image {} reaches {} and image {} {}: one scale cannot be right for both; give each sort of images a job of \
         its own",
        low.0,
        round(high(&low)),
        great.0,
        round(high(&great))
    ))
}

fn of_floats(expected: &Expected, (low, high): (f64, f64)) -> Option<String> {
    let held = format!(
        "input.scale: images hold floats (or integers of 32 bits, or with a sign) of {} to {}, which stay as they are",
        round(low),
        round(high)
    );
    let full = expected.full;
    let too_great = high > if full == 1.0 { BEYOND_UNIT } else { BEYOND_BYTES };
    let usual = usual(high);
    let Some(since) = &expected.since else {
        return too_great.then(|| {
            format!(
                "{held}, and nothing says what the model was trained on: say input: {{scale: 1}} if it was on such numbers, \
                 {{scale: {}}} if on 0 to {full} of 0 to {usual}",
                factor(full, usual)
            )
        });
    };
    let told = |advice: String| {
        format!("{held}, and {since} is for samples of 0 to {full}: say input: {{scale: {advice}")
    };
    if too_great {
        return Some(told(format!(
            "{}}} if theirs is 0 to {usual}, else the number that makes 0 to {full} of them",
            factor(full, usual)
        )));
    }
    (full > 1.0 && low >= 0.0 && high > 0.0 && high <= UNIT_MAX).then(|| told("255}".to_owned()))
}

fn of_words(expected: &Expected, high: f64) -> Option<String> {
    (high > 0.0 && high < DARK * 65_535.0).then(|| {
        let usual = usual(high);
        let stored = expected.since.as_ref().filter(|_| expected.full > 1.0);
        let stored = stored.map_or(String::new(), |since| format!("; or scale: 1 if {since} is of samples as they are stored"));
        format!(
            "input.scale: images are of 16 bits and reach {high} of 65535 (in their middle, where they are large), as images of fewer bits do; of 0 to \
             {full} the model would see 0 to {}, as if it were dark: say input: {{scale: {}}} if theirs is 0 to {usual}, else \
             the number that makes 0 to {full} of them{stored}",
            round(high * expected.full / 65_535.0),
            factor(expected.full, usual),
            full = expected.full,
        )
    })
}

/// The usual range that holds `high`, or `high` itself.
fn usual(high: f64) -> f64 {
    // A sample of 255.3 comes of resampling.
    USUAL.into_iter().find(|usual| high <= usual * 1.01).unwrap_or_else(|| high.ceil())
}

/// A factor as a job file takes it: 12 digits that count.
fn factor(full: f64, of: f64) -> String {
    let factor = full / of;
    let digits = (11 - factor.log10().floor() as i32).max(0) as usize;
    let text = format!("{factor:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Three places after the point at most.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(full: f64, since: Option<&str>, depth: Depth, greatest: u16, ranges: &[(f64, f64)]) -> String {
        let expected = Expected { full, since: since.map(str::to_owned) };
        let bands = ranges.iter().map(|range| Some(*range)).collect();
        contradicts(&expected, &[SeenRange { id: "a".to_owned(), depth, full: Some(greatest), bands }], None)
            .unwrap_or_default()
    }

    #[test]
    fn floats_of_another_range_are_told_with_the_factor() {
        let mean = Some("a mean of 0.485");
        let text = told(1.0, mean, Depth::F32, 0, &[(0.0, 1.0), (3.5, 254.25)]);
        for word in
            ["of 0 to 254.25", "a mean of 0.485 is for samples of 0 to 1", "{scale: 0.00392156862745}"]
        {
            assert!(text.contains(word), "{text}");
        }
        assert!(told(1.0, mean, Depth::F32, 0, &[(0.0, 9000.0)]).contains("{scale: 0.0001}"));
        assert!(told(1.0, mean, Depth::F32, 0, &[(0.0, 3e5)]).contains("0 to 300000"));
        let text = told(255.0, Some("a model that takes integers"), Depth::F32, 0, &[(0.0, 1.0)]);
        assert!(text.contains("{scale: 255}") && text.contains("of 0 to 1, which stay"), "{text}");
        assert!(told(255.0, mean, Depth::F32, 0, &[(0.0, 4000.0)]).contains("{scale: 0.0622710622711}"));
        let text = told(1.0, None, Depth::F32, 0, &[(0.0, 255.0)]);
        for word in ["of 0 to 255, which stay", "nothing says", "{scale: 1}", "{scale: 0.00392156862745}"] {
            assert!(text.contains(word), "{text}");
        }
        for (full, since, range) in [
            (1.0, mean, (0.0, 1.9)),
            (1.0, mean, (-3.0, 1.0)),
            (1.0, None, (-3.0, 2.0)),
            (255.0, mean, (0.0, 255.0)),
            (255.0, mean, (0.0, 0.0)),
            (255.0, mean, (-1.0, 1.0)),
        ] {
            assert_eq!(told(full, since, Depth::F32, 0, &[range]), "", "{full} {since:?} {range:?}");
        }
    }

    #[test]
    fn dark_images_of_16_bits_are_told_with_the_factor() {
        for (full, high, scale) in [
            (1.0, 255.0, "0.00392156862745"),
            (1.0, 4000.0, "0.0002442002442"),
            (1.0, 9600.0, "0.0001"),
            (1.0, 14_000.0, "0.0000610388817677"),
            (255.0, 255.0, "1"),
            (255.0, 4095.0, "0.0622710622711"),
        ] {
            let text = told(full, None, Depth::U16, 65_535, &[(0.0, high)]);
            assert!(text.contains(&format!("reach {high} of 65535")), "{text}");
            assert!(text.contains(&format!("{{scale: {scale}}}")), "{text}");
        }
        for (depth, greatest, high) in [
            (Depth::U16, 65_535, 32_768.0),
            (Depth::U16, 65_535, 0.0),
            (Depth::U16, 4095, 255.0),
            (Depth::U16, 10_000, 255.0),
            (Depth::U8, 255, 20.0),
        ] {
            assert_eq!(told(1.0, None, depth, greatest, &[(0.0, high)]), "", "{depth:?} {greatest} {high}");
        }
    }

    /// A hot pixel in a dark image is not what the image reaches, and neither is a spike among floats.
    #[test]
    fn a_few_samples_are_not_the_range() {
        let folder = tempfile::tempdir().unwrap();
        let samples: Vec<u8> = (0..6400_u16)
            .flat_map(|at| if at == 77 { [0xff, 0xff] } else { (at % 250).to_be_bytes() })
            .collect();
        let path = folder.path().join("a.pgm");
        std::fs::write(&path, [b"P5 80 80 65535\n".as_slice(), &samples].concat()).unwrap();
        let limits = marquetry_raster::read::Limits {
            pixels_max: 1 << 20,
            memory_bytes: 1 << 20,
            scratch_dir: folder.path().to_path_buf(),
        };
        let image = Image::open(&path, &limits, &marquetry_geometry::Reading::default()).unwrap();
        assert_eq!(SeenRange::of("a", &image).unwrap().bands, [Some((0.0, 247.0))]);
    }

    /// An image of one band from 0 to `high`, whose id says that.
    fn reaching(depth: Depth, greatest: u16, high: f64) -> SeenRange {
        let (id, bands) = (format!("to {high}"), vec![Some((0.0, high))]);
        SeenRange { id, depth, full: Some(greatest), bands }
    }

    /// One of forty in another range.
    #[test]
    fn images_of_unlike_ranges_are_named() {
        let expected = Expected { full: 1.0, since: None };
        let told = |depth, greatest, highs: &[f64]| {
            let seen: Vec<_> = highs.iter().map(|high| reaching(depth, greatest, *high)).collect();
            contradicts(&expected, &seen, None).unwrap_or_default()
        };
        let floats = told(Depth::F32, 0, &[0.9, 1.0, 254.0, 0.0]);
        assert!(floats.contains("image to 1 reaches 1 and image to 254 254"), "{floats}");
        let words = told(Depth::U16, 65_535, &[60_000.0, 3_900.0]);
        assert!(words.contains("image to 3900 reaches 3900 and image to 60000"), "{words}");
        assert_eq!(told(Depth::F32, 0, &[0.2, 0.9]), "");
        assert_eq!(told(Depth::U16, 65_535, &[60_000.0, 9_000.0]), "", "it may be dark");
        assert_eq!(told(Depth::U8, 255, &[3.0, 255.0]), "");
    }

    #[test]
    fn numbers_for_no_data_that_are_not_called_so_are_told() {
        let expected = Expected { full: 1.0, since: None };
        let of = |depth, low| {
            let seen = SeenRange { id: "a".to_owned(), depth, full: None, bands: vec![Some((low, 0.9))] };
            contradicts(&expected, &[seen], None).unwrap_or_default()
        };
        assert!(of(Depth::F32, -9999.0).contains("images: {nodata: -9999}"), "{}", of(Depth::F32, -9999.0));
        assert_eq!(of(Depth::F32, -1.0), "");
    }

    #[test]
    fn images_of_several_depths_cannot_have_one_scale() {
        let expected = Expected { full: 1.0, since: None };
        let dark = reaching(Depth::U16, 65_535, 4000.0);
        let told = contradicts(&expected, &[reaching(Depth::U8, 255, 255.0), dark.clone()], None).unwrap();
        assert!(told.contains("a job of its own"), "{told}");
        assert!(!contradicts(&expected, &[dark], None).unwrap().contains("a job of its own"));
    }

    #[test]
    fn only_bands_that_the_member_sees_count() {
        let expected = Expected { full: 1.0, since: Some("a mean of 0.5".to_owned()) };
        let bands = vec![Some((0.0, 1.0)), Some((0.0, 800.0)), None];
        let seen = [SeenRange { id: "a".to_owned(), depth: Depth::F32, full: None, bands }];
        assert!(contradicts(&expected, &seen, Some(&[0, 2])).is_none());
        assert!(contradicts(&expected, &seen, Some(&[0, 1])).is_some());
    }
}
