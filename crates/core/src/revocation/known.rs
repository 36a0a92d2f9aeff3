//! Everything called back that an edge knows of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::time::UnixTime;

use super::fingerprint::{Fingerprint, Names};
use super::fingerprint_set::FingerprintSet;
use super::pack::Pack;
use super::{Revocation, RevocationTarget, TokenIds};

/// How many names are kept whole before they go into a sieve. 40 bytes each and the tree round
/// them: half a megabyte, against 4 bytes in a sieve.
const MAX_EXACT: usize = 8_192;

/// Up to how many names sieves of one's own making are merged: a sieve goes as a whole.
const FULL_SIEVE: usize = 65_536;

/// Everything called back that an edge knows of and that has not been forgotten.
///
/// The newest names are kept whole, with the generation where it is a subject's. Older ones are
/// sifted: they are told apart by 32 bits, and one that seems to be there is looked up in the
/// store. Keys are always kept whole: one that was called back stops many tokens.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    exact: BTreeMap<Fingerprint, Extent>,
    sieves: FingerprintSets,
}

/// What was sifted. Two of them are the same only if one is a copy of the other: what was found
/// out about a token by the store holds as long as the sieves do.
#[derive(Clone, Debug, Default)]
pub struct FingerprintSets(Arc<Vec<Arc<FingerprintSet>>>);

/// How a token stands by what is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum RevocationStatus {
    /// Nothing of it was called back.
    NotRevoked,
    /// It was called back: itself, its session, its key or its subject.
    Revoked,
    /// It may have been: its own rows in the store tell.
    MaybeRevoked,
}

/// How much of a name was called back, and for how long that matters.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// For a subject the first generation that is good again; for all else none is.
    generation: u64,
    until: UnixTime,
    is_key: bool,
}

impl Revocations {
    /// Takes note of `revocation`; the same one twice counts once, for the longer time.
    pub fn insert(&mut self, revocation: &Revocation) {
        let (generation, is_key) = match revocation.target {
            RevocationTarget::Token(_) | RevocationTarget::Session(_) => (u64::MAX, false),
            RevocationTarget::Key(_) => (u64::MAX, true),
            RevocationTarget::Subject { generation, .. } => (generation, false),
        };
        let extent = Extent {
            generation,
            until: revocation.until,
            is_key,
        };
        self.put(Fingerprint::of(&revocation.target), extent);
    }

    /// Takes note of all that `pack` holds.
    pub fn load(&mut self, pack: Pack) {
        let until = pack.until();
        let (keys, sieve) = pack.into_parts();
        for key in keys {
            let extent = Extent {
                generation: u64::MAX,
                until,
                is_key: true,
            };
            self.put(key, extent);
        }
        self.sieves.push(Arc::new(sieve));
    }

    /// Takes note of all that `other` knows.
    pub fn absorb(&mut self, other: Self) {
        for (name, extent) in other.exact {
            self.put(name, extent);
        }
        for sieve in other.sieves.0.iter() {
            self.sieves.push(Arc::clone(sieve));
        }
    }

    /// Takes note of a name kept whole, as [`super::parse_minute`] gives it.
    pub(super) fn put_exact(
        &mut self,
        name: Fingerprint,
        generation: u64,
        until: UnixTime,
        is_key: bool,
    ) {
        let extent = Extent {
            generation,
            until,
            is_key,
        };
        self.put(name, extent);
    }

    /// Forgets what can stop nothing any more.
    pub fn forget(&mut self, now: UnixTime) {
        self.exact.retain(|_, extent| now < extent.until);
        self.sieves.forget(now);
    }

    /// Keeps no name for longer than to `end`, however long its row says: there are tokens that live
    /// longer than any that a policy takes. Keys, which stop whatever is signed, keep their time.
    pub fn forget_by(&mut self, end: UnixTime) {
        for extent in self.exact.values_mut().filter(|extent| !extent.is_key) {
            extent.until = extent.until.min(end);
        }
        self.sieves.forget_by(end);
    }

