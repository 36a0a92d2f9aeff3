//! The words of comments and documentation. The vocabulary of the project has one term for each
//! idea; this check refuses the phrases that it has retired, and counts the words that make a
//! sentence hard to read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::workspace::{Workspace, read};

/// The retired phrases, each with the term that replaced it.
const RETIRED: [(&str, &str); 20] = [
    ("call back", "revoke"),
    ("called back", "revoked"),
    ("calling back", "revoking"),
    ("calls back", "revokes"),
    ("anew", "again"),
    ("at the most", "at most"),
    ("audit line", "audit entry"),
    ("line of the audit trail", "audit entry"),
    ("are not to be had", "are unavailable"),
    ("is not to be had", "is unavailable"),
    ("behind a request", "in the background"),
    ("behind the answer", "in the background"),
    ("bites", "takes effect"),
    ("by hand", "manually"),
    ("for good", "permanently"),
    ("in force", "current"),
    ("look-up", "lookup"),
    ("may come again", "may be reused"),
    ("parted by commas", "separated by commas"),
    ("the world", "the keys and revocations, or the snapshot"),
];

/// Words that leave the actor or the object of a sentence open. They are counted and not refused.
const COUNTED: [(&str, &[&str]); 3] = [
    (
        "nobody, somebody, whoever, whose",
        &["nobody", "somebody", "whoever", "whose"],
    ),
    ("what", &["what"]),
    (
        "archaic",
        &[
            "anew", "ere", "hence", "hitherto", "lest", "thence", "thereof", "therein", "thither",
            "thus", "upon", "whence", "wherein", "whilst",
        ],
    ),
];

/// The endings of files that people write. Their whole text is searched for retired phrases, since
/// messages and test names are read too.
const ENDINGS: [&str; 6] = ["md", "mjs", "rs", "toml", "yaml", "yml"];

/// Build output, downloaded packages and version control.
const SKIPPED_FOLDERS: [&str; 3] = [".git", "node_modules", "target"];

/// This list of the retired phrases.
const OWN_FILE: &str = "crates/xtask/src/prose.rs";

/// Refuses retired phrases, and returns the counts as lines of text.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let mut faults = Vec::new();
    let mut code = Counts::default();
    let mut documents = Counts::default();
    for path in files(&workspace.root)? {
        let text = read(&path)?;
        let name = path.strip_prefix(&workspace.root).unwrap_or(&path);
        if name != Path::new(OWN_FILE) {
            for (line, phrase, term) in retired(&text) {
                faults.push(format!(
                    "{}:{line} has the retired phrase \"{phrase}\": write \"{term}\"",
                    name.display()
                ));
            }
        }
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("md") => documents.add(&text),
            Some("rs") => code.add(&comments(&text)),
            _ => {}
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\nerror: "));
    Ok(format!(
        "comments: {}\ndocuments: {}",
        code.line(),
        documents.line()
    ))
}

/// The files to check, in order.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            let path = entry.path();
            let is_skipped = |name: &&str| path.file_name().is_some_and(|own| own == *name);
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !SKIPPED_FOLDERS.iter().any(is_skipped) {
                    folders.push(path);
                }
            } else if kind.is_file()
                && path
                    .extension()
                    .is_some_and(|own| ENDINGS.iter().any(|ending| own == *ending))
            {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A word, with its line and the text between it and the word before.
struct Word<'a> {
    line: usize,
    gap: &'a str,
    text: &'a str,
}

impl Word<'_> {
    /// Whether the word continues the sentence of the word before: only spaces, line breaks and
    /// comment marks are between them.
    fn continues(&self) -> bool {
        !self.gap.is_empty()
            && self
                .gap
                .chars()
                .all(|char| char.is_whitespace() || "/!#>*".contains(char))
    }
}

/// The words of a text. An identifier is one word, and so is a word with hyphens.
fn words(text: &str) -> Vec<Word<'_>> {
    let is_part = |char: char| char.is_alphanumeric() || "_-'".contains(char);
    let mut found = Vec::new();
    let mut rest = 0;
    let mut line = 1;
    while let Some(start) = text[rest..].find(is_part).map(|at| rest + at) {
        let end = text[start..]
            .find(|char| !is_part(char))
            .map_or(text.len(), |at| start + at);
        let gap = &text[rest..start];
        line += gap.matches('\n').count();
        found.push(Word {
            line,
            gap,
            text: &text[start..end],
        });
        rest = end;
    }
    found
}

/// Each retired phrase in the text, with its line and the term to write.
fn retired(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let words = words(text);
    let mut found = Vec::new();
    for start in 0..words.len() {
        for (phrase, term) in RETIRED {
            let is_here = phrase.split(' ').enumerate().all(|(at, part)| {
                words.get(start + at).is_some_and(|word| {
                    word.text.eq_ignore_ascii_case(part) && (at == 0 || word.continues())
                })
            });
            if is_here {
                found.push((words[start].line, phrase, term));
            }
        }
    }
    found
}

/// The comment lines of Rust code.
fn comments(code: &str) -> String {
    let lines = code.lines().map(str::trim_start);
    let comments: Vec<&str> = lines.filter(|line| line.starts_with("//")).collect();
    comments.join("\n")
}

/// How often each counted word occurs.
#[derive(Default)]
struct Counts {
    words: u32,
    each: [u32; COUNTED.len()],
}

impl Counts {
    fn add(&mut self, text: &str) {
        for word in words(text) {
            if !word.text.chars().any(char::is_alphabetic) {
                continue;
            }
            self.words += 1;
            for (count, (_, counted)) in self.each.iter_mut().zip(COUNTED) {
                if counted
                    .iter()
                    .any(|own| own.eq_ignore_ascii_case(word.text))
                {
                    *count += 1;
                }
            }
        }
    }

    fn line(&self) -> String {
        let each = self.each.iter().zip(COUNTED).map(|(count, (name, _))| {
            let share = f64::from(*count) * 1_000.0 / f64::from(self.words.max(1));
            format!("{share:.2} of {name}")
        });
        let each: Vec<String> = each.collect();
        format!("{} words; in 1,000: {}", self.words, each.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_phrase_is_found_across_a_line_break_of_a_comment() {
        let text = "/// A token that was Called\n    /// back is refused.\n";
        assert_eq!(retired(text), [(1, "called back", "revoked")]);
        assert_eq!(retired("see the look-up mode"), [(1, "look-up", "lookup")]);
    }

    #[test]
    fn an_identifier_is_no_retired_phrase() {
        for text in [
            "fn called_back() {}",
            "[\"called\", \"back\"]",
            "is called. Back to",
            "lookup",
        ] {
            assert_eq!(retired(text), [], "{text}");
        }
    }

    #[test]
    fn words_are_counted_in_comments_and_not_in_code() {
        let mut counts = Counts::default();
        counts.add(&comments(
            "// What nobody reads.\nlet what = nobody;\n/// Whose words?",
        ));
        assert_eq!((counts.words, counts.each), (5, [2, 1, 0]));
    }
}
