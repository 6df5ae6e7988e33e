use super::super::broken_tests::job;
use super::*;
use crate::{ImageSource, Normalise, RleRows, Spacing, WholeImage, WindowMode};
use marquetry_ensemble::{Importance, OutputActivation, Rule, Triplet, ViewMerge};
use marquetry_geometry::{D4, Edges, Padding, Size};
use marquetry_job::{Measured, TileDtype};

/// The job files that users start from.
pub(in super::super) const EXAMPLES: [(&str, &str); 12] = [
    ("nuclei", include_str!("../../../examples/nuclei.yaml")),
    ("kaggle", include_str!("../../../examples/kaggle.yaml")),
    ("landcover", include_str!("../../../examples/landcover.yaml")),
    ("nnunet", include_str!("../../../examples/nnunet.yaml")),
    ("multilabel", include_str!("../../../examples/multilabel.yaml")),
    ("out_of_fold", include_str!("../../../examples/out_of_fold.yaml")),
    ("training_labels", include_str!("../../../examples/training_labels.yaml")),
    ("judged", include_str!("../../../examples/judged.yaml")),
    ("tune", include_str!("../../../examples/tune.yaml")),
    ("nightly", include_str!("../../../examples/nightly.yaml")),
    ("region", include_str!("../../../examples/region.yaml")),
    ("gate", include_str!("../../../examples/gate.yaml")),
];

fn parsed(lines: &str) -> JobSpec {
    let text = job(lines);
    JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}\nin:\n{text}"))
}

fn example(name: &str) -> JobSpec {
    let (_, text) = EXAMPLES.iter().find(|(example, _)| *example == name).unwrap();
    JobSpec::parse(text).unwrap_or_else(|errors| panic!("{name}: {errors}"))
}

fn slide(spec: &JobSpec, member: usize) -> super::super::Slide {
    match spec.members[member].window.mode {
        WindowMode::Slide(slide) => slide,
        WindowMode::Whole(_) => panic!("member {member} sees the whole image"),
    }
}

