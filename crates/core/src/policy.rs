//! The policy: the trusted issuers, the requirement of each route, and the maximum age of the
//! snapshot.

mod members;
mod text;

use core::time::Duration;

use thiserror::Error;

use crate::forwarding::HeaderRules;
use crate::keys::jwk::JwkError;
use crate::keys::set::JwkSet;
use crate::resource::ResourceMetadata;
use crate::route::Routes;
use crate::token::algorithm::Algorithm;

/// The placeholder for this deployment's issuer in a policy text; the adapter knows the issuer.
pub const OWN_ISSUER: &str = "$PORTCULLIS_ISSUER";

/// The maximum lifetime of an access token: one day. Hosts issue no longer one, and policies accept
/// none.
pub const MAX_LIFETIME: Duration = Duration::from_secs(86_400);

/// The maximum leeway of an issuer.
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// The maximum hard staleness bound of a policy.
pub const MAX_STALENESS: Duration = Duration::from_secs(3_600);

/// A validated policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The trusted issuers; each occurs once.
    pub issuers: Vec<TrustedIssuer>,
    /// The requirement of each route.
    pub routes: Routes,
    /// The staleness bounds of revocations.
    pub revocations: Staleness,
    /// The staleness bounds of keys.
    pub keys: Staleness,
    /// The headers of forwarded requests.
    pub headers: HeaderRules,
    /// The metadata of its resources.
    pub published: Vec<ResourceMetadata>,
}

/// An issuer and the rules for its tokens.
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    /// The issuer identifier, compared byte for byte (`iss`).
    pub issuer: String,
    /// The accepted audiences; a token must contain one of them (`aud`).
    pub audience: Vec<String>,
    /// The permitted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// The source of its keys.
    pub keys: KeySource,
    /// The permitted clock difference: 0 to 60 s.
    pub leeway: Duration,
    /// The maximum lifetime of its tokens (`exp - iat`).
    pub max_lifetime: Duration,
    /// The maximum time since issue, if it is limited beyond the lifetime.
    pub max_age: Option<Duration>,
}

/// The source of an issuer's keys.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// The key document of the store, for this deployment's own issuer.
    Document,
    /// The policy itself.
    Fixed(JwkSet),
}

/// Staleness bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Staleness {
    /// From this age on, a request triggers a refresh in the background.
    pub poll: Duration,
    /// Beyond this age a request waits for the refresh.
    pub soft: Duration,
    /// Beyond this age the data is not used.
    pub hard: Duration,
}

