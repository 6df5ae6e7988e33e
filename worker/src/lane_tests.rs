use super::*;
use crate::context::PlanContext;
use crate::context::tests::{inference, members, signature};
use crate::{ImageOptions, Images};
use marquetry_ensemble::{Importance, ScoreSpace, View, WindowSums};
use marquetry_geometry::Size;
use marquetry_job::{Group, Merge, Plan, PlannedImage};
use marquetry_transport::Files;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tracing::Span;

/// Four bands of rows.
const IMAGE: Size = Size::new(200, 24);
const CLASSES: usize = 3;

/// Says of every pixel what its sample is, and panics where it is told to.
struct Echo {
    panics: Place,
    opened: Arc<AtomicU32>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Nowhere,
    Opening,
    Reading,
    Scoring,
    HoldingTheCanvas,
    Adding,
    Encoding,
}

impl ScorerSource for Echo {
    fn open(&self, _: u64) -> Result<Box<dyn Scorer>, Failure> {
        let n = self.opened.fetch_add(1, Ordering::Relaxed);
        assert!(self.panics != Place::Opening || n > 0, "there is no device");
        Ok(Box::new(Self { panics: self.panics, opened: Arc::clone(&self.opened) }))
    }

    fn windows_together(&self, _: &Group) -> u64 {
        2
    }
}

impl Scorer for Echo {
    fn score_image(&mut self, _: &mut GateRequest<'_>) -> Result<(Vec<f32>, StageSeconds), Failure> {
        Err(Failure::bug("these plans have no gate"))
    }

    fn score(
        &mut self,
        request: &mut ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
    ) -> Result<StageSeconds, Failure> {
        // Only what is broken by its name has anything to panic about.
        let broken = request.inference().classes[0] == "broken";
        let padding = request.group().members[0].input.padding;
        for window in 0..request.windows() {
            if broken && self.panics == Place::Reading {
                request.samples(window + 99, padding)?;
            }
            let samples = request.samples(window, padding)?;
            assert!(!broken || self.panics != Place::Scoring, "these pixels are strange");
            sink.add_sum(window, 0, samples);
            assert!(!broken || self.panics != Place::HoldingTheCanvas, "after it was added to");
        }
        Ok(StageSeconds::default())
    }
}

fn write_image(path: &Path) {
    let bytes: Vec<u8> = (0..IMAGE.area() as usize * CLASSES).map(|i| (i * 7 % 251) as u8).collect();
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), IMAGE.width, IMAGE.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
}

/// One block of one image with what `spoil` makes of its plan.
fn block(folder: &Path, name: &str, spoil: impl FnOnce(&mut PlanContext)) -> BlockSpec {
    let path = folder.join("i.png");
    write_image(&path);
    let mut all = members(&[1]);
    all[0].signatures = vec![signature(CLASSES as u32, 8)];
    all[0].weights = vec![1.0; CLASSES];
    let mut inference = inference(8, vec![View::IDENTITY], all);
    inference.classes[0] = name.into();
    let image = PlannedImage {
        id: "i".into(),
        uri: path.to_string_lossy().into_owned(),
        sidecars: Vec::new(),
        version: String::new(),
        key: "0123456789abcdef".into(),
        content: None,
        size: IMAGE,
        bands: CLASSES as u16,
        tags: std::collections::BTreeMap::new(),
        members: None,
        truth: None,
    };
    let merge = Merge { space: ScoreSpace::Logits, weights: vec![vec![1.0; CLASSES]] };
    let plan = Plan::new("lanes", inference, merge);
    let options = ImageOptions {
        pixels_max: 1 << 20,
        memory_bytes: 1 << 20,
        scratch_dir: folder.to_owned(),
        files: Files::local_only(),
        planned_here: false,
    };
    let opened = Images::new(&options).open(&image, &marquetry_geometry::Reading::default()).unwrap();
    let (grid, blocks) = plan.layout(&image, 0).unwrap();
    assert_eq!(blocks.len(), 1);
    let mut context = PlanContext::new(&plan, &image).unwrap();
    spoil(&mut context);
    let block = blocks.get(0).unwrap().clone();
    BlockSpec {
        context: Arc::new(context),
        image: opened,
        grid,
        group: 0,
        block,
        region: None,
        span: Span::none(),
    }
}

fn result(outcome: oneshot::Receiver<Outcome>) -> Outcome {
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(outcome.blocking_recv()));
    result.recv_timeout(Duration::from_secs(20)).expect("a task ends").expect("the lanes are there")
}

