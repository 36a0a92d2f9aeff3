//! The canonical form of a request path, both checked and forwarded.

pub mod fold;

use core::fmt;

use crate::denial::Denial;

/// The maximum length of a path, in bytes.
pub const MAX_PATH_BYTES: usize = 8_192;

/// A request path in canonical form: the policy checks exactly the path that the origin receives.
///
/// It starts with `/`. Unreserved characters are unescaped (`/%61dmin` is `/admin`), other escapes
/// are in upper case ([RFC 3986 §6.2.2]). SECURITY: a path that two servers could interpret
/// differently is rejected: doubled slashes, backslashes, dot segments, control characters,
/// malformed escapes, overlong UTF-8, and path parameters (`;`), which some servers drop before they
/// match. An escaped slash is rejected unless the route allows it.
///
/// [RFC 3986 §6.2.2]: https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CanonicalPath(String);

impl CanonicalPath {
    /// Parses the path of a request target, without its query.
    ///
    /// # Errors
    ///
    /// [`Denial::BadPath`] for a path without a canonical form.
    pub fn parse(raw: &str) -> Result<Self, Denial> {
        let path = Self::parse_target(raw)?;
        fold::check_slashes(path.as_str(), false)?;
        Ok(path)
    }

    /// As [`CanonicalPath::parse`], but the path may have escaped slashes: the route decides about
    /// them ([`fold::check_slashes`]).
    ///
    /// # Errors
    ///
    /// [`Denial::BadPath`] for a path without a canonical form.
    pub fn parse_target(raw: &str) -> Result<Self, Denial> {
        if raw.len() > MAX_PATH_BYTES || !raw.starts_with('/') {
            return Err(Denial::BadPath);
        }
        let mut path = String::with_capacity(raw.len());
        let mut bytes = raw.bytes();
        let mut before = 0;
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let byte = escaped(bytes.next(), bytes.next())?;
                if is_overlong(before, byte) {
                    return Err(Denial::BadPath);
                }
                push_escape(&mut path, byte)?;
                before = byte;
            } else if is_plain(byte) {
                path.push(char::from(byte));
                before = byte;
            } else {
                return Err(Denial::BadPath);
            }
        }
        if path.contains("//") || path.split('/').any(is_dot_segment) {
            return Err(Denial::BadPath);
        }
        Ok(Self(path))
    }

    /// The path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_dot_segment(segment: &str) -> bool {
    segment == "." || segment == ".."
}

/// Whether `byte` after `before` is UTF-8 in more bytes than needed ([RFC 3629 §10]): a lenient
/// decoder reads `%C0%AF` as `/`.
///
/// [RFC 3629 §10]: https://www.rfc-editor.org/rfc/rfc3629#section-10
const fn is_overlong(before: u8, byte: u8) -> bool {
    matches!(byte, 0xc0 | 0xc1)
        || matches!(
            (before, byte),
            (0xe0, 0x80..=0x9f) | (0xf0, 0x80..=0x8f) | (0xf8, 0x80..=0x87) | (0xfc, 0x80..=0x83)
        )
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Result<u8, Denial> {
    let digit = |byte: Option<u8>| {
        let digit = char::from(byte?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        (_, _) => Err(Denial::BadPath),
    }
}

fn push_escape(path: &mut String, byte: u8) -> Result<(), Denial> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    match byte {
        0..=0x1f | 0x7f | b'\\' | b';' => return Err(Denial::BadPath),
        _ if is_unreserved(byte) => path.push(char::from(byte)),
        _ => {
            path.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                path.push(
                    DIGITS
                        .get(usize::from(digit))
                        .map_or('0', |digit| char::from(*digit)),
                );
            }
        }
    }
    Ok(())
}

/// [RFC 3986 §2.3](https://www.rfc-editor.org/rfc/rfc3986#section-2.3).
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of [RFC 3986 §3.3] without `;`, and the characters that WHATWG URLs leave unescaped;
/// every server interprets them alike.
///
/// [RFC 3986 §3.3]: https://www.rfc-editor.org/rfc/rfc3986#section-3.3
const fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b','
        )
        || matches!(byte, b'=' | b':' | b'@' | b'[' | b']' | b'|' | b'^')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(raw: &str) -> Option<String> {
        CanonicalPath::parse(raw).ok().map(|path| path.to_string())
    }

    #[test]
    fn equivalent_spellings_have_one_canonical_path() {
        for (raw, canonical) in [
            ("/", "/"),
            ("/admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/%41", "/A"),
            ("/a%7eb", "/a~b"),
            ("/a%20b", "/a%20b"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%25b", "/a%25b"),
            ("/%2525", "/%2525"),
            ("/a/", "/a/"),
            ("/...", "/..."),
            ("/a.b/.well-known", "/a.b/.well-known"),
            ("/items[0]:x@y", "/items[0]:x@y"),
            ("/%3f", "/%3F"),
            ("/%e9", "/%E9"),
            ("/%e0%a0%80", "/%E0%A0%80"),
            ("/%f0%90%80%80", "/%F0%90%80%80"),
        ] {
            assert_eq!(parse(raw).as_deref(), Some(canonical), "{raw}");
        }
    }

    #[test]
    fn an_ambiguous_path_is_rejected() {
        for raw in [
            "",
            "a",
            "*",
            "//",
            "/a//b",
            "/a%2fb",
            "/a%2Fb",
            "/a\\b",
            "/a%5cb",
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/%2e",
            "/%2e%2e/b",
            "/.%2E/b",
            "/a%00",
            "/a\0",
            "/%",
            "/%4",
            "/%zz",
            "/%+1",
            "/a b",
            "/a\tb",
            "/a?b",
            "/a#b",
            "/\u{e9}",
            "/a;b",
            "/a%3bb",
            "/a\"b",
            "/a<b",
            "/a{b}",
            "/a`b",
            "/a\u{7f}",
            "/a%0d",
            "/a%0A",
            "/a%09",
            "/a%1f",
            "/a%7F",
            "/..%c0%af",
            "/%c1%81",
            "/%e0%80%af",
            "/%e0%9f%bf",
            "/%f0%80%80%af",
            "/%f0%8f%bf%bf",
            "/%f8%80%80%80%af",
            "/%fc%80%80%80%80%af",
        ] {
            assert_eq!(parse(raw), None, "{raw:?}");
        }
        let longest = format!("/{}", "a".repeat(MAX_PATH_BYTES - 1));
        assert!(parse(&longest).is_some());
        assert_eq!(parse(&format!("{longest}a")), None);
    }

    proptest! {
        #[test]
        fn canonicalisation_of_a_path_is_idempotent(raw in "/([a-zA-Z0-9./%_~!-]|%[0-9a-fA-F]{2}){0,40}") {
            if let Some(path) = parse(&raw) {
                prop_assert_eq!(parse(&path), Some(path.clone()));
                prop_assert!(!path.contains("//"));
                prop_assert!(path.split('/').all(|segment| segment != ".." && segment != "."));
            }
        }

        #[test]
        fn any_text_parses_as_a_path_or_is_rejected(raw: String) {
            let _ = parse(&raw);
        }
    }
}
