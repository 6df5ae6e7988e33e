use super::*;
use crate::image_result::ImageResult;
use crate::legend::legend;
use crate::outputs::{class_file_names, expected, expected_of, image_outputs};
use crate::row::{Row, ScoreLens};
use crate::sink::{FinishedImage, RowSink, SinkError};
use crate::source_image::SourceImage;
use marquetry_ensemble::{ClassMap, Labelling, MemberRow, ScoreSpace, ScoreTransform, Voice};
use marquetry_geometry::Size;
use marquetry_raster::write::Fragment;
use marquetry_spec::Output;
use tempfile::TempDir;

/// Two rows of three pixels.
const SIZE: Size = Size::new(2, 3);
/// The second pixel of the first row is missing.
const MISSING: [[bool; 3]; 2] = [[false, true, false], [false; 3]];
const SCORES: [[f32; 6]; 2] = [[0.75, 0.0, 0.25, 0.25, 0.0, 0.75], [0.5, 1.0, 0.0, 0.5, 0.0, 1.0]];

pub(super) fn spec(classes: &str, multilabel: bool, outputs: &str) -> JobSpec {
    let text = format!(
        "version: 1\nimages: nowhere\nclasses: [{classes}]\n\
         members: [{{onnx: none.onnx, output: {{multilabel: {multilabel}}}}}]\noutputs: [{outputs}]\n"
    );
    JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
}

fn image() -> PlannedImage {
    let (id, uri, key) = ("x/1".to_owned(), "nowhere".to_owned(), "0".repeat(16));
    let tags = std::collections::BTreeMap::new();
    PlannedImage {
        id,
        uri,
        sidecars: Vec::new(),
        version: String::new(),
        key,
        content: None,
        size: SIZE,
        bands: 3,
        tags,
        members: None,
        truth: None,
    }
}

pub(super) fn open(spec: &JobSpec, folder: &TempDir) -> Box<dyn RowSink> {
    let planned = image();
    let legend = legend(spec).unwrap();
    let context = SinkContext {
        spec,
        outputs: "0123456789ab",
        image: &planned,
        legend,
        geo: None,
        folder: &ScratchFolder::new(folder.path()),
    };
    let output = &spec.outputs[0];
    match output {
        Output::Masks(format) => masks::open(&context, 0, output, *format),
        Output::Probabilities(format) => probabilities::open(&context, 0, output, *format),
        Output::KaggleRle(rle) => table_rows::run_lengths(&context, 0, rle),
        Output::ClassCsv(csv) => table_rows::class_ids(&context, 0, csv),
        Output::Coco(coco) => table_rows::annotations(&context, 0, coco),
        Output::Polygons(form) => polygons::open(&context, 0, output, *form),
        Output::SoftLabels(soft) => soft_labels::open(&context, 0, output, *soft),
        Output::PseudoLabels(pseudo) => pseudo_labels::open(&context, 0, output, pseudo),
        Output::Uncertainty(maps) => uncertainty::open(&context, 0, output, maps),
        Output::Ranking(ranking) => Ok(ranking::open(&context, 0, ranking)),
        Output::Probes(of) => Ok(probes::open(&context, output, *of)),
        Output::Evaluation(_) | Output::LabelQuality(_) | Output::CorrectedLabels(_) | Output::Report => {
            panic!("it has no sink of its own")
        }
    }
    .unwrap()
}

/// Gives a sink two rows, of `labels` and [`SCORES`]: together, or all scores before all labels.
pub(super) fn feed(sink: Box<dyn RowSink>, labels: [&[u16]; 2], together: bool) -> FinishedImage {
    feed_by(sink, labels, together, (&SCORES, &[vec![1.0; 2], vec![1.0; 2]].map(Voice::of_all)))
}

