//! What members are called, and what the folders of their models say of them.

use marquetry_spec::{tags_from_name, tags_in_text};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A model whose member wants a name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    /// The place of its entry in the job file.
    pub(crate) entry: usize,
    /// What the entry says it is called.
    pub(crate) given: Option<&'a str>,
    /// The model.
    pub(crate) uri: &'a str,
}

/// A name for each model. It is the entry's, or that of the model's file; where several would have the same, the parts
/// of their paths that differ are put to it: `fold_0/model` and `fold_1/model`, or `unet/fold_0` and `unet/fold_1` for
/// models of one entry that is called `unet`.
///
/// What cannot be told apart so is named twice: one model in two entries, or two entries of one name.
pub(crate) fn member_names(models: &[Named<'_>]) -> Vec<String> {
    let mut alike: HashMap<(Option<usize>, &str), Vec<usize>> = HashMap::new();
    for (place, model) in models.iter().enumerate() {
        // A name that an entry gives is for its own models.
        let key = model.given.map_or((None, stem(model.uri)), |given| (Some(model.entry), given));
        alike.entry(key).or_default().push(place);
    }
    let mut names = vec![String::new(); models.len()];
    for ((_, name), places) in alike {
        if let [place] = places.as_slice() {
            name.clone_into(&mut names[*place]);
            continue;
        }
        let uris: Vec<&str> = places.iter().map(|&place| models[place].uri).collect();
        for (&place, apart) in places.iter().zip(differing(&uris)) {
            let model = &models[place];
            let parts = match model.given {
                Some(given) => [&[given], apart.folders.as_slice(), &apart.file].concat(),
                None => [apart.folders.as_slice(), &[stem(model.uri)], &apart.file].concat(),
            };
            names[place] = parts.join("/");
        }
    }
    names
}

/// The tags of each model: those that the names of its folders give, and over them those of its file's name.
///
/// Of folders only those are read in which the models differ, or that say `fold`, `seed` or `epoch`: where a user keeps
/// models says nothing of them, and moving all of them elsewhere makes no other job.
pub fn tags_from_paths(uris: &[&str]) -> Vec<BTreeMap<String, String>> {
    let apart = differing(uris);
    let tags = uris.iter().zip(apart).map(|(uri, apart)| {
        let mut tags = BTreeMap::new();
        for folder in parts(uri).0 {
            let said = tags_in_text(folder).into_iter();
            let differs = apart.folders.contains(&folder);
            tags.extend(said.filter(|(key, _)| differs || ["fold", "seed", "epoch"].contains(&key.as_str())));
        }
        tags.extend(tags_from_name(uri));
        tags
    });
    tags.collect()
}

/// The first place whose name an earlier one has.
pub(crate) fn first_taken(names: &[String]) -> Option<usize> {
    let mut seen = HashSet::new();
    names.iter().position(|name| !seen.insert(name))
}

/// What tells one path of several from the others.
struct Apart<'a> {
    /// Folders, outermost first.
    folders: Vec<&'a str>,
    /// Stem and extension, where they differ.
    file: Vec<&'a str>,
}

fn differing<'a>(uris: &[&'a str]) -> Vec<Apart<'a>> {
    let split: Vec<(Vec<&str>, [&str; 2])> = uris.iter().map(|uri| parts(uri)).collect();
    let folders: Vec<&[&str]> = split.iter().map(|(folders, _)| folders.as_slice()).collect();
    let differs = |each: &dyn Fn(usize) -> &'a str| (1..split.len()).any(|n| each(n) != each(0));
    let file: Vec<usize> = (0..2).filter(|&at| differs(&|n| split[n].1[at])).collect();
    let same_depth = folders.iter().all(|path| path.len() == folders[0].len());
    let middle = middle(&folders);
    let each = folders.iter().zip(&split).map(|(path, (_, names))| {
        let between = middle.0..path.len() - middle.1;
        // Folders that all have in the same place say nothing; where some lie deeper, none can be left out.
        let tells = |at: &usize| !same_depth || differs(&|n| folders[n][*at]);
        Apart {
            folders: between.filter(tells).map(|at| path[at]).collect(),
            file: file.iter().map(|&at| names[at]).collect(),
        }
    });
    each.collect()
}

/// How many folders all paths begin with, and how many more they all end in.
fn middle(paths: &[&[&str]]) -> (usize, usize) {
    let Some(first) = paths.first() else { return (0, 0) };
    let shortest = paths.iter().map(|path| path.len()).min().unwrap_or(0);
    let all = |at: &dyn Fn(&[&str]) -> usize| paths.iter().all(|path| path[at(path)] == first[at(first)]);
    let before = (0..shortest).take_while(|&n| all(&|_| n)).count();
    let after = (0..shortest - before).take_while(|&n| all(&|path| path.len() - 1 - n)).count();
    (before, after)
}

