//! What one fold may know of another, though nobody meant it: then scores out of fold are too good.

use crate::planning::folds::fold_of;
use crate::planning::images::threads;
use crate::planning::memory::PlanMemory;
use crate::planning::parallel_map::parallel_map;
use marquetry_failure::counted;
use marquetry_geometry::{Reading, Rect, Size};
use marquetry_imagery::{ImageFiles, georeference_told, open};
use marquetry_job::{PlannedImage, hash};
use marquetry_raster::read::{Image, Limits, Pixels};
use marquetry_raster::write::GeoTags;
use marquetry_transport::Files;
use marquetry_transport::uri::is_uri;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The side of an image's middle that is looked at first, px.
const MIDDLE: u32 = 256;
/// Rows that are read at once of an image that is looked at whole.
const ROWS: u32 = 256;
/// Larger ones are not decoded for it, px.
const PIXELS_MAX: u64 = 100_000_000;
/// So many are named.
const NAMED: usize = 3;

/// An image and its fold.
type InFold<'a> = (&'a PlannedImage, String);

/// A sentence for each way in which members may have seen in training what they score out of fold.
pub(crate) fn told(
    images: &[PlannedImage],
    from: (&Files, &Limits, &Reading),
    memory: Option<&PlanMemory>,
    cores: usize,
) -> impl Iterator<Item = String> {
    let images: Vec<InFold<'_>> = images.iter().filter_map(|image| Some((image, fold_of(image)?))).collect();
    let folds: BTreeSet<&str> = images.iter().map(|(_, fold)| fold.as_str()).collect();
    let all = if folds.len() < 2 {
        [None, None, None]
    } else {
        [groups(&images), equal_pixels(&images, from, memory, cores), overlaps(&images, from, memory, cores)]
    };
    all.into_iter().flatten()
}

/// What the column of a name says of an image, however that is written.
fn column<'a>(image: &'a PlannedImage, name: &str) -> Option<&'a str> {
    let found = image.tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}

/// What was not looked at, and why: silence would be taken for an answer.
pub(crate) fn not_looked_at(images: &[PlannedImage]) -> impl Iterator<Item = String> {
    let far = images.iter().any(|image| is_uri(&image.uri)).then(|| {
        "folds: whether images of two folds have the same pixels is not looked at in buckets, which would be read whole for it"
            .to_owned()
    });
    far.into_iter().chain(no_place(images))
}

/// Columns that were meant for places, and say none.
fn no_place(images: &[PlannedImage]) -> Option<String> {
    let useless = |image: &&PlannedImage| {
        let number = |text: &str| text.parse::<f64>().is_ok();
        let (x, y) = (column(image, "x"), column(image, "y"));
        x.zip(y).is_some_and(|(x, y)| column(image, "scene").is_none() || !number(x) || !number(y))
    };
    let (first, count) = (images.iter().find(useless)?, images.iter().filter(useless).count());
    Some(format!(
        "folds: the columns x and y of {} ({}{}) say no place: they are px from the corner of the column `scene`; whether these images \
         overlap is not looked at by them",
        counted(count, "image"),
        first.id,
        if count > 1 { ", …" } else { "" }
    ))
}

