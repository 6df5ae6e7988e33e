//! How long a job may take, as people write it.

use std::fmt;
use std::str::FromStr;

/// A time of at least a second: `8h30m`, `90m`, `45s`, `1d12h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    seconds: u64,
}

/// Units, the largest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
/// Nobody waits longer than a year.
const SECONDS_MAX: u64 = 366 * 86_400;

impl Time {
    pub(crate) fn seconds(self) -> f64 {
        self.seconds as f64
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "a time is whole numbers with units, the largest first: 8h30m, 90m, 45s, 1d12h; of at least a second and at \
             most a year"
                .to_owned()
        };
        let (mut seconds, mut digits, mut units) = (0_u64, String::new(), UNITS.iter());
        for letter in text.chars() {
            if letter.is_ascii_digit() {
                digits.push(letter);
                continue;
            }
            // A unit that came already, or one larger than that, is found no more.
            let (_, each) = units.find(|(unit, _)| *unit == letter).ok_or_else(wrong)?;
            let number: u64 = digits.parse().map_err(|_| wrong())?;
            seconds =
                number.checked_mul(*each).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
            digits.clear();
        }
        if digits.is_empty() && (1..=SECONDS_MAX).contains(&seconds) {
            Ok(Self { seconds })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.seconds;
        for (unit, each) in UNITS {
            if left >= each {
                write!(f, "{}{unit}", left / each)?;
                left %= each;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let seconds = |text: &str| text.parse::<Time>().map(|time| time.seconds);
        let wanted = [("8h30m", 30_600), ("90m", 5400), ("45s", 45), ("1d12h", 129_600), ("1h5s", 3605)];
        for (text, wanted) in wanted {
            assert_eq!(seconds(text), Ok(wanted), "{text}");
        }
        assert_eq!("90m".parse::<Time>().unwrap().to_string(), "1h30m");
        let nonsense = [
            "",
            "8",
            "h",
            "8h30",
            "30m8h",
            "1h1h",
            "0s",
            "-5m",
            "1.5h",
            "8 h",
            "5w",
            "9999d",
            "99999999999999999999s",
        ];
        for text in nonsense {
            assert!(seconds(text).is_err_and(|words| words.contains("8h30m")), "{text}");
        }
    }
}
