//! Class names in the metadata of a model.

use serde_json::Value;
use std::collections::BTreeMap;

/// The keys under which exporters write them, the most telling first.
const KEYS: [&str; 12] = [
    "class_names",
    "id2label",
    "names",
    "classes",
    "categories",
    "labels",
    "label_names",
    "class_labels",
    "dataset_meta",
    "class_to_idx",
    "class_to_index",
    "label2id",
];

/// The class names in a model's metadata: one list for each head, or one list for all.
pub(crate) fn class_names_of(metadata: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    let of =
        |key: &&str| metadata.iter().find(|(own, _)| own.eq_ignore_ascii_case(key)).map(|(_, text)| text);
    let found = KEYS.iter().filter_map(of).map(|text| class_names(text));
    found.into_iter().find(|lists| !lists.is_empty()).unwrap_or_default()
}

/// The class names in `text`: a list of names, an object from index to name, or a list of such objects, one a head; as
/// JSON, or as Python prints them; or names with commas or line breaks between them.
fn class_names(text: &str) -> Vec<Vec<String>> {
    let value = serde_json::from_str::<Value>(text).ok().or_else(|| python(text));
    let Some(value) = value else { return separated(text).into_iter().collect() };
    match (one(&value), &value) {
        (Some(names), _) => vec![names],
        (None, Value::Array(heads)) => heads.iter().map(one).collect::<Option<_>>().unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn one(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(names) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        // A data set's own description, of which the classes are a part.
        Value::Object(pairs) if pairs.keys().any(|key| key.eq_ignore_ascii_case("classes")) => {
            let classes = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case("classes"));
            classes.filter(|(_, names)| names.is_array()).and_then(|(_, names)| one(names))
        }
        Value::Object(pairs) => {
            // From index to name, or from name to index.
            let index = |value: &Value| usize::try_from(value.as_u64()?).ok();
            let pair = |(key, value): (&String, &Value)| match value.as_str() {
                Some(name) => Some((key.parse().ok()?, name.to_owned())),
                None => Some((index(value)?, key.clone())),
            };
            let mut names: Vec<(usize, String)> = pairs.iter().map(pair).collect::<Option<_>>()?;
            names.sort();
            // A number that is left out would move all names after it.
            let gapless = names.iter().enumerate().all(|(place, (index, _))| place == *index);
            gapless.then(|| names.into_iter().map(|(_, name)| name).collect())
        }
        _ => None,
    }
}

/// A list or dictionary as Python prints it: other quotes, and keys that are numbers.
fn python(text: &str) -> Option<Value> {
    let mut json = String::with_capacity(text.len());
    let mut chars = text.trim().chars().peekable();
    if !matches!(chars.peek(), Some('[' | '{')) {
        return None;
    }
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let mut name = String::new();
                loop {
                    match chars.next()? {
                        '\\' => name.push(chars.next()?),
                        end if end == c => break,
                        other => name.push(other),
                    }
                }
                json.push_str(&Value::from(name).to_string());
            }
            digit if digit.is_ascii_digit() => {
                json.push('"');
                json.push(digit);
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    json.push(digit);
                }
                json.push('"');
            }
            other => json.push(other),
        }
    }
    serde_json::from_str(&json).ok()
}

fn separated(text: &str) -> Option<Vec<String>> {
    let by = ['\n', ';', '|'].into_iter().find(|&by| text.trim().contains(by)).unwrap_or(',');
    let names: Vec<String> = text.trim().split(by).map(|name| name.trim().to_owned()).collect();
    (names.len() > 1 && names.iter().all(|name| !name.is_empty())).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_exporters_write_them() {
        let want = vec![vec!["sky".to_owned(), "the road".to_owned(), "car's".to_owned()]];
        for text in [
            r#"["sky", "the road", "car's"]"#,
            r#"{"0": "sky", "2": "car's", "1": "the road"}"#,
            r#"{0: 'sky', 1: 'the road', 2: "car's"}"#,
            r"['sky', 'the road', 'car\'s']",
            "sky, the road, car's",
            "sky\nthe road\ncar's\n",
            "sky;the road;car's",
            r#"{"the road": 1, "sky": 0, "car's": 2}"#,
            r#"{"CLASSES": ["sky", "the road", "car's"], "PALETTE": [[0, 0, 0]]}"#,
        ] {
            assert_eq!(class_names(text), want, "{text}");
        }
        let heads = r#"[{"0": "a", "1": "b"}, {"0": "c"}]"#;
        assert_eq!(class_names(heads), [vec!["a", "b"], vec!["c"]]);
        for text in ["", "17", "one", r#"{"0": "a", "2": "b"}"#, "[1, 2]", "{'a': 'b'}", "['a", "a,,b"] {
            assert_eq!(class_names(text), Vec::<Vec<String>>::new(), "{text}");
        }
    }

    #[test]
    fn the_most_telling_key_counts() {
        let pair = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        let metadata = BTreeMap::from([pair("names", "x"), pair("id2label", r#"{"0": "a", "1": "b"}"#)]);
        assert_eq!(class_names_of(&metadata), [["a", "b"]]);
        let metadata = BTreeMap::from([pair("CLASSES", "a, b")]);
        assert_eq!(class_names_of(&metadata), [["a", "b"]], "in capitals too");
    }
}
