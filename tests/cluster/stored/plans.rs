//! Plans, and the hashes that follow from them.

use crate::Form;
use marquetry_ensemble::{
    ClassMap, Importance, Labelling, OutputActivation, Rule, ScoreSpace, Sureness, View, ViewMerge,
};
use marquetry_geometry::{D4, Edges, Padding, Reading, Size, WindowSpec};
use marquetry_job::{
    Backend, CascadeRule, Element, Fit, GateModel, Group, Inference, Input, IoContract, Layout, Member,
    Merge, OutputForm, PLAN_FORMAT, Plan, PlannedImage, Scale, Scaling, TileDtype,
};
use std::collections::BTreeMap;

pub(crate) fn all() -> Vec<Form> {
    let plan = plan();
    let (written, name) = (plan.to_bytes(), plan.hash());
    let read = move |bytes: &[u8]| {
        let stored = Plan::from_bytes(bytes, &name).map_err(|error| error.to_string())?;
        if stored == plan { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    vec![Form { file: "plan.json".to_owned(), written, read: Box::new(read) }, in_rounds(), with_gate()]
}

/// A plan whose second group looks only at what the first one is unsure of.
fn in_rounds() -> Form {
    let plan = plan();
    let cascade = CascadeRule {
        groups: 1,
        space: ScoreSpace::Probabilities,
        weights: plan.merge.weights[..2].to_vec(),
        decide: Rule::Factors(vec![1.0, 1.5]),
        background: Some(0),
        sure: Sureness { margin: 0.75, agreement: Some(1.0) },
        around_px: 8,
    };
    let plan = Plan::new("nuclei", Inference { cascade: Some(cascade), ..plan.inference }, plan.merge);
    let (written, name) = (plan.to_bytes(), plan.hash());
    let read = move |bytes: &[u8]| {
        let stored = Plan::from_bytes(bytes, &name).map_err(|error| error.to_string())?;
        if stored == plan { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "plan-in-rounds.json".to_owned(), written, read: Box::new(read) }
}

/// A plan with a model that says which classes an image has.
fn with_gate() -> Form {
    let plan = plan();
    let group = group(Scaling::Whole(Size::square(224)), Importance::Constant, vec![member("gate", 1.0)]);
    let model = GateModel { group, labelling: Labelling::Multilabel, channels: vec![None, Some(0)] };
    let plan = Plan::new("nuclei", Inference { gate: vec![model], ..plan.inference }, plan.merge);
    let (written, name) = (plan.to_bytes(), plan.hash());
    let read = move |bytes: &[u8]| {
        let stored = Plan::from_bytes(bytes, &name).map_err(|error| error.to_string())?;
        if stored == plan { Ok(()) } else { Err(format!("{stored:?}")) }
    };
    Form { file: "plan-with-gate.json".to_owned(), written, read: Box::new(read) }
}

/// A plan with something in every field.
pub(crate) fn plan() -> Plan {
    let groups = vec![
        group(Scaling::Factor(0.5), Importance::Gaussian, vec![member("fold0", 0.25), member("fold1", 0.75)]),
        group(Scaling::Whole(Size::square(512)), Importance::Pyramid, vec![member("whole", 1.0)]),
    ];
    let inference = Inference {
        format: PLAN_FORMAT,
        reading: Reading::default(),
        classes: vec!["left".into(), "right".into()],
        labelling: Labelling::Multiclass,
        view_merge: ViewMerge::Mean,
        view_space: ScoreSpace::Probabilities,
        tile_space: ScoreSpace::Logits,
        centred: false,
        swapped: BTreeMap::from([(D4::HFLIP, vec![1, 0])]),
        tile: TileDtype::F16,
        block_pixels: 1 << 20,
        region: None,
        cascade: None,
        gate: Vec::new(),
        groups,
    };
    let merge = Merge {
        space: ScoreSpace::Probabilities,
        weights: vec![vec![0.25, 0.25], vec![0.75, 0.75], vec![1.0, 0.5]],
    };
    Plan::new("nuclei", inference, merge)
}

/// An image of which a list says something.
pub(crate) fn tagged_image() -> PlannedImage {
    let tags = BTreeMap::from([("fold".into(), "1".into()), ("label".into(), "masks/ä.png".into())]);
    PlannedImage { tags, ..image("plate 1/ä", "/data/ä.png") }
}

/// An image that the second and the third member score.
pub(crate) fn scored_by_some() -> PlannedImage {
    image("b", "s3://bucket/b.tif").scored_by(vec![2, 1])
}

/// An image beside which files speak of it.
pub(crate) fn with_sidecars() -> PlannedImage {
    let sidecars = vec!["b.tif.msk".into(), "b.tif.aux.xml".into(), "b.tfw".into()];
    PlannedImage { sidecars, ..image("b", "s3://bucket/b.tif") }
}

fn image(id: &str, uri: &str) -> PlannedImage {
    PlannedImage {
        id: id.to_owned(),
        uri: uri.to_owned(),
        sidecars: Vec::new(),
        version: PlannedImage::version_of("12 bytes, 2024-01-01"),
        key: PlannedImage::key_of(id, "sha256 of 12 bytes", None),
        content: None,
        size: Size::new(600, 800),
        bands: 3,
        tags: BTreeMap::new(),
        members: None,
        truth: None,
    }
}

fn group(scaling: Scaling, importance: Importance, members: Vec<Member>) -> Group {
    let (window, stride) = (Size::new(256, 256), Size::new(128, 128));
    Group {
        scaling,
        resample: marquetry_geometry::Resample::PillowLinear,
        window: WindowSpec { inner: window, margin: Size::square(16), stride, edges: Edges::Shift },
        importance,
        views: vec![View::IDENTITY, View { d4: D4::HFLIP, scale: 0.75, ..View::IDENTITY }],
        members,
    }
}

fn member(name: &str, weight: f32) -> Member {
    Member {
        name: name.to_owned(),
        onnx: format!("/models/{name}.onnx"),
        sha256: "ab".repeat(32),
        external: Vec::new(),
        model_bytes: 1_234_567,
        tags: BTreeMap::from([("fold".into(), "0".into()), ("seed".into(), "7".into())]),
        weights: vec![weight, weight],
        input: Input {
            bands: Some(vec![0, 1, 2]),
            reversed: true,
            scale: Scale::Factor(1.0 / 255.0),
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            measured: None,
            padding: Padding::Reflect,
            padding_value: 0.0,
        },
        applied: OutputActivation::Sigmoid,
        classes: ClassMap::default(),
        fit: Fit::Resize,
        signatures: vec![IoContract {
            input: "x".into(),
            layout: Layout::Nchw,
            channels: 3,
            size: Size::square(288),
            batch: 1,
            element_in: Element::F32,
            dims: BTreeMap::from([("h".into(), 288)]),
            head: "logits".into(),
            form: OutputForm::Nchw,
            classes: 2,
            output_size: Size::square(288),
            element_out: Element::F16,
            backend: Backend::default(),
        }],
    }
}
