//! The services that a client calls.

use crate::operation::Service;

/// One external service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dependency {
    /// DynamoDB.
    DynamoDb,
    /// Secrets Manager.
    SecretsManager,
    /// SES, the mail service.
    Ses,
}

impl Dependency {
    /// All dependencies.
    pub const ALL: [Self; 3] = [Self::DynamoDb, Self::SecretsManager, Self::Ses];

    /// Its name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::SecretsManager => "secretsmanager",
            Self::Ses => "ses",
        }
    }
}

impl From<Service> for Dependency {
    fn from(service: Service) -> Self {
        match service {
            Service::DynamoDb => Self::DynamoDb,
            Service::SecretsManager => Self::SecretsManager,
        }
    }
}
