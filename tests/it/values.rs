//! The numbers that a model sees: the range of samples, and what is said where the job contradicts it.

use crate::decode::{Mask, zarr};
use crate::fixture::Place;
use crate::image_kinds::float_tiff;
use crate::pictures::{bmp, scene};
use marquetry_geometry::Size;
use marquetry_model::Element;
use marquetry_model::toy::{InputScaling, Toy, Weights};

const SIDES: [usize; 2] = [70, 90];

/// A folder with one image and a model that says each channel as a class.
fn place(toy: &Toy) -> Place {
    let place = Place::new();
    place.write("images/a.bmp", bmp(SIDES[0], SIDES[1], 3)).model("m.onnx", toy);
    place
}

fn job(input: &str) -> String {
    format!(
        "version: 1\nimages: images\nclasses: [r, g, b]\nmembers: [{{onnx: m.onnx, window: {{size: 64}}, input: {input}}}]\n\
         outputs: [{{masks: png}}]\ntiles: {{dtype: f32}}\n"
    )
}

/// Of each pixel of the image, the channel that is greatest after `(v − mean) / std`.
fn greatest(mean: [f32; 3], std: [f32; 3]) -> Vec<u8> {
    let label = |pixel: &[u8]| {
        let seen = |c: usize| (f32::from(pixel[c]) - mean[c]) / std[c];
        (1..3).fold(0, |best, c| if seen(c) > seen(best) { c } else { best }) as u8
    };
    scene(SIDES[0], SIDES[1], 3).chunks_exact(3).map(label).collect()
}

#[track_caller]
fn is_mask(place: &Place, input: &str, wanted: &[u8]) {
    place.write("job.yaml", job(input));
    let _ = std::fs::remove_dir_all(place.path("out"));
    place.run("job.yaml").ends_with(0);
    let mask = Mask::from_png(&place.outputs("out")["masks/a.png"]);
    let wrong = mask.labels.iter().zip(wanted).filter(|(a, b)| a != b).count();
    assert!(wrong == 0, "{input}: {wrong} of {} labels", wanted.len());
}

#[test]
fn a_model_that_takes_integers_sees_samples_as_they_are() {
    let place = place(&Toy { classes: 3, element_in: Element::U8, ..Toy::default() });
    let plain = greatest([0.0; 3], [1.0; 3]);
    is_mask(&place, "{}", &plain);
    is_mask(&place, "{scale: 1}", &plain);
    place.write("job.yaml", job("{scale: 0.00392156862745}"));
    place.marquetry(&["plan", "job.yaml"]).ends_with(0).says(&["0 to 1", "integers of 0 to 255"]);
    // What `inspect` prints goes into a job as it is.
    let entry = place.marquetry(&["inspect", "--window", "64", "m.onnx"]).ends_with(0).stdout;
    let entry = entry.split_once("job file:").expect("an entry to paste").1;
    assert!(entry.contains("scale"), "{entry}");
    place.write(
        "job.yaml",
        format!("version: 1\nimages: images\nclasses: [r, g, b]\noutputs: [{{masks: png}}]\nstore: pasted\nmembers:\n{entry}"),
    );
    place.run("job.yaml").ends_with(0);
    assert_eq!(Mask::from_png(&place.outputs("pasted")["masks/a.png"]).labels, plain);
}

