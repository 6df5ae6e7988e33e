//! The page of an evaluation: `index.html`, which reads `images.js` beside it and loads pictures as they come into sight.
//! It works from a folder or a bucket, without a server.

use crate::document::{Calibration, Class, Document, ErrorRow};
use crate::evaluate::Evaluation;
use crate::text::range_px;
use askama::Template;
use marquetry_evaluation::{ErrorKind, Stratum, Wrong};
use marquetry_page::human;
use serde::Serialize;

/// With more classes than this the confusion is a list of its largest cells.
const MATRIX_CLASSES: usize = 20;
/// So many cells are listed.
const CELLS_LISTED: usize = 60;

#[derive(Template)]
#[template(path = "evaluation.html", whitespace = "minimize")]
struct Page<'a> {
    title: &'a str,
    document: &'a Document,
    headline: String,
    image_count: u64,
    left_out: String,
    classes: Vec<(usize, &'a Class, [u8; 3])>,
    matrix: Option<Vec<MatrixRow>>,
    cells: Vec<ListedCell>,
    errors: Vec<(&'a ErrorRow, String, String)>,
    means: Vec<(&'static str, String)>,
    strata: Vec<StratumRow>,
    calibration: Option<Reliability>,
    key: [(&'static str, String); 5],
    has_pictures: bool,
}

/// A row of the confusion.
struct MatrixRow {
    class: String,
    /// True class, predicted class, share of the row in words, how dark, whether it is right.
    cells: Vec<(usize, usize, String, String, bool)>,
}

/// A cell of the confusion in a list.
struct ListedCell {
    truth: usize,
    predicted: usize,
    truth_name: String,
    predicted_name: String,
    pixels: String,
    share: String,
}

struct StratumRow {
    range: String,
    truth: String,
    found: String,
    found_pixels: String,
    predicted: String,
    right: String,
}

/// The reliability curve as it is drawn, and in words.
struct Reliability {
    error: String,
    sure: String,
    /// Left edge, width and height of each bar, percent.
    bars: Vec<[String; 3]>,
    /// From and to, pixels, mean probability, share that is right.
    rows: Vec<[String; 4]>,
}

impl Reliability {
    fn of(calibration: &Calibration) -> Self {
        let percent = |share: f64| format!("{:.2}", 100.0 * share);
        let bars = calibration.curve.iter();
        let bars = bars.map(|bin| [percent(bin.from), percent(bin.to - bin.from), percent(bin.accuracy)]);
        let rows = calibration.curve.iter().map(|bin| {
            let range = format!("{:.2} to {:.2}", bin.from, bin.to);
            [range, human::count(bin.pixels), number(Some(bin.confidence)), number(Some(bin.accuracy))]
        });
        let over = calibration.overconfidence;
        let sure =
            if over < 0.0 { "right more often than they are sure" } else { "surer than they are right" };
        Self {
            error: number(Some(calibration.expected_error)),
            sure: format!("{sure}, by {} on average", number(Some(over.abs()))),
            bars: bars.collect(),
            rows: rows.collect(),
        }
    }
}

/// What the script needs of each image.
#[derive(Serialize)]
struct Script<'a> {
    classes: Vec<&'a str>,
    kinds: [&'static str; 8],
    panels: &'a [&'static str],
    pictures: bool,
    /// Name, truth, picture, height, width, mean IoU, share that is right, share left out, wrong pixels by kind, and of each
    /// class that occurs its IoU and its normalised surface distance.
    images: Vec<ImageCells<'a>>,
    /// By `truth,predicted`: pixels and image.
    cells: Vec<(String, &'a [(u64, usize)])>,
}

type ImageCells<'a> =
    (&'a str, &'a str, &'a str, u32, u32, Option<f64>, Option<f64>, f64, [u64; 8], Vec<ClassCells>);

type ClassCells = (u16, Option<f64>, Option<f64>);

/// The page, and the script of numbers beside it.
pub(crate) fn page(title: &str, document: &Document, evaluation: &Evaluation) -> [(&'static str, String); 2] {
    let colours = &evaluation.colours;
    let rgb = |[red, green, blue]: [u8; 3]| format!("rgb({red},{green},{blue})");
    let largest = document.errors.iter().map(|row| row.gain_if_mended).fold(0.0, f64::max);
    let all = document.pixels.left_out + document.pixels.counted;
    let page = Page {
        title,
        document,
        headline: number(document.mean_iou.dataset),
        image_count: document.images.evaluated as u64,
        left_out: human::percent(document.pixels.left_out as f64 / all.max(1) as f64),
        classes: document.classes.iter().enumerate().map(|(at, class)| (at, class, colours[at])).collect(),
        matrix: (document.classes.len() <= MATRIX_CLASSES).then(|| matrix(document)),
        cells: cells(document),
        errors: document
            .errors
            .iter()
            .filter(|row| row.pixels > 0)
            .map(|row| {
                let width = human::width(row.gain_if_mended / largest.max(f64::MIN_POSITIVE));
                (row, width, human::percent(row.pixels as f64 / document.pixels.counted.max(1) as f64))
            })
            .collect(),
        means: document.mean_iou.named().map(|(name, value)| (name, number(value))).into(),
        strata: document.sizes.fixed.iter().chain(&document.sizes.terciles).map(stratum).collect(),
        calibration: document.calibration.as_ref().map(Reliability::of),
        key: Wrong::ALL.map(|wrong| (wrong.name(), rgb(wrong.colour()))),
        has_pictures: !evaluation.panels.is_empty(),
    };
    let html = page.render().unwrap_or_else(|error| format!("the page cannot be written: {error}"));
    [("index.html", html), ("images.js", script(evaluation))]
}

fn script(evaluation: &Evaluation) -> String {
    let images = evaluation.rows.iter().map(|row| {
        let all = (row.pixels + row.left_out).max(1) as f64;
        let nsd = |class| row.nsd.iter().find(|(of, _)| *of == class).map(|(_, nsd)| short(*nsd));
        let classes = row.classes.iter();
        let classes = classes.map(|(class, counts)| (*class, counts.iou().map(short), nsd(*class))).collect();
        (
            row.name.as_str(),
            row.truth.as_str(),
            row.picture.as_str(),
            row.size.height,
            row.size.width,
            row.mean_iou().map(short),
            row.pixel_accuracy().map(short),
            short(row.left_out as f64 / all),
            row.kinds,
            classes,
        )
    });
    let script = Script {
        classes: evaluation.classes.names().iter().map(String::as_str).collect(),
        kinds: ErrorKind::ALL.map(ErrorKind::name),
        panels: &evaluation.panels,
        pictures: !evaluation.panels.is_empty(),
        images: images.collect(),
        cells: evaluation.cells.iter().map(|((t, p), cell)| (format!("{t},{p}"), &cell.images[..])).collect(),
    };
    format!("window.EVALUATION = {};\n", serde_json::to_string(&script).unwrap_or_default())
}

/// Five digits are more than anybody looks at, and keep the script small.
fn short(value: f64) -> f64 {
    (value * 1e5).round() / 1e5
}

fn number(value: Option<f64>) -> String {
    value.map_or(human::DASH.to_owned(), |value| format!("{value:.4}"))
}

/// How many there are, as the type that numbers are written from.
fn len<T>(list: &[T]) -> u64 {
    list.len() as u64
}

fn matrix(document: &Document) -> Vec<MatrixRow> {
    let row = |(truth, cells): (usize, &Vec<u64>)| {
        let all = cells.iter().sum::<u64>().max(1) as f64;
        let cell = |(predicted, &pixels): (usize, &u64)| {
            let share = pixels as f64 / all;
            let words = if pixels == 0 { String::new() } else { human::percent(share) };
            // Small shares are what one looks for: the root makes them visible.
            (truth, predicted, words, format!("{:.2}", share.sqrt()), truth == predicted)
        };
        MatrixRow {
            class: document.classes[truth].name.clone(),
            cells: cells.iter().enumerate().map(cell).collect(),
        }
    };
    document.confusion.iter().enumerate().map(row).collect()
}

fn cells(document: &Document) -> Vec<ListedCell> {
    let rows = document.confusion.iter().enumerate();
    let mut cells: Vec<(u64, usize, usize)> = rows
        .flat_map(|(truth, row)| row.iter().enumerate().map(move |(predicted, &n)| (n, truth, predicted)))
        .filter(|&(pixels, truth, predicted)| pixels > 0 && truth != predicted)
        .collect();
    cells.sort_by_key(|&(pixels, truth, predicted)| (std::cmp::Reverse(pixels), truth, predicted));
    cells.truncate(CELLS_LISTED);
    let of_truth = |truth: usize| document.confusion[truth].iter().sum::<u64>().max(1) as f64;
    let name =
        |class: usize| document.classes.get(class).map_or("no class".to_owned(), |class| class.name.clone());
    let listed = |(pixels, truth, predicted): (u64, usize, usize)| ListedCell {
        truth,
        predicted,
        truth_name: name(truth),
        predicted_name: name(predicted),
        pixels: human::count(pixels),
        share: human::percent(pixels as f64 / of_truth(truth)),
    };
    cells.into_iter().map(listed).collect()
}

fn stratum(stratum: &Stratum) -> StratumRow {
    let objects = &stratum.objects;
    let share = |part: u64, whole: u64| {
        if whole == 0 { human::DASH.to_owned() } else { human::percent(part as f64 / whole as f64) }
    };
    StratumRow {
        range: range_px(stratum),
        truth: human::count(objects.truth),
        found: share(objects.found, objects.truth),
        found_pixels: share(objects.found_pixels, objects.truth_pixels),
        predicted: human::count(objects.predicted),
        right: share(objects.right, objects.predicted),
    }
}
