//! Where the streams of a child come from and go.

use std::fs::File;
use std::io::Read;

use herder::error::SpawnErrorKind;
use herder::output::OutputEnd;
use herder::{Capture, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{fixture, line, run};

#[test]
fn pipes_to_and_from_the_child() {
    run(async {
        let mut command = fixture(&["echo-stdin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"moo\n").await.unwrap();
        assert_eq!(line(child.stdout.as_mut().unwrap()).await, "moo");
        // As Tokio's does not: shutting down is the end of input.
        stdin.shutdown().await.unwrap();
        assert_eq!(line(child.stderr.as_mut().unwrap()).await, "echoed 4");
        assert!(child.wait().await.unwrap().success());
        let error = stdin.write_all(b"late").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn only_what_is_piped_has_an_end_here() {
    run(async {
        let mut child = fixture(&[]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        child.wait().await.unwrap();
    });
}

#[test]
fn null_is_empty_and_swallows() {
    run(async {
        let mut command = fixture(&["stdin-count", "eprint:gone"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let report = command.run().await.unwrap();
        assert_eq!(report.stdout, b"0\n");
        assert_eq!(report.stderr, b"");
        assert_eq!(*report.stderr_report().end(), OutputEnd::NotCaptured);
    });
}

#[test]
fn files_are_read_and_written_by_the_child_itself() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let (input, output) = (dir.path().join("in"), dir.path().join("out"));
        std::fs::write(&input, "moo").unwrap();
        let mut command = fixture(&["cat"]);
        command.stdin(File::open(&input).unwrap()).stdout(File::create(&output).unwrap());
        assert!(command.status().await.unwrap().success());
        assert_eq!(std::fs::read_to_string(output).unwrap(), "moo");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn output_to_a_file_does_not_pass_through_us() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut command = herder::Command::new("readlink");
        command.args(["/proc/self/fd/1", "/proc/self/fd/2"]);
        command.stdout(File::create(&path).unwrap()).stderr(Stdio::to_stdout());
        let report = command.output().await.unwrap();
        // Both are the file itself, and there is nothing here to read from.
        let name = path.display();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{name}\n{name}\n"));
        assert_eq!((report.stdout.len(), report.stdout_report().end()), (0, &OutputEnd::NotCaptured));
        let child = command.spawn().unwrap();
        assert!(child.stdout.is_none() && child.stderr.is_none());
        child.wait_with_output().await.unwrap();
    });
}

/// Nobody tells a reader that there are packets, or that there is another behind the one that it has read.
#[cfg(target_os = "linux")]
#[test]
fn every_packet_of_a_child_that_writes_packets_comes_at_once() {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    run(async {
        let mut child = fixture(&["hang"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        // Another way to the same pipe, as the child may have it.
        let path = format!("/proc/self/fd/{}", stdout.as_raw_fd());
        let mut writer = File::options().write(true).open(path).unwrap();
        nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_DIRECT)).unwrap();
        let mut buffer = [0; 64];
        for round in 0..3 {
            let two = async {
                // Until it is waited for.
                tokio::task::yield_now().await;
                writer.write_all(b"one").unwrap();
                writer.write_all(b"another").unwrap();
            };
            let (count, ()) = tokio::join!(stdout.read(&mut buffer), two);
            assert_eq!(&buffer[..count.unwrap()], b"one", "round {round}");
            let count = crate::support::within(stdout.read(&mut buffer)).await.unwrap();
            assert_eq!(&buffer[..count], b"another", "round {round}");
        }
        child.kill().await.unwrap();
    });
}

#[test]
fn the_pipes_of_std_fit() {
    run(async {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = fixture(&["print:one"]);
        command.stdout(Stdio::from(writer));
        assert!(command.status().await.unwrap().success());
        drop(command);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one");
    });
}

#[test]
fn standard_error_goes_where_standard_output_goes_in_exact_order() {
    run(async {
        let steps = ["print:a", "eprint:b", "print:c", "eprint:d", "print:e"];
        let mut command = fixture(&steps);
        command.stderr(Stdio::to_stdout());
        let report = command.output().await.unwrap();
        assert_eq!(report.stdout, b"abcde");
        assert_eq!(*report.stderr_report().end(), OutputEnd::NotCaptured);
        // Into a file as well.
        let mut file = tempfile::tempfile().unwrap();
        command.stdout(file.try_clone().unwrap());
        assert!(command.status().await.unwrap().success());
        std::io::Seek::rewind(&mut file).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcde");
    });
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_starts() {
    run(async {
        for command in [
            fixture(&[]).stdout(Stdio::bytes("x")),
            fixture(&[]).stderr(Stdio::bytes("x")),
            fixture(&[]).stdin(Stdio::to_stdout()),
            fixture(&[]).stdout(Stdio::to_stdout()),
        ] {
            assert_eq!(command.spawn().unwrap_err().kind(), SpawnErrorKind::InvalidInput);
        }
    });
}

#[cfg(unix)]
#[test]
fn a_pipeline_of_children() {
    run(async {
        let mut first = fixture(&["lines:1000"]).stdout(Stdio::piped()).spawn().unwrap();
        let pipe = first.stdout.take().unwrap().into_owned_fd().unwrap();
        let mut command = fixture(&["stdin-count"]);
        command.stdin(pipe);
        assert_eq!(command.read().await.unwrap(), "3893");
        assert!(first.wait().await.unwrap().success());
        drop(command);

        // The other way round: the second is there first, and its input is the output of the first.
        let mut second =
            fixture(&["stdin-count"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pipe = second.stdin.take().unwrap().into_owned_fd().unwrap();
        let mut command = fixture(&["lines:1000"]);
        command.stdout(pipe);
        assert!(command.status().await.unwrap().success());
        drop(command);
        assert_eq!(line(second.stdout.as_mut().unwrap()).await, "3893");
        assert!(second.wait().await.unwrap().success());
    });
}

#[cfg(unix)]
#[test]
fn the_end_of_another_child_is_an_input() {
    run(async {
        let mut first = fixture(&["print:moo"]).stdout(Stdio::piped()).spawn().unwrap();
        let pipe: Stdio = first.stdout.take().unwrap().try_into().unwrap();
        assert_eq!(fixture(&["cat"]).stdin(pipe).read().await.unwrap(), "moo");
        let mut first = fixture(&["eprint:moo"]).stderr(Stdio::piped()).spawn().unwrap();
        let pipe: Stdio = first.stderr.take().unwrap().try_into().unwrap();
        assert_eq!(fixture(&["cat"]).stdin(pipe).read().await.unwrap(), "moo");
        let mut last = fixture(&["cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let pipe: Stdio = last.stdin.take().unwrap().try_into().unwrap();
        fixture(&["print:moo"]).stdout(pipe).status().await.unwrap();
        let mut text = String::new();
        last.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "moo");
    });
}

#[cfg(unix)]
#[test]
fn our_streams_are_the_child_s_by_default() {
    run(async {
        let mut command = fixture(&["fds"]);
        let report = command.stdout(Stdio::piped()).run().await.unwrap();
        let text = report.stdout_lossy();
        for fd in ["0", "2"] {
            let ours = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            assert!(text.contains(&format!("{fd} {}", ours.display())), "{text}");
        }
    });
}

#[test]
fn a_stream_that_was_taken_is_not_read_by_the_join() {
    run(async {
        let mut command = fixture(&["print:out", "eprint:err"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let report = child.wait_with_output().await.unwrap();
        assert_eq!(report.stdout, b"");
        assert_eq!(report.stderr, b"err");
        let mut text = String::new();
        stdout.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "out");
    });
}

#[test]
fn a_slow_reader_holds_the_child_back_and_loses_nothing() {
    run(async {
        let mut child = fixture(&["lines:100000"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (mut text, mut buffer) = (Vec::new(), [0; 1000]);
        loop {
            tokio::task::yield_now().await;
            match stdout.read(&mut buffer).await.unwrap() {
                0 => break,
                count => text.extend_from_slice(&buffer[..count]),
            }
        }
        assert!(child.wait().await.unwrap().success());
        let expected: String = (1..=100_000).map(|line| format!("{line}\n")).collect();
        assert!(text == expected.as_bytes());
    });
}

#[test]
fn a_tee_gets_every_byte_while_the_child_runs() {
    run(async {
        let (mut tee, mut live) = tokio::io::duplex(64);
        let mut command = fixture(&["mark:first", "read-stdin-line", "bytes:1M"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).capture(Capture::head(10));
        let mut child = command.spawn().unwrap();
        // Kept out of the child, which closes it as the join begins.
        let mut stdin = child.stdin.take().unwrap();
        let watch = async move {
            assert_eq!(line(&mut live).await, "first");
            // It could not have gone on without us.
            stdin.write_all(b"go\n").await.unwrap();
            assert_eq!(line(&mut live).await, "read go");
            let mut rest = Vec::new();
            live.read_to_end(&mut rest).await.unwrap();
            rest
        };
        let join = async {
            let report = child.wait_with_tee(Some(&mut tee), None).await.unwrap();
            drop(tee);
            report
        };
        let (report, rest) = tokio::join!(join, watch);
        assert_eq!(rest.len(), 1 << 20);
        assert!(rest.iter().enumerate().all(|(index, byte)| usize::from(*byte) == index % 251));
        assert_eq!(report.stdout, b"first\nread");
        assert_eq!(report.stdout_report().total(), (1 << 20) + 14);
    });
}

#[test]
fn a_tee_that_fails_ends_the_stream_as_if_nobody_read() {
    run(async {
        let (mut tee, other) = tokio::io::duplex(64);
        drop(other);
        let mut command = fixture(&["write-until-epipe"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let report = child.wait_with_tee(Some(&mut tee), None).await.unwrap();
        assert!(matches!(report.stdout_report().end(), OutputEnd::Failed { .. }));
        assert!(report.stderr_lossy().starts_with("epipe after"), "{}", report.stderr_lossy());
    });
}

#[test]
fn a_command_with_a_file_may_run_twice() {
    run(async {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut command = fixture(&["println:moo"]);
        command.stdout(writer);
        command.status().await.unwrap();
        command.clone().status().await.unwrap();
        drop(command);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "moo\nmoo\n");
    });
}
