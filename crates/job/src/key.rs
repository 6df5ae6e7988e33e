//! Where things lie in the store, and ids made safe for it.
//!
//! ```text
//! jobs/<job>/plans/<hash>.json       what is computed and how it is merged, by the hash of these bytes
//! jobs/<job>/specs/<outputs>.yaml    the whole job file, every default filled in
//! jobs/<job>/tiles/<xx>/<image>-<group>-<block>.tile
//! jobs/<job>/statistics/<image>.json mean and standard deviation of an image's bands, where a member wants them
//! jobs/<job>/parts/<outputs>/…       what each image adds to the submission, until the job ends
//! jobs/<job>/run                     the run that counts
//! jobs/<job>/out/…                   what the user came for
//! status/<job>.json                  how far it is, for whoever asks; aside, so that all jobs are found in one short list
//! ```
//! No key is a prefix of another at a `/`: stores on folders could not hold both.

use crate::{TaskId, TaskKind};

/// The plan of `job` whose hash is `hash`.
pub fn plan(job: &str, hash: &str) -> String {
    format!("jobs/{job}/plans/{hash}.json")
}

/// The folder of the statistics of all images of `job`, with its last `/`.
pub fn all_statistics(job: &str) -> String {
    format!("jobs/{job}/statistics/")
}

/// The statistics of the image whose key is `image`.
pub fn statistics(job: &str, image: &str) -> String {
    format!("{}{image}.json", all_statistics(job))
}

/// The image's key in a key of [`statistics`].
pub fn image_of_statistics(key: &str) -> Option<&str> {
    key.rsplit('/').next()?.strip_suffix(".json")
}

/// The resolved job file whose decisions and outputs are named `outputs`.
pub fn spec(job: &str, outputs: &str) -> String {
    format!("jobs/{job}/specs/{outputs}.yaml")
}

/// The folder of all tiles of `job`, with its last `/`.
pub fn tiles(job: &str) -> String {
    format!("jobs/{job}/tiles/")
}

