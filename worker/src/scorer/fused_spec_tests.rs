use super::*;
use crate::context::tests::{inference, members, signature};
use marquetry_ensemble::{ClassMap, Labelling, OutputActivation};
use marquetry_geometry::D4;
use marquetry_job::{Element, OutputForm};

/// A plan of one member that a graph can do: two views of two windows.
fn fusable() -> Inference {
    let mut all = members(&[1]);
    all[0].weights = vec![1.0; 3];
    all[0].signatures = vec![IoContract { batch: 5, ..signature(3, 8) }];
    let mut plan = inference(8, vec![View::IDENTITY, View::of(D4::ROT90)], all);
    plan.labelling = Labelling::Multiclass;
    (plan.view_space, plan.tile_space) = (ScoreSpace::Probabilities, ScoreSpace::Probabilities);
    plan
}

fn spec_of(plan: &Inference) -> Result<FusedSpec, String> {
    let group = &plan.groups[0];
    let context = GroupContext::new(plan, group).unwrap();
    fused_spec(plan, group, &context, 0, true)
}

fn member(plan: &mut Inference) -> &mut Member {
    &mut plan.groups[0].members[0]
}

#[test]
fn a_graph_does_what_the_plan_says() {
    let spec = spec_of(&fusable()).unwrap();
    assert_eq!((spec.windows, spec.images(), spec.classes()), (2, 4, 3));
    assert_eq!((spec.input_dims(), spec.output_dims()), ([2, 3, 8, 8], [2, 3, 8, 8]));
    assert_eq!((spec.scores.step, spec.scores.finish), (FusedStep::Softmax, FusedStep::Keep));
    assert!(spec.scores.half);
    let mut logits = fusable();
    logits.tile_space = ScoreSpace::Logits;
    let spec = spec_of(&logits).unwrap();
    assert!(matches!(spec.scores.finish, FusedStep::Ln { .. }) && !spec.scores.half, "logits overflow f16");
    let mut one = fusable();
    member(&mut one).signatures[0].batch = 1;
    one.groups[0].views.truncate(1);
    one.view_merge = ViewMerge::Max;
    assert_eq!(spec_of(&one).unwrap().images(), 1, "of one view every merge is that view");
}

#[test]
fn flips_are_those_of_the_symmetry() {
    for d4 in D4::ALL {
        let (vflip, hflip) = flips(&View::of(d4));
        let size = Size::new(3, 5);
        let out = d4.apply_to_size(size);
        for (row, column) in (0..out.height).flat_map(|r| (0..out.width).map(move |c| (r, c))) {
            let r = if vflip { out.height - 1 - row } else { row };
            let c = if hflip { out.width - 1 - column } else { column };
            let from = if d4.transposes() { (c, r) } else { (r, c) };
            assert_eq!(d4.source(size, row, column), from, "{d4}");
        }
    }
}

#[test]
fn each_refusal_has_its_reason() {
    type Change = fn(&mut Inference);
    let cases: [(Change, &str); 13] = [
        (
            |p| {
                let other = member(p).signatures[0].clone();
                member(p).signatures.push(IoContract { size: Size::square(4), ..other });
            },
            "at several sizes",
        ),
        (|p| p.view_merge = ViewMerge::Gmean, "merged by Gmean"),
        (|p| p.groups[0].views[1].contrast = 0.5, "contrast(0.5) is more than a symmetry"),
        (|p| p.groups[0].views[1].scale = 1.01, "scale(1.01) is more than a symmetry"),
        (|p| member(p).signatures[0].size = Size::square(9), "not square"),
        (
            |p| {
                p.groups[0].window.inner = Size::new(6, 4);
                p.groups[0].window.margin = Size::new(1, 2);
            },
            "not the same all around",
        ),
        (|p| member(p).signatures[0].batch = 1, "one image at a time"),
        (|p| member(p).signatures[0].form = OutputForm::Chw, "no batch axis"),
        (|p| member(p).signatures[0].element_in = Element::U8, "takes u8"),
        (|p| member(p).signatures[0].element_out = Element::Bool, "says bool"),
        (
            |p| {
                (member(p).applied, member(p).signatures[0].classes) = (OutputActivation::Labels, 1);
            },
            "one for one",
        ),
        (
            |p| {
                member(p).classes =
                    ClassMap { channels: vec![vec![0], vec![1, 2], vec![]], ..ClassMap::default() };
            },
            "one for one",
        ),
        (
            |p| {
                member(p).fit = Fit::Crop;
                p.groups[0].scaling = marquetry_job::Scaling::Whole(Size::square(8));
                p.groups[0].window.inner = Size::square(4);
            },
            "cut and resized",
        ),
    ];
    for (change, word) in cases {
        let mut plan = fusable();
        change(&mut plan);
        let reason = spec_of(&plan).unwrap_err();
        assert!(reason.contains(word), "{reason}");
    }
}
