//! Jobs that compute a part of each image: inside of it all is as it would be without, and outside no model runs.

use crate::damaged_images::{Fate, tiff_of};
use crate::decode::{Mask, zarr};
use crate::fixture::{Place, same_files};
use crate::pictures::{bmp, bmp_of, grey_png};
use marquetry_model::Activation;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

const HEIGHT: usize = 300;
const WIDTH: usize = 340;

/// Two models whose scores hang on all pixels near.
fn place() -> Place {
    let place = Place::new();
    for (name, seed) in [("a", 1), ("b", 2)] {
        let weights = Weights::Seeded(seed);
        let toy = Toy { classes: 3, kernel: 5, weights, activation: Activation::Softmax, ..Toy::default() };
        place.model(&format!("{name}.onnx"), &toy);
    }
    place
}

/// A mask of a bar and of one lonely pixel.
fn mask(height: usize, width: usize) -> Vec<u8> {
    let inside = |y: usize, x: usize| (40..90).contains(&y) && (30..75).contains(&x) || (y, x) == (222, 301);
    (0..height * width).map(|at| 7 * u8::from(inside(at / width, at % width))).collect()
}

/// Which pixels are no further than `margin` from one of the mask.
fn grown(mask: &[u8], width: usize, margin: usize) -> Vec<bool> {
    let height = mask.len() / width;
    let near = |y: usize, x: usize| {
        let rows = y.saturating_sub(margin)..(y + margin + 1).min(height);
        rows.into_iter().any(|v| {
            let columns = x.saturating_sub(margin)..(x + margin + 1).min(width);
            mask[v * width..][columns].iter().any(|value| *value != 0)
        })
    };
    (0..mask.len()).map(|at| near(at / width, at % width)).collect()
}

fn forwards(summary: &Value) -> u64 {
    summary["tally"]["forwards"].as_u64().expect("a number")
}

/// Masks and probabilities of one image: equal to `whole` where `inside` is, and elsewhere of class `outside` alone.
#[track_caller]
fn is_whole_inside(files: &Files, whole: &Files, image: &str, inside: &[bool], outside: u8) {
    let mask = |files: &Files| Mask::from_png(&files[&format!("masks/{image}.png")]).labels;
    let scores = |files: &Files| zarr(files, &format!("probabilities/{image}.zarr")).1;
    let (found, wanted) = (mask(files), mask(whole));
    let (found_scores, wanted_scores) = (scores(files), scores(whole));
    let area = inside.len();
    assert_eq!((found.len(), found_scores.len()), (area, area * 3));
    for (at, &inside) in inside.iter().enumerate() {
        assert_eq!(found[at], if inside { wanted[at] } else { outside }, "label of pixel {at}");
        for class in 0..3 {
            let (score, whole) = (found_scores[class * area + at], wanted_scores[class * area + at]);
            let stated = f32::from(u8::from(class == usize::from(outside)));
            let wanted = if inside { whole } else { stated };
            assert_eq!(
                score.to_bits(),
                wanted.to_bits(),
                "class {class} of pixel {at}: {score}, not {wanted}"
            );
        }
    }
}

const OUTPUTS: &str = "outputs: [{masks: png}, {probabilities: {format: zarr, dtype: f16}}]\n";

fn job(store: &str, members: &str, more: &str) -> String {
    format!(
        "version: 1\nimages: images\nclasses: [ground, road, tree]\ndefaults: {{window: {{size: 48, overlap: 0.4}}}}\n\
         members: {members}\ntta: {{views: [hflip]}}\nlimits: {{block_mb: 1}}\nstore: {store}\n{OUTPUTS}{more}\n"
    )
}

