//! Jobs in which some members and views look only at what the first ones are unsure of.

use crate::damaged_images::{Fate, tiff_of};
use crate::decode::{Mask, zarr};
use crate::fixture::{Place, same_files};
use crate::pictures::{bmp, grey_png};
use marquetry_model::Activation;
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

const HEIGHT: usize = 260;
const WIDTH: usize = 310;
const AREA: usize = HEIGHT * WIDTH;

/// Two models of the first round and one of the second.
fn place() -> Place {
    let place = Place::new();
    for (name, seed) in [("a_fold0", 1), ("b_fold0", 2), ("c_fold1", 3)] {
        let weights = Weights::Seeded(seed);
        let toy = Toy { classes: 3, kernel: 5, weights, activation: Activation::Softmax, ..Toy::default() };
        place.model(&format!("{name}.onnx"), &toy);
    }
    place.write("images/x.bmp", bmp(HEIGHT, WIDTH, 5));
    place
}

const OUTPUTS: &str = "outputs: [{masks: png}, {probabilities: {format: zarr, dtype: f16}}]\n";
const FIRST: &str = "[{onnx: a_fold0.onnx}, {onnx: b_fold0.onnx, weight: 2}]";
const ALL: &str = "[{onnx: a_fold0.onnx}, {onnx: b_fold0.onnx, weight: 2}, {onnx: c_fold1.onnx, weight: 3}]";
/// Probabilities come in half precision: nearer than this to the margin it is not known what a pixel is.
const NEAR: f32 = 2e-3;
const TILES: &str = "tiles: {per: member, dtype: f32}";

fn job(store: &str, members: &str, more: &str) -> String {
    format!(
        "version: 1\nimages: images\nclasses: [ground, road, tree]\ndefaults: {{window: {{size: 48, overlap: 0.4}}}}\n\
         members: {members}\nlimits: {{block_mb: 1}}\nstore: {store}\n{OUTPUTS}{more}\n"
    )
}

fn forwards(summary: &Value) -> u64 {
    summary["tally"]["forwards"].as_u64().expect("a number")
}

fn run(place: &Place, text: String) -> Value {
    place.write("job.yaml", text);
    place.run("job.yaml").ends_with(0).json()
}

fn scores(files: &Files) -> Vec<f32> {
    zarr(files, "probabilities/x.zarr").1
}

/// By how much the greatest probability of a pixel times `factors` leads.
fn margin(scores: &[f32], at: usize, factors: [f32; 3]) -> f32 {
    let mut of: Vec<f32> = (0..3).map(|class| scores[class * AREA + at] * factors[class]).collect();
    let sum: f32 = of.iter().sum();
    of.sort_by(f32::total_cmp);
    (of[2] - of[1]) / sum
}

/// The middle of all margins of what the first round says, so that about half of the pixels are unsure.
fn median(scores: &[f32], factors: [f32; 3]) -> f32 {
    let mut margins: Vec<f32> = (0..AREA).map(|at| margin(scores, at, factors)).collect();
    margins.sort_by(f32::total_cmp);
    margins[AREA / 2]
}

