//! Class names in the metadata of a model.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The keys under which exporters write them, the most telling first.
const KEYS: [&str; 22] = [
    "class_names",
    "id2label",
    "id_to_label",
    "id2name",
    "idx_to_class",
    "index_to_class",
    "names",
    "classes",
    "categories",
    "category_names",
    "labels",
    "label_names",
    "class_labels",
    "label_map",
    "label_mapping",
    "dataset_meta",
    "class_to_idx",
    "class_to_index",
    "class_to_id",
    "label2id",
    "label_to_id",
    "config",
];
/// Keys whose values may well be something else.
const OTHER: [&str; 1] = ["config"];
/// Under these an entry of a list has its number, and its name.
const NUMBERS: [&str; 6] = ["id", "index", "idx", "value", "class_id", "category_id"];
const NAMES: [&str; 5] = ["name", "label", "class", "class_name", "title"];
/// A number above this is no channel.
const NUMBER_MAX: usize = 4096;
/// So much of a text is told.
const TOLD: usize = 60;

/// What the metadata say of classes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ClassNames {
    /// One list for each head, or one list for all. A name is empty where a number has none: the first one of a numbering that
    /// begins with 1.
    pub(crate) lists: Vec<Vec<String>>,
    /// What could not be made out, as a sentence.
    pub(crate) doubt: Option<String>,
}

/// The class names in a model's metadata.
pub(crate) fn class_names_of(metadata: &BTreeMap<String, String>) -> ClassNames {
    let of = |key: &&str| {
        let pair = metadata.iter().find(|(own, _)| own.eq_ignore_ascii_case(key));
        pair.map(|(own, text)| (own, text, class_names(text), OTHER.contains(key)))
    };
    let found: Vec<_> = KEYS.iter().filter_map(of).collect();
    let mut understood = found.iter().filter(|(_, _, lists, _)| !lists.is_empty());
    if let Some((key, _, lists, _)) = understood.next() {
        let other = understood.find(|(_, _, others, _)| differ(lists, others));
        let doubt = other.map(|(other, text, ..)| {
            format!("`{key}` and `{other}` in it differ (`{other}` is {}), and `{key}` is taken", cut(text))
        });
        return ClassNames { lists: lists.clone(), doubt };
    }
    let mut unread = found.iter().filter(|(_, text, _, other)| !other && may_be_names(text));
    let doubt = unread.next().map(|(key, text, ..)| {
        format!("`{key}` in it is {}, of which no names of channels could be made out", cut(text))
    });
    ClassNames { lists: Vec::new(), doubt }
}

/// Whether two lists of as many names have them in another order, or other names.
fn differ(lists: &[Vec<String>], others: &[Vec<String>]) -> bool {
    let named = |lists: &[Vec<String>]| -> Vec<Vec<String>> {
        let names = |list: &Vec<String>| list.iter().filter(|name| !name.is_empty()).cloned().collect();
        lists.iter().map(names).collect()
    };
    let (lists, others) = (named(lists), named(others));
    lists.len() == others.len()
        && lists.iter().zip(&others).all(|(a, b)| a.len() == b.len())
        && lists != others
}

/// Whether a text that is no list of names says more than their number.
fn may_be_names(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(['[', '{', '(']) && text.chars().any(char::is_alphabetic)
}

fn cut(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TOLD { line } else { line.chars().take(TOLD).chain(['…']).collect() }
}

/// The class names in `text`: a list of names, or of objects with a number and a name; an object from index to name or from
/// name to index; a list of such objects, one a head; as JSON, or as Python prints them; or names with commas or line breaks
/// between them.
fn class_names(text: &str) -> Vec<Vec<String>> {
    let value = serde_json::from_str::<Value>(text).ok().or_else(|| python(text));
    let Some(value) = value else {
        return numbered_lines(text).or_else(|| separated(text)).into_iter().collect();
    };
    match (one(&value), &value) {
        (Some(names), _) => vec![names],
        (None, Value::Array(heads)) => heads.iter().map(one).collect::<Option<_>>().unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn one(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(names) if names.iter().all(Value::is_object) => entries(names),
        Value::Array(names) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        Value::Object(pairs) => part(pairs).map_or_else(|| by_number(pairs), one),
        _ => None,
    }
}

/// The part of a description of a data set or a model that tells the classes.
fn part(pairs: &Map<String, Value>) -> Option<&Value> {
    let holds = |value: &Value| value.is_array() || value.is_object();
    let of = |key: &&str| pairs.iter().find(|(own, value)| own.eq_ignore_ascii_case(key) && holds(value));
    KEYS.iter().find_map(of).map(|(_, value)| value)
}

/// From index to name, or from name to index.
fn by_number(pairs: &Map<String, Value>) -> Option<Vec<String>> {
    let pair = |(key, value): (&String, &Value)| match value.as_str() {
        Some(name) => Some((key.parse().ok()?, name.to_owned())),
        None => Some((number(value)?, key.clone())),
    };
    placed(pairs.iter().map(pair).collect::<Option<_>>()?)
}

/// Entries with a name each, and with a number, or in their order.
fn entries(list: &[Value]) -> Option<Vec<String>> {
    let of = |entry: &Value, keys: &[&str]| keys.iter().find_map(|key| entry.get(key)).cloned();
    let name = |entry: &Value| of(entry, &NAMES).and_then(|name| name.as_str().map(str::to_owned));
    let names: Vec<String> = list.iter().map(name).collect::<Option<_>>()?;
    let numbers: Vec<Option<Value>> = list.iter().map(|entry| of(entry, &NUMBERS)).collect();
    if numbers.iter().all(Option::is_none) {
        return Some(names);
    }
    let numbers: Vec<usize> = numbers.iter().map(|n| number(n.as_ref()?)).collect::<Option<_>>()?;
    placed(numbers.into_iter().zip(names).collect())
}

fn number(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?).ok()
}

