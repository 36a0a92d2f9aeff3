//! The rate limits of a call.

use core::future::Future;

use portcullis_core::email::EmailAddress;
use portcullis_core::limit::kind::LimitKind;
use portcullis_host::error_chain::ErrorChain;
use portcullis_service::error::UseCaseError;
use portcullis_service::limit::{self, LimitKey, LimitOutcome, Limited, Reservation};
use tracing::warn;

use super::OpenCall;
use super::browser::DEVICE_COOKIE;
use crate::api_error::ApiError;
use crate::cookies;
use crate::problem::Problem;

impl OpenCall<'_> {
    /// Counts an attempt in each of `buckets`.
    ///
    /// # Errors
    ///
    /// [`Problem::RateLimited`] or a lock if one bucket has too many; the failure if the store cannot count.
    pub(in crate::routes) async fn acquire(
        &self,
        buckets: &[(LimitKind, LimitKey<'_>)],
    ) -> Result<(), ApiError> {
        for (kind, key) in buckets {
            let _reservation = self.acquire_refundable(*kind, *key).await?;
        }
        Ok(())
    }

    /// Counts an attempt that [`OpenCall::refund`] takes back once it has succeeded.
    ///
    /// # Errors
    ///
    /// As [`OpenCall::acquire`].
    pub(in crate::routes) async fn acquire_refundable(
        &self,
        kind: LimitKind,
        key: LimitKey<'_>,
    ) -> Result<Reservation, ApiError> {
        self.reserve(limit::acquire(kind, key, self.ctx())).await
    }

    /// Counts a login, by its browser or by network and address.
    ///
    /// # Errors
    ///
    /// As [`OpenCall::acquire`].
    pub(in crate::routes) async fn acquire_login(
        &self,
        email: &EmailAddress,
    ) -> Result<Reservation, ApiError> {
        let device = cookies::value(&self.call.headers, DEVICE_COOKIE);
        self.reserve(limit::acquire_login(email, device, self.ctx()))
            .await
    }

    async fn reserve(
        &self,
        attempt: impl Future<Output = Result<LimitOutcome, UseCaseError>>,
    ) -> Result<Reservation, ApiError> {
        match self.run(attempt).await? {
            LimitOutcome::Allowed(reservation) => {
                warn_if_uncounted(&reservation);
                Ok(reservation)
            }
            LimitOutcome::Limited(limited) => Err(Problem::from(limited).into()),
        }
    }

    /// Takes a successful attempt out of its bucket. If that fails, the attempt stays counted until its window ends.
    pub(in crate::routes) async fn refund(&self, reservation: &Reservation) {
        if let Err(error) = limit::refund(reservation, self.ctx()).await {
            warn!(error = %ErrorChain(&error), "a successful attempt was not refunded");
        }
    }
}

/// Logs why an attempt passed uncounted.
pub(in crate::routes) fn warn_if_uncounted(reservation: &Reservation) {
    if let Some(error) = &reservation.uncounted {
        warn!(error = %ErrorChain(error), "an attempt passed uncounted");
    }
}

impl From<Limited> for Problem {
    fn from(limited: Limited) -> Self {
        match limited {
            Limited::RetryAfter(span) => Self::RateLimited {
                // At least one second: a `Retry-After` of zero would be no wait.
                seconds: span.as_secs().max(1),
            },
            Limited::LockedOut(LimitKind::FactorAccount) => Self::FactorLocked,
            Limited::LockedOut(_) => Self::LoginLocked,
        }
    }
}
