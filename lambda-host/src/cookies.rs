//! Cookies for browsers: always `__Host-`, so that no other host of the site and no plain
//! connection can plant one ([RFC 6265bis §4.1.3.2]).
//!
//! [RFC 6265bis §4.1.3.2]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2

use core::time::Duration;

use cookie::{Cookie, SameSite};
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

/// The value of the cookie `name`; `None` if the request has none, or more than one.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let mut values = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let value = values.next();
    // A browser that honours the prefix never sends two cookies of one name.
    value.filter(|_| values.next().is_none())
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
