use super::*;
use crate::compare::compare;
use crate::image_table::image_table;
use crate::request::SideRequest;
use marquetry_evaluation::Wrong;
use marquetry_labels::{Affixes, LabelRules, MapEntry};
use marquetry_raster::read::Limits;
use std::path::Path;
use tempfile::TempDir;

/// Writes a grey PNG.
fn write(folder: &Path, name: &str, width: u32, values: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width, values.len() as u32 / width);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(values).unwrap();
}

fn request(root: &Path, classes: &[&str]) -> Request {
    let side = |name: &str| SideRequest {
        path: root.join(name),
        affixes: Affixes::default(),
        unlisted_is_background: false,
        rules: LabelRules::default(),
    };
    Request {
        truth: side("truth"),
        predicted: side("pred"),
        classes: ClassList::new(classes.iter().map(ToString::to_string).collect()).unwrap(),
        resize: false,
        boundary_px: None,
        tolerance_px: 1,
        threads: 2,
        memory_bytes: 1 << 30,
        limits: Limits { pixels_max: 1 << 30, memory_bytes: 1 << 30, scratch_dir: root.to_owned() },
        images: None,
        georeferences: |_, images| images.iter().map(|_| Ok(None)).collect(),
        pictures: None,
    }
}

const CLASSES: [&str; 4] = ["background", "b", "c", "d"];

/// Three images of 3 × 4 px, with ignored pixels, a prediction of the ignore value and a class that truth never has.
fn toy() -> TempDir {
    let folder = TempDir::new().unwrap();
    let truth: [[u8; 12]; 3] =
        [[0, 0, 1, 1, 0, 0, 1, 255, 2, 2, 255, 255], [0; 12], [0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0]];
    let predicted: [[u8; 12]; 3] = [
        [0, 1, 1, 1, 0, 0, 1, 2, 2, 0, 2, 3],
        [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0],
        [0, 1, 1, 255, 0, 1, 0, 0, 0, 0, 0, 0],
    ];
    for (at, (truth, predicted)) in truth.iter().zip(&predicted).enumerate() {
        write(folder.path(), &format!("truth/{at}.png"), 4, truth);
        write(folder.path(), &format!("pred/{at}.png"), 4, predicted);
    }
    folder
}

fn run(request: &Request) -> (Found, Evaluation) {
    let (found, evaluation) = evaluate(request).unwrap();
    (found, evaluation.unwrap())
}

fn refusal(request: &Request) -> String {
    evaluate(request).map_or_else(|error| error.to_string(), |(_, made)| made.unwrap_err().to_string())
}

/// By NumPy, written apart.
#[test]
fn ignored_by_truth_alone_and_foreign_predictions_are_wrong() {
    let folder = toy();
    let (found, evaluation) = run(&request(folder.path(), &CLASSES));
    let document = found.document(&evaluation);
    let close = |value: Option<f64>, right: f64| assert!((value.unwrap() - right).abs() < 5e-7, "{value:?}");
    close(document.mean_iou.dataset, 0.630_342);
    close(document.mean_iou.dataset_absent_zero, 0.472_756);
    close(document.mean_iou.dataset_absent_one, 0.722_756);
    close(document.classes[2].dice, 0.5);
    close(document.classes[2].dice_of_images.empty_one, 0.555_556);
    assert_eq!((document.pixels.counted, document.pixels.left_out, document.pixels.no_class), (33, 3, 1));
    let counts = |class: usize| {
        let class = &document.classes[class];
        (class.true_positives, class.false_positives, class.false_negatives)
    };
    assert_eq!([0, 1, 2, 3].map(counts), [(21, 2, 3), (6, 1, 1), (1, 1, 1), (0, 0, 0)]);
    assert!(found.warnings.iter().any(|warning| warning.starts_with("1 px of predictions")), "{found:?}");
    assert_eq!(document.confusion[0], [21, 1, 1, 0, 1]);
    // Where what is confused comes from: rows by image.
    assert_eq!(evaluation.cells[&(0, 4)].images, [(1, 2)]);
    let mut table = Vec::new();
    image_table(&evaluation, &mut table).unwrap();
    let table = String::from_utf8(table).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("image,truth,height,width,pixels,left_out,pixel_accuracy,mean_iou,no_class_px")
    );
    assert!(lines[2].starts_with("1.png,1.png,3,4,12,0,0.916667,0.458333,0,"), "{}", lines[2]);
    assert!(lines[0].ends_with(",mean_nsd,nsd_background,nsd_b,nsd_c,nsd_d"), "{}", lines[0]);
}

