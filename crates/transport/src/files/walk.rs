//! Folders of this machine, looked through.

use super::Listed;
use crate::FileError;
use crate::error::is_link_loop;
use std::io;
use std::path::Path;
use walkdir::WalkDir;

/// All files below `root`, ascending, without those whose name, or folder's name, begins with a dot.
///
/// Links to folders are followed, but not one that leads back to a folder above it: what lies there was listed already.
/// A link that leads nowhere, or onto itself, is a file, so that whoever reads it says so.
pub(super) fn list_folder(root: &Path) -> Result<Vec<Listed>, FileError> {
    // A job file named without a folder lies in the working folder, whose path is empty.
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let failed = |path: &Path, error: io::Error| FileError::of_disk("list", &path.to_string_lossy(), error);
    if !std::fs::metadata(root).map_err(|error| failed(root, error))?.is_dir() {
        return Err(failed(root, io::ErrorKind::NotADirectory.into()));
    }
    let mut found = Vec::new();
    let entries = WalkDir::new(root).min_depth(1).follow_links(true).into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.path())) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => found.push(entry.into_path()),
            Err(error) if error.loop_ancestor().is_some() => {
                tracing::debug!(%error, "a link that leads back is not followed");
            }
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                let error = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
                if error.kind() != io::ErrorKind::NotFound && !is_link_loop(&error) {
                    return Err(failed(&path, error));
                }
                // Anything else that is not there any more was removed while this was looking.
                if path.is_symlink() && !is_hidden(&path) {
                    found.push(path);
                }
            }
        }
    }
    let mut listed: Vec<Listed> =
        found.iter().map(|path| Listed { relative: relative(root, path), stat: None }).collect();
    listed.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(listed)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::StoreErrorKind;
    use std::os::unix::fs::symlink;

    fn names(root: &Path) -> Vec<String> {
        list_folder(root).expect("a folder").into_iter().map(|listed| listed.relative).collect()
    }

    #[test]
    fn a_link_that_leads_back_lists_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(root.join("a.png"), b"").unwrap();
        std::fs::write(root.join("sub/b.png"), b"").unwrap();
        symlink(".", root.join("latest")).unwrap();
        symlink("..", root.join("sub/up")).unwrap();
        assert_eq!(names(&root), ["a.png", "sub/b.png"]);
    }

    #[test]
    fn links_to_folders_and_files_elsewhere_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (folder.path().join("data"), folder.path().join("elsewhere"));
        std::fs::create_dir_all(&root).unwrap();
        std::fs::create_dir_all(elsewhere.join("deep")).unwrap();
        std::fs::write(elsewhere.join("deep/a.png"), b"").unwrap();
        symlink(&elsewhere, root.join("one")).unwrap();
        symlink(&elsewhere, root.join("two")).unwrap();
        symlink(elsewhere.join("deep/a.png"), root.join("a.png")).unwrap();
        symlink(elsewhere.join("gone.png"), root.join("b.png")).unwrap();
        symlink(elsewhere.join("gone.png"), root.join(".hidden.png")).unwrap();
        assert_eq!(names(&root), ["a.png", "b.png", "one/deep/a.png", "two/deep/a.png"]);
        symlink(&root, folder.path().join("root")).unwrap();
        assert_eq!(names(&folder.path().join("root")).len(), 4, "the folder itself may be a link");
    }

    #[test]
    fn a_link_onto_itself_is_a_file_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("a.png"), b"").unwrap();
        symlink("self.png", root.join("self.png")).unwrap();
        symlink("two.png", root.join("one.png")).unwrap();
        symlink("one.png", root.join("two.png")).unwrap();
        symlink(".self.png", root.join(".self.png")).unwrap();
        assert_eq!(names(root), ["a.png", "one.png", "self.png", "two.png"]);
    }

    #[test]
    fn what_is_no_folder_says_so() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("no such folder")] {
            let error = list_folder(path).unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }
}
