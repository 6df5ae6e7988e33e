//! An evaluation for a terminal.

use crate::compare::Comparison;
use crate::document::Document;
use crate::evaluate::{Evaluation, Found};
use marquetry_evaluation::Stratum;
use marquetry_labels::{Census, Settlement};
use marquetry_page::human::count;

/// So many values are listed of a side.
const VALUES: usize = 40;

/// What the labels of both sides hold, a few lines for each.
pub fn census_lines(found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    for (side, (source, census, settlement)) in [("prediction", &found.predicted), ("truth", &found.truth)] {
        lines.push(format!("{side}: {source}"));
        lines.extend(census_of(census, settlement).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

/// What the labels of one side hold.
pub fn census_of(census: &Census, settlement: &Settlement) -> Vec<String> {
    let kinds: Vec<String> =
        census.kinds.iter().map(|(kind, files)| format!("{} × {kind}", count(files.count))).collect();
    let mut lines = vec![format!("{}: {}", labels(census.files), kinds.join("; "))];
    let size = |(height, width): &(u32, u32)| format!("{height} × {width}");
    lines.push(match (census.sizes.first_key_value(), census.sizes.last_key_value()) {
        (Some((only, _)), _) if census.sizes.len() == 1 => format!("all {} px", size(only)),
        (Some((first, _)), Some((last, _))) => {
            format!("{} sizes, {} to {} px", census.sizes.len(), size(first), size(last))
        }
        _ => "no sizes".to_owned(),
    });
    for (value, facts) in census.values.iter().take(VALUES) {
        let meaning = settlement.meanings.get(value).map_or("", String::as_str);
        lines.push(format!(
            "{value}: {meaning}, {} px ({}) in {}",
            count(facts.pixels),
            percent(facts.pixels, census.pixels),
            labels(facts.files.count)
        ));
    }
    if census.values.len() > VALUES {
        let more = census.values.len() - VALUES;
        lines.push(format!("and {more} more value{}", if more == 1 { "" } else { "s" }));
    }
    if census.missing_pixels > 0 {
        lines.push(format!(
            "without a value: {}, {} px ({})",
            settlement.nothing,
            count(census.missing_pixels),
            percent(census.missing_pixels, census.pixels)
        ));
    }
    lines
}

fn labels(number: u64) -> String {
    format!("{} label{}", count(number), if number == 1 { "" } else { "s" })
}

/// The numbers that people look at first, as a table.
pub fn evaluation_text(document: &Document) -> String {
    let mut text = format!(
        "mean IoU {} (`dataset`: counts of {} images added up, mean over the classes that occur)\n",
        number(document.mean_iou.dataset),
        count(document.images.evaluated as u64)
    );
    text.push_str(&format!(
        "pixel accuracy {}, mean Dice {}, boundary IoU {} ({} px wide), panoptic quality {}\n\
         normalised surface distance {} (border pixels, within {} px)\n\n",
        number(document.pixel_accuracy),
        number(document.mean_dice),
        number(document.boundary.mean_iou),
        document.boundary.width_px,
        number(document.panoptic_quality),
        number(document.surface.mean_nsd),
        document.surface.tolerance_px
    ));
    text.push_str(&class_table(document));
    text.push_str("\nother means of IoU\n");
    for (name, value) in document.mean_iou.named().iter().skip(1) {
        text.push_str(&format!("  {name:<28}{:>8}\n", number(*value)));
    }
    text.push_str("\nwhat is wrong, and how much greater the mean IoU would be without it\n");
    for kind in document.errors.iter().filter(|kind| kind.pixels > 0) {
        text.push_str(&format!(
            "  {:<12}{:>16} px {:>10}   +{:.4}\n",
            kind.kind.name(),
            count(kind.pixels),
            percent(kind.pixels, document.pixels.counted),
            kind.gain_if_mended
        ));
    }
    if document.errors.iter().all(|kind| kind.pixels == 0) {
        text.push_str("  nothing\n");
    }
    text.push_str("\nobjects by size            in truth     found   pixels found   predicted     right\n");
    for stratum in document.sizes.fixed.iter().chain(&document.sizes.terciles) {
        text.push_str(&stratum_line(stratum));
    }
    if let Some(calibration) = &document.calibration {
        text.push_str(&format!(
            "\nexpected calibration error {:.4}: labels are {} by {:.4} on average\n",
            calibration.expected_error,
            if calibration.overconfidence < 0.0 {
                "right more often than they are sure"
            } else {
                "surer than they are right"
            },
            calibration.overconfidence.abs()
        ));
    }
    let pixels = &document.pixels;
    text.push_str(&format!(
        "\n{} px count; {} px ({}) are left out by the truth; {} px are predicted as no class\n",
        count(pixels.counted),
        count(pixels.left_out),
        percent(pixels.left_out, pixels.left_out + pixels.counted),
        count(pixels.no_class)
    ));
    text
}

fn class_table(document: &Document) -> String {
    let longest = document.classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0);
    let width = longest.clamp(8, 40);
    let mut text = format!(
        "{:<width$}{:>9}{:>9}{:>11}{:>9}{:>10}{:>9}{:>8}{:>10}\n",
        "class", "IoU", "Dice", "precision", "recall", "boundary", "NSD", "PQ", "of truth"
    );
    for class in &document.classes {
        let share = class.share_of_truth.map_or("–".to_owned(), |share| format!("{:.2} %", 100.0 * share));
        text.push_str(&format!(
            "{:<width$}{:>9}{:>9}{:>11}{:>9}{:>10}{:>9}{:>8}{share:>10}\n",
            class.name,
            number(class.iou),
            number(class.dice),
            number(class.precision),
            number(class.recall),
            number(class.boundary_iou),
            number(class.nsd),
            number(class.panoptic_quality),
        ));
    }
    text
}

/// Which sizes, in words.
pub(crate) fn range_px(stratum: &Stratum) -> String {
    match stratum.below_px {
        Some(below) if below == stratum.from_px + 1 => format!("{} px", count(stratum.from_px)),
        Some(below) => format!("{} to {} px", count(stratum.from_px), count(below.saturating_sub(1))),
        None => format!("{} px and more", count(stratum.from_px)),
    }
}

fn stratum_line(stratum: &Stratum) -> String {
    let (range, objects) = (range_px(stratum), &stratum.objects);
    format!(
        "  {range:<24}{:>9}{:>10}{:>15}{:>12}{:>10}\n",
        count(objects.truth),
        percent(objects.found, objects.truth),
        percent(objects.found_pixels, objects.truth_pixels),
        count(objects.predicted),
        percent(objects.right, objects.predicted)
    )
}

/// One prediction beside another.
pub fn comparison_text(source: &str, other: &Evaluation, comparison: &Comparison) -> String {
    let Some(difference) = comparison.difference else {
        return format!("against {source}: no image is in both\n");
    };
    let verdict = if difference.low > 0.0 {
        "better"
    } else if difference.high < 0.0 {
        "worse"
    } else {
        "no difference that these images can show"
    };
    let mut text = format!(
        "\nagainst {source} (mean IoU {}): {:+.4}, 95 % of {} resamples of {} images between {:+.4} and {:+.4}: {verdict}\n",
        number(other.mean_ious().dataset),
        difference.difference,
        count(difference.resamples),
        count(difference.images),
        difference.low,
        difference.high
    );
    if comparison.alone > 0 {
        text.push_str(&format!(
            "{} images are in one of them alone and take no part\n",
            count(comparison.alone)
        ));
    }
    text
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.4}"))
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.2} %", 100.0 * part as f64 / whole as f64) }
}
