//! The parts of the page that are worked out: key numbers, the bar of stages, the contact sheet, the histogram.

use std::collections::BTreeSet;

use base64::display::Base64Display;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};

use super::data::{Report, ReportImage};
use marquetry_page::human;

/// Shares below this are narrower than a line on the page and left out of bars, never out of numbers.
const SHARE_DRAWN_MIN: f64 = 0.002;

/// Fewer images than this make no histogram.
const HISTOGRAM_IMAGES_MIN: usize = 12;

/// Bars of the histogram.
pub(super) const HISTOGRAM_BINS: usize = 20;

/// So many warnings are shown.
const WARNINGS_SHOWN_MAX: usize = 100;

/// How many there are, as the type that numbers are written from.
pub(super) fn len<T>(list: &[T]) -> u64 {
    list.len() as u64
}

/// A number of the headline.
pub(super) struct Number {
    pub(super) label: &'static str,
    pub(super) value: String,
    /// What to know beside it, or nothing.
    pub(super) note: String,
}

/// The eight numbers of the headline.
pub(super) fn numbers(report: &Report) -> Vec<Number> {
    let number = |label, value, note| Number { label, value, note };
    let windows = report.groups.iter().map(|group| group.windows).sum();
    vec![
        number("Images", human::headline(len(&report.images)), images_note(report)),
        number("Windows", human::headline(windows), "for each member and view".to_owned()),
        number("Forwards", human::headline(report.forwards), forwards_note(report)),
        number(
            "Forwards per second",
            human::rate(report.forwards, report.wall_seconds),
            "over the whole run".to_owned(),
        ),
        number("Wall time", human::seconds(report.wall_seconds), "of this run".to_owned()),
        number(
            "Peak memory",
            report.peak_memory_bytes.map_or(human::DASH.to_owned(), human::bytes),
            if report.peak_memory_bytes.is_some() { "this process" } else { "not told by this system" }
                .to_owned(),
        ),
        number("Tiles stored", human::bytes(report.tile_bytes), tiles_note(report)),
        number("Blocks", human::headline(report.tasks_computed + report.tasks_found), blocks_note(report)),
    ]
}

fn images_note(report: &Report) -> String {
    let failed: BTreeSet<&str> = report.failures.iter().map(|failure| failure.image.as_str()).collect();
    match failed.len() {
        0 if report.whole && !report.images.is_empty() => "all finished".to_owned(),
        0 => String::new(),
        failed => format!("{} with failures", human::count(failed as u64)),
    }
}

fn forwards_note(report: &Report) -> String {
    if report.forwards == 0 && report.tasks_found > 0 {
        "every block was in the store".to_owned()
    } else {
        "windows × members × views".to_owned()
    }
}

fn tiles_note(report: &Report) -> String {
    match report.tile_bytes.checked_div(report.tasks_computed) {
        Some(mean) => format!("{} a block", human::bytes(mean)),
        None => String::new(),
    }
}

fn blocks_note(report: &Report) -> String {
    let mut notes = Vec::new();
    if report.tasks_found > 0 {
        notes.push(format!("{} from an earlier run", human::count(report.tasks_found)));
    }
    if report.retries > 0 {
        notes.push(human::counted(report.retries, "retry", "retries"));
    }
    if notes.is_empty() && report.tasks_computed > 0 {
        "all computed in this run".to_owned()
    } else {
        notes.join(", ")
    }
}

/// The bar of stages.
pub(super) struct Stages {
    pub(super) list: Vec<Stage>,
    /// Work of all stages, in words.
    pub(super) total: String,
    /// Work divided by wall time: how many threads were busy on average.
    pub(super) busy: String,
    /// Whether there is anything to draw.
    pub(super) any: bool,
}

/// One stage.
pub(super) struct Stage {
    /// Also the name of its colour in the style sheet.
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) time: String,
    pub(super) share: String,
    pub(super) width: String,
}

/// The six stages in the order work goes through them.
pub(super) fn stages(report: &Report) -> Stages {
    let spent = &report.stages;
    let parts = [
        ("read", "Read", "decoding pixels, opening models", spent.read),
        ("prepare", "Prepare", "normalising, padding, views", spent.prepare),
        ("infer", "Infer", "inside the model runtime", spent.infer),
        ("stitch", "Stitch", "inverse views, merging, windows", spent.stitch),
        ("store", "Store", "encoding and storing tiles", spent.store),
        ("join", "Put together", "images from tiles, output files", report.aggregate_seconds),
    ]
    .map(|(key, name, meaning, s)| (key, name, meaning, if s.is_finite() { s.max(0.0) } else { 0.0 }));
    let total: f64 = parts.iter().map(|part| part.3).sum();
    let list = parts.map(|(key, name, meaning, seconds)| {
        let share = if total > 0.0 { seconds / total } else { 0.0 };
        Stage {
            key,
            name,
            meaning,
            time: human::seconds(seconds),
            share: human::percent(share),
            width: human::width(share),
        }
    });
    Stages {
        list: list.into(),
        total: human::seconds(total),
        busy: human::ratio(total, report.wall_seconds),
        any: total > 0.0,
    }
}