/// The law: a sure pixel has what the first round says, and any other exactly what all members come to, whatever is merged or scaled.
#[test]
fn sure_pixels_have_the_first_round_and_the_others_all_members() {
    let place = place();
    let scaled = |all: bool| {
        let last = if all { ", {onnx: c_fold1.onnx, scale: 0.37}" } else { "" };
        format!("[{{onnx: a_fold0.onnx, scale: 0.5}}, {{onnx: b_fold0.onnx}}{last}]")
    };
    let cases = [
        ("plain", FIRST.to_owned(), ALL.to_owned(), TILES.to_owned(), [1.0; 3]),
        ("logits", FIRST.to_owned(), ALL.to_owned(), format!("{TILES}\nmerge: {{space: logits}}"), [1.0; 3]),
        ("scaled", scaled(false), scaled(true), TILES.to_owned(), [1.0; 3]),
        (
            "factors",
            FIRST.to_owned(),
            ALL.to_owned(),
            format!("{TILES}\ndecide: {{factors: {{tree: 1.5}}}}"),
            [1.0, 1.0, 1.5],
        ),
    ];
    for (name, first, all, more, factors) in cases {
        let [few, many, rounds] = ["few", "many", "rounds"].map(|kind| format!("{name}-{kind}"));
        run(&place, job(&few, &first, &more));
        let summary = run(&place, job(&many, &all, &more));
        let (few, many) = (place.outputs(&few), place.outputs(&many));
        let sure = median(&scores(&few), factors);
        let cascade = format!("{more}\ncascade: {{first: {{fold: 0}}, margin: {sure}}}");
        let told = run(&place, job(&rounds, &all, &cascade));
        assert_eq!(told["cascade"]["forwards"]["inside"], forwards(&told), "{told}");
        assert_eq!(told["cascade"]["forwards"]["all"], forwards(&summary));
        let found = place.outputs(&rounds);
        let labels = |files: &Files| Mask::from_png(&files["masks/x.png"]).labels;
        let (first, all, both) = (scores(&few), scores(&many), scores(&found));
        let (first_labels, all_labels, labels) = (labels(&few), labels(&many), labels(&found));
        let mut counts = [0, 0];
        for at in 0..AREA {
            let lead = margin(&first, at, factors);
            if (lead - sure).abs() < NEAR {
                continue;
            }
            let is_sure = lead >= sure;
            counts[usize::from(is_sure)] += 1;
            assert_eq!(
                labels[at],
                if is_sure { first_labels[at] } else { all_labels[at] },
                "{name}: label of pixel {at}"
            );
            for class in 0..3 {
                let place = class * AREA + at;
                let wanted = if is_sure { first[place] } else { all[place] };
                assert_eq!(both[place].to_bits(), wanted.to_bits(), "{name}: pixel {at}, class {class}");
            }
        }
        assert!(counts.iter().all(|count| count * 3 > AREA), "{name}: {counts:?}");
    }
}

/// Where nothing is unsure the others run through no window, and where all is they run through all.
#[test]
fn what_is_spared_hangs_on_the_margin() {
    let place = place();
    let first = forwards(&run(&place, job("few", FIRST, TILES)));
    let all = forwards(&run(&place, job("many", ALL, TILES)));
    let with = |store: &str, margin: &str| {
        let cascade = format!("{TILES}\ncascade: {{first: {{fold: 0}}, margin: {margin}}}");
        forwards(&run(&place, job(store, ALL, &cascade)))
    };
    assert_eq!(with("sure", "0"), first);
    same_files(&place.outputs("sure"), &place.outputs("few"));
    assert_eq!(with("unsure", "1"), all);
    same_files(&place.outputs("unsure"), &place.outputs("many"));
    // Tiles of groups: the first round is a group by itself, and the other one too.
    let groups = job("groups", ALL, "tiles: {dtype: f32}\ncascade: {first: {fold: 0}, margin: 0}");
    assert_eq!(forwards(&run(&place, groups)), first);
    run(&place, job("few-groups", FIRST, "tiles: {dtype: f32}"));
    same_files(&place.outputs("groups"), &place.outputs("few-groups"));
    let planned = place.marquetry(&["plan", "job.yaml"]).ends_with(0).stdout;
    assert!(!planned.contains("# cascade"), "{planned}");
    place.write("job.yaml", job("x", ALL, "cascade: {first: {fold: 0}}"));
    let planned = place.marquetry(&["plan", "job.yaml"]).ends_with(0);
    let line = format!("# cascade   {first} forwards of the first round; of the other {}", all - first);
    assert!(planned.stdout.contains(&line), "{}", planned.stdout);
}

