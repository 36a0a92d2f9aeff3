//! `portcullis users import`: imports accounts of another system from a file with one account per
//! line. Each line is a JSON object; in a file `*.csv`, a record under a header row.

mod columns;
mod django;
mod import_line;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use portcullis_core::id::Id;
use portcullis_service::import::{self, ImportOutcome, ImportRequest};
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use serde_json::{Value, json};

use crate::context::CliContext;
use crate::import::columns::Columns;
use crate::import::import_line::ImportLine;
use crate::output::{CommandOutput, Failure};

/// The maximum length of a line in bytes, far above an address and a hash.
const MAX_LINE_BYTES: usize = 8 * 1024;

/// The progress of an import.
#[derive(Default)]
struct Tally {
    imported: Vec<(u64, Id)>,
    taken: u64,
    refused: Vec<(u64, &'static str)>,
}

/// Imports every valid line; reports invalid lines by their numbers and never quotes them.
///
/// A repetition is safe: an existing account stays unchanged.
pub(crate) async fn run(path: &Path, cli: &CliContext) -> Result<CommandOutput, Failure> {
    let failed = |error: io::Error| Failure::Setting(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let progress = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {percent}% {msg}") {
        progress.set_style(style);
    }
    let mut reader = BufReader::new(file);
    let (mut counts, mut number) = (Tally::default(), 0_u64);
    let format = if is_csv(path) {
        let header = next_line(&mut reader).map_err(failed)?;
        let (header, bytes) = header.unwrap_or_default();
        number = 1;
        progress.inc(bytes);
        Format::Csv(Columns::parse(&header).map_err(|error| {
            progress.finish_and_clear();
            Failure::Setting(format!("{}: line 1: {error}", path.display()))
        })?)
    } else {
        Format::Json
    };
    while let Some((line, bytes)) = next_line(&mut reader).map_err(failed)? {
        number = number.saturating_add(1);
        progress.inc(bytes);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match format.read(&line) {
            Ok(request) => match one(&request, cli).await? {
                ImportOutcome::Imported(user_id) => counts.imported.push((number, user_id)),
                ImportOutcome::AddressTaken => counts.taken = counts.taken.saturating_add(1),
                ImportOutcome::OtherUserId => counts.refused.push((number, "other_user_id")),
                ImportOutcome::UserIdTaken => counts.refused.push((number, "user_id_taken")),
                ImportOutcome::BadEmail(_) => counts.refused.push((number, "bad_email")),
                ImportOutcome::BadVerifiedAt => counts.refused.push((number, "bad_verified_at")),
                ImportOutcome::UnusableHash => counts.refused.push((number, "unusable_hash")),
            },
            Err(fault) => counts.refused.push((number, fault)),
        }
        progress.set_message(format!("{} imported", counts.imported.len()));
    }
    progress.finish_and_clear();
    Ok(counts.answer())
}

async fn one(request: &ImportRequest, cli: &CliContext) -> Result<ImportOutcome, Failure> {
    let now = cli.host.clock.read().map_err(Failure::unavailable)?;
    // Each account has its own request id, by which a retry recognises its own write.
    let call = RequestMeta {
        now,
        request_id: cli.host.random.id().map_err(Failure::unavailable)?,
        ..cli.call.clone()
    };
    let store = cli.host.store(now);
    let ctx = cli.means_of(&store, &call).await?;
    let hasher = cli.host.hasher.with(ctx.root_keys, "");
    let end = import::import(request, &hasher, ctx).await;
    end.map_err(Failure::unavailable)
}

/// The next line and its length in bytes; a line that is too long is truncated.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<(Vec<u8>, u64)>> {
    let mut line = Vec::new();
    let mut bytes = 0_u64;
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            return Ok((bytes > 0).then_some((line, bytes)));
        }
        let end = part.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(part.len(), |end| end.saturating_add(1));
        let room = MAX_LINE_BYTES.saturating_add(1).saturating_sub(line.len());
        line.extend(part.iter().take(length.min(room)));
        bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        reader.consume(length);
        if end.is_some() {
            return Ok(Some((line, bytes)));
        }
    }
}

/// Whether the file's extension is `csv`, without case.
fn is_csv(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"))
}

/// The format of a file.
enum Format {
    /// One JSON object per line.
    Json,
    /// One record per line, with these columns.
    Csv(Columns),
}

impl Format {
    /// The account in `line`, or the code of its fault.
    fn read(&self, line: &[u8]) -> Result<ImportRequest, &'static str> {
        if line.len() > MAX_LINE_BYTES {
            return Err("too_long");
        }
        match self {
            Self::Json => ImportLine::from_json(line)?.check(),
            Self::Csv(columns) => columns.read(line)?.check(),
        }
    }
}

