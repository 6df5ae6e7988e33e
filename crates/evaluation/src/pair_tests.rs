use super::*;
use crate::kinds::ErrorKind;
use proptest::prelude::*;

/// Labels drawn as digits; `.` is 0, `x` is left out, `?` is no class.
fn drawn(rows: &[&str]) -> (u32, Vec<u16>) {
    let label = |c: char| match c {
        '.' => 0,
        'x' => LEFT_OUT,
        '?' => NO_CLASS,
        digit => digit.to_digit(10).unwrap() as u16,
    };
    (rows[0].len() as u32, rows.iter().flat_map(|row| row.chars().map(label)).collect())
}

fn near(boundary_px: u32) -> Distances {
    Distances { boundary_px, tolerance_px: 1 }
}

fn counted(truth: &[&str], predicted: &[&str], background: Option<u16>) -> ImageCounts {
    let ((width, truth), (_, predicted)) = (drawn(truth), drawn(predicted));
    LabelPair { width, truth: &truth, predicted: &predicted }.count(3, background, near(1))
}

/// Pixels of each kind that has any.
fn kinds_of(counts: &ImageCounts) -> Vec<(ErrorKind, u64, u64)> {
    let all = ErrorKind::ALL.into_iter();
    all.map(|kind| (kind, counts.kinds.pixels(kind), counts.kinds.components(kind)))
        .filter(|&(_, pixels, _)| pixels > 0)
        .collect()
}

#[test]
fn each_kind_is_told_from_the_others() {
    let kind = |truth: &[&str], predicted: &[&str]| kinds_of(&counted(truth, predicted, Some(0)));
    let two = ["..........", ".11....11.", ".11....11.", ".........."];
    let one = ["..........", ".11.......", ".11.......", ".........."];
    assert_eq!(kind(&two, &one), [(ErrorKind::Missed, 4, 1)]);
    assert_eq!(kind(&one, &two), [(ErrorKind::Extra, 4, 1)]);
    let swapped = ["..........", ".11....22.", ".11....22.", ".........."];
    assert_eq!(kind(&two, &swapped), [(ErrorKind::ClassSwap, 4, 1)]);
    let joined = ["..........", ".11111111.", ".11....11.", ".........."];
    assert_eq!(kind(&two, &joined), [(ErrorKind::Merged, 4, 1)]);
    assert_eq!(kind(&joined, &two), [(ErrorKind::Split, 4, 1)]);
    let fat = ["..........", ".111...11.", ".111...11.", ".........."];
    assert_eq!(kind(&two, &fat), [(ErrorKind::Boundary, 2, 1)]);
    let none = ["..........", ".1?....11.", ".11....11.", ".........."];
    assert_eq!(kind(&two, &none), [(ErrorKind::NoClass, 1, 1)]);
    let spilt = ["111111....", "111111.11.", "111111.11.", "111111...."];
    assert_eq!(kind(&two, &spilt), [(ErrorKind::Region, 20, 1)]);
}

/// Without a background every class has objects: a missed object of one is an extra one of the other.
#[test]
fn every_class_has_objects_where_none_is_background() {
    let truth = ["..........", ".11....11.", ".11....11.", ".........."];
    let predicted = ["..........", ".11.......", ".11.......", ".........."];
    assert_eq!(kinds_of(&counted(&truth, &predicted, None)), [(ErrorKind::Missed, 4, 1)]);
    assert_eq!(kinds_of(&counted(&predicted, &truth, None)), [(ErrorKind::Extra, 4, 1)]);
}

#[test]
fn what_is_left_out_is_nobodys_error() {
    let counts = counted(&["xx.1", "xx.1"], &["22.1", "11.1"], Some(0));
    assert_eq!((counts.left_out, counts.confusion.pixels(), counts.confusion.right()), (4, 4, 4));
    assert_eq!(kinds_of(&counts), []);
    // A predicted object that lies mostly there counts for nothing; one that does not is a false alarm.
    assert_eq!(counts.panoptic[2], PanopticCounts::default());
    assert_eq!(counts.panoptic[1].matched, 1);
    let counts = counted(&["x..1", "...1"], &["2222", "...1"], Some(0));
    assert_eq!(counts.panoptic[2].unmatched_predicted, 1);
}

/// By the formula: one pair with IoU 4 / 6, one true object alone, one predicted one alone.
#[test]
fn panoptic_quality_by_hand() {
    let counts = counted(
        &["111111....", "..........", "11........"],
        &["..1111....", "..........", "......11.."],
        Some(0),
    );
    let own = counts.panoptic[1];
    assert_eq!((own.matched, own.unmatched_predicted, own.unmatched_truth), (1, 1, 1));
    assert!((own.quality().unwrap() - 4.0 / 6.0 / 2.0).abs() < 1e-12);
    assert_eq!(own.recognition(), Some(0.5));
    assert_eq!(PanopticCounts::default().quality(), None);
    // One half is not above one half.
    assert_eq!(counted(&["11.."], &["1111"], None).panoptic[1].matched, 0);
}