/// Groups with images in several folds.
fn groups(images: &[InFold<'_>]) -> Option<String> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (image, fold) in images {
        if let Some(group) = column(image, "group") {
            groups.entry(group).or_default().insert(fold);
        }
    }
    let split: Vec<_> = groups.iter().filter(|(_, folds)| folds.len() > 1).collect();
    let named = split.iter().take(NAMED).map(|(group, folds)| {
        format!("{group} (folds {})", folds.iter().copied().collect::<Vec<_>>().join(", "))
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let are = if split.len() == 1 { "has" } else { "have" };
    (!split.is_empty()).then(|| {
        format!(
            "{} of {} {are} images in several folds: {named}: what members learnt of a group they meet again out of fold, and scores \
             are too good; split by group",
            counted(split.len(), "group"),
            groups.len()
        )
    })
}

/// Images of two folds with the same pixels: of those of one size the middles are compared, and where these are equal all of it.
fn equal_pixels(
    images: &[InFold<'_>],
    from: (&Files, &Limits, &Reading),
    memory: Option<&PlanMemory>,
    threads: usize,
) -> Option<String> {
    let small = images.iter().filter(|(image, _)| image.size.area() <= PIXELS_MAX && !is_uri(&image.uri));
    let of_size = across_folds(small.map(|of| ((of.0.size.height, of.0.size.width, of.0.bands), of)));
    let alike = looked_at(&of_size, from, (memory, "middle"), threads, |image| {
        let size = image.info().size;
        let part = Size::new(size.height.min(MIDDLE), size.width.min(MIDDLE));
        let (top, left) = ((size.height - part.height) / 2, (size.width - part.width) / 2);
        pixels(image, Rect::new(i64::from(top), i64::from(left), part), &mut Pixels::default())
    });
    let equal = looked_at(&alike, from, (memory, "pixels"), threads, whole);
    let mut pairs: BTreeMap<&str, Vec<&InFold<'_>>> = BTreeMap::new();
    for (hash, of) in &equal {
        pairs.entry(hash).or_default().push(of);
    }
    let named = pairs.values().take(NAMED).map(|same| {
        let names = same.iter().take(NAMED).map(|(image, fold)| format!("{} (fold {fold})", image.id));
        names.collect::<Vec<_>>().join(" and ")
    });
    let named = named.collect::<Vec<_>>().join("; ");
    (!equal.is_empty()).then(|| {
        format!(
            "{} have the same pixels as one of another fold: {named}: members were trained on what they score here; put them into \
             one fold, or leave one of them out",
            counted(equal.len(), "image")
        )
    })
}

/// Of those with one key that are of several folds, the key and the image.
fn across_folds<'a, 'i, K: Eq + std::hash::Hash + Clone>(
    keyed: impl Iterator<Item = (K, &'a InFold<'i>)>,
) -> Vec<(K, &'a InFold<'i>)> {
    let keyed: Vec<_> = keyed.collect();
    let mut folds: HashMap<K, BTreeSet<&str>> = HashMap::new();
    for (key, (_, fold)) in &keyed {
        folds.entry(key.clone()).or_default().insert(fold);
    }
    keyed.into_iter().filter(|(key, _)| folds[key].len() > 1).collect()
}

/// Those that `look` finds alike in several folds, by what it finds. What cannot be read is told where it is read in earnest.
fn looked_at<'a, 'i, K: Sync>(
    candidates: &[(K, &'a InFold<'i>)],
    (files, limits, reading): (&Files, &Limits, &Reading),
    (memory, what): (Option<&PlanMemory>, &str),
    threads: usize,
    look: impl Fn(&Image) -> Option<String> + Sync,
) -> Vec<(String, &'a InFold<'i>)> {
    let found = parallel_map(
        candidates,
        threads,
        |(_, (planned, _))| {
            remembered(memory, (what, planned, reading), || {
                let of = ImageFiles { uri: &planned.uri, stat: None, sidecars: &planned.sidecars };
                look(&open(files, &of, limits, reading).ok()?)
            })
        },
        |_| false,
    );
    let found = found.into_iter().zip(candidates).filter_map(|(hash, (_, of))| Some((hash??, *of)));
    across_folds(found)
}

/// What was seen of an image of this content before, or what `look` sees now.
fn remembered<T: Serialize + DeserializeOwned>(
    memory: Option<&PlanMemory>,
    (what, planned, reading): (&str, &PlannedImage, &Reading),
    look: impl FnOnce() -> Option<T>,
) -> Option<T> {
    let Some(memory) = memory else { return look() };
    // What could not be read may be read the next time.
    memory.seen(&format!("{what} {}", planned.key), &format!("{reading:?}"), || look().ok_or(())).ok()
}

/// Names the pixels of a part.
fn pixels(image: &Image, part: Rect, read: &mut Pixels) -> Option<String> {
    image.read(part, read).ok()?;
    let bytes: Vec<u8> = read.data.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    Some(hash(&[&bytes]))
}

/// Names all pixels; nothing where all of a band are one: empty images are equal, and give nothing away.
fn whole(image: &Image) -> Option<String> {
    let (size, bands) = (image.info().size, usize::from(image.info().bands));
    let (mut name, mut read) = (String::new(), Pixels::default());
    let mut first: Option<Vec<u32>> = None;
    let mut is_flat = true;
    for top in (0..size.height).step_by(ROWS as usize) {
        let part = Size::new(ROWS.min(size.height - top), size.width);
        name = hash(&[
            name.as_bytes(),
            pixels(image, Rect::new(i64::from(top), 0, part), &mut read)?.as_bytes(),
        ]);
        let planes = read.data.chunks_exact((part.area() as usize).max(1)).take(bands);
        let first = first.get_or_insert_with(|| planes.clone().map(|plane| plane[0].to_bits()).collect());
        is_flat = is_flat
            && planes.zip(first).all(|(plane, first)| plane.iter().all(|sample| sample.to_bits() == *first));
    }
    (!is_flat).then_some(name)
}

/// A rectangle in the plane of its frame, and the length of a pixel there.
struct Place<'a, 'i> {
    of: &'a InFold<'i>,
    x: [f64; 2],
    y: [f64; 2],
    pixel: [f64; 2],
}

/// Images of two folds that show one place: by the columns `x` and `y` of the list, px from the corner of `scene`, else by the
/// georeference of images whose edges go north and east.
fn overlaps(
    images: &[InFold<'_>],
    from: (&Files, &Limits, &Reading),
    memory: Option<&PlanMemory>,
    cores: usize,
) -> Option<String> {
    let threads = threads(images.iter().map(|(image, _)| image.uri.as_str()), cores);
    let mut frames: BTreeMap<String, Vec<Place<'_, '_>>> = BTreeMap::new();
    let images: Vec<&InFold<'_>> = images.iter().collect();
    let places =
        parallel_map(&images, threads, |&of| by_columns(of).or_else(|| by_map(of, from, memory)), |_| false);
    for (frame, place) in places.into_iter().flatten().flatten() {
        frames.entry(frame).or_default().push(place);
    }
    let (mut count, mut named) = (0_usize, Vec::new());
    for places in frames.values_mut() {
        places.sort_by(|a, b| a.x[0].total_cmp(&b.x[0]));
        for (at, place) in places.iter().enumerate() {
            for other in places[at + 1..].iter().take_while(|other| other.x[0] < place.x[1]) {
                let Some([height, width]) = place.shared(other) else { continue };
                count += 1;
                if named.len() < NAMED {
                    named.push(format!(
                        "{} (fold {}) and {} (fold {}) by {height:.0} × {width:.0} px",
                        place.of.0.id, place.of.1, other.of.0.id, other.of.1
                    ));
                }
            }
        }
    }
    (count > 0).then(|| {
        format!(
            "{} of images of two folds overlap: {}: members were trained on a part of what they score here; split by scene or by \
             block, not tile by tile",
            counted(count, "pair"),
            named.join("; ")
        )
    })
}

impl Place<'_, '_> {
    /// Rows and columns that both have, px of the first; none in one fold, or where less than a pixel is shared.
    fn shared(&self, other: &Self) -> Option<[f64; 2]> {
        let along = |a: [f64; 2], b: [f64; 2], pixel: f64| (a[1].min(b[1]) - a[0].max(b[0])) / pixel;
        let shared = [along(self.y, other.y, self.pixel[1]), along(self.x, other.x, self.pixel[0])];
        (self.of.1 != other.of.1 && shared.iter().all(|side| *side >= 1.0)).then_some(shared)
    }
}

fn by_columns<'a, 'i>(of: &'a InFold<'i>) -> Option<(String, Place<'a, 'i>)> {
    let number = |name: &str| column(of.0, name)?.parse::<f64>().ok().filter(|at| at.is_finite());
    let (x, y, size) = (number("x")?, number("y")?, of.0.size);
    // Without a scene x and y may be of any; images of one place only would tell.
    let scene = format!("scene {}", column(of.0, "scene")?);
    let place = Place {
        of,
        x: [x, x + f64::from(size.width)],
        y: [y, y + f64::from(size.height)],
        pixel: [1.0, 1.0],
    };
    Some((scene, place))
}

fn by_map<'a, 'i>(
    of: &'a InFold<'i>,
    from: (&Files, &Limits, &Reading),
    memory: Option<&PlanMemory>,
) -> Option<(String, Place<'a, 'i>)> {
    // That it lies nowhere is seen too.
    let place = remembered(memory, ("place", of.0, from.2), || on_map(of.0, from))?;
    let (system, x, y, pixel) = place.into_iter().next()?;
    Some((system, Place { of, x, y, pixel }))
}

/// A reference system, the rectangle of an image in it, and the length of a pixel there.
type OnMap = (String, [f64; 2], [f64; 2], [f64; 2]);

/// Where an image lies: in one place or none; nothing where it cannot be read.
fn on_map(image: &PlannedImage, (files, limits, reading): (&Files, &Limits, &Reading)) -> Option<Vec<OnMap>> {
    let of = ImageFiles { uri: &image.uri, stat: None, sidecars: &image.sidecars };
    let tags = georeference_told(files, &of, limits, reading).ok()?.tags;
    Some(tags.and_then(|tags| upright(&tags, image.size)).into_iter().collect())
}

/// The upright rectangle on the map that an image of `size` px covers.
fn upright(tags: &GeoTags, size: Size) -> Option<OnMap> {
    let map = tags.transform()?;
    let [near, right, down, far] = [
        map.to_map(0.0, 0.0),
        map.to_map(1.0, 0.0),
        map.to_map(0.0, 1.0),
        map.to_map(f64::from(size.width), f64::from(size.height)),
    ];
    let pixel = [(right[0] - near[0]).abs(), (down[1] - near[1]).abs()];
    let is_turned = right[1] != near[1] || down[0] != near[0];
    let length = |to: [f64; 2]| (to[0] - near[0]).hypot(to[1] - near[1]);
    let pixel = if is_turned { [length(right), length(down)] } else { pixel };
    if pixel.iter().any(|side| *side <= 0.0) {
        return None;
    }
    // Of a turned image the upright square in its middle that any turn of it holds: where two of these meet, so do the images.
    let middle = map.to_map(f64::from(size.width) / 2.0, f64::from(size.height) / 2.0);
    let reach = f64::from(size.width.min(size.height)) / 2.0
        * std::f64::consts::FRAC_1_SQRT_2
        * pixel[0].min(pixel[1]);
    let along = |axis: usize| {
        if is_turned {
            [middle[axis] - reach, middle[axis] + reach]
        } else {
            [near[axis].min(far[axis]), near[axis].max(far[axis])]
        }
    };
    let system = tags.epsg().map_or_else(|| "its own system".to_owned(), |code| format!("EPSG:{code}"));
    Some((system, along(0), along(1), pixel))
}

#[cfg(test)]
#[path = "leaks_tests.rs"]
mod tests;