/// The law: whatever is merged, scaled, or in how many tiles.
#[test]
fn inside_of_a_mask_all_is_as_without_one() {
    let place = place();
    place.write("images/x.bmp", bmp(HEIGHT, WIDTH, 5));
    place.write("masks/x_mask.png", grey_png(WIDTH, &mask(HEIGHT, WIDTH)));
    let both = "[{onnx: a.onnx}, {onnx: b.onnx, weight: 2}]";
    let scaled = |factor: &str| format!("[{{onnx: a.onnx}}, {{onnx: b.onnx, scale: {factor}}}]");
    let cases = [
        ("same", both.to_owned(), ""),
        ("logits", both.to_owned(), "merge: {space: logits}"),
        ("members", both.to_owned(), "tiles: {per: member, dtype: f32}"),
        ("half", scaled("0.5"), ""),
        ("double", scaled("2"), "tiles: {dtype: f32}"),
        ("odd", scaled("0.37"), "tiles: {per: member}"),
        ("factors", both.to_owned(), "decide: {factors: {tree: 1.5}}"),
        (
            "edges",
            "[{onnx: a.onnx, window: {size: 48, margin: 6, edges: pad}}, \
             {onnx: b.onnx, scale: 1.6, window: {edges: spread, importance: pyramid}}]"
                .to_owned(),
            "",
        ),
    ];
    let inside = grown(&mask(HEIGHT, WIDTH), WIDTH, 10);
    for (name, members, more) in cases {
        let (all, part) = (format!("{name}-all"), format!("{name}-part"));
        place.write("all.yaml", job(&all, &members, more));
        let region = "region: {from: masks, suffix: _mask, margin: 10, class: road}";
        place.write("part.yaml", job(&part, &members, &format!("{more}\n{region}")));
        let (whole, run) = (place.run("all.yaml").ends_with(0), place.run("part.yaml").ends_with(0));
        let (whole, run) = (whole.json(), run.json());
        let (few, many) = (forwards(&run), forwards(&whole));
        assert!(few > 0 && few * 2 < many, "{name}: {few} of {many} forwards");
        assert_eq!(
            (&run["region"]["forwards"]["inside"], &run["region"]["forwards"]["all"]),
            (&few.into(), &many.into())
        );
        is_whole_inside(&place.outputs(&part), &place.outputs(&all), "x", &inside, 1);
    }
}

/// An image that is one window is computed as soon as a pixel of it is inside; one with an empty mask not at all.
#[test]
fn whole_images_run_or_they_do_not() {
    let place = place();
    for (n, marked) in [("x", true), ("y", false)] {
        place.write(&format!("images/{n}.bmp"), bmp(90, 70, 3));
        let values = (0..90 * 70).map(|at| u8::from(marked && at == 4000)).collect::<Vec<_>>();
        place.write(&format!("masks/{n}.png"), grey_png(70, &values));
    }
    let members = "[{onnx: a.onnx, window: {mode: whole, size: 64}}]";
    place.write("all.yaml", job("all", members, ""));
    place.write("part.yaml", job("part", members, "region: {from: masks, margin: 0}"));
    assert_eq!(forwards(&place.run("all.yaml").ends_with(0).json()), 4);
    assert_eq!(forwards(&place.run("part.yaml").ends_with(0).json()), 2);
    let (all, part) = (place.outputs("all"), place.outputs("part"));
    let inside: Vec<bool> = (0..90 * 70).map(|at| at == 4000).collect();
    is_whole_inside(&part, &all, "x", &inside, 0);
    is_whole_inside(&part, &all, "y", &[false; 90 * 70], 0);
}

/// A slide: bright ground, a pale disc of tissue, a mark of a blue pen.
fn slide(height: usize, width: usize) -> Vec<u8> {
    let pixel = |at: usize| {
        let (y, x) = (at / width, at % width);
        if y.abs_diff(height / 3).pow(2) + x.abs_diff(width / 4).pow(2) < (height / 6).pow(2) {
            [236, 222, (230 + (y * x) % 7) as u8]
        } else if (width * 7 / 8..width * 7 / 8 + 14).contains(&x) && y > height / 2 && y < height * 3 / 4 {
            [40, 60, 170]
        } else {
            [242, 241, (242 + (y + x) % 3) as u8]
        }
    };
    (0..height * width).flat_map(pixel).collect()
}

