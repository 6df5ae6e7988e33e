//! Which pixels of an image are probes.
//!
//! Pixels lie in strata: for each class of the truth those at its border (the pixel to the left or above is of another class)
//! and the others. Of each stratum those are drawn whose hash lies below a limit that falls with the root of its pixels: small
//! strata whole, large ones thinly, so that rare classes and borders are drawn more often than they occur. The weight of a
//! probe, the pixels of its stratum for each one drawn, makes up for that (Horvitz and Thompson's estimator).

use half::f16;
use marquetry_evaluation::{LEFT_OUT, SplitMix64};
use std::collections::BTreeMap;

/// The probes of one image, from the top left.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Probes {
    /// Number of classes.
    pub classes: usize,
    /// Number of members.
    pub members: usize,
    /// Row and column of each probe, px, `[P]`.
    pub places: Vec<[u32; 2]>,
    /// What is right there: a class, `[P]`.
    pub truth: Vec<u16>,
    /// How many pixels of the image each stands for, `[P]`.
    pub weights: Vec<f32>,
    /// What each member says, `[P, M, C]`: natural logarithms of probabilities, at most 0. Half precision holds them where the
    /// probability itself would be 0.
    pub scores: Vec<f16>,
}

/// One pixel that may become a probe.
struct Drawn {
    place: [u32; 2],
    scores: Vec<f16>,
}

#[derive(Default)]
struct Stratum {
    /// Pixels of it that were seen.
    seen: u64,
    /// Those that are drawn, by their hashes; at least that of the smallest.
    drawn: BTreeMap<u64, Drawn>,
}

impl Stratum {
    /// The hash from which on pixels are not drawn. It only falls, so what was left out would not be drawn later.
    fn limit(&self, density: f64) -> u64 {
        let share = density / (self.seen as f64).sqrt();
        if share >= 1.0 { u64::MAX } else { (share * u64::MAX as f64) as u64 }
    }

    /// Lets go what is not drawn any more; how many that are.
    fn thin(&mut self, density: f64) -> usize {
        let (limit, before) = (self.limit(density), self.drawn.len());
        while self.drawn.len() > 1 && self.drawn.last_key_value().is_some_and(|(hash, _)| *hash > limit) {
            self.drawn.pop_last();
        }
        before - self.drawn.len()
    }
}

/// Draws the probes of an image while its rows come from top to bottom. Memory: the scores of `count` pixels.
pub struct ProbeSampler {
    classes: usize,
    members: usize,
    count: usize,
    seed: u64,
    /// By class and whether at a border.
    strata: BTreeMap<(u16, bool), Stratum>,
    /// How many pixels of a stratum are drawn for the root of its pixels.
    density: f64,
    drawn: usize,
    above: Vec<u16>,
}

/// By how much fewer are drawn when there are too many.
const THINNER: f64 = 0.97;

impl ProbeSampler {
    /// At most `count` probes of an image of `classes` classes, of which `members` members say something; one of each stratum if
    /// those are more. Equal `seed`s draw equal pixels, whatever members say.
    pub const fn new(classes: usize, members: usize, count: usize, seed: u64) -> Self {
        let strata = BTreeMap::new();
        Self { classes, members, count, seed, strata, density: 1e10, drawn: 0, above: Vec::new() }
    }

    /// Takes row `y`: the truth `[W]` (pixels that are no class are no probes), and what each member says, `[C, W]`.
    /// `missing` pixels have no scores and are no probes.
    ///
    /// # Panics
    /// When sizes do not fit.
    pub fn row(&mut self, y: u32, truth: &[u16], members: &[&[f32]], missing: &[bool]) {
        let width = truth.len();
        let fits =
            members.len() == self.members && members.iter().all(|said| said.len() == self.classes * width);
        assert!(fits, "every member has a score for each class and pixel");
        for x in 0..width {
            let class = truth[x];
            if usize::from(class) >= self.classes || missing[x] {
                continue;
            }
            let differs =
                |other: Option<&u16>| other.is_some_and(|other| *other != class && *other != LEFT_OUT);
            let border = differs(x.checked_sub(1).map(|left| &truth[left])) || differs(self.above.get(x));
            let stratum = self.strata.entry((class, border)).or_default();
            stratum.seen += 1;
            let hash = hash_of(self.seed, y, x as u32);
            let is_least = stratum.drawn.first_key_value().is_none_or(|(least, _)| hash < *least);
            if hash <= stratum.limit(self.density) || is_least {
                let said = members.iter().flat_map(|member| member.iter().skip(x).step_by(width));
                let scores = said.map(|p| logarithm(*p)).collect();
                stratum.drawn.insert(hash, Drawn { place: [y, x as u32], scores });
                self.drawn += 1;
                self.drawn -= stratum.thin(self.density);
                self.make_room();
            }
        }
        self.above.clear();
        self.above.extend_from_slice(truth);
    }

    /// Draws thinner until no more are drawn than may be.
    fn make_room(&mut self) {
        while self.drawn > self.count.max(self.strata.len()) {
            // Where nothing was left out yet, from where something is.
            let most = self.strata.values().map(|stratum| (stratum.seen as f64).sqrt()).fold(1.0, f64::max);
            self.density = self.density.min(most) * THINNER;
            self.drawn -= self.strata.values_mut().map(|stratum| stratum.thin(self.density)).sum::<usize>();
        }
    }

