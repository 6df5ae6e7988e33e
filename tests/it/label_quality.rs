//! Labels that are wrong are found by what the ensemble says of them.

use crate::fixture::Place;
use crate::pictures::{bmp, grey_png};
use marquetry_model::toy::{Toy, Weights};

const SIDE: usize = 64;
const IMAGES: u64 = 40;
const JOB: &str = "
version: 1
images: images
classes: [ground, a, b]
truth: truth
defaults: {window: {size: 32}}
members: [{onnx: m.onnx}]
outputs: [{masks: png}, {label_quality: html, shown: 5}]
";

/// What the ensemble says, with some pixels changed, is the label; the square of image 7 is not.
#[test]
fn what_was_planted_stands_first() {
    let place = Place::new();
    for seed in 0..IMAGES {
        place.write(&format!("images/{seed:02}.bmp"), bmp(SIDE, SIDE, seed));
    }
    place.model("m.onnx", &Toy { classes: 3, kernel: 5, weights: Weights::Seeded(5), ..Toy::default() });
    let plain = JOB.replace("truth: truth\n", "").replace(", {label_quality: html, shown: 5}", "");
    place.write("plain.yaml", format!("{plain}store: plain\n"));
    place.run("plain.yaml").ends_with(0);
    let masks = place.outputs("plain");
    for seed in 0..IMAGES {
        let name = format!("masks/{seed:02}.png");
        let mut labels = crate::decode::Mask::from_png(&masks[&name]).labels;
        // A few pixels of each label are of another class: nobody is perfect, and that is usual.
        for at in (0..labels.len()).filter(|at| (at * 7919 + seed as usize).is_multiple_of(97)) {
            labels[at] = (labels[at] + 1) % 3;
        }
        if seed == 7 {
            for y in 20..44 {
                labels[y * SIDE + 20..y * SIDE + 44].iter_mut().for_each(|label| *label = (*label + 1) % 3);
            }
        }
        place.write(&format!("truth/{seed:02}.png"), grey_png(SIDE, &labels));
    }
    place.write("job.yaml", format!("{JOB}store: store\n"));
    let ran = place.run("job.yaml").ends_with(0).says(&[
        "labels: all members are asked about all labels",
        "label_quality: of 40 labels",
        "label-quality/index.html",
    ]);
    assert!(!ran.stderr.contains("panic"), "{}", ran.stderr);
    let outputs = place.outputs("store");
    let text = |name: &str| String::from_utf8_lossy(&outputs[&format!("label-quality/{name}")]).into_owned();
    let table = text("labels.csv");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 1 + IMAGES as usize);
    assert!(lines[1].starts_with("1,07,07.png,0.0") && lines[1].contains(",relabel,"), "{}", lines[1]);
    assert!(lines[2].contains(",keep,"), "{}", lines[2]);
    let doubts = text("doubts.csv");
    assert!(doubts.lines().nth(1).is_some_and(|line| line.starts_with("07,")), "{doubts}");
    let page = text("index.html");
    assert_eq!(page.matches("<article").count(), 5);
    assert!(outputs.contains_key("label-quality/pictures/07.png") && page.contains("pictures/07.png"));
    assert!(!outputs.contains_key("stale-files.csv"), "all of it is this run's");
    // What is surely wrong is changed, and nothing else: the square, and none of the pixels here and there.
    let corrected =
        JOB.replace("{label_quality: html, shown: 5}", "{corrected_labels: png, probability: 0.5}");
    place.write("corrected.yaml", format!("{corrected}store: corrected\n"));
    place.run("corrected.yaml").ends_with(0).says(&["a first pass counts"]);
    let made = place.outputs("corrected");
    let table = String::from_utf8_lossy(&made["corrected_labels.csv"]).into_owned();
    for seed in 0..IMAGES {
        let name = format!("{seed:02}");
        let given = grey_of(&place, seed);
        let labels = crate::decode::Mask::from_png(&made[&format!("corrected_labels/{name}.png")]).labels;
        let changed: Vec<usize> = (0..labels.len()).filter(|at| labels[*at] != given[*at]).collect();
        let inside = |at: &usize| (20..44).contains(&(at / SIDE)) && (20..44).contains(&(at % SIDE));
        assert!(changed.iter().all(|at| seed == 7 && inside(at)), "{name}: {} px", changed.len());
        assert!(seed != 7 || changed.len() > 50, "{} px", changed.len());
        let predicted = crate::decode::Mask::from_png(&masks[&format!("masks/{name}.png")]).labels;
        assert!(changed.iter().all(|at| labels[*at] == predicted[*at]));
        let line = format!("{name},corrected_labels/{name}.png,{},", changed.len());
        assert!(table.contains(&line), "{line} is not in {table}");
    }
    assert!(!made.contains_key("stale-files.csv"));
    // Again, and nothing is computed; in a store of its own, and the same bytes.
    place.run("corrected.yaml").ends_with(0);
    assert_eq!(place.outputs("corrected"), made);
    // The same masks as without it.
    assert!((0..IMAGES).all(|seed| {
        let name = format!("masks/{seed:02}.png");
        outputs[&name] == masks[&name]
    }));
}

/// The label that was given to an image.
fn grey_of(place: &Place, seed: u64) -> Vec<u8> {
    let bytes = std::fs::read(place.path(&format!("truth/{seed:02}.png"))).expect("a label");
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
    let mut labels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut labels).expect("pixels");
    labels
}

#[test]
fn without_labels_there_is_nothing_to_judge() {
    let place = Place::new();
    place.write("images/a.bmp", bmp(SIDE, SIDE, 1)).write("job.yaml", JOB.replace("truth: truth\n", ""));
    place.run("job.yaml").ends_with(65).says(&["the quality of labels, need the labels"]);
    place.write("job.yaml", format!("{JOB}tta: {{merge: sum}}\n"));
    place.run("job.yaml").ends_with(65).says(&["sums that are no probabilities"]);
}
