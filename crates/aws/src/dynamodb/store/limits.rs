//! Rate limits: the row of a bucket, changed by one conditional write for each attempt.
//!
//! The condition expresses the rule of `portcullis_core::limit`, so no row is read before a write
//! and two hosts cannot both take the last attempt. If the condition fails, the response contains
//! the current row, and the rule computes the delay from it.

mod admin;
mod fixed_window;
mod window;

use core::time::Duration;

use portcullis_core::limit::{Attempt, LimitDecision};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{Bucket, Counted, LimitStore, StoreError};

use super::{DynamoStore, RowError};
use crate::client::ApiCall;
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::read::item;
use crate::dynamodb::table::Key;
use crate::dynamodb::write::{Expression, update_and_return, update_if};
use crate::error::{CallError, Reason};
use crate::error_code::ErrorClass;
use crate::transport::Transport;

const COUNTING: &str = "counting an attempt";
const SETTLING: &str = "refunding an attempt";

/// The last attempt with a logged rejection.
const RECORDED: &str = "told";

/// How long consecutive failures are remembered: longer than an attacker would wait.
const FAILURES_LIFETIME: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// The maximum number of searches for an attempt under concurrent updates.
const MAX_ATTEMPTS: usize = 8;

impl<T: Transport> LimitStore for DynamoStore<'_, T> {
    async fn count(&self, bucket: &Bucket, attempt: Attempt) -> Result<Counted, StoreError> {
        let failed = |error| StoreError::new(COUNTING, error);
        let (change, condition) = if bucket.quota.is_exact() {
            window::count(bucket, attempt)
        } else {
            fixed_window::count(bucket.quota, attempt)
        };
        let change = change.with(
            ":ttl",
            Attribute::number(ends_at(bucket, attempt).as_secs()),
        );
        let call = if bucket.quota.is_exact() {
            self.limit_call(bucket, &change, &condition)
        } else {
            let key = limit_key(bucket);
            update_and_return(self.client.tables(), &key, &change, &condition)
        };
        let row = match self.limit_by(&call, COUNTING).await? {
            Limited::Applied(updated) => {
                let window = updated.as_ref().map(fixed_window::read);
                // Only a hint: an unreadable row is an error of the next attempt.
                let half = window.and_then(Result::ok);
                let half = half.is_some_and(|it| it.is_half_used(bucket.quota, attempt.at()));
                return Ok(passed(half));
            }
            Limited::Refused(row) => row,
        };
        let decision = if bucket.quota.is_exact() {
            let window = window::read(&row).map_err(failed)?;
            window.check(
                bucket.quota,
                bucket.scope.max_consecutive_failures(),
                attempt,
            )
        } else {
            let fixed_window = fixed_window::read(&row).map_err(failed)?;
            fixed_window.check(bucket.quota, attempt)
        };
        match decision {
            // The response to an earlier attempt was lost.
            LimitDecision::Allow if is_counted(&row, attempt) => Ok(passed(false)),
            // The condition and the rule are equivalent, so this row is invalid.
            LimitDecision::Allow => Err(failed(RowError::Value("t1"))),
            LimitDecision::RetryAfter(_) | LimitDecision::LockedOut => Ok(Counted {
                decision,
                is_first_refusal: self.tell(bucket, &row, attempt).await?,
                is_half_used: false,
            }),
        }
    }

    async fn refund(&self, bucket: &Bucket, attempt: Attempt) -> Result<(), StoreError> {
        if !bucket.quota.is_exact() {
            let (change, condition) = fixed_window::refund(bucket.quota, attempt);
            // A failed condition: the window has passed, or an earlier try has refunded it.
            let _row = self.limit(bucket, &change, &condition, SETTLING).await?;
            return Ok(());
        }
        let mut place = 0;
        for _search in 0..MAX_ATTEMPTS {
            let (change, condition) = window::refund(bucket.quota, place, attempt);
            let Some(row) = self.limit(bucket, &change, &condition, SETTLING).await? else {
                return Ok(());
            };
            let window = window::read(&row).map_err(|error| StoreError::new(SETTLING, error))?;
            match window.place_of(attempt) {
                Some(found) => place = found,
                // An earlier try has refunded it, or it is outside the window.
                None => return Ok(()),
            }
        }
        // Too many concurrent updates: the attempt stays counted, which affects only its owner.
        Ok(())
    }
}

