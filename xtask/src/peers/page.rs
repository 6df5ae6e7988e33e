//! The figures in `docs/performance.md`: what was typed, on which machine, and what came out.

use super::table::Results;
use crate::tools::root;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// What figures stand between.
const BEGIN: &str = "<!-- `cargo xtask bench --peers --write` writes what follows. -->\n";
const END: &str = "<!-- The end of what it writes. -->\n";

pub(super) fn path() -> PathBuf {
    root().join("docs/performance.md")
}

/// A machine in words, of what Linux says about its processors.
pub(super) fn machine(cpuinfo: &str, processors: usize) -> String {
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| Some(line.split_once(':')?.1.trim())).filter(|value| !value.is_empty())
    };
    let has = |flag: &str| value("flags").is_some_and(|flags| flags.split_whitespace().any(|f| f == flag));
    let vectors = [("amx_tile", "AMX"), ("avx512f", "AVX-512"), ("avx2", "AVX2")];
    let vectors = vectors.iter().find(|(flag, _)| has(flag)).map(|(_, name)| format!(" with {name}"));
    let threads = format!("{processors} hardware thread{}", if processors == 1 { "" } else { "s" });
    let of = value("model name").map(|name| format!(" of {name}")).unwrap_or_default();
    threads + &of + &vectors.unwrap_or_default()
}

/// All that is written.
pub(super) fn figures(command: &str, machine: &str, packages: &[&str], results: &[Results]) -> String {
    let mut text = format!("`{command}` on {machine}, with {}:\n", packages.join(", ").replace("==", " "));
    for result in results {
        text += &format!("\n{}", result.markdown());
    }
    text
}

/// Puts figures in the place of those that stand in the page.
pub(super) fn replaced(page: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
}

pub(super) fn write(figures: &str) -> Result<()> {
    let path = path();
    let page = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let page =
        replaced(&page, figures).with_context(|| format!("{} has no place for figures", path.display()))?;
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
}
