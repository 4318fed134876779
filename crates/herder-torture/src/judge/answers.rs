//! What an answer is worth.

use std::collections::BTreeMap;

use super::owner::Owner;
use super::proc;
use super::verdict::{Failure, Verdict, failed};
use crate::adapter::{MISSING, SECRET, SIGNALS, pattern};
use crate::protocol::{Answer, Bytes, Captured, Ended, Trouble};
use crate::scenario::{Act, Capture, Crowd, Fault, Hygiene, Status, Stream};

/// What a program may take at most while 256 MiB go through it at the defaults.
const MEMORY: u64 = 160 << 20;

pub(super) fn judge(act: &Act, answer: &Answer, owner: &Owner) -> Verdict {
    let found = match (act, answer) {
        (Act::Capture(capture), Answer::Captured(captured)) => captured_as_wanted(capture, captured, owner),
        (Act::Status(status), Answer::Ended(ended)) => statuses(*status, ended),
        // Told, and nothing made up.
        (Act::Status(Status::Ignored), Answer::Trouble(_)) => Ok(()),
        (Act::Crowd(_), Answer::Done) => Ok(()),
        (Act::Crowd(crowd), Answer::Numbers(numbers)) => crowds(*crowd, numbers),
        (Act::Fault(fault), answer) => faults(*fault, answer),
        (Act::Hygiene(hygiene), Answer::Texts(texts)) => {
            texts.iter().try_for_each(|text| given(*hygiene, text))
        }
        (_, Answer::Trouble(trouble)) => Err(failed(Failure::Error, &trouble.text)),
        (_, answer) => Err(failed(Failure::Error, format!("{answer:?}"))),
    };
    found.map_or_else(|verdict| verdict, |()| Verdict::Kept)
}

type Found = Result<(), Verdict>;

fn captured_as_wanted(capture: &Capture, captured: &Captured, owner: &Owner) -> Found {
    let expect = &capture.expect;
    if expect.ended.is_none() != captured.timed_out {
        return Err(failed(Failure::WrongStatus, format!("timed out: {}", captured.timed_out)));
    }
    if expect.ended.is_some() && expect.ended != captured.ended {
        return Err(failed(Failure::WrongStatus, format!("{:?}", captured.ended)));
    }
    for (wanted, got) in [(&expect.stdout, &captured.stdout), (&expect.stderr, &captured.stderr)] {
        stream(wanted, got, captured.told_cut, owner)?;
    }
    Ok(())
}

fn stream(wanted: &Stream, got: &Bytes, told_cut: bool, owner: &Owner) -> Found {
    let lost = |detail: String| Err(failed(Failure::LostBytes, detail));
    let text = || String::from_utf8_lossy(&got.head[..got.head.len().min(60)]).into_owned();
    match *wanted {
        Stream::Exactly(bytes) if *got == Bytes::of(bytes) => Ok(()),
        Stream::Exactly(bytes) => lost(format!("{} bytes of {}: {:?}", got.length, bytes.len(), text())),
        Stream::AllOrTold(bytes) if *got == Bytes::of(bytes) || told_cut => Ok(()),
        Stream::AllOrTold(_) => lost(format!("{:?}, and no word of more", text())),
        Stream::Pattern(length) if got.dropped == 0 && *got == Bytes::of(&pattern(length)) => Ok(()),
        Stream::Pattern(length) if got.dropped > 0 && got.length + got.dropped == length => Ok(()),
        Stream::Pattern(length) => {
            lost(format!("{} and {} of {length} bytes kept and counted", got.length, got.dropped))
        }
        Stream::Bounded(length) => {
            if got.length + got.dropped != length {
                return lost(format!(
                    "{} and {} of {length} bytes kept and counted",
                    got.length, got.dropped
                ));
            }
            match proc::peak_memory(owner.id()) {
                Some(peak) if peak <= MEMORY => Ok(()),
                Some(peak) => Err(failed(Failure::Memory, format!("{} MiB", peak >> 20))),
                None => Err(failed(Failure::Error, "its memory can't be read")),
            }
        }
        Stream::Any => Ok(()),
    }
}

fn statuses(status: Status, ended: &[Ended]) -> Found {
    use Ended::{Code, Signal, Unknown};
    let wanted = match status {
        Status::AllCodes => (0..256).map(Code).collect(),
        Status::Signals => SIGNALS.map(|(_, number)| Signal(number)).into(),
        Status::CodeIsNoSignal => vec![Code(137)],
        Status::WaitTwice => vec![Code(3); 2],
        Status::TryWait => vec![Code(3); 3],
        Status::CancelledAndRetried | Status::ShortLivedThread => vec![Code(5)],
        // Some ask first.
        Status::KillWhileWaiting if ended == [Signal(15)] => return Ok(()),
        Status::KillWhileWaiting => vec![Signal(9)],
        Status::KillAfterExit | Status::OutsideRuntime => vec![Code(3)],
        // To say that it is not known is right, too.
        Status::Ignored if ended == [Unknown] => return Ok(()),
        Status::Ignored => vec![Code(3)],
        Status::GracefulEnd => vec![Code(7)],
    };
    if ended == wanted {
        return Ok(());
    }
    let wrong = ended.iter().zip(&wanted).find(|(ended, wanted)| ended != wanted);
    Err(failed(
        Failure::WrongStatus,
        match wrong {
            Some((ended, wanted)) => format!("{ended:?} for {wanted:?}"),
            None => format!("{} of {}", ended.len(), wanted.len()),
        },
    ))
}