/// What is not blank is found by a task of its own; where that cannot be told all is computed, and it is said.
#[test]
fn what_is_blank_runs_through_no_model() {
    let place = place();
    place.write("images/slide.bmp", bmp_of(420, 500, &slide(420, 500)));
    place.write("images/scene.bmp", bmp(120, 130, 9));
    let white: Vec<u8> = vec![244; 100 * 110 * 3];
    place.write("images/white.bmp", bmp_of(100, 110, &white));
    let members = "[{onnx: a.onnx}, {onnx: b.onnx, scale: 0.5}]";
    place.write("all.yaml", job("all", members, ""));
    place.write(
        "part.yaml",
        job("part", members, "region: {from: nonblank, margin: 16}\ntiles: {keep: true}"),
    );
    let many = forwards(&place.run("all.yaml").ends_with(0).json());
    let ran = place
        .run("part.yaml")
        .ends_with(0)
        .says(&["region: 2 images are computed whole", "less than 0.1 % is anything but blank (white)"]);
    let summary = ran.json();
    let few = forwards(&summary);
    assert!(few * 4 < many * 3, "{few} of {many}");
    assert_eq!(summary["region"]["whole"].as_array().map(Vec::len), Some(2), "{summary}");
    let (all, part) = (place.outputs("all"), place.outputs("part"));
    for (image, area) in [("scene", 120 * 130), ("white", 100 * 110)] {
        is_whole_inside(&part, &all, image, &vec![true; area], 0);
    }
    // Inside is what the mask says that is stored for it.
    let job_folder = place.job_folder("part");
    let regions = place.files(&format!("{job_folder}/regions"));
    assert_eq!(regions.len(), 3);
    let tissue = |at: usize| {
        let (y, x) = (at / 500, at % 500);
        y.abs_diff(140).pow(2) + x.abs_diff(125).pow(2) < 70_usize.pow(2)
    };
    let near: Vec<u8> = (0..420 * 500).map(|at| u8::from(tissue(at))).collect();
    let must = grown(&near, 500, 12);
    let probabilities = |files: &Files| zarr(files, "probabilities/slide.zarr").1;
    let (found, wanted) = (probabilities(&part), probabilities(&all));
    let area = 420 * 500;
    let stated =
        (0..area).filter(|at| [0, 1, 2].map(|class| found[class * area + at]) == [1.0, 0.0, 0.0]).count();
    assert!(stated > area / 2, "{stated} of {area} pixels are skipped");
    for at in (0..area).filter(|at| must[*at]) {
        for class in 0..3 {
            assert_eq!(found[class * area + at].to_bits(), wanted[class * area + at].to_bits(), "pixel {at}");
        }
    }

    // The same again finds everything done; a damaged region, or one that is gone, is found again.
    assert_eq!(forwards(&place.run("part.yaml").ends_with(0).json()), 0);
    for (n, (name, bytes)) in regions.iter().enumerate() {
        let path = format!("{job_folder}/regions/{name}");
        if n == 0 {
            std::fs::remove_file(place.path(&path)).expect("a file");
        } else {
            let mut damaged = bytes.clone();
            damaged[20] ^= 1;
            place.write(&path, damaged);
        }
    }
    std::fs::remove_dir_all(place.path("part/tiles")).expect("tiles");
    std::fs::remove_dir_all(place.path(&format!("{job_folder}/parts"))).expect("results");
    assert_eq!(forwards(&place.run("part.yaml").ends_with(0).json()), few);
    same_files(&place.outputs("part"), &part);
    same_files(&place.files(&format!("{job_folder}/regions")), &regions);
}

/// Tiles that are kept hang on the region: another one finds none that lack pixels.
#[test]
fn another_region_finds_no_tiles_of_the_first() {
    let place = place();
    place.write("images/x.bmp", bmp(HEIGHT, WIDTH, 5));
    place.write("masks/x.png", grey_png(WIDTH, &mask(HEIGHT, WIDTH)));
    let keep = "tiles: {keep: true}";
    let with = |region: &str| job("kept", "[{onnx: a.onnx}]", &format!("{keep}\n{region}"));
    let run = |region: &str| {
        place.write("job.yaml", with(region));
        forwards(&place.run("job.yaml").ends_with(0).json())
    };
    let small = run("region: {from: masks, margin: 0}");
    assert_eq!(run("region: {from: masks, margin: 0, class: tree}"), 0, "another class runs no model");
    let larger = run("region: {from: masks, margin: 60}");
    assert!(larger > small, "{larger} {small}");
    // Another mask under the same name.
    let other: Vec<u8> = (0..HEIGHT * WIDTH).map(|at| u8::from(at / WIDTH > 200)).collect();
    place.write("masks/x.png", grey_png(WIDTH, &other));
    assert!(run("region: {from: masks, margin: 0}") > 0);
    let files = std::fs::read_dir(place.path("kept/jobs")).expect("jobs").count();
    assert_eq!(files, 2, "a job for each margin");
    place.write("all.yaml", job("all", "[{onnx: a.onnx}]", ""));
    place.run("all.yaml").ends_with(0);
    place.write("fresh.yaml", job("fresh", "[{onnx: a.onnx}]", "region: {from: masks, margin: 0}"));
    place.run("fresh.yaml").ends_with(0);
    is_whole_inside(&place.outputs("fresh"), &place.outputs("all"), "x", &grown(&other, WIDTH, 0), 0);
}

