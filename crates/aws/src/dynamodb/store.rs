//! The store ports on DynamoDB. Each file below holds one port beside the rows it writes.

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

/// The store as it is reached at one moment, which signs every request.
#[derive(Debug)]
pub struct DynamoStore<'a, T> {
    client: &'a Client<T>,
    now: UnixTime,
    shards: FeedShards,
}

/// Over how many partitions each minute of the feed is spread.
#[derive(Clone, Copy, Debug)]
pub struct FeedShards {
    /// As it is written.
    pub write: u32,
    /// As it is read: no fewer than anybody writes.
    pub read: u32,
}

impl FeedShards {
    /// What every host and every edge goes by.
    pub const IN_FORCE: Self = Self {
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
            shards: FeedShards::IN_FORCE,
        }
    }

    /// The same store with its feed spread otherwise: so tests try what is not in force yet. Two that
    /// disagree lose revocations.
    #[must_use]
    pub const fn spread(self, shards: FeedShards) -> Self {
        Self { shards, ..self }
    }
}

/// A row is not what we write. Names the attribute, never quotes it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RowError {
    /// An attribute is missing or of another type.
    #[error(transparent)]
    Attribute(#[from] ItemError),
    /// An attribute's value is none that it can have.
    #[error("the attribute {0} holds no value of its kind")]
    Value(&'static str),
}

/// How a transaction ended that the store has answered.
enum Committed {
    Done,
    /// A condition did not hold; the reasons say which.
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
    /// Reads an end that hangs on the condition of the first row; `is_own` says of a row that
    /// stood in the way whether the same request has put it there.
    ///
    /// INVARIANT: a failed condition alone is no conflict. The answer to an earlier try may have
    /// been lost after it was carried out.
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

/// Whether what stood in the way is a row that `is_own` knows.
fn is_own_write(reason: &Reason, is_own: impl FnOnce(&Item) -> bool) -> bool {
    reason.is_condition() && reason.existing().is_some_and(is_own)
}

fn id(row: &Item, name: &'static str) -> Result<Id, RowError> {
    Id::parse(row.text(name)?).map_err(|_id| RowError::Value(name))
}

fn time(row: &Item, name: &'static str) -> Result<UnixTime, RowError> {
    Ok(UnixTime::from_secs(row.number(name)?))
}
