//! What is read, and what stays when half of it cannot be.

use core::cell::RefCell;

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::keys::jwk::VerifyingKey;
use portcullis_core::revocation::{
    PackDirectory, PackName, Revocable, Revocation, RevocationTarget,
};
use portcullis_core::token::algorithm::Algorithm;

use super::*;
use crate::ports::NoShelf;
use crate::store::Written;
use crate::test_support::ready;

const POLICY: &str = r#"{"issuers":[{"issuer":"https://us","audience":"api","algorithms":["EdDSA"],
    "keys":"document","profile":"at+jwt","max_lifetime":600}],"routes":[]}"#;

pub(crate) const fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

/// A store with one key and one revoked token, which fails where it is told to.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) keys_fail: bool,
    pub(crate) feed_fails: bool,
    pub(crate) ranges: RefCell<Vec<(u64, u64)>>,
    pub(crate) key_reads: RefCell<usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("down")]
struct Down;

impl KeyStore for World {
    async fn key_document(&self) -> Result<KeyDocument, StoreError> {
        self.key_reads.replace_with(|reads| reads.saturating_add(1));
        if self.keys_fail {
            Err(StoreError::new("test", Down))
        } else {
            Ok(document())
        }
    }
    async fn publish(&self, _: &KeyDocument, _: &Id) -> Result<Written, StoreError> {
        Ok(Written::Done)
    }
}

impl RevocationStore for World {
    async fn revocations_of(&self, _: Revocable<'_>) -> Result<Revocations, StoreError> {
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
    async fn revoke(
        &self,
        _: &[Revocation],
        _: UnixTime,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        Ok(())
    }
    async fn announce(&self, _: &[Revocation], _: UnixTime, _: &Id) -> Result<(), StoreError> {
        Ok(())
    }
}

impl PackStore for World {
    async fn directory(&self) -> Result<PackDirectory, StoreError> {
        Ok(PackDirectory::default())
    }
    async fn pack(&self, _: &PackName) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
    async fn put_pack(&self, _: &PackName, _: &[u8], _: UnixTime) -> Result<(), StoreError> {
        Ok(())
    }
    async fn replace_directory(&self, _: &PackDirectory, _: &Id) -> Result<Written, StoreError> {
        Ok(Written::Done)
    }
}

impl World {
    /// The first and the last second of the feed that were read since this was last asked.
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
#[test]
fn a_first_reading_goes_back_as_far_as_a_token_can_be_old() {
    let world = World::default();
    let snapshot = ready(read(&policy(), &world, &NoShelf, at(10_000))).expect("all there");
    // From the start of that minute.
    assert_eq!(world.range(), ((10_000 - 600 - 4) / 60 * 60, 10_000 + 2));
    assert!(knows_the_key(&snapshot, at(10_000)));
    assert_eq!(snapshot.revocations().len(), 1);
}

#[test]
fn following_overlaps_by_write_bound_and_skew_and_forgets_what_has_ended() {
    let world = World::default();
    let first = ready(read(&policy(), &world, &NoShelf, at(10_000))).expect("all there");
    world.range();
    let next = ready(follow(
        &policy(),
        first,
        Keys::WhenDue,
        &world,
        &NoShelf,
        at(10_005),
    ))
    .expect("there");
    assert_eq!(world.range(), (10_000 - 4, 10_005 + 2));
    assert_eq!(next.snapshot.revocations_read_at(), at(10_005));
    // The keys are not due before a minute has passed.
    assert_eq!(
        (*world.key_reads.borrow(), next.snapshot.keys_read_at()),
        (1, at(10_000))
    );
    let later = ready(follow(
        &policy(),
        next.snapshot,
        Keys::Now,
        &world,
        &NoShelf,
        at(10_020),
    ));
    let later = later.expect("all there").snapshot;
    assert_eq!(
        (*world.key_reads.borrow(), later.keys_read_at()),
        (2, at(10_020))
    );
    assert!(later.revocations().is_empty());
}

#[test]
fn a_long_sleep_reads_no_further_back_than_a_first_reading() {
    let world = World::default();
    let first = ready(read(&policy(), &world, &NoShelf, at(10_000))).expect("all there");
    world.range();
    let _ = ready(follow(
        &policy(),
        first,
        Keys::WhenDue,
        &world,
        &NoShelf,
        at(90_000),
    ))
    .expect("there");
    assert_eq!(world.range(), ((90_000 - 600 - 4) / 60 * 60, 90_000 + 2));
}

#[test]
fn keys_that_cannot_be_read_leave_the_last_good_ones_at_their_age() {
    let first = ready(read(&policy(), &World::default(), &NoShelf, at(10_000))).expect("all there");
    let broken = World {
        keys_fail: true,
        ..World::default()
    };
    let followed = ready(follow(
        &policy(),
        first,
        Keys::Now,
        &broken,
        &NoShelf,
        at(10_100),
    ))
    .expect("feed");
    assert!(followed.keys_error.is_some());
    assert!(knows_the_key(&followed.snapshot, at(10_100)));
    assert_eq!(followed.snapshot.keys_read_at(), at(10_000));
    assert_eq!(followed.snapshot.revocations_read_at(), at(10_100));
}

#[test]
fn a_feed_that_cannot_be_read_whole_is_no_reading() {
    let broken = World {
        feed_fails: true,
        ..World::default()
    };
    assert!(ready(read(&policy(), &broken, &NoShelf, at(10_000))).is_err());
    let first = ready(read(&policy(), &World::default(), &NoShelf, at(10_000))).expect("all there");
    assert!(
        ready(follow(
            &policy(),
            first,
            Keys::Now,
            &broken,
            &NoShelf,
            at(10_005)
        ))
        .is_err()
    );
    let without_keys = World {
        keys_fail: true,
        ..World::default()
    };
    assert!(ready(read(&policy(), &without_keys, &NoShelf, at(10_000))).is_err());
}
