//! YAML as JSON, as Kubernetes reads it.

use anyhow::{Result, anyhow, bail};
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// All documents that hold something.
pub(super) fn documents(text: &str) -> Result<Vec<Value>> {
    let mut documents = Vec::new();
    // Lists and maps that are not finished, with the key whose value comes next.
    let mut open: Vec<(Value, Option<String>)> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| anyhow!("line {}: {}", error.marker().line(), error.info()))?;
        let finished = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            Event::SequenceStart(..) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((value, _)) => value,
                None => continue,
            },
            Event::Alias(_) => bail!("line {}: aliases are not read here", span.start.line()),
            _ => continue,
        };
        match open.last_mut() {
            None if finished.is_null() => {}
            None => documents.push(finished),
            Some((Value::Array(items), _)) => items.push(finished),
            Some((Value::Object(map), key)) => match key.take() {
                None => *key = Some(finished.as_str().map_or_else(|| finished.to_string(), str::to_owned)),
                Some(key) => {
                    if map.insert(key.clone(), finished).is_some() {
                        bail!("line {}: the key `{key}` stands there twice", span.start.line());
                    }
                }
            },
            Some(_) => {}
        }
    }
    Ok(documents)
}

/// One document.
pub(super) fn document(text: &str) -> Result<Value> {
    documents(text)?.into_iter().next().ok_or_else(|| anyhow!("there is no document"))
}

/// A scalar without quotes, by the core schema of YAML 1.2.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => {
            let begins = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
            let integer = text.parse::<i64>().ok().map(Number::from);
            let float = || text.parse::<f64>().ok().and_then(Number::from_f64);
            integer.or_else(|| begins.then(float).flatten()).map_or_else(|| text.into(), Value::Number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_read_as_json() {
        let text = "a: 1\nb: [x, 'true', true, ~, 1.5, \"2\"]\nc: {d: |\n  two\n  lines\n}\n---\n# nothing\n---\n- .nan\n- 1.2.3\n- -x\n";
        let text = text.replace("{d: |\n  two\n  lines\n}", "\n  d: |\n    two\n    lines");
        let expected = json!({"a": 1, "b": ["x", "true", true, null, 1.5, "2"], "c": {"d": "two\nlines\n"}});
        assert_eq!(documents(&text).unwrap(), [expected, json!([".nan", "1.2.3", "-x"])]);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let error = documents("a: 1\nb: 2\na: 3\n").unwrap_err();
        assert!(error.to_string().contains("`a`"), "{error}");
    }
}
