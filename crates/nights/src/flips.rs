//! Pixels of one image that have another label than in another night.

use marquetry_geometry::Size;
use marquetry_job::{NO_TRUTH, TruthError, TruthLabels};
use marquetry_raster::thumbnail::Thumbnail;

/// What a pixel is shown as that has another label, and one that has none in either night.
const OTHER: [u8; 3] = [214, 39, 40];
const NONE: [u8; 3] = [128; 3];
/// How much darker pixels are shown that have the same label.
const FADED: u16 = 3;

/// How many pixels had one label and have another, `[C + 1, C + 1]`: from rows to columns. The last of each stands for no label,
/// or, of classes that share pixels, for not having the class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flips {
    classes: usize,
    counts: Vec<u64>,
}

/// Why labels of two nights cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Those of one night cannot be read.
    #[error(transparent)]
    Labels(#[from] TruthError),
    /// The image has another size now.
    #[error("it was {before} px, and is {after} px now")]
    Resized {
        /// Then.
        before: Size,
        /// Now.
        after: Size,
    },
}

/// How the labels of both nights are shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The colours of all classes: red, green, blue.
    pub colours: &'a [[u8; 3]],
}

impl Flips {
    /// None yet, of so many classes.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; (classes + 1) * (classes + 1)] }
    }

    /// Pixels that were `from` and are `to`; the number of classes stands for none.
    pub fn of(&self, from: usize, to: usize) -> u64 {
        self.counts[from * (self.classes + 1) + to]
    }

    /// Pixels that have another label than they had.
    pub fn changed(&self) -> u64 {
        self.all() - (0..=self.classes).map(|class| self.of(class, class)).sum::<u64>()
    }

    /// All pixels that were compared; of classes that share pixels once for each class.
    pub fn all(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds what was counted elsewhere, of as many classes.
    pub fn add(&mut self, more: &Self) {
        self.counts.iter_mut().zip(&more.counts).for_each(|(own, more)| *own += more);
    }

    /// What a class had and has: pixels that were it, are it, and were and are it.
    pub fn class(&self, class: usize) -> [u64; 3] {
        let (row, column) = ((0..=self.classes), (0..=self.classes));
        [
            row.map(|to| self.of(class, to)).sum(),
            column.map(|from| self.of(from, class)).sum(),
            self.of(class, class),
        ]
    }

    fn count(&mut self, from: usize, to: usize) {
        self.counts[from * (self.classes + 1) + to] += 1;
    }
}

/// Counts the pixels of an image that have another label, by the labels that two nights have stored of it. `places` say where
/// each class of either night is among `classes` ones. Where classes do not exclude each other every row has a row for each class.
/// With `shown` there comes a picture of both, and of what differs, side by side: PNG.
///
/// # Errors
/// When labels are damaged, or of two sizes.
pub fn compare_labels(
    [before, after]: [Vec<u8>; 2],
    places: [&[usize]; 2],
    (classes, exclusive): (usize, bool),
    shown: Option<Shown<'_>>,
) -> Result<(Flips, Option<Vec<u8>>), CompareError> {
    let (before, after) = (TruthLabels::open_any(before)?, TruthLabels::open_any(after)?);
    let planes = |places: &[usize]| if exclusive { 1 } else { places.len().max(1) as u32 };
    let of_image = |labels: &TruthLabels, places: &[usize]| {
        Size::new(labels.size().height / planes(places), labels.size().width)
    };
    let (then, now) = (of_image(&before, places[0]), of_image(&after, places[1]));
    if then != now {
        return Err(CompareError::Resized { before: then, after: now });
    }
    let (mut flips, thumbnail) = (Flips::new(classes), Thumbnail::new(now));
    let (mut rows, mut pictures) = ([before.rows()?, after.rows()?], [Vec::new(), Vec::new(), Vec::new()]);
    for y in 0..now.height {
        // What each pixel is in either night: of classes that share pixels, one plane for each class of both nights.
        let mut labels: [Vec<Vec<usize>>; 2] = [Vec::new(), Vec::new()];
        for ((labels, rows), places) in labels.iter_mut().zip(&mut rows).zip(places) {
            *labels = if exclusive {
                let place = |label: &u16| places.get(usize::from(*label)).copied().unwrap_or(classes);
                vec![rows.next_row()?.iter().map(place).collect()]
            } else {
                let mut all = vec![vec![classes; now.width as usize]; classes];
                for &place in places {
                    let row = rows.next_row()?;
                    all[place].iter_mut().zip(row).for_each(|(own, label)| {
                        *own = if *label == 0 || *label == NO_TRUTH { classes } else { place };
                    });
                }
                all
            };
        }
        let [then, now] = &labels;
        for (then, now) in then.iter().zip(now) {
            then.iter().zip(now).for_each(|(then, now)| flips.count(*then, *now));
        }
        if let Some(shown) = shown.filter(|_| thumbnail.has_row(y)) {
            picture_row(thumbnail, [then, now], (shown.colours, classes), &mut pictures);
        }
    }
    let picture = shown.and_then(|_| thumbnail.strip(&pictures).ok());
    Ok((flips, picture))
}