/// Masks that do not fit are a fault of their image alone, and images without one are computed whole.
#[test]
fn masks_that_do_not_fit_are_told() {
    let place = place();
    for name in ["x", "y", "z"] {
        place.write(&format!("images/{name}.bmp"), bmp(60, 80, 4));
    }
    place.write("masks/x.png", grey_png(80, &[1; 60 * 80]));
    place.write("masks/y.png", grey_png(60, &[1; 60 * 80]));
    place.write("masks/w.png", grey_png(80, &[1; 60 * 80]));
    place.write("job.yaml", job("out", "[{onnx: a.onnx}]", "region: masks"));
    place.run("job.yaml").ends_with(1).says(&[
        "y.png is 80 × 60 px, and its image 60 × 80 px, and would fit if it were turned: a mask must have its image's size",
        "1 image without a mask, computed whole: z",
        "1 mask of no image: w.png",
    ]);
    place.write("none.yaml", job("none", "[{onnx: a.onnx}]", "region: {from: masks, suffix: _tissue}"));
    let told = place.marquetry(&["plan", "none.yaml"]).ends_with(65);
    assert!(told.stderr.contains("region.suffix") && !told.stderr.contains("truth"), "{}", told.stderr);
    place.write("glob.yaml", job("glob", "[{onnx: a.onnx}]", "region: {from: 'masks/*.png'}"));
    place.marquetry(&["plan", "glob.yaml"]).ends_with(65).says(&["name the folder of the masks"]);
}

/// How much of the truth lies outside is told, and loud where it is much; what was not looked at is no label to train on.
#[test]
fn what_lies_outside_is_told_and_teaches_nothing() {
    let place = place();
    place.write("images/x.bmp", bmp(HEIGHT, WIDTH, 5));
    let inside = mask(HEIGHT, WIDTH);
    place.write("masks/x.png", grey_png(WIDTH, &inside));
    // A road under the bar of the mask, and a tree of 20 px where nothing is looked at.
    let truth = |at: usize| {
        let (y, x) = (at / WIDTH, at % WIDTH);
        match (inside[at] != 0 && y < 100, y == 150 && x < 20) {
            (true, _) => 1,
            (_, true) => 2,
            _ => 0,
        }
    };
    let truth: Vec<u8> = (0..HEIGHT * WIDTH).map(truth).collect();
    place.write("labels/x.png", grey_png(WIDTH, &truth));
    let outputs = "outputs:\n  - {masks: png}\n  - {evaluation: html}\n  - {label_quality: html}\n  - {report: html}\n  \
                   - {pseudo_labels: png, thresholds: 0}\n  - {uncertainty: entropy, format: zarr}\n";
    let text = job("out", "[{onnx: a.onnx}]", "truth: labels\nregion: {from: masks, margin: 10}");
    place.write("job.yaml", text.replace(OUTPUTS, outputs));
    let ran = place.run("job.yaml").ends_with(0).says(&["warning: region: 20 of 2270 pixels of the truth"]);
    let summary = ran.json();
    assert_eq!(summary["region"]["truth"]["outside"], 20, "{summary}");
    let outputs = place.outputs("out");
    let near = grown(&inside, WIDTH, 10);
    let pseudo = Mask::from_png(&outputs["pseudo_labels/x.png"]).labels;
    let kept = |at: usize| pseudo[at] != 255;
    assert!((0..near.len()).all(|at| kept(at) == near[at]), "what was not looked at is no pseudo-label");
    let maps = zarr(&outputs, "uncertainty/x.zarr").1;
    assert!(maps.iter().enumerate().all(|(at, value)| value.is_nan() != near[at % near.len()]));
    let report = std::fs::read_to_string(place.path(&format!("{}/out/report.html", place.job_folder("out"))));
    let report = report.expect("a report");
    assert!(
        report.contains("of the truth") && report.contains("of windows"),
        "the report tells of the region"
    );
    let planned = place.marquetry(&["plan", "job.yaml"]).ends_with(0).stdout;
    assert!(planned.contains("# region "), "{planned}");
}

