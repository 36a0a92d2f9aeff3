//! Child processes, all of which end with this process.
//!
//! Each runs in its own process group without standard input. So its descendants end with it, and a
//! Ctrl-C in the terminal reaches only this process.

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

/// The grace period between TERM and KILL for a process group.
const GRACE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The running process groups.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// A running program; dropping it ends it and all its descendants.
pub(crate) struct Running {
    child: Child,
    group: Pid,
}

impl Running {
    /// Starts a program in its own process group.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        // Held during the start: a signal handler must find the new group in the list.
        let mut groups = groups();
        let child = command.process_group(0).stdin(Stdio::null()).spawn();
        let child = child.with_context(|| format!("cannot start {name}"))?;
        let group = Pid::from_child(&child);
        groups.push(group);
        Ok(Self { child, group })
    }

    /// The exit status, if it has ended.
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

/// Runs a program to its end, with its output on the terminal.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    let mut running = Running::start(command)?;
    Ok(running.child.wait()?)
}

/// Runs a program to its end and captures its output.
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

/// Installs handlers: SIGINT, SIGTERM and SIGHUP end every running group, then this process.
pub(crate) fn end_all_on_signal() -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot install signal handlers")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // INVARIANT: never released. From here on no program may start.
            let groups = groups();
            eprintln!("\nending all running programs");
            end(&groups);
            process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Sends TERM to all groups, and KILL to the remaining ones after the grace period.
fn end(groups: &[Pid]) {
    for signal in [Signal::TERM, Signal::KILL] {
        for group in groups {
            // A group that has already ended is fine.
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

/// Reaps the group leaders that have ended: a group exists while its leader is a zombie.
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
    // A broken pipe keeps the output received so far; the exit status reports the failure.
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
    fn descendants_of_a_program_end_with_it() {
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
            "the sleeper still runs"
        );
    }

    #[test]
    fn a_program_that_ignores_term_is_killed_after_the_grace_period() {
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
    fn captured_output_has_both_streams_and_the_status() {
        let output = output(&mut shell("echo out; echo err >&2; exit 3")).unwrap();
        assert_eq!(
            (output.stdout, output.stderr),
            (b"out\n".to_vec(), b"err\n".to_vec())
        );
        assert_eq!(output.status.code(), Some(3));
    }
}