/// A coarse member that only says where the others look: what it is sure of stands, and elsewhere the others alone decide.
#[test]
fn a_coarse_member_says_where_fine_ones_look() {
    let place = place();
    let coarse = "{onnx: a_fold0.onnx, scale: 0.25, weight: 5}";
    let fine = "{onnx: b_fold0.onnx, tags: {fold: 1}}, {onnx: c_fold1.onnx, weight: {tree: 3}}";
    run(&place, job("coarse", &format!("[{coarse}]"), TILES));
    run(&place, job("fine", &format!("[{fine}]"), TILES));
    let [first, others] = ["coarse", "fine"].map(|store| scores(&place.outputs(store)));
    let sure = median(&first, [1.0; 3]);
    let all = format!("[{coarse}, {fine}]");
    let cascade = format!("{TILES}\ncascade: {{first: {{fold: 0}}, joins: false, margin: {sure}}}");
    run(&place, job("rounds", &all, &cascade));
    let found = scores(&place.outputs("rounds"));
    let mut counts = [0, 0];
    for at in (0..AREA).filter(|at| (margin(&first, *at, [1.0; 3]) - sure).abs() > NEAR) {
        let is_sure = margin(&first, at, [1.0; 3]) > sure;
        counts[usize::from(is_sure)] += 1;
        for place in (0..3).map(|class| class * AREA + at) {
            let wanted = if is_sure { first[place] } else { others[place] };
            assert_eq!(found[place].to_bits(), wanted.to_bits(), "pixel {at}");
        }
    }
    assert!(counts.iter().all(|count| count * 3 > AREA), "{counts:?}");
}

/// One member whose window as it is comes first: its other views look at what is unsure, and all of them weigh alike there.
#[test]
fn views_come_in_rounds_too() {
    let place = place();
    let member = "[{onnx: a_fold0.onnx}]";
    let views = "tiles: {dtype: f32}\ntta: {views: d4}";
    let one = forwards(&run(&place, job("one", member, "tiles: {dtype: f32}")));
    let eight = forwards(&run(&place, job("eight", member, views)));
    assert_eq!(eight, one * 8);
    let first = scores(&place.outputs("one"));
    let sure = median(&first, [1.0; 3]);
    let text = job("rounds", member, &format!("{views}\ncascade: {{views: identity, margin: {sure}}}"));
    let told = run(&place, text);
    assert!((one + 1..=eight).contains(&forwards(&told)), "{told}");
    let (all, both) = (scores(&place.outputs("eight")), scores(&place.outputs("rounds")));
    for at in 0..AREA {
        let lead = margin(&first, at, [1.0; 3]);
        for class in 0..3 {
            let place = class * AREA + at;
            if lead > sure + NEAR {
                assert_eq!(both[place].to_bits(), first[place].to_bits(), "pixel {at}");
            } else if lead < sure - NEAR {
                assert!(
                    (both[place] - all[place]).abs() < 1e-3,
                    "pixel {at}: {} and {}",
                    both[place],
                    all[place]
                );
            }
        }
    }
}

/// What one of the members says otherwise is unsure, however sure they are together.
#[test]
fn those_who_disagree_are_unsure_together() {
    let place = place();
    run(&place, job("few", FIRST, TILES));
    let alone = |name: &str| {
        run(&place, job(name, &format!("[{{onnx: {name}_fold0.onnx}}]"), TILES));
        Mask::from_png(&place.outputs(name)["masks/x.png"]).labels
    };
    let (a, b) = (alone("a"), alone("b"));
    run(&place, job("many", ALL, TILES));
    let cascade = "cascade: {first: {fold: 0}, margin: 0, agreement: 1}";
    run(&place, job("rounds", ALL, &format!("{TILES}\n{cascade}")));
    let [few, many, found] = ["few", "many", "rounds"].map(|store| scores(&place.outputs(store)));
    let differ = (0..AREA).filter(|at| a[*at] != b[*at]).count();
    assert!((AREA / 20..AREA * 19 / 20).contains(&differ), "{differ}");
    for at in 0..AREA {
        let wanted = if a[at] == b[at] { &few } else { &many };
        for place in (0..3).map(|class| class * AREA + at) {
            assert_eq!(found[place].to_bits(), wanted[place].to_bits(), "pixel {at}");
        }
    }
}

