//! Accounts by the domain of their address: one partition for each domain, a scan for all domains.

use portcullis_core::email::EmailAddress;
use portcullis_core::json::Json;
use portcullis_service::store::{AccountPage, DomainPage, DomainStore, PageCursor, StoreError};

use super::account_row::{EMAIL, read_user};
use super::{DynamoStore, RowError};
use crate::client::ApiCall;
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::{DOMAINS, Key, PARTITION_KEY, PROFILE, Table, USERS};
use crate::error::{CallError, ResponseError};
use crate::operation::Operation;
use crate::transport::Transport;

const COUNTING: &str = "counting the accounts of a domain";
const SCANNING: &str = "scanning the table";

impl<T: Transport> DomainStore for DynamoStore<'_, T> {
    async fn accounts_of_domain(&self, domain: &str) -> Result<u64, StoreError> {
        let values = Item::new().with(":p", Attribute::text(Key::domain_partition(domain)));
        let first = ApiCall::new(Operation::Query)
            .with("TableName", self.client.tables().name(Table::Main))
            .with("KeyConditionExpression", "PK = :p")
            .with("ExpressionAttributeValues", values.into_wire())
            .with("Select", "COUNT");
        let mut call = first.clone();
        let mut accounts = 0_u64;
        loop {
            let answer = self.client.call(&call, self.now).await;
            let mut answer = answer.map_err(|error| StoreError::new(COUNTING, error))?;
            let count = whole(answer.remove("Count"), "Count");
            let count = count.map_err(|error| StoreError::new(COUNTING, error))?;
            accounts = accounts.saturating_add(count);
            match answer.remove("LastEvaluatedKey") {
                None => return Ok(accounts),
                Some(last) => call = first.clone().with("ExclusiveStartKey", last),
            }
        }
    }

    async fn domain_page(&self, after: Option<PageCursor>) -> Result<DomainPage, StoreError> {
        let values = Item::new().with(":p", Attribute::text(DOMAINS));
        let call = ApiCall::new(Operation::Scan)
            .with("FilterExpression", "begins_with(PK, :p)")
            .with("ExpressionAttributeValues", values.into_wire())
            .with("ProjectionExpression", PARTITION_KEY);
        let scanned = self.scan(call, after).await?;
        let page = (|| {
            let mut page = DomainPage {
                rows: scanned.rows,
                next: scanned.next,
                ..DomainPage::default()
            };
            for item in scanned.items {
                let domain = item.text(PARTITION_KEY).ok();
                let domain = domain.and_then(|key| key.strip_prefix(DOMAINS));
                let domain = domain.ok_or(ResponseError::Lacks(PARTITION_KEY))?;
                let count = page.accounts.entry(domain.to_owned()).or_default();
                *count = count.saturating_add(1);
            }
            Ok(page)
        })();
        page.map_err(|error: CallError| StoreError::new(SCANNING, error))
    }

    async fn account_page(&self, after: Option<PageCursor>) -> Result<AccountPage, StoreError> {
        let values = Item::new()
            .with(":p", Attribute::text(USERS))
            .with(":s", Attribute::text(PROFILE));
        let call = ApiCall::new(Operation::Scan)
            .with("FilterExpression", "begins_with(PK, :p) AND SK = :s")
            .with("ExpressionAttributeValues", values.into_wire());
        let scanned = self.scan(call, after).await?;
        let account = |row: Item| {
            let email = EmailAddress::parse(row.text(EMAIL)?);
            let email = email.map_err(|_| RowError::Value(EMAIL))?;
            read_user(&row, &email)
        };
        let accounts: Result<_, RowError> = scanned.items.into_iter().map(account).collect();
        Ok(AccountPage {
            accounts: accounts.map_err(|error| StoreError::new(SCANNING, error))?,
            rows: scanned.rows,
            next: scanned.next,
        })
    }
}

/// One part of a scan.
struct Scanned {
    items: Vec<Item>,
    rows: u64,
    next: Option<PageCursor>,
}

impl<T: Transport> DynamoStore<'_, T> {
    /// Scans one part of the main table, which begins after `after`.
    async fn scan(&self, call: ApiCall, after: Option<PageCursor>) -> Result<Scanned, StoreError> {
        let mut call = call.with("TableName", self.client.tables().name(Table::Main));
        if let Some(PageCursor(after)) = after {
            let key = Json::parse(after.as_bytes());
            let key = key.map_err(|error| StoreError::new(SCANNING, error))?;
            call = call.with("ExclusiveStartKey", key);
        }
        let answer = self.client.call(&call, self.now).await;
        let mut answer = answer.map_err(|error| StoreError::new(SCANNING, error))?;
        let scanned = (|| {
            let rows = whole(answer.remove("ScannedCount"), "ScannedCount")?;
            let next = answer
                .remove("LastEvaluatedKey")
                .map(|key| PageCursor(key.to_string()));
            let items = answer.remove("Items").and_then(Json::into_array);
            let items: Option<Vec<Item>> = items.and_then(|items| {
                let item = |item: Json| item.into_object().map(Item::from_wire);
                items.into_iter().map(item).collect()
            });
            let items = items.ok_or(ResponseError::Lacks("Items"))?;
            Ok(Scanned { items, rows, next })
        })();
        scanned.map_err(|error: CallError| StoreError::new(SCANNING, error))
    }
}

fn whole(member: Option<Json>, name: &'static str) -> Result<u64, CallError> {
    let number = member.as_ref().and_then(Json::as_whole);
    Ok(number.ok_or(ResponseError::Lacks(name))?)
}
