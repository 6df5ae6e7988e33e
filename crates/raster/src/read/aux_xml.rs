//! GDAL's file `x.tif.aux.xml` beside an image: what it says of the values and the place of the image.

use super::wkt::EpsgSystem;
use roxmltree::{Document, Node};

/// What such a file says. All of it counts before what the image's own file says, as in GDAL.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuxXml {
    /// The value for no data; the text where it is no number, or another one for another band.
    pub nodata: Option<Result<f64, String>>,
    /// The affine map from pixel edges: `x = a·column + b·row + c`, `y = d·column + e·row + f`, in the order a to f.
    pub affine: Option<[f64; 6]>,
    /// The reference system; an error where it has no code of EPSG's that is understood.
    pub system: Option<Result<EpsgSystem, ()>>,
    /// Whether ground control points place the image.
    pub has_points: bool,
}

impl AuxXml {
    /// Reads one.
    ///
    /// # Errors
    /// When it is no such file, or its numbers are none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
        let document =
            Document::parse(text.trim_start_matches('\u{feff}')).map_err(|error| error.to_string())?;
        let root = document.root_element();
        if root.tag_name().name() != "PAMDataset" {
            return Err(format!("it is no PAMDataset but {}", root.tag_name().name()));
        }
        let child = |name: &str| {
            let found = root.children().find(|node| node.tag_name().name() == name)?;
            Some(found.text().unwrap_or_default().trim())
        };
        let affine = child("GeoTransform").map(affine).transpose()?;
        let system = child("SRS").filter(|wkt| !wkt.is_empty());
        let system = system.map(|wkt| EpsgSystem::of_wkt(wkt).ok_or(()));
        let has_points = child("GCPList").is_some();
        Ok(Self { nodata: nodata(root), affine, system, has_points })
    }
}

/// Six numbers in GDAL's order: c, a, b, f, d, e.
fn affine(text: &str) -> Result<[f64; 6], String> {
    let numbers: Vec<f64> = text.split(',').map_while(|number| number.trim().parse().ok()).collect();
    let &[c, a, b, f, d, e] = numbers.as_slice() else {
        return Err("its GeoTransform is not six numbers".to_owned());
    };
    let sound = numbers.iter().all(|number| number.is_finite()) && a * e - b * d != 0.0;
    if sound {
        Ok([a, b, c, d, e, f])
    } else {
        Err("its GeoTransform makes pixels without an area".to_owned())
    }
}

/// The value that all bands share which have one.
fn nodata(root: Node<'_, '_>) -> Option<Result<f64, String>> {
    let is = |name: &'static str| move |node: &Node<'_, '_>| node.tag_name().name() == name;
    let bands = root.children().filter(is("PAMRasterBand"));
    let mut texts: Vec<&str> = bands
        .filter_map(|band| band.children().find(is("NoDataValue")))
        .map(|node| node.text().unwrap_or_default().trim())
        .collect();
    texts.dedup();
    match texts.as_slice() {
        [] => None,
        [one] => Some(one.parse().map_err(|_| (*one).to_owned())),
        several => Some(Err(several.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gdal_writes_is_read() {
        let text = r#"<PAMDataset>
  <SRS dataAxisToSRSAxisMapping="2,1">GEOGCS["WGS 84",DATUM["WGS_1984"],AUTHORITY["EPSG","4326"]]</SRS>
  <GeoTransform>  5.0000000000000000e+05,  2.0e+00,  0.0e+00,  4.6e+06,  0.0e+00, -4.0e+00</GeoTransform>
  <Metadata domain="IMAGE_STRUCTURE"><MDI key="INTERLEAVE">PIXEL</MDI></Metadata>
  <PAMRasterBand band="1"><NoDataValue>-9999</NoDataValue><Histograms/></PAMRasterBand>
  <PAMRasterBand band="2"><NoDataValue>-9999</NoDataValue></PAMRasterBand>
  <PAMRasterBand band="3"/>
</PAMDataset>"#;
        let found = AuxXml::parse(text.as_bytes()).unwrap();
        assert_eq!(found.nodata, Some(Ok(-9999.0)));
        assert_eq!(found.affine, Some([2.0, 0.0, 500_000.0, 0.0, -4.0, 4_600_000.0]));
        assert_eq!(found.system, Some(Ok(EpsgSystem { code: 4326, projected: false })));
        assert!(!found.has_points);
        let other = text.replacen("-9999", "0", 1).replace("\"4326\"", "\"\"").replace("WGS 84", "site");
        let found = AuxXml::parse(other.as_bytes()).unwrap();
        assert_eq!((found.nodata, found.system), (Some(Err("0, -9999".to_owned())), Some(Err(()))));
        let empty = AuxXml::parse(b"<PAMDataset><GCPList><GCP/></GCPList></PAMDataset>").unwrap();
        assert_eq!(empty, AuxXml { has_points: true, ..AuxXml::default() });
        let nan = b"<PAMDataset><PAMRasterBand><NoDataValue>nan</NoDataValue></PAMRasterBand></PAMDataset>";
        assert!(AuxXml::parse(nan).unwrap().nodata.unwrap().unwrap().is_nan());
    }

    #[test]
    fn what_is_no_such_file_says_why() {
        for (text, word) in [
            ("<PAMDataset><GeoTransform>1, 2</GeoTransform></PAMDataset>", "six numbers"),
            ("<PAMDataset><GeoTransform>1, 0, 0, 0, 0, 0</GeoTransform></PAMDataset>", "area"),
            ("<html/>", "no PAMDataset but html"),
            ("<PAMDataset>", "root"),
        ] {
            let error = AuxXml::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert!(AuxXml::parse(&[0xFF, 0xFE]).is_err());
    }
}
