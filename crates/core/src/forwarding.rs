//! The headers of a forwarded request: which ones of the client reach the origin, and which ones
//! the edge sets.
//!
//! An origin behind CGI, FastCGI or WSGI does not see header names. It sees variables such as
//! `HTTP_X_AUTH_SUBJECT` ([RFC 3875 §4.1.18]), and many servers make one variable out of several
//! spellings. So names are compared in one form: ASCII lower case, and `-` for every character that
//! is not a letter or a digit.
//!
//! [RFC 3875 §4.1.18]: https://www.rfc-editor.org/rfc/rfc3875#section-4.1.18

use crate::denial::Denial;
pub use crate::forwarding::claim_headers::{MAX_CLAIM_HEADER_BYTES, decode_values};
use crate::forwarding::claim_headers::{RESERVED_CLAIMS, value_of};
use crate::limit::client::ClientNetwork;
use crate::token::claims::Claims;

mod claim_headers;

/// The request ID, the same at the edge and at the origin.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// The secret of the edge, which tells an origin that a request passed the edge. The native host
/// reads the same header.
pub const EDGE_SECRET_HEADER: &str = "x-portcullis-edge-secret";

/// The signed assertion of the edge about one request ([`crate::assertion`]).
pub const ASSERTION_HEADER: &str = "x-portcullis-assertion";

/// The client's address, for a host that trusts the edge's secret. Cloudflare replaces
/// `CF-Connecting-IP` in a request of a Worker, and `X-Forwarded-For` is a list that every hop
/// extends.
pub const CLIENT_ADDRESS_HEADER: &str = "x-portcullis-client-ip";

/// The prefix of the headers that only the edge sends.
///
/// SECURITY: always dropped from a client's request, and no policy can pass or use a name under it.
/// An origin takes such a header as proof that the request passed the edge.
const RESERVED_PREFIX: &str = "x-portcullis-";

pub(crate) const ISSUER: &str = "issuer";
pub(crate) const SUBJECT: &str = "subject";
pub(crate) const SCOPE: &str = "scope";
pub(crate) const SESSION: &str = "session";

/// The header that only the claim `roles` may have: an origin reads the roles there.
const ROLES: &str = "roles";

/// The names of the identity headers behind their prefix.
pub const IDENTITY_SUFFIXES: &[&str] = &[ISSUER, SUBJECT, SCOPE, SESSION, ROLES];

/// The default prefix of the identity headers.
pub const DEFAULT_IDENTITY_PREFIX: &str = "x-auth-";

/// The headers that the edge sets from facts of the platform.
const SET_BY_THE_EDGE: &[&str] = &[
    REQUEST_ID_HEADER,
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "forwarded",
];

/// Prefixes of headers with which a proxy or a platform tells an origin about the client, the host,
/// the path or the user. Frameworks trust them. `x-middleware-` makes Next.js skip its own
/// authorization; Rack reads `x-accel-` and `x-sendfile-type`.
const DROPPED_PREFIXES: &[&str] = &[
    "x-forwarded-",
    "x-original-",
    "x-rewrite-",
    "x-http-method",
    "x-method-override",
    "x-middleware-",
    "x-accel-",
    "x-sendfile-",
    "x-remote-",
    "remote-",
    "x-webauth-",
    "x-ssl-",
    "ssl-client-",
    "client-cert",
    "x-client-cert",
    "x-arr-",
    "cf-access-",
    "x-amzn-oidc-",
    "x-apigateway-",
    "x-endpoint-api-",
    "x-vouch-",
    "oidc-",
    "mellon-",
    "shib-",
    "oam-remote-",
    "x-amzn-mtls-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-goog-iap-",
    "x-goog-authenticated-",
    "x-appengine-",
    "x-azure-",
    "x-envoy-",
    "x-vercel-",
    "x-nf-",
    "cloudfront-",
    "x-consumer-",
    "x-credential-",
    "x-authenticated-",
    "x-authentik-",
    "x-pomerium-",
    "tailscale-",
];

/// Such headers without a common prefix. `proxy` becomes `HTTP_PROXY` (CVE-2016-5385).
const DROPPED_NAMES: &[&str] = &[
    "x-forwarded",
    "forwarded-for",
    "x-host",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-true-client-ip",
    "x-proxyuser-ip",
    "client-ip",
    "true-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "do-connecting-ip",
    "wl-proxy-client-ip",
    "x-scheme",
    "x-url-scheme",
    "x-https",
    "front-end-https",
    "x-rewrite",
    "x-userinfo",
    "x-jwt-payload",
    "x-proxy-user",
    "x-amzn-request-context",
    "auth-user",
    "sm-user",
    "iv-user",
    "iv-groups",
    "proxy",
    "proxy-authorization",
    "method-override",
];

/// Headers that pass only as they are spelled here: the platform sets them, or they frame the
/// message (request smuggling).
const ONE_SPELLING: &[&str] = &["content-length", "content-type", "transfer-encoding"];

