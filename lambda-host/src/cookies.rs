//! Cookies for browsers: always `__Host-`, so that no other host of the site and no plain
//! connection can plant one ([RFC 6265bis §4.1.3.2]).
//!
//! [RFC 6265bis §4.1.3.2]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2

use core::time::Duration;

use cookie::{Cookie, SameSite};
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

/// The value of the cookie `name`; `None` if the request has none, or more than one.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // Bytes, because another cookie of the site may hold any byte and must not hide ours.
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let (found, value) = pair.trim_ascii().split_at_checked(name.len())?;
        let value = value.strip_prefix(b"=")?;
        (found == name.as_bytes()).then_some(value)
    });
    let value = values.next();
    // A browser that honours the prefix never sends two cookies of one name.
    let value = value.filter(|_| values.next().is_none())?;
    str::from_utf8(value).ok()
}

/// Sets a cookie for this host only, invisible to scripts; `None` as `lifetime` deletes it.
pub(crate) fn set(
    headers: &mut HeaderMap,
    name: &'static str,
    value: &str,
    lifetime: Option<Duration>,
) {
    let age = lifetime.unwrap_or(Duration::ZERO).as_secs();
    let age = cookie::time::Duration::seconds(i64::try_from(age).unwrap_or(i64::MAX));
    let cookie = Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Strict)
        .max_age(age);
    if let Ok(mut line) = HeaderValue::from_str(&cookie.to_string()) {
        line.set_sensitive(true);
        headers.append(SET_COOKIE, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_matched_by_its_whole_name_and_a_duplicate_is_ignored() {
        let mut headers = HeaderMap::new();
        assert_eq!(value(&headers, "__Host-a"), None);
        headers.append(COOKIE, HeaderValue::from_static("x=1; __Host-a=b.c=d; a=2"));
        assert_eq!(value(&headers, "__Host-a"), Some("b.c=d"));
        assert_eq!(value(&headers, "Host-a"), None);
        headers.append(COOKIE, HeaderValue::from_static("__Host-a=e"));
        assert_eq!(value(&headers, "__Host-a"), None);
    }

    #[test]
    fn a_foreign_cookie_with_any_byte_does_not_hide_ours() {
        for foreign in [
            &b"x=\xff"[..],
            b"n\xc3\xa4me=1",
            b"\xc3\x28",
            b"x=\"a; b\"",
            b"",
            b"=",
            b"__Host-",
        ] {
            for line in [
                [foreign, b"; __Host-a=b"].concat(),
                [b"__Host-a=b; ", foreign].concat(),
                [b"__Host-a=b ;", foreign].concat(),
            ] {
                let mut headers = HeaderMap::new();
                headers.append(COOKIE, HeaderValue::from_bytes(&line).expect("a value"));
                assert_eq!(value(&headers, "__Host-a"), Some("b"), "{line:?}");
            }
        }
        // Ours are ASCII: another value is none of ours.
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_bytes(b"__Host-a=\xff");
        headers.append(COOKIE, line.expect("a value"));
        assert_eq!(value(&headers, "__Host-a"), None);
    }

    #[test]
    fn a_cookie_is_host_only_http_only_secure_and_same_site() {
        let mut headers = HeaderMap::new();
        set(&mut headers, "__Host-a", "b", Some(Duration::from_secs(60)));
        set(&mut headers, "__Host-c", "", None);
        let lines: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(
            lines[0],
            "__Host-a=b; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=60"
        );
        assert_eq!(
            lines[1],
            "__Host-c=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0"
        );
    }
}