    /// Sifts the names that are kept whole, once they are many.
    pub fn compact(&mut self) {
        if self.exact.len() <= MAX_EXACT {
            return;
        }
        let (mut shorts, mut until) = (Vec::with_capacity(self.exact.len()), UnixTime::default());
        for (name, extent) in core::mem::take(&mut self.exact) {
            if extent.is_key {
                self.put(name, extent);
                continue;
            }
            until = until.max(extent.until);
            // The names come in their order, and so do their beginnings.
            if shorts.last() != Some(&name.short()) {
                shorts.push(name.short());
            }
        }
        self.sieves.grow(FingerprintSet::from_sorted(shorts, until));
    }

    /// How `token` stands. One that tells no generation is older than any.
    pub fn status(&self, token: TokenIds<'_>) -> RevocationStatus {
        // Most of the time nothing is called back anywhere, and nothing need be looked up.
        if self.is_empty() {
            return RevocationStatus::NotRevoked;
        }
        let names = Names::of(token);
        if self.names_login(&names) || self.names_authority(&names, token.generation) {
            RevocationStatus::Revoked
        } else if self.sieves.may_name(&names) {
            RevocationStatus::MaybeRevoked
        } else {
            RevocationStatus::NotRevoked
        }
    }

    /// Whether `token` was called back, or may have been.
    pub fn contains(&self, token: TokenIds<'_>) -> bool {
        self.status(token) != RevocationStatus::NotRevoked
    }

    /// Whether the token itself or its session was called back.
    pub fn revokes_token_or_session(&self, token: TokenIds<'_>) -> bool {
        self.names_login(&Names::of(token))
    }

    /// Whether the key that signed it or the generation of its subject was called back: then
    /// nothing that it says can be relied on.
    pub fn revokes_subject_or_key(&self, token: TokenIds<'_>) -> bool {
        self.names_authority(&Names::of(token), token.generation)
    }

    /// Whether the key that signed it was called back: then it says nothing at all.
    pub fn revokes_key(&self, token: TokenIds<'_>) -> bool {
        self.exact.contains_key(&Names::of(token).key)
    }

    /// What was sifted.
    pub const fn fingerprint_sets(&self) -> &FingerprintSets {
        &self.sieves
    }

    /// How many names are known.
    pub fn len(&self) -> usize {
        self.exact.len().saturating_add(self.sieves.len())
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&mut self, name: Fingerprint, extent: Extent) {
        let known = self.exact.entry(name).or_insert(extent);
        known.generation = known.generation.max(extent.generation);
        known.until = known.until.max(extent.until);
    }

    fn names_login(&self, names: &Names) -> bool {
        let has = |name: &Fingerprint| self.exact.contains_key(name);
        has(&names.token) || names.session.as_ref().is_some_and(has)
    }

    fn names_authority(&self, names: &Names, generation: Option<u64>) -> bool {
        let subject = || self.exact.get(&names.subject);
        self.exact.contains_key(&names.key)
            || subject().is_some_and(|extent| generation.is_none_or(|own| own < extent.generation))
    }
}

impl FingerprintSets {
    /// Whether these are the very sieves that `other` are.
    pub fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|sieve| sieve.len()).sum()
    }

    fn may_name(&self, names: &Names) -> bool {
        let one_of = [Some(names.token), names.session, Some(names.subject)];
        self.0
            .iter()
            .any(|sieve| one_of.iter().flatten().any(|name| sieve.may_contain(*name)))
    }

    fn forget(&mut self, now: UnixTime) {
        // A copy without need would make them others.
        if self.0.iter().any(|sieve| sieve.until() <= now) {
            Arc::make_mut(&mut self.0).retain(|sieve| now < sieve.until());
        }
    }

    fn forget_by(&mut self, end: UnixTime) {
        // As above; and of what ends in time already, nothing is copied.
        if self.0.iter().all(|sieve| sieve.until() <= end) {
            return;
        }
        for sieve in Arc::make_mut(&mut self.0) {
            if end < sieve.until() {
                Arc::make_mut(sieve).end_by(end);
            }
        }
    }

    fn push(&mut self, sieve: Arc<FingerprintSet>) {
        if sieve.len() > 0 {
            Arc::make_mut(&mut self.0).push(sieve);
        }
    }

    /// Adds `sieve`, merged with the last one unless that is full.
    fn grow(&mut self, sieve: FingerprintSet) {
        let sieves = Arc::make_mut(&mut self.0);
        match sieves.last_mut() {
            Some(last) if last.len().saturating_add(sieve.len()) <= FULL_SIEVE => {
                *last = Arc::new(last.merge(&sieve));
            }
            Some(_) | None => sieves.push(Arc::new(sieve)),
        }
    }
}

