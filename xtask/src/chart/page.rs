//! The table of values in the chart's README, made from the comments in `values.yaml`.

use super::yaml;
use anyhow::{Context, Result};

const BEGIN: &str = "<!-- values: written by `cargo xtask chart --write` -->\n";
const END: &str = "<!-- end of values -->";

/// A value with its description.
#[derive(Debug, PartialEq)]
struct Row {
    path: String,
    text: String,
}

/// The page with the table of these values in it.
pub(super) fn with_table(page: &str, values: &str) -> Result<String> {
    let missing = || format!("the README has no lines\n{BEGIN}{END}");
    let (before, rest) = page.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table(values)?))
}

fn table(values: &str) -> Result<String> {
    let all = yaml::document(values)?;
    let rows = rows(values);
    let mut lines = String::from("\n| value | default | |\n|---|---|---|\n");
    for row in &rows {
        let below = format!("{}.", row.path);
        let default = if rows.iter().any(|other| other.path.starts_with(&below)) {
            String::new()
        } else {
            let pointer = format!("/{}", row.path.replace('.', "/"));
            let value = all.pointer(&pointer).with_context(|| format!("no value {}", row.path))?;
            format!("`{value}`")
        };
        let text = row.text.replace('|', "\\|");
        lines.push_str(&format!("| `{}` | {default} | {text} |\n", row.path));
    }
    Ok(lines + "\n")
}

/// The keys with a comment directly above them, in the order of the file. What stands in flow style is one value.
fn rows(values: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut path: Vec<(usize, &str)> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(said) = text.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        if let Some((key, _)) = text.split_once(':').filter(|_| !text.starts_with('-')) {
            path.retain(|(outer, _)| *outer < indent);
            path.push((indent, key));
            if !comment.is_empty() {
                let keys: Vec<&str> = path.iter().map(|(_, key)| *key).collect();
                rows.push(Row { path: keys.join("."), text: comment.join(" ") });
            }
        }
        comment.clear();
    }
    rows
}

/// The paths of all values that have a description.
#[cfg(test)]
pub(super) fn paths(values: &str) -> Vec<String> {
    rows(values).into_iter().map(|row| row.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "# About the file.\n\n# How many.\nreplicas: 1\nimage:\n  # Its name:\n  # a word.\n  name: \"a|b\"\n# Both.\nmetrics:\n  # One.\n  one: {a: 1}\n# Together.\nlist:\n  - {x: 1}\n";

    #[test]
    fn comments_become_rows() {
        let page = format!("Before\n{BEGIN}old\n{END}\nafter");
        let made = with_table(&page, VALUES).unwrap();
        let expected = "\n| value | default | |\n|---|---|---|\n\
            | `replicas` | `1` | How many. |\n\
            | `image.name` | `\"a|b\"` | Its name: a word. |\n\
            | `metrics` |  | Both. |\n\
            | `metrics.one` | `{\"a\":1}` | One. |\n\
            | `list` | `[{\"x\":1}]` | Together. |\n\n";
        assert_eq!(made, format!("Before\n{BEGIN}{expected}{END}\nafter"));
    }
}
