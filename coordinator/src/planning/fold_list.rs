//! Which fold an image is of, as the file says it that the training wrote.

use crate::planning::folds::{FoldsError, TAG};
use marquetry_job::PlannedImage;
use marquetry_transport::Files;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A split of nnU-Net's `splits_final.json`: the fold of its place leaves `val` out.
#[derive(Deserialize)]
struct Split {
    train: Vec<String>,
    val: Vec<String>,
}

/// What a list says of a name: its fold, and of a table what its other columns say, which travel with the image.
type Listed = (String, BTreeMap<String, String>);

/// The images with the folds that the list at `uri` says.
///
/// # Errors
/// When it cannot be had or understood, or an image is in none of its folds, or in another than the list of images says.
pub(crate) fn tagged(
    mut images: Vec<PlannedImage>,
    files: &Files,
    uri: &str,
) -> Result<Vec<PlannedImage>, FoldsError> {
    let bytes = files.read(uri)?;
    let refused = |reason| FoldsError::List { uri: uri.to_owned(), reason };
    let folds = if bytes.trim_ascii_start().starts_with(b"[") { splits(&bytes) } else { table(&bytes) };
    let folds = folds.map_err(refused)?;
    let found: Vec<Option<&Listed>> = find(&images, &folds).map_err(refused)?;
    let without = found.iter().filter(|fold| fold.is_none()).count();
    for (image, fold) in images.iter_mut().zip(found) {
        let Some((fold, more)) = fold else {
            return Err(refused(format!(
                "image {} is in none of its folds ({without} of the images are not)",
                image.id
            )));
        };
        match image.tags.get(TAG) {
            Some(said) if said != fold => {
                return Err(refused(format!(
                    "image {} is in fold {fold}, and the list of images says {said}: which of the two was it trained without?",
                    image.id
                )));
            }
            _ => image.tags.insert(TAG.to_owned(), fold.clone()),
        };
        for (column, value) in more {
            image.tags.entry(column.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(images)
}

/// The fold of each name, by nnU-Net's splits.
fn splits(bytes: &[u8]) -> Result<HashMap<String, Listed>, String> {
    let splits: Vec<Split> = serde_json::from_slice(bytes).map_err(|error| {
        format!("it is not a list of {{\"train\": […], \"val\": […]}}, as nnU-Net writes it: {error}")
    })?;
    let mut folds = HashMap::new();
    for (fold, split) in splits.iter().enumerate() {
        let train: HashSet<&String> = split.train.iter().collect();
        if let Some(both) = split.val.iter().find(|case| train.contains(case)) {
            return Err(format!("fold {fold} has {both} in train and in val: it was not left out"));
        }
        insert(&mut folds, split.val.iter().map(|case| (case.clone(), (fold.to_string(), BTreeMap::new()))))?;
    }
    Ok(folds)
}

/// The fold of each name, by a table.
fn table(bytes: &[u8]) -> Result<HashMap<String, Listed>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let wrong = |why: &str| format!("it is no CSV file with the columns image_id and fold: {why}");
    let rows: Result<Vec<BTreeMap<String, String>>, _> = reader.deserialize().collect();
    let mut named = Vec::new();
    for mut row in rows.map_err(|error| wrong(&error.to_string()))? {
        let mut take =
            |column: &str| row.remove(column).ok_or_else(|| wrong(&format!("{column} is missing")));
        let (id, fold) = (take("image_id")?, take("fold")?);
        row.remove("path");
        row.retain(|_, value| !value.is_empty());
        named.push((id, (fold, row)));
    }
    let mut folds = HashMap::new();
    insert(&mut folds, named.into_iter())?;
    Ok(folds)
}

fn insert(
    folds: &mut HashMap<String, Listed>,
    named: impl Iterator<Item = (String, Listed)>,
) -> Result<(), String> {
    for (name, listed) in named {
        let fold = listed.0.clone();
        let other = folds.insert(name.clone(), listed).map(|(other, _)| other);
        if let Some(other) = other.filter(|other| *other != fold) {
            return Err(format!(
                "{name} is in fold {other} and in fold {fold}: one of them was trained on it"
            ));
        }
    }
    Ok(())
}

/// The fold of each image: by its id, by the name of its file, and by what nnU-Net calls a case, which is that without the number
/// of a channel. No two images have one name.
fn find<'a>(
    images: &[PlannedImage],
    folds: &'a HashMap<String, Listed>,
) -> Result<Vec<Option<&'a Listed>>, String> {
    let mut taken: HashMap<&str, &str> = HashMap::new();
    let mut found = Vec::with_capacity(images.len());
    for image in images {
        let file = image.uri.rsplit('/').next().unwrap_or_default();
        let stem = file.split_once('.').map_or(file, |(stem, _)| stem);
        let case = stem
            .rsplit_once('_')
            .filter(|(_, channel)| channel.len() == 4 && channel.bytes().all(|byte| byte.is_ascii_digit()));
        let names = [Some(image.id.as_str()), Some(file), Some(stem), case.map(|(case, _)| case)];
        let Some((name, fold)) = names.into_iter().flatten().find_map(|name| folds.get_key_value(name))
        else {
            found.push(None);
            continue;
        };
        if let Some(other) = taken.insert(name, &image.id) {
            return Err(format!(
                "images {other} and {} are both called {name} in it: list them by image_id",
                image.id
            ));
        }
        found.push(Some(fold));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_plans::image;

    fn image_at(id: &str, uri: &str) -> PlannedImage {
        PlannedImage { uri: uri.to_owned(), ..image(id) }
    }

    fn folds(text: &str) -> Result<Vec<String>, String> {
        let images = [
            image_at("a", "/set/case_000_0000.png"),
            image_at("sub/b", "/set/sub/b.x.png"),
            image_at("c", "/set/c.png"),
        ];
        let bytes = text.as_bytes();
        let folds = if text.starts_with('[') { splits(bytes) } else { table(bytes) }?;
        let found = find(&images, &folds)?;
        Ok(found.into_iter().map(|listed| listed.map_or("-".to_owned(), |(fold, _)| fold.clone())).collect())
    }

    #[test]
    fn images_are_found_by_id_file_stem_and_case() {
        let splits =
            r#"[{"train": ["b", "c"], "val": ["case_000"]}, {"train": ["case_000"], "val": ["b", "c"]}]"#;
        assert_eq!(folds(splits).unwrap(), ["0", "1", "1"]);
        assert_eq!(folds("fold,image_id\n2,sub/b\n0,c.png\n").unwrap(), ["-", "2", "0"]);
        let more = table(b"image_id,fold,group,x\na,0,p,\n").unwrap();
        assert_eq!(more["a"], ("0".to_owned(), [("group".to_owned(), "p".to_owned())].into()));
    }

    #[test]
    fn lists_that_contradict_themselves_are_refused() {
        for (text, says) in [
            (r#"[{"train": ["a"], "val": ["a"]}]"#, "fold 0 has a in train and in val"),
            (r#"[{"train": [], "val": ["a"]}, {"train": [], "val": ["a"]}]"#, "a is in fold 0 and in fold 1"),
            (r#"[{"train": []}]"#, "as nnU-Net writes it"),
            ("image_id,split\na,0\n", "columns image_id and fold"),
            ("image_id,fold\na,0\na,1\n", "a is in fold 0 and in fold 1"),
        ] {
            let error = folds(text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        let twins = [image_at("x/a", "/x/a.png"), image_at("y/a", "/y/a.png")];
        let folds = HashMap::from([("a".to_owned(), ("0".to_owned(), BTreeMap::new()))]);
        assert!(find(&twins, &folds).unwrap_err().contains("x/a and y/a are both called a"));
    }
}
