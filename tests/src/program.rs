//! The host as a process: the shipped program, built, started, read and stopped.

use std::path::{Path, PathBuf};
use std::process::{Command as Build, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time;

/// The timeout of steps that take milliseconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The host, built from this tree once per test process.
pub fn host_program(release: bool) -> &'static Path {
    static BUILT: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    let [debug, optimised] = &BUILT;
    let built = if release { optimised } else { debug };
    // Built alone, the shipped program has its own features; together with the local services and
    // the CLI it has the artefacts of `cargo xtask`.
    let how: &[&str] = if release {
        &["-p", "portcullis-lambda-host", "--release", "--locked"]
    } else {
        &LOCAL
    };
    built.get_or_init(|| build("portcullis-host", how).unwrap_or_else(|error| panic!("{error:#}")))
}

/// The CLI, built from this tree once per test process.
pub fn operator_program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("portcullis", &LOCAL).unwrap_or_else(|error| panic!("{error:#}")))
}

/// The tasks function, built from this tree once per test process.
pub fn tasks_program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        build("portcullis-tasks", &LOCAL).unwrap_or_else(|error| panic!("{error:#}"))
    })
}

/// The rotation function, built from this tree once per test process.
pub fn rotation_program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        build("portcullis-rotation", &LOCAL).unwrap_or_else(|error| panic!("{error:#}"))
    })
}

/// The packages of a system on one machine.
const LOCAL: [&str; 6] = [
    "-p",
    "portcullis-lambda-host",
    "-p",
    "portcullis-local",
    "-p",
    "portcullis-cli",
];

fn build(name: &str, how: &[&str]) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Build::new(cargo);
    build.args(["build", "-q", "--bins"]).args(how);
    build.args(["--message-format", "json", "--manifest-path"]);
    build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    // Build scripts watch these variables of the package under test, so the build must not see
    // them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&name);
        }
    }
    let output = build.stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "{name} does not build");
    // Cargo reports the path of the program.
    let messages = String::from_utf8(output.stdout)?;
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs =
        messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    programs
        .find(|program| program.file_stem().is_some_and(|stem| stem == name))
        .with_context(|| format!("cargo built no {name}"))
}

/// A running host.
pub struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts `program` with only `environment` in its environment.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start<N: AsRef<str>, V: AsRef<str>>(
        program: &Path,
        environment: impl IntoIterator<Item = (N, V)>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        for (name, value) in environment {
            command.env(name.as_ref(), value.as_ref());
        }
        let mut child = command.spawn()?;
        let output = child.stdout.take().context("its output")?;
        Ok(Self {
            child,
            lines: BufReader::new(output).lines(),
        })
    }

    /// Its next log line that `wanted` accepts.
    ///
    /// # Errors
    ///
    /// If it ends, prints invalid JSON, or takes too long.
    pub async fn line(&mut self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let search = async {
            loop {
                let line = self.lines.next_line().await?.context("it has ended")?;
                let line: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
                if wanted(&line) {
                    return Ok(line);
                }
            }
        };
        time::timeout(TIMEOUT, search)
            .await
            .context("no such line")?
    }

    /// Its next metric line about `dependency` with `metric`, and that metric's value.
    ///
    /// # Errors
    ///
    /// As [`Program::line`].
    pub async fn metric(&mut self, dependency: &str, metric: &str) -> anyhow::Result<u64> {
        let wanted = |line: &Value| {
            let defined = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
            let mut names = defined.as_array().into_iter().flatten();
            line["Dependency"] == dependency && names.any(|it| it["Name"] == metric)
        };
        let line = self.line(wanted).await;
        let line = line.with_context(|| format!("{metric} of {dependency}"))?;
        line[metric].as_u64().context("a metric is a number")
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Every log line up to its end, and its exit code.
    ///
    /// # Errors
    ///
    /// As [`Program::line`].
    pub async fn end(mut self) -> anyhow::Result<(Vec<Value>, Option<i32>)> {
        let mut lines = vec![];
        let rest = async {
            while let Some(line) = self.lines.next_line().await? {
                lines.push(serde_json::from_str(&line).with_context(|| line.clone())?);
            }
            anyhow::Ok(self.child.wait().await?.code())
        };
        let code = time::timeout(TIMEOUT, rest)
            .await
            .context("it does not end")??;
        Ok((lines, code))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// If it has ended already.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw).context("it has ended")?;
        Ok(kill_process(id, signal)?)
    }
}
