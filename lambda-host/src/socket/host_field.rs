//! The rule of RFC 9112 §3.2: a request names its host once, in a valid form.

use core::net::Ipv6Addr;

use http::header::{HOST, HeaderMap};
use http::{HeaderValue, Version};

/// Whether the `Host` fields of a request are valid. HTTP/1.0 has no such field, so it may be
/// missing there.
pub(super) fn is_valid(version: Version, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (None, _) => version < Version::HTTP_11,
        (Some(value), None) => is_host(value),
        (Some(_), Some(_)) => false,
    }
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2). An http URI has a host that is not empty (§4.2.1).
fn is_host(value: &HeaderValue) -> bool {
    let Ok(value) = value.to_str() else {
        return false;
    };
    if let Some(literal) = value.strip_prefix('[') {
        // RFC 3986 §3.2.2; no version of an IP address after 6 is defined.
        return literal.split_once(']').is_some_and(|(address, rest)| {
            address.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || is_port(rest))
        });
    }
    match value.find(':') {
        Some(colon) => {
            let (name, port) = value.split_at(colon);
            is_name(name) && is_port(port)
        }
        None => is_name(value),
    }
}

/// A colon and a port, which may be empty (RFC 3986 §3.2.3).
fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok())
    })
}

/// `reg-name` of RFC 3986 §3.2.2, not empty.
fn is_name(name: &str) -> bool {
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let is_valid = match byte {
            b'%' => (0..2).all(|_| rest.next().is_some_and(|byte| byte.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
        if !is_valid {
            return false;
        }
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[&str], version: Version) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            headers.append(HOST, value);
        }
        is_valid(version, &headers)
    }

    #[test]
    fn a_request_names_its_host_once() {
        assert!(with(&["login.example"], Version::HTTP_11));
        assert!(!with(&[], Version::HTTP_11));
        assert!(!with(&["login.example", "login.example"], Version::HTTP_11));
        assert!(with(&[], Version::HTTP_10));
        assert!(with(&["login.example"], Version::HTTP_10));
        assert!(!with(&["login.example", "b.example"], Version::HTTP_10));
        assert!(!with(&["a b"], Version::HTTP_10));
    }

    #[test]
    fn the_host_is_a_name_or_an_address_with_an_optional_port() {
        for valid in [
            "x",
            "login.example",
            "LOGIN.example.",
            "a_b.example",
            "127.0.0.1:8788",
            "login.example:",
            "login.example:0",
            "login.example:65535",
            "[::1]",
            "[2001:db8::1]:443",
            "%61.example",
        ] {
            assert!(with(&[valid], Version::HTTP_11), "{valid}");
        }
        for invalid in [
            "",
            ":80",
            "a b",
            "a\tb",
            "user@login.example",
            "http://login.example",
            "login.example/path",
            "login.example?x",
            "login.example#x",
            "login.example\\",
            "login.example:65536",
            "login.example:80:80",
            "login.example:+80",
            "login.example:http",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:65536",
            "[::g]",
            "[127.0.0.1]",
            "[]",
            "%6",
            "%zz",
            "a,b c",
            "b\u{fc}cher.example",
            "<x>",
            "\"x\"",
        ] {
            assert!(!with(&[invalid], Version::HTTP_11), "{invalid}");
        }
    }
}
