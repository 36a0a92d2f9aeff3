//! Verification as two pure steps round one effect: inspect, check the signature elsewhere, accept.

use crate::denial::Denial;
use crate::keys::document::PublishedKey;
use crate::keys::ring::KeyRing;
use crate::policy::TrustedIssuer;
use crate::revocation::CLOCK_SKEW;
use crate::time::UnixTime;
use crate::token::claims::Claims;
use crate::token::jws::Jws;
use crate::token::signature::{SignatureCheck, SignatureVerdict};

/// Judges tokens of the issuers it trusts.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'p> {
    issuers: &'p [TrustedIssuer],
}

/// A token of good form with good claims whose signature nobody has checked yet.
///
/// Nothing of its claims can be read before [`Inspected::accept`].
#[derive(Debug)]
#[must_use]
pub struct Inspected<'t, 'k> {
    jws: Jws<'t>,
    key: &'k PublishedKey,
    key_id: String,
    claims: Claims,
}

/// A value whose signature and claims were checked.
///
/// Only [`Inspected::accept`] makes one, so a function that takes `Verified<Claims>` cannot be
/// reached by an unchecked token.
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

    /// The `kid` of the key that signed it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// When that key stops verifying, as known when the signature was checked.
    pub const fn key_ends_at(&self) -> Option<UnixTime> {
        self.key_ends_at
    }
}

impl<'p> Verifier<'p> {
    /// Trusts `issuers`, each with its own rules.
    pub const fn new(issuers: &'p [TrustedIssuer]) -> Self {
        Self { issuers }
    }

    /// Judges everything about `token` that needs no key operation, cheap refusals first: form,
    /// header, claims, issuer, type, audience, time, and that its key is known and allowed.
    ///
    /// # Errors
    ///
    /// The first [`Denial`] met in that order.
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
        trusted.judge_time(&claims, now)?;
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

impl Inspected<'_, '_> {
    /// The one signature to check.
    ///
    /// # Errors
    ///
    /// None that [`Verifier::inspect`] has not met already.
    pub fn check(&self) -> Result<SignatureCheck<'_>, Denial> {
        SignatureCheck::new(&self.jws, &self.key.key)
    }

    /// The claims, now that the signature was checked.
    ///
    /// # Errors
    ///
    /// [`Denial::BadSignature`] unless it is valid.
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
    /// Judges the times of a token as they stand at `now`, forgiving this issuer's leeway.
    ///
    /// A host's clock may run ahead of an edge's by [`CLOCK_SKEW`]: a token is not refused for
    /// having been issued in the next two seconds. Its end is not moved by that.
    ///
    /// # Errors
    ///
    /// [`Denial::Expired`] from the second of `exp` on ([RFC 7519 §4.1.4]),
    /// [`Denial::NotYetValid`], [`Denial::IssuedInFuture`], [`Denial::LifetimeTooLong`],
    /// [`Denial::TooOld`].
    ///
    /// [RFC 7519 §4.1.4]: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4
    pub fn judge_time(&self, claims: &Claims, now: UnixTime) -> Result<(), Denial> {
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