/// Headers that a policy must not drop: the request has no meaning without them, or a member of its
/// own decides on them.
const NEVER_IN_DROP: &[&str] = &[
    "authorization",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// Prefixes of headers of HTTP and of the platform, which identity headers must not share.
const OTHER_PREFIXES: &[&str] = &[
    "accept-",
    "access-",
    "cache-",
    "cf-",
    "content-",
    "if-",
    "proxy-",
    "sec-",
    "transfer-",
    "user-",
];

/// The policy's rules for headers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeaderRules {
    prefix: String,
    pass: Vec<String>,
    drop: Vec<String>,
    /// Each header of a claim, with the name of the claim.
    claims: Vec<(String, String)>,
    /// Whether the edge sets `Forwarded` ([RFC 7239]).
    ///
    /// [RFC 7239]: https://www.rfc-editor.org/rfc/rfc7239
    pub forwarded: bool,
    /// Whether an open route forwards the `Authorization` header, which the edge did not verify.
    pub open_authorization: bool,
    /// Whether the edge removes the `Authorization` header that it verified.
    pub strip_token: bool,
}

impl Default for HeaderRules {
    fn default() -> Self {
        Self {
            prefix: DEFAULT_IDENTITY_PREFIX.to_owned(),
            pass: Vec::new(),
            drop: Vec::new(),
            claims: Vec::new(),
            forwarded: false,
            open_authorization: false,
            strip_token: true,
        }
    }
}

impl HeaderRules {
    /// Rules with the identity headers under `prefix`, which pass the headers `pass` and also drop
    /// the headers `drop`.
    ///
    /// `None` if `prefix` is no lower-case name that ends with `-`, if other headers of the edge or of a
    /// proxy share it, if a name is no lower-case name of letters, digits and hyphens, if `pass` has
    /// a header that the edge sets itself, or if `drop` has one that every request needs.
    pub fn new(prefix: &str, pass: Vec<String>, drop: Vec<String>) -> Option<Self> {
        let is_name = |name: &str| !name.is_empty() && comparable(name) == name;
        let rules = Self {
            prefix: prefix.to_owned(),
            drop,
            ..Self::default()
        };
        let named = pass.iter().chain(&rules.drop).all(|name| is_name(name));
        let is_prefix =
            is_name(prefix) && prefix.len() > 1 && prefix.ends_with('-') && !is_taken(prefix);
        let needed = rules
            .drop
            .iter()
            .any(|name| NEVER_IN_DROP.contains(&name.as_str()));
        let spoofable = pass.iter().any(|name| rules.is_set_by_the_edge(name));
        (named && is_prefix && !spoofable && !needed).then_some(Self { pass, ..rules })
    }

    /// The same rules with further identity headers: `claims` has the name of each header and of its
    /// claim.
    ///
    /// `None` if the name of a header is not in lower case, is not under the prefix, is another header
    /// of the edge or is in `pass`, if `roles` under the prefix has another claim, or if a claim is
    /// one of those that are no header of a claim, such as `sub`.
    pub fn with_claims(self, claims: Vec<(String, String)>) -> Option<Self> {
        let is_free = |name: &str, claim: &str| {
            let suffix = name.strip_prefix(&self.prefix).unwrap_or_default();
            !suffix.is_empty()
                && comparable(name) == name
                && (!self.is_set_by_the_edge(name) || suffix == ROLES && claim == ROLES)
                && !self.pass.iter().any(|passed| passed == name)
                && !claim.is_empty()
                && !RESERVED_CLAIMS.contains(&claim)
        };
        if !claims.iter().all(|(name, claim)| is_free(name, claim)) {
            return None;
        }
        let mut rules = self;
        rules.claims = claims;
        Some(rules)
    }

    /// Each header of a claim, with the name of the claim.
    pub fn claims(&self) -> impl Iterator<Item = (&str, &str)> {
        let claims = self.claims.iter();
        claims.map(|(name, claim)| (name.as_str(), claim.as_str()))
    }

    /// The headers of the claims of a token, each with its value.
    ///
    /// # Errors
    ///
    /// [`Denial::UnforwardableClaim`] if all of them exceed [`MAX_CLAIM_HEADER_BYTES`].
    pub fn claim_headers(&self, token: &Claims) -> Result<Vec<(String, String)>, Denial> {
        let mut headers = Vec::new();
        let mut length = 0_usize;
        for (name, claim) in &self.claims {
            if let Some(value) = value_of(token, claim) {
                length = length
                    .saturating_add(name.len())
                    .saturating_add(value.len());
                headers.push((name.clone(), value));
            }
        }
        // SECURITY: never in part. An origin must not read a missing header as a missing right.
        if length > MAX_CLAIM_HEADER_BYTES {
            return Err(Denial::UnforwardableClaim);
        }
        Ok(headers)
    }

