//! Views: the ways one window is shown to a model at test time.

use marquetry_geometry::{D4, Size};
use serde::{Deserialize, Serialize};

/// One test-time view: a symmetry of the square, a resize, a change of light.
///
/// What the model is shown is `contrast(brightness(resize(d4(window))))`. Its scores are brought back by the inverse of
/// the resize and of the symmetry; light needs no inverse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The symmetry applied to the window.
    pub d4: D4,
    /// Resize factor of both sides; 1 leaves the window as it is.
    pub scale: f32,
    /// Factor on the pixels, before mean and standard deviation are taken off; 1 leaves them as they are.
    pub brightness: f32,
    /// Factor on the distance of each pixel from its band's mean in this window; 1 leaves them as they are.
    pub contrast: f32,
}

/// Why a list of views makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// A name or factor that is not known.
    #[error(
        "`{given}` is no view: allowed are d4, flips, identity, hflip, vflip, rot90, rot180, rot270, transpose, \
         antitranspose, scale(f), brightness(f) and contrast(f) with 0.1 ≤ f ≤ 10"
    )]
    Unknown {
        /// What was written.
        given: String,
    },
    /// A transposing view asked for by name on a window that is not square.
    #[error("view {d4} turns a window of {window} px on its side, and the model takes {window} px only")]
    NotSquare {
        /// The view.
        d4: D4,
        /// The window, px.
        window: Size,
    },
    /// `identity: false` with nothing else.
    #[error("no view is left to run")]
    Empty,
}

impl View {
    /// The window as it is.
    pub const IDENTITY: Self = Self::of(D4::IDENTITY);

    /// A view that is only a symmetry.
    pub const fn of(d4: D4) -> Self {
        Self { d4, scale: 1.0, brightness: 1.0, contrast: 1.0 }
    }

    /// `self` first, then `next`. Symmetries compose to one element, factors multiply.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self {
            d4: self.d4.then(next.d4),
            scale: self.scale * next.scale,
            brightness: self.brightness * next.brightness,
            contrast: self.contrast * next.contrast,
        }
    }

    /// What a window of `window` px becomes before the model sees it, px; at least 1 × 1.
    pub fn input_size(&self, window: Size) -> Size {
        let turned = self.d4.apply_to_size(window);
        let scaled = |side: u32| ((f64::from(side) * f64::from(self.scale)).round() as u32).max(1);
        Size::new(scaled(turned.height), scaled(turned.width))
    }
}

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let factors = [("scale", self.scale), ("brightness", self.brightness), ("contrast", self.contrast)];
        let changed = factors.into_iter().filter(|(_, factor)| *factor != 1.0);
        let mut words: Vec<String> = changed.map(|(name, factor)| format!("{name}({factor})")).collect();
        if self.d4 != D4::IDENTITY || words.is_empty() {
            words.insert(0, self.d4.to_string());
        }
        f.write_str(&words.join(" "))
    }
}

/// Which views are asked for, as written in a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Views {
    /// Names: `d4`, `flips`, the eight symmetries, `scale(f)`, `brightness(f)`, `contrast(f)`.
    pub names: Vec<String>,
    /// Whether every combination is run (each name on or off), rather than each name alone.
    pub product: bool,
    /// Whether the window as it is, is among them.
    pub identity: bool,
}

impl Views {
    /// Only the identity.
    pub fn none() -> Self {
        Self { names: Vec::new(), product: false, identity: true }
    }

    /// The views to run for a window of `window` px, without duplicates, in a fixed order: the identity first, then as
    /// written (for a product, the first name changes slowest). `fixed` says that the model takes this size alone; the
    /// sets `d4` and `flips` then leave out what is not legal on a window that is not square.
    ///
    /// # Errors
    /// For unknown names, transposing views by name on a fixed window that is not square, and an empty result.
    pub fn resolve(&self, window: Size, fixed: bool) -> Result<Vec<View>, ViewError> {
        let upright_only = fixed && !window.is_square();
        let mut factors = Vec::new();
        for name in &self.names {
            factors.push(parse(name, window, upright_only)?);
        }
        let mut views = vec![View::IDENTITY];
        if self.product {
            for options in &factors {
                views = views
                    .iter()
                    .flat_map(|&v| std::iter::once(v).chain(options.iter().map(move |&o| v.then(o))))
                    .collect();
            }
        } else {
            views.extend(factors.into_iter().flatten());
        }
        let mut unique: Vec<View> = Vec::new();
        for view in views {
            if !unique.contains(&view) && (self.identity || view != View::IDENTITY) {
                unique.push(view);
            }
        }
        if unique.is_empty() { Err(ViewError::Empty) } else { Ok(unique) }
    }
}

