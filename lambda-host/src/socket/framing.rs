//! The framing of the requests on a connection (RFC 9112 §6), read from the bytes that hyper gets.
//!
//! hyper drops a `Content-Length` beside a `Transfer-Encoding` and accepts an unknown coding before
//! `chunked`, so a handler does not see them. A proxy in front may find the end of such a request at
//! another byte (request smuggling), so the host refuses it.

use std::collections::VecDeque;

/// The kept bytes of a line: more than any value of a framing field that the host accepts.
const MAX_LINE: usize = 1_024;

/// The digits of the largest chunk size.
const MAX_SIZE_DIGITS: usize = 16;

/// The reason for which the host refuses a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FramingError {
    /// The end of the request is ambiguous (RFC 9112 §6.3).
    Malformed,
    /// The body has a transfer coding besides `chunked` (RFC 9112 §6.1).
    UnsupportedCoding,
}

/// Follows the bytes of one connection.
///
/// INVARIANT: each head has one verdict, in order, before its last byte reaches hyper. After a
/// refusal the following bytes have no meaning, so every later request is refused.
#[derive(Debug, Default)]
pub(super) struct FramingReader {
    place: Place,
    line: Line,
    head: Head,
    verdicts: VecDeque<Result<(), FramingError>>,
}

/// The part of a request that the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Place {
    #[default]
    Head,
    /// The rest of a body, in bytes.
    Body(u64),
    ChunkSize,
    /// The rest of a chunk, in bytes.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Refused(FramingError),
}

/// The framing fields of a head.
#[derive(Debug, Default)]
struct Head {
    has_request_line: bool,
    is_malformed: bool,
    lengths: Vec<Vec<u8>>,
    codings: Vec<Vec<u8>>,
}

impl FramingReader {
    /// The verdict on the next request. Without one, the reader and hyper disagree on the end of a
    /// head, so the request is refused.
    pub(super) fn next_verdict(&mut self) -> Result<(), FramingError> {
        let refused = match self.place {
            Place::Refused(error) => error,
            Place::Head
            | Place::Body(_)
            | Place::ChunkSize
            | Place::Chunk(_)
            | Place::ChunkEnd
            | Place::Trailer => FramingError::Malformed,
        };
        self.verdicts.pop_front().unwrap_or(Err(refused))
    }

    /// Reads the next bytes of the connection.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Refused(_) => return,
                Place::Body(left) => {
                    let (left, rest) = skip(bytes, left);
                    self.place = match left {
                        0 => Place::Head,
                        left => Place::Body(left),
                    };
                    rest
                }
                Place::Chunk(left) => {
                    let (left, rest) = skip(bytes, left);
                    self.place = match left {
                        0 => Place::ChunkEnd,
                        left => Place::Chunk(left),
                    };
                    rest
                }
                Place::Head | Place::ChunkSize | Place::ChunkEnd | Place::Trailer => {
                    let Some((byte, rest)) = bytes.split_first() else {
                        return;
                    };
                    match self.line.push(*byte) {
                        Ok(false) => {}
                        Ok(true) => self.end_line(),
                        Err(error) => self.refuse(error),
                    }
                    rest
                }
            };
        }
    }

    fn refuse(&mut self, error: FramingError) {
        self.place = Place::Refused(error);
    }

    fn end_line(&mut self) {
        let line = core::mem::take(&mut self.line);
        match self.place {
            Place::Head => self.read_head_line(&line),
            Place::ChunkSize => match chunk_size(&line.bytes) {
                Some(0) => self.place = Place::Trailer,
                Some(size) => self.place = Place::Chunk(size),
                None => self.refuse(FramingError::Malformed),
            },
            Place::ChunkEnd if line.bytes.is_empty() => self.place = Place::ChunkSize,
            Place::Trailer if line.bytes.is_empty() => self.place = Place::Head,
            Place::Trailer => {}
            Place::ChunkEnd | Place::Body(_) | Place::Chunk(_) | Place::Refused(_) => {
                self.refuse(FramingError::Malformed);
            }
        }
    }

    fn read_head_line(&mut self, line: &Line) {
        if !self.head.has_request_line {
            // RFC 9112 §2.2: empty lines before a request are ignored.
            self.head.has_request_line = !line.bytes.is_empty();
        } else if line.bytes.is_empty() {
            let framed = core::mem::take(&mut self.head).framing();
            match framed {
                Ok(place) => self.place = place,
                Err(error) => self.refuse(error),
            }
            self.verdicts.push_back(framed.map(|_| ()));
        } else {
            self.head.read_field(line);
        }
    }
}

