//! Where to cut a text so that no character is cut.

/// At its greatest length, or in front of a character of UTF-8 that begins before it and ends behind it.
///
/// A character that begins the text is cut: there would be nothing left.
pub(super) fn cut(max: usize, byte: impl Fn(usize) -> Option<u8>) -> usize {
    let follows = |byte: Option<u8>| byte.is_some_and(|byte| byte & 0xC0 == 0x80);
    if !follows(byte(max)) {
        return max;
    }
    let first = (1..max.min(4)).find(|back| !follows(byte(max - back)));
    first.map_or(max, |back| {
        let len = match byte(max - back) {
            Some(0xC2..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..=0xF4) => 4,
            _ => 0,
        };
        if len > back { max - back } else { max }
    })
}
