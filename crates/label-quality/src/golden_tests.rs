//! Six small images, painted by integers, against the plain reference in NumPy; and what holds of any image.

use crate::{
    Action, Findings, ImageQuality, Kind, LabelledScores, Reason, Survey, Usual, corrected, judge,
    probability,
};
use marquetry_evaluation::LEFT_OUT;
use marquetry_geometry::Size;
use proptest::prelude::*;

const CLASSES: usize = 3;
const BACKGROUND: Option<u16> = Some(0);

/// Image k: a disc of class 1, a rectangle of class 2, and a square in which members are mistaken. Label 1 misses the
/// rectangle, 2 has an object that is not there, 3 has the disc as class 2, 4 is shifted by 4 px, 5 is left out at the left.
fn picture(k: i64) -> LabelledScores {
    let (height, width) = (22 + k, 30 - k);
    let truth = |y: i64, x: i64| -> i64 {
        match (y, x) {
            _ if (y - 8).pow(2) + (x - 9).pow(2) <= 30 => 1,
            (13..19, 16..25) => 2,
            _ => 0,
        }
    };
    let label = |y: i64, x: i64| match (k, truth(y, x)) {
        (1, 2) => 0,
        (2, _) if (1..6).contains(&y) && (15..20).contains(&x) => 2,
        (3, 1) => 2,
        (4, _) => truth(y, (x - 4).rem_euclid(width)) as u16,
        (5, _) if x < 5 => LEFT_OUT,
        (_, class) => class as u16,
    };
    let weight = |y: i64, x: i64, c: i64| {
        let mistaken = (3 + k..7 + k).contains(&y) && (20..24).contains(&x);
        let c = if mistaken { [1, 0, 2][c as usize] } else { c };
        let noise = (7 * y + 13 * x + 5 * c * c + 3 * y * x * c + 11 * k) % 17;
        (1 + noise + if truth(y, x) == c { 60 } else { 0 }) as f32
    };
    let mut scores = LabelledScores::new(Size::new(height as u32, width as u32), CLASSES);
    for y in 0..height {
        let labels: Vec<u16> = (0..width).map(|x| label(y, x)).collect();
        let sum = |x: i64| (0..3).map(|c| weight(y, x, c)).sum::<f32>();
        let row: Vec<f32> = (0..3).flat_map(|c| (0..width).map(move |x| weight(y, x, c) / sum(x))).collect();
        scores.push_row(&row, &labels);
    }
    scores
}

fn of(scores: &[LabelledScores]) -> (Vec<Findings>, Survey) {
    let findings: Vec<Findings> = scores.iter().map(|s| Findings::new(s, BACKGROUND)).collect();
    let mut survey = Survey::new(CLASSES);
    findings.iter().for_each(|found| survey.add(found));
    (findings, survey)
}

fn golden() -> (Vec<LabelledScores>, Vec<ImageQuality>, Survey) {
    let scores: Vec<LabelledScores> = (0..6).map(picture).collect();
    let (findings, survey) = of(&scores);
    let judged = findings.iter().map(|found| judge(found, &Usual::new(&survey), 10)).collect();
    (scores, judged, survey)
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9 * b.abs().max(1e-3), "{a} is not {b}");
}

#[test]
fn as_the_plain_reference() {
    let (_, judged, _) = golden();
    let quality = [
        0.978_473_620_179_474_9,
        0.898_086_515_078_303_2,
        0.155_340_995_702_218_76,
        0.000_789_635_307_158_563_2,
        1.499_478_719_670_234e-8,
        0.973_247_729_739_28,
    ];
    let kappa = [
        0.938_168_233_930_181_6,
        0.686_492_801_890_846_6,
        0.851_772_946_625_994_6,
        0.579_239_735_435_433_7,
        0.415_763_558_001_751_1,
        0.933_444_259_567_387_6,
    ];
    let softmin = [
        0.100_254_782_277_921_7,
        0.083_443_076_036_085_72,
        0.088_320_598_273_708_9,
        0.066_115_918_395_830_06,
        0.076_663_483_814_953_41,
        0.104_683_487_851_870_29,
    ];
    for (k, image) in judged.iter().enumerate() {
        close(image.quality.expect("labelled"), quality[k]);
        close(image.kappa.expect("labelled"), kappa[k]);
        close(image.softmin.expect("labelled"), softmin[k]);
    }
    let doubts: Vec<_> = judged[4]
        .doubts
        .iter()
        .map(|d| (d.component.given, d.component.suggested, d.component.area_px, d.component.kind))
        .collect();
    let wanted = [
        (1, 0, 44, Kind::Boundary),
        (2, 0, 18, Kind::Extra),
        (0, 2, 24, Kind::Boundary),
        (0, 1, 16, Kind::Missing),
        (0, 1, 44, Kind::Boundary),
    ];
    assert_eq!(doubts, wanted);
    close(judged[4].doubts[0].strength, 0.963_653_197_170_732);
    close(judged[3].doubts[0].strength, 1.850_008_332_174_546_4);
    close(judged[3].doubts[0].component.evidence(), 9.327_826_086_956_522);
}

