//! The settings of sessions.

use core::time::Duration;

use portcullis_service::settings::Sessions;

use crate::config::variable::{Environment, Fault};

/// The minimum and maximum lifetime of a session: one minute and 400 days.
const LIFE: core::ops::RangeInclusive<u64> = 60..=400 * 24 * 60 * 60;

/// The maximum grace window of a used refresh token.
const GRACE: core::ops::RangeInclusive<u64> = 0..=60;

/// The lifetimes of sessions.
pub(super) fn sessions(env: &mut Environment<'_>) -> Sessions {
    let usual = Sessions::default();
    let life = Fault::Invalid;
    let grace = Fault::Invalid;
    let mut seconds = |variable, range: core::ops::RangeInclusive<u64>, fault| {
        env.optional(variable, |text| {
            let seconds = text.parse().ok().filter(|seconds| range.contains(seconds));
            seconds.map(Duration::from_secs).ok_or(fault)
        })
    };
    let idle = seconds("PORTCULLIS_SESSION_IDLE", LIFE, life);
    let absolute = seconds("PORTCULLIS_SESSION_LIFETIME", LIFE, life);
    let grace = seconds("PORTCULLIS_REFRESH_GRACE", GRACE, grace);
    Sessions {
        idle: idle.unwrap_or(usual.idle),
        absolute: absolute.unwrap_or(usual.absolute),
        grace: grace.unwrap_or(usual.grace),
    }
}
