//! The reasons to deny a request, shared by the gate, the audit trail and the response.

/// The reason why a request is denied.
///
/// Exhaustive on purpose: a new reason must fail to compile until every adapter handles it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Denial {
    // The request.
    /// The path is not canonical.
    BadPath,
    /// Too many requests came from the same network; no other check ran.
    RateLimited(RatePeriod),
    /// No route of the policy covers the path.
    UnknownRoute,
    /// The routes of the most specific path do not list the method.
    MethodNotAllowed,
    /// The request wants another protocol, and its route does not allow that, or it is no WebSocket
    /// handshake (RFC 9110 §7.8, RFC 6455 §4.2.1).
    UpgradeNotAllowed,
    /// A page of an origin that the route does not list opens a WebSocket (RFC 6455 §10.2).
    ForeignOrigin,
    /// The route is guarded, and the request has no token.
    MissingToken,
    /// The `Authorization` header is not one `Bearer` token (RFC 6750 §2.1).
    MalformedAuthorization,

    // The token's form.
    /// The token is too long and was not parsed.
    TokenTooLarge,
    /// The token does not have three parts separated by two dots (RFC 7515 §7.1).
    MalformedToken,
    /// A part is not canonical base64url without padding (RFC 7515 §2).
    MalformedBase64,
    /// The header is no JSON object or repeats a member (RFC 7515 §4).
    MalformedHeader,
    /// The header has a forbidden member.
    ForbiddenHeader(ForbiddenHeader),
    /// `alg` is `none` or unknown (RFC 8725 §3.1).
    UnsupportedAlgorithm,
    /// `typ` is not the access token type (RFC 9068 §4, RFC 8725 §3.11).
    WrongType,
    /// `kid` is missing.
    MissingKeyId,

    // The claims.
    /// The payload is no JSON object, repeats a member, or has a claim of the wrong type.
    MalformedClaims,
    /// A required claim is missing.
    MissingClaim(RequiredClaim),
    /// A claim cannot be forwarded as a header value, or all of them are too long.
    UnforwardableClaim,
    /// The token is bound to a key (`cnf`), without proof of possession.
    BoundToken,
    /// The policy does not trust the issuer.
    UnknownIssuer,
    /// The audience does not match (RFC 7519 §4.1.3).
    WrongAudience,
    /// The token is expired (RFC 7519 §4.1.4).
    Expired,
    /// The token is not yet valid (RFC 7519 §4.1.5).
    NotYetValid,
    /// `iat` is in the future.
    IssuedInFuture,
    /// The lifetime exceeds the policy's maximum for this issuer.
    LifetimeTooLong,
    /// The token exceeds the policy's maximum age.
    TooOld,

    // The signature.
    /// The key exists, but not for this algorithm, or the policy does not list it.
    AlgorithmNotAllowed,
    /// The key is unknown or expired.
    UnknownKey,
    /// The platform cannot use the key, for example a point off its curve.
    UnusableKey,
    /// The signature does not match.
    BadSignature,

    // Revocation, scopes and roles.
    /// The token, its session, its key or its subject is revoked.
    Revoked,
    /// The token lacks a scope that the route requires (RFC 6750 §3.1).
    InsufficientScope,
    /// The token has no role of a list that the route requires (RFC 6750 §3.1).
    InsufficientRole,

    // Failures on our side.
    /// Keys and revocations are older than the policy allows.
    StaleSnapshot,
    /// The revocation lookup failed.
    RevocationUnknown,
    /// The adapter lacks a setting or a secret.
    NotConfigured,
    /// The origin did not respond.
    OriginUnreachable,
}

/// The window of an edge platform's rate limiter; a request passes again after it at the latest.
// As small as the other variants: a denial is part of nearly every result, and a large one adds to
// the wasm size.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RatePeriod {
    /// 10 seconds.
    TenSeconds,
    /// 60 seconds.
    Minute,
}

impl RatePeriod {
    /// The period in seconds.
    pub const fn secs(self) -> u64 {
        match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
        }
    }
}

