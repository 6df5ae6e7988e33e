//! Softmax over many pixels at once.

use crate::BadScore;
use crate::exp::exp_of_no_more_than_0;
use crate::vectors::{Kernel, with_widest_vectors};

/// Pixels handled together, so that their running maximum and sum stay in registers; a fixed number, so that loops over
/// them become vector instructions.
const LANES: usize = 32;

/// What a model said, to be taken on the way into rows: channel `k` starts at `values[k · plane_len + offset]` and
/// becomes class `order[k]`.
pub(crate) struct Planes<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) plane_len: usize,
    pub(crate) offset: usize,
    pub(crate) order: &'a [u16],
}

/// Softmax over the first axis of `rows`, `[classes, n]`, in place or of what comes `from` a model's planes.
///
/// # Errors
/// When a value is NaN or infinite.
pub(crate) fn softmax(from: Option<&Planes<'_>>, rows: &mut [f32], n: usize) -> Result<(), BadScore> {
    with_widest_vectors(Softmax { from, rows, n })
}

struct Softmax<'a> {
    from: Option<&'a Planes<'a>>,
    rows: &'a mut [f32],
    n: usize,
}

impl Kernel for Softmax<'_> {
    type Output = Result<(), BadScore>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn run(self) -> Result<(), BadScore> {
        let Self { from, rows, n } = self;
        let whole = n - n % LANES;
        // A finite number times 0 is 0; anything else is NaN, and stays so in a sum.
        let (mut zeros, mut zero) = ([0.0; LANES], [0.0; 1]);
        for at in (0..whole).step_by(LANES) {
            softmax_at(from, rows, n, at, &mut zeros);
        }
        for at in whole..n {
            softmax_at(from, rows, n, at, &mut zero);
        }
        if zeros.iter().chain(&zero).all(|z| *z == 0.0) { Ok(()) } else { Err(BadScore::NonFinite) }
    }
}

/// Softmax of `N` neighbouring pixels.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
fn softmax_at<const N: usize>(
    from: Option<&Planes<'_>>,
    rows: &mut [f32],
    n: usize,
    at: usize,
    zeros: &mut [f32; N],
) {
    // Loops rather than closures: those might be compiled without wide vectors.
    let (mut greatest, mut sum, mut share) = ([f32::NEG_INFINITY; N], [0.0_f32; N], [0.0_f32; N]);
    let classes = rows.len() / n;
    for channel in 0..classes {
        let Some(x) = channel_at(from, rows, n, channel, at).first_chunk::<N>() else { return };
        for k in 0..N {
            greatest[k] = if x[k] > greatest[k] { x[k] } else { greatest[k] };
            zeros[k] += x[k] * 0.0;
        }
    }
    for channel in 0..classes {
        let class = from.map_or(channel, |planes| planes.order[channel] as usize);
        let Some(&x) = channel_at(from, rows, n, channel, at).first_chunk::<N>() else { return };
        let Some(y) = rows[class * n + at..].first_chunk_mut::<N>() else { return };
        for k in 0..N {
            let e = exp_of_no_more_than_0(x[k] - greatest[k]);
            sum[k] += e;
            y[k] = e;
        }
    }
    for k in 0..N {
        share[k] = 1.0 / sum[k];
    }
    for class in 0..classes {
        let Some(y) = rows[class * n + at..].first_chunk_mut::<N>() else { return };
        for k in 0..N {
            y[k] *= share[k];
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
fn channel_at<'a>(
    from: Option<&'a Planes<'_>>,
    rows: &'a [f32],
    n: usize,
    channel: usize,
    at: usize,
) -> &'a [f32] {
    match from {
        Some(planes) => planes.at(channel, at),
        None => &rows[channel * n + at..],
    }
}

impl Planes<'_> {
    /// Channel `channel` from pixel `at` on.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
    fn at(&self, channel: usize, at: usize) -> &[f32] {
        &self.values[channel * self.plane_len + self.offset + at..]
    }
}
