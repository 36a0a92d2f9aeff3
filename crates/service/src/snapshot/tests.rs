//! The parts that are read, and the state after one part failed.

use core::cell::RefCell;

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::revocation::{
    PackIndex, PackName, Revocation, RevocationTarget, Revocations, TokenIds,
};
use portcullis_core::token::algorithm::Algorithm;

use super::*;
use crate::ports::NoCache;
use crate::store::{Announced, WriteOutcome};
use crate::test_support::ready;

const POLICY: &str = r#"{"issuers":[{"issuer":"https://us","audience":"api","algorithms":["EdDSA"],
    "keys":"document","profile":"at+jwt","max_lifetime":600}],"routes":[]}"#;

pub(crate) const fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

/// A store with one key and one revoked token; the chosen part fails.
#[derive(Default)]
pub(crate) struct Fixture {
    pub(crate) keys_fail: bool,
    pub(crate) feed_fails: bool,
    pub(crate) ranges: RefCell<Vec<(u64, u64)>>,
    pub(crate) key_reads: RefCell<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("down")]
struct Down;

impl KeyStore for Fixture {
    async fn key_document(&self) -> Result<KeyDocument, StoreError> {
        self.key_reads.replace_with(|reads| reads.saturating_add(1));
        if self.keys_fail {
            Err(StoreError::new("test", Down))
        } else {
            Ok(document())
        }
    }
}

impl RevocationStore for Fixture {
    async fn revocations_of(&self, _: TokenIds<'_>) -> Result<Revocations, StoreError> {
        Ok(Revocations::default())
    }
    async fn feed(&self, from: UnixTime, to: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        self.ranges
            .borrow_mut()
            .push((from.as_secs(), to.as_secs()));
        if self.feed_fails {
            return Err(StoreError::new("test", Down));
        }
        let target = RevocationTarget::Token("t1".to_owned());
        Ok(vec![Revocation {
            target,
            until: at(10_020),
        }])
    }
    async fn put_revocation(
        &self,
        _: &[Revocation],
        _: UnixTime,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        Ok(())
    }
    async fn announce_again(
        &self,
        _: &Revocation,
        _: UnixTime,
        _: UnixTime,
        _: &Id,
    ) -> Result<Announced, StoreError> {
        Ok(Announced::Written)
    }
    async fn announce(&self, _: &[Revocation], _: UnixTime, _: &Id) -> Result<(), StoreError> {
        Ok(())
    }
}

impl PackStore for Fixture {
    async fn directory(&self) -> Result<PackIndex, StoreError> {
        Ok(PackIndex::default())
    }
    async fn pack(&self, _: &PackName) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
    async fn put_pack(&self, _: &PackName, _: &[u8], _: UnixTime) -> Result<(), StoreError> {
        Ok(())
    }
    async fn replace_directory(&self, _: &PackIndex, _: &Id) -> Result<WriteOutcome, StoreError> {
        Ok(WriteOutcome::Applied)
    }
}

impl Fixture {
    /// The first and the last second of the feed that were read since the previous call.
    fn range(&self) -> (u64, u64) {
        let ranges = self.ranges.take();
        let first = ranges.iter().map(|(from, _)| *from).min();
        let last = ranges.iter().map(|(_, to)| *to).max();
        first.zip(last).unwrap_or_default()
    }
}

fn key() -> VerifyingKey {
    let jwk = br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let key = VerifyingKey::parse(jwk).expect("RFC 8037");
    VerifyingKey::new(key.material().clone(), Algorithm::EdDsa).expect("fits")
}
fn document() -> KeyDocument {
    KeyDocument::default().with(key(), at(0))
}
pub(crate) fn policy() -> Policy {
    Policy::parse(POLICY, None).expect("good")
}
fn knows_the_key(snapshot: &Snapshot, now: UnixTime) -> bool {
    snapshot
        .keys()
        .find("https://us", &key().thumbprint(), now)
        .is_some()
}
/// The result of a read at `now` on top of `previous`.
fn follow_from(previous: Snapshot, keys: Keys, fixture: &Fixture, now: u64) -> SnapshotRead {
    ready(follow(
        &policy(),
        previous,
        keys,
        fixture,
        &NoCache,
        at(now),
    ))
}

/// The snapshot after a first read.
fn first(fixture: &Fixture, now: u64) -> Snapshot {
    let reading = follow_from(Snapshot::unread(&policy()), Keys::WhenDue, fixture, now);
    assert!(reading.error.is_none());
    fixture.range();
    reading.snapshot
}

