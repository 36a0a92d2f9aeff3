//! Packs of the feed: one row for each, addressed by its content, and one index row that lists
//! them.

use portcullis_core::id::Id;
use portcullis_core::revocation::{PackIndex, PackName, PackedSpan};
use portcullis_core::time::UnixTime;
use portcullis_service::store::{PackStore, StoreError, WriteOutcome};

use super::columns::REQUEST_ID;
use super::{DynamoStore, RowError, is_own_write, is_written_for, time};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::{Key, TTL};
use crate::dynamodb::write::{Expression, NEW, put_if};
use crate::error::CallError;
use crate::error_code::ErrorClass;
use crate::transport::Transport;

impl<T: Transport> PackStore for DynamoStore<'_, T> {
    async fn directory(&self) -> Result<PackIndex, StoreError> {
        const OPERATION: &str = "reading the pack index";
        let row = self
            .client
            .row(&Key::pack_directory(), self.now)
            .await
            .map_err(|error| StoreError::new(OPERATION, error))?;
        match row {
            None => Ok(PackIndex::default()),
            Some(row) => {
                read_directory(&row).map_err(|error| StoreError::corrupt(OPERATION, error))
            }
        }
    }

    async fn pack(&self, name: &PackName) -> Result<Option<Vec<u8>>, StoreError> {
        const OPERATION: &str = "reading a pack";
        let row = self
            .client
            .row(&Key::pack(name), self.now)
            .await
            .map_err(|error| StoreError::new(OPERATION, error))?;
        Ok(row.and_then(|row| row.bytes(NAMES).ok()))
    }

    async fn put_pack(
        &self,
        name: &PackName,
        bytes: &[u8],
        until: UnixTime,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "writing a pack";
        let row = Item::new()
            .with(NAMES, Attribute::bytes(bytes))
            .with_number(TTL, until.as_secs());
        let call = put_if(self.client.tables(), &Key::pack(name), row, &NEW);
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(()),
            // The name is a digest of the content, so any existing row holds the same.
            Err(CallError::Service(refusal)) if refusal.class() == ErrorClass::Condition => Ok(()),
            Err(error) => Err(StoreError::new(OPERATION, error)),
        }
    }

    async fn replace_directory(
        &self,
        directory: &PackIndex,
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        const OPERATION: &str = "replacing the pack index";
        let condition = match directory.version() {
            0 | 1 => NEW,
            version => Expression::of("#version = :before")
                .with(":before", Attribute::number(version.saturating_sub(1))),
        };
        let row = directory_row(directory).with_text(REQUEST_ID, request_id.as_str());
        let call = put_if(
            self.client.tables(),
            &Key::pack_directory(),
            row,
            &condition,
        );
        let is_this = |row: &Item| {
            is_written_for(row, request_id)
                && read_directory(row).is_ok_and(|written| written == *directory)
        };
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(WriteOutcome::Applied),
            Err(CallError::Service(refusal)) if refusal.class() == ErrorClass::Condition => {
                let own = |reason| is_own_write(reason, is_this);
                Ok(if refusal.reasons().iter().any(own) {
                    WriteOutcome::Applied
                } else {
                    WriteOutcome::Conflict
                })
            }
            Err(error) => Err(StoreError::new(OPERATION, error)),
        }
    }
}

const NAMES: &str = "names";
const VERSION: &str = "version";
const SPANS: &str = "spans";
const FROM: &str = "from";
const TO: &str = "to";
const UNTIL: &str = "until";
const PARTS: &str = "parts";

fn directory_row(directory: &PackIndex) -> Item {
    let spans = directory.packed().iter().map(|span| {
        let parts = span.parts.iter().map(|name| Attribute::text(name.as_str()));
        Attribute::map(
            Item::new()
                .with_number(FROM, span.from.as_secs())
                .with_number(TO, span.to.as_secs())
                .with_number(UNTIL, span.until.as_secs())
                .with_number(NAMES, span.names)
                .with(PARTS, Attribute::list(parts)),
        )
    });
    Item::new()
        .with_number(VERSION, directory.version())
        .with(SPANS, Attribute::list(spans))
}

fn read_directory(row: &Item) -> Result<PackIndex, RowError> {
    let spans = row.list(SPANS)?;
    let packed: Result<Vec<_>, RowError> = spans.iter().map(read_span).collect();
    PackIndex::new(row.number(VERSION)?, packed?).map_err(|_| RowError::Value(SPANS))
}

fn read_span(span: &Attribute) -> Result<PackedSpan, RowError> {
    let span = span.as_map().ok_or(RowError::Value(SPANS))?;
    let names = span.list(PARTS)?;
    let name = |part: &Attribute| PackName::parse(part.as_text()?).ok();
    let parts: Option<Vec<_>> = names.iter().map(name).collect();
    Ok(PackedSpan {
        from: time(&span, FROM)?,
        to: time(&span, TO)?,
        until: time(&span, UNTIL)?,
        names: span.number(NAMES)?,
        parts: parts.ok_or(RowError::Value(PARTS))?,
    })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::dynamodb::item::ItemError;

    fn directory() -> PackIndex {
        let span = |from: u64, parts: &[&[u8]]| PackedSpan {
            from: UnixTime::from_secs(from),
            to: UnixTime::from_secs(from).plus(Duration::from_secs(60)),
            until: UnixTime::from_secs(9_000),
            names: 3,
            parts: parts.iter().map(|bytes| PackName::of(bytes)).collect(),
        };
        PackIndex::new(7, vec![span(60, &[]), span(120, &[b"a", b"b"])]).unwrap()
    }

    #[test]
    fn a_pack_index_survives_the_round_trip_through_its_row() {
        assert_eq!(
            read_directory(&directory_row(&directory())),
            Ok(directory())
        );
    }

    #[test]
    fn an_invalid_pack_index_row_is_an_error_and_not_an_empty_index() {
        let good = directory_row(&directory());
        let span = good.list(SPANS).unwrap().remove(1).as_map().unwrap();
        let with = |span: Item| {
            let spans = Attribute::list([Attribute::map(span)]);
            read_directory(&good.clone().with(SPANS, spans))
        };
        let error = |name| Err(ItemError::Type(name).into());
        assert_eq!(with(span.clone()).map(|read| read.packed().len()), Ok(1));
        assert_eq!(with(span.clone().with_text(FROM, "120")), error(FROM));
        assert_eq!(
            with(span.clone().with_number(TO, 60)),
            Err(RowError::Value(SPANS))
        );
        let odd = Attribute::list([Attribute::text("../KEYS")]);
        assert_eq!(with(span.with(PARTS, odd)), Err(RowError::Value(PARTS)));
        assert_eq!(
            read_directory(&Item::new()),
            Err(ItemError::Missing(SPANS).into())
        );
    }
}
