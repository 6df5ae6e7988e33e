//! Probes as a [safetensors](https://github.com/huggingface/safetensors) file, which Python reads too.
//!
//! `scores` `[P, M, C]` f16: logarithms of the probabilities that each member says; `truth` `[P]` u16: the class; `weight` `[P]` f32: pixels that a probe stands
//! for; `place` `[P, 2]` u32: row and column, px.

use crate::Probes;
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Why bytes are no probes.
#[derive(Debug, thiserror::Error)]
pub enum ProbeFileError {
    /// No safetensors file, or one cut short.
    #[error("the file of probes is damaged: {0}")]
    Damaged(#[from] safetensors::SafeTensorError),
    /// Another file.
    #[error("the file of probes has {0}")]
    Form(String),
}

/// The file of `probes`.
///
/// # Errors
/// When the tensors cannot be written.
pub fn probes_to_bytes(probes: &Probes) -> Result<Vec<u8>, ProbeFileError> {
    let n = probes.truth.len();
    let scores: Vec<u8> = probes.scores.iter().flat_map(|score| score.to_le_bytes()).collect();
    let truth: Vec<u8> = probes.truth.iter().flat_map(|class| class.to_le_bytes()).collect();
    let weight: Vec<u8> = probes.weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    let place: Vec<u8> = probes.places.iter().flatten().flat_map(|at| at.to_le_bytes()).collect();
    let tensors = [
        ("scores", TensorView::new(Dtype::F16, vec![n, probes.members, probes.classes], &scores)?),
        ("truth", TensorView::new(Dtype::U16, vec![n], &truth)?),
        ("weight", TensorView::new(Dtype::F32, vec![n], &weight)?),
        ("place", TensorView::new(Dtype::U32, vec![n, 2], &place)?),
    ];
    Ok(safetensors::serialize(tensors, None)?)
}

/// The probes in `bytes`.
///
/// # Errors
/// When they are damaged, or another file.
pub fn probes_from_bytes(bytes: &[u8]) -> Result<Probes, ProbeFileError> {
    let file = SafeTensors::deserialize(bytes)?;
    let tensor = |name: &str, dtype: Dtype, axes: usize| {
        let tensor = file.tensor(name)?;
        let fits = tensor.dtype() == dtype && tensor.shape().len() == axes;
        let form = || ProbeFileError::Form(format!("`{name}` as {:?} {:?}", tensor.dtype(), tensor.shape()));
        if fits { Ok(tensor) } else { Err(form()) }
    };
    let scores = tensor("scores", Dtype::F16, 3)?;
    let (truth, weight) = (tensor("truth", Dtype::U16, 1)?, tensor("weight", Dtype::F32, 1)?);
    let place = tensor("place", Dtype::U32, 2)?;
    let [n, members, classes] = scores.shape()[..] else { unreachable!("three axes were asked for") };
    if truth.shape() != [n] || weight.shape() != [n] || place.shape() != [n, 2] {
        return Err(ProbeFileError::Form("tensors of different lengths".to_owned()));
    }
    let places: Vec<u32> = numbers(place.data(), u32::from_le_bytes);
    let probes = Probes {
        classes,
        members,
        places: places.chunks_exact(2).map(|at| [at[0], at[1]]).collect(),
        truth: numbers(truth.data(), u16::from_le_bytes),
        weights: numbers(weight.data(), f32::from_le_bytes),
        scores: numbers(scores.data(), f16::from_le_bytes),
    };
    let is_share = |score: &f16| score.is_finite() && *score <= f16::ZERO;
    if probes.truth.iter().any(|class| usize::from(*class) >= classes) {
        return Err(ProbeFileError::Form(format!("a truth that is none of its {classes} classes")));
    }
    if !probes.scores.iter().all(is_share) || !probes.weights.iter().all(|w| w.is_finite() && *w > 0.0) {
        return Err(ProbeFileError::Form("a score or a weight that is none".to_owned()));
    }
    Ok(probes)
}

fn numbers<T, const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (whole, _) = bytes.as_chunks::<N>();
    whole.iter().map(|number| read(*number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes() -> Probes {
        Probes {
            classes: 2,
            members: 3,
            places: vec![[0, 4], [7, 70_000]],
            truth: vec![1, 0],
            weights: vec![2.5, 1.0],
            scores: (0..12_u8).map(|n| f16::from_f32(-f32::from(n) / 16.0)).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = probes_to_bytes(&probes()).unwrap();
        assert_eq!(probes_from_bytes(&bytes).unwrap(), probes());
        let none = Probes { classes: 2, members: 3, ..Probes::default() };
        assert_eq!(probes_from_bytes(&probes_to_bytes(&none).unwrap()).unwrap(), none);
    }

    #[test]
    fn what_is_damaged_or_means_nothing_is_refused() {
        let bytes = probes_to_bytes(&probes()).unwrap();
        for end in 0..bytes.len() {
            assert!(probes_from_bytes(&bytes[..end]).is_err(), "{end} bytes");
        }
        let strange = [
            Probes { truth: vec![1, 2], ..probes() },
            Probes { weights: vec![1.0, f32::NAN], ..probes() },
            Probes { scores: vec![f16::NEG_INFINITY; 12], ..probes() },
            Probes { scores: vec![f16::ONE; 12], ..probes() },
        ];
        for strange in strange {
            let error = probes_from_bytes(&probes_to_bytes(&strange).unwrap()).unwrap_err();
            assert!(matches!(error, ProbeFileError::Form(_)), "{error}");
        }
    }
}
