//! The size of windows where a job does not say it: what the model takes, or what just holds the images.

use crate::fixture::{Place, Ran, same_files};
use crate::pictures::bmp;
use marquetry_geometry::Size;
use marquetry_model::toy::{Toy, Weights};

const SMALL: &[(usize, usize)] = &[(64, 64), (50, 33)];

/// A model, images (height, width), what else the job says, and the size that is measured, as plans and as jobs write it.
type Case = (Toy, &'static [(usize, usize)], &'static str, &'static str, &'static str);

fn cases() -> Vec<Case> {
    let toy = || Toy { classes: 2, kernel: 3, weights: Weights::Seeded(5), ..Toy::default() };
    vec![
        (toy(), SMALL, "", "64 × 64 px", "64"),
        (toy(), &[(40, 90), (1, 1)], "", "64 × 96 px", "[64, 96]"),
        (toy(), &[(40, 90)], "tta: {views: d4}\n", "96 × 96 px", "96"),
        // A model that halves its input often, and one that is seen at another scale.
        (Toy { coarse: 64, ..toy() }, &[(40, 90)], "", "64 × 128 px", "[64, 128]"),
        (toy(), SMALL, "defaults: {scale: 2}\n", "128 × 128 px", "128"),
        // Three quarters of 128 px are no multiple of 64 px, those of 512 px are.
        (
            Toy { coarse: 64, ..toy() },
            SMALL,
            "tta: {views: [scale(0.75)]}\n",
            "512 × 512, 384 × 384 px",
            "512",
        ),
        (toy(), SMALL, "tta: {views: [scale(0.75)]}\n", "128 × 128, 96 × 96 px", "128"),
        // One size alone, larger and smaller than the images, and one that says nothing of its border.
        (Toy { size: Some(Size::new(96, 80)), ..toy() }, SMALL, "", "96 × 80 px", "[96, 80]"),
        (Toy { size: Some(Size::square(32)), ..toy() }, SMALL, "", "32 × 32 px", "32"),
        (Toy { size: Some(Size::square(96)), valid: true, ..toy() }, SMALL, "", "96 × 96 px", "96"),
        // An output that leaves out a border, and one that is half as large.
        (Toy { kernel: 31, valid: true, ..toy() }, SMALL, "", "512 × 512 px", "512"),
        (Toy { stride: 2, ..toy() }, SMALL, "", "64 × 64 px", "64"),
        (Toy { width: Some(48), ..toy() }, SMALL, "", "64 × 48 px", "[64, 48]"),
        (toy(), &[(600, 40)], "", "512 × 64 px", "[512, 64]"),
        (toy(), SMALL, "defaults: {window: {stride: 128}}\n", "512 × 512 px", "512"),
        (toy(), SMALL, "defaults: {window: {mode: whole}}\n", "512 × 512 px", "512"),
    ]
}

#[test]
fn a_size_that_is_measured_is_the_same_job_as_the_size_that_is_said() {
    for (number, (toy, images, more, planned, said)) in cases().into_iter().enumerate() {
        let place = Place::new();
        place.model("m.onnx", &toy);
        for (n, &(height, width)) in images.iter().enumerate() {
            place.write(&format!("images/{n}.bmp"), bmp(height, width, n as u64));
        }
        let job = |store: &str, window: &str| {
            let text = format!(
                "version: 1\nname: sized\nimages: images\nclasses: [a, b]\nstore: {store}\n{more}\
                 members: [{{onnx: m.onnx{window}}}]\noutputs: [{{masks: png}}, {{probabilities: tiff}}]\n"
            );
            place.write(&format!("{store}.yaml"), text);
            let ran = place.marquetry(&["plan", &format!("{store}.yaml")]).ends_with(0);
            place.run(&format!("{store}.yaml")).ends_with(0);
            ran
        };
        let says = |ran: Ran, from: &str| {
            let words = format!("sizes {planned} ({from})");
            assert!(ran.stdout.contains(&words), "case {number}: `{words}` is not in\n{}", ran.stdout);
        };
        says(job("measured", ""), "measured");
        says(job("said", &format!(", window: {{size: {said}}}")), "said");
        let (measured, said) = (place.outputs("measured"), place.outputs("said"));
        assert_eq!(measured.len(), 2 * images.len(), "case {number}");
        same_files(&measured, &said);
    }
}

#[test]
fn a_stride_that_the_models_own_size_cannot_have_is_refused_when_the_job_is_planned() {
    let place = Place::new();
    place.model("m.onnx", &Toy { classes: 2, size: Some(Size::square(64)), ..Toy::default() });
    place.write("images/0.bmp", bmp(64, 64, 0));
    place.write(
        "job.yaml",
        "version: 1\nimages: images\nclasses: [a, b]\nmembers: [{onnx: m.onnx, window: {stride: 100}}]\noutputs: [{masks: png}]\n",
    );
    place
        .marquetry(&["plan", "job.yaml"])
        .ends_with(65)
        .says(&["stride 100 × 100 px leaves pixels out", "64 × 64 px"]);
}

#[test]
fn a_sample_has_the_windows_of_the_whole_job() {
    let place = Place::new();
    place.model("m.onnx", &Toy { classes: 2, kernel: 3, weights: Weights::Seeded(5), ..Toy::default() });
    for n in 0..20 {
        let side = if n == 7 { 200 } else { 40 };
        place.write(&format!("images/{n}.bmp"), bmp(side, side, n));
    }
    place.write(
        "job.yaml",
        "version: 1\nimages: images\nclasses: [a, b]\nmembers: [{onnx: m.onnx}]\noutputs: [{masks: png}]\nstore: store\n",
    );
    let run = |more: &[&str]| {
        let args = [&["run", "job.yaml", "--format", "json"], more].concat();
        place.marquetry(&args).ends_with(0).json()
    };
    // Two draws of one image: the large one is in one of them at most.
    let samples = ["1", "2"].map(|seed| run(&["--sample", "0.05", "--seed", seed]));
    let whole = run(&[]);
    for sample in &samples {
        assert_eq!(sample["job"], whole["job"]);
    }
    let found = samples.iter().filter_map(|sample| sample["tally"]["images_found"].as_u64()).max();
    assert!(whole["tally"]["images_found"].as_u64() >= Some(1) && found <= Some(1), "{whole}");
}
