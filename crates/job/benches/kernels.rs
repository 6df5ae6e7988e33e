//! What is done around a model, from its planes to a tile and from there to labels: nanoseconds of one core for each
//! pixel, class and view (`cargo bench -p marquetry-job --bench kernels`). Words after `--` choose kernels by name.
//!
//! As a test (`cargo test --benches`) each kernel runs once.

#![expect(clippy::print_stdout, reason = "this program talks to people on a terminal")]

use marquetry_ensemble::{
    Canvas, ClassMap, Decision, Importance, ImportanceMap, Labelling, ModelOutput, OutputActivation, Rule,
    ScoreSpace, ScoreTransform, ViewMerge, WindowScores, WindowSums, blend, normalise, show_planes,
    take_off_greatest,
};
use marquetry_geometry::{Block, Blocks, D4, Edges, Grid, Rect, Size, WindowSpec};
use marquetry_job::tile::{self, TileIndex};
use marquetry_job::{TileDtype, TileHeader};
use std::hint::black_box;
use std::time::{Duration, Instant};

const CLASSES: usize = 11;
const WINDOW: Size = Size::square(256);
/// How long each kernel runs, again and again; the median counts.
const MEASURED: Duration = Duration::from_millis(400);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = words.iter().any(|word| word == "--bench");
    let chosen: Vec<&String> = words.iter().filter(|word| !word.starts_with("--")).collect();
    let is_wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|word| name.contains(word.as_str()));
    let mut report = |name: &str, numbers: usize, run: &mut dyn FnMut()| {
        if !is_wanted(name) {
            return;
        }
        let least = if is_bench { MEASURED } else { Duration::ZERO };
        println!("{name:<44} {:>7.3} ns", median(least, run) * 1e9 / numbers as f64);
    };
    shown(&mut report);
    views(&mut report);
    from_model_to_band(&mut report);
    tiles(&mut report);
    rows(&mut report);
}

type Report<'a> = dyn FnMut(&str, usize, &mut dyn FnMut()) + 'a;

