//! How sure an ensemble is of the pixels of each class, as counts that add, and the thresholds that follow from them.
//!
//! Thresholds for a share of a class's pixels need all pixels of all images. Counts in bins stand for them: those of images add
//! up to those of the job, on any number of machines and in any order.

/// Bins of a class: bin b has the confidences from b / 4096 on, so that a threshold is right to 2.5e-4.
const BINS: usize = 4096;

/// Pixels by label and confidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfidenceCounts {
    /// For each class its bins; none as long as it has no pixel.
    classes: Vec<Vec<u64>>,
}

/// Counts that cannot be read or added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("counts of confidence are of another form, or of other classes")]
pub struct CountsError;

impl ConfidenceCounts {
    /// No pixel of any of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self { classes: vec![Vec::new(); classes] }
    }

    /// Counts a pixel whose label is `class`, of which it has probability `p`. Other labels do not count.
    pub fn add(&mut self, class: usize, p: f32) {
        let Some(bins) = self.classes.get_mut(class) else { return };
        if bins.is_empty() {
            bins.resize(BINS, 0);
        }
        // A product with a power of two is exact, and a cast takes what is no number for 0.
        bins[((p * BINS as f32) as usize).min(BINS - 1)] += 1;
    }

    /// Adds the pixels of others.
    ///
    /// # Errors
    /// When these have other classes.
    pub fn merge(&mut self, others: &Self) -> Result<(), CountsError> {
        if self.classes.len() != others.classes.len() {
            return Err(CountsError);
        }
        for (sum, more) in self.classes.iter_mut().zip(&others.classes).filter(|(_, more)| !more.is_empty()) {
            sum.resize(BINS, 0);
            sum.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
        }
        Ok(())
    }

    /// Number of classes.
    pub const fn classes(&self) -> usize {
        self.classes.len()
    }

    /// Pixels whose label is `class`.
    pub fn pixels(&self, class: usize) -> u64 {
        self.classes[class].iter().sum()
    }

    /// Pixels of `class` whose probability is at least `threshold`, which is the edge of a bin.
    pub fn kept(&self, class: usize, threshold: f32) -> u64 {
        let first = (threshold * BINS as f32).ceil() as usize;
        self.classes[class].iter().skip(first).sum()
    }

    /// The greatest edge from which on there are at least `pixels` pixels of `class`; `None` where there are fewer.
    fn edge_of(&self, class: usize, pixels: u64) -> Option<f32> {
        let mut sum = 0;
        let counted = self.classes[class].iter().enumerate().rev();
        let mut reached = counted.skip_while(|(_, n)| {
            sum += **n;
            sum < pixels
        });
        reached.next().map(|(bin, _)| bin as f32 / BINS as f32)
    }

    /// The threshold that keeps the surest `share` of the pixels of `class` (CBST: that of the ⌊n · share⌋-th of them); 1
    /// where that is none.
    pub fn share_threshold(&self, class: usize, share: f64) -> f32 {
        // A little more, so that .7 of 10 are 7, whatever 10 · .7 is in binary.
        let pixels = (self.pixels(class) as f64 * share * (1.0 + 1e-12)).floor() as u64;
        if pixels == 0 { 1.0 } else { self.edge_of(class, pixels).unwrap_or(1.0) }
    }

    /// The lower median of the confidences of `class`: that of the pixel at ⌊(n − 1) / 2⌋ in ascending order; 1 where there is
    /// no pixel.
    pub fn median(&self, class: usize) -> f32 {
        let pixels = self.pixels(class);
        if pixels == 0 { 1.0 } else { self.edge_of(class, pixels - (pixels - 1) / 2).unwrap_or(1.0) }
    }

    /// `threshold`, or as much less as it takes to keep `pixels` pixels of `class`, or all if there are fewer.
    pub fn keeping_at_least(&self, class: usize, threshold: f32, pixels: u64) -> f32 {
        let enough = pixels.min(self.pixels(class));
        if enough == 0 || self.kept(class, threshold) >= enough {
            return threshold;
        }
        self.edge_of(class, enough).unwrap_or(threshold).min(threshold)
    }

    /// Their bytes: the number of classes; for each class the number of bins that are not empty; for each of these its distance
    /// from the one before and its pixels. Numbers are LEB128.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, self.classes.len() as u64);
        for bins in &self.classes {
            put(&mut bytes, bins.iter().filter(|n| **n > 0).count() as u64);
            let mut next = 0;
            for (bin, &pixels) in bins.iter().enumerate().filter(|(_, n)| **n > 0) {
                put(&mut bytes, (bin - next) as u64);
                put(&mut bytes, pixels);
                next = bin + 1;
            }
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote for `classes` classes.
    ///
    /// # Errors
    /// When the bytes are others.
    pub fn from_bytes(mut bytes: &[u8], classes: usize) -> Result<Self, CountsError> {
        let bytes = &mut bytes;
        let mut counts = Self::new(classes);
        if take(bytes)? != classes as u64 {
            return Err(CountsError);
        }
        for bins in &mut counts.classes {
            let filled = take(bytes)?;
            if filled > 0 {
                bins.resize(BINS, 0);
            }
            let mut next = 0;
            for _ in 0..filled {
                let bin = usize::try_from(take(bytes)?).ok().and_then(|gap| gap.checked_add(next));
                let bin = bin.filter(|bin| *bin < BINS).ok_or(CountsError)?;
                bins[bin] = take(bytes)?;
                next = bin + 1;
            }
        }
        if bytes.is_empty() { Ok(counts) } else { Err(CountsError) }
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Result<u64, CountsError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(CountsError)?;
        *bytes = rest;
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Ok(number);
        }
    }
    Err(CountsError)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: [f32; 10] = [0.95, 0.9, 0.8, 0.6, 0.55, 0.99, 0.7, 0.5, 0.85, 0.65];

    fn golden() -> ConfidenceCounts {
        let mut counts = ConfidenceCounts::new(3);
        GOLDEN.iter().for_each(|p| counts.add(1, *p));
        counts.add(7, 0.5);
        counts
    }

    #[test]
    fn thresholds_are_the_golden_ones() {
        let counts = golden();
        for (share, threshold, kept) in [(0.2, 0.95, 2), (0.3, 0.9, 3), (0.5, 0.8, 5), (0.7, 0.65, 7)] {
            let found = counts.share_threshold(1, share);
            assert!(found <= threshold && threshold - found < 2.5e-4, "{share}: {found}");
            assert_eq!(GOLDEN.iter().filter(|p| **p >= found).count(), kept);
            assert_eq!(counts.kept(1, found), kept as u64);
        }
        assert_eq!((counts.share_threshold(1, 0.09), counts.share_threshold(0, 0.5)), (1.0, 1.0));
        let median = counts.median(1);
        assert!((0.7 - median) < 2.5e-4 && median <= 0.7, "the lower of the two in the middle: {median}");
        assert_eq!(counts.median(2), 1.0);
    }

    #[test]
    fn so_many_pixels_are_kept_if_there_are_so_many() {
        let counts = golden();
        assert_eq!(counts.keeping_at_least(1, 0.75, 5), 0.75, "there are five");
        let six = counts.keeping_at_least(1, 0.75, 6);
        assert!(six <= 0.7 && counts.kept(1, six) == 6, "{six}");
        assert_eq!(counts.kept(1, counts.keeping_at_least(1, 0.75, 99)), 10);
        assert_eq!(counts.keeping_at_least(0, 0.75, 99), 0.75);
    }

    #[test]
    fn counts_add_and_survive_their_bytes() {
        let mut all = golden();
        all.add(0, 1.0);
        all.add(2, f32::NAN);
        let bytes = all.to_bytes();
        assert_eq!(ConfidenceCounts::from_bytes(&bytes, 3), Ok(all.clone()));
        let mut twice = all.clone();
        twice.merge(&all).unwrap();
        assert_eq!((twice.pixels(1), twice.pixels(0), twice.kept(0, 0.99)), (20, 2, 2));
        assert_eq!(twice.merge(&ConfidenceCounts::new(2)), Err(CountsError));
        for end in 0..bytes.len() {
            assert!(ConfidenceCounts::from_bytes(&bytes[..end], 3).is_err(), "{end}");
        }
        assert!(ConfidenceCounts::from_bytes(&bytes, 2).is_err());
        assert!(ConfidenceCounts::from_bytes(&[1, 1, 0xff, 0xff, 1, 1], 1).is_err(), "no such bin");
    }
}