/// The same of these scores, and of members that have a say as in `voices`.
fn feed_by(
    mut sink: Box<dyn RowSink>,
    labels: [&[u16]; 2],
    together: bool,
    (scores, voices): (&[[f32; 6]; 2], &[Voice; 2]),
) -> FinishedImage {
    let to = ScoreTransform::between(
        ScoreSpace::Probabilities,
        ScoreSpace::Probabilities,
        Labelling::Multiclass,
        2,
    );
    let lens = ScoreLens::new(to, Labelling::Multiclass);
    let passes: &[(bool, bool)] = if together { &[(true, true)] } else { &[(true, false), (false, true)] };
    for (with_scores, with_labels) in passes {
        for y in 0..2 {
            let scores = lens.row(&scores[y]);
            let said = MEMBERS.iter().zip(voices);
            let members: Vec<_> =
                said.map(|(rows, voice)| MemberRow { probabilities: &rows[y], voice }).collect();
            let row = Row {
                y: y as u32,
                labels: with_labels.then_some(labels[y]),
                scores: with_scores.then_some(&scores),
                members: if *with_scores { &members } else { &[] },
                missing: &MISSING[y],
                skipped: None,
                truth: Some(TRUTH[y]),
            };
            sink.row(&row).unwrap();
        }
    }
    let mut image = FinishedImage { result: ImageResult::new("x/1"), files: Vec::new() };
    sink.finish(&mut image).unwrap();
    image
}

/// What two members say: they differ at the last pixel of the first row and at the first of the second.
static MEMBERS: [[[f32; 6]; 2]; 2] = [
    [[0.9, 0.0, 0.6, 0.1, 0.0, 0.4], [0.3, 1.0, 0.0, 0.7, 0.0, 1.0]],
    [[0.6, 0.0, 0.1, 0.4, 0.0, 0.9], [0.7, 1.0, 0.0, 0.3, 0.0, 1.0]],
];

const TRUTH: [&[u16]; 2] = [&[0, 1, 1], &[1, marquetry_job::NO_TRUTH, 1]];
pub(super) const LABELS: [&[u16]; 2] = [&[0, 255, 1], &[0, 0, 1]];

fn png(file: &OutputFile) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file.read().unwrap())).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!((info.height, info.width), (SIZE.height, SIZE.width));
    bytes
}

#[test]
fn counts_are_those_by_hand_however_rows_come() {
    for together in [true, false] {
        let result = feed(Box::new(counts::Counts::new(2, true, None)), LABELS, together).result;
        assert_eq!((result.class_pixels, result.missing_pixels), (vec![3, 2], 1));
        // 0.75, 0.75 of the first row; 0.5, 1 and 1 of the second.
        assert!((result.confidence - 4.0 / 5.0).abs() < 1e-9, "{}", result.confidence);
    }
    let planes: [&[u16]; 2] = [&[1, 255, 0, 1, 255, 1], &[0, 0, 0, 1, 0, 0]];
    let result = feed(Box::new(counts::Counts::new(2, false, None)), planes, false).result;
    assert_eq!(result.class_pixels, [1, 3]);
    let nothing = Box::new(counts::Counts::new(2, true, None));
    let mut image = FinishedImage { result: ImageResult::new("x/1"), files: Vec::new() };
    nothing.finish(&mut image).unwrap();
    assert_eq!(image.result.confidence, 0.0, "no pixel has one");
}

