//! Rate windows: the row of a bucket, changed by one conditional write an attempt.
//!
//! The condition says what `portcullis_core::limit` says, so that no row is read before it is
//! written and no two hosts can both take the last place. Where it fails, the row that stood in the
//! way comes back with the answer, and the rule itself reckons from it how long to wait.

mod tally;
mod window;

use core::time::Duration;

use portcullis_core::limit::{Attempt, LimitDecision};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{Bucket, Counted, LimitStore, StoreError};

use super::{DynamoStore, RowError};
use crate::client::ApiCall;
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::Key;
use crate::dynamodb::write::{Expression, update_if};
use crate::error::{CallError, Reason};
use crate::error_code::ErrorClass;
use crate::transport::Transport;

const COUNTING: &str = "counting an attempt";
const SETTLING: &str = "settling an attempt";

/// The attempt whose refusal was noted last.
const TOLD: &str = "told";

/// How long failures in a row are remembered: longer than it would pay to wait.
const FAILURES_LIFETIME: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How often an attempt that others have overtaken is looked for anew.
const MAX_ATTEMPTS: usize = 8;

impl<T: Transport> LimitStore for DynamoStore<'_, T> {
    async fn count(&self, bucket: &Bucket, attempt: Attempt) -> Result<Counted, StoreError> {
        let failed = |error| StoreError::new(COUNTING, error);
        let (change, condition) = if bucket.quota.is_exact() {
            window::count(bucket, attempt)
        } else {
            tally::count(bucket.quota, attempt)
        };
        let change = change.with(
            ":ttl",
            Attribute::number(ends_at(bucket, attempt).as_secs()),
        );
        let Some(row) = self.limit(bucket, &change, &condition, COUNTING).await? else {
            return Ok(passed());
        };
        let judged = if bucket.quota.is_exact() {
            let window = window::read(&row).map_err(failed)?;
            window.check(
                bucket.quota,
                bucket.scope.max_consecutive_failures(),
                attempt,
            )
        } else {
            let tally = tally::read(&row).map_err(failed)?;
            tally.check(bucket.quota, attempt)
        };
        match judged {
            // The answer to an earlier try was lost.
            LimitDecision::Allow if is_counted(&row, attempt) => Ok(passed()),
            // The condition and the rule are one: such a row is none of ours.
            LimitDecision::Allow => Err(failed(RowError::Value("t1"))),
            LimitDecision::RetryAfter(_) | LimitDecision::LockedOut => Ok(Counted {
                judged,
                is_first_refusal: self.tell(bucket, &row, attempt).await?,
            }),
        }
    }

    async fn refund(&self, bucket: &Bucket, attempt: Attempt) -> Result<(), StoreError> {
        let mut place = 0;
        if !bucket.quota.is_exact() {
            return Ok(());
        }
        for _search in 0..MAX_ATTEMPTS {
            let (change, condition) = window::refund(bucket.quota, place, attempt);
            let Some(row) = self.limit(bucket, &change, &condition, SETTLING).await? else {
                return Ok(());
            };
            let window = window::read(&row).map_err(|error| StoreError::new(SETTLING, error))?;
            match window.place_of(attempt) {
                Some(found) => place = found,
                // An earlier try has taken it back, or its time is over.
                None => return Ok(()),
            }
        }
        // Others come faster than we can look: it counts, which harms nobody but its owner.
        Ok(())
    }
}

impl<T: Transport> DynamoStore<'_, T> {
    /// Changes a bucket's row; the row as it stood, empty if there was none, if the condition did
    /// not hold.
    async fn limit(
        &self,
        bucket: &Bucket,
        change: &Expression,
        condition: &Expression,
        operation: &'static str,
    ) -> Result<Option<Item>, StoreError> {
        let call = self.limit_call(bucket, change, condition);
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(None),
            Err(CallError::Service(refusal)) if refusal.class() == ErrorClass::Condition => {
                let reasons = refusal.reasons().iter();
                let row = reasons.filter_map(Reason::existing).next().cloned();
                Ok(Some(row.unwrap_or_default()))
            }
            Err(error) => Err(StoreError::new(operation, error)),
        }
    }

    fn limit_call(&self, bucket: &Bucket, change: &Expression, condition: &Expression) -> ApiCall {
        let key = Key::limit(bucket.scope.as_str(), &bucket.name);
        update_if(self.client.tables(), &key, change, condition)
    }

    /// Notes a refusal, at most once in the quota's span: whether this is the one.
    async fn tell(
        &self,
        bucket: &Bucket,
        row: &Item,
        attempt: Attempt,
    ) -> Result<bool, StoreError> {
        let since = Attempt::first_of(attempt.at().minus(bucket.quota.per()).plus(SECOND));
        let told = row.optional_number(TOLD);
        let told = told.map_err(|error| StoreError::new(COUNTING, error))?;
        if told.is_some_and(|told| told >= since.stamp()) {
            return Ok(told == Some(attempt.stamp()));
        }
        let change = Expression::of("SET #told = :own").with(":own", stamp(attempt));
        let condition = Expression::of("attribute_not_exists(#told) OR #told < :since")
            .with(":since", stamp(since));
        let told_by = self.limit(bucket, &change, &condition, COUNTING).await?;
        let told_by = told_by.map(|row| row.number(TOLD));
        // None: we have written it. Else whoever did may have been us.
        Ok(told_by.is_none_or(|told| told == Ok(attempt.stamp())))
    }
}

const SECOND: Duration = Duration::from_secs(1);

const fn passed() -> Counted {
    Counted {
        judged: LimitDecision::Allow,
        is_first_refusal: false,
    }
}

fn stamp(attempt: Attempt) -> Attribute {
    Attribute::number(attempt.stamp())
}

/// Whether `attempt` is the reason why the condition failed.
fn is_counted(row: &Item, attempt: Attempt) -> bool {
    window::read(row).is_ok_and(|window| window.place_of(attempt).is_some())
        || row.number(tally::LAST) == Ok(attempt.stamp())
}

/// When nothing in the row matters any more: every span of the quota that `attempt` can touch is
/// over, and so is the memory of failures.
fn ends_at(bucket: &Bucket, attempt: Attempt) -> UnixTime {
    let spans = bucket.quota.per().saturating_mul(2);
    let kept = match bucket.scope.max_consecutive_failures() {
        Some(_failures) => FAILURES_LIFETIME,
        None => spans,
    };
    attempt.at().plus(kept.max(spans))
}
