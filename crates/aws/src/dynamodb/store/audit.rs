//! The audit trail: one row for each entry, in day partitions, kept for a year and a month; and the
//! digests of its days, kept as long.

use core::time::Duration;

use portcullis_core::audit::AuditEvent;
use portcullis_core::audit::digest::AuditDigest;
use portcullis_core::audit::entry::AuditEntry;
use portcullis_core::id::Id;
use portcullis_core::time::UnixTime;
use portcullis_service::store::{AuditReader, AuditStore, StoreError, StoredEntry, WriteOutcome};

use super::columns::{REQUEST_ID, SESSION_ID, USER_ID};
use super::{DynamoStore, RowError, id, time};
use crate::dynamodb::item::{Attribute, Item, ItemError};
use crate::dynamodb::read::Range;
use crate::dynamodb::table::{AUDIT_SHARDS, Key, SORT_KEY, TTL, Table};
use crate::dynamodb::write::{NEW, put_if};
use crate::error::CallError;
use crate::error_code::ErrorClass;
use crate::transport::Transport;

/// How long an entry is kept.
const AUDIT_LIFETIME: Duration = Duration::from_secs(400 * 24 * 60 * 60);

impl<T: Transport> AuditStore for DynamoStore<'_, T> {
    async fn record(&self, event: &AuditEvent) -> Result<(), StoreError> {
        let call = put_if(
            self.client.tables(),
            &Key::audit(event),
            audit_row(event),
            &NEW,
        );
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(()),
            // The entry's id is unique, so an existing row is this entry.
            Err(CallError::Service(refusal)) if refusal.class() == ErrorClass::Condition => Ok(()),
            Err(error) => Err(StoreError::new("recording an audit event", error)),
        }
    }
}

impl<T: Transport> AuditReader for DynamoStore<'_, T> {
    fn audit_shards(&self) -> u32 {
        AUDIT_SHARDS
    }

    async fn audit_lines(&self, day: UnixTime, shard: u32) -> Result<Vec<StoredEntry>, StoreError> {
        let range = Range {
            table: Table::Main,
            partition: Key::audit_partition(day, shard),
            from: " ".to_owned(),
            to: "~".to_owned(),
        };
        let rows = self.client.range(&range, self.now).await;
        let rows = rows.map_err(|error| StoreError::new("reading the audit trail", error))?;
        Ok(rows.iter().map(|row| kept(row, &range.partition)).collect())
    }

    async fn audit_digest(
        &self,
        day: UnixTime,
        shard: u32,
    ) -> Result<Option<AuditDigest>, StoreError> {
        const OPERATION: &str = "reading a digest of the audit trail";
        let key = Key::audit_digest(day, shard);
        let row = self.client.row(&key, self.now).await;
        let row = row.map_err(|error| StoreError::new(OPERATION, error))?;
        // An unreadable digest is not authentic: it carries no valid MAC.
        let read =
            |row: Item| read_digest(&row, day, shard).unwrap_or_else(|_| unreadable(day, shard));
        Ok(row.map(read))
    }

    async fn keep_digest(
        &self,
        digest: &AuditDigest,
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        let key = Key::audit_digest(digest.day, digest.shard);
        let row = digest_row(digest).with_text(REQUEST_ID, request_id.as_str());
        let call = put_if(self.client.tables(), &key, row, &NEW);
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(WriteOutcome::Applied),
            Err(CallError::Service(refusal)) if refusal.class() == ErrorClass::Condition => {
                // The first writer has sealed the same day.
                Ok(WriteOutcome::Conflict)
            }
            Err(error) => Err(StoreError::new(
                "storing a digest of the audit trail",
                error,
            )),
        }
    }
}

const ACTION: &str = "action";
const OUTCOME: &str = "outcome";
const CLIENT_ADDRESS: &str = "client_address";
const ROOT: &str = "root";
const CODE: &str = "code";
const DETAIL: &str = "detail";
const LINES: &str = "lines";
const HASH: &str = "hash";
const SEALED_AT: &str = "sealed_at";

/// The entry of a row, if the row is readable and under the key of its entry.
fn kept(row: &Item, partition: &str) -> StoredEntry {
    let sort = row.text(SORT_KEY).unwrap_or_default();
    match read_line(row, sort) {
        Ok(line) => {
            let key = Key::audit_line(&line.id, line.at);
            if key.partition() == partition && key.sort() == sort {
                StoredEntry::Line(Box::new(line))
            } else {
                StoredEntry::Unreadable(sort.to_owned())
            }
        }
        Err(_) => StoredEntry::Unreadable(sort.to_owned()),
    }
}

