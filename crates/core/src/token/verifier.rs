//! Verification as two pure steps around one effect: inspect, check the signature in an adapter,
//! accept.

use core::time::Duration;

use crate::denial::Denial;
use crate::keys::document::PublishedKey;
use crate::keys::ring::KeyRing;
use crate::policy::TrustedIssuer;
use crate::revocation::CLOCK_SKEW;
use crate::time::UnixTime;
use crate::token::claims::Claims;
use crate::token::jws::Jws;
use crate::token::signature::{SignatureCheck, SignatureVerdict};

/// Verifies tokens of the trusted issuers.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'p> {
    issuers: &'p [TrustedIssuer],
}

/// A token with valid form and claims, before its signature check.
///
/// Its claims are unreadable before [`Inspected::accept`].
#[derive(Debug)]
#[must_use]
pub struct Inspected<'t, 'k> {
    jws: Jws<'t>,
    key: &'k PublishedKey,
    key_id: String,
    claims: Claims,
}

/// A value with a verified signature and checked claims.
///
/// INVARIANT: only [`Inspected::accept`] creates one, so an unchecked token cannot reach a function
/// that takes `Verified<Claims>`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified<T> {
    value: T,
    key_id: String,
    key_ends_at: Option<UnixTime>,
}

impl<T> Verified<T> {
    /// The checked value.
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// The `kid` of the signing key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The time when that key stops verifying, as known at the signature check.
    pub const fn key_ends_at(&self) -> Option<UnixTime> {
        self.key_ends_at
    }
}

impl<'p> Verifier<'p> {
    /// A verifier that trusts `issuers`, each with its own rules.
    pub const fn new(issuers: &'p [TrustedIssuer]) -> Self {
        Self { issuers }
    }

    /// Checks everything about `token` that needs no key operation: form, claims, issuer, type,
    /// audience, time, and that its key is known and allowed. Cheap checks run first.
    ///
    /// # Errors
    ///
    /// The first [`Denial`] in that order.
    pub fn inspect<'t, 'k>(
        &self,
        token: &'t str,
        keys: &'k KeyRing,
        now: UnixTime,
    ) -> Result<Inspected<'t, 'k>, Denial> {
        let jws = Jws::parse(token)?;
        let claims = Claims::parse(&jws.payload)?;
        let mut issuers = self.issuers.iter();
        let trusted = issuers.find(|trusted| trusted.issuer == claims.issuer);
        let trusted = trusted.ok_or(Denial::UnknownIssuer)?;
        if !jws
            .header
            .media_type
            .as_deref()
            .is_some_and(is_access_token_type)
        {
            return Err(Denial::WrongType);
        }
        if !claims
            .audience
            .iter()
            .any(|name| trusted.audience.contains(name))
        {
            return Err(Denial::WrongAudience);
        }
        trusted.check_time(&claims, now)?;
        let key_id = jws.header.key_id.clone().ok_or(Denial::MissingKeyId)?;
        if !trusted.algorithms.contains(&jws.header.algorithm) {
            return Err(Denial::AlgorithmNotAllowed);
        }
        let key = keys
            .find(&trusted.issuer, &key_id, now)
            .ok_or(Denial::UnknownKey)?;
        let inspected = Inspected {
            jws,
            key,
            key_id,
            claims,
        };
        SignatureCheck::new(&inspected.jws, &inspected.key.key)?;
        Ok(inspected)
    }
}

impl<'p> Verifier<'p> {
    /// As [`Verifier::inspect`], for an expired token: it is checked at the last second of its
    /// validity. Its claims grant nothing and only name the session that its bearer wants to end.
    ///
    /// # Errors
    ///
    /// As [`Verifier::inspect`], but never [`Denial::Expired`].
    pub fn inspect_expired<'t, 'k>(
        &self,
        token: &'t str,
        keys: &'k KeyRing,
        now: UnixTime,
    ) -> Result<Inspected<'t, 'k>, Denial> {
        let claims = Claims::parse(&Jws::parse(token)?.payload)?;
        let last = claims.expires_at.minus(Duration::from_secs(1));
        self.inspect(token, keys, last.min(now))
    }
}

impl Inspected<'_, '_> {
    /// The one signature to check.
    ///
    /// # Errors
    ///
    /// None that [`Verifier::inspect`] has not returned already.
    pub fn check(&self) -> Result<SignatureCheck<'_>, Denial> {
        SignatureCheck::new(&self.jws, &self.key.key)
    }

    /// Returns the claims after the signature check.
    ///
    /// # Errors
    ///
    /// [`Denial::BadSignature`] unless the signature is valid.
    pub fn accept(self, verdict: SignatureVerdict) -> Result<Verified<Claims>, Denial> {
        match verdict {
            SignatureVerdict::Valid => Ok(Verified {
                value: self.claims,
                key_id: self.key_id,
                key_ends_at: self.key.ends_at,
            }),
            SignatureVerdict::Invalid => Err(Denial::BadSignature),
        }
    }
}

impl TrustedIssuer {
    /// Checks the times of a token at `now`, with this issuer's leeway.
    ///
    /// `exp` and the maximum age get the leeway alone. `nbf` and `iat` get the leeway plus
    /// [`CLOCK_SKEW`] (2 s), because a host's clock may run ahead of the edge's. The lifetime check
    /// has no leeway.
    ///
    /// # Errors
    ///
    /// [`Denial::Expired`] from `exp` plus the leeway on ([RFC 7519 §4.1.4]),
    /// [`Denial::NotYetValid`], [`Denial::IssuedInFuture`], [`Denial::LifetimeTooLong`],
    /// [`Denial::TooOld`].
    ///
    /// [RFC 7519 §4.1.4]: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4
    pub fn check_time(&self, claims: &Claims, now: UnixTime) -> Result<(), Denial> {
        let soon = now.plus(self.leeway).plus(CLOCK_SKEW);
        if claims.expires_at.plus(self.leeway) <= now {
            return Err(Denial::Expired);
        }
        if claims.not_before.is_some_and(|start| soon < start) {
            return Err(Denial::NotYetValid);
        }
        if soon < claims.issued_at {
            return Err(Denial::IssuedInFuture);
        }
        if claims.issued_at.until(claims.expires_at) > self.max_lifetime {
            return Err(Denial::LifetimeTooLong);
        }
        if self
            .max_age
            .is_some_and(|most| now.since(claims.issued_at) > most.saturating_add(self.leeway))
        {
            return Err(Denial::TooOld);
        }
        Ok(())
    }
}

/// `at+jwt`, with or without `application/`, in any case ([RFC 9068 §4], [RFC 7515 §4.1.9]).
///
/// [RFC 9068 §4]: https://www.rfc-editor.org/rfc/rfc9068#section-4
/// [RFC 7515 §4.1.9]: https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9
fn is_access_token_type(media_type: &str) -> bool {
    ["at+jwt", "application/at+jwt"]
        .iter()
        .any(|name| media_type.eq_ignore_ascii_case(name))
}
