//! Refresh tokens: one token family per session, of which one token at a time is current.
//!
//! A token is `sid.generation.secret.mac`. The MAC is under a root key of the host: only an issued
//! token can count as reused, so an attacker cannot revoke a session by guessing. The store holds a
//! hash of the secret and, for the grace window, the successor of the last used token, sealed under
//! that token. Neither the table nor an old token opens it alone.

use core::fmt;
use core::time::Duration;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::base64url;
use crate::id::Id;
use crate::root_keys::{NONCE_BYTES, Purpose, RootKeys};
use crate::secret::Secret;
use crate::time::UnixTime;

/// The length of the secret, in bytes.
pub const SECRET_BYTES: usize = 32;

/// The maximum length of a text that is parsed: an ID of 64 characters, a number of 20, two parts
/// of 43.
const MAX_BYTES: usize = 64 + 20 + 43 + 43 + 3;

/// The first generation of a session.
const FIRST: u64 = 1;

/// The way in which a refresh token reaches its client.
///
/// SECURITY: part of its MAC. A token that a script has read out of a cookie jar or a log is useless
/// in a body, and a token of an app cannot be planted in a browser.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// In the body of a response: the client stores it.
    Body,
    /// As a cookie that no script reads.
    Cookie,
}

impl Delivery {
    /// Its part of the MAC.
    const fn mark(self) -> &'static [u8] {
        match self {
            Self::Body => b"body",
            Self::Cookie => b"cookie",
        }
    }
}

/// One token of a family, issued by a host: [`RefreshToken::parse`] has verified its MAC.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    session_id: Id,
    generation: u64,
    delivery: Delivery,
    secret: Secret<[u8; SECRET_BYTES]>,
}

/// The text is no refresh token of this host.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("this is no refresh token of this host")]
pub struct RefreshTokenError;

/// The stored state of a family: the current token and its end.
#[derive(Clone, Eq, PartialEq)]
pub struct RefreshHead {
    /// The generation of the current token; all lower ones are used.
    pub generation: u64,
    /// The SHA-256 of its secret.
    pub hash: [u8; 32],
    /// When it became current.
    pub advanced_at: UnixTime,
    /// The end of the session if it stays idle; never later than its absolute end.
    pub idle_ends_at: UnixTime,
    /// The secret of the current token, sealed under its predecessor; the first has none.
    pub sealed: Option<String>,
}

/// The decision on a presented token.
#[derive(Debug)]
#[must_use]
pub enum Redemption {
    /// It is current: rotate it.
    Rotate,
    /// It is current and so young that its predecessor may still be presented: return it unchanged.
    StillCurrent,
    /// It was used within the grace window: this is its successor.
    Replayed(RefreshToken),
    /// It was used by a concurrent request after this one arrived: no theft.
    Conflict,
    /// It was used before: two parties hold tokens of this family.
    Reused,
    /// The family has expired, by its idle or its absolute end.
    Expired,
    /// It does not follow from the stored state: the table was restored, for example.
    Unknown,
}

impl RefreshToken {
    /// The first token of a session.
    pub const fn first(
        session_id: Id,
        delivery: Delivery,
        secret: Secret<[u8; SECRET_BYTES]>,
    ) -> Self {
        Self {
            session_id,
            generation: FIRST,
            delivery,
            secret,
        }
    }

    /// A token that replaces the current one of `head` without a refresh: after a password change.
    /// The replaced token does not decrypt it, so a thief of that token gains nothing.
    pub const fn replacing(
        head: &RefreshHead,
        session_id: Id,
        delivery: Delivery,
        secret: Secret<[u8; SECRET_BYTES]>,
    ) -> Self {
        Self {
            session_id,
            generation: head.generation.saturating_add(1),
            delivery,
            secret,
        }
    }

    /// Parses a token from outside.
    ///
    /// # Errors
    ///
    /// [`RefreshTokenError`] if it is malformed or its MAC is invalid.
    pub fn parse(text: &str, root_keys: &RootKeys) -> Result<Self, RefreshTokenError> {
        if text.len() > MAX_BYTES {
            return Err(RefreshTokenError);
        }
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(RefreshTokenError);
        let (session_id, generation) = (part()?, part()?);
        let secret = Zeroizing::new(base64url::decode(part()?).ok_or(RefreshTokenError)?);
        let code = base64url::decode(part()?).ok_or(RefreshTokenError)?;
        if parts.next().is_some() || code.len() != crate::root_keys::MAC_BYTES {
            return Err(RefreshTokenError);
        }
        let mut token = Self {
            session_id: Id::parse(session_id).map_err(|_| RefreshTokenError)?,
            generation: whole(generation).ok_or(RefreshTokenError)?,
            delivery: Delivery::Body,
            secret: Secret::new((&**secret).try_into().map_err(|_| RefreshTokenError)?),
        };
        for delivery in [Delivery::Body, Delivery::Cookie] {
            token.delivery = delivery;
            let generation = token.generation.to_be_bytes();
            if root_keys.verify_mac(
                Purpose::RefreshToken,
                &token.authenticated(&generation),
                &code,
            ) {
                return Ok(token);
            }
        }
        Err(RefreshTokenError)
    }

