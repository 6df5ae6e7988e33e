//! Types of floating-point numbers, and going between them and `f64`.

use half::{bf16, f16};

/// A type of numbers that can be averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    BF16,
    /// IEEE double precision.
    F64,
}

impl FloatType {
    /// The type of this number in `TensorProto.DataType`; none for whole numbers and all others.
    pub const fn of(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::F32),
            10 => Some(Self::F16),
            11 => Some(Self::F64),
            16 => Some(Self::BF16),
            _ => None,
        }
    }

    /// Bytes of one number.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Hands the numbers in `data`, little endian, to `each`, in order.
    pub fn read(self, data: &[u8], each: impl FnMut(f64)) {
        fn all<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64, each: impl FnMut(f64)) {
            data.as_chunks().0.iter().map(|bytes| number(*bytes)).for_each(each);
        }
        match self {
            Self::F32 => all(data, |b| f64::from(f32::from_le_bytes(b)), each),
            Self::F64 => all(data, f64::from_le_bytes, each),
            Self::F16 => all(data, |b| f64::from(f16::from_le_bytes(b)), each),
            Self::BF16 => all(data, |b| f64::from(bf16::from_le_bytes(b)), each),
        }
    }

    /// Appends a number to `out`, little endian, rounded once: to the nearest, ties to even.
    pub fn write(self, number: f64, out: &mut Vec<u8>) {
        match self {
            Self::F32 => out.extend((number as f32).to_le_bytes()),
            Self::F64 => out.extend(number.to_le_bytes()),
            Self::F16 => out.extend(f16::from_f32(towards_odd(number)).to_le_bytes()),
            Self::BF16 => out.extend(bf16::from_f32(towards_odd(number)).to_le_bytes()),
        }
    }
}

/// `number` in single precision: cut, with the last bit set where anything was cut. Rounding that to a type of at least two
/// bits less gives what rounding `number` itself would; rounding twice to the nearest does not.
fn towards_odd(number: f64) -> f32 {
    let near = number as f32;
    if f64::from(near) == number || near.is_nan() {
        return near;
    }
    let bits = near.to_bits();
    let cut = if f64::from(near).abs() > number.abs() { bits - 1 } else { bits };
    f32::from_bits(cut | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(ty: FloatType, number: f64) -> f64 {
        let (mut out, mut back) = (Vec::new(), f64::NAN);
        ty.write(number, &mut out);
        assert_eq!(out.len(), ty.bytes());
        ty.read(&out, |n| back = n);
        back
    }

    #[test]
    fn numbers_are_rounded_once() {
        let ulp = 2f64.powi(-10);
        // Halfway between 1 and 1 + ulp, and a little above it, which single precision does not see.
        assert_eq!(written(FloatType::F16, 1.0 + ulp / 2.0), 1.0, "a tie goes to the even one");
        assert_eq!(written(FloatType::F16, 1.0 + ulp / 2.0 + 1e-12), 1.0 + ulp);
        assert_eq!(written(FloatType::F16, 1.0 + 1.5 * ulp - 1e-12), 1.0 + ulp);
        assert_eq!(written(FloatType::F16, -1.0 - ulp / 2.0 - 1e-12), -1.0 - ulp);
        let ulp = 2f64.powi(-7);
        assert_eq!(written(FloatType::BF16, 1.0 + ulp / 2.0), 1.0);
        assert_eq!(written(FloatType::BF16, 1.0 + ulp / 2.0 + 1e-12), 1.0 + ulp);
        assert_eq!(written(FloatType::F32, 0.1), f64::from(0.1_f32));
        assert_eq!(written(FloatType::F64, 0.1), 0.1);
        assert_eq!(written(FloatType::F16, 65504.0), 65504.0);
        assert_eq!(written(FloatType::F16, 5.960_464_477_539_063e-8), 5.960_464_477_539_063e-8, "subnormal");
        assert_eq!(written(FloatType::F16, 0.0), 0.0);
    }
}