/// Of [`LABELS`] beside [`TRUTH`], by hand: one of two pixels of class 0 is right, three of class 1 are, one of them is
/// missing and one is class 0, and one is unknown.
#[test]
fn an_evaluation_counts_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let spec =
        spec("background, b", false, "{evaluation: html, boundary_px: 1}]\ntruth: nowhere\nallow: [purpose");
    let planned = PlannedImage { truth: Some("7".into()), ..image() };
    let (legend, files) = (legend(&spec).unwrap(), marquetry_transport::Files::local_only());
    let context = SinkContext {
        spec: &spec,
        outputs: "0123456789ab",
        image: &planned,
        legend,
        geo: None,
        folder: &ScratchFolder::new(folder.path()),
    };
    let limits = marquetry_raster::read::Limits {
        pixels_max: 100,
        memory_bytes: 1 << 20,
        scratch_dir: folder.path().to_path_buf(),
    };
    let reading = marquetry_geometry::Reading::default();
    let source = SourceImage::new(planned.clone(), reading, files, limits, true);
    let Output::Evaluation(evaluation) = &spec.outputs[0] else { panic!("it is one") };
    for together in [true, false] {
        let made = feed(evaluation::open(&context, &source, *evaluation), LABELS, together);
        let counts = made.result.evaluation.clone().unwrap();
        let cells: Vec<_> = counts.confusion.cells().collect();
        assert_eq!(cells, [(0, Some(0), 1), (1, Some(0), 1), (1, Some(1), 2), (1, None, 1)]);
        assert_eq!(counts.left_out, 1);
        // Of five pixels with a truth one is missing; of the others the most probable class is right or not.
        let curve: Vec<_> = counts.calibration.as_ref().unwrap().curve().collect();
        assert_eq!(curve.iter().map(|bin| bin.pixels).sum::<u64>(), 4, "{curve:?}");
        let stored = ImageResult::from_bytes(&made.result.to_bytes()).unwrap();
        assert_eq!(stored.evaluation, Some(counts), "all that was counted comes back");
        // The image is nowhere, and all else is there.
        assert!(made.result.warnings[0].starts_with("no picture beside its evaluation"));
        assert_eq!(made.files[0].place, "evaluation/pictures/x/1.png");
        assert_eq!(
            made.files.iter().map(|f| f.place.clone()).collect::<Vec<_>>(),
            expected(&spec, "x/1", true)
        );
        let mut reader =
            png::Decoder::new(std::io::Cursor::new(made.files[0].read().unwrap())).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        assert_eq!((info.height, info.width), (2, 12), "four panels");
    }
}

#[test]
fn a_mask_has_the_labels() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec("a, b", false, "{masks: png}");
    for together in [true, false] {
        let image = feed(open(&spec, &folder), LABELS, together);
        assert_eq!(image.files[0].place, "masks/x/1.png");
        assert_eq!(png(&image.files[0]), [0, 255, 1, 0, 0, 1]);
    }
}

#[test]
fn classes_that_share_pixels_have_masks_of_their_own_even_if_their_names_are_alike() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec("a/b, a_b, c/d, 'e f', C_D", true, "{masks: png}");
    let names = class_file_names(&spec);
    assert_eq!(names, ["a_b", "a_b~1", "c_d", "e f", "C_D~4"]);
    let labels: [&[u16]; 2] = [&[1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0], &[0; 15]];
    let image = feed(open(&spec, &folder), labels, true);
    let places: Vec<&str> = image.files.iter().map(|file| file.place.as_str()).collect();
    let named: Vec<String> = names.iter().map(|name| format!("masks/x/1/{name}.png")).collect();
    assert_eq!(places, named);
    assert_eq!(places, expected(&spec, "x/1", false));
    for (class, file) in image.files.iter().enumerate() {
        assert_eq!(png(file)[..3], labels[0][class * 3..][..3].iter().map(|l| *l as u8).collect::<Vec<_>>());
    }
}

#[test]
fn probabilities_are_a_file_or_a_folder_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let tiff = spec("a, b", false, "{probabilities: {format: tiff, dtype: u8}}");
    let image = feed(open(&tiff, &folder), LABELS, true);
    assert_eq!(image.files.len(), 1);
    assert_eq!(image.files[0].place, "probabilities/x/1.tiff");

    let zarr = spec("a, b", false, "{probabilities: {format: zarr, dtype: u8}}");
    let folder = tempfile::tempdir().unwrap();
    let image = feed(open(&zarr, &folder), LABELS, false);
    let places: Vec<&str> = image.files.iter().map(|file| file.place.as_str()).collect();
    assert_eq!(
        places,
        ["probabilities/x/1.zarr/.zarray", "probabilities/x/1.zarr/.zattrs", "probabilities/x/1.zarr/0/0/0"]
    );
    assert!(image.files.iter().all(|file| file.read().is_ok()));
    let mut all = expected_of(&zarr, "0123456789ab", &self::image());
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, places, "a chunk that is gone is a file that is missing");
    let chunk = zstd::decode_all(std::io::Cursor::new(image.files[2].read().unwrap())).unwrap();
    // `[C, H, W]`; the chunk is as large as the array, or larger.
    let want = SCORES.map(|row| row.map(|p| (p * 255.0_f32).round() as u8));
    assert_eq!(chunk[..3], want[0][..3]);
}

