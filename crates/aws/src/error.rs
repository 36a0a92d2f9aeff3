//! What can go wrong between a request and its answer.
//!
//! INVARIANT: nothing here prints a row, a key, a secret or the text of an answer.

use core::fmt;

use thiserror::Error;

use crate::dynamodb::item::Item;
use crate::error_code::{ErrorClass, ErrorCode};
use crate::sign::SignError;
use crate::transport::TransportError;

/// A call that brought no good answer.
#[derive(Debug, Error)]
pub enum CallError {
    /// The request could not be signed; it has not left.
    #[error("the request could not be signed")]
    Sign(#[from] SignError),
    /// No whole answer came.
    #[error("the service was not reached")]
    Transport(#[from] TransportError),
    /// The service answered, and refused.
    #[error("the service refused the request")]
    Service(#[from] AwsServiceError),
    /// What came is not an answer of the service.
    #[error("the answer cannot be used")]
    Answer(#[from] ResponseError),
    /// The service has failed too often: it was not asked, and will be again in a moment.
    #[error("the service is given a moment: it has failed too often")]
    Open,
}

impl CallError {
    /// Whether the request may have been carried out all the same.
    pub fn may_have_executed(&self) -> bool {
        match self {
            Self::Sign(_) | Self::Open => false,
            Self::Transport(error) => error.may_have_arrived(),
            Self::Service(error) => !error.class().was_not_executed(),
            Self::Answer(error) => error.may_follow_a_write(),
        }
    }

    /// The service's refusal, if that is what it is.
    pub const fn refusal(&self) -> Option<&AwsServiceError> {
        match self {
            Self::Service(error) => Some(error),
            Self::Sign(_) | Self::Transport(_) | Self::Answer(_) | Self::Open => None,
        }
    }
}

/// An answer that the service itself would not give.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ResponseError {
    /// It points elsewhere. A signed request is never sent to another address.
    #[error("the answer is a redirect")]
    Redirect,
    /// It is not one JSON object: cut short, or not the service's at all.
    #[error("the answer is not a JSON object")]
    NotJson,
    /// Its bytes are not the ones the checksum (`x-amz-crc32`) was made of.
    #[error("the answer was damaged on its way")]
    Damaged,
    /// It is longer than [`crate::transport::MAX_ANSWER_BYTES`].
    #[error("the answer is too long")]
    TooLong,
    /// Keys of a batch were left unread, however often they were asked for.
    #[error("the service left keys unread")]
    Unread,
    /// A member that the operation promises is missing or of another type.
    #[error("the answer lacks {0}")]
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

/// A service's refusal: its code, and for writes what stood in the way.
#[derive(Debug)]
pub struct AwsServiceError {
    pub(crate) code: ErrorCode,
    pub(crate) status: u16,
    pub(crate) request_id: Option<Box<str>>,
    pub(crate) reasons: Vec<Reason>,
}

impl AwsServiceError {
    /// The code it was refused with.
    pub const fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// The status of the answer.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// What the refusal means. A transaction given up only because others were at work, or
    /// because of throttling, is of that class: nothing speaks against trying it again.
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

    /// Why each row of a write was refused, in the order of the request; for a single write, one.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }
}

/// Of two reasons for giving a transaction up, the one that trying again does not cure.
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

/// Why one row of a write was refused.
#[derive(Debug)]
pub struct Reason {
    pub(crate) code: Option<ErrorCode>,
    pub(crate) existing: Option<Item>,
}

impl Reason {
    /// The code; none if nothing stood against this row.
    pub const fn code(&self) -> Option<&ErrorCode> {
        self.code.as_ref()
    }

    /// Whether this row's condition did not hold.
    pub fn is_condition(&self) -> bool {
        self.code == Some(ErrorCode::ConditionalCheckFailed)
    }

    /// The row that stood in the way, where the request asked to see it.
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
    fn a_transaction_is_judged_by_the_gravest_of_its_reasons() {
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
    fn an_error_names_codes_and_never_the_row() {
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
    fn doubt_remains_wherever_the_server_may_have_got_the_request() {
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
        assert!(!CallError::from(SignError::Time).may_have_executed());
        assert!(!CallError::from(ResponseError::Redirect).may_have_executed());
    }
}
