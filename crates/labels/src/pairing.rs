//! Which label of one source belongs to which of another: by path, never by place in a list.

use std::collections::{BTreeMap, HashMap};

/// What ends a file name; anything else after a dot is part of an id.
const EXTENSIONS: [&str; 12] =
    ["png", "tif", "tiff", "bmp", "jpg", "jpeg", "webp", "gif", "jp2", "npy", "json", "dcm"];

/// What belongs together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing {
    /// Numbers in both lists, in the order of the first.
    pub pairs: Vec<(usize, usize)>,
    /// How many of them are of one file name in different folders.
    pub by_tail: usize,
    /// Numbers in the first list that nothing in the second belongs to.
    pub first_alone: Vec<usize>,
    /// Numbers in the second list that nothing in the first belongs to.
    pub second_alone: Vec<usize>,
    /// Numbers in the first list that do not end in its suffix.
    pub first_other: Vec<usize>,
    /// Numbers in the second list that do not end in its suffix.
    pub second_other: Vec<usize>,
    /// What cannot be told apart.
    pub problems: Vec<String>,
}

/// Pairs two lists of paths. A suffix is what file names of that list have before their extension (`_mask`); names
/// without it are passed over. Paths belong together that are equal but for suffix and extension; of those left, the
/// ones that share the longest tail of folders and name, if there is only one such on each side.
pub fn pair(first: &[&str], first_suffix: &str, second: &[&str], second_suffix: &str) -> Pairing {
    let mut pairing = Pairing::default();
    let first_keys = keys(first, first_suffix, &mut pairing.first_other, &mut pairing.problems);
    let second_keys = keys(second, second_suffix, &mut pairing.second_other, &mut pairing.problems);
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
    pairing.pairs.sort_unstable();
    pairing.first_alone = first_left.into_values().collect();
    pairing.second_alone = second_left.into_values().collect();
    pairing.first_alone.sort_unstable();
    pairing.second_alone.sort_unstable();
    pairing
}

/// The key of each path: without suffix, extension and `./`.
fn keys(
    paths: &[&str],
    suffix: &str,
    other: &mut Vec<usize>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, usize> {
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    for (at, path) in paths.iter().enumerate() {
        let path = path.replace('\\', "/");
        let path = path.trim_start_matches("./");
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        let stem = match name.rsplit_once('.') {
            Some((stem, extension)) if EXTENSIONS.contains(&extension.to_lowercase().as_str()) => stem,
            _ => name,
        };
        let Some(stem) = stem.strip_suffix(suffix).filter(|stem| !stem.is_empty()) else {
            other.push(at);
            continue;
        };
        let key = if folder.is_empty() { stem.to_owned() } else { format!("{folder}/{stem}") };
        if let Some(&before) = keys.get(&key) {
            problems.push(format!("{} and {} are two labels of one image", paths[before], paths[at]));
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
                let paths = keys.iter().filter_map(|key| left.get(key)).map(|&at| paths[at]);
                paths.collect::<Vec<_>>().join(", ")
            };
            pairing.problems.push(format!(
                "which belongs to which of {} and {}: the name is the same, the folders do not tell",
                open(ours, first, paths.0),
                open(theirs, second, paths.1)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_path_then_by_tail_never_by_order() {
        let found = pair(&["b.png", "a.png", "c/x.png"], "", &["a.tif", "b.png", "d/c/x.png", "d/y.png"], "");
        assert_eq!(found.pairs, [(0, 1), (1, 0), (2, 2)]);
        assert_eq!((found.by_tail, &found.second_alone[..], &found.first_alone[..]), (1, &[3][..], &[][..]));
        assert!(found.problems.is_empty());
    }

    #[test]
    fn folders_tell_equal_names_apart() {
        let found =
            pair(&["north/1.png", "south/1.png"], "", &["masks/south/1.png", "masks/north/1.png"], "");
        assert_eq!(found.pairs, [(0, 1), (1, 0)]);
        let found = pair(&["1.png"], "", &["a/1.png", "b/1.png"], "");
        assert_eq!(found.pairs, []);
        assert!(found.problems[0].contains("1.png and a/1.png, b/1.png"), "{:?}", found.problems);
        // One has its own path, so the other one has nobody.
        let found = pair(&["1.png", "a/1.png"], "", &["a/1.png"], "");
        assert_eq!((found.pairs, found.first_alone, found.problems), (vec![(1, 0)], vec![0], vec![]));
    }

    #[test]
    fn suffixes_are_taken_off_and_names_without_one_passed_over() {
        let found = pair(&["a_mask.png", "a.png", "b_mask.png"], "_mask", &["a.png", "b.png"], "");
        assert_eq!((found.pairs, found.first_other), (vec![(0, 0), (2, 1)], vec![1]));
        let found = pair(&["./s\\1.png"], "", &["s/1.jpg"], "");
        assert_eq!(found.pairs, [(0, 0)]);
    }

    #[test]
    fn two_labels_of_one_image_are_named() {
        let found = pair(&["a.png", "a.tif"], "", &["a.png"], "");
        assert_eq!(found.problems, ["a.png and a.tif are two labels of one image"]);
    }
}
