//! Which label of one source belongs to which of another: by path, never by place in a list.

use std::collections::{BTreeMap, HashMap, HashSet};

/// What ends a file name; anything else after a dot is part of an id.
const EXTENSIONS: [&str; 19] = [
    "png", "tif", "tiff", "bmp", "jpg", "jpeg", "jfif", "webp", "pgm", "ppm", "pbm", "pnm", "gif", "jp2",
    "npy", "npz", "json", "geojson", "dcm",
];

/// So many problems are named one by one.
const LISTED: usize = 20;
/// So many paths are named in one of them.
const NAMED: usize = 5;

/// What file names of one list have around what they share with the other: `mask_` before it, `_mask` before the extension.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Affixes {
    /// What they begin with.
    pub prefix: String,
    /// What stands before their extension.
    pub suffix: String,
}

impl Affixes {
    /// Folder and name of a path without affixes, extension and `./`; nothing where it lacks the affixes.
    pub fn off(&self, path: &str) -> Option<String> {
        key(path, self)
    }
}

/// What belongs together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing {
    /// Numbers in both lists, in the order of the first.
    pub pairs: Vec<(usize, usize)>,
    /// How many of them are of one file name in different folders.
    pub by_tail: usize,
    /// How many are of one name but for the ending that Roboflow gives (`name_jpg.rf.HASH`).
    pub by_export: usize,
    /// Numbers in the first list that nothing in the second belongs to.
    pub first_alone: Vec<usize>,
    /// Numbers in the second list that nothing in the first belongs to.
    pub second_alone: Vec<usize>,
    /// Numbers in the first list that lack its affixes.
    pub first_other: Vec<usize>,
    /// Numbers in the second list that lack its affixes.
    pub second_other: Vec<usize>,
    /// What cannot be told apart.
    pub problems: Vec<String>,
}

/// Pairs two lists of paths. Names without the affixes of their list are passed over. Paths belong together that are equal
/// but for affixes and extension; of those left, the ones that share the longest tail of folders and name, if there is only
/// one such on each side; and of those left, the ones that do so without the ending that Roboflow gives to what it exports.
pub fn pair(first: &[&str], first_affixes: &Affixes, second: &[&str], second_affixes: &Affixes) -> Pairing {
    let mut pairing = Pairing::default();
    let first_keys = keys(first, first_affixes, &mut pairing.first_other, &mut pairing.problems);
    let second_keys = keys(second, second_affixes, &mut pairing.second_other, &mut pairing.problems);
    let mut first_left = BTreeMap::new();
    let mut second_left: BTreeMap<&str, usize> =
        second_keys.iter().map(|(k, &at)| (k.as_str(), at)).collect();
    for (key, &at) in &first_keys {
        match second_left.remove(key.as_str()) {
            Some(other) => pairing.pairs.push((at, other)),
            None => {
                first_left.insert(key.as_str(), at);
            }
        }
    }
    pair_by_tail(&mut first_left, &mut second_left, (first, second), &mut pairing);
    pair_exports(&mut first_left, &mut second_left, (first, second), &mut pairing);
    pairing.pairs.sort_unstable();
    pairing.first_alone = first_left.into_values().collect();
    pairing.second_alone = second_left.into_values().collect();
    pairing.first_alone.sort_unstable();
    pairing.second_alone.sort_unstable();
    let more = pairing.problems.len().saturating_sub(LISTED);
    if more > 0 {
        pairing.problems.truncate(LISTED);
        pairing.problems.push(format!("… and {more} more that cannot be told apart"));
    }
    pairing
}

/// [`Affixes::off`].
pub(crate) fn key(path: &str, affixes: &Affixes) -> Option<String> {
    let path = path.replace('\\', "/");
    let path = path.trim_start_matches("./");
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let stem = match name.rsplit_once('.') {
        Some((stem, extension)) if EXTENSIONS.contains(&extension.to_lowercase().as_str()) => stem,
        _ => name,
    };
    let stem = stem.strip_prefix(affixes.prefix.as_str())?.strip_suffix(affixes.suffix.as_str())?;
    if stem.is_empty() {
        return None;
    }
    Some(if folder.is_empty() { stem.to_owned() } else { format!("{folder}/{stem}") })
}

