//! The source of each read, and the proof that no revocation is lost.

mod packs;

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::revocation::{
    PackIndex, PackName, Revocation, RevocationStatus, RevocationTarget, TokenIds,
};
use proptest::prelude::*;

use super::*;
use crate::pack::{self, PackOutcome};
use crate::ports::NoCache;
use crate::store::{Announced, WriteOutcome};
use crate::test_support::ready;

const fn at(secs: u64) -> UnixTime {
    UnixTime::from_secs(secs)
}

/// The reach of a policy that accepts tokens of 10 minutes with a leeway of one minute.
const REACH: Duration = Duration::from_secs(660);

/// A feed, its packs and a cache, in memory. Each counts its reads.
#[derive(Default)]
pub(crate) struct Fixture {
    pub(crate) rows: RefCell<Vec<(UnixTime, Revocation)>>,
    pub(crate) packs: RefCell<BTreeMap<String, Vec<u8>>>,
    pub(crate) directory: RefCell<PackIndex>,
    shelf: RefCell<BTreeMap<String, Vec<u8>>>,
    lifetimes: RefCell<BTreeMap<String, Duration>>,
    shelf_calls: Cell<usize>,
    spans: RefCell<Vec<(u64, u64)>>,
    pack_reads: Cell<usize>,
    pub(crate) directory_fails: Cell<bool>,
    directory_is_damaged: Cell<bool>,
    packs_fail: Cell<bool>,
    pub(crate) feed_fails_before: Cell<u64>,
    pub(crate) overtaken: Cell<bool>,
}

#[derive(Debug, thiserror::Error)]
#[error("down")]
struct Down;

impl RevocationStore for Fixture {
    async fn revocations_of(&self, _: TokenIds<'_>) -> Result<Revocations, StoreError> {
        Ok(Revocations::default())
    }
    async fn feed(&self, from: UnixTime, to: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        self.spans.borrow_mut().push((from.as_secs(), to.as_secs()));
        if from.as_secs() < self.feed_fails_before.get() {
            return Err(StoreError::new("test", Down));
        }
        let rows = self.rows.borrow();
        let within = rows.iter().filter(|(stamp, _)| (from..=to).contains(stamp));
        Ok(within.map(|(_, row)| row.clone()).collect())
    }
    async fn put_revocation(
        &self,
        revocations: &[Revocation],
        stamp: UnixTime,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        let rows = revocations.iter().map(|row| (stamp, row.clone()));
        self.rows.borrow_mut().extend(rows);
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
        if self.directory_fails.get() {
            return Err(StoreError::new("test", Down));
        }
        if self.directory_is_damaged.get() {
            return Err(StoreError::corrupt("test", Down));
        }
        Ok(self.directory.borrow().clone())
    }
    async fn pack(&self, name: &PackName) -> Result<Option<Vec<u8>>, StoreError> {
        self.pack_reads.set(self.pack_reads.get().saturating_add(1));
        if self.packs_fail.get() {
            return Err(StoreError::new("test", Down));
        }
        Ok(self.packs.borrow().get(name.as_str()).cloned())
    }
    async fn put_pack(&self, name: &PackName, bytes: &[u8], _: UnixTime) -> Result<(), StoreError> {
        let name = name.as_str().to_owned();
        self.packs.borrow_mut().insert(name, bytes.to_vec());
        Ok(())
    }
    async fn replace_directory(
        &self,
        next: &PackIndex,
        _: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        let mut directory = self.directory.borrow_mut();
        if self.overtaken.get() || next.version() != directory.version().saturating_add(1) {
            return Ok(WriteOutcome::Conflict);
        }
        *directory = next.clone();
        Ok(WriteOutcome::Applied)
    }
}

impl ImmutableCache for Fixture {
    async fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.shelf_calls.update(|calls| calls.saturating_add(1));
        self.shelf.borrow().get(name).cloned()
    }
    async fn put(&self, name: &str, bytes: &[u8], lifetime: Duration) {
        self.shelf_calls.update(|calls| calls.saturating_add(1));
        self.lifetimes
            .borrow_mut()
            .insert(name.to_owned(), lifetime);
        self.shelf
            .borrow_mut()
            .insert(name.to_owned(), bytes.to_vec());
    }
}

