//! Both streams in the exact order in which they were written, and what that means for the child.

use herder::error::SpawnErrorKind;
use herder::{Command, Stdio};

use crate::support::fixture;

fn stamped(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::stamped()).stderr(Stdio::stamped())
}

#[test]
fn input_can_not_be_stamped() {
    let error = fixture(&[]).stdin(Stdio::stamped()).spawn().unwrap_err();
    assert_eq!(error.kind(), SpawnErrorKind::InvalidInput);
}

#[cfg(not(target_os = "linux"))]
#[test]
fn where_there_are_no_times_nothing_is_started() {
    crate::support::run(async {
        let error = stamped(&mut fixture(&[])).spawn().unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::Unsupported);
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::unix::process::ExitStatusExt;
    use std::time::{Duration, SystemTime};

    use herder::contain::Leak;
    use herder::output::{LineOptions, Ordered, Origin, OutputEnd, Redact};
    use herder::{Child, Command, Stdio};
    use tokio::io::AsyncReadExt;

    use super::stamped;
    use crate::support::{current_thread, fixture, multi_thread, run, within};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        stamped(&mut command);
        command
    }

    fn ordered(child: &mut Child) -> Ordered {
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        stdout.in_order_with(stderr).unwrap()
    }

    /// All pieces, as text.
    async fn pieces(mut ordered: Ordered) -> Vec<(Origin, String)> {
        let (mut seen, mut last) = (Vec::new(), SystemTime::UNIX_EPOCH);
        while let Some(piece) = within(ordered.next()).await {
            assert!(piece.at >= last);
            last = piece.at;
            seen.push((piece.origin, String::from_utf8(piece.bytes.to_vec()).unwrap()));
        }
        seen
    }

    /// The stream that line `number` of the step `alternate` goes to.
    fn origin_of(number: u64) -> Origin {
        if number % 2 == 1 { Origin::Stdout } else { Origin::Stderr }
    }

    #[test]
    fn thousands_of_writes_in_turn_come_in_their_order() {
        for runtime in [current_thread(), multi_thread()] {
            runtime.block_on(async {
                let mut child = stamped(&mut fixture(&["alternate:20000"])).spawn().unwrap();
                let start = SystemTime::now();
                let mut lines = ordered(&mut child).lines(LineOptions::new());
                let mut count = 0;
                while let Some((origin, line)) = within(lines.next()).await {
                    count += 1;
                    assert_eq!((origin, line.text().parse()), (origin_of(count), Ok(count)));
                    // Not from another clock.
                    assert!(line.at().unwrap() > start - Duration::from_secs(60));
                }
                assert_eq!(count, 20_000);
                assert_eq!(lines.end(Origin::Stdout), Some(&OutputEnd::Eof));
                assert_eq!(lines.end(Origin::Stderr), Some(&OutputEnd::Eof));
                assert!(child.wait().await.unwrap().success());
            });
        }
    }

    /// Each waits for the other after two writes: four writes, two of each, on both streams.
    const TWO_PROCESSES: &str = "
        mkfifo ping pong
        sh -c 'exec <ping 3>pong; while read n; do echo $n; echo $((n+1)) >&2; echo $((n+2)) >&3; done' &
        exec 3>ping 4<pong
        n=0
        while [ $n -lt 4000 ]; do echo $n >&2; echo $((n+1)); echo $((n+2)) >&3; read n <&4; done
        exec 3>&-
        wait";

    #[test]
    fn writes_of_two_processes_come_in_their_order() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let mut child = shell(TWO_PROCESSES).current_dir(folder.path()).spawn().unwrap();
            let seen = pieces(ordered(&mut child)).await;
            let expected: Vec<_> = (0..4000)
                .map(|number| {
                    let origin = if matches!(number % 4, 0 | 3) { Origin::Stderr } else { Origin::Stdout };
                    (origin, format!("{number}\n"))
                })
                .collect();
            assert_eq!(seen, expected);
            assert!(child.wait().await.unwrap().success());
        });
    }

    #[test]
    fn streams_of_two_children_are_put_in_order_too() {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let mut command = fixture(&["println:first", "wait-file:go", "println:third"]);
            let mut one = stamped(&mut command).current_dir(folder.path()).spawn().unwrap();
            let mut both = one.stdout.take().unwrap();
            // Until the first has written.
            let mut first = [0; 6];
            within(both.read_exact(&mut first)).await.unwrap();
            let steps = ["eprintln:second", "touch:go", "exit:0"];
            let mut other = stamped(&mut fixture(&steps)).current_dir(folder.path()).spawn().unwrap();
            let seen = pieces(both.in_order_with(other.stderr.take().unwrap()).unwrap()).await;
            assert_eq!(
                seen,
                [(Origin::Stderr, "second\n".to_owned()), (Origin::Stdout, "third\n".to_owned())]
            );
            assert!(one.wait().await.unwrap().success() && other.wait().await.unwrap().success());
        });
    }

    #[test]
    fn a_grandchild_that_holds_the_streams_hangs_nobody() {
        run(async {
            let mut command =
                fixture(&["spawn-setsid:[mark:born,sleep:20s]", "wait-file:born", "eprintln:last"]);
            let folder = tempfile::tempdir().unwrap();
            stamped(&mut command).current_dir(folder.path()).leak(Leak::Ignore);
            let mut child = command.spawn().unwrap();
            let mut both = ordered(&mut child);
            let born = within(both.next()).await.unwrap();
            assert_eq!((born.origin, &*born.bytes), (Origin::Stdout, &b"born\n"[..]));
            std::fs::write(folder.path().join("born"), "").unwrap();
            let last = within(both.next()).await.unwrap();
            assert_eq!((last.origin, &*last.bytes), (Origin::Stderr, &b"last\n"[..]));
            assert_eq!(within(both.next()).await, None);
            assert_eq!(both.end(Origin::Stdout), Some(&OutputEnd::StillHeld));
            assert!(child.wait().await.unwrap().success());
        });
    }

    #[test]
    fn what_the_child_left_behind_is_read_however_slowly() {
        let most = std::fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap();
        if most.trim().parse::<u64>().unwrap() < 512 * 1024 {
            println!("skipped: a write of a megabyte is too large on this host");
            return;
        }
        run(async {
            // As much as the streams hold, where they hold 1 MiB and the rest of one more write each.
            let script = "fill() { dd if=/dev/zero bs=64K count=15 status=none; \
                          dd if=/dev/zero bs=1000000 count=1 status=none; }; fill; fill >&2";
            let mut child = shell(script).drain_grace(Duration::from_millis(10)).spawn().unwrap();
            let mut both = ordered(&mut child);
            // Where they hold less, it does not exit before it is read.
            drop(tokio::time::timeout(Duration::from_secs(2), child.wait()).await);
            let mut sum = 0;
            while let Some(piece) = within(both.next()).await {
                sum += piece.bytes.len();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(
                (sum, both.end(Origin::Stderr)),
                (2 * (15 * 65_536 + 1_000_000), Some(&OutputEnd::Eof))
            );
            assert!(child.wait().await.unwrap().success());
        });
    }

    #[test]
    fn a_descendant_that_never_stops_writing_hangs_nobody() {
        run(async {
            let mut command = fixture(&["spawn-setsid:[bytes:100G]"]);
            stamped(&mut command).leak(Leak::Ignore).drain_grace(Duration::from_millis(5));
            let mut child = command.spawn().unwrap();
            let mut both = ordered(&mut child);
            while within(both.next()).await.is_some() {}
            assert_eq!(both.end(Origin::Stdout), Some(&OutputEnd::StillHeld));
            assert!(child.wait().await.unwrap().success());
        });
    }

    #[test]
    fn secrets_are_replaced_before_anything_comes() {
        run(async {
            let mut command = shell("printf 'a hun'; echo between >&2; printf 'ter2 b'; printf hunter2 >&2");
            let mut child = command.redact(Redact::new().literal("hunter2")).spawn().unwrap();
            let seen = pieces(ordered(&mut child)).await;
            let of = |which: Origin| -> String {
                seen.iter().filter(|(origin, _)| *origin == which).map(|(_, text)| text.as_str()).collect()
            };
            assert_eq!(of(Origin::Stdout), "a [redacted] b");
            assert_eq!(of(Origin::Stderr), "between\n[redacted]");
        });
    }

    #[test]
    fn without_the_order_they_are_streams_like_any_other() {
        run(async {
            // Captured, with writes of all sizes, empty ones among them.
            let script = "printf ''; head -c 300000 /dev/zero; echo end; echo complaint >&2";
            let report = within(shell(script).output()).await.unwrap();
            assert_eq!((report.stdout.len(), &*report.stderr), (300_004, &b"complaint\n"[..]));
            assert!(report.stdout.ends_with(b"\0end\n"));
            // Read, with a buffer that is smaller than a write.
            let mut child = shell("echo hello; echo world").spawn().unwrap();
            let mut stdout = child.stdout.take().unwrap();
            let mut bytes = [0; 12];
            for byte in &mut bytes {
                *byte = within(stdout.read_u8()).await.unwrap();
            }
            assert_eq!(&bytes, b"hello\nworld\n");
            assert_eq!(within(stdout.read(&mut bytes)).await.unwrap(), 0);
            // Shared.
            let mut child = shell("echo hello; echo world").spawn().unwrap();
            let mut lines = child.stdout.take().unwrap().share().subscribe().lines(LineOptions::new());
            assert_eq!(within(lines.next()).await.unwrap().text(), "hello");
            assert_eq!(within(lines.next()).await.unwrap().text(), "world");
            assert!(within(lines.next()).await.is_none());
        });
    }

    #[test]
    fn a_pipe_has_no_order_and_a_stamped_stream_is_nobody_s_input() {
        run(async {
            for (out, err) in [(Stdio::stamped(), Stdio::piped()), (Stdio::piped(), Stdio::stamped())] {
                let mut child = fixture(&["hang"]).stdout(out).stderr(err).spawn().unwrap();
                let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
                let error = stdout.in_order_with(stderr).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            }
            let mut child = stamped(&mut fixture(&["hang"])).spawn().unwrap();
            let error = Stdio::try_from(child.stdout.take().unwrap()).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        });
    }

    #[test]
    fn the_child_sees_what_the_documentation_says() {
        run(async {
            // A socket, which can't be opened anew.
            let script = "test -S /dev/stdout && test ! -t 1 && ! (echo lost >/dev/stdout) 2>/dev/null && echo said >&2";
            let mut child = shell(script).spawn().unwrap();
            assert_eq!(pieces(ordered(&mut child)).await, [(Origin::Stderr, "said\n".to_owned())]);
            assert!(child.wait().await.unwrap().success());
            // It can't be read from.
            let mut child = shell("cat <&1; echo over").spawn().unwrap();
            assert_eq!(pieces(ordered(&mut child)).await, [(Origin::Stdout, "over\n".to_owned())]);
            // No SIGPIPE, but an error.
            let mut child = stamped(&mut Command::new("yes")).spawn().unwrap();
            let mut both = ordered(&mut child);
            assert!(within(both.next()).await.is_some());
            drop(both);
            let status = within(child.wait()).await.unwrap();
            assert_eq!((status.signal(), status.code()), (None, Some(1)));
            // One write of 400 KiB is taken, one of 2 MiB is not.
            for (size, works) in [(400 << 10, true), (2 << 20, false)] {
                let script = format!("dd if=/dev/zero bs={size} count=1 2>/dev/null");
                let mut child = shell(&script).spawn().unwrap();
                let mut sum = 0;
                let mut both = ordered(&mut child);
                while let Some(piece) = within(both.next()).await {
                    sum += piece.bytes.len();
                }
                assert_eq!((sum == size, child.wait().await.unwrap().success()), (works, works), "{size}");
            }
        });
    }

    #[test]
    fn a_reader_that_does_not_read_holds_the_child_back() {
        run(async {
            let mut child = stamped(&mut fixture(&["bytes:8M", "eprintln:done"])).spawn().unwrap();
            let mut both = ordered(&mut child);
            let first = within(both.next()).await.unwrap();
            assert_eq!(first.origin, Origin::Stdout);
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(child.try_wait().unwrap(), None);
            let mut sum = first.bytes.len();
            let last = loop {
                let piece = within(both.next()).await.unwrap();
                match piece.origin {
                    Origin::Stdout => sum += piece.bytes.len(),
                    Origin::Stderr => break piece,
                }
            };
            assert_eq!((sum, &*last.bytes), (8 << 20, &b"done\n"[..]));
            assert!(child.wait().await.unwrap().success());
        });
    }
}
