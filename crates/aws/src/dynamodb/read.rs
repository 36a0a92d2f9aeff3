//! The reads of DynamoDB: one row, several rows by key, all rows of a range. Always strongly
//! consistent.

use portcullis_core::json::{Json, Object};
use portcullis_core::time::UnixTime;

use crate::client::{ApiCall, Client};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::{Key, Table};
use crate::error::{CallError, ResponseError};
use crate::operation::Operation;
use crate::response_body::ResponseBody;
use crate::retry::ATTEMPTS;
use crate::transport::Transport;

/// The maximum number of pages of one range: 256 MB of rows are more than any range here holds.
const MAX_PAGES: u32 = 256;

/// The sort keys of one partition between two inclusive bounds.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) table: Table,
    pub(crate) partition: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

impl<T: Transport> Client<T> {
    /// The row under `key`, if it exists.
    pub(crate) async fn row(&self, key: &Key, now: UnixTime) -> Result<Option<Item>, CallError> {
        let call = ApiCall::new(Operation::GetItem)
            .with("TableName", self.tables().name(key.table()))
            .with("Key", key.to_item().into_wire())
            .with("ConsistentRead", true);
        let mut answer = self.call(&call, now).await?;
        match answer.remove("Item") {
            None => Ok(None),
            Some(Json::Object(item)) => Ok(Some(Item::from_wire(item))),
            Some(_) => Err(ResponseError::Lacks("Item").into()),
        }
    }

    /// The existing rows under `keys`, at most 100 of one table. Keys that the service leaves
    /// unprocessed are requested again. If some stay unprocessed, the call fails: a partial result
    /// is never returned.
    pub(crate) async fn rows(
        &self,
        table: Table,
        keys: &[Key],
        now: UnixTime,
    ) -> Result<Vec<Item>, CallError> {
        let name = self.tables().name(table);
        let keys = keys.iter().map(|key| key.to_item().into_wire()).collect();
        let mut wanted = Json::Object(Object::from_iter([
            ("Keys", Json::Array(keys)),
            ("ConsistentRead", true.into()),
        ]));
        let mut rows = Vec::new();
        for retry in 1..=ATTEMPTS {
            let request = Object::from_iter([(name, wanted)]);
            let call = ApiCall::new(Operation::BatchGetItem).with("RequestItems", request);
            let mut answer = self.call(&call, now).await?;
            rows.append(&mut items(of_table(&mut answer, "Responses", name))?);
            match of_table(&mut answer, "UnprocessedKeys", name) {
                None => return Ok(rows),
                Some(keys) => wanted = keys,
            }
            if retry < ATTEMPTS {
                self.pause(retry).await;
            }
        }
        Err(ResponseError::Unread.into())
    }

    /// All rows of `range`, page by page.
    pub(crate) async fn range(&self, range: &Range, now: UnixTime) -> Result<Vec<Item>, CallError> {
        let first = self.query(range);
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
        Err(ResponseError::TooLong.into())
    }

    /// The last rows of `range` in descending order: at most `most` rows, which must fit one page
    /// of 1 MB.
    pub(crate) async fn newest(
        &self,
        range: &Range,
        most: u32,
        now: UnixTime,
    ) -> Result<Vec<Item>, CallError> {
        let call = self
            .query(range)
            .with("ScanIndexForward", false)
            .with("Limit", u64::from(most));
        Ok(page(&mut self.call(&call, now).await?)?)
    }

    fn query(&self, range: &Range) -> ApiCall {
        let values = Item::new()
            .with(":partition", Attribute::text(range.partition.as_str()))
            .with(":from", Attribute::text(range.from.as_str()))
            .with(":to", Attribute::text(range.to.as_str()));
        ApiCall::new(Operation::Query)
            .with("TableName", self.tables().name(range.table))
            .with(
                "KeyConditionExpression",
                "PK = :partition AND SK BETWEEN :from AND :to",
            )
            .with("ExpressionAttributeValues", values.into_wire())
            .with("ConsistentRead", true)
    }
}

fn page(answer: &mut ResponseBody) -> Result<Vec<Item>, ResponseError> {
    match answer.remove("Items") {
        Some(Json::Array(rows)) => rows.into_iter().map(item).collect(),
        _ => Err(ResponseError::Lacks("Items")),
    }
}

/// The part for `table` of the member `name` in a batch response.
fn of_table(answer: &mut ResponseBody, name: &str, table: &str) -> Option<Json> {
    answer.remove(name)?.into_object()?.remove(table)
}