#[test]
fn tables_have_the_rows_of_their_rule() {
    let folder = tempfile::tempdir().unwrap();
    let texts = |outputs: &str, labels| {
        let spec = spec("a, b", false, outputs);
        let image = feed(open(&spec, &folder), labels, false);
        assert!(image.files.is_empty());
        image.result.table_rows[&0].clone()
    };
    let rle = texts("{submission: kaggle-rle, file: s.csv, classes: [b]}", LABELS);
    let fragment = Fragment::from_json(rle.as_bytes()).unwrap();
    assert_eq!((fragment.image_id.as_str(), fragment.texts[0].text.as_str()), ("x/1", "5 2"));
    let coco = texts("{coco: rle, file: c.json}", LABELS);
    assert!(coco.contains("\"category_id\":1") && coco.contains("\"area\":2"), "{coco}");
    assert_eq!(texts("{coco: rle, file: c.json}", [&[0; 3], &[0; 3]]), "");
    for shape in ["rle", "polygons"] {
        let spec = spec("a, b", false, &format!("{{coco: {shape}, form: results}}"));
        let scored = feed(open(&spec, &folder), LABELS, true).result.table_rows[&0].clone();
        // (0.75 + 1) / 2.
        assert!(scored.lines().count() == 1 && scored.contains("\"score\":0.875"), "{scored}");
    }
}

#[test]
fn soft_labels_are_shares_that_sum_to_255() {
    let bytes = |outputs: &str, labels, together| -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec("a, b", false, &format!("{{soft_labels: zarr, {outputs}}}"));
        let image = feed(open(&spec, &folder), labels, together);
        assert_eq!(image.files[0].place, "soft_labels/x/1.zarr/.zarray");
        assert_eq!(format!("{}/.zarray", image_outputs(&spec, "x/1")[0]), expected(&spec, "x/1", false)[0]);
        let attributes: serde_json::Value = serde_json::from_slice(&image.files[1].read().unwrap()).unwrap();
        assert_eq!(attributes["classes"], serde_json::json!(["a", "b"]));
        let chunk = zstd::decode_all(std::io::Cursor::new(image.files[2].read().unwrap())).unwrap();
        let bands = chunk.len() / (512 * 512);
        // Two rows of three pixels of each band.
        (0..bands * 2).flat_map(|n| chunk[n / 2 * 512 * 512 + n % 2 * 512..][..3].to_vec()).collect()
    };
    // 255 · .75 = 191.25 and 63.75; .5 is 127.5 twice, and the first class has the greater half.
    let wanted = [191, 0, 64, 128, 255, 0, 64, 0, 191, 127, 0, 255];
    for together in [true, false] {
        assert_eq!(bytes("dtype: u8", LABELS, together), wanted);
        let hard = [255, 0, 0, 255, 255, 0, 0, 0, 255, 0, 0, 255];
        assert_eq!(bytes("of: labels", LABELS, together), hard);
        // 1 − .2 + .1 = .9: 229.5 and 25.5.
        let uniform = bytes("of: labels, smoothing: 0.2", LABELS, together);
        assert_eq!(uniform, [230, 0, 25, 230, 230, 25, 25, 0, 230, 25, 25, 230]);
        let first = bytes("top: 1", LABELS, together);
        assert_eq!(first, [0, 0, 1, 0, 0, 1, 255, 0, 255, 255, 255, 255]);
        let svls = bytes("smoothing: svls", LABELS, together);
        // By hand: the missing pixel takes no part, and beyond the border the image goes on as it ends.
        assert_eq!(svls, [255, 0, 14, 255, 207, 33, 0, 0, 241, 0, 48, 222]);
    }
}

