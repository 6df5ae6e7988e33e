//! Images as people have them: channels as pages, values for no data, alpha bands. Masks are compared with the pixels.

use crate::decode::Mask;
use crate::fixture::{Place, same_files};
use marquetry_model::toy::{Toy, Weights};

/// A little-endian TIFF of float or byte samples: `pages` of `[H, W, S]` values, with a text in tag 270 and one in 42113.
struct Tiff<'a> {
    height: usize,
    width: usize,
    samples: usize,
    float: bool,
    /// What tag 338 says of the last sample.
    extra: Option<usize>,
    description: &'a str,
    nodata: &'a str,
}

impl Tiff<'_> {
    fn bytes(&self, pages: &[Vec<f32>]) -> Vec<u8> {
        let mut file = b"II*\0\0\0\0\0".to_vec();
        let mut link = 4;
        for values in pages {
            let mut place = |bytes: &[u8]| {
                let at = file.len();
                file.extend(bytes);
                file.resize(file.len().next_multiple_of(4), 0);
                at
            };
            let pixels: Vec<u8> = if self.float {
                values.iter().flat_map(|v| v.to_le_bytes()).collect()
            } else {
                values.iter().map(|&v| v as u8).collect()
            };
            let (length, pixels) = (pixels.len(), place(&pixels));
            let (bits, format) = if self.float { (32_u16, 3_u16) } else { (8, 1) };
            let depths = place(&bits.to_le_bytes().repeat(self.samples.max(2)));
            let formats = place(&format.to_le_bytes().repeat(self.samples.max(2)));
            let (description, nodata) = (place(self.description.as_bytes()), place(self.nodata.as_bytes()));
            // One or two of them stand in the entry itself.
            let each = |at: usize, value: u16| match self.samples {
                1 => usize::from(value),
                2 => usize::from(value) << 16 | usize::from(value),
                _ => at,
            };
            let mut entries = vec![
                [256, 4, 1, self.width],
                [257, 4, 1, self.height],
                [258, 3, self.samples, each(depths, bits)],
                [259, 3, 1, 1],
                [262, 3, 1, if self.samples >= 3 { 2 } else { 1 }],
            ];
            if self.description.len() > 4 {
                entries.push([270, 2, self.description.len(), description]);
            }
            entries.extend([[273, 4, 1, pixels], [277, 3, 1, self.samples], [279, 4, 1, length]]);
            entries.extend(self.extra.map(|extra| [338, 3, 1, extra]));
            entries.push([339, 3, self.samples, each(formats, format)]);
            if self.nodata.len() > 4 {
                entries.push([42113, 2, self.nodata.len(), nodata]);
            }
            let directory = file.len() as u32;
            file[link..link + 4].copy_from_slice(&directory.to_le_bytes());
            file.extend((entries.len() as u16).to_le_bytes());
            for [tag, kind, count, value] in entries {
                file.extend((tag as u16).to_le_bytes());
                file.extend((kind as u16).to_le_bytes());
                file.extend((count as u32).to_le_bytes());
                file.extend((value as u32).to_le_bytes());
            }
            link = file.len();
            file.extend([0; 4]);
        }
        file
    }
}

/// A TIFF of float samples `[H, W, S]`.
pub(crate) fn float_tiff([height, width]: [usize; 2], samples: usize, values: Vec<f32>) -> Vec<u8> {
    Tiff { height, width, samples, float: true, extra: None, description: "", nodata: "" }.bytes(&[values])
}

const SIDES: (usize, usize) = (70, 90);

fn noise(seed: usize) -> impl Fn(usize) -> f32 {
    move |at| ((at * 7919 + seed * 104_729) % 65_521 % 251) as f32
}

/// The class whose band is greatest: the first of equals.
fn greatest(bands: &[&dyn Fn(usize) -> f32], at: usize) -> u8 {
    let mut best = 0;
    for band in 1..bands.len() {
        if bands[band](at) > bands[best](at) {
            best = band;
        }
    }
    best as u8
}

/// A place with a model that copies `channels` bands to as many classes.
fn place(channels: u32) -> Place {
    let place = Place::new();
    let toy = Toy { channels, classes: channels, weights: Weights::Copy, ..Toy::default() };
    place.model("m.onnx", &toy);
    place
}

fn job(place: &Place, images: &str, classes: &str, more: &str) {
    let text = format!(
        "version: 1\nimages: {images}\nclasses: {classes}\nmembers: [{{onnx: m.onnx}}]\nstore: store\n\
         defaults: {{window: {{size: 32}}, input: {{scale: 1}}}}\n{more}\n"
    );
    place.write("job.yaml", text);
}

const MASKS: &str = "outputs: [{masks: png}, {report: html}]";

fn labels(place: &Place, id: &str) -> Vec<u8> {
    Mask::from_png(&place.outputs("store")[&format!("masks/{id}.png")]).labels
}