/// A JOSE header member that could change the meaning of the signature or the source of the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ForbiddenHeader {
    /// `b64` (RFC 7797): the payload would not be base64url.
    B64,
    /// `crit` (RFC 7515 §4.1.11): extensions that a verifier must understand; none is supported.
    Crit,
    /// `cty` (RFC 7515 §4.1.10): the payload is not a set of claims.
    Cty,
    /// `jku` (RFC 7515 §4.1.2): a key from a URL of the sender's choice.
    Jku,
    /// `jwk` (RFC 7515 §4.1.3): the sender's own key.
    Jwk,
    /// `x5u` (RFC 7515 §4.1.5): a certificate from a URL of the sender's choice.
    X5u,
    /// `zip`: compression, a risk of decompression bombs.
    Zip,
}

impl ForbiddenHeader {
    /// Each variant with the member's name.
    pub const ALL: [(&'static str, Self); 7] = [
        ("b64", Self::B64),
        ("crit", Self::Crit),
        ("cty", Self::Cty),
        ("jku", Self::Jku),
        ("jwk", Self::Jwk),
        ("x5u", Self::X5u),
        ("zip", Self::Zip),
    ];
}

/// A required claim (RFC 9068 §2.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RequiredClaim {
    /// `aud`.
    Audience,
    /// `client_id`.
    ClientId,
    /// `exp`.
    ExpiresAt,
    /// `iat`.
    IssuedAt,
    /// `iss`.
    Issuer,
    /// `sub`.
    Subject,
    /// `jti`.
    TokenId,
}

impl Denial {
    /// The stable identifier for responses, metrics and audit. Never contains client input.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadPath => "bad_path",
            Self::RateLimited(_) => "rate_limited",
            Self::UnknownRoute => "unknown_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UpgradeNotAllowed => "upgrade_not_allowed",
            Self::ForeignOrigin => "foreign_origin",
            Self::MissingToken => "missing_token",
            Self::MalformedAuthorization => "malformed_authorization",
            Self::TokenTooLarge => "token_too_large",
            Self::MalformedToken => "malformed_token",
            Self::MalformedBase64 => "malformed_base64",
            Self::MalformedHeader => "malformed_header",
            Self::ForbiddenHeader(ForbiddenHeader::B64) => "forbidden_header_b64",
            Self::ForbiddenHeader(ForbiddenHeader::Crit) => "forbidden_header_crit",
            Self::ForbiddenHeader(ForbiddenHeader::Cty) => "forbidden_header_cty",
            Self::ForbiddenHeader(ForbiddenHeader::Jku) => "forbidden_header_jku",
            Self::ForbiddenHeader(ForbiddenHeader::Jwk) => "forbidden_header_jwk",
            Self::ForbiddenHeader(ForbiddenHeader::X5u) => "forbidden_header_x5u",
            Self::ForbiddenHeader(ForbiddenHeader::Zip) => "forbidden_header_zip",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::WrongType => "wrong_type",
            Self::MissingKeyId => "missing_key_id",
            Self::MalformedClaims => "malformed_claims",
            Self::MissingClaim(RequiredClaim::Audience) => "missing_aud",
            Self::MissingClaim(RequiredClaim::ClientId) => "missing_client_id",
            Self::MissingClaim(RequiredClaim::ExpiresAt) => "missing_exp",
            Self::MissingClaim(RequiredClaim::IssuedAt) => "missing_iat",
            Self::MissingClaim(RequiredClaim::Issuer) => "missing_iss",
            Self::MissingClaim(RequiredClaim::Subject) => "missing_sub",
            Self::MissingClaim(RequiredClaim::TokenId) => "missing_jti",
            Self::UnforwardableClaim => "unforwardable_claim",
            Self::BoundToken => "token_binding_unsupported",
            Self::UnknownIssuer => "unknown_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::LifetimeTooLong => "lifetime_too_long",
            Self::TooOld => "too_old",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::UnknownKey => "unknown_key",
            Self::UnusableKey => "unusable_key",
            Self::BadSignature => "bad_signature",
            Self::Revoked => "revoked",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientRole => "insufficient_role",
            Self::StaleSnapshot => "stale_snapshot",
            Self::RevocationUnknown => "revocation_unknown",
            Self::NotConfigured => "not_configured",
            Self::OriginUnreachable => "origin_unreachable",
        }
    }
}
