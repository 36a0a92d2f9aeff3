//! The sampled limits of IPv6 sites, with seeded randomness.

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::limit::fixed_window::FixedWindow;
use portcullis_core::limit::quotas::Quotas;
use portcullis_core::limit::sliding_window::SlidingWindow;
use portcullis_core::root_keys::{NONCE_BYTES, RootKeys};
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;

use super::*;
use crate::ports::RequestMeta;
use crate::settings::Settings;
use crate::store::Counted;
use crate::test_support::{ready, settings};

const NOON: u64 = 1_795_435_200;
const KIND: LimitKind = LimitKind::LinkAddress;

/// Buckets by the rules of the core, the number of writes, and the audit entries.
#[derive(Default)]
struct Memory {
    rows: RefCell<BTreeMap<String, (SlidingWindow, FixedWindow, bool)>>,
    writes: Cell<usize>,
    refunds: Cell<usize>,
    entries: Cell<usize>,
}

fn one_more(cell: &Cell<usize>) {
    cell.set(cell.get().saturating_add(1));
}

impl LimitStore for Memory {
    async fn count(&self, bucket: &Bucket, attempt: Attempt) -> Result<Counted, StoreError> {
        one_more(&self.writes);
        let mut rows = self.rows.borrow_mut();
        let (sliding, fixed, is_told) = rows.entry(bucket.name.clone()).or_default();
        let quota = bucket.quota;
        let decision = if quota.is_exact() {
            sliding.check(quota, None, attempt)
        } else {
            fixed.check(quota, attempt)
        };
        if decision == LimitDecision::Allow {
            *sliding = sliding.clone().shift(quota, attempt);
            *fixed = fixed.clone().count(quota, attempt);
        }
        let is_first_refusal = decision != LimitDecision::Allow && !*is_told;
        *is_told |= is_first_refusal;
        Ok(Counted {
            decision,
            is_first_refusal,
            is_half_used: !quota.is_exact() && fixed.is_half_used(quota, attempt.at()),
        })
    }

    async fn refund(&self, bucket: &Bucket, attempt: Attempt) -> Result<(), StoreError> {
        one_more(&self.refunds);
        if let Some((sliding, fixed, _)) = self.rows.borrow_mut().get_mut(&bucket.name) {
            *sliding = sliding.clone().refund(attempt);
            *fixed = fixed.clone().refund(bucket.quota, attempt);
        }
        Ok(())
    }
}

impl AuditStore for Memory {
    async fn record(&self, _event: &AuditEvent) -> Result<(), StoreError> {
        one_more(&self.entries);
        Ok(())
    }
}

/// SplitMix64; the byte that decides about the sample can be fixed.
struct Seeded {
    state: Cell<u64>,
    sample: Cell<Option<u8>>,
}

impl Seeded {
    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.state.set(state);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *byte = (mixed >> 56).to_le_bytes()[0];
        }
        bytes
    }
}

impl SecureRandom for Seeded {
    fn id(&self) -> Result<Id, NoEntropy> {
        Ok(Id::from_random(self.bytes()))
    }

    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy> {
        Ok(Secret::new(self.bytes()))
    }

    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy> {
        let mut nonce = self.bytes();
        if let Some(sample) = self.sample.get() {
            nonce[4] = sample;
        }
        Ok(nonce)
    }
}

struct Host {
    store: Memory,
    random: Seeded,
    root_keys: RootKeys,
    settings: Settings,
}

impl Host {
    fn new(quotas: &str) -> Self {
        let mut settings = settings();
        settings.limits.quotas = Quotas::parse(quotas).unwrap();
        let root_keys = RootKeys::document(&Secret::new([4; 32]));
        Self {
            store: Memory::default(),
            random: Seeded {
                state: Cell::new(11),
                sample: Cell::new(None),
            },
            root_keys: RootKeys::parse(root_keys.expose().as_bytes()).unwrap(),
            settings,
        }
    }

    /// All later attempts are sampled, or none.
    fn sample(&self, is_sampled: bool) {
        let byte = if is_sampled {
            SAMPLED_BELOW - 1
        } else {
            SAMPLED_BELOW
        };
        self.random.sample.set(Some(byte));
    }

