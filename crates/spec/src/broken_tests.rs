//! Job files with something wrong in them, what is said about it, and whether the schema sees it too.

use super::JobSpec;

/// A job file that starts with `lines`; what is needed and not in them follows.
pub(super) fn job(lines: &str) -> String {
    let needed = [
        ("version:", "version: 1"),
        ("images:", "images: data/*.png"),
        ("classes:", "classes: [background, nucleus]"),
        ("members:", "members: [{onnx: a.onnx}]"),
        ("outputs:", "outputs: [{masks: png}]"),
    ];
    let given = |key: &str| lines.lines().any(|line| line.starts_with(key));
    let rest: Vec<&str> = needed.iter().filter(|(key, _)| !given(key)).map(|(_, line)| *line).collect();
    format!("{lines}\n{}\n", rest.join("\n"))
}

/// What is wrong, one line each; and whether the schema refuses it as well. Some things only the parser can know.
pub(super) struct Broken {
    pub(super) lines: &'static str,
    errors: &'static str,
    pub(super) seen_by_schema: bool,
}

const fn seen(lines: &'static str, errors: &'static str) -> Broken {
    Broken { lines, errors, seen_by_schema: true }
}

const fn meant(lines: &'static str, errors: &'static str) -> Broken {
    Broken { lines, errors, seen_by_schema: false }
}

