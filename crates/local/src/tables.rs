//! The two tables of a deployment: string keys `PK` and `SK`, `ttl` on every row that can expire.

use serde_json::{Value, json};

/// The names of the two tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNames {
    /// Users, sessions, limits, audit.
    pub main: String,
    /// The data that the edge reads: revocations, their feed, the key document.
    pub blacklist: String,
}

impl Default for TableNames {
    fn default() -> Self {
        Self {
            main: "Portcullis".to_owned(),
            blacklist: "TokenBlacklist".to_owned(),
        }
    }
}

/// The request that creates a table, in the format of DynamoDB.
pub(crate) fn creation(table: &str) -> Value {
    json!({
        "TableName": table,
        "AttributeDefinitions": [
            { "AttributeName": "PK", "AttributeType": "S" },
            { "AttributeName": "SK", "AttributeType": "S" }
        ],
        "KeySchema": [
            { "AttributeName": "PK", "KeyType": "HASH" },
            { "AttributeName": "SK", "KeyType": "RANGE" }
        ],
        "BillingMode": "PAY_PER_REQUEST"
    })
}

/// The request that enables TTL expiry by the attribute `ttl` in seconds.
pub(crate) fn expiry(table: &str) -> Value {
    json!({
        "TableName": table,
        "TimeToLiveSpecification": { "AttributeName": "ttl", "Enabled": true }
    })
}
