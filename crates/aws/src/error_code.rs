//! The error codes AWS answers with, and what each means for the caller.

use core::fmt;

/// What a refusal means for the one who asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorClass {
    /// A condition of the request did not hold: an answer, not a fault. Nothing was written.
    Condition,
    /// Too much at once. Nothing was done; the same request may pass a moment later.
    Throttle,
    /// Another transaction was at work on the same rows. Nothing was done; try again.
    Conflict,
    /// The service failed. Whether the request was carried out is unknown.
    Server,
    /// The credentials, their rights or the clock that signed are not accepted.
    Access,
    /// What the request names does not exist or is not in the state it needs: configuration.
    Resource,
    /// The request itself is wrong: a fault of ours.
    Request,
}

impl ErrorClass {
    /// Whether the service has certainly not carried the request out.
    pub const fn was_not_executed(self) -> bool {
        match self {
            Self::Condition
            | Self::Throttle
            | Self::Conflict
            | Self::Access
            | Self::Resource
            | Self::Request => true,
            Self::Server => false,
        }
    }
}

/// Declares [`ErrorCode`] with the names it has on the wire (the first is the usual one), its stable
/// name in our logs, and its class.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $wire:literal $(| $also:literal)* => $class:ident;)*) => {
        /// Why a service refused a request.
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub enum ErrorCode {
            $($(#[$doc])* $code,)*
            /// A code this list does not know, or none at all.
            Unknown(UnknownCode),
        }

        impl ErrorCode {
            /// Reads a code as it stands in `__type` or in the header `x-amzn-errortype`:
            /// with or without a namespace before `#` and an address after `:`.
            pub fn parse(text: &str) -> Self {
                let text = text.rsplit_once('#').map_or(text, |(_, name)| name);
                let text = text.split_once(':').map_or(text, |(name, _)| name);
                match text.trim() {
                    $($wire $(| $also)* => Self::$code,)*
                    other => Self::Unknown(UnknownCode::sanitise(other)),
                }
            }

            /// The code as AWS documents it; safe to log.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$code => $wire,)*
                    Self::Unknown(code) => code.as_str(),
                }
            }

            /// What the code means; an unknown one is judged by the answer's `status`.
            pub fn class(&self, status: u16) -> ErrorClass {
                match self {
                    $(Self::$code => ErrorClass::$class,)*
                    Self::Unknown(_) => match status {
                        429 => ErrorClass::Throttle,
                        401 | 403 => ErrorClass::Access,
                        404 => ErrorClass::Resource,
                        400..500 => ErrorClass::Request,
                        _ => ErrorClass::Server,
                    },
                }
            }
        }

        #[cfg(test)]
        const ALL: &[(&str, ErrorCode)] = &[$(($wire, ErrorCode::$code),)*];
    };
}

