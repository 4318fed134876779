//! Text without what is meant for a terminal.

use bytes::Bytes;

/// Removes escape sequences and control characters from a stream: colors, titles, movements of the cursor.
///
/// What stays is text with `\n`, `\r` and `\t`. It does not draw: what a program writes over is still there. A sequence
/// that is cut by the end of a chunk is removed all the same; any division of the same bytes into chunks gives the same
/// output. What has nothing to be removed is not copied.
///
/// Sequences are those of ECMA-48 in their form of seven bits, `ESC [ ... m` say, whatever they mean. A title, or
/// another string of the operating system (`ESC ]`), ends at its terminator or with its line; a string of another kind
/// (`ESC P`: an image, say) only at its terminator. How much was removed is [told](Self::removed).
///
/// ```
/// use herder::output::VtStripper;
///
/// let mut vt = VtStripper::new();
/// assert_eq!(vt.push("\x1b[1;31mfailed\x1b["), "failed");
/// assert_eq!(vt.push("0m: no such file\n"), ": no such file\n");
/// assert_eq!(vt.removed(), 11);
/// ```
#[derive(Clone, Debug, Default)]
pub struct VtStripper {
    state: State,
    removed: u64,
}

/// In the midst of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind `ESC`, and perhaps intermediate bytes.
    Escape { begun: bool },
    /// Behind `ESC [`.
    Control,
    /// Behind `ESC ]`.
    SystemString,
    /// Behind `ESC P`, `ESC X`, `ESC ^` or `ESC _`.
    OtherString,
}

const ESC: u8 = 0x1B;
/// CAN and SUB end any sequence.
const CANCEL: [u8; 2] = [0x18, 0x1A];

impl VtStripper {
    /// At the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes have been removed.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.removed
    }

    /// Takes the next bytes and gives what stays of them.
    pub fn push(&mut self, chunk: impl Into<Bytes>) -> Bytes {
        let chunk = chunk.into();
        if self.state == State::Text && chunk.iter().all(|byte| is_text(*byte)) {
            return chunk;
        }
        let mut kept = Vec::with_capacity(chunk.len());
        kept.extend(chunk.iter().copied().filter(|byte| self.keeps(*byte)));
        self.removed += (chunk.len() - kept.len()) as u64;
        kept.into()
    }

    /// Whether the next byte stays.
    fn keeps(&mut self, byte: u8) -> bool {
        if byte == ESC {
            // In a string the terminator begins with it; anything else that does ends the string, too.
            self.state = State::Escape { begun: false };
            return false;
        }
        if self.state != State::Text && CANCEL.contains(&byte) {
            self.state = State::Text;
            return false;
        }
        match self.state {
            State::Text => is_text(byte),
            State::Escape { begun } => {
                self.state = match byte {
                    b'[' if !begun => State::Control,
                    b']' if !begun => State::SystemString,
                    b'P' | b'X' | b'^' | b'_' if !begun => State::OtherString,
                    b' '..=b'/' => State::Escape { begun: true },
                    b'0'..=b'~' => State::Text,
                    _ => return self.outside(byte),
                };
                false
            }
            State::Control => {
                self.state = match byte {
                    b' '..=b'?' => State::Control,
                    b'@'..=b'~' => State::Text,
                    _ => return self.outside(byte),
                };
                false
            }
            State::SystemString if byte == 0x07 => {
                self.state = State::Text;
                false
            }
            State::SystemString if byte == b'\n' => {
                self.state = State::Text;
                true
            }
            State::SystemString | State::OtherString => false,
        }
    }

    /// A byte that no sequence has: a control character is obeyed in its midst, anything else ends it.
    fn outside(&mut self, byte: u8) -> bool {
        if !byte.is_ascii_control() {
            self.state = State::Text;
        }
        is_text(byte)
    }
}

fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || matches!(byte, b'\n' | b'\r' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stripped(chunks: &[&[u8]]) -> (Vec<u8>, u64) {
        let mut vt = VtStripper::new();
        let kept = chunks.iter().flat_map(|chunk| vt.push(chunk.to_vec())).collect();
        (kept, vt.removed())
    }

    fn text(all: &str) -> String {
        String::from_utf8(stripped(&[all.as_bytes()]).0).unwrap()
    }

    #[test]
    fn what_is_meant_for_a_terminal_is_removed() {
        for (all, kept) in [
            ("plain\ttext\r\n", "plain\ttext\r\n"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("\x1b[38;2;1;2;3m\u{e9}\x1b[K", "\u{e9}"),
            ("\x1b]0;title\x07a", "a"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1bPq#0~\nimage\x1b\\b", "b"),
            ("\x1b(Bcharset\x1b7saved\x1bM", "charsetsaved"),
            ("bell\x07 back\x08 nul\0 del\x7f", "bell back nul del"),
            ("\x1b[3\x1b[4munfinished", "unfinished"),
            ("\x1b[3\x18cancelled", "cancelled"),
            ("\x1b]never ended\nnext line", "\nnext line"),
            ("\x1b[1\n;2mobeyed", "\nobeyed"),
            ("\x1b[\u{e9}no sequence", "\u{e9}no sequence"),
        ] {
            assert_eq!(text(all), kept, "{all:?}");
        }
    }

    #[test]
    fn text_is_not_copied() {
        let chunk = Bytes::from_static(b"text\n");
        assert_eq!(VtStripper::new().push(chunk.clone()).as_ptr(), chunk.as_ptr());
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec!["\x1b", "[", "]", "P", "\\", "31", "m", "\x07", "\n", "a", "\x18", "("])
                        .prop_map(|piece| piece.as_bytes().to_vec()),
                    any::<u8>().prop_map(|byte| vec![byte]),
                ],
                0..40,
            ),
            size in 1..9usize,
        ) {
            let all = pieces.concat();
            let whole = stripped(&[&all]);
            prop_assert_eq!(stripped(&all.chunks(size).collect::<Vec<_>>()), whole.clone());
            prop_assert_eq!(whole.0.len() as u64 + whole.1, all.len() as u64);
            prop_assert!(whole.0.iter().all(|byte| is_text(*byte)));
        }
    }
}
