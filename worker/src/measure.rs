//! Measuring samples: mean and deviation, extremes, percentiles; over whole images by strips, in one fixed order.

use marquetry_job::{BandStatistics, By, Mask, Measure, Over};

/// Numbers that a sample's bits can begin with.
const BINS: usize = 1 << 16;

/// Measures the bands of one image in one way, from strips that come in order; once, or twice for percentiles.
#[derive(Debug)]
pub(crate) struct Measurement {
    measure: Measure,
    /// One for each band, or one for all of them; then one for luma, where there is one.
    channels: Vec<Channel>,
    bands: usize,
    luma: bool,
    /// Whether another pass would tell no more.
    is_over: bool,
}

impl Measurement {
    /// Of `bands` bands; with `luma` the samples of luma come after them.
    pub(crate) fn new(measure: Measure, bands: usize, luma: bool) -> Self {
        let apart = if measure.over == Over::Bands { bands } else { 1 };
        let channels = (0..apart + usize::from(luma)).map(|_| Channel::new(measure.by)).collect();
        Self { measure, channels, bands, luma, is_over: false }
    }

    /// Counts the samples of one band of a strip; luma is band `bands`.
    pub(crate) fn add(&mut self, band: usize, samples: &[f32]) {
        if self.is_over {
            return;
        }
        let at = match (band == self.bands, self.measure.over) {
            (true, _) => self.channels.len() - 1,
            (false, Over::Bands) => band,
            (false, Over::All) if self.measure.is_among(band) => 0,
            (false, Over::All) => return,
        };
        let mask = self.measure.mask;
        self.channels[at].add(samples.iter().copied().filter(move |v| counts(*v, mask)));
    }

    /// Ends a pass over the image; whether another one is wanted.
    pub(crate) fn next_pass(&mut self) -> bool {
        self.is_over = !self.channels.iter_mut().fold(false, |more, channel| channel.next_pass() | more);
        !self.is_over
    }

    /// Band by band, then luma.
    pub(crate) fn finish(&self) -> Vec<BandStatistics> {
        let bands = (0..self.bands).map(|band| if self.measure.over == Over::Bands { band } else { 0 });
        let luma = self.luma.then(|| self.channels.len() - 1);
        bands.chain(luma).map(|at| self.channels[at].statistics()).collect()
    }
}

/// Whether a sample is measured: not what a missing pixel or constant padding has.
pub(crate) fn counts(sample: f32, mask: Mask) -> bool {
    sample.is_finite() && (mask == Mask::Nodata || sample != 0.0)
}

/// Measures samples that are all at hand.
pub(crate) fn measured(samples: impl Iterator<Item = f32> + Clone, by: By) -> BandStatistics {
    let mut channel = Channel::new(by);
    if let By::Percentiles { low, high } = by {
        let mut sorted: Vec<f32> = samples.collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let at = |percent| percentile(percent, sorted.len() as u64, |rank| sorted[rank as usize]);
        return between(at(low), at(high));
    }
    channel.add(samples);
    channel.statistics()
}

/// One band's samples, or those of several bands together.
#[derive(Debug)]
struct Channel {
    by: By,
    moments: Moments,
    extremes: Option<(f32, f32)>,
    ranks: Option<Ranks>,
}

impl Channel {
    fn new(by: By) -> Self {
        let ranks = matches!(by, By::Percentiles { .. }).then(Ranks::default);
        Self { by, moments: Moments::default(), extremes: None, ranks }
    }

    fn add(&mut self, samples: impl Iterator<Item = f32> + Clone) {
        match (self.by, &mut self.ranks) {
            (By::MeanStd, _) => self.moments.add(samples),
            (By::Percentiles { .. }, Some(ranks)) => samples.for_each(|v| ranks.add(v)),
            _ => {
                for v in samples {
                    let (low, high) = self.extremes.unwrap_or((v, v));
                    self.extremes = Some((low.min(v), high.max(v)));
                }
            }
        }
    }