#[test]
fn pseudo_labels_are_what_is_sure_and_the_rest_is_ignored() {
    let made = |keys: &str, more: &str| {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "version: 1\nimages: nowhere\nclasses: [a, b]\nmembers: [{{onnx: none.onnx}}]\ntiles: {{{more}}}\n\
             outputs: [{{pseudo_labels: {{png: grey}}, {keys}}}]\n"
        );
        let spec = JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
        let image = feed(open(&spec, &folder), LABELS, true);
        assert_eq!(image.files[0].place, "pseudo_labels/x/1.png");
        assert_eq!(image_outputs(&spec, "x/1"), expected(&spec, "x/1", false));
        let row: pseudo_labels::PseudoLabelRow = serde_json::from_str(&image.result.table_rows[&0]).unwrap();
        (png(&image.files[0]), image.result.kept[&0].clone(), row)
    };
    let (mask, kept, row) = made("thresholds: 0.9", "per: group");
    assert_eq!(mask, [255, 255, 255, 255, 0, 1], "of 0.75, missing, 0.75; 0.5, 1, 1");
    assert_eq!((kept.labelled, kept.kept), (vec![3, 2], vec![1, 1]));
    assert_eq!((row.kept_share, row.reliability), (2.0 / 6.0, None));
    let (mask, ..) = made("thresholds: {a: 0.5, b: 1}", "per: group");
    assert_eq!(mask, [0, 255, 255, 0, 0, 1]);
    // .5/.6 and .5/.4: the rare class wins a pixel; it is kept where the ratio is at least 1.
    let (mask, kept, _) = made("thresholds: {a: 0.6, b: 0.4}, choose: ratio", "per: group");
    assert_eq!((mask, kept.labelled), (vec![0, 255, 1, 1, 0, 1], vec![2, 3]));
    // Both members of a pixel must say so: not at those two pixels.
    let (mask, _, row) = made("thresholds: 0, agreement: 0.8", "per: member");
    assert_eq!(mask, [0, 255, 255, 255, 0, 1]);
    // Labels 0 . 0 / 1 0 1 and 0 . 1 / 0 0 1: IoU of `a` is 2/4, of `b` 1/3.
    assert!((row.reliability.unwrap() - 5.0 / 12.0).abs() < 1e-12, "{row:?}");
}

/// The second member has no say in class `b`, which is what the merge says of the last pixel of the first row.
#[test]
fn who_has_no_say_in_a_class_does_not_disagree_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1\nimages: nowhere\nclasses: [a, b]\nmembers: [{onnx: none.onnx}]\ntiles: {per: member}\n\
                outputs: [{pseudo_labels: {png: grey}, thresholds: 0, agreement: 1}]\n";
    let made = |voices: [Voice; 2], labels| {
        let spec = JobSpec::parse(text).unwrap_or_else(|errors| panic!("{errors}"));
        let image = feed_by(open(&spec, &folder), labels, true, (&SCORES, &voices));
        let row: pseudo_labels::PseudoLabelRow = serde_json::from_str(&image.result.table_rows[&0]).unwrap();
        (png(&image.files[0]), row.reliability)
    };
    let second =
        |map: ClassMap| Voice::new(vec![1.0, 0.0], &map, marquetry_ensemble::OutputActivation::Softmax, 2);
    // The members' labels are 0 . 0 / 1 0 1 and 0 . 1 / 0 0 1.
    let labels: [&[u16]; 2] = [&[0, 255, 1], &[1, 0, 1]];
    let all = || Voice::of_all(vec![1.0; 2]);
    assert_eq!(made([all(), all()], labels).0, [0, 255, 255, 255, 0, 1]);
    let (mask, reliability) = made([all(), second(ClassMap::default())], labels);
    assert_eq!(mask, [0, 255, 255, 1, 0, 1], "the first alone says what is 1: not the third pixel");
    assert_eq!(reliability, Some(0.5), "of class 0 alone: 2/4");
    // Where a softmax knows class 0 alone, pixels of the other tell nothing about it: three are left, and all of one mind.
    let one = ClassMap { channels: vec![vec![0], vec![]], rest: marquetry_ensemble::Rest::None };
    assert_eq!(made([all(), second(one)], labels).1, Some(1.0));
}

