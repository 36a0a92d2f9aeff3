//! Rotation: when a new key may come, when it signs, and when the old one goes.
//!
//! A key's life is told by two times in the key document. `sign_from`: every reader has the key
//! by then, so hosts may sign with it. `ends_at`: no token under it is alive any more, so it goes.
//! Every host judges by the document alone which key it signs with; nothing waits for anything.

use core::time::Duration;

use thiserror::Error;

use crate::keys::document::{KeyDocument, PublishedKey};
use crate::keys::jwk::VerifyingKey;
use crate::policy::{MAX_LEEWAY, MAX_STALENESS};
use crate::revocation::{CLOCK_SKEW, WRITE_BOUND};
use crate::time::UnixTime;

/// What two readings of clocks in whole seconds may hide together: up to one each.
const ROUNDING: Duration = Duration::from_secs(2);

/// How long others keep what a rotation changes. The rules below are exact for these numbers, so
/// each must be at least what it stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationBounds {
    /// How old the keys of an edge may be: the hard bound of its policy's `keys`.
    pub edge: Duration,
    /// How long a reader may keep the JWK Set (`max-age`).
    pub jwks_max_age: Duration,
    /// How long parties that heed no `max-age` are known to keep it; zero where there are none.
    pub third_parties: Duration,
    /// How old a host's knowledge of secret and document may be.
    pub hosts: Duration,
    /// How long a token lives.
    pub token_lifetime: Duration,
}

impl Default for RotationBounds {
    /// What holds for every policy there can be, and for usual readers of the JWK Set.
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
    /// From the stamp of a publication until everybody has the key.
    pub fn propagation_delay(&self) -> Duration {
        // Who keeps the set for so long may have got it from somebody who kept it by its `max-age`.
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

    /// How long a token can be shown after it was signed.
    pub const fn max_token_age(&self) -> Duration {
        max_token_age(self.token_lifetime)
    }

    /// From the moment another key signs until no token under this one is alive.
    pub const fn retirement_delay(&self) -> Duration {
        self.hosts.saturating_add(self.max_token_age())
    }
}

const fn max_token_age(token_lifetime: Duration) -> Duration {
    token_lifetime
        .saturating_add(MAX_LEEWAY)
        .saturating_add(CLOCK_SKEW)
}

/// Which of the two versions of the secret a host signs with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum SignWith {
    /// The one in force, `AWSCURRENT`.
    Current,
    /// The one before it, `AWSPREVIOUS`.
    Previous,
    /// Neither: both were withdrawn, have ended, or were never published.
    Neither,
}

/// Which of the keys called `current` and `previous` signs at `now` a token that lives for
/// `token_lifetime`: the one in force from its `sign_from` on, before that the other, and never
/// one that the token would outlive.
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

/// A rotation may not begin: the one before it is not over.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the rotation before is over at {until}, and none may begin before that")]
pub struct TooEarly {
    /// From when on one may begin.
    pub until: UnixTime,
}

/// Whether a rotation may begin at `now` while the key called `current` is in force: its
/// predecessors have gone and it signs itself. One that was withdrawn may be followed at once.
///
/// # Errors
///
/// [`TooEarly`]. A predecessor that has yet to be told its end counts as if it were told now.
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

/// When the predecessors of `current` end, if that is settled at `now`.
fn end_after(current: &PublishedKey, bounds: &RotationBounds, now: UnixTime) -> UnixTime {
    current.sign_from.max(now).plus(bounds.retirement_delay())
}

/// From when on a key signs that signs at once: by every clock that is within the skew.
const fn at_once(now: UnixTime) -> UnixTime {
    now.minus(CLOCK_SKEW)
}

impl KeyDocument {
    /// The keys that were published before `key`.
    fn predecessors_of(&self, key: &PublishedKey) -> impl Iterator<Item = &PublishedKey> {
        let id = key.key.id();
        self.keys()
            .iter()
            .take_while(move |held| held.key.id() != id)
    }

    /// The next version with `key`, the first one ever or one that nobody else publishes: it signs
    /// at once.
    #[must_use]
    pub fn with_own(self, key: VerifyingKey, now: UnixTime) -> Self {
        self.with(key, at_once(now))
    }

    /// The next version with `key` published at `now`. Hosts that sign with another key meanwhile
    /// (`bridged`) do so until everybody has the new one; where nobody can sign, it signs at once.
    ///
    /// A key that is published already and does not sign yet is put off to what a publication at
    /// `now` would give: nobody saw how long the earlier write took. `None` if nothing is to be
    /// written: it signs already, was withdrawn, or its predecessor was told an end that was
    /// reckoned by the time it has.
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
            .any(|held| held.ends_at.is_some_and(|end| published.sign_from < end));
        let waits = now < published.sign_from && published.sign_from != sign_from;
        (waits && !is_relied_on).then(|| {
            self.clone().changed(|keys| {
                for held in keys.iter_mut().filter(|held| held.key.id() == key.id()) {
                    held.sign_from = sign_from;
                }
            })
        })
    }

    /// The next version once the key called `current` is in force: every key published before it is
    /// told when it ends, and those that have ended are gone. `None` if that is settled, if there is
    /// no such key, or if it was told its own end: it has a successor, and brings nobody's.
    ///
    /// INVARIANT: an end is never taken back here. Readers may have let the key go.
    pub fn settling(&self, current: &str, bounds: &RotationBounds, now: UnixTime) -> Option<Self> {
        let held = self.find(current).filter(|key| key.ends_at.is_none())?;
        let end = end_after(held, bounds, now);
        let is_current = |key: &PublishedKey| key.key.id() == Some(current);
        let is_settled = self.predecessors_of(held).all(|key| key.ends_at.is_some())
            && self.keys().iter().all(|key| key.verifies(now));
        if is_settled {
            return None;
        }
        Some(self.clone().changed(|keys| {
            keys.retain(|key| key.verifies(now));
            for key in keys.iter_mut().take_while(|key| !is_current(key)) {
                key.ends_at.get_or_insert(end);
            }
        }))
    }

    /// The next version without the key called `id`, which never comes back. Where nobody could
    /// sign then, the key that waits for its turn signs at once, and those that were to leave stay:
    /// which of them hosts hold does not stand here. `None` if there is no such key, or not any more.
    pub fn withdrawing(&self, id: &str, now: UnixTime) -> Option<Self> {
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
            // Whoever waits was published last.
            let open = keys.iter_mut().filter(|key| key.ends_at.is_none());
            if let Some(next) = open.max_by_key(|key| key.sign_from) {
                next.sign_from = next.sign_from.min(at_once(now));
            }
        }))
    }
}

#[cfg(test)]
mod tests;
