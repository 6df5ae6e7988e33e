use super::*;
use crate::TileFault;
use crate::group_tiles::whole;
use crate::toy::{CLASSES, SIZE, TestImage, block, group, tile_with};
use marquetry_ensemble::{Importance, Labelling, Voice, resize_planes};
use ndarray::s;

const AREA: usize = (SIZE.height * SIZE.width) as usize;
const WIDTH: usize = SIZE.width as usize;

/// Compares merged rows with planes that were made the plain way, but for missing pixels.
#[track_caller]
fn check(rows: &ScoreRows, (planes, missing): &(Vec<f32>, Vec<bool>)) {
    let top = rows.rows.start as usize;
    assert_eq!(whole(rows.missing.view()), &missing[top * WIDTH..][..rows.missing.len()]);
    for (y, scores, holes) in rows.iter() {
        for (at, score) in scores.iter().enumerate() {
            let (class, x) = (at / WIDTH, at % WIDTH);
            let plain = planes[class * AREA + y as usize * WIDTH + x];
            assert!(
                holes[x] || (score - plain).abs() < 1e-5,
                "class {class} ({y}, {x}): {score}, not {plain}"
            );
        }
    }
}

#[test]
fn one_group_and_two_scales_equal_the_plain_way() {
    let one = vec![group(1.0, 16, Importance::Gaussian, [1.0; CLASSES])];
    for image in [TestImage::new(one, Labelling::Multiclass), TestImage::two_scales()] {
        let plain = image.plain(&[]);
        let blocks = |group| image.plan.layout(&image.image, group).map(|(_, blocks)| blocks.len());
        assert!((0..2).filter_map(blocks).all(|blocks| blocks > 1), "blocks must have neighbours");
        check(&image.reader().rows(0..SIZE.height).unwrap(), &plain);
        let bands: Vec<_> = image.reader().bands(20_000).map(Result::unwrap).collect();
        assert!(bands.len() > 10);
        bands.iter().for_each(|band| check(band, &plain));
    }
}

#[test]
fn any_order_of_any_rows_gives_the_same_bits() {
    let image = TestImage::two_scales();
    let all = image.reader().rows(0..SIZE.height).unwrap();
    let mut reader = image.reader();
    for rows in [200..300, 0..7, 60..70, 61..62, 299..300, 0..300] {
        let read = reader.rows(rows.clone()).unwrap();
        let (first, n) = (rows.start as usize, rows.len());
        let part = s![first..first + n, .., ..];
        assert_eq!(read.scores, all.scores.slice(part), "{rows:?}");
        assert_eq!(read.missing, all.missing.slice(s![first..first + n, ..]));
    }
    for rows in [0..301, 300..301, 3..3] {
        assert!(matches!(reader.rows(rows), Err(ScoreError::NoSuchRows { .. })));
    }
}

#[test]
fn groups_are_read_in_their_own_pixels() {
    let image = TestImage::two_scales();
    let mut reader = image.reader();
    for (number, tiles) in (0_u32..).zip(reader.groups()) {
        let (planes, weights, size) = image.plain_group(number, &[]);
        assert_eq!(tiles.size(), size);
        let rows = tiles.rows(0..size.height).unwrap();
        let (width, area) = (size.width as usize, size.area() as usize);
        let near = |a: f32, b: f32| (a - b).abs() < 1e-5 * b.abs().max(1.0);
        assert!(rows.weights.iter().zip(&weights).all(|(a, b)| near(*a, *b)));
        for (at, score) in rows.scores.iter().enumerate() {
            let (y, class, x) = (at / (CLASSES * width), at / width % CLASSES, at % width);
            assert!(
                near(*score, planes[class * area + y * width + x]),
                "group {number} class {class} ({y}, {x})"
            );
        }
    }
}

/// A block of the coarse group is gone: its pixels are missing where the image is made of them, and only there.
#[test]
fn a_block_that_was_given_up_is_missing_and_one_that_was_not_is_an_error() {
    let image = TestImage::two_scales();
    let lost = [block(1, 1), block(0, 0)];
    lost.iter().for_each(|task| image.delete(&image.key_of(*task)));
    let plain = image.plain(&lost);
    assert!(plain.1.contains(&true) && plain.1.contains(&false));
    let mut reader = ScoreReader::open(&image.source(true), &image.plan, &image.image).unwrap();
    check(&reader.rows(0..SIZE.height).unwrap(), &plain);
    match image.reader().rows(0..SIZE.height) {
        Err(ScoreError::Damaged { task, fault }) if matches!(*fault, TileFault::NotThere) => {
            assert_eq!(task, image.id(lost[1]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_the_tile_that_was_stored_is_named() {
    let image = TestImage::two_scales();
    let task = block(0, 2);
    let key = image.key_of(task);
    let whole = image.get(&key);
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x10;
    let mut other = image.header(task);
    other.scores = "of another plan".into();
    for (bytes, words) in [
        (flipped, "damaged"),
        (whole[..whole.len() - 3].to_vec(), "damaged"),
        (tile_with(&other, 0), "of another plan"),
    ] {
        image.put(&key, bytes);
        let error = image.reader().rows(0..SIZE.height).unwrap_err();
        assert!(
            matches!(error, ScoreError::Damaged { task: ref found, .. } if *found == image.id(task)),
            "{error:?}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
    image.put(&key, whole);
    assert!(image.reader().rows(0..SIZE.height).is_ok());
    let strange = image.image.clone().scored_by(vec![9]);
    assert!(matches!(
        ScoreReader::open(&image.source(false), &image.plan, &strange),
        Err(ScoreError::NoMember(_))
    ));
}

#[test]
fn what_each_member_says_comes_along_if_it_is_asked_for() {
    let image = TestImage::two_scales();
    assert!(image.reader().rows(0..5).unwrap().members.is_empty());
    let mut reader = image.reader().with_members(&image.plan);
    let weights = reader.voices().iter().map(Voice::weight).collect::<Vec<_>>();
    assert!(weights.iter().zip([4.0 / 3.0, 5.0 / 3.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6));
    let rows = reader.rows(100..170).unwrap();
    assert_eq!(rows.scores, image.reader().rows(100..170).unwrap().scores, "the merge is as it was");
    for (group, found) in rows.members.iter().enumerate() {
        let (means, _, size) = image.plain_group(group as u32, &[]);
        let plain = resize_planes(&means, size, SIZE);
        for ((row, class, x), p) in found.indexed_iter() {
            let wanted = plain[class * SIZE.area() as usize + (row + 100) * SIZE.width as usize + x];
            assert!((p - wanted).abs() < 1e-5, "{group} {row} {class} {x}: {p} {wanted}");
        }
    }
    let one =
        TestImage::new(vec![group(1.0, 16, Importance::Constant, [1.0; CLASSES])], Labelling::Multiclass);
    let rows = one.reader().with_members(&one.plan).rows(3..9).unwrap();
    assert_eq!(rows.members, [rows.scores]);
}

#[test]
fn who_has_no_say_in_the_merge_is_not_heard() {
    let mut image = TestImage::two_scales();
    image.plan.merge.weights[0] = vec![0.0; CLASSES];
    let mut reader = image.reader().with_members(&image.plan);
    assert_eq!(reader.voices(), [image.plan.voice(1)]);
    let rows = reader.rows(100..110).unwrap();
    let [heard] = rows.members.as_slice() else { panic!("{} members", rows.members.len()) };
    assert!(heard.iter().zip(&rows.scores).all(|(own, merged)| (own - merged).abs() < 1e-6));
}
