//! Tokens, sessions, keys and subjects that were called back before they expired.

use std::collections::BTreeMap;

use core::time::Duration;

use crate::time::UnixTime;

/// How long a write of the feed may take from its stamp to its commit: D of the design. A host
/// that saw it take longer writes a fresh row before it acknowledges.
pub const WRITE_BOUND: Duration = Duration::from_secs(2);

/// How far the clocks of hosts and edges may stand apart: S of the design.
pub const CLOCK_SKEW: Duration = Duration::from_secs(2);

/// Over how many partitions each minute of the feed is spread. A constant, not a setting: a host
/// and an edge that disagreed about it would lose revocations. One partition takes 1000 writes/s.
pub const FEED_SHARDS: u32 = 1;

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

/// Everything called back that an edge knows of and that has not been forgotten.
#[derive(Clone, Debug, Default)]
pub struct Revocations(BTreeMap<Name, Extent>);

/// What is called back. One map for all kinds: each map of its own kind would weigh 5 KB in wasm.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Name {
    kind: u8,
    issuer: String,
    id: String,
}

/// How much of it, and for how long that matters.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// For a subject the first generation that is good again; for all else none is.
    generation: u64,
    until: UnixTime,
}

/// What of a token can be called back.
#[derive(Clone, Copy, Debug)]
pub struct Revocable<'a> {
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

impl Revocations {
    /// Takes note of `revocation`; the same one twice counts once, for the longer time.
    pub fn insert(&mut self, revocation: Revocation) {
        let Revocation { target, until } = revocation;
        let (name, generation) = match target {
            RevocationTarget::Token(id) => (Name::of(TOKEN, "", id), u64::MAX),
            RevocationTarget::Session(id) => (Name::of(SESSION, "", id), u64::MAX),
            RevocationTarget::Key(id) => (Name::of(KEY, "", id), u64::MAX),
            RevocationTarget::Subject {
                issuer,
                subject,
                generation,
            } => (Name::of(SUBJECT, &issuer, subject), generation),
        };
        let known = self.0.entry(name).or_insert(Extent { generation, until });
        known.generation = known.generation.max(generation);
        known.until = known.until.max(until);
    }

    /// Forgets what can stop nothing any more.
    pub fn forget(&mut self, now: UnixTime) {
        self.0.retain(|_, extent| now < extent.until);
    }

    /// Whether a token was called back. One that tells no generation is older than any.
    pub fn contains(&self, token: Revocable<'_>) -> bool {
        // Most of the time nothing is called back anywhere, and nothing need be looked up.
        !self.0.is_empty() && (self.ends_login(token) || self.ends_authority(token))
    }

    /// Whether the token itself or its session was called back.
    pub fn ends_login(&self, token: Revocable<'_>) -> bool {
        let has = |kind, id: &str| self.0.contains_key(&Name::of(kind, "", id));
        has(TOKEN, token.token_id) || token.session_id.is_some_and(|id| has(SESSION, id))
    }

    /// Whether the key that signed it or the generation of its subject was called back: then
    /// nothing that it says can be relied on.
    pub fn ends_authority(&self, token: Revocable<'_>) -> bool {
        let subject = || self.0.get(&Name::of(SUBJECT, token.issuer, token.subject));
        self.0.contains_key(&Name::of(KEY, "", token.key_id))
            || subject()
                .is_some_and(|extent| token.generation.is_none_or(|own| own < extent.generation))
    }

    /// Whether the key that signed it was called back: then it says nothing at all.
    pub fn ends_key(&self, token: Revocable<'_>) -> bool {
        self.0.contains_key(&Name::of(KEY, "", token.key_id))
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const TOKEN: u8 = 0;
const SESSION: u8 = 1;
const KEY: u8 = 2;
const SUBJECT: u8 = 3;

impl Name {
    fn of(kind: u8, issuer: &str, id: impl Into<String>) -> Self {
        Self {
            kind,
            issuer: issuer.to_owned(),
            id: id.into(),
        }
    }
}

impl FromIterator<Revocation> for Revocations {
    fn from_iter<I: IntoIterator<Item = Revocation>>(revocations: I) -> Self {
        let mut known = Self::default();
        for revocation in revocations {
            known.insert(revocation);
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RevocationTarget::{Key, Session, Subject, Token};

    const NOON: UnixTime = UnixTime::from_secs(1_000);

    const TOKEN: Revocable<'static> = Revocable {
        issuer: "us",
        subject: "alice",
        token_id: "t1",
        session_id: Some("s1"),
        generation: Some(3),
        key_id: "k1",
    };

    fn known(target: RevocationTarget) -> Revocations {
        Revocations::from_iter([Revocation {
            target,
            until: NOON,
        }])
    }
    fn subject(issuer: &str, generation: u64) -> RevocationTarget {
        Subject {
            issuer: issuer.to_owned(),
            subject: "alice".to_owned(),
            generation,
        }
    }

    #[test]
    fn each_kind_stops_its_own_and_no_other() {
        for (target, stops) in [
            (Token("t1".to_owned()), true),
            (Token("s1".to_owned()), false),
            (Session("s1".to_owned()), true),
            (Session("k1".to_owned()), false),
            (Key("k1".to_owned()), true),
            (Key("t1".to_owned()), false),
            (subject("us", 4), true),
            (subject("us", 3), false),
            (subject("them", 4), false),
        ] {
            assert_eq!(known(target.clone()).contains(TOKEN), stops, "{target:?}");
        }
    }

    #[test]
    fn a_token_without_generation_is_older_than_any() {
        let token = Revocable {
            generation: None,
            ..TOKEN
        };
        assert!(known(subject("us", 0)).contains(token));
    }

    #[test]
    fn it_is_forgotten_the_second_it_ends_and_never_shortened() {
        let mut known = known(Session("s1".to_owned()));
        let earlier = UnixTime::from_secs(500);
        known.insert(Revocation {
            target: Session("s1".to_owned()),
            until: earlier,
        });
        known.forget(UnixTime::from_secs(999));
        assert!(known.contains(TOKEN));
        known.forget(NOON);
        assert!(!known.contains(TOKEN) && known.is_empty());
    }

    #[test]
    fn a_subject_keeps_its_highest_generation() {
        let mut known = known(subject("us", 9));
        known.insert(Revocation {
            target: subject("us", 2),
            until: NOON,
        });
        assert!(known.contains(TOKEN));
        assert_eq!(known.len(), 1);
    }
}