/// By `NumPy` and `SciPy` (erosion with a cross, exact distances), written apart.
#[test]
fn surface_distance_of_images_and_of_all() {
    let folder = toy();
    let (found, evaluation) = run(&request(folder.path(), &CLASSES));
    let document = found.document(&evaluation);
    assert_eq!((document.surface.tolerance_px, document.surface.version), (1, "border_pixels"));
    let of = |class: usize| {
        let (means, nsd) = (document.classes[class].nsd_of_images, document.classes[class].nsd);
        (nsd, means.empty_left_out, means.empty_one, means.truth_only)
    };
    assert_eq!(of(0), (Some(1.0), Some(1.0), Some(1.0), Some(1.0)));
    // Found beside the truth, claimed where there is none, and on neither side.
    assert_eq!(of(2), (Some(0.75), Some(0.5), Some(2.0 / 3.0), Some(1.0)));
    assert_eq!(of(3), (None, None, Some(1.0), None));
    assert_eq!(document.surface.mean_nsd, Some((1.0 + 1.0 + 0.75) / 3.0));
    assert_eq!(evaluation.rows[1].nsd, [(0, 1.0), (2, 0.0)]);
    let wide = Request { tolerance_px: 3, ..request(folder.path(), &CLASSES) };
    assert_eq!(run(&wide).1.distances.tolerance_px, 3);
}

#[test]
fn any_number_of_threads_and_a_tight_memory_give_the_same() {
    let folder = TempDir::new().unwrap();
    for at in 0..40_u32 {
        let values =
            |salt: u32| -> Vec<u8> { (0..63).map(|i| ((i * 7 + at * salt) / 5 % 3) as u8).collect() };
        write(folder.path(), &format!("truth/{at}.png"), 7, &values(3));
        write(folder.path(), &format!("pred/{at}.png"), 7, &values(5));
    }
    let mut request = request(folder.path(), &["background", "b", "c"]);
    let text = |request: &Request| {
        let (found, evaluation) = run(request);
        serde_json::to_string(&found.document(&evaluation)).unwrap()
    };
    request.threads = 1;
    let alone = text(&request);
    request.threads = 7;
    assert_eq!(text(&request), alone);
    request.memory_bytes = 63 * 24;
    assert_eq!(text(&request), alone);
    request.memory_bytes = 63 * 24 - 1;
    assert!(refusal(&request).contains("raise the memory limit"));
}

/// The first labels say one thing, the last another: what counts is all of them.
#[test]
fn what_values_mean_is_settled_by_all_labels() {
    let folder = TempDir::new().unwrap();
    for at in 0..20 {
        let truth = if at == 19 { [0, 255, 255, 0] } else { [0; 4] };
        write(folder.path(), &format!("truth/{at:02}.png"), 2, &truth);
        write(folder.path(), &format!("pred/{at:02}.png"), 2, &[0, 1, 0, 0]);
    }
    let (found, evaluation) = run(&request(folder.path(), &["background", "nucleus"]));
    assert_eq!(evaluation.counts.confusion.count(1, Some(1)), 1);
    assert_eq!((evaluation.counts.left_out, evaluation.rows.len()), (0, 20));
    assert!(found.notes.iter().any(|note| note.contains("stands beside 0 alone")), "{:?}", found.notes);
    // One more value, and 255 is no class.
    write(folder.path(), "truth/18.png", 2, &[1, 0, 0, 0]);
    let (_, evaluation) = run(&request(folder.path(), &["background", "nucleus"]));
    assert_eq!((evaluation.counts.left_out, evaluation.counts.confusion.count(1, Some(1))), (2, 0));
}