#[test]
fn uncertainty_is_of_the_pixels_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let measures = "[entropy, mutual_information, vote_share, margin]";
    let text = format!(
        "version: 1\nimages: nowhere\nclasses: [a, b]\nmembers: [{{onnx: none.onnx}}]\ntiles: {{per: member}}\n\
         outputs: [{{uncertainty: {measures}, format: zarr, dtype: u8}}]\n"
    );
    let maps = JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let image = feed(open(&maps, &folder), LABELS, true);
    assert_eq!(image.files[0].place, "uncertainty/x/1.zarr/.zarray");
    let chunk = zstd::decode_all(std::io::Cursor::new(image.files[2].read().unwrap())).unwrap();
    let band = |n: usize| -> Vec<u8> {
        (0..2).flat_map(|y| chunk[n * 512 * 512 + y * 512..][..3].to_vec()).collect()
    };
    let h = |p: f64| {
        if p > 0.0 && p < 1.0 { -(p * p.ln() + (1.0 - p) * (1.0 - p).ln()) / 2.0_f64.ln() } else { 0.0 }
    };
    let byte = |x: f64| (x * 255.0).round() as u8;
    let quarter = byte(h(0.25));
    assert_eq!(band(0), [quarter, 0, quarter, 255, 0, 0]);
    // Of the members' own mean: H[mean] - mean H.
    let information = |a: f64, b: f64| byte(h(f64::midpoint(a, b)) - f64::midpoint(h(a), h(b)));
    assert_eq!(band(1), [information(0.9, 0.6), 0, information(0.6, 0.1), information(0.3, 0.7), 0, 0]);
    assert_eq!(band(2), [255, 0, 128, 128, 255, 255]);
    assert_eq!(band(3), [128, 0, 128, 0, 255, 255]);

    let folder = tempfile::tempdir().unwrap();
    let ranked = |outputs: &str| -> ranking::RankedImage {
        let image = feed(open(&spec("a, b", false, outputs), &folder), LABELS, false);
        serde_json::from_str(&image.result.table_rows[&0]).unwrap()
    };
    let whole = ranked("{ranking: entropy}");
    assert_eq!(whole.windows.len(), 1);
    let window = &whole.windows[0];
    assert_eq!([window.top, window.left, window.height, window.width], [0, 0, 2, 3]);
    assert!(
        (window.uncertainty - (2.0 * h(0.25) + 1.0) / 6.0).abs() < 1e-6,
        "a missing pixel is 0: {window:?}"
    );
    let margin = ranked("{ranking: margin}").windows[0].uncertainty;
    assert!((margin - (0.5 + 0.5 + 1.0) / 6.0).abs() < 1e-6, "what it lacks to 1: {margin}");
    // Two rows of three pixels lie in fields (0 and 2, 0, 1 and 2).
    let scene = window.scene();
    let field = |y: usize, x: usize| scene[(y * 4 + x) * 2..][..2].to_vec();
    assert_eq!((field(0, 0), field(2, 1)), (vec![191, 64], vec![255, 0]));
    // One has a missing pixel alone, and one has none: they look like the mean, (.75 + .25 + .5 + 1 + 0) / 5 of `a`.
    assert_eq!((field(0, 1), field(3, 3)), (vec![128, 128], vec![128, 128]));
}