#[rustfmt::skip]
pub(super) const BROKEN: &[Broken] = &[
    // The whole file.
    seen("stor: ./out", "line 1: stor: unknown key (did you mean `store`?); allowed are version, name, preset, images, classes, labels, truth, region, defaults, members, folds, tta, merge, cascade, gate, decide, outputs, allow, priority, device, precision, store, subset, nights, tiles, limits, failures"),
    seen("version: 2", "line 1: version: given `2`; allowed is a whole number from 1 to 1"),
    meant("name: a\nname: b", "line 2: name: given twice, first in line 1; keep one of them"),
    seen("name: My Job", "line 1: name: given `My Job`; allowed is 1 to 64 of a-z, 0-9, `-`, `_` and `.`, the first a letter or digit"),
    seen("name: ../x", "line 1: name: given `../x`; allowed is 1 to 64 of a-z, 0-9, `-`, `_` and `.`, the first a letter or digit"),
    seen("name: 2024", "line 1: name: given `2024`; allowed is 1 to 64 of a-z, 0-9, `-`, `_` and `.`, the first a letter or digit (in quotes)"),
    seen("name:", "line 1: name: given nothing; allowed is 1 to 64 of a-z, 0-9, `-`, `_` and `.`, the first a letter or digit"),
    seen("preset: nnunett", "line 1: preset: given `nnunett`; allowed is nnunet, monai or mmseg-slide (did you mean `nnunet`?)"),
    seen("allow: [bach]", "line 1: allow[0]: given `bach`; allowed is activation, batch, classes, constant, fit, folds, head, outlines, purpose, random, region, scale, truth, views or weights (did you mean `batch`?)"),
    seen("allow: batch", "line 1: allow: given `batch`; allowed is a list of words that warnings name"),
    // Images and classes.
    seen("images: {form: x}", "line 1: images.form: unknown key (did you mean `from`?); allowed are from, bands, page, pages, alpha, nodata\nline 1: images.from: missing; needed is a glob, a folder, a CSV file, or s3://bucket/prefix"),
    seen("images: gs://bucket/x", "line 1: images: given `gs://bucket/x`; allowed is a glob, a folder, a CSV file, or s3://bucket/prefix"),
    seen("images: s3:///x", "line 1: images: given `s3:///x`; allowed is a glob, a folder, a CSV file, or s3://bucket/prefix"),
    meant("images: 'a/{b/*.png'", "line 1: images: given `\"a/{b/*.png\"`; allowed is a pattern in which every `{` has its `}` (position 3)"),
    seen("images: {from: x, bands: [0, 1, 0]}", "line 1: images.bands: band 0 is named twice"),
    seen("images: {from: x, nodata: maybe}", "line 1: images.nodata: given `maybe`; allowed is `auto`, `none` or a number"),
    seen("images: {from: x, bands: [0, -1]}", "line 1: images.bands[1]: given `-1`; allowed is a whole number from 0 to 65534"),
    seen("classes: []", "line 1: classes: 0 classes; allowed are 1 to 65535"),
    seen("classes: nucleus", "line 1: classes: given `nucleus`; allowed is a list of names, or of {name, color: \"#rrggbb\"}"),
    meant("classes: [a, b, a]", "line 1: classes[2]: class `a` is already class 0; names are unique"),
    seen("classes: [a, {name: b, color: red}]", "line 1: classes[1].color: given `red`; allowed is \"#rrggbb\", in quotes"),
    seen("classes: [a, 1]", "line 1: classes[1]: given `1`; allowed is a name without line breaks and without spaces around it (in quotes)"),
    meant("classes: [a]", "line 1: classes: one class that excludes all others is everywhere; add a background, or set output.multilabel: true"),
    // Values of labels.
    meant("classes: [ground, road, house]\nlabels:\n  raod: 7", "line 3: labels.raod: given class `raod`; allowed is the name of a class (did you mean `road`?)"),
    meant("classes: [ground, road, house]\nlabels:\n  road: 7\n  house: 7", "line 4: labels.house: 7 is the value of class `road` too; each class has its own"),
    meant("classes: [ground, road, house]\nlabels: {road: 2}", "line 2: labels.road: 2 is the place of class `house`, which keeps it as its value; name that class too, or take another"),
    meant("classes: [ground, road, house]\nlabels: {road: 2, house: 0}", "line 2: labels.house: 0 is the place of class `ground`, which keeps it as its value; name that class too, or take another"),
    meant("labels: {nucleus: 255}", "line 1: labels.nucleus: 255 is failures.ignore, which stands for pixels that could not be computed; give one of the two another value"),
    meant("labels: {nucleus: 9}\nfailures: {ignore: 9}", "line 1: labels.nucleus: 9 is failures.ignore, which stands for pixels that could not be computed; give one of the two another value"),
    seen("labels: {nucleus: 65536}", "line 1: labels.nucleus: given `65536`; allowed is a whole number from 0 to 65535"),
    seen("labels: {nucleus: -1}", "line 1: labels.nucleus: given `-1`; allowed is a whole number from 0 to 65535"),
    seen("labels: [0, 7]", "line 1: labels: given `[0, 7]`; allowed is a map from class to the value that it has in masks and tables"),
    meant("labels: {nucleus: 7}\ndefaults: {output: {multilabel: true}}", "line 1: labels: classes do not exclude each other (multilabel: true): each has a mask of its own, in which 1 is the class and 0 is not; leave it out"),
    // Members.
    seen("members: []", "line 1: members: no member; needed is at least one"),
    seen("members: [a.onnx]", "line 1: members[0]: given `a.onnx`; allowed is a map of onnx, name, weight, scale, batch, tags, input, output, window"),
    seen("members: [{weight: 1}]", "line 1: members[0].onnx: missing; needed is the path of a model, or a pattern such as models/fold{0..4}.onnx"),
    meant("members: [{onnx: 'f{0-4}.onnx'}]", "line 1: members[0].onnx: given `\"f{0-4}.onnx\"`; allowed is a list such as {a,b} or a range such as {0..4} in braces, not {0-4}"),
    seen("members:\n  - onnx: a.onnx\n  - onnx: b.onnx\n    window:\n      overlap: 1", "line 5: members[1].window.overlap: given `1`; allowed is a fraction from 0 to less than 1"),
    seen("members: [{onnx: a, weight: -1}]", "line 1: members[0].weight: given `-1`; allowed is a number, 0 or more"),
    seen("members: [{onnx: a, weight: .nan}]", "line 1: members[0].weight: given `.nan`; allowed is a number, 0 or more"),
    meant("members: [{onnx: a, weight: 1e39}]", "line 1: members[0].weight: given `1e39`; allowed is a number, 0 or more"),
    meant("members: [{onnx: a, weight: [1, 1, 1]}]", "line 1: members[0].weight: 3 weights for 2 classes; needed is one for each"),
    meant("members: [{onnx: a, weight: {nucelus: 1}}]", "line 1: members[0].weight.nucelus: given class `nucelus`; allowed is the name of a class (did you mean `nucleus`?)"),
    meant("members: [{onnx: a, weight: {nucleus: 0}}, {onnx: b, weight: [1, 0]}]", "line 1: members: all weights of class `nucleus` are 0; needed is at least one above 0"),
    meant("members: [{onnx: a, name: x}, {onnx: b, name: x}]", "line 1: members[1]: another member is called `x` too; names are unique"),
    seen("members: [{onnx: a, batch: 0}]", "line 1: members[0].batch: given `0`; allowed is a whole number from 1 to 4096"),
    seen("members: [{onnx: a, tags: {fold: [1]}}]", "line 1: members[0].tags.fold: given `[1]`; allowed is a word or a number"),
    seen("members: [{onnx: a, scale: 0}]", "line 1: members[0].scale: given `0`; allowed is a factor from 0.01 to 100"),
    meant("members: [{onnx: a, output: {multilabel: true}}, {onnx: b}]", "line 1: members: output.multilabel is true for member 0 and false for member 1; all members must agree"),
    // Input and output.
    seen("defaults: {input: {std: [1, 0]}}", "line 1: defaults.input.std[1]: given `0`; allowed is a number above 0"),
    seen("defaults: {input: {mean: []}}", "line 1: defaults.input.mean: given `[]`; allowed is a number, or a list with one for each band"),
    seen("defaults: {input: {normalize: image, mean: 0}}", "line 1: defaults.input.mean: not used with normalize: image; leave it out, or set normalize: fixed"),
    seen("defaults: {input: {scale: 1/255}}", "line 1: defaults.input.scale: given `1/255`; allowed is auto or a number above 0"),
    meant("members: [{onnx: a, input: {mean: [1, 2, 3], std: [1, 2]}}]", "line 1: members[0].input: mean has 3 values and std has 2; allowed is one for all bands or one for each"),
    meant("members: [{onnx: a, input: {mean: [1, 2, 3], bands: [0]}}]", "line 1: members[0].input: mean has 3 values and bands has 1; allowed is one for all bands or one for each"),
    meant("images: {from: x, bands: [4, 5]}\ndefaults: {input: {bands: [2]}}", "line 5: members[0]: band 2 is not among the 2 of images.bands (counted from 0)"),
    seen("defaults: {output: {activation: relu}}", "line 1: defaults.output.activation: given `relu`; allowed is auto, none, softmax, sigmoid or labels"),
    seen("members: [{onnx: a, output: {activation: softmax, multilabel: true}}]", "line 1: members[0].output: activation: softmax makes classes exclude each other, and multilabel: true says that they do not"),
    seen("defaults: {output: {activation: labels, multilabel: true}}", "line 5: members[0]: activation: labels says one class a pixel, and multilabel: true that there may be several"),
    seen("members: [{onnx: a, output: {rest: background, multilabel: true}}]", "line 1: members[0].output: multilabel: true has no background that rest: background could give probability to"),
    seen("members: [{onnx: a, output: {classes: {nucleus: [1, 1]}}}]", "line 1: members[0].output.classes: channel 1 is named twice; it is of one class"),
    meant("members: [{onnx: a, output: {classes: {nucleus: 1, background: [0, 1]}}}]", "line 1: members[0].output.classes: channel 1 is named twice; it is of one class"),
    meant("members: [{onnx: a, output: {classes: {nuclei: 1}}}]", "line 1: members[0].output.classes.nuclei: given class `nuclei`; allowed is the name of a class (did you mean `nucleus`?)"),
    seen("members: [{onnx: a, output: {classes: {nucleus: -1}}}]", "line 1: members[0].output.classes.nucleus: given `-1`; allowed is a whole number from 0 to 65534"),
    seen("members: [{onnx: a, output: {classes: {nucleus: []}}}]", "line 1: members[0].output.classes.nucleus: given `[]`; allowed is a channel, or a list of channels"),
    meant("members: [{onnx: a, output: {classes: {}}}]", "line 1: members[0].output.classes: no class; needed is at least one"),
    seen("defaults: {output: {multilabel: yes}}", "line 1: defaults.output.multilabel: given `yes`; allowed is true or false"),
    // Windows.
    seen("defaults: {window: {size: 0}}", "line 1: defaults.window.size: given `0`; allowed is a whole number from 1 to 16384"),
    seen("defaults: {window: {size: 512x512}}", "line 1: defaults.window.size: given `512x512`; allowed is a whole number from 1 to 16384"),
    seen("defaults: {window: {size: [1, 2, 3]}}", "line 1: defaults.window.size: given `[1, 2, 3]`; allowed is a number of pixels, or two of them: [y, x]"),
    seen("defaults: {window: {overlap: 0.5, stride: 64}}", "line 1: defaults.window.stride: overlap is given too; keep one of them"),
    meant("defaults: {window: {fit: letterbox}}", "line 1: defaults.window.fit: used with mode: whole alone; leave it out, or set mode: whole"),
    meant("defaults: {window: {mode: whole, padding: reflect}}", "line 1: defaults.window.padding: not used with fit: stretch, which leaves nothing to fill; leave it out, or set fit: letterbox"),
    meant("defaults: {input: {normalize: {by: max, percentiles: [1, 99]}}}", "line 1: defaults.input.normalize: percentiles is for by: percentiles alone; leave one of the two out"),
    seen("defaults: {input: {normalize: {percentiles: 99}}}", "line 1: defaults.input.normalize.percentiles: given `99`; allowed is two percentiles from 0 to 100: [low, high]"),
    meant("defaults: {input: {normalize: {percentiles: [99, 1]}}}", "line 1: defaults.input.normalize: the lower percentile 99 is not below the higher one, 1"),
    meant("defaults: {input: {normalize: {over: all}, mean: 3}}", "line 1: defaults.input.mean: not used where normalize measures; leave it out"),
    seen("defaults: {window: {mode: whole, overlap: 0.5}}", "line 1: defaults.window.overlap: not used with mode: whole; leave it out, or set mode: slide"),
    meant("members: [{onnx: a, scale: 2, window: {mode: whole}}]", "line 1: members[0].scale: not used with window.mode: whole, which resizes the image to the window's size"),
    meant("members: [{onnx: a, window: {size: 64, margin: [32, 0]}}]", "line 1: members[0].window: margin 32 × 0 px leaves nothing of a window of 64 × 64 px; allowed is less than half the window"),
    meant("members: [{onnx: a, window: {size: 64, margin: 8, stride: 49}}]", "line 1: members[0].window: stride 49 × 49 px leaves pixels out; allowed is 1 to 48 × 48 px, the window without its margin"),
    seen("defaults: {window: {padding: {constant: black}}}", "line 1: defaults.window.padding.constant: given `black`; allowed is a number in the units of the model's input"),
    seen("defaults: {window: {padding: mirror}}", "line 1: defaults.window.padding: given `mirror`; allowed is reflect, replicate or constant"),
    seen("defaults: {window: {importance: gaus}}", "line 1: defaults.window.importance: given `gaus`; allowed is gaussian, constant, gaussian-nnunet or pyramid (did you mean `gaussian`?)"),
    // Views and merging.
    seen("tta: {views: rot45}", "line 1: tta.views: `rot45` is no view: allowed are d4, flips, identity, hflip, vflip, rot90, rot180, rot270, transpose, antitranspose, scale(f), brightness(f) and contrast(f) with 0.1 ≤ f ≤ 10"),
    meant("tta: {views: [hflip, scale(20)]}", "line 1: tta.views[1]: `scale(20)` is no view: allowed are d4, flips, identity, hflip, vflip, rot90, rot180, rot270, transpose, antitranspose, scale(f), brightness(f) and contrast(f) with 0.1 ≤ f ≤ 10"),
    meant("tta: {identity: false}", "line 1: tta.identity: no view is left to run"),
    meant("tta: {views: d4, merge: gmean, space: logits}", "line 1: tta.merge: merging views by Gmean takes roots or logarithms, and logits can be negative: merge in probabilities, or by mean, max, min or sum"),
    meant("tta: {views: d4, merge: sum}\ndecide: {rule: threshold}", "line 2: decide: tta.merge makes sums that are no probabilities, and thresholds need them; merge views by mean, gmean, max or min, or use rule: argmax"),
    meant("tta: {views: d4, merge: sum, space: probabilities}\nmerge: {space: logits}", "line 2: merge: tta.merge makes sums that are no probabilities, so no logits can be had from them; merge views by mean, gmean, max or min"),
    meant("tta: {views: rot90, swap: [[background, nucleus]]}", "line 1: tta.swap: view rot90 lays left and right above each other, and nothing says which classes change places in it: say so, as in swap: {hflip: [[left, right]], transpose: []}, or leave such views out"),
    meant("tta: {views: flips, swap: [[left, nucleus]]}", "line 1: tta.swap[0][0]: given `left`; allowed is the name of a class"),
    meant("tta: {views: flips, swap: [[nucleus, nucleus]]}", "line 1: tta.swap[0]: class `nucleus` changes places twice"),
    meant("tta: {views: vflip, swap: [[background, nucleus]]}", "line 1: tta.swap: no classes change places in any of the views; leave it out"),
    meant("tta: {views: flips, swap: {rot45: []}}", "line 1: tta.swap.rot45: `rot45` is no view that is mirrored or turned; allowed is hflip, vflip, rot90, rot180, rot270, transpose or antitranspose"),
    seen("tta: {views: d4, swap: [[nucleus]]}", "line 1: tta.swap[0]: given `[nucleus]`; allowed is a pair of class names: [left, right]"),
    seen("merge: {space: probs}", "line 1: merge.space: given `probs`; allowed is probabilities or logits"),
    // Decisions.
    seen("decide: {rule: argmax, thresholds: 0.5}", "line 1: decide.thresholds: used by rule: threshold only; leave it out"),
    seen("decide: {factors: {nucleus: 0}}", "line 1: decide.factors.nucleus: given `0`; allowed is a factor from 0.001 to 1000"),
    seen("decide: {factors: 2}", "line 1: decide.factors: given `2`; allowed is a map from class to factor"),
    seen("decide: {factors: {nucleus: 2}, thresholds: 0.5}", "line 1: decide.factors: used by rule: argmax only; leave it out"),
    meant("decide: {factors: {nucleus: 2}, triplet: {top: 0.7, area_px: 10, bottom: 0.4}}", "line 1: decide.factors: used by rule: argmax only; leave it out"),
    seen("decide: {thresholds: 1.5}", "line 1: decide.thresholds: given `1.5`; allowed is a probability from 0 to 1"),
    meant("decide: {thresholds: {background: 0.5}}", "line 1: decide.thresholds: class `background` is the background, which has no such value"),
    seen("decide: {rule: triplet}", "line 1: decide.triplet: missing; needed is {top, area_px, bottom}, or one for each class"),
    seen("decide: {triplet: {top: 0.7, area_px: 10}}", "line 1: decide.triplet.bottom: missing; needed is a probability from 0 to 1"),
    meant("decide: {triplet: {top: 0.3, area_px: 10, bottom: 0.7}}", "line 1: decide.triplet: bottom 0.7 is above top 0.3; allowed is at most top"),
    meant("classes: [a, b, c]\ndecide: {triplet: {top: 0.7, area_px: 10, bottom: 0.3}}", "line 2: decide.triplet: the triplet rule needs exactly two classes, or classes that do not exclude each other (output.multilabel: true)"),
    meant("defaults: {output: {multilabel: true}}\ndecide: {rule: argmax}", "line 2: decide.rule: argmax picks one class, and these do not exclude each other (multilabel: true); use threshold or triplet"),
    meant("defaults: {output: {multilabel: true}}\ndecide: {background: background}", "line 2: decide.background: classes do not exclude each other (multilabel: true), so none is background"),
    meant("defaults: {output: {multilabel: true}}\ndecide: {triplet: {nucleus: {top: 0.7, area_px: 1, bottom: 0.3}}}", "line 2: decide.triplet: class `background` has no triplet; needed is one for each"),
    meant("decide: {largest: [background]}", "line 1: decide.largest: class `background` is the background, which has no regions"),
    meant("decide: {fill_holes: [hole]}", "line 1: decide.fill_holes[0]: given `hole`; allowed is the name of a class"),
    seen("decide: {min_area: -3}", "line 1: decide.min_area: given `-3`; allowed is a whole number from 0 up"),
    seen("decide: {connectivity: 6}", "line 1: decide.connectivity: given `6`; allowed is 4 or 8"),
    // Outputs.
    seen("outputs: []", "line 1: outputs: no output; needed is at least one"),
    seen("outputs: [{mask: png}]", "line 1: outputs[0].mask: unknown key (did you mean `masks`?); allowed are masks, probabilities, submission, coco, polygons, soft_labels, pseudo_labels, uncertainty, ranking, evaluation, label_quality, corrected_labels, probes, report"),
    seen("outputs: [masks]", "line 1: outputs[0]: given `masks`; allowed is a map with one of masks, probabilities, submission, coco, polygons, soft_labels, pseudo_labels, uncertainty, ranking, evaluation, label_quality, corrected_labels, probes or report"),
    seen("outputs: [{masks: png, report: html}]", "line 1: outputs[0]: `masks` and `report` are two outputs; write them as two entries of the list"),
    seen("outputs: [{masks: jpeg}]", "line 1: outputs[0].masks: given `jpeg`; allowed is png or tiff"),
    seen("outputs: [{probabilities: {format: zarr, dtype: f32}}]", "line 1: outputs[0].probabilities.dtype: given `f32`; allowed is f16 or u8"),
    meant("tta: {merge: tsharpen}\noutputs: [{probabilities: zarr}]", "line 2: outputs[0].probabilities: tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min"),
    seen("outputs: [{submission: kaggle}]", "line 1: outputs[0].submission: given `kaggle`; allowed is kaggle-rle or class-csv (did you mean `kaggle-rle`?)"),
    seen("outputs: [{submission: kaggle-rle, file: ../x.csv}]", "line 1: outputs[0].file: given `../x.csv`; allowed is a relative path that stays below the job's outputs"),
    seen("outputs: [{submission: kaggle-rle, empty: -1}]", "line 1: outputs[0].empty: given `-1`; allowed is text such as \"\" or \"-1\" (in quotes)"),
    seen("outputs: [{submission: kaggle-rle, classes: []}]", "line 1: outputs[0].classes: no class; needed is at least one"),
    seen("outputs: [{submission: kaggle-rle, classes: [nucleus, nucleus]}]", "line 1: outputs[0].classes[1]: class `nucleus` is named twice"),
    seen("outputs: [{submission: kaggle-rle, id: x}]", "line 1: outputs[0].id: rows of different images would have the same id; needed is {image} in it"),
    meant("outputs: [{submission: kaggle-rle, rows: image-class, id: '{image}'}]", "line 1: outputs[0].id: rows of different classes would have the same id; needed is {class} or {index} in it"),
    meant("outputs: [{submission: kaggle-rle, id: '{image}_{clas}'}]", "line 1: outputs[0].id: braces hold something unknown; allowed are {image}, {class} and {index}"),
    meant("outputs: [{submission: kaggle-rle, columns: [a, b, c]}]", "line 1: outputs[0].columns: three columns have a class in each row; use rows: image-class"),
    seen("outputs: [{submission: kaggle-rle, columns: [a]}]", "line 1: outputs[0].columns: given `[a]`; allowed is two or three names of columns: [id, runs] or [image, class, runs]"),
    seen("outputs: [{submission: class-csv, sample: x.csv}]", "line 1: outputs[0].sample: unknown key; allowed are submission, file, size"),
    meant("defaults: {output: {multilabel: true}}\noutputs: [{submission: class-csv}]", "line 2: outputs[0].submission: class-csv has one class per pixel, and these do not exclude each other (multilabel: true)"),
    meant("outputs: [{submission: kaggle-rle}, {submission: class-csv}]", "line 1: outputs[1]: writes to the same place (submission.csv) as outputs[0]; take another file"),
    // Labels to train on.
    seen("outputs: [{soft_labels: zarr, smoothing: 1.5}]", "line 1: outputs[0].smoothing: given `1.5`; allowed is a share from 0 to 1"),
    seen("outputs: [{soft_labels: zarr, smoothing: sv}]", "line 1: outputs[0].smoothing: given `sv`; allowed is a share from 0 to 1, or svls"),
    meant("outputs: [{soft_labels: zarr, smoothing: svls, of: probabilities}]", "line 1: outputs[0].of: svls smooths labels; say of: labels, or leave it out"),
    meant("outputs: [{soft_labels: zarr, top: 3}]", "line 1: outputs[0].top: 3 of 2 classes; allowed is at most 2"),
    meant("defaults: {output: {multilabel: true}}\noutputs: [{soft_labels: zarr}]", "line 2: outputs[0].soft_labels: shares sum to 1 over classes, and these do not exclude each other (multilabel: true); `probabilities` has one for each class"),
    meant("tta: {merge: sum}\noutputs: [{soft_labels: zarr}]", "line 2: outputs[0].soft_labels: tta.merge makes sums that are no probabilities; merge views by mean, gmean, max or min, or say of: labels"),
    seen("outputs: [{pseudo_labels: png, thresholds: {nucleus: 2}}]", "line 1: outputs[0].thresholds.nucleus: given `2`; allowed is a probability from 0 to 1"),
    meant("outputs: [{pseudo_labels: png, thresholds: 0.8, share: 0.5}]", "line 1: outputs[0].thresholds: used by rule: threshold only; leave it out"),
    meant("outputs: [{pseudo_labels: png, most: 0.8}]", "line 1: outputs[0].most: used by rule: share and rule: median only; leave it out"),
    meant("outputs: [{pseudo_labels: png, rule: median, share: 0.5}]", "line 1: outputs[0].share: used by rule: share only; leave it out"),
    meant("outputs: [{pseudo_labels: png, rule: share, least: 0.97}]", "line 1: outputs[0].least: least 0.97 is above most 0.95; allowed is at most that"),
    meant("outputs: [{pseudo_labels: png, agreement: 0.8}]", "line 1: outputs[0].agreement: how many members agree is known where each has tiles of its own; say tiles: {per: member}"),
    meant("defaults: {output: {multilabel: true}}\noutputs: [{pseudo_labels: png}]", "line 2: outputs[0].pseudo_labels: a pixel has one label or none, and these classes do not exclude each other (multilabel: true)"),
    meant("outputs: [{pseudo_labels: png, file: pseudo_labels/a.png}]", "line 1: outputs[0]: its table (pseudo_labels/a.png) would lie where its masks do (pseudo_labels/*.png); take another file"),
    meant("outputs: [{coco: rle, file: p.csv}, {pseudo_labels: png, file: p.csv}]", "line 1: outputs[1]: writes to the same place (p.csv) as outputs[0]; take another file"),
    meant("outputs: [{pseudo_labels: png}, {pseudo_labels: png, thresholds: 0.5, file: b.csv}]", "line 1: outputs[1]: writes to the same place (pseudo_labels/*.png) as outputs[0]; a job has one such output: take another format where there is one, or a second job of another `name`"),
    seen("outputs: [{uncertainty: doubt}]", "line 1: outputs[0].uncertainty: given `doubt`; allowed is entropy, mutual_information, vote_share or margin"),
    seen("outputs: [{uncertainty: [margin, margin]}]", "line 1: outputs[0].uncertainty[1]: margin is named twice"),
    seen("outputs: [{uncertainty: []}]", "line 1: outputs[0].uncertainty: no measure; needed is at least one"),
    meant("outputs: [{uncertainty: [entropy, vote_share]}]", "line 1: outputs[0].uncertainty: what each member says is known where each has tiles of its own, which vote_share needs; say tiles: {per: member}"),
    meant("defaults: {output: {multilabel: true}}\noutputs: [{ranking: margin}]", "line 2: outputs[0].ranking: these measures are of classes that exclude each other, and these do not (multilabel: true)"),
    meant("outputs: [{ranking: entropy, window: 64}]", "line 1: outputs[0].window: used by of: windows only; leave it out"),
    seen("outputs: [{ranking: entropy, count: 0}]", "line 1: outputs[0].count: given `0`; allowed is a whole number from 1 to 10000"),
    // The gate.
    seen("gate: {threshold: 0.5}", "line 1: gate.models: missing; needed is a list of models: {onnx: path, …}"),
    seen("gate: {models: [{onnx: g, size: 0}]}", "line 1: gate.models[0].size: given `0`; allowed is a whole number from 1 to 16384"),
    seen("gate: {models: [{onnx: g, activation: labels}]}", "line 1: gate.models[0].activation: given `labels`; allowed is auto, none, softmax or sigmoid"),
    seen("gate: {models: [{onnx: g}], threshold: 50}", "line 1: gate.threshold: given `50`; allowed is a probability from 0 to 1"),
    meant("gate: {models: [{onnx: g}], threshold: {nucleuss: 1}}", "line 1: gate.threshold.nucleuss: given class `nucleuss`; allowed is the name of a class (did you mean `nucleus`?)"),
    meant("gate: {models: [{onnx: g, classes: {background: 0}}]}", "line 1: gate.models[0].classes: class `background` is the background, which is always allowed"),
    meant("classes: [road, tree]\ngate: {models: [{onnx: g}]}", "line 2: gate: pixels of a class that an image does not have are of another then, and of the background where no other is left: which class is that? It would be `road`, the first, which the gate never denies; say decide: {background: road}, or another"),
    // The rest.
    meant("region: {margin: 3}", "line 1: region: one of `from` and `column` is needed: `nonblank` or where masks are, or the column that names them"),
    seen("region: {from: masks, margin: 1.5}", "line 1: region.margin: given `1.5`; allowed is a whole number from 0 to 16384"),
    meant("region: {from: masks, class: nucleuss}", "line 1: region.class: given `nucleuss`; allowed is the name of a class (did you mean `nucleus`?)"),
    meant("region: {column: mask}", "line 1: region: `column` is one of a list of images; images.from must then be a CSV file"),
    meant("region: 'masks/*.png'", "line 1: region: it is no pattern: name the folder of the masks, and prefix and suffix choose among its files"),
    meant("region: {from: nonblank, suffix: _m}", "line 1: region: prefix, suffix and image_suffix are of masks, and `from: nonblank` has none; leave them out"),
    seen("store: https://host/x", "line 1: store: given `https://host/x`; allowed is a folder, or s3://bucket/prefix"),
    meant("tiles: {dtype: u8}\nmerge: {space: logits}", "line 1: tiles.dtype: u8 holds probabilities only; set merge.space: probabilities, and merge views by mean, gmean, max or min"),
    seen("limits: {block_mb: 0.5}", "line 1: limits.block_mb: given `0.5`; allowed is a whole number from 1 to 1000000"),
    seen("limits: {image_pixels: 0}", "line 1: limits.image_pixels: given `0`; allowed is a whole number from 1 to 1000000000000000"),
    seen("failures: {policy: ignore}", "line 1: failures.policy: given `ignore`; allowed is partial or fail"),
    meant("failures: {ignore: 1}", "line 1: failures.ignore: 1 is the value of class `nucleus`; take one that no class has, or give that class another in labels"),
    meant("labels: {background: 7}\nfailures: {ignore: 1}", "line 2: failures.ignore: 1 is the value of class `nucleus`; take one that no class has, or give that class another in labels"),
    seen("failures: {ignore: 65536}", "line 1: failures.ignore: given `65536`; allowed is a whole number from 0 to 65535"),
    // Several at once, in the order of their lines.
    seen("tta: {views: d5}\ndefaults: {wndow: {}, scale: big}\nversion: '1'", "line 1: tta.views: `d5` is no view: allowed are d4, flips, identity, hflip, vflip, rot90, rot180, rot270, transpose, antitranspose, scale(f), brightness(f) and contrast(f) with 0.1 ≤ f ≤ 10\nline 2: defaults.wndow: unknown key (did you mean `window`?); allowed are input, output, window, scale, weight\nline 2: defaults.scale: given `big`; allowed is a factor from 0.01 to 100\nline 3: version: given `\"1\"`; allowed is a whole number from 1 to 1"),
];

