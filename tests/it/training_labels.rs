//! Labels to train on: what is written is what follows from masks and probabilities, computed again in another way.

use crate::decode::{Mask, csv, tiff_planes, zarr};
use crate::fixture::{Place, same_files};
use crate::pictures::{Dice, bmp, bmp_of, grey_png, seed};
use marquetry_model::toy::{Toy, Weights};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Instant;

const EXAMPLE: &str = include_str!("../../examples/training_labels.yaml");
pub(crate) const HEIGHT: usize = 60;
pub(crate) const WIDTH: usize = 83;
pub(crate) const IMAGES: u64 = 4;

/// The example's folder, with small images and models in it.
pub(crate) fn place() -> Place {
    let place = Place::new();
    for seed in 0..IMAGES {
        place.write(&format!("data/unlabelled/site {}/{seed}.bmp", seed % 2), bmp(HEIGHT, WIDTH, seed));
    }
    for fold in 0..5 {
        let weights = Weights::Seeded(7 + fold % 3);
        place.model(
            &format!("models/fold{fold}.onnx"),
            &Toy { classes: 3, kernel: 3, weights, ..Toy::default() },
        );
    }
    place
}

/// The example, with these lines after its `outputs:`, of images as they are here.
pub(crate) fn job(store: &str, outputs: &str) -> String {
    let text = EXAMPLE.replace("/**/*.png", "/**/*.bmp").replace("size: 256", "size: 64");
    let text = text.replace("store: ./out", &format!("store: {store}"));
    text.replace("outputs:\n", &format!("outputs:\n{outputs}"))
}

pub(crate) fn ids() -> impl Iterator<Item = String> {
    (0..IMAGES).map(|seed| format!("site {}/{seed}", seed % 2))
}

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

#[test]
fn the_example_runs_and_its_bytes_sum_to_255() {
    let place = place();
    let more = "  - {probabilities: zarr}\n  - {soft_labels: tiff, dtype: u8}\n";
    place.write("job.yaml", job("whole", more));
    place.run("job.yaml").ends_with(0);
    let files = place.outputs("whole");
    for id in ids() {
        let (shape, exact) = zarr(&files, &format!("probabilities/{id}.zarr"));
        let (of, bytes) = zarr(&files, &format!("soft_labels/{id}.zarr"));
        assert_eq!((&shape, &of), (&vec![3, HEIGHT, WIDTH], &shape));
        let planes = tiff_planes(&files[&format!("soft_labels/{id}.tiff")], 3);
        for x in 0..HEIGHT * WIDTH {
            let pixel: Vec<f32> = (0..3).map(|c| bytes[c * HEIGHT * WIDTH + x]).collect();
            assert_eq!(pixel.iter().sum::<f32>(), 255.0, "{id} {x}");
            for (c, byte) in pixel.iter().enumerate() {
                assert!((byte - 255.0 * exact[c * HEIGHT * WIDTH + x]).abs() < 1.2, "{id} {x} {pixel:?}");
                assert_eq!(f32::from(planes[c].labels[x]), *byte);
            }
        }
    }
    place.write("again.yaml", job("again", more));
    place.run("again.yaml").ends_with(0);
    same_files(&files, &place.outputs("again"));
    let again = place.run("again.yaml").ends_with(0).json();
    assert_eq!(again["tally"]["images_found"], IMAGES, "what is finished is found");
}

