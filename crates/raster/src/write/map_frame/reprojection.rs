//! From the coordinates of one reference system to those of another.

use super::definition;
use proj4rs::proj::Proj;

/// A way from one reference system to another, both by their EPSG codes. Longitude comes before latitude, in degrees, as in
/// GeoJSON, whatever order the code's definition has.
#[derive(Debug, Clone)]
pub struct Reprojection {
    /// Nothing where both are one.
    systems: Option<Box<(Proj, Proj)>>,
    to_degrees: bool,
    metres: u16,
}

impl Reprojection {
    /// From the system `from` to the system `to`.
    ///
    /// # Errors
    /// When one of them is not known, or not known well enough; in words.
    pub fn new(from: u16, to: u16) -> Result<Self, String> {
        let open = |code: u16| {
            let (words, metres) = definition(code)?;
            let system = Proj::from_proj_string(&words)
                .map_err(|error| format!("EPSG:{code} cannot be converted ({error})"))?;
            Ok::<_, String>((system, metres))
        };
        if from == to {
            // Of a system that is not known here nothing is needed either.
            let to_degrees = open(to).is_ok_and(|(system, _)| system.is_latlong());
            return Ok(Self { systems: None, to_degrees, metres: 0 });
        }
        let ((from, rough), (to, rougher)) = (open(from)?, open(to)?);
        let (to_degrees, metres) = (to.is_latlong(), rough.max(rougher));
        Ok(Self { systems: Some(Box::new((from, to))), to_degrees, metres })
    }

    /// Whether places come out as longitude and latitude, where 360° more is the same place.
    pub const fn gives_degrees(&self) -> bool {
        self.to_degrees
    }

    /// How exact it is, m; 0: as good as any.
    pub const fn metres(&self) -> u16 {
        self.metres
    }

    /// The same place in the other system; nothing where it has none there.
    pub fn of(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let Some(systems) = &self.systems else { return Some([x, y]) };
        let (from, to) = &**systems;
        let mut point = if from.is_latlong() { (x.to_radians(), y.to_radians(), 0.0) } else { (x, y, 0.0) };
        proj4rs::transform::transform(from, to, &mut point).ok()?;
        let place =
            if self.to_degrees { [point.0.to_degrees(), point.1.to_degrees()] } else { [point.0, point.1] };
        place.iter().all(|number| number.is_finite()).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By PROJ, through rasterio.
    #[test]
    fn as_proj() {
        let close = |found: Option<[f64; 2]>, wanted: [f64; 2], within: f64| {
            let found = found.unwrap();
            let is_close = |(a, b): (f64, f64)| (a - b).abs() < within;
            assert!(found.into_iter().zip(wanted).all(is_close), "{found:?}, not {wanted:?}");
        };
        let (metres, degrees) = ([432_100.5, 4_123_456.25], [14.234_318_793_078_856, 37.255_185_971_236_045]);
        let back = Reprojection::new(32_633, 4326).unwrap();
        close(back.of(metres), degrees, 1e-9);
        let there = Reprojection::new(4326, 32_633).unwrap();
        close(there.of(degrees), metres, 1e-4);
        let web = Reprojection::new(32_633, 3857).unwrap();
        close(web.of(metres), [1_584_557.119_834_662_6, 4_474_736.362_216_311_5], 1e-3);
        assert!(back.gives_degrees() && !there.gives_degrees());
        assert_eq!(Reprojection::new(9, 9).unwrap().of([1.0, 2.0]), Some([1.0, 2.0]), "nothing to be known");
        assert!(Reprojection::new(4326, 9).unwrap_err().contains("EPSG:9"));
    }
}
