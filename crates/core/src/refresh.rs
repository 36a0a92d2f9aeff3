//! Refresh tokens: a family for each session, of which one token at a time is good.
//!
//! A token is `sid.generation.secret.mac`. The code at its end is the host's own, so that only what
//! was once issued can be taken for a spent token, and nobody ends a session by guessing. At rest
//! there is a hash of the secret, and for a while the successor of the last spent token, sealed
//! under that token: neither the table nor an old token opens it alone.

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

/// The longest text that is looked at: a name of 64 characters, a number of 20, two of 43.
const MAX_BYTES: usize = 64 + 20 + 43 + 43 + 3;

/// The generation that a session begins with.
const FIRST: u64 = 1;

/// One token of a family, issued by a host of ours: [`RefreshToken::parse`] has seen its code.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    session_id: Id,
    generation: u64,
    secret: Secret<[u8; SECRET_BYTES]>,
}

/// The text is no refresh token of ours.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("this is no refresh token of this host")]
pub struct RefreshTokenError;

/// What is kept of a family: which token is good, and how long.
#[derive(Clone, Eq, PartialEq)]
pub struct RefreshHead {
    /// The generation of the good token; all below are spent.
    pub generation: u64,
    /// The SHA-256 of its secret.
    pub hash: [u8; 32],
    /// When it became the good one.
    pub advanced_at: UnixTime,
    /// When it ends unless it is used before: never later than its session.
    pub idle_ends_at: UnixTime,
    /// The secret of the good token, sealed under the one spent for it; the first has none.
    pub sealed: Option<String>,
}

/// What is to be done with a token that was presented.
#[derive(Debug)]
#[must_use]
pub enum Redemption {
    /// It is the good one: it is spent for a successor.
    Rotate,
    /// It is the good one and so young that others may still come with its predecessor: it is
    /// handed back as it stands.
    StillCurrent,
    /// It was spent a moment ago: this is the successor that it was spent for.
    Replayed(RefreshToken),
    /// It was spent after it came in: whoever brought it was overtaken, and is no thief.
    Conflict,
    /// It was spent before: two parties hold tokens of this family.
    Reused,
    /// The family is over, by its idle or its absolute end.
    Expired,
    /// It was never issued on top of what is kept: the table was restored, say.
    Unknown,
}

impl RefreshToken {
    /// The first token of a session.
    pub const fn first(session_id: Id, secret: Secret<[u8; SECRET_BYTES]>) -> Self {
        Self {
            session_id,
            generation: FIRST,
            secret,
        }
    }

    /// Reads a token that came from outside.
    ///
    /// # Errors
    ///
    /// [`RefreshTokenError`] if it has not the form of one, or another code than ours at its end.
    pub fn parse(text: &str, vault: &RootKeys) -> Result<Self, RefreshTokenError> {
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
        let token = Self {
            session_id: Id::parse(session_id).map_err(|_| RefreshTokenError)?,
            generation: whole(generation).ok_or(RefreshTokenError)?,
            secret: Secret::new((&**secret).try_into().map_err(|_| RefreshTokenError)?),
        };
        let known = vault.verify_mac(
            Purpose::RefreshToken,
            &token.parts(&token.generation.to_be_bytes()),
            &code,
        );
        known.then_some(token).ok_or(RefreshTokenError)
    }

    /// The token as its bearer gets it.
    pub fn to_text(&self, vault: &RootKeys) -> Secret<String> {
        let code = vault.mac(
            Purpose::RefreshToken,
            &self.parts(&self.generation.to_be_bytes()),
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

    /// The session (`sid`) whose family it is of.
    pub const fn session_id(&self) -> &Id {
        &self.session_id
    }

    /// What is kept of it once it is the first of its session.
    pub fn head(&self, now: UnixTime, idle_ends_at: UnixTime) -> RefreshHead {
        RefreshHead {
            generation: self.generation,
            hash: self.hash(),
            advanced_at: now,
            idle_ends_at,
            sealed: None,
        }
    }

    /// The token that it is spent for, made of `secret`, and what is kept of that.
    pub fn advance(
        &self,
        secret: Secret<[u8; SECRET_BYTES]>,
        nonce: [u8; NONCE_BYTES],
        vault: &RootKeys,
        now: UnixTime,
        idle_ends_at: UnixTime,
    ) -> (Self, RefreshHead) {
        let next = Self {
            session_id: self.session_id.clone(),
            generation: self.generation.saturating_add(1),
            secret,
        };
        let sealed = vault.seal(
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

    /// The successor that `sealed` holds, if this is the token that it was sealed under.
    fn successor(&self, sealed: &str, vault: &RootKeys) -> Option<Self> {
        let generation = self.generation.to_be_bytes();
        let opened = vault.open(Purpose::RefreshSuccessor, &self.parts(&generation), sealed);
        let secret = <[u8; SECRET_BYTES]>::try_from(opened.ok()?.expose().as_slice()).ok()?;
        Some(Self {
            session_id: self.session_id.clone(),
            generation: self.generation.checked_add(1)?,
            secret: Secret::new(secret),
        })
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret.expose()).into()
    }

    fn parts<'a>(&'a self, generation: &'a [u8; 8]) -> [&'a [u8]; 3] {
        let session_id = self.session_id.as_str().as_bytes();
        [session_id, generation, self.secret.expose()]
    }
}

impl RefreshHead {
    /// What is to be done with `presented`, a token of this family that came in at `now`. A spent
    /// one may come again for `window`.
    pub fn redeem(
        &self,
        presented: &RefreshToken,
        window: Duration,
        vault: &RootKeys,
        now: UnixTime,
    ) -> Redemption {
        let young = now < self.advanced_at.plus(window);
        let spent = presented.generation < self.generation;
        let last_spent = presented.generation.checked_add(1) == Some(self.generation);
        // INVARIANT: whoever comes within the window is never taken for a thief: the good token
        // cannot be spent before the window is over, hence not before they came.
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
            let successor = sealed.and_then(|sealed| presented.successor(sealed, vault));
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

// SECURITY: what is sealed and hashed is nobody's to see, even so.
impl fmt::Debug for RefreshHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("generation", &self.generation)
            .field("advanced_at", &self.advanced_at)
            .field("idle_ends_at", &self.idle_ends_at)
            .finish_non_exhaustive()
    }
}

/// A number in its one spelling.
fn whole(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