/// In a square image a mask that is turned is a mask as well; predictions know better.
#[test]
fn runs_counted_the_other_way_are_betrayed_by_predictions() {
    let folder = TempDir::new().unwrap();
    let lying = [0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0];
    write(folder.path(), "pred/a.png", 4, &lying);
    std::fs::write(folder.path().join("truth.csv"), "id,rle\na,5 3 9 2\n").unwrap();
    let mut request = request(folder.path(), &["background", "x"]);
    request.truth.path = folder.path().join("truth.csv");
    let warned = |found: &Found| found.warnings.iter().any(|warning| warning.contains("run order right?"));
    let (found, _) = run(&request);
    assert!(warned(&found), "{:?}", found.warnings);
    request.truth.rules.run_order = marquetry_labels::RunOrder::Rows;
    let (found, evaluation) = run(&request);
    assert!(!warned(&found), "{:?}", found.warnings);
    assert_eq!(evaluation.mean_ious().dataset, Some(1.0));
    // The table may be what is judged.
    std::mem::swap(&mut request.truth, &mut request.predicted);
    assert!(!warned(&run(&request).0));
    request.predicted.rules.run_order = marquetry_labels::RunOrder::Columns;
    assert!(warned(&run(&request).0));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let folder = toy();
    write(folder.path(), "truth/3.png", 4, &[9; 12]);
    write(folder.path(), "pred/3.png", 3, &[0; 12]);
    write(folder.path(), "truth/4.png", 4, &[0; 12]);
    std::fs::write(folder.path().join("pred/4.png"), "no image").unwrap();
    let refused = refusal(&request(folder.path(), &CLASSES));
    for part in [
        "value 9 (12 px in 1 file, first in 3.png",
        "3.png is 4 × 3 px, its truth 3.png 3 × 4 px",
        "turned",
        "4.png",
    ] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
}

#[test]
fn another_size_is_refused_until_it_is_said() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "truth/a.png", 4, &[0, 0, 1, 1, 0, 0, 1, 1]);
    write(folder.path(), "pred/a.png", 2, &[0, 1]);
    let mut request = request(folder.path(), &["background", "b"]);
    assert!(refusal(&request).contains("a.png is 1 × 2 px, its truth a.png 2 × 4 px; with `resize`"));
    request.resize = true;
    let (found, evaluation) = run(&request);
    assert_eq!((evaluation.counts.confusion.mean_iou(), evaluation.resized), (1.0, 1));
    assert!(found.notes.iter().any(|note| note.contains("1 prediction brought")), "{:?}", found.notes);
    write(folder.path(), "pred/a.png", 5, &[0, 1, 1, 1, 0]);
    assert!(refusal(&request).contains("another aspect"));
}

#[test]
fn pairs_are_by_name_and_what_is_alone_is_listed() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "truth/x/a_mask.png", 1, &[1]);
    write(folder.path(), "truth/x/b_mask.png", 1, &[0]);
    write(folder.path(), "truth/x/b.png", 1, &[77]);
    write(folder.path(), "pred/a.png", 1, &[1]);
    write(folder.path(), "pred/c.png", 1, &[1]);
    let mut request = request(folder.path(), &["background", "b"]);
    request.truth.affixes.suffix = "_mask".into();
    let (found, evaluation) = run(&request);
    assert_eq!(evaluation.rows.len(), 1);
    assert_eq!(
        (&evaluation.predicted_alone[..], &evaluation.truth_alone[..]),
        (&["c.png".to_owned()][..], &["x/b_mask.png".to_owned()][..])
    );
    let warned = found.warnings.join("\n");
    assert!(warned.contains("1 prediction without a truth, not evaluated: c.png"), "{warned}");
    assert!(warned.contains("1 truth without a prediction, not evaluated: x/b_mask.png"), "{warned}");
    request.predicted.affixes.suffix = "_no".into();
    assert!(refusal(&request).contains("no label of"), "{}", refusal(&request));
}