/// A key without the ending of an export of Roboflow, `_jpg.rf.HASH`, if it has one.
fn without_export(key: &str) -> Option<&str> {
    let (stem, hash) = key.rsplit_once(".rf.")?;
    let is_hash = hash.len() >= 20 && hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (name, extension) = stem.rsplit_once('_')?;
    (is_hash && EXTENSIONS.contains(&extension.to_lowercase().as_str()) && !name.is_empty()).then_some(name)
}

/// Pairs what is left and has one name without the ending of an export. Several exports of one image, as augmentation makes
/// them, cannot be told apart.
fn pair_exports(
    first: &mut BTreeMap<&str, usize>,
    second: &mut BTreeMap<&str, usize>,
    paths: (&[&str], &[&str]),
    pairing: &mut Pairing,
) {
    if !first.keys().chain(second.keys()).any(|key| without_export(key).is_some()) {
        return;
    }
    let (mut ours, our_twins) = shortened(first);
    let (mut theirs, their_twins) = shortened(second);
    let (before, by_tail) = (pairing.pairs.len(), pairing.by_tail);
    for (twins, paths, others) in [(&our_twins, paths.0, &theirs), (&their_twins, paths.1, &ours)] {
        let names: HashSet<&str> = others.keys().filter_map(|key| parts(key).next()).collect();
        let wanted =
            twins.iter().filter(|(key, _)| parts(key).next().is_some_and(|name| names.contains(name)));
        pairing.problems.extend(wanted.map(|(key, [a, b])| {
            let (a, b) = (paths[*a], paths[*b]);
            format!("{a} and {b} are two exports of one image; which of them belongs to a label of `{key}` is not known")
        }));
    }
    let both: Vec<&str> = ours.keys().copied().filter(|key| theirs.contains_key(key)).collect();
    for key in both {
        pairing.pairs.extend(ours.remove(key).zip(theirs.remove(key)));
    }
    pair_by_tail(&mut ours, &mut theirs, paths, pairing);
    (pairing.by_export, pairing.by_tail) = (pairing.pairs.len() - before, by_tail);
    let paired = &pairing.pairs[before..];
    first.retain(|_, at| paired.iter().all(|(own, _)| own != at));
    second.retain(|_, at| paired.iter().all(|(_, own)| own != at));
}

/// Keys without the ending of an export; and those that several come to then, each with the first two.
fn shortened<'a>(
    keys: &BTreeMap<&'a str, usize>,
) -> (BTreeMap<&'a str, usize>, BTreeMap<&'a str, [usize; 2]>) {
    let (mut short, mut twins) = (BTreeMap::new(), BTreeMap::new());
    for (key, &at) in keys {
        let key = without_export(key).unwrap_or(key);
        if let Some(before) = short.insert(key, at) {
            twins.entry(key).or_insert([before, at]);
        }
    }
    short.retain(|key, _| !twins.contains_key(key));
    (short, twins)
}

