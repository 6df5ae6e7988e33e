//! Every target with its seeds, what broke it before, and changed seeds.

use super::*;
use std::path::Path;

/// Changed seeds that each target is shown: a second's worth.
const CHANGED: usize = 1500;

/// Inputs that once made a target fail: `fuzz/regressions/<target>/<file>`.
fn regressions(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target);
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| std::fs::read(file.path()).unwrap()).collect()
}

/// A few bytes changed, a stretch taken out or doubled, or the end cut off.
fn changed(seed: &[u8], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.usize(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.usize(..bytes.len());
        let end = bytes.len().min(at + random.usize(1..9));
        match random.u8(..5) {
            0 => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes[at] = *random.choice(&[0, 1, 0x7F, 0x80, 0xFF]).expect("not empty"),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

#[test]
fn every_target_survives_its_seeds_changed() {
    let mut random = fastrand::Rng::with_seed(7);
    for target in &TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        seeds.iter().chain(&regressions(target.name)).for_each(|input| (target.run)(input));
        for _ in 0..CHANGED {
            (target.run)(&changed(&seeds[random.usize(..seeds.len())], &mut random));
        }
    }
}

/// A seed that a reader refuses would only show how it refuses.
#[test]
fn seeds_are_accepted() {
    use crate::image::limits;
    use marquetry_geometry::Reading;
    use marquetry_raster::read::{Beside, Image, probe_from};
    for seed in [seeds::tiff(), seeds::png(), seeds::jpeg(), seeds::other_images()].concat() {
        let (name, reading, alone) = (Path::new("seed"), Reading::default(), Beside::default());
        probe_from(Box::new(seed.clone()), name, &limits(), &reading, &alone).unwrap();
        Image::open_from(Box::new(seed), name, &limits(), &reading, alone).unwrap();
    }
    let (images, none) = (labels::placed_images(), marquetry_labels::Affixes::default());
    for seed in seeds::geojson() {
        let of = marquetry_labels::PlacedImages {
            images: &images,
            affixes: &none,
            image_affixes: &none,
            untouched_is_background: false,
        };
        let rules = marquetry_labels::LabelRules::default();
        let labels = marquetry_labels::map_labels(&seed, Path::new("seed"), &rules, of).unwrap();
        assert!(!labels.image_of.is_empty());
    }
    for job in seeds::job_files().iter().take(7) {
        marquetry_spec::JobSpec::parse(std::str::from_utf8(job).unwrap()).unwrap();
    }
}
