//! A build without the platform's rate limit. `Config::read` rejects a configured limit.

use portcullis_core::denial::{Denial, RatePeriod};
use worker::Env;

/// Counts nothing.
///
/// # Errors
///
/// None.
pub async fn check_rate(
    _env: &Env,
    _address: Option<&str>,
    _period: RatePeriod,
) -> Result<(), Denial> {
    Ok(())
}
