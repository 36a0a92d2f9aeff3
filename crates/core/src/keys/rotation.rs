//! Key rotation: when a new key may be published, when it signs, and when the old key expires.
//!
//! Two times in the key document define a key's life. At `sign_from` every reader has the key, so
//! hosts may sign with it. At `ends_at` every token signed by it has expired, so the key is
//! removed. Every host selects its signing key by the document alone, without coordination.

use core::time::Duration;

use thiserror::Error;

use crate::keys::document::{KeyDocument, PublishedKey};
use crate::keys::jwk::VerifyingKey;
use crate::policy::{MAX_LEEWAY, MAX_STALENESS};
use crate::revocation::{CLOCK_SKEW, WRITE_BOUND};
use crate::time::UnixTime;

/// The maximum rounding error between two clocks that count whole seconds: up to one second each.
const ROUNDING: Duration = Duration::from_secs(2);

/// The propagation bounds of a rotation. The rules below are exact for these numbers, so each must
/// be at least the real value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationBounds {
    /// The maximum age of the keys at an edge: the hard bound of its policy's `keys`.
    pub edge: Duration,
    /// The cache time of the JWK Set (`max-age`).
    pub jwks_max_age: Duration,
    /// The cache time of third parties that ignore `max-age`; zero if there are none.
    pub third_parties: Duration,
    /// The maximum age of the secret and the document at a host.
    pub hosts: Duration,
    /// The lifetime of a token.
    pub token_lifetime: Duration,
}

impl Default for RotationBounds {
    /// Bounds that cover every possible policy, and usual readers of the JWK Set.
    fn default() -> Self {
        Self {
            edge: MAX_STALENESS,
            jwks_max_age: Duration::from_secs(300),
            third_parties: Duration::from_secs(24 * 60 * 60),
            hosts: Duration::from_secs(300),
            token_lifetime: Duration::from_secs(600),
        }
    }
}

impl RotationBounds {
    /// The time from a publication's timestamp until every reader has the key.
    pub fn propagation_delay(&self) -> Duration {
        // Such a party may have read the set from a cache that kept it for `max-age`.
        let third_parties = if self.third_parties.is_zero() {
            Duration::ZERO
        } else {
            self.third_parties.saturating_add(self.jwks_max_age)
        };
        let readers = self.edge.max(self.jwks_max_age).max(third_parties);
        readers
            .saturating_add(WRITE_BOUND)
            .saturating_add(CLOCK_SKEW)
            .saturating_add(ROUNDING)
    }

    /// The time during which a token is usable after signing.
    pub const fn max_token_age(&self) -> Duration {
        max_token_age(self.token_lifetime)
    }

    /// The time from the successor's first signature until every token under this key has expired.
    pub const fn retirement_delay(&self) -> Duration {
        self.hosts.saturating_add(self.max_token_age())
    }
}

const fn max_token_age(token_lifetime: Duration) -> Duration {
    token_lifetime
        .saturating_add(MAX_LEEWAY)
        .saturating_add(CLOCK_SKEW)
}

/// The version of the secret that a host signs with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum SignWith {
    /// The current version, `AWSCURRENT`.
    Current,
    /// The previous version, `AWSPREVIOUS`.
    Previous,
    /// Neither: both keys are revoked, expired or unpublished.
    Neither,
}

/// Selects which of the keys `current` and `previous` signs a token that lives for
/// `token_lifetime`, at `now`. `current` signs from its `sign_from` on, before that `previous`. A
/// key never signs a token that would outlive it.
pub fn sign_with(
    document: &KeyDocument,
    current: Option<&str>,
    previous: Option<&str>,
    token_lifetime: Duration,
    now: UnixTime,
) -> SignWith {
    let signs = |id: Option<&str>| {
        id.and_then(|id| document.find(id)).is_some_and(|key| {
            let outlives = |end| now.plus(max_token_age(token_lifetime)) <= end;
            key.sign_from <= now && key.ends_at.is_none_or(outlives)
        })
    };
    if signs(current) {
        SignWith::Current
    } else if signs(previous) {
        SignWith::Previous
    } else {
        SignWith::Neither
    }
}

/// A rotation cannot start because the previous one is unfinished.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the previous rotation is unfinished; the next may start at {until}")]
pub struct TooEarly {
    /// The earliest start of the next rotation.
    pub until: UnixTime,
}

/// Checks that a rotation may start at `now` while `current` is the current key: its predecessors
/// have expired and it signs itself. The successor of a revoked key may start at once.
///
/// # Errors
///
/// [`TooEarly`]. A predecessor without an end counts as if its end were set now.
pub fn check_can_start(
    document: &KeyDocument,
    current: Option<&str>,
    bounds: &RotationBounds,
    now: UnixTime,
) -> Result<(), TooEarly> {
    let Some(current) = current.and_then(|id| document.find(id)) else {
        return Ok(());
    };
    let ends = document.predecessors_of(current).map(|key| {
        key.ends_at
            .unwrap_or_else(|| end_after(current, bounds, now))
    });
    let until = ends.max().unwrap_or_default().max(current.sign_from);
    if now < until {
        Err(TooEarly { until })
    } else {
        Ok(())
    }
}