/// The reason why a policy is invalid. May quote the policy, never a key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PolicyError {
    /// The text is not strict JSON.
    #[error("the policy is not valid JSON, or a member is repeated")]
    NotJson,
    /// A member is missing, unknown or of the wrong type.
    #[error("{0} is not {1}")]
    Malformed(String, &'static str),
    /// There is no issuer, or one occurs twice.
    #[error("a policy needs at least one issuer, each listed once")]
    Issuers,
    /// Two issuers use the key document, which belongs to one issuer.
    #[error("only one issuer may have its keys in the document")]
    TwoDocuments,
    /// The policy uses the placeholder for the issuer, and the adapter has no issuer configured.
    #[error("the policy says $PORTCULLIS_ISSUER, and PORTCULLIS_ISSUER is not set")]
    NoOwnIssuer,
    /// An issuer without audience or algorithms, or with an unknown algorithm.
    #[error("issuer {0}: audience and algorithms must be given, each algorithm one we know")]
    Issuer(String),
    /// An unknown profile.
    #[error("issuer {0}: the profile is at+jwt")]
    Profile(String),
    /// An issuer's fixed keys are malformed, or none of them is supported or fits an algorithm of the
    /// issuer.
    #[error("issuer {0}: its keys are not acceptable: {1}")]
    Keys(String, JwkError),
    /// HS256 without a fixed key of its own, or combined with algorithms that use public keys.
    #[error(
        "issuer {0}: HS256 cannot be combined with other algorithms and needs fixed keys of at least 32 bytes"
    )]
    SharedSecret(String),
    /// A duration is out of range.
    #[error("{0} is out of its range")]
    Range(&'static str),
    /// The rules for headers are inconsistent.
    #[error(
        "headers: identity_prefix is lower-case letters, digits and hyphens, ends with a hyphen and \
         is no prefix of HTTP, of the edge or of a proxy; \
         pass and drop have names of lower-case letters, digits and hyphens; pass has no header \
         that the edge sets; drop has no header that every request needs"
    )]
    Headers,
    /// A header of a claim is not under the prefix, is another header, or its claim is reserved.
    #[error(
        "headers.claims: a header is in lower case under identity_prefix, free and not in pass; \
         a claim is not reserved"
    )]
    ClaimHeaders,
    /// A resource is no URL in canonical form or no audience of an issuer, two have one metadata
    /// path, or a route without a required token names one.
    #[error(
        "resource {0:?}: an https URL (http on loopback) in lower case without query, fragment and \
         final slash, which is an audience of an issuer; each with a path of its own; on routes \
         with the access token"
    )]
    Resource(String),
    /// A route forwards an identity that it cannot have.
    #[error("route {0:?}: identity is if_present, on a route with the access open")]
    Identity(String),
    /// The origins of CORS rules are missing, invalid or too broad.
    #[error("cors: origins lists https origins, or is \"*\" without credentials")]
    Cors,
    /// A route allows a WebSocket and requires a lookup for every request.
    #[error("route {0:?}: upgrade needs the revocation check by the feed")]
    Upgrade(String),
    /// A route's path is no canonical path or subtree, or occurs twice.
    #[error(
        "route {0:?}: a path must be canonical, unique for its methods, and may have a wildcard only \
         as the final /*"
    )]
    Route(String),
    /// No request can have a route: each path that its pattern covers is rejected or reserved.
    #[error(
        "route {0:?}: no request can reach it: the edge rejects a path with a second encoding of a \
         slash or of dots unless the route says exact or encoded_slash, and publishes keys at \
         /.well-known/portcullis-assertion-keys itself"
    )]
    Unreachable(String),
    /// A route's path has a parameter.
    #[error(
        "route {0:?}: parameters and regular expressions are not supported: write the path up to \
         the parameter as a subtree, such as /users/* for /users/:id"
    )]
    RouteParameter(String),
    /// A route's access, scopes, roles or revocation check are inconsistent.
    #[error(
        "route {0:?}: access is open (without scopes, roles and revocation) or token; scopes are \
         scope tokens; revocation is feed or lookup"
    )]
    Requirement(String),
}

impl Policy {
    /// Parses a policy from JSON; `own_issuer` replaces [`OWN_ISSUER`].
    ///
    /// `docs/policy.md` describes the format. Unknown and repeated members are rejected.
    ///
    /// # Errors
    ///
    /// The first [`PolicyError`] found.
    pub fn parse(json: &str, own_issuer: Option<&str>) -> Result<Self, PolicyError> {
        text::parse(json, own_issuer)
    }

    /// The metadata that the edge publishes at `path`.
    pub fn published_at(&self, path: &str) -> Option<&str> {
        let found = self.published.iter().find(|one| one.path == path);
        found.map(|one| one.document.as_str())
    }

    /// The issuer with the identifier `name`.
    pub fn issuer(&self, name: &str) -> Option<&TrustedIssuer> {
        self.issuers.iter().find(|trusted| trusted.issuer == name)
    }

    /// The issuer with its keys in the key document, if the policy trusts one.
    pub fn document_issuer(&self) -> Option<&TrustedIssuer> {
        self.issuers
            .iter()
            .find(|trusted| matches!(trusted.keys, KeySource::Document))
    }

    /// The maximum age of a revocation that can still affect a token: the policy accepts no older
    /// token.
    pub fn revocation_reach(&self) -> Duration {
        let reach = |trusted: &TrustedIssuer| trusted.max_lifetime.saturating_add(trusted.leeway);
        self.issuers.iter().map(reach).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