impl Fixture {
    pub(crate) fn revoke(&self, stamp: u64, id: &str, until: u64) {
        let target = RevocationTarget::Token(id.to_owned());
        let until = at(until);
        let row = (at(stamp), Revocation { target, until });
        self.rows.borrow_mut().push(row);
    }

    pub(crate) fn pack(&self, now: u64) -> PackOutcome {
        let id = Id::parse("r1").expect("an id");
        let lifetime = Duration::from_secs(600);
        ready(pack::pack(self, lifetime, at(now), &id)).expect("packed")
    }

    fn cold(&self, now: u64, shelf: &impl ImmutableCache) -> Result<Revocations, StoreError> {
        self.cold_by(REACH, now, shelf)
    }

    fn cold_by(
        &self,
        reach: Duration,
        now: u64,
        shelf: &impl ImmutableCache,
    ) -> Result<Revocations, StoreError> {
        let (now, since) = (at(now), at(now).minus(reach));
        self.spans.borrow_mut().clear();
        self.pack_reads.set(0);
        ready(read_revocations(
            Revocations::default(),
            since,
            reach,
            self,
            shelf,
            now,
        ))
    }

    /// The longest span of the feed in a single read, in seconds.
    pub(crate) fn longest_reading(&self) -> u64 {
        let spans = self.spans.borrow();
        let longest = spans.iter().map(|(from, to)| to.abs_diff(*from)).max();
        longest.unwrap_or_default()
    }

    pub(crate) fn read(&self, now: u64) -> Revocations {
        self.cold(now, &NoCache).expect("read")
    }
}

pub(crate) fn token(id: &str) -> TokenIds<'_> {
    TokenIds {
        issuer: "us",
        subject: "alice",
        token_id: id,
        session_id: None,
        generation: None,
        key_id: "k",
    }
}

#[test]
fn a_cold_read_takes_closed_minutes_one_by_one_and_the_open_ones_at_once() {
    let fixture = Fixture::default();
    // At 10,024 the minute from 9,960 is the last closed one.
    fixture.read(10_024);
    let spans = fixture.spans.borrow();
    assert_eq!(spans.len(), 12);
    assert!(spans.contains(&(9_360, 9_419)) && spans.contains(&(9_960, 10_019)));
    assert!(spans.contains(&(10_020, 10_026)));
    drop(spans);
    // One second earlier it is still open.
    fixture.read(10_023);
    assert!(fixture.spans.borrow().contains(&(9_960, 10_025)));
}

#[test]
fn a_closed_minute_is_read_once_with_a_cache() {
    let fixture = Fixture::default();
    fixture.revoke(9_500, "t1", 10_900);
    for reads in [12, 1, 1] {
        let known = fixture.cold(10_030, &fixture).expect("read");
        assert_eq!(known.status(token("t1")), RevocationStatus::Revoked);
        assert_eq!(fixture.spans.borrow().len(), reads);
    }
    // An invalid cache entry is read again from the store.
    for bytes in fixture.shelf.borrow_mut().values_mut() {
        bytes.pop();
    }
    let known = fixture.cold(10_030, &fixture).expect("read");
    assert_eq!(known.status(token("t1")), RevocationStatus::Revoked);
    assert!(fixture.spans.borrow().len() > 1);
}

/// The maximum of calls of a cold start, at any second of a minute.
fn calls_of_a_cold_start(reach: Duration) -> u64 {
    let mut most = 0;
    for now in 10_000..10_060 {
        let fixture = Fixture::default();
        fixture.cold_by(reach, now, &fixture).expect("read");
        let spans = fixture.spans.borrow();
        // The store queries one partition for each minute of a span.
        let queries: u64 = spans
            .iter()
            .map(|(from, to)| (to / 60).abs_diff(from / 60).saturating_add(1))
            .sum();
        let shelf = u64::try_from(fixture.shelf_calls.get()).expect("few");
        // Directory, keys, a lookup and the origin.
        most = most.max([queries, shelf, 4].iter().sum());
    }
    most
}

#[test]
fn a_cold_start_with_an_empty_cache_makes_the_documented_number_of_calls() {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    for (reach, calls) in [(10, 36), (11, 39), (22, 50)] {
        assert_eq!(calls_of_a_cold_start(minutes(reach)), calls, "{reach}");
    }
}

