//! A fixed window in a row: `used` counts all attempts, `most` is that count plus the quota, and
//! `f<span>` is the value of `most` at the first attempt of a span.
//!
//! Later attempts drop old spans; after a long pause `ttl` deletes the row.

use std::collections::BTreeMap;

use portcullis_core::limit::fixed_window::FixedWindow;
use portcullis_core::limit::{Attempt, Quota};

use super::{RowError, stamp};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::write::Expression;

/// The last allowed attempt.
pub(super) const LAST: &str = "last";
const USED: &str = "used";

/// How many spans back the update drops old attributes.
const FORGETS: u64 = 24;

/// The update and the condition that count `attempt`.
pub(super) fn count(quota: Quota, attempt: Attempt) -> (Expression, Expression) {
    let span = FixedWindow::span(quota, attempt.at());
    let before = span.saturating_sub(1);
    let over: Vec<_> = (2..FORGETS)
        .map(|spans| format!("#f{}", span.saturating_sub(spans)))
        .collect();
    let change = format!(
        "SET #used = if_not_exists(#used, :none) + :one, \
         #most = if_not_exists(#most, :quota) + :one, \
         #f{span} = if_not_exists(#f{span}, if_not_exists(#most, :quota)), \
         #last = :own, #ttl = :ttl REMOVE {}",
        over.join(", ")
    );
    let change = Expression::built(change)
        .with(":none", Attribute::number(0))
        .with(":one", Attribute::number(1))
        .with(":quota", Attribute::number(quota.attempts().into()))
        .with(":own", stamp(attempt));
    let condition = format!(
        "(attribute_not_exists(#used) OR #used < #f{before} \
         OR (attribute_not_exists(#f{before}) \
         AND (attribute_not_exists(#f{span}) OR #used < #f{span}))) \
         AND (attribute_not_exists(#last) OR #last <> :own)"
    );
    (change, Expression::built(condition))
}

/// The update and the condition that refund `attempt`: while no attempt of the next window is
/// counted, and once.
pub(super) fn refund(quota: Quota, attempt: Attempt) -> (Expression, Expression) {
    let span = FixedWindow::span(quota, attempt.at());
    let next = span.saturating_add(1);
    let change = Expression::of("SET #used = #used - :one, #most = #most - :one, #refunded = :own")
        .with(":one", Attribute::number(1))
        .with(":own", stamp(attempt));
    let condition = format!(
        "attribute_exists(#f{span}) AND attribute_not_exists(#f{next}) AND #used > :none \
         AND (attribute_not_exists(#refunded) OR #refunded <> :own)"
    );
    let condition = Expression::built(condition).with(":none", Attribute::number(0));
    (change, condition)
}

/// The fixed window of `row`.
pub(super) fn read(row: &Item) -> Result<FixedWindow, RowError> {
    let mut full_at = BTreeMap::new();
    for name in row.names() {
        if let Some(span) = name.strip_prefix('f').and_then(|span| span.parse().ok()) {
            let full = row.attribute(name).and_then(|full| full.as_number());
            full_at.insert(span, full.ok_or(RowError::Value("f"))?);
        }
    }
    let last = row.optional_number(LAST)?.map(Attempt::from_stamp);
    Ok(FixedWindow::new(row.number(USED)?, full_at, last))
}
