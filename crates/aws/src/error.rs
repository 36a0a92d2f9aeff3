//! The errors of a call.
//!
//! INVARIANT: these errors never print a row, a key, a secret or the text of a response.

use core::fmt;

use thiserror::Error;

use crate::dynamodb::item::Item;
use crate::error_code::{ErrorClass, ErrorCode};
use crate::sign::SigV4Error;
use crate::transport::TransportError;

/// A failed call.
#[derive(Debug, Error)]
pub enum CallError {
    /// The request could not be signed; it was not sent.
    #[error("the request could not be signed")]
    Sign(#[from] SigV4Error),
    /// No complete response arrived.
    #[error("the service is unreachable or sent no complete response")]
    Transport(#[from] TransportError),
    /// The service responded with an error.
    #[error("the service returned an error")]
    Service(#[from] AwsServiceError),
    /// The response is not a valid response of the service.
    #[error("the response is invalid")]
    Answer(#[from] ResponseError),
    /// The circuit breaker is open: the request was not sent. A later call probes the service.
    #[error("the circuit breaker of the service is open")]
    Open,
}

impl CallError {
    /// Whether the service may have executed the request despite the error.
    pub fn may_have_executed(&self) -> bool {
        match self {
            Self::Sign(_) | Self::Open => false,
            Self::Transport(error) => error.may_have_arrived(),
            Self::Service(error) => !error.class().was_not_executed(),
            Self::Answer(error) => error.may_follow_a_write(),
        }
    }

    /// The service's error, if this is one.
    pub const fn refusal(&self) -> Option<&AwsServiceError> {
        match self {
            Self::Service(error) => Some(error),
            Self::Sign(_) | Self::Transport(_) | Self::Answer(_) | Self::Open => None,
        }
    }
}

/// A response that the service itself would not send.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ResponseError {
    /// A redirect. A signed request is never sent to another address.
    #[error("the response is a redirect")]
    Redirect,
    /// The body is not one JSON object: truncated, or from another sender.
    #[error("the response is not a JSON object")]
    NotJson,
    /// The body does not match the checksum (`x-amz-crc32`).
    #[error("the response does not match its checksum")]
    Damaged,
    /// The body is longer than [`crate::transport::MAX_ANSWER_BYTES`].
    #[error("the response is too long")]
    TooLong,
    /// Keys of a batch stayed unprocessed after all retries.
    #[error("the service left keys of the batch unprocessed")]
    Unread,
    /// A required member of the response is missing or has the wrong type.
    #[error("the response lacks {0}")]
    Lacks(&'static str),
}

impl ResponseError {
    const fn may_follow_a_write(self) -> bool {
        match self {
            Self::Redirect | Self::Unread => false,
            Self::NotJson | Self::Damaged | Self::TooLong | Self::Lacks(_) => true,
        }
    }
}

/// An error of the service: its code and, for writes, the reason for each row.
#[derive(Debug)]
pub struct AwsServiceError {
    pub(crate) code: ErrorCode,
    pub(crate) status: u16,
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) reasons: Vec<Reason>,
}

impl AwsServiceError {
    /// The error code.
    pub const fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// The HTTP status of the response.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The class of the error. A transaction cancelled only by conflicts or throttling is of that
    /// class: a retry is safe.
    pub fn class(&self) -> ErrorClass {
        let mut class = self.code.class(self.status);
        if self.code != ErrorCode::TransactionCanceled {
            return class;
        }
        let mut reasons = self
            .reasons
            .iter()
            .filter_map(|reason| reason.code.as_ref());
        if let Some(first) = reasons.next() {
            class = first.class(self.status);
            for reason in reasons {
                class = worse(class, reason.class(self.status));
            }
        }
        class
    }

    /// The reasons for each row of a write, in the order of the request; one reason for a single
    /// write.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }
}

/// The worse of two reasons for a cancelled transaction: the one that a retry does not fix.
const fn worse(one: ErrorClass, other: ErrorClass) -> ErrorClass {
    match (one, other) {
        (ErrorClass::Conflict | ErrorClass::Throttle | ErrorClass::Server, other) => other,
        (
            one,
            ErrorClass::Conflict
            | ErrorClass::Throttle
            | ErrorClass::Server
            | ErrorClass::Condition,
        ) => one,
        (ErrorClass::Condition, other) => other,
        (one, ErrorClass::Access | ErrorClass::Resource | ErrorClass::Request) => one,
    }
}

impl fmt::Display for AwsServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (status {}", self.code, self.status)?;
        if let Some(id) = &self.request_id {
            write!(f, ", request {id}")?;
        }
        f.write_str(")")?;
        for (row, reason) in self.reasons.iter().enumerate() {
            if let Some(code) = &reason.code {
                write!(f, ", row {row}: {code}")?;
            }
        }
        Ok(())
    }
}

impl core::error::Error for AwsServiceError {}

/// The reason for one row of a failed write.
#[derive(Debug)]
pub struct Reason {
    pub(crate) code: Option<ErrorCode>,
    pub(crate) existing: Option<Item>,
}

impl Reason {
    /// The code; `None` if this row had no problem.
    pub const fn code(&self) -> Option<&ErrorCode> {
        self.code.as_ref()
    }

    /// Whether the condition of this row failed.
    pub fn is_condition(&self) -> bool {
        self.code == Some(ErrorCode::ConditionalCheckFailed)
    }

    /// The current row, if the request asked for it.
    pub const fn existing(&self) -> Option<&Item> {
        self.existing.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::item::Attribute;

    fn canceled(codes: &[&str]) -> AwsServiceError {
        AwsServiceError {
            code: ErrorCode::TransactionCanceled,
            status: 400,
            request_id: Some("R1".into()),
            reasons: codes
                .iter()
                .map(|code| Reason {
                    code: (*code != "None").then(|| ErrorCode::parse(code)),
                    existing: None,
                })
                .collect(),
        }
    }

    #[test]
    fn a_cancelled_transaction_has_the_class_of_its_worst_reason() {
        for (codes, class) in [
            (&["None", "TransactionConflict"][..], ErrorClass::Conflict),
            (
                &["ThrottlingError", "TransactionConflict"],
                ErrorClass::Conflict,
            ),
            (
                &["ProvisionedThroughputExceeded", "None"],
                ErrorClass::Throttle,
            ),
            (
                &["TransactionConflict", "ConditionalCheckFailed"],
                ErrorClass::Condition,
            ),
            (
                &["ConditionalCheckFailed", "TransactionConflict"],
                ErrorClass::Condition,
            ),
            (
                &["ConditionalCheckFailed", "ValidationError"],
                ErrorClass::Request,
            ),
            (
                &["ItemCollectionSizeLimitExceeded", "ThrottlingError"],
                ErrorClass::Resource,
            ),
            (&[], ErrorClass::Condition),
        ] {
            assert_eq!(canceled(codes).class(), class, "{codes:?}");
        }
    }

    #[test]
    fn an_error_prints_codes_and_never_the_row() {
        let mut error = canceled(&["None", "ConditionalCheckFailed"]);
        error.reasons[1].existing =
            Some(Item::new().with("password", Attribute::text("$argon2id$secret")));
        let text = format!("{error} {error:?} {}", CallError::from(canceled(&[])));
        assert!(
            text.contains("TransactionCanceledException (status 400, request R1), row 1: Cond")
        );
        assert!(!text.contains("argon2id"), "{text}");
    }

    #[test]
    fn an_error_reports_may_have_executed_wherever_the_server_may_have_received_the_request() {
        let service = |code: &str, status| AwsServiceError {
            code: ErrorCode::parse(code),
            status,
            request_id: None,
            reasons: Vec::new(),
        };
        assert!(CallError::from(service("InternalServerError", 500)).may_have_executed());
        assert!(CallError::from(TransportError::Timeout).may_have_executed());
        assert!(CallError::from(ResponseError::NotJson).may_have_executed());
        assert!(!CallError::from(service("ThrottlingException", 400)).may_have_executed());
        assert!(!CallError::from(SigV4Error::Time).may_have_executed());
        assert!(!CallError::from(ResponseError::Redirect).may_have_executed());
    }
}