#[test]
fn the_greatest_shares_are_those_of_all() {
    let place = place();
    let write = |name: &str, outputs: &str| {
        place.write(&format!("{name}.yaml"), job(name, outputs));
        place.run(&format!("{name}.yaml")).ends_with(0);
        place.outputs(name)
    };
    let top = write("top", "  - {probabilities: zarr}\n").into_iter();
    let mut files: Files = top.filter(|(name, _)| name.starts_with("probabilities")).collect();
    let text = job("two", "").replace("dtype: u8", "dtype: u8, top: 2");
    place.write("two.yaml", text);
    place.run("two.yaml").ends_with(0);
    files.extend(place.outputs("two"));
    for id in ids() {
        let (_, exact) = zarr(&files, &format!("probabilities/{id}.zarr"));
        let (shape, two) = zarr(&files, &format!("soft_labels/{id}.zarr"));
        assert_eq!(shape, [4, HEIGHT, WIDTH]);
        let area = HEIGHT * WIDTH;
        for x in 0..area {
            let [first, second] = [two[x] as usize, two[area + x] as usize];
            let all: Vec<f32> = (0..3).map(|c| exact[c * area + x]).collect();
            let third = 3 - first - second;
            assert!(all[first] >= all[second] - 1e-3 && all[second] >= all[third] - 1e-3, "{all:?}");
            assert_eq!(two[2 * area + x] + two[3 * area + x], 255.0);
            let share = 255.0 * all[first] / (all[first] + all[second]);
            assert!((two[2 * area + x] - share).abs() < 1.2, "{share}");
        }
    }
}

/// The 3 × 3 kernel written out: `exp(−d² / 2)`, whose centre has as much as the rest together.
#[test]
fn svls_is_the_kernel_over_the_masks() {
    let place = place();
    let text = job("svls", "").replace("dtype: u8", "dtype: f16, smoothing: svls");
    place.write("svls.yaml", text);
    place.run("svls.yaml").ends_with(0);
    let files = place.outputs("svls");
    let mut edges = 0;
    for id in ids() {
        let mask = Mask::from_grey_png(&files[&format!("masks/{id}.png")]);
        let (_, shares) = zarr(&files, &format!("soft_labels/{id}.zarr"));
        let at = |y: i64, x: i64| {
            let (y, x) = (y.clamp(0, HEIGHT as i64 - 1) as usize, x.clamp(0, WIDTH as i64 - 1) as usize);
            usize::from(mask.labels[y * WIDTH + x])
        };
        for y in 0..HEIGHT as i64 {
            for x in 0..WIDTH as i64 {
                let (mut wanted, mut sum) = ([0.0_f64; 3], 0.0);
                for (dy, dx) in
                    (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dy, dx))).filter(|d| *d != (0, 0))
                {
                    let weight = (-((dy * dy + dx * dx) as f64) / 2.0).exp();
                    wanted[at(y + dy, x + dx)] += weight;
                    sum += weight;
                }
                wanted[at(y, x)] += sum;
                for (class, wanted) in wanted.iter().enumerate() {
                    let found = shares[(class * HEIGHT + y as usize) * WIDTH + x as usize];
                    assert!((f64::from(found) - wanted / (2.0 * sum)).abs() < 5e-4, "{id} {y} {x}: {found}");
                    edges += usize::from(*wanted > 0.0 && *wanted < 2.0 * sum - 1e-9);
                }
            }
        }
    }
    assert!(edges > 1000, "there are boundaries: {edges}");
}

pub(crate) fn mask(files: &Files, kind: &str, id: &str) -> Vec<u8> {
    Mask::from_grey_png(&files[&format!("{kind}/{id}.png")]).labels
}

/// Of all pixels of the job: label, pseudo-label, and the probability of the label.
fn all_pixels(files: &Files) -> Vec<(u8, u8, f32)> {
    let of_image = |id: String| {
        let (_, scores) = zarr(files, &format!("probabilities/{id}.zarr"));
        let (labels, kept) = (mask(files, "masks", &id), mask(files, "pseudo_labels", &id));
        let p = move |(x, label): (usize, u8)| scores[usize::from(label) * HEIGHT * WIDTH + x];
        labels.into_iter().enumerate().zip(kept).map(move |((x, label), kept)| (label, kept, p((x, label))))
    };
    ids().flat_map(of_image).collect()
}

/// The example with one output of pseudo-labels of these keys, beside masks and probabilities.
fn pseudo_job(store: &str, keys: &str) -> String {
    let text = job(store, "  - {probabilities: zarr}\n");
    text.replace("share: 0.5, agreement: 0.8", keys)
}

