use super::*;
use crate::sink::FinishedImage;
use marquetry_scores::toy::{CLASSES, SIZE, TestImage, block};
use std::sync::{Arc, Mutex};

const WIDTH: usize = SIZE.width as usize;

/// What is right at a pixel.
const fn right(y: u32, x: u32) -> u16 {
    if (y + x).is_multiple_of(7) { marquetry_job::NO_TRUTH } else { ((3 * y + x) % 3) as u16 }
}

/// What a sink was given, row by row.
#[derive(Debug, Default, Clone, PartialEq)]
struct Seen {
    label_rows: Vec<u32>,
    labels: Vec<u16>,
    score_rows: Vec<u32>,
    scores: Vec<f32>,
    confidence: Vec<f32>,
    /// As it came with labels, and as it came with scores.
    missing: [Vec<bool>; 2],
    /// Rows that had both.
    whole: usize,
}

struct Recorder {
    seen: Arc<Mutex<Seen>>,
    whole_rows: bool,
}

impl RowSink for Recorder {
    fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
        let mut seen = self.seen.lock().unwrap();
        assert_eq!(row.width(), WIDTH);
        let truth: Vec<u16> = (0..SIZE.width).map(|x| right(row.y(), x)).collect();
        assert_eq!(row.truth(), Some(&truth[..]), "row {}, whichever pass it comes in", row.y());
        if let Some(labels) = row.labels() {
            seen.label_rows.push(row.y());
            seen.labels.extend(labels);
            seen.missing[0].extend(row.missing());
        }
        if let Some(scores) = row.scores() {
            seen.score_rows.push(row.y());
            seen.scores.extend(scores.probabilities()?);
            seen.confidence.extend(scores.confidence()?);
            seen.missing[1].extend(row.missing());
        }
        seen.whole += usize::from(row.labels().is_some() && row.scores().is_some());
        Ok(())
    }

    fn needs_whole_rows(&self) -> bool {
        self.whole_rows
    }

    fn finish(self: Box<Self>, _: &mut FinishedImage) -> Result<(), SinkError> {
        Ok(())
    }
}

fn spec(decide: &str) -> JobSpec {
    let multilabel = if decide.contains("triplet") { ", output: {multilabel: true}" } else { "" };
    let text = format!(
        "version: 1\nimages: nowhere\nclasses: [a, b, c]\nmembers: [{{onnx: none.onnx{multilabel}}}]\n\
         outputs: [{{masks: png}}]\nlimits: {{band_mb: 1}}\ndecide: {decide}\n"
    );
    JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn run(image: &TestImage, decide: &str, whole_rows: bool) -> Seen {
    let (spec, source) = (spec(decide), image.source(true));
    let labels: Vec<u16> = (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| right(y, x))).collect();
    let stored = TruthLabels::encode(SIZE, &labels).unwrap();
    let truth = TruthLabels::open(stored, SIZE).unwrap();
    let passes = RowPasses::new(&spec, image.plan.merge.space, image.path(), Some(&truth));
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut sinks: Vec<Box<dyn RowSink>> = vec![Box::new(Recorder { seen: Arc::clone(&seen), whole_rows })];
    passes.run(|_| ScoreReader::open(&source, &image.plan, &image.image), &mut sinks).unwrap();
    let seen = seen.lock().unwrap().clone();
    let all: Vec<u32> = (0..SIZE.height).collect();
    assert_eq!((&seen.label_rows, &seen.score_rows), (&all, &all), "every row once, from the top");
    assert_eq!(seen.missing[0], seen.missing[1]);
    seen
}

/// Argmax over the scores that came with the rows.
fn argmax(seen: &Seen) -> Vec<u16> {
    let rows = seen.scores.chunks_exact(CLASSES * WIDTH);
    let decided = rows.flat_map(|row| {
        (0..WIDTH).map(move |x| {
            let better =
                |best: usize, c: usize| if row[c * WIDTH + x] > row[best * WIDTH + x] { c } else { best };
            (1..CLASSES).fold(0, better) as u16
        })
    });
    decided.zip(&seen.missing[1]).map(|(label, missing)| if *missing { 255 } else { label }).collect()
}

