//! When a failed call is retried, and the delay before the retry.

use core::time::Duration;

use crate::error::{CallError, ResponseError};
use crate::error_code::ErrorClass;
use crate::transport::TransportError;

/// The maximum number of attempts of one call.
pub const ATTEMPTS: u32 = 3;

const BASE: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Whether a call that failed with `error` may be retried.
///
/// `repeatable` says that a repetition has no further effect: the call reads, or it carries a
/// condition or a token. After an attempt that may have executed, only such a call is retried.
pub fn may_repeat(error: &CallError, repeatable: bool) -> bool {
    let curable = match error {
        CallError::Sign(_) | CallError::Open => false,
        CallError::Transport(error) => match error {
            TransportError::Connect(_) | TransportError::Timeout | TransportError::Broken(_) => {
                true
            }
            TransportError::TooLong => false,
        },
        CallError::Service(error) => match error.class() {
            ErrorClass::Throttle | ErrorClass::Conflict | ErrorClass::Server => true,
            ErrorClass::Condition
            | ErrorClass::Access
            | ErrorClass::Resource
            | ErrorClass::Request => false,
        },
        CallError::Answer(error) => match error {
            ResponseError::NotJson | ResponseError::Damaged => true,
            ResponseError::Redirect
            | ResponseError::TooLong
            | ResponseError::Unread
            | ResponseError::Lacks(_) => false,
        },
    };
    curable && (repeatable || !error.may_have_executed())
}

/// The delay before retry number `retry` (the first is 1), chosen by `random`: from zero up to a
/// bound that doubles each time. "Full jitter" keeps many clients from retrying together.
pub fn delay(retry: u32, random: u64) -> Duration {
    let doubled = 1_u32
        .checked_shl(retry.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let bound = BASE.saturating_mul(doubled).min(MAX_DELAY);
    let steps = u64::try_from(bound.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    Duration::from_millis(random.checked_rem(steps).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::AwsServiceError;
    use crate::error_code::ErrorCode;
    use crate::sign::SigV4Error;

    fn refusal(code: &str, status: u16) -> CallError {
        CallError::Service(AwsServiceError {
            code: ErrorCode::parse(code),
            status,
            request_id: None,
            reasons: Vec::new(),
        })
    }

    #[test]
    fn a_call_that_was_not_executed_is_always_retried() {
        for error in [
            refusal("ThrottlingException", 400),
            refusal("ProvisionedThroughputExceededException", 400),
            refusal("RequestLimitExceeded", 400),
            refusal("TransactionConflictException", 400),
            refusal("TransactionInProgressException", 400),
            refusal("Unheard", 429),
            TransportError::Connect("refused".into()).into(),
        ] {
            assert!(
                may_repeat(&error, false) && may_repeat(&error, true),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_call_that_may_have_executed_is_retried_only_if_it_is_repeatable() {
        for error in [
            refusal("InternalServerError", 500),
            refusal("", 503),
            TransportError::Timeout.into(),
            TransportError::Broken("reset".into()).into(),
            ResponseError::NotJson.into(),
            ResponseError::Damaged.into(),
        ] {
            assert!(!may_repeat(&error, false), "{error:?}");
            assert!(may_repeat(&error, true), "{error:?}");
        }
    }

    #[test]
    fn an_error_that_a_retry_cannot_fix_is_not_retried() {
        for error in [
            refusal("ConditionalCheckFailedException", 400),
            refusal("ValidationException", 400),
            refusal("AccessDeniedException", 400),
            refusal("ResourceNotFoundException", 400),
            refusal("ExpiredTokenException", 400),
            SigV4Error::Time.into(),
            TransportError::TooLong.into(),
            ResponseError::Redirect.into(),
            ResponseError::Unread.into(),
            ResponseError::Lacks("Item").into(),
        ] {
            assert!(!may_repeat(&error, true), "{error:?}");
        }
    }

    #[test]
    fn retry_jitter_ranges_from_zero_to_a_bound_that_doubles_up_to_one_second() {
        for (retry, bound) in [(0, 50), (1, 50), (2, 100), (3, 200), (6, 1000), (99, 1000)] {
            assert_eq!(delay(retry, 0), Duration::ZERO);
            assert_eq!(delay(retry, bound), Duration::from_millis(bound));
            assert_eq!(delay(retry, bound + 1), Duration::ZERO);
            assert!(delay(retry, u64::MAX) <= Duration::from_millis(bound));
        }
    }
}