    fn next_pass(&mut self) -> bool {
        match (self.by, &mut self.ranks) {
            (By::Percentiles { low, high }, Some(ranks)) => ranks.next_pass([low, high]),
            _ => false,
        }
    }

    fn statistics(&self) -> BandStatistics {
        let (low, high) = self.extremes.map_or((0.0, 0.0), |(low, high)| (f64::from(low), f64::from(high)));
        match (self.by, &self.ranks) {
            (By::MeanStd, _) => self.moments.statistics(),
            (By::Max, _) => BandStatistics { offset: 0.0, spread: high },
            (By::Percentiles { low, high }, Some(ranks)) => {
                let at = |percent| percentile(percent, ranks.count, |rank| ranks.sample(rank));
                between(at(low), at(high))
            }
            (By::MinMax | By::Percentiles { .. }, _) => between(low, high),
        }
    }
}

fn between(low: f64, high: f64) -> BandStatistics {
    BandStatistics { offset: low, spread: high - low }
}

/// NumPy's `linear` percentile of `count` samples in order; 0 where there is none.
fn percentile(percent: f64, count: u64, sample: impl Fn(u64) -> f32) -> f64 {
    let Some(last) = count.checked_sub(1) else { return 0.0 };
    let at = percent / 100.0 * last as f64;
    let low = (at.floor() as u64).min(last);
    let (a, b) = (f64::from(sample(low)), f64::from(sample((low + 1).min(last))));
    a + (b - a) * (at - low as f64)
}

/// Count, mean and Σ (v − mean)²: each strip by two passes in f64, and strips put together by the parallel rule of Chan,
/// Golub and `LeVeque`, so that a great mean takes nothing from a small deviation.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, samples: impl Iterator<Item = f32> + Clone) {
        let (count, sum, first) = samples.clone().fold((0.0, 0.0, None), |(count, sum, first), v| {
            let first = first.unwrap_or(f64::from(v));
            (count + 1.0, sum + (f64::from(v) - first), Some(first))
        });
        let Some(first) = first else { return };
        let mean = first + sum / count;
        let squares: f64 = samples.map(|v| (f64::from(v) - mean).powi(2)).sum();
        if self.count == 0.0 {
            *self = Self { count, mean, squares };
            return;
        }
        let (all, apart) = (self.count + count, mean - self.mean);
        self.mean += apart * count / all;
        self.squares += squares + apart * apart * self.count * count / all;
        self.count = all;
    }

    fn statistics(self) -> BandStatistics {
        let spread = if self.count > 0.0 { (self.squares / self.count).sqrt() } else { 0.0 };
        BandStatistics { offset: self.mean, spread }
    }
}

/// Samples by rank, exact, in two passes: how many begin with each 16 bits, and, of the few beginnings in which the ranks
/// that are asked for lie, how many end with each 16 bits.
#[derive(Debug, Default)]
struct Ranks {
    count: u64,
    begin: Vec<u64>,
    /// The beginnings that are looked into, and their ends.
    ends: Vec<(usize, Vec<u64>)>,
    is_second: bool,
}

impl Ranks {
    fn add(&mut self, sample: f32) {
        let key = ordered(sample);
        let (begin, end) = ((key >> 16) as usize, (key & 0xFFFF) as usize);
        if self.is_second {
            if let Some((_, ends)) = self.ends.iter_mut().find(|(of, _)| *of == begin) {
                ends[end] += 1;
            }
            return;
        }
        if self.begin.is_empty() {
            self.begin = vec![0; BINS];
        }
        self.begin[begin] += 1;
        self.count += 1;
    }

