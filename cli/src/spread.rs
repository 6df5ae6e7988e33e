//! Some of a job's images, evenly spread over all.

use std::collections::BTreeSet;

/// So many of `images`, evenly spread.
pub(crate) fn spread<'a>(images: &[&'a str], number: usize) -> BTreeSet<&'a str> {
    let number = number.clamp(1, images.len());
    (0..number).map(|n| images[(2 * n + 1) * images.len() / (2 * number)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_spread_evenly() {
        let images = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let of = |number| spread(&images, number).into_iter().collect::<String>();
        assert_eq!([of(0), of(1), of(3), of(9), of(20)], ["e", "e", "beh", "abcdefghi", "abcdefghi"]);
        for number in 1..=9 {
            assert_eq!(spread(&images, number).len(), number);
        }
    }
}
