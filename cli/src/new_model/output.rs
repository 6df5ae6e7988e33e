//! The file that is written: whole and tried, or not there.

use crate::exit::{Exit, Fatal};
use marquetry_failure::Classify;
use marquetry_model::{ModelRef, Runtime, run_once};
use marquetry_transport::uri::is_uri;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What the file, and what it is made of, are called in messages.
#[derive(Clone, Copy)]
pub(crate) struct Said {
    /// The file.
    pub(crate) what: &'static str,
    /// What it must not fall behind.
    pub(crate) of: &'static str,
}

/// Where the file will stand.
pub(crate) struct Output {
    pub(crate) path: PathBuf,
    folder: PathBuf,
}

impl Output {
    pub(crate) fn new(path: &Path) -> Result<Self, Fatal> {
        let said = path.display();
        if is_uri(&path.to_string_lossy()) {
            let reason = format!(
                "--out {said}: a path of this machine is wanted; copy the file to its bucket afterwards"
            );
            return Err(Fatal::new(Exit::Usage, reason));
        }
        if path.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("onnx")) {
            let reason = format!("--out {said}: what is written is a model: its name ends in .onnx");
            return Err(Fatal::new(Exit::Usage, reason));
        }
        if path.is_dir() {
            return Err(Fatal::new(Exit::Usage, format!("--out {said} is a folder: name a file in it")));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let reason = format!("--out {said}: there is no folder {}: make it first", folder.display());
            return Err(Fatal::new(Exit::Usage, reason));
        }
        Ok(Self { path: path.to_owned(), folder: folder.to_owned() })
    }

    /// Writes `onnx` beside its place, reads it back, loads it in ONNX Runtime and runs it on zeros, and only then
    /// puts it in its place. What a user should know of that; `first` is what it is made of.
    pub(crate) fn write(
        &self,
        onnx: &[u8],
        runtime: &Runtime,
        first: ModelRef<'_>,
        said: Said,
    ) -> Result<Option<String>, Fatal> {
        let failed = |error: std::io::Error| {
            Fatal::new(Exit::Unavailable, format!("cannot write {}: {error}", self.path.display()))
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".marquetry-").suffix(".onnx");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(&self.folder).map_err(failed)?;
        file.write_all(onnx).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        let written = std::fs::read(file.path()).map_err(failed)?;
        let note = try_out(&written, runtime, first, said)
            .map_err(|(exit, reason)| Fatal::new(exit, format!("{} is not written: {reason}", said.what)))?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(note)
    }
}

/// Whether the model does what `first` does: loads, and runs where that runs.
fn try_out(
    onnx: &[u8],
    runtime: &Runtime,
    first: ModelRef<'_>,
    said: Said,
) -> Result<Option<String>, (Exit, String)> {
    let of = said.of;
    let its = match run_once(runtime, onnx) {
        Ok(Ok(())) => return Ok(None),
        other => other,
    };
    match (its, run_once(runtime, first)) {
        (Err(error), Err(first)) => {
            Err((first.class().into(), format!("{of} cannot be loaded, and neither can it: {error}")))
        }
        (Err(error), Ok(_)) => Err((Exit::Bug, format!("{of} loads, and it does not: {error}"))),
        (Ok(Err(reason)), Ok(Ok(()))) => Err((Exit::Bug, format!("{of} runs, and it does not: {reason}"))),
        (Ok(ran), _) => Ok(ran
            .err()
            .map(|reason| format!("it was loaded, and no run of it worked, as none of {of} does: {reason}"))),
    }
}

/// Whether two paths are one file, whatever leads to it.
pub(crate) fn is_one_of(path: &Path, other: &str) -> bool {
    let (Ok(a), Ok(b)) = (path.canonicalize(), Path::new(other).canonicalize()) else { return false };
    if a == b {
        return true;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let same = |a: std::fs::Metadata, b: std::fs::Metadata| a.dev() == b.dev() && a.ino() == b.ino();
        if let (Ok(a), Ok(b)) = (a.metadata(), b.metadata()) {
            return same(a, b);
        }
    }
    false
}
