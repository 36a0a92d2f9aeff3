//! All revocations that an edge knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::time::UnixTime;

use super::fingerprint::{Fingerprint, Names};
use super::fingerprint_set::FingerprintSet;
use super::pack::Pack;
use super::{Revocation, RevocationTarget, TokenIds};

/// The maximum number of full fingerprints before compaction. With 40 bytes each and the tree they
/// take half a megabyte, against 4 bytes each in a fingerprint set.
const MAX_EXACT: usize = 8_192;

/// The maximum size up to which locally compacted fingerprint sets are merged, because a set
/// expires as a whole.
const FULL_SIEVE: usize = 65_536;

/// All unexpired revocations that an edge knows.
///
/// The newest fingerprints are kept in full, with the generation for subjects. Older ones are
/// compacted to 32 bits, and a hit there is confirmed by a store lookup. Keys are always kept in
/// full, because one revoked key stops many tokens.
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    exact: BTreeMap<Fingerprint, Extent>,
    filters: FingerprintSets,
}

/// The compacted fingerprint sets. Two of them are equal only if one is a copy of the other. A
/// cached store lookup of a token stays valid as long as the sets do.
#[derive(Clone, Debug, Default)]
pub struct FingerprintSets(Arc<Vec<Arc<FingerprintSet>>>);

/// The revocation status of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum RevocationStatus {
    /// None of its identifiers is revoked.
    NotRevoked,
    /// The token, its session, its key or its subject is revoked.
    Revoked,
    /// The token may be revoked; its own rows in the store decide.
    MaybeRevoked,
}

/// The extent and the expiry of one revocation.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// For a subject, the first valid generation; `None` for every other kind.
    generation: u64,
    until: UnixTime,
    is_key: bool,
}

impl Revocations {
    /// Adds `revocation`. A duplicate counts once, with the later expiry.
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

    /// Adds all revocations of `pack`.
    pub fn load(&mut self, pack: Pack) {
        let until = pack.until();
        let (keys, filter) = pack.into_parts();
        for key in keys {
            let extent = Extent {
                generation: u64::MAX,
                until,
                is_key: true,
            };
            self.put(key, extent);
        }
        self.filters.push(Arc::new(filter));
    }

    /// Adds all revocations of `other`.
    pub fn absorb(&mut self, other: Self) {
        for (name, extent) in other.exact {
            self.put(name, extent);
        }
        for filter in other.filters.0.iter() {
            self.filters.push(Arc::clone(filter));
        }
    }

    /// Adds a full fingerprint, as parsed by [`super::parse_minute`].
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

    /// Removes expired revocations.
    pub fn forget(&mut self, now: UnixTime) {
        self.exact.retain(|_, extent| now < extent.until);
        self.filters.forget(now);
    }

    /// Limits the expiry of every fingerprint to `end`, because row TTLs use the longest lifetime
    /// that any policy may set. Keys keep their expiry.
    pub fn forget_by(&mut self, end: UnixTime) {
        for extent in self.exact.values_mut().filter(|extent| !extent.is_key) {
            extent.until = extent.until.min(end);
        }
        self.filters.forget_by(end);
    }

