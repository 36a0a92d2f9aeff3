//! One line of progress for each step, with its duration; the output of a step's program is shown
//! only on failure.

use std::{
    io::{self, IsTerminal, Write},
    process::Command,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::processes;

/// Runs the work and shows a line with its name.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    say(&format!("{name} ..."));
    let ticker = io::stdout()
        .is_terminal()
        .then(|| tick(name.to_owned(), begun));
    let result = work();
    if let Some((stop, thread)) = ticker {
        drop(stop);
        // It only draws; its result is irrelevant.
        drop(thread.join());
        say(&format!("\r{name} ..."));
    }
    let seconds = begun.elapsed().as_secs_f32();
    println!(
        " {}, {seconds:.1} s",
        if result.is_ok() { "done" } else { "failed" }
    );
    result
}

/// A step that is one program: silent on success, its whole output in the error on failure.
pub(crate) fn run(name: &str, command: &mut Command) -> Result<()> {
    step(name, || quietly(command))
}

/// Runs a program and shows its output only on failure.
pub(crate) fn quietly(command: &mut Command) -> Result<()> {
    let output = processes::output(command)?;
    if output.status.success() {
        return Ok(());
    }
    let program = command.get_program().to_string_lossy();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    bail!("{program} ended with {}\n{stdout}{stderr}", output.status);
}

/// A step with a program that writes to the terminal directly: tests and lints.
pub(crate) fn show(name: &str, command: &mut Command) -> Result<()> {
    println!("{name}");
    let status = processes::status(command)?;
    if !status.success() {
        bail!("{name}: ended with {status}");
    }
    Ok(())
}

/// Redraws the line each second, so that a long build shows progress.
fn tick(name: String, begun: Instant) -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
    let (stop, stopped) = mpsc::channel();
    let thread = thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
            say(&format!("\r{name} ... {} s", begun.elapsed().as_secs()));
        }
    });
    (stop, thread)
}

fn say(text: &str) {
    print!("{text}");
    // A closed terminal must not stop the work.
    drop(io::stdout().flush());
}
