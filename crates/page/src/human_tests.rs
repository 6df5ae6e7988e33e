use super::*;

/// Expectations are written with plain spaces; the page has ones that do not break.
#[track_caller]
fn same(found: &str, expected: &str) {
    assert_eq!(found.replace(SPACE, " "), expected);
}

#[test]
fn counts_have_commas() {
    for (value, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        same(&count(value), text);
    }
    same(&count(u64::MAX), "18,446,744,073,709,551,615");
    same(&headline(9_999_999), "9,999,999");
    same(&headline(51_200_000), "51.2 million");
    same(&headline(999_700_000), "1.00 billion");
    same(&counted(1, "image", "images"), "1 image");
    same(&counted(0, "image", "images"), "0 images");
}

#[test]
fn bytes_have_units() {
    for (value, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (1_234_567, "1.23 MB"),
        (48_060_000_000, "48.1 GB"),
        (999_900_000, "1.00 GB"),
        (u64::MAX, "18.4 EB"),
    ] {
        same(&bytes(value), text);
    }
}

#[test]
fn seconds_choose_their_unit() {
    for (value, text) in [
        (0.0, "0 s"),
        (0.0004, "< 1 ms"),
        (0.43, "430 ms"),
        (0.9996, "1.0 s"),
        (4.24, "4.2 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (200.0, "3 min 20 s"),
        (3599.7, "1 h"),
        (7500.0, "2 h 5 min"),
        (273_600.0, "3 d 4 h"),
        (f64::NAN, "–"),
        (f64::INFINITY, "–"),
        (-1.0, "–"),
    ] {
        same(&seconds(value), text);
    }
}

#[test]
fn rates_of_nothing_are_a_dash() {
    same(&rate(0, 0.0), "–");
    same(&rate(0, 5.0), "–");
    same(&rate(7, 0.0), "–");
    same(&rate(7, f64::NAN), "–");
    same(&rate(1, 1e6), "< 0.01");
    same(&rate(10, 4.0), "2.50");
    same(&rate(1_234_567, 100.0), "12,346");
    same(&ratio(0.0, 0.0), "–");
    same(&ratio(9.0, 4.0), "2.25");
}

#[test]
fn percent_never_rounds_to_all_or_nothing() {
    for (share, text) in [
        (0.0, "0 %"),
        (0.000_01, "< 0.01 %"),
        (0.000_42, "0.04 %"),
        (0.000_996, "0.1 %"),
        (0.0042, "0.4 %"),
        (0.431, "43.1 %"),
        (0.999_6, "99.96 %"),
        (0.999_99, "> 99.99 %"),
        (1.0, "100 %"),
        (1.5, "100 %"),
        (f64::NAN, "–"),
    ] {
        same(&percent(share), text);
    }
}

#[test]
fn widths_stay_inside_their_frame() {
    for (share, text) in [(0.0, "0%"), (0.25, "25%"), (0.1234, "12.3%"), (2.0, "100%"), (f64::NAN, "0%")] {
        assert_eq!(width(share), text);
    }
}