#[test]
fn a_mean_of_0_to_255_is_taken_off_samples_of_0_to_255() {
    let place = place(&Toy { classes: 3, ..Toy::default() });
    let wanted = greatest([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
    let numbers = "mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]";
    is_mask(&place, &format!("{{{numbers}}}"), &wanted);
    is_mask(&place, &format!("{{{numbers}, scale: 1}}"), &wanted);
    place.write("job.yaml", job(&format!("{{{numbers}, scale: 0.00392156862745}}")));
    for command in ["plan", "run"] {
        place.marquetry(&[command, "job.yaml"]).ends_with(0).says(&["0 to 1", "samples of 0 to 255"]);
    }
}

/// Of one value, or of one value but for a pixel: the mean is taken off first, and nothing is made of nothing.
#[test]
fn a_blank_image_is_0() {
    let place = Place::new();
    place.model("m.onnx", &Toy { classes: 3, ..Toy::default() });
    let blank = |value: u8, one: u8| {
        let mut pixels = bmp(16, 16, 0);
        let from = pixels.len() - 16 * 16 * 3;
        pixels[from..].fill(value);
        pixels[from..from + 3].fill(one);
        pixels
    };
    for value in 0..=255_u8 {
        place.write(&format!("images/v{value}.bmp"), blank(value, value));
    }
    place.write("images/nearly.bmp", blank(200, 201));
    place.write(
        "job.yaml",
        "version: 1\nimages: images\nclasses: [r, g, b]\nmembers: [{onnx: m.onnx}]\nmerge: {space: logits}\n\
         defaults: {window: {size: 16}, input: {normalize: image}, output: {multilabel: true}}\n\
         outputs: [{probabilities: {format: zarr, dtype: f16}}]\ntiles: {dtype: f32}\n",
    );
    place.run("job.yaml").ends_with(0);
    let outputs = place.outputs("out");
    for value in 0..=255 {
        let (_, scores) = zarr(&outputs, &format!("probabilities/v{value}.zarr"));
        assert!(scores.iter().all(|p| *p == 0.5), "an image of {value}: {:?}", &scores[..3]);
    }
    // 255 pixels of 200 and one of 201: (200 − mean) / std = −1/√255, and √255 for the one.
    let (_, scores) = zarr(&outputs, "probabilities/nearly.zarr");
    let near = |p: f32, x: f64| (f64::from(p) - 1.0 / (1.0 + (-x).exp())).abs() < 1e-3;
    let root = 255.0_f64.sqrt();
    let last_row = &scores[15 * 16..16 * 16];
    assert!(near(scores[0], -1.0 / root) && near(last_row[0], root), "{} {}", scores[0], last_row[0]);
}

/// A model that says each px's own channels, from its output wherever that lies in the window: the mask is the image's.
#[test]
fn an_output_of_another_size_is_laid_where_a_trial_run_shows_it() {
    let plain = greatest([0.0; 3], [1.0; 3]);
    let cases = [
        ("92 in, 52 out", Toy { kernel: 41, valid: true, ..Toy::default() }, "92", "fit centre, since"),
        ("rounded up below", Toy { around: [0, 6], ..Toy::default() }, "58", "fit crop, since"),
        ("rounded up around", Toy { around: [3, 3], ..Toy::default() }, "58", "fit centre, since"),
        (
            "a frame around a wide window",
            Toy { around: [8, 8], ..Toy::default() },
            "[58, 96]",
            "fit centre, since",
        ),
    ];
    for (name, toy, window, says) in cases {
        let place = place(&Toy { classes: 3, ..toy });
        for views in ["identity", "d4"] {
            place.write(
                "job.yaml",
                format!(
                    "version: 1\nimages: images\nclasses: [r, g, b]\nmembers: [{{onnx: m.onnx, window: {{size: {window}}}}}]\n\
                     outputs: [{{masks: png}}]\ntiles: {{dtype: f32}}\ntta: {{views: {views}}}\nstore: {views}\n"
                ),
            );
            let plan = place.marquetry(&["plan", "job.yaml"]).ends_with(0);
            assert!(plan.stdout.contains(says), "{}", plan.stdout);
            place.run("job.yaml").ends_with(0).says(&[says]);
            let mask = Mask::from_png(&place.outputs(views)["masks/a.png"]);
            let wrong = mask.labels.iter().zip(&plain).filter(|(a, b)| a != b).count();
            assert!(wrong == 0, "{name}, {views}: {wrong} of {} labels", plain.len());
        }
        let stretched = format!(
            "version: 1\nimages: images\nclasses: [r, g, b]\noutputs: [{{masks: png}}]\n\
             members: [{{onnx: m.onnx, window: {{size: {window}}}, output: {{fit: resize}}}}]\n"
        );
        place.write("job.yaml", stretched);
        place.marquetry(&["plan", "job.yaml"]).ends_with(0).says(&["resize is said", "px for px"]);
    }
}

/// A model that tells left edges (dark to bright) from right ones: in a view that exchanges them, each is called the other.
#[test]
fn left_and_right_are_exchanged_by_the_views_that_exchange_them() {
    let mut weights = vec![0.0; 3 * 3 * 9];
    // Class 1 is red to the right less red to the left, class 2 the opposite, class 0 nothing.
    for (class, sign) in [(1, 1.0), (2, -1.0)] {
        (weights[class * 27 + 3], weights[class * 27 + 5]) = (-sign, sign);
    }
    let place = place(&Toy { classes: 3, kernel: 3, weights: Weights::Given(weights), ..Toy::default() });
    let pixels = scene(SIDES[0], SIDES[1], 3);
    let red = |y: usize, x: i64| {
        let inside = if x < 0 {
            -x
        } else if x >= SIDES[1] as i64 {
            2 * (SIDES[1] as i64 - 1) - x
        } else {
            x
        };
        i32::from(pixels[(y * SIDES[1] + inside as usize) * 3])
    };
    let label = |p: usize| {
        let (y, x) = (p / SIDES[1], (p % SIDES[1]) as i64);
        match (red(y, x + 1) - red(y, x - 1)).signum() {
            1 => 1,
            -1 => 2,
            _ => 0_u8,
        }
    };
    let wanted: Vec<u8> = (0..SIDES[0] * SIDES[1]).map(label).collect();
    for (n, views) in ["hflip", "vflip", "rot180", "flips"].into_iter().enumerate() {
        let swap = if views == "vflip" { "" } else { ", swap: [[left, right]]" };
        place.write(
            "job.yaml",
            format!(
                "version: 1\nimages: images\nclasses: [no, left, right]\nmembers: [{{onnx: m.onnx, window: {{size: 128}}}}]\n\
                 outputs: [{{masks: png}}]\ntiles: {{dtype: f32}}\ntta: {{views: {views}{swap}}}\nstore: s{n}\n"
            ),
        );
        place.run("job.yaml").ends_with(0);
        let mask = Mask::from_png(&place.outputs(&format!("s{n}"))["masks/a.png"]);
        let wrong = mask.labels.iter().zip(&wanted).filter(|(a, b)| a != b).count();
        assert!(wrong == 0, "{views}: {wrong} of {} labels", wanted.len());
    }
}

#[test]
fn views_that_a_rectangle_does_not_take_are_told() {
    let place = place(&Toy { classes: 3, size: Some(Size::new(32, 48)), ..Toy::default() });
    place.write(
        "job.yaml",
        "version: 1\nimages: images\nclasses: [r, g, b]\nmembers: [{onnx: m.onnx, window: {size: [32, 48]}}]\n\
         outputs: [{masks: png}]\ntta: {views: d4}\n",
    );
    for command in ["plan", "run"] {
        place.marquetry(&[command, "job.yaml"]).ends_with(0).says(&["4 of 8 views are left out", "rot90"]);
    }
}

/// What inspect and plan say of a graph that scales samples itself, and what is run.
#[test]
fn a_graph_that_scales_samples_itself_is_given_them_as_they_are() {
    // Scores of 0 to 255 divided by 255: with samples of 0 to 1 all classes would be alike to a hundredth.
    let place = place(&Toy { classes: 3, scaling: Some(InputScaling::Div(255.0)), ..Toy::default() });
    let plain = greatest([0.0; 3], [1.0; 3]);
    is_mask(&place, "{}", &plain);
    let probabilities = |store: &str, input: &str| {
        let text = job(input).replace("{masks: png}", "{probabilities: zarr}");
        place.write("job.yaml", format!("{text}store: {store}\n"));
        place.run("job.yaml").ends_with(0);
        zarr(&place.outputs(store), "probabilities/a.zarr").1
    };
    let (auto, said) = (probabilities("auto", "{}"), probabilities("said", "{scale: 1}"));
    assert!(auto == said, "auto is what scale: 1 is");
    // e^r / (e^r + e^g + e^b) of the first px, each of 0 to 1.
    let first =
        scene(SIDES[0], SIDES[1], 3)[..3].iter().map(|v| (f64::from(*v) / 255.0).exp()).collect::<Vec<_>>();
    let red = first[0] / first.iter().sum::<f64>();
    assert!((f64::from(auto[0]) - red).abs() < 1e-3, "{} for {red}", auto[0]);
    place.write("job.yaml", job("{scale: 0.00392156862745}"));
    place.marquetry(&["plan", "job.yaml"]).ends_with(0).says(&["divides samples by 255"]);
}

#[test]
fn a_model_of_one_channel_is_shown_luma() {
    // One channel over a threshold of 0 after the mean of 0.5 is taken off.
    let place = place(&Toy { channels: 1, ..Toy::default() });
    place.write(
        "job.yaml",
        "version: 1\nimages: images\nclasses: [dark, bright]\noutputs: [{masks: png}]\n\
         members: [{onnx: m.onnx, window: {size: 64}, input: {mean: 127.5, scale: 1}}]\n",
    );
    place.run("job.yaml").ends_with(0);
    let luma = |p: &[u8]| {
        let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
        (r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16
    };
    let wanted: Vec<u8> =
        scene(SIDES[0], SIDES[1], 3).chunks_exact(3).map(|p| u8::from(luma(p) > 127)).collect();
    let mask = Mask::from_png(&place.outputs("out")["masks/a.png"]);
    let wrong = mask.labels.iter().zip(&wanted).filter(|(a, b)| a != b).count();
    assert!(wrong == 0, "{wrong} of {} labels", wanted.len());
}

/// Of an output four times coarser than what the model sees, each label is what one resize to the image gives.
#[test]
fn scores_of_a_coarse_output_go_back_to_the_image_by_one_resize() {
    let place = place(&Toy { classes: 3, stride: 4, ..Toy::default() });
    place.write(
        "job.yaml",
        "version: 1\nimages: images\nclasses: [r, g, b]\noutputs: [{masks: png}]\ntiles: {dtype: f32}\nmerge: {space: logits}\n\
         members: [{onnx: m.onnx, window: {mode: whole, size: [72, 96], resample: area}}]\n",
    );
    place.run("job.yaml").ends_with(0);
    let pixels = scene(SIDES[0], SIDES[1], 3);
    // Each side grows, which `area` leaves to linear; the model takes every fourth px of every fourth row.
    let linear = |length: usize, to: usize, at: usize| {
        let x = ((at as f64 + 0.5) * length as f64 / to as f64 - 0.5).clamp(0.0, length as f64 - 1.0);
        let low = x.floor() as usize;
        (low, (low + 1).min(length - 1), x - low as f64)
    };
    let sample =
        |plane: &dyn Fn(usize, usize) -> f64, from: [usize; 2], to: [usize; 2], y: usize, x: usize| {
            let ((t, b, v), (l, r, u)) = (linear(from[0], to[0], y), linear(from[1], to[1], x));
            let row = |y: usize| plane(y, l) * (1.0 - u) + plane(y, r) * u;
            row(t) * (1.0 - v) + row(b) * v
        };
    let coarse: Vec<Vec<f64>> = (0..3)
        .map(|c| {
            let band = |y: usize, x: usize| f64::from(pixels[(y * SIDES[1] + x) * 3 + c]) / 255.0;
            let at = |p: usize| sample(&band, SIDES, [72, 96], p / 24 * 4, p % 24 * 4);
            (0..18 * 24).map(at).collect()
        })
        .collect();
    let mask = Mask::from_png(&place.outputs("out")["masks/a.png"]);
    let mut wrong = 0;
    for (p, label) in mask.labels.iter().enumerate() {
        let scores: Vec<f64> = coarse
            .iter()
            .map(|plane| {
                let at = |y: usize, x: usize| plane[y * 24 + x];
                sample(&at, [18, 24], SIDES, p / SIDES[1], p % SIDES[1])
            })
            .collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        wrong += usize::from(best - scores[usize::from(*label)] > 1e-5);
    }
    assert!(wrong == 0, "{wrong} of {} labels", mask.labels.len());
}

/// What is warned of where `auto` and the images do not go together: by plan and run, until the job says a scale or allows it.
#[track_caller]
fn is_told(
    toy: &Toy,
    (name, image): (&str, Vec<u8>),
    numbers: &str,
    says: &[&str],
    scale: &str,
    wanted: &[u8],
) {
    let place = Place::new();
    place.write(&format!("images/{name}"), image).model("m.onnx", toy);
    let silent = |more: &str, input: &str| {
        place.write("job.yaml", format!("{}{more}", job(input)));
        let plan = place.marquetry(&["plan", "job.yaml"]).ends_with(0);
        assert!(!plan.stderr.contains("input.scale"), "{}", plan.stderr);
        plan.stdout
    };
    place.write("job.yaml", job(&format!("{{{numbers}}}")));
    for command in ["plan", "run"] {
        place
            .marquetry(&[command, "job.yaml"])
            .ends_with(0)
            .says(says)
            .says(&[&format!("{{scale: {scale}}}")]);
    }
    let plan = silent("allow: [scale]\n", &format!("{{{numbers}}}"));
    assert_eq!(plan.contains("as they are (floats)"), name == "a.tif", "{plan}");
    // What the advice says is silent, and right.
    let comma = if numbers.is_empty() { "" } else { ", " };
    let advised = format!("{{{numbers}{comma}scale: {scale}}}");
    silent("", &advised);
    is_mask(&place, &advised, wanted);
    silent("", "{normalize: image}");
}

/// The first files of a folder are of one kind, and the one that matters is of another.
#[test]
fn the_first_image_of_each_kind_is_looked_at() {
    let place = place(&Toy { classes: 3, ..Toy::default() });
    place.write("images/b.bmp", bmp(SIDES[0], SIDES[1], 4));
    let image = scene(SIDES[0], SIDES[1], 3).iter().map(|v| f32::from(*v)).collect();
    place.write("job.yaml", job("{mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"));
    assert!(!place.marquetry(&["plan", "job.yaml"]).ends_with(0).stderr.contains("input.scale"));
    place.write("images/z.tif", float_tiff(SIDES, 3, image));
    for command in ["plan", "run"] {
        let told = ["hold floats", "to 253, which stay as they are", "a mean of 0.485"];
        place.marquetry(&[command, "job.yaml"]).ends_with(0).says(&told);
    }
}

#[test]
fn floats_of_0_to_255_with_a_mean_of_0_to_1_are_told() {
    let image = scene(SIDES[0], SIDES[1], 3).iter().map(|v| f32::from(*v)).collect();
    let wanted = greatest([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
    is_told(
        &Toy { classes: 3, ..Toy::default() },
        ("a.tif", float_tiff(SIDES, 3, image)),
        "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]",
        &["hold floats", "to 253, which stay as they are", "a mean of 0.485", "samples of 0 to 1"],
        "0.00392156862745",
        &wanted,
    );
}

#[test]
fn floats_of_0_to_1_for_samples_of_0_to_255_are_told() {
    let image: Vec<f32> = scene(SIDES[0], SIDES[1], 3).iter().map(|v| f32::from(*v) / 255.0).collect();
    let plain = greatest([0.0; 3], [1.0; 3]);
    let dividing = Toy { classes: 3, scaling: Some(InputScaling::Div(255.0)), ..Toy::default() };
    let says = ["hold floats", "to 0.992, which stay as they are", "0 to 255"];
    let file = || ("a.tif", float_tiff(SIDES, 3, image.clone()));
    is_told(&dividing, file(), "", &[&says[..], &["a graph that divides"]].concat(), "255", &plain);
    let wanted = greatest([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]);
    let numbers = "mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]";
    is_told(&Toy { classes: 3, ..Toy::default() }, file(), numbers, &says, "255", &wanted);
}

/// The scene in 16 bits, every sample `times` as large.
fn png_of_16_bits(times: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDES[1] as u32, SIDES[0] as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Sixteen);
    let samples: Vec<u8> =
        scene(SIDES[0], SIDES[1], 3).iter().flat_map(|v| (u16::from(*v) * times).to_be_bytes()).collect();
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&samples).expect("pixels");
    writer.finish().expect("an end");
    file
}

/// A graph that divides by 65535 or 4095 is for samples as they are stored, not for those of 0 to 255 or 0 to 1.
#[test]
fn a_graph_for_more_than_8_bits_is_given_samples_as_they_are_stored() {
    // The deviation of 16 bits and more hides the scene where samples are brought to another range.
    for (full, times) in [(65_535.0, 257), (4095.0, 16)] {
        let place = place(&Toy { classes: 3, scaling: Some(InputScaling::Div(full)), ..Toy::default() });
        std::fs::remove_file(place.path("images/a.bmp")).expect("it is there");
        place.write("images/a.png", png_of_16_bits(times));
        let text = job("{}").replace("{masks: png}", "{probabilities: zarr}");
        place.write("job.yaml", text);
        let ran = place.run("job.yaml").ends_with(0).says(&["as stored, since the graph itself divides"]);
        assert!(!ran.stderr.contains("input.scale"), "{}", ran.stderr);
        let (_, scores) = zarr(&place.outputs("out"), "probabilities/a.zarr");
        let top = f64::from(full) / f64::from(times);
        let first: Vec<f64> =
            scene(SIDES[0], SIDES[1], 3)[..3].iter().map(|v| (f64::from(*v) / top).exp()).collect();
        let red = first[0] / first.iter().sum::<f64>();
        assert!((f64::from(scores[0]) - red).abs() < 1e-3, "{} for {red}", scores[0]);
    }
}

#[test]
fn images_of_16_bits_that_use_12_are_told() {
    let wanted = greatest([0.485, 0.456, 0.406].map(|m| m * 4095.0 / 16.0), [0.229, 0.224, 0.225]);
    is_told(
        &Toy { classes: 3, ..Toy::default() },
        ("a.png", png_of_16_bits(16)),
        "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]",
        &["reach 4048 of 65535", "as if it were dark"],
        "0.0002442002442",
        &wanted,
    );
}

/// What all logits of a pixel share means nothing, and takes no digits of half precision from what differs.
#[test]
fn logits_that_share_a_large_number_keep_their_probabilities() {
    let row = |class: usize| {
        (0..4).map(move |k| if k == 3 { 1000.0 } else { f32::from(u8::from(k == class)) * 4.0 })
    };
    let weights = Weights::Linear((0..3).map(|class| row(class).collect()).collect());
    let place = place(&Toy { classes: 3, weights, ..Toy::default() });
    let job = |more: &str| {
        format!(
            "version: 1\nimages: images\nclasses: [r, g, b]\nmembers: [{{onnx: m.onnx, window: {{size: 64}}}}]\n\
             outputs: [{{masks: png}}, {{probabilities: zarr}}]\nstore: store\n{more}\n"
        )
    };
    let exact: Vec<[f64; 3]> = scene(SIDES[0], SIDES[1], 3)
        .chunks_exact(3)
        .map(|pixel| {
            let shares = [0, 1, 2].map(|c| (4.0 * f64::from(pixel[c]) / 255.0).exp());
            shares.map(|share| share / shares.iter().sum::<f64>())
        })
        .collect();
    for more in [
        "merge: {space: logits}",
        "tta: {space: logits}\ntiles: {per: member}",
        "merge: {space: probabilities}",
    ] {
        let _ = std::fs::remove_dir_all(place.path("store"));
        place.write("job.yaml", job(more));
        place.run("job.yaml").ends_with(0);
        let files = place.outputs("store");
        let (shape, found) = zarr(&files, "probabilities/a.zarr");
        assert_eq!(shape, [3, SIDES[0], SIDES[1]]);
        let area = SIDES[0] * SIDES[1];
        let off = (0..3 * area).map(|at| (f64::from(found[at]) - exact[at % area][at / area]).abs());
        let most = off.fold(0.0, f64::max);
        assert!(most < 2e-3, "{more}: off by {most}");
    }
}