    /// Notes which beginnings the samples around these percentiles have; whether they are to be looked into.
    fn next_pass(&mut self, percents: [f64; 2]) -> bool {
        if self.is_second || self.count == 0 {
            return false;
        }
        for percent in percents {
            let at = (percent / 100.0 * (self.count - 1) as f64).floor() as u64;
            for rank in [at, at + 1] {
                let (begin, _) = place(&self.begin, rank.min(self.count - 1));
                if self.ends.iter().all(|(of, _)| *of != begin) {
                    self.ends.push((begin, vec![0; BINS]));
                }
            }
        }
        self.is_second = true;
        true
    }

    /// The sample of a rank that was asked for.
    fn sample(&self, rank: u64) -> f32 {
        let (begin, left) = place(&self.begin, rank);
        let ends = self.ends.iter().find(|(of, _)| *of == begin);
        let end = ends.map_or(0, |(_, ends)| place(ends, left).0);
        unordered((begin as u32) << 16 | end as u32)
    }
}

/// The bin that the sample of this rank is in, and its rank within.
fn place(bins: &[u64], rank: u64) -> (usize, u64) {
    let mut left = rank;
    for (bin, count) in bins.iter().enumerate() {
        if left < *count {
            return (bin, left);
        }
        left -= count;
    }
    (bins.len() - 1, 0)
}

