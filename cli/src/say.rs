//! Printing: data to standard output, all else to standard error.

use std::io::Write;

/// Data that the user asked for.
pub(crate) fn data(text: &str) {
    // A closed pipe (`| head`) is the reader's choice, and no error.
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n'));
}

/// Something the user should know.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Why the command ends.
pub(crate) fn error(message: &str) {
    note(&format!("error: {message}"));
}

/// A number of bytes for people.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.5 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A number with thin groups of three digits.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time for people.
pub(crate) fn seconds(s: f64) -> String {
    let whole = s.round() as u64;
    match whole {
        0..10 => format!("{s:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_for_people() {
        assert_eq!(super::bytes(999), "999 B");
        assert_eq!(super::bytes(1_250_000), "1.2 MB");
        assert_eq!(super::bytes(999_700), "1.0 MB");
        assert_eq!(super::count(1_234_567), "1,234,567");
        assert_eq!(super::seconds(59.7), "1 min 00 s");
        assert_eq!(super::seconds(3725.0), "1 h 02 min");
    }
}