fn read_line(row: &Item, sort: &str) -> Result<AuditEntry, RowError> {
    let misplaced = RowError::Value(SORT_KEY);
    let (_, name) = sort.split_once('#').ok_or(misplaced)?;
    let optional = |name| match id(row, name) {
        Ok(id) => Ok(Some(id)),
        Err(RowError::Attribute(ItemError::Missing(_))) => Ok(None),
        Err(error) => Err(error),
    };
    Ok(AuditEntry {
        id: Id::parse(name).map_err(|_| misplaced)?,
        at: time(row, AT)?,
        action: row.text(ACTION)?.to_owned(),
        outcome: row.text(OUTCOME)?.to_owned(),
        user_id: optional(USER_ID)?,
        session_id: optional(SESSION_ID)?,
        client_address: row.text(CLIENT_ADDRESS)?.to_owned(),
        request_id: id(row, REQUEST_ID)?,
        detail: row.optional_text(DETAIL)?.map(str::to_owned),
        root: row.text(ROOT)?.to_owned(),
        code: row.bytes(CODE)?,
    })
}

fn digest_row(digest: &AuditDigest) -> Item {
    Item::new()
        .with_number(LINES, digest.lines)
        .with(HASH, Attribute::bytes(&digest.hash))
        .with_number(SEALED_AT, digest.sealed_at.as_secs())
        .with_text(ROOT, digest.root.as_str())
        .with(CODE, Attribute::bytes(&digest.code))
        .with_number(TTL, digest.day.plus(AUDIT_LIFETIME).as_secs())
}

fn read_digest(row: &Item, day: UnixTime, shard: u32) -> Result<AuditDigest, RowError> {
    let hash = row.bytes(HASH)?;
    Ok(AuditDigest {
        day,
        shard,
        lines: row.number(LINES)?,
        hash: hash.try_into().map_err(|_| RowError::Value(HASH))?,
        sealed_at: time(row, SEALED_AT)?,
        root: row.text(ROOT)?.to_owned(),
        code: row.bytes(CODE)?,
    })
}

const fn unreadable(day: UnixTime, shard: u32) -> AuditDigest {
    AuditDigest {
        day,
        shard,
        lines: 0,
        hash: [0; 32],
        sealed_at: day,
        root: String::new(),
        code: Vec::new(),
    }
}

/// The time of an entry, in seconds.
const AT: &str = "at";

/// The row of `event`; missing identifiers are left out.
pub(super) fn audit_row(event: &AuditEvent) -> Item {
    let mut row = Item::new()
        .with_number(AT, event.at.as_secs())
        .with_text(ACTION, event.kind.action())
        .with_text(OUTCOME, event.kind.outcome())
        .with_text(CLIENT_ADDRESS, event.client_address.as_str())
        .with_text(REQUEST_ID, event.request_id.as_str())
        .with_text(ROOT, event.sealer.root())
        .with(CODE, Attribute::bytes(&event.mac()))
        .with_number(TTL, event.at.plus(AUDIT_LIFETIME).as_secs());
    if let Some(detail) = &event.detail {
        row = row.with_text(DETAIL, detail);
    }
    if let Some(user_id) = &event.user_id {
        row = row.with_text(USER_ID, user_id.as_str());
    }
    if let Some(session_id) = &event.session_id {
        row = row.with_text(SESSION_ID, session_id.as_str());
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::audit::{AuditKind, LoginDenial};
    use portcullis_core::root_keys::{Purpose, RootKeys};

    #[test]
    fn an_audit_entry_has_action_actor_origin_and_ttl() {
        let root_keys =
            RootKeys::parse(br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#).unwrap();
        let event = AuditEvent {
            id: Id::parse("line1").unwrap(),
            at: UnixTime::from_secs(1_000),
            kind: AuditKind::LoginRefused(LoginDenial::WrongPassword),
            user_id: Some(Id::parse("u1").unwrap()),
            session_id: None,
            client_address: "192.0.2.1".to_owned(),
            request_id: Id::parse("r1").unwrap(),
            detail: None,
            sealer: root_keys.sealer(Purpose::Audit),
        };
        let expected = Item::new()
            .with_number("at", 1_000)
            .with_text("root", "1")
            .with("code", Attribute::bytes(&event.mac()))
            .with_text("action", "login")
            .with_text("outcome", "wrong_password")
            .with_text("client_address", "192.0.2.1")
            .with_text("request_id", "r1")
            .with_text("user_id", "u1")
            .with_number("ttl", 1_000 + 400 * 86_400);
        assert!(audit_row(&event) == expected);
        let detailed = AuditEvent {
            detail: Some("scope admin".to_owned()),
            ..event.clone()
        };
        let mac = Attribute::bytes(&detailed.mac());
        let expected = expected.with("detail", Attribute::text("scope admin"));
        assert!(audit_row(&detailed) == expected.with(CODE, mac));
        let key = Key::audit(&event);
        let row = audit_row(&event).under(&key);
        let StoredEntry::Line(line) = kept(&row, key.partition()) else {
            panic!("it reads back");
        };
        assert!(line.is_genuine(&root_keys));
        let elsewhere = kept(&row, "AUDIT#1970-01-02#0");
        assert!(
            matches!(elsewhere, StoredEntry::Unreadable(_)),
            "the row is under a foreign key"
        );
    }
}
