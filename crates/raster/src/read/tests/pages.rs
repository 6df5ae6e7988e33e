//! TIFFs of several pages.

use super::*;
use crate::read::labels::{LabelReader, Labels};
use marquetry_geometry::{Nodata, Pages};

/// A page of one strip of bytes: its size, what kind of image it is (tag 254), and its pixels.
struct Leaf {
    size: Size,
    kind: u32,
    pixels: Vec<u8>,
}

fn leaf(page: u16) -> Leaf {
    let size = Size::new(5, 7);
    Leaf { size, kind: 0, pixels: interleaved(size, 1, |row, col, _| pattern(row, col, page)) }
}

fn plane(page: u16) -> Vec<f32> {
    leaf(page).pixels.iter().map(|&v| f32::from(v)).collect()
}

/// A little-endian TIFF of these pages, the first of which has a description.
fn book(leaves: &[Leaf], description: &str) -> Vec<u8> {
    let mut out = b"II*\0".to_vec();
    out.extend([0; 4]);
    let mut link = 4;
    for (number, leaf) in leaves.iter().enumerate() {
        let pixels = out.len() as u32;
        out.extend(&leaf.pixels);
        let text = out.len() as u32;
        out.extend(description.as_bytes());
        out.extend([0, 0, 0, 0]);
        let (height, width) = (leaf.size.height, leaf.size.width);
        let mut tags = vec![(254_u16, 4_u16, 1_u32, leaf.kind), (256, 4, 1, width), (257, 4, 1, height)];
        tags.extend([(258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]);
        if number == 0 && !description.is_empty() {
            tags.push((270, 2, description.len() as u32 + 4, text));
        }
        tags.extend([(273, 4, 1, pixels), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, height * width)]);
        let directory = out.len() as u32;
        out[link..link + 4].copy_from_slice(&directory.to_le_bytes());
        out.extend((tags.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in tags {
            out.extend(tag.to_le_bytes());
            out.extend(kind.to_le_bytes());
            out.extend(count.to_le_bytes());
            out.extend(value.to_le_bytes());
        }
        link = out.len();
        out.extend([0; 4]);
    }
    out
}

fn read_with(bytes: &[u8], reading: &Reading) -> Result<(ImageInfo, Vec<f32>), ReadError> {
    let (folder, path) = stored(bytes);
    let image = Image::open(&path, &roomy(&folder), reading)?;
    assert_eq!(&probe(&path, &roomy(&folder), reading)?, image.info());
    let mut out = Pixels::default();
    image.read(Rect::whole(image.info().size), &mut out)?;
    Ok((image.info().clone(), out.data))
}

const IMAGEJ: &str = "ImageJ=1.54f\nimages=6\nchannels=3\nslices=2\n";

#[test]
fn channels_are_bands() {
    let all = [0, 1, 2].map(leaf);
    let want = [0, 1, 2].map(plane).concat();
    let texts = [
        "ImageJ=1.54f\nimages=3\nchannels=3\n",
        r#"{"shape": [3, 5, 7], "axes": "CYX"}"#,
        r#"<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="3" SizeZ="1" SizeT="1"><TiffData IFD="0" PlaneCount="3"/></Pixels></Image></OME>"#,
    ];
    for text in texts {
        let (info, found) = read_with(&book(&all, text), &Reading::default()).unwrap();
        assert_eq!((info.bands, found), (3, want.clone()), "{text}");
        assert!(info.traits.to_string().contains("3 pages as bands (channels 3)"), "{}", info.traits);
    }
    // Of a stack of them, the channels of the first slice; or the page that is asked for.
    let stack = book(&[0, 1, 2, 3, 4, 5].map(leaf), IMAGEJ);
    let (info, found) = read_with(&stack, &Reading::default()).unwrap();
    assert_eq!((info.bands, found), (3, want));
    assert!(info.traits.to_string().contains("the other 3 of 6 are LEFT OUT"), "{}", info.traits);
    let (info, found) = read_with(&stack, &Reading { page: Some(4), ..Reading::default() }).unwrap();
    assert_eq!((info.bands, found), (1, plane(4)));
    assert!(info.traits.to_string().contains("page 4 of 6"), "{}", info.traits);
    // The channels beside a page: those of its slice.
    let beside = |file: &[u8], page| {
        let reading = Reading { page: Some(page), pages: Pages::Bands, ..Reading::default() };
        read_with(file, &reading).map(|(info, found)| (info.traits.pages.used, found))
    };
    for page in 3..6 {
        assert_eq!(beside(&stack, page).unwrap(), (vec![3, 4, 5], [3, 4, 5].map(plane).concat()));
    }
    let zcyx = book(&[0, 1, 2, 3, 4, 5].map(leaf), r#"{"shape": [3, 2, 5, 7], "axes": "CZYX"}"#);
    assert_eq!(beside(&zcyx, 1).unwrap(), (vec![1, 3, 5], [1, 3, 5].map(plane).concat()));
    let text = r#"<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="2" SizeZ="2" SizeT="1"><TiffData IFD="3" FirstC="0"/>
        <TiffData IFD="1" FirstC="1"/><TiffData IFD="0" FirstC="0" FirstZ="1"/><TiffData IFD="2" FirstC="1" FirstZ="1"/>
        </Pixels></Image></OME>"#;
    let named = book(&[0, 1, 2, 3].map(leaf), text);
    assert_eq!(beside(&named, 2).unwrap(), (vec![0, 2], [0, 2].map(plane).concat()));
    let error = beside(&book(&[0, 1].map(leaf), ""), 1).unwrap_err();
    assert!(error.found().contains("does not say which of its 2 pages"), "{error}");
    assert!(beside(&stack, 6).unwrap_err().found().contains("page 6 of it is asked for"));
}

#[test]
fn metadata_in_another_file_are_told() {
    let text =
        r#"<OME UUID="urn:uuid:1"><BinaryOnly MetadataFile="plate.companion.ome" UUID="urn:uuid:2"/></OME>"#;
    for pages in [1, 2] {
        let leaves: Vec<Leaf> = (0..pages).map(leaf).collect();
        let line = read_with(&book(&leaves, text), &Reading::default()).unwrap().0.traits.to_string();
        assert!(line.contains("stands in another file (.ome), which is NOT READ"), "{line}");
    }
}

#[test]
fn pages_of_which_nothing_is_said_are_other_images() {
    for text in ["", r#"{"shape": [4, 5, 7]}"#, "ImageJ=1.54f\nimages=4\nslices=4\n", "<OME", "{"] {
        let file = book(&[0, 1, 2, 3].map(leaf), text);
        let (info, found) = read_with(&file, &Reading::default()).unwrap();
        assert_eq!((info.bands, found), (1, plane(0)), "{text}");
        let line = info.traits.to_string();
        assert!(line.contains("page 0 of 4") && line.contains("the other 3 are LEFT OUT"), "{line}");
        let bands = Reading { pages: Pages::Bands, ..Reading::default() };
        let (info, found) = read_with(&file, &bands).unwrap();
        assert_eq!((info.bands, found), (4, [0, 1, 2, 3].map(plane).concat()), "{text}");
    }
    let error = read_with(&book(&[0, 1].map(leaf), ""), &Reading { page: Some(2), ..Reading::default() });
    let error = error.unwrap_err();
    assert!(error.found().contains("page 2 of it is asked for (counted from 0), and it has 2"), "{error}");
}

/// Pyramids and masks lie in the same chain.
#[test]
fn previews_and_masks_are_no_pages() {
    let small = |kind| Leaf { size: Size::new(2, 3), kind, pixels: vec![9; 6] };
    let file = book(&[leaf(0), small(1), small(4), small(5)], "");
    let (info, found) = read_with(&file, &Reading::default()).unwrap();
    assert_eq!((info.traits.pages.count, found), (1, plane(0)));
    // A second image of another size is one, and cannot be a band.
    let file = book(&[leaf(0), small(0)], "ImageJ=1.54f\nimages=2\nchannels=2\n");
    let (info, found) = read_with(&file, &Reading::default()).unwrap();
    assert_eq!((info.bands, info.traits.pages.count, found), (1, 2, plane(0)));
    let error = read_with(&file, &Reading { pages: Pages::Bands, ..Reading::default() }).unwrap_err();
    assert!(
        error.found().contains("cannot be bands of one image") && error.found().contains("2 × 3"),
        "{error}"
    );
}

/// As GDAL writes it with `GDAL_TIFF_INTERNAL_MASK`.
#[test]
fn a_mask_in_the_file_says_which_pixels_are_missing() {
    let mask = Leaf {
        size: Size::new(5, 7),
        kind: 4,
        pixels: (0..35).map(|at| u8::from(at % 4 != 1) * 255).collect(),
    };
    let smaller = Leaf { size: Size::new(2, 3), kind: 5, pixels: vec![0; 6] };
    let file = book(&[leaf(0), mask, smaller], "");
    let wanted = |masked: bool| -> Vec<f32> {
        plane(0).into_iter().enumerate().map(|(at, v)| if masked && at % 4 == 1 { -1.0 } else { v }).collect()
    };
    let read = |nodata| {
        let (info, found) = read_with(&file, &Reading { nodata, ..Reading::default() }).unwrap();
        let found: Vec<f32> = found.iter().map(|v| if v.is_nan() { -1.0 } else { *v }).collect();
        (info.traits.mask, found)
    };
    assert_eq!(read(Nodata::Auto), (true, wanted(true)));
    assert_eq!(read(Nodata::None), (false, wanted(false)));
}

/// In a label, or beside it, it says where there is no number.
#[test]
fn masks_of_labels_count_too() {
    let flags: Vec<bool> = (0..35).map(|at| at % 4 == 1).collect();
    let mask = |kind| Leaf {
        size: Size::new(5, 7),
        kind,
        pixels: flags.iter().map(|&none| u8::from(!none) * 255).collect(),
    };
    let folder = TempDir::new().unwrap();
    let read = |name: &str| {
        let label = LabelReader::open(&folder.path().join(name), &roomy(&folder)).unwrap();
        let mut labels = Labels::default();
        label.read(Rect::whole(label.info().size), &mut labels).unwrap();
        let there = labels.values.iter().zip(&labels.missing).filter(|(_, missing)| !**missing);
        (there.map(|(value, _)| *value as f32).collect::<Vec<f32>>(), labels.missing)
    };
    let wanted: Vec<f32> =
        plane(0).into_iter().zip(&flags).filter(|(_, none)| !**none).map(|(v, _)| v).collect();
    std::fs::write(folder.path().join("a.tif"), book(&[leaf(0), mask(4)], "")).unwrap();
    std::fs::write(folder.path().join("b.tif"), book(&[leaf(0)], "")).unwrap();
    assert_eq!(read("a.tif"), (wanted.clone(), flags.clone()));
    assert_eq!(read("b.tif"), (plane(0), vec![false; 35]));
    std::fs::write(folder.path().join("b.tif.msk"), book(&[mask(0)], "")).unwrap();
    assert_eq!(read("b.tif"), (wanted, flags.clone()));
    std::fs::write(
        folder.path().join("b.tif.msk"),
        book(&[Leaf { size: Size::new(1, 2), kind: 0, pixels: vec![0; 2] }], ""),
    )
    .unwrap();
    let error = LabelReader::open(&folder.path().join("b.tif"), &roomy(&folder)).unwrap_err();
    assert!(error.to_string().contains("the mask beside it has 1 × 2 px"), "{error}");
}

#[test]
fn chains_that_lead_back_or_nowhere_end() {
    let mut file = book(&[0, 1].map(leaf), "");
    let end = file.len() - 4;
    let first: [u8; 4] = file[4..8].try_into().unwrap();
    file[end..].copy_from_slice(&first);
    assert_eq!(read_with(&file, &Reading::default()).unwrap().0.traits.pages.count, 2);
    file[end..].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(read_with(&file, &Reading::default()).unwrap().0.traits.pages.count, 2);
    // Windows of joined pages are the parts of the whole.
    let file = book(&[0, 1, 2].map(leaf), "");
    let (folder, path) = stored(&file);
    let image =
        Image::open(&path, &roomy(&folder), &Reading { pages: Pages::Bands, ..Reading::default() }).unwrap();
    let mut out = Pixels::default();
    image.read(Rect::new(1, 2, Size::new(3, 4)), &mut out).unwrap();
    let wanted = planes(Size::new(3, 4), 3, |r, c, page| f32::from(pattern(r + 1, c + 2, page) as u8));
    assert_eq!(out.data, wanted);
}

/// Stacks behind one directory, cut chains and OME sets in several files: what is there is not the image.
#[test]
fn fewer_pages_than_the_metadata_promise_are_refused() {
    let set = r#"<OME UUID="b"><Image><Pixels DimensionOrder="XYCZT" SizeC="2" SizeZ="1" SizeT="1">
        <TiffData FirstC="0"><UUID FileName="a.tif">a</UUID></TiffData>
        <TiffData FirstC="1"><UUID FileName="b.tif">b</UUID></TiffData></Pixels></Image></OME>"#;
    let whole = r#"<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="3" SizeZ="2" SizeT="1"/></Image></OME>"#;
    let far = r#"<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="2"><TiffData IFD="0" FirstC="0"/>
        <TiffData IFD="9" FirstC="1"/></Pixels></Image></OME>"#;
    let shape = r#"{"shape": [6, 5, 7], "axes": "CYX", "truncated": true}"#;
    for (text, count, said) in [
        (IMAGEJ, 1_u16, "ImageJ metadata promise 6 pages, and it has 1 directory"),
        (IMAGEJ, 5, "ImageJ metadata promise 6 pages, and it has 5 directories"),
        ("ImageJ=1.54f\nimages=4\nslices=4\n", 1, "promise 4 pages"),
        (shape, 1, "tifffile metadata promise 6 pages, and it has 1 directory"),
        (r#"{"shape": [2, 5, 7]}"#, 1, "promise 2 pages"),
        (whole, 3, "OME metadata promise 6 pages, and it has 3 directories"),
        (far, 2, "OME metadata promise 10 pages"),
        (
            set,
            1,
            "OME metadata promise 2 pages, and it has 1 directory of pages; the others lie in other files",
        ),
    ] {
        let file = book(&(0..count).map(leaf).collect::<Vec<_>>(), text);
        for pages in [Pages::Auto, Pages::Bands] {
            let error = read_with(&file, &Reading { pages, ..Reading::default() }).unwrap_err();
            assert!(error.found().contains(said), "{text}: {error}");
            assert!(error.to_string().contains("tifffile.imwrite("), "{error}");
        }
        // The job may say that it wants what is there.
        let (info, found) = read_with(&file, &Reading { page: Some(0), ..Reading::default() }).unwrap();
        assert_eq!((info.bands, found), (1, plane(0)), "{text}");
    }
}

#[test]
fn metadata_of_one_page_or_of_another_image_refuse_nothing() {
    for text in [
        "ImageJ=1.54f\nunit=um\n",
        r#"{"shape": [5, 7]}"#,
        r#"{"shape": [1, 5, 7, 1], "axes": "CYXS"}"#,
        r#"{"shape": [3, 50, 70], "axes": "CYX"}"#,
        r#"{"name": "a file"}"#,
        r#"<OME><Image><Pixels DimensionOrder="XYCZT" SizeC="3" SizeZ="1" SizeT="1"><Channel SamplesPerPixel="3"/></Pixels></Image></OME>"#,
    ] {
        let (info, found) = read_with(&book(&[leaf(0)], text), &Reading::default()).unwrap();
        assert_eq!((info.bands, found), (1, plane(0)), "{text}");
    }
}
