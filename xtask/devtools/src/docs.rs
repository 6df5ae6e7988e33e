//! The pages of docs/ that are made from the code.

mod job;
mod metrics;

use crate::root;
use anyhow::{Context, Result, bail};
use std::fs;

struct Page {
    path: &'static str,
    make: fn() -> String,
}

const PAGES: [Page; 2] =
    [Page { path: "docs/job.md", make: job::page }, Page { path: "docs/metrics.md", make: metrics::page }];

/// Writes all pages; with `check`, only says which are not what the code says, as an error.
pub(crate) fn docs(check: bool) -> Result<()> {
    for (path, text) in stale() {
        if check {
            bail!("{path} is not what the code says: run `cargo xtask docs`, and commit what it changes");
        }
        let file = root().join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        println!("wrote {path}");
    }
    Ok(())
}

/// The pages that are absent or differ, with what they should be.
fn stale() -> impl Iterator<Item = (&'static str, String)> {
    let pages = PAGES.iter().map(|page| (page.path, (page.make)()));
    pages.filter(|(path, text)| fs::read_to_string(root().join(path)).ok().as_ref() != Some(text))
}

#[cfg(test)]
mod tests {
    #[test]
    fn pages_are_what_the_code_says() {
        let stale: Vec<_> = super::stale().map(|(path, _)| path).collect();
        assert!(stale.is_empty(), "run `cargo xtask docs` for {stale:?}");
    }
}