/// Classes that share pixels: none of them is there outside.
#[test]
fn of_classes_that_share_pixels_none_is_outside() {
    let place = Place::new();
    let toy = Toy { classes: 2, kernel: 3, weights: Weights::Constant(vec![3.0, 4.0]), ..Toy::default() };
    place.model("m.onnx", &toy);
    place.write("images/x.bmp", bmp(HEIGHT, WIDTH, 5));
    place.write("masks/x.png", grey_png(WIDTH, &mask(HEIGHT, WIDTH)));
    let text = |store: &str, region: &str| {
        format!(
            "version: 1\nimages: images\nclasses: [a, b]\ndefaults: {{window: {{size: 48}}, output: {{multilabel: true}}}}\n\
             members: [{{onnx: m.onnx}}]\nstore: {store}\noutputs: [{{masks: png}}]\n{region}\n"
        )
    };
    place.write("job.yaml", text("out", "region: {from: masks, margin: 5}"));
    place.run("job.yaml").ends_with(0);
    let inside = grown(&mask(HEIGHT, WIDTH), WIDTH, 5);
    for class in ["a", "b"] {
        let found = Mask::from_png(&place.outputs("out")[&format!("masks/x/{class}.png")]).labels;
        assert!(found.iter().zip(&inside).all(|(label, inside)| *label == u8::from(*inside)));
    }
    place.write("refused.yaml", text("no", "region: {from: masks, class: a}"));
    place.marquetry(&["plan", "refused.yaml"]).ends_with(65).says(&["none of them is there outside"]);
}

/// What an image does not have stays missing outside, where its file says so; a tile that is damaged is told where somebody looks.
#[test]
fn missing_pixels_are_missing_outside_too() {
    const SIDES: [usize; 2] = [70, 90];
    let [height, width] = SIDES;
    let place = place();
    // Tiles of 16 px, six in a row: the mask lies in the first rows of them.
    let inside: Vec<u8> = (0..height * width).map(|at| u8::from(at / width < 20)).collect();
    place.write("masks/x.png", grey_png(width, &inside));
    let tile_of = |at: usize| at / width / 16 * 6 + at % width / 16;
    let fate = |tile: usize| match tile {
        2 | 20 => Fate::Lost,
        9 | 21 => Fate::Nodata,
        _ => Fate::Kept,
    };
    for says_nodata in [true, false] {
        place.write("images/x.tif", tiff_of(fate, says_nodata));
        let mut first = None;
        for lanes in ["1", "3"] {
            let store = format!("{says_nodata}-{lanes}");
            place.write(
                "job.yaml",
                job(&store, "[{onnx: a.onnx}]", "region: {from: masks, margin: 0, class: tree}"),
            );
            place.marquetry(&["run", "job.yaml", "--lanes", lanes]).ends_with(1);
            let files = place.outputs(&store);
            let labels = Mask::from_png(&files["masks/x.png"]).labels;
            for (at, label) in labels.iter().enumerate() {
                let (lost, nodata) = match tile_of(at) {
                    2 => (true, false),
                    20 => (says_nodata, false),
                    9 | 21 => (false, says_nodata),
                    _ => (false, false),
                };
                let wanted_missing = lost || nodata;
                assert_eq!(*label == 255, wanted_missing, "pixel {at} of tile {}", tile_of(at));
                assert!(wanted_missing || inside[at] != 0 || *label == 2, "pixel {at} is outside");
            }
            same_files(first.get_or_insert_with(|| files.clone()), &files);
        }
    }
}

/// Labels that are tidied up: what fills holes and takes out small areas sees what is stated outside, and changes nothing there.
#[test]
fn what_tidies_up_leaves_the_outside_as_it_is_stated() {
    let place = place();
    place.write("images/x.bmp", bmp(HEIGHT, WIDTH, 5));
    // A ring: what it encloses is outside.
    let ring = |at: usize| {
        let far = (at / WIDTH).abs_diff(150).max((at % WIDTH).abs_diff(150));
        u8::from((60..90).contains(&far))
    };
    let ring: Vec<u8> = (0..HEIGHT * WIDTH).map(ring).collect();
    place.write("masks/x.png", grey_png(WIDTH, &ring));
    let tidied = "decide: {min_area: {tree: 40}, fill_holes: true}\nregion: {from: masks, margin: 0}";
    let together = "outputs: [{masks: png}, {pseudo_labels: png, thresholds: 0}]\n";
    for (name, outputs) in [("apart", OUTPUTS), ("together", together)] {
        place.write("job.yaml", job(name, "[{onnx: a.onnx}]", tidied).replace(OUTPUTS, outputs));
        place.run("job.yaml").ends_with(0);
        let labels = Mask::from_png(&place.outputs(name)["masks/x.png"]).labels;
        assert!(labels.iter().zip(&ring).all(|(label, inside)| *inside != 0 || *label == 0), "{name}");
        assert!(labels.iter().any(|label| *label != 0), "{name}: something is inside");
    }
}