/// A prediction under the training's numbers and a truth under the data set's own.
#[test]
fn each_side_has_its_own_map() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "truth/a.png", 4, &[7, 26, 3, 7]);
    write(folder.path(), "pred/a.png", 4, &[0, 1, 1, 0]);
    let mut request = request(folder.path(), &["road", "car"]);
    let map = ["7=road", "26=car", "3=ignore"].map(|text| MapEntry::parse(text, &request.classes).unwrap());
    request.truth.rules.map = map.to_vec();
    let (_, evaluation) = run(&request);
    assert_eq!((evaluation.counts.confusion.mean_iou(), evaluation.counts.left_out), (1.0, 1));
}

#[test]
fn two_predictions_are_compared_over_what_both_have() {
    let folder = toy();
    let request = request(folder.path(), &CLASSES);
    let (_, first) = run(&request);
    let truth = folder.path().join("truth");
    let perfect = Request { predicted: SideRequest { path: truth, ..request.predicted.clone() }, ..request };
    let (_, second) = run(&perfect);
    let comparison = compare(&second, &first);
    let difference = comparison.difference.unwrap();
    let right = second.counts.confusion.mean_iou() - first.counts.confusion.mean_iou();
    assert!((difference.difference - right).abs() < 1e-12 && difference.low <= right);
    assert_eq!((difference.images, comparison.alone, comparison.classes[3]), (3, 0, None));
    assert_eq!(compare(&first, &first).difference.unwrap().high, 0.0);
}

/// The pixels of a picture: width, and red, green and blue.
fn pixels(path: &Path) -> (u32, Vec<[u8; 3]>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    (info.width, bytes.chunks_exact(3).map(|rgb| rgb.try_into().unwrap()).collect())
}

#[test]
fn the_page_has_its_numbers_and_pictures_beside_it() {
    let folder = toy();
    for at in 0..2 {
        write(folder.path(), &format!("images/{at}.png"), 4, &[50 + at as u8; 12]);
    }
    let mut request = request(folder.path(), &CLASSES);
    let out = folder.path().join("out");
    let images = Some(folder.path().join("images"));
    (request.pictures, request.images) = (Some(out.join("pictures")), images);
    let (found, evaluation) = run(&request);
    assert!(found.warnings.iter().any(|w| w == "1 prediction without an image of that name to show"));
    crate::results::write_results(&out, &found.document(&evaluation), &evaluation).unwrap();
    let page = std::fs::read_to_string(out.join("index.html")).unwrap();
    for part in ["0.6303", "<bdi>background</bdi>", "data-cell=\"0,4\"", "+0.2308", "images.js"] {
        assert!(page.contains(part), "{part}");
    }
    let script = std::fs::read_to_string(out.join("images.js")).unwrap();
    let json = script.strip_prefix("window.EVALUATION = ").unwrap().trim_end().strip_suffix(';').unwrap();
    let data: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(data["panels"], serde_json::json!(["image", "truth", "prediction", "errors"]));
    assert_eq!((&data["images"][1][0], &data["images"][1][4]), (&"1.png".into(), &4.into()));
    assert_eq!(data["cells"][2], serde_json::json!(["0,4", [[1, 2]]]));
    // Image, truth, prediction and errors of the first row of the first image.
    let (width, shown) = pixels(&out.join("pictures/000000.png"));
    let colours = &evaluation.colours;
    assert_eq!((width, shown[0]), (16, [50; 3]));
    assert_eq!(shown[4..8], [colours[0], colours[0], colours[1], colours[1]]);
    assert_eq!(shown[8..12], [colours[0], colours[1], colours[1], colours[1]]);
    let (right, extra) = (Wrong::No.colour(), Wrong::Extra.colour());
    assert_eq!(shown[12..16], [right, extra, right, right]);
    assert_eq!(shown[16 + 15], Wrong::Unknown.colour(), "left out");
    assert_eq!(shown[32 + 13], Wrong::Missed.colour());
    // Of what is refused nothing is left.
    write(folder.path(), "truth/2.png", 4, &[9; 12]);
    assert!(refusal(&request).contains("value 9"));
    assert!(!out.join("pictures").exists());
}