/// Weights by class, and members of some classes, leave sums that are not 1: 2 of each score of the first class, and half of the
/// other.
#[test]
fn thresholds_are_compared_with_probabilities_that_sum_to_1() {
    let folder = tempfile::tempdir().unwrap();
    let scores = SCORES.map(|row| std::array::from_fn(|n| row[n] * if n < 3 { 2.0 } else { 0.5 }));
    let voices = [vec![1.0; 2], vec![1.0; 2]].map(Voice::of_all);
    let made = |keys: &str| {
        let spec = spec("a, b", false, &format!("{{pseudo_labels: {{png: grey}}, {keys}}}"));
        feed_by(open(&spec, &folder), LABELS, true, (&scores, &voices))
    };
    // 1.5 and .125 are .92 and .08; .5 and .375 are .57 and .43; 1 and .25 are .8 and .2; the others 1 and 0.
    let mask = |keys: &str| png(&made(keys).files[0]);
    assert_eq!(mask("thresholds: {a: 0.93, b: 0.43}"), [255, 255, 255, 255, 0, 1]);
    assert_eq!(mask("thresholds: {a: 0.81, b: 0.42}"), [0, 255, 1, 255, 0, 1]);
    assert_eq!(mask("thresholds: {a: 0.8, b: 0.1}, choose: ratio"), [0, 255, 1, 1, 0, 1]);
    let counts = made("share: 0.5").result.confidences(2).unwrap().unwrap();
    assert_eq!([0.79, 0.81, 0.93].map(|p| counts.kept(0, p)), [3, 2, 1]);
    assert_eq!([0.42, 0.43].map(|p| counts.kept(1, p)), [2, 1]);
}

#[test]
fn what_needs_all_images_counts_first() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec("a, b", false, "{pseudo_labels: png, share: 0.5}");
    assert!(expected(&spec, "x/1", false).is_empty());
    let image = feed(open(&spec, &folder), LABELS, true);
    assert!(image.files.is_empty() && image.result.table_rows.is_empty());
    let counts = image.result.confidences(2).unwrap().unwrap();
    assert_eq!((counts.pixels(0), counts.pixels(1)), (3, 2));
    assert_eq!((counts.kept(0, 0.75), counts.kept(1, 0.76)), (2, 1));
}

/// Fails, or panics, at its second row or at its end.
struct Sick {
    at_end: bool,
    panics: bool,
    rows: u32,
}

impl Sick {
    fn fail(&self) -> Result<(), SinkError> {
        assert!(!self.panics, "lost my way");
        Err(std::io::Error::other("no room").into())
    }
}

impl RowSink for Sick {
    fn row(&mut self, _: &Row<'_>) -> Result<(), SinkError> {
        self.rows += 1;
        assert!(self.at_end || self.rows <= 2, "a sink that has failed is asked no more");
        if self.rows == 2 && !self.at_end { self.fail() } else { Ok(()) }
    }

    fn finish(self: Box<Self>, _: &mut FinishedImage) -> Result<(), SinkError> {
        self.fail()
    }
}

#[test]
fn an_optional_sink_that_fails_is_a_warning() {
    for at_end in [false, true] {
        for (panics, reason) in [(false, "no room"), (true, "a bug: lost my way")] {
            let sick = Box::new(Sick { at_end, panics, rows: 0 });
            let result = feed(Box::new(optional::Optional::new("no picture", sick)), LABELS, false).result;
            assert_eq!(result.warnings.len(), 1);
            let warning = &result.warnings[0];
            assert!(warning.starts_with("no picture: ") && warning.contains(reason), "{warning}");
        }
    }
    let well = feed(
        Box::new(optional::Optional::new("x", Box::new(counts::Counts::new(2, true, None)))),
        LABELS,
        true,
    );
    assert_eq!((well.result.warnings.len(), well.result.missing_pixels), (0, 1));
}
