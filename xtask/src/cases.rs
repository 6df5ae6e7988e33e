//! Cases from the field: Python programs that make an input which people really have, run Marquetry on it, and say with
//! other people's libraries whether what came out is right.

use crate::tools::{Python, cargo, root, run, target};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which cases are run.
#[derive(clap::Args)]
pub(crate) struct Cases {
    /// Programs, or folders of them; those of `tests/cases` if none is given.
    paths: Vec<PathBuf>,
    /// The Python that has numpy, onnx, pillow and whatever else a case wants.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

/// Modules that cases share, which are none.
const SHARED: [&str; 3] = ["common.py", "harness.py", "case.py"];

/// What became of a case.
enum Outcome {
    Pass,
    /// The Python package that is not there.
    Skipped(String),
    /// What it said.
    Fail(String),
}

impl Cases {
    pub(crate) fn run(&self) -> Result<()> {
        let library = Python::ready()?.library;
        run(cargo().args(["build", "--package", "marquetry-cli"]))?;
        let marquetry = target().join("debug").join("marquetry");
        // Where the user is, and not this program.
        let given = self.paths.iter().map(std::path::absolute).collect::<Result<Vec<_>, _>>()?;
        let paths = if given.is_empty() { vec![root().join("tests/cases")] } else { given };
        let (mut failed, mut skipped) = (0, 0);
        let programs = programs(&paths)?;
        for program in &programs {
            let mut command = Command::new(&self.python);
            command.arg(program).env("MARQUETRY", &marquetry).env("ORT_DYLIB_PATH", &library);
            command.env("CASES_WORK", target().join("cases"));
            let output =
                command.output().with_context(|| format!("cannot start {}", self.python.display()))?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let name = program.strip_prefix(root()).unwrap_or(program).display();
            match outcome(output.status.success(), &said, &String::from_utf8_lossy(&output.stderr)) {
                Outcome::Pass => println!("pass     {name}"),
                Outcome::Skipped(package) => {
                    skipped += 1;
                    println!("skipped  {name}: {} has no {package}", self.python.display());
                }
                Outcome::Fail(said) => {
                    failed += 1;
                    println!("FAIL     {name}\n{said}");
                }
            }
        }
        println!("{} cases, {failed} failed, {skipped} skipped", programs.len());
        if failed > 0 {
            bail!("{failed} cases failed");
        }
        Ok(())
    }
}

/// A case says PASS or FAIL once for each thing that it looks at.
fn outcome(succeeded: bool, said: &str, errors: &str) -> Outcome {
    if let Some((_, package)) = errors.split_once("ModuleNotFoundError: No module named ") {
        return Outcome::Skipped(package.lines().next().unwrap_or_default().replace('\'', ""));
    }
    let verdicts = |word: &str| said.lines().filter(|line| line.trim_start().starts_with(word)).count();
    if succeeded && verdicts("PASS") > 0 && verdicts("FAIL") == 0 {
        return Outcome::Pass;
    }
    let all = format!("{said}{errors}");
    Outcome::Fail(all.lines().map(|line| format!("         {line}\n")).collect())
}

/// The programs in folders and the folders below, by name.
fn programs(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        collect(path, &mut found).with_context(|| format!("cannot look at {}", path.display()))?;
    }
    found.sort();
    if found.is_empty() {
        bail!("there is no case");
    }
    Ok(found)
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        found.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_case = path.extension().is_some_and(|end| end == "py") && !SHARED.contains(&name);
        if is_case || (path.is_dir() && !name.starts_with(['_', '.'])) {
            collect(&path, found)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_passes_only_if_it_says_so_and_nothing_else() {
        let is = |succeeded, said, errors| match outcome(succeeded, said, errors) {
            Outcome::Pass => "pass",
            Outcome::Skipped(_) => "skipped",
            Outcome::Fail(_) => "fail",
        };
        assert_eq!(is(true, "PASS  a\nPASS  b\n", ""), "pass");
        assert_eq!(is(true, "PASS  a\nFAIL  b\n", ""), "fail");
        assert_eq!(is(true, "nothing\n", ""), "fail");
        assert_eq!(is(false, "PASS  a\n", "Traceback"), "fail");
        assert_eq!(is(false, "", "ModuleNotFoundError: No module named 'cv2'\n"), "skipped");
    }
}