#[test]
fn faults_are_named_with_place_value_and_remedy() {
    let said = |broken: &Broken| match JobSpec::parse(&job(broken.lines)) {
        Ok(_) => "nothing".to_owned(),
        Err(errors) => errors.to_string(),
    };
    let wrong =
        BROKEN.iter().map(|broken| (broken, said(broken))).filter(|(broken, said)| *said != broken.errors);
    let wrong: Vec<String> =
        wrong.map(|(b, said)| format!("{}\n  says   {said}\n  wanted {}", b.lines, b.errors)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What is no YAML, or no YAML of the kind that a job file is.
#[test]
fn what_is_no_document_is_refused() {
    let error = |text: &str| JobSpec::parse(text).unwrap_err().to_string();
    assert_eq!(error(""), "line 1: the job file is empty");
    assert_eq!(error("# nothing\n"), "line 1: the job file is empty");
    assert!(error("version: [1").starts_with("line 2: no YAML: "), "{}", error("version: [1"));
    assert!(error("a: 1\n\tb: 2").starts_with("line 1: no YAML: "), "{}", error("a: 1\n\tb: 2"));
    assert_eq!(
        error("version: 1\n---\nversion: 1\n"),
        "line 2: a second document; a job file is one document"
    );
    assert_eq!(
        error("version: !!str 1"),
        "line 1: tags such as `tag:yaml.org,2002:str` mean nothing here; leave it out"
    );
    assert_eq!(error("? [a]\n: 1"), "line 1: a key that is no word");
    assert_eq!(error("a: &x [*x]"), "line 1: an alias stands for a part that holds the alias itself");
    assert_eq!(error(&"[".repeat(40)), "line 1: nested more than 32 deep");
    assert!(error("- version").starts_with("line 1: given `[version]`; allowed is a map of version, "));
}

/// Nine lines of nested aliases that stand for 10⁹ values.
#[test]
fn aliases_cannot_stand_for_more_than_fits() {
    let line = |n: u32| format!("x{n}: &x{n} [{}]\n", vec![format!("*x{}", n - 1); 10].join(", "));
    let bomb = format!("x0: &x0 [0]\n{}", (1..10).map(line).collect::<String>());
    let error = JobSpec::parse(&bomb).unwrap_err().to_string();
    assert_eq!(error, "line 7: more than 500000 values, aliases counted as what they stand for");
}

#[test]
fn patterns_keep_their_cause() {
    let errors = JobSpec::parse(&job("images: 'a/[b'")).unwrap_err();
    assert!(
        errors.to_string().starts_with("line 1: images: given `\"a/[b\"`; allowed is a pattern of *, ?, ")
    );
    let pattern = std::error::Error::source(&errors[0].kind).expect("why it is no pattern");
    let cause = pattern.source().expect("why it is no glob");
    assert!(cause.downcast_ref::<globset::Error>().is_some(), "{pattern:?}");
}
