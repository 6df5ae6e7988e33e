//! Getting the services' programs, once.

use super::containers;
use super::home;
use super::programs::{Program, go, java, maven};
use crate::tools::succeed;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const KAFKA: &str = "4.4.0";
pub(crate) const VERSITYGW: &str = "v1.8.0";
pub(super) const TOXIPROXY: &str = "v2.5.0";

/// Stands in the name of a download that is not whole, before the id of the process that is at it.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// What the services are started from.
pub(super) enum Kit {
    Programs(Programs),
    /// Where a program is missing and cannot be fetched, but a container engine answers.
    Containers,
}

/// The services as programs of this machine.
pub(super) struct Programs {
    pub(super) java: PathBuf,
    java_on_path: bool,
    /// Holds `libs/*.jar`, and what logs in `logging/*.jar`.
    pub(super) kafka_home: PathBuf,
    pub(super) versitygw: PathBuf,
    pub(super) toxiproxy: PathBuf,
}

impl Kit {
    pub(super) fn ready() -> Result<Self> {
        match Programs::ready() {
            Ok(programs) => Ok(Self::Programs(programs)),
            Err(error) if containers::engine_answers() => {
                eprintln!(
                    "{error:#}; containers are used instead, without the tests that stop a broker or a store"
                );
                Ok(Self::Containers)
            }
            Err(error) => Err(error),
        }
    }
}

impl Programs {
    fn ready() -> Result<Self> {
        let Program { path: java, on_path: java_on_path } = java()?;
        Ok(Self {
            java_on_path,
            kafka_home: kafka(&java)?,
            java,
            versitygw: go_program("versitygw", "github.com/versity/versitygw/cmd/versitygw", VERSITYGW)?,
            toxiproxy: go_program("server", "github.com/Shopify/toxiproxy/v2/cmd/server", TOXIPROXY)?,
        })
    }

    /// `PATH` for tests that start a broker of their own, where it does not lead to the right Java.
    pub(super) fn path_with_java(&self) -> Result<Option<OsString>> {
        if self.java_on_path {
            return Ok(None);
        }
        let before = std::env::var_os("PATH").unwrap_or_default();
        let folders = self.java.parent().map(Path::to_path_buf);
        Ok(Some(std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&before)))?))
    }
}

impl std::fmt::Display for Kit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Containers => {
                write!(f, "the services run in containers, which are fetched when they start")
            }
            Self::Programs(Programs { java, kafka_home, versitygw, toxiproxy, .. }) => {
                writeln!(f, "Java       {}", java.display())?;
                writeln!(f, "Kafka      {}", kafka_home.display())?;
                writeln!(f, "VersityGW  {}", versitygw.display())?;
                write!(f, "Toxiproxy  {}", toxiproxy.display())
            }
        }
    }
}

/// Kafka's jars.
fn kafka(java: &Path) -> Result<PathBuf> {
    let whole = format!("libs/kafka_2.13-{KAFKA}.jar");
    install_once(&format!("kafka-{KAFKA}"), &whole, |folder| {
        let mut command = maven(java)?;
        eprintln!("fetching Kafka {KAFKA} with Maven (once, 43 MB)");
        let pom = folder.join("pom.xml");
        fs::write(&pom, kafka_pom())?;
        command
            .args(["-q", "-B", "-Dstyle.color=never", "-f"])
            .arg(&pom)
            .arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies")
            .arg("-DoutputDirectory=libs");
        succeed(&mut command)?;
        // Apart from the rest: a test's own broker is silent unless it asks for this folder too.
        let logging = folder.join("logging");
        fs::create_dir(&logging)?;
        let jar = format!("slf4j-simple-{SLF4J}.jar");
        fs::rename(folder.join("libs").join(&jar), logging.join(&jar))
            .context("Maven fetched no slf4j-simple")
    })
}

/// What Kafka 4.4 is built against.
const SLF4J: &str = "1.7.36";

fn kafka_pom() -> String {
    let needs = [("org.apache.kafka", "kafka_2.13", KAFKA), ("org.slf4j", "slf4j-simple", SLF4J)].map(
        |(group, name, version)| {
            format!(
                "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>\n"
            )
        },
    );
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>services</groupId><artifactId>services</artifactId>\
         <version>1</version><dependencies>\n{}</dependencies></project>\n",
        needs.concat()
    )
}

/// A program that Go builds, from its package's path and version.
pub(crate) fn go_program(name: &str, package: &str, version: &str) -> Result<PathBuf> {
    go_program_with(name, package, version, "")
}

/// The same, built with these tags.
pub(crate) fn go_program_with(name: &str, package: &str, version: &str, tags: &str) -> Result<PathBuf> {
    let folder = folder_of(name, package);
    let folder = install_once(&format!("{folder}-{version}"), name, |folder| {
        let go = go()?;
        eprintln!("building {package} {version} with Go (once, up to a few minutes)");
        let mut command = Command::new(&go.path);
        command.env("GOBIN", folder).env("CGO_ENABLED", "0").args([
            "install",
            "-tags",
            tags,
            &format!("{package}@{version}"),
        ]);
        succeed(&mut command)
    })?;
    Ok(folder.join(name))
}