/// The folders of a path or URI, and the stem and extension of its file.
fn parts(uri: &str) -> (Vec<&str>, [&str; 2]) {
    let (folders, name) = uri.rsplit_once('/').unwrap_or(("", uri));
    let (stem, extension) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).unwrap_or((name, ""));
    (folders.split('/').filter(|part| !matches!(*part, "" | ".")).collect(), [stem, extension])
}

fn stem(uri: &str) -> &str {
    parts(uri).1[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(models: &[(usize, Option<&str>, &str)]) -> Vec<String> {
        let models: Vec<_> = models.iter().map(|&(entry, given, uri)| Named { entry, given, uri }).collect();
        member_names(&models)
    }

    fn of_paths(uris: &[&str]) -> Vec<String> {
        names(&uris.iter().map(|uri| (0, None, *uri)).collect::<Vec<_>>())
    }

    #[test]
    fn names_that_are_unique_are_those_of_the_files() {
        assert_eq!(of_paths(&["a/x.onnx", "b/y.best.onnx", "z"]), ["x", "y.best", "z"]);
        assert_eq!(names(&[(0, Some("first"), "a/x.onnx"), (1, None, "b/x.onnx")]), ["first", "x"]);
    }

    #[test]
    fn equal_names_are_told_apart_by_what_differs() {
        let nnunet = |fold: u8| format!("/r/3d/fold_{fold}/ckpt/model.onnx");
        let nnunet = [nnunet(0), nnunet(1), nnunet(10)];
        let nnunet: Vec<&str> = nnunet.iter().map(String::as_str).collect();
        assert_eq!(of_paths(&nnunet), ["fold_0/model", "fold_1/model", "fold_10/model"]);
        assert_eq!(
            of_paths(&["unet/fold0.onnx", "unet/fold1.onnx", "fpn/fold0.onnx"]),
            ["unet/fold0", "fold1", "fpn/fold0"]
        );
        assert_eq!(
            of_paths(&["s3://b/r1/a/f0/m.onnx", "s3://b/r2/a/f0/m.onnx", "s3://b/r1/a/f1/m.onnx"]),
            ["r1/f0/m", "r2/f0/m", "r1/f1/m"]
        );
        assert_eq!(of_paths(&["a/m.onnx", "a/deep/er/m.onnx"]), ["m", "deep/er/m"]);
        assert_eq!(of_paths(&["a/m.onnx", "a/m.ort"]), ["m/onnx", "m/ort"]);
        assert_eq!(of_paths(&["x-a/b/m.onnx", "x/a-b/m.onnx"]), ["x-a/b/m", "x/a-b/m"]);
    }

    #[test]
    fn an_entry_s_name_is_put_before_what_differs() {
        let named = |uri| (0, Some("unet"), uri);
        assert_eq!(
            names(&[named("fold_0/model.onnx"), named("fold_1/model.onnx")]),
            ["unet/fold_0", "unet/fold_1"]
        );
        assert_eq!(names(&[named("m/a.onnx"), named("m/b.onnx")]), ["unet/a", "unet/b"]);
    }

    #[test]
    fn what_is_named_twice_is_found() {
        let first = |models: &[(usize, Option<&str>, &str)]| first_taken(&names(models));
        assert_eq!(first(&[(0, None, "a/m.onnx"), (1, None, "a/m.onnx")]), Some(1));
        assert_eq!(
            first(&[(0, Some("u"), "a.onnx"), (1, None, "b.onnx"), (2, Some("u"), "c.onnx")]),
            Some(2)
        );
        assert_eq!(first(&[(0, None, "a/m.onnx"), (1, None, "b/m.onnx")]), None);
    }

    #[test]
    fn folders_give_tags_where_models_differ() {
        let tags = |uris: &[&str]| -> Vec<String> {
            let text = |tags: BTreeMap<String, String>| {
                tags.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
            };
            tags_from_paths(uris).into_iter().map(text).collect()
        };
        assert_eq!(tags(&["/home/user7/fold_0/m.onnx", "/home/user7/fold_1/m.onnx"]), ["fold=0", "fold=1"]);
        assert_eq!(
            tags(&["run3/a_fold2.onnx", "run4/fold_1/a_fold3.onnx"]),
            ["fold=2 run=3", "fold=3 run=4"]
        );
        assert_eq!(
            tags(&["/home/user7/fold_0/m_seed5.onnx"]),
            ["fold=0 seed=5"],
            "a fold is one, also alone"
        );
        assert_eq!(tags(&["/home/user7/m.onnx"]), [""], "whose folder it is says nothing of the model");
    }
}