/// What is not as it should be.
pub(super) struct Warnings<'a> {
    /// How many there are.
    pub(super) all: u64,
    /// The first of them: the member or image, and the warning.
    pub(super) shown: Vec<(&'a str, &'a str)>,
}

/// What planning found suspicious, and the warnings of all images, in the plan's order.
pub(super) fn warnings(report: &Report) -> Warnings<'_> {
    let planned = report.warnings.iter().map(|(who, text)| (who.as_str(), text.as_str()));
    let images = report
        .images
        .iter()
        .flat_map(|image| image.warnings.iter().map(|warning| (image.id.as_str(), warning.as_str())));
    Warnings {
        all: len(&report.warnings) + report.images.iter().map(|image| len(&image.warnings)).sum::<u64>(),
        shown: planned.chain(images).take(WARNINGS_SHOWN_MAX).collect(),
    }
}

/// An image on the contact sheet.
pub(super) struct Card<'a> {
    pub(super) image: &'a ReportImage,
    pub(super) pictures: [Picture<'a>; 3],
    pub(super) shares: Vec<(usize, String)>,
}

/// A picture inside the page.
pub(super) struct Picture<'a> {
    pub(super) kind: &'static str,
    pub(super) base64: Base64Display<'a, 'static, GeneralPurpose>,
}

/// The images that have pictures, least confident first; equal ones in the plan's order, unknown ones last.
pub(super) fn sheet(report: &Report) -> Vec<Card<'_>> {
    let mut cards: Vec<Card<'_>> = report
        .images
        .iter()
        .filter_map(|image| {
            let [picture, mask, confidence] = image.pictures.as_ref()?;
            let inside = |kind, png| Picture { kind, base64: Base64Display::new(png, &STANDARD) };
            Some(Card {
                image,
                pictures: [inside("image", picture), inside("mask", mask), inside("confidence", confidence)],
                shares: segments(&image.shares, report.classes.len()),
            })
        })
        .collect();
    let key = |card: &Card<'_>| known(card.image).unwrap_or(f64::INFINITY);
    cards.sort_by(|a, b| key(a).total_cmp(&key(b)));
    cards
}

/// The mean confidence of an image, where any pixel has one.
pub(super) fn known(image: &ReportImage) -> Option<f64> {
    (image.confidence.is_finite() && image.missing < 1.0).then_some(image.confidence)
}

/// The mean confidence in words.
pub(super) fn confidence(image: &ReportImage) -> String {
    human::probability(known(image).unwrap_or(f64::NAN))
}

/// The coloured pieces of a bar of shares: place of the class and width, for the classes wide enough to see.
pub(super) fn segments(shares: &[f64], classes: usize) -> Vec<(usize, String)> {
    shares
        .iter()
        .take(classes)
        .enumerate()
        .filter(|(_, share)| **share >= SHARE_DRAWN_MIN)
        .map(|(class, share)| (class, human::width(*share)))
        .collect()
}

/// How confident the images are, and how many of each.
pub(super) struct Histogram {
    /// Height of each bar, 0 to 100.
    pub(super) bars: Vec<u64>,
    /// Where the first bar begins; the last ends at 1.
    pub(super) from: f64,
    pub(super) least: String,
    pub(super) median: String,
}

/// The histogram of mean confidence, or nothing where there are too few images for one.
pub(super) fn histogram(images: &[ReportImage]) -> Option<Histogram> {
    let mut values: Vec<f64> = images.iter().filter_map(known).map(|value| value.clamp(0.0, 1.0)).collect();
    if values.len() < HISTOGRAM_IMAGES_MIN {
        return None;
    }
    values.sort_by(f64::total_cmp);
    // Confident models crowd near 1: the axis starts at the last round number before the least.
    let from = [0.9, 0.8, 0.5, 0.0].into_iter().find(|start| *start <= values[0])?;
    let mut counts = [0_u64; HISTOGRAM_BINS];
    for value in &values {
        let bin = (value - from) / (1.0 - from) * HISTOGRAM_BINS as f64;
        counts[(bin as usize).min(HISTOGRAM_BINS - 1)] += 1;
    }
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    Some(Histogram {
        // A single image among thousands still shows.
        bars: counts.iter().map(|count| (count * 100).div_ceil(most)).collect(),
        from,
        least: human::probability(values[0]),
        median: human::probability(values[values.len() / 2]),
    })
}