fn items(responses: Option<Json>) -> Result<Vec<Item>, ResponseError> {
    match responses {
        // A batch with no processed key leaves the table out.
        None => Ok(Vec::new()),
        Some(Json::Array(rows)) => rows.into_iter().map(item).collect(),
        Some(_) => Err(ResponseError::Lacks("Responses")),
    }
}

pub(crate) fn item(row: Json) -> Result<Item, ResponseError> {
    let Json::Object(row) = row else {
        return Err(ResponseError::Lacks("a row"));
    };
    Ok(Item::from_wire(row))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::script::{NOON, client, response};

    const ROW: &str = r#"{"PK":{"S":"KEYS"},"version":{"N":"7"}}"#;

    fn range() -> Range {
        Range {
            table: Table::Blacklist,
            partition: "FEED#m#0".to_owned(),
            from: "a".to_owned(),
            to: "b".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_row_is_read_consistently_and_may_be_absent() {
        let found = format!(r#"{{"Item":{ROW}}}"#);
        let client = client([
            response(200, found),
            response(200, "{}"),
            response(200, r#"{"Item":1}"#),
        ]);
        let key = Key::key_document();
        let row = client.row(&key, NOON).await.unwrap().unwrap();
        assert_eq!(row.number("version"), Ok(7));
        assert!(client.row(&key, NOON).await.unwrap().is_none());
        assert!(client.row(&key, NOON).await.is_err());
        assert_eq!(
            client.transport().bodies()[0],
            json!({"TableName": "TokenBlacklist", "ConsistentRead": true,
                "Key": {"PK": {"S": "KEYS"}, "SK": {"S": "JWKS"}},
                "ReturnConsumedCapacity": "TOTAL"})
        );
    }

    #[tokio::test]
    async fn unprocessed_keys_are_retried() {
        let left = json!({"Keys": [{"PK": {"S": "KEYS"}}], "ConsistentRead": true});
        let part = json!({"Responses": {"TokenBlacklist": [{"n": {"N": "1"}}]},
            "UnprocessedKeys": {"TokenBlacklist": left}});
        let rest = json!({"Responses": {"TokenBlacklist": [{"n": {"N": "2"}}]},
            "UnprocessedKeys": {}});
        let client = client([
            response(200, part.to_string()),
            response(200, rest.to_string()),
        ]);
        let rows = client
            .rows(Table::Blacklist, &[Key::key_document()], NOON)
            .await
            .unwrap();
        let numbers: Vec<_> = rows.iter().map(|row| row.number("n").unwrap()).collect();
        assert_eq!(numbers, [1, 2]);
        let again = &client.transport().bodies()[1]["RequestItems"]["TokenBlacklist"];
        assert_eq!(*again, left);
        assert_eq!(client.transport().sleeps().len(), 1);
    }

    #[tokio::test]
    async fn keys_unprocessed_three_times_are_an_error_and_not_an_absence() {
        let none = json!({"Responses": {}, "UnprocessedKeys": {"TokenBlacklist":
            {"Keys": [{"PK": {"S": "KEYS"}}]}}});
        let client = client((0..3).map(|_| response(200, none.to_string())));
        let error = client
            .rows(Table::Blacklist, &[Key::key_document()], NOON)
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Answer(ResponseError::Unread)));
        assert_eq!(client.transport().requests().len(), 3);
    }

    #[tokio::test]
    async fn a_range_is_read_to_its_last_page() {
        let last = json!({"PK": {"S": "FEED#m#0"}, "SK": {"S": "a1"}});
        let first = json!({"Items": [{"n": {"N": "1"}}], "LastEvaluatedKey": last});
        let second = json!({"Items": [], "LastEvaluatedKey": last});
        let third = json!({"Items": [{"n": {"N": "3"}}]});
        let client = client([first, second, third].map(|page| response(200, page.to_string())));
        let rows = client.range(&range(), NOON).await.unwrap();
        assert_eq!(rows.len(), 2);
        let bodies = client.transport().bodies();
        assert_eq!(bodies[0].get("ExclusiveStartKey"), None);
        assert_eq!(bodies[2]["ExclusiveStartKey"], last);
        assert_eq!(bodies[0]["ConsistentRead"], true);
    }

    #[tokio::test]
    async fn a_partial_or_endless_range_is_an_error() {
        let page = r#"{"Items":[],"LastEvaluatedKey":{}}"#;
        let half = client([response(200, page), response(200, "{}")]);
        assert!(half.range(&range(), NOON).await.is_err());
        let endless = client((0..=MAX_PAGES).map(|_| response(200, page)));
        assert!(endless.range(&range(), NOON).await.is_err());
        let odd = client([response(200, r#"{"Items":[1]}"#)]);
        assert!(odd.range(&range(), NOON).await.is_err());
    }
}
