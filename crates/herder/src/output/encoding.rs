//! Output in another encoding than UTF-8, chunk by chunk.

use std::fmt;

use bytes::Bytes;
use encoding_rs::{DecoderResult, Encoding, UTF_16BE, UTF_16LE};

/// Makes UTF-8 of a stream in another encoding.
///
/// It stands in front of whatever looks at characters or lines: in UTF-16 the byte of `\n` is only half of a newline.
/// A character that is cut by the end of a chunk is put together. What is no character of the encoding becomes
/// `U+FFFD` and is [counted](Self::malformed).
///
/// Encodings are those of the [WHATWG standard](https://encoding.spec.whatwg.org/#names-and-labels): all that a
/// program can be expected to write, among them `windows-1252`, `shift_jis`, `gb18030`, `utf-16le` and, for a
/// program of old, `ibm866`.
///
/// ```
/// use herder::output::{Decoder, LineOptions, LineSplitter};
///
/// let mut decoder = Decoder::for_label("utf-16le").expect("a known encoding");
/// let mut lines = LineSplitter::new(LineOptions::new());
/// lines.push(decoder.push(b"o\0k\0\n\0\xe4"));
/// lines.push(decoder.push(b"\0"));
/// lines.push(decoder.end());
/// lines.end();
/// assert_eq!(lines.next_line().unwrap().text(), "ok");
/// assert_eq!(lines.next_line().unwrap().text(), "\u{e4}");
/// ```
pub struct Decoder {
    encoding: &'static Encoding,
    bom: Bom,
    decoder: encoding_rs::Decoder,
    /// Bytes that came or are missing.
    position: u64,
    malformed: u64,
    /// A byte is to be passed over: half of a unit, whose other half is missing.
    skip: bool,
}

/// What happens to a byte order mark at the beginning of a stream. Anywhere else it is a character, `U+FEFF`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bom {
    /// That of UTF-8 or UTF-16 decides, whatever encoding was named, and is removed: the stream knows best.
    #[default]
    Decides,
    /// That of the named encoding is removed; any other is text.
    Removed,
    /// It is text.
    Kept,
}

impl Decoder {
    /// For an encoding by any of its names, in any case; `None` if there is no such encoding.
    #[must_use]
    pub fn for_label(label: &str) -> Option<Self> {
        let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
        let bom = Bom::default();
        let decoder = begin(encoding, bom);
        Some(Self { encoding, bom, decoder, position: 0, malformed: 0, skip: false })
    }

    /// Says what happens to a byte order mark. To be said before the first byte comes.
    #[must_use]
    pub fn bom(mut self, bom: Bom) -> Self {
        self.bom = bom;
        self.decoder = begin(self.encoding, bom);
        self
    }

    /// The name of the encoding in the standard: that of the byte order mark, once that has decided.
    #[must_use]
    pub fn encoding(&self) -> &'static str {
        self.decoder.encoding().name()
    }

    /// How many times there was no character.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Takes the next bytes and gives the text that they complete, in UTF-8.
    pub fn push(&mut self, mut chunk: &[u8]) -> Bytes {
        self.position += chunk.len() as u64;
        if self.skip && !chunk.is_empty() {
            chunk = &chunk[1..];
            self.skip = false;
        }
        self.decode(chunk, false)
    }

    /// Says that so many bytes are missing here, and gives what is left of the text in front of them.
    ///
    /// A character that was cut becomes `U+FFFD`. Behind the gap a new text begins: in UTF-16 at the next whole unit,
    /// in an encoding with states (ISO-2022-JP) in the state of the beginning.
    pub fn gap(&mut self, bytes: u64) -> Bytes {
        if bytes == 0 {
            return Bytes::new();
        }
        let encoding = self.decoder.encoding();
        let rest = self.decode(&[], true);
        self.decoder = encoding.new_decoder_without_bom_handling();
        self.position += bytes;
        self.skip = (encoding == UTF_16LE || encoding == UTF_16BE) && self.position % 2 == 1;
        rest
    }

    /// Says that this was all, and gives what is left: `U+FFFD` for a character that was cut. What is pushed
    /// afterwards is a new stream.
    pub fn end(&mut self) -> Bytes {
        let rest = self.decode(&[], true);
        self.decoder = begin(self.encoding, self.bom);
        self.position = 0;
        self.skip = false;
        rest
    }

    fn decode(&mut self, mut bytes: &[u8], last: bool) -> Bytes {
        let mut text = String::new();
        loop {
            // Most texts take about as many bytes in UTF-8; for the others this is not the last time.
            text.reserve(bytes.len() + 16);
            let (result, used) = self.decoder.decode_to_string_without_replacement(bytes, &mut text, last);
            bytes = &bytes[used..];
            match result {
                DecoderResult::InputEmpty => return text.into(),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    text.push(char::REPLACEMENT_CHARACTER);
                    self.malformed += 1;
                }
            }
        }
    }
}

