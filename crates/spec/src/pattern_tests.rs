use super::*;
use proptest::prelude::*;

fn braces(pattern: &str) -> Vec<String> {
    expand_braces(pattern).unwrap()
}

#[test]
fn braces_stand_for_lists_and_ranges() {
    assert_eq!(braces("models/plain.onnx"), ["models/plain.onnx"]);
    assert_eq!(braces("f{0..2}"), ["f0", "f1", "f2"]);
    assert_eq!(braces("f{2..0}"), ["f2", "f1", "f0"]);
    assert_eq!(braces("f{-1..1}"), ["f-1", "f0", "f1"]);
    assert_eq!(braces("f{08..10}"), ["f08", "f09", "f10"]);
    assert_eq!(braces("{a,b}_{0..1}"), ["a_0", "a_1", "b_0", "b_1"]);
    assert_eq!(braces("x{a,b{1..2},}y"), ["xay", "xb1y", "xb2y", "xy"]);
    assert_eq!(braces("a,b"), ["a,b"]);
    let members = braces("models/fold{0..4}_seed{0,1}_epoch{38..40}.onnx");
    assert_eq!((members.len(), members[29].as_str()), (30, "models/fold4_seed1_epoch40.onnx"));
}

#[test]
fn broken_braces_say_what_is_wrong() {
    let error = |pattern: &str| expand_braces(pattern).unwrap_err();
    assert_eq!(error("fold{0..4"), PatternError::Unbalanced { at: 5 });
    assert_eq!(error("fold0..4}"), PatternError::Unbalanced { at: 9 });
    assert_eq!(error("a{b{c,d}"), PatternError::Unbalanced { at: 2 });
    for content in
        ["", "a", "0..", "..4", "a..c", "0..4..2", "0...4", "+1..2", "1e3..2", "9999999999999999..1"]
    {
        assert_eq!(error(&format!("f{{{content}}}")), PatternError::Braces { content: content.into() });
    }
    assert_eq!(error("{0..100}{0..100}"), PatternError::TooMany);
    assert_eq!(error("{0..999999999999999}"), PatternError::TooMany);
    assert_eq!(error("{-999999999999999..999999999999999}"), PatternError::TooMany);
    assert_eq!(error(&"{".repeat(4000)), PatternError::TooMany);
    assert_eq!(error(&"a".repeat(5000)), PatternError::TooLong);
}

proptest! {
    /// Any product of lists and ranges has as many paths as its lengths say, all different, in order.
    #[test]
    fn products_are_complete(parts in prop::collection::vec((0_u32..30, 0_u32..5, "[a-z]{0,3}"), 0..4)) {
        let ranges = parts.iter().map(|(from, more, text)| format!("{text}-{{{from}..{}}}", from + more));
        let pattern = ranges.collect::<Vec<_>>().concat();
        let paths = braces(&pattern);
        prop_assert_eq!(paths.len() as u32, parts.iter().map(|(_, more, _)| more + 1).product::<u32>());
        let unique: std::collections::BTreeSet<_> = paths.iter().collect();
        prop_assert_eq!(unique.len(), paths.len());
        let firsts = parts.iter().map(|(from, _, text)| format!("{text}-{from}"));
        let first = firsts.collect::<Vec<_>>().concat();
        prop_assert_eq!(&paths[0], &first);
    }

    /// No text makes it panic, hang or grow without end, and text without braces stays as it is.
    #[test]
    fn any_text_is_bounded(pattern in "[{},.0-9a-]{0,40}") {
        match expand_braces(&pattern) {
            Ok(paths) => {
                prop_assert!(!paths.is_empty() && paths.len() <= 10_000);
                let braced = paths.iter().any(|path| path.contains(['{', '}']));
                prop_assert!(!braced);
                if !pattern.contains('{') {
                    prop_assert_eq!(paths, vec![pattern]);
                }
            }
            Err(error) => prop_assert!(pattern.contains(['{', '}']), "{}", error),
        }
    }
}

#[test]
fn globs_match_paths() {
    let hits = |pattern: &str, path: &str| GlobPattern::new(pattern).unwrap().matches(path);
    assert!(hits("models/*.onnx", "models/a.onnx"));
    assert!(!hits("models/*.onnx", "models/deep/a.onnx"));
    assert!(hits("models/**/*.onnx", "models/deep/er/a.onnx") && hits("models/**/*.onnx", "models/a.onnx"));
    assert!(hits("./fold?.onnx", "fold3.onnx") && hits("fold?.onnx", "./fold3.onnx"));
    assert!(!hits("fold?.onnx", "fold31.onnx"));
    assert!(hits("fold[0-2].onnx", "fold1.onnx") && !hits("fold[0-2].onnx", "fold3.onnx"));
    assert!(hits(r"odd\[1\].onnx", "odd[1].onnx"));
    assert!(hits("s3://bucket/a/*.onnx", "s3://bucket/a/b.onnx"));
    assert!(hits("plain (1).onnx", "plain (1).onnx") && !hits("plain.onnx", "plainXonnx"));
}

#[test]
fn folders_hold_what_is_matched() {
    let folder = |pattern: &str| GlobPattern::new(pattern).unwrap().folder().to_owned();
    assert_eq!(folder("data/test/**/*.png"), "data/test/");
    assert_eq!(folder("s3://bucket/a/x?.onnx"), "s3://bucket/a/");
    assert_eq!(folder("*.png"), "");
    assert_eq!(folder("models/a.onnx"), "models/");
    assert!(matches!(GlobPattern::new("a[b"), Err(PatternError::Glob(_))));
    assert!(GlobPattern::new("a").unwrap().is_literal() && !GlobPattern::new("a*").unwrap().is_literal());
}
