use super::*;
use marquetry_ensemble::{Applied, Importance, Labelling, Space, View, ViewMerge};
use marquetry_geometry::{Edges, Padding, Size, WindowSpec};
use marquetry_job::{Fit, Group, Input, Member, PLAN_FORMAT, Scaling, TileDtype};

fn member(name: &str, fold: Option<&str>) -> Member {
    Member {
        name: name.into(),
        onnx: String::new(),
        sha256: String::new(),
        model_bytes: 0,
        tags: fold.map(|fold| ("fold".to_owned(), fold.to_owned())).into_iter().collect(),
        weights: vec![1.0; 2],
        input: Input {
            bands: None,
            reversed: false,
            scale: None,
            mean: Vec::new(),
            std: Vec::new(),
            per_image: false,
            padding: Padding::Reflect,
            padding_value: 0.0,
        },
        applied: Applied::None,
        fit: Fit::Resize,
        signatures: Vec::new(),
    }
}

/// Two groups: members 0 and 1 in one, 2 in the other.
fn inference(members: [Member; 3]) -> Inference {
    let [a, b, c] = members;
    let group = |members| Group {
        scaling: Scaling::Factor(1.0),
        window: WindowSpec {
            inner: Size::square(8),
            margin: Size::square(0),
            stride: Size::square(8),
            edges: Edges::Shift,
        },
        importance: Importance::Constant,
        views: vec![View::IDENTITY],
        members,
    };
    Inference {
        format: PLAN_FORMAT,
        classes: vec!["a".into(), "b".into()],
        labelling: Labelling::Multiclass,
        view_merge: ViewMerge::Mean,
        view_space: Space::Probabilities,
        tile_space: Space::Probabilities,
        mirrored: None,
        tile: TileDtype::F16,
        block_pixels: 1000,
        groups: vec![group(vec![a, b]), group(vec![c])],
    }
}

fn image(id: &str, fold: Option<&str>) -> PlannedImage {
    PlannedImage {
        id: id.into(),
        uri: format!("{id}.png"),
        key: PlannedImage::key_of(id, id, "", None),
        size: Size::new(10, 10),
        bands: 3,
        tags: fold.map(|fold| ("fold".to_owned(), fold.to_owned())).into_iter().collect(),
        members: None,
    }
}

#[test]
fn an_image_is_scored_by_the_members_of_its_own_fold() {
    let inference = inference([member("a", Some("0")), member("b", Some("1")), member("c", Some("0"))]);
    let images = vec![image("x", Some("0")), image("y", Some("1")), image("z", Some("0"))];
    let (images, who) = out_of_fold(images, &inference).unwrap();
    let members: Vec<_> = images.iter().map(|image| image.members.clone().unwrap()).collect();
    assert_eq!(members, [vec![0, 2], vec![1], vec![0, 2]]);
    assert_eq!(who, ["fold 0: 2 images, scored by a, c", "fold 1: 1 images, scored by b"]);
}

#[test]
fn what_is_not_known_is_asked_for_by_name() {
    let tagged = inference([member("a", Some("0")), member("b", Some("1")), member("c", Some("2"))]);
    let refused = |images, inference: &Inference| out_of_fold(images, inference).unwrap_err().to_string();
    let message = refused(vec![image("x", Some("0")), image("y", None)], &tagged);
    assert!(message.contains("image y has no fold (1 of 2 images have none)"), "{message}");
    let message = refused(vec![image("x", Some("7"))], &tagged);
    assert!(message.contains("image x is of fold 7") && message.contains("fold 0, 1, 2"), "{message}");
    let untagged = inference([member("a", Some("0")), member("b", None), member("c", Some("2"))]);
    let message = refused(vec![image("x", Some("0"))], &untagged);
    assert!(message.contains("member b has no tag `fold`"), "{message}");
}
