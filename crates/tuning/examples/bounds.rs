//! How long fitting takes: `cargo run --release -p marquetry-tuning --example bounds -- CANDIDATES CLASSES IMAGES PROBES`.

#![expect(clippy::print_stdout, reason = "this program talks to people on a terminal")]

use half::f16;
use marquetry_evaluation::SplitMix64;
use marquetry_tuning::{ImageProbes, Metric, Probes, Sample, Space, disagreement, rounds, tune};
use std::time::Instant;

/// An image at which each member says the truth a little more than anything else.
fn image(numbers: &mut SplitMix64, candidates: usize, classes: usize, probes: usize) -> Probes {
    let mut found = Probes { classes, members: candidates, ..Probes::default() };
    for at in 0..probes {
        let truth = numbers.below(classes).min(numbers.below(classes));
        found.places.push([at as u32, 0]);
        found.truth.push(truth as u16);
        found.weights.push(1.0 + numbers.below(64) as f32);
        for candidate in 0..candidates {
            let said = (0..classes).map(|class| {
                let right = if class == truth { 40 + candidate } else { 0 };
                (numbers.below(100) + right) as f32
            });
            let said: Vec<f32> = said.collect();
            let sum: f32 = said.iter().sum();
            found.scores.extend(said.iter().map(|score| f16::from_f32((score / sum).max(1e-9).ln())));
        }
    }
    found
}

fn main() {
    let asked: Vec<usize> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let [candidates, classes, images, probes] = asked[..] else {
        println!("say how many: CANDIDATES CLASSES IMAGES PROBES");
        return;
    };
    let mut numbers = SplitMix64::new(1);
    let images = (0..images).map(|group| ImageProbes {
        group,
        probes: image(&mut numbers, candidates, classes, probes),
        members: (0..candidates).map(|candidate| (candidate, 1.0)).collect(),
    });
    let sample = Sample::new(classes, candidates, images.collect(), 1e-6).expect("sizes that fit");
    let started = Instant::now();
    let tuned = tune(&sample, (Space::Probabilities, &vec![0.0; classes]), Metric::MeanIou);
    println!("{} probes: fitted in {:.1} s", sample.probes(), started.elapsed().as_secs_f64());
    for step in &tuned.steps {
        println!("  {}: {:?}", step.name, step.verdict);
    }
    let started = Instant::now();
    let costs = vec![1.0; candidates];
    let (rounds, _) = (rounds(&sample, &tuned, &costs, Metric::MeanIou), disagreement(&sample));
    println!("{} rounds and disagreement in {:.1} s", rounds.len(), started.elapsed().as_secs_f64());
}
