//! What planning tells of members before anything is computed: their metadata, their views, bands that images lack, and
//! models that are not in order.

use crate::fixture::Place;
use crate::linear_models::{self, ROWS, is_greatest, linear, logits, softmax};
use crate::pictures::bmp;
use marquetry_geometry::Size;
use marquetry_model::Activation;
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

#[test]
fn models_that_are_not_in_order_are_told() {
    let place = linear_models::place();
    place.model("random.onnx", &Toy { dropout: true, ..linear(&ROWS[..2]) });
    let weights = Weights::Constant(vec![0.25, 0.75]);
    place.model("constant.onnx", &Toy { classes: 2, weights, ..Toy::default() });
    let members = "[{onnx: random.onnx}, {onnx: constant.onnx}]";
    place.write("job.yaml", linear_models::job("out", "[a, b]", members, ""));
    for command in ["plan", "run"] {
        let ran = place.marquetry(&[command, "job.yaml"]).ends_with(0);
        ran.says(&[
            "random: two runs of the same input",
            "training mode",
            "constant: what it says does not depend",
        ]);
    }
    assert!(place.marquetry(&["inspect", "random.onnx"]).ends_with(0).stdout.contains("training mode"));
}

/// As many means as channels, or one: anything else was cut off, or ended in a panic.
#[test]
fn a_mean_that_is_not_of_the_models_channels_is_refused() {
    let place = linear_models::place();
    place.model("three.onnx", &linear(&ROWS[..3]));
    for (input, words) in [
        ("mean: [0.1, 0.5]", "input.mean: it has 2 values, and the model has 3 channels"),
        ("std: [0.1, 0.5, 0.2, 0.9]", "input.std: it has 4 values, and the model has 3 channels"),
    ] {
        let member = format!("[{{onnx: three.onnx, input: {{{input}}}}}]");
        place.write("job.yaml", linear_models::job("mean", "[a, b, c]", &member, ""));
        place.run("job.yaml").ends_with(65).says(&[words]);
    }
}

/// Softmax does not heed a constant that is added to all logits, and weights by class of raw logits do.
#[test]
fn weights_that_differ_by_class_of_raw_logits_are_told() {
    let place = linear_models::place();
    place.model("a.onnx", &linear(&ROWS[..3]));
    let raised: Vec<[f32; 4]> = ROWS[..3].iter().map(|row| [row[0], row[1], row[2], row[3] + 5.0]).collect();
    place.model("b.onnx", &linear(&raised));
    let members = "[{onnx: a.onnx, weight: {a: 0.25}}, {onnx: b.onnx}]";
    place.write("job.yaml", linear_models::job("raw", "[a, b, c]", members, "merge: {space: logits}"));
    place.run("job.yaml").ends_with(0).says(&["it weighs differently by class", "tiles: {per: member}"]);
    place.write(
        "job.yaml",
        linear_models::job("apart", "[a, b, c]", members, "merge: {space: logits}\ntiles: {per: member}"),
    );
    place.run("job.yaml").ends_with(0);
    // Both say the same of probabilities, so whatever they weigh the mean is that too.
    is_greatest(&place, "apart", |at| softmax(&logits(&ROWS[..3], at)));
}

/// However many members there are, and whatever numbers each of them says: one line for each kind.
#[test]
fn members_of_one_kind_share_a_line() {
    let place = linear_models::place();
    let louder: Vec<[f32; 4]> = ROWS[..3].iter().map(|row| row.map(|w| w * 3.0)).collect();
    place.model("a.onnx", &linear(&ROWS[..3]));
    place.model("b.onnx", &linear(&louder));
    place.model("c.onnx", &Toy { activation: Activation::Softmax, ..linear(&ROWS[..3]) });
    place.write("job.yaml", linear_models::job("kinds", "[a, b, c]", "[{onnx: \"{a,b,c}.onnx\"}]", ""));
    place.run("job.yaml").ends_with(0).says(&["member 2 alike: a, b: head", "member c: head"]);
}