impl<T: Transport> DynamoStore<'_, T> {
    /// Changes a bucket's row. If the condition fails, returns the current row (empty if it does
    /// not exist).
    async fn limit(
        &self,
        bucket: &Bucket,
        change: &Expression,
        condition: &Expression,
        operation: &'static str,
    ) -> Result<Option<Item>, StoreError> {
        let call = self.limit_call(bucket, change, condition);
        match self.limit_by(&call, operation).await? {
            Limited::Applied(_) => Ok(None),
            Limited::Refused(row) => Ok(Some(row)),
        }
    }

    async fn limit_by(
        &self,
        call: &ApiCall,
        operation: &'static str,
    ) -> Result<Limited, StoreError> {
        match self.client.call(call, self.now).await {
            Ok(mut answer) => {
                let row = answer.remove("Attributes").and_then(|row| item(row).ok());
                Ok(Limited::Applied(row))
            }
            Err(CallError::Service(refusal)) if refusal.class() == ErrorClass::Condition => {
                let reasons = refusal.reasons().iter();
                let row = reasons.filter_map(Reason::existing).next().cloned();
                Ok(Limited::Refused(row.unwrap_or_default()))
            }
            Err(error) => Err(StoreError::new(operation, error)),
        }
    }

    fn limit_call(&self, bucket: &Bucket, change: &Expression, condition: &Expression) -> ApiCall {
        let key = limit_key(bucket);
        update_if(self.client.tables(), &key, change, condition)
    }

    /// Records a rejection at most once in the quota's span. Returns whether this one was recorded.
    async fn tell(
        &self,
        bucket: &Bucket,
        row: &Item,
        attempt: Attempt,
    ) -> Result<bool, StoreError> {
        let since = Attempt::first_of(attempt.at().minus(bucket.quota.per()).plus(SECOND));
        let recorded = row.optional_number(RECORDED);
        let recorded = recorded.map_err(|error| StoreError::new(COUNTING, error))?;
        if recorded.is_some_and(|recorded| recorded >= since.stamp()) {
            return Ok(recorded == Some(attempt.stamp()));
        }
        let change = Expression::of("SET #told = :own").with(":own", stamp(attempt));
        let condition = Expression::of("attribute_not_exists(#told) OR #told < :since")
            .with(":since", stamp(since));
        let told_by = self.limit(bucket, &change, &condition, COUNTING).await?;
        let told_by = told_by.map(|row| row.number(RECORDED));
        // `None`: this write recorded it. Otherwise an earlier try of this request may have done
        // so.
        Ok(told_by.is_none_or(|recorded| recorded == Ok(attempt.stamp())))
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// The result of a conditional update of a bucket's row.
enum Limited {
    /// The row as updated, if the call returns it.
    Applied(Option<Item>),
    /// The row whose state failed the condition.
    Refused(Item),
}

fn limit_key(bucket: &Bucket) -> Key {
    Key::limit(bucket.scope.as_str(), &bucket.name, bucket.group.as_deref())
}

const fn passed(is_half_used: bool) -> Counted {
    Counted {
        decision: LimitDecision::Allow,
        is_first_refusal: false,
        is_half_used,
    }
}

fn stamp(attempt: Attempt) -> Attribute {
    Attribute::number(attempt.stamp())
}

/// Whether the condition failed because `attempt` is already counted.
fn is_counted(row: &Item, attempt: Attempt) -> bool {
    window::read(row).is_ok_and(|window| window.place_of(attempt).is_some())
        || row.number(fixed_window::LAST) == Ok(attempt.stamp())
}

/// The time from which the row has no effect: every span of the quota that `attempt` can touch is
/// over, and the failure memory has expired.
fn ends_at(bucket: &Bucket, attempt: Attempt) -> UnixTime {
    let spans = bucket.quota.per().saturating_mul(2);
    let kept = match bucket.scope.max_consecutive_failures() {
        Some(_failures) => FAILURES_LIFETIME,
        None => spans,
    };
    attempt.at().plus(kept.max(spans))
}
