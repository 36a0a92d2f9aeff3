//! Rate windows: one write an attempt.

use portcullis_core::limit::kind::LimitKind;
use portcullis_core::limit::{Attempt, LimitDecision, Quota};

use super::StoreError;

/// What attempts are counted in: a scope, its quota, and whose attempts they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bucket {
    /// What is limited.
    pub scope: LimitKind,
    /// How much of it passes.
    pub quota: Quota,
    /// Whose it is: a code that only hosts can make, for the row holds no address.
    pub name: String,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Counted {
    /// Whether it passed, and was counted then.
    pub judged: LimitDecision,
    /// Whether it is the first in its bucket to be refused for as long as the quota's span: the
    /// one that is worth a line in the audit trail.
    pub is_first_refusal: bool,
}

/// Counts attempts.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait LimitStore {
    /// Counts `attempt` if it passes, in one step: however many hosts ask at once, no more pass than
    /// the quota says. Asked again for the same attempt, the answer is the same.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then the attempt may have been counted.
    async fn count(&self, bucket: &Bucket, attempt: Attempt) -> Result<Counted, StoreError>;

    /// Takes back `attempt`, which turned out good, and forgets the failures before it. Of use in
    /// buckets whose quota is exact; once it is out of its window there is nothing to take back.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: then it may still count.
    async fn refund(&self, bucket: &Bucket, attempt: Attempt) -> Result<(), StoreError>;
}
