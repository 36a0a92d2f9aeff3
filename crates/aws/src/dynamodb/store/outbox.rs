//! The outbox: mail to be sent, in a few partitions that every dispatcher reads.

use core::time::Duration;

use futures_util::future::try_join_all;
use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::mail::MailKind;
use portcullis_core::time::UnixTime;
use portcullis_service::store::{OutboxEntry, OutboxMail, OutboxStore, StoreError, WriteOutcome};

use super::audit::audit_row;
use super::columns::{REQUEST_ID, USER_ID};
use super::{Committed, DynamoStore, RowError, id, is_written_for, time};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::read::Range;
use crate::dynamodb::table::{Key, OUTBOX_SHARDS, TTL, Table};
use crate::dynamodb::write::{Expression, Transaction, delete_if, update_if};
use crate::error::CallError;
use crate::error_code::ErrorClass;
use crate::transport::Transport;

/// The maximum time in the outbox if no dispatcher takes the mail.
const OUTBOX_LIFETIME: Duration = Duration::from_secs(3 * 24 * 60 * 60);

impl<T: Transport> OutboxStore for DynamoStore<'_, T> {
    async fn enqueue(&self, mail: &OutboxMail, event: &AuditEvent) -> Result<(), StoreError> {
        const OPERATION: &str = "adding a mail to the outbox";
        let mut transaction = self.transaction();
        enqueue(&mut transaction, mail, &event.request_id);
        transaction.put(&Key::audit(event), audit_row(event));
        match self.commit(OPERATION, transaction).await? {
            Committed::Done => Ok(()),
            Committed::Refused(refusal) => Err(StoreError::new(OPERATION, refusal)),
        }
    }

    async fn due_mail(&self, now: UnixTime) -> Result<Vec<OutboxEntry>, StoreError> {
        const OPERATION: &str = "reading the outbox";
        let ranges: Vec<_> = (0..OUTBOX_SHARDS)
            .map(|shard| Range {
                table: Table::Main,
                partition: Key::outbox_partition(shard),
                from: UnixTime::default().to_string(),
                // `~` sorts after the `#` that follows the time.
                to: format!("{now}~"),
            })
            .collect();
        let shards = ranges
            .iter()
            .map(|range| self.client.range(range, self.now));
        let shards = try_join_all(shards)
            .await
            .map_err(|error| StoreError::new(OPERATION, error))?;
        let waiting: Result<Vec<_>, _> = shards.iter().flatten().map(read_waiting).collect();
        let mut waiting = waiting.map_err(|error| StoreError::new(OPERATION, error))?;
        waiting.retain(|waiting| waiting.due_at <= now);
        Ok(waiting)
    }

    async fn reserve(
        &self,
        read: &OutboxEntry,
        next: &OutboxEntry,
        request_id: &Id,
    ) -> Result<WriteOutcome, StoreError> {
        let change = Expression::set([
            (ATTEMPTS, Attribute::number(next.attempts)),
            (DUE_AT, Attribute::number(next.due_at.as_secs())),
            (REQUEST_ID, Attribute::text(request_id.as_str())),
        ]);
        let call = update_if(self.client.tables(), &key(read), &change, &as_read(read));
        let error = match self.client.call(&call, self.now).await {
            Ok(_answer) => return Ok(WriteOutcome::Applied),
            Err(error) => error,
        };
        let Some(refusal) = error.refusal().filter(|_| is_condition(&error)) else {
            return Err(StoreError::new("leasing a mail", error));
        };
        // An earlier attempt may have succeeded and its response may be lost.
        let stands = refusal
            .reasons()
            .first()
            .and_then(|reason| reason.existing());
        let is_own = stands.is_some_and(|row| {
            is_written_for(row, request_id)
                && row.number(ATTEMPTS) == Ok(next.attempts)
                && row.number(DUE_AT) == Ok(next.due_at.as_secs())
        });
        Ok(if is_own {
            WriteOutcome::Applied
        } else {
            WriteOutcome::Conflict
        })
    }

    async fn remove(&self, claimed: &OutboxEntry) -> Result<(), StoreError> {
        let call = delete_if(self.client.tables(), &key(claimed), &as_read(claimed));
        match self.client.call(&call, self.now).await {
            Ok(_answer) => Ok(()),
            Err(error) if is_condition(&error) => Ok(()),
            Err(error) => Err(StoreError::new("deleting a mail", error)),
        }
    }

    async fn give_up(&self, claimed: &OutboxEntry, event: &AuditEvent) -> Result<(), StoreError> {
        const OPERATION: &str = "abandoning a mail";
        let mut transaction = self.transaction();
        transaction.delete_if(&key(claimed), &as_read(claimed));
        transaction.put(&Key::audit(event), audit_row(event));
        match self.commit(OPERATION, transaction).await? {
            Committed::Done => Ok(()),
            Committed::Refused(refusal) => match refusal.reasons() {
                [row, ..] if row.is_condition() => Ok(()),
                _ => Err(StoreError::new(OPERATION, refusal)),
            },
        }
    }
}

