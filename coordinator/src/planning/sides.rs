//! Classes that are one side of the image or the other, which views exchange.

use marquetry_geometry::{D4, Size};
use marquetry_spec::{JobSpec, Swap};

/// What there is to tell of classes that are called by their side, in a job whose views exchange left and right and that does
/// not say which classes do.
pub(crate) fn unsaid_sides(spec: &JobSpec) -> Option<String> {
    if spec.tta.swap != Swap::None {
        return None;
    }
    let views = spec.tta.views.resolve(Size::square(64), false).ok()?;
    let view = views.iter().find(|view| ![D4::IDENTITY, D4::VFLIP].contains(&view.d4))?;
    let names = spec.class_names();
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let other = |name: &String| lower.iter().position(|other| *other == name.replace("left", "right"));
    let (left, right) = lower
        .iter()
        .enumerate()
        .filter(|(_, name)| name.contains("left"))
        .find_map(|(place, name)| Some((&names[place], &names[other(name)?])))?;
    Some(format!(
        "views such as {} exchange left and right, and `{left}` and `{right}` are called by their sides: if that is where in the \
         image they are, say tta.swap: [[{left}, {right}]], or leave such views out",
        view.d4
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_called_by_their_sides_are_told_where_views_exchange_them() {
        let told = |classes: &str, tta: &str| {
            let job = format!(
                "version: 1\nimages: x\nclasses: {classes}\nmembers: [{{onnx: a}}]\ntta: {tta}\noutputs: [{{masks: png}}]\n"
            );
            unsaid_sides(&JobSpec::parse(&job).unwrap())
        };
        let sides = "[background, Left_lung, right_lung]";
        let text = told(sides, "{views: flips}").unwrap();
        assert!(
            text.contains("views such as hflip") && text.contains("tta.swap: [[Left_lung, right_lung]]"),
            "{text}"
        );
        assert!(told("[left, right]", "{views: [rot90]}").is_some());
        for (classes, tta) in [
            (sides, "{views: [vflip]}"),
            (sides, "{}"),
            (sides, "{views: flips, swap: [[Left_lung, right_lung]]}"),
            ("[background, left_lung]", "{views: flips}"),
            ("[background, lung]", "{views: flips}"),
        ] {
            assert_eq!(told(classes, tta), None, "{classes} {tta}");
        }
    }
}
