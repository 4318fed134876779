//! Starts that can't succeed, and texts that people see.

use super::{Act, Fault, Scenario, row};

pub(super) fn scenarios() -> Vec<Scenario> {
    use Fault::{
        BusyText, FewDescriptors, Garbage, LongArgument, MissingFolder, MissingInterpreter, MissingProgram,
        NotExecutable, NulInArgument, SecretInDebug, SecretInFailure, SecretInSpawnError,
    };
    let act = |name, promise, fault| row(name, promise, Act::Fault(fault));
    vec![
        act("missing-program", "a missing program is not found, and named", MissingProgram),
        act("missing-folder", "a missing working directory is named, not the program blamed", MissingFolder),
        act(
            "missing-interpreter",
            "a missing interpreter is named, not the script said to be missing",
            MissingInterpreter,
        ),
        act("not-executable", "a file that may not be executed is a permission denied", NotExecutable),
        act("garbage", "a file that is no program is an error, and does not run", Garbage),
        act("busy-text", "a program that is still open for writing elsewhere for a moment starts", BusyText),
        act(
            "long-argument",
            "an argument that the kernel does not take is an error, without the argument",
            LongArgument,
        ),
        act("nul-in-argument", "a NUL in an argument is an error, and cuts nothing off", NulInArgument),
        act(
            "secret-in-spawn-error",
            "the error of a failed start shows no argument and no variable",
            SecretInSpawnError,
        ),
        act(
            "secret-in-failure",
            "the error of a failed command shows no argument and no variable",
            SecretInFailure,
        ),
        act(
            "secret-in-debug",
            "Debug of a command shows no argument and no value of a variable",
            SecretInDebug,
        ),
        act(
            "few-descriptors",
            "without free descriptors a run is an error, and the next one works",
            FewDescriptors,
        ),
    ]
}
