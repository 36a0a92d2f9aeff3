//! Second factors, beside the account they belong to.

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;

use super::{Account, StoreError, WriteOutcome};

/// The factors of an account, begun or active.
#[derive(Clone, Debug, Default)]
pub struct Factors {
    /// Codes by time.
    pub totp: Option<TotpFactor>,
    /// Codes on paper; there are some while another factor is active.
    pub recovery: Vec<String>,
}

impl Factors {
    /// The active one: what a login asks for.
    pub fn active(&self) -> Option<&TotpFactor> {
        let totp = self.totp.as_ref();
        totp.filter(|factor| factor.confirmed_at.is_some())
    }
}

/// A factor that shows codes by time, as it is kept.
#[derive(Clone, Debug)]
pub struct TotpFactor {
    /// Its name: a new one is another.
    pub id: Id,
    /// Its secret, sealed.
    pub sealed: String,
    /// When it was begun.
    pub created_at: UnixTime,
    /// When its owner first showed a code of it; until then it asks for nothing.
    pub confirmed_at: Option<UnixTime>,
    /// The last step whose code was taken.
    pub last_step: u64,
}

/// Keeps second factors. What belongs to another user than the account's is not there.
#[expect(
    async_fn_in_trait,
    reason = "each door names its own store, so Send is inferred there"
)]
pub trait FactorStore {
    /// The factors of `account`, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn factors(&self, account: &Account) -> Result<Factors, StoreError>;

    /// Keeps a factor that is begun, in place of one that never became active.
    /// [`WriteOutcome::Conflict`] if there is an active one.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn begin_factor(
        &self,
        account: &Account,
        factor: &TotpFactor,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;

    /// Makes the factor active with the step that showed it and its recovery codes, all or none.
    /// [`WriteOutcome::Conflict`] if it is not the one that was begun last, or is active already.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn confirm_factor(
        &self,
        account: &Account,
        factor: &TotpFactor,
        step: u64,
        recovery: &[String],
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;

    /// Takes the code of `step`: each step once, and none before it any more.
    /// [`WriteOutcome::Conflict`] if it, or a later one, was taken.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn spend_step(
        &self,
        account: &Account,
        factor: &TotpFactor,
        step: u64,
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError>;

    /// Leaves `rest` of the recovery codes that were read as `all`. [`WriteOutcome::Conflict`] if they
    /// are not those any more.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn spend_recovery_code(
        &self,
        account: &Account,
        all: &[String],
        rest: &[String],
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError>;

    /// Puts new recovery codes in place of the old.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn renew_recovery_codes(
        &self,
        account: &Account,
        recovery: &[String],
        event: &AuditEvent,
    ) -> Result<(), StoreError>;

    /// Removes every factor and recovery code of `account`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn remove_factors(&self, account: &Account, event: &AuditEvent)
    -> Result<(), StoreError>;
}
