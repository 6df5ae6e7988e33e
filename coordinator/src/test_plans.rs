//! Plans for tests: nothing is run.

use marquetry_ensemble::{ClassMap, Importance, Labelling, OutputActivation, ScoreSpace, View, ViewMerge};
use marquetry_geometry::{Edges, Reading, Size, WindowSpec};
use marquetry_job::{
    Fit, Group, Inference, Input, Member, Merge, PLAN_FORMAT, Plan, PlannedImage, Scaling, TileDtype,
};
use std::collections::BTreeMap;

/// Side of images, windows and blocks, px.
const SIDE: u32 = 64;

pub(crate) fn member(name: &str) -> Member {
    Member {
        name: name.into(),
        onnx: String::new(),
        sha256: String::new(),
        external: Vec::new(),
        model_bytes: 0,
        tags: BTreeMap::new(),
        weights: vec![1.0; 2],
        input: Input::default(),
        applied: OutputActivation::None,
        classes: ClassMap::default(),
        fit: Fit::Resize,
        signatures: Vec::new(),
    }
}

/// A member of its own model, with these tags.
pub(crate) fn member_called(name: &str, tags: &[(&str, &str)]) -> Member {
    let tags = tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect();
    Member { onnx: format!("{name}.onnx"), tags, ..member(name) }
}

/// A plan in which each of these members has tiles of its own.
pub(crate) fn plan_of(members: Vec<Member>) -> Plan {
    let weights = members.iter().map(|member| member.weights.clone()).collect();
    let merge = Merge { space: ScoreSpace::Probabilities, weights };
    Plan::new("j", inference(members.into_iter().map(|member| vec![member]).collect()), merge)
}

/// Two classes, and a group for each list of members.
pub(crate) fn inference(groups: Vec<Vec<Member>>) -> Inference {
    let window = Size::square(SIDE);
    let group = |members| Group {
        scaling: Scaling::Factor(1.0),
        resample: marquetry_geometry::Resample::Linear,
        window: WindowSpec { inner: window, margin: Size::square(0), stride: window, edges: Edges::Shift },
        importance: Importance::Constant,
        views: vec![View::IDENTITY],
        members,
    };
    Inference {
        format: PLAN_FORMAT,
        reading: Reading::default(),
        classes: vec!["a".into(), "b".into()],
        labelling: Labelling::Multiclass,
        view_merge: ViewMerge::Mean,
        view_space: ScoreSpace::Probabilities,
        tile_space: ScoreSpace::Probabilities,
        centred: false,
        swapped: std::collections::BTreeMap::new(),
        tile: TileDtype::F16,
        block_pixels: u64::from(SIDE * SIDE),
        region: None,
        cascade: None,
        gate: Vec::new(),
        groups: groups.into_iter().map(group).collect(),
    }
}

/// A plan of one member, for images of one block.
pub(crate) fn plan() -> Plan {
    let merge = Merge { space: ScoreSpace::Probabilities, weights: vec![vec![1.0; 2]] };
    Plan::new("j", inference(vec![vec![member("m")]]), merge)
}

pub(crate) fn image(id: &str) -> PlannedImage {
    PlannedImage {
        id: id.into(),
        uri: format!("{id}.png"),
        sidecars: Vec::new(),
        version: String::new(),
        key: PlannedImage::key_of(id, "", None),
        content: None,
        size: Size::square(SIDE),
        bands: 3,
        tags: BTreeMap::new(),
        members: None,
        truth: None,
    }
}

pub(crate) fn images(count: usize) -> Vec<PlannedImage> {
    (0..count).map(|n| image(&format!("image {n}"))).collect()
}
