//! The adapter's clock: the time enters here and in no lower layer.

use core::future::Future;
use core::pin::pin;
use core::time::Duration;

use futures_util::future::{Either, select};
use portcullis_core::time::UnixTime;
use portcullis_service::ports::Clock;
use worker::Delay;

/// The clock of the platform.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlatformClock;

impl Clock for PlatformClock {
    fn now(&self) -> UnixTime {
        now()
    }
}

/// The current second. In workerd it stands still between two I/O operations.
///
/// A time before 1970 becomes the epoch, at which no token is valid.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates, and a time before 1970 becomes the epoch"
)]
pub fn now() -> UnixTime {
    UnixTime::from_secs((js_sys::Date::now() / 1_000.0) as u64)
}

/// The current time in milliseconds, for durations.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float to integer cast saturates, and a clock that goes back is expected"
)]
pub fn elapsed() -> Duration {
    Duration::from_millis(js_sys::Date::now() as u64)
}

/// The result of `work`, if it completes within `span`. For platform services other than `fetch`,
/// which have no timeout of their own.
pub async fn within<T>(span: Duration, work: impl Future<Output = T>) -> Option<T> {
    match select(pin!(work), pin!(Delay::from(span))).await {
        Either::Left((given, _)) => Some(given),
        Either::Right(_) => None,
    }
}
