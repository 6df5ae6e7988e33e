//! Ensembles in which a member has some of the classes only, or no weight: what others say is not held against it, nor it
//! against them. Everything is computed again in another way, in f64, from the pixels and the models' weights.

use crate::decode::{csv, zarr};
use crate::fixture::Place;
use crate::pictures::{bmp, scene};
use crate::training_labels::mask;
use marquetry_model::Activation;
use marquetry_model::toy::{Toy, Weights};

const HEIGHT: usize = 90;
const WIDTH: usize = 120;
const AREA: usize = HEIGHT * WIDTH;

/// Weights of three channels, and a bias, of each class.
const FULL: [[f32; 4]; 3] = [[3.0, -6.0, 2.0, 0.6], [-5.0, 2.0, 4.0, -0.4], [2.0, 5.0, -7.0, 0.2]];
const OTHER: [[f32; 4]; 3] = [[2.0, -5.0, 3.0, 0.3], [-4.0, 3.0, 2.0, -0.2], [1.0, 4.0, -6.0, 0.5]];
/// Of the first two classes.
const TWO: [[f32; 4]; 2] = [[1.0, -3.0, 2.0, 0.5], [-2.0, 2.0, 1.0, 0.0]];

fn softmax_of(rows: &[[f32; 4]]) -> Toy {
    let weights = Weights::Linear(rows.iter().map(|row| row.to_vec()).collect());
    Toy { classes: rows.len() as u32, weights, activation: Activation::Softmax, ..Toy::default() }
}

/// What such a model says of each pixel.
fn says(rows: &[[f32; 4]]) -> Vec<Vec<f64>> {
    let pixels = scene(HEIGHT, WIDTH, 7);
    let of_pixel = |at: usize| {
        let x: Vec<f64> = (0..3).map(|k| f64::from(pixels[at * 3 + k]) / 255.0).collect();
        let logit =
            |row: &[f32; 4]| (0..3).map(|k| f64::from(row[k]) * x[k]).sum::<f64>() + f64::from(row[3]);
        normalised(rows.iter().map(|row| logit(row).exp()).collect())
    };
    (0..AREA).map(of_pixel).collect()
}

fn normalised(p: Vec<f64>) -> Vec<f64> {
    let sum: f64 = p.iter().sum();
    p.into_iter().map(|p| p / sum).collect()
}

fn entropy(p: &[f64]) -> f64 {
    p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum::<f64>() / 3.0_f64.ln()
}

fn greatest(p: &[f64]) -> usize {
    (0..p.len()).fold(0, |best, class| if p[class] > p[best] { class } else { best })
}

fn place(members: &str, outputs: &str) -> Place {
    let place = Place::new();
    place.write("images/a.bmp", bmp(HEIGHT, WIDTH, 7));
    for (name, rows) in [("full", &FULL[..]), ("other", &OTHER[..]), ("two", &TWO[..])] {
        place.model(&format!("{name}.onnx"), &softmax_of(rows));
    }
    // One that disagrees with all.
    let against = Weights::Constant(vec![0.0, 0.0, 1.0]);
    place.model("against.onnx", &Toy { classes: 3, weights: against, ..Toy::default() });
    place.write(
        "job.yaml",
        format!(
            "version: 1\nname: some\nimages: images\nclasses: [a, b, c]\ndefaults: {{window: {{size: 48}}}}\nmembers: [{members}]\n\
             tiles: {{per: member, dtype: f32}}\noutputs: [{outputs}]\nstore: out\nallow: [constant]\n"
        ),
    );
    place
}

const MEMBERS: &str = "{onnx: full.onnx}, {onnx: other.onnx}, {onnx: two.onnx, weight: 5, output: {classes: {a: 0, b: 1}}}, \
                       {onnx: against.onnx, weight: 0}";

