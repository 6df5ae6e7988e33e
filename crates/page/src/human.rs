//! Numbers as people read them. Every function is total: what is not a number becomes a dash.

/// What stands for a number that is not there.
pub const DASH: &str = "–";

/// Between a number and its unit, and inside compound times: a space that does not break.
const SPACE: char = '\u{a0}';

/// `1234567` as `1,234,567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count that fits a headline: whole below ten million, three digits and a word from there.
pub fn headline(value: u64) -> String {
    if value < 10_000_000 {
        return count(value);
    }
    scaled(value as f64, 1000.0, &["", "thousand", "million", "billion", "trillion"])
}

/// `count` and its noun: `1 image`, `2,000 images`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{}{SPACE}{}", count(value), if value == 1 { one } else { many })
}

/// Bytes in decimal units: `512 B`, `1.23 MB`, `48.1 GB`.
pub fn bytes(value: u64) -> String {
    scaled(value as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

/// Seconds: `430 ms`, `4.2 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return DASH.to_owned();
    }
    // Each border is where rounding would reach the next form, so `60 s` and `1000 ms` are never shown.
    if value == 0.0 {
        return format!("0{SPACE}s");
    }
    if value < 0.001 {
        return format!("<{SPACE}1{SPACE}ms");
    }
    if value < 0.9995 {
        return format!("{:.0}{SPACE}ms", value * 1000.0);
    }
    if value < 9.95 {
        return format!("{value:.1}{SPACE}s");
    }
    let whole = value.round() as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match whole {
        0..60 => format!("{whole}{SPACE}s"),
        60..3600 => pair(minutes, "min", whole % 60, "s"),
        3600..86_400 => pair(hours, "h", minutes, "min"),
        _ => pair(days, "d", hours, "h"),
    }
}

fn pair(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    let large = format!("{}{SPACE}{large_unit}", count(large));
    if small == 0 { large } else { format!("{large}{SPACE}{small}{SPACE}{small_unit}") }
}

/// How many in a second: three digits, and a dash when nothing was done or no time passed.
pub fn rate(done: u64, seconds: f64) -> String {
    let rate = done as f64 / seconds;
    if done == 0 || !rate.is_finite() || rate < 0.0 {
        return DASH.to_owned();
    }
    if rate < 0.01 { format!("<{SPACE}0.01") } else { digits(rate) }
}

/// How many times `whole` goes into `part`, in three digits; a dash when it cannot be said.
pub fn ratio(part: f64, whole: f64) -> String {
    let ratio = part / whole;
    if ratio.is_finite() && ratio >= 0.0 { digits(ratio) } else { DASH.to_owned() }
}

/// A share from 0 to 1 as per cent. Only nothing is `0 %` and only everything is `100 %`.
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return DASH.to_owned();
    }
    let value = share.clamp(0.0, 1.0) * 100.0;
    let text = match value {
        0.0 => "0".to_owned(),
        100.0 => "100".to_owned(),
        v if v < 0.01 => format!("<{SPACE}0.01"),
        v if v < 0.0995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v if v < 99.99 => format!("{v:.2}"),
        _ => format!(">{SPACE}99.99"),
    };
    format!("{text}{SPACE}%")
}

/// A mean probability with three decimals.
pub fn probability(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { DASH.to_owned() }
}

/// A length on the page, per cent of its frame, with a tenth's precision and no more digits than it needs.
pub fn width(share: f64) -> String {
    let tenths = if share.is_finite() { (share.clamp(0.0, 1.0) * 1000.0).round() as u32 } else { 0 };
    if tenths.is_multiple_of(10) {
        format!("{}%", tenths / 10)
    } else {
        format!("{}.{}%", tenths / 10, tenths % 10)
    }
}

/// Three digits and a unit; the unit is chosen so that rounding never shows a full `1000`.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut place = 0;
    while value >= step - 0.5 && place + 1 < units.len() {
        value /= step;
        place += 1;
    }
    let number = if place == 0 { format!("{value:.0}") } else { digits(value) };
    format!("{number}{SPACE}{}", units[place])
}

/// Three significant digits, thousands in commas.
fn digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => count(v.round() as u64),
    }
}

#[cfg(test)]
#[path = "human_tests.rs"]
mod tests;
