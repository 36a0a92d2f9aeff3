//! Rate limit windows: one write per attempt.

use core::time::Duration;

use portcullis_core::audit::AuditEvent;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::limit::{Attempt, LimitDecision, Quota};

use super::StoreError;

/// The bucket of an attempt: a limit, its quota and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    /// The kind of limit.
    pub scope: LimitKind,
    /// The quota.
    pub quota: Quota,
    /// The key as an HMAC under a host key, because the row must contain no address.
    pub name: String,
    /// The group of the bucket, as such an HMAC. Only the buckets of a group can be listed.
    pub group: Option<String>,
}

/// The result of counting an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Counted {
    /// Whether it is allowed, and counted then.
    pub decision: LimitDecision,
    /// Whether it is the first rejection in its bucket within the span of the quota; only this one
    /// writes an audit entry.
    pub is_first_refusal: bool,
    /// Whether an allowed attempt is in the second half of a large quota. Only then is it worth a
    /// write to refund it.
    pub is_half_used: bool,
}

/// Counts attempts.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait LimitStore {
    /// Counts `attempt` atomically if it is allowed: with any number of concurrent hosts, the quota
    /// is never exceeded. A retry for the same attempt returns the same result.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then the attempt may have been counted.
    async fn count(&self, bucket: &Bucket, attempt: Attempt) -> Result<Counted, StoreError>;

    /// Refunds the successful `attempt`. With an exact quota it also resets the failures before it.
    /// After the window has passed, nothing is refunded.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then it may still count.
    async fn refund(&self, bucket: &Bucket, attempt: Attempt) -> Result<(), StoreError>;
}

/// The state of a bucket, for an operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BucketState {
    /// The decision on an attempt now.
    pub decision: LimitDecision,
    /// The number of counted attempts of the quota.
    pub used: u32,
    /// The time after which no attempt counts any more; `None` if none counts now.
    pub unused_in: Option<Duration>,
    /// The number of consecutive failures, where the limit counts them.
    pub failures: u32,
}

/// The buckets of one group, such as those of the known browsers of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BucketGroup {
    /// The kind of limit.
    pub scope: LimitKind,
    /// The quota of each bucket.
    pub quota: Quota,
    /// As [`Bucket::group`].
    pub name: String,
}

/// Shows and clears counts, for an operator.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait LimitAdminStore {
    /// The state of a bucket at `attempt`; `None` if nothing was counted in it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn bucket_state(
        &self,
        bucket: &Bucket,
        attempt: Attempt,
    ) -> Result<Option<BucketState>, StoreError>;

    /// The buckets of `group` with their states at `attempt`; those in which nothing was counted have
    /// none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn group_states(
        &self,
        group: &BucketGroup,
        attempt: Attempt,
    ) -> Result<Vec<(Bucket, BucketState)>, StoreError>;

    /// Deletes the counts of `buckets`, with the audit row, atomically.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn clear_buckets(&self, buckets: &[Bucket], event: &AuditEvent)
    -> Result<(), StoreError>;
}