/// The views that one name stands for.
fn parse(name: &str, window: Size, upright_only: bool) -> Result<Vec<View>, ViewError> {
    let unknown = || ViewError::Unknown { given: name.to_owned() };
    let compact: String = name.chars().filter(|c| !c.is_whitespace()).collect();
    match compact.as_str() {
        "d4" => {
            return Ok(D4::ALL
                .into_iter()
                .filter(|e| !(upright_only && e.transposes()))
                .map(View::of)
                .collect());
        }
        "flips" => return Ok([D4::IDENTITY, D4::HFLIP, D4::VFLIP, D4::ROT180].map(View::of).to_vec()),
        _ => {}
    }
    if let Some(d4) = D4::from_name(&compact) {
        if upright_only && d4.transposes() {
            return Err(ViewError::NotSquare { d4, window });
        }
        return Ok(vec![View::of(d4)]);
    }
    let (kind, rest) = compact.split_once('(').ok_or_else(unknown)?;
    let factor: f32 = rest.strip_suffix(')').and_then(|f| f.parse().ok()).ok_or_else(unknown)?;
    if !(0.1..=10.0).contains(&factor) {
        return Err(unknown());
    }
    let mut view = View::IDENTITY;
    match kind {
        "scale" => view.scale = factor,
        "brightness" => view.brightness = factor,
        "contrast" => view.contrast = factor,
        _ => return Err(unknown()),
    }
    Ok(vec![view])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(names: &[&str], product: bool, window: Size, fixed: bool) -> Result<Vec<View>, ViewError> {
        let names = names.iter().map(|&n| n.to_owned()).collect();
        Views { names, product, identity: true }.resolve(window, fixed)
    }

    const SQUARE: Size = Size::square(64);

    /// ttach runs 16 views for hflip × vflip × four turns; eight differ.
    #[test]
    fn duplicates_are_run_once() {
        assert_eq!(resolve(&["hflip", "vflip", "rot90", "rot180"], true, SQUARE, true).unwrap().len(), 8);
        assert_eq!(resolve(&["d4", "hflip", "identity"], false, SQUARE, true).unwrap().len(), 8);
        assert_eq!(resolve(&["hflip", "scale(0.5)"], true, SQUARE, false).unwrap().len(), 4);
        assert_eq!(resolve(&["hflip", "scale( 0.5 )"], false, SQUARE, false).unwrap().len(), 3);
    }

    #[test]
    fn fixed_windows_that_are_not_square_stay_upright() {
        let flat = Size::new(32, 64);
        let names: Vec<_> =
            resolve(&["d4"], false, flat, true).unwrap().iter().map(|v| v.d4.name()).collect();
        assert_eq!(names, ["identity", "rot180", "hflip", "vflip"]);
        assert_eq!(resolve(&["d4"], false, flat, false).unwrap().len(), 8);
        assert!(matches!(resolve(&["rot90"], false, flat, true), Err(ViewError::NotSquare { .. })));
    }

    #[test]
    fn nonsense_is_refused() {
        for name in ["rot45", "scale", "scale(0)", "scale(NaN)", "scale(2", "blur(2)"] {
            assert!(
                matches!(resolve(&[name], false, SQUARE, false), Err(ViewError::Unknown { .. })),
                "{name}"
            );
        }
        let none = Views { names: vec![], product: false, identity: false };
        assert_eq!(none.resolve(SQUARE, true), Err(ViewError::Empty));
    }

    #[test]
    fn views_are_called_what_the_job_calls_them() {
        let light = View { brightness: 0.9, ..View::IDENTITY };
        assert_eq!(View::IDENTITY.to_string(), "identity");
        assert_eq!(light.to_string(), "brightness(0.9)");
        assert_eq!(light.then(View::of(D4::ROT90)).to_string(), "rot90 brightness(0.9)");
    }

    #[test]
    fn sizes_are_kept_for_the_way_back() {
        let view = View { scale: 0.9, d4: D4::ROT90, ..View::IDENTITY };
        assert_eq!(view.input_size(Size::new(512, 101)), Size::new(91, 461));
    }
}
