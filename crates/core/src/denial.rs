//! Why a request is refused: the words shared by the gate, the audit trail and the answer.

/// Why a request was refused.
///
/// Exhaustive on purpose: a new reason must fail to compile until every door has an answer for it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Denial {
    // The request.
    /// The path is not in the one form that is judged and forwarded.
    BadPath,
    /// Too many requests came from the same network; none of this one was looked at.
    RateLimited(RatePeriod),
    /// No route of the policy covers the path.
    UnknownRoute,
    /// A guarded route, and no token.
    MissingToken,
    /// An `Authorization` header that is not one `Bearer` token (RFC 6750 §2.1).
    MalformedAuthorization,

    // The token's form.
    /// Longer than a token may be; nothing of it was parsed.
    TokenTooLarge,
    /// Not three parts between two dots (RFC 7515 §7.1).
    MalformedToken,
    /// A part is not canonical base64url without padding (RFC 7515 §2).
    MalformedBase64,
    /// The header is no JSON object with each member once (RFC 7515 §4).
    MalformedHeader,
    /// A header member that we refuse to act on.
    ForbiddenHeader(ForbiddenHeader),
    /// `alg` is `none` or one we do not know (RFC 8725 §3.1).
    UnsupportedAlgorithm,
    /// `typ` is not the one this issuer's tokens bear (RFC 9068 §4, RFC 8725 §3.11).
    WrongType,
    /// No `kid`.
    MissingKeyId,

    // The claims.
    /// The payload is no JSON object with each member once, or a claim has the wrong type.
    MalformedClaims,
    /// A claim that must be there is not.
    MissingClaim(RequiredClaim),
    /// A claim would not survive as a header value.
    UnforwardableClaim,
    /// The token is bound to a key (`cnf`), and nothing proves its possession.
    BoundToken,
    /// Nobody the policy trusts issued it.
    UnknownIssuer,
    /// Meant for somebody else (RFC 7519 §4.1.3).
    WrongAudience,
    /// Its time has passed (RFC 7519 §4.1.4).
    Expired,
    /// Its time has not come (RFC 7519 §4.1.5).
    NotYetValid,
    /// It says it was issued later than now.
    IssuedInFuture,
    /// It lives longer than the policy lets this issuer's tokens live.
    LifetimeTooLong,
    /// It was issued longer ago than the policy allows.
    TooOld,

    // The signature.
    /// The key exists, but not for this algorithm, or the policy does not list it.
    AlgorithmNotAllowed,
    /// No such key, or its time is over.
    UnknownKey,
    /// The platform cannot use the key: a point off its curve, say.
    UnusableKey,
    /// The signature does not match.
    BadSignature,

    // What is known of the bearer.
    /// Called back before it expired: the token, its session, its key or its subject.
    Revoked,
    /// The token lacks a scope that the route asks for (RFC 6750 §3.1).
    InsufficientScope,

    // Ours to answer for.
    /// Keys and revocations are older than the policy lets anyone rely on.
    StaleSnapshot,
    /// Whether the token was called back had to be looked up, and could not be.
    RevocationUnknown,
    /// The door lacks a setting or a secret.
    NotConfigured,
    /// The origin did not answer.
    OriginUnreachable,
}

/// Over how long an edge platform counts requests: one passes again after it at the latest.
// As small as the other reasons: a denial is part of nearly every answer, and a wide one weighs in wasm.
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

/// A JOSE header member that could change what the signature means or where the key comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ForbiddenHeader {
    /// `b64` (RFC 7797): the payload would not be base64url.
    B64,
    /// `crit` (RFC 7515 §4.1.11): extensions we must understand; we know none.
    Crit,
    /// `cty` (RFC 7515 §4.1.10): the payload is something else than claims.
    Cty,
    /// `jku` (RFC 7515 §4.1.2): a key from wherever the sender likes.
    Jku,
    /// `jwk` (RFC 7515 §4.1.3): a key of the sender's own.
    Jwk,
    /// `x5u` (RFC 7515 §4.1.5): a certificate from wherever the sender likes.
    X5u,
    /// `zip`: compression, a decompression bomb at best.
    Zip,
}

impl ForbiddenHeader {
    /// Each with the member's name.
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

/// A claim that a token cannot do without (RFC 9068 §2.2).
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
    /// A stable name for answers, metrics and audit: never holds anything the caller sent.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadPath => "bad_path",
            Self::RateLimited(_) => "rate_limited",
            Self::UnknownRoute => "unknown_route",
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
            Self::StaleSnapshot => "stale_snapshot",
            Self::RevocationUnknown => "revocation_unknown",
            Self::NotConfigured => "not_configured",
            Self::OriginUnreachable => "origin_unreachable",
        }
    }
}
