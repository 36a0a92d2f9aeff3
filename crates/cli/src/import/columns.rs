//! Accounts in CSV ([RFC 4180]) under a header row.
//!
//! A record is one line, because no value of an account contains a line break. So a missing quote
//! affects its own line alone, and an error names a line of the file.
//!
//! [RFC 4180]: https://www.rfc-editor.org/rfc/rfc4180

use csv::{ReaderBuilder, StringRecord};
use thiserror::Error;

use crate::import::import_line::ImportLine;

/// The mark with which some programs begin a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A column, by the name of the JSON member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Column {
    Email,
    PasswordHash,
    VerifiedAt,
    UserId,
}

/// The columns of a file, in its order.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Columns(Vec<Column>);

/// The header row is invalid. Never quotes it: without a header, the first line holds a hash.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(super) enum HeaderError {
    /// It is no record of CSV.
    #[error("the header row is no CSV record in UTF-8")]
    Malformed,
    /// A column has another name.
    #[error(
        "the header row names an unknown column; it names email, password_hash, verified_at, user_id"
    )]
    Unknown,
    /// Two columns have the same name.
    #[error("the header row names a column twice")]
    Repeated,
    /// A required column is missing.
    #[error("the header row lacks email or password_hash")]
    Lacks,
}

impl Column {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "email" => Some(Self::Email),
            "password_hash" => Some(Self::PasswordHash),
            "verified_at" => Some(Self::VerifiedAt),
            "user_id" => Some(Self::UserId),
            _ => None,
        }
    }
}

impl Columns {
    /// Parses the header row.
    pub(super) fn parse(line: &[u8]) -> Result<Self, HeaderError> {
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        let record = record(line).ok_or(HeaderError::Malformed)?;
        let columns: Option<Vec<_>> = record.iter().map(Column::parse).collect();
        let columns = columns.ok_or(HeaderError::Unknown)?;
        let count = |wanted: &Column| columns.iter().filter(|column| *column == wanted).count();
        if columns.iter().any(|column| count(column) > 1) {
            return Err(HeaderError::Repeated);
        }
        if count(&Column::Email) == 0 || count(&Column::PasswordHash) == 0 {
            return Err(HeaderError::Lacks);
        }
        Ok(Self(columns))
    }

    /// The members of a record; an empty field is a missing member.
    pub(super) fn read(&self, line: &[u8]) -> Result<ImportLine, &'static str> {
        let record = record(line).ok_or("malformed")?;
        if record.len() != self.0.len() {
            return Err("malformed");
        }
        let mut read = ImportLine::default();
        for (column, field) in self.0.iter().zip(&record) {
            if field.is_empty() {
                continue;
            }
            let text = Some(field.to_owned());
            match column {
                Column::Email => read.email = text,
                Column::PasswordHash => read.password_hash = text,
                Column::UserId => read.user_id = text,
                Column::VerifiedAt => {
                    read.verified_at = Some(whole(field).ok_or("bad_verified_at")?);
                }
            }
        }
        Ok(read)
    }
}

/// A number in digits alone.
fn whole(field: &str) -> Option<u64> {
    let is_digits = field.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| field.parse().ok()).flatten()
}

/// Whether each field with a quote has one at each end, and every quote in it is doubled ([RFC 4180
/// §2.5 and §2.7]).
///
/// [RFC 4180 §2.5 and §2.7]: https://www.rfc-editor.org/rfc/rfc4180#section-2
fn has_strict_quotes(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut rest = line;
    loop {
        let end = if let Some(quoted) = rest.strip_prefix(b"\"") {
            let mut bytes = quoted.iter().enumerate().peekable();
            let closing = loop {
                match bytes.next() {
                    None => return false,
                    Some((_, b'"')) if matches!(bytes.peek(), Some((_, b'"'))) => {
                        let _ = bytes.next();
                    }
                    Some((at, b'"')) => break at,
                    Some(_) => {}
                }
            };
            closing.saturating_add(2)
        } else {
            let end = rest.iter().position(|byte| *byte == b',');
            let end = end.unwrap_or(rest.len());
            if rest.iter().take(end).any(|byte| *byte == b'"') {
                return false;
            }
            end
        };
        match rest.split_at_checked(end) {
            Some((_, [])) => return true,
            Some((_, [b',', more @ ..])) => rest = more,
            _ => return false,
        }
    }
}

