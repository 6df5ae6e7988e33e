//! Which kind of file it is, from its first bytes, and what those are called that are not read.

use super::error::ReadFault;
use super::file::Source;
use super::header::Format;

/// Bytes that are looked at: a DICOM file says so behind its first 128.
const HEAD_BYTES: u64 = 512;

/// The format, from the first bytes.
pub(crate) fn detect(source: &Source) -> Result<Format, ReadFault> {
    if source.length() == 0 {
        return Err(ReadFault::unreadable("the file is empty"));
    }
    let head = source.bytes(0, source.length().min(HEAD_BYTES))?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Ok(Format::Png),
        [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Format::Tiff),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
        [b'B', b'M', ..] => Ok(Format::Bmp),
        [b'P', b'1'..=b'6', b'#' | b' ' | b'\t' | b'\n' | b'\r', ..] => Ok(Format::Pnm),
        other => Err(stranger(other)),
    }
}

/// What is to be said of a file that is not read.
fn stranger(head: &[u8]) -> ReadFault {
    const NONE: &str = "it is no PNG, JPEG, WebP, BMP, PNM or TIFF";
    let Some((name, advice)) = name(head) else {
        let first = &head[..head.len().min(12)];
        return ReadFault::unsupported(format!("{NONE}, it begins with the bytes {first:02X?}"));
    };
    let fault = ReadFault::unsupported(format!("{NONE} but {name}"));
    match advice {
        Some(advice) => fault.advise(advice),
        None => fault,
    }
}

/// What a file is called by its first bytes, and what to do about it where that is not to convert it with GDAL.
fn name(head: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
    const MAGICK: Option<&str> = Some("convert it, as with `magick in out.png`, or leave it out");
    const DICOM: Option<&str> = Some(
        "convert it to PNG or TIFF with a program that knows its windows and slopes, as `dcm2pnm` or pydicom",
    );
    const VOLUME: Option<&str> =
        Some("write its slices as PNG or TIFF, as with nibabel and tifffile, one image each");
    const AGAIN: Option<&str> = Some(
        "download the image again: what was saved is an answer of the server, such as an error or a login",
    );
    let text: String =
        head.iter().take(64).map(|&byte| char::from(byte)).collect::<String>().to_ascii_lowercase();
    let text = text
        .trim_start_matches('\u{ef}')
        .trim_start_matches('\u{bb}')
        .trim_start_matches('\u{bf}')
        .trim_start();
    if head.get(128..132) == Some(b"DICM") {
        return Some(("a DICOM file", DICOM));
    }
    if head.get(344..347) == Some(b"n+1") || head.get(344..347) == Some(b"ni1") {
        return Some(("a NIfTI volume", VOLUME));
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Some(("a HEIF, AVIF or video file", MAGICK));
    }
    let starts: [(&[u8], _, _); 17] = [
        (b"GIF8", "a GIF", MAGICK),
        (b"\0\0\0\x0CjP  ", "a JPEG 2000 file", None),
        (&[0xFF, 0x4F, 0xFF, 0x51], "a JPEG 2000 stream", None),
        (&[0xFF, 0x0A], "a JPEG XL file", MAGICK),
        (b"\0\0\0\x0CJXL ", "a JPEG XL file", MAGICK),
        (b"%PDF", "a PDF", MAGICK),
        (b"8BPS", "a Photoshop file", MAGICK),
        (&[0x76, 0x2F, 0x31, 0x01], "an OpenEXR file", None),
        (b"SIMPLE  =", "a FITS file", None),
        (&[0x89, b'H', b'D', b'F'], "an HDF5 or NetCDF file", None),
        (b"CDF", "a NetCDF file", None),
        (
            &[0x93, b'N', b'U', b'M', b'P', b'Y'],
            "a NumPy array",
            Some("write it as a TIFF, as with `tifffile.imwrite`"),
        ),
        (&[0x1F, 0x8B], "a gzip archive (perhaps of a NIfTI volume)", Some("unpack it with `gunzip`")),
        (b"PK\x03\x04", "a ZIP archive", Some("unpack it")),
        (b"P7\n", "a PAM", MAGICK),
        (b"II\xBC", "a JPEG XR file", MAGICK),
        (b"NITF", "a NITF file", None),
    ];
    if let Some((_, name, advice)) = starts.iter().find(|(start, ..)| head.starts_with(start)) {
        return Some((name, *advice));
    }
    if text.starts_with("version https://git-lfs") {
        let advice = "run `git lfs pull` in the repository that it comes from";
        return Some(("a Git LFS pointer: the file itself was not fetched", Some(advice)));
    }
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        return Some(("an HTML page", AGAIN));
    }
    if text.starts_with("<svg") || text.starts_with("<?xml") {
        return Some(("an XML document", AGAIN));
    }
    (text.starts_with('{')).then_some(("a JSON document", AGAIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_called_by_name_with_advice_of_their_own() {
        let mut dicom = vec![0; 200];
        dicom[128..132].copy_from_slice(b"DICM");
        let mut nifti = vec![0; 352];
        nifti[344..347].copy_from_slice(b"n+1");
        let cases: [(&[u8], &str, &str); 9] = [
            (b"<!DOCTYPE html><html>404 Not Found</html>", "HTML page", "download"),
            (b"\xEF\xBB\xBF\n <HTML>", "HTML page", "download"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                "Git LFS pointer",
                "git lfs pull",
            ),
            (&dicom, "DICOM", "pydicom"),
            (&nifti, "NIfTI", "slices"),
            (b"GIF89a and so on", "a GIF", "magick"),
            (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000", "gdal_translate"),
            (b"PK\x03\x04", "ZIP", "unpack"),
            (b"no image", "begins with the bytes [6E, 6F", "gdal_translate"),
        ];
        for (bytes, name, advice) in cases {
            let source = Source::of(Box::new(bytes.to_vec())).unwrap();
            let fault = detect(&source).unwrap_err();
            let error = super::super::ReadError::new(std::path::Path::new("a"), "opening", fault).to_string();
            assert!(error.contains(name) && error.contains(advice), "{error}");
            assert!(error.contains("it is no PNG, JPEG, WebP, BMP, PNM or TIFF"), "{error}");
        }
        assert_eq!(detect(&Source::of(Box::new(b"BM".to_vec())).unwrap()).unwrap(), Format::Bmp);
    }
}