/// Within a region nothing outside is unsure, and inside all is as without one.
#[test]
fn a_region_and_a_cascade_go_together() {
    let place = place();
    let inside: Vec<u8> = (0..AREA).map(|at| u8::from(at / WIDTH < 90 && at % WIDTH > 40)).collect();
    place.write("masks/x.png", grey_png(WIDTH, &inside));
    run(&place, job("few", FIRST, TILES));
    let sure = median(&scores(&place.outputs("few")), [1.0; 3]);
    let cascade = format!("{TILES}\ncascade: {{first: {{fold: 0}}, margin: {sure}}}");
    let whole = run(&place, job("rounds", ALL, &cascade));
    let region = format!("{cascade}\nregion: {{from: masks, margin: 0, class: road}}");
    let part = run(&place, job("both", ALL, &region));
    assert!(forwards(&part) * 2 < forwards(&whole), "{part}");
    let (all, both) = (scores(&place.outputs("rounds")), scores(&place.outputs("both")));
    for (at, inside) in inside.iter().enumerate() {
        for class in 0..3 {
            let (place, stated) = (class * AREA + at, f32::from(u8::from(class == 1)));
            let wanted = if *inside == 1 { all[place] } else { stated };
            assert_eq!(both[place].to_bits(), wanted.to_bits(), "pixel {at}");
        }
    }
}

/// Labels of classes that share pixels: the margin is the distance from their thresholds.
#[test]
fn classes_that_share_pixels_are_sure_far_from_their_thresholds() {
    let place = place();
    for (name, seed) in [("m_fold0", 7), ("n_fold1", 8)] {
        let weights = Weights::Seeded(seed);
        place.model(&format!("{name}.onnx"), &Toy { classes: 2, kernel: 3, weights, ..Toy::default() });
    }
    let text = |store: &str, members: &str, more: &str| {
        format!(
            "version: 1\nimages: images\nclasses: [a, b]\ndefaults: {{window: {{size: 48}}, output: {{multilabel: true}}}}\n\
             members: {members}\nstore: {store}\ndecide: {{thresholds: {{a: 0.5, b: 0.25}}}}\ntiles: {{dtype: f32}}\n{OUTPUTS}{more}\n"
        )
    };
    let (first, all) = ("[{onnx: m_fold0.onnx}]", "[{onnx: m_fold0.onnx}, {onnx: n_fold1.onnx}]");
    run(&place, text("few", first, ""));
    let few = scores(&place.outputs("few"));
    let far = |p: f32, t: f32| if p > t { (p - t) / (1.0 - t) } else { (t - p) / t };
    let margin = |at: usize| far(few[at], 0.5).min(far(few[AREA + at], 0.25));
    let mut margins: Vec<f32> = (0..AREA).map(margin).collect();
    margins.sort_by(f32::total_cmp);
    let sure = margins[AREA / 2];
    run(
        &place,
        text("many", all, "tiles: {dtype: f32, per: member}").replacen("tiles: {dtype: f32}\n", "", 1),
    );
    let cascade =
        format!("tiles: {{dtype: f32, per: member}}\ncascade: {{first: {{fold: 0}}, margin: {sure}}}");
    run(&place, text("rounds", all, &cascade).replacen("tiles: {dtype: f32}\n", "", 1));
    let (many, found) = (scores(&place.outputs("many")), scores(&place.outputs("rounds")));
    for at in (0..AREA).filter(|at| (margin(*at) - sure).abs() > 4.0 * NEAR) {
        let wanted = if margin(at) > sure { &few } else { &many };
        for place in [at, AREA + at] {
            assert_eq!(found[place].to_bits(), wanted[place].to_bits(), "pixel {at}");
        }
    }
}

