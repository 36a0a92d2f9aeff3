//! CORS: which pages of other origins may read a response ([Fetch §3.3]).
//!
//! [Fetch §3.3]: https://fetch.spec.whatwg.org/#http-cors-protocol

use core::fmt;
use core::time::Duration;

use crate::transport_security::is_protected;

/// The value of `Vary` of every response that depends on `Origin`, also of one without `Origin`: a
/// shared cache must not serve it to another page.
pub const VARY: &str = "Origin";

/// The value of `Vary` of a preflight response.
pub const PREFLIGHT_VARY: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The longest time for which browsers keep a preflight response.
pub const MAX_PREFLIGHT_AGE: Duration = Duration::from_secs(86_400);

/// An origin in the form that browsers send: `https://app.example`, with the port if it is not the
/// default one ([RFC 6454 §6.2]). Never `null`, which every sandboxed page has.
///
/// [RFC 6454 §6.2]: https://www.rfc-editor.org/rfc/rfc6454#section-6.2
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin(String);

impl Origin {
    /// Parses `scheme://host` or `scheme://host:port`: https, or http on loopback. `None` for
    /// anything else, such as a path, a wildcard or `null`.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let authority = authority.to_ascii_lowercase();
        let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if digits(port) => (host, Some(port)),
            _ => (authority.as_str(), None),
        };
        let port = port.map(str::parse::<u16>).transpose().ok()?;
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plausible = host.bytes().all(is_host) && bracketed == host.contains([':', '[', ']']);
        if !plausible || !is_protected(&scheme, host) {
            return None;
        }
        let usual = if scheme == "https" { 443 } else { 80 };
        Some(Self(match port.filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }))
    }

    /// The origin of the URL `url`, without its path and query.
    pub fn of_url(url: &str) -> Option<Self> {
        let start = url.find("://")?.checked_add(3)?;
        let rest = url.get(start..)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Self::parse(url.get(..start.checked_add(end)?)?)
    }

    /// Whether the value of an `Origin` header is this origin. Browsers send one spelling, so the
    /// comparison is exact.
    pub fn is(&self, header: &str) -> bool {
        self.0 == header
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The pages that may read responses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AllowedOrigins {
    /// Every page, without credentials.
    Any,
    /// The pages of these origins; with credentials if the flag is set.
    Listed {
        /// The origins.
        origins: Vec<Origin>,
        /// Whether a page may send cookies and read the response to them.
        credentials: bool,
    },
}

/// The CORS rules of an API.
// INVARIANT: no value allows every origin together with credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CorsRules {
    /// The pages that may read responses.
    pub origins: AllowedOrigins,
    /// The methods that a page may use; empty for those of the path.
    pub methods: Vec<String>,
    /// The request headers that a page may set beyond the safelisted ones.
    pub headers: Vec<String>,
    /// The response headers that a page may read beyond the safelisted ones.
    pub exposed: Vec<String>,
    /// The time for which a browser keeps the response to a preflight.
    pub max_age: Duration,
}

/// Whether a request is a preflight: a browser asks whether a page may send the real request.
pub fn is_preflight(method: &str, origin: Option<&str>, requested_method: Option<&str>) -> bool {
    method == "OPTIONS" && origin.is_some() && requested_method.is_some()
}

/// The methods of a preflight response, where neither the rules nor the routes list methods.
pub(crate) const USUAL_METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

impl CorsRules {
    /// Rules that let no page read a response.
    pub const fn for_no_page() -> Self {
        Self {
            origins: AllowedOrigins::Listed {
                origins: Vec::new(),
                credentials: false,
            },
            methods: Vec::new(),
            headers: Vec::new(),
            exposed: Vec::new(),
            max_age: Duration::ZERO,
        }
    }

    /// Whether a page of `origin` is listed by its own name. `*` lists none.
    pub fn lists(&self, origin: &str) -> bool {
        match &self.origins {
            AllowedOrigins::Any => false,
            AllowedOrigins::Listed { origins, .. } => origins.iter().any(|one| one.is(origin)),
        }
    }

    /// The headers that let the page of the `Origin` header `origin` read a response, refusals too.
    /// Empty if it may not.
    pub fn response_headers(&self, origin: Option<&str>) -> Vec<(&'static str, String)> {
        let mut headers = self.allow_origin(origin);
        if !headers.is_empty() && !self.exposed.is_empty() {
            headers.push(("access-control-expose-headers", self.exposed.join(", ")));
        }
        headers
    }

    /// The headers of the response to a preflight. Empty if the page may not send the request.
    pub fn preflight_headers(&self, origin: Option<&str>) -> Vec<(&'static str, String)> {
        self.preflight_headers_at(origin, &USUAL_METHODS)
    }

    /// As [`CorsRules::preflight_headers`], for a path with the methods `at_path`. They count where
    /// the rules list none.
    pub fn preflight_headers_at(
        &self,
        origin: Option<&str>,
        at_path: &[&str],
    ) -> Vec<(&'static str, String)> {
        let mut headers = self.allow_origin(origin);
        if !headers.is_empty() {
            let methods = match self.methods.as_slice() {
                [] => at_path.join(", "),
                own => own.join(", "),
            };
            headers.push(("access-control-allow-methods", methods));
            if !self.headers.is_empty() {
                headers.push(("access-control-allow-headers", self.headers.join(", ")));
            }
            let age = self.max_age.as_secs().to_string();
            headers.push(("access-control-max-age", age));
        }
        headers
    }