#[test]
fn a_first_read_goes_back_by_the_maximum_token_age() {
    let fixture = Fixture::default();
    let unread = Snapshot::unread(&policy());
    let snapshot = follow_from(unread, Keys::WhenDue, &fixture, 10_000).snapshot;
    // From the start of that minute.
    assert_eq!(fixture.range(), ((10_000 - 600 - 4) / 60 * 60, 10_000 + 2));
    assert!(knows_the_key(&snapshot, at(10_000)));
    assert_eq!(snapshot.revocations().len(), 1);
}

#[test]
fn a_following_read_overlaps_by_write_bound_and_skew_and_drops_expired_revocations() {
    let fixture = Fixture::default();
    let next = follow_from(first(&fixture, 10_000), Keys::WhenDue, &fixture, 10_005);
    assert_eq!(fixture.range(), (10_000 - 4, 10_005 + 2));
    assert_eq!(next.snapshot.revocations_read_at(), at(10_005));
    // The keys become due after one minute.
    assert_eq!(
        (*fixture.key_reads.borrow(), next.snapshot.keys_read_at()),
        (1, at(10_000))
    );
    let later = follow_from(next.snapshot, Keys::Now, &fixture, 10_020).snapshot;
    assert_eq!(
        (*fixture.key_reads.borrow(), later.keys_read_at()),
        (2, at(10_020))
    );
    assert!(later.revocations().is_empty());
}

#[test]
fn a_read_after_a_long_pause_goes_back_no_further_than_a_first_read() {
    let fixture = Fixture::default();
    follow_from(first(&fixture, 10_000), Keys::WhenDue, &fixture, 90_000);
    assert_eq!(fixture.range(), ((90_000 - 600 - 4) / 60 * 60, 90_000 + 2));
}

#[test]
fn unreadable_keys_leave_the_last_keys_at_their_stale_age() {
    let broken = Fixture {
        keys_fail: true,
        ..Fixture::default()
    };
    let followed = follow_from(
        first(&Fixture::default(), 10_000),
        Keys::Now,
        &broken,
        10_100,
    );
    assert!(followed.error.is_some());
    assert!(knows_the_key(&followed.snapshot, at(10_100)));
    assert_eq!(followed.snapshot.keys_read_at(), at(10_000));
    assert_eq!(followed.snapshot.revocations_read_at(), at(10_100));
}

#[test]
fn a_snapshot_older_than_the_read_back_is_not_updated_without_the_keys() {
    let broken = Fixture {
        keys_fail: true,
        ..Fixture::default()
    };
    // One second more than the feed is read back: the read misses a key that was revoked in that
    // second.
    for (slept, read_at) in [(600, 10_600), (601, 10_000)] {
        let before = first(&Fixture::default(), 10_000);
        let followed = follow_from(before, Keys::WhenDue, &broken, 10_000 + slept);
        assert!(followed.error.is_some());
        let known_at = followed.snapshot.revocations_read_at();
        assert_eq!(known_at, at(read_at), "{slept}");
    }
    // With the keys it is a normal read, even if they are not due by the policy.
    let lazy = POLICY.replace(
        "\"routes\"",
        "\"keys\":{\"poll\":900,\"soft\":900,\"hard\":3600},\"routes\"",
    );
    let lazy = Policy::parse(&lazy, None).expect("good");
    let fixture = Fixture::default();
    let before = first(&fixture, 10_000);
    let now = at(10_601);
    let followed = ready(follow(
        &lazy,
        before,
        Keys::WhenDue,
        &fixture,
        &NoCache,
        now,
    ));
    assert_eq!(*fixture.key_reads.borrow(), 2);
    assert_eq!(followed.snapshot.revocations_read_at(), now);
}

#[test]
fn an_unreadable_feed_leaves_the_revocations_unchanged_and_new_keys_are_kept() {
    let broken = Fixture {
        feed_fails: true,
        ..Fixture::default()
    };
    for previous in [
        Snapshot::unread(&policy()),
        first(&Fixture::default(), 10_000),
    ] {
        let known_at = previous.revocations_read_at();
        let followed = follow_from(previous, Keys::Now, &broken, 10_005);
        assert!(followed.error.is_some());
        assert_eq!(followed.snapshot.revocations_read_at(), known_at);
        assert_eq!(followed.snapshot.keys_read_at(), at(10_005));
        assert!(knows_the_key(&followed.snapshot, at(10_005)));
    }
}