/// What is stored is found again; what is damaged of it is done again, and nothing comes out otherwise.
#[test]
fn what_is_damaged_is_done_again() {
    let place = place();
    let keep = "tiles: {per: member, dtype: f32, keep: true}";
    run(&place, job("few", FIRST, keep));
    let sure = median(&scores(&place.outputs("few")), [1.0; 3]);
    let text = job("out", ALL, &format!("{keep}\ncascade: {{first: {{fold: 0}}, margin: {sure}}}"));
    let all = forwards(&run(&place, text.clone()));
    let wanted = place.outputs("out");
    let folder = place.job_folder("out");
    let unsure = place.files(&format!("{folder}/unsure"));
    assert_eq!(unsure.len(), 1);
    let again = |what: &str| {
        std::fs::remove_dir_all(place.path(&format!("{folder}/parts"))).expect("results");
        let ran = forwards(&run(&place, text.clone()));
        same_files(&place.outputs("out"), &wanted);
        same_files(&place.files(&format!("{folder}/unsure")), &unsure);
        (ran, what.to_owned())
    };
    assert_eq!(again("found"), (0, "found".into()));
    let (name, bytes) = unsure.iter().next().expect("one");
    let path = format!("{folder}/unsure/{name}");
    std::fs::remove_file(place.path(&path)).expect("a file");
    assert_eq!(again("gone").0, 0);
    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    place.write(&path, &damaged);
    // It is there, so nobody asks for it; whoever reads it finds it again.
    std::fs::remove_dir_all(place.path(&format!("{folder}/parts"))).expect("results");
    assert_eq!(forwards(&run(&place, text.clone())), 0);
    same_files(&place.outputs("out"), &wanted);
    // The tiles of the others are gone too: workers find it again, while they have blocks in hand.
    place.write(&path, damaged);
    let names = |store: &str| -> Vec<String> {
        let folders = std::fs::read_dir(place.path(&format!("{store}/tiles/job"))).expect("tiles");
        folders.map(|folder| folder.expect("a folder").file_name().to_string_lossy().into_owned()).collect()
    };
    let (first, all_names) = (names("few"), names("out"));
    assert!(
        first.iter().all(|name| all_names.contains(name)),
        "tiles of the first round are those of a job of its own"
    );
    for name in all_names.iter().filter(|name| !first.contains(name)) {
        std::fs::remove_dir_all(place.path(&format!("out/tiles/job/{name}"))).expect("tiles");
    }
    assert!((1..all).contains(&again("later").0));
    place.write(&path, bytes);
    // All tiles are damaged, and what is unsure is gone: the tiles that tell it are found damaged when it is looked for.
    for (name, mut bytes) in place.files("out/tiles") {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        place.write(&format!("out/tiles/{name}"), bytes);
    }
    std::fs::remove_file(place.path(&path)).expect("a file");
    assert!((1..=all).contains(&again("damaged").0));
}

/// Pixels that an image does not have are missing whatever is unsure, and no member looks at them.
#[test]
fn missing_pixels_are_missing_in_both_rounds() {
    let place = place();
    let fate = |tile: usize| match tile {
        2 => Fate::Lost,
        9 | 21 => Fate::Nodata,
        _ => Fate::Kept,
    };
    std::fs::remove_file(place.path("images/x.bmp")).expect("an image");
    place.write("images/x.tif", tiff_of(fate, true));
    let ends = |store: &str, members: &str, more: &str| {
        place.write("job.yaml", job(store, members, &format!("{TILES}\n{more}")));
        place.run("job.yaml").ends_with(1);
        place.outputs(store)
    };
    let (few, many) = (ends("few", FIRST, ""), ends("many", ALL, ""));
    let cascade = |margin: &str| format!("cascade: {{first: {{fold: 0}}, margin: {margin}}}");
    same_files(&ends("unsure", ALL, &cascade("1")), &many);
    same_files(&ends("sure", ALL, &cascade("0")), &few);
    assert!(Mask::from_png(&few["masks/x.png"]).labels.contains(&255));
}

