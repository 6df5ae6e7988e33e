//! `exp` for whole rows, in code that the compiler turns into vector instructions.
//!
//! The standard library's `exp` is called number by number, and softmax over twenty classes then costs more than a
//! small network does. Only additions, multiplications and bit shifts are used, so every machine gives the same bits.

/// e^x with a relative error below 3e-7 for −87 ≤ x ≤ 88; smaller numbers give (nearly) 0, greater ones a number
/// near `f32::MAX`. NaN gives NaN or a large number; callers check for it before.
///
/// Range reduction `x = n·ln 2 + r` with ln 2 in two parts, then the polynomial of degree 6 of the Cephes library
/// (S. L. Moshier, `expf`).
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
pub(crate) fn exp(x: f32) -> f32 {
    exp_in_range(x.clamp(LEAST, 88.3))
}

/// [`exp`] of a number that is 0 at most: the same bits, one comparison less.
#[inline(always)]
#[expect(clippy::inline_always, reason = "it is compiled anew for each level of vectors")]
pub(crate) fn exp_of_no_more_than_0(x: f32) -> f32 {
    exp_in_range(if x < LEAST { LEAST } else { x })
}

/// The least number of which `exp` is a normal one.
const LEAST: f32 = -87.3;

#[inline(always)]
fn exp_in_range(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Adding 1.5 · 2^23 leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 0.166_666_65;
    p = p * r + 0.5;
    let y = p * (r * r) + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    y * f32::from_bits(exponent)
}

/// 1 / (1 + e^−x).
#[inline]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_to_the_standard_library() {
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let want = f64::from(x).exp();
            assert!(((f64::from(exp(x)) - want) / want).abs() < 3e-7, "{x}: {} {want}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1000.0) < 1.3e-38 && exp(1000.0).is_finite());
        assert_eq!(sigmoid(0.0), 0.5);
    }
}
