//! A tree to YAML text.

use super::node::{Node, Value, Word, word};
use std::fmt::Write as _;

/// Longest line of a list or map that is written on one line.
const WIDTH: usize = 100;

/// The document as YAML: small lists and maps on one line, others with one entry a line.
pub(super) fn to_yaml(root: &Node) -> String {
    let mut out = String::new();
    block(root, 0, &mut out);
    out
}

/// The value on one line, as a message shows it: at most about 60 characters.
pub(super) fn shown(node: &Node) -> String {
    match &node.value {
        Value::Plain(text) if word(text) == Word::Nothing => return "nothing".to_owned(),
        // A word is shown as it was written.
        Value::Plain(text) => return format!("`{}`", shortened(text)),
        _ => {}
    }
    format!("`{}`", shortened(&on_one_line(node)))
}

/// The value on one line, whole.
pub(super) fn on_one_line(node: &Node) -> String {
    let mut text = String::new();
    flow(node, &mut text);
    text
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The children of a list or map, one a line, each line starting with `indent` spaces.
fn block(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            for (n, entry) in entries.iter().enumerate() {
                // The first key of a map in a list stands behind the dash.
                let lead = if n == 0 && out.ends_with("- ") { 0 } else { indent };
                let _ = write!(out, "{:lead$}{}:", "", quoted(&entry.key));
                child(&entry.node, indent, entry.key.len() + 1, out);
            }
        }
        Value::List(items) if !items.is_empty() => {
            for item in items {
                let _ = write!(out, "{:indent$}-", "");
                let mut line = String::new();
                flow(item, &mut line);
                let nested = matches!(item.value, Value::Map(_)) && indent + line.chars().count() > WIDTH;
                out.push(' ');
                if nested {
                    block(item, indent + 2, out);
                } else {
                    let _ = writeln!(out, "{line}");
                }
            }
        }
        _ => {
            flow(node, out);
            out.push('\n');
        }
    }
}

/// What follows a key: on the same line where it fits, else below.
fn child(node: &Node, indent: usize, taken: usize, out: &mut String) {
    let mut line = String::new();
    flow(node, &mut line);
    let scalar = matches!(node.value, Value::Plain(_) | Value::Text(_));
    if scalar || indent + taken + line.chars().count() <= WIDTH {
        let _ = writeln!(out, " {line}");
    } else {
        out.push('\n');
        block(node, indent + 2, out);
    }
}

fn flow(node: &Node, out: &mut String) {
    match &node.value {
        Value::Plain(text) => out.push_str(text),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::List(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                flow(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (n, entry) in entries.iter().enumerate() {
                let _ = write!(out, "{}{}: ", if n == 0 { "" } else { ", " }, quoted(&entry.key));
                flow(&entry.node, out);
            }
            out.push('}');
        }
    }
}

/// Text as it is where it cannot be read as anything else, in double quotes otherwise.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-');
    let starts_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.' | '/'));
    if starts_plain && text.chars().all(plain) && matches!(word(text), Word::Text(_)) {
        return text.to_owned();
    }
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Everything that YAML does not print, or takes for the end of a line.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
#[path = "print_tests.rs"]
mod tests;
