//! COCO's run lengths: six-bit text or plain numbers.

use super::{Run, Runs, RunsError};
use marquetry_geometry::Size;
use serde::{Deserialize, Serialize};

/// A mask as COCO writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CocoMask {
    /// Height and width, px.
    pub size: [u32; 2],
    /// Lengths of runs down the columns, zeros first, in COCO's six-bit text.
    pub counts: String,
}

/// The mask as COCO writes it.
pub fn encode_coco(mask: &Runs) -> CocoMask {
    let mut counts = Counts::default();
    let mut free = 0;
    for run in mask.runs() {
        counts.push(run.start - free);
        counts.push(run.length);
        free = run.end();
    }
    let area = mask.size().area();
    if free < area || area == 0 {
        counts.push(area - free);
    }
    CocoMask { size: [mask.size().height, mask.size().width], counts: counts.text }
}

/// Writes lengths as text: from the fourth on as the difference to the one before the last.
#[derive(Default)]
struct Counts {
    text: String,
    before: [i64; 2],
    written: usize,
}

impl Counts {
    fn push(&mut self, length: u64) {
        let length = length as i64;
        let mut rest = if self.written > 2 { length - self.before[0] } else { length };
        self.before = [self.before[1], length];
        self.written += 1;
        loop {
            let bits = (rest & 0x1f) as u8;
            rest >>= 5;
            // The sign is the fifth bit of the last letter: stop only where it says what is left.
            let more = if bits & 0x10 == 0 { rest != 0 } else { rest != -1 };
            self.text.push(char::from(bits + if more { 0x20 } else { 0 } + b'0'));
            if !more {
                return;
            }
        }
    }
}

/// Reads a mask of [`encode_coco`], or of any COCO file with compressed counts, back.
///
/// # Errors
/// When the text has a strange letter, ends within a number, or does not add up to the image.
pub fn decode_coco(mask: &CocoMask) -> Result<Runs, RunsError> {
    let fault = |found: String| RunsError::new("a COCO mask", found);
    let size = Size::new(mask.size[0], mask.size[1]);
    let mut lengths: Vec<i64> = Vec::new();
    let (mut value, mut shift) = (0_i64, 0_u32);
    for letter in mask.counts.bytes() {
        let bits = letter.wrapping_sub(b'0');
        if bits > 0x3f || shift > 55 {
            return Err(fault(format!("byte {letter} after {} lengths", lengths.len())));
        }
        value |= i64::from(bits & 0x1f) << shift;
        shift += 5;
        if bits & 0x20 != 0 {
            continue;
        }
        if bits & 0x10 != 0 {
            value |= -1 << shift;
        }
        if lengths.len() > 2 {
            value = value.saturating_add(lengths[lengths.len() - 2]);
        }
        lengths.push(value);
        (value, shift) = (0, 0);
    }
    if shift != 0 {
        return Err(fault(format!("it ends within the number after {} lengths", lengths.len())));
    }
    let counts: Result<Vec<u64>, _> = lengths.iter().map(|&length| u64::try_from(length)).collect();
    let counts = counts.map_err(|_| fault("a length that is less than 0".to_owned()))?;
    decode_counts(size, &counts)
}

/// Reads a mask of COCO's plain counts: lengths of runs down the columns, zeros first.
///
/// # Errors
/// When the lengths do not add up to the image.
pub fn decode_counts(size: Size, counts: &[u64]) -> Result<Runs, RunsError> {
    let sum = counts.iter().fold(0_u64, |sum, &length| sum.saturating_add(length));
    if sum != size.area() {
        let found = format!("its lengths add up to {sum} px, the image of {size} px has {}", size.area());
        return Err(RunsError::new("a COCO mask", found));
    }
    let mut start = 0;
    let runs = counts.iter().enumerate().filter_map(|(index, &length)| {
        let run = Run { start, length };
        start += length;
        (index % 2 == 1 && length > 0).then_some(run)
    });
    Runs::new(size, runs.collect::<Vec<_>>())
}
