//! What came of looking for a region.

use serde::{Deserialize, Serialize};

/// What came of looking for an image's region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The region is what was asked for.
    Bounded,
    /// The whole image: it is not RGB of 8 bits, so nothing is known of how blank looks in it.
    NotRgb,
    /// The whole image: less than 0.1 % of it is anything but blank.
    TooLittle,
    /// The whole image: more than 95 % of it is not blank.
    TooMuch,
    /// The whole image: what looks blank is dark, so that it is no brightfield image.
    NotBright,
    /// The whole image: no mask belongs to it.
    NoMask,
}

impl Finding {
    const ALL: [Self; 6] =
        [Self::Bounded, Self::NotRgb, Self::TooLittle, Self::TooMuch, Self::NotBright, Self::NoMask];

    /// Its number in what is stored.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The finding of this number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Why the whole image is the region; nothing where it need not be.
    pub const fn refusal(self) -> Option<&'static str> {
        Some(match self {
            Self::Bounded => return None,
            Self::NotRgb => "not RGB of 8 bits, so nothing is known of how blank looks",
            Self::TooLittle => "less than 0.1 % is anything but blank",
            Self::TooMuch => "more than 95 % is not blank",
            Self::NotBright => "what looks blank is dark, as it is in no brightfield image",
            Self::NoMask => "no mask belongs to it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Finding;

    #[test]
    fn codes_come_back() {
        for (code, finding) in (0..).zip(Finding::ALL) {
            assert_eq!((finding.code(), Finding::of_code(code)), (code, Some(finding)));
        }
        assert_eq!(Finding::of_code(6), None);
    }
}
