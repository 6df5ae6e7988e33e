//! Where things lie in the store, and ids made safe for it.
//!
//! ```text
//! jobs/<job>/plans/<hash>.json       what is computed and how it is merged, by the hash of these bytes
//! jobs/<job>/specs/<outputs>.yaml    the whole job file, every default filled in
//! jobs/<job>/statistics/<image>.json mean and standard deviation of an image's bands, where a member wants them
//! jobs/<job>/regions/<image>.region which part of an image is computed, where that is not all of it
//! jobs/<job>/gates/<image>.json      which classes an image has at all, by the models of the gate
//! jobs/<job>/unsure/<image>.region  which part of it the members after the first round look at
//! jobs/<job>/truth/<hash>.labels     the labels that are right for an image, by the hash of what they say
//! jobs/<job>/parts/<outputs>/…       what each image adds to the submission, until the job ends
//! jobs/<job>/written                 of what the tables and pages are that were written last
//! jobs/<job>/run                     the run that counts
//! jobs/<job>/out/…                   what the user came for
//! tiles/<name>/<scores>/<xx>/<image>-<block>.tile
//!                                    the scores of a block, by what they hang on: jobs of one name share them
//! seconds/<job>.json                 what running the members of a job took, where settings are compared
//! nights/<name>/<date>.json          what a run had, where the job keeps that
//! rounds/<job>.json                  of a job that is run in rounds, which jobs these are
//! memory/<hash>.seen                 what planning has seen of files, so that what has not changed is not read again
//! status/<job>.json                  how far it is, for whoever asks; aside, so that all jobs are found in one short list
//! ```
//! No key is a prefix of another at a `/`: stores on folders could not hold both.

use crate::hash;

/// The folder of the plans of `job`, with its last `/`.
pub fn all_plans(job: &str) -> String {
    format!("jobs/{job}/plans/")
}

/// The plan of `job` whose hash is `hash`.
pub fn plan(job: &str, hash: &str) -> String {
    format!("{}{hash}.json", all_plans(job))
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
    let (folder, file) = key.rsplit_once('/')?;
    file.strip_suffix(".json").filter(|_| folder.ends_with("/statistics"))
}

/// The folder of the regions of all images of `job`, with its last `/`.
pub fn all_regions(job: &str) -> String {
    format!("jobs/{job}/regions/")
}

/// The region of the image whose [`content_key`](crate::PlannedImage::content_key) is `image`.
pub fn region(job: &str, image: &str) -> String {
    format!("{}{image}.region", all_regions(job))
}

/// The image's content key in a key of [`region`].
pub fn image_of_region(key: &str) -> Option<&str> {
    let (folder, file) = key.rsplit_once('/')?;
    file.strip_suffix(".region").filter(|_| folder.ends_with("/regions"))
}

/// The folder of what the gate says of all images of `job`, with its last `/`.
pub fn all_gates(job: &str) -> String {
    format!("jobs/{job}/gates/")
}

/// What the gate says of the image whose key is `image`.
pub fn gate(job: &str, image: &str) -> String {
    format!("{}{image}.json", all_gates(job))
}

/// The image's key in a key of [`gate`].
pub fn image_of_gate(key: &str) -> Option<&str> {
    let (folder, file) = key.rsplit_once('/')?;
    file.strip_suffix(".json").filter(|_| folder.ends_with("/gates"))
}

/// The folder of what is unsure of all images of `job`, with its last `/`.
pub fn all_unsure(job: &str) -> String {
    format!("jobs/{job}/unsure/")
}

/// Which part of the image whose key is `image` the members after the first round look at.
pub fn unsure(job: &str, image: &str) -> String {
    format!("{}{image}.region", all_unsure(job))
}

/// The image's key in a key of [`unsure`].
pub fn image_of_unsure(key: &str) -> Option<&str> {
    let (folder, file) = key.rsplit_once('/')?;
    file.strip_suffix(".region").filter(|_| folder.ends_with("/unsure"))
}

