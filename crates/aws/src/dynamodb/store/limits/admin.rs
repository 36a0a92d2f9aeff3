//! The operator's view of the buckets.

use portcullis_core::audit::AuditEvent;
use portcullis_core::limit::Attempt;
use portcullis_service::store::{Bucket, BucketState, LimitAdminStore, StoreError};

use super::super::audit::audit_row;
use super::super::{Committed, DynamoStore};
use super::{fixed_window, window};
use crate::dynamodb::table::Key;
use crate::transport::Transport;

impl<T: Transport> LimitAdminStore for DynamoStore<'_, T> {
    async fn bucket_state(
        &self,
        bucket: &Bucket,
        attempt: Attempt,
    ) -> Result<Option<BucketState>, StoreError> {
        const OPERATION: &str = "reading a limit";
        let failed = |error| StoreError::new(OPERATION, error);
        let key = Key::limit(bucket.scope.as_str(), &bucket.name);
        let row = self.client.row(&key, self.now).await;
        let Some(row) = row.map_err(|error| StoreError::new(OPERATION, error))? else {
            return Ok(None);
        };
        if !bucket.quota.is_exact() {
            let window = fixed_window::read(&row).map_err(failed)?;
            return Ok(Some(BucketState {
                decision: window.check(bucket.quota, attempt),
                failures: 0,
            }));
        }
        let window = window::read(&row).map_err(failed)?;
        let ceiling = bucket.scope.max_consecutive_failures();
        Ok(Some(BucketState {
            decision: window.check(bucket.quota, ceiling, attempt),
            failures: ceiling.map_or(0, |_| window.failures()),
        }))
    }

    async fn clear_buckets(
        &self,
        buckets: &[Bucket],
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "clearing limits";
        let mut transaction = self.transaction();
        for bucket in buckets {
            transaction.delete(&Key::limit(bucket.scope.as_str(), &bucket.name));
        }
        transaction.put(&Key::audit(event), audit_row(event));
        match self.commit(OPERATION, transaction).await? {
            Committed::Done => Ok(()),
            Committed::Refused(refusal) => Err(StoreError::new(OPERATION, refusal)),
        }
    }
}
