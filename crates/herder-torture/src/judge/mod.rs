//! The judge: starts owners, watches from outside, and says what was kept.

mod answers;
mod owner;
mod proc;
mod verdict;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use owner::Owner;
pub(crate) use verdict::{FAILURES, Failure, Verdict};

pub(crate) use crate::adapter::SECRET;
use crate::protocol::Answer;
use crate::scenario::{Act, End, Reason, Scenario, Status, Tree};
use verdict::failed;

/// What the judge knows of this host, and how patient it is.
#[derive(Debug)]
pub(crate) struct Judge {
    /// From when on something that did not happen is said not to happen. The promise is a second, on a machine with
    /// nothing else to do.
    pub(crate) patience: Duration,
    /// Where cgroups of owners may be.
    pub(crate) cgroups: Vec<PathBuf>,
    /// Whether owners can have no more than process groups here.
    pub(crate) groups_only: bool,
}

/// What takes the whole machine takes longer.
const HEAVY: u32 = 6;

impl Judge {
    pub(crate) fn new(patience: Duration, groups_only: bool) -> Self {
        Self { patience, cgroups: cgroups(), groups_only }
    }

    /// Closes what this program was given by mistake, as it would be given to the owners. Before anything is open.
    pub(crate) fn close_strangers() -> io::Result<()> {
        let entries = fs::read_dir("/proc/self/fd")?;
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        for number in numbers.collect::<Vec<_>>() {
            // That of the folder is closed by now.
            if number > 2 {
                _ = nix::unistd::close(number);
            }
        }
        Ok(())
    }

    /// Tries one cell.
    pub(crate) fn judge(&self, contender: &str, scenario: &Scenario) -> io::Result<Verdict> {
        let mut slower = 1;
        loop {
            let verdict = match &scenario.act {
                Act::Meet(tree, end) => self.meet(contender, scenario, tree, *end, slower)?,
                act => Some(self.ask(contender, scenario, act)?),
            };
            match verdict {
                Some(verdict) => return Ok(self.forgiven(scenario.beyond, verdict)),
                // The limit was over before the tree was up: the machine is busy.
                None if slower < 30 => slower *= 3,
                None => return Ok(failed(Failure::Hang, "the tree was never up")),
            }
        }
    }

    /// What can't be done with process groups alone is no failure where there is nothing else.
    fn forgiven(&self, beyond: Option<Reason>, verdict: Verdict) -> Verdict {
        let (Verdict::Failed { failure, detail }, Some(reason), true) = (&verdict, beyond, self.groups_only)
        else {
            return verdict;
        };
        let excused = match reason {
            Reason::LeftGroup | Reason::OwnerGone => Failure::Survivors,
            Reason::Unseen => Failure::LostBytes,
        };
        if *failure != excused {
            return verdict;
        }
        Verdict::Forbidden { mark: reason.mark().to_owned(), detail: detail.clone() }
    }