    fn allow_origin(&self, origin: Option<&str>) -> Vec<(&'static str, String)> {
        const ALLOW_ORIGIN: &str = "access-control-allow-origin";
        let Some(origin) = origin else {
            return Vec::new();
        };
        match &self.origins {
            // SECURITY: `null` is the origin of every sandboxed frame and of local files.
            AllowedOrigins::Any if origin == "null" => Vec::new(),
            AllowedOrigins::Any => vec![(ALLOW_ORIGIN, "*".to_owned())],
            AllowedOrigins::Listed {
                origins,
                credentials,
            } => {
                let Some(listed) = origins.iter().find(|listed| listed.is(origin)) else {
                    return Vec::new();
                };
                let mut headers = vec![(ALLOW_ORIGIN, listed.to_string())];
                if *credentials {
                    headers.push(("access-control-allow-credentials", "true".to_owned()));
                }
                headers
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(origins: AllowedOrigins) -> CorsRules {
        CorsRules {
            origins,
            methods: vec!["GET".to_owned(), "POST".to_owned()],
            headers: vec!["authorization".to_owned()],
            exposed: vec!["x-request-id".to_owned()],
            max_age: Duration::from_secs(600),
        }
    }

    fn listed(credentials: bool) -> CorsRules {
        let origins = ["https://app.example", "https://other.example:8443"];
        let origins = origins.iter().filter_map(|text| Origin::parse(text));
        rules(AllowedOrigins::Listed {
            origins: origins.collect(),
            credentials,
        })
    }

    #[test]
    fn an_origin_is_parsed_into_the_form_that_browsers_send() {
        for (text, origin) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example:443", "https://app.example"),
            ("https://app.example:0443", "https://app.example"),
            ("https://app.example:8443", "https://app.example:8443"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]"),
        ] {
            let parsed = Origin::parse(text).map(|origin| origin.to_string());
            assert_eq!(parsed.as_deref(), Some(origin), "{text}");
            let url = format!("{text}/a?b#c");
            assert_eq!(Origin::of_url(&url), Origin::parse(text), "{text}");
        }
        for text in [
            "",
            "null",
            "*",
            "https://*.example",
            "https://",
            "https://app.example/",
            "https://app.example/a",
            "https://app.example?",
            "https://user@app.example",
            "https://app.example:",
            "https://app.example:65536",
            "https://app.example:a",
            "https://a b.example",
            "https://b\u{fc}cher.example",
            "https://::1",
            "http://app.example",
            "ftp://app.example",
            "app.example",
            "//app.example",
            "https:app.example",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }

    #[test]
    fn cors_only_a_listed_origin_may_read_a_response() {
        let allow = ("access-control-allow-origin", "https://app.example");
        for credentials in [false, true] {
            let rules = listed(credentials);
            let headers = rules.response_headers(Some("https://app.example"));
            let has = |name, value| headers.contains(&(name, String::from(value)));
            assert!(has(allow.0, allow.1));
            assert_eq!(has("access-control-allow-credentials", "true"), credentials);
            assert!(has("access-control-expose-headers", "x-request-id"));
            for origin in [
                None,
                Some(""),
                Some("null"),
                Some("*"),
                Some("https://app.example.evil.example"),
                Some("https://evil-app.example"),
                Some("https://app.example:8443"),
                Some("http://app.example"),
                Some("https://APP.example"),
                Some("https://app.example, https://app.example"),
                Some("https://app.example/"),
            ] {
                assert!(rules.response_headers(origin).is_empty(), "{origin:?}");
                assert!(rules.preflight_headers(origin).is_empty(), "{origin:?}");
            }
        }
    }

    #[test]
    fn cors_a_wildcard_has_no_credentials_and_never_allows_null() {
        let rules = rules(AllowedOrigins::Any);
        let headers = rules.response_headers(Some("https://any.example"));
        assert_eq!(headers[0], ("access-control-allow-origin", "*".to_owned()));
        let names = headers.iter().map(|(name, _)| *name);
        assert!(!names.into_iter().any(|name| name.ends_with("credentials")));
        assert!(rules.response_headers(Some("null")).is_empty());
        assert!(rules.preflight_headers(Some("null")).is_empty());
    }

    #[test]
    fn cors_a_preflight_gets_the_methods_and_headers_of_the_rules() {
        let headers = listed(true).preflight_headers(Some("https://other.example:8443"));
        assert_eq!(
            headers,
            [
                ("access-control-allow-origin", "https://other.example:8443"),
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-methods", "GET, POST"),
                ("access-control-allow-headers", "authorization"),
                ("access-control-max-age", "600"),
            ]
            .map(|(name, value)| (name, value.to_owned()))
        );
        let (origin, method) = (Some("https://a.example"), Some("GET"));
        assert!(is_preflight("OPTIONS", origin, method));
        assert!(!is_preflight("GET", origin, method));
        assert!(!is_preflight("OPTIONS", None, method));
        assert!(!is_preflight("OPTIONS", origin, None));
    }

    proptest! {
        #[test]
        fn an_origin_is_its_own_parse_and_no_other_text_is_it(text in "(https?|ftp)://[a-z0-9.:@/*-]{0,20}") {
            if let Some(origin) = Origin::parse(&text) {
                let written = origin.to_string();
                prop_assert_eq!(Origin::parse(&written), Some(origin.clone()));
                prop_assert!(origin.is(&written));
                prop_assert!(!written.contains(['@', '*', ' ']));
            }
        }
    }
}
