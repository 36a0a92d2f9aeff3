//! Prints the corpus for other runtimes: `corpus signatures` or `corpus decisions` prints the
//! questions as JSON lines, with `--answers` the native results.

use std::io::{Write as _, stdout};

use anyhow::{Result, bail};
use portcullis_tests::{attacks, decisions, vectors, verifier, wycheproof};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (corpus, answers) = match arguments.as_slice() {
        [corpus] => (*corpus, false),
        [corpus, "--answers"] => (*corpus, true),
        _ => bail!("usage: corpus signatures|decisions [--answers]"),
    };
    let (questions, verifier): (Vec<String>, fn(&str) -> String) = match corpus {
        "signatures" => {
            let mut all = vectors::committed();
            all.extend(attacks::all());
            all.extend(wycheproof::all().vectors);
            let lines = all.into_iter().map(|vector| vector.line).collect();
            (lines, verifier::signature)
        }
        "decisions" => (decisions::all().lines, verifier::decision),
        other => bail!("there is no corpus {other}: signatures, decisions"),
    };
    let mut out = stdout().lock();
    for question in questions {
        if answers {
            writeln!(out, "{}", verifier(&question))?;
        } else {
            writeln!(out, "{question}")?;
        }
    }
    Ok(())
}
