//! How far a value goes on.

/// Values that are looked at together.
const BLOCK: usize = 32;

/// How many of the first values are equal; 0 where there is none. Labels have long runs, so they are looked at by blocks.
pub fn run_length<T: Copy + PartialEq>(values: &[T]) -> usize {
    let Some(&first) = values.first() else { return 0 };
    let mut length = 1;
    while let Some(block) = values.get(length..length + BLOCK) {
        // Every value is looked at, so that nothing hangs on the one before.
        if block.iter().map(|&value| u32::from(value != first)).sum::<u32>() > 0 {
            break;
        }
        length += BLOCK;
    }
    length + values[length..].iter().take_while(|&&value| value == first).count()
}

#[cfg(test)]
mod tests {
    use super::run_length;

    #[test]
    fn a_run_ends_before_the_first_other_value() {
        for length in 0..200 {
            let mut values = vec![7_u16; length];
            assert_eq!(run_length(&values), length);
            values.push(8);
            values.extend([7; 90]);
            assert_eq!(run_length(&values), length.max(usize::from(length == 0)));
        }
    }
}
