//! Running other programs, and getting the ones that are missing.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of ONNX Runtime that everything here is tested with.
pub(crate) const ONNXRUNTIME: &str = "onnxruntime==1.31.1";

/// The version of OpenVINO that everything here is tested with.
pub(crate) const OPENVINO: &str = "openvino==2026.4.1";

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// What was downloaded or made and can be made again.
pub(crate) fn cache() -> PathBuf {
    root().join(".cache")
}

/// Runs a command in the repository's root; an error if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.current_dir(root()).status().with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}

/// Runs a command that talks only when it fails.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{shown} failed ({}):\n{out}{err}", output.status);
    }
    Ok(())
}

/// `cargo` as it runs this program, without what that says of this package: some build scripts look at such variables
/// and would build everything above them anew each time that `cargo` and `cargo xtask` take turns.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "CARGO_CRATE_NAME"
        {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// A folder of Python packages that this repository made for itself, and the ONNX Runtime library in it.
pub(crate) struct Python {
    /// For `PYTHONPATH`.
    pub(crate) packages: PathBuf,
    /// For `ORT_DYLIB_PATH`.
    pub(crate) library: PathBuf,
}

impl Python {
    /// Fetches ONNX Runtime and NumPy with pip, once, into `.cache/`. Nothing on the machine is changed.
    pub(crate) fn ready() -> Result<Self> {
        let packages = packages(ONNXRUNTIME, &["numpy"], 20)?;
        let library = onnxruntime_library(&packages)?;
        Ok(Self { packages, library })
    }

    /// A command that finds both.
    pub(crate) fn give_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("ORT_DYLIB_PATH", &self.library).env("PYTHONPATH", &self.packages)
    }
}

/// Fetches a Python package and those that it needs with pip, once, into a folder of its own in `.cache/`.
fn packages(package: &str, needed: &[&str], megabytes: u32) -> Result<PathBuf> {
    let folder = cache().join(package.replace("==", "-"));
    if !folder.is_dir() {
        eprintln!("fetching {package} with pip (once, about {megabytes} MB)");
        let unfinished = folder.with_extension("unfinished");
        let _ = std::fs::remove_dir_all(&unfinished);
        pip_install(&[&[package], needed].concat(), &unfinished)?;
        std::fs::rename(&unfinished, &folder)?;
    }
    Ok(folder)
}

/// OpenVINO's C library, fetched with pip, once. For `OPENVINO_DYLIB_PATH`.
pub(crate) fn openvino() -> Result<PathBuf> {
    library(&packages(OPENVINO, &["--no-deps"], 60)?.join("openvino").join("libs"), "libopenvino_c.")
}

/// The ONNX Runtime library in a folder of Python packages.
pub(crate) fn onnxruntime_library(packages: &Path) -> Result<PathBuf> {
    library(&packages.join("onnxruntime").join("capi"), "libonnxruntime.")
}

/// The library in `folder` whose name begins so.
fn library(folder: &Path, name: &str) -> Result<PathBuf> {
    std::fs::read_dir(folder)
        .with_context(|| format!("{} should hold {name}*; remove .cache and try again", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|found| found.to_string_lossy().starts_with(name)))
        .with_context(|| format!("no {name}* in {}", folder.display()))
}

/// Puts Python packages into a folder of their own.
pub(crate) fn pip_install(packages: &[&str], folder: &Path) -> Result<()> {
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location"])
        .args(["--root-user-action", "ignore", "--target"])
        .arg(folder)
        .args(packages))
    .context("Python 3.11 or newer with pip is needed (Debian: apt-get install python3 python3-pip)")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// What every build of the whole workspace is told, so that all of them are the same build.
pub(crate) fn workspace() -> Vec<String> {
    [vec!["--workspace".to_owned()], openssl("marquetry-cli")].concat()
}

/// Options for a build of a package with Kafka's client. That is linked with the system's OpenSSL; where there is none to
/// build with, OpenSSL is built along, which takes minutes and works on any machine.
pub(crate) fn openssl(package: &str) -> Vec<String> {
    let mut pkg_config = Command::new("pkg-config");
    if pkg_config.args(["--exists", "openssl"]).status().is_ok_and(|status| status.success()) {
        return Vec::new();
    }
    vec!["--features".to_owned(), format!("{package}/vendored-openssl")]
}
