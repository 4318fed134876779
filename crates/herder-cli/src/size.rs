//! Sizes in bytes as they are typed.

use herder::output::Rotation;

/// Reads `4096`, `64K`, `1M` or `2G`, in powers of 1024, also written `64KiB`.
pub(crate) fn parse(text: &str) -> Result<usize, String> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err("write a number of bytes, or one and K, M or G, as in 64K".into()),
    };
    let number: usize = match number.parse() {
        Ok(number) => number,
        Err(_) if number.is_empty() => return Err("write a number of bytes, as in 4096 or 64K".into()),
        Err(_) => return Err("that is more than any memory".into()),
    };
    number.checked_mul(1 << shift).ok_or_else(|| "that is more than any memory".into())
}

/// Reads `10M,3`: the size of a file, and how many there are.
pub(crate) fn parse_rotation(text: &str) -> Result<Rotation, String> {
    let (size, count) = text.split_once(',').ok_or("write a size and a number of files, as in 10M,3")?;
    let size = parse(size)?;
    let count = count.parse::<u32>().map_err(|_| "write a number of files behind the comma, as in 10M,3")?;
    if size == 0 || count == 0 {
        return Err("there is no file of no bytes, and not none of them".into());
    }
    Ok(Rotation::new(size as u64, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("64K", 65_536), ("64kib", 65_536), ("1M", 1 << 20), ("2G", 2 << 30)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1.5M", "1T", "1 K", "99999999999999999999", "9999999999999G"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
    #[test]
    fn rotations_are_a_size_and_a_count() {
        assert_eq!(parse_rotation("10M,3"), Ok(Rotation::new(10 << 20, 3)));
        for text in ["", "10M", "10M,", ",3", "0,3", "10M,0", "10M,-1", "10M,3,4", "x,3"] {
            assert!(parse_rotation(text).is_err(), "{text}");
        }
    }
}
