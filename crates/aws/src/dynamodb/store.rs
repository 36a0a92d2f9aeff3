//! The store ports on DynamoDB. Each submodule implements one port, together with the rows that it
//! writes.

mod account_row;
mod accounts;
mod audit;
mod change;
mod columns;
mod directory;
mod erase;
mod factors;
mod feed;
mod keys;
mod limits;
mod outbox;
mod packs;
mod revocations;
mod session_row;
mod sessions;
mod tokens;

use portcullis_core::id::Id;
use portcullis_core::revocation::{READ_SHARDS, WRITE_SHARDS};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{StoreError, WriteOutcome};
use thiserror::Error;

use self::columns::REQUEST_ID;
use crate::client::Client;
use crate::dynamodb::item::{Item, ItemError};
use crate::dynamodb::write::Transaction;
use crate::error::{AwsServiceError, CallError, Reason};
use crate::error_code::ErrorClass;
use crate::transport::Transport;

/// The store at a given time, which signs every request.
#[derive(Debug)]
pub struct DynamoStore<'a, T> {
    client: &'a Client<T>,
    now: UnixTime,
    shards: FeedShards,
}

/// The number of partitions of each feed minute.
#[derive(Clone, Copy, Debug)]
pub struct FeedShards {
    /// The number of shards for writes.
    pub write: u32,
    /// The number of shards for reads: at least as many as any host writes.
    pub read: u32,
}

impl FeedShards {
    /// The setting of every host and edge.
    pub const CURRENT: Self = Self {
        write: WRITE_SHARDS,
        read: READ_SHARDS,
    };
}

impl<'a, T> DynamoStore<'a, T> {
    /// Opens the store for one incoming request, taken at `now`.
    pub const fn at(client: &'a Client<T>, now: UnixTime) -> Self {
        Self {
            client,
            now,
            shards: FeedShards::CURRENT,
        }
    }

    /// The same store with another number of feed shards, for tests of future settings. Two stores
    /// with different settings lose revocations.
    #[must_use]
    pub const fn spread(self, shards: FeedShards) -> Self {
        Self { shards, ..self }
    }
}

/// A row violates its schema. The error contains the attribute's name, never its value.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RowError {
    /// An attribute is missing or of another type.
    #[error(transparent)]
    Attribute(#[from] ItemError),
    /// An attribute has an invalid value.
    #[error("the attribute {0} has an invalid value")]
    Value(&'static str),
}

/// The result of a transaction to which the store has responded.
enum Committed {
    Done,
    /// A condition failed; the reasons say which.
    Refused(AwsServiceError),
}

impl<T: Transport> DynamoStore<'_, T> {
    const fn transaction(&self) -> Transaction<'_> {
        Transaction::new(self.client.tables())
    }

    async fn commit(
        &self,
        operation: &'static str,
        transaction: Transaction<'_>,
    ) -> Result<Committed, StoreError> {
        match self.client.call(&transaction.into_call(), self.now).await {
            Ok(_answer) => Ok(Committed::Done),
            Err(CallError::Service(refusal)) if refusal.class() == ErrorClass::Condition => {
                Ok(Committed::Refused(refusal))
            }
            Err(error) => Err(StoreError::new(operation, error)),
        }
    }
}

impl Committed {
    /// The outcome of a transaction that depends on the condition of the first row. `is_own`
    /// decides whether the same request has written the existing row.
    ///
    /// INVARIANT: a failed condition alone is not a conflict. An earlier attempt may have succeeded
    /// and its response may be lost.
    fn write_outcome(
        self,
        operation: &'static str,
        is_own: impl FnOnce(&Item) -> bool,
    ) -> Result<WriteOutcome, StoreError> {
        match self {
            Self::Done => Ok(WriteOutcome::Applied),
            Self::Refused(refusal) => match refusal.reasons().first() {
                Some(first) if is_own_write(first, is_own) => Ok(WriteOutcome::Applied),
                Some(first) if first.is_condition() => Ok(WriteOutcome::Conflict),
                _ => Err(StoreError::new(operation, refusal)),
            },
        }
    }
}

/// Whether `row` was last written for `request_id`.
fn is_written_for(row: &Item, request_id: &Id) -> bool {
    row.text(REQUEST_ID) == Ok(request_id.as_str())
}

/// Whether `is_own` recognises the existing row of a failed condition.
fn is_own_write(reason: &Reason, is_own: impl FnOnce(&Item) -> bool) -> bool {
    reason.is_condition() && reason.existing().is_some_and(is_own)
}

fn id(row: &Item, name: &'static str) -> Result<Id, RowError> {
    Id::parse(row.text(name)?).map_err(|_id| RowError::Value(name))
}

fn time(row: &Item, name: &'static str) -> Result<UnixTime, RowError> {
    Ok(UnixTime::from_secs(row.number(name)?))
}
