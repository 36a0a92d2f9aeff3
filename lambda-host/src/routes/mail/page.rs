//! The pages that mail links to, for a deployment without its own. The token is in the fragment of
//! the URL, which only the page's script sees; nothing happens until the user presses the button.

use std::sync::OnceLock;

use axum::body::Body;
use axum::response::Response;
use data_encoding::BASE64;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use sha2::{Digest as _, Sha256};

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

/// A page of the host.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page {
    /// Verifies an address.
    Verify,
    /// Sets a new password.
    Reset,
    /// Marks the browser as known.
    Unlock,
}

impl Page {
    pub(super) fn answer(self) -> Response {
        let mut response = Response::new(Body::from(self.html()));
        let headers = response.headers_mut();
        let fixed = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(policy) = HeaderValue::from_str(policy()) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    fn html(self) -> String {
        let (title, fields, button) = match self {
            // The script shows the field if the host asks for a new password.
            Self::Verify => (
                "Verify your address",
                "<label id=\"field\" hidden>New password, 15 characters or more \
                 <input id=\"password\" type=\"password\" autocomplete=\"new-password\"></label>",
                "Verify",
            ),
            Self::Reset => (
                "Set a new password",
                "<label id=\"field\">New password, 15 characters or more \
                 <input id=\"password\" type=\"password\" autocomplete=\"new-password\" required>\
                 </label>",
                "Set the password",
            ),
            Self::Unlock => ("Log in from this browser", "", "Allow this browser"),
        };
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>\
             <form id=\"form\">{fields}<button>{button}</button></form>\
             <p id=\"answer\" role=\"status\"></p>\
             <noscript><p>This page needs JavaScript.</p></noscript></main>\
             <script>{SCRIPT}</script></body></html>\n"
        )
    }
}

/// The page runs and loads only its own content, sends nothing elsewhere, and cannot be framed.
fn policy() -> &'static str {
    static POLICY: OnceLock<String> = OnceLock::new();
    POLICY.get_or_init(|| {
        let hash = |text: &str| BASE64.encode(&Sha256::digest(text.as_bytes()));
        format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(SCRIPT),
            hash(STYLE)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_strict_csp_and_contains_no_token() {
        for page in [Page::Verify, Page::Reset] {
            let response = page.answer();
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
            assert_eq!(response.headers()[REFERRER_POLICY], "no-referrer");
            let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str();
            assert!(policy.expect("ASCII").starts_with("default-src 'none'; "));
            let html = page.html();
            for loaded in ["src=", "href=", "http:", "https:"] {
                assert!(!html.contains(loaded), "{loaded}");
            }
        }
    }
}
