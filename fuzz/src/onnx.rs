//! ONNX files as data: which files beside a model it names, the mean of one with others, the same in half precision, and
//! in one graph with what is done around it.

use marquetry_model::external_locations;
use marquetry_onnx::toy::Net;
use marquetry_onnx::{
    Averaging, FloatType, FusedHead, FusedInput, FusedScores, FusedSpec, FusedStep, FusedView, Fusing,
    HalfType, Halving, KeptPart, Model, batch_norms, fused, numbers_at, skeleton, with_dimensions,
    with_folded_norms, without_denormals,
};
use std::collections::BTreeMap;

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
    converted(bytes);
    // What it leaves out is not there to be left out again.
    if let Ok(once) = skeleton(bytes) {
        assert_eq!(skeleton(&once).as_ref(), Ok(&once));
    }
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

/// Whatever is written of a model that can be read can be read again.
fn converted(bytes: &[u8]) {
    let reads = |onnx: &[u8]| {
        Model::read(onnx).expect("what is written can be read");
    };
    if let Ok(frozen) = with_dimensions(bytes, &BTreeMap::from([(0, 1), (2, 64)])) {
        reads(&frozen);
    }
    if let (Ok(_), Ok((clean, _))) = (Model::read(bytes), without_denormals(bytes)) {
        reads(&clean);
    }
    if let Some(spec) = fusing(bytes)
        && let Ok(Fusing::Fused(whole)) = fused(bytes, &spec)
    {
        reads(&whole);
    }
    let Ok((folded, _)) = with_folded_norms(bytes) else { return };
    reads(&folded);
    for to in [HalfType::F16, HalfType::BF16] {
        let Ok(halving) = Halving::new(&folded, to) else { continue };
        if let Ok(halved) = halving.write() {
            reads(&halved.onnx);
        }
        if let Ok(rounded) = halving.rounded() {
            reads(&rounded);
        }
    }
}

/// Two views and a softmax around the first output of a model.
fn fusing(bytes: &[u8]) -> Option<FusedSpec> {
    let model = Model::read(bytes).ok()?;
    let view = |hflip| FusedView { transpose: true, vflip: false, hflip, classes: vec![1, 0] };
    Some(FusedSpec {
        windows: 2,
        input: FusedInput {
            name: model.graph.given().next()?.name.to_owned(),
            channels_last: false,
            element: FloatType::F32,
            channels: 3,
            height: 64,
            width: 64,
        },
        views: vec![view(false), view(true)],
        head: FusedHead {
            name: model.graph.outputs.first()?.name.to_owned(),
            channels_last: false,
            channels: 2,
            height: 64,
            width: 64,
        },
        resized: None,
        kept: KeptPart { top: 1, left: 1, height: 62, width: 62 },
        scores: FusedScores {
            allowed: Some((0.0, 1.0)),
            step: FusedStep::Softmax,
            background: None,
            finish: FusedStep::Keep,
            half: true,
        },
    })
}