/// Names at their numbers. One that is left out has no name: it moves none of those after it.
fn placed(pairs: Vec<(usize, String)>) -> Option<Vec<String>> {
    let most = pairs.iter().map(|(number, _)| *number).max().filter(|&most| most <= NUMBER_MAX)?;
    let mut names = vec![String::new(); most + 1];
    for (number, name) in pairs {
        if name.trim().is_empty() || !names[number].is_empty() {
            return None;
        }
        names[number] = name;
    }
    Some(names)
}

/// Lines of a number, a colon and a name each.
fn numbered_lines(text: &str) -> Option<Vec<String>> {
    let pair = |line: &str| {
        let (number, name) = line.split_once([':', '='])?;
        Some((number.trim().parse().ok()?, name.trim().to_owned()))
    };
    placed(text.trim().lines().map(pair).collect::<Option<_>>()?)
}

/// A list or dictionary as Python prints it: other quotes, and keys that are numbers.
fn python(text: &str) -> Option<Value> {
    let mut json = String::with_capacity(text.len());
    let mut chars = text.trim().chars().peekable();
    if !matches!(chars.peek(), Some('[' | '{' | '(')) {
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
            // A tuple; names have their marks.
            '(' => json.push('['),
            ')' => json.push(']'),
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
            r#"{"model_type": "segformer", "id2label": {"0": "sky", "1": "the road", "2": "car's"}, "label2id": {}}"#,
            r#"[{"id": 2, "name": "car's"}, {"id": 0, "name": "sky"}, {"id": 1, "name": "the road"}]"#,
            r#"[{"name": "sky", "color": "red"}, {"name": "the road"}, {"name": "car's"}]"#,
            "('sky', 'the road', \"car's\")",
            "0: sky\n1: the road\n2: car's",
        ] {
            assert_eq!(class_names(text), want, "{text}");
        }
        let heads = r#"[{"0": "a", "1": "b"}, {"0": "c"}]"#;
        assert_eq!(class_names(heads), [vec!["a", "b"], vec!["c"]]);
        // What has no number has no name, and moves no other.
        for text in [
            r#"{"1": "a", "2": "b"}"#,
            r#"{"a": 1, "b": 2}"#,
            r#"[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]"#,
            "1: a\n2: b",
        ] {
            assert_eq!(class_names(text), [["", "a", "b"]], "{text}");
        }
        for text in ["", "17", "one", r#"{"0": "a", "9999": "b"}"#, "[1, 2]", "{'a': 'b'}", "['a", "a,,b"] {
            assert_eq!(class_names(text), Vec::<Vec<String>>::new(), "{text}");
        }
    }

    #[test]
    fn the_most_telling_key_counts() {
        let pair = |key: &str, text: &str| (key.to_owned(), text.to_owned());
        let metadata = BTreeMap::from([pair("names", "x"), pair("id2label", r#"{"0": "a", "1": "b"}"#)]);
        assert_eq!(class_names_of(&metadata).lists, [["a", "b"]]);
        let metadata = BTreeMap::from([pair("CLASSES", "a, b")]);
        assert_eq!(class_names_of(&metadata).lists, [["a", "b"]], "in capitals too");
        for key in ["label_map", "id_to_label", "category_names", "categories", "config"] {
            let metadata = BTreeMap::from([pair(key, r#"{"id2label": {"0": "a", "1": "b"}}"#)]);
            assert_eq!(
                class_names_of(&metadata),
                ClassNames { lists: vec![vec!["a".into(), "b".into()]], doubt: None }
            );
        }
    }

    #[test]
    fn what_is_not_understood_or_contradicts_is_said() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
            class_names_of(&pairs.collect())
        };
        let unread = of(&[("label_map", r#"{"a": [1, 2], "b": {"x": 1}}"#)]);
        assert!(unread.doubt.unwrap().starts_with("`label_map` in it is {\"a\": [1, 2]"));
        let differ = of(&[("names", "a, b"), ("classes", "b, a")]);
        assert_eq!(differ.lists, [["a", "b"]]);
        assert!(differ.doubt.unwrap().contains("`names` and `classes` in it differ (`classes` is b, a)"));
        for pairs in [
            &[("names", "a, b"), ("classes", "2")][..],
            &[("names", "a, b"), ("labels", "one")],
            &[("id2label", r#"{"0": "a", "1": "b"}"#), ("label2id", r#"{"a": 0, "b": 1}"#)],
            &[("config", r#"{"lr": 1}"#)],
            &[("classes", "3")],
        ] {
            assert_eq!(of(pairs).doubt, None, "{pairs:?}");
        }
    }
}
