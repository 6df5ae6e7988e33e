//! The code of a reference system, from its name in well-known text (WKT 1 and 2, and as Esri writes it).

/// A reference system that EPSG has a code for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpsgSystem {
    /// EPSG's code.
    pub code: u16,
    /// Whether it is one of lengths on a plane; otherwise it is one of longitude and latitude.
    pub projected: bool,
}

/// Nested no deeper than this, if it is well-known text.
const DEPTH_MAX: usize = 8;
/// How Esri calls the zones of UTM: what stands before the zone, and the codes of zone 0 in the north and in the south.
const ZONES: [(&str, u16, Option<u16>); 3] = [
    ("WGS_1984_UTM_Zone_", 32600, Some(32700)),
    ("ETRS_1989_UTM_Zone_", 25800, None),
    ("NAD_1983_UTM_Zone_", 26900, None),
];

impl EpsgSystem {
    /// The system that a text names: by EPSG's code for the whole of it, or by a name of Esri's that stands for one. `None`
    /// for any other.
    pub fn of_wkt(text: &str) -> Option<Self> {
        Self::of_node(text, DEPTH_MAX)
    }

    fn of_node(text: &str, depth: usize) -> Option<Self> {
        let (keyword, arguments) = node(text)?;
        let projected = match keyword.as_str() {
            "PROJCS" | "PROJCRS" | "PROJECTEDCRS" => true,
            "GEOGCS" | "GEOGCRS" | "GEOGRAPHICCRS" | "GEODCRS" => false,
            // With heights: what lies on the ground is the first part.
            "COMPD_CS" | "COMPOUNDCRS" if depth > 0 => {
                return arguments.iter().find_map(|part| Self::of_node(part, depth - 1));
            }
            _ => return None,
        };
        let code = arguments.iter().find_map(|part| epsg_code(part));
        let named = || arguments.first().and_then(|name| esri_code(unquoted(name), projected));
        code.or_else(named).map(|code| Self { code, projected })
    }
}

/// A keyword in capital letters, and what stands between its brackets, parted by commas.
fn node(text: &str) -> Option<(String, Vec<&str>)> {
    let text = text.trim().trim_start_matches('\u{feff}');
    let open = text.find(['[', '('])?;
    let inside = text[open + 1..].trim_end().strip_suffix([']', ')'])?;
    let (mut depth, mut quoted, mut start, mut parts) = (0_usize, false, 0, Vec::new());
    for (at, letter) in inside.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(inside[start..].trim());
    Some((text[..open].trim().to_ascii_uppercase(), parts))
}

/// The code in `AUTHORITY["EPSG","32633"]` or `ID["EPSG",32633]`.
fn epsg_code(text: &str) -> Option<u16> {
    let (keyword, arguments) = node(text)?;
    let [authority, code, ..] = arguments.as_slice() else { return None };
    let is_epsg =
        matches!(keyword.as_str(), "AUTHORITY" | "ID") && unquoted(authority).eq_ignore_ascii_case("EPSG");
    is_epsg.then(|| unquoted(code).parse().ok()).flatten()
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"')
}

/// The code of a system that Esri names, which writes no codes.
fn esri_code(name: &str, projected: bool) -> Option<u16> {
    if !projected {
        return (name == "GCS_WGS_1984").then_some(4326);
    }
    if name == "WGS_1984_Web_Mercator_Auxiliary_Sphere" {
        return Some(3857);
    }
    let (zone, north, south) = ZONES
        .iter()
        .find_map(|&(start, north, south)| name.strip_prefix(start).map(|zone| (zone, north, south)))?;
    let (number, base) = match (zone.strip_suffix('N'), zone.strip_suffix('S')) {
        (Some(number), _) => (number, north),
        (_, Some(number)) => (number, south?),
        _ => return None,
    };
    let number: u16 = number.parse().ok()?;
    let has = match base {
        25800 => 28..=38,
        26900 => 1..=23,
        _ => 1..=60,
    };
    has.contains(&number).then_some(base + number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As GDAL 3.10 (`gdalsrsinfo`) and Esri write them.
    #[test]
    fn the_code_of_the_whole_counts() {
        let geographic = r#"GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]"#;
        let projected = format!(
            r#"PROJCS["WGS 84 / UTM zone 33N (north, [m])",{geographic},PROJECTION["Transverse_Mercator"],UNIT["metre",1],AUTHORITY["EPSG","32633"]]"#
        );
        let esri = |name: &str| {
            format!(
                "PROJCS[\"{name}\",GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\"]],UNIT[\"Meter\",1.0]]\r\n"
            )
        };
        let two = r#"PROJCRS["ETRS89 / UTM zone 32N",BASEGEOGCRS["ETRS89",ID["EPSG",4258]],CS[Cartesian,2],ID["EPSG",25832]]"#;
        for (text, found) in [
            (geographic.to_owned(), Some((4326, false))),
            (projected.clone(), Some((32633, true))),
            (
                format!(r#"COMPD_CS["a",{projected},VERT_CS["h",AUTHORITY["EPSG","5773"]]]"#),
                Some((32633, true)),
            ),
            (two.to_owned(), Some((25832, true))),
            (esri("WGS_1984_UTM_Zone_33N"), Some((32633, true))),
            (esri("WGS_1984_UTM_Zone_7S"), Some((32707, true))),
            (esri("ETRS_1989_UTM_Zone_32N"), Some((25832, true))),
            (esri("NAD_1983_UTM_Zone_10N"), Some((26910, true))),
            (esri("WGS_1984_UTM_Zone_61N"), None),
            // Its base has a code, and it has none.
            (projected.replace(r#","32633""#, r#","x""#).replace("WGS 84 / UTM zone 33N", "site grid"), None),
            (esri("Site_Grid"), None),
            (r#"LOCAL_CS["pixels"]"#.to_owned(), None),
            ("GEOGCS[\"GCS_WGS_1984\"]]".to_owned(), None),
            ("+proj=utm +zone=33".to_owned(), None),
            (String::new(), None),
            ("COMPD_CS[".repeat(100) + &"]".repeat(100), None),
        ] {
            let system = EpsgSystem::of_wkt(&text).map(|system| (system.code, system.projected));
            assert_eq!(system, found, "{text}");
        }
    }
}
