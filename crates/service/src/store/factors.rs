//! Second factors, stored beside their account.

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;

use super::{Account, OutboxMail, StoreError, WriteOutcome};

/// The factors of an account, pending or active.
#[derive(Clone, Debug, Default)]
pub struct Factors {
    /// TOTP.
    pub totp: Option<TotpFactor>,
    /// Recovery codes; they exist only while another factor is active.
    pub recovery: Vec<String>,
}

impl Factors {
    /// The active factor, which login requires.
    pub fn active(&self) -> Option<&TotpFactor> {
        let totp = self.totp.as_ref();
        totp.filter(|factor| factor.confirmed_at.is_some())
    }
}

/// A stored TOTP factor.
#[derive(Clone, Debug)]
pub struct TotpFactor {
    /// Its identifier: a new factor has another.
    pub id: Id,
    /// Its secret, encrypted.
    pub sealed: String,
    /// The time when the enrolment began.
    pub created_at: UnixTime,
    /// The time of the first valid code; until then login does not require it.
    pub confirmed_at: Option<UnixTime>,
    /// The time step of the last used code.
    pub last_step: u64,
}

/// Stores second factors. Rows of another user than the account's are ignored.
#[expect(
    async_fn_in_trait,
    reason = "each adapter has its own store, so Send is inferred there"
)]
pub trait FactorStore {
    /// The factors of `account`, read consistently.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn factors(&self, account: &Account) -> Result<Factors, StoreError>;

    /// Stores a pending factor and replaces one that was never activated. Returns
    /// [`WriteOutcome::Conflict`] if a factor is active.
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

    /// Activates the factor atomically, with the time step of its code, its recovery codes and
    /// the notice `mail`. Returns [`WriteOutcome::Conflict`] if it is not the latest pending factor, or is active
    /// already.
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
        mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError>;

    /// Marks the code of `step` as used: each step once, and no earlier step afterwards. Returns
    /// [`WriteOutcome::Conflict`] if it or a later one was used.
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

    /// Replaces the recovery codes that were read as `all` by `rest`. Returns
    /// [`WriteOutcome::Conflict`] if they have changed.
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

    /// Replaces the recovery codes by new ones, atomically with the notice `mail`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn renew_recovery_codes(
        &self,
        account: &Account,
        recovery: &[String],
        mail: &OutboxMail,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;

    /// Removes every factor and recovery code of `account`, atomically with the notice `mail`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    async fn remove_factors(
        &self,
        account: &Account,
        mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<(), StoreError>;
}
