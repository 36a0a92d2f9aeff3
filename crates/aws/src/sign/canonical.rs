//! The canonical form of a request, which client and service hash in Signature Version 4 ([AWS,
//! "Create a signed request"], steps 1 and 2).
//!
//! `aws-sigv4` could create it too, with ten times the wasm size: it supports every service,
//! presigned URLs and streams.
//!
//! [AWS, "Create a signed request"]: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

use core::fmt::Write as _;

use http::Uri;

use crate::hash::sha256_hex;

/// The signed headers: names in lower case, sorted; values trimmed.
#[derive(Debug, Default)]
pub(super) struct SignedHeaders(Vec<(String, String)>);

impl SignedHeaders {
    /// Adds one value; several values of one name are joined in their order.
    pub(super) fn insert(&mut self, name: &str, value: &str) {
        let words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
        let value = words.join(" ");
        let place = self.0.partition_point(|(known, _)| known.as_str() < name);
        match self.0.get_mut(place) {
            Some((known, values)) if known == name => {
                values.push(',');
                values.push_str(&value);
            }
            Some(_) | None => self.0.insert(place, (name.to_owned(), value)),
        }
    }

    /// Whether `name` is present.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The names, separated by semicolons.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.join(";")
    }
}

/// The canonical request of `method`, `uri`, `headers` and `body`.
pub(super) fn request(method: &str, uri: &Uri, headers: &SignedHeaders, body: &[u8]) -> String {
    let mut text = format!("{method}\n{}\n{}\n", path(uri.path()), query(uri.query()));
    for (name, value) in &headers.0 {
        text.push_str(name);
        text.push(':');
        text.push_str(value);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&headers.names());
    text.push('\n');
    text.push_str(&sha256_hex(body));
    text
}

/// Removes dot segments and doubled slashes, then escapes every segment once more.
fn path(path: &str) -> String {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(escape(segment)),
        }
    }
    let ends_open = path.ends_with('/') && !segments.is_empty();
    format!(
        "/{}{}",
        segments.join("/"),
        if ends_open { "/" } else { "" }
    )
}

/// Escapes names and values again, and sorts them.
fn query(query: Option<&str>) -> String {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty());
    // Sorted by insertion: a query has few pairs, and a call of `sort` is 3 KB of code in the Worker.
    let mut sorted = Vec::new();
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let pair = (escape_once(name), escape_once(value));
        sorted.insert(sorted.partition_point(|other| *other < pair), pair);
    }
    let pairs: Vec<_> = sorted
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// Escapes all characters that are not unreserved ([RFC 3986 §2.3]), `%` included.
///
/// [RFC 3986 §2.3]: https://www.rfc-editor.org/rfc/rfc3986#section-2.3
fn escape(text: &str) -> String {
    escape_all_but(b"-._~", text)
}

/// The same for text in which escapes stand already.
fn escape_once(text: &str) -> String {
    escape_all_but(b"-._~%", text)
}

/// Escapes each byte that is neither alphanumeric nor one of `kept`.
fn escape_all_but(kept: &[u8], text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_path_is_normalized_and_escaped() {
        for (given, canonical) in [
            ("/", "/"),
            ("", "/"),
            ("//a//b/", "/a/b/"),
            ("/a/./b/../c", "/a/c"),
            ("/..", "/"),
            ("/a%20b", "/a%2520b"),
            ("/-._~A0", "/-._~A0"),
        ] {
            assert_eq!(path(given), canonical, "{given}");
        }
    }

    #[test]
    fn a_canonical_query_is_sorted() {
        assert_eq!(query(None), "");
        assert_eq!(query(Some("b=2&a=3&a=1&c")), "a=1&a=3&b=2&c=");
        assert_eq!(query(Some("x=%20&y=/")), "x=%20&y=%2F");
    }

    #[test]
    fn canonical_headers_are_joined_trimmed_and_sorted() {
        let mut headers = SignedHeaders::default();
        for (name, value) in [
            ("x-b", "  1   2 "),
            ("host", "h"),
            ("x-b", "3"),
            ("x-a", ""),
        ] {
            headers.insert(name, value);
        }
        assert_eq!(headers.names(), "host;x-a;x-b");
        let text = request("GET", &Uri::from_static("http://h/"), &headers, b"");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(
            text,
            format!("GET\n/\n\nhost:h\nx-a:\nx-b:1 2,3\n\nhost;x-a;x-b\n{empty}")
        );
    }
}
