//! Revocation of tokens, sessions, keys and subjects before their expiry.

mod fingerprint;
mod fingerprint_set;
mod known;
mod minute;
mod pack;
mod pack_index;

use core::time::Duration;

use crate::time::UnixTime;

pub use known::{FingerprintSets, RevocationStatus, Revocations};
pub use minute::{MinuteError, parse_minute, write_minute};
pub use pack::{MAX_PACK_BYTES, Pack, PackError, PackName};
pub use pack_index::{PackIndex, PackIndexError, PackedSpan};

/// The maximum time from a feed row's timestamp to its commit: D of the design. A host whose write
/// takes longer writes a fresh row before it acknowledges.
pub const WRITE_BOUND: Duration = Duration::from_secs(2);

/// A repeated revocation writes nothing while its last feed row is no older than this, in whole
/// seconds. Less than [`WRITE_BOUND`]: the difference is the time to find that row.
pub const REPEATED_WITHIN: Duration = WRITE_BOUND.saturating_sub(Duration::from_secs(1));

/// The maximum clock skew between hosts and edges: S of the design.
pub const CLOCK_SKEW: Duration = Duration::from_secs(2);

/// The maximum delay between the timestamp of a feed row and its visibility to a reader:
/// [`WRITE_BOUND`] for the commit, plus [`CLOCK_SKEW`] if the writer's clock is behind the
/// reader's.
pub const OVERLAP: Duration = WRITE_BOUND.saturating_add(CLOCK_SKEW);

/// The number of partitions over which hosts spread each minute of the feed. One takes 500 rows a
/// second: each row is written in a transaction at two units, and a partition takes 1000.
///
/// Constants, not settings: a reader with fewer shards than a writer loses revocations. To increase
/// them, raise [`READ_SHARDS`] first and deploy it to every edge and every host (hosts pack the
/// feed); then raise this one. To decrease them, lower this one first, and the other after all
/// earlier rows have expired.
pub const WRITE_SHARDS: u32 = 1;

/// The number of partitions of each minute that are read. Each costs every edge one more query for
/// each poll and for each minute read by its rows. With a second one an isolate pays 1740 units an
/// hour, not 900, so it stays at one while one suffices for the writes.
pub const READ_SHARDS: u32 = 1;

const _: () = assert!(
    1 <= WRITE_SHARDS && WRITE_SHARDS <= READ_SHARDS,
    "what is written is read"
);

/// One revocation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// The revoked identifier.
    pub target: RevocationTarget,
    /// The time when every affected token has expired, so that the revocation can be removed.
    pub until: UnixTime,
}

/// The kinds of revocable identifiers.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum RevocationTarget {
    /// One token, by its `jti`.
    Token(String),
    /// All tokens of a session, by its `sid`.
    Session(String),
    /// All tokens of a subject with a generation below this one.
    Subject {
        /// The issuer of the subject: `sub` is unique only within `iss`.
        issuer: String,
        /// The `sub`.
        subject: String,
        /// The first valid generation.
        generation: u64,
    },
    /// All tokens signed by a key, by its `kid`: an emergency.
    Key(String),
}

/// The revocable identifiers of a token.
#[derive(Clone, Copy, Debug)]
pub struct TokenIds<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `sub`.
    pub subject: &'a str,
    /// `jti`.
    pub token_id: &'a str,
    /// `sid`.
    pub session_id: Option<&'a str>,
    /// `gen`: the subject's generation when the session began.
    pub generation: Option<u64>,
    /// The signing key.
    pub key_id: &'a str,
}

/// The end of the immutable part of the feed at `now`: the start of the first minute that is not
/// closed. A minute closes [`OVERLAP`] after its end.
pub const fn closed_before(now: UnixTime) -> UnixTime {
    now.minus(OVERLAP).start_of_minute()
}

#[cfg(test)]
mod tests {
    use super::*;
    use RevocationTarget::{Key, Session, Subject, Token};
    use proptest::prelude::*;

    pub(super) const TOKEN: TokenIds<'static> = TokenIds {
        issuer: "us",
        subject: "alice",
        token_id: "t1",
        session_id: Some("s1"),
        generation: Some(3),
        key_id: "k1",
    };

    /// A token with few enough identifiers to collide with those of [`any_revocations`].
    #[derive(Clone, Debug)]
    pub(super) struct AnyToken {
        names: [String; 5],
        session: bool,
        generation: Option<u64>,
    }

    impl AnyToken {
        pub(super) fn as_revocable(&self) -> TokenIds<'_> {
            let [issuer, subject, token_id, session_id, key_id] = &self.names;
            TokenIds {
                issuer,
                subject,
                token_id,
                session_id: self.session.then_some(session_id),
                generation: self.generation,
                key_id,
            }
        }
    }

    pub(super) fn any_token() -> impl Strategy<Value = AnyToken> {
        let name = || "[ab]{1,2}";
        let names = [name(), name(), name(), name(), name()];
        (names, any::<bool>(), prop::option::of(0_u64..4)).prop_map(
            |(names, session, generation)| AnyToken {
                names,
                session,
                generation,
            },
        )
    }

    pub(super) fn any_revocations() -> impl Strategy<Value = Vec<Revocation>> {
        let name = || "[ab]{1,2}";
        let target = prop_oneof![
            name().prop_map(Token),
            name().prop_map(Session),
            name().prop_map(Key),
            (name(), name(), 0_u64..4).prop_map(|(issuer, subject, generation)| Subject {
                issuer,
                subject,
                generation,
            }),
        ];
        let revocation = (target, 0_u64..12).prop_map(|(target, until)| Revocation {
            target,
            until: UnixTime::from_secs(until),
        });
        prop::collection::vec(revocation, 0..12)
    }

    #[test]
    fn a_feed_minute_closes_four_seconds_after_its_end() {
        let at = UnixTime::from_secs;
        assert_eq!(closed_before(at(6_063)), at(6_000));
        assert_eq!(closed_before(at(6_064)), at(6_060));
        assert_eq!(closed_before(at(0)), at(0));
    }
}
