//! The settings of the native programs.

/// The variable with the address of DynamoDB; log entries about the store name it.
pub const DYNAMODB_ENDPOINT: &str = "PORTCULLIS_DYNAMODB_ENDPOINT";

/// The variable with the address of the breached-password service; log entries about it name it.
pub const PWNED_PASSWORDS_URL: &str = "PORTCULLIS_PWNED_PASSWORDS_URL";