const KIND: &str = "kind";
const EMAIL: &str = "email";
const ASKED_AT: &str = "asked_at";
const MAIL_ID: &str = "mail_id";
const ATTEMPTS: &str = "attempts";
const DUE_AT: &str = "due_at";

/// Adds a mail to the outbox.
pub(super) fn enqueue(transaction: &mut Transaction<'_>, mail: &OutboxMail, request_id: &Id) {
    let key = Key::outbox(&mail.id, mail.asked_at);
    transaction.put(&key, mail_row(mail, request_id));
}

fn mail_row(mail: &OutboxMail, request_id: &Id) -> Item {
    let row = Item::new()
        .with_text(MAIL_ID, mail.id.as_str())
        .with_text(KIND, mail.kind.as_str())
        .with_text(EMAIL, mail.email.as_str())
        .with_number(ASKED_AT, mail.asked_at.as_secs())
        .with_number(ATTEMPTS, 0)
        .with_number(DUE_AT, mail.asked_at.as_secs())
        .with_text(REQUEST_ID, request_id.as_str())
        .with_number(TTL, mail.asked_at.plus(OUTBOX_LIFETIME).as_secs());
    match &mail.user_id {
        Some(user_id) => row.with_text(USER_ID, user_id.as_str()),
        None => row,
    }
}

fn read_waiting(row: &Item) -> Result<OutboxEntry, RowError> {
    let kind = MailKind::parse(row.text(KIND)?).ok_or(RowError::Value(KIND))?;
    let email = EmailAddress::parse(row.text(EMAIL)?).map_err(|_| RowError::Value(EMAIL))?;
    let user_id = match row.optional_text(USER_ID)? {
        None => None,
        Some(_) => Some(id(row, USER_ID)?),
    };
    Ok(OutboxEntry {
        mail: OutboxMail {
            id: id(row, MAIL_ID)?,
            kind,
            email,
            user_id,
            asked_at: time(row, ASKED_AT)?,
        },
        attempts: row.number(ATTEMPTS)?,
        due_at: time(row, DUE_AT)?,
    })
}

fn key(waiting: &OutboxEntry) -> Key {
    Key::outbox(&waiting.mail.id, waiting.mail.asked_at)
}

/// The condition that no other dispatcher has changed the row.
fn as_read(waiting: &OutboxEntry) -> Expression {
    Expression::of("#attempts = :read_attempts AND #due_at = :read_due_at")
        .with(":read_attempts", Attribute::number(waiting.attempts))
        .with(":read_due_at", Attribute::number(waiting.due_at.as_secs()))
}

fn is_condition(error: &CallError) -> bool {
    error
        .refusal()
        .is_some_and(|refusal| refusal.class() == ErrorClass::Condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

    fn mail(user_id: Option<&str>) -> OutboxMail {
        OutboxMail {
            id: Id::parse("m1").unwrap(),
            kind: MailKind::Reset,
            email: EmailAddress::parse("Ada@Example.com").unwrap(),
            user_id: user_id.map(|id| Id::parse(id).unwrap()),
            asked_at: NOON,
        }
    }

    #[test]
    fn an_outbox_mail_survives_the_round_trip_with_a_normalized_address() {
        for user_id in [None, Some("u1")] {
            let row = mail_row(&mail(user_id), &Id::parse("r1").unwrap());
            let read = read_waiting(&row).unwrap();
            assert_eq!((read.attempts, read.due_at), (0, NOON));
            assert_eq!(read.mail.email.as_str(), "ada@example.com");
            assert_eq!(read.mail.user_id, mail(user_id).user_id);
            assert_eq!(read.mail.id, mail(user_id).id);
        }
    }

    #[test]
    fn an_invalid_outbox_row_is_an_error_that_names_the_attribute() {
        let row = mail_row(&mail(None), &Id::parse("r1").unwrap());
        for (name, error) in [
            (KIND, RowError::Value(KIND)),
            (EMAIL, RowError::Value(EMAIL)),
            (MAIL_ID, RowError::Value(MAIL_ID)),
        ] {
            let odd = row.clone().with_text(name, "");
            assert_eq!(read_waiting(&odd).unwrap_err(), error);
        }
    }
}
