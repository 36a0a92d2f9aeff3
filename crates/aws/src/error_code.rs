//! The error codes of AWS and their meaning for the caller.

use core::fmt;

/// The class of an error, as the caller must treat it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorClass {
    /// A condition of the request failed: a result, not a fault. Nothing was written.
    Condition,
    /// Throttled. Nothing was executed; a retry may succeed a moment later.
    Throttle,
    /// Another transaction was changing the same rows. Nothing was executed; retry.
    Conflict,
    /// The service failed. It is unknown whether the request was executed.
    Server,
    /// The credentials, their permissions or the clock of the signer are rejected.
    Access,
    /// The resource does not exist or is in the wrong state: a configuration error.
    Resource,
    /// The request is invalid: a bug in this crate.
    Request,
}

impl ErrorClass {
    /// Whether the service has certainly not executed the request.
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

/// Declares [`ErrorCode`] with the names on the wire (the first is the usual one), its stable name
/// in logs, and its class.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $wire:literal $(| $also:literal)* => $class:ident;)*) => {
        /// The reason of a service for an error response.
        #[derive(Clone, Eq, PartialEq)]
        pub enum ErrorCode {
            $($(#[$doc])* $code,)*
            /// An unknown code, or none at all.
            Unknown(UnknownCode),
        }

        impl ErrorCode {
            /// Parses a code as it appears in `__type` or in the header `x-amzn-errortype`: with or
            /// without a namespace before `#` and an address after `:`.
            pub fn parse(text: &str) -> Self {
                let text = text.rsplit_once('#').map_or(text, |(_, name)| name);
                let text = text.split_once(':').map_or(text, |(name, _)| name);
                match text.trim() {
                    $($wire $(| $also)* => Self::$code,)*
                    other => Self::Unknown(UnknownCode::sanitise(other)),
                }
            }

            /// The code as documented by AWS; safe to log.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$code => $wire,)*
                    Self::Unknown(code) => code.as_str(),
                }
            }

            /// The class of the code; the class of an unknown code depends on the HTTP `status`.
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
    /// A transaction was cancelled; each of its rows has its own reason.
    TransactionCanceled = "TransactionCanceledException" => Condition;
    /// Another transaction was changing the row.
    TransactionConflict = "TransactionConflictException" | "TransactionConflict" => Conflict;
    /// The transaction with this token is still running.
    TransactionInProgress = "TransactionInProgressException" => Conflict;
    /// Another region wrote the row at the same time.
    ReplicatedWriteConflict = "ReplicatedWriteConflictException" => Conflict;
    /// The token was used before, for another request.
    IdempotentParameterMismatch = "IdempotentParameterMismatchException" => Request;
    /// A row with this key exists (PartiQL).
    DuplicateItem = "DuplicateItemException" | "DuplicateItem" => Condition;

    /// The table's provisioned throughput is exceeded.
    ProvisionedThroughputExceeded =
        "ProvisionedThroughputExceededException" | "ProvisionedThroughputExceeded" => Throttle;
    /// The request rate is too high.
    Throttling = "ThrottlingException" | "Throttling" | "ThrottlingError"
        | "RequestThrottled" | "RequestThrottledException" | "TooManyRequestsException"
        | "SlowDown" => Throttle;
    /// The account's throughput is exceeded.
    RequestLimitExceeded = "RequestLimitExceeded" => Throttle;
    /// Too many control operations at once, or a quota of the account.
    LimitExceeded = "LimitExceededException" => Throttle;

    /// The service failed.
    InternalServerError = "InternalServerError" | "InternalServerErrorException" => Server;
    /// The service failed.
    InternalFailure = "InternalFailure" | "InternalFailureException" | "InternalServiceError"
        | "InternalServiceErrorException" => Server;
    /// The service is temporarily unavailable.
    ServiceUnavailable = "ServiceUnavailable" | "ServiceUnavailableException" => Server;
    /// The service did not receive the complete request in time.
    RequestTimeout = "RequestTimeout" | "RequestTimeoutException" => Server;

    /// The access key lacks the permission.
    AccessDenied = "AccessDeniedException" | "AccessDenied" | "NotAuthorized" => Access;
    /// The table's KMS key is not accessible.
    KeyAccessDenied = "KMSAccessDeniedException" | "KMSInvalidStateException"
        | "KMSDisabledException" | "KMSNotFoundException" | "KMSInternalException"
        | "InaccessibleEncryptionCredentialsException" => Access;
    /// The access key or the session token is unknown.
    UnrecognizedClient = "UnrecognizedClientException" | "InvalidClientTokenId" => Access;
    /// The temporary credentials have expired.
    ExpiredToken = "ExpiredTokenException" | "ExpiredToken" => Access;
    /// The signature does not match the request, or was created at another time.
    InvalidSignature = "InvalidSignatureException" | "SignatureDoesNotMatch" => Access;
    /// The signer's clock differs too much from the service's clock.
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
    /// The table is in the wrong state for this operation.
    ResourceInUse = "ResourceInUseException" => Resource;
    /// The table does not exist.
    TableNotFound = "TableNotFoundException" => Resource;
    /// The secret or version exists already.
    ResourceExists = "ResourceExistsException" => Resource;
    /// The rows under one partition key exceed 10 GB.
    ItemCollectionSizeLimitExceeded = "ItemCollectionSizeLimitExceededException"
        | "ItemCollectionSizeLimitExceeded" => Resource;
    /// The secret is in the wrong state for this operation.
    InvalidRequest = "InvalidRequestException" => Resource;
    /// The secret's KMS key cannot decrypt it.
    DecryptionFailure = "DecryptionFailure" | "DecryptionFailureException" => Access;
    /// The secret's KMS key cannot encrypt it.
    EncryptionFailure = "EncryptionFailure" | "EncryptionFailureException" => Access;
    /// The secret's state forbids the change.
    PreconditionNotMet = "PreconditionNotMetException" => Resource;

    /// A member of the request is invalid.
    Validation = "ValidationException" | "ValidationError" => Request;
    /// The request is not valid JSON of the right shape.
    Serialization = "SerializationException" => Request;
    /// There is no operation with that name.
    UnknownOperation = "UnknownOperationException" | "UnknownOperation" | "InvalidAction"
        => Request;
    /// A parameter is invalid.
    InvalidParameter = "InvalidParameterException" | "InvalidParameterValue"
        | "InvalidParameterCombination" | "MissingParameter" | "MissingAction" => Request;
    /// The request is too large.
    RequestTooLarge = "RequestEntityTooLargeException" | "RequestEntityTooLarge" => Request;
    /// This engine does not support the feature.
    Unsupported = "UnsupportedOperation" | "UnsupportedOperationException" => Request;
}

/// An unknown code, kept only if it is a name that is safe in a log entry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownCode(Box<str>);

impl UnknownCode {
    const MAX_LENGTH: usize = 64;

    // SECURITY: an error text may quote a row, and a log entry must stay on one line.
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

    /// The code; `none` if it was missing, `unreadable` if it was not a name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// The stable name: the derived form would add a second table of names to the Worker.
impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
    fn every_error_code_is_parsed_in_each_spelling() {
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
    fn a_known_error_code_keeps_its_class_for_any_status() {
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
    fn an_unknown_error_code_gets_its_class_from_the_status() {
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
    fn an_unknown_error_code_cannot_inject_text_into_a_log() {
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
