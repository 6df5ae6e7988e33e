//! The time of a night, as its name.

const DAY: u64 = 86_400;

/// Seconds since 1970 as `2026-11-27T02-00-00Z`: in order of these texts is in order of time, and keys of stores may hold them.
///
/// Days become dates by counting years from March on, so that the day that leap years add is the last of its year.
pub fn date(unix_seconds: u64) -> String {
    let (days, second) = (unix_seconds / DAY, unix_seconds % DAY);
    // From 0000-03-01 on; 400 years have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}-{minute:02}-{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `date -u -d @SECONDS` prints them.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00-00-00Z"),
            (951_782_399, "2000-02-28T23-59-59Z"),
            (951_782_400, "2000-02-29T00-00-00Z"),
            (951_868_800, "2000-03-01T00-00-00Z"),
            (1_709_164_800, "2024-02-29T00-00-00Z"),
            (1_735_689_599, "2024-12-31T23-59-59Z"),
            (1_795_744_861, "2026-11-27T02-01-01Z"),
            (4_107_542_400, "2100-03-01T00-00-00Z"),
        ] {
            assert_eq!(date(seconds), wanted);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = date(0);
        for day in 1..80_000 {
            let next = date(day * DAY);
            assert!(next > last && next.ends_with("T00-00-00Z"), "{last} {next}");
            last = next;
        }
    }
}
