use super::*;
use crate::toy::{CLASSES, SIZE, TestImage, block};
use marquetry_ensemble::Sureness;
use marquetry_job::TaskKind;

const WIDTH: usize = SIZE.width as usize;
const AREA: usize = SIZE.area() as usize;
const MARGIN: f32 = 0.2;

fn in_rounds() -> TestImage {
    TestImage::two_scales().in_rounds(Sureness { margin: MARGIN, agreement: None })
}

fn unsure(image: &TestImage, region: Option<&Region>) -> Result<Region, ScoreError> {
    let rule = image.plan.inference.cascade.as_ref().unwrap();
    unsure_part(&image.source(false), (&image.plan, rule), &image.image, region, 20_000)
}

fn pixels(region: &Region) -> Vec<bool> {
    let mut inside = vec![false; AREA];
    (0..).zip(inside.chunks_exact_mut(WIDTH)).for_each(|(y, row)| region.fill_row(y, row));
    inside
}

/// A reader of what all come to where the first round is unsure.
fn reader(image: &TestImage, unsure: Region, may_miss: bool) -> ScoreReader {
    let open = |plan: &Plan| ScoreReader::open(&image.source(may_miss), plan, &image.image).unwrap();
    open(&image.plan).where_unsure(open(&image.plan.first_round().unwrap()), Arc::new(unsure)).0
}

#[test]
fn unsure_pixels_are_those_whose_two_greatest_are_near() {
    let image = in_rounds();
    let (planes, _) = TestImage { plan: image.plan.first_round().unwrap(), ..in_rounds() }.plain(&[]);
    let near = |x: usize| {
        let mut scores: Vec<f32> = (0..CLASSES).map(|class| planes[class * AREA + x]).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        (scores[0] - scores[1]) / scores.iter().sum::<f32>()
    };
    let found = pixels(&unsure(&image, None).unwrap());
    let count = found.iter().filter(|unsure| **unsure).count();
    assert!((AREA / 20..AREA * 4 / 5).contains(&count), "{count} of {AREA}");
    for (x, found) in found.iter().enumerate() {
        let margin = near(x);
        assert!((margin - MARGIN).abs() < 1e-4 || *found == (margin < MARGIN), "pixel {x}: {margin}");
    }
    // Within a region, those of it alone.
    let mut builder = RegionBuilder::new(SIZE, u64::MAX);
    (0..100).for_each(|y| builder.row(y, (0..WIDTH).map(|x| x < 30)));
    let region = builder.finish();
    let (within, inside) = (pixels(&unsure(&image, Some(&region)).unwrap()), pixels(&region));
    assert!(
        within
            .iter()
            .zip(&inside)
            .zip(&found)
            .all(|((within, inside), found)| *within == (*inside && *found))
    );
}

#[test]
fn a_sure_pixel_has_the_scores_of_the_first_round_and_any_other_those_of_all() {
    let image = in_rounds();
    let unsure = unsure(&image, None).unwrap();
    let inside = pixels(&unsure);
    let open = |plan: &Plan| ScoreReader::open(&image.source(false), plan, &image.image).unwrap();
    let all = open(&image.plan).rows(0..SIZE.height).unwrap();
    let first = open(&image.plan.first_round().unwrap()).rows(0..SIZE.height).unwrap();
    let bands = reader(&image, unsure.clone(), false).bands(20_000);
    let whole = [Ok(reader(&image, unsure, false).rows(0..SIZE.height).unwrap())].into_iter();
    for band in bands.chain(whole) {
        let band: ScoreRows = band.unwrap();
        for (k, y) in band.rows.clone().enumerate() {
            for x in 0..WIDTH {
                let of = if inside[y as usize * WIDTH + x] { &all } else { &first };
                let wanted = of.scores.slice(ndarray::s![y as usize, .., x]);
                assert_eq!(band.scores.slice(ndarray::s![k, .., x]), wanted, "({y}, {x})");
            }
        }
    }
}

#[test]
fn where_others_should_have_looked_and_have_not_the_first_round_stands() {
    let image = in_rounds();
    let unsure = unsure(&image, None).unwrap();
    image.delete(&image.key_of(block(1, 0)));
    assert!(
        reader(&image, unsure.clone(), false).rows(0..30).is_err(),
        "a tile that should be there is damage"
    );
    let open = |plan: &Plan| ScoreReader::open(&image.source(true), plan, &image.image).unwrap();
    let first = open(&image.plan.first_round().unwrap());
    let (mut reader, counted) = open(&image.plan).where_unsure(first, Arc::new(unsure));
    let rows = reader.rows(0..SIZE.height).unwrap();
    assert!((1..SIZE.area()).contains(&counted.load(Ordering::Relaxed)));
    assert!(rows.missing.iter().all(|missing| !missing));
    let first = ScoreReader::open(&image.source(false), &image.plan.first_round().unwrap(), &image.image);
    let first = first.unwrap().rows(0..SIZE.height).unwrap();
    assert_eq!(rows.scores.slice(ndarray::s![0, .., ..]), first.scores.slice(ndarray::s![0, .., ..]));
}

#[test]
fn a_damaged_tile_of_the_first_round_is_named() {
    let image = in_rounds();
    image.delete(&image.key_of(block(0, 1)));
    let error = unsure(&image, None).unwrap_err();
    assert!(matches!(&error, ScoreError::Damaged { task, .. } if task.kind == block(0, 1)), "{error}");
    assert!(image.tasks().contains(&TaskKind::Unsure));
}