impl Tally {
    fn answer(&self) -> CommandOutput {
        let mut text = format!(
            "{} imported, {} were there already, {} refused\n",
            self.imported.len(),
            self.taken,
            self.refused.len()
        );
        for (line, user_id) in &self.imported {
            text.push_str(&format!("line {line}: {user_id}\n"));
        }
        for (line, fault) in &self.refused {
            text.push_str(&format!("line {line}: {fault}\n"));
        }
        let refused: Vec<Value> = self
            .refused
            .iter()
            .map(|(line, fault)| json!({"line": line, "code": fault}))
            .collect();
        let accounts: Vec<Value> = self
            .imported
            .iter()
            .map(|(line, user_id)| json!({"line": line, "user_id": user_id.as_str()}))
            .collect();
        let json = json!({
            "imported": self.imported.len(),
            "accounts": accounts,
            "already_there": self.taken,
            "refused": refused,
        });
        if self.refused.is_empty() {
            CommandOutput::good(text, json)
        } else {
            CommandOutput::bad(text, json)
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::time::UnixTime;

    use super::*;

    const HASH: &str = "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";

    #[test]
    fn an_import_line_has_an_address_a_hash_and_an_optional_verification_time() {
        let line =
            format!(r#"{{"email":"Ann@Example.com","password_hash":"{HASH}","verified_at":5}}"#);
        let read = |line: &str| Format::Json.read(line.as_bytes());
        let request = read(&line).expect("good");
        assert_eq!(request.user_id, None);
        assert_eq!(request.email.as_str(), "ann@example.com");
        assert_eq!(request.verified_at, Some(UnixTime::from_secs(5)));
        for (line, fault) in [
            ("x".to_owned(), "malformed"),
            ("{}".to_owned(), "missing_email"),
            (
                r#"{"email":"a@b.example"}"#.to_owned(),
                "missing_password_hash",
            ),
            (
                format!(r#"{{"email":"a","password_hash":"{HASH}"}}"#),
                "bad_email",
            ),
            (
                r#"{"email":"a@b.example","password_hash":"md5"}"#.to_owned(),
                "unusable_hash",
            ),
            (
                format!(r#"{{"email":"a@b.example","password_hash":"{HASH}","name":"A"}}"#),
                "unknown_member",
            ),
            (
                format!(r#"{{"email":"a@b.example","password_hash":"{HASH}","verified_at":"x"}}"#),
                "bad_verified_at",
            ),
        ] {
            assert_eq!(read(&line).map(|_| ()), Err(fault), "{line}");
        }
    }

    #[test]
    fn a_user_id_of_an_import_line_is_optional_and_validated() {
        let longest = "a".repeat(64);
        let with = |id: &str| {
            let line =
                format!(r#"{{"email":"a@b.example","password_hash":"{HASH}","user_id":{id}}}"#);
            Format::Json.read(line.as_bytes())
        };
        let uuid = "0b9cbe0e-2e64-4f6b-9c4b-0b5c2b3c1f00";
        for id in [uuid, "1", "_-", &longest] {
            let request = with(&format!("\"{id}\"")).expect("good");
            assert_eq!(request.user_id.expect("an id").as_str(), id);
        }
        assert_eq!(with("null").expect("good").user_id, None);
        let long = format!("\"{longest}a\"");
        for id in ["\"\"", "1", "\"a#b\"", "\"a b\"", "\"\u{e4}\"", "[]", &long] {
            assert_eq!(with(id).map(|_| ()), Err("bad_user_id"), "{id}");
        }
    }

    #[test]
    fn the_extension_alone_selects_csv() {
        for (path, expected) in [
            ("accounts.csv", true),
            ("/tmp/ACCOUNTS.CSV", true),
            ("accounts.ndjson", false),
            ("accounts.csv.json", false),
            ("csv", false),
        ] {
            assert_eq!(is_csv(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn lines_end_at_line_breaks_and_a_long_line_is_truncated() {
        let long = "x".repeat(MAX_LINE_BYTES * 3);
        let file = format!("a\n\n{long}\nlast");
        let mut reader = BufReader::with_capacity(16, file.as_bytes());
        let mut lines = Vec::new();
        while let Some((line, bytes)) = next_line(&mut reader).expect("in memory") {
            lines.push((line.len(), bytes));
        }
        let long = u64::try_from(long.len()).expect("small");
        assert_eq!(
            lines,
            [(2, 2), (1, 1), (MAX_LINE_BYTES + 1, long + 1), (4, 4)]
        );
        assert_eq!(
            Format::Json.read(&[b'x'; MAX_LINE_BYTES + 1]).map(|_| ()),
            Err("too_long")
        );
    }
}