/// Statistics and regions are found in one stage; a job that is killed goes on; lanes change no byte.
#[test]
fn kills_and_lanes_change_no_byte() {
    let place = place();
    for n in 0..4_usize {
        let (height, width) = (300 + 40 * n, 420 - 30 * n);
        place.write(&format!("images/{n}.bmp"), bmp_of(height, width, &slide(height, width)));
    }
    let members = "[{onnx: a.onnx, input: {normalize: {per: image}}}, {onnx: b.onnx, scale: 0.5}]";
    let text = |store: &str, region: &str| job(store, members, region);
    let region = "region: {from: nonblank, margin: 8}";
    place.write("all.yaml", text("all", "")).write("calm.yaml", text("calm", region));
    place.run("all.yaml").ends_with(0);
    let start = std::time::Instant::now();
    let calm = place.marquetry(&["run", "calm.yaml", "--lanes", "3", "--format", "json"]).ends_with(0).json();
    let alone = start.elapsed();
    place.write("storm.yaml", text("storm", region));
    for part in [3, 4, 5] {
        let mut run = place.start(&["run", "storm.yaml", "--lanes", "1"]);
        std::thread::sleep(alone * part / 6);
        run.kill().expect("SIGKILL");
        run.wait().expect("a child that ended");
    }
    let storm = place.run("storm.yaml").ends_with(0).json();
    assert!(forwards(&storm) <= forwards(&calm));
    same_files(&place.outputs("calm"), &place.outputs("storm"));
    let (all, part) = (place.outputs("all"), place.outputs("calm"));
    let scores = |files: &Files| zarr(files, "probabilities/0.zarr").1;
    let (found, wanted) = (scores(&part), scores(&all));
    let area = 300 * 420;
    let of = |scores: &[f32], at: usize| [0, 1, 2].map(|class| scores[class * area + at].to_bits());
    let stated = [1.0_f32, 0.0, 0.0].map(f32::to_bits);
    let same = (0..area).filter(|&at| of(&found, at) == of(&wanted, at)).count();
    assert!((0..area).all(|at| of(&found, at) == of(&wanted, at) || of(&found, at) == stated));
    assert!(same > area / 20 && same < area / 2, "{same} of {area} pixels are computed");
}

/// The example, over slides made here.
#[test]
fn the_example_runs_where_there_is_tissue() {
    let place = Place::new();
    let rows = |tilt: f32| vec![vec![0.0, 6.0 + tilt, 0.0, -5.0], vec![0.0, -6.0 - tilt, 0.0, 5.0]];
    for (name, tilt) in [("fold0", 0.0), ("fold1", 0.3), ("coarse", 0.1)] {
        let weights = Weights::Linear(rows(tilt));
        let toy = Toy { classes: 2, weights, activation: Activation::Softmax, ..Toy::default() };
        place.model(&format!("models/slides/{name}.onnx"), &toy);
    }
    let (height, width) = (600, 700);
    for n in 0..2 {
        place.write(&format!("data/slides/images/{n}.bmp"), bmp_of(height, width, &slide(height, width)));
        let tissue = |at: usize| {
            let (y, x) = (at / width, at % width);
            u8::from(y.abs_diff(height / 3).pow(2) + x.abs_diff(width / 4).pow(2) < (height / 6).pow(2))
        };
        let labels: Vec<u8> = (0..height * width).map(tissue).collect();
        place.write(&format!("data/slides/labels/{n}.png"), grey_png(width, &labels));
    }
    let example = include_str!("../../examples/region.yaml");
    let small = example.replace("size: 256", "size: 48").replace("margin: 128", "margin: 24");
    assert_ne!(small, example);
    place.write("region.yaml", small);
    let planned = place.marquetry(&["plan", "region.yaml", "--format", "json"]).ends_with(0).json();
    let summary = place.run("region.yaml").ends_with(0).says(&["region: 0 of "]).json();
    assert_eq!(
        summary["region"]["forwards"], planned["region"]["forwards"],
        "the plan knows what the run comes to"
    );
    assert_eq!(summary["region"]["forwards"]["inside"], summary["tally"]["forwards"]);
    let share = summary["region"]["skipped_pixels"].as_f64().expect("a number") / (2 * height * width) as f64;
    assert!(share > 0.6, "{share} of all pixels are skipped: {summary}");
    assert_eq!(summary["region"]["truth"]["outside"], 0);
}
