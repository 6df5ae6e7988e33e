use super::*;
use crate::test_plans::{image, inference, member};
use marquetry_job::Member;
use std::collections::BTreeMap;

fn tags(fold: Option<&str>) -> BTreeMap<String, String> {
    fold.map(|fold| ("fold".to_owned(), fold.to_owned())).into_iter().collect()
}

/// Members a and b in one group, c in another, each of a fold.
fn of_folds(folds: [Option<&str>; 3]) -> Inference {
    let [a, b, c]: [Member; 3] =
        std::array::from_fn(|n| Member { tags: tags(folds[n]), ..member(["a", "b", "c"][n]) });
    inference(vec![vec![a, b], vec![c]])
}

fn image_of(id: &str, fold: Option<&str>) -> PlannedImage {
    PlannedImage { tags: tags(fold), ..image(id) }
}

#[test]
fn an_image_is_scored_by_the_members_of_its_own_fold() {
    let inference = of_folds([Some("0"), Some("1"), Some("0")]);
    let images = vec![image_of("x", Some("0")), image_of("y", Some("1")), image_of("z", Some("0"))];
    let (images, who) = out_of_fold(images, FoldTags::LeftOut, &inference, &|_, _| true).unwrap();
    let members: Vec<_> = images.iter().map(|image| image.members.clone().unwrap()).collect();
    assert_eq!(members, [vec![0, 2], vec![1], vec![0, 2]]);
    assert_eq!(who, ["fold 0: 2 images, scored by a, c", "fold 1: 1 images, scored by b"]);
}

#[test]
fn a_fold_is_the_same_however_it_is_written() {
    let inference = of_folds([Some("fold00"), Some("1"), Some("b")]);
    let images = vec![image_of("x", Some("0.0")), image_of("y", Some("fold_1")), image_of("z", Some(" b"))];
    let (images, who) = out_of_fold(images, FoldTags::LeftOut, &inference, &|_, _| true).unwrap();
    let members: Vec<_> = images.iter().map(|image| image.members.clone().unwrap()).collect();
    assert_eq!(members, [vec![0], vec![1], vec![2]]);
    assert_eq!(who[0], "fold 0: 1 images, scored by a");
}

#[test]
fn what_is_not_known_is_asked_for_by_name() {
    let tagged = of_folds([Some("0"), Some("1"), Some("2")]);
    let refused = |images, inference: &Inference| {
        out_of_fold(images, FoldTags::LeftOut, inference, &|_, _| true).unwrap_err().to_string()
    };
    let message = refused(vec![image_of("x", Some("0")), image_of("y", None)], &tagged);
    assert!(message.contains("image y has no fold (1 of 2 images have none)"), "{message}");
    let message = refused(vec![image_of("x", Some("7"))], &tagged);
    assert!(message.contains("image x is of fold 7") && message.contains("fold 0, 1, 2"), "{message}");
    let untagged = of_folds([Some("0"), None, Some("2")]);
    let message = refused(vec![image_of("x", Some("0"))], &untagged);
    assert!(message.contains("member b has no tag `fold`"), "{message}");
}

#[test]
fn the_other_convention_asks_all_but_those_that_have_seen_the_fold() {
    let inference = of_folds([Some("0"), Some("1"), Some("2")]);
    let images = vec![image_of("x", Some("0")), image_of("y", Some("2")), image_of("z", Some("9"))];
    let (images, who) = out_of_fold(images, FoldTags::Seen, &inference, &|_, _| true).unwrap();
    let members: Vec<_> = images.iter().map(|image| image.members.clone().unwrap()).collect();
    assert_eq!(members, [vec![1, 2], vec![0, 1], vec![0, 1, 2]]);
    assert_eq!(who[3], "fold 9: 1 images, scored by a, b, c");
    let alone = of_folds([Some("0"), Some("0"), Some("0")]);
    let refused = out_of_fold(vec![image_of("x", Some("0"))], FoldTags::Seen, &alone, &|_, _| true);
    assert!(refused.unwrap_err().to_string().contains("no member was trained without it"));
    let all = of_folds([Some("0"), Some("all"), Some("1")]);
    let refused = out_of_fold(vec![image_of("x", Some("0"))], FoldTags::LeftOut, &all, &|_, _| true);
    assert!(refused.unwrap_err().to_string().contains("member b is tagged `fold: all`"));
}