/// The end of the predecessors of `current`, if it is set at `now`.
fn end_after(current: &PublishedKey, bounds: &RotationBounds, now: UnixTime) -> UnixTime {
    current.sign_from.max(now).plus(bounds.retirement_delay())
}

/// The `sign_from` of a key that signs at once, on every clock within the skew.
const fn at_once(now: UnixTime) -> UnixTime {
    now.minus(CLOCK_SKEW)
}

impl KeyDocument {
    /// The keys published before `key`.
    fn predecessors_of(&self, key: &PublishedKey) -> impl Iterator<Item = &PublishedKey> {
        let id = key.key.id();
        self.keys()
            .iter()
            .take_while(move |entry| entry.key.id() != id)
    }

    /// The next version with `key`, the first key or one without other publishers: it signs at
    /// once.
    #[must_use]
    pub fn with_own(self, key: VerifyingKey, now: UnixTime) -> Self {
        self.with(key, at_once(now))
    }

    /// The next version with `key` published at `now`. Hosts that sign with another key meanwhile
    /// (`bridged`) do so until every reader has the new one. Without such a key, the new key signs
    /// at once.
    ///
    /// Postpones a published key that does not sign yet, as if it were published at `now`, because
    /// the duration of the earlier write is unknown. `None` if there is nothing to write: the key
    /// signs already, was revoked, or its predecessor has an end computed from the present
    /// `sign_from`.
    pub fn publishing(
        &self,
        key: &VerifyingKey,
        bridged: bool,
        bounds: &RotationBounds,
        now: UnixTime,
    ) -> Option<Self> {
        let sign_from = if bridged {
            now.plus(bounds.propagation_delay())
        } else {
            at_once(now)
        };
        let Some(published) = key.id().and_then(|id| self.find(id)) else {
            let next = self.clone().with(key.clone(), sign_from);
            return (next.version() != self.version()).then_some(next);
        };
        let is_relied_on = self
            .predecessors_of(published)
            .any(|entry| entry.ends_at.is_some_and(|end| published.sign_from < end));
        let waits = now < published.sign_from && published.sign_from != sign_from;
        (waits && !is_relied_on).then(|| {
            self.clone().changed(|keys| {
                for entry in keys.iter_mut().filter(|entry| entry.key.id() == key.id()) {
                    entry.sign_from = sign_from;
                }
            })
        })
    }

    /// The next version once `current` is the current key: every predecessor gets its end, and
    /// expired keys are removed. `None` if that is done already, if the key does not exist, or if
    /// it has an end itself. Such a key has a successor and ends no other key.
    ///
    /// INVARIANT: an end is never removed here. Readers may have dropped the key already.
    pub fn retiring(&self, current: &str, bounds: &RotationBounds, now: UnixTime) -> Option<Self> {
        let entry = self.find(current).filter(|key| key.ends_at.is_none())?;
        let end = end_after(entry, bounds, now);
        let is_current = |key: &PublishedKey| key.key.id() == Some(current);
        let is_done = self.predecessors_of(entry).all(|key| key.ends_at.is_some())
            && self.keys().iter().all(|key| key.verifies(now));
        if is_done {
            return None;
        }
        Some(self.clone().changed(|keys| {
            keys.retain(|key| key.verifies(now));
            for key in keys.iter_mut().take_while(|key| !is_current(key)) {
                key.ends_at.get_or_insert(end);
            }
        }))
    }

    /// The next version without the key `id`, which is permanently revoked. If no key could sign
    /// then, the key waiting for its `sign_from` signs at once, and expiring keys stay. The
    /// document does not tell which of them the hosts hold. `None` if the key does not exist.
    pub fn revoking(&self, id: &str, now: UnixTime) -> Option<Self> {
        self.find(id)?;
        let next = self.clone().without(id);
        let stays = |key: &PublishedKey| key.sign_from <= now && key.ends_at.is_none();
        if next.keys().iter().any(stays) {
            return Some(next);
        }
        Some(next.revised(|keys| {
            for key in keys.iter_mut().filter(|key| key.verifies(now)) {
                key.ends_at = None;
            }
            // The waiting key was published last.
            let open = keys.iter_mut().filter(|key| key.ends_at.is_none());
            if let Some(next) = open.max_by_key(|key| key.sign_from) {
                next.sign_from = next.sign_from.min(at_once(now));
            }
        }))
    }
}

#[cfg(test)]
mod tests;
