//! Law 4 for what a job can say of views, windows and models: each case equals the plain reference.

use crate::plain_reference::{Case, F32};
use serde_json::{Value, json};

/// Compares jobs on an image of a few blocks. Members are [`members`] where a case names none.
fn are_plain<const N: usize>(cases: [(&'static str, Value); N]) {
    for (name, mut words) in cases {
        let own = words.as_object_mut().expect("the words of a job");
        own.entry("members").or_insert_with(members);
        Case { name, large: [150, 214], words, tiles: &[F32] }.is_plain();
    }
}

/// Two members, one of them of another scale and with windows that are not square.
fn members() -> Value {
    let input = json!({"mean": [0.5, 0.4375, 0.375], "std": [0.25, 0.1875, 0.25]});
    json!([
        {"onnx": "a.onnx", "weight": 0.75, "input": input, "window": {"size": 64, "stride": 40}},
        {"onnx": "b.onnx", "scale": 0.6, "input": input, "window": {"size": [40, 56], "overlap": 0.25,
            "edges": "spread", "padding": {"constant": 0.5}}},
    ])
}

#[test]
fn views_that_change_size_and_light() {
    let list = json!({"views": ["scale(0.75)", "scale(1.3)", "brightness(0.8)", "contrast(1.4)", "rot90"]});
    let twice = json!({"combine": "product",
        "views": ["rot180", "rot180", "scale(1.3)", "brightness(1.2)", "contrast(0.6)"]});
    let turns =
        json!({"combine": "product", "identity": false, "views": ["rot90", "transpose", "scale(0.75)"]});
    are_plain([
        ("a list", json!({"tta": list})),
        ("a product, in which some views come twice", json!({"tta": twice})),
        (
            "a product of turns, without the window as it is",
            json!({"tta": turns, "merge": {"space": "logits"}}),
        ),
    ]);
}

#[test]
fn every_way_to_merge_views() {
    let merge = |merge: &str, space: &str, members: &str| {
        let views = ["hflip", "rot90", "brightness(0.7)"];
        json!({"tta": {"views": views, "merge": merge, "space": space}, "merge": {"space": members}})
    };
    let (p, l) = ("probabilities", "logits");
    are_plain([
        ("gmean", merge("gmean", p, p)),
        ("max", merge("max", p, p)),
        ("min", merge("min", p, p)),
        ("sum", merge("sum", p, p)),
        ("tsharpen", merge("tsharpen", p, p)),
        ("sum of logits", merge("sum", l, l)),
        ("max of logits, members in probabilities", merge("max", l, p)),
        ("gmean, members in logits", merge("gmean", p, l)),
    ]);
}

#[test]
fn classes_that_change_places_in_mirrored_views() {
    let swap = json!([["c1", "c2"], ["c9", "c4"]]);
    // Left and right, above and below, and what a turn makes of them.
    let sides = json!({"hflip": swap, "vflip": [["c5", "c6"], ["c7", "c8"]],
        "transpose": [["c1", "c5"], ["c2", "c6"], ["c9", "c7"], ["c4", "c8"]]});
    let product = json!({"views": ["hflip", "rot90", "vflip", "scale(0.75)"], "combine": "product",
        "merge": "gmean", "swap": sides});
    are_plain([
        ("all views of the square", json!({"tta": {"views": "d4", "swap": sides}})),
        ("flips alone", json!({"tta": {"views": "flips", "swap": swap}})),
        ("a product of mirrors and sizes", json!({"tta": product})),
    ]);
}

#[test]
fn whole_images_and_the_statistics_of_each() {
    let (window, input) = (json!({"size": 64, "stride": 40}), json!({"normalize": "image", "color": "bgr"}));
    let whole = json!([
        {"onnx": "a.onnx", "weight": 0.5, "window": window},
        {"onnx": "fixed.onnx", "window": {"mode": "whole", "size": [48, 80]}},
        {"onnx": "b.onnx", "input": input, "window": {"mode": "whole", "size": 200}},
    ]);
    let fits = json!([
        {"onnx": "a.onnx", "window": {"mode": "whole", "size": [96, 80], "fit": "letterbox", "resample": "area"}},
        {"onnx": "b.onnx", "window": {"mode": "whole", "size": 72, "fit": "longest", "resample": "pillow-linear",
            "padding": {"constant": 0.25}}},
        {"onnx": "coarse.onnx", "window": {"mode": "whole", "size": [64, 96], "resample": "pillow-cubic"}},
        {"onnx": "a.onnx", "name": "padded", "window": {"mode": "whole", "fit": "multiple(32)"}},
        {"onnx": "c.onnx", "scale": 0.4, "window": {"size": 48, "stride": 30, "resample": "area"}},
        {"onnx": "b.onnx", "name": "larger", "scale": 1.3, "window": {"size": 64, "stride": 40, "resample": "cubic"}},
    ]);
    let statistics = json!([
        {"onnx": "a.onnx", "input": input, "window": window},
        {"onnx": "c.onnx", "input": input, "window": window, "scale": 1.4},
    ]);
    let way = |onnx: &str, scale: f64, what: Value| {
        let input = json!({"normalize": what});
        json!({"onnx": onnx, "window": window, "scale": scale, "input": input})
    };
    let together = json!([
        way("a.onnx", 1.0, json!({"over": "all", "mask": "nonzero"})),
        way("c.onnx", 0.7, json!({"percentiles": [2.5, 99.8], "clip": true})),
    ]);
    let greatest = json!([
        way("b.onnx", 1.0, json!({"by": "max", "over": "all"})),
        way("a.onnx", 0.7, json!({"by": "minmax"})),
    ]);
    let windows = json!([
        way("b.onnx", 1.0, json!({"per": "window", "by": "minmax"})),
        way("a.onnx", 0.8, json!({"per": "window", "over": "all", "percentiles": [1, 99]})),
    ]);
    let light = json!({"views": ["flips", "brightness(0.8)", "contrast(1.2)"]});
    are_plain([
        ("what is measured of all bands", json!({"tta": {"views": "hflip"}, "members": together})),
        ("the greatest and the least", json!({"members": greatest})),
        ("what is measured of windows", json!({"tta": {"views": "hflip"}, "members": windows})),
        (
            "whole images that keep their shape",
            json!({"tta": {"views": ["flips", "rot90"]}, "members": fits}),
        ),
        (
            "whole images beside windows",
            json!({"tta": {"views": ["hflip", "contrast(1.3)"]}, "members": whole}),
        ),
        (
            "windows with the statistics of their image",
            json!({"tta": light, "merge": {"space": "logits"}, "members": statistics}),
        ),
    ]);
}

#[test]
fn classes_that_share_pixels() {
    let thresholds = json!({"c0": 0.3, "c1": 0.65, "c5": 0.9, "c7": 0.05});
    let window = json!({"size": 64, "stride": 40});
    let job = |space: &str, members: &str| {
        let views = json!({"views": ["hflip", "scale(0.75)"], "merge": "max", "swap": [["c0", "c5"]],
            "space": space});
        json!({"tta": views, "merge": {"space": members}, "decide": {"thresholds": thresholds}, "members": [
            {"onnx": "a.onnx", "weight": 0.25, "output": {"multilabel": true}, "window": window},
            {"onnx": "sigmoid.onnx", "output": {"multilabel": true, "activation": "sigmoid"}, "window": window},
        ]})
    };
    let (p, l) = ("probabilities", "logits");
    are_plain([
        ("probabilities", job(p, p)),
        ("logits", job(l, l)),
        ("views in logits", job(l, p)),
        ("views in probabilities", job(p, l)),
    ]);
}

#[test]
fn outputs_that_are_smaller_or_coarser_than_the_window() {
    let margin = json!([
        {"onnx": "a.onnx", "window": {"size": 64, "margin": [10, 6], "overlap": 0.25}},
        {"onnx": "softmax.onnx", "output": {"activation": "softmax"}, "scale": 0.8,
            "window": {"size": [40, 72], "margin": 4, "stride": 30, "edges": "pad"}},
    ]);
    let centre = json!([
        {"onnx": "centre.onnx", "window": {"size": 64, "overlap": 0.3}},
        {"onnx": "centre.onnx", "name": "by stride", "output": {"fit": "centre"},
            "window": {"size": [72, 40], "stride": 30}},
        {"onnx": "a.onnx", "name": "all of it", "output": {"fit": "centre"}, "window": {"size": 64, "margin": [10, 6]}},
    ]);
    let coarse = json!([
        {"onnx": "coarse.onnx", "window": {"size": 64, "stride": 40, "margin": 8}},
        {"onnx": "coarse.onnx", "name": "odd", "window": {"size": [45, 57], "edges": "spread"}},
        {"onnx": "centre.onnx", "name": "stretched", "output": {"fit": "resize"}, "window": {"size": 64, "stride": 40}},
    ]);
    let views = json!({"views": ["flips", "rot90", "scale(1.25)"]});
    are_plain([
        ("a margin", json!({"tta": {"views": ["d4", "scale(1.3)"]}, "members": margin})),
        ("the centre of a window", json!({"tta": {"views": "d4"}, "members": centre})),
        ("coarser pixels", json!({"tta": views, "merge": {"space": "logits"}, "members": coarse})),
    ]);
}