/// The surest share of each class over all images: no image is known to be decided before all are counted.
#[test]
fn a_share_of_each_class_is_kept_over_all_images() {
    let place = place();
    place.write("job.yaml", pseudo_job("share", "share: 0.3, least: 0, most: 1"));
    let ran = place.run("job.yaml").ends_with(0).says(&[
        "a first pass counts",
        "pseudo_labels.csv: ",
        "of all pixels are kept",
    ]);
    let summary = ran.json();
    let tally = summary["tally"].clone();
    let told = &summary["pseudo_labels"][0];
    assert_eq!(
        (&told["file"], &told["classes"][2]["name"]),
        (&"pseudo_labels.csv".into(), &"building".into())
    );
    assert!(tally["tasks_computed"].as_u64() > Some(0) && tally["tasks_found"] == 0, "{tally}");
    let files = place.outputs("share");
    let pixels = all_pixels(&files);
    for class in 0..3 {
        let mut of_class: Vec<(f32, bool)> =
            pixels.iter().filter(|(label, ..)| *label == class).map(|(l, kept, p)| (*p, kept == l)).collect();
        assert!(of_class.len() > 100, "class {class} is there");
        of_class.sort_by(|a, b| b.0.total_cmp(&a.0));
        let wanted = of_class.len() * 3 / 10;
        let threshold = of_class[wanted - 1].0;
        let kept = of_class.iter().filter(|(_, kept)| *kept).count();
        assert!(kept >= wanted, "class {class}: {kept} of {}, wanted {wanted}", of_class.len());
        // Half precision of probabilities here, and bins of 1/4096 there.
        for (p, kept) in &of_class {
            assert!(
                (p - threshold).abs() < 1e-3 || *kept == (*p > threshold),
                "class {class}: {p} {threshold}"
            );
        }
    }
    assert!(pixels.iter().all(|(label, kept, _)| kept == label || *kept == 255), "the rest is ignored");
    for class in 0..3_u8 {
        let count = |is: fn(u8, u8) -> bool| {
            let of_class = pixels.iter().filter(|(label, ..)| *label == class);
            Value::from(of_class.filter(|(label, kept, _)| is(*label, *kept)).count())
        };
        let told = &told["classes"][usize::from(class)];
        assert_eq!(
            (&told["labelled"], &told["kept"]),
            (&count(|_, _| true), &count(|label, kept| label == kept))
        );
    }
    let again = place.run("job.yaml").ends_with(0).json();
    assert_eq!((&again["tally"]["images_found"], &again["tally"]["forwards"]), (&IMAGES.into(), &0.into()));
    same_files(&files, &place.outputs("share"));
}

#[test]
fn a_job_of_two_passes_goes_on_where_it_was() {
    let place = place();
    place.write("job.yaml", pseudo_job("a", "rule: median, min_pixels: 50"));
    place.run("job.yaml").ends_with(0);
    let (folder, files) = (place.job_folder("a"), place.outputs("a"));
    // As if it had ended with the first pass done, and one image of the second: its tiles are gone.
    std::fs::remove_file(place.path(&format!("{folder}/out/pseudo_labels/site 0/0.png"))).expect("a mask");
    std::fs::remove_file(place.path(&format!("{folder}/out/pseudo_labels.csv"))).expect("a table");
    let again = place.run("job.yaml").ends_with(0).json();
    assert_eq!(again["tally"]["images_found"], IMAGES - 1, "{again}");
    same_files(&files, &place.outputs("a"));
}

