//! The rows in memory, under the rules of the product.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::limit::fixed_window::FixedWindow;
use portcullis_core::limit::sliding_window::SlidingWindow;
use portcullis_core::limit::{Attempt, LimitDecision};
use portcullis_core::root_keys::NONCE_BYTES;
use portcullis_core::secret::Secret;
use portcullis_service::ports::{NoEntropy, SecureRandom};
use portcullis_service::store::{AuditStore, Bucket, Counted, LimitStore, StoreError};

/// Every bucket.
#[derive(Default)]
pub(crate) struct Memory(RefCell<HashMap<String, Row>>);

#[derive(Clone, Default)]
struct Row {
    window: SlidingWindow,
    tally: FixedWindow,
    reported: bool,
}

impl LimitStore for Memory {
    async fn count(&self, bucket: &Bucket, attempt: Attempt) -> Result<Counted, StoreError> {
        let mut rows = self.0.borrow_mut();
        let row = rows.entry(bucket.name.clone()).or_default();
        let (quota, exact) = (bucket.quota, bucket.quota.is_exact());
        let decision = if exact {
            row.window
                .check(quota, bucket.scope.max_consecutive_failures(), attempt)
        } else {
            row.tally.check(quota, attempt)
        };
        if decision == LimitDecision::Allow && exact {
            row.window = row.window.clone().shift(quota, attempt);
        } else if decision == LimitDecision::Allow {
            row.tally = row.tally.clone().count(quota, attempt);
        }
        let first = decision != LimitDecision::Allow && !row.reported;
        row.reported |= first;
        Ok(Counted {
            decision,
            is_first_refusal: first,
            is_half_used: !exact && row.tally.is_half_used(quota, attempt.at()),
        })
    }

    async fn refund(&self, bucket: &Bucket, attempt: Attempt) -> Result<(), StoreError> {
        if let Some(row) = self.0.borrow_mut().get_mut(&bucket.name) {
            row.window = row.window.clone().refund(attempt);
            row.tally = row.tally.clone().refund(bucket.quota, attempt);
        }
        Ok(())
    }
}

impl AuditStore for Memory {
    async fn record(&self, _event: &AuditEvent) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Deterministic randomness (SplitMix64).
pub(crate) struct Dice(Cell<u64>);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    pub(crate) fn roll(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn happens(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn bytes<const N: usize>(&self) -> [u8; N] {
        std::array::from_fn(|_| self.roll().to_le_bytes()[0])
    }
}

impl SecureRandom for Dice {
    fn id(&self) -> Result<Id, NoEntropy> {
        Ok(Id::from_random(self.bytes()))
    }

    fn secret(&self) -> Result<Secret<[u8; 32]>, NoEntropy> {
        Ok(Secret::new(self.bytes()))
    }

    fn nonce(&self) -> Result<[u8; NONCE_BYTES], NoEntropy> {
        Ok(self.bytes())
    }
}
