use super::*;
use png::{BitDepth, ColorType};

fn written(
    color: ColorType,
    depth: BitDepth,
    palette: Option<Vec<u8>>,
    data: &[u8],
    size: (u32, u32),
) -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().unwrap();
    let file = std::fs::File::create(folder.path().join("a.png")).unwrap();
    let mut encoder = png::Encoder::new(file, size.0, size.1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if let Some(palette) = palette {
        encoder.set_palette(palette);
    }
    encoder.write_header().unwrap().write_image_data(data).unwrap();
    folder
}

fn read(folder: &tempfile::TempDir, as_colours: bool, alpha: AlphaRule) -> Result<RawLabel, LabelError> {
    let limits = Limits { pixels_max: 1 << 30, memory_bytes: 1 << 30, scratch_dir: folder.path().to_owned() };
    let mut out = RawLabel::default();
    let path = folder.path().join("a.png");
    let nodata = NodataRule::Refuse;
    LabelFile { path: &path, as_colours, alpha, nodata, image: None }.read(&limits, &mut out)?;
    Ok(out)
}

const ASK: AlphaRule = AlphaRule::Refuse;

#[test]
fn a_palette_is_indices_or_colours() {
    let palette = vec![0, 0, 0, 128, 0, 0, 0, 128, 1];
    let file = written(ColorType::Indexed, BitDepth::Eight, Some(palette), &[0, 1, 2, 1], (2, 2));
    let label = read(&file, false, ASK).unwrap();
    assert_eq!((&label.values[..], label.facts.kind.as_str()), (&[0, 1, 2, 1][..], "PNG, palette"));
    assert_eq!(label.facts.palette, Some(vec![[0, 0, 0], [128, 0, 0], [0, 128, 1]]));
    let label = read(&file, true, ASK).unwrap();
    assert_eq!(label.values, [0, 0x80_00_00, 0x00_80_01, 0x80_00_00]);
    assert!(label.facts.coloured && label.facts.palette.is_none());
}

#[test]
fn colours_and_grey_values_of_all_widths() {
    let file = written(ColorType::Rgb, BitDepth::Eight, None, &[1, 2, 3, 7, 7, 7], (2, 1));
    assert_eq!(read(&file, false, ASK).unwrap().values, [0x01_02_03, 0x07_07_07]);
    let file = written(ColorType::Grayscale, BitDepth::Sixteen, None, &[0x5d, 0xc0, 255, 255], (2, 1));
    assert_eq!(read(&file, false, ASK).unwrap().values, [24_000, 65_535]);
    let file = written(ColorType::Grayscale, BitDepth::One, None, &[0b1010_0000], (3, 1));
    assert_eq!(read(&file, false, ASK).unwrap().values, [1, 0, 1]);
    let file = written(ColorType::Rgb, BitDepth::Sixteen, None, &[1, 0, 1, 0, 1, 0], (1, 1));
    assert!(read(&file, false, ASK).unwrap_err().to_string().contains("more than 8 bits"));
}

#[test]
fn alpha_is_dropped_where_it_is_opaque_and_asked_about_where_not() {
    let opaque = written(ColorType::Rgba, BitDepth::Eight, None, &[1, 1, 1, 255, 2, 2, 2, 255], (2, 1));
    let label = read(&opaque, false, ASK).unwrap();
    assert_eq!((label.values, label.facts.alpha_varies), (vec![0x01_01_01, 0x02_02_02], false));
    let mask = written(ColorType::GrayscaleAlpha, BitDepth::Eight, None, &[9, 255, 9, 0], (2, 1));
    assert!(read(&mask, false, ASK).unwrap().facts.alpha_varies);
    assert_eq!(read(&mask, false, AlphaRule::Label).unwrap().values, [255, 0]);
    assert_eq!(read(&mask, false, AlphaRule::Missing).unwrap().missing, [false, true]);
    let dropped = read(&mask, false, AlphaRule::Drop).unwrap();
    assert_eq!((dropped.values, dropped.missing), (vec![9, 9], vec![false, false]));
}

/// A little-endian grey TIFF of eight bits and one row, with GDAL's tag for no data where there is one, of at most three
/// characters.
fn tiff(values: &[u8], nodata: Option<&str>) -> Vec<u8> {
    let width = values.len() as u32;
    let mut entries =
        vec![(256, 4, width), (257, 4, 1), (258, 4, 8), (259, 4, 1), (262, 4, 1), (273, 4, 8), (277, 4, 1)];
    entries.push((279, 4, width));
    let mut file = [&b"II*\0\0\0\0\0"[..], values].concat();
    file.resize(file.len().next_multiple_of(4), 0);
    let directory = file.len() as u32;
    file[4..8].copy_from_slice(&directory.to_le_bytes());
    file.extend((entries.len() as u16 + u16::from(nodata.is_some())).to_le_bytes());
    for (tag, kind, value) in entries {
        file.extend([u16::to_le_bytes(tag), u16::to_le_bytes(kind), [1, 0], [0, 0]].concat());
        file.extend(value.to_le_bytes());
    }
    if let Some(text) = nodata {
        let mut padded = text.as_bytes().to_vec();
        padded.resize(4, 0);
        file.extend([u16::to_le_bytes(42113), [2, 0], [text.len() as u8 + 1, 0], [0, 0]].concat());
        file.extend(padded);
    }
    file.extend([0; 4]);
    file
}

/// The number for no data is a class where that is said; what a mask leaves out stays out.
#[test]
fn no_data_is_no_label_or_a_number_like_any_other() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("a.tif"), tiff(&[0, 1, 2, 0, 1], Some("0"))).unwrap();
    let limits = Limits { pixels_max: 1 << 30, memory_bytes: 1 << 30, scratch_dir: folder.path().to_owned() };
    let read = |nodata: NodataRule| {
        let path = folder.path().join("a.tif");
        let mut out = RawLabel::default();
        let file = LabelFile { path: &path, as_colours: false, alpha: ASK, nodata, image: None };
        file.read(&limits, &mut out).unwrap();
        (out.values, out.missing, out.facts.nodata)
    };
    let (numbers, zeros) = (vec![0, 1, 2, 0, 1], vec![true, false, false, true, false]);
    for rule in [NodataRule::Refuse, NodataRule::Missing] {
        assert_eq!(read(rule), (numbers.clone(), zeros.clone(), Some(0.0)), "{rule:?}");
    }
    assert_eq!(read(NodataRule::Value), (numbers, vec![false; 5], None));
    std::fs::write(folder.path().join("a.tif.msk"), tiff(&[0, 0, 255, 255, 255], None)).unwrap();
    assert_eq!(read(NodataRule::Missing).1, [true, true, false, true, false]);
    assert_eq!(read(NodataRule::Value).1, [true, true, false, false, false]);
}

/// More rows than are read at a time.
#[test]
fn a_large_label_comes_in_pieces() {
    let data: Vec<u8> = (0..1500 * 1500_u32).map(|at| (at / 1500 % 7) as u8).collect();
    let file = written(ColorType::Grayscale, BitDepth::Eight, None, &data, (1500, 1500));
    let label = read(&file, false, ASK).unwrap();
    assert!(label.values.iter().zip(&data).all(|(&value, &byte)| value == u32::from(byte)));
    assert_eq!((label.values.len(), label.missing.len()), (data.len(), data.len()));
}