#[test]
fn channels_as_pages_are_bands_and_other_pages_are_named() {
    let place = place(3);
    let (height, width) = SIDES;
    let bands = [noise(1), noise(2), noise(3)];
    let plane = |band: usize| (0..height * width).map(&bands[band]).collect::<Vec<f32>>();
    let tiff = |description| {
        let file = Tiff { height, width, samples: 1, float: false, extra: None, description, nodata: "" };
        file.bytes(&[plane(0), plane(1), plane(2)])
    };
    place
        .write("images/imagej.tif", tiff("ImageJ=1.54f\nimages=3\nchannels=3\n\0"))
        .write("images/shaped.tif", tiff("{\"shape\": [3, 70, 90], \"axes\": \"CYX\"}\0"))
        .write("stack/stack.tif", tiff("ImageJ=1.54f\nimages=3\nslices=3\n\0"));
    job(&place, "images", "[a, b, c]", MASKS);
    place
        .run("job.yaml")
        .ends_with(0)
        .says(&["image imagej and 1 more: TIFF, 3 pages as bands (channels 3)"]);
    let all: Vec<&dyn Fn(usize) -> f32> = bands.iter().map(|band| band as &dyn Fn(usize) -> f32).collect();
    let wanted: Vec<u8> = (0..height * width).map(|at| greatest(&all, at)).collect();
    assert_eq!(labels(&place, "imagej"), wanted);
    assert_eq!(labels(&place, "shaped"), wanted);
    // What nothing is said of: named by plan and run, or chosen.
    job(&place, "stack", "[a, b, c]", MASKS);
    let left_out = "page 0 of 3 (z 3), counted from 0; the other 2 are LEFT OUT";
    let plan = place.marquetry(&["plan", "job.yaml"]).ends_with(0);
    assert!(plan.stdout.contains(&format!("# image     stack: TIFF, {left_out}")), "{}", plan.stdout);
    place.run("job.yaml").ends_with(0).says(&[left_out]);
    std::fs::remove_dir_all(place.path("store")).expect("a store");
    job(&place, "{from: stack, pages: bands}", "[a, b, c]", MASKS);
    place.run("job.yaml").ends_with(0);
    assert_eq!(labels(&place, "stack"), wanted);
}

#[test]
fn a_page_can_be_chosen() {
    let place = place(1);
    let (height, width) = SIDES;
    let file = Tiff { height, width, samples: 1, float: false, extra: None, description: "", nodata: "" };
    let plane = |seed| (0..height * width).map(noise(seed)).collect::<Vec<f32>>();
    place.write("images/a.tif", file.bytes(&[plane(1), plane(2), plane(3)]));
    let decide = format!("{MASKS}\ndecide: {{rule: threshold, thresholds: 0.5}}");
    place.model("m.onnx", &Toy { channels: 1, classes: 2, weights: Weights::Copy, ..Toy::default() });
    job(&place, "{from: images, page: 1}", "[a, b]", MASKS);
    place.run("job.yaml").ends_with(0).says(&["page 1 of 3"]);
    job(&place, "{from: images, page: 3}", "[a, b]", &decide);
    place.run("job.yaml").ends_with(65).says(&["page 3 of it is asked for (counted from 0), and it has 3"]);
}

/// Pixels without a value get the ignore label, and no other pixel notices, whatever the block size.
#[test]
fn missing_pixels_are_ignored_and_the_rest_is_exact() {
    let (height, width) = SIDES;
    let value = noise(5);
    let is_none = |at: usize| at % width < 3 && at / width < 4 || at == 40 * width + 50 || at % 977 == 3;
    let wanted: Vec<u8> =
        (0..height * width).map(|at| if is_none(at) { 255 } else { u8::from(value(at) < 100.0) }).collect();
    let mut seen = Vec::new();
    for block_mb in [1, 64] {
        let place = Place::new();
        // Class 0 is the sample itself, class 1 is 100.
        let toy = Toy { channels: 2, classes: 2, weights: Weights::Copy, ..Toy::default() };
        place.model("m.onnx", &toy);
        for (name, none, nodata) in [
            ("nan", f32::NAN, ""),
            ("tagged", -9999.0, "-9999\0"),
            ("least", f32::MIN, "-3.4028234663852886e+38\0"),
            ("untagged", f32::MIN, ""),
        ] {
            let file =
                Tiff { height, width, samples: 2, float: true, extra: Some(0), description: "", nodata };
            let pixel = |at: usize| [if is_none(at) { none } else { value(at) }, 100.0];
            place.write(
                &format!("images/{name}.tif"),
                file.bytes(&[(0..height * width).flat_map(pixel).collect()]),
            );
        }
        job(&place, "images", "[a, b]", &format!("{MASKS}\nlimits: {{block_mb: {block_mb}}}"));
        place
            .run("job.yaml")
            .ends_with(0)
            .says(&["NaN is missing pixels", "nodata -9999 and NaN are missing pixels"]);
        for name in ["nan", "tagged", "least", "untagged"] {
            let found = labels(&place, name);
            let unlike = found.iter().zip(&wanted).filter(|(found, wanted)| found != wanted).count();
            assert_eq!(unlike, 0, "{name}: {unlike} pixels");
        }
        seen.push(place.outputs("store"));
    }
    seen.iter_mut().for_each(|files| files.retain(|name, _| name.starts_with("masks/")));
    same_files(&seen[0], &seen[1]);
}

