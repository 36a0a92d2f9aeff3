//! Whether a page of an own origin sent a request.

use http::header::{HeaderMap, ORIGIN};
use portcullis_host::own_origins::OwnOrigins;

/// Whether the browser reports a page of an own origin, by its fetch metadata
/// ([W3C](https://www.w3.org/TR/fetch-metadata/)) and by `Origin`. Every current browser sends one
/// of them with a `POST`; each one present must match.
///
/// A page of the issuer is same-origin. A page of a configured origin is not, so there `Origin`
/// decides.
pub(super) fn is_own_page(headers: &HeaderMap, origins: &OwnOrigins) -> bool {
    let site = one(headers, "sec-fetch-site");
    match one(headers, ORIGIN.as_str()) {
        Some(Ok(origin)) if origins.is_configured(origin) => true,
        Some(Ok(origin)) if origins.is_issuer(origin) => {
            site.is_none_or(|site| site == Ok("same-origin"))
        }
        Some(_) => false,
        None => site == Some(Ok("same-origin")),
    }
}

/// The only value of a header; an error if it is no text or there are several.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<Result<&'a str, ()>> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    let more = values.next().is_some();
    Some(value.to_str().ok().filter(|_| !more).ok_or(()))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use portcullis_core::cors::Origin;

    use super::*;

    const ISSUER: &str = "https://Login.example:443/tenant";

    fn is_own(headers: &[(&'static str, &'static str)]) -> bool {
        let app = Origin::parse("https://app.example").expect("an origin");
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            map.append(HeaderName::from_static(name), value);
        }
        is_own_page(&map, &OwnOrigins::new(ISSUER, vec![app]))
    }

    #[test]
    fn csrf_a_cross_site_request_is_distinguished_by_fetch_metadata_and_origin() {
        let ours = ("origin", "https://login.example");
        for (headers, same) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "same-origin"), ours], true),
            (vec![ours], true),
            (vec![], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "none"), ours], false),
            (vec![("sec-fetch-site", "same-site"), ours], false),
            (vec![("origin", "null")], false),
            (
                vec![("origin", "null"), ("sec-fetch-site", "same-origin")],
                false,
            ),
            (vec![("origin", "http://login.example")], false),
            (vec![("origin", "https://login.example.evil")], false),
            (vec![ours, ours], false),
            (
                vec![
                    ("sec-fetch-site", "same-origin"),
                    ("sec-fetch-site", "same-origin"),
                ],
                false,
            ),
            (
                vec![
                    ("sec-fetch-site", "same-origin"),
                    ("origin", "https://evil"),
                ],
                false,
            ),
        ] {
            assert_eq!(is_own(&headers), same, "{headers:?}");
        }
    }

    #[test]
    fn csrf_a_configured_origin_counts_as_own() {
        let app = ("origin", "https://app.example");
        for (headers, own) in [
            (vec![app], true),
            (vec![app, ("sec-fetch-site", "same-site")], true),
            (vec![app, ("sec-fetch-site", "cross-site")], true),
            (vec![app, app], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("origin", "http://app.example")], false),
            (vec![("origin", "https://app.example:8443")], false),
            (vec![("origin", "https://evil.app.example")], false),
        ] {
            assert_eq!(is_own(&headers), own, "{headers:?}");
        }
    }
}