#[test]
fn the_table_is_that_of_the_masks_and_members() {
    let place = place();
    place.write("job.yaml", pseudo_job("all", "thresholds: 0, agreement: 0.8"));
    place.run("job.yaml").ends_with(0);
    let files = place.outputs("all");
    let alone = members_alone(&place);
    let table = csv(&files["pseudo_labels.csv"]);
    let header = ["image_id", "path", "label", "weight", "kept_share", "reliability", "source"];
    assert_eq!((table.len(), &table[0][..]), (1 + IMAGES as usize, &header.map(str::to_owned)[..]));
    let mut agreed = 0;
    for id in ids() {
        let votes: Vec<Vec<u8>> = alone.iter().map(|files| mask(files, "masks", &id)).collect();
        let labels = mask(&files, "masks", &id);
        let vote = |x: usize| votes.iter().filter(|votes| votes[x] == labels[x]).count();
        let wanted: Vec<u8> = (0..labels.len()).map(|x| if vote(x) >= 4 { labels[x] } else { 255 }).collect();
        let found = mask(&files, "pseudo_labels", &id);
        assert!(found == wanted, "{id}");
        let kept = wanted.iter().filter(|label| **label != 255).count() as f64;
        agreed += kept as usize;
        let row = table.iter().find(|row| row[0] == id).expect("a row");
        assert!(std::path::Path::new(&row[1]).is_file() && row[1].ends_with(&format!("{id}.bmp")), "{row:?}");
        assert_eq!((row[2].as_str(), row[6].as_str()), (&*format!("pseudo_labels/{id}.png"), "pseudo"));
        let number = |at: usize| row[at].parse::<f64>().expect("a number");
        let near = |at: usize, wanted: f64| assert!((number(at) - wanted).abs() < 1e-6, "{row:?}: {wanted}");
        let (share, reliability) = (kept / labels.len() as f64, mean_pairwise_iou(&votes));
        near(4, share);
        near(5, reliability);
        near(3, share * reliability);
    }
    assert!(agreed > 0 && agreed < ids().count() * HEIGHT * WIDTH, "some agree and some do not");
}

fn mean_pairwise_iou(members: &[Vec<u8>]) -> f64 {
    let iou = |a: &[u8], b: &[u8], class: u8| {
        let both = a.iter().zip(b).filter(|(a, b)| **a == class && **b == class).count() as f64;
        let any = a.iter().zip(b).filter(|(a, b)| **a == class || **b == class).count() as f64;
        (any > 0.0).then(|| both / any)
    };
    let mut pairs = Vec::new();
    for (n, a) in members.iter().enumerate() {
        for b in &members[n + 1..] {
            let classes: Vec<f64> = (0..3).filter_map(|class| iou(a, b, class)).collect();
            pairs.push(classes.iter().sum::<f64>() / classes.len() as f64);
        }
    }
    pairs.iter().sum::<f64>() / pairs.len() as f64
}

const SIDE: usize = 160;
const COLOURS: [[f64; 3]; 3] = [[80.0, 90.0, 100.0], [150.0, 110.0, 90.0], [110.0, 140.0, 90.0]];
const NOISE: f64 = 40.0;
const PRIORS: [f64; 3] = [0.8, 0.17, 0.03];

/// Ground with a road and a few small buildings, in colours that noise mixes up; and what is what.
fn noisy_site(seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut dice = Dice::new(seed + 100);
    let mut corner = || dice.between(10.0, SIDE as f64 - 30.0) as usize;
    let (road, houses) = (corner(), [(); 3].map(|()| [corner(), corner()]));
    let class = |at: usize| {
        let (y, x) = (at / SIDE, at % SIDE);
        let on_house =
            |[top, left]: &[usize; 2]| (*top..top + 16).contains(&y) && (*left..left + 16).contains(&x);
        if houses.iter().any(on_house) { 2 } else { u8::from((road..road + 27).contains(&x)) }
    };
    let truth: Vec<u8> = (0..SIDE * SIDE).map(class).collect();
    let mut pixels = Vec::new();
    for class in &truth {
        for mean in COLOURS[usize::from(*class)] {
            // Twelve uniform numbers are near enough to a normal one.
            let normal: f64 = (0..12).map(|_| dice.between(-0.5, 0.5)).sum();
            pixels.push((mean + NOISE * normal).clamp(0.0, 255.0) as u8);
        }
    }
    (pixels, truth)
}

/// The discriminants of those colours, as one of several members has learnt them.
fn learnt(member: u64) -> Toy {
    let mut dice = Dice::new(member + 9);
    let row = |class: usize| {
        let mean: Vec<f64> =
            COLOURS[class].iter().map(|mean| (mean + dice.between(-9.0, 9.0)) / 255.0).collect();
        let variance = (NOISE / 255.0).powi(2);
        let bias = PRIORS[class].ln() - mean.iter().map(|m| m * m).sum::<f64>() / (2.0 * variance);
        mean.iter().map(|m| m / variance).chain([bias]).map(|w| w as f32).collect()
    };
    Toy { classes: 3, weights: Weights::Linear((0..3).map(row).collect()), ..Toy::default() }
}

