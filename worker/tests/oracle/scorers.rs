//! Other scorers behind the same trait: what hangs on them, and what does not.

use super::*;
use marquetry_geometry::Padding;
use marquetry_job::StageSeconds;
use marquetry_worker::{GateRequest, ScoreRequest, ScoreSink, Scorer};

/// The host scorer with another wish for how many windows come together.
struct Together(Arc<dyn ScorerSource>, u64);

impl ScorerSource for Together {
    fn open(&self, model_bytes: u64) -> Result<Box<dyn Scorer>, Failure> {
        self.0.open(model_bytes)
    }

    fn windows_together(&self, _: &Group) -> u64 {
        self.1
    }
}

/// Does at once what a graph on a device would: all members and views of all windows, and gives back their sum. What it
/// says is what the oracle would.
struct Merged;

impl ScorerSource for Merged {
    fn open(&self, _: u64) -> Result<Box<dyn Scorer>, Failure> {
        Ok(Box::new(Self))
    }

    fn windows_together(&self, _: &Group) -> u64 {
        5
    }
}

impl Scorer for Merged {
    fn score_image(&mut self, _: &mut GateRequest<'_>) -> Result<(Vec<f32>, StageSeconds), Failure> {
        Err(Failure::bug("these plans have no gate"))
    }

    fn score(
        &mut self,
        request: &mut ScoreRequest<'_>,
        sink: &mut ScoreSink<'_>,
    ) -> Result<StageSeconds, Failure> {
        let (group, bands) = (request.group(), usize::from(request.bands()));
        assert_eq!((bands, request.inference().classes.len()), (BANDS, BANDS));
        let members = &group.members[request.members()];
        for k in 0..request.windows() {
            let size = request.rect(k).size;
            let (area, width) = (size.area() as usize, size.width as usize);
            let mut sums = request.samples(k, Padding::Reflect)?.to_vec();
            for (class, plane) in sums.chunks_exact_mut(area).enumerate() {
                plane.iter_mut().for_each(|sample| {
                    let said = *sample;
                    *sample = members.iter().fold(0.0, |sum, member| sum + member.weights[class] * said);
                });
            }
            // Some rows at a time, as they would come back from a device in pieces.
            for first in (0..size.height as usize).step_by(7) {
                let rows = 7.min(size.height as usize - first);
                let planes = sums.chunks_exact(area);
                let some: Vec<f32> =
                    planes.flat_map(|plane| &plane[first * width..][..rows * width]).copied().collect();
                sink.add_sum(k, first, &some);
            }
        }
        Ok(StageSeconds { infer: 1.0, ..StageSeconds::default() })
    }
}

async fn tiles(store: &FolderStore, plan: &Job) -> Vec<Bytes> {
    let mut tiles = Vec::new();
    for block in 0..plan.tasks().len() as u32 {
        tiles.push(tile_of(store, plan, block).await.2);
    }
    tiles
}

#[tokio::test(flavor = "multi_thread")]
async fn no_byte_hangs_on_how_many_windows_come_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let d4 = Views { names: vec!["d4".into()], product: false, identity: true };
    let views = d4.resolve(Size::square(24), false).unwrap();
    let plan = plan(&path, window(Size::square(20), 2, Edges::Shift), &views, 3);
    let (store, _) = work(folder.path(), &plan, Oracle::Honest, 2).await;
    let want = tiles(&store, &plan).await;
    for together in [2, 5, 1000] {
        let place = folder.path().join(together.to_string());
        let scorers: Arc<dyn ScorerSource> = Arc::new(Together(asking(Oracle::Honest), together));
        let (store, _) = work_with(&place, &plan, Oracle::Honest, scorers, 3).await;
        assert!(tiles(&store, &plan).await == want, "{together} windows together");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scorer_that_sums_members_itself_gives_the_same_tiles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.png");
    write_image(&path);
    let plan = plan(&path, window(Size::square(24), 0, Edges::Shift), &[View::IDENTITY], 1);
    let (store, _) = work(folder.path(), &plan, Oracle::Honest, 2).await;
    let want = tiles(&store, &plan).await;
    let place = folder.path().join("merged");
    let (store, events) = work_with(&place, &plan, Oracle::Honest, Arc::new(Merged), 2).await;
    let inferred = |e: &Event| matches!(e, Event::TaskDone { seconds, .. } if seconds.infer >= 1.0);
    assert!(events.iter().all(inferred), "{events:?}");
    assert!(tiles(&store, &plan).await == want);
}
