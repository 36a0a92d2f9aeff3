//! Programs that this one starts, and the promise that none outlives it.
//!
//! Each runs in a process group of its own with nothing on its standard input, so that what it starts in
//! its turn can be ended with it, and a Ctrl-C in the terminal reaches nobody but us.

use std::{
    os::unix::process::CommandExt,
    process::{self, Child, Command, ExitStatus, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpid,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// How long a group may take to end in its own way before it is killed.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The groups that run now.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A program that runs; dropping it ends it and all it has started.
pub(crate) struct Running {
    child: Child,
    group: Pid,
}

impl Running {
    /// Starts a program in a group of its own.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        // Held over the start: a signal that comes meanwhile must find the new group in the list.
        let mut groups = groups();
        let child = command.process_group(0).stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {name}"))?;
        let group = Pid::from_child(&child);
        groups.push(group);
        Ok(Self { child, group })
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&[self.group]);
        groups().retain(|group| *group != self.group);
    }
}

/// Runs a program to its end, its output to the terminal.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    let mut running = Running::start(command)?;
    Ok(running.child.wait()?)
}

/// Runs a program to its end and keeps what it prints.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let stderr = running
        .child
        .stderr
        .take()
        .map(|pipe| thread::spawn(move || read_all(pipe)));
    let stdout = running
        .child
        .stdout
        .take()
        .map(read_all)
        .unwrap_or_default();
    let stderr = stderr
        .and_then(|reader| reader.join().ok())
        .unwrap_or_default();
    Ok(Output {
        status: running.child.wait()?,
        stdout,
        stderr,
    })
}

/// From now on SIGINT, SIGTERM and SIGHUP end every group that runs, then this program.
pub(crate) fn end_all_on_signal() -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot watch for signals")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // INVARIANT: never released. From here on nobody may start another program.
            let groups = groups();
            eprintln!("\nending what runs");
            end(&groups);
            process::exit(128 + signal);
        }
    });
    Ok(())
}

/// TERM to all; KILL to those left when the grace is over.
fn end(groups: &[Pid]) {
    for signal in [Signal::TERM, Signal::KILL] {
        for group in groups {
            // A group that has ended already is what we want.
            let _ = kill_process_group(*group, signal);
        }
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            reap(groups);
            if !groups.iter().any(|group| lives(*group)) {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// Collects the leaders that have ended: a group lives as long as its leader is a zombie.
fn reap(groups: &[Pid]) {
    for group in groups {
        let _ = waitpid(Some(*group), WaitOptions::NOHANG);
    }
}

fn lives(group: Pid) -> bool {
    test_kill_process_group(group).is_ok()
}

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_all(mut pipe: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A pipe that breaks ends with what came through; the exit status tells the rest.
    drop(pipe.read_to_end(&mut bytes));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_program_has_started_ends_with_it() {
        let mut start = shell("sleep 60 & echo $!; wait");
        let mut running = Running::start(start.stdout(Stdio::piped())).unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(running.child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        let started = Pid::from_raw(line.trim().parse().unwrap()).unwrap();
        assert!(rustix::process::test_kill_process(started).is_ok());
        drop(running);
        assert!(
            rustix::process::test_kill_process(started).is_err(),
            "the sleeper is left over"
        );
    }

    #[test]
    fn one_that_will_not_end_is_killed_after_the_grace() {
        let mut start = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done");
        let mut running = Running::start(start.stdout(Stdio::piped())).unwrap();
        let mut ready = [0; 6];
        let stdout = running.child.stdout.as_mut().unwrap();
        std::io::Read::read_exact(stdout, &mut ready).unwrap();
        let group = running.group;
        drop(running);
        assert!(!lives(group));
    }

    #[test]
    fn output_keeps_both_streams_and_the_status() {
        let output = output(&mut shell("echo out; echo err >&2; exit 3")).unwrap();
        assert_eq!(
            (output.stdout, output.stderr),
            (b"out\n".to_vec(), b"err\n".to_vec())
        );
        assert_eq!(output.status.code(), Some(3));
    }
}