#[test]
fn objects_are_counted_by_their_size() {
    let truth = ["1111.....1", "1111......", "1111..1..."];
    let predicted = ["1111.....1", "1111......", "111......1"];
    let counts = counted(&truth, &predicted, Some(0));
    let strata = counts.sizes.strata(&[2], |class| class == 1).into_iter().map(|stratum| stratum.objects);
    let strata: Vec<_> = strata.collect();
    assert_eq!(
        (strata[0].truth, strata[0].found, strata[0].truth_pixels, strata[0].found_pixels),
        (2, 1, 2, 1)
    );
    assert_eq!(
        (strata[1].truth, strata[1].found, strata[1].truth_pixels, strata[1].found_pixels),
        (1, 1, 12, 11)
    );
    assert_eq!((strata[0].predicted, strata[0].right), (2, 1));
    assert_eq!(counts.sizes.terciles_px(|class| class == 1), [2, 2]);
    assert_eq!(SizeCounts::default().terciles_px(|_| true), [0, 0]);
}

fn labels(classes: u16) -> impl Strategy<Value = u16> {
    prop_oneof![6 => 0..classes, 1 => Just(LEFT_OUT), 1 => Just(NO_CLASS)]
}

proptest! {
    /// Every wrong pixel has one kind, so mending all of them leaves nothing wrong; and counts add.
    #[test]
    fn kinds_part_what_is_wrong(
        width in 1_usize..10,
        cells in proptest::collection::vec((labels(3), labels(3)), 1..90),
        background in proptest::option::of(0_u16..3),
    ) {
        let height = cells.len() / width;
        let (mut truth, predicted): (Vec<_>, Vec<_>) = cells[..height * width].iter().copied().unzip();
        truth.iter_mut().for_each(|t| if *t == NO_CLASS { *t = LEFT_OUT });
        let pair = LabelPair { width: width as u32, truth: &truth, predicted: &predicted };
        let counts = pair.count(3, background, near(1));
        let mut mended = counts.confusion.clone();
        let mut pixels = 0;
        for kind in ErrorKind::ALL {
            pixels += counts.kinds.pixels(kind);
            mended = mended.mended(&counts.kinds.confusion(kind, 3));
        }
        prop_assert_eq!(pixels, counts.confusion.pixels() - counts.confusion.right());
        prop_assert_eq!(mended.right(), mended.pixels());
        prop_assert_eq!(counts.left_out + counts.confusion.pixels(), truth.len() as u64);
        // Objects of all classes have all pixels between them.
        let all = counts.sizes.strata(&[], |_| true)[0].objects;
        prop_assert_eq!(all.truth_pixels, counts.confusion.pixels());
        prop_assert_eq!(all.found_pixels, counts.confusion.right());
        // A pair of maps with its classes renamed has the same counts under the new names.
        let rename = |label: u16| if label < 3 { (label + 1) % 3 } else { label };
        let (t, p): (Vec<_>, Vec<_>) = (truth.iter().map(|&l| rename(l)).collect(), predicted.iter().map(|&l| rename(l)).collect());
        let renamed = LabelPair { width: width as u32, truth: &t, predicted: &p }.count(3, background.map(rename), near(1));
        for class in 0..3 {
            prop_assert_eq!(renamed.boundary[(class + 1) % 3], counts.boundary[class]);
            prop_assert_eq!(renamed.surface[(class + 1) % 3], counts.surface[class]);
            prop_assert_eq!(renamed.panoptic[(class + 1) % 3].matched, counts.panoptic[class].matched);
        }
        for kind in ErrorKind::ALL {
            prop_assert_eq!(renamed.kinds.pixels(kind), counts.kinds.pixels(kind));
        }
        let mut sum = ImageCounts::new(3);
        sum.merge(&counts);
        sum.merge(&counts);
        prop_assert_eq!(sum.confusion.pixels(), 2 * counts.confusion.pixels());
        prop_assert_eq!(sum.sizes.strata(&[], |_| true)[0].objects.truth, 2 * all.truth);
    }

    /// What is right everywhere has every measure at its best.
    #[test]
    fn a_perfect_prediction_is_perfect(width in 1_usize..9, cells in proptest::collection::vec(0_u16..3, 1..60)) {
        let truth = &cells[..cells.len() / width * width];
        let counts = LabelPair { width: width as u32, truth, predicted: truth }.count(3, None, near(2));
        for class in 0..3 {
            prop_assert!(counts.confusion.iou()[class].is_none_or(|iou| iou == 1.0));
            prop_assert!(counts.boundary[class].iou().is_none_or(|iou| iou == 1.0));
            prop_assert!(counts.surface[class].nsd().is_none_or(|nsd| nsd == 1.0));
            prop_assert!(counts.panoptic[class].quality().is_none_or(|quality| quality == 1.0));
        }
        prop_assert_eq!(counts.kinds, KindCounts::default());
    }
}
