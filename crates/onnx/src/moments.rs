//! Mean and variance of numbers that come in parts.

/// Count, mean and variance of numbers, in `f64`.
///
/// Parts are joined exactly (Chan, Golub and `LeVeque`), so that each number weighs the same however large its part is. This is
/// where it differs from `torch.optim.swa_utils.update_bn`, which averages the means and the unbiased variances of batches: there a
/// short last batch weighs as much as a full one, and how far the means of batches lie apart is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// How many numbers.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The sum of the squares of their distances from the mean.
    squares: f64,
}

impl Moments {
    /// Of these numbers.
    pub fn of(numbers: &[f32]) -> Self {
        if numbers.is_empty() {
            return Self::default();
        }
        let mean = numbers.iter().map(|&n| f64::from(n)).sum::<f64>() / numbers.len() as f64;
        let squares = numbers.iter().map(|&n| (f64::from(n) - mean) * (f64::from(n) - mean)).sum();
        Self { count: numbers.len() as u64, mean, squares }
    }

    /// Of the numbers of both.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        Self {
            count: self.count + other.count,
            mean: self.mean + apart * (b / (a + b)),
            squares: self.squares + other.squares + apart * apart * (a * b / (a + b)),
        }
    }

    /// The biased variance, that of all numbers: what batch normalisation divides by.
    pub fn variance(self) -> f64 {
        if self.count == 0 { 0.0 } else { self.squares / self.count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(batches: &[&[f32]]) -> Moments {
        batches.iter().map(|batch| Moments::of(batch)).fold(Moments::default(), Moments::joined)
    }

    /// What PyTorch's `update_bn` comes to: every batch weighs the same, and variances are unbiased.
    fn as_torch(batches: &[&[f32]]) -> (f64, f64) {
        let each = batches.iter().map(|batch| {
            let of = Moments::of(batch);
            (of.mean, of.variance() * of.count as f64 / (of.count - 1) as f64)
        });
        let count = batches.len() as f64;
        let sum = each.fold((0.0, 0.0), |sum, (mean, variance)| (sum.0 + mean, sum.1 + variance));
        (sum.0 / count, sum.1 / count)
    }

    #[test]
    fn parts_are_joined_exactly_and_torch_s_statistic_is_another() {
        let even: [&[f32]; 2] = [&[0.0, 2.0], &[4.0, 6.0]];
        assert_eq!((pooled(&even).mean, pooled(&even).variance()), (3.0, 5.0));
        assert_eq!(as_torch(&even), (3.0, 2.0), "what lies between the batches is left out");
        let short: [&[f32]; 2] = [&[0.0, 2.0], &[10.0, 10.0, 10.0, 10.0]];
        assert_eq!((pooled(&short).mean, pooled(&short).variance()), (7.0, 110.0 / 6.0));
        assert_eq!(as_torch(&short), (5.5, 1.0), "a short batch weighs as much");
    }

    #[test]
    fn the_order_and_the_size_of_parts_do_not_matter() {
        let numbers: Vec<f32> = (0..1000).map(|n| ((n * 7919) % 1013) as f32 * 0.37 - 150.0).collect();
        let all = Moments::of(&numbers);
        for size in [1, 3, 64, 999] {
            let parts: Vec<Moments> = numbers.chunks(size).map(Moments::of).collect();
            let forth = parts.iter().fold(Moments::default(), |sum, part| sum.joined(*part));
            let back = parts.iter().rev().fold(Moments::default(), |sum, part| part.joined(sum));
            for found in [forth, back] {
                assert_eq!(found.count, all.count);
                assert!((found.mean - all.mean).abs() < 1e-10, "{size}");
                assert!((found.variance() / all.variance() - 1.0).abs() < 1e-12, "{size}");
            }
        }
        // A great mean leaves the variance its digits.
        let far: Vec<f32> = [0.0, 1.0].map(|n| n + 1e6).to_vec();
        assert_eq!(Moments::of(&far).variance(), 0.25);
        assert_eq!(Moments::default().joined(all), all);
        assert_eq!(Moments::default().variance(), 0.0);
    }
}
