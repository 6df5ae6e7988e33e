//! ONNX files as data: which files beside a model it names, and the mean of one with others.

use marquetry_model::external_locations;
use marquetry_onnx::toy::Net;
use marquetry_onnx::{Averaging, Model, batch_norms, numbers_at};

/// No model names a file outside of its own folder; a mean is written only of what can be read.
pub(crate) fn onnx(bytes: &[u8]) {
    for location in external_locations(bytes).into_iter().flatten() {
        assert!(!location.is_empty() && !location.starts_with('/'), "{location:?}");
        assert!(location.split(['/', '\\']).all(|part| part != ".."), "{location:?}");
    }
    let mean = |other: &[u8]| {
        let mut averaging = Averaging::new("a", bytes, 1.0).ok()?;
        averaging.add("b", other, 1.0).ok()?;
        Some(averaging.finish(&[]).ok()?.onnx)
    };
    if let Some(mean) = mean(bytes) {
        assert_eq!(mean, bytes, "the mean of a file with itself is the file");
    }
    if let Some(mean) = mean(&Net::seeded(1, 2).bytes()) {
        let model = Model::read(&mean).expect("what is written can be read");
        for layer in batch_norms(&model.graph) {
            let mean = numbers_at(&mean, layer.mean()).expect("a mean");
            assert!(mean.iter().all(|number| number.is_finite()), "{mean:?}");
        }
    }
}