#[test]
fn what_is_not_said_has_a_default() {
    let spec = parsed("");
    let want = "\
version: 1
name: job
images: {from: \"data/*.png\", pages: auto, alpha: auto, nodata: auto}
classes: [background, nucleus]
members:
  - onnx: a.onnx
    weight: 1
    scale: 1
    batch: auto
    input: {layout: auto, color: rgb, scale: auto, normalize: fixed, mean: [0], std: [1]}
    output: {head: auto, activation: auto, multilabel: false, fit: auto}
    window:
      size: auto
      resample: linear
      mode: slide
      overlap: 0.5
      margin: 0
      edges: shift
      padding: reflect
      importance: gaussian
folds: all
tta: {views: [], merge: mean, combine: list, identity: true, space: probabilities}
merge: {space: probabilities}
decide:
  rule: argmax
  background: background
  min_area: 0
  fill_holes: false
  largest: false
  connectivity: 8
outputs: [{masks: png}]
allow: []
priority: normal
device: auto
precision: exact
store: ./out
subset: {sample: 1, seed: 0}
nights: {keep: 0}
tiles: {dtype: f16, keep: false, per: group}
limits: {block_mb: 256, image_mb: 512, band_mb: 256, image_pixels: 20000000000}
failures: {policy: partial, attempts: 3, ignore: 255}
";
    assert_eq!(spec.to_yaml(), want);
}

/// Everything printed is a job file of the same meaning, as YAML and as JSON.
#[test]
fn printed_jobs_read_back_equal() {
    let more = [
        "allow: [batch]\nmembers: [{onnx: a, window: {mode: whole, size: [3, 4]}, tags: {fold: 007, best: true, \"a b\": '#'}}]",
        "defaults: {window: {stride: [100, 90], padding: {constant: -1.5}}, weight: {nucleus: 0.25}}",
        "defaults: {output: {multilabel: true, fit: center, head: 'null'}}\ndecide: {thresholds: {nucleus: 0.3}, largest: true}",
        "classes: ['1', 'no', 'a: b', '#c']\ndecide: {background: no, min_area: {1: 5}, fill_holes: [1, 'a: b']}",
        "outputs: [{submission: kaggle-rle, classes: [nucleus, background], id: '{image}-{index}', empty: ' '}]",
        "members: [{onnx: a, output: {classes: {nucleus: [1, 3]}, rest: drop, activation: labels}}, {onnx: b, output: {classes: {background: 2, nucleus: 0}}}]",
        "tta: {views: [rot90, scale( 0.75 )], combine: product, identity: false, merge: tsharpen}",
        "decide: {triplet: {nucleus: {top: 0.7, area_px: 800, bottom: 0.3}}}\npreset: mmseg-slide",
        "classes: [ground, '1', road]\nlabels: {road: 0, ground: 2, 1: 700}",
        "labels: {nucleus: 255}\nfailures: {ignore: 254}",
        "labels: {background: 1, nucleus: 2}\nfailures: {ignore: 0}",
        "truth: masks\npriority: high\ndevice: cuda\nprecision: fast\nfolds: {from: 's3://b/splits_final.json'}",
        "region: nonblank",
        "gate: {models: [{onnx: g.onnx, size: [8, 9], classes: {nucleus: 1}}], threshold: {nucleus: 0.125}}",
        "cascade: {first: {fold: '0|1'}, margin: 0.75}\ntiles: {per: member}",
        "region: {from: 's3://b/masks', margin: 0, class: nucleus, prefix: 'm #', suffix: _x, image_suffix: _y}",
        "images: list.csv\nregion: {column: 'no'}",
        "folds: {tags: seen}",
        "folds: out_of_fold",
        "truth: {from: 's3://b/l.csv', prefix: 'm #', suffix: _x, ignore: -1, map: {'-2': ignore, 7: nucleus, 'a: b': background}, run_start: zero}",
        "images: list.csv\ntruth: {column: 'no', ignore: none, others: background, colours: c.json, alpha: label, nodata: value, array: '1', property: '2', no_row: background, run_order: rows}\noutputs: [{evaluation: html, boundary_px: 3}]",
    ];
    let specs = more.iter().map(|lines| parsed(lines)).chain(EXAMPLES.iter().map(|(name, _)| example(name)));
    for spec in specs {
        let yaml = spec.to_yaml();
        assert_eq!(JobSpec::parse(&yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}")), spec, "{yaml}");
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(JobSpec::parse(&json).unwrap_or_else(|e| panic!("{e}\n{json}")), spec, "{json}");
    }
}

/// What is printed is what is not in its place: a class may keep its own in words, and two may change theirs.
#[test]
fn classes_have_their_places_or_other_values() {
    let classes = "classes: [ground, road, house]\n";
    let printed = |lines: &str| {
        let spec = parsed(&format!("{classes}{lines}"));
        let yaml = spec.to_yaml();
        (spec.labels, yaml.lines().find(|line| line.starts_with("labels:")).map(str::to_owned))
    };
    assert_eq!(printed("name: a"), (vec![0, 1, 2], None));
    assert_eq!(printed("labels: {}"), (vec![0, 1, 2], None));
    assert_eq!(printed("labels: {road: 1}"), (vec![0, 1, 2], None));
    let road = "labels: {road: 7}";
    assert_eq!(printed(road), (vec![0, 7, 2], Some(road.to_owned())));
    assert_eq!(printed("labels: {road: 2, house: 1}").0, [0, 2, 1]);
    assert_eq!(
        printed("labels: {house: 300, ground: 0}"),
        (vec![0, 1, 300], Some("labels: {house: 300}".to_owned()))
    );
    assert_eq!(parsed("defaults: {output: {multilabel: true}}").labels, [0, 1]);
}

#[test]
fn members_override_defaults_part_by_part() {
    let spec = parsed(
        "defaults:
  input: {mean: [0.5, 0.4, 0.3], std: 2, color: bgr}
  window: {size: 256, overlap: 0.75, padding: replicate}
  scale: 2
  weight: 0.5
members:
  - {onnx: a}
  - {onnx: b, input: {std: [1, 2, 3]}, window: {size: [100, 64], stride: 32}, weight: {nucleus: 2}, batch: 8}
  - {onnx: c, input: {normalize: image, scale: 0.5}, window: {mode: whole}}",
    );
    let [a, b, c] = spec.members.as_slice() else { panic!("three members") };
    let fixed = |mean: &[f32], std: &[f32]| Normalise::Fixed { mean: mean.to_vec(), std: std.to_vec() };
    assert_eq!((a.input.normalise.clone(), a.input.reversed), (fixed(&[0.5, 0.4, 0.3], &[2.0]), true));
    assert_eq!((a.scale, a.weights.clone(), a.batch), (2.0, vec![0.5, 0.5], None));
    assert_eq!(a.window.layout().stride, Size::square(64));
    assert_eq!(b.input.normalise, fixed(&[0.5, 0.4, 0.3], &[1.0, 2.0, 3.0]));
    assert_eq!((b.weights.clone(), b.batch), (vec![1.0, 2.0], Some(8)));
    assert_eq!(
        (b.window.size_px(), slide(&spec, 1).spacing),
        (Size::new(100, 64), Spacing::Stride(Size::square(32)))
    );
    assert_eq!(slide(&spec, 1).fill.padding, Padding::Replicate);
    assert_eq!(
        (c.input.normalise.clone(), c.input.scale),
        (Normalise::Measured(Measured::STANDARD), Some(0.5))
    );
    assert_eq!(
        (c.window.mode, c.window.size_px(), c.scale),
        (WindowMode::Whole(WholeImage::default()), Size::square(256), 1.0)
    );
}

/// A layer in which the whole image is seen says nothing of sliding windows: above it the preset's hold.
#[test]
fn windows_that_slide_again_start_from_the_preset() {
    let spec = parsed(
        "preset: monai
defaults: {window: {mode: whole, size: 64}}
members: [{onnx: a}, {onnx: b, window: {mode: slide, edges: pad}}]",
    );
    assert_eq!(spec.members[0].window.mode, WindowMode::Whole(WholeImage::default()));
    let s = slide(&spec, 1);
    assert_eq!((s.spacing, s.edges), (Spacing::Overlap([0.25; 2]), Edges::Pad));
    assert_eq!((spec.members[1].window.size_px(), s.fill.padding), (Size::square(64), Padding::Constant));
}

/// Whole numbers stay whole: in floats, 10 · (1 − 0.9) is less than 1 and 100 · (1 − 0.9) less than 10.
#[test]
fn strides_follow_monai_without_rounding_surprises() {
    let stride = |window: &str| {
        parsed(&format!("defaults: {{window: {{{window}}}}}")).members[0].window.layout().stride
    };
    for (window, want) in [
        ("size: 512, overlap: 0.5", 256),
        ("size: 512, overlap: 0.75", 128),
        ("size: 512, overlap: 0.25", 384),
        ("size: 512, overlap: 0.3333333333333333", 341),
        ("size: 10, overlap: 0.9", 1),
        ("size: 100, overlap: 0.9", 10),
        ("size: 10, overlap: 0.7", 3),
        ("size: 10, overlap: 0.99", 1),
        ("size: 512, overlap: 0", 512),
        ("size: 512, margin: 128, overlap: 0.5", 128),
    ] {
        assert_eq!(stride(window), Size::square(want), "{window}");
    }
    assert_eq!(stride("size: [512, 256], overlap: [0.5, 0.25]"), Size::new(256, 192));
}

#[test]
fn presets_are_defaults_and_no_more() {
    let nnunet = parsed("preset: nnunet");
    let s = slide(&nnunet, 0);
    assert_eq!(
        (s.edges, s.importance, s.spacing),
        (Edges::Spread, Importance::GaussianNnunet, Spacing::Overlap([0.5; 2]))
    );
    assert_eq!((s.fill.padding, s.fill.value), (Padding::Constant, 0.0));
    assert_eq!(
        (nnunet.tta.views.names.clone(), nnunet.tta.space),
        (vec!["flips".to_owned()], ScoreSpace::Logits)
    );
    assert_eq!((nnunet.merge, nnunet.tta.merge), (ScoreSpace::Logits, ViewMerge::Mean));

    let monai = parsed("preset: monai");
    let s = slide(&monai, 0);
    assert_eq!(
        (s.edges, s.importance, s.spacing),
        (Edges::Shift, Importance::Gaussian, Spacing::Overlap([0.25; 2]))
    );
    assert_eq!((s.fill.padding, monai.tta.views.names.len()), (Padding::Constant, 0));

    let mmseg = parsed("preset: mmseg-slide");
    assert_eq!(slide(&mmseg, 0).importance, Importance::Constant);
    assert_eq!(
        (mmseg.members[0].window.layout().stride, mmseg.merge),
        (Size::square(341), ScoreSpace::Probabilities)
    );

    let own = parsed(
        "preset: nnunet\ndefaults: {window: {edges: pad, overlap: 0.1, padding: reflect}}\ntta: {views: [], space: probabilities}\nmerge: {space: probabilities}",
    );
    assert_eq!((slide(&own, 0).edges, slide(&own, 0).importance), (Edges::Pad, Importance::GaussianNnunet));
    assert_eq!(
        (own.tta.views.names.len(), own.tta.space, own.merge),
        (0, ScoreSpace::Probabilities, ScoreSpace::Probabilities)
    );
    // nnU-Net merges views as logits also where it merges configurations as probabilities.
    let mixed = parsed("preset: nnunet\nmerge: {space: probabilities}");
    assert_eq!((mixed.tta.space, mixed.merge), (ScoreSpace::Logits, ScoreSpace::Probabilities));
}

#[test]
fn rules_follow_from_what_is_given() {
    let rule = |lines: &str| parsed(lines).decide.rule;
    let multilabel = "defaults: {output: {multilabel: true}}\n";
    assert_eq!(rule(""), Rule::Argmax);
    assert_eq!(rule("decide: {thresholds: 0.3}"), Rule::Threshold(vec![0.5, 0.3]));
    assert_eq!(rule("decide: {factors: {nucleus: 1.5}}"), Rule::Factors(vec![1.0, 1.5]));
    assert_eq!(rule("decide: {rule: argmax, factors: {background: 0.5}}"), Rule::Factors(vec![0.5, 1.0]));
    assert_eq!(rule(multilabel), Rule::Threshold(vec![0.5, 0.5]));
    assert_eq!(
        rule(&format!("{multilabel}decide: {{thresholds: {{nucleus: 0.3}}}}")),
        Rule::Threshold(vec![0.5, 0.3])
    );
    let t = Triplet { top: 0.7, area_px: 800, bottom: 0.3 };
    let triplet = "{top: 0.7, area_px: 800, bottom: 0.3}";
    assert_eq!(rule(&format!("{multilabel}decide: {{triplet: {triplet}}}")), Rule::Triplet(vec![t, t]));
    let Rule::Triplet(both) = rule(&format!("decide: {{triplet: {{nucleus: {triplet}}}}}")) else {
        panic!("triplet")
    };
    assert_eq!(both[1], t);
    let tidy =
        parsed("classes: [a, b, c]\ndecide: {background: b, min_area: 9, largest: [c], fill_holes: true}")
            .decide;
    assert_eq!((tidy.background, tidy.min_area_px), (Some(1), vec![9, 0, 9]));
    assert_eq!((tidy.largest, tidy.fill_holes), (vec![false, false, true], vec![true, false, true]));
}

/// Sums of probabilities are none; sums of logits become probabilities again.
#[test]
fn sums_of_logits_may_be_compared_with_thresholds() {
    let spec =
        parsed("tta: {views: d4, merge: sum, space: logits}\ndecide: {rule: threshold}\ntiles: {dtype: u8}");
    assert!(spec.tta.keeps_probabilities() && spec.tiles.dtype == TileDtype::U8);
}

#[test]
fn examples_mean_what_their_comments_say() {
    let out_of_fold = example("out_of_fold");
    let by_column = crate::OutOfFold { from: None, tags: crate::FoldTags::LeftOut };
    assert_eq!(
        (out_of_fold.folds, out_of_fold.tiles.per),
        (crate::Folds::OutOfFold(by_column), crate::TilesPer::Member)
    );
    assert!(out_of_fold.tiles.keep && out_of_fold.images.source() == ImageSource::Manifest);

    let nuclei = example("nuclei");
    assert_eq!(
        (nuclei.members[0].output.activation, nuclei.classes[1].colour),
        (Some(OutputActivation::Sigmoid), Some([0x2c, 0xa0, 0x2c]))
    );
    assert_eq!(nuclei.decide.min_area_px, [0, 30]);

    let kaggle = example("kaggle");
    assert_eq!(kaggle.images.source(), ImageSource::Manifest);
    assert_eq!(kaggle.members[1].weights, [0.5, 0.5, 0.5, 0.25]);
    let Output::KaggleRle(rle) = &kaggle.outputs[0] else { panic!("run lengths") };
    assert_eq!(
        (rle.rows, rle.classes.clone(), rle.id.as_str()),
        (RleRows::ImageClass, vec![1, 2, 3], "{image}")
    );

    let landcover = example("landcover");
    assert_eq!(landcover.images.source(), ImageSource::Pattern);
    assert_eq!(landcover.members[0].window.layout().inner, Size::square(896));

    let nnunet = example("nnunet");
    assert_eq!(
        (nnunet.images.source(), nnunet.members[0].window.size_px()),
        (ImageSource::Path, Size::new(56, 40))
    );
    assert_eq!(nnunet.members[0].window.layout().stride, Size::new(28, 20));

    let multilabel = example("multilabel");
    assert_eq!(multilabel.labelling, Labelling::Multilabel);
    assert_eq!(multilabel.tta.swap.order(D4::HFLIP, 4), Ok(Some(vec![0, 1, 3, 2])));
    assert_eq!((multilabel.members[1].input.reversed, multilabel.members[1].output.fit), (false, None));
    assert_eq!(multilabel.decide.background, None);
}

#[test]
fn anchors_stand_for_what_they_name() {
    let spec = parsed("defaults: {input: &i {scale: 2}}\nmembers: [{onnx: a}, {onnx: b, input: *i}]");
    assert_eq!(spec.members[1].input.scale, Some(2.0));
}

#[test]
fn many_classes_leave_room_for_the_ignored_label() {
    let names: Vec<String> = (0..300).map(|n| format!("c{n}")).collect();
    let spec = parsed(&format!("classes: [{}]", names.join(", ")));
    assert_eq!((spec.failures.ignore, spec.classes.len()), (65_535, 300));
}