/// Lanes and kills change no byte.
#[test]
fn kills_and_lanes_change_no_byte() {
    let place = place();
    for n in 0..4_usize {
        place.write(&format!("images/{n}.bmp"), bmp(200 + 40 * n, 320 - 30 * n, n as u64));
    }
    run(&place, job("few", FIRST, TILES));
    let sure = median(&scores(&place.outputs("few")), [1.0; 3]);
    let text =
        |store: &str| job(store, ALL, &format!("cascade: {{first: {{fold: 0}}, margin: {sure}, around: 3}}"));
    run(&place, text("one"));
    let wanted = place.outputs("one");
    place.write("killed.yaml", text("killed"));
    place.run_killed("killed.yaml", &[60, 120, 200, 300]);
    place.marquetry(&["run", "killed.yaml", "--lanes", "3"]).ends_with(0);
    same_files(&place.outputs("killed"), &wanted);
}

/// With labels, what the first round is sure of is held against them; jobs that cannot be are refused.
#[test]
fn what_it_may_have_cost_is_told() {
    let place = place();
    run(&place, job("few", FIRST, TILES));
    let few = place.outputs("few");
    let sure = median(&scores(&few), [1.0; 3]);
    let labels = Mask::from_png(&few["masks/x.png"]).labels;
    // Right but for a tenth of the rows, which say tree.
    let truth: Vec<u8> = (0..AREA).map(|at| if at / WIDTH < HEIGHT / 10 { 2 } else { labels[at] }).collect();
    place.write("labels/x.png", grey_png(WIDTH, &truth));
    let scores = scores(&few);
    let text =
        job("out", ALL, &format!("{TILES}\ntruth: labels\ncascade: {{first: {{fold: 0}}, margin: {sure}}}"));
    let told = run(&place, text.replace(OUTPUTS, "outputs: [{masks: png}, {report: html}]\n"));
    let pixels: Vec<usize> = (0..AREA).filter(|at| margin(&scores, *at, [1.0; 3]) >= sure).collect();
    let wrong = pixels.iter().filter(|at| labels[**at] != truth[**at]).count();
    let near = |found: &Value, wanted: usize| {
        let found = found.as_u64().expect("a number") as usize;
        assert!(found.abs_diff(wanted) <= AREA / 100, "{found}, not {wanted}: {told}");
    };
    near(&told["cascade"]["truth"]["sure"], pixels.len());
    near(&told["cascade"]["truth"]["wrong"], wrong);
    let report = std::fs::read_to_string(place.path(&format!("{}/out/report.html", place.job_folder("out"))));
    let report = report.expect("a report");
    assert!(report.contains("of forwards are spared") && report.contains("could the others have mended"));
}

#[test]
fn jobs_that_have_no_rounds_are_told_so() {
    let place = place();
    let refused = |cascade: &str, words: &str| {
        place.write("job.yaml", job("no", ALL, cascade));
        place.marquetry(&["plan", "job.yaml"]).ends_with(65).says(&[words]);
    };
    refused("cascade: {first: {fold: 7}}", "no member is of the first round: none has the tags fold=7");
    refused("cascade: {first: {fold: 0|1}}", "every member is of the first round");
    place.write("job.yaml", job("no", ALL, "truth: x\ncascade: {first: {fold: 0}}"));
    place.marquetry(&["run", "job.yaml", "--finish-in", "1h"]).ends_with(65);
    // A part of a job that is its first round is that alone.
    place.write("job.yaml", job("part", ALL, "cascade: {first: {fold: 0}}"));
    place
        .marquetry(&["run", "job.yaml", "--members", "fold=0"])
        .ends_with(0)
        .says(&["every member is of the first round"]);
    place
        .marquetry(&["run", "job.yaml", "--members", "fold=1"])
        .ends_with(65)
        .says(&["no member that is left"]);
}
