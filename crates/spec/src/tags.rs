//! What a model's name says about it.

use std::collections::BTreeMap;

/// The tags in the name of a model: a word and digits, joined by nothing, `-`, `_` or `=`, is a tag and its value.
/// `models/unet_fold3-seed_1.epoch=40.onnx` has `fold: 3`, `seed: 1` and `epoch: 40`.
///
/// Only the file's name is read. Digits keep their leading zeros; of a tag given twice the last counts; the extension
/// is no tag.
///
/// ```
/// let tags = marquetry_spec::tags_from_name("runs/2/fold3_epoch=040.onnx");
/// assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("epoch".into(), "040".into()), ("fold".into(), "3".into())]);
/// ```
pub fn tags_from_name(path: &str) -> BTreeMap<String, String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    tags_in_text(name.rsplit_once('.').map_or(name, |(stem, _)| stem))
}

/// The tags in the name of a folder, or of anything else without an extension, by the rules of [`tags_from_name`].
pub fn tags_in_text(text: &str) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    let mut word = "";
    for part in parts(text) {
        if part.starts_with(|c: char| c.is_ascii_digit()) && !word.is_empty() {
            tags.insert(word.to_lowercase(), part.to_owned());
            word = "";
        } else if part.starts_with(char::is_alphabetic) {
            word = part;
        } else if !matches!(part, "-" | "_" | "=") {
            word = "";
        }
    }
    tags
}

/// Runs of letters, runs of digits, and single other characters.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let kind = |c: char| if c.is_ascii_digit() { 0 } else { 1 + u8::from(c.is_alphabetic()) };
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = kind(rest.chars().next()?);
        let end = rest.char_indices().find(|(n, c)| *n > 0 && (kind(*c) != first || first == 1));
        let (part, after) = rest.split_at(end.map_or(rest.len(), |(n, _)| n));
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(name: &str) -> Vec<(String, String)> {
        tags_from_name(name).into_iter().collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn words_with_digits_are_tags() {
        assert_eq!(tags("fold3.onnx"), pairs(&[("fold", "3")]));
        assert_eq!(
            tags("m/Fold-3_seed_1_epoch=40.onnx"),
            pairs(&[("epoch", "40"), ("fold", "3"), ("seed", "1")])
        );
        assert_eq!(tags("f3e07.onnx"), pairs(&[("e", "07"), ("f", "3")]));
        assert_eq!(tags("unet_resnet34_fold0.best.onnx"), pairs(&[("fold", "0"), ("resnet", "34")]));
    }

    #[test]
    fn other_things_are_not() {
        assert_eq!(tags("fold3/model.onnx"), []);
        assert_eq!(tags("3fold.onnx"), []);
        assert_eq!(tags("fold (3).onnx"), []);
        assert_eq!(tags("fold.3.onnx"), []);
        assert_eq!(tags("2024_06_01.onnx"), []);
        assert_eq!(tags(""), []);
        assert_eq!(tags_in_text("fold_0").into_iter().collect::<Vec<_>>(), pairs(&[("fold", "0")]));
    }
}
