//! The operator's view of the buckets.

use portcullis_core::audit::AuditEvent;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::limit::{Attempt, Quota};
use portcullis_service::store::{Bucket, BucketGroup, BucketState, LimitAdminStore, StoreError};

use super::super::audit::audit_row;
use super::super::{Committed, DynamoStore, RowError};
use super::{fixed_window, limit_key, window};
use crate::dynamodb::item::{Item, ItemError};
use crate::dynamodb::read::Range;
use crate::dynamodb::table::{Key, LIMIT_MEMBER, SORT_KEY, Table};
use crate::transport::Transport;

impl<T: Transport> LimitAdminStore for DynamoStore<'_, T> {
    async fn bucket_state(
        &self,
        bucket: &Bucket,
        attempt: Attempt,
    ) -> Result<Option<BucketState>, StoreError> {
        const OPERATION: &str = "reading a limit";
        let row = self.client.row(&limit_key(bucket), self.now).await;
        let row = row.map_err(|error| StoreError::new(OPERATION, error))?;
        row.map(|row| state(&row, bucket.scope, bucket.quota, attempt))
            .transpose()
            .map_err(|error| StoreError::new(OPERATION, error))
    }

    async fn group_states(
        &self,
        group: &BucketGroup,
        attempt: Attempt,
    ) -> Result<Vec<(Bucket, BucketState)>, StoreError> {
        const OPERATION: &str = "reading the limits of a group";
        let range = Range {
            table: Table::Main,
            partition: Key::limit(group.scope.as_str(), "", Some(&group.name))
                .partition()
                .to_owned(),
            from: LIMIT_MEMBER.to_owned(),
            to: format!("{LIMIT_MEMBER}~"),
        };
        let rows = self.client.range(&range, self.now).await;
        let rows = rows.map_err(|error| StoreError::new(OPERATION, error))?;
        rows.iter()
            .map(|row| {
                let sort_key = row.text(SORT_KEY)?;
                let name = sort_key.strip_prefix(LIMIT_MEMBER);
                let bucket = Bucket {
                    scope: group.scope,
                    quota: group.quota,
                    name: name.ok_or(ItemError::Type(SORT_KEY))?.to_owned(),
                    group: Some(group.name.clone()),
                };
                Ok((bucket, state(row, group.scope, group.quota, attempt)?))
            })
            .collect::<Result<_, RowError>>()
            .map_err(|error| StoreError::new(OPERATION, error))
    }

    async fn clear_buckets(
        &self,
        buckets: &[Bucket],
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "clearing limits";
        let mut transaction = self.transaction();
        for bucket in buckets {
            transaction.delete(&limit_key(bucket));
        }
        transaction.put(&Key::audit(event), audit_row(event));
        match self.commit(OPERATION, transaction).await? {
            Committed::Done => Ok(()),
            Committed::Refused(refusal) => Err(StoreError::new(OPERATION, refusal)),
        }
    }
}

fn state(
    row: &Item,
    scope: LimitKind,
    quota: Quota,
    attempt: Attempt,
) -> Result<BucketState, RowError> {
    let now = attempt.at();
    if !quota.is_exact() {
        let window = fixed_window::read(row)?;
        return Ok(BucketState {
            decision: window.check(quota, attempt),
            used: window.used(quota, now),
            unused_in: window.unused_in(quota, now),
            failures: 0,
        });
    }
    let window = window::read(row)?;
    let ceiling = scope.max_consecutive_failures();
    Ok(BucketState {
        decision: window.check(quota, ceiling, attempt),
        used: window.used(quota, now),
        unused_in: window.unused_in(quota, now),
        failures: ceiling.map_or(0, |_| window.failures()),
    })
}
