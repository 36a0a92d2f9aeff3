//! The result of a command: text for people, JSON for scripts, and an exit code.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

/// A completed command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    text: String,
    json: Value,
    found: bool,
    /// Text for people beside the result: it goes to standard error.
    note: String,
}

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line, the environment or a file is invalid.
    Setting(String),
    /// The store or a key is unavailable.
    Unavailable(String),
}

impl CommandOutput {
    /// Success: exit code 0.
    pub(crate) const fn good(text: String, json: Value) -> Self {
        Self {
            text,
            json,
            found: true,
            note: String::new(),
        }
    }

    /// A negative result: exit code 1.
    pub(crate) const fn bad(text: String, json: Value) -> Self {
        Self {
            text,
            json,
            found: false,
            note: String::new(),
        }
    }

    /// Text that is the same with and without `--json`.
    pub(crate) const fn text(text: String) -> Self {
        Self::good(text, Value::Null)
    }

    /// The same output with `note` on standard error, so that standard output has the result alone.
    #[must_use]
    pub(crate) fn with_note(self, note: String) -> Self {
        Self { note, ..self }
    }

    pub(crate) fn print(&self, as_json: bool) -> ExitCode {
        let written = if as_json && !self.json.is_null() {
            write_out(&format!("{}\n", self.json))
        } else {
            // Standard error may be closed; the result still counts.
            let _ = io::stderr().write_all(self.note.as_bytes());
            write_out(&self.text)
        };
        match written {
            Ok(()) => ExitCode::from(u8::from(!self.found)),
            Err(error) => unwritable(&error),
        }
    }
}

impl Failure {
    /// A dependency is unavailable; the error is printed with its causes.
    pub(crate) fn unavailable(error: impl core::error::Error + Send + Sync + 'static) -> Self {
        Self::Unavailable(format!("{:#}", anyhow::Error::new(error)))
    }

    pub(crate) fn print(&self, as_json: bool) -> ExitCode {
        let (code, word, text) = match self {
            Self::Setting(text) => (2, "setting", text),
            Self::Unavailable(text) => (3, "unavailable", text),
        };
        let written = if as_json {
            write_out(&format!("{}\n", json!({"error": word, "detail": text})))
        } else {
            writeln!(io::stderr(), "error: {text}")
        };
        match written {
            Ok(()) => ExitCode::from(code),
            Err(error) => unwritable(&error),
        }
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A reader that has enough, such as `head`, closes the pipe: no error. A full disk is one.
fn unwritable(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::SUCCESS;
    }
    // If standard error is closed too, only the exit code is left.
    let _ = writeln!(io::stderr(), "error: the output cannot be written: {error}");
    ExitCode::from(3)
}

/// `text` for a terminal: control and format characters, such as those that reverse the direction of
/// text, are escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '\'' | '\\' => shown.push(letter),
            _ => shown.extend(letter.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn control_and_format_characters_never_reach_the_terminal() {
        for (text, shown) in [
            ("ann@example.com", "ann@example.com"),
            (r#"{"plan":"pro\u0007"}"#, r#"{"plan":"pro\u0007"}"#),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("a\u{9b}31m", "a\\u{9b}31m"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
            ("käse 日本", "käse 日本"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