#[test]
fn each_kind_has_its_name_and_reason() {
    let (_, judged, _) = golden();
    let strongest = |k: usize| judged[k].doubts[0].component.kind;
    assert_eq!([1, 2, 3].map(strongest), [Kind::Missing, Kind::Extra, Kind::Swapped]);
    let shift = judged[4].suggestion;
    assert_eq!(shift.action, Action::Relabel);
    assert_eq!(shift.reason, Reason::Boundaries { shift_px: Some([0, -4]) });
    assert_eq!(judged[0].suggestion.reason, Reason::UsualMistakes);
    let text = serde_json::to_string(&judged[4]).expect("it is a value");
    assert_eq!(serde_json::from_str::<ImageQuality>(&text).expect("and again"), judged[4]);
}

#[test]
fn only_what_the_rule_says_is_changed() {
    let (scores, judged, survey) = golden();
    let usual = Usual::new(&survey);
    for (scores, judged) in scores.iter().zip(&judged) {
        let given = scores.pair().truth;
        for least in [0.0, 0.2, 1.1] {
            let after = corrected(scores, BACKGROUND, &usual, least);
            let wanted: u64 = judged
                .doubts
                .iter()
                .filter(|d| d.component.kind != Kind::Boundary && d.probability >= least)
                .map(|d| d.component.area_px)
                .sum();
            assert_eq!(after.changed_px, wanted);
            let changed = given.iter().zip(&after.labels).filter(|(a, b)| a != b).count();
            assert_eq!(changed as u64, wanted);
            let left_out = given.iter().zip(&after.labels).filter(|(a, _)| **a == LEFT_OUT);
            assert!(left_out.clone().all(|(a, b)| a == b));
        }
    }
    assert!(probability(3.0) < probability(4.0));
}

#[test]
fn a_label_of_another_image_is_deleted() {
    // What is predicted and what is labelled have nothing to do with each other.
    let mut scores = LabelledScores::new(Size::square(32), 2);
    for y in 0..32 {
        let first: Vec<f32> = (0..32).map(|x| if x < 16 { 0.999 } else { 0.001 }).collect();
        let row: Vec<f32> = first.iter().copied().chain(first.iter().map(|p| 1.0 - p)).collect();
        scores.push_row(&row, &[u16::from(y < 16); 32]);
    }
    let good = |seed: u16| {
        let mut scores = LabelledScores::new(Size::square(32), 2);
        for y in 0..32_u16 {
            let labels: Vec<u16> = (0..32).map(|x| u16::from(x < 16 + seed)).collect();
            let p = |class: u16| {
                let of = move |(x, &l): (usize, &u16)| {
                    if (x as u16 * 7 + y).is_multiple_of(97) {
                        0.4
                    } else if l == class {
                        0.98
                    } else {
                        0.02
                    }
                };
                labels.iter().enumerate().map(of).collect::<Vec<f32>>()
            };
            scores.push_row(&[p(0), p(1)].concat(), &labels);
        }
        scores
    };
    let all: Vec<LabelledScores> = (0..8).map(good).chain([scores]).collect();
    let (findings, survey) = of(&all);
    let usual = Usual::new(&survey);
    let last = judge(&findings[8], &usual, 3);
    assert_eq!(last.suggestion.action, Action::Delete, "{last:?}");
    assert_eq!(judge(&findings[0], &usual, 3).suggestion.action, Action::Keep);
}

#[test]
fn of_what_is_left_out_there_is_nothing_to_say() {
    for (size, label) in [(Size::square(9), LEFT_OUT), (Size::new(0, 7), 0), (Size::new(7, 0), 0)] {
        let mut scores = LabelledScores::new(size, CLASSES);
        for _ in 0..size.height {
            let width = size.width as usize;
            scores.push_row(&vec![0.3; 3 * width], &vec![label; width]);
        }
        let (findings, survey) = of(&[scores]);
        let image = judge(&findings[0], &Usual::new(&survey), 3);
        let numbers = [image.quality, image.mean_iou, image.kappa, image.softmin, image.window_softmin];
        assert_eq!((survey.images(), numbers), (0, [None; 5]));
        assert_eq!(image.suggestion.reason, Reason::NothingToSay);
    }
}