    /// The prefix of the identity headers.
    pub fn identity_prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the edge removes an inbound header, on guarded and on open routes.
    pub fn drops(&self, name: &str) -> bool {
        let compared = comparable(name);
        let name = name.to_ascii_lowercase();
        if self.is_set_by_the_edge(&compared) {
            return true;
        }
        // SECURITY: only the listed spelling passes. Another one would be the same variable.
        if self.pass.contains(&name) {
            return false;
        }
        let listed = |names: &[&str]| names.contains(&compared.as_str());
        let starts = |prefix: &&str| compared.starts_with(*prefix);
        let respelled = name != compared && (starts(&"cf-") || listed(ONE_SPELLING));
        respelled
            || starts(&self.prefix.as_str())
            || DROPPED_PREFIXES.iter().any(starts)
            || listed(DROPPED_NAMES)
            || self.drop.contains(&compared)
    }

    /// Whether the origin receives the `Authorization` header of a request; `verified` says whether
    /// the edge verified the token in it.
    pub const fn forwards_authorization(&self, verified: bool) -> bool {
        if verified {
            !self.strip_token
        } else {
            self.open_authorization
        }
    }

    /// The forwarding headers, from `connection`.
    pub fn forwarding_headers(&self, connection: &Connection<'_>) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("x-forwarded-host", connection.host.to_owned()),
            ("x-forwarded-proto", connection.scheme.to_owned()),
        ];
        if let Some(address) = connection.client {
            headers.push(("x-forwarded-for", address.to_owned()));
            headers.push((CLIENT_ADDRESS_HEADER, address.to_owned()));
        }
        if self.forwarded {
            headers.push(("forwarded", connection.forwarded()));
        }
        headers
    }

    /// SECURITY: the names under the default prefix stay reserved under another prefix, because an
    /// origin may still read them.
    fn is_set_by_the_edge(&self, compared: &str) -> bool {
        let identity = |prefix: &str| {
            let suffix = compared.strip_prefix(prefix);
            suffix.is_some_and(|suffix| IDENTITY_SUFFIXES.contains(&suffix))
        };
        SET_BY_THE_EDGE.contains(&compared)
            || compared.starts_with(RESERVED_PREFIX)
            || identity(&self.prefix)
            || identity(DEFAULT_IDENTITY_PREFIX)
            || self.claims.iter().any(|(name, _)| name == compared)
    }
}

/// The platform's facts about the client's connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'r> {
    /// `http` or `https`, from the URL of the request.
    pub scheme: &'r str,
    /// The host, with its port if it is not the default one, from the URL of the request.
    pub host: &'r str,
    client: Option<&'r str>,
}

impl<'r> Connection<'r> {
    /// The address of the client, if the platform tells one.
    pub const fn client(&self) -> Option<&'r str> {
        self.client
    }

    /// The connection of a request for the absolute `url` from the address `client`, as the platform
    /// tells both. A text that is no address counts as none.
    pub fn of_url(url: &'r str, client: Option<&'r str>) -> Self {
        let scheme_end = url.find(':').unwrap_or_default();
        let start = scheme_end.saturating_add("://".len());
        let rest = url.get(start..).unwrap_or_default();
        let ends = |byte| matches!(byte, b'/' | b'?' | b'#');
        let host_end = rest.bytes().position(ends).unwrap_or(rest.len());
        Self {
            scheme: url.get(..scheme_end).unwrap_or_default(),
            host: rest.get(..host_end).unwrap_or_default(),
            client: client.filter(|address| ClientNetwork::parse(address).is_some()),
        }
    }

    /// One element ([RFC 7239 §4]). Every value is a quoted string, which IPv6 and ports need; a URL
    /// has no quotation mark in its host.
    ///
    /// [RFC 7239 §4]: https://www.rfc-editor.org/rfc/rfc7239#section-4
    fn forwarded(&self) -> String {
        // RFC 7239 §6: an IPv6 address has brackets.
        let address = self.client.unwrap_or("unknown");
        let (open, close) = if address.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        let (host, scheme) = (self.host, self.scheme);
        format!(r#"for="{open}{address}{close}";host="{host}";proto="{scheme}""#)
    }
}

/// Whether a header is under `prefix`, which is in lower case, in any spelling.
pub fn is_under(name: &str, prefix: &str) -> bool {
    comparable(name).starts_with(prefix)
}

/// Whether a header is under the prefix that only the edge uses, in any spelling.
pub fn is_reserved(name: &str) -> bool {
    is_under(name, RESERVED_PREFIX)
}

/// Whether identity headers under `prefix` could be taken for headers of HTTP, of the edge, of a
/// proxy or of a platform.
fn is_taken(prefix: &str) -> bool {
    let shares = |other: &str| prefix.starts_with(other) || other.starts_with(prefix);
    let names = SET_BY_THE_EDGE.iter().chain(DROPPED_NAMES);
    shares(RESERVED_PREFIX)
        || DROPPED_PREFIXES
            .iter()
            .chain(OTHER_PREFIXES)
            .any(|other| shares(other))
        || names.into_iter().any(|name| name.starts_with(prefix))
}

/// The form in which names are compared.
fn comparable(name: &str) -> String {
    let mut compared = String::with_capacity(name.len());
    for byte in name.bytes() {
        compared.push(if byte.is_ascii_alphanumeric() {
            char::from(byte.to_ascii_lowercase())
        } else {
            '-'
        });
    }
    compared
}

#[cfg(test)]
mod tests;
