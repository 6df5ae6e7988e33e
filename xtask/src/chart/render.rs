//! What Helm makes of the chart.

use super::tools::{Tools, kubernetes};
use super::{folder, values};
use anyhow::{Context, Result, bail};
use std::process::Command;

/// All manifests of a case, for a release `marquetry` in the namespace `default`.
pub(super) fn template(tools: &Tools, case: &str) -> Result<String> {
    let output = Command::new(&tools.helm)
        .args(["template", "marquetry"])
        .arg(folder())
        .args(["--namespace", "default", "--kube-version", kubernetes(), "--values"])
        .arg(values(case))
        .output()
        .context("cannot start helm")?;
    if !output.status.success() {
        bail!("{case}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The manifests as they are kept beside the values: without the dashboard, which lies in the chart as it is, and without
/// spaces at the ends of lines.
pub(super) fn shown(manifests: &str) -> String {
    let lines: String = manifests.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    let documents = lines.split("---\n").filter(|document| !document.trim().is_empty());
    let kept = documents.filter(|document| !document.contains("\n  marquetry.json: |-\n"));
    kept.map(|document| format!("---\n{}\n", document.trim_end())).collect()
}

/// Where two texts begin to differ.
pub(super) fn first_difference(expected: &str, found: &str) -> String {
    let (mut expected, mut found) = (expected.lines(), found.lines());
    for number in 1.. {
        let (was, is) = (expected.next(), found.next());
        if was != is || was.is_none() {
            let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
            return format!("line {number}\n  kept:     {}\n  rendered: {}", shown(was), shown(is));
        }
    }
    String::new()
}

/// The groups of rules in a `PrometheusRule`, as Prometheus reads them from a file.
pub(super) fn rules(manifests: &str) -> Option<String> {
    let document = manifests.split("---\n").find(|document| document.contains("\nkind: PrometheusRule\n"))?;
    let (_, spec) = document.split_once("\nspec:\n")?;
    Some(spec.lines().map(|line| line.strip_prefix("  ").unwrap_or(line).to_owned() + "\n").collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_shown() {
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), "line 2\n  kept:     b\n  rendered: c");
        assert_eq!(first_difference("a\n", "a\nc\n"), "line 2\n  kept:     (the end)\n  rendered: c");
    }

    #[test]
    fn rules_are_what_stands_below_spec() {
        let text = "---\na: 1\n---\nx: 1\nkind: PrometheusRule\nspec:\n  groups:\n  - name: m\n";
        assert_eq!(rules(text).as_deref(), Some("groups:\n- name: m\n"));
        assert_eq!(rules("---\nkind: Service\n"), None);
    }

    #[test]
    fn manifests_are_kept_without_the_dashboard() {
        let text = "---\nkind: A  \n\n---\ndata:\n  marquetry.json: |-\n    {}\n---\nkind: B\n";
        assert_eq!(shown(text), "---\nkind: A\n---\nkind: B\n");
    }
}