/// What a program's folder begins with: the program's name, or its repository's where that says nothing.
fn folder_of<'a>(name: &'a str, package: &'a str) -> &'a str {
    let says_nothing = ["cmd", "server"].contains(&name);
    package.split('/').nth(2).filter(|_| says_nothing).unwrap_or(name)
}

/// Builds a program of a module that is made in `module`, into the same folder; `stamps` is for the linker.
pub(super) fn go_build(module: &Path, package: &str, name: &str, stamps: &str) -> Result<()> {
    let go = go()?;
    let command = || {
        let mut command = Command::new(&go.path);
        command.current_dir(module).env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod -buildvcs=false");
        command
    };
    // The sums of what the module needs are looked up, and checked against the public ones.
    if !module.join("go.sum").is_file() {
        succeed(command().args(["mod", "tidy", "-e"]))?;
    }
    succeed(command().args(["build", "-ldflags", &format!("{stamps}-s -w"), "-o", name, package]))
}

/// The folder of a Go module, whose content must have the sum `sum` (`h1:…`).
pub(crate) fn go_module(path: &str, version: &str, sum: &str) -> Result<PathBuf> {
    let go = go()?;
    let mut command = Command::new(&go.path);
    let output = command
        .args(["mod", "download", "-json", &format!("{path}@{version}")])
        .output()
        .context("cannot start go")?;
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer: serde_json::Value = serde_json::from_str(&answer).with_context(|| {
        format!("cannot fetch {path} {version}: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    match (answer["Dir"].as_str(), answer["Sum"].as_str()) {
        (Some(folder), Some(found)) if found == sum => Ok(folder.into()),
        (Some(_), Some(found)) => bail!("{path} {version} has the sum {found}, and should have {sum}"),
        _ => bail!("cannot fetch {path} {version}: {}", answer["Error"]),
    }
}

/// A folder in the cache, made by `install` unless it is there. The file `whole` stands in a folder that is complete;
/// it is made under another name, so that what an interrupted install leaves is never taken for one.
pub(crate) fn install_once(
    name: &str,
    whole: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    install_in(&home(), name, whole, install)
}

fn install_in(
    home: &Path,
    name: &str,
    whole: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let folder = home.join(name);
    if folder.join(whole).is_file() {
        return Ok(folder);
    }
    let unfinished = home.join(format!("{name}{UNFINISHED}{}", std::process::id()));
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot make {}", unfinished.display()))?;
    let installed = install(&unfinished).and_then(|()| {
        let is_whole = unfinished.join(whole).is_file();
        is_whole.then_some(()).with_context(|| format!("{name} was installed, and has no {whole}"))
    });
    if let Err(error) = installed {
        let _ = fs::remove_dir_all(&unfinished);
        return Err(error);
    }
    let _ = fs::remove_dir_all(&folder);
    if let Err(error) = fs::rename(&unfinished, &folder) {
        // Another process may have been first, with the same thing.
        let _ = fs::remove_dir_all(&unfinished);
        if !folder.join(whole).is_file() {
            return Err(error).with_context(|| format!("cannot make {}", folder.display()));
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, file: &str, text: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
    }

    #[test]
    fn what_is_whole_is_not_fetched_again() {
        let home = tempfile::tempdir().unwrap();
        put(&home.path().join("thing-1"), "program", "old");
        let folder = install_in(home.path(), "thing-1", "program", |_| bail!("fetched again")).unwrap();
        assert_eq!(fs::read_to_string(folder.join("program")).unwrap(), "old");
    }

    #[test]
    fn a_stale_or_interrupted_install_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        put(&home.path().join("thing-1"), "half", "no program here");
        put(&home.path().join(format!("thing-1{UNFINISHED}{}", std::process::id())), "half", "nor here");
        let folder = install_in(home.path(), "thing-1", "program", |folder| {
            assert_eq!(fs::read_dir(folder)?.count(), 0);
            Ok(fs::write(folder.join("program"), "new")?)
        })
        .unwrap();
        assert_eq!(fs::read_to_string(folder.join("program")).unwrap(), "new");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_install_leaves_nothing_that_looks_whole() {
        let home = tempfile::tempdir().unwrap();
        let failed = install_in(home.path(), "thing-1", "program", |folder| {
            put(folder, "program", "half of it");
            bail!("the network went away")
        });
        assert!(failed.is_err());
        let empty = install_in(home.path(), "thing-1", "program", |_| Ok(()));
        assert!(empty.is_err());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn folders_are_called_after_programs() {
        let folder = |package: &'static str| folder_of(package.rsplit('/').next().unwrap(), package);
        assert_eq!(folder("github.com/versity/versitygw/cmd/versitygw"), "versitygw");
        assert_eq!(folder("github.com/Shopify/toxiproxy/v2/cmd/server"), "toxiproxy");
        assert_eq!(folder("helm.sh/helm/v4/cmd/helm"), "helm");
    }

    #[test]
    fn the_pom_names_what_is_started() {
        let pom = kafka_pom();
        assert!(pom.contains(&format!("<artifactId>kafka_2.13</artifactId><version>{KAFKA}</version>")));
    }
}
