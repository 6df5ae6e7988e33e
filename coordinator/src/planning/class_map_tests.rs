use super::*;

fn job(classes: &str, output: &str, decide: &str) -> JobSpec {
    let text = format!(
        "version: 1\nimages: x\nclasses: {classes}\nmembers: [{{onnx: a, output: {output}}}]\ndecide: {decide}\noutputs: [{{masks: png}}]\n"
    );
    JobSpec::parse(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn settle_in(
    spec: &JobSpec,
    count: u32,
    names: Option<&[&str]>,
    applied: OutputActivation,
) -> Result<SettledClasses, String> {
    let names: Option<Vec<String>> = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    let channels = Channels { count, applied, names: names.as_deref(), label_max: None };
    settle_classes(spec, &spec.members[0].output, &channels)
}

fn settle(classes: &str, output: &str, count: u32, names: Option<&[&str]>) -> Result<SettledClasses, String> {
    settle_in(&job(classes, output, "{}"), count, names, OutputActivation::None)
}

fn map(channels: &[&[u16]], rest: Rest) -> ClassMap {
    ClassMap { channels: channels.iter().map(|own| own.to_vec()).collect(), rest }
}

#[test]
fn channels_are_named_and_the_rest_is_the_background_s() {
    let of = |output: &str, count| settle("[background, person, road]", output, count, None).unwrap();
    let two = of("{classes: {person: 15, road: [1, 3]}}", 21);
    assert_eq!(two.map, map(&[&[], &[15], &[1, 3]], Rest::Class(0)));
    assert_eq!(two.choice.from, Origin::Said);
    assert_eq!(two.choice.value, "person = channel 15 · road = channel 1 + 3 · background = the rest");
    let dropped = of("{classes: {person: 15, road: [1, 3]}, rest: drop}", 21);
    assert_eq!(dropped.map, map(&[&[], &[15], &[1, 3]], Rest::Dropped));
    assert!(dropped.choice.value.ends_with("the rest dropped · nothing of background"));
    // All channels are named: nothing is left for a background that the model does not know.
    let known = of("{classes: {person: 1, road: 0}}", 2);
    assert_eq!(known.map, map(&[&[], &[1], &[0]], Rest::None));
    assert!(known.choice.value.ends_with("nothing of background"));
    // One channel, or independent ones, leave something of 1.
    assert_eq!(of("{classes: {person: 0}}", 1).map, map(&[&[], &[0], &[]], Rest::Class(0)));
    let error = settle("[background, road]", "{classes: {road: 4}}", 4, None).unwrap_err();
    assert!(
        error.contains("class `road` is channel 4, and the head has 4 channels, counted from 0"),
        "{error}"
    );
    let error = settle("[background, road]", "{classes: {road: [1, 3]}, rest: drop}", 4, None).unwrap_err();
    assert!(error.contains("would be certain everywhere"), "{error}");
}

#[test]
fn the_model_s_own_names_give_the_order() {
    let of = |names: &[&str]| settle("[sky, road, car, tree]", "{}", names.len() as u32, Some(names));
    let same = of(&["sky", "road", "car", "tree"]).unwrap();
    assert_eq!((same.map, same.choice.from), (ClassMap::default(), Origin::Metadata));
    let turned = of(&["car", "Sky", "tree", "road"]).unwrap();
    assert_eq!(turned.map, map(&[&[1], &[3], &[0], &[2]], Rest::None));
    let more = of(&["car", "dog", "sky", "tree", "road", "cat"]).unwrap();
    assert_eq!(more.map, map(&[&[2], &[4], &[0], &[3]], Rest::Class(0)));
    let fewer = of(&["road", "sky"]).unwrap();
    assert_eq!(fewer.map, map(&[&[1], &[0], &[], &[]], Rest::None));
    assert!(fewer.choice.value.ends_with("nothing of car, tree"));
    // Other words for the same classes, in place: taken one for one, and told.
    let other = of(&["sky", "street", "car", "wood"]).unwrap();
    assert_eq!(other.map, ClassMap::default());
    assert!(other.warning.unwrap().contains("sky, street, car, wood"));
    assert_eq!(of(&["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"]).unwrap().warning, None);
    let error = of(&["car", "sky", "wood", "road"]).unwrap_err();
    assert!(error.contains("car, sky, wood, road") && error.contains("output.classes"), "{error}");
    // Counted from 1: what has no name is the background's, if that is not named.
    let one = settle("[background, person, car]", "{}", 3, Some(&["", "car", "person"])).unwrap();
    assert_eq!(one.map, map(&[&[0], &[2], &[1]], Rest::None));
    // What the job says comes first, and what contradicts it is told.
    let said = settle("[a, b]", "{classes: {a: 0, b: 1}}", 2, Some(&["b", "a"])).unwrap();
    assert_eq!(said.map, map(&[&[0], &[1]], Rest::None));
    let told = said.warning.unwrap();
    assert!(
        told.contains("by the job `a` is channel 0, which is `b` by the model's own metadata (b, a)"),
        "{told}"
    );
    let of = |output: &str, names: &[&str]| settle("[a, b]", output, 3, Some(names)).unwrap().warning;
    let told = of("{classes: {a: [0, 1]}}", &["x", "y", "a"]).unwrap();
    assert!(told.contains("`a` is channel 0, and not 2 by the model's"), "{told}");
    for (output, names) in
        [("{classes: {a: [0, 2], b: 1}}", &["a", "b", "z"]), ("{classes: {b: 1}}", &["a", "b", "a"])]
    {
        assert_eq!(of(output, names), None, "{output}");
    }
    // No class is called background, and the first gets the third channel.
    let told = of("{classes: {a: 0, b: 1}}", &["x", "y", "z"]).unwrap();
    assert!(told.contains("counts as `a`") && told.contains("rest: drop"), "{told}");
    assert_eq!(of("{classes: {a: 0, b: 1}, rest: background}", &["x", "y", "z"]), None, "it is said");
    let one = |classes: &str| settle(classes, "{}", 1, None).unwrap().warning.unwrap_or_default();
    assert!(one("[road, other]").contains("is taken for `other`"));
    assert_eq!(one("[background, road]"), "");
}

#[test]
fn one_channel_is_the_class_that_is_not_the_background() {
    let of = |decide: &str| {
        settle_in(&job("[cell, nothing]", "{}", decide), 1, None, OutputActivation::Sigmoid).unwrap()
    };
    assert_eq!(of("{}").map, ClassMap::default());
    let first = of("{background: nothing}");
    assert_eq!(first.map, ClassMap::object(0));
    assert_eq!(first.choice.value, "its one channel is `cell`");
    // Unless it is the background's, by the model's own word.
    let named = |output: &str, decide: &str, name: &str| {
        let spec = job("[background, cell]", output, decide);
        settle_in(&spec, 1, Some(&[name]), OutputActivation::Sigmoid)
    };
    let error = named("{}", "{}", "Background").unwrap_err();
    assert!(error.contains("calls its one channel `background`"), "{error}");
    assert!(
        error.contains("output.classes: {cell: 0}") && error.contains("decide.background: cell"),
        "{error}"
    );
    assert_eq!(
        named("{}", "{background: cell}", "background").unwrap().map,
        map(&[&[0], &[]], Rest::Class(1))
    );
    assert_eq!(named("{}", "{}", "cell").unwrap().map, map(&[&[], &[0]], Rest::Class(0)));
}

#[test]
fn labels_go_by_their_numbers_unless_they_are_named() {
    let of = |output: &str, label_max| {
        let spec = job("[background, road, car]", output, "{}");
        let channels =
            Channels { count: 1, applied: OutputActivation::Labels, names: None, label_max: Some(label_max) };
        settle_classes(&spec, &spec.members[0].output, &channels)
    };
    assert_eq!(of("{}", 2).unwrap().map, ClassMap::default());
    let error = of("{}", 7).unwrap_err();
    assert!(error.contains("labels up to 7") && error.contains("output.classes: {car: …}"), "{error}");
    let named = of("{classes: {road: [7, 8], car: 13}}", 18).unwrap();
    assert_eq!(named.map, map(&[&[], &[7, 8], &[13]], Rest::Class(0)));
}

#[test]
fn what_cannot_be_told_is_refused_with_what_helps() {
    for (classes, count, words) in [
        (
            "[background, road, car]",
            2,
            "in the job's order without `background`, output: {classes: {road: 0, car: 1}}",
        ),
        ("[background, road, car]", 1, "without `background`, output: {classes: {road: 0}}"),
        ("[background, road]", 4, "in the job's order, output: {classes: {background: 0, road: 1}}"),
        ("[background, road]", 4, "it says 4 channels per pixel, and the job names 2 classes"),
    ] {
        let error = settle(classes, "{}", count, None).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let error = settle("[background, road]", "{}", 3, Some(&["x", "y", "z"])).unwrap_err();
    assert!(error.contains("the model's own names are 0 x, 1 y, 2 z"), "{error}");
}
