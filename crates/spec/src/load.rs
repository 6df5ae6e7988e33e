//! YAML text to a tree, within limits.

use super::error::{SpecError, SpecErrorKind};
use super::node::{Entry, Node, Value, Word, word};
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::collections::HashMap;

/// Most values in one document, aliases counted as what they stand for: a few lines of nested aliases can otherwise
/// stand for more than any memory holds.
const NODES_MAX: usize = 500_000;
/// Deepest nesting; a job file needs about six.
const DEPTH_MAX: usize = 32;

/// Reads one YAML document.
///
/// # Errors
/// When the text is no YAML, is empty, holds several documents, uses tags or keys that are no words, or is too large.
/// Keys given twice are kept: who reads the map complains.
pub(super) fn load(text: &str) -> Result<Node, SpecError> {
    let mut loader = Loader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| syntax(e.marker().line(), format!("no YAML: {}", e.info())))?;
        loader.line = span.start.line();
        loader.take(event)?;
    }
    loader.root.ok_or_else(|| syntax(1, "the job file is empty"))
}

fn syntax(line: usize, message: impl Into<String>) -> SpecError {
    SpecError { path: String::new(), line, kind: SpecErrorKind::Syntax(message.into()) }
}

/// A list or map that is not finished, and the anchor it was given.
struct Open {
    node: Node,
    anchor: usize,
    /// In a map, the key whose value comes next.
    key: Option<(String, usize)>,
}

#[derive(Default)]
struct Loader {
    line: usize,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Loader {
    fn take(&mut self, event: Event<'_>) -> Result<(), SpecError> {
        match event {
            Event::Scalar(_, _, _, Some(tag))
            | Event::SequenceStart(_, Some(tag))
            | Event::MappingStart(_, Some(tag)) => {
                let message =
                    format!("tags such as `{}{}` mean nothing here; leave it out", tag.handle, tag.suffix);
                Err(syntax(self.line, message))
            }
            Event::Scalar(text, style, anchor, None) => {
                let text = text.into_owned();
                let plain = style == ScalarStyle::Plain;
                self.put(if plain { Value::Plain(text) } else { Value::Text(text) }, anchor)
            }
            Event::SequenceStart(anchor, None) => self.start(Value::List(Vec::new()), anchor),
            Event::MappingStart(anchor, None) => self.start(Value::Map(Vec::new()), anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(syntax(self.line, "an alias stands for a part that holds the alias itself"));
                };
                let size = size_of(node);
                self.count(size)?;
                self.place(self.anchors[&anchor].clone())
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(syntax(self.line, "a second document; a job file is one document"))
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, value: Value, anchor: usize) -> Result<(), SpecError> {
        if self.open.len() == DEPTH_MAX {
            return Err(syntax(self.line, format!("nested more than {DEPTH_MAX} deep")));
        }
        self.count(1)?;
        self.open.push(Open { node: Node { line: self.line, value }, anchor, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), SpecError> {
        let Some(Open { node, anchor, .. }) = self.open.pop() else { return Ok(()) };
        self.name(anchor, &node);
        self.place(node)
    }

    fn put(&mut self, value: Value, anchor: usize) -> Result<(), SpecError> {
        self.count(1)?;
        let node = Node { line: self.line, value };
        self.name(anchor, &node);
        self.place(node)
    }

    fn name(&mut self, anchor: usize, node: &Node) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn count(&mut self, nodes: usize) -> Result<(), SpecError> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let message = format!("more than {NODES_MAX} values, aliases counted as what they stand for");
            return Err(syntax(self.line, message));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Node) -> Result<(), SpecError> {
        let Some(Open { node: parent, key, .. }) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match key.take() {
                Some((key, line)) => entries.push(Entry { key, line, node }),
                None => *key = Some((key_text(node)?, self.line)),
            },
            Value::Plain(_) | Value::Text(_) => {}
        }
        Ok(())
    }
}

fn key_text(node: Node) -> Result<String, SpecError> {
    match node.value {
        Value::Text(text) => Ok(text),
        Value::Plain(text) if word(&text) != Word::Nothing => Ok(text),
        _ => Err(syntax(node.line, "a key that is no word")),
    }
}

fn size_of(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size_of).sum(),
        Value::Map(entries) => entries.iter().map(|e| 1 + size_of(&e.node)).sum(),
        Value::Plain(_) | Value::Text(_) => 0,
    }
}
