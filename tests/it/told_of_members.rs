//! What planning tells of members before anything is computed: their metadata, their views, and bands that images lack.

use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_geometry::Size;
use marquetry_model::toy::{InputScaling, Toy, Weights};

fn toy() -> Toy {
    Toy { classes: 3, kernel: 3, weights: Weights::Seeded(3), ..Toy::default() }
}

fn job(place: &Place, lines: &str) {
    let head = "version: 1\nimages: images\nclasses: [ground, a, b]\noutputs: [{masks: png}]\nstore: store\n";
    place.write("job.yaml", format!("{head}{lines}\n"));
}

/// A model that declares one side, in a window that is not square: as one that declares both.
#[test]
fn views_that_one_fixed_side_rules_out_are_left_out() {
    let place = Place::new();
    place.write("images/one.bmp", bmp(100, 120, 5));
    place.model("wide.onnx", &Toy { width: Some(64), ..toy() });
    place.model("both.onnx", &Toy { size: Some(Size::new(96, 64)), ..toy() });
    for (model, takes) in [("wide", "64 columns only, of any height"), ("both", "96 × 64 px only")] {
        job(
            &place,
            &format!("members: [{{onnx: {model}.onnx, window: {{size: [96, 64]}}}}]\ntta: {{views: d4}}"),
        );
        let told = format!(
            "warning: {model}: tta.views: 4 of 8 views are left out (rot90, rot270, transpose, antitranspose), since the model \
             takes {takes}"
        );
        place.run("job.yaml").ends_with(0).says(&[&told]);
    }
    // A square window is turned.
    job(&place, "members: [{onnx: wide.onnx, window: {size: 64}}]\ntta: {views: d4}");
    let ran = place.run("job.yaml").ends_with(0);
    assert!(!ran.stderr.contains("left out"), "{}", ran.stderr);
}

#[test]
fn mean_and_deviation_of_the_metadata_are_held_against_the_job_s() {
    let place = Place::new();
    place.write("images/one.bmp", bmp(40, 50, 5));
    let pair = |key: &str, text: &str| (key.to_owned(), text.to_owned());
    let metadata = vec![pair("mean", "[0.485, 0.456, 0.406]"), pair("std", "[0.229, 0.224, 0.225]")];
    place.model("m.onnx", &Toy { metadata: metadata.clone(), ..toy() });
    place.model("inside.onnx", &Toy { metadata, scaling: Some(InputScaling::Sub(0.485)), ..toy() });
    let input = |model: &str, input: &str| {
        job(&place, &format!("members: [{{onnx: {model}.onnx, window: {{size: 32}}, input: {{{input}}}}}]"));
        place.run("job.yaml").ends_with(0)
    };
    let told = "its own metadata has mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] (`mean`, `std`), and the job ";
    input("m", "").says(&[&format!("{told}has none"), "(allow: [scale] lets it pass)"]);
    input("m", "mean: 0.5, std: 0.5").says(&[&format!("{told}has mean: [0.5], std: [0.5]")]);
    for (model, same) in [
        ("m", "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]"),
        ("m", "mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]"),
        ("inside", ""),
    ] {
        let ran = input(model, same);
        assert!(!ran.stderr.contains("its own metadata has mean"), "{model} {same}: {}", ran.stderr);
    }
    let entry = place.marquetry(&["inspect", "m.onnx"]).ends_with(0);
    assert!(
        entry.stdout.contains("mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"),
        "{}",
        entry.stdout
    );
}

/// Two bands cannot become three by choosing.
#[test]
fn images_with_too_few_bands_are_told_what_is_possible() {
    let place = Place::new();
    let mut two = Vec::new();
    let mut encoder = png::Encoder::new(&mut two, 40, 30);
    encoder.set_color(png::ColorType::GrayscaleAlpha);
    let mut writer = encoder.write_header().expect("a header");
    writer
        .write_image_data(&(0..40 * 30 * 2).map(|at| (at % 251) as u8).collect::<Vec<_>>())
        .expect("pixels");
    drop(writer);
    place.write("images/two.png", two).model("m.onnx", &toy());
    let member = "members: [{onnx: m.onnx, window: {size: 32}}]\nimages: {from: images, alpha: band}";
    let lines =
        format!("version: 1\nclasses: [ground, a, b]\noutputs: [{{masks: png}}]\nstore: store\n{member}\n");
    place.write("job.yaml", &lines);
    let ran = place.run("job.yaml").ends_with(65).says(&[
        "it has 2 bands",
        "input.bands",
        "one of them several times, as [0, 1, 1]",
    ]);
    assert!(!ran.stderr.contains("choose 3"), "{}", ran.stderr);
    place.write("job.yaml", lines.replace("size: 32}", "size: 32}, input: {bands: [0, 1, 1]}"));
    place.run("job.yaml").ends_with(0);
}

#[test]
fn classes_called_by_their_sides_are_told_where_views_exchange_them() {
    let place = Place::new();
    place.write("images/one.bmp", bmp(40, 50, 5)).model("m.onnx", &toy());
    let run = |tta: &str| {
        let job = "version: 1\nimages: images\nclasses: [ground, left_eye, right_eye]\noutputs: [{masks: png}]\nstore: store\n";
        place.write("job.yaml", format!("{job}members: [{{onnx: m.onnx, window: {{size: 32}}}}]\n{tta}\n"));
        place.run("job.yaml").ends_with(0)
    };
    run("tta: {views: flips}").says(&["warning: tta.views: views such as hflip", "allow: [views]"]);
    for tta in [
        "tta: {views: vflip}",
        "tta: {views: flips, swap: [[left_eye, right_eye]]}",
        "tta: {views: flips}\nallow: [views]",
    ] {
        let ran = run(tta);
        assert!(!ran.stderr.contains("exchange left and right"), "{tta}: {}", ran.stderr);
    }
}