/// Writes a little-endian grey TIFF of signed 16 bits, of one row a page.
fn write_tiff(folder: &Path, name: &str, pages: &[&[i16]]) {
    let (mut file, mut link) = (b"II*\0\0\0\0\0".to_vec(), 4);
    for values in pages {
        let (pixels, width) = (file.len(), values.len());
        file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        file.resize(file.len().next_multiple_of(4), 0);
        let directory = file.len() as u32;
        file[link..link + 4].copy_from_slice(&directory.to_le_bytes());
        let entries = [
            (256, width),
            (257, 1),
            (258, 16),
            (259, 1),
            (262, 1),
            (273, pixels),
            (277, 1),
            (279, 2 * width),
            (339, 2),
        ];
        file.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            file.extend((tag as u16).to_le_bytes());
            file.extend([4, 0, 1, 0, 0, 0]);
            file.extend((value as u32).to_le_bytes());
        }
        link = file.len();
        file.extend([0; 4]);
    }
    std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
    std::fs::write(folder.join(name), file).unwrap();
}

#[test]
fn numbers_below_0_are_mapped_or_left_out() {
    let folder = TempDir::new().unwrap();
    write_tiff(folder.path(), "truth/a.tif", &[&[0, 1, -1, 1, -1, 0]]);
    write(folder.path(), "pred/a.png", 6, &[0, 1, 1, 0, 0, 0]);
    let mut request = request(folder.path(), &["background", "b"]);
    assert!(refusal(&request).contains("value -1 (2 px in 1 file, first in a.tif at row 0, column 2)"));
    request.truth.rules.ignore = marquetry_labels::IgnoreRule::Value(-1);
    let (_, evaluation) = run(&request);
    // Background: 2 of 3; b: 1 of 2.
    let counts = &evaluation.counts;
    assert_eq!((counts.confusion.mean_iou(), counts.left_out), (f64::midpoint(2.0 / 3.0, 0.5), 2));
    request.truth.rules.ignore = marquetry_labels::IgnoreRule::Usual;
    let map = ["-1=b", "0=background", "1=b"].map(|text| MapEntry::parse(text, &request.classes).unwrap());
    request.truth.rules.map = map.to_vec();
    let (_, evaluation) = run(&request);
    // Background: 2 of 4; b: 2 of 4.
    assert_eq!((evaluation.counts.confusion.mean_iou(), evaluation.counts.left_out), (0.5, 0));
}

#[test]
fn what_labels_hold_is_said_in_numbers_that_fit() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "truth/a.png", 4, &[0, 0, 1, 255]);
    write(folder.path(), "pred/a.png", 4, &[0, 0, 1, 1]);
    let (mut found, _) = run(&request(folder.path(), &["background", "b"]));
    let (_, census, settlement) = &mut found.truth;
    census.missing_pixels = 1;
    assert_eq!(
        crate::census_of(census, settlement),
        [
            "1 label: 1 × PNG, grey",
            "all 1 × 4 px",
            "value 0: background, 2 px (50.00 %) in 1 label",
            "value 1: b, 1 px (25.00 %) in 1 label",
            "value 255: left out, 1 px (25.00 %) in 1 label",
            "without a value: left out, 1 px (25.00 %)",
        ]
    );
    let (_, census, settlement) = &mut found.predicted;
    census.missing_pixels = 1;
    let lines = crate::census_of(census, settlement);
    assert_eq!(lines[4], "without a value: no class, which is wrong, 1 px (25.00 %)");
}