/// What labels are worth against how many are kept, beside one threshold of 0.9 for all classes. A frequent class is easily
/// sure; a rare one hardly ever, and is not seen any more by who trains on what is left.
#[test]
fn shares_by_class_keep_the_rare_class_that_one_threshold_loses() {
    let place = Place::new();
    let mut truths = Vec::new();
    for seed in 0..4 {
        let (pixels, truth) = noisy_site(seed);
        place.write(&format!("sites/{seed}.bmp"), bmp_of(SIDE, SIDE, &pixels));
        truths.push(truth);
    }
    for member in 0..5 {
        place.model(&format!("m{member}.onnx"), &learnt(member));
    }
    // Kept share and accuracy of what is kept: of all pixels, and of the rare class as it is labelled.
    let kept_of = |keys: &str| {
        let store = format!("store {}", place.files("").len());
        place.write(
            "job.yaml",
            format!(
                "version: 1\nimages: sites\nclasses: [ground, road, building]\nstore: '{store}'\n\
                 defaults: {{window: {{size: 64}}}}\nmembers: [{{onnx: 'm{{0..4}}.onnx'}}]\ntiles: {{per: member}}\n\
                 outputs: [{{pseudo_labels: {{png: grey}}, {keys}}}, {{masks: {{png: grey}}}}]\n"
            ),
        );
        let said = place.run("job.yaml").ends_with(0).stderr;
        let files = place.outputs(&store);
        let (mut count, mut rare) = ([0.0_f64; 3], [0.0_f64; 3]);
        for (seed, truth) in truths.iter().enumerate() {
            let (labels, kept) =
                (mask(&files, "masks", &seed.to_string()), mask(&files, "pseudo_labels", &seed.to_string()));
            for ((truth, label), kept) in truth.iter().zip(labels).zip(kept) {
                let add = [1.0, f64::from(u8::from(kept != 255)), f64::from(u8::from(kept == *truth))];
                count.iter_mut().zip(add).for_each(|(sum, n)| *sum += n);
                if label == 2 || kept == 2 {
                    let add =
                        [1.0, f64::from(u8::from(kept == 2)), f64::from(u8::from(kept == 2 && *truth == 2))];
                    rare.iter_mut().zip(add).for_each(|(sum, n)| *sum += n);
                }
            }
        }
        let line = [count[1] / count[0], count[2] / count[1], rare[1] / rare[0], rare[2] / rare[1].max(1.0)];
        eprintln!(
            "{keys:<60} kept {:.3}, right {:.4}; of the rare class kept {:.3}, right {:.4}",
            line[0], line[1], line[2], line[3]
        );
        (line, said)
    };
    let (all, _) = kept_of("thresholds: 0");
    let (plain, said) = kept_of("thresholds: 0.9");
    let (share, _) = kept_of("share: 0.3, least: 0, most: 1");
    let (median, _) = kept_of("rule: median");
    let (ratio, _) = kept_of("share: 0.8, least: 0, most: 1, choose: ratio");
    let (agreed, _) = kept_of("thresholds: 0, agreement: 1");
    assert!((all[0] - 1.0).abs() < 1e-9, "every pixel has a label");
    // The fewer are kept, the righter they are; and the rare class keeps its share at each.
    let mut before = all[1];
    for tenths in [8, 6, 4, 2] {
        let ([kept, right, rare, _], _) = kept_of(&format!("share: 0.{tenths}, least: 0, most: 1"));
        let share = f64::from(tenths) / 10.0;
        assert!((kept - share).abs() < 0.01 && (rare - share).abs() < 0.05, "{kept} {rare}, not {share}");
        assert!(right > before, "{tenths} tenths: {right} after {before}");
        before = right;
    }
    assert!(
        plain[1] > all[1] && plain[2] < 0.1,
        "what is left is right, and the rare class is gone: {plain:?}"
    );
    assert!(said.contains("of all pixels are kept (ground"), "{said}");
    for balanced in [share, median] {
        assert!(balanced[1] > all[1] && balanced[2] > 0.25 && balanced[3] > all[3], "{balanced:?} {all:?}");
    }
    assert!(ratio[2] > 0.25, "{ratio:?}");
    assert!(agreed[1] > all[1] && agreed[0] > 0.5, "what members agree on is righter: {agreed:?} {all:?}");
}