    /// The token for its bearer.
    pub fn to_text(&self, root_keys: &RootKeys) -> Secret<String> {
        let code = root_keys.mac(
            Purpose::RefreshToken,
            &self.authenticated(&self.generation.to_be_bytes()),
        );
        let secret = Zeroizing::new(base64url::encode(self.secret.expose()));
        Secret::new(format!(
            "{}.{}.{}.{}",
            self.session_id,
            self.generation,
            *secret,
            base64url::encode(&code)
        ))
    }

    /// The way in which it was issued.
    pub const fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// The session (`sid`) of its family.
    pub const fn session_id(&self) -> &Id {
        &self.session_id
    }

    /// The stored state after it was issued as the first of its session, or by
    /// [`RefreshToken::replacing`]: no token opens it.
    pub fn head(&self, now: UnixTime, idle_ends_at: UnixTime) -> RefreshHead {
        RefreshHead {
            generation: self.generation,
            hash: self.hash(),
            advanced_at: now,
            idle_ends_at,
            sealed: None,
        }
    }

    /// Its successor with the secret `secret`, and the stored state after the rotation.
    pub fn advance(
        &self,
        secret: Secret<[u8; SECRET_BYTES]>,
        nonce: [u8; NONCE_BYTES],
        root_keys: &RootKeys,
        now: UnixTime,
        idle_ends_at: UnixTime,
    ) -> (Self, RefreshHead) {
        let next = Self {
            session_id: self.session_id.clone(),
            generation: self.generation.saturating_add(1),
            delivery: self.delivery,
            secret,
        };
        let sealed = root_keys.seal(
            Purpose::RefreshSuccessor,
            &self.parts(&self.generation.to_be_bytes()),
            nonce,
            next.secret.expose(),
        );
        let head = RefreshHead {
            sealed: Some(sealed),
            ..next.head(now, idle_ends_at)
        };
        (next, head)
    }

    /// The successor in `sealed`, if it was sealed under this token.
    fn successor(&self, sealed: &str, root_keys: &RootKeys) -> Option<Self> {
        let generation = self.generation.to_be_bytes();
        let opened = root_keys.open(Purpose::RefreshSuccessor, &self.parts(&generation), sealed);
        let secret = <[u8; SECRET_BYTES]>::try_from(opened.ok()?.expose().as_slice()).ok()?;
        Some(Self {
            session_id: self.session_id.clone(),
            generation: self.generation.checked_add(1)?,
            delivery: self.delivery,
            secret: Secret::new(secret),
        })
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose()).into()
    }

    fn authenticated<'a>(&'a self, generation: &'a [u8; 8]) -> [&'a [u8]; 4] {
        let [session_id, generation, secret] = self.parts(generation);
        [session_id, generation, secret, self.delivery.mark()]
    }

    fn parts<'a>(&'a self, generation: &'a [u8; 8]) -> [&'a [u8]; 3] {
        let session_id = self.session_id.as_str().as_bytes();
        [session_id, generation, self.secret.expose()]
    }
}

impl RefreshHead {
    /// Decides on `presented`, a token of this family that arrived at `now`. A used token may be
    /// reused for `window`.
    pub fn redeem(
        &self,
        presented: &RefreshToken,
        window: Duration,
        root_keys: &RootKeys,
        now: UnixTime,
    ) -> Redemption {
        let young = now < self.advanced_at.plus(window);
        let spent = presented.generation < self.generation;
        let last_spent = presented.generation.checked_add(1) == Some(self.generation);
        // INVARIANT: a token within the window never counts as reused: the current token cannot be
        // rotated before the window ends, and so not before this request arrived.
        if spent && !last_spent && now < self.advanced_at {
            return Redemption::Conflict;
        }
        if spent && !(last_spent && young) {
            return Redemption::Reused;
        }
        if now >= self.idle_ends_at {
            return Redemption::Expired;
        }
        if spent {
            let sealed = self.sealed.as_deref();
            let successor = sealed.and_then(|sealed| presented.successor(sealed, root_keys));
            return successor.map_or(Redemption::Unknown, Redemption::Replayed);
        }
        let same = bool::from(self.hash.ct_eq(&presented.hash()));
        match (presented.generation == self.generation && same, young) {
            (true, false) => Redemption::Rotate,
            (true, true) => Redemption::StillCurrent,
            (false, _) => Redemption::Unknown,
        }
    }
}

// SECURITY: sealed and hashed secrets are not printed either.
impl fmt::Debug for RefreshHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("generation", &self.generation)
            .field("advanced_at", &self.advanced_at)
            .field("idle_ends_at", &self.idle_ends_at)
            .finish_non_exhaustive()
    }
}

/// Parses a number in its canonical form.
fn whole(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
