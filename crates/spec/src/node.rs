//! A document as a tree: what YAML says before anyone asks what it means.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// One value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// The line it starts in, counted from 1; 0 where it was never written.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// A word without quotes, as written: nothing, a truth value, a number, or text.
    Plain(String),
    /// Text in quotes.
    Text(String),
    List(Vec<Node>),
    /// Keys in the order in which they were written.
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

/// What a word without quotes means in YAML 1.2's core schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Word<'a> {
    Nothing,
    Flag(bool),
    Integer(i128),
    Float(f64),
    Text(&'a str),
}

/// Reads a word without quotes. `yes`, `no`, `on` and `off` are text, as YAML 1.2 has it.
pub(super) fn word(text: &str) -> Word<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Word::Nothing,
        "true" | "True" | "TRUE" => return Word::Flag(true),
        "false" | "False" | "FALSE" => return Word::Flag(false),
        ".nan" | ".NaN" | ".NAN" => return Word::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Word::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Word::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = |prefix, radix| {
        let digits: &str = text.strip_prefix(prefix)?;
        if digits.starts_with('+') { None } else { i128::from_str_radix(digits, radix).ok() }
    };
    let integer = || digits.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    if let Some(n) = integer().or_else(|| radix("0x", 16)).or_else(|| radix("0o", 8)) {
        return Word::Integer(n);
    }
    // `inf` and `nan` are numbers for Rust and text for YAML.
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    match text.parse() {
        Ok(x) if numeric => Word::Float(x),
        _ => Word::Text(text),
    }
}

impl Node {
    pub(super) fn list(nodes: impl IntoIterator<Item = impl Into<Self>>) -> Self {
        Value::List(nodes.into_iter().map(Into::into).collect()).into()
    }

    /// A map of the entries that have a value.
    pub(super) fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Option<Self>)>) -> Self {
        let entry =
            |(key, node): (&str, Option<Self>)| node.map(|node| Entry { key: key.to_owned(), line: 0, node });
        Value::Map(entries.into_iter().filter_map(entry).collect()).into()
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { line: 0, value }
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned()).into()
    }
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl From<$type> for Node {
            fn from(value: $type) -> Self {
                Value::Plain(value.to_string()).into()
            }
        }
    )*};
}
// Rust prints the shortest digits that read back as the same float.
plain!(bool, u16, u32, u64, usize, f32, f64);

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Text(text) => to.serialize_str(text),
            Value::List(nodes) => to.collect_seq(nodes),
            Value::Map(entries) => {
                let mut map = to.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    map.serialize_entry(&entry.key, &entry.node)?;
                }
                map.end()
            }
            Value::Plain(text) => match word(text) {
                Word::Nothing => to.serialize_unit(),
                Word::Flag(flag) => to.serialize_bool(flag),
                Word::Integer(n) => match (u64::try_from(n), i64::try_from(n)) {
                    (Ok(n), _) => to.serialize_u64(n),
                    (_, Ok(n)) => to.serialize_i64(n),
                    _ => to.serialize_f64(n as f64),
                },
                Word::Float(x) => to.serialize_f64(x),
                Word::Text(text) => to.serialize_str(text),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_what_yaml_1_2_says() {
        assert_eq!(["", "~", "null"].map(word), [Word::Nothing; 3]);
        assert_eq!(
            ["no", "on", "-", "inf", "1_000", "1.2.3", "0x+1", "e5"].map(word).map(is_text),
            [true; 8]
        );
        assert_eq!(
            ["12", "-12", "+12", "007", "0x1F", "0o17"].map(word),
            [
                Word::Integer(12),
                Word::Integer(-12),
                Word::Integer(12),
                Word::Integer(7),
                Word::Integer(31),
                Word::Integer(15)
            ]
        );
        assert_eq!(
            ["1.5", ".5", "2e10", "-.inf"].map(word),
            [Word::Float(1.5), Word::Float(0.5), Word::Float(2e10), Word::Float(f64::NEG_INFINITY)]
        );
    }

    fn is_text(word: Word<'_>) -> bool {
        matches!(word, Word::Text(_))
    }
}