codes! {
    /// A condition expression evaluated to false.
    ConditionalCheckFailed = "ConditionalCheckFailedException" | "ConditionalCheckFailed"
        => Condition;
    /// A transaction was given up; each of its rows has its own reason.
    TransactionCanceled = "TransactionCanceledException" => Condition;
    /// Another transaction was at work on the row.
    TransactionConflict = "TransactionConflictException" | "TransactionConflict" => Conflict;
    /// The transaction with this token is still under way.
    TransactionInProgress = "TransactionInProgressException" => Conflict;
    /// Another region wrote the row at the same time.
    ReplicatedWriteConflict = "ReplicatedWriteConflictException" => Conflict;
    /// The token was used before, for another request.
    IdempotentParameterMismatch = "IdempotentParameterMismatchException" => Request;
    /// A row with this key exists (PartiQL).
    DuplicateItem = "DuplicateItemException" | "DuplicateItem" => Condition;

    /// The table's provisioned throughput is used up.
    ProvisionedThroughputExceeded =
        "ProvisionedThroughputExceededException" | "ProvisionedThroughputExceeded" => Throttle;
    /// Requests come too fast.
    Throttling = "ThrottlingException" | "Throttling" | "ThrottlingError"
        | "RequestThrottled" | "RequestThrottledException" | "TooManyRequestsException"
        | "SlowDown" => Throttle;
    /// The account's throughput is used up.
    RequestLimitExceeded = "RequestLimitExceeded" => Throttle;
    /// Too many control operations at once, or a quota of the account.
    LimitExceeded = "LimitExceededException" => Throttle;

    /// The service failed.
    InternalServerError = "InternalServerError" | "InternalServerErrorException" => Server;
    /// The service failed.
    InternalFailure = "InternalFailure" | "InternalFailureException" | "InternalServiceError"
        | "InternalServiceErrorException" => Server;
    /// The service is not to be had for the moment.
    ServiceUnavailable = "ServiceUnavailable" | "ServiceUnavailableException" => Server;
    /// The service did not get the whole request in time.
    RequestTimeout = "RequestTimeout" | "RequestTimeoutException" => Server;

    /// The key has no right to do this.
    AccessDenied = "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => Access;
    /// The table's own encryption key is out of reach.
    KeyAccessDenied = "KMSAccessDeniedException" | "KMSInvalidStateException"
        | "KMSDisabledException" | "KMSNotFoundException" | "KMSInternalException"
        | "InaccessibleEncryptionCredentialsException" => Access;
    /// The key or the session token is not known.
    UnrecognizedClient = "UnrecognizedClientException" | "InvalidClientTokenId" => Access;
    /// The temporary key has run out.
    ExpiredToken = "ExpiredTokenException" | "ExpiredToken" => Access;
    /// The signature does not fit the request, or was made at another time.
    InvalidSignature = "InvalidSignatureException" | "SignatureDoesNotMatch" => Access;
    /// The clock that signed is too far from the service's.
    RequestTimeTooSkewed = "RequestTimeTooSkewed" | "RequestTimeTooSkewedException"
        | "RequestExpired" | "RequestInTheFuture" => Access;
    /// A part of the signature is missing.
    IncompleteSignature = "IncompleteSignatureException" | "IncompleteSignature" => Access;
    /// There is no signature.
    MissingAuthenticationToken =
        "MissingAuthenticationTokenException" | "MissingAuthenticationToken" => Access;
    /// The account has not subscribed to the service.
    OptInRequired = "OptInRequired" | "SubscriptionRequiredException" => Access;

    /// The table or the secret does not exist.
    ResourceNotFound = "ResourceNotFoundException" | "ResourceNotFound" => Resource;
    /// The table is not in a state for this.
    ResourceInUse = "ResourceInUseException" => Resource;
    /// The table does not exist.
    TableNotFound = "TableNotFoundException" => Resource;
    /// The secret or version exists already.
    ResourceExists = "ResourceExistsException" => Resource;
    /// The rows under one partition key exceed 10 GB.
    ItemCollectionSizeLimitExceeded = "ItemCollectionSizeLimitExceededException"
        | "ItemCollectionSizeLimitExceeded" => Resource;
    /// The secret is not in a state for this.
    InvalidRequest = "InvalidRequestException" => Resource;
    /// The secret's encryption key does not open it.
    DecryptionFailure = "DecryptionFailure" | "DecryptionFailureException" => Access;
    /// The secret's encryption key does not seal it.
    EncryptionFailure = "EncryptionFailure" | "EncryptionFailureException" => Access;
    /// The secret's state forbids the change.
    PreconditionNotMet = "PreconditionNotMetException" => Resource;

    /// A member of the request is not what it should be.
    Validation = "ValidationException" | "ValidationError" => Request;
    /// The request is not readable JSON of the right shape.
    Serialization = "SerializationException" => Request;
    /// There is no operation of that name.
    UnknownOperation = "UnknownOperationException" | "UnknownOperation" | "InvalidAction"
        => Request;
    /// A parameter is not what it should be.
    InvalidParameter = "InvalidParameterException" | "InvalidParameterValue"
        | "InvalidParameterCombination" | "MissingParameter" | "MissingAction" => Request;
    /// The request is longer than the service takes.
    RequestTooLarge = "RequestEntityTooLargeException" | "RequestEntityTooLarge" => Request;
    /// The feature is not offered by this engine.
    Unsupported = "UnsupportedOperation" | "UnsupportedOperationException" => Request;
}

/// A code outside our list, kept only if it is a name that can stand in a log line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownCode(Box<str>);

impl UnknownCode {
    const MAX_LENGTH: usize = 64;

    // SECURITY: an answer's text may quote a row, and a log line must stay one line.
    pub(crate) fn sanitise(text: &str) -> Self {
        let is_name = text.len() <= Self::MAX_LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        Self(match (text, is_name) {
            ("", _) => "none".into(),
            (name, true) => name.into(),
            (_, false) => "unreadable".into(),
        })
    }

    /// The code; `none` where there was none, `unreadable` where it was no name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_read_back_in_each_spelling() {
        for (wire, code) in ALL {
            assert_eq!(&ErrorCode::parse(wire), code);
            assert_eq!(code.as_str(), *wire);
            let typed = format!("com.amazonaws.dynamodb.v20120810#{wire}");
            assert_eq!(&ErrorCode::parse(&typed), code);
            let header = format!("{wire}:http://internal.amazon.com/coral/");
            assert_eq!(&ErrorCode::parse(&header), code);
        }
    }

    #[test]
    fn a_code_of_our_list_keeps_its_class_whatever_the_status() {
        assert_eq!(
            ErrorCode::parse("ProvisionedThroughputExceededException").class(400),
            ErrorClass::Throttle
        );
        assert_eq!(
            ErrorCode::parse("ConditionalCheckFailedException").class(400),
            ErrorClass::Condition
        );
    }

    #[test]
    fn an_unknown_code_is_judged_by_the_status() {
        let code = ErrorCode::parse("BrandNewException");
        assert_eq!(code.as_str(), "BrandNewException");
        for (status, class) in [
            (400, ErrorClass::Request),
            (403, ErrorClass::Access),
            (404, ErrorClass::Resource),
            (429, ErrorClass::Throttle),
            (499, ErrorClass::Request),
            (500, ErrorClass::Server),
            (503, ErrorClass::Server),
        ] {
            assert_eq!(code.class(status), class, "{status}");
        }
    }

    #[test]
    fn an_unknown_code_cannot_smuggle_text_into_a_log() {
        for text in [
            "Bad\nException",
            "{\"S\"",
            "ada@example.com",
            &"a".repeat(65),
        ] {
            assert_eq!(ErrorCode::parse(text).as_str(), "unreadable");
        }
        assert_eq!(ErrorCode::parse(&"a".repeat(64)).as_str().len(), 64);
        assert_eq!(ErrorCode::parse("").as_str(), "none");
    }
}
