//! The rows of a PNG, compressed with what each thread keeps for that: to make it ready takes longer than a small mask.

use flate2::{Compress, Compression, FlushCompress, Status};
use png::{EncodingError, Writer, chunk};
use std::cell::RefCell;
use std::io::{self, Write};

/// Bytes of a chunk, as `png` has them.
const CHUNK_BYTES: usize = 4 << 10;
/// Compressors that a thread keeps: one for each file of an image, mostly.
const KEPT_MAX: usize = 4;

thread_local! {
    static KEPT: RefCell<Vec<Compress>> = const { RefCell::new(Vec::new()) };
}

/// Takes the rows of an image without any filter.
pub(super) struct PngRows<W: Write> {
    writer: Writer<W>,
    compress: Compress,
    /// What of the next chunk is there.
    chunk: Vec<u8>,
}

impl<W: Write> PngRows<W> {
    /// For the image whose header `writer` has written.
    pub(super) fn new(writer: Writer<W>) -> Self {
        let kept = KEPT.with_borrow_mut(Vec::pop);
        let compress = kept.unwrap_or_else(|| Compress::new(Compression::default(), true));
        Self { writer, compress, chunk: Vec::with_capacity(CHUNK_BYTES) }
    }

    /// Takes a row.
    pub(super) fn row(&mut self, bytes: &[u8]) -> Result<(), EncodingError> {
        // Which filter it has: none.
        self.deflate(&[0], FlushCompress::None)?;
        self.deflate(bytes, FlushCompress::None)
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<(), EncodingError> {
        self.deflate(&[], FlushCompress::Finish)?;
        if !self.chunk.is_empty() {
            self.writer.write_chunk(chunk::IDAT, &self.chunk)?;
        }
        self.compress.reset();
        KEPT.with_borrow_mut(|kept| {
            if kept.len() < KEPT_MAX {
                kept.push(self.compress);
            }
        });
        self.writer.finish()
    }

    fn deflate(&mut self, mut bytes: &[u8], flush: FlushCompress) -> Result<(), EncodingError> {
        loop {
            let before = self.compress.total_in();
            let status =
                self.compress.compress_vec(bytes, &mut self.chunk, flush).map_err(io::Error::other)?;
            bytes = &bytes[(self.compress.total_in() - before) as usize..];
            if self.chunk.len() == CHUNK_BYTES {
                self.writer.write_chunk(chunk::IDAT, &self.chunk)?;
                self.chunk.clear();
            } else if bytes.is_empty()
                && (status == Status::StreamEnd || !matches!(flush, FlushCompress::Finish))
            {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use png::{BitDepth, ColorType, Encoder, Filter};

    fn header<W: Write>(out: W, width: u32, height: u32) -> Writer<W> {
        let mut encoder = Encoder::new(out, width, height);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_filter(Filter::NoFilter);
        encoder.write_header().unwrap()
    }

    /// The bytes do not hang on the files before it, finished or not; and they are the image.
    #[test]
    fn what_is_kept_leaves_no_trace() {
        let mut state = 5_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize
        };
        for (width, height, values) in [
            (1, 1, 2),
            (64, 64, 2),
            (64, 64, 255),
            (300, 200, 256),
            (97, 41, 1),
            (4096, 3, 3),
            (5000, 60, 20),
        ] {
            let runs = 1 + next() % 40;
            let mut value = 0;
            let pixels: Vec<u8> = (0..width * height)
                .map(|at| {
                    if at % runs == 0 {
                        value = (next() % values) as u8;
                    }
                    value
                })
                .collect();
            let write = |out: &mut Vec<u8>, rows: usize| {
                let mut written = PngRows::new(header(out, width as u32, height as u32));
                pixels.chunks_exact(width).take(rows).for_each(|row| written.row(row).unwrap());
                if rows == height { written.finish().unwrap() } else { drop(written) }
            };
            let mut files = [const { Vec::new() }; 4];
            write(&mut files[0], height);
            write(&mut files[1], height / 2 + usize::from(height == 1));
            write(&mut files[2], height);
            std::thread::scope(|scope| scope.spawn(|| write(&mut files[3], height)).join().unwrap());
            assert!(files[0] == files[2] && files[0] == files[3], "{width} × {height}");
            let mut reader = png::Decoder::new(std::io::Cursor::new(&files[0])).read_info().unwrap();
            let mut read = vec![0; pixels.len()];
            reader.next_frame(&mut read).unwrap();
            assert!(read == pixels, "{width} × {height}");
            let mut theirs = Vec::new();
            header(&mut theirs, width as u32, height as u32).write_image_data(&pixels).unwrap();
            assert!(
                files[0].len() <= theirs.len() + theirs.len() / 100 + 16,
                "no larger than `png` makes it"
            );
        }
    }
}
