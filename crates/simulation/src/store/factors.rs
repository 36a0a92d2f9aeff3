//! Second factors: the simulated accounts have none, and no request needs one.

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_service::store::{
    Account, FactorStore, Factors, OutboxMail, StoreError, TotpFactor, WriteOutcome,
};

use super::{Fault, View};

const CHANGING: &str = "changing a second factor";

impl FactorStore for View {
    async fn factors(&self, _: &Account) -> Result<Factors, StoreError> {
        self.call("reading factors", |_, _| Factors::default())
            .await
    }

    async fn begin_factor(
        &self,
        _: &Account,
        _: &TotpFactor,
        _: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        Err(StoreError::new(CHANGING, Fault::NotSimulated))
    }

    async fn confirm_factor(
        &self,
        _: &Account,
        _: &TotpFactor,
        _: u64,
        _: &[String],
        _: &OutboxMail,
        _: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        Err(StoreError::new(CHANGING, Fault::NotSimulated))
    }

    async fn spend_step(
        &self,
        _: &Account,
        _: &TotpFactor,
        _: u64,
        _: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        Err(StoreError::new(CHANGING, Fault::NotSimulated))
    }

    async fn spend_recovery_code(
        &self,
        _: &Account,
        _: &[String],
        _: &[String],
        _: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        Err(StoreError::new(CHANGING, Fault::NotSimulated))
    }

    async fn renew_recovery_codes(
        &self,
        _: &Account,
        _: &[String],
        _: &OutboxMail,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        Err(StoreError::new(CHANGING, Fault::NotSimulated))
    }

    async fn remove_factors(
        &self,
        _: &Account,
        _: Option<&OutboxMail>,
        _: &AuditEvent,
    ) -> Result<(), StoreError> {
        Err(StoreError::new(CHANGING, Fault::NotSimulated))
    }
}
