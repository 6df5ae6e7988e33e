//! Outputs of earlier runs that lie below the folder of a job's images: masks are no images of their own job.

use crate::planning::paths::Match;
use marquetry_transport::uri::is_uri;
use std::collections::HashMap;
use std::path::Path;

/// What was found, without what Marquetry itself has made, unless the pattern's own folder lies among outputs. `notes` gets
/// a sentence about what is left out, and one about files that links lead to a second time.
pub(crate) fn without_outputs(found: Vec<Match>, notes: &mut Vec<String>) -> Vec<Match> {
    let mut folders = Folders::default();
    let (outputs, images): (Vec<Match>, Vec<Match>) =
        found.into_iter().partition(|found| is_output(&found.relative) || folders.lead_to_outputs(found));
    if let Some(first) = outputs.first() {
        let (count, noun) = (outputs.len(), if outputs.len() == 1 { "file is" } else { "files are" });
        notes.push(format!(
            "{count} {noun} left out that Marquetry itself has made ({}{}): outputs of a job are images only where \
             images.from names their folder",
            first.relative,
            if count > 1 { ", …" } else { "" }
        ));
    }
    let mut seen: HashMap<String, &str> = HashMap::new();
    let twice = images.iter().filter_map(|found| {
        let first = seen.insert(folders.real(found)?, &found.relative)?;
        Some((first, found.relative.as_str()))
    });
    let twice: Vec<_> = twice.collect();
    if let Some((first, second)) = twice.first() {
        notes.push(format!(
            "{} images are found twice, since links lead to their folders: {first} and {second} are one file",
            twice.len()
        ));
    }
    images
}

/// Whether a path goes through the outputs of a job: `…/jobs/<name>-<hash>/out/…`.
fn is_output(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    parts.windows(4).any(|w| w[0] == "jobs" && is_job(w[1]) && w[2] == "out")
}

/// Whether a path goes through the folder that a job keeps in its store: plans, tiles and results lie there too.
pub(crate) fn is_of_store(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    parts.windows(3).any(|w| w[0] == "jobs" && is_job(w[1]))
}

/// Whether a folder is called as a job: `<name>-<hash>`.
fn is_job(name: &str) -> bool {
    let hash = name.rsplit_once('-').map_or("", |(_, hash)| hash);
    hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

/// The folders of this machine in which files were found, and where they really are.
#[derive(Default)]
struct Folders {
    real: HashMap<String, Option<String>>,
}

impl Folders {
    /// Where a folder is, links followed; nothing for a bucket's.
    fn at(&mut self, folder: &str) -> Option<&str> {
        let real = self.real.entry(folder.to_owned()).or_insert_with(|| {
            let folder = if folder.is_empty() { "." } else { folder };
            let real = (!is_uri(folder)).then(|| Path::new(folder).canonicalize().ok()).flatten()?;
            Some(real.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"))
        });
        real.as_deref()
    }

    /// Whether a link leads to a file among outputs, while the folder that was looked through does not lie there.
    fn lead_to_outputs(&mut self, found: &Match) -> bool {
        let root = found.uri.strip_suffix(found.relative.as_str()).unwrap_or_default();
        let Some(root) = self.at(root.trim_end_matches('/')).map(str::to_owned) else { return false };
        let plain = format!("{root}/{}", found.relative);
        let real = self.real(found).filter(|real| *real != plain);
        real.is_some_and(|real| is_output(&real)) && !is_output(&format!("{root}/x"))
    }

    fn real(&mut self, found: &Match) -> Option<String> {
        let (folder, name) = parted(&found.uri);
        self.at(folder).map(|real| format!("{real}/{name}"))
    }
}

/// The folder and the name of a file.
fn parted(uri: &str) -> (&str, &str) {
    uri.rsplit_once('/').unwrap_or(("", uri))
}

#[cfg(test)]
mod tests {
    use crate::planning::image_files::find;
    use marquetry_transport::Files;

    #[test]
    fn outputs_are_no_images_unless_their_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        };
        for name in ["a.png", "sub/b.png", "jobs/site-1/out/c.png", "out/jobs/t-7193b9eb/out/masks/a.png"] {
            put(name);
        }
        put("other/store/jobs/x.y-0123abcd/out/masks/sub/b.png");
        let (files, base) = (Files::local_only(), folder.path().display().to_string());
        let ids = |from: &str| {
            let (found, notes) = find(&files, from, &base).unwrap();
            (found.into_iter().map(|f| f.id).collect::<Vec<_>>(), notes)
        };
        for from in ["**/*.png", "", "."] {
            let (found, notes) = ids(from);
            assert_eq!(found, ["a", "jobs/site-1/out/c", "sub/b"], "{from}");
            assert!(notes.len() == 1 && notes[0].starts_with("2 files are left out"), "{notes:?}");
        }
        assert_eq!(ids("out/jobs/t-7193b9eb/out/masks"), (vec!["a".to_owned()], vec![]));
        assert_eq!(ids("out/jobs/*/out/masks/*.png").0, ["t-7193b9eb/out/masks/a"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_outputs_are_seen_through() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let masks = folder.path().join("store/jobs/t-7193b9eb/out/masks");
        std::fs::create_dir_all(&masks).unwrap();
        std::fs::create_dir_all(folder.path().join("img/one")).unwrap();
        std::fs::write(masks.join("a.png"), b"x").unwrap();
        std::fs::write(folder.path().join("img/one/a.png"), b"x").unwrap();
        symlink(&masks, folder.path().join("img/latest")).unwrap();
        symlink("one", folder.path().join("img/two")).unwrap();
        let (files, base) = (Files::local_only(), folder.path().display().to_string());
        let (found, notes) = find(&files, "img", &base).unwrap();
        assert_eq!(found.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["one/a", "two/a"]);
        assert!(
            notes[0].contains("latest/a.png") && notes[1].contains("one/a.png and two/a.png"),
            "{notes:?}"
        );
        assert_eq!(find(&files, "img/latest", &base).unwrap().0.len(), 1, "it was named");
    }
}