#[test]
fn measures_ask_of_each_class_those_who_have_a_say_in_it() {
    const OUTPUTS: &str = "{masks: {png: grey}}, {pseudo_labels: {png: grey}, thresholds: 0.5, agreement: 0.6}, \
                           {uncertainty: [entropy, mutual_information, vote_share], format: zarr}";
    let place = place(MEMBERS, OUTPUTS);
    place.run("job.yaml").ends_with(0);
    let files = place.outputs("out");
    let (labels, kept) = (mask(&files, "masks", "a"), mask(&files, "pseudo_labels", "a"));
    let (_, maps) = zarr(&files, "uncertainty/a.zarr");
    let [full, other, two] = [says(&FULL), says(&OTHER), says(&TWO)];
    let (mut seen, mut decided_by_sum) = ([0_usize; 3], 0);
    for at in 0..AREA {
        let ([f, o, t], label) = ([&full[at], &other[at], &two[at]], usize::from(labels[at]));
        let mean: Vec<f64> = f.iter().zip(o).map(|(f, o)| f64::midpoint(*f, *o)).collect();
        let merged: Vec<f64> =
            (0..3).map(|c| if c < 2 { (f[c] + o[c] + 5.0 * t[c]) / 7.0 } else { mean[2] }).collect();
        seen[label] += 1;
        // A member of a and b has nothing to say of c.
        let agrees = |p: &[f64]| f64::from(u8::from(greatest(p) == label));
        let votes = agrees(f) + agrees(o);
        let votes = if label < 2 { (votes + 5.0 * agrees(t)) / 7.0 } else { votes / 2.0 };
        // It divides a and b, of which the others say how much they are together.
        let both = mean[0] + mean[1];
        let belief = [both * t[0], both * t[1], mean[2]];
        let all: Vec<f64> = (0..3).map(|c| (f[c] + o[c] + 5.0 * belief[c]) / 7.0).collect();
        let information = entropy(&all) - (entropy(f) + entropy(o) + 5.0 * entropy(&belief)) / 7.0;
        let shares = normalised(merged.clone());
        for (n, wanted) in [entropy(&shares), information, votes].into_iter().enumerate() {
            let found = f64::from(maps[n * AREA + at]);
            // Labels and votes of two equal classes may go either way.
            let is_near = (found - wanted).abs() < 2e-3 || (n == 2 && is_close_call([f, o, t]));
            assert!(is_near, "pixel {at}, measure {n}: {found} {wanted}");
        }
        let [p, raw] = [shares[label], merged[label]];
        if (p - 0.5).abs() < 1e-4 || is_close_call([f, o, t]) {
            continue;
        }
        let wanted = p >= 0.5 && votes >= 0.6;
        assert_eq!(kept[at] == labels[at], wanted, "pixel {at}: {p} of {merged:?}, votes {votes}");
        decided_by_sum += usize::from((raw >= 0.5) != (p >= 0.5) && votes >= 0.6);
    }
    assert!(seen.iter().all(|n| *n > 100), "every class is there: {seen:?}");
    assert!(decided_by_sum > 10, "sums that are not 1 matter: {decided_by_sum}");
    let table = csv(&files["pseudo_labels.csv"]);
    let reliability: f64 = table[1][5].parse().expect("a number");
    let own = [&full, &other, &two].map(|p| p.iter().map(|p| greatest(p)).collect::<Vec<_>>());
    let pairs = [mean_iou(&own[0], &own[1], 3), mean_iou(&own[0], &own[2], 2), mean_iou(&own[1], &own[2], 2)];
    let wanted = pairs.iter().sum::<f64>() / 3.0;
    assert!((reliability - wanted).abs() < 2e-3, "{reliability}, not {wanted} of {pairs:?}");
}

/// Whether some member has two classes that are as good as equal.
fn is_close_call(members: [&Vec<f64>; 3]) -> bool {
    members.iter().any(|p| {
        let mut sorted = (*p).clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sorted[0] - sorted[1] < 1e-5
    })
}

/// Of the first `classes` classes, at the pixels that `a` gives to one of them.
fn mean_iou(a: &[usize], b: &[usize], classes: usize) -> f64 {
    let pixels: Vec<_> = a.iter().zip(b).filter(|(a, _)| **a < classes).collect();
    let iou = |class: usize| {
        let count = |is: fn(bool, bool) -> bool| {
            pixels.iter().filter(|(a, b)| is(**a == class, **b == class)).count() as f64
        };
        count(|a, b| a && b) / count(|a, b| a || b)
    };
    (0..classes).map(iou).sum::<f64>() / classes as f64
}

#[test]
fn members_that_share_no_list_of_classes_have_no_mutual_information() {
    let members = "{onnx: two.onnx, output: {classes: {a: 0, b: 1}}}, {onnx: two.onnx, name: late, output: {classes: {b: 0, c: 1}}}";
    let place = place(members, "{masks: png}, {ranking: mutual_information}");
    place.run("job.yaml").ends_with(65).says(&[
        "outputs[1]: mutual_information",
        "of the 2 members that score image a none has a say in all of them",
        "take entropy or margin",
    ]);
}
