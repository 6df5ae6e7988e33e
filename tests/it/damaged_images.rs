//! TIFFs of which some tiles cannot be read: these pixels are missing, and all others are as they would be.

use crate::decode::Mask;
use crate::fixture::Place;
use marquetry_model::toy::{Toy, Weights};

const TILE: usize = 16;
const SIDES: [usize; 2] = [70, 90];
const ACROSS: usize = SIDES[1].div_ceil(TILE);

/// No value is 0.
fn value(row: usize, col: usize, band: usize) -> u8 {
    ((row * 90 + col) * 7919 + band * 104_729) as u8 % 250 + 1
}

/// What becomes of a tile.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    Kept,
    /// It is 0 in all bands, which the file says is no data.
    Nodata,
    /// It begins behind the end of the file.
    Lost,
}

/// An RGB TIFF in tiles, of which 0 in all bands is no data.
fn tiff(fate: impl Fn(usize) -> Fate) -> Vec<u8> {
    tiff_of(fate, true)
}

/// An RGB TIFF in tiles, which says so if it is to.
pub(crate) fn tiff_of(fate: impl Fn(usize) -> Fate, says_nodata: bool) -> Vec<u8> {
    let [height, width] = SIDES;
    let tiles = ACROSS * height.div_ceil(TILE);
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut offsets = Vec::new();
    for tile in 0..tiles {
        offsets.push(if fate(tile) == Fate::Lost { 50_000_000 + tile } else { file.len() });
        let (top, left) = (tile / ACROSS * TILE, tile % ACROSS * TILE);
        let all = (0..TILE * TILE * 3).map(|at| (top + at / 3 / TILE, left + at / 3 % TILE, at % 3));
        let sample = |(row, col, band)| if fate(tile) == Fate::Nodata { 0 } else { value(row, col, band) };
        file.extend(all.map(sample));
    }
    let mut words = |values: &[usize]| {
        let at = file.len();
        file.extend(values.iter().flat_map(|value| (*value as u32).to_le_bytes()));
        at
    };
    let (offsets, counts) = (words(&offsets), words(&vec![TILE * TILE * 3; tiles]));
    let depths = words(&[8 << 16 | 8, 8]);
    let zero = usize::from(b'0');
    let entries = [
        [256, 4, 1, width],
        [257, 4, 1, height],
        [258, 3, 3, depths],
        [259, 3, 1, 1],
        [262, 3, 1, 2],
        [277, 3, 1, 3],
        [322, 4, 1, TILE],
        [323, 4, 1, TILE],
        [324, 4, tiles, offsets],
        [325, 4, tiles, counts],
        [42113, 2, 2, zero],
    ];
    let directory = file.len() as u32;
    file[4..8].copy_from_slice(&directory.to_le_bytes());
    let entries = &entries[..entries.len() - usize::from(!says_nodata)];
    file.extend((entries.len() as u16).to_le_bytes());
    for &[tag, kind, count, value] in entries {
        file.extend((tag as u16).to_le_bytes());
        file.extend((kind as u16).to_le_bytes());
        file.extend((count as u32).to_le_bytes());
        file.extend((value as u32).to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

fn place(member: &str, more: &str) -> Place {
    let place = Place::new();
    place.model("m.onnx", &Toy { channels: 3, classes: 3, weights: Weights::Copy, ..Toy::default() });
    let text = format!(
        "version: 1\nimages: images\nclasses: [a, b, c]\nmembers: [{{onnx: m.onnx, {member}}}]\nstore: store\n\
         defaults: {{window: {{size: 32}}, input: {{scale: 1}}}}\noutputs: [{{masks: png}}, {{report: html}}]\n{more}\n"
    );
    place.write("job.yaml", text);
    place
}

fn labels(place: &Place) -> Vec<u8> {
    Mask::from_png(&place.outputs("store")["masks/a.png"]).labels
}

/// Two tiles beside each other, in the second row of tiles.
fn is_lost(tile: usize) -> bool {
    [ACROSS + 2, ACROSS + 3].contains(&tile)
}

fn damaged(tile: usize) -> Fate {
    if is_lost(tile) { Fate::Lost } else { Fate::Kept }
}

#[test]
fn only_the_pixels_that_cannot_be_read_are_missing() {
    let [height, width] = SIDES;
    let wanted: Vec<u8> = (0..height * width)
        .map(|at| {
            let (row, col) = (at / width, at % width);
            let bands: Vec<u8> = (0..3).map(|band| value(row, col, band)).collect();
            let best = bands.iter().position(|v| Some(v) == bands.iter().max()).unwrap_or(0) as u8;
            if is_lost(row / TILE * ACROSS + col / TILE) { 255 } else { best }
        })
        .collect();
    for limits in ["limits: {block_mb: 1}", "limits: {block_mb: 64}"] {
        let place = place("", limits);
        place.write("images/a.tif", tiff(damaged));
        let ran = place.run("job.yaml").ends_with(1);
        let ran = ran.says(&[
            "tiles 8 to 9 (16 × 32 px at row 16, column 32)",
            "the file ends too early",
            "these pixels are missing, and the rest is done",
        ]);
        let summary = ran.json();
        assert_eq!((&summary["failed_images"], &summary["tally"]["losses_total"]), (&1.into(), &1.into()));
        assert_eq!(summary["tally"]["losses"][0]["only_pixels"], true, "{summary}");
        let found = labels(&place);
        let unlike = found.iter().zip(&wanted).filter(|(found, wanted)| found != wanted).count();
        assert_eq!(unlike, 0, "{limits}: {unlike} pixels");
        let report = place.path(&format!("{}/out/report.html", place.job_folder("store")));
        let report = std::fs::read_to_string(report).unwrap();
        assert!(report.contains("pixels that cannot be read") && report.contains("tiles 8 to 9"));
        // It is told again, for nothing but the tiles of the first run; and done once the file is whole.
        let again = place.run("job.yaml").ends_with(1).json();
        assert_eq!(
            (&again["tally"]["tasks_computed"], &again["tally"]["losses_total"]),
            (&0.into(), &1.into())
        );
        assert_eq!(labels(&place), found);
        place.write("images/a.tif", tiff(|_| Fate::Kept));
        place.run("job.yaml").ends_with(0);
        assert!(!labels(&place).contains(&255));
    }
}

/// As pixels without data, whatever is done with the image.
#[test]
fn damage_is_missing_as_no_data_is() {
    let whole = "window: {size: 48, mode: whole}";
    let statistics = "input: {normalize: image}";
    for member in ["scale: 0.5", "scale: 1.7", whole, statistics] {
        let run = |fate: Fate, code: i32| {
            let place = place(member, "");
            place.write("images/a.tif", tiff(|tile| if is_lost(tile) { fate } else { Fate::Kept }));
            place.run("job.yaml").ends_with(code);
            labels(&place)
        };
        let found = run(Fate::Lost, 1);
        let missing: usize = found.iter().map(|label| usize::from(*label == 255)).sum();
        assert_eq!((found == run(Fate::Nodata, 0), missing), (true, 2 * TILE * TILE), "{member}");
    }
}

#[test]
fn what_cannot_be_read_at_all_is_given_up_as_before() {
    let place = place("", "");
    place.write("images/a.tif", tiff(|_| Fate::Lost));
    place.run("job.yaml").ends_with(65).says(&["no pixel of this block is left"]);
}

#[test]
fn policy_fail_takes_no_image_that_lacks_pixels() {
    let place = place("", "failures: {policy: fail}");
    place.write("images/a.tif", tiff(damaged));
    place.run("job.yaml").ends_with(2).says(&["failures.policy is `fail`", "tiles 8 to 9"]);
}
