use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::prelude::*;

use super::LineEnd::{Cr, CrLf, EndOfOutput, Gap, Lf, Split};
use super::*;

/// What a splitter is told.
#[derive(Clone, Debug)]
enum Told {
    Bytes(Vec<u8>),
    Gap(u64),
}

/// A line by the model: its text, its end, whether it continues, bytes dropped, bytes missing.
type Fact = (Vec<u8>, LineEnd, bool, u64, u64);

fn fact(line: &Line<'_>) -> Fact {
    (line.bytes().to_vec(), line.end(), line.is_continuation(), line.dropped(), line.missing())
}

/// As [`split`], by a visitor that breaks off after each `patience` lines, and is called again.
fn visited(options: &LineOptions, told: &[Told], patience: usize) -> Vec<Fact> {
    let mut lines = LineSplitter::new(options.clone());
    let mut found = Vec::new();
    let mut visit = |lines: &mut LineSplitter| {
        let mut left = 0;
        while left == 0 {
            left = patience;
            let flow = lines.each_line(|line| {
                found.push(fact(&line));
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(flow.is_break(), left == 0);
        }
    };
    for told in told {
        match told {
            Told::Bytes(bytes) => lines.push(bytes.clone()),
            Told::Gap(bytes) => lines.gap(*bytes),
        }
        visit(&mut lines);
    }
    lines.end();
    visit(&mut lines);
    found
}

fn split(options: &LineOptions, told: &[Told]) -> Vec<Fact> {
    let mut lines = LineSplitter::new(options.clone());
    let mut found = Vec::new();
    for told in told {
        match told {
            Told::Bytes(bytes) => lines.push(bytes.clone()),
            Told::Gap(bytes) => lines.gap(*bytes),
        }
        while let Some(line) = lines.next_line() {
            found.push(fact(&line));
        }
    }
    lines.end();
    while let Some(line) = lines.next_line() {
        found.push(fact(&line));
    }
    found
}

/// The lines of a text, with everything at hand.
fn model(options: &LineOptions, told: &[Told]) -> Vec<Fact> {
    let mut found = Vec::new();
    let mut missing = 0;
    let mut told = told.iter().peekable();
    while let Some(next) = told.next() {
        match next {
            Told::Gap(bytes) => missing += bytes,
            Told::Bytes(bytes) => {
                let mut text = bytes.clone();
                while let Some(Told::Bytes(more)) = told.peek() {
                    text.extend(more);
                    told.next();
                }
                let last = if told.peek().is_some() { Gap } else { EndOfOutput };
                for (line, end) in raw_lines(options.endings, &text, last) {
                    pieces(options, &line, end, std::mem::take(&mut missing), &mut found);
                }
            }
        }
    }
    if missing > 0 {
        found.push((Vec::new(), EndOfOutput, false, 0, missing));
    }
    found
}

fn raw_lines(endings: Endings, mut text: &[u8], last: LineEnd) -> Vec<(Vec<u8>, LineEnd)> {
    let known: &[(&[u8], LineEnd)] = match endings {
        Endings::Lf => &[(b"\n", Lf)],
        Endings::CrLf => &[(b"\r\n", CrLf), (b"\n", Lf)],
        Endings::Cr => &[(b"\r\n", Cr), (b"\r", Cr), (b"\n", Lf)],
    };
    let mut found = Vec::new();
    let mut line = Vec::new();
    while !text.is_empty() {
        if let Some((ending, end)) = known.iter().find(|(ending, _)| text.starts_with(ending)) {
            found.push((std::mem::take(&mut line), *end));
            text = &text[ending.len()..];
        } else {
            line.push(text[0]);
            text = &text[1..];
        }
    }
    if !line.is_empty() {
        found.push((line, last));
    }
    found
}

fn pieces(options: &LineOptions, mut line: &[u8], end: LineEnd, mut missing: u64, found: &mut Vec<Fact>) {
    let mut continues = false;
    while line.len() > options.max_len {
        let cut = model_cut(line, options.max_len);
        if options.too_long == TooLong::DropRest {
            found.push((line[..cut].to_vec(), end, false, (line.len() - cut) as u64, missing));
            return;
        }
        found.push((line[..cut].to_vec(), Split, continues, 0, std::mem::take(&mut missing)));
        continues = true;
        line = &line[cut..];
    }
    found.push((line.to_vec(), end, continues, 0, missing));
}

/// In front of a character that begins within the length and ends beyond it.
fn model_cut(line: &[u8], max: usize) -> usize {
    for start in max.saturating_sub(3).max(1)..max {
        let len = match line[start] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        if start + len > max && line[start + 1..=max].iter().all(|byte| (0x80..0xC0).contains(byte)) {
            return start;
        }
    }
    max
}

fn texts(options: LineOptions, chunks: &[&str]) -> Vec<(String, LineEnd)> {
    let told: Vec<_> = chunks.iter().map(|chunk| Told::Bytes(chunk.as_bytes().to_vec())).collect();
    let found = split(&options, &told).into_iter();
    found.map(|(text, end, ..)| (String::from_utf8(text).unwrap(), end)).collect()
}

fn owned(lines: &[(&str, LineEnd)]) -> Vec<(String, LineEnd)> {
    lines.iter().map(|(text, end)| ((*text).to_owned(), *end)).collect()
}

/// T57, T58, T61: and more endings than one.
#[test]
fn endings_are_what_was_asked_for() {
    let text = ["a\r\nb\rc\n", "\n\0\r", "\nend"];
    assert_eq!(
        texts(LineOptions::new().endings(Endings::Lf), &text),
        owned(&[("a\r", Lf), ("b\rc", Lf), ("", Lf), ("\0\r", Lf), ("end", EndOfOutput)])
    );
    assert_eq!(
        texts(LineOptions::new(), &text),
        owned(&[("a", CrLf), ("b\rc", Lf), ("", Lf), ("\0", CrLf), ("end", EndOfOutput)])
    );
    assert_eq!(
        texts(LineOptions::new().endings(Endings::Cr), &text),
        owned(&[("a", Cr), ("b", Cr), ("c", Lf), ("", Lf), ("\0", Cr), ("end", EndOfOutput)])
    );
}

#[test]
fn a_progress_bar_is_seen_at_once() {
    let mut lines = LineSplitter::new(LineOptions::new().endings(Endings::Cr));
    lines.push("50%\r");
    assert_eq!(lines.next_line().unwrap().text(), "50%");
    lines.push("\ndone\n");
    assert_eq!(lines.next_line().unwrap().text(), "done");
    assert!(lines.next_line().is_none());
}

/// T62, T63, T64: what is cut is marked, and what is dropped is counted.
#[test]
fn lines_that_are_too_long_are_marked() {
    let short = LineOptions::new().max_len(4);
    let split = |text: &str| texts(short.clone(), &[text]);
    assert_eq!(split("abcdefgh"), owned(&[("abcd", Split), ("efgh", EndOfOutput)]));
    assert_eq!(split("abcd\nabcd\r\n"), owned(&[("abcd", Lf), ("abcd", CrLf)]));
    assert_eq!(split("abcd\rx"), owned(&[("abcd", Split), ("\rx", EndOfOutput)]));
    assert_eq!(split("aaa\u{e9}bb"), owned(&[("aaa", Split), ("\u{e9}bb", EndOfOutput)]));
    let drop_rest = short.clone().too_long(TooLong::DropRest);
    let mut lines = LineSplitter::new(drop_rest);
    lines.push("aaa\u{e9}bbbb\r\nok\r\nabcdef");
    lines.end();
    let line = lines.next_line().unwrap();
    assert_eq!((line.bytes(), line.end(), line.dropped(), line.is_whole()), (&b"aaa"[..], CrLf, 6, false));
    let line = lines.next_line().unwrap();
    assert_eq!((line.bytes(), line.dropped(), line.is_whole()), (&b"ok"[..], 0, true));
    let line = lines.next_line().unwrap();
    assert_eq!((line.bytes(), line.end(), line.dropped()), (&b"abcd"[..], EndOfOutput, 2));
}

/// T65: what a gap cut is marked on both sides.
#[test]
fn a_gap_glues_nothing_together() {
    let mut lines = LineSplitter::new(LineOptions::new());
    lines.push("whole\nbegin");
    lines.gap(7);
    lines.gap(3);
    lines.push("end\nwhole\n");
    lines.gap(5);
    lines.end();
    let mut facts = Vec::new();
    while let Some(line) = lines.next_line() {
        facts.push((line.text().into_owned(), line.end(), line.missing(), line.is_whole()));
    }
    let fact = |text: &str, end, missing, whole| (text.to_owned(), end, missing, whole);
    assert_eq!(
        facts,
        [
            fact("whole", Lf, 0, true),
            fact("begin", Gap, 0, false),
            fact("end", Lf, 10, false),
            fact("whole", Lf, 0, true),
            fact("", EndOfOutput, 5, false),
        ]
    );
}

/// T59, T66: no copy within a chunk, and no memory kept behind a long line.
#[test]
fn memory_is_shared_or_owned_as_asked() {
    let chunk = Bytes::from(b"one\n\xff\nth".to_vec());
    let mut lines = LineSplitter::new(LineOptions::new());
    lines.push(chunk.clone());
    let line = lines.next_line().unwrap();
    assert_eq!(line.bytes().as_ptr(), chunk.as_ptr());
    assert!(matches!(line.text(), std::borrow::Cow::Borrowed("one")));
    assert_eq!(line.clone().into_shared().bytes().as_ptr(), chunk.as_ptr());
    assert_ne!(line.clone().into_owned().bytes().as_ptr(), chunk.as_ptr());
    assert_eq!(line.clone().into_owned(), line);
    assert_eq!(lines.next_line().unwrap().text(), "\u{fffd}");
    assert!(lines.next_line().is_none());
    assert!(chunk.is_unique(), "the chunk is given back");
    lines.push("ree\n");
    assert_eq!(lines.next_line().unwrap().text(), "three");
}

#[test]
fn a_line_has_the_time_of_the_chunk_that_completed_it() {
    let [first, second] = [1, 2].map(|second| SystemTime::UNIX_EPOCH + Duration::from_secs(second));
    let mut lines = LineSplitter::new(LineOptions::new());
    lines.push_at("a\nb", first);
    lines.push_at("b\nc", second);
    lines.push("\n");
    let mut times = Vec::new();
    while let Some(line) = lines.next_line() {
        times.push(line.at());
    }
    assert_eq!(times, [Some(first), Some(second), None]);
}

fn options() -> impl Strategy<Value = LineOptions> {
    let long = prop_oneof![Just(TooLong::Split), Just(TooLong::DropRest)];
    let endings = prop_oneof![Just(Endings::Lf), Just(Endings::CrLf), Just(Endings::Cr)];
    (prop_oneof![1..9usize, Just(usize::MAX)], long, endings)
        .prop_map(|(max, long, endings)| LineOptions::new().max_len(max).too_long(long).endings(endings))
}

fn told() -> impl Strategy<Value = Vec<Told>> {
    let text = prop::sample::select(vec!["a", "b", "\n", "\r", "\r\n", "\u{e9}", "\u{20ac}", "\u{1f600}"]);
    let byte = prop::sample::select(vec![0xC3u8, 0x80, 0xFF, 0xE2]).prop_map(|byte| vec![byte]);
    let piece = prop_oneof![8 => text.prop_map(|text| text.as_bytes().to_vec()), 1 => byte];
    let bytes = prop::collection::vec(piece, 0..20).prop_map(|pieces| Told::Bytes(pieces.concat()));
    prop::collection::vec(prop_oneof![9 => bytes, 1 => (0..4u64).prop_map(Told::Gap)], 0..6)
}

/// The same, in chunks of so many bytes.
fn rechunked(told: &[Told], size: usize) -> Vec<Told> {
    let chunks = |told: &Told| match told {
        Told::Gap(bytes) => vec![Told::Gap(*bytes)],
        Told::Bytes(bytes) => bytes.chunks(size).map(|chunk| Told::Bytes(chunk.to_vec())).collect(),
    };
    told.iter().flat_map(chunks).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// T60.
    #[test]
    fn any_chunks_give_the_lines_of_the_model(options in options(), told in told(), size in 1..30usize) {
        let told: Vec<_> = told.into_iter().filter(|told| !matches!(told, Told::Gap(0))).collect();
        let lines = model(&options, &told);
        prop_assert_eq!(&split(&options, &told), &lines);
        prop_assert_eq!(&split(&options, &rechunked(&told, size)), &lines);
        prop_assert_eq!(&split(&options, &rechunked(&told, 1)), &lines);
        prop_assert_eq!(&visited(&options, &rechunked(&told, size), usize::MAX), &lines);
        prop_assert_eq!(&visited(&options, &told, size), &lines);
    }

    #[test]
    fn every_byte_is_accounted_for(told in told(), max in 1..9usize, long in any::<bool>(), cr in any::<bool>()) {
        let long = if long { TooLong::Split } else { TooLong::DropRest };
        let endings = if cr { Endings::CrLf } else { Endings::Lf };
        let mut lines = LineSplitter::new(LineOptions::new().max_len(max).too_long(long).endings(endings));
        let mut seen = 0;
        let mut total = 0;
        for told in &told {
            match told {
                Told::Bytes(bytes) => {
                    lines.push(bytes.clone());
                    total += bytes.len() as u64;
                }
                Told::Gap(bytes) => {
                    lines.gap(*bytes);
                    total += bytes;
                }
            }
        }
        lines.end();
        while let Some(line) = lines.next_line() {
            let ending = match line.end() { Lf | Cr => 1, CrLf => 2, _ => 0 };
            seen += line.missing() + line.bytes().len() as u64 + line.dropped() + ending;
            prop_assert!(line.bytes().len() <= max);
            prop_assert_eq!(lines.position(), seen);
        }
        prop_assert_eq!(seen, total);
    }

    #[test]
    fn no_character_is_cut(text in "[a\u{e9}\u{20ac}\u{1f600}]{0,40}", max in 4..12usize, size in 1..9usize) {
        let told = rechunked(&[Told::Bytes(text.clone().into_bytes())], size);
        let found = split(&LineOptions::new().max_len(max), &told);
        let joined: Vec<_> = found.into_iter().map(|(line, ..)| String::from_utf8(line).unwrap()).collect();
        prop_assert_eq!(joined.concat(), text);
    }

    #[test]
    fn what_is_pending_is_what_came_behind_the_last_ending(told in told()) {
        let mut lines = LineSplitter::new(LineOptions::new().unlimited().endings(Endings::Lf));
        let mut all = Vec::new();
        for told in &told {
            if let Told::Bytes(bytes) = told {
                lines.push(bytes.clone());
                all.extend(bytes);
                while lines.next_line().is_some() {}
                prop_assert_eq!(lines.pending(), all.rsplit(|byte| *byte == b'\n').next().unwrap());
            }
        }
    }
}