    /// The probes that were drawn.
    pub fn finish(mut self) -> Probes {
        self.drawn -= self.strata.values_mut().map(|stratum| stratum.thin(self.density)).sum::<usize>();
        let mut all: Vec<(Drawn, u16, f32)> = Vec::with_capacity(self.drawn);
        for ((class, _), stratum) in self.strata {
            let weight = stratum.seen as f64 / stratum.drawn.len().max(1) as f64;
            all.extend(stratum.drawn.into_values().map(|drawn| (drawn, class, weight as f32)));
        }
        all.sort_by_key(|(drawn, ..)| drawn.place);
        let mut probes = Probes { classes: self.classes, members: self.members, ..Probes::default() };
        for (drawn, class, weight) in all {
            probes.places.push(drawn.place);
            probes.truth.push(class);
            probes.weights.push(weight);
            probes.scores.extend(drawn.scores);
        }
        probes
    }
}

/// A probability as probes have it.
pub(crate) fn logarithm(p: f32) -> f16 {
    f16::from_f32(p.clamp(f32::MIN_POSITIVE, 1.0).ln())
}

/// A number that is as good as random, and the same for the same pixel of the same image.
const fn hash_of(seed: u64, y: u32, x: u32) -> u64 {
    let place = ((y as u64) << 32) | x as u64;
    SplitMix64::new(seed ^ place.wrapping_mul(0xd6e8_feb8_6659_fd93)).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An image of classes 0 to 2 by columns, member `m` saying `m` for each class.
    fn sample(width: usize, height: u32, count: usize, truth: impl Fn(u32, usize) -> u16) -> Probes {
        let mut sampler = ProbeSampler::new(3, 2, count, 7);
        let members = [0.25, 0.5].map(|score| vec![score; 3 * width]);
        for y in 0..height {
            let row: Vec<u16> = (0..width).map(|x| truth(y, x)).collect();
            sampler.row(y, &row, &[&members[0], &members[1]], &vec![false; width]);
        }
        sampler.finish()
    }

    proptest! {
        #[test]
        fn weights_add_up_to_all_pixels_of_each_class(width in 1..40_usize, height in 1..40_u32, count in 12..300_usize, seed: u64) {
            let truth = |y: u32, x: usize| [0, 0, 0, 0, 1, 2, LEFT_OUT][(hash_of(seed, y / 5, x as u32 / 5) % 7) as usize];
            let probes = sample(width, height, count, truth);
            prop_assert!(probes.truth.len() <= count, "{} of {count}", probes.truth.len());
            prop_assert!(probes.places.is_sorted());
            for class in 0..3 {
                let right = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
                let right = right.filter(|(y, x)| truth(*y, *x) == class).count() as f64;
                let own = probes.truth.iter().zip(&probes.weights).filter(|(c, _)| **c == class);
                let found: f64 = own.map(|(_, weight)| f64::from(*weight)).sum();
                prop_assert!((found - right).abs() <= 1e-3 * right, "{found} of {right}");
            }
            for ([y, x], class) in probes.places.iter().zip(&probes.truth) {
                prop_assert_eq!(truth(*y, *x as usize), *class);
            }
        }
    }

    #[test]
    fn what_is_rare_is_drawn_whole() {
        let probes = sample(100, 100, 500, |y, x| u16::from(y < 5 && x < 5));
        let rare: Vec<f32> =
            probes.truth.iter().zip(&probes.weights).filter(|(c, _)| **c == 1).map(|(_, w)| *w).collect();
        assert!(rare.len() >= 20 && (rare.iter().sum::<f32>() - 25.0).abs() < 1e-3, "{rare:?}");
        assert!((430..=500).contains(&probes.truth.len()), "{}", probes.truth.len());
        assert_eq!(probes.scores[..6], [0.25, 0.25, 0.25, 0.5, 0.5, 0.5].map(logarithm));
    }

    /// What is right at a place that has nothing to do with strata: over many seeds the estimate is the truth, with the spread
    /// that a draw of so many has.
    #[test]
    fn estimates_have_no_bias() {
        let label = |y: u32, x: u32| (x * 7 + y * 3) % 10 < 3 || (x > 50 && y > 50);
        let right = (0..90_u32).flat_map(|y| (0..90).map(move |x| label(y, x))).filter(|is| *is).count()
            as f64
            / 8100.0;
        let estimate = |seed: u64| {
            let mut sampler = ProbeSampler::new(3, 1, 400, seed);
            for y in 0..90_u32 {
                let row: Vec<u16> =
                    (0..90_u32).map(|x| u16::from(x * x + y * y < 3600) + u16::from(x + y > 160)).collect();
                sampler.row(y, &row, &[&[0.5; 270]], &[false; 90]);
            }
            let probes = sampler.finish();
            let drawn = probes.places.iter().zip(&probes.weights);
            drawn.filter(|([y, x], _)| label(*y, *x)).map(|(_, weight)| f64::from(*weight)).sum::<f64>()
                / 8100.0
        };
        let seeds = 300;
        let errors: Vec<f64> = (0..seeds).map(|seed| estimate(seed * 7919) - right).collect();
        let mean = errors.iter().sum::<f64>() / f64::from(seeds as u32);
        let spread = (errors.iter().map(|e| e * e).sum::<f64>() / f64::from(seeds as u32)).sqrt();
        assert!(mean.abs() < 4.0 * spread / f64::from(seeds as u32).sqrt(), "{mean} ± {spread}");
        assert!((0.01..0.04).contains(&spread), "{spread}");
    }

    #[test]
    fn whatever_there_is_is_drawn_where_there_is_room() {
        let probes = sample(9, 7, 1000, |_, x| (x / 3) as u16);
        assert_eq!((probes.truth.len(), probes.weights.iter().all(|w| *w == 1.0)), (63, true));
    }
}
