//! The buffer that windows are read into.

use marquetry_geometry::{D4, Size};

/// The pixels of a window: `[bands, height, width]`, as the file's own sample values (0 to 255 for 8 bits, 0 to 65,535
/// for 16, any finite number for floats); NaN in every band of a pixel that is missing.
///
/// Keep one for each thread: its memory is used again by the next read.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Rows and columns, px.
    pub size: Size,
    /// Bands.
    pub bands: u16,
    /// `bands × height × width` values, row-major in each band.
    pub data: Vec<f32>,
}

impl Default for Pixels {
    fn default() -> Self {
        Self { size: Size::new(0, 0), bands: 0, data: Vec::new() }
    }
}

impl Pixels {
    /// Makes room for a window. What the values are then is not said: every one is to be written.
    pub(super) fn reshape(&mut self, size: Size, bands: u16) {
        self.size = size;
        self.bands = bands;
        self.data.resize(size.area() as usize * usize::from(bands), 0.0);
    }

    /// Columns `left..left + width` of one row of one band.
    pub(super) fn row_mut(&mut self, band: usize, row: u32, left: u32, width: u32) -> &mut [f32] {
        let stride = self.size.width as usize;
        let at = (band * self.size.height as usize + row as usize) * stride + left as usize;
        &mut self.data[at..at + width as usize]
    }

    /// Writes `self`, transformed by `element`, into `out`.
    pub(super) fn transformed_into(&self, element: D4, out: &mut Self) {
        let size = element.apply_to_size(self.size);
        out.reshape(size, self.bands);
        let area = self.size.area() as usize;
        if area == 0 {
            return;
        }
        // The element is affine: one step along an output row is one fixed step in the input.
        let place = |row, col| {
            let (row, col) = element.source(self.size, row, col);
            row as isize * self.size.width as isize + col as isize
        };
        for (from, to) in self.data.chunks_exact(area).zip(out.data.chunks_exact_mut(area)) {
            for (row, to) in to.chunks_exact_mut(size.width as usize).enumerate() {
                let first = place(row as u32, 0);
                let step = if size.width > 1 { place(row as u32, 1) - first } else { 0 };
                for (col, to) in to.iter_mut().enumerate() {
                    *to = from[(first + col as isize * step) as usize];
                }
            }
        }
    }
}
