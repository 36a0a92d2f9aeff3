//! The origins whose pages count as own: the issuer's, and those that the operator configures.

use core::time::Duration;

use portcullis_core::cors::{AllowedOrigins, CorsRules, Origin};

/// The time for which a browser keeps the response to a preflight. The rules change only with the
/// configuration.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// The origins whose pages may use the API with cookies.
#[derive(Debug)]
pub struct OwnOrigins {
    issuer: Option<Origin>,
    configured: Vec<Origin>,
    cors: Option<CorsRules>,
}

impl OwnOrigins {
    /// The origin of the URL `issuer` and the configured ones.
    pub fn new(issuer: &str, configured: Vec<Origin>) -> Self {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let cors = (!configured.is_empty()).then(|| CorsRules {
            origins: AllowedOrigins::Listed {
                origins: configured.clone(),
                credentials: true,
            },
            methods: texts(&["GET", "POST", "DELETE"]),
            headers: texts(&["authorization", "content-type", "x-portcullis-csrf"]),
            exposed: texts(&["retry-after", "www-authenticate", "x-request-id"]),
            max_age: PREFLIGHT_AGE,
        });
        Self {
            issuer: Origin::of_url(issuer),
            configured,
            cors,
        }
    }

    /// The rules for pages of other origins, if there are any.
    pub const fn cors(&self) -> Option<&CorsRules> {
        self.cors.as_ref()
    }

    /// Whether the `Origin` header `origin` is the issuer's.
    pub fn is_issuer(&self, origin: &str) -> bool {
        self.issuer.as_ref().is_some_and(|issuer| issuer.is(origin))
    }

    /// Whether the `Origin` header `origin` is a configured one.
    pub fn is_configured(&self, origin: &str) -> bool {
        self.configured.iter().any(|own| own.is(origin))
    }
}
