use super::*;
use crate::test_plans::image;
use marquetry_geometry::{Edges, Size};
use marquetry_job::PlannedImage;
use marquetry_spec::{Spacing, Swap, WindowMode};

fn job(more: &str, members: &str) -> JobSpec {
    let text = format!(
        "version: 1\nimages: i\nclasses: [l, r]\ntruth: t\nmembers: {members}\noutputs: [{{masks: png}}]\n{more}"
    );
    JobSpec::parse(&text).unwrap()
}

/// Entries with windows of these sides, px, half overlapping.
fn shown(windows: &[u32]) -> Shown {
    let of = |side: &u32| WindowSpec {
        inner: Size::square(*side),
        margin: Size::square(0),
        stride: Size::square(side / 2),
        edges: Edges::Shift,
    };
    Shown(windows.iter().map(of).enumerate().collect())
}

/// The usual settings over an image of this side.
fn usual(spec: &JobSpec, own: &Shown, side: u32) -> Vec<String> {
    let images = [PlannedImage { size: Size::square(side), ..image("i") }];
    window_changes(None, spec, own, &images).iter().map(|change| change.name(spec, own)).collect()
}

#[test]
fn the_usual_windows_are_those_around_the_jobs_own() {
    let spec = job("", "[{onnx: m.onnx}]");
    let all = [
        "overlap 0",
        "overlap 0.25",
        "overlap 0.75",
        "size 32",
        "size 128",
        "scale 0.5",
        "scale 0.75",
        "scale 1.5",
    ];
    assert_eq!(usual(&spec, &shown(&[64]), 300), all);
    // No image is larger than the window: a larger one would be padding.
    assert!(!usual(&spec, &shown(&[64]), 64).contains(&"size 128".to_owned()));
    let whole = job("", "[{onnx: m.onnx, window: {mode: whole, size: 256}}]");
    assert_eq!(usual(&whole, &shown(&[256]), 300), ["size 128", "size 512"]);
    let padded = job("", "[{onnx: m.onnx, window: {mode: whole, fit: multiple(32)}}]");
    assert!(usual(&padded, &shown(&[256]), 300).is_empty());
    let several = job("", "[{onnx: a.onnx}, {onnx: b.onnx, scale: 2, window: {size: 96}}]");
    let found = usual(&several, &shown(&[64, 96]), 300);
    assert_eq!(found[3..6], ["size × 0.5", "size × 2", "scale × 0.5"]);
}

#[test]
fn what_is_asked_for_is_combined() {
    let (spec, own) = (job("", "[{onnx: m.onnx}]"), shown(&[64]));
    let axes = WindowAxes {
        sizes: vec![Size::square(96), Size::new(64, 128)],
        overlaps: vec![0.0, 0.5],
        scales: Vec::new(),
    };
    let changes = window_changes(Some(&axes), &spec, &own, &[]);
    let names: Vec<String> = changes.iter().map(|change| change.name(&spec, &own)).collect();
    assert_eq!(
        names,
        [
            "size 96, overlap 0",
            "size 96, overlap 0.5",
            "size 64 × 128, overlap 0",
            "size 64 × 128, overlap 0.5"
        ]
    );
}

/// A stride in px was thought of for a size: it stays the same share of another one, and is taken the place of by an overlap.
#[test]
fn a_change_is_a_job_that_says_it() {
    let spec = job("", "[{onnx: a.onnx, window: {size: 64, stride: 48}}, {onnx: b.onnx, scale: 2}]");
    let mut own = shown(&[64, 64]);
    own.0.get_mut(&0).unwrap().stride = Size::square(48);
    let windows = |size, overlap, scale| Change::Windows { size, overlap, scale };
    let of = |change: Change| change.apply(&spec, &own).unwrap();
    let spacing = |spec: &JobSpec, entry: usize| match spec.members[entry].window.mode {
        WindowMode::Slide(slide) => slide.spacing,
        WindowMode::Whole(_) => panic!("it slides"),
    };
    let large = of(windows(Some(WindowSize::Times(2.0)), None, None));
    assert_eq!(large.members[0].window.size, Some(Size::square(128)));
    assert_eq!(spacing(&large, 0), Spacing::Overlap([0.25; 2]));
    let other = of(windows(None, Some(0.75), Some(0.5)));
    assert_eq!(spacing(&other, 0), Spacing::Overlap([0.75; 2]));
    assert_eq!([other.members[0].scale, other.members[1].scale], [0.5, 1.0]);
    assert_eq!(of(Change::None), spec);
    // Entries that were not tried stay.
    own.0.remove(&1);
    let part = windows(None, None, Some(0.5)).apply(&spec, &own).unwrap();
    assert_eq!([part.members[0].scale, part.members[1].scale], [0.5, 2.0]);
    let refused = windows(None, None, Some(1e-3)).apply(&spec, &own).unwrap_err();
    assert!(refused.contains("scale"), "{refused}");
}

#[test]
fn views_are_the_usual_ones_and_all_but_one_of_the_jobs_own() {
    let own = shown(&[64]);
    let names = |spec: &JobSpec| -> Vec<String> {
        view_changes(None, spec).iter().map(|change| change.name(spec, &own)).collect()
    };
    assert_eq!(names(&job("", "[{onnx: m.onnx}]")), ["identity", "hflip", "flips", "d4"]);
    let several = job("tta: {views: [hflip, scale(0.75)]}\n", "[{onnx: m.onnx}]");
    assert_eq!(names(&several), ["identity", "hflip", "flips", "d4", "scale(0.75)"]);
    let asked = vec![vec!["rot90".to_owned(), "hflip".to_owned()], Vec::new(), Vec::new()];
    let found: Vec<String> =
        view_changes(Some(&asked), &several).iter().map(|change| change.name(&several, &own)).collect();
    assert_eq!(found, ["rot90 + hflip", "identity"]);
}

/// Classes that change places in a flip are said only where there is one, and what is not said of turns is refused.
#[test]
fn classes_change_places_where_views_have_them_change() {
    let spec = job("tta: {views: hflip, swap: [[l, r]]}\n", "[{onnx: m.onnx}]");
    let of = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Change::Views(names).apply(&spec, &shown(&[64]))
    };
    assert_eq!(of(&[]).unwrap().tta.swap, Swap::None);
    assert_eq!(of(&["flips"]).unwrap().tta.swap, spec.tta.swap);
    assert!(of(&["d4"]).unwrap_err().contains("lays left and right above each other"));
    assert!(of(&["sideways"]).unwrap_err().contains("is no view"));
}

#[test]
fn a_job_is_judged_by_an_evaluation_and_by_nothing_else() {
    let spec = job("decide: {min_area: 9}\ntiles: {keep: true}\n", "[{onnx: m.onnx}]");
    let judging = judging_job(&spec).unwrap();
    assert!(matches!(judging.outputs[..], [Output::Evaluation(_)]) && !judging.tiles.keep);
    assert_eq!(judging.decide, spec.decide, "what is judged is what a run writes");
    let blind = JobSpec { truth: None, ..spec };
    assert!(judging_job(&blind).unwrap_err().to_string().contains("truth"));
}
