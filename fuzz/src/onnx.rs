//! ONNX files as data: which files beside a model it names.

use marquetry_model::external_locations;

/// No model names a file outside of its own folder.
pub(crate) fn onnx(bytes: &[u8]) {
    for location in external_locations(bytes).into_iter().flatten() {
        assert!(!location.is_empty() && !location.starts_with('/'), "{location:?}");
        assert!(location.split(['/', '\\']).all(|part| part != ".."), "{location:?}");
    }
}