#[test]
fn a_panic_anywhere_fails_its_task_and_the_lanes_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let places = [
        (Place::Opening, "there is no device"),
        (Place::Reading, "index out of bounds"),
        (Place::Scoring, "these pixels are strange"),
        (Place::HoldingTheCanvas, "after it was added to"),
        (Place::Adding, "assertion"),
        (Place::Encoding, "assertion"),
    ];
    for ((place, words), lanes) in places.into_iter().flat_map(|place| [1, 3].map(|lanes| (place, lanes))) {
        let scorers: Arc<dyn ScorerSource> =
            Arc::new(Echo { panics: place, opened: Arc::new(AtomicU32::new(0)) });
        let lanes = Lanes::start(lanes, &scorers, 1).unwrap();
        let (_, broken) = lanes.submit(block(folder.path(), "broken", |context| {
            let group = &mut context.groups[0];
            match place {
                Place::Adding => group.importance = Importance::Constant.map(Size::square(7)),
                Place::Encoding => group.weights.push(1.0),
                _ => {}
            }
        }));
        let failure = result(broken).unwrap_err();
        assert!(
            failure.reason.contains("panicked") && failure.reason.contains(words),
            "{place:?}: {failure}"
        );
        // As many as there are lanes, so that each of them must be alive.
        let next: Vec<_> = (0..3).map(|_| lanes.submit(block(folder.path(), "r", |_| {})).1).collect();
        for outcome in next {
            let (frames, _) = result(outcome).unwrap_or_else(|failure| panic!("{place:?}: {failure}"));
            assert_eq!(frames.len(), 4);
        }
    }
}

#[test]
fn a_panic_while_sums_are_added_that_waited_ends_the_task_for_all_lanes() {
    let folder = tempfile::tempdir().unwrap();
    let (task, outcome) = BlockTask::new(block(folder.path(), "r", |_| {}), 4, 1 << 20);
    let item = task.take().unwrap();
    assert!(task.take().is_none(), "all windows are one item");
    let sums = PendingSums { sums: vec![WindowSums::new(Size::square(7), CLASSES)], added_in_place: false };
    let panicked = catch_unwind(AssertUnwindSafe(|| task.add(task.ticket(&item), sums)));
    task.fail_by_panic(Some(item.seq), words(&*panicked.unwrap_err()));
    assert!(result(outcome).unwrap_err().reason.contains("assertion"));
}

#[test]
fn a_scorer_that_leaves_windows_out_is_a_bug() {
    struct Lazy;
    impl Scorer for Lazy {
        fn score_image(&mut self, _: &mut GateRequest<'_>) -> Result<(Vec<f32>, StageSeconds), Failure> {
            Err(Failure::bug("these plans have no gate"))
        }

        fn score(
            &mut self,
            request: &mut ScoreRequest<'_>,
            sink: &mut ScoreSink<'_>,
        ) -> Result<StageSeconds, Failure> {
            let padding = request.group().members[0].input.padding;
            sink.add_sum(0, 0, request.samples(0, padding)?);
            Ok(StageSeconds::default())
        }
    }
    impl ScorerSource for Lazy {
        fn open(&self, _: u64) -> Result<Box<dyn Scorer>, Failure> {
            Ok(Box::new(Self))
        }

        fn windows_together(&self, _: &Group) -> u64 {
            3
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let scorers: Arc<dyn ScorerSource> = Arc::new(Lazy);
    let lanes = Lanes::start(2, &scorers, 1).unwrap();
    let (_, outcome) = lanes.submit(block(folder.path(), "r", |_| {}));
    assert!(result(outcome).unwrap_err().reason.contains("1 of 3 windows"));
}

#[test]
fn a_task_that_is_given_up_ends_and_is_not_computed() {
    let folder = tempfile::tempdir().unwrap();
    let opened = Arc::new(AtomicU32::new(0));
    let spec = block(folder.path(), "r", |_| {});
    let scorers: Arc<dyn ScorerSource> =
        Arc::new(Echo { panics: Place::Nowhere, opened: Arc::clone(&opened) });
    let (task, outcome) = BlockTask::new(spec, 1, 2);
    task.abandon();
    let lanes = Lanes::start(1, &scorers, 1).unwrap();
    lanes.shared.waiting().tasks.push_back(Arc::new(task));
    lanes.shared.changed.notify_all();
    assert!(result(outcome).unwrap_err().reason.contains("given up"));
    assert_eq!(opened.load(Ordering::Relaxed), 0);
}
