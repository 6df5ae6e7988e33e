//! Jobs that cannot run: nothing is started, and the message says what to change.

use crate::fixture::Place;
use crate::pictures::bmp;
use marquetry_geometry::Size;
use marquetry_model::toy::{Toy, Weights};

/// A folder with one image and a good model, `m.onnx`, of three classes.
fn place() -> Place {
    let place = Place::new();
    place.write("images/one.bmp", bmp(40, 50, 1)).model("m.onnx", &toy());
    place
}

fn toy() -> Toy {
    Toy { classes: 3, kernel: 3, weights: Weights::Seeded(1), ..Toy::default() }
}

/// A job that runs, with `lines` instead of its own ones of the same keys.
fn job(lines: &str) -> String {
    let standard = [
        "version: 1",
        "images: images",
        "classes: [ground, a, b]",
        "defaults: {window: {size: 32}}",
        "members: [{onnx: m.onnx}]",
        "outputs: [{masks: png}]",
        "store: store",
    ];
    let key = |line: &str| line.split(':').next().map(|key| format!("{key}:"));
    let kept =
        standard.iter().filter(|l| !lines.lines().any(|own| key(l).is_some_and(|k| own.starts_with(&k))));
    kept.copied().chain([lines]).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_job_that_all_others_differ_from_runs() {
    let place = place();
    place.write("job.yaml", job(""));
    place.run("job.yaml").ends_with(0);
}

#[test]
fn bad_jobs_start_nothing_and_say_why() {
    let place = place();
    let whole = toy().bytes();
    place
        .write("short.onnx", &whole[..whole.len() * 2 / 3])
        .write("text.onnx", "this is no model")
        .write("empty.onnx", "")
        .model("pair.onnx", &Toy { classes: 2, ..toy() })
        .model("fixed.onnx", &Toy { size: Some(Size::new(48, 48)), ..toy() })
        .model("heads.onnx", &Toy { heads: vec!["mask".into(), "edge".into()], ..toy() })
        .model("coarse.onnx", &Toy { coarse: 16, ..toy() })
        .model("centre.onnx", &Toy { valid: true, kernel: 7, ..toy() })
        .model("classifier.onnx", &Toy { pooled: true, ..toy() })
        .write("twice/a/x.bmp", bmp(40, 40, 1))
        .write("twice/b/x.bmp", bmp(40, 40, 1))
        .write("twice/a/x.png", bmp(40, 40, 1))
        .write("twice.csv", "image_id,path\nx,images/one.bmp\nx,images/one.bmp\n")
        .write("texts/a.png", "no picture")
        .write("sample.csv", "id,rle\nother,\n")
        .write("nothing/readme.txt", "no image");
    let table: &[(&str, i32, &[&str])] = &[
        ("defaults: {windw: {size: 32}}", 65, &["line ", "defaults.windw", "unknown key", "`window`"]),
        ("members: [{onnx: m.onnx, window: {overlap: 1.5}}]", 65, &["members[0].window.overlap", "1.5"]),
        ("merge: {space: logit}", 65, &["merge.space", "`logits`"]),
        ("version: 2", 65, &["version", "2"]),
        ("members: [{onnx: gone.onnx}]", 65, &["members[0]", "gone.onnx", "there is no such file"]),
        ("members: [{onnx: \"fold*.onnx\"}]", 65, &["members[0]", "fold*.onnx", "nothing matches"]),
        ("members: [{onnx: short.onnx}]", 65, &["members[0]", "short.onnx"]),
        ("members: [{onnx: text.onnx}]", 65, &["members[0]", "text.onnx"]),
        ("members: [{onnx: empty.onnx}]", 65, &["members[0]", "empty.onnx"]),
        ("members: [{onnx: pair.onnx}]", 65, &["pair.onnx", "2 channels", "3 classes"]),
        ("members: [{onnx: classifier.onnx}]", 65, &["classifier.onnx"]),
        (
            "members: [{onnx: heads.onnx, output: {head: borders}}]",
            65,
            &["heads.onnx", "borders", "mask", "edge"],
        ),
        ("members: [{onnx: fixed.onnx}]", 65, &["fixed.onnx", "48", "32"]),
        (
            "members: [{onnx: centre.onnx, output: {fit: centre}, window: {stride: 27}}]",
            65,
            &["centre.onnx", "stride 27", "26"],
        ),
        (
            "members: [{onnx: text.onnx}, {onnx: m.onnx}, {onnx: gone.onnx}, {onnx: pair.onnx}]",
            65,
            &[
                "3 members cannot be used",
                "members[0]: ",
                "members[2].onnx: ",
                "gone.onnx",
                "members[3]: ",
                "2 channels",
            ],
        ),
        ("members: [{onnx: m.onnx}, {onnx: m.onnx}]", 65, &["members[1].name", "`m`"]),
        ("members: [{onnx: m.onnx, weight: 0}]", 65, &["`ground`", "0"]),
        ("images: other", 65, &["images.from", "other"]),
        ("images: \"images/*.png\"", 65, &["images.from", "images/*.png", "nothing matches"]),
        ("images: nothing", 65, &["no image in", "nothing"]),
        ("images: twice/a", 65, &["x.bmp", "x.png", "`x`"]),
        ("images: twice.csv", 65, &["twice.csv", "line 3", "`x`", "line 2"]),
        ("images: texts", 65, &["texts/a.png", "no image of the job can be used"]),
        ("outputs: [{submission: kaggle-rle, sample: gone.csv}]", 65, &["outputs[0].sample", "gone.csv"]),
        ("outputs: [{submission: kaggle-rle, sample: sample.csv}]", 65, &["outputs[0]", "other"]),
        ("outputs: [{masks: gif}]", 65, &["outputs[0].masks", "gif", "png"]),
        ("store: m.onnx", 69, &["m.onnx"]),
        ("store: gs://bucket/there", 65, &["store", "gs://bucket/there", "s3://bucket/prefix"]),
        ("images: gs://bucket/there", 65, &["images", "gs://bucket/there", "s3://bucket/prefix"]),
        (
            "members: [{onnx: coarse.onnx}]\ntta: {views: [hflip, scale(0.75)], combine: product}",
            65,
            &["coarse.onnx", "tta.views: scale(0.75)", "24", "multiples of 16"],
        ),
        (
            "members: [{onnx: fixed.onnx, window: {size: 48}}]\ntta: {views: [hflip, scale(0.75)]}",
            65,
            &["members[0]", "fixed.onnx", "tta.views: scale(0.75)", "36", "takes 48"],
        ),
        ("tta: {views: [mirror]}", 65, &["tta.views", "mirror"]),
    ];
    for (lines, code, words) in table {
        place.write("job.yaml", job(lines));
        let ran = place.run("job.yaml");
        assert_eq!(ran.code, Some(*code), "{lines}\n{}{}", ran.stdout, ran.stderr);
        let message = ran.says(words);
        let told = message.json();
        assert_eq!(
            (&told["state"], &told["exit"]["code"]),
            (&"failed".into(), &(*code).into()),
            "{lines}: {told}"
        );
        assert!(!message.stderr.contains("panicked"), "{lines}: {}", message.stderr);
        assert!(!place.path("store/jobs").exists(), "{lines}: something was started");
    }
}

#[test]
fn a_runtime_that_is_not_there_is_a_fault_of_the_machine() {
    let place = place();
    place.write("job.yaml", job("")).write("no-library.so", "text");
    for command in ["run", "plan"] {
        let said =
            place.command(&[command, "job.yaml"]).env("ORT_DYLIB_PATH", "nowhere/libonnxruntime.so").output();
        let said = said.expect("the binary runs");
        let text = String::from_utf8_lossy(&said.stderr);
        assert_eq!(said.status.code(), Some(78), "{text}");
        assert!(text.contains("nowhere/libonnxruntime.so") && text.contains("ORT_DYLIB_PATH"), "{text}");
    }
    place
        .marquetry(&["run", "job.yaml", "--onnxruntime", "no-library.so"])
        .ends_with(69)
        .says(&["no-library.so"]);
    place.marquetry(&["run", "gone.yaml"]).ends_with(65).says(&["gone.yaml"]);
}