fn crowds(crowd: Crowd, numbers: &BTreeMap<String, u64>) -> Found {
    let number = |name: &str| numbers.get(name).copied().unwrap_or(0);
    match crowd {
        Crowd::ThousandAtOnce if number("right") == number("of") => Ok(()),
        Crowd::ThousandAtOnce => {
            Err(failed(Failure::WrongStatus, format!("{} of {} right", number("right"), number("of"))))
        }
        Crowd::Threads if number("right") == number("of") => Ok(()),
        Crowd::Threads => {
            Err(failed(Failure::LostBytes, format!("{} of {} right", number("right"), number("of"))))
        }
        // Five hundred system calls are some milliseconds; a busy machine makes a second of them.
        Crowd::DropHundreds if number("milliseconds") < 5000 => Ok(()),
        Crowd::DropHundreds => {
            Err(failed(Failure::BlockedExecutor, format!("{} ms for 500", number("milliseconds"))))
        }
        // A library may keep a few for the next run.
        Crowd::DescriptorsAfterRuns | Crowd::DescriptorsAfterFailures => few_more(numbers, 8),
        Crowd::BigParent => {
            let (small, big) = (number("small"), number("big"));
            let grows = big > 4 * small && big > 5000;
            if grows {
                return Err(failed(Failure::BlockedExecutor, format!("{big} us, and {small} us before")));
            }
            Ok(())
        }
        Crowd::TimeOfDrop if number("microseconds") < 15_000 => Ok(()),
        Crowd::TimeOfDrop => {
            Err(failed(Failure::BlockedExecutor, format!("{} us at least", number("microseconds"))))
        }
        Crowd::ZombiesAfterWaits | Crowd::ZombiesAfterDrops => Ok(()),
    }
}

fn few_more(numbers: &BTreeMap<String, u64>, few: u64) -> Found {
    let (before, after) = (numbers.get("before").copied(), numbers.get("after").copied());
    match before.zip(after) {
        Some((before, after)) if after <= before + few => Ok(()),
        Some((before, after)) => Err(failed(Failure::LeakedDescriptors, format!("{before}, then {after}"))),
        None => Err(failed(Failure::Error, "no numbers")),
    }
}

fn faults(fault: Fault, answer: &Answer) -> Found {
    match (fault, answer) {
        (Fault::BusyText, Answer::Captured(captured)) => {
            if captured.stdout == Bytes::of(b"hello") {
                return Ok(());
            }
            Err(failed(Failure::LostBytes, "not what it prints"))
        }
        (Fault::FewDescriptors, Answer::Numbers(numbers)) if numbers.get("right") == Some(&1) => {
            few_more(numbers, 8)
        }
        (Fault::BusyText | Fault::FewDescriptors, Answer::Trouble(trouble)) => {
            Err(failed(Failure::Error, &trouble.text))
        }
        (Fault::SecretInDebug | Fault::SecretInFailure | Fault::SecretInSpawnError, Answer::Texts(texts)) => {
            secrets(texts)
        }
        (_, Answer::Trouble(trouble)) => error(fault, trouble),
        (_, answer) => {
            Err(failed(Failure::Error, format!("no error: {answer:?}").chars().take(120).collect::<String>()))
        }
    }
}

fn secrets(texts: &[String]) -> Found {
    match texts.iter().find(|text| text.contains(SECRET)) {
        Some(text) => Err(failed(Failure::SecretsShown, text.chars().take(120).collect::<String>())),
        None => Ok(()),
    }
}

fn error(fault: Fault, trouble: &Trouble) -> Found {
    let kind = trouble.kind.as_deref();
    let wrong = || Err(failed(Failure::Error, format!("{} ({})", trouble.text, kind.unwrap_or("no kind"))));
    let named = trouble.text.contains(MISSING);
    match fault {
        Fault::MissingProgram if named && kind == Some("NotFound") => Ok(()),
        Fault::MissingFolder | Fault::MissingInterpreter if named => Ok(()),
        Fault::NotExecutable if kind == Some("PermissionDenied") => Ok(()),
        Fault::Garbage => Ok(()),
        Fault::NulInArgument if kind == Some("InvalidInput") => Ok(()),
        Fault::LongArgument if trouble.text.contains(SECRET) || trouble.debug.contains(SECRET) => {
            Err(failed(Failure::SecretsShown, format!("an error of {} bytes", trouble.text.len())))
        }
        Fault::LongArgument => Ok(()),
        _ => wrong(),
    }
}

/// What the child said of itself.
fn given(hygiene: Hygiene, text: &str) -> Found {
    let word = || text.split_whitespace().nth(1).and_then(|word| u64::from_str_radix(word, 16).ok());
    match hygiene {
        Hygiene::OpenDescriptor | Hygiene::ConcurrentDescriptors => {
            let numbers: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
            if numbers == ["0", "1", "2"] {
                return Ok(());
            }
            Err(failed(Failure::LeakedDescriptors, numbers.join(" ")))
        }
        Hygiene::BlockedSignals if word() == Some(0) => Ok(()),
        // SIGPIPE is 13.
        Hygiene::IgnoredPipe if word().is_some_and(|set| set & 1 << 12 == 0) => Ok(()),
        Hygiene::BlockedSignals | Hygiene::IgnoredPipe => Err(failed(Failure::Signals, text.trim())),
        Hygiene::ClosedStandard if text == "hello" => Ok(()),
        Hygiene::ClosedStandard => Err(failed(Failure::LostBytes, format!("{text:?}"))),
    }
}
