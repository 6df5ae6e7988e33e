use super::*;
use crate::test_plans::image;
use std::path::Path;

fn tagged(id: &str, tags: &[(&str, &str)]) -> PlannedImage {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    PlannedImage { tags, ..image(id) }
}

fn all_told(images: &[PlannedImage]) -> Vec<String> {
    let files = Files::local_only();
    let limits = Limits { pixels_max: 1 << 20, memory_bytes: 1 << 20, scratch_dir: std::env::temp_dir() };
    told(images, (&files, &limits, &Reading::default()), None, 2).collect()
}

#[test]
fn groups_in_several_folds_are_named() {
    let of = |id: &str, fold: &str, group: &str| tagged(id, &[("fold", fold), ("group", group)]);
    let told =
        all_told(&[of("a", "0", "p1"), of("b", "fold_1", "p1"), of("c", "0", "p2"), of("d", "00", "p2")]);
    assert!(
        told.len() == 1 && told[0].contains("1 group of 2 has images in several folds: p1 (folds 0, 1)"),
        "{told:?}"
    );
    assert!(all_told(&[of("a", "0", "p1"), of("b", "1", "p2")]).is_empty());
    assert!(all_told(&[of("a", "0", "p1"), of("b", "0.0", "p1")]).is_empty(), "one fold");
}

#[test]
fn rectangles_of_one_scene_that_overlap_in_two_folds_are_named_with_px() {
    let of = |id: &str, fold: &str, scene: &str, x: &str, y: &str| {
        let tags = [("fold", fold), ("scene", scene), ("x", x), ("y", y)];
        PlannedImage { size: Size::new(50, 100), ..tagged(id, &tags) }
    };
    let told = all_told(&[
        of("a", "0", "s", "0", "0"),
        of("b", "1", "s", "60", "20"),
        of("c", "1", "s", "100", "0"),
        of("d", "0", "other", "60", "20"),
        of("e", "0", "s", "0", "10"),
    ]);
    // e and a are of one fold; a and c, e and c touch; b overlaps both a and e.
    assert!(told.len() == 1 && told[0].starts_with("2 pairs of images"), "{told:?}");
    assert!(told[0].contains("a (fold 0) and b (fold 1) by 30 × 40 px"), "{told:?}");
}

/// A grey image as PGM, with a comment that makes another file of the same pixels.
fn pgm(folder: &Path, name: &str, comment: &str, samples: &[u8; 12]) -> PlannedImage {
    let path = folder.join(name);
    std::fs::write(&path, [format!("P5\n#{comment}\n4 3\n255\n").as_bytes(), samples].concat()).unwrap();
    let fold = if comment.starts_with('0') { "0" } else { "1" };
    PlannedImage {
        uri: path.to_str().unwrap().to_owned(),
        size: Size::new(3, 4),
        bands: 1,
        ..tagged(name, &[("fold", fold)])
    }
}

#[test]
fn equal_pixels_in_two_folds_are_found_whatever_the_files_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let samples: [u8; 12] = std::array::from_fn(|at| at as u8 * 20);
    let mut other = samples;
    other[11] = 1;
    let write = |name: &str, comment: &str, samples| pgm(folder.path(), name, comment, samples);
    let (a, b) = (write("a.pgm", "0", &samples), write("b.pgm", "1 copy", &samples));
    let (c, flat, blank) =
        (write("c.pgm", "1", &other), write("d.pgm", "0", &[7; 12]), write("e.pgm", "1", &[7; 12]));
    let told = all_told(&[a.clone(), b, c.clone(), flat, blank]);
    assert!(told.len() == 1, "{told:?}");
    assert!(
        told[0].starts_with("2 images have the same pixels")
            && told[0].contains("a.pgm (fold 0) and b.pgm (fold 1)"),
        "{told:?}"
    );
    assert!(all_told(&[a, c]).is_empty());
}

#[test]
fn columns_that_say_no_place_are_told() {
    let told = |tags: &[(&str, &str)]| not_looked_at(&[tagged("a", tags)]).next().unwrap_or_default();
    assert!(told(&[("x", "0"), ("y", "0")]).contains("1 image (a)"));
    assert!(told(&[("X", "0px"), ("Y", "0"), ("Scene", "s")]).contains("say no place"));
    assert_eq!(told(&[("X", "0"), ("Y", "0.5"), ("Scene", "s")]), "");
    assert_eq!(told(&[("x", "0")]), "");
    let far = PlannedImage { uri: "s3://b/a.png".to_owned(), ..image("a") };
    assert!(not_looked_at(&[far]).next().is_some_and(|note| note.contains("in buckets")));
    let of = |id: &str, fold: &str| tagged(id, &[("fold", fold), ("Group", "p")]);
    assert!(all_told(&[of("a", "0"), of("b", "1")])[0].contains("p (folds 0, 1)"));
}