/// Bits that are in the order of the numbers.
fn ordered(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

fn unordered(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Measures two bands in strips of 7 samples.
    fn strips(measure: Measure, bands: &[Vec<f32>]) -> Vec<BandStatistics> {
        let mut measurement = Measurement::new(measure, bands.len(), false);
        loop {
            for at in (0..bands[0].len()).step_by(7) {
                for (band, samples) in bands.iter().enumerate() {
                    measurement.add(band, &samples[at..(at + 7).min(samples.len())]);
                }
            }
            if !measurement.next_pass() {
                return measurement.finish();
            }
        }
    }

    #[track_caller]
    fn close(found: BandStatistics, offset: f64, spread: f64) {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
        assert!(near(found.offset, offset) && near(found.spread, spread), "{found:?}, not {offset} {spread}");
    }

    /// numpy 2.4: mean, std, percentile([2, 97.5]) of v = (i·37 % 101) − 20 for i in 0..50, and of w = v² / 8, each alone
    /// and both together; of what is not 0.
    #[test]
    fn equals_numpy() {
        let v: Vec<f32> = (0..50).map(|i| (i * 37 % 101 - 20) as f32).collect();
        let w: Vec<f32> = v.iter().map(|v| v * v / 8.0).collect();
        let bands = [v, w];
        let percentiles = By::Percentiles { low: 2.0, high: 97.5 };
        let of = |over, mask, by| strips(Measure { over, mask, by, among: BTreeSet::new() }, &bands);
        let golden: [(Over, Mask, By, usize, f64, f64); 24] = [
            (Over::Bands, Mask::Nodata, By::MeanStd, 0, 30.02, 29.617_217_965_230_967),
            (Over::Bands, Mask::Nodata, By::MeanStd, 1, 222.2975, 242.040_252_192_171_55),
            (Over::Bands, Mask::Nodata, By::Max, 0, 0.0, 80.0),
            (Over::Bands, Mask::Nodata, By::Max, 1, 0.0, 800.0),
            (Over::Bands, Mask::Nodata, By::MinMax, 0, -20.0, 100.0),
            (Over::Bands, Mask::Nodata, By::MinMax, 1, 0.0, 800.0),
            (Over::Bands, Mask::Nodata, percentiles, 0, -18.04, 94.815),
            (Over::Bands, Mask::Nodata, percentiles, 1, 0.1225, 736.699_375),
            (Over::Bands, Mask::Nonzero, By::MeanStd, 0, 30.632_653_061_224_488, 29.602_601_842_040_997),
            (Over::Bands, Mask::Nonzero, By::MeanStd, 1, 226.834_183_673_469_4, 242.383_972_331_528_5),
            (Over::Bands, Mask::Nonzero, By::Max, 0, 0.0, 80.0),
            (Over::Bands, Mask::Nonzero, By::Max, 1, 0.0, 800.0),
            (Over::Bands, Mask::Nonzero, By::MinMax, 0, -20.0, 100.0),
            (Over::Bands, Mask::Nonzero, By::MinMax, 1, 0.125, 799.875),
            (Over::Bands, Mask::Nonzero, percentiles, 0, -18.08, 94.88),
            (Over::Bands, Mask::Nonzero, percentiles, 1, 0.485, 736.814_999_999_999_9),
            (Over::All, Mask::Nodata, By::MeanStd, 1, 126.15875, 197.415_781_770_828_8),
            (Over::All, Mask::Nodata, By::Max, 1, 0.0, 800.0),
            (Over::All, Mask::Nodata, By::MinMax, 1, -20.0, 820.0),
            (Over::All, Mask::Nodata, percentiles, 1, -17.02, 721.207_499_999_999_6),
            (Over::All, Mask::Nonzero, By::MeanStd, 1, 128.733_418_367_346_93, 198.587_291_116_933_53),
            (Over::All, Mask::Nonzero, By::Max, 1, 0.0, 800.0),
            (Over::All, Mask::Nonzero, By::MinMax, 1, -20.0, 820.0),
            (Over::All, Mask::Nonzero, percentiles, 1, -17.06, 723.122_500_000_000_1),
        ];
        for (over, mask, by, band, offset, spread) in golden {
            close(of(over, mask, by)[band], offset, spread);
            if over == Over::Bands {
                let counted = bands[band].iter().copied().filter(|v| counts(*v, mask));
                close(measured(counted, by), offset, spread);
            }
        }
    }

    /// By two passes in f64, as `numpy.std` takes.
    #[test]
    fn a_great_mean_takes_nothing_from_a_small_deviation() {
        for mean in [0.0, 255.0, 1e6, 1e7] {
            let sample = |i: i32| (mean + f64::from(i * 79 % 100) / 10.0) as f32;
            // One far sample first: nothing hangs on it.
            let samples: Vec<f32> = std::iter::once(0.0).chain((0..10_000).map(sample)).collect();
            let n = samples.len() as f64;
            let plain_mean = samples.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let plain_std =
                (samples.iter().map(|&v| (f64::from(v) - plain_mean).powi(2)).sum::<f64>() / n).sqrt();
            let mut moments = Moments::default();
            samples.chunks(777).for_each(|part| moments.add(part.iter().copied()));
            let found = moments.statistics();
            assert!((found.offset - plain_mean).abs() < 1e-9 * (1.0 + mean), "{mean}: {found:?}");
            assert!((found.spread - plain_std).abs() < 1e-9 * (1.0 + plain_std), "{mean}: {found:?}");
        }
        let mut constant = Moments::default();
        (0..5).for_each(|_| constant.add([0.1; 1000].into_iter()));
        assert!(constant.statistics().spread == 0.0, "{constant:?}");
    }

    #[test]
    fn bits_keep_the_order_of_numbers() {
        let numbers = [-1e30_f32, -2.5, -0.0, 0.0, 1e-40, 0.5, 255.0, 256.0, 65_535.0, 1e30];
        assert!(numbers.windows(2).all(|pair| ordered(pair[0]) < ordered(pair[1])));
        assert!(numbers.iter().all(|v| unordered(ordered(*v)).to_bits() == v.to_bits()));
    }

    #[test]
    fn nothing_to_measure_is_0() {
        let nan = vec![vec![f32::NAN; 3]];
        for by in [By::MeanStd, By::Max, By::MinMax, By::Percentiles { low: 1.0, high: 99.0 }] {
            let found =
                strips(Measure { over: Over::Bands, mask: Mask::Nodata, by, among: BTreeSet::new() }, &nan)
                    [0];
            assert_eq!((found.offset, found.spread), (0.0, 0.0), "{by:?}");
            assert_eq!(measured(std::iter::empty(), by), found);
        }
    }
}