/// Members that see the image smaller, statistics that leave missing pixels out.
#[test]
fn missing_pixels_change_no_statistics_and_no_scale_moves_them() {
    let (height, width) = SIDES;
    let is_none = |at: usize| (30..50).contains(&(at / width)) && (30..60).contains(&(at % width));
    let run = |none: f32, nodata: &str, member: &str| {
        let place = Place::new();
        place.model("m.onnx", &Toy { channels: 2, classes: 2, weights: Weights::Copy, ..Toy::default() });
        let file = Tiff { height, width, samples: 2, float: true, extra: Some(0), description: "", nodata };
        let pixel = |at: usize| if is_none(at) { [none; 2] } else { [noise(1)(at), noise(2)(at)] };
        place.write("images/a.tif", file.bytes(&[(0..height * width).flat_map(pixel).collect()]));
        let text = format!(
            "version: 1\nimages: images\nclasses: [a, b]\nmembers: [{{onnx: m.onnx, {member}}}]\nstore: store\n\
             defaults: {{window: {{size: 32}}}}\noutputs: [{{masks: png}}]\n"
        );
        place.write("job.yaml", text);
        place.run("job.yaml").ends_with(0);
        labels(&place, "a")
    };
    for member in ["input: {normalize: image}", "scale: 0.5", "scale: 1.7"] {
        let (a, b) = (run(f32::NAN, "", member), run(1e30, "1e30\0", member));
        assert_eq!(a, b, "{member}: the value that stands for no data changes nothing");
        let ignored: Vec<bool> = a.iter().map(|label| *label == 255).collect();
        assert_eq!(ignored, (0..height * width).map(is_none).collect::<Vec<bool>>(), "{member}");
    }
}

#[test]
fn a_band_tagged_alpha_can_be_had_by_name() {
    let place = place(4);
    let (height, width) = SIDES;
    let bands = [noise(1), noise(2), noise(3), noise(4)];
    let file = Tiff { height, width, samples: 4, float: false, extra: Some(2), description: "", nodata: "" };
    let pixel = |at: usize| bands.iter().map(move |band| band(at));
    place.write("images/a.tif", file.bytes(&[(0..height * width).flat_map(pixel).collect()]));
    job(&place, "images", "[a, b, c, d]", MASKS);
    place.run("job.yaml").ends_with(65).says(&["it has 3 bands", "calls alpha", "alpha: band}`", "band 3"]);
    let all: Vec<&dyn Fn(usize) -> f32> = bands.iter().map(|band| band as &dyn Fn(usize) -> f32).collect();
    let wanted: Vec<u8> = (0..height * width).map(|at| greatest(&all, at)).collect();
    for images in ["{from: images, bands: [0, 1, 2, 3]}", "{from: images, alpha: band}"] {
        let _ = std::fs::remove_dir_all(place.path("store"));
        job(&place, images, "[a, b, c, d]", MASKS);
        place.run("job.yaml").ends_with(0).says(&["alpha is band 3"]);
        assert_eq!(labels(&place, "a"), wanted, "{images}");
    }
    // Where it is 0, pixels are missing.
    let place = self::place(3);
    let file = Tiff { height, width, samples: 4, float: false, extra: Some(2), description: "", nodata: "" };
    let alpha = |at: usize| if at.is_multiple_of(7) { 0.0 } else { 255.0 };
    let pixel = |at: usize| [bands[0](at), bands[1](at), bands[2](at), alpha(at)];
    place.write("images/a.tif", file.bytes(&[(0..height * width).flat_map(pixel).collect()]));
    job(&place, "{from: images, alpha: nodata}", "[a, b, c]", MASKS);
    place.run("job.yaml").ends_with(0).says(&["alpha 0 is missing"]);
    let of = |at: usize| if alpha(at) == 0.0 { 255 } else { greatest(&all[..3], at) };
    assert_eq!(labels(&place, "a"), (0..height * width).map(of).collect::<Vec<u8>>());
    job(&place, "{from: images, bands: [4, 3, 8], alpha: band}", "[a, b, c]", MASKS);
    place.run("job.yaml").ends_with(65).says(&[
        "band 8 is chosen",
        "it has 4 bands",
        "counted from 0, so 0 to 3",
    ]);
}