    fn ask<T>(
        &self,
        address: &str,
        second: u64,
        ask: impl FnOnce(ServiceContext<'_, Memory, Seeded>) -> T,
    ) -> T {
        let call = RequestMeta {
            now: UnixTime::from_secs(NOON.saturating_add(second)),
            request_id: Id::parse("r1").unwrap(),
            client_address: address.to_owned(),
        };
        ask(ServiceContext {
            store: &self.store,
            random: &self.random,
            root_keys: &self.root_keys,
            settings: &self.settings,
            call: &call,
        })
    }

    /// An attempt from `address`: the wait in seconds if it is refused.
    fn attempt(&self, address: &str, second: u64) -> Option<u64> {
        self.ask(address, second, |ctx| {
            match ready(acquire(KIND, LimitKey::Network, ctx)).unwrap() {
                LimitOutcome::Allowed(_) => None,
                LimitOutcome::Limited(Limited::RetryAfter(wait)) => Some(wait.as_secs()),
                LimitOutcome::Limited(Limited::LockedOut(_)) => panic!("no lock"),
            }
        })
    }
}

/// One of the 65536 networks of a `/48`.
fn network(number: usize) -> String {
    format!("2001:db8:1:{number:x}::1")
}

#[test]
fn sampled_attempts_of_one_ipv6_48_are_limited_and_then_all_its_networks_are_refused() {
    let host = Host::new("link_address=3/60");
    host.sample(true);
    for number in 0..3 {
        assert_eq!(host.attempt(&network(number), 0), None, "{number}");
    }
    assert_eq!(host.store.writes.get(), 6);
    assert_eq!(host.attempt(&network(3), 10), Some(50));
    assert_eq!(host.store.entries.get(), 1);
    // Refused from memory: without a sample, a write or an audit entry.
    host.sample(false);
    let writes = host.store.writes.get();
    for number in 0..100 {
        assert_eq!(host.attempt(&network(number), 59), Some(1), "{number}");
    }
    assert_eq!(host.store.writes.get(), writes);
    assert_eq!(host.store.entries.get(), 1);
    // Another /48 and IPv4 are unaffected, and so are other limits.
    assert_eq!(host.attempt("2001:db8:2::1", 59), None);
    assert_eq!(host.attempt("203.0.113.7", 59), None);
    let mail = host.ask(&network(0), 59, |ctx| {
        ready(acquire(LimitKind::MailAddress, LimitKey::Network, ctx))
    });
    assert!(matches!(mail, Ok(LimitOutcome::Allowed(_))));
    // The /48 is free from the second of retry-after.
    assert_eq!(host.attempt(&network(200), 60), None);
}

#[test]
fn an_attempt_of_an_ipv6_client_is_sampled_below_the_threshold_and_not_at_it() {
    let host = Host::new("link_address=3/60");
    host.sample(false);
    for number in 0..100 {
        assert_eq!(host.attempt(&network(number), 0), None, "{number}");
    }
    assert_eq!(host.store.writes.get(), 100);
}

#[test]
fn ipv4_and_mapped_addresses_are_never_sampled() {
    let host = Host::new("link_address=3/60");
    host.sample(true);
    for number in 0..100_usize {
        let address = format!("203.0.113.{number}");
        assert_eq!(host.attempt(&address, 0), None, "{address}");
        // The same bucket, and no other.
        let mapped = format!("::ffff:{address}");
        assert_eq!(host.attempt(&mapped, 0), None, "{mapped}");
    }
    assert_eq!(host.store.writes.get(), 200);
    assert_eq!(host.store.rows.borrow().len(), 100);
}

#[test]
fn attempts_that_their_network_refuses_do_not_use_up_the_quota_of_the_site() {
    let host = Host::new("link_address=3/60");
    host.sample(true);
    for _attempt in 0..3 {
        assert_eq!(host.attempt(&network(0), 0), None);
    }
    // The site has as many attempts as a network, so it is full, too; the refusal is the network's.
    let writes = host.store.writes.get();
    assert_eq!(host.attempt(&network(0), 0), Some(60));
    assert_eq!(host.store.writes.get(), writes.saturating_add(1));
    host.sample(false);
    assert_eq!(host.attempt(&network(1), 0), None);
}

#[test]
fn a_refunded_attempt_is_refunded_in_the_site_as_well() {
    let host = Host::new("link_address=1/60");
    host.sample(true);
    for number in 0..20 {
        host.ask(&network(number), 0, |ctx| {
            let outcome = ready(acquire(KIND, LimitKey::Network, ctx)).unwrap();
            let LimitOutcome::Allowed(reservation) = outcome else {
                panic!("{number} is refused");
            };
            ready(refund(&reservation, ctx)).unwrap();
        });
    }
    assert_eq!(host.store.refunds.get(), 40);
    assert_eq!(host.attempt(&network(20), 0), None);
    assert_eq!(host.attempt(&network(21), 0), Some(60));
}

#[test]
fn one_in_sixteen_attempts_is_sampled_and_a_48_gets_about_sixteen_quotas() {
    let host = Host::new("link_address=100/3600");
    let mut passed = 0_usize;
    while host.attempt(&network(passed), 0).is_none() {
        passed = passed.saturating_add(1);
        assert!(passed < 65_536, "the /48 is never refused");
    }
    // 100 samples; the standard deviation of their distance is about 155.
    assert!((1_100..2_200).contains(&passed), "{passed}");
    assert_eq!(host.store.writes.get(), passed.saturating_add(102));
    assert_eq!(host.store.entries.get(), 1);
}