/// The tile of block `block` for group `group` of the image whose key is `image`. A hash spreads tiles over 256 folders:
/// stores split their load by the first part of a key.
pub fn tile(job: &str, image: &str, group: u32, block: u32) -> String {
    let mut hash = 0x811c_9dc5_u32;
    for byte in image.bytes().chain(group.to_le_bytes()).chain(block.to_le_bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let spread = (hash ^ (hash >> 16)) & 0xff;
    format!("{}{spread:02x}/{image}-{group}-{block}.tile", tiles(job))
}

/// The 256 folders that [`tile`] spreads tiles over, each with its last `/`.
pub fn tile_folders(job: &str) -> impl Iterator<Item = String> {
    let tiles = tiles(job);
    (0..=0xff_u32).map(move |spread| format!("{tiles}{spread:02x}/"))
}

/// The image's key, the group and the block whose tile lies under `key`, if it is a tile's.
pub fn of_tile(key: &str) -> Option<(&str, u32, u32)> {
    let mut parts = key.rsplit('/').next()?.strip_suffix(".tile")?.split('-');
    let found = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(found)
}

/// The task whose object lies under `key`, if it is one's.
pub fn task_of(key: &str) -> Option<TaskId> {
    if let Some((image, group, block)) = of_tile(key) {
        return Some(TaskId { image: image.to_owned(), kind: TaskKind::Block { group, block } });
    }
    let image = image_of_statistics(key)?;
    Some(TaskId { image: image.to_owned(), kind: TaskKind::Statistics })
}

/// The folder of the parts of all decisions and outputs, with its last `/`.
pub fn all_parts(job: &str) -> String {
    format!("jobs/{job}/parts/")
}

/// The folder of what finished images leave behind for the end of the job, with its last `/`. `outputs` names the
/// decisions and outputs they were made for, so that other ones start anew on the same tiles.
pub fn parts(job: &str, outputs: &str) -> String {
    format!("jobs/{job}/parts/{outputs}/")
}

/// What the image whose key is `image` left behind.
pub fn part(job: &str, outputs: &str, image: &str) -> String {
    format!("{}{image}.part", parts(job, outputs))
}

/// Says that something is missing in the part of the image whose key is `image`: a later run is to fill it in.
pub fn gaps(job: &str, outputs: &str, image: &str) -> String {
    format!("{}{image}.gaps", parts(job, outputs))
}

/// The image's key in a key of [`gaps`].
pub fn image_of_gaps(key: &str) -> Option<&str> {
    key.rsplit('/').next()?.strip_suffix(".gaps")
}

/// The image's key in a key of [`part`].
pub fn image_of_part(key: &str) -> Option<&str> {
    key.rsplit('/').next()?.strip_suffix(".part")
}

/// The object that names the run of `job` that counts. Whoever finds another name there than its own stops.
pub fn run(job: &str) -> String {
    format!("jobs/{job}/run")
}

/// The folder of the statuses of all jobs, with its last `/`.
pub const STATUSES: &str = "status/";

/// How far `job` is.
pub fn status(job: &str) -> String {
    format!("{STATUSES}{job}.json")
}

/// The job of a key of [`status`].
pub fn job_of_status(key: &str) -> Option<&str> {
    key.strip_prefix(STATUSES)?.strip_suffix(".json").filter(|job| !job.contains('/'))
}

/// A finished file of the job.
pub fn out(job: &str, name: &str) -> String {
    format!("jobs/{job}/out/{name}")
}

/// An image id as a path of safe parts: letters, digits, `.`, `_` and `-` stay, `/` separates, all else is written as
/// `%` and two hexadecimal digits per byte; so are dots that would mean another folder. Ids stay distinct.
///
/// ```
/// use marquetry_job::key::safe_id;
/// assert_eq!(safe_id("plate 1/../ä"), "plate%201/%2E%2E/%C3%A4");
/// ```
pub fn safe_id(id: &str) -> String {
    id.split('/').map(safe_part).collect::<Vec<_>>().join("/")
}

fn safe_part(part: &str) -> String {
    let dots = part.chars().all(|c| c == '.');
    if part.is_empty() {
        return "%".into();
    }
    part.bytes().fold(String::new(), |mut safe, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || (byte == b'.' && !dots) {
            safe.push(char::from(byte));
        } else {
            let digit = |n: u8| char::from(b"0123456789ABCDEF"[usize::from(n)]);
            safe.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_stay_distinct_and_safe(a in "\\PC{0,20}", b in "\\PC{0,20}") {
            let safe = safe_id(&a);
            prop_assert!(safe.split('/').all(|p| !matches!(p, "" | "." | "..")));
            prop_assert!(safe.chars().all(|c| c.is_ascii_alphanumeric() || "._-%/".contains(c)));
            prop_assert_eq!(a == b, safe == safe_id(&b));
        }

        #[test]
        fn keys_name_what_they_hold(image in "[0-9a-f]{16}", group: u32, block: u32) {
            let (tile, part) = (tile("job", &image, group, block), part("job", "x", &image));
            prop_assert_eq!(of_tile(&tile), Some((&image[..], group, block)));
            for kind in [TaskKind::Statistics, TaskKind::Block { group, block }] {
                let task = TaskId { image: image.clone(), kind };
                prop_assert_eq!(task_of(&kind.produces("job", &image)), Some(task));
            }
            prop_assert_eq!(image_of_part(&part), Some(&image[..]));
            prop_assert_eq!(tile_folders("job").filter(|folder| tile.starts_with(folder)).count(), 1);
        }
    }

    #[test]
    fn tiles_spread() {
        let folders: std::collections::HashSet<_> = (0..4000)
            .map(|block| tile("j", "0123456789abcdef", 0, block)[.."jobs/j/tiles/xx".len()].to_owned())
            .collect();
        assert!(folders.len() > 250, "{}", folders.len());
    }
}
