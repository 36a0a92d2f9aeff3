//! Reads in DynamoDB's words: one row, several by their keys, all of a range. Always consistent.

use portcullis_core::time::UnixTime;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::client::{Call, Client};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::{Key, Table};
use crate::error::{AnswerError, CallError};
use crate::operation::Operation;
use crate::retry::ATTEMPTS;
use crate::transport::Transport;

/// How many pages one range may have: 256 MB of rows are more than any range of ours holds.
const MAX_PAGES: u32 = 256;

/// The sort keys of one partition between two bounds, both included.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) table: Table,
    pub(crate) partition: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl<T: Transport> Client<T> {
    /// The row under `key`, if there is one.
    pub(crate) async fn row(&self, key: &Key, now: UnixTime) -> Result<Option<Item>, CallError> {
        let call = Call::new(Operation::GetItem)
            .with("TableName", self.tables().name(key.table()))
            .with("Key", key.to_item().into_wire())
            .with("ConsistentRead", true);
        let mut answer = self.call(&call, now).await?;
        match answer.remove("Item") {
            None => Ok(None),
            Some(Value::Object(item)) => Ok(Some(Item::from_wire(item))),
            Some(_) => Err(AnswerError::Lacks("Item").into()),
        }
    }

    /// The rows there are under `keys`, at most 100 of one table. Keys that the service leaves
    /// unread are asked for again, and are an error in the end: a part is no answer.
    pub(crate) async fn rows(
        &self,
        table: Table,
        keys: &[Key],
        now: UnixTime,
    ) -> Result<Vec<Item>, CallError> {
        let name = self.tables().name(table);
        let keys = keys.iter().map(|key| key.to_item().into_wire()).collect();
        let mut wanted = Value::Object(Map::from_iter([
            ("Keys".to_owned(), Value::Array(keys)),
            ("ConsistentRead".to_owned(), true.into()),
        ]));
        let mut rows = Vec::new();
        for retry in 1..=ATTEMPTS {
            let request = Map::from_iter([(name.to_owned(), wanted)]);
            let call = Call::new(Operation::BatchGetItem).with("RequestItems", request);
            let mut answer = self.call(&call, now).await?;
            let responses = answer.get_mut("Responses").map(Value::take);
            rows.append(&mut items(responses.unwrap_or_default(), name)?);
            let unread = answer
                .get_mut("UnprocessedKeys")
                .and_then(|keys| keys.get_mut(name));
            match unread.map(Value::take) {
                None => return Ok(rows),
                Some(keys) => wanted = keys,
            }
            if retry < ATTEMPTS {
                self.pause(retry).await;
            }
        }
        Err(AnswerError::Unread.into())
    }

    /// Every row of `range`, page by page.
    pub(crate) async fn range(&self, range: &Range, now: UnixTime) -> Result<Vec<Item>, CallError> {
        let values = Item::new()
            .with(":partition", Attribute::text(range.partition.as_str()))
            .with(":from", Attribute::text(range.from.as_str()))
            .with(":to", Attribute::text(range.to.as_str()));
        let first = Call::new(Operation::Query)
            .with("TableName", self.tables().name(range.table))
            .with(
                "KeyConditionExpression",
                "PK = :partition AND SK BETWEEN :from AND :to",
            )
            .with("ExpressionAttributeValues", values.into_wire())
            .with("ConsistentRead", true);
        let mut call = first.clone();
        let mut rows = Vec::new();
        for _page in 0..MAX_PAGES {
            let mut answer = self.call(&call, now).await?;
            rows.append(&mut page(&mut answer)?);
            match answer.remove("LastEvaluatedKey") {
                None => return Ok(rows),
                Some(last) => call = first.clone().with("ExclusiveStartKey", last),
            }
        }
        Err(AnswerError::TooLong.into())
    }
}

fn page(answer: &mut Answer) -> Result<Vec<Item>, AnswerError> {
    match answer.remove("Items") {
        Some(Value::Array(rows)) => rows.into_iter().map(item).collect(),
        _ => Err(AnswerError::Lacks("Items")),
    }
}

fn items(mut responses: Value, table: &str) -> Result<Vec<Item>, AnswerError> {
    match responses.get_mut(table).map(Value::take) {
        // A batch in which nothing was read says so by leaving the table out.
        None => Ok(Vec::new()),
        Some(Value::Array(rows)) => rows.into_iter().map(item).collect(),
        Some(_) => Err(AnswerError::Lacks("Responses")),
    }
}

fn item(row: Value) -> Result<Item, AnswerError> {
    let Value::Object(row) = row else {
        return Err(AnswerError::Lacks("a row"));
    };
    Ok(Item::from_wire(row))
}