    /// A tree meets its end. `None`: it was not up in time for its limit.
    fn meet(
        &self,
        contender: &str,
        scenario: &Scenario,
        tree: &Tree,
        end: End,
        slower: u32,
    ) -> io::Result<Option<Verdict>> {
        let mut owner = Owner::start(contender, scenario.name, (false, slower), &self.cgroups)?;
        let start = Instant::now();
        while owner.ups() < tree.ups {
            if let Some(verdict) = self.no_tree(&mut owner, end)? {
                return Ok(verdict);
            }
            if start.elapsed() > self.patience * HEAVY {
                return Ok(Some(failed(Failure::Hang, "no tree")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        match end {
            End::Timeout => {}
            End::Signal(number) => owner.signal(number)?,
            End::KillGroup => owner.kill_group()?,
            _ => owner.go()?,
        }
        let patience = self.patience + Duration::from_millis(800) * slower;
        let start = Instant::now();
        while !owner.is_free()? {
            if let Some(Answer::NotOffered(why)) = owner.said()? {
                return Ok(Some(Verdict::NotOffered { why }));
            }
            if start.elapsed() > patience {
                return Ok(Some(failed(Failure::Survivors, format!("{} alive", owner.survivors()))));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.after(&mut owner, end).map(Some)
    }

    /// Why there is no tree yet: `Some(None)` says that the limit came too early.
    fn no_tree(&self, owner: &mut Owner, end: End) -> io::Result<Option<Option<Verdict>>> {
        let ended = owner.ended()?;
        Ok(match owner.said()? {
            Some(Answer::NotOffered(why)) => Some(Some(Verdict::NotOffered { why })),
            Some(Answer::Trouble(trouble)) => Some(Some(failed(Failure::Error, trouble.text))),
            Some(_) if end == End::Timeout => Some(None),
            Some(_) => Some(Some(failed(Failure::Error, "it was over before it began"))),
            None if ended.is_some() && end == End::Timeout => Some(None),
            None if ended.is_some() => Some(Some(died(owner, ended))),
            None => None,
        })
    }

    /// When nobody is left: the call has returned, the zombies are reaped, and no folder is there.
    fn after(&self, owner: &mut Owner, end: End) -> io::Result<Verdict> {
        if end.spares_owner() {
            let start = Instant::now();
            let said = loop {
                match (owner.said()?, owner.ended()?) {
                    (Some(answer), _) => break Some(answer),
                    // A program ends with its command.
                    (None, Some(_)) => break None,
                    _ if start.elapsed() > self.patience => {
                        return Ok(failed(Failure::Hang, "all are gone, and the call does not return"));
                    }
                    _ => std::thread::sleep(Duration::from_millis(2)),
                }
            };
            match said {
                Some(Answer::NotOffered(why)) => return Ok(Verdict::NotOffered { why }),
                Some(Answer::Trouble(trouble)) => return Ok(failed(Failure::Error, trouble.text)),
                _ => {}
            }
            if let Some(verdict) = self.zombies(owner) {
                return Ok(verdict);
            }
        }
        self.end_of(owner)
    }

    fn zombies(&self, owner: &Owner) -> Option<Verdict> {
        let start = Instant::now();
        loop {
            match proc::zombies(owner.id()) {
                0 => return None,
                count if start.elapsed() > self.patience / 2 => {
                    return Some(failed(Failure::Zombies, format!("{count} not reaped")));
                }
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// The owner ends, without a panic, and leaves no folder.
    fn end_of(&self, owner: &mut Owner) -> io::Result<Verdict> {
        if owner.leave(self.patience)?.is_none() {
            return Ok(failed(Failure::Hang, "the program does not end"));
        }
        if let Some(line) = owner.panicked() {
            return Ok(failed(Failure::Panic, line));
        }
        let start = Instant::now();
        loop {
            let left = owner.folders();
            if left.is_empty() {
                return Ok(Verdict::Kept);
            }
            if start.elapsed() > self.patience / 2 {
                return Ok(failed(Failure::LeakedFolders, left.join(", ")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks for an answer, and judges it.
    fn ask(&self, contender: &str, scenario: &Scenario, act: &Act) -> io::Result<Verdict> {
        let ignoring = matches!(act, Act::Status(Status::Ignored));
        let mut owner = Owner::start(contender, scenario.name, (ignoring, 1), &self.cgroups)?;
        let patience = self.patience * if scenario.heavy { HEAVY } else { 2 };
        let start = Instant::now();
        let answer = loop {
            match (owner.said()?, owner.ended()?) {
                (Some(answer), _) => break answer,
                (None, ended @ Some(_)) => return Ok(died(&owner, ended)),
                _ if start.elapsed() > patience => {
                    return Ok(failed(Failure::Hang, format!("no answer in {} s", patience.as_secs())));
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let verdict = match answer {
            Answer::NotOffered(why) => return Ok(Verdict::NotOffered { why }),
            answer => answers::judge(act, &answer, &owner),
        };
        if verdict != Verdict::Kept {
            return Ok(verdict);
        }
        if let Act::Crowd(_) | Act::Fault(_) = act {
            let start = Instant::now();
            while !owner.is_free()? {
                if start.elapsed() > self.patience {
                    return Ok(failed(Failure::Survivors, format!("{} alive", owner.survivors())));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            if let Some(verdict) = self.zombies(&owner) {
                return Ok(verdict);
            }
        }
        self.end_of(&mut owner)
    }
}

fn died(owner: &Owner, ended: Option<std::process::ExitStatus>) -> Verdict {
    let why = owner.panicked().or_else(|| owner.stderr().lines().last().map(str::to_owned));
    let status = ended.map(|status| status.to_string()).unwrap_or_default();
    failed(Failure::Panic, format!("{status}: {}", why.unwrap_or_default()))
}

/// The folder of this program's own cgroup, and the one above: a library makes its own in one of the two.
fn cgroups() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let inside = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let mounted =
        mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
    let Some(own) = inside.zip(mounted).map(|(inside, mounted)| PathBuf::from(mounted).join(inside)) else {
        return Vec::new();
    };
    let above = own.parent().map(PathBuf::from);
    [Some(own), above].into_iter().flatten().collect()
}
