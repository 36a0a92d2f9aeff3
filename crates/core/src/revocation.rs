//! Tokens, sessions, keys and subjects that were called back before they expired.

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

/// How long a write of the feed may take from its stamp to its commit: D of the design. A host
/// that saw it take longer writes a fresh row before it acknowledges.
pub const WRITE_BOUND: Duration = Duration::from_secs(2);

/// How far the clocks of hosts and edges may stand apart: S of the design.
pub const CLOCK_SKEW: Duration = Duration::from_secs(2);

/// How far behind its stamp a row of the feed may appear to a reader: it took [`WRITE_BOUND`] to
/// commit, and the clock that stamped it was [`CLOCK_SKEW`] behind the reader's.
pub const OVERLAP: Duration = WRITE_BOUND.saturating_add(CLOCK_SKEW);

/// Over how many partitions each minute of the feed is spread by those who write it. One takes 500
/// rows a second: each is written in a transaction, at two units, and a partition takes 1000.
///
/// Constants, not settings: whoever reads fewer than another writes loses revocations. To have more,
/// raise [`READ_SHARDS`] first and deploy it to every edge and every host, which packs what it reads;
/// then raise this one. To have fewer, lower this one first, and the other when what was written
/// before has expired.
pub const WRITE_SHARDS: u32 = 1;

/// How many partitions of each minute are read. Each costs every edge one query more for each poll
/// and for each minute that is read by its rows: with a second one an isolate pays 1740 units an
/// hour, not 900. As long as one is enough for what is written, there is no reason to.
pub const READ_SHARDS: u32 = 1;

const _: () = assert!(
    1 <= WRITE_SHARDS && WRITE_SHARDS <= READ_SHARDS,
    "what is written is read"
);

/// One thing called back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// What it is.
    pub target: RevocationTarget,
    /// When nothing it could stop is alive any more, so that it can be forgotten.
    pub until: UnixTime,
}

/// What can be called back.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum RevocationTarget {
    /// One token, by its `jti`.
    Token(String),
    /// All tokens of a session, by its `sid`.
    Session(String),
    /// All tokens of a subject whose generation is below this one.
    Subject {
        /// Whose subject it is: `sub` means nothing without `iss`.
        issuer: String,
        /// The `sub`.
        subject: String,
        /// The first generation that is good again.
        generation: u64,
    },
    /// All tokens signed by a key, by its `kid`: an emergency.
    Key(String),
}

/// What of a token can be called back.
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
    /// The key that signed it.
    pub key_id: &'a str,
}

/// Up to where the feed can change no more at `now`: the start of the first minute that is not
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

    /// A token whose names are few enough to meet those of [`any_revocations`].
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
    fn a_minute_closes_four_seconds_after_its_end() {
        let at = UnixTime::from_secs;
        assert_eq!(closed_before(at(6_063)), at(6_000));
        assert_eq!(closed_before(at(6_064)), at(6_060));
        assert_eq!(closed_before(at(0)), at(0));
    }
}
