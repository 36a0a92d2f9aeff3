//! Sessions: the row beside the account, the locator that finds it, and their end.

use portcullis_core::audit::AuditEvent;
use portcullis_core::id::Id;
use portcullis_core::revocation::Revocation;
use portcullis_core::session::Session;
use portcullis_core::time::UnixTime;
use portcullis_service::store::{SessionStore, StoreError, Written};

use super::accounts::{ACTIVE, GENERATION, USER_ID};
use super::audit::{SESSION_ID, audit_row};
use super::revocations::{announce, revoke};
use super::{Committed, DynamoStore, REQUEST_ID, RowError, is_own_write, is_written_for};
use crate::dynamodb::item::{Attribute, Item};
use crate::dynamodb::table::{Key, TTL};
use crate::dynamodb::write::{Expression, NEW};
use crate::error::Reason;
use crate::transport::Transport;

impl<T: Transport> SessionStore for DynamoStore<'_, T> {
    async fn open_session(
        &self,
        session: &Session,
        event: &AuditEvent,
    ) -> Result<Written, StoreError> {
        const OPERATION: &str = "opening a session";
        let request_id = &event.request_id;
        let key = Key::session(&session.email, session.opened_at, &session.id);
        // A password changed or an account closed since it was read must not get a session.
        let unchanged = Expression::of(
            "#user_id = :user_id AND #generation = :generation AND #status = :active",
        )
        .with(":user_id", Attribute::text(session.user_id.as_str()))
        .with(":generation", Attribute::number(session.generation))
        .with(":active", Attribute::text(ACTIVE));
        let mut transaction = self.transaction();
        transaction.put_if(&key, session_row(session, request_id), &NEW);
        transaction.check(&Key::user(&session.email), &unchanged);
        transaction.put_if(
            &Key::session_locator(&session.id),
            locator_row(session, &key, request_id),
            &NEW,
        );
        transaction.put(&Key::audit(event), audit_row(event));
        match self.commit(OPERATION, transaction).await? {
            Committed::Done => Ok(Written::Done),
            Committed::Refused(refusal) => match refusal.reasons() {
                [row, ..] if is_own_write(row, |row| is_written_for(row, request_id)) => {
                    Ok(Written::Done)
                }
                [_, account, ..] if account.is_condition() => Ok(Written::Conflict),
                // The session's id is taken. Ids are random: something else is wrong.
                _ => Err(StoreError::new(OPERATION, refusal)),
            },
        }
    }

    async fn end_session(
        &self,
        session_id: &Id,
        revocations: &[Revocation],
        stamp: UnixTime,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "ending a session";
        let locator = Key::session_locator(session_id);
        let found = self
            .client
            .row(&locator, self.now)
            .await
            .map_err(|error| StoreError::new(OPERATION, error))?;
        let session = found
            .map(|row| located(&row))
            .transpose()
            .map_err(|error| StoreError::new(OPERATION, error))?;
        let mut wanted: Vec<&Revocation> = revocations.iter().collect();
        loop {
            let mut transaction = self.transaction();
            // First, so that the reasons of a refusal begin with theirs.
            for revocation in &wanted {
                revoke(&mut transaction, revocation, &event.request_id);
            }
            announce(&mut transaction, revocations, stamp, &event.request_id);
            transaction.delete(&locator);
            if let Some(session) = &session {
                transaction.delete(session);
            }
            transaction.put(&Key::audit(event), audit_row(event));
            let refusal = match self.commit(OPERATION, transaction).await? {
                Committed::Done => return Ok(()),
                Committed::Refused(refusal) => refusal,
            };
            // What is called back further than we want stays as it is.
            let before = wanted.len();
            let mut reasons = refusal.reasons().iter();
            wanted.retain(|_| !reasons.next().is_some_and(Reason::is_condition));
            if wanted.len() == before {
                return Err(StoreError::new(OPERATION, refusal));
            }
        }
    }
}

const LOCATED_PARTITION: &str = "session_pk";
const LOCATED_SORT: &str = "session_sk";

fn session_row(session: &Session, request_id: &Id) -> Item {
    Item::new()
        .with_text(SESSION_ID, session.id.as_str())
        .with_text(USER_ID, session.user_id.as_str())
        .with_number("opened_at", session.opened_at.as_secs())
        .with_number("ends_at", session.ends_at.as_secs())
        .with_number(GENERATION, session.generation)
        .with_text("device", session.device.as_str())
        .with_text(REQUEST_ID, request_id.as_str())
        .with_number(TTL, session.ends_at.as_secs())
}

fn locator_row(session: &Session, key: &Key, request_id: &Id) -> Item {
    Item::new()
        .with_text(LOCATED_PARTITION, key.partition())
        .with_text(LOCATED_SORT, key.sort())
        .with_text(REQUEST_ID, request_id.as_str())
        .with_number(TTL, session.ends_at.as_secs())
}

fn located(locator: &Item) -> Result<Key, RowError> {
    let partition = locator.text(LOCATED_PARTITION)?;
    let sort = locator.text(LOCATED_SORT)?;
    Key::located_session(partition, sort).ok_or(RowError::Value(LOCATED_PARTITION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::email::EmailAddress;
    use portcullis_core::session::Device;

    fn session() -> Session {
        Session {
            id: Id::parse("s1").unwrap(),
            user_id: Id::parse("u1").unwrap(),
            email: EmailAddress::parse("ada@example.com").unwrap(),
            opened_at: UnixTime::from_secs(1_000),
            ends_at: UnixTime::from_secs(2_000),
            generation: 3,
            device: Device::new("curl/8"),
        }
    }

    #[test]
    fn a_locator_leads_to_its_session_and_both_end_together() {
        let session = session();
        let request_id = Id::parse("r1").unwrap();
        let key = Key::session(&session.email, session.opened_at, &session.id);
        let locator = locator_row(&session, &key, &request_id);
        assert!(located(&locator) == Ok(key));
        let row = session_row(&session, &request_id);
        assert_eq!(row.number("ttl"), Ok(2_000));
        assert_eq!(locator.number("ttl"), Ok(2_000));
    }

    #[test]
    fn a_locator_leads_nowhere_but_to_a_session() {
        for (partition, sort) in [
            ("USER#ada@example.com", "PROFILE"),
            ("AUDIT#2026-11-23#0", "SESSION#x"),
            ("", ""),
        ] {
            let locator = Item::new()
                .with_text(LOCATED_PARTITION, partition)
                .with_text(LOCATED_SORT, sort);
            assert_eq!(
                located(&locator),
                Err(RowError::Value(LOCATED_PARTITION)),
                "{partition}"
            );
        }
        assert!(located(&Item::new()).is_err());
    }
}