impl Head {
    fn read_field(&mut self, line: &Line) {
        let Some(colon) = line.bytes.iter().position(|byte| *byte == b':') else {
            // Without a colon in the kept bytes it is no framing field; hyper refuses a bad line.
            self.is_malformed |= !line.is_cut;
            return;
        };
        let (name, value) = line.bytes.split_at(colon);
        // RFC 9112 §5.1 and §5.2: no white space before the colon, no folded line.
        self.is_malformed |= name.iter().any(|byte| matches!(byte, b' ' | b'\t'));
        let values = if name.eq_ignore_ascii_case(b"content-length") {
            &mut self.lengths
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            &mut self.codings
        } else {
            return;
        };
        self.is_malformed |= line.is_cut;
        // Two lines are enough to refuse the request.
        if values.len() < 2 {
            values.push(trim(value.get(1..).unwrap_or_default()).to_vec());
        }
    }

    /// The part of the connection that follows the head.
    fn framing(self) -> Result<Place, FramingError> {
        if self.is_malformed {
            return Err(FramingError::Malformed);
        }
        match (&*self.lengths, &*self.codings) {
            ([], []) => Ok(Place::Head),
            ([length], []) => content_length(length).ok_or(FramingError::Malformed),
            ([], codings) => transfer_codings(codings),
            // RFC 9112 §6.1 and §6.3: both, or two lengths.
            _ => Err(FramingError::Malformed),
        }
    }
}

fn content_length(value: &[u8]) -> Option<Place> {
    let digits = value.iter().all(u8::is_ascii_digit);
    let digits = digits.then(|| str::from_utf8(value).ok()).flatten()?;
    match digits.parse().ok()? {
        0 => Some(Place::Head),
        length => Some(Place::Body(length)),
    }
}

/// RFC 9112 §6.1: `chunked` is the last coding, and is applied once. The host knows no other.
fn transfer_codings(lines: &[Vec<u8>]) -> Result<Place, FramingError> {
    let mut codings = lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','));
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let others = codings.clone().map(trim).filter(|one| !is_chunked(one));
    let has_others = others.clone().next().is_some();
    let has_empty = others.clone().any(<[u8]>::is_empty);
    let chunked = codings.clone().map(trim).filter(|one| is_chunked(one));
    if has_empty || chunked.count() != 1 || !codings.next_back().map(trim).is_some_and(is_chunked) {
        return Err(FramingError::Malformed);
    }
    if has_others {
        return Err(FramingError::UnsupportedCoding);
    }
    Ok(Place::ChunkSize)
}

/// The size of a chunk from its first line (RFC 9112 §7.1); extensions are ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (size, rest) = line.split_at_checked(digits.count())?;
    if size.len() > MAX_SIZE_DIGITS || !matches!(trim(rest).first(), None | Some(b';')) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(size).ok()?, 16).ok()
}

/// The bytes left of a body of `length` bytes after `bytes`, and the bytes after the body.
fn skip(bytes: &[u8], length: u64) -> (u64, &[u8]) {
    let here = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let rest = bytes.get(here..).unwrap_or_default();
    (
        length.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX)),
        rest,
    )
}

/// `value` without optional white space (RFC 9110 §5.6.3).
fn trim(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let first = value.iter().position(is_text).unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(is_text)
        .map_or(first, |last| last.saturating_add(1));
    value.get(first..end).unwrap_or_default()
}

/// A line up to its CRLF. Its first [`MAX_LINE`] bytes are kept.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    is_cut: bool,
    has_return: bool,
}