/// The only record of `line`.
fn record(line: &[u8]) -> Option<StringRecord> {
    // The parser itself accepts a missing end and text behind it.
    if !has_strict_quotes(line) {
        return None;
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(line);
    let mut records = reader.records();
    let first = records.next()?.ok()?;
    records.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "email,password_hash,verified_at,user_id\n";

    fn read(header: &str, line: &str) -> Result<ImportLine, &'static str> {
        let columns = Columns::parse(header.as_bytes()).expect("a header");
        columns.read(line.as_bytes())
    }

    #[test]
    fn a_csv_record_has_the_members_of_its_header_in_any_order() {
        let line = read(
            "user_id,password_hash,email,verified_at\r\n",
            "u-1,\"$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA\",ann@b.example,5\r\n",
        );
        let line = line.expect("good");
        assert_eq!(line.email.as_deref(), Some("ann@b.example"));
        assert_eq!(
            line.password_hash.as_deref(),
            Some("$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA")
        );
        assert_eq!(line.verified_at, Some(5));
        assert_eq!(line.user_id.as_deref(), Some("u-1"));
    }

    #[test]
    fn an_empty_csv_field_is_a_missing_member() {
        let line = read(HEADER, "a@b.example,x,,").expect("good");
        assert_eq!((line.verified_at, line.user_id), (None, None));
        let line = read(HEADER, ",,,").expect("a record");
        assert_eq!((line.email, line.password_hash), (None, None));
        let line = read("password_hash,email", "x,\"\"").expect("a record");
        assert_eq!(line.email, None);
    }

    #[test]
    fn a_csv_header_with_a_byte_order_mark_is_accepted() {
        let marked = format!("\u{feff}{HEADER}");
        assert_eq!(
            Columns::parse(marked.as_bytes()),
            Columns::parse(HEADER.as_bytes())
        );
    }

    #[test]
    fn a_record_with_text_beside_a_quoted_field_is_refused() {
        for line in [
            r#""a@b.example"evil,$x"#,
            r#"""a@b.example,$x"#,
            r#"a"b@c.example,$x"#,
            r#""a,$x"#,
            r#"a,"$x"#,
            r#"a,"$x" "#,
            r#" "a",$x"#,
            r#"a,$x""#,
        ] {
            assert!(!has_strict_quotes(line.as_bytes()), "{line}");
            assert_eq!(record(line.as_bytes()), None, "{line}");
        }
        for (line, fields) in [
            ("", vec![]),
            ("a,b", vec!["a", "b"]),
            ("a,\r\n", vec!["a", ""]),
            ("\"a,\"\"b\"\"\",\"\"\n", vec!["a,\"b\"", ""]),
            (",\"\"\"\"", vec!["", "\""]),
        ] {
            assert!(has_strict_quotes(line.as_bytes()), "{line}");
            let read = record(line.as_bytes()).unwrap_or_default();
            assert_eq!(read.iter().collect::<Vec<_>>(), fields, "{line}");
        }
    }

    #[test]
    fn an_invalid_csv_header_is_refused_with_its_reason_and_never_quoted() {
        for (header, error) in [
            ("", HeaderError::Malformed),
            ("\n", HeaderError::Malformed),
            ("email,\"password_hash", HeaderError::Malformed),
            ("email\rpassword_hash", HeaderError::Malformed),
            ("email,password_hash,name", HeaderError::Unknown),
            ("Email,password_hash", HeaderError::Unknown),
            ("email, password_hash", HeaderError::Unknown),
            ("email;password_hash", HeaderError::Unknown),
            ("ann@b.example,$2b$12$secret", HeaderError::Unknown),
            ("email,password_hash,email", HeaderError::Repeated),
            ("email,user_id", HeaderError::Lacks),
            ("password_hash", HeaderError::Lacks),
        ] {
            assert_eq!(Columns::parse(header.as_bytes()), Err(error), "{header}");
            assert!(!error.to_string().contains("secret"));
        }
        assert_eq!(Columns::parse(&[0xff]), Err(HeaderError::Malformed));
    }

    #[test]
    fn a_csv_line_that_is_not_one_record_of_the_header_is_malformed() {
        for line in [
            "a@b.example,x,5",
            "a@b.example,x,5,u,more",
            "a@b.example,$argon2id$v=19$m=64,t=1,p=1$c2FsdA$aGFzaA,5,u",
            "a@b.example,x,5,\"u",
            "\"a@b.example,x,5,u",
            "a@b.example,x,5,u\rb@b.example,x,5,u",
        ] {
            assert_eq!(read(HEADER, line).map(|_| ()), Err("malformed"), "{line}");
        }
        let columns = Columns::parse(HEADER.as_bytes()).expect("a header");
        let line = columns.read(b"a@b.example,x,5,\xff");
        assert_eq!(line.map(|_| ()), Err("malformed"));
    }

    #[test]
    fn a_csv_verification_time_is_digits_alone() {
        for time in [
            "+5",
            "-5",
            "5.0",
            " 5",
            "0x5",
            "5e3",
            "x",
            "18446744073709551616",
        ] {
            let line = read(HEADER, &format!("a@b.example,x,{time},u"));
            assert_eq!(line.map(|_| ()), Err("bad_verified_at"), "{time}");
        }
        let line = read(HEADER, "a@b.example,x,18446744073709551615,u").expect("good");
        assert_eq!(line.verified_at, Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn any_values_survive_a_csv_record_of_another_writer(
            values in prop::array::uniform3("[^\r\n\u{0}]{1,20}"),
        ) {
            let quoted = values.clone().map(|value| format!("\"{}\"", value.replace('"', "\"\"")));
            let line = read("email,password_hash,user_id", &quoted.join(",")).expect("a record");
            let [email, hash, user_id] = values;
            prop_assert_eq!(line.email, Some(email));
            prop_assert_eq!(line.password_hash, Some(hash));
            prop_assert_eq!(line.user_id, Some(user_id));
        }

        #[test]
        fn any_bytes_are_a_csv_line_or_a_fault_without_a_panic(
            line in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = Columns::parse(&line);
            let columns = Columns::parse(HEADER.as_bytes()).expect("a header");
            if let Err(fault) = columns.read(&line) {
                prop_assert!(["malformed", "bad_verified_at"].contains(&fault));
            }
        }
    }
}