#[test]
fn labels_that_are_final_at_once_come_with_their_scores() {
    let image = TestImage::two_scales();
    image.delete(&image.key_of(block(1, 0)));
    let seen = run(&image, "{rule: argmax}", false);
    assert_eq!(seen.whole, SIZE.height as usize);
    assert_eq!(seen.labels, argmax(&seen));
    assert!(seen.missing[0].contains(&true) && seen.labels.contains(&255));
    assert_eq!(seen, run(&image, "{rule: argmax}", true));
    let scores = &seen.scores;
    let of_pixel = |x: usize| (0..CLASSES).map(move |c| scores[c * WIDTH + x]);
    let sure = |x: usize| of_pixel(x).fold(0.0, f32::max) / of_pixel(x).sum::<f32>().max(f32::MIN_POSITIVE);
    assert!((0..WIDTH).all(|x| (seen.confidence[x] - sure(x)).abs() < 1e-6));
}

#[test]
fn labels_that_are_tidied_up_come_later_or_with_scores_that_are_read_again() {
    use marquetry_ensemble::components::{Clean, Connectivity, Stage};
    let image = TestImage::two_scales();
    image.delete(&image.key_of(block(0, 3)));
    let (later, together) = (run(&image, "{min_area: 40}", false), run(&image, "{min_area: 40}", true));
    assert_eq!((later.whole, together.whole), (0, SIZE.height as usize));
    assert_eq!(Seen { whole: 0, ..together }, later);
    let mut labels = argmax(&later);
    let rule = Clean::MinArea { areas_px: [(1, 40), (2, 40)].into(), fill: 0 };
    Stage::new(rule, Connectivity::Eight, WIDTH).clean(&mut labels);
    assert!(labels != argmax(&later), "there must be something to take out");
    assert_eq!(later.labels, labels);
}

#[test]
fn classes_that_the_triplet_rule_drops_are_taken_out() {
    let image = TestImage::two_scales();
    let decide = |least: u64| {
        let rule = |least: u64| format!("{{top: 0.3, area_px: {least}, bottom: 0.2}}");
        format!("{{triplet: {{a: {}, b: {}, c: {}}}}}", rule(1), rule(least), rule(1))
    };
    let (kept, dropped) = (run(&image, &decide(1), false), run(&image, &decide(1_000_000), false));
    let planes = |seen: &Seen, class: usize| -> Vec<u16> {
        seen.labels.chunks_exact(WIDTH).skip(class).step_by(CLASSES).flatten().copied().collect()
    };
    assert!(planes(&kept, 1).contains(&1) && !planes(&dropped, 1).contains(&1));
    for class in [0, 2] {
        assert!(planes(&kept, class).contains(&1));
        assert_eq!(planes(&kept, class), planes(&dropped, class));
    }
}

/// The thread that reads must not take its panic with it, nor keep the others waiting.
#[test]
fn a_sink_that_fails_ends_the_pass() {
    struct Fails;
    impl RowSink for Fails {
        fn row(&mut self, row: &Row<'_>) -> Result<(), SinkError> {
            if row.y() < 3 { Ok(()) } else { Err(io::Error::other("full").into()) }
        }
        fn finish(self: Box<Self>, _: &mut FinishedImage) -> Result<(), SinkError> {
            Ok(())
        }
    }
    let image = TestImage::two_scales();
    let (spec, source) = (spec("{rule: argmax}"), image.source(false));
    let passes =
        RowPasses { band_bytes: 1, ..RowPasses::new(&spec, image.plan.merge.space, image.path(), None) };
    let error = passes
        .run(|_| ScoreReader::open(&source, &image.plan, &image.image), &mut [Box::new(Fails)])
        .unwrap_err();
    assert_eq!(error.to_string(), "the temporary folder: full");
}
