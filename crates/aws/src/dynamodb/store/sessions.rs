//! Sessions: the row next to the account, the locator that finds it, and their deletion.

use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::refresh::RefreshHead;
use portcullis_core::revocation::Revocation;
use portcullis_core::session::Session;
use portcullis_core::time::UnixTime;
use portcullis_service::store::{
    Account, MAX_SESSIONS, OutboxMail, RetainedSession, SessionStore, SessionWithAccount,
    StoreError, WriteOutcome,
};

use super::account_row::read_user;
use super::audit::audit_row;
use super::columns::{ACTIVE, REQUEST_ID, SESSION_ID};
use super::outbox::enqueue;
use super::session_row::{
    REFRESH_HASH, email_of, head_attributes, located, locator_row, read_session, session_row,
};
use super::{Committed, DynamoStore, is_own_write, is_written_for};
use crate::dynamodb::item::Attribute;
use crate::dynamodb::read::Range;
use crate::dynamodb::table::{Key, Table};
use crate::dynamodb::write::{Expression, NEW};
use crate::transport::Transport;

impl<T: Transport> SessionStore for DynamoStore<'_, T> {
    async fn open_session(
        &self,
        session: &Session,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        const OPERATION: &str = "opening a session";
        let request_id = &event.request_id;
        let key = Key::session(&session.email, session.opened_at, &session.id);
        // An account with a changed password or status since the read must not get a session.
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
            Committed::Done => Ok(WriteOutcome::Applied),
            Committed::Refused(refusal) => match refusal.reasons() {
                [row, ..] if is_own_write(row, |row| is_written_for(row, request_id)) => {
                    Ok(WriteOutcome::Applied)
                }
                [_, account, ..] if account.is_condition() => Ok(WriteOutcome::Conflict),
                // The session id exists already. Ids are random, so this is another fault.
                _ => Err(StoreError::new(OPERATION, refusal)),
            },
        }
    }

    async fn family(&self, session_id: &Id) -> Result<Option<SessionWithAccount>, StoreError> {
        const OPERATION: &str = "reading a session";
        let Some(key) = self.locate(OPERATION, session_id).await? else {
            return Ok(None);
        };
        let failed = |error| StoreError::new(OPERATION, error);
        let email = email_of(&key).map_err(failed)?;
        let keys = [key, Key::user(&email)];
        let rows = self.client.rows(Table::Main, &keys, self.now).await;
        let rows = rows.map_err(|error| StoreError::new(OPERATION, error))?;
        // A batch response has no order; only session rows have a session id.
        let (sessions, others): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| row.contains(SESSION_ID));
        let Some(row) = sessions.first() else {
            return Ok(None);
        };
        let account = others.first().map(|row| read_user(row, &email));
        Ok(Some(SessionWithAccount {
            session: read_session(row, &email).map_err(failed)?,
            account: account.transpose().map_err(failed)?,
        }))
    }

    async fn session_of(
        &self,
        account: &Account,
        retained: &RetainedSession,
    ) -> Result<Option<Session>, StoreError> {
        const OPERATION: &str = "reading a session of an account";
        let key = Key::session(&account.email, retained.opened_at, &retained.id);
        let row = self.client.row(&key, self.now).await;
        let row = row.map_err(|error| StoreError::new(OPERATION, error))?;
        let session = row
            .map(|row| read_session(&row, &account.email))
            .transpose();
        let session = session.map_err(|error| StoreError::new(OPERATION, error))?;
        Ok(session.filter(|session| session.user_id == account.user_id))
    }

    async fn advance(
        &self,
        session: &Session,
        next: &RefreshHead,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        const OPERATION: &str = "advancing a session";
        let key = Key::session(&session.email, session.opened_at, &session.id);
        let change = Expression::set(
            head_attributes(next)
                .into_iter()
                .chain([(REQUEST_ID, Attribute::text(event.request_id.as_str()))]),
        );
        let unchanged = Expression::of(
            "#refresh_generation = :spent_generation AND #refresh_hash = :spent_hash",
        )
        .with(
            ":spent_generation",
            Attribute::number(session.head.generation),
        )
        .with(":spent_hash", Attribute::bytes(&session.head.hash));
        let mut transaction = self.transaction();
        transaction.update_if(&key, &change, &unchanged);
        transaction.put(&Key::audit(event), audit_row(event));
        self.commit(OPERATION, transaction)
            .await?
            .write_outcome(OPERATION, |row| {
                is_written_for(row, &event.request_id)
                    && row.bytes(REFRESH_HASH).as_deref() == Ok(next.hash.as_slice())
            })
    }

    async fn sessions(&self, email: &EmailAddress) -> Result<Vec<Session>, StoreError> {
        const OPERATION: &str = "listing sessions";
        let range = Range {
            table: Table::Main,
            partition: Key::user(email).partition().to_owned(),
            from: "SESSION#".to_owned(),
            to: "SESSION#~".to_owned(),
        };
        let rows = self.client.newest(&range, MAX_SESSIONS, self.now).await;
        let rows = rows.map_err(|error| StoreError::new(OPERATION, error))?;
        rows.iter()
            .map(|row| read_session(row, email))
            .collect::<Result<_, _>>()
            .map_err(|error| StoreError::new(OPERATION, error))
    }

    async fn end_session(
        &self,
        session_id: &Id,
        revocations: &[Revocation],
        stamp: UnixTime,
        mail: Option<&OutboxMail>,
        event: &AuditEvent,
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "ending a session";
        let session = self.locate(OPERATION, session_id).await?;
        let locator = Key::session_locator(session_id);
        self.commit_revocations(OPERATION, revocations, stamp, event, |transaction| {
            transaction.delete(&locator);
            if let Some(session) = &session {
                transaction.delete(session);
            }
            if let Some(mail) = mail {
                enqueue(transaction, mail, &event.request_id);
            }
        })
        .await
    }
}

impl<T: Transport> DynamoStore<'_, T> {
    /// The key of the session's row.
    async fn locate(
        &self,
        operation: &'static str,
        session_id: &Id,
    ) -> Result<Option<Key>, StoreError> {
        let locator = Key::session_locator(session_id);
        let found = self.client.row(&locator, self.now).await;
        found
            .map_err(|error| StoreError::new(operation, error))?
            .map(|row| located(&row))
            .transpose()
            .map_err(|error| StoreError::new(operation, error))
    }
}