/// The median time of a run, s, of those that take `least` together.
fn median(least: Duration, run: &mut dyn FnMut()) -> f64 {
    run();
    let (begun, mut seconds) = (Instant::now(), Vec::new());
    while seconds.is_empty() || begun.elapsed() < least {
        let started = Instant::now();
        run();
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Logits as models say them, the same on every run.
fn logits(numbers: usize) -> Vec<f32> {
    (0..numbers).map(|i| ((i * 7919 + i / 257 * 31) % 10_007) as f32 / 700.0 - 7.0).collect()
}

fn softmax() -> ScoreTransform {
    let (map, to) = (ClassMap::default(), ScoreSpace::Probabilities);
    let none = OutputActivation::None;
    ScoreTransform::new(none, Labelling::Multiclass, CLASSES, CLASSES, &map, to)
        .expect("channels are classes")
}

fn keep(space: ScoreSpace) -> ScoreTransform {
    ScoreTransform::between(space, space, Labelling::Multiclass, CLASSES)
}

/// A window as views show it to a model: of one channel for each number.
fn shown(report: &mut Report<'_>) {
    let channels = 3;
    let planes = logits(WINDOW.area() as usize * channels);
    let mut out = vec![0.0; planes.len()];
    for d4 in D4::ALL {
        report(&format!("show {d4}"), planes.len(), &mut || {
            show_planes(black_box(&planes), WINDOW, d4, black_box(&mut out));
        });
    }
}

/// One view of a window, softmax included, added to what others said.
fn views(report: &mut Report<'_>) {
    let numbers = WINDOW.area() as usize * CLASSES;
    let planes = logits(numbers);
    let raw = ModelOutput { planes: &planes, size: WINDOW, part: Rect::whole(WINDOW) };
    for (transform, name) in [(softmax(), "softmax"), (keep(ScoreSpace::Logits), "logits")] {
        for d4 in D4::ALL {
            let mut scores = WindowScores::new(WINDOW, CLASSES, ViewMerge::Mean);
            scores.add(&raw, d4, &transform).expect("scores");
            report(&format!("view {d4}, {name}"), numbers, &mut || {
                scores.add(black_box(&raw), d4, &transform).expect("scores");
            });
        }
    }
}

/// All windows of a block through all views, importance and canvas to the mean of each band: all but what the
/// model does, and the making of frames.
fn from_model_to_band(report: &mut Report<'_>) {
    let numbers = WINDOW.area() as usize * CLASSES;
    let planes = logits(numbers);
    let stride = Size::square(WINDOW.width / 2);
    let spec = WindowSpec { inner: WINDOW, margin: Size::square(0), stride, edges: Edges::Shift };
    let grid = Grid::new(Size::square(1024), &spec).expect("a grid");
    let block = Blocks::new(&grid, 1024 * 1024).get(0).expect("a block");
    let map = Importance::Gaussian.map(WINDOW);
    let all = numbers * block.windows() as usize;
    for (views, name) in [(&D4::ALL[..], "d4"), (&D4::ALL[..1], "1 view")] {
        let mut scores = WindowScores::new(WINDOW, CLASSES, ViewMerge::Mean);
        report(&format!("model to bands, {name}"), all * views.len(), &mut || {
            stitch(&planes, &grid, &block, &map, views, &mut scores);
        });
    }
}

fn stitch(
    planes: &[f32],
    grid: &Grid,
    block: &Block,
    map: &ImportanceMap,
    views: &[D4],
    scores: &mut WindowScores,
) {
    let (transform, same) = (softmax(), keep(ScoreSpace::Probabilities));
    let none = WindowSums::new(WINDOW, CLASSES);
    let extent = block.extent(grid);
    let mut canvas = Canvas::new(extent, CLASSES, tile::ROWS_PER_FRAME);
    let weights = [1.0; CLASSES];
    let raw = ModelOutput { planes, size: WINDOW, part: Rect::whole(WINDOW) };
    let take = |canvas: &mut Canvas, bottom: i64| {
        for band in canvas.take_above(bottom) {
            let sum = map.sum_over(grid, block, band.part);
            black_box(band.into_mean(&sum, &weights));
        }
    };
    let (last, others) = views.split_last().expect("a view");
    for row in block.rows.clone() {
        for col in block.cols.clone() {
            let window = grid.inner(row, col);
            take(&mut canvas, window.top);
            scores.reset();
            others.iter().for_each(|d4| scores.add(&raw, *d4, &transform).expect("scores"));
            let mut add =
                |first: usize, rows: &[f32]| canvas.add_rows(window, map, &none, &weights, first, rows);
            scores.finish(&raw, *last, &transform, &same, &mut add).expect("scores");
        }
    }
    take(&mut canvas, extent.bottom());
}

/// Frames of tiles, made and read: of one view for each number.
fn tiles(report: &mut Report<'_>) {
    let size = Size::new(tile::ROWS_PER_FRAME, 2048);
    let numbers = size.area() as usize * CLASSES;
    let mut rows = logits(numbers);
    // Smooth, as scores are: neighbours differ in their last digits.
    rows.iter_mut().enumerate().for_each(|(i, v)| *v = ((i as f32 / 190.0).sin() + *v / 500.0).abs() / 2.0);
    let mut own = rows.clone();
    report("take off the greatest", numbers, &mut || {
        take_off_greatest(black_box(&mut own), CLASSES, size.width as usize);
    });
    for dtype in [TileDtype::F16, TileDtype::F32, TileDtype::U8] {
        report(&format!("make a frame, {dtype:?}"), numbers, &mut || {
            black_box(tile::encode_rows(black_box(&rows), dtype).expect("a frame"));
        });
        let header = header(size, dtype);
        let bytes = tile::encode(&header, &rows).expect("a tile");
        let index = TileIndex::parse(&bytes, bytes.len() as u64).expect("an index");
        let range = index.rows_range(0);
        let frame = &bytes[range.start as usize..range.end as usize];
        report(&format!("read a frame, {dtype:?}"), numbers, &mut || {
            black_box(index.decode_rows(&header, 0, black_box(frame)).expect("rows"));
        });
    }
}

fn header(size: Size, dtype: TileDtype) -> TileHeader {
    TileHeader {
        scores: String::new(),
        image: String::new(),
        block: 0,
        extent: Rect::whole(size),
        classes: CLASSES as u32,
        space: ScoreSpace::Probabilities,
        dtype,
        models: Vec::new(),
        missing: None,
        unread: Vec::new(),
        skipped: false,
    }
}

/// From rows of tiles to labels: of one view for each number.
fn rows(report: &mut Report<'_>) {
    let width = 2048;
    let numbers = width * CLASSES;
    let tile = logits(numbers);
    let importance = vec![0.5; width];
    let (mut sums, mut weights) = (vec![0.0; numbers], vec![0.0; width]);
    report("put tiles together, a row", numbers, &mut || {
        blend(black_box(&tile), &importance, 0, &mut sums, &mut weights);
    });
    report("divide by importance, a row", numbers, &mut || normalise(black_box(&mut sums), &importance));
    let mut labels = vec![0; width];
    let mut decision = Decision::new(Rule::Argmax, CLASSES, Some(0));
    report("greatest class, a row", numbers, &mut || decision.row(black_box(&tile), black_box(&mut labels)));
    let to = ScoreTransform::between(
        ScoreSpace::Logits,
        ScoreSpace::Probabilities,
        Labelling::Multiclass,
        CLASSES,
    );
    let mut row = tile.clone();
    report("softmax of a row, in place", numbers, &mut || {
        row.copy_from_slice(&tile);
        to.apply_in_place(black_box(&mut row)).expect("scores");
    });
}