    /// Compacts the full fingerprints once there are too many.
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
            // The fingerprints are sorted, so their prefixes are too.
            if shorts.last() != Some(&name.short()) {
                shorts.push(name.short());
            }
        }
        self.filters
            .grow(FingerprintSet::from_sorted(shorts, until));
    }

    /// The revocation status of `token`. A token without a generation counts as older than any.
    pub fn status(&self, token: TokenIds<'_>) -> RevocationStatus {
        // Fast path: usually there are no revocations at all.
        if self.is_empty() {
            return RevocationStatus::NotRevoked;
        }
        let names = Names::of(token);
        if self.names_login(&names) || self.names_authority(&names, token.generation) {
            RevocationStatus::Revoked
        } else if self.filters.may_name(&names) {
            RevocationStatus::MaybeRevoked
        } else {
            RevocationStatus::NotRevoked
        }
    }

    /// Whether `token` is or may be revoked.
    pub fn contains(&self, token: TokenIds<'_>) -> bool {
        self.status(token) != RevocationStatus::NotRevoked
    }

    /// Whether the token itself or its session is revoked.
    pub fn revokes_token_or_session(&self, token: TokenIds<'_>) -> bool {
        self.names_login(&Names::of(token))
    }

    /// Whether the signing key or the subject's generation is revoked. Then no claim of the token
    /// is trustworthy.
    pub fn revokes_subject_or_key(&self, token: TokenIds<'_>) -> bool {
        self.names_authority(&Names::of(token), token.generation)
    }

    /// Whether the signing key is revoked. Then the token proves nothing.
    pub fn revokes_key(&self, token: TokenIds<'_>) -> bool {
        self.exact.contains_key(&Names::of(token).key)
    }

    /// The compacted fingerprint sets.
    pub const fn fingerprint_sets(&self) -> &FingerprintSets {
        &self.filters
    }

    /// The number of known fingerprints.
    pub fn len(&self) -> usize {
        self.exact.len().saturating_add(self.filters.len())
    }

    /// Whether there are no revocations.
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
    /// Whether both are the same allocation.
    pub fn are(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn len(&self) -> usize {
        self.0.iter().map(|filter| filter.len()).sum()
    }

    fn may_name(&self, names: &Names) -> bool {
        let one_of = [Some(names.token), names.session, Some(names.subject)];
        self.0.iter().any(|filter| {
            one_of
                .iter()
                .flatten()
                .any(|name| filter.may_contain(*name))
        })
    }

    fn forget(&mut self, now: UnixTime) {
        // An unnecessary copy would lose the identity.
        if self.0.iter().any(|filter| filter.until() <= now) {
            Arc::make_mut(&mut self.0).retain(|filter| now < filter.until());
        }
    }

    fn forget_by(&mut self, end: UnixTime) {
        // As above; a set that expires in time is not copied.
        if self.0.iter().all(|filter| filter.until() <= end) {
            return;
        }
        for filter in Arc::make_mut(&mut self.0) {
            if end < filter.until() {
                Arc::make_mut(filter).end_by(end);
            }
        }
    }

    fn push(&mut self, filter: Arc<FingerprintSet>) {
        if filter.len() > 0 {
            Arc::make_mut(&mut self.0).push(filter);
        }
    }

    /// Adds a fingerprint set, merged with the last one unless that is full.
    fn grow(&mut self, filter: FingerprintSet) {
        let filters = Arc::make_mut(&mut self.0);
        match filters.last_mut() {
            Some(last) if last.len().saturating_add(filter.len()) <= FULL_SIEVE => {
                *last = Arc::new(last.merge(&filter));
            }
            Some(_) | None => filters.push(Arc::new(filter)),
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
    fn each_revocation_stops_only_tokens_of_its_own_kind() {
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
    fn a_token_without_generation_counts_as_older_than_any() {
        let token = TokenIds {
            generation: None,
            ..TOKEN
        };
        assert!(known(subject("us", 0)).contains(token));
    }

    #[test]
    fn a_revocation_expires_to_the_second_and_is_never_shortened() {
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
    fn a_revoked_subject_keeps_its_highest_generation() {
        let mut known = known(subject("us", 9));
        known.insert(&Revocation {
            target: subject("us", 2),
            until: NOON,
        });
        assert!(known.contains(TOKEN));
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn merged_revocations_of_a_subject_cover_each_single_one() {
        let row = |generation, until| Revocation {
            target: subject("us", generation),
            until: UnixTime::from_secs(until),
        };
        let mut known = Revocations::from_iter([row(2, 1_000), row(9, 500)]);
        known.forget(UnixTime::from_secs(500));
        // The second set has expired and would be removed on its own.
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
    fn many_fingerprints_are_compacted_and_keys_are_not() {
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
        // A new revocation is kept in full again.
        known.insert(&Revocation {
            target: Session("s1".to_owned()),
            until: NOON,
        });
        assert_eq!(known.status(TOKEN), RevocationStatus::Revoked);
        known.forget(NOON);
        assert!(known.is_empty());
    }

    #[test]
    fn fingerprint_sets_keep_identity_until_one_is_added_or_expires() {
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
    fn capping_the_expiry_affects_fingerprints_and_not_keys() {
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
    fn a_compacted_fingerprint_takes_four_bytes() {
        let mut known = Revocations::default();
        for number in 0..250_000 {
            known.insert(&token_of(number));
            if number % 1_000 == 0 {
                known.compact();
            }
        }
        known.compact();
        let sifted: usize = known
            .filters
            .0
            .iter()
            .map(|filter| filter.shorts().len() * 4)
            .sum();
        assert!(sifted < 1_000_000 && known.exact.len() <= MAX_EXACT);
        assert!(known.filters.0.len() <= 5, "{}", known.filters.0.len());
        // The false-positive rate is one in seventeen thousand: 250,000 in 2^32.
        let strangers = (0..100_000).map(|number| {
            let id = format!("stranger-{number}");
            known.filters.may_name(&Names {
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
        /// However packed and compacted, a token with an unexpired revocation is never
        /// `NotRevoked`, and `Revoked` agrees with the full fingerprints.
        #[test]
        fn compaction_loses_no_revocation(
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
            // Full rows of a subject merge into one with their highest generation and latest
            // expiry. That may revoke more than any single row.
            let called_back = rows.iter().filter(|row| now < row.until).any(|row| {
                Revocations::from_iter([row.clone()]).contains(token)
            });
            let standing = known.status(token);
            prop_assert!(!called_back || standing != RevocationStatus::NotRevoked, "lost");
            prop_assert!(!called_back || whole.contains(token), "lost whole");
            // A key of a pack lasts as long as the pack.
            let by_key = rows.iter().any(|row| row.target == Key(token.key_id.to_owned()));
            prop_assert!(standing != RevocationStatus::Revoked || whole.contains(token) || by_key);
        }
    }
}
