//! How far a value goes on.

/// How many of the first values are equal; 0 where there is none. Labels have long runs, so they are looked at by blocks.
pub fn run_length<T: Copy + PartialEq>(values: &[T]) -> usize {
    const BLOCK: usize = 16;
    let Some(&first) = values.first() else { return 0 };
    // Every value of a block is looked at, so that nothing hangs on the one before.
    let is_equal =
        |block: &&[T; BLOCK]| block.iter().fold(0, |any, &value| any | u8::from(value != first)) == 0;
    let blocks = values.as_chunks::<BLOCK>().0.iter().take_while(is_equal).count();
    let rest = &values[BLOCK * blocks..];
    BLOCK * blocks + prefix(&rest[..rest.len().min(BLOCK)], first)
}

/// How many of the first values are `wanted`. Without a branch: where a run ends cannot be foreseen.
fn prefix<T: Copy + PartialEq>(values: &[T], wanted: T) -> usize {
    let mut all = 1;
    let so_far = values.iter().map(|&value| {
        all &= usize::from(value == wanted);
        all
    });
    so_far.sum()
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
