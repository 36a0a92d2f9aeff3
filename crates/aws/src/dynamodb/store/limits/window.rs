//! A sliding window in a row: `t1` is the latest attempt, `t2` the one before it, and so on.
//!
//! An update evaluates its right-hand sides on the old row, so `t2 = t1, t1 = :own` shifts.
//! Numbering from the latest attempt keeps the names valid after a change of the quota.

use portcullis_core::limit::sliding_window::SlidingWindow;
use portcullis_core::limit::{Attempt, MAX_EXACT_ATTEMPTS, Quota};
use portcullis_core::time::UnixTime;
use portcullis_service::store::Bucket;

use super::{RowError, SECOND, stamp};
use crate::dynamodb::item::{Attribute, Item, ItemError};
use crate::dynamodb::write::Expression;

/// The number of consecutive attempts that were allowed and not refunded.
const FAILURES: &str = "failures";

/// The value of an empty slot: a time outside every window.
const NEVER: u64 = 0;

/// The update and the condition that count `attempt`.
pub(super) fn count(bucket: &Bucket, attempt: Attempt) -> (Expression, Expression) {
    let quota = bucket.quota.attempts();
    let mut change = String::from("SET ");
    for place in (2..=quota).rev() {
        let before = place.saturating_sub(1);
        change.push_str(&format!("#t{place} = if_not_exists(#t{before}, :never), "));
    }
    change.push_str("#t1 = :own, #failures = if_not_exists(#failures, :never) + :one, #ttl = :ttl");
    let mut change = Expression::built(change)
        .with(":own", stamp(attempt))
        .with(":one", Attribute::number(1));
    change = change.with(":never", Attribute::number(NEVER));

    let slots: Vec<_> = (1..=quota).map(|place| format!("#t{place}")).collect();
    let mut condition = format!(
        "(attribute_not_exists(#t{quota}) OR #t{quota} < :from) AND NOT (:own IN ({}))",
        slots.join(", ")
    );
    if bucket.scope.max_consecutive_failures().is_some() {
        condition.push_str(" AND (attribute_not_exists(#failures) OR #failures < :ceiling)");
    }
    let mut condition =
        Expression::built(condition).with(":from", stamp(from(bucket.quota, attempt.at())));
    if let Some(ceiling) = bucket.scope.max_consecutive_failures() {
        condition = condition.with(":ceiling", Attribute::number(ceiling.into()));
    }
    (change, condition)
}

/// The update and the condition that refund `attempt`, which `place` later attempts follow.
pub(super) fn refund(quota: Quota, place: usize, attempt: Attempt) -> (Expression, Expression) {
    let last = quota.attempts();
    let first = u32::try_from(place).unwrap_or(last).saturating_add(1);
    let mut change = String::from("SET ");
    for place in first..last {
        let older = place.saturating_add(1);
        change.push_str(&format!("#t{place} = if_not_exists(#t{older}, :never), "));
    }
    change.push_str(&format!("#failures = :never REMOVE #t{last}"));
    let change = Expression::built(change).with(":never", Attribute::number(NEVER));
    let condition = Expression::built(format!("#t{first} = :own")).with(":own", stamp(attempt));
    (change, condition)
}

/// The sliding window of `row`.
pub(super) fn read(row: &Item) -> Result<SlidingWindow, RowError> {
    let mut latest_first = Vec::new();
    for place in 1..=MAX_EXACT_ATTEMPTS {
        let Some(kept) = row.attribute(&format!("t{place}")) else {
            break;
        };
        match kept.as_number() {
            Some(NEVER) => break,
            Some(kept) => latest_first.push(Attempt::from_stamp(kept)),
            None => return Err(ItemError::Type("t1").into()),
        }
    }
    let failures = row.optional_number(FAILURES)?.unwrap_or(0);
    let failures = u32::try_from(failures).unwrap_or(u32::MAX);
    Ok(SlidingWindow::new(latest_first, failures))
}

/// The first attempt inside the window at `now`: earlier ones are outside.
const fn from(quota: Quota, now: UnixTime) -> Attempt {
    Attempt::first_of(now.minus(quota.per()).plus(SECOND))
}
