//! Limits at the door: an attempt comes in or is told when to come back.

use http::header::HeaderMap;
use portcullis_core::email::EmailAddress;
use portcullis_core::limit::device::DEVICE_LIFETIME;
use portcullis_core::limit::kind::LimitKind;
use portcullis_service::context::ServiceContext;
use portcullis_service::error::UseCaseError;
use portcullis_service::limit::{self, LimitKey, LimitOutcome, Limited, Reservation};
use portcullis_service::ports::SecureRandom;
use portcullis_service::store::{AuditStore, LimitStore};
use tracing::warn;

use crate::cookies;
use crate::error_mapping::ErrorChain;
use crate::host::Host;
use crate::problem::Problem;

/// The cookie by which a browser that has logged in before is known again.
const DEVICE_COOKIE: &str = "__Host-portcullis-device";

impl Host {
    /// Lets an attempt in that is counted in each of `buckets`, unless there were too many in one.
    ///
    /// # Errors
    ///
    /// The [`Problem`] that says when to come back, or that nobody can tell.
    pub(crate) async fn acquire(
        &self,
        buckets: &[(LimitKind, LimitKey<'_>)],
        ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
    ) -> Result<(), Problem> {
        for (scope, whose) in buckets {
            let _place = self.reservation(limit::acquire(*scope, *whose, ctx).await)?;
        }
        Ok(())
    }

    /// Lets an attempt in that gives its place back once it has turned out good.
    ///
    /// # Errors
    ///
    /// As [`Host::enter`].
    pub(crate) async fn acquire_refundable(
        &self,
        scope: LimitKind,
        whose: LimitKey<'_>,
        ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
    ) -> Result<Reservation, Problem> {
        self.reservation(limit::acquire(scope, whose, ctx).await)
    }

    /// Lets a login in, counted by its browser or by network and address.
    ///
    /// # Errors
    ///
    /// As [`Host::enter`].
    pub(crate) async fn acquire_login(
        &self,
        email: &EmailAddress,
        headers: &HeaderMap,
        ctx: ServiceContext<'_, impl LimitStore + AuditStore, impl SecureRandom>,
    ) -> Result<Reservation, Problem> {
        let device = cookies::value(headers, DEVICE_COOKIE);
        self.reservation(limit::acquire_login(email, device, ctx).await)
    }

    fn reservation(
        &self,
        entry: Result<LimitOutcome, UseCaseError>,
    ) -> Result<Reservation, Problem> {
        match self.track(entry)? {
            LimitOutcome::Allowed(place) => {
                if let Some(error) = &place.uncounted {
                    warn!(error = %ErrorChain(error), "an attempt passed uncounted");
                }
                Ok(place)
            }
            LimitOutcome::Limited(limited) => Err(limited.into()),
        }
    }
}

/// Gives back the place of what turned out good. If that fails, it counts for its while.
pub(crate) async fn refund<C>(place: &Reservation, ctx: ServiceContext<'_, impl LimitStore, C>) {
    if let Err(error) = limit::refund(place, ctx).await {
        warn!(error = %ErrorChain(&error), "a good attempt was not taken back");
    }
}

/// Makes the browser known from which somebody has just logged in to `email`.
///
/// # Errors
///
/// [`Problem::Internal`] if there is no chance to name it by.
pub(crate) fn remember_browser<S>(
    headers: &mut HeaderMap,
    email: &EmailAddress,
    ctx: ServiceContext<'_, S, impl SecureRandom>,
) -> Result<(), Problem> {
    let cookie = limit::device_cookie(email, ctx)?;
    cookies::set(headers, DEVICE_COOKIE, &cookie, Some(DEVICE_LIFETIME));
    Ok(())
}

impl From<Limited> for Problem {
    fn from(limited: Limited) -> Self {
        match limited {
            Limited::RetryAfter(span) => Self::RateLimited {
                // At the least a second: a `Retry-After` of nothing would be no wait.
                seconds: span.as_secs().max(1),
            },
            Limited::LockedOut(LimitKind::FactorAccount) => Self::FactorLocked,
            Limited::LockedOut(_) => Self::LoginLocked,
        }
    }
}