/// The resolved job file whose decisions and outputs are named `outputs`.
pub fn spec(job: &str, outputs: &str) -> String {
    format!("jobs/{job}/specs/{outputs}.yaml")
}

/// The name of `job` without the hash of what it computes: what its next form is called too, with another member or another
/// window.
pub fn name_of(job: &str) -> &str {
    job.rsplit_once('-').map_or(job, |(name, _)| name)
}

/// The folder of the tiles of `job` and of every job of its name, with its last `/`.
pub fn tiles(job: &str) -> String {
    format!("tiles/{}/", name_of(job))
}

/// The folder of the tiles that hold the scores named `scores` ([`crate::Inference::scores_of`]), with its last `/`.
pub fn tiles_of(job: &str, scores: &str) -> String {
    format!("{}{scores}/", tiles(job))
}

/// The tile of block `block` of the image whose [`content_key`](crate::PlannedImage::content_key) is `image`, with the
/// scores named `scores`. A hash spreads tiles over 256 folders: stores split their load by the first part of a key.
pub fn tile(job: &str, scores: &str, image: &str, block: u32) -> String {
    let mut hash = 0x811c_9dc5_u32;
    for byte in image.bytes().chain(block.to_le_bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let spread = (hash ^ (hash >> 16)) & 0xff;
    format!("{}{spread:02x}/{image}-{block}.tile", tiles_of(job, scores))
}

/// The 256 folders that [`tile`] spreads the tiles of `scores` over, each with its last `/`.
pub fn tile_folders(job: &str, scores: &str) -> impl Iterator<Item = String> {
    let tiles = tiles_of(job, scores);
    (0..=0xff_u32).map(move |spread| format!("{tiles}{spread:02x}/"))
}

/// What a key of [`tile`] names: the scores, the image and the block.
pub fn of_tile(key: &str) -> Option<(&str, &str, u32)> {
    let mut parts = key.rsplit('/');
    let (file, _, scores) = (parts.next()?, parts.next()?, parts.next()?);
    let (image, block) = file.strip_suffix(".tile")?.split_once('-')?;
    Some((scores, image, block.parse().ok()?))
}

/// The folder of the truths of all images of `job`, with its last `/`.
pub fn truths(job: &str) -> String {
    format!("jobs/{job}/truth/")
}

/// The truth whose labels are named `truth`.
pub fn truth(job: &str, truth: &str) -> String {
    format!("{}{truth}.labels", truths(job))
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

/// What the image whose [`result_name`](crate::PlannedImage::result_name) is `image` left behind.
pub fn part(job: &str, outputs: &str, image: &str) -> String {
    format!("{}{image}.part", parts(job, outputs))
}

/// Says that something is missing in the part of the image whose result is named `image`: a later run is to fill it in.
pub fn gaps(job: &str, outputs: &str, image: &str) -> String {
    format!("{}{image}.gaps", parts(job, outputs))
}

/// The name of the image's result in a key of [`gaps`].
pub fn image_of_gaps(key: &str) -> Option<&str> {
    key.rsplit('/').next()?.strip_suffix(".gaps")
}

/// The name of the image's result in a key of [`part`].
pub fn image_of_part(key: &str) -> Option<&str> {
    key.rsplit('/').next()?.strip_suffix(".part")
}

/// What names all that the tables and pages of `job` hang on that were written last.
pub fn written(job: &str) -> String {
    format!("jobs/{job}/written")
}

/// What names the decisions and outputs for which the files among the outputs of `job` were made last: results of others do not
/// speak of these files.
pub fn files_made_for(job: &str) -> String {
    format!("jobs/{job}/made-for")
}

/// The object that names the run of `job` that counts. Whoever finds another name there than its own stops.
pub fn run(job: &str) -> String {
    format!("jobs/{job}/run")
}

/// Which rounds of `job`, which has all members, are in the store.
pub fn rounds(job: &str) -> String {
    format!("rounds/{job}.json")
}

/// What running the members of `job` took.
pub fn seconds(job: &str) -> String {
    format!("seconds/{job}.json")
}

/// The folder of what the runs of jobs called `name` had, with its last `/`.
pub fn nights(name: &str) -> String {
    format!("nights/{name}/")
}

/// What the run of a job called `name` had that ended at `date`, as `2026-11-27T02-00-00Z`: in order of their names these are
/// in the order of time.
pub fn night(name: &str, date: &str) -> String {
    format!("{}{date}.json", nights(name))
}

/// Where the labels of the image whose key is `image` are kept for later comparison, below the job's outputs. With other
/// decisions, which `outputs` names, there are other labels.
pub fn night_labels(outputs: &str, image: &str) -> String {
    format!("{NIGHT_LABELS}{outputs}-{image}.labels")
}

/// The folder of [`night_labels`], with its last `/`.
pub const NIGHT_LABELS: &str = "nights/";

/// What planning remembers of the files that `named` names: whatever tells one list of images from another.
pub fn memory(named: &str) -> String {
    format!("memory/{}.seen", &hash(&[named.as_bytes()])[..16])
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

/// Most bytes of a file's name: what the file systems of today hold.
const NAME_BYTES_MAX: usize = 255;
/// Most bytes of the path of an image's output, so that a job's folder and a bucket's still fit before it.
const PATH_BYTES_MAX: usize = 700;

/// The path of an output of the image `id`, below the output's folder and without `ending`, which its file has: the id
/// itself wherever files and objects may be called so, and then `/` makes folders.
///
/// What no store can hold is written as `%` and two hexadecimal digits per byte: control characters, `\`, parts that would
/// mean another folder, and a `%` that would read as one of these. A part that is too long for a file's name is cut and ends
/// in `~` and a hash of the whole; so does a path that is too long, which then has no folders. Ids stay distinct.
///
/// ```
/// use marquetry_job::key::output_name;
/// assert_eq!(output_name("plate 1 (left)/größe", ".png"), "plate 1 (left)/größe");
/// assert_eq!(output_name("a/../50%", ".png"), "a/%2E%2E/50%");
/// ```
pub fn output_name(id: &str, ending: &str) -> String {
    let parts: Vec<String> = id.split('/').map(safe_part).collect();
    let last = parts.len() - 1;
    let whole = parts.iter().map(|part| part.len() + 1).sum::<usize>() - 1;
    if whole > PATH_BYTES_MAX {
        return cut(&parts[last], id, NAME_BYTES_MAX - ending.len());
    }
    let fitted = parts.into_iter().enumerate().map(|(place, part)| {
        let room = NAME_BYTES_MAX - if place == last { ending.len() } else { 0 };
        if part.len() <= room { part } else { cut(&part, &part, room) }
    });
    fitted.collect::<Vec<_>>().join("/")
}

/// As much of `text` as goes before a hash of `whole` in at most `room` bytes.
fn cut(text: &str, whole: &str, room: usize) -> String {
    const DIGITS: usize = 16;
    let end = text.floor_char_boundary(room.saturating_sub(DIGITS + 1));
    format!("{}~{}", &text[..end], &hash(&[whole.as_bytes()])[..DIGITS])
}

fn safe_part(part: &str) -> String {
    // A part of dots alone, as a folder, would lead elsewhere; an empty one is no folder.
    if part.is_empty() || part == "%" {
        return if part.is_empty() { "%".into() } else { "%25".into() };
    }
    let dots = part.chars().all(|c| c == '.');
    let mut safe = String::with_capacity(part.len());
    for (at, c) in part.char_indices() {
        let strange = is_strange(c) || (dots && c == '.') || (c == '%' && reads_as_escape(&part[at + 1..]));
        if strange {
            let mut bytes = [0; 4];
            let digit = |n: u8| char::from(b"0123456789ABCDEF"[usize::from(n)]);
            for byte in c.encode_utf8(&mut bytes).bytes() {
                safe.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// What no key may hold.
const fn is_strange(c: char) -> bool {
    c.is_ascii_control() || matches!(c, '\\' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a `%` before `rest` begins what could stand for an escaped byte.
fn reads_as_escape(rest: &str) -> bool {
    let Some(digits) = rest.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit())) else {
        return false;
    };
    // Control characters; the dot, the percent sign and the backslash; the bytes of what no text in XML may hold.
    let byte = u8::from_str_radix(digits, 16).unwrap_or(0);
    byte.is_ascii_control() || matches!(byte, b'.' | b'%' | b'\\' | 0xef | 0xbf | 0xbe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_stay_distinct_and_safe(a in "[a%/.25EF\\\\\n ]{0,6}|\\PC{0,20}", b in "[a%/.25EF\\\\\n ]{0,6}|\\PC{0,20}") {
            let (name, other) = (output_name(&a, ".png"), output_name(&b, ".png"));
            prop_assert!(name.split('/').all(|p| !matches!(p, "" | "." | "..")));
            prop_assert!(!name.contains(is_strange));
            prop_assert_eq!(a == b, name == other);
        }

        #[test]
        fn keys_name_what_they_hold(image in "[0-9a-f]{16}", scores in "[0-9a-f]{16}", block: u32) {
            let (tile, part) = (tile("a-b-12345678", &scores, &image, block), part("job", "x", &image));
            prop_assert_eq!(of_tile(&tile), Some((&scores[..], &image[..], block)));
            prop_assert!(tile.starts_with("tiles/a-b/"), "{}", tile);
            let statistics = statistics("job", &image);
            prop_assert_eq!(image_of_statistics(&statistics), Some(&image[..]));
            let region = region("job", &image);
            prop_assert_eq!(image_of_region(&region), Some(&image[..]));
            let gate = gate("job", &image);
            prop_assert_eq!((image_of_gate(&gate), image_of_statistics(&gate)), (Some(&image[..]), None));
            prop_assert_eq!(image_of_part(&part), Some(&image[..]));
            let folders = tile_folders("a-b-87654321", &scores);
            prop_assert_eq!(folders.filter(|folder| tile.starts_with(folder)).count(), 1);
        }
    }

    #[test]
    fn ids_are_names_wherever_they_can_be() {
        for id in ["plate 1 (left)", "größe [2]", "a%20b", "100%", "CON.", "set/航空写真", "x:y?*", "a/..b"]
        {
            assert_eq!(output_name(id, ".png"), id);
        }
        for (id, name) in
            [("..", "%2E%2E"), ("a//b", "a/%/b"), ("a/%", "a/%25"), ("a\\b\n", "a%5Cb%0A"), ("%2E", "%252E")]
        {
            assert_eq!(output_name(id, ".png"), name);
        }
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = |end: &str| format!("{}{end}", "ä".repeat(200));
        for ending in [".png", ".geojson"] {
            let (a, b) = (output_name(&long("a"), ending), output_name(&long("b"), ending));
            assert!(a != b && a.starts_with('ä') && a.len() + ending.len() <= 255, "{a}");
            let exact = "x".repeat(255 - ending.len());
            assert_eq!(output_name(&exact, ending), exact, "the longest name that a file may have");
            let folder = format!("{}/x", "y".repeat(255));
            assert_eq!(output_name(&folder, ending), folder);
        }
        let deep = |end: &str| format!("{}{end}", "folder/".repeat(150));
        let (a, b) = (output_name(&deep("a"), ".png"), output_name(&deep("b"), ".png"));
        assert!(a != b && a.starts_with("a~") && !a.contains('/'), "{a}");
        let (a, b) = (format!("a/{}", deep("x")), format!("b/{}", deep("x")));
        assert_ne!(output_name(&a, ".png"), output_name(&b, ".png"), "other folders, the same file");
    }

    #[test]
    fn tiles_spread() {
        let folders: std::collections::HashSet<_> = (0..4000)
            .map(|block| tile("j", "s", "0123456789abcdef", block)[.."tiles/j/s/xx".len()].to_owned())
            .collect();
        assert!(folders.len() > 250, "{}", folders.len());
    }
}