#[test]
fn a_minute_cached_by_a_warm_read_serves_later_cold_starts() {
    let fixture = Fixture::default();
    // Ten seconds are read, and a minute closes within them.
    let since = at(10_076);
    let read = read_revocations(
        Revocations::default(),
        since,
        REACH,
        &fixture,
        &fixture,
        at(10_086),
    );
    assert!(ready(read).is_ok());
    let lifetimes = fixture.lifetimes.borrow();
    assert_eq!(lifetimes.len(), 1);
    assert!(lifetimes.values().all(|lifetime| *lifetime == REACH));
}

#[test]
fn an_edge_keeps_a_revocation_only_as_long_as_its_policy_accepts_the_token() {
    let fixture = Fixture::default();
    fixture.revoke(9_900, "t1", 9_900 + 86_462);
    let known = fixture.read(9_910);
    let read = |now: u64| {
        let mut known = known.clone();
        known.forget(at(now));
        known.contains(token("t1"))
    };
    // The reach, and 64 s for leeway and a host that was just issuing a token.
    assert!(read(9_910 + 660 + 63) && !read(9_910 + 660 + 64));
    // Also from a pack.
    fixture.pack(9_990);
    let mut known = fixture.read(9_990);
    assert_eq!(known.status(token("t1")), RevocationStatus::MaybeRevoked);
    known.forget(at(9_990 + 660 + 64));
    assert!(known.is_empty());
}

#[test]
fn a_pack_is_read_once_with_a_cache() {
    let fixture = Fixture::default();
    fixture.revoke(9_500, "t1", 10_900);
    assert_eq!(fixture.pack(10_030), PackOutcome::Done { names: 1 });
    for reads in [1, 0] {
        assert!(
            fixture
                .cold(10_030, &fixture)
                .expect("read")
                .contains(token("t1"))
        );
        assert_eq!(fixture.pack_reads.get(), reads);
    }
}

#[test]
fn a_read_fails_if_a_minute_is_in_no_pack_and_its_rows_are_unreadable() {
    let fixture = Fixture::default();
    fixture.pack(9_830);
    fixture.feed_fails_before.set(9_830);
    assert!(fixture.cold(10_030, &NoCache).is_err());
    fixture.feed_fails_before.set(0);
    fixture.pack(10_030);
    fixture.feed_fails_before.set(10_000);
    assert!(fixture.cold(10_030, &NoCache).is_ok());
}

proptest! {
    /// At any time of revocation, packing and reading, a revoked token is never reported as not
    /// revoked.
    #[test]
    fn packs_and_recent_rows_together_lose_no_revocation(
        revoked in prop::collection::vec((9_000_u64..10_100, 0_u64..40), 0..40),
        rounds in prop::collection::vec(9_100_u64..10_100, 0..6),
        spoiled in any::<bool>(), with_shelf in any::<bool>(),
    ) {
        let fixture = Fixture::default();
        for (stamp, id) in &revoked {
            fixture.revoke(*stamp, &format!("t{id}"), stamp.saturating_add(662));
        }
        let mut rounds = rounds;
        rounds.sort_unstable();
        for now in &rounds {
            // A packing run reads every revocation announced before it.
            let later = fixture.rows.replace(Vec::new());
            let (earlier, later) = later.into_iter().partition(|(stamp, _)| *stamp <= at(*now));
            fixture.rows.replace(earlier);
            let _ = fixture.pack(*now);
            fixture.rows.borrow_mut().extend::<Vec<_>>(later);
        }
        if spoiled && let Some(pack) = fixture.packs.borrow_mut().values_mut().next() {
            pack.pop();
        }
        let now = 10_100;
        let known = if with_shelf {
            let _ = fixture.cold(now - 61, &fixture);
            fixture.cold(now, &fixture)
        } else {
            fixture.cold(now, &NoCache)
        };
        let known = known.expect("read");
        for (stamp, id) in revoked {
            let id = format!("t{id}");
            if stamp.saturating_add(662) > now {
                prop_assert!(known.status(token(&id)) != RevocationStatus::NotRevoked, "{id}");
            }
        }
        prop_assert_eq!(known.status(token("t99")), RevocationStatus::NotRevoked);
    }
}