/// The key of each path.
fn keys(
    paths: &[&str],
    affixes: &Affixes,
    other: &mut Vec<usize>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, usize> {
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for (at, path) in paths.iter().enumerate() {
        let Some(key) = key(path, affixes) else {
            other.push(at);
            continue;
        };
        if let Some(&before) = keys.get(&key) {
            problems.push(format!(
                "{} and {} have one name but for the extension, and are two of one image: take one away, or name the prefix \
or suffix that the right ones have",
                paths[before], paths[at]
            ));
        } else {
            keys.insert(key, at);
        }
    }
    keys
}

/// Folders and name, the name first.
fn parts(key: &str) -> impl Iterator<Item = &str> {
    key.rsplit('/')
}

fn pair_by_tail(
    first: &mut BTreeMap<&str, usize>,
    second: &mut BTreeMap<&str, usize>,
    paths: (&[&str], &[&str]),
    pairing: &mut Pairing,
) {
    fn by_name<'a>(keys: &BTreeMap<&'a str, usize>) -> HashMap<&'a str, Vec<&'a str>> {
        let mut names: HashMap<&str, Vec<&str>> = HashMap::new();
        keys.keys().for_each(|key| names.entry(parts(key).next().unwrap_or_default()).or_default().push(key));
        names
    }
    let (in_first, in_second) = (by_name(first), by_name(second));
    let common = |a: &str, b: &str| parts(a).zip(parts(b)).take_while(|(a, b)| a == b).count();
    // The only one of `keys` with the longest common tail.
    let nearest = |key: &str, keys: &[&str]| -> Option<usize> {
        let longest = keys.iter().map(|other| common(key, other)).max()?;
        let mut found = keys.iter().enumerate().filter(|(_, other)| common(key, other) == longest);
        let (at, _) = found.next()?;
        found.next().is_none().then_some(at)
    };
    let mut names: Vec<_> = in_first.keys().copied().collect();
    names.sort_unstable();
    for name in names {
        let (ours, Some(theirs)) = (&in_first[name], in_second.get(name)) else { continue };
        let mut matched = Vec::new();
        for (at, key) in ours.iter().enumerate() {
            if let Some(other) = nearest(key, theirs)
                && nearest(theirs[other], ours) == Some(at)
            {
                matched.push((*key, theirs[other]));
            }
        }
        for &(a, b) in &matched {
            if let (Some(a), Some(b)) = (first.remove(a), second.remove(b)) {
                pairing.pairs.push((a, b));
                pairing.by_tail += 1;
            }
        }
        let (ours_left, theirs_left) = (ours.len() - matched.len(), theirs.len() - matched.len());
        if ours_left > 0 && theirs_left > 0 {
            let open = |keys: &[&str], left: &BTreeMap<&str, usize>, paths: &[&str]| {
                let mut paths: Vec<&str> =
                    keys.iter().filter_map(|key| left.get(key)).map(|&at| paths[at]).collect();
                let more = format!("{} more", paths.len().saturating_sub(NAMED));
                if paths.len() > NAMED {
                    paths.truncate(NAMED);
                    paths.push(&more);
                }
                paths.join(", ")
            };
            pairing.problems.push(format!(
                "which belongs to which of {} and {}: the name is the same, the folders do not tell; give labels the folders \
of their images, or name one folder of them",
                open(ours, first, paths.0),
                open(theirs, second, paths.1)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Affixes {
        Affixes::default()
    }

    fn suffix(suffix: &str) -> Affixes {
        Affixes { suffix: suffix.to_owned(), ..plain() }
    }

    #[test]
    fn by_path_then_by_tail_never_by_order() {
        let found = pair(
            &["b.png", "a.png", "c/x.png"],
            &plain(),
            &["a.tif", "b.png", "d/c/x.png", "d/y.png"],
            &plain(),
        );
        assert_eq!(found.pairs, [(0, 1), (1, 0), (2, 2)]);
        assert_eq!((found.by_tail, &found.second_alone[..], &found.first_alone[..]), (1, &[3][..], &[][..]));
        assert!(found.problems.is_empty());
    }

    #[test]
    fn folders_tell_equal_names_apart() {
        let found = pair(
            &["north/1.png", "south/1.png"],
            &plain(),
            &["masks/south/1.png", "masks/north/1.png"],
            &plain(),
        );
        assert_eq!(found.pairs, [(0, 1), (1, 0)]);
        let found = pair(&["1.png"], &plain(), &["a/1.png", "b/1.png"], &plain());
        assert_eq!(found.pairs, []);
        assert!(found.problems[0].contains("1.png and a/1.png, b/1.png"), "{:?}", found.problems);
        // One has its own path, so the other one has nobody.
        let found = pair(&["1.png", "a/1.png"], &plain(), &["a/1.png"], &plain());
        assert_eq!((found.pairs, found.first_alone, found.problems), (vec![(1, 0)], vec![0], vec![]));
    }

    #[test]
    fn suffixes_are_taken_off_and_names_without_one_passed_over() {
        let found =
            pair(&["a_mask.png", "a.png", "b_mask.png"], &suffix("_mask"), &["a.png", "b.png"], &plain());
        assert_eq!((found.pairs, found.first_other), (vec![(0, 0), (2, 1)], vec![1]));
        let found = pair(&["./s\\1.png"], &plain(), &["s/1.jpg"], &plain());
        assert_eq!(found.pairs, [(0, 0)]);
    }

    #[test]
    fn two_labels_of_one_image_are_named() {
        let found = pair(&["a.png", "a.tif"], &plain(), &["a.png"], &plain());
        let [problem] = &found.problems[..] else { panic!("{:?}", found.problems) };
        assert!(problem.starts_with("a.png and a.tif have one name but for the extension"), "{problem}");
    }

    #[test]
    fn of_many_problems_the_first_are_named() {
        let images: Vec<String> = (0..100).map(|at| format!("{at:03}.png")).collect();
        let labels: Vec<String> =
            ["a", "b"].iter().flat_map(|f| images.iter().map(move |image| format!("{f}/{image}"))).collect();
        let found = pair(
            &images.iter().map(String::as_str).collect::<Vec<_>>(),
            &plain(),
            &labels.iter().map(String::as_str).collect::<Vec<_>>(),
            &plain(),
        );
        assert_eq!(found.problems.len(), 21);
        assert!(found.problems[19].contains("019.png and a/019.png, b/019.png"), "{}", found.problems[19]);
        assert_eq!(found.problems[20], "… and 80 more that cannot be told apart");
        // One name in many folders makes one problem, and no long one.
        let labels: Vec<String> = (0..300).map(|at| format!("{at}/x.png")).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let found = pair(&["x.png"], &plain(), &labels, &plain());
        assert_eq!(found.problems.len(), 1);
        assert!(found.problems[0].contains("/x.png, 295 more: the name"), "{}", found.problems[0]);
    }

    #[test]
    fn prefixes_are_taken_off_too() {
        let affixes = Affixes { prefix: "mask_".to_owned(), suffix: "_v2".to_owned() };
        let found =
            pair(&["s/mask_1_v2.png", "s/mask_2.png", "mask__v2.png"], &affixes, &["s/1.jfif"], &plain());
        assert_eq!((found.pairs, found.first_other), (vec![(0, 0)], vec![1, 2]));
    }

    #[test]
    fn exports_of_roboflow_are_known_by_what_they_were() {
        let hash = |name: &str, digit: char| format!("{name}.rf.{}.jpg", digit.to_string().repeat(32));
        let (a, b) = (hash("train/plant-1_jpg", '3'), hash("train/plant-2_png", 'a'));
        let found = pair(&["plant-2.png", "plant-1.png", "plant-3.png"], &plain(), &[&a, &b], &plain());
        assert_eq!((&found.pairs[..], found.by_export, found.by_tail), (&[(0, 1), (1, 0)][..], 2, 0));
        assert_eq!((found.first_alone, found.problems), (vec![2], vec![]));
        // Both sides exported at different times, and names that only look like it.
        let found = pair(&[&hash("plant-1_jpg", '4')], &plain(), &[&a], &plain());
        assert_eq!((found.pairs, found.by_export), (vec![(0, 0)], 1));
        let found = pair(&["x_jpg.rf.short.png"], &plain(), &["x.png"], &plain());
        assert_eq!(found.pairs, []);
        // What augmentation has made of one image cannot be told apart.
        let twice = [a.clone(), hash("train/plant-1_jpg", '5')];
        let found = pair(&["plant-1.png"], &plain(), &[&twice[0], &twice[1]], &plain());
        assert!(found.problems[0].contains("two exports of one image"), "{:?}", found.problems);
    }
}
