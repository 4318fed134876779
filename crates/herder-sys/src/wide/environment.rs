//! The block of all variables that `CreateProcessW` takes.

use std::cmp::Ordering;

use super::upper;

/// The block for these variables, each as name and value: sorted by name without regard to case, as Windows looks them
/// up so, each with a NUL, and one more at the end. Of names that differ in their case only the last one stays.
///
/// No string may have a NUL in it.
pub(crate) fn block(
    variables: impl IntoIterator<Item = (Vec<u16>, Vec<u16>)>,
    compare: impl Fn(&[u16], &[u16]) -> Ordering,
) -> Vec<u16> {
    let mut variables: Vec<_> = variables.into_iter().collect();
    // Stable, so that of equals the last one is the last one still.
    variables.sort_by(|(one, _), (other, _)| compare(one, other));
    let mut block = Vec::new();
    for (index, (name, value)) in variables.iter().enumerate() {
        if variables.get(index + 1).is_some_and(|(next, _)| compare(name, next) == Ordering::Equal) {
            continue;
        }
        block.extend_from_slice(name);
        block.push(u16::from(b'='));
        block.extend_from_slice(value);
        block.push(0);
    }
    if block.is_empty() {
        // No variable at all is an empty one.
        block.push(0);
    }
    block.push(0);
    block
}

/// The order of names as Windows has it: unit by unit, in upper case.
pub(crate) fn compare(one: &[u16], other: &[u16]) -> Ordering {
    one.iter().map(|&unit| upper(unit)).cmp(other.iter().map(|&unit| upper(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn block_of(variables: &[(&str, &str)]) -> Vec<u16> {
        block(variables.iter().map(|(name, value)| (wide(name), wide(value))), compare)
    }

    #[test]
    fn sorted_without_regard_to_case_and_ended_twice() {
        let block = block_of(&[("b", "2"), ("A", "1"), ("_x", ""), ("=C:", r"C:\"), ("C", "=")]);
        assert_eq!(block, wide("=C:=C:\\\0A=1\0b=2\0C==\0_x=\0\0"));
        assert_eq!(block_of(&[]), [0, 0]);
    }

    #[test]
    fn of_names_in_two_spellings_the_later_one_stays() {
        assert_eq!(block_of(&[("Path", "1"), ("x", "2"), ("PATH", "3")]), wide("PATH=3\0x=2\0\0"));
    }

    #[test]
    fn upper_case_is_that_of_single_letters() {
        let up = |letter: char| upper(u16::try_from(u32::from(letter)).unwrap());
        assert_eq!(up('a'), 65);
        assert_eq!(up('\u{e9}'), 0xc9);
        assert_eq!(up('\u{df}'), 0xdf, "no two letters");
        assert_eq!(up('\u{131}'), 0x131, "nothing becomes ASCII");
        assert_eq!(upper(0xd800), 0xd800, "half a letter is itself");
    }

    proptest! {
        #[test]
        fn every_variable_comes_back_once(
            variables in prop::collection::vec(("[A-Ca-c\u{e9}\u{c9}]{1,2}", "[a=\u{e9} ]{0,3}"), 0..8),
        ) {
            let block = block(variables.iter().map(|(name, value)| (wide(name), wide(value))), compare);
            let text = String::from_utf16(&block).unwrap();
            let lines: Vec<&str> = text.strip_suffix("\0\0").unwrap().split('\0').filter(|line| !line.is_empty()).collect();
            let mut last = std::collections::BTreeMap::new();
            for (name, value) in &variables {
                last.insert(name.to_uppercase(), format!("{name}={value}"));
            }
            let expected: Vec<&str> = last.values().map(String::as_str).collect();
            prop_assert_eq!(lines, expected);
        }
    }
}
