//! The origin's rules for an assertion. The caller verifies the signature.

use core::fmt;
use core::time::Duration;

use crate::assertion::{Identity, LIFETIME, MEDIA_TYPE};
use crate::base64url;
use crate::json::{Json, Object};
use crate::time::UnixTime;
use crate::token::jws::Jws;

/// The maximum length of an assertion, in bytes. It contains the target of the request.
pub const MAX_ASSERTION_BYTES: usize = 32_768;

/// The maximum difference between the clocks of edge and origin.
pub const MAX_LEEWAY: Duration = Duration::from_secs(60);

/// The default difference between the clocks of edge and origin.
pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(5);

/// The reason why a request has no proof of the edge. For the log of the origin only.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProofError {
    /// The request does not have exactly one header with the proof.
    NotOneHeader,
    /// The secret is another one.
    WrongSecret,
    /// The text is no strict compact JWS, or too long.
    Malformed,
    /// `typ` is not [`MEDIA_TYPE`].
    WrongType,
    /// No configured key has this `kid`.
    UnknownKey,
    /// The configured key has another algorithm.
    WrongAlgorithm,
    /// The signature does not match.
    BadSignature,
    /// The claims are no strict JSON object, or one is missing or of the wrong type.
    MalformedClaims,
    /// `aud` is another origin.
    WrongAudience,
    /// `iat` is in the future.
    IssuedInFuture,
    /// `exp` has passed.
    Expired,
    /// The lifetime exceeds [`LIFETIME`].
    LifetimeTooLong,
    /// `htm` is another method.
    WrongMethod,
    /// `htp` is another request target.
    WrongTarget,
    /// `host` is not in the configured list.
    WrongHost,
}

impl ProofError {
    /// A stable text for logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOneHeader => "not_one_header",
            Self::WrongSecret => "wrong_secret",
            Self::Malformed => "malformed",
            Self::WrongType => "wrong_type",
            Self::UnknownKey => "unknown_key",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::BadSignature => "bad_signature",
            Self::MalformedClaims => "malformed_claims",
            Self::WrongAudience => "wrong_audience",
            Self::IssuedInFuture => "issued_in_future",
            Self::Expired => "expired",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::WrongMethod => "wrong_method",
            Self::WrongTarget => "wrong_target",
            Self::WrongHost => "wrong_host",
        }
    }
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for ProofError {}

/// Parses an assertion as a JWS and checks its type. Nothing in it is verified yet.
///
/// # Errors
///
/// [`ProofError::Malformed`], [`ProofError::WrongType`], or [`ProofError::WrongAlgorithm`] for an
/// `alg` in a spelling that the edge does not write.
pub fn parse(assertion: &str) -> Result<Jws<'_>, ProofError> {
    let jws =
        Jws::parse_within(assertion, MAX_ASSERTION_BYTES).map_err(|_| ProofError::Malformed)?;
    // SECURITY: RFC 8725 §3.11. An access token of the same key is no assertion.
    if jws.header.media_type.as_deref() != Some(MEDIA_TYPE) {
        return Err(ProofError::WrongType);
    }
    if algorithm_text(&jws).as_deref() != Some(jws.header.algorithm.as_str()) {
        return Err(ProofError::WrongAlgorithm);
    }
    Ok(jws)
}

/// `alg` as written: a JWS may also have `Ed25519` for `EdDSA` (RFC 9864 §2.2).
fn algorithm_text(jws: &Jws<'_>) -> Option<String> {
    let (header, _) = jws.signing_input.split_once('.')?;
    let members = Json::parse_object(&base64url::decode(header)?).ok()?;
    members.get("alg")?.as_text().map(str::to_owned)
}

/// The request at the origin, and the origin's settings.
#[derive(Clone, Copy, Debug)]
pub struct ReceivedRequest<'r> {
    /// The origin as `scheme://host[:port]`.
    pub audience: &'r str,
    /// The method.
    pub method: &'r str,
    /// Path and query, byte for byte as received.
    pub target: &'r str,
    /// The permitted public hosts; `None` permits every host.
    pub hosts: Option<&'r [String]>,
    /// The current time.
    pub now: UnixTime,
    /// The permitted difference between the clocks, at most [`MAX_LEEWAY`].
    pub leeway: Duration,
}

