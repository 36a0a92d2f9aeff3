//! What tests of the whole share: the corpus, judged natively.

use std::io::{BufRead, Result, Write};

use futures_util::FutureExt as _;
use portcullis_corpus::signature;
use portcullis_jwt::NativeSignatures;

/// Answers one line of the JWS corpus by the native layer.
///
/// # Panics
///
/// Never: a native check computes and waits for nothing.
pub fn judge_signature(line: &str) -> String {
    signature::judge(line, &NativeSignatures)
        .now_or_never()
        .expect("a native check waits for nothing")
}

/// Answers every line of `questions` on `answers`, in order. A line that is not UTF-8 is answered
/// like any other that makes no sense; blank lines have no answer.
///
/// # Errors
///
/// Only those of reading and writing.
pub fn judge_signatures(mut questions: impl BufRead, mut answers: impl Write) -> Result<()> {
    let mut line = Vec::new();
    while questions.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            let answer = judge_signature(str::from_utf8(&line).unwrap_or_default());
            writeln!(answers, "{answer}")?;
            answers.flush()?;
        }
        line.clear();
    }
    Ok(())
}