impl FromIterator<Revocation> for Revocations {
    fn from_iter<I: IntoIterator<Item = Revocation>>(revocations: I) -> Self {
        let mut known = Self::default();
        for revocation in revocations {
            known.insert(&revocation);
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::tests::{TOKEN, any_revocations, any_token};
    use RevocationTarget::{Key, Session, Subject, Token};
    use proptest::prelude::*;

    const NOON: UnixTime = UnixTime::from_secs(1_000);

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
        let token = TokenIds {
            generation: None,
            ..TOKEN
        };
        assert!(known(subject("us", 0)).contains(token));
    }

    #[test]
    fn it_is_forgotten_the_second_it_ends_and_never_shortened() {
        let mut known = known(Session("s1".to_owned()));
        let earlier = UnixTime::from_secs(500);
        known.insert(&Revocation {
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
        known.insert(&Revocation {
            target: subject("us", 2),
            until: NOON,
        });
        assert!(known.contains(TOKEN));
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn whole_rows_of_a_subject_say_no_less_than_each_of_them() {
        let row = |generation, until| Revocation {
            target: subject("us", generation),
            until: UnixTime::from_secs(until),
        };
        let mut known = Revocations::from_iter([row(2, 1_000), row(9, 500)]);
        known.forget(UnixTime::from_secs(500));
        // The second has ended, and alone would be forgotten.
        assert!(known.contains(TOKEN));
        let mut alone = Revocations::from_iter([row(9, 500)]);
        alone.forget(UnixTime::from_secs(500));
        assert!(!alone.contains(TOKEN));
    }

    fn token_of(number: usize) -> Revocation {
        Revocation {
            target: Token(format!("other-{number}")),
            until: NOON,
        }
    }

    #[test]
    fn many_names_are_sifted_and_keys_are_not() {
        let mut known = known(Session("s1".to_owned()));
        known.insert(&Revocation {
            target: Key("k9".to_owned()),
            until: NOON,
        });
        for number in 2..MAX_EXACT {
            known.insert(&token_of(number));
        }
        known.compact();
        assert_eq!(
            (known.status(TOKEN), known.exact.len()),
            (RevocationStatus::Revoked, MAX_EXACT)
        );
        known.insert(&token_of(MAX_EXACT));
        known.compact();
        assert_eq!(
            (known.status(TOKEN), known.exact.len()),
            (RevocationStatus::MaybeRevoked, 1)
        );
        let under_it = TokenIds {
            key_id: "k9",
            ..TOKEN
        };
        assert_eq!(known.status(under_it), RevocationStatus::Revoked);
        // What comes in anew is known whole again.
        known.insert(&Revocation {
            target: Session("s1".to_owned()),
            until: NOON,
        });
        assert_eq!(known.status(TOKEN), RevocationStatus::Revoked);
        known.forget(NOON);
        assert!(known.is_empty());
    }

    #[test]
    fn sieves_are_the_same_until_one_is_added_or_has_ended() {
        let mut known = Revocations::default();
        let load = |known: &mut Revocations, number, until| {
            let revocation = Revocation {
                until,
                ..token_of(number)
            };
            known.load(Pack::of(&[revocation], UnixTime::from_secs(0)));
        };
        load(&mut known, 1, NOON);
        let before = known.fingerprint_sets().clone();
        known.insert(&token_of(2));
        known.forget(UnixTime::from_secs(999));
        assert!(known.fingerprint_sets().are(&before));
        load(&mut known, 3, UnixTime::from_secs(2_000));
        assert!(!known.fingerprint_sets().are(&before));
        let before = known.fingerprint_sets().clone();
        known.forget(NOON);
        assert!(!known.fingerprint_sets().are(&before));
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn names_whole_or_sifted_end_by_a_moment_and_keys_do_not() {
        let (later, end) = (UnixTime::from_secs(9_000), UnixTime::from_secs(2_000));
        let row = |target, until| Revocation { target, until };
        let mut known = Revocations::default();
        known.insert(&row(Token("t1".to_owned()), later));
        known.insert(&row(Token("t2".to_owned()), NOON));
        known.insert(&row(Key("k9".to_owned()), later));
        known.load(Pack::of(&[token_of(1)], UnixTime::default()));
        let packed = [row(Token("t3".to_owned()), later)];
        known.load(Pack::of(&packed, UnixTime::default()));
        known.forget_by(end);
        let (before, copy) = (known.fingerprint_sets().clone(), known.clone());
        known.forget_by(end);
        assert!(
            known.fingerprint_sets().are(&before),
            "a second time changes nothing"
        );
        known.forget(NOON);
        assert_eq!(known.len(), 3);
        known.forget(UnixTime::from_secs(1_999));
        assert_eq!(known.len(), 3);
        known.forget(end);
        assert_eq!(known.len(), 1, "the key");
        assert_eq!(copy.len(), 5, "what was shared is as it was");
    }

    #[test]
    fn a_sifted_name_takes_four_bytes() {
        let mut known = Revocations::default();
        for number in 0..250_000 {
            known.insert(&token_of(number));
            if number % 1_000 == 0 {
                known.compact();
            }
        }
        known.compact();
        let sifted: usize = known
            .sieves
            .0
            .iter()
            .map(|sieve| sieve.shorts().len() * 4)
            .sum();
        assert!(sifted < 1_000_000 && known.exact.len() <= MAX_EXACT);
        assert!(known.sieves.0.len() <= 5, "{}", known.sieves.0.len());
        // One of seventeen thousand strangers looks like one of them: 2 names, 250,000 in 2^32.
        let strangers = (0..100_000).map(|number| {
            let id = format!("stranger-{number}");
            known.sieves.may_name(&Names {
                token: Fingerprint::of(&Token(id.clone())),
                session: None,
                subject: Fingerprint::of(&Session(id.clone())),
                key: Fingerprint::of(&Key(id)),
            })
        });
        let taken_for = strangers.filter(|taken| *taken).count();
        assert!((1..40).contains(&taken_for), "{taken_for}");
    }

    proptest! {
        /// Packed and sifted in whatever way, a token that a row of its own still calls back is
        /// never clear, and what is said for certain is what whole names say.
        #[test]
        fn sifting_loses_nothing(
            rows in any_revocations(), ways in prop::collection::vec(0..4_u8, 24),
            token in any_token(), now in 0_u64..12,
        ) {
            let now = UnixTime::from_secs(now);
            let mut whole = Revocations::from_iter(rows.clone());
            whole.forget(now);
            let token = token.as_revocable();
            let mut known = Revocations::default();
            let mut sifted: Vec<Vec<Revocation>> = vec![vec![], vec![]];
            for (row, way) in rows.iter().zip(ways.iter().cycle()) {
                match way {
                    0 => known.insert(row),
                    1 => sifted[0].push(row.clone()),
                    2 => sifted[1].push(row.clone()),
                    _ => known.load(Pack::of([row], UnixTime::default())),
                }
            }
            let packed = sifted.iter().map(|rows| Pack::of(rows, UnixTime::default()));
            let merged = packed.fold(Pack::default(), Pack::merge);
            for part in merged.into_parts_that_fit() {
                known.load(Pack::parse(&part.to_bytes()).unwrap());
            }
            known.forget(now);
            // Kept whole, a subject's rows become one that has the highest generation of them
            // and the longest time: that may say more than any of them did.
            let called_back = rows.iter().filter(|row| now < row.until).any(|row| {
                Revocations::from_iter([row.clone()]).contains(token)
            });
            let standing = known.status(token);
            prop_assert!(!called_back || standing != RevocationStatus::NotRevoked, "lost");
            prop_assert!(!called_back || whole.contains(token), "lost whole");
            // A key of a pack stands as long as the pack does.
            let by_key = rows.iter().any(|row| row.target == Key(token.key_id.to_owned()));
            prop_assert!(standing != RevocationStatus::Revoked || whole.contains(token) || by_key);
        }
    }
}