fn begin(encoding: &'static Encoding, bom: Bom) -> encoding_rs::Decoder {
    match bom {
        Bom::Decides => encoding.new_decoder(),
        Bom::Removed => encoding.new_decoder_with_bom_removal(),
        Bom::Kept => encoding.new_decoder_without_bom_handling(),
    }
}

/// The bytes that wait for the rest of their character are not shown.
impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bom, position, malformed, .. } = self;
        let mut shown = f.debug_struct("Decoder");
        shown.field("encoding", &self.encoding()).field("bom", bom).field("position", position);
        shown.field("malformed", malformed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoder(label: &str) -> Decoder {
        Decoder::for_label(label).unwrap()
    }

    fn decode(mut decoder: Decoder, chunks: &[&[u8]]) -> String {
        let mut all: Vec<u8> = chunks.iter().flat_map(|chunk| decoder.push(chunk)).collect();
        all.extend(decoder.end());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn names_are_those_of_the_standard() {
        assert_eq!(decoder("Latin1").encoding(), "windows-1252");
        assert_eq!(decoder("utf-16").encoding(), "UTF-16LE");
        for unknown in ["", "utf-7", "replacement", "nope"] {
            assert!(Decoder::for_label(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn a_byte_order_mark_does_what_was_asked_for() {
        let utf8 = b"\xef\xbb\xbf\xc3\xa4".as_slice();
        assert_eq!(decode(decoder("latin1"), &[utf8]), "\u{e4}");
        assert_eq!(decode(decoder("utf-8").bom(Bom::Removed), &[utf8]), "\u{e4}");
        assert_eq!(decode(decoder("utf-8").bom(Bom::Kept), &[utf8]).chars().count(), 2);
        let latin1 = decode(decoder("latin1").bom(Bom::Removed), &[utf8]);
        assert_eq!(latin1.chars().count(), 5);
        assert_eq!(decode(decoder("utf-16le"), &[b"\xfe\xff\0a"]), "a");
        assert_eq!(decode(decoder("utf-16le"), &[b"\xfe", b"\xff\0", b"a"]), "a");
    }

    #[test]
    fn what_is_no_character_is_counted() {
        let mut decoder = decoder("shift_jis");
        let mut text = decoder.push(b"a\xa0b\x83").to_vec();
        text.extend(decoder.end());
        assert_eq!(String::from_utf8(text).unwrap(), "a\u{fffd}b\u{fffd}");
        assert_eq!(decoder.malformed(), 2);
    }

    #[test]
    fn behind_a_gap_the_units_are_the_right_ones() {
        let mut decoder = decoder("utf-16le");
        let mut text = decoder.push(b"a\0b").to_vec();
        // What is missing: the other half of the letter, and half of one more.
        text.extend(decoder.gap(2));
        text.extend(decoder.push(b"\0c\0"));
        text.extend(decoder.end());
        assert_eq!(String::from_utf8(text).unwrap(), "a\u{fffd}c");
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same_text(
            label in prop::sample::select(vec!["utf-8", "utf-16le", "utf-16be", "shift_jis", "gb18030", "iso-2022-jp"]),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
            size in 1..20usize,
        ) {
            let (whole, _, _) = Encoding::for_label(label.as_bytes()).unwrap().decode(&bytes);
            let chunks: Vec<_> = bytes.chunks(size).collect();
            prop_assert_eq!(decode(decoder(label), &chunks), whole);
        }
    }
}