/// Adds a row to the pictures of then, of now, and of what differs. Of classes that share a pixel the last one is shown.
fn picture_row(
    thumbnail: Thumbnail,
    nights: [&Vec<Vec<usize>>; 2],
    (colours, classes): (&[[u8; 3]], usize),
    pictures: &mut [Vec<u8>; 3],
) {
    let shown = |planes: &Vec<Vec<usize>>| -> Vec<usize> {
        let width = planes.first().map_or(0, Vec::len);
        let top = |x: usize| planes.iter().rev().map(|plane| plane[x]).find(|label| *label < classes);
        (0..width).map(|x| top(x).unwrap_or(classes)).collect()
    };
    let differs = |x: usize| nights[0].iter().zip(nights[1]).any(|(then, now)| then[x] != now[x]);
    let [then, now] = nights.map(shown);
    let all: Vec<usize> = (0..now.len()).collect();
    let colour = |label: usize| colours.get(label).copied().unwrap_or(NONE);
    for x in thumbnail.of(&all) {
        pictures[0].extend(colour(then[x]));
        pictures[1].extend(colour(now[x]));
        let same = colour(now[x]).map(|part| (u16::from(part) / FADED) as u8);
        pictures[2].extend(if differs(x) { OTHER } else { same });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(size: Size, labels: &[u16]) -> Vec<u8> {
        TruthLabels::encode(size, labels).unwrap()
    }

    #[test]
    fn flips_are_counted_by_the_names_of_classes() {
        let size = Size::new(2, 3);
        let before = stored(size, &[0, 0, 1, 1, NO_TRUTH, 0]);
        // The other night has its classes in another order, and one more.
        let after = stored(size, &[1, 1, 1, 0, 2, 2]);
        let shown = Shown { colours: &[[9; 3], [90; 3], [240; 3]] };
        let (flips, picture) =
            compare_labels([before.clone(), after], [&[0, 1], &[1, 0, 2]], (3, true), Some(shown)).unwrap();
        let counted = |from, to| flips.of(from, to);
        assert_eq!(
            (counted(0, 0), counted(1, 0), counted(1, 1), counted(3, 2), counted(0, 2)),
            (2, 1, 1, 1, 1)
        );
        assert_eq!((flips.changed(), flips.all()), (3, 6));
        assert_eq!(flips.class(0), [3, 3, 2]);
        let decoder = png::Decoder::new(std::io::Cursor::new(picture.unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let rows: Vec<Vec<[u8; 3]>> =
            pixels.chunks(27).map(|row| row.chunks(3).map(|p| [p[0], p[1], p[2]]).collect()).collect();
        assert_eq!(rows[0][..3], [[9; 3], [9; 3], [90; 3]]);
        assert_eq!(rows[0][3..6], [[9; 3]; 3]);
        assert_eq!(rows[0][6..], [[3; 3], [3; 3], OTHER]);
        let other = stored(Size::new(3, 2), &[0; 6]);
        let error = compare_labels([before, other], [&[0, 1], &[0, 1]], (2, true), None).unwrap_err();
        assert!(error.to_string().contains("it was 2 × 3 px"), "{error}");
    }

    #[test]
    fn classes_that_share_pixels_are_counted_each_for_itself() {
        // One row of the image, a row for each class.
        let before = stored(Size::new(2, 3), &[1, 1, 0, 0, 1, NO_TRUTH]);
        let after = stored(Size::new(2, 3), &[1, 0, 0, 1, 1, 1]);
        let (flips, _) = compare_labels([before, after], [&[0, 1], &[0, 1]], (2, false), None).unwrap();
        assert_eq!(flips.class(0), [2, 1, 1]);
        assert_eq!(flips.class(1), [1, 3, 1]);
        assert_eq!((flips.changed(), flips.all()), (3, 6));
    }
}