#[test]
fn a_class_that_vanishes_is_warned_of() {
    let place = place();
    place.write("job.yaml", pseudo_job("out", "thresholds: {building: 1}"));
    place.run("job.yaml").ends_with(0).says(&["warning: pseudo_labels.csv: class `building` vanishes"]);
    let report = std::fs::read_to_string(place.path(&format!("{}/out/report.html", place.job_folder("out"))));
    let report = report.expect("a report");
    assert!(report.contains("class `building` vanishes") && report.contains("id=\"pseudo-labels\""));
}

/// Each member run alone, with its probabilities and masks.
pub(crate) fn members_alone(place: &Place) -> Vec<Files> {
    let run = |fold: u64| {
        let store = format!("fold{fold}");
        let text = job(&store, "  - {probabilities: zarr}\n");
        place.write("one.yaml", text.replace("fold{0..4}", &store));
        place.run("one.yaml").ends_with(0);
        place.outputs(&store)
    };
    (0..5).map(run).collect()
}

/// Killed in either pass, or between them: what is counted and what is made of it are found, and nothing is computed twice.
#[test]
fn a_job_of_two_passes_that_is_killed_makes_the_same_bytes() {
    let seed = seed();
    eprintln!("the kills of this run: MARQUETRY_SEED={seed}");
    let (mut dice, place) = (Dice::new(seed), place());
    for store in ["calm", "storm"] {
        place.write(&format!("{store}.yaml"), pseudo_job(store, "share: 0.6, agreement: 0.4"));
    }
    let start = Instant::now();
    let number = |ran: &Value, key: &str| ran["tally"][key].as_u64().expect("a number");
    let calm = place.run("calm.yaml").ends_with(0).json();
    // Two of the members are the same model and share tiles: one that was just stored for the other is found, in a calm run too.
    let (alone, forwards) = (start.elapsed(), number(&calm, "forwards") + number(&calm, "forwards_found"));
    let mut kills = 0;
    for _ in 0..6 {
        let mut run = place.start(&["run", "storm.yaml"]);
        std::thread::sleep(alone.mul_f64(dice.between(0.3, 1.0)));
        if run.try_wait().expect("a child").is_some() {
            break;
        }
        run.kill().expect("SIGKILL");
        run.wait().expect("a child that ended");
        kills += 1;
    }
    let storm = place.run("storm.yaml").ends_with(0).json();
    let found = number(&storm, "forwards_found");
    assert_eq!(number(&storm, "forwards") + found, forwards, "after {kills} kills: {storm}");
    same_files(&place.outputs("calm"), &place.outputs("storm"));
}

/// An evaluation is made by the second pass alone, and is what it is without pseudo-labels.
#[test]
fn a_job_of_two_passes_is_judged_as_one_of_one() {
    let place = place();
    for (id, seed) in ids().zip(0..) {
        let label = |at: usize| ((at / WIDTH / 13 + at % WIDTH / 17 + seed) % 3) as u8;
        let labels: Vec<u8> = (0..HEIGHT * WIDTH).map(label).collect();
        place.write(&format!("truth/{id}.png"), grey_png(WIDTH, &labels));
    }
    let judged = |store: &str, outputs: &str| {
        let text = job(store, "  - {evaluation: html}\n").replace("share: 0.5, agreement: 0.8", outputs);
        place.write("job.yaml", format!("{text}truth: truth\n"));
        place.run("job.yaml").ends_with(0);
        let files = place.outputs(store).into_iter().filter(|(name, _)| name.starts_with("evaluation/"));
        files.collect::<Files>()
    };
    let (one, two) = (judged("one", "thresholds: 0.9"), judged("two", "share: 0.4"));
    assert!(one.len() > 2);
    // The page says when it was made of what; its numbers are compared.
    let numbers = |files: &Files| {
        let names = ["evaluation/evaluation.json", "evaluation/images.csv"].map(str::to_owned);
        names.map(|name| files[&name].clone())
    };
    assert!(numbers(&one) == numbers(&two));
}
