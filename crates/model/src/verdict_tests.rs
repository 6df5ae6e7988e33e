use super::*;
use crate::toy::{Toy, Weights};
use crate::{Dim, InspectOptions, Layout, TensorFacts, inspect};
use marquetry_geometry::Size;

fn facts(toy: &Toy) -> ModelFacts {
    let options = InspectOptions { size: Some(Size::square(64)), ..Default::default() };
    inspect(&crate::runtime::for_tests(), &toy.bytes(), &options).unwrap()
}

/// Facts of a model of three channels with one more output, of which there are no scores.
fn beside(toy: &Toy, name: &str, seen: [u64; 3]) -> ModelFacts {
    let mut facts = facts(toy);
    let reason = Some("its dimensions do not follow".into());
    let head =
        HeadFacts { name: name.into(), element: Element::F32, seen: seen.into(), scores: None, reason };
    facts.heads.insert(0, head);
    let dims = seen.map(Dim::Fixed).to_vec();
    facts.outputs.insert(0, TensorFacts { name: name.into(), element: Element::F32, dims });
    facts
}

fn purpose(facts: &ModelFacts) -> String {
    other_purpose(facts).unwrap_or_default()
}

#[test]
fn masks_of_queries_and_prototypes_are_told_from_scores() {
    let seeded = Toy { weights: Weights::Seeded(1), stride: 4, kernel: 5, ..Default::default() };
    let queries = Toy { classes: 100, ..seeded.clone() };
    let said = purpose(&beside(&queries, "class_queries_logits", [1, 100, 151]));
    assert!(said.contains("100 queries") && said.contains("`class_queries_logits` 151 numbers"), "{said}");
    let prototypes = Toy { classes: 32, ..seeded.clone() };
    for (dims, count) in [([1, 116, 8400], 8400), ([1, 300, 38], 300), ([1, 8400, 37], 8400)] {
        let said = purpose(&beside(&prototypes, "output0", dims));
        assert!(
            said.contains("32 prototypes") && said.contains(&format!("`output0` {count} detections")),
            "{said}"
        );
    }
    // An output for the image, or few numbers, beside real scores is nothing against them.
    let scores = Toy { classes: 21, ..seeded };
    for dims in [[1, 1, 21], [1, 21, 1], [1, 10, 10], [1, 300, 24]] {
        assert_eq!(other_purpose(&beside(&scores, "aux", dims)), None, "{dims:?}");
    }
}

#[test]
fn other_purposes_are_told_from_sizes_names_and_values() {
    let mut enlarged = facts(&Toy { classes: 3, weights: Weights::Seeded(1), ..Default::default() });
    assert_eq!(other_purpose(&enlarged), None);
    let scores = enlarged.heads[0].scores.as_mut().unwrap();
    (scores.relation, scores.size) = (Relation::Up(2), Size::square(128));
    assert!(
        purpose(&enlarged).contains("2 times as large") && purpose(&enlarged).contains("super-resolution")
    );
    enlarged.heads[0].scores.as_mut().unwrap().classes = 5;
    assert_eq!(other_purpose(&enlarged), None);

    let named = |name: &str, weights| Toy { heads: vec![name.into()], weights, ..Default::default() };
    assert!(purpose(&facts(&named("predicted_depth", Weights::Seeded(1)))).contains("is a depth"));
    assert_eq!(other_purpose(&facts(&named("logits", Weights::Seeded(1)))), None);
    let mut positive = facts(&named("y", Weights::Seeded(1)));
    positive.heads[0].scores.as_mut().unwrap().range = (0.0, 87.5);
    assert!(purpose(&positive).contains("0.000 to 87.500, never below 0"));
    let metadata = |key: &str, value: &str| {
        facts(&Toy {
            metadata: vec![(key.into(), value.into())],
            layout: Layout::Nchw,
            ..named("y", Weights::Seeded(1))
        })
    };
    assert!(purpose(&metadata("model_type", "Regressor")).contains("`model_type = Regressor`"));
    assert!(purpose(&metadata("task", "detect")).contains("boxes"));
    for (key, value) in [
        ("task", "segment"),
        ("model_type", "segformer"),
        ("task", "pixel classification"),
        ("author", "detect"),
    ] {
        assert_eq!(other_purpose(&metadata(key, value)), None, "{key} = {value}");
    }
}

#[test]
fn a_model_of_another_purpose_has_a_verdict_and_no_entry() {
    let depth =
        facts(&Toy { heads: vec!["depth".into()], weights: Weights::Seeded(1), ..Default::default() });
    assert!(
        depth
            .report("m.onnx")
            .contains("verdict   not a segmentation model, as it seems: `depth` is a depth")
    );
    assert_eq!(depth.member_yaml("m.onnx"), "");
    let plain = facts(&Toy { weights: Weights::Seeded(1), ..Default::default() });
    assert!(plain.report("m.onnx").contains("verdict   a segmentation model"));
    let json = serde_json::to_string(&depth).unwrap();
    assert_eq!(serde_json::from_str::<ModelFacts>(&json).unwrap(), depth);
}
