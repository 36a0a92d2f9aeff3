//! The corpus, verified natively.

use std::io::{BufRead, Result, Write};

use futures_util::FutureExt as _;
use portcullis_corpus::{decision, signature};
use portcullis_jwt::NativeVerifier;

/// The result for one signature question.
///
/// # Panics
///
/// Never: a native check computes without waiting.
pub fn signature(line: &str) -> String {
    signature::answer_line(line, &NativeVerifier)
        .now_or_never()
        .expect("a native check waits for nothing")
}

/// The result for one decision question.
///
/// # Panics
///
/// Never: a native check computes without waiting.
pub fn decision(line: &str) -> String {
    decision::answer_line(line, &NativeVerifier)
        .now_or_never()
        .expect("a native check waits for nothing")
}

/// Answers every line of `questions` on `answers`, in order and immediately. A line that is not
/// UTF-8 is answered like any other malformed one; blank lines have no answer.
///
/// # Errors
///
/// Errors of reading and writing.
pub fn lines(
    mut questions: impl BufRead,
    mut answers: impl Write,
    answer: impl Fn(&str) -> String,
) -> Result<()> {
    let mut line = Vec::new();
    while questions.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            writeln!(
                answers,
                "{}",
                answer(str::from_utf8(&line).unwrap_or_default())
            )?;
            answers.flush()?;
        }
        line.clear();
    }
    Ok(())
}
