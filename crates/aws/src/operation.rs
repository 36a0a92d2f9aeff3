//! The operations of this client and their names on the wire.

use http::HeaderValue;

/// A service and the addressing of its JSON protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Service {
    /// Amazon DynamoDB, JSON 1.0.
    DynamoDb,
    /// AWS Secrets Manager, JSON 1.1.
    SecretsManager,
}

impl Service {
    /// The name in the credential scope and in the host name.
    pub const fn signing_name(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::SecretsManager => "secretsmanager",
        }
    }

    pub(crate) const fn content_type(self) -> HeaderValue {
        match self {
            Self::DynamoDb => HeaderValue::from_static("application/x-amz-json-1.0"),
            Self::SecretsManager => HeaderValue::from_static("application/x-amz-json-1.1"),
        }
    }
}

/// Declares [`Operation`] with the service, kind and name of each; the target is built from them.
macro_rules! operations {
    ($($(#[$doc:meta])* $operation:ident: $service:ident, $prefix:literal, $effect:ident;)*) => {
        /// One operation of one service.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Operation {
            $($(#[$doc])* $operation,)*
        }

        impl Operation {
            /// The service of the operation.
            pub const fn service(self) -> Service {
                match self {
                    $(Self::$operation => Service::$service,)*
                }
            }

            /// The name in the AWS documentation, for errors and logs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$operation => stringify!($operation),)*
                }
            }

            pub(crate) const fn effect(self) -> Effect {
                match self {
                    $(Self::$operation => Effect::$effect,)*
                }
            }

            /// The value of `x-amz-target`.
            pub(crate) const fn target(self) -> HeaderValue {
                match self {
                    $(Self::$operation => HeaderValue::from_static(
                        concat!($prefix, ".", stringify!($operation)),
                    ),)*
                }
            }
        }
    };
}

operations! {
    /// Reads one row by its key.
    GetItem: DynamoDb, "DynamoDB_20120810", Read;
    /// Reads up to 100 rows by their keys.
    BatchGetItem: DynamoDb, "DynamoDB_20120810", Read;
    /// Reads the rows under one partition key, in pages.
    Query: DynamoDb, "DynamoDB_20120810", Read;
    /// Reads the rows of a whole table, in pages.
    Scan: DynamoDb, "DynamoDB_20120810", Read;
    /// Writes one row.
    PutItem: DynamoDb, "DynamoDB_20120810", Write;
    /// Updates one row.
    UpdateItem: DynamoDb, "DynamoDB_20120810", Write;
    /// Deletes one row.
    DeleteItem: DynamoDb, "DynamoDB_20120810", Write;
    /// Writes up to 100 rows atomically.
    TransactWriteItems: DynamoDb, "DynamoDB_20120810", Write;
    /// Reads a version of a secret.
    GetSecretValue: SecretsManager, "secretsmanager", Read;
    /// Reads a secret's versions and their stages.
    DescribeSecret: SecretsManager, "secretsmanager", Read;
    /// Adds a version to a secret.
    PutSecretValue: SecretsManager, "secretsmanager", Write;
    /// Moves a stage from one version to another.
    UpdateSecretVersionStage: SecretsManager, "secretsmanager", Write;
}

/// Whether an operation reads or writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    Read,
    Write,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_contains_the_service_and_the_operation() {
        assert_eq!(
            Operation::TransactWriteItems.target(),
            "DynamoDB_20120810.TransactWriteItems"
        );
        assert_eq!(
            Operation::GetSecretValue.target(),
            "secretsmanager.GetSecretValue"
        );
        assert_eq!(Operation::Query.effect(), Effect::Read);
        assert_eq!(Operation::UpdateItem.effect(), Effect::Write);
    }
}