/// Any probabilities and labels, some of neither kind.
fn any_image() -> impl Strategy<Value = LabelledScores> {
    (1_usize..24, 1_usize..24, any::<u64>()).prop_map(|(height, width, seed)| {
        let mut state = seed | 1;
        let mut next = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut scores = LabelledScores::new(Size::new(height as u32, width as u32), CLASSES);
        let blocks: Vec<u16> = (0..64).map(|_| [0, 1, 2, 2, 7, LEFT_OUT][next(6) as usize]).collect();
        for y in 0..height {
            let labels: Vec<u16> = (0..width).map(|x| blocks[y / 4 * 8 + x / 4]).collect();
            let row =
                (0..3 * width).map(|_| if next(99) == 0 { f32::NAN } else { next(1000) as f32 / 999.0 });
            scores.push_row(&row.collect::<Vec<f32>>(), &labels);
        }
        scores
    })
}

proptest! {
    /// Surveys add in any order to the same bytes, no number is none, and what is left out hangs on nothing.
    #[test]
    fn surveys_add(images in proptest::collection::vec(any_image(), 1..6), cut in 0_usize..6) {
        let (findings, survey) = of(&images);
        let (a, b) = images.split_at(cut.min(images.len()));
        let (_, mut sum) = of(b);
        sum.merge(&of(a).1);
        prop_assert_eq!(serde_json::to_vec(&sum).expect("a value"), serde_json::to_vec(&survey).expect("a value"));
        let usual = Usual::new(&survey);
        for (scores, found) in images.iter().zip(&findings) {
            let image = judge(found, &usual, usize::MAX);
            prop_assert_eq!(image.quality.is_some(), image.labelled_px > 0);
            prop_assert!(image.quality.iter().all(|q| (0.0..=1.0).contains(q)));
            prop_assert!(image.doubts.iter().all(|d| (0.0..=1.0).contains(&d.probability)));
            prop_assert!(image.doubts.is_sorted_by(|a, b| a.strength >= b.strength));
            let after = corrected(scores, BACKGROUND, &usual, 0.0);
            let inside: u64 = image.doubts.iter().filter(|d| d.component.kind != Kind::Boundary).map(|d| d.component.area_px).sum();
            prop_assert_eq!(after.changed_px, inside);
        }
    }
}

/// Blank labels among members that are confidently wrong about small things: they look like what members overlook, and agree by
/// chance. However many there are, none of them is kept.
#[test]
fn labels_that_agree_by_chance_are_found_whatever_is_usual() {
    let (side, images) = (40_usize, 30_usize);
    let of_image = |k: usize| {
        let mut scores = LabelledScores::new(Size::square(side as u32), 2);
        for y in 0..side {
            let object = |x: usize| (10..28).contains(&y) && (6 + k % 7..24 + k % 7).contains(&x);
            // Members overlook one corner, and invent a disc.
            let seen = |x: usize| {
                (object(x) && !(k.is_multiple_of(2) && y < 16 && x < 12 + k % 7))
                    || (k.is_multiple_of(3) && (33..39).contains(&y) && (30..37).contains(&x))
            };
            let shares: Vec<f32> = (0..2)
                .flat_map(|class| (0..side).map(move |x| (class, x)))
                .map(|(class, x)| if seen(x) == (class == 1) { 0.9999 } else { 0.0001 })
                .collect();
            let blank = k < 8;
            let labels: Vec<u16> = (0..side).map(|x| u16::from(object(x) && !blank)).collect();
            scores.push_row(&shares, &labels);
        }
        scores
    };
    let scores: Vec<LabelledScores> = (0..images).map(of_image).collect();
    let (findings, survey) = of(&scores);
    let usual = Usual::new(&survey);
    let quality: Vec<ImageQuality> = findings.iter().map(|found| judge(found, &usual, 5)).collect();
    let blank = &quality[..8];
    assert!(blank.iter().all(|image| image.suggestion.action == Action::Relabel), "{blank:?}");
    assert!(blank.iter().all(|image| image.quality.is_some_and(|q| q < 0.05)), "{blank:?}");
}
