//! The two tables as a deployment has them: string keys `PK` and `SK`, `ttl` on every row that can end.

use serde_json::{Value, json};

/// What the two tables are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNames {
    /// Users, sessions, limits, audit.
    pub main: String,
    /// What the edge reads: revocations, their feed, the key document.
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

/// The request that creates a table, in DynamoDB's own words.
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

/// The request that lets rows end at the second in `ttl`.
pub(crate) fn expiry(table: &str) -> Value {
    json!({
        "TableName": table,
        "TimeToLiveSpecification": { "AttributeName": "ttl", "Enabled": true }
    })
}
