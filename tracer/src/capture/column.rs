//! A column of numbers most of which are often 0.

use super::varint::{self, Input};

/// How it lies in the file: every value, or those that are not 0, each after the number of zeros
/// before it.
const DENSE: u8 = 0;
const SPARSE: u8 = 1;

/// Appends a column.
pub(super) fn put(out: &mut Vec<u8>, column: &[u64]) {
    let others = column.iter().filter(|value| **value != 0).count();
    if 2 * others >= column.len() {
        out.push(DENSE);
        column.iter().for_each(|value| varint::put(out, *value));
        return;
    }
    out.push(SPARSE);
    varint::put(out, others as u64);
    let mut zeros = 0;
    for value in column {
        if *value == 0 {
            zeros += 1;
        } else {
            varint::put(out, zeros);
            varint::put(out, *value);
            zeros = 0;
        }
    }
}

/// Reads a column of `len` values; `None` if it is damaged.
pub(super) fn read(column: &mut Vec<u64>, len: usize, input: &mut Input<'_>) -> Option<()> {
    column.clear();
    match input.byte()? {
        DENSE => {
            for _ in 0..len {
                column.push(input.number()?);
            }
        }
        SPARSE => {
            column.resize(len, 0);
            let mut rest = &mut column[..];
            for _ in 0..input.number()? {
                let zeros = usize::try_from(input.number()?).ok()?;
                let (value, after) = rest.get_mut(zeros..)?.split_first_mut()?;
                *value = input.number()?;
                rest = after;
            }
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn columns_come_back(values in prop::collection::vec(
            prop_oneof![Just(0), Just(0), any::<u64>()],
            0..400,
        )) {
            let mut bytes = Vec::new();
            put(&mut bytes, &values);
            let (mut input, mut column) = (Input::new(&bytes), vec![7]);
            prop_assert_eq!(read(&mut column, values.len(), &mut input), Some(()));
            prop_assert_eq!(column, values);
            prop_assert!(input.is_empty());
        }
    }

    #[test]
    fn zeros_take_no_room() {
        let mut bytes = Vec::new();
        put(&mut bytes, &[0; 1000]);
        assert_eq!(bytes, [SPARSE, 0]);
    }

    #[test]
    fn more_than_the_column_holds_is_refused() {
        let mut column = Vec::new();
        for bytes in [
            &[SPARSE, 1, 4, 9][..],
            &[SPARSE, 2, 3, 9, 0, 9],
            &[DENSE, 1, 1, 1],
            &[2],
        ] {
            assert_eq!(read(&mut column, 4, &mut Input::new(bytes)), None);
        }
    }
}