/// Whether `host` is in the list; host names compare without case ([RFC 3986 §3.2.2]).
///
/// [RFC 3986 §3.2.2]: https://www.rfc-editor.org/rfc/rfc3986#section-3.2.2
pub fn is_listed(host: &str, hosts: &[String]) -> bool {
    hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
}

/// The claims of an assertion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssertionClaims {
    audience: String,
    issued_at: UnixTime,
    expires_at: UnixTime,
    /// The request ID (`jti`).
    pub request_id: String,
    method: String,
    target: String,
    /// The public host of the request (`host`).
    pub host: String,
    /// The verified caller; `None` on an open route.
    pub identity: Option<Identity>,
}

impl AssertionClaims {
    /// Parses the claims of a verified signature.
    ///
    /// # Errors
    ///
    /// [`ProofError::MalformedClaims`] for a missing claim, a claim of the wrong type, an empty
    /// `jti`, `host`, `sub` or `token_iss`, a `sub` without `token_iss` or the reverse, or an `exp`
    /// that is not after `iat`.
    pub fn parse(payload: &[u8]) -> Result<Self, ProofError> {
        let malformed = ProofError::MalformedClaims;
        let members = Json::parse_object(payload).map_err(|_| malformed)?;
        let required = |name| text(&members, name)?.ok_or(malformed);
        let filled = |name| required(name).and_then(not_empty);
        let time = |name| {
            let seconds = members.get(name).and_then(Json::as_whole);
            seconds.map(UnixTime::from_secs).ok_or(malformed)
        };
        let optional = |name| text(&members, name);
        let (scope, session) = (optional("scope")?, optional("sid")?);
        let roles = members
            .get("roles")
            .map(|roles| texts(roles).ok_or(malformed));
        let roles = roles.transpose()?;
        let identity = match (optional("sub")?, optional("token_iss")?) {
            (Some(subject), Some(issuer)) => Some(Identity {
                subject: not_empty(subject)?,
                issuer: not_empty(issuer)?,
                scope,
                session,
                roles: roles.unwrap_or_default(),
            }),
            (None, None) if scope.is_none() && session.is_none() && roles.is_none() => None,
            (_, _) => return Err(malformed),
        };
        let (issued_at, expires_at) = (time("iat")?, time("exp")?);
        if expires_at <= issued_at {
            return Err(malformed);
        }
        Ok(Self {
            audience: required("aud")?,
            issued_at,
            expires_at,
            request_id: filled("jti")?,
            method: required("htm")?,
            target: required("htp")?,
            host: filled("host")?,
            identity,
        })
    }

    /// Checks that the claims are about this request, now.
    ///
    /// # Errors
    ///
    /// The first [`ProofError`] that applies.
    pub fn check(&self, request: &ReceivedRequest<'_>) -> Result<(), ProofError> {
        let leeway = request.leeway.min(MAX_LEEWAY);
        if self.audience != request.audience {
            return Err(ProofError::WrongAudience);
        }
        if self.issued_at.minus(leeway) > request.now {
            return Err(ProofError::IssuedInFuture);
        }
        if request.now >= self.expires_at.plus(leeway) {
            return Err(ProofError::Expired);
        }
        if self.issued_at.until(self.expires_at) > LIFETIME {
            return Err(ProofError::LifetimeTooLong);
        }
        if self.method != request.method {
            return Err(ProofError::WrongMethod);
        }
        // RFC 9112 §3.2: a request target has no fragment, so servers differ in its end.
        if self.target != request.target || self.target.contains('#') {
            return Err(ProofError::WrongTarget);
        }
        if request
            .hosts
            .is_some_and(|hosts| !is_listed(&self.host, hosts))
        {
            return Err(ProofError::WrongHost);
        }
        Ok(())
    }
}

fn not_empty(value: String) -> Result<String, ProofError> {
    match value.is_empty() {
        false => Ok(value),
        true => Err(ProofError::MalformedClaims),
    }
}

/// An array of strings.
fn texts(value: &Json) -> Option<Vec<String>> {
    let values = value.as_array()?.iter();
    values.map(|one| one.as_text().map(str::to_owned)).collect()
}

fn text(members: &Object, name: &str) -> Result<Option<String>, ProofError> {
    let value = members
        .get(name)
        .map(|value| value.as_text().map(str::to_owned));
    value
        .map(|value| value.ok_or(ProofError::MalformedClaims))
        .transpose()
}