/// All problems of pairing in one text, of which there may be very many.
#[test]
fn many_names_that_do_not_tell_are_counted() {
    let folder = TempDir::new().unwrap();
    for name in 0..30 {
        write(folder.path(), &format!("pred/{name:02}.png"), 1, &[0]);
        write(folder.path(), &format!("truth/a/{name:02}.png"), 1, &[0]);
        write(folder.path(), &format!("truth/b/{name:02}.png"), 1, &[0]);
    }
    let refused = refusal(&request(folder.path(), &CLASSES));
    assert!(refused.contains("19.png and a/19.png, b/19.png"), "{refused}");
    assert!(
        !refused.contains("20.png") && refused.ends_with("… and 10 more that cannot be told apart"),
        "{refused}"
    );
}

#[test]
fn a_label_of_several_pages_is_refused() {
    let folder = TempDir::new().unwrap();
    write_tiff(folder.path(), "truth/a.tif", &[&[0, 1], &[1, 1], &[0, 0]]);
    write(folder.path(), "pred/a.png", 2, &[0, 1]);
    let said = refusal(&request(folder.path(), &["background", "b"]));
    assert!(said.contains("it has 3 pages, and which of them is the label is not known"), "{said}");
}

/// A table tells neither sizes nor what is empty: the images do.
#[test]
fn images_complete_a_table_of_run_lengths() {
    let folder = TempDir::new().unwrap();
    for name in ["a", "b", "c"] {
        write(folder.path(), &format!("images/{name}.png"), 4, &[9; 12]);
    }
    // Down the columns of 3 rows: pixels 1 and 2 are the first column's.
    std::fs::write(folder.path().join("truth.csv"), "image_id,rle\na.png,1 2\nb.png,12 1\n").unwrap();
    std::fs::write(folder.path().join("pred.csv"), "image_id,rle\na.png,1 3\nc.png,2 1\n").unwrap();
    let mut request = request(folder.path(), &["background", "b"]);
    (request.truth.path, request.predicted.path) =
        (folder.path().join("truth.csv"), folder.path().join("pred.csv"));
    assert!(refusal(&request).contains("the size of a.png is not known; say where the images are"));
    request.images = Some(folder.path().join("images"));
    // Without a word only what both list is judged.
    let (found, evaluation) = run(&request);
    assert_eq!(
        (evaluation.rows.len(), evaluation.counts.confusion.mean_iou()),
        (1, f64::midpoint(9.0 / 10.0, 2.0 / 3.0))
    );
    assert!(found.warnings.join("\n").contains("1 truth without a prediction, not evaluated: b.png"));
    // Else all images: of 36 px 33 are background on both sides, 2 are b on both, and 1, 1 and 1 on one alone.
    (request.truth.unlisted_is_background, request.predicted.unlisted_is_background) = (true, true);
    let (found, evaluation) = run(&request);
    let wanted = f64::midpoint(31.0 / 34.0, 2.0 / 5.0);
    assert_eq!((evaluation.rows.len(), evaluation.counts.confusion.mean_iou()), (3, wanted));
    let notes = found.notes.join("\n");
    assert!(notes.contains("truth.csv: 1 image is not listed in it: background, as was said"), "{notes}");
    // Without images the other side's are meant.
    request.images = None;
    write(folder.path(), "pred/a.png", 4, &[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    write(folder.path(), "pred/d.png", 4, &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    request.predicted =
        SideRequest { path: folder.path().join("pred"), unlisted_is_background: false, ..request.predicted };
    let (_, evaluation) = run(&request);
    assert_eq!(
        (evaluation.rows.len(), evaluation.counts.confusion.mean_iou()),
        (2, f64::midpoint(21.0 / 22.0, 2.0 / 3.0))
    );
    // What a folder does not hold is not background.
    request.truth = SideRequest { path: folder.path().join("pred"), ..request.truth };
    request.images = Some(folder.path().join("images"));
    let error = evaluate(&request).unwrap_err().to_string();
    assert!(error.contains("no table of run lengths"), "{error}");
}