impl Line {
    /// Adds a byte; true at the end of the line. RFC 9112 §2.2 lets a server accept a single LF. The
    /// host does not, since a proxy may read it as part of a value.
    fn push(&mut self, byte: u8) -> Result<bool, FramingError> {
        match (byte, self.has_return) {
            (b'\n', true) => return Ok(true),
            (b'\r', false) => self.has_return = true,
            (b'\n', false) | (_, true) => return Err(FramingError::Malformed),
            (_, false) if self.bytes.len() < MAX_LINE => self.bytes.push(byte),
            (_, false) => self.is_cut = true,
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const OK: Result<(), FramingError> = Ok(());
    const MALFORMED: Result<(), FramingError> = Err(FramingError::Malformed);
    const UNSUPPORTED: Result<(), FramingError> = Err(FramingError::UnsupportedCoding);

    /// The verdicts on the heads in `parts`.
    fn verdicts<'a>(
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Vec<Result<(), FramingError>>, Place) {
        let mut reader = FramingReader::default();
        for part in parts {
            reader.read(part);
        }
        (reader.verdicts.into_iter().collect(), reader.place)
    }

    fn of_fields(fields: &str) -> Result<(), FramingError> {
        let mut reader = FramingReader::default();
        reader.read(format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes());
        let verdict = reader.next_verdict();
        if let Err(error) = verdict {
            // The bytes after a refused request are no request.
            reader.read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(reader.next_verdict(), Err(error), "{fields}");
        }
        verdict
    }

    #[test]
    fn request_smuggling_by_ambiguous_framing_is_refused() {
        let long = format!("Transfer-Encoding: {}chunked\r\n", " ".repeat(MAX_LINE));
        for (fields, verdict) in [
            ("", OK),
            ("Content-Length: 0\r\n", OK),
            ("content-length:\t17 \r\n", OK),
            ("Content-Length: 18446744073709551615\r\n", OK),
            ("Content-Length: 18446744073709551616\r\n", MALFORMED),
            ("Content-Length: \r\n", MALFORMED),
            ("Content-Length: +5\r\n", MALFORMED),
            ("Content-Length: -5\r\n", MALFORMED),
            ("Content-Length: 0x5\r\n", MALFORMED),
            ("Content-Length: 5, 5\r\n", MALFORMED),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", MALFORMED),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", MALFORMED),
            ("Content-Length : 5\r\n", MALFORMED),
            (" Content-Length: 5\r\n", MALFORMED),
            ("X: y\r\n folded\r\n", MALFORMED),
            ("no colon\r\n", MALFORMED),
            ("Transfer-Encoding: chunked\r\n", OK),
            ("TRANSFER-ENCODING:ChUnKeD\r\n", OK),
            ("Transfer-Encoding: gzip, chunked\r\n", UNSUPPORTED),
            ("Transfer-Encoding: identity, chunked\r\n", UNSUPPORTED),
            (
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
                UNSUPPORTED,
            ),
            ("Transfer-Encoding: chunked, gzip\r\n", MALFORMED),
            ("Transfer-Encoding: gzip\r\n", MALFORMED),
            ("Transfer-Encoding: identity\r\n", MALFORMED),
            ("Transfer-Encoding: xchunked\r\n", MALFORMED),
            ("Transfer-Encoding: chunked;q=1\r\n", MALFORMED),
            ("Transfer-Encoding: \"chunked\"\r\n", MALFORMED),
            ("Transfer-Encoding: \u{b}chunked\r\n", MALFORMED),
            ("Transfer-Encoding:\r\n", MALFORMED),
            ("Transfer-Encoding: , chunked\r\n", MALFORMED),
            ("Transfer-Encoding: chunked,\r\n", MALFORMED),
            ("Transfer-Encoding: chunked, chunked\r\n", MALFORMED),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                MALFORMED,
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
                MALFORMED,
            ),
            ("Transfer-Encoding : chunked\r\n", MALFORMED),
            (&long, MALFORMED),
            (
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                MALFORMED,
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                MALFORMED,
            ),
            (
                "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n",
                MALFORMED,
            ),
            ("X: y\nTransfer-Encoding: chunked\r\n", MALFORMED),
            ("X: y\rTransfer-Encoding: chunked\r\n", MALFORMED),
        ] {
            assert_eq!(of_fields(fields), verdict, "{fields:?}");
        }
    }

    #[test]
    fn the_next_request_begins_after_the_body() {
        let next = "GET / HTTP/1.1\r\n\r\n";
        let hidden = "GET /x HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n";
        let length = format!("Content-Length: {}\r\n\r\n{hidden}", hidden.len());
        let chunked = format!(
            "Transfer-Encoding: chunked\r\n\r\n{:X} ;a=b\r\n{hidden}\r\n0\r\nX: y\r\n\r\n",
            hidden.len()
        );
        for body in [
            "\r\n".to_owned(),
            "Content-Length: 0\r\n\r\n".to_owned(),
            length,
            chunked,
        ] {
            let bytes = format!("\r\n\r\nPOST / HTTP/1.1\r\n{body}{next}");
            let whole = (vec![OK, OK], Place::Head);
            assert_eq!(verdicts([bytes.as_bytes()]), whole, "{body}");
        }
        for bad in [
            "z\r\n",
            "\r\n",
            "1x\r\n",
            "11111111111111111\r\n",
            "1\n",
            "1\r\nab\r\n",
        ] {
            let bytes = format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{bad}{next}");
            let refused = Place::Refused(FramingError::Malformed);
            assert_eq!(verdicts([bytes.as_bytes()]), (vec![OK], refused), "{bad:?}");
        }
    }

    #[test]
    fn a_request_without_a_verdict_is_refused() {
        assert_eq!(FramingReader::default().next_verdict(), MALFORMED);
    }

    proptest! {
        #[test]
        fn verdicts_do_not_depend_on_the_packets(
            pieces in vec(select(&[
                "GET / HTTP/1.1\r\n", "\r\n", "\n", "\r", "Content-Length: 3\r\n", "abc", "0\r\n",
                "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n", "3\r\n", "Host: x\r\n",
            ][..]), 0..24),
            noise in vec(any::<u8>(), 0..8),
            size in 1..9_usize,
        ) {
            let mut bytes = pieces.concat().into_bytes();
            bytes.extend(noise);
            prop_assert_eq!(verdicts(bytes.chunks(size)), verdicts([&*bytes]));
        }

        #[test]
        fn any_bytes_cause_no_panic(bytes in vec(any::<u8>(), 0..256)) {
            verdicts([&*bytes]);
        }
    }
}
